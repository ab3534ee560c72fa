//! The fuzzer's bytes, taken from the front. Where they end everything is
//! zero, so that a short input says less and never nothing.
#![forbid(unsafe_code)]

pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub(crate) fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes(self.array()))
    }

    /// So many bytes, or as many as are left.
    pub(crate) fn take(&mut self, most: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind their own number.
    pub(crate) fn counted(&mut self) -> &'a [u8] {
        let most = usize::from(self.byte());
        self.take(most)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        self.take(usize::MAX)
    }

    /// Changes bytes here and there; says whether any is another now.
    pub(crate) fn spoil(&mut self, bytes: &mut [u8]) -> bool {
        let before = bytes.to_vec();
        for _ in 0..self.byte() % 4 {
            let at = self.number();
            let by = self.byte();
            if let Some(at) = at.checked_rem(bytes.len()) {
                bytes[at] ^= by;
            }
        }
        before != bytes
    }
}

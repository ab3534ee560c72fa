//! CBOR that nobody should write: answers taken apart and put together again, byte by byte.

#![forbid(unsafe_code)]

use sk_cbor::Value;

use super::credential::written;

/// An answer's status and its map, each key and value as they are written.
pub struct RawAnswer {
    /// The status byte.
    pub status: u8,
    /// The map's members.
    pub members: Vec<(Vec<u8>, Vec<u8>)>,
}

impl RawAnswer {
    /// An honest answer, taken apart.
    pub fn of(answer: &[u8]) -> Self {
        let map = sk_cbor::read(&answer[1..]).expect("the honest answer is CBOR");
        let members = map.extract_map().expect("and a map");
        Self {
            status: answer[0],
            members: members
                .into_iter()
                .map(|(key, value)| (written(key), written(value)))
                .collect(),
        }
    }

    /// The value of a member.
    pub fn value(&mut self, key: u64) -> &mut Vec<u8> {
        let key = written(Value::unsigned(key));
        let member = self.members.iter_mut().find(|(name, _)| *name == key);
        &mut member.expect("the honest answer has that member").1
    }

    /// Another member at the end.
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.members.push((key.to_vec(), value.to_vec()));
    }

    /// Leaves a member out.
    pub fn remove(&mut self, key: u64) {
        let key = written(Value::unsigned(key));
        self.members.retain(|(name, _)| *name != key);
    }

    /// The map's header, for so many members.
    pub fn header(members: usize) -> Vec<u8> {
        head(5, members as u64)
    }

    /// The members, one after the other, without a header.
    pub fn body(&self) -> Vec<u8> {
        let parts = self.members.iter().flat_map(|(key, value)| [key, value]);
        parts.flatten().copied().collect()
    }

    /// The answer.
    pub fn written(&self) -> Vec<u8> {
        let header = Self::header(self.members.len());
        [&[self.status][..], &header, &self.body()].concat()
    }
}

/// An honest answer with one member's value replaced.
pub fn with_value(answer: &[u8], key: u64, value: &[u8]) -> Vec<u8> {
    let mut raw = RawAnswer::of(answer);
    value.clone_into(raw.value(key));
    raw.written()
}

/// An initial byte and its argument, as short as can be.
pub fn head(major: u8, argument: u64) -> Vec<u8> {
    let major = major << 5;
    let bytes = argument.to_be_bytes();
    match argument {
        0..24 => vec![major | bytes[7]],
        24..0x100 => vec![major | 0x18, bytes[7]],
        0x100..0x1_0000 => [&[major | 0x19][..], &bytes[6..]].concat(),
        0x1_0000..0x1_0000_0000 => [&[major | 0x1A][..], &bytes[4..]].concat(),
        _ => [&[major | 0x1B][..], &bytes].concat(),
    }
}

/// So many of these, one in the other, around a zero.
pub fn nested(opening: &[u8], depth: usize) -> Vec<u8> {
    [opening.repeat(depth), vec![0]].concat()
}

/// Values that are wrong wherever a number, bytes, text, a list or a map of the right kind is
/// expected, each with its name. One of them is of the right kind: leave out the one that begins
/// with the major type `right`.
pub fn wrong_types(right: u8) -> Vec<(&'static str, Vec<u8>)> {
    let all: [(&str, &[u8]); 10] = [
        ("a number", &[0x01]),
        ("a negative number", &[0x20]),
        ("bytes", &[0x41, 0x00]),
        ("text", &[0x61, b'x']),
        ("a list", &[0x81, 0x00]),
        ("a map", &[0xA1, 0x00, 0x00]),
        ("a tag", &[0xC0, 0x00]),
        ("null", &[0xF6]),
        ("a float", &[0xF9, 0x3C, 0x00]),
        ("undefined", &[0xF7]),
    ];
    all.into_iter()
        .filter(|(_, value)| value[0] >> 5 != right)
        .map(|(name, value)| (name, value.to_vec()))
        .collect()
}

/// Values that no reader should go into, each with its name: too deep, too long, without a length.
pub fn monsters() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("7,000 lists in each other", nested(&[0x81], 7000)),
        ("7,000 maps in each other", nested(&[0xA1, 0x00], 3500)),
        ("7,000 tags in each other", nested(&[0xC1], 7000)),
        ("bytes of 2^32", head(2, 1 << 32)),
        ("bytes of 2^63", head(2, 1 << 63)),
        ("text of 2^32", head(3, 1 << 32)),
        ("text of 2^63", head(3, 1 << 63)),
        ("a list of 2^32", head(4, 1 << 32)),
        ("a list of 2^63", head(4, 1 << 63)),
        ("a map of 2^32", head(5, 1 << 32)),
        ("a map of 2^63", head(5, 1 << 63)),
        ("bytes without a length", vec![0x5F, 0x41, 0x00, 0xFF]),
        ("text without a length", vec![0x7F, 0x61, b'x', 0xFF]),
        ("a list without a length", vec![0x9F, 0x00, 0xFF]),
        ("a map without a length", vec![0xBF, 0x00, 0x00, 0xFF]),
        ("a break out of nowhere", vec![0xFF]),
        ("a reserved length", vec![0x5C]),
    ]
}

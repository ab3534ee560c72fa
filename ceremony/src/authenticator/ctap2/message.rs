//! What all CTAP2 messages have in common (CTAP 2.1 §6 and §8): a command
//! byte, and one map in canonical CBOR.
#![forbid(unsafe_code)]

use minicbor::Decoder;
use minicbor::encode::{self, Encoder};

use crate::authenticator::client_pin::PinUvAuthParam;
use crate::sentence;
use crate::sentence::{Sentence, Spoken};

/// The largest message every CTAP2 key takes (CTAP 2.1 §6.4, maxMsgSize: 1024
/// where not given).
pub const LARGEST_UNASKED: usize = 1024;

/// Command bytes (CTAP 2.1 §6).
pub(super) mod command {
    pub(in super::super) const MAKE_CREDENTIAL: u8 = 0x01;
    pub(in super::super) const GET_ASSERTION: u8 = 0x02;
    pub(in super::super) const GET_INFO: u8 = 0x04;
    pub(in super::super) const CLIENT_PIN: u8 = 0x06;
    pub(in super::super) const RESET: u8 = 0x07;
    pub(in super::super) const GET_NEXT_ASSERTION: u8 = 0x08;
    pub(in super::super) const SELECTION: u8 = 0x0b;
    pub(in super::super) const CONFIG: u8 = 0x0d;
}

/// A response that is not what its specification says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(
    /// What is wrong with it.
    pub &'static str,
);

impl std::error::Error for Malformed {}

impl Spoken for Malformed {
    fn sentence(&self) -> Sentence {
        sentence!(
            "its answer is malformed: {problem}",
            problem = Sentence::plain(self.0)
        )
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.sentence().fmt(f)
    }
}

/// How a request shows that its person is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verification<'a> {
    /// Not at all.
    None,
    /// The key is to see to it itself (option `uv`, the one way of CTAP 2.0).
    BuiltIn,
    /// By a proof made with a token (`pinUvAuthParam`).
    Token(&'a PinUvAuthParam),
}

impl Verification<'_> {
    /// How many members of the request's map it takes, besides options.
    pub(super) fn members(&self) -> u64 {
        match self {
            Self::Token(_) => 2,
            Self::None | Self::BuiltIn => 0,
        }
    }

    /// Writes those members, the first of them under `key`.
    pub(super) fn write(&self, e: &mut Encoded<'_>, key: u8) -> Result<(), EncodeError> {
        if let Self::Token(proof) = self {
            e.u8(key)?.bytes(&proof.mac)?;
            e.u8(key.saturating_add(1))?.u8(proof.protocol.number())?;
        }
        Ok(())
    }
}

pub(super) type Encoded<'a> = Encoder<&'a mut Vec<u8>>;
pub(super) type EncodeError = encode::Error<std::convert::Infallible>;

/// A request: its command byte, then what `write` encodes. Encoding into
/// memory cannot fail; were it ever to, nothing is sent.
pub(super) fn request(
    command: u8,
    write: impl FnOnce(&mut Encoded<'_>) -> Result<(), EncodeError>,
) -> Option<Vec<u8>> {
    let mut message = vec![command];
    write(&mut Encoder::new(&mut message)).ok()?;
    Some(message)
}

/// A request that is its command byte alone.
pub(super) fn request_without_members(command: u8) -> Vec<u8> {
    vec![command]
}

/// Writes a `PublicKeyCredentialDescriptor` (WebAuthn §5.8.3).
pub(super) fn descriptor(e: &mut Encoded<'_>, id: &[u8]) -> Result<(), EncodeError> {
    e.map(2)?
        .str("id")?
        .bytes(id)?
        .str("type")?
        .str("public-key")?;
    Ok(())
}

/// Reads a response that is one CBOR map with whole-number keys, handing each
/// key to `member`, which reads the value and says whether it knew the key.
/// What it did not know is passed over.
pub(super) fn read_map<'b>(
    data: &'b [u8],
    mut member: impl FnMut(u64, &mut Decoder<'b>) -> Result<bool, Malformed>,
) -> Result<(), Malformed> {
    let mut decoder = Decoder::new(data);
    let members = decoder
        .map()
        .map_err(|_| Malformed("no map"))?
        .ok_or(Malformed("a map of indefinite length"))?;
    for _ in 0..members {
        let key = decoder.u64().map_err(|_| Malformed("a strange key"))?;
        let value = decoder.position();
        if !member(key, &mut decoder)? {
            decoder.set_position(value);
            decoder
                .skip()
                .map_err(|_| Malformed("a member that does not end"))?;
        }
    }
    if decoder.position() != data.len() {
        return Err(Malformed("bytes left over"));
    }
    Ok(())
}

/// Fills a member once; a second time is a malformed map.
pub(super) fn once<T>(member: &mut Option<T>, value: T) -> Result<bool, Malformed> {
    match member.replace(value) {
        None => Ok(true),
        Some(_) => Err(Malformed("a member that stands twice")),
    }
}

#[cfg(test)]
pub(super) mod tests {
    /// Bytes from hexadecimal, blanks ignored.
    pub(in super::super) fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex
            .chars()
            .filter_map(|c| u8::try_from(c.to_digit(16)?).ok())
            .collect();
        assert_eq!(digits.len() % 2, 0);
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }
}

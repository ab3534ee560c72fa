//! An authenticator's PIN (CTAP 2.1 §6.5.1), for as short a time as it takes to
//! use it.
#![forbid(unsafe_code)]

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::sentence;
use crate::sentence::{Sentence, Spoken};

/// A PIN as a person typed it: wiped when dropped, and consumed by the one call
/// that uses it.
pub struct Pin(Zeroizing<Vec<u8>>);

impl Pin {
    /// The fewest characters a PIN can have, counted in code points.
    pub const SHORTEST: u8 = 4;

    /// The most bytes of UTF-8 a PIN can have.
    pub const LONGEST: usize = 63;

    /// Takes what was typed as a PIN, where it can be one at a key that takes
    /// none with fewer than `shortest` characters. What cannot be right is not
    /// worth one of the key's tries.
    pub fn typed(bytes: &[u8], shortest: u8) -> Result<Self, NotAPin> {
        let text = std::str::from_utf8(bytes).map_err(|_| NotAPin::NotText)?;
        let shortest = shortest.max(Self::SHORTEST);
        if text.chars().count() < usize::from(shortest) {
            return Err(NotAPin::TooShort(shortest));
        }
        if bytes.len() > Self::LONGEST {
            return Err(NotAPin::TooLong);
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// What a key compares: `LEFT(SHA-256(PIN), 16)` (§6.5.5.7.1).
    pub(crate) fn into_hash(self) -> Zeroizing<[u8; 16]> {
        let digest = Zeroizing::new(<[u8; 32]>::from(Sha256::digest(&*self.0)));
        let mut hash = Zeroizing::new([0; 16]);
        for (to, from) in hash.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        hash
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(..)")
    }
}

/// Why what was typed cannot be a key's PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAPin {
    /// Fewer characters than this.
    TooShort(u8),
    /// More than 63 bytes.
    TooLong,
    /// Not UTF-8.
    NotText,
}

impl std::error::Error for NotAPin {}

impl Spoken for NotAPin {
    fn sentence(&self) -> Sentence {
        match self {
            Self::TooShort(shortest) => {
                sentence!("the PIN has at least {shortest} characters", shortest)
            }
            Self::TooLong => sentence!("a PIN has at most {longest} bytes", longest = Pin::LONGEST),
            Self::NotText => sentence!("a PIN is text in UTF-8"),
        }
    }
}

impl fmt::Display for NotAPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str, shortest: u8) -> Result<Pin, NotAPin> {
        Pin::typed(text.as_bytes(), shortest)
    }

    #[test]
    fn a_pin_has_four_characters_at_least_and_more_where_the_key_says_so() {
        assert_eq!(typed("123", 0).unwrap_err(), NotAPin::TooShort(4));
        assert!(typed("1234", 0).is_ok());
        assert_eq!(typed("12345", 6).unwrap_err(), NotAPin::TooShort(6));
        assert!(typed("123456", 6).is_ok());
        // characters, not bytes
        assert_eq!(typed("äöü", 4).unwrap_err(), NotAPin::TooShort(4));
    }

    #[test]
    fn a_pin_has_sixty_three_bytes_at_most() {
        assert!(typed(&"1".repeat(63), 4).is_ok());
        assert_eq!(typed(&"1".repeat(64), 4).unwrap_err(), NotAPin::TooLong);
        let not_text = Pin::typed(&[0xff; 4], 4);
        assert_eq!(not_text.unwrap_err(), NotAPin::NotText);
    }

    #[test]
    fn nothing_of_a_pin_is_shown() {
        assert_eq!(format!("{:?}", typed("1234", 4).unwrap()), "Pin(..)");
    }

    #[test]
    fn a_key_keeps_the_first_half_of_its_hash() {
        // printf 1234 | sha256sum
        assert_eq!(
            *typed("1234", 4).unwrap().into_hash(),
            [
                0x03, 0xac, 0x67, 0x42, 0x16, 0xf3, 0xe1, 0x5c, 0x76, 0x1e, 0xe1, 0xa5, 0xe2, 0x55,
                0xf0, 0x67
            ]
        );
    }
}

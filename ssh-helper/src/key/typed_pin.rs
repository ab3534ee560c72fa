//! A PIN as it was typed, for who has to hand it on to the worker. The engine's
//! own [`Pin`] gives nothing away but its hash.
#![forbid(unsafe_code)]

use std::fmt;

use ceremony::pin::{NotAPin, Pin};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

/// It: wiped when dropped, and shown as `TypedPin(..)`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TypedPin(String);

impl TypedPin {
    /// Takes what was typed, where it can be a PIN of at least `shortest`
    /// characters.
    pub(crate) fn parse(typed: &[u8], shortest: u8) -> Result<Self, NotAPin> {
        Pin::typed(typed, shortest)?;
        let text = std::str::from_utf8(typed).map_err(|_| NotAPin::NotText)?;
        Ok(Self(text.to_owned()))
    }

    /// The same for the engine.
    pub(crate) fn to_pin(&self) -> Result<Pin, NotAPin> {
        Pin::typed(self.0.as_bytes(), Pin::SHORTEST)
    }

    /// The text, for the one call that needs it.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }
}

impl Drop for TypedPin {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for TypedPin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedPin(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_pin_is_shown() {
        let typed = TypedPin::parse(b"2468", 4).unwrap();
        assert_eq!(format!("{typed:?}"), "TypedPin(..)");
    }

    #[test]
    fn what_cannot_be_a_pin_is_none() {
        assert_eq!(TypedPin::parse(b"246", 4), Err(NotAPin::TooShort(4)));
        assert_eq!(TypedPin::parse(b"2468", 6), Err(NotAPin::TooShort(6)));
        assert_eq!(TypedPin::parse(&[b'1'; 64], 4), Err(NotAPin::TooLong));
        assert_eq!(TypedPin::parse(&[0xff; 4], 4), Err(NotAPin::NotText));
    }
}

//! How many PINs one PAM handle may try, over all its calls.
//!
//! sudo calls a module three times for one password prompt, and some greeters
//! answer every prompt with the login password. Neither may use up a key's
//! tries, so the count is kept where all calls of a handle find it.
//!
//! Reading it back from libpam is the one `unsafe` besides the door's.
#![allow(unsafe_code)]

use std::cell::Cell;

use ceremony::policy::shows_every_prompt;
use pam::module::PamHandle;

/// Tries of a handle whose service shows every prompt.
const CONVERSING: u8 = 3;

/// Tries of any other handle.
const NOT_KNOWN_TO_CONVERSE: u8 = 1;

/// The name under which libpam keeps it. It holds the version, so that another
/// build of this module, which could keep something else, never meets it.
const NAME: &str = concat!("pam_passkey ", env!("CARGO_PKG_VERSION"), " PIN tries left");

/// The tries a handle has left.
#[derive(Debug)]
pub(crate) struct PinTries {
    left: Cell<u8>,
    shows_every_prompt: bool,
}

impl PinTries {
    /// Gives `pamh` what `service` may have, unless an earlier call has.
    pub(crate) fn begin(pamh: &mut PamHandle, service: &str) {
        if Self::of(pamh).is_none() {
            let shows_every_prompt = shows_every_prompt(service);
            let most = if shows_every_prompt {
                CONVERSING
            } else {
                NOT_KNOWN_TO_CONVERSE
            };
            let tries = Self {
                left: Cell::new(most),
                shows_every_prompt,
            };
            // Where it cannot be kept there is none, and no PIN is asked for.
            let _ = pamh.set_data(NAME, Box::new(tries));
        }
    }

    /// Those of `pamh`.
    pub(crate) fn of(pamh: &PamHandle) -> Option<&Self> {
        // SAFETY: only `begin` stores anything under this name, always a Self.
        // libpam keeps it until pam_end, or until it is replaced, for which
        // `begin` needs the handle exclusively, and so no reference left.
        unsafe { pamh.get_data(NAME) }.ok()
    }

    /// Takes one; false where none is left.
    pub(crate) fn take(&self) -> bool {
        match self.left.get().checked_sub(1) {
            Some(left) => {
                self.left.set(left);
                true
            }
            None => false,
        }
    }

    /// Whether one is left.
    pub(crate) fn are_left(&self) -> bool {
        self.left.get() > 0
    }

    /// Whether whoever answers has read the question, warnings included.
    pub(crate) fn shows_every_prompt(&self) -> bool {
        self.shows_every_prompt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_taken_as_there_are() {
        let tries = PinTries {
            left: Cell::new(2),
            shows_every_prompt: true,
        };
        assert!(tries.are_left() && tries.take() && tries.take());
        assert!(!tries.are_left() && !tries.take());
    }
}

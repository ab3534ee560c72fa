//! authenticatorReset (CTAP 2.1 §6.6): the key forgets everything, if it is
//! asked within ten seconds of being plugged in, and touched.
#![forbid(unsafe_code)]

use super::message::{command, request_without_members};

/// The message.
pub fn reset() -> Vec<u8> {
    request_without_members(command::RESET)
}

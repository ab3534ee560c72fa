//! authenticatorSelection (CTAP 2.1 §6.9): which of several keys is meant is
//! said with a touch.
#![forbid(unsafe_code)]

use super::message::{command, request_without_members};

/// The message.
pub fn selection() -> Vec<u8> {
    request_without_members(command::SELECTION)
}

//! `passkey key`: a key itself, looked after by a person at a terminal, and judged by stock
//! fido2-token where it can judge.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

// The macros of sk-cbor name it.
extern crate alloc;

mod credentials;
mod desk;
mod looking;
mod pins;
mod reset;
mod settings;

//! `passkey check` against the real libpam, and against machines in every state
//! that it has a word for.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

mod against_libpam;
mod answers;
mod findings;
mod scene;
mod transcripts;

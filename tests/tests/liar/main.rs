//! Every refusal: a key that is honest but for one thing, in a real login.
//!
//! Each fault is tried three times: the key alone, with code, sentence, time, memory and light;
//! beside an honest key, which must not be disturbed; and once more without the lie.

#![forbid(unsafe_code)]
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "also in a test's helpers"
)]

mod attestation;
mod cbor;
mod desk;
mod enrolment;
mod framing;
mod meaning;
mod pin;
mod scene;
mod time;

//! SSH keys on security keys, held to what OpenSSH's own tools make of them: those of Debian 12
//! and of Debian 13, where both are at hand.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

// The macros of sk-cbor name it.
extern crate alloc;

mod agent;
mod also_login;
mod attestation;
mod attestation_chain;
mod attestation_desk;
mod attestation_file;
mod attestation_refused;
mod authority;
mod backup;
mod desk;
mod download;
mod enroll;
mod enroll_refused;
mod git;
mod keygen;
mod manufacturer;
mod resident;
mod resident_desk;
mod resident_refused;
mod sitting;
mod sshd;

//! What both programs know of a passkey for the Linux machine itself.
//!
//! A person is let in when an authenticator they carry signs a fresh
//! [`challenge`] for one of their [`credential`]s. The two ceremonies,
//! [`registration`] and [`authentication`], read top to bottom; everything
//! below them is either a pure room (bytes in, verdict out) or the
//! [`authenticator`], the one place that talks to a device.
//!
//! This crate knows no PAM, no terminal, no command line and no environment
//! variable: what a caller may ask of the person goes through
//! [`authenticator::Interaction`].
#![forbid(unsafe_code)]

pub mod account;
pub mod assertion;
pub mod attestation;
pub mod authentication;
pub mod authenticator;
pub mod authenticator_data;
pub mod challenge;
pub mod credential;
pub mod credential_file;
pub mod pin;
pub mod policy;
pub mod public_key;
pub mod receipt;
pub mod registration;
pub mod relying_party;
pub mod sentence;
pub mod signature_counter;
pub mod ssh_application;
pub mod trusted_file;

#[cfg(test)]
mod test_key;

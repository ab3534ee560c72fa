//! The authenticator: a FIDO2 security key on USB, reached through hidraw.
//!
//! Four floors, each knowing only the one below: [`race`] asks several keys at
//! once and takes the first good answer; [`ctap2`] says what is asked and reads
//! what is answered; [`ctaphid`] cuts that into packets; [`hidraw`] finds keys
//! and moves packets. Only `hidraw` and `race` do input and output.
#![forbid(unsafe_code)]

pub mod ctap2;
pub mod ctaphid;
pub mod hidraw;
pub mod race;

pub use race::{Interaction, Notice};

//! The authenticator: a FIDO2 security key on USB, reached through hidraw.
//!
//! Floors, each knowing only those below: [`race`] asks several keys at once
//! and takes the first good answer; [`dialogue`] is one key's side of it, and
//! [`verification`] the part in which a key comes to know its person; [`ctap2`]
//! says what is asked and reads what is answered, [`client_pin`] hides PINs;
//! [`ctaphid`] cuts messages into packets; [`hidraw`] finds keys and moves
//! packets. Two errands that are no ceremony: [`errand`], one message and its
//! answer, and [`configuration`]. Beside them: [`interaction`] with the person, [`claim`]s on keys,
//! and [`interruption`].
#![forbid(unsafe_code)]

pub mod claim;
pub mod client_pin;
pub mod configuration;
mod contestant;
pub mod ctap2;
pub mod ctaphid;
pub mod dialogue;
pub mod errand;
pub mod hidraw;
pub mod interaction;
pub mod interruption;
pub mod introduction;
pub mod race;
pub mod verification;

pub use interaction::{Gesture, Interaction, NoPin, Notice, PinQuestion};

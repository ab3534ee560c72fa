//! CTAP2 messages (CTAP 2.1 §6 and §8): what is asked, and what is answered.
//!
//! Requests are written in CTAP2's canonical CBOR. Responses are read
//! tolerantly where firmware is known to be careless (order, unknown members)
//! and strictly where meaning is at stake: types, duplicates, and bytes left
//! over. Nothing is allocated before its length is known to be in the message.
#![forbid(unsafe_code)]

mod client_pin;
mod config;
mod get_assertion;
mod get_info;
mod make_credential;
mod message;
mod reset;
mod selection;
mod self_description;
mod status;

pub use client_pin::{ClientPin, ClientPinAnswer, Permission};
pub use config::Setting;
pub use get_assertion::{Discovered, GetAssertion, UserPresence};
pub use get_info::{Info, Options, Versions};
pub use make_credential::{AttestationObject, CredentialProtection, MakeCredential};
pub use message::{LARGEST_UNASKED, Malformed, Verification};
pub use reset::reset;
pub use selection::selection;
pub use self_description::SelfDescription;
pub use status::Status;

/// The most credential ids asked for in one go without asking the key how many
/// it takes.
pub const MOST_IDS_UNASKED: usize = 8;

/// Splits a response into its status and its data (CTAP 2.1 §8.2).
pub fn response(message: &[u8]) -> Result<&[u8], Status> {
    match message.split_first() {
        Some((0, data)) => Ok(data),
        Some((&code, _)) => Err(Status::from(code)),
        None => Err(Status::Unknown(0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_a_status_and_its_data() {
        assert_eq!(response(&[0, 1, 2]), Ok(&[1, 2][..]));
        assert_eq!(response(&[0]), Ok(&[][..]));
        assert_eq!(response(&[0x2e, 1]), Err(Status::NoCredentials));
        assert!(response(&[]).is_err());
    }
}

//! Single words: names, ids, PINs and public keys as people, files and devices
//! write them.
#![forbid(unsafe_code)]

use std::path::Path;

use ceremony::account::UserName;
use ceremony::credential::{Aaguid, CredentialName, UserVerification, is_printable, printable};
use ceremony::pin::Pin;
use ceremony::public_key::PublicKey;
use ceremony::relying_party::RelyingPartyId;

use crate::input::Input;

/// The first byte says which word the others are.
pub(crate) fn names(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.byte() % 8;
    if kind == 0 {
        return pin(input.byte(), input.rest());
    }
    let text = String::from_utf8_lossy(input.rest());
    match kind {
        1 => relying_party(&text),
        2 => user_name(&text),
        3 => credential_name(&text),
        4 => public_key(&text),
        5 => {
            if let Some(model) = Aaguid::parse(&text) {
                assert_eq!(model.to_string(), text.to_lowercase());
            }
        }
        6 => {
            if let Some(demand) = UserVerification::from_word(&text) {
                assert_eq!(demand.as_str(), text);
            }
        }
        _ => {
            let shown = printable(&text, 64);
            assert!(shown.chars().count() <= 64 && shown.chars().all(is_printable));
        }
    }
}

fn pin(shortest: u8, typed: &[u8]) {
    match Pin::typed(typed, shortest) {
        Ok(pin) => {
            let text = std::str::from_utf8(typed).expect("a PIN is text");
            assert!(text.chars().count() >= usize::from(shortest.max(Pin::SHORTEST)));
            assert!(typed.len() <= Pin::LONGEST);
            assert_eq!(format!("{pin:?}"), "Pin(..)");
        }
        Err(why) => assert!(!why.to_string().is_empty()),
    }
}

fn relying_party(text: &str) {
    match RelyingPartyId::parse(text) {
        Ok(id) => {
            assert_eq!(id.as_str(), text);
            assert!((1..=255).contains(&text.len()));
            assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
            assert!(!text.to_lowercase().starts_with("ssh:"));
        }
        Err(why) => assert!(!why.to_string().contains(char::is_control)),
    }
}

fn user_name(text: &str) {
    match UserName::parse(text) {
        Ok(name) => {
            let file = format!("{name}.toml");
            let path = Path::new("/users").join(&file);
            assert_eq!(path.parent(), Some(Path::new("/users")));
            assert_eq!(path.file_name(), Some(file.as_ref()));
            assert!(file.len() <= 255 && !file.contains(char::is_control));
        }
        Err(why) => assert!(!why.to_string().contains(char::is_control)),
    }
}

fn credential_name(text: &str) {
    match CredentialName::parse(text) {
        Ok(name) => {
            assert!(name.as_str().chars().all(is_printable));
            assert_eq!(CredentialName::parse(name.as_str()), Ok(name));
        }
        Err(why) => assert!(!why.to_string().contains(char::is_control)),
    }
}

fn public_key(line: &str) {
    if let Ok(key) = PublicKey::from_openssh(line) {
        let relying_party = key.relying_party().as_str().to_lowercase();
        assert!(!relying_party.starts_with("ssh:"));
        let again = key.to_openssh().expect("a line of text");
        assert_eq!(PublicKey::from_openssh(&again), Ok(key));
    }
}

//! The application of an SSH key: its relying party, by OpenSSH's name.
//!
//! A type of its own beside [`RelyingPartyId`](crate::relying_party::RelyingPartyId),
//! so that the compiler keeps the two doors apart: no login takes a public key
//! of this kind, and no SSH key is made for a login's relying party.
#![forbid(unsafe_code)]

use std::fmt;

use crate::credential::is_printable;
use crate::relying_party::{LONGEST, RelyingParty};

/// What an SSH key is for (OpenSSH `PROTOCOL.u2f`): `ssh:`, and whatever tells it
/// from the others on one authenticator.
///
/// 4 to 255 bytes, and printable. OpenSSH takes more than that, an authenticator
/// does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SshApplication(String);

impl SshApplication {
    /// What ssh-keygen takes where nobody says otherwise.
    pub const DEFAULT: &'static str = "ssh:";

    /// Takes `text` as an application, or says why it cannot be one.
    pub fn parse(text: &str) -> Result<Self, InvalidSshApplication> {
        if !text.starts_with(Self::DEFAULT) {
            return Err(InvalidSshApplication::OtherPrefix);
        }
        if text.len() > LONGEST {
            return Err(InvalidSshApplication::TooLong(text.len()));
        }
        match text.chars().find(|&c| !is_printable(c)) {
            Some(bad) => Err(InvalidSshApplication::Character(bad)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The application as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What follows `ssh:`; nothing for the default.
    pub fn name(&self) -> &str {
        self.0.strip_prefix(Self::DEFAULT).unwrap_or_default()
    }
}

impl RelyingParty for SshApplication {
    fn id(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SshApplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidSshApplication {
    /// Does not begin with `ssh:`.
    OtherPrefix,
    /// More than [`LONGEST`] bytes.
    TooLong(usize),
    /// A character that does not show as itself.
    Character(char),
}

impl std::error::Error for InvalidSshApplication {}

impl fmt::Display for InvalidSshApplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherPrefix => write!(
                f,
                "the application of an SSH key begins with \"ssh:\"; others belong to websites and \
                 to logins on this machine"
            ),
            Self::TooLong(length) => write!(
                f,
                "an application has at most {LONGEST} bytes, this one has {length}"
            ),
            Self::Character(bad) => write!(f, "an application cannot contain {bad:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relying_party::RelyingPartyId;

    #[test]
    fn an_application_begins_with_ssh_and_nothing_else_does() {
        for (text, name) in [
            ("ssh:", ""),
            ("ssh:work", "work"),
            ("ssh:My Laptop", "My Laptop"),
        ] {
            let application = SshApplication::parse(text).unwrap();
            assert_eq!((application.as_str(), application.name()), (text, name));
            // and what one door takes the other does not
            assert!(RelyingPartyId::parse(text).is_err(), "{text}");
        }
        for text in ["", "ssh", "SSH:work", "pam://laptop", " ssh:"] {
            assert_eq!(
                SshApplication::parse(text),
                Err(InvalidSshApplication::OtherPrefix),
                "{text}"
            );
        }
    }

    #[test]
    fn an_application_has_at_most_255_printable_bytes() {
        let of = |length: usize| format!("ssh:{}", "a".repeat(length - 4));
        assert!(SshApplication::parse(&of(255)).is_ok());
        assert_eq!(
            SshApplication::parse(&of(256)),
            Err(InvalidSshApplication::TooLong(256))
        );
        for bad in ['\n', '\u{1b}', '\u{202e}', '"'] {
            assert_eq!(
                SshApplication::parse(&format!("ssh:{bad}")),
                Err(InvalidSshApplication::Character(bad))
            );
        }
    }
}

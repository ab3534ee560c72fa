//! The relying party: the name a credential is bound to.
#![forbid(unsafe_code)]

use std::fmt;

use sha2::{Digest, Sha256};

/// The identifier of a relying party (WebAuthn §5.4.2 `rp.id`), here a local
/// one: `pam://<hostname>` unless a fleet chooses another.
///
/// 1 to 255 visible ASCII characters. Never begins with `ssh:`, in any case:
/// that prefix belongs to SSH keys, whose signatures must never open this door.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RelyingPartyId(String);

/// Whoever asks for a credential: a login ([`RelyingPartyId`]) or SSH
/// ([`SshApplication`](crate::ssh_application::SshApplication)). A credential of
/// one is of another type than a credential of the other.
pub trait RelyingParty: Clone + fmt::Display {
    /// The identifier (WebAuthn §5.4.2 `rp.id`).
    fn id(&self) -> &str;

    /// `rpIdHash`: SHA-256 of the identifier (WebAuthn §6.1).
    fn id_hash(&self) -> [u8; 32] {
        Sha256::digest(self.id().as_bytes()).into()
    }
}

/// The longest relying party id we take, in bytes.
pub const LONGEST: usize = 255;

impl RelyingPartyId {
    /// Takes `text` as an identifier, or says why it cannot be one.
    pub fn parse(text: &str) -> Result<Self, InvalidRelyingPartyId> {
        if text.is_empty() {
            return Err(InvalidRelyingPartyId::Empty);
        }
        if text.len() > LONGEST {
            return Err(InvalidRelyingPartyId::TooLong(text.len()));
        }
        if let Some(bad) = text
            .chars()
            .find(|c| !c.is_ascii_graphic() || matches!(c, '"' | '\\'))
        {
            return Err(InvalidRelyingPartyId::Character(bad));
        }
        if text
            .get(..4)
            .is_some_and(|prefix| prefix.eq_ignore_ascii_case("ssh:"))
        {
            return Err(InvalidRelyingPartyId::BelongsToSsh);
        }
        Ok(Self(text.to_owned()))
    }

    /// The default for a machine: `pam://<hostname>`.
    pub fn for_host(hostname: &str) -> Result<Self, InvalidRelyingPartyId> {
        Self::parse(&format!("pam://{hostname}"))
    }

    /// The identifier as text; also OpenSSH's *application* string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RelyingParty for RelyingPartyId {
    fn id(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RelyingPartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a relying party id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidRelyingPartyId {
    /// No characters at all.
    Empty,
    /// More than [`LONGEST`] bytes.
    TooLong(usize),
    /// A character that is not visible ASCII, or a quote or backslash.
    Character(char),
    /// Begins with `ssh:`.
    BelongsToSsh,
}

impl std::error::Error for InvalidRelyingPartyId {}

impl fmt::Display for InvalidRelyingPartyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a relying party id cannot be empty"),
            Self::TooLong(length) => write!(
                f,
                "a relying party id has at most {LONGEST} bytes, this one has {length}"
            ),
            Self::Character(bad) => write!(
                f,
                "a relying party id is visible ASCII without quotes or backslashes; {bad:?} is not"
            ),
            Self::BelongsToSsh => write!(
                f,
                "a relying party id beginning with \"ssh:\" belongs to SSH keys and is never accepted for login"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_becomes_a_relying_party() {
        let id = RelyingPartyId::for_host("laptop").unwrap();
        assert_eq!(id.as_str(), "pam://laptop");
        // printf pam://laptop | sha256sum
        assert_eq!(id.id_hash()[..4], [0x95, 0xae, 0xc6, 0x50]);
    }

    #[test]
    fn an_ssh_application_is_never_a_login_relying_party() {
        for text in ["ssh:", "ssh:host", "SSH:host", "sSh:x"] {
            assert_eq!(
                RelyingPartyId::parse(text),
                Err(InvalidRelyingPartyId::BelongsToSsh)
            );
        }
        assert!(RelyingPartyId::parse("ssh").is_ok());
        assert!(RelyingPartyId::parse("pam://ssh:").is_ok());
    }

    #[test]
    fn the_length_is_bounded_on_both_sides() {
        assert_eq!(RelyingPartyId::parse(""), Err(InvalidRelyingPartyId::Empty));
        assert!(RelyingPartyId::parse(&"a".repeat(LONGEST)).is_ok());
        assert_eq!(
            RelyingPartyId::parse(&"a".repeat(LONGEST + 1)),
            Err(InvalidRelyingPartyId::TooLong(256))
        );
    }

    #[test]
    fn what_could_confuse_a_reader_is_refused() {
        for bad in [' ', '\n', '\0', '\u{1b}', '"', '\\', 'é', '\u{202e}'] {
            assert_eq!(
                RelyingPartyId::parse(&format!("pam://a{bad}b")),
                Err(InvalidRelyingPartyId::Character(bad))
            );
        }
    }
}

//! A credential: what the machine keeps of a key pair whose private half
//! never leaves its authenticator.
#![forbid(unsafe_code)]

use std::fmt;

use crate::public_key::PublicKey;

/// Whether the authenticator must verify the person (PIN, fingerprint), beyond
/// noticing a touch (WebAuthn §5.8.6, without its undecided middle).
///
/// Ordered: the stronger demand is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UserVerification {
    /// A touch is enough.
    Discouraged,
    /// The UV flag must be set.
    Required,
}

impl UserVerification {
    /// The word in configuration and credential files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discouraged => "discouraged",
            Self::Required => "required",
        }
    }

    /// The demand behind a word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Discouraged, Self::Required]
            .into_iter()
            .find(|demand| demand.as_str() == word)
    }
}

/// A credential id (WebAuthn §4): opaque bytes by which an authenticator
/// recognises its own credential. 1 to 1023 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// The most bytes a credential id can have (WebAuthn §4).
    pub const LONGEST: usize = 1023;

    /// Takes `bytes` as an id, where their number allows it.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (1..=Self::LONGEST)
            .contains(&bytes.len())
            .then(|| Self(bytes.to_vec()))
    }

    /// The id as the authenticator knows it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({} bytes)", self.0.len())
    }
}

/// What a person calls a key: "blue key". 1 to 64 characters, none of them
/// invisible or able to move a cursor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CredentialName(String);

impl CredentialName {
    /// The most characters a name can have.
    pub const LONGEST: usize = 64;

    /// Takes `text`, without surrounding blanks, as a name.
    pub fn parse(text: &str) -> Result<Self, InvalidCredentialName> {
        let text = text.trim();
        let length = text.chars().count();
        if !(1..=Self::LONGEST).contains(&length) {
            return Err(InvalidCredentialName::Length(length));
        }
        match text.chars().find(|&c| !is_printable(c)) {
            Some(bad) => Err(InvalidCredentialName::Character(bad)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a character shows as itself: no control character, none that turns
/// the direction of text, none that is invisible, and no quote, because names
/// are shown between quotes.
pub fn is_printable(c: char) -> bool {
    !c.is_control()
        && c != '"'
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Text from a device or a stranger, made fit to be shown: what is not
/// printable becomes `?`, and no more than `most` characters remain.
pub fn printable(text: &str, most: usize) -> String {
    text.trim()
        .chars()
        .map(|c| if is_printable(c) { c } else { '?' })
        .take(most)
        .collect()
}

/// Why a text is not a name for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidCredentialName {
    /// Not 1 to 64 characters, but this many.
    Length(usize),
    /// A character that does not show as itself.
    Character(char),
}

impl std::error::Error for InvalidCredentialName {}

impl fmt::Display for InvalidCredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length(length) => write!(
                f,
                "a key's name has 1 to {} characters, this one has {length}",
                CredentialName::LONGEST
            ),
            Self::Character(bad) => write!(f, "a key's name cannot contain {bad:?}"),
        }
    }
}

/// The authenticator's model (WebAuthn §6.5.2), as the authenticator claims
/// it; all zero where it prefers not to say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Aaguid(pub [u8; 16]);

impl Aaguid {
    /// Reads `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<usize> = text.split('-').map(str::len).collect();
        if groups != [8, 4, 4, 4, 12] {
            return None;
        }
        let mut digits = text.chars().filter(|c| *c != '-');
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let high = digits.next()?.to_digit(16)?;
            let low = digits.next()?.to_digit(16)?;
            *byte = u8::try_from(high * 16 + low).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for Aaguid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, byte) in self.0.iter().enumerate() {
            if matches!(position, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// One enrolled credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// What its owner calls the key.
    pub name: CredentialName,
    /// The public key; its application string is the relying party id.
    pub public_key: PublicKey,
    /// The credential id.
    pub id: CredentialId,
    /// The least this credential asks for, whatever the policy says.
    pub user_verification: UserVerification,
    /// Whether the authenticator itself keeps the credential (`rk`).
    pub discoverable: bool,
    /// Whether the credential may be copied to other authenticators (the BE
    /// flag, WebAuthn §6.1.3). It cannot change after enrolment.
    pub synced: bool,
    /// Whether the authenticator admits without its person that it holds the
    /// credential. One that does not (credProtect, CTAP 2.1 §12.1) is asked for
    /// its PIN before it has shown anything.
    pub answers_silently: bool,
    /// The authenticator's model.
    pub aaguid: Aaguid,
    /// When it was enrolled, RFC 3339.
    pub enrolled: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stronger_demand_is_the_greater() {
        assert_eq!(
            UserVerification::Discouraged.max(UserVerification::Required),
            UserVerification::Required
        );
    }

    #[test]
    fn credential_ids_are_bounded_on_both_sides() {
        assert!(CredentialId::new(&[]).is_none());
        assert!(CredentialId::new(&[0; 1]).is_some());
        assert!(CredentialId::new(&[0; 1023]).is_some());
        assert!(CredentialId::new(&[0; 1024]).is_none());
    }

    #[test]
    fn names_are_bounded_on_both_sides() {
        assert!(CredentialName::parse("").is_err());
        assert!(CredentialName::parse("   ").is_err());
        assert!(CredentialName::parse(&"é".repeat(64)).is_ok());
        assert_eq!(
            CredentialName::parse(&"é".repeat(65)),
            Err(InvalidCredentialName::Length(65))
        );
    }

    #[test]
    fn a_name_cannot_move_the_cursor_or_turn_the_text() {
        for bad in ['\n', '\u{1b}', '\0', '"', '\u{202e}', '\u{200b}', '\u{9b}'] {
            assert_eq!(
                CredentialName::parse(&format!("blue{bad}key")),
                Err(InvalidCredentialName::Character(bad))
            );
        }
        assert_eq!(printable(" evil\u{1b}[2J\n ", 8), "evil?[2J");
    }

    #[test]
    fn an_aaguid_survives_the_way_through_text() {
        let text = "664d9f67-84a2-412a-9ff7-b4f7d8ee6d05";
        assert_eq!(Aaguid::parse(text).unwrap().to_string(), text);
        assert!(Aaguid::parse("664d9f6784a2412a9ff7b4f7d8ee6d05").is_none());
        assert!(Aaguid::parse("664d9f67-84a2-412a-9ff7-b4f7d8ee6d0g").is_none());
        assert!(Aaguid::parse("").is_none());
    }
}

//! Whose credentials: an account as the name service knows it.
#![forbid(unsafe_code)]

use std::fmt;

/// A user name that may become part of a file name, and of nothing else.
///
/// 1 to 250 bytes (a file name has 255, and `.toml` wants five), no slash, no
/// control character, not beginning with a dot or a dash, and no U+FFFD: that
/// stands for bytes which are no text, and two such names would be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// The most bytes a user name can have.
    pub const LONGEST: usize = 250;

    /// Takes `text` as a name, or says why it is none. Nothing is trimmed,
    /// folded or looked up.
    pub fn parse(text: &str) -> Result<Self, InvalidUserName> {
        if text.is_empty() {
            return Err(InvalidUserName::Empty);
        }
        if text.len() > Self::LONGEST {
            return Err(InvalidUserName::TooLong(text.len()));
        }
        if text.starts_with(['.', '-']) {
            return Err(InvalidUserName::Beginning);
        }
        let is_bad = |&c: &char| c == '/' || c == char::REPLACEMENT_CHARACTER || c.is_control();
        match text.chars().find(is_bad) {
            Some(bad) => Err(InvalidUserName::Character(bad)),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a user name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidUserName {
    /// No characters at all.
    Empty,
    /// More than [`UserName::LONGEST`] bytes.
    TooLong(usize),
    /// Begins with a dot or a dash.
    Beginning,
    /// Contains this one, a slash, a control character or U+FFFD.
    Character(char),
}

impl std::error::Error for InvalidUserName {}

impl fmt::Display for InvalidUserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a user name cannot be empty"),
            Self::TooLong(length) => write!(
                f,
                "a user name has at most {} bytes here, this one has {length}",
                UserName::LONGEST
            ),
            Self::Beginning => write!(f, "a user name cannot begin with a dot or a dash"),
            Self::Character(bad) => write!(f, "a user name cannot contain {bad:?}"),
        }
    }
}

/// An account: the canonical name and number that `getpwnam` gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The canonical name: what `getpwnam` answered, not what was asked.
    pub name: UserName,
    /// Its number; a credential file belongs to the number as well.
    pub uid: u32,
}

impl Account {
    /// Looks `asked` up in the name service. `Alice` or `alice@corp` become
    /// the canonical name that `getpwnam` gives, or nobody.
    pub fn by_name(asked: &str) -> Result<Self, NoAccount> {
        // Checked before the lookup too: a name that cannot be a file's is
        // nobody's, whatever a name service might make of it.
        UserName::parse(asked)?;
        Self::found(nix::unistd::User::from_name(asked))
    }

    /// Looks a number up in the name service.
    pub fn by_uid(uid: u32) -> Result<Self, NoAccount> {
        Self::found(nix::unistd::User::from_uid(uid.into()))
    }

    fn found(answer: nix::Result<Option<nix::unistd::User>>) -> Result<Self, NoAccount> {
        match answer {
            Ok(Some(user)) => Ok(Self {
                name: UserName::parse(&user.name)?,
                uid: user.uid.as_raw(),
            }),
            Ok(None) => Err(NoAccount::Unknown),
            Err(problem) => Err(NoAccount::LookupFailed(problem.desc())),
        }
    }
}

/// Why there is no account to speak of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAccount {
    /// The name service knows nobody of that name.
    Unknown,
    /// The name service could not answer; that is not the same as "nobody".
    LookupFailed(&'static str),
    /// The name, asked for or answered, cannot be a file name.
    Invalid(InvalidUserName),
}

impl From<InvalidUserName> for NoAccount {
    fn from(problem: InvalidUserName) -> Self {
        Self::Invalid(problem)
    }
}

impl std::error::Error for NoAccount {}

impl fmt::Display for NoAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => write!(f, "there is no account of that name"),
            Self::LookupFailed(problem) => {
                write!(f, "the account could not be looked up: {problem}")
            }
            Self::Invalid(problem) => problem.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_is_never_a_path() {
        for text in [
            "../x",
            "a/b",
            "/etc",
            ".",
            "..",
            ".hidden",
            "-rf",
            "a\0b",
            "a\nb",
            "a\u{fffd}b",
        ] {
            assert!(UserName::parse(text).is_err(), "{text:?}");
            assert!(matches!(Account::by_name(text), Err(NoAccount::Invalid(_))));
        }
        for text in [
            "alice",
            "Alice",
            "alice@corp",
            "CORP\\alice",
            "zoë",
            "a b",
            "x.y",
        ] {
            assert!(UserName::parse(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn the_length_is_bounded_on_both_sides() {
        assert_eq!(UserName::parse(""), Err(InvalidUserName::Empty));
        assert!(UserName::parse(&"a".repeat(250)).is_ok());
        assert_eq!(
            UserName::parse(&"a".repeat(251)),
            Err(InvalidUserName::TooLong(251))
        );
    }

    #[test]
    fn root_is_known_and_nobody_is_not() {
        assert_eq!(Account::by_name("root").unwrap().uid, 0);
        assert_eq!(
            Account::by_name("no-such-account-here"),
            Err(NoAccount::Unknown)
        );
    }
}

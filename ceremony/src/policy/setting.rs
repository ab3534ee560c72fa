//! One setting: its name, what it may be set to, and which way is stricter.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::rules::{
    CounterRule, Policy, RemoteSessions, SyncedCredentials, WhenNotCovered, WhenNotEnrolled,
};
use crate::credential::UserVerification;
use crate::trusted_file::strict_toml::{did_you_mean, integer, kind, quoted};

/// What can be set in `config.toml`, or by an argument of the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    UserVerification,
    Timeout,
    WhenNotEnrolled,
    Remote,
    Counter,
    Synced,
    Receipts,
    Enabled,
    WhenNotCovered,
}

/// The least and the most seconds a login can be given.
const TIMEOUT: std::ops::RangeInclusive<i64> = 1..=300;

impl Setting {
    pub(super) const ALL: [Self; 9] = [
        Self::UserVerification,
        Self::Timeout,
        Self::WhenNotEnrolled,
        Self::Remote,
        Self::Counter,
        Self::Synced,
        Self::Receipts,
        Self::Enabled,
        Self::WhenNotCovered,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UserVerification => "user_verification",
            Self::Timeout => "timeout",
            Self::WhenNotEnrolled => "when_not_enrolled",
            Self::Remote => "remote",
            Self::Counter => "counter",
            Self::Synced => "synced",
            Self::Receipts => "receipts",
            Self::Enabled => "enabled",
            Self::WhenNotCovered => "when_not_covered",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|setting| setting.name() == name)
    }

    /// What can stand above the `[service.NAME]` tables.
    pub(super) fn of_defaults() -> impl Iterator<Item = Self> {
        Self::of_services().filter(|setting| !matches!(setting, Self::Enabled))
    }

    /// What can stand in a `[service.NAME]` table, which covers its service.
    pub(super) fn of_services() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|setting| !matches!(setting, Self::WhenNotCovered))
    }

    /// What the module takes as an argument: neither where receipts go nor
    /// whom we serve has a stricter direction.
    pub(super) fn of_arguments() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|setting| !matches!(setting, Self::Receipts | Self::Enabled))
    }

    /// The one setter, for the file and for arguments.
    pub(super) fn set(self, policy: &mut Policy, value: Value) -> Result<(), Fault> {
        match self {
            Self::UserVerification => {
                policy.user_verification = self.word(
                    value,
                    [UserVerification::Required, UserVerification::Discouraged]
                        .map(|demand| (demand.as_str(), demand)),
                )?;
            }
            Self::Timeout => policy.timeout = self.seconds(value)?,
            Self::WhenNotEnrolled => {
                policy.when_not_enrolled = self.word(
                    value,
                    [
                        ("refuse", WhenNotEnrolled::Refuse),
                        ("ignore", WhenNotEnrolled::Ignore),
                    ],
                )?;
            }
            Self::Remote => {
                policy.remote = self.word(
                    value,
                    [
                        ("refuse", RemoteSessions::Refuse),
                        ("allow", RemoteSessions::Allow),
                    ],
                )?;
            }
            Self::Counter => {
                policy.counter = self.word(
                    value,
                    [("warn", CounterRule::Warn), ("refuse", CounterRule::Refuse)],
                )?;
            }
            Self::Synced => {
                policy.synced = self.word(
                    value,
                    [
                        ("allow", SyncedCredentials::Allow),
                        ("refuse", SyncedCredentials::Refuse),
                    ],
                )?;
            }
            Self::Receipts => policy.receipts = self.absolute_path(value)?,
            Self::Enabled => policy.covered = self.switch(value)?,
            Self::WhenNotCovered => {
                policy.when_not_covered = self.word(
                    value,
                    [
                        ("refuse", WhenNotCovered::Refuse),
                        ("ignore", WhenNotCovered::Ignore),
                    ],
                )?;
            }
        }
        Ok(())
    }

    /// Whether `asked` demands less than what is `in_force`, in this setting.
    pub(super) fn is_looser(self, asked: &Policy, in_force: &Policy) -> bool {
        match self {
            Self::UserVerification => asked.user_verification < in_force.user_verification,
            Self::Timeout => asked.timeout > in_force.timeout,
            Self::WhenNotEnrolled => asked.when_not_enrolled < in_force.when_not_enrolled,
            Self::Remote => asked.remote < in_force.remote,
            Self::Counter => asked.counter < in_force.counter,
            Self::Synced => asked.synced < in_force.synced,
            // No direction: any change loosens what somebody relies on.
            Self::Receipts => asked.receipts != in_force.receipts,
            Self::Enabled => asked.covered != in_force.covered,
            // Nothing is in force but this line, which could ignore us by itself.
            Self::WhenNotCovered => false,
        }
    }

    /// An argument has no types, so the setting says which it is.
    pub(super) fn value_of_argument(self, text: &str) -> Value<'_> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match self {
            Self::Timeout if digits => Value::Number(text.parse().ok()),
            _ => Value::Text(text),
        }
    }

    fn word<T: Copy, const N: usize>(
        self,
        value: Value,
        words: [(&'static str, T); N],
    ) -> Result<T, Fault> {
        let Value::Text(text) = value else {
            return Err(self.wrong_type("a word in quotes", value));
        };
        words
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, meaning)| *meaning)
            .ok_or_else(|| Fault::UnknownWord {
                key: self.name(),
                words: words.map(|(word, _)| word).to_vec(),
            })
    }

    fn seconds(self, value: Value) -> Result<Duration, Fault> {
        let Value::Number(number) = value else {
            return Err(self.wrong_type("a whole number of seconds", value));
        };
        number
            .filter(|seconds| TIMEOUT.contains(seconds))
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map(Duration::from_secs)
            .ok_or(Fault::OutOfRange {
                key: self.name(),
                least: *TIMEOUT.start(),
                most: *TIMEOUT.end(),
            })
    }

    fn switch(self, value: Value) -> Result<bool, Fault> {
        match value {
            Value::Switch(on) => Ok(on),
            _ => Err(self.wrong_type("true or false", value)),
        }
    }

    fn absolute_path(self, value: Value) -> Result<Option<PathBuf>, Fault> {
        let Value::Text(text) = value else {
            return Err(self.wrong_type("a path in quotes", value));
        };
        if text.is_empty() {
            return Ok(None);
        }
        let path = Path::new(text);
        let plain = path
            .components()
            .all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
        if !path.is_absolute() || !plain || text.contains(char::is_control) {
            return Err(Fault::NotAbsolute(self.name()));
        }
        Ok(Some(path.to_owned()))
    }

    fn wrong_type(self, expected: &'static str, found: Value) -> Fault {
        Fault::WrongType {
            key: self.name(),
            expected,
            found: found.kind(),
        }
    }
}

/// A value as it was written.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    Text(&'v str),
    /// `None`: more digits than a number of ours can have.
    Number(Option<i64>),
    Switch(bool),
    /// What no setting takes; only its kind is of interest.
    Other(&'static str),
}

impl<'v> Value<'v> {
    pub(super) fn of_toml(value: &'v DeValue<'v>) -> Self {
        match value {
            DeValue::String(text) => Self::Text(text),
            DeValue::Integer(_) => Self::Number(integer(value)),
            DeValue::Boolean(on) => Self::Switch(*on),
            other => Self::Other(kind(other)),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Number(_) => "a whole number",
            Self::Switch(_) => "true or false",
            Self::Other(kind) => kind,
        }
    }
}

/// What is wrong with a setting. Names from the file come ready to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The text is not TOML, or sets a key twice.
    NotToml(String),
    /// A key nobody knows.
    UnknownKey {
        /// The key, between quotes.
        name: String,
        /// `; did you mean ...?`, or nothing.
        hint: String,
    },
    /// A table nobody knows.
    UnknownTable {
        /// The table, between quotes.
        name: String,
        /// `; did you mean ...?`, or nothing.
        hint: String,
    },
    /// A value where a table belongs.
    NotATable {
        /// The key, between quotes.
        name: String,
        /// What stands there.
        found: &'static str,
    },
    /// A table for a service that cannot exist.
    NotAService(String),
    /// A value of another type.
    WrongType {
        /// The setting.
        key: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it was given.
        found: &'static str,
    },
    /// A word that is not one of the setting's.
    UnknownWord {
        /// The setting.
        key: &'static str,
        /// The words it takes.
        words: Vec<&'static str>,
    },
    /// A number outside its range.
    OutOfRange {
        /// The setting.
        key: &'static str,
        /// The least it takes.
        least: i64,
        /// The most it takes.
        most: i64,
    },
    /// A path that does not begin at the root, or climbs.
    NotAbsolute(&'static str),
    /// Set for all services what makes sense for one only.
    OnlyForAService(&'static str),
    /// Said in the file what only a line in `/etc/pam.d` says of itself.
    OnlyAnArgument(&'static str),
    /// Given to the module what only the file may say.
    NotAnArgument(&'static str),
    /// An argument without `=`.
    NoValue(&'static str),
    /// The same argument a second time.
    GivenTwice(&'static str),
    /// An argument that demands less than the file.
    Loosens(&'static str),
}

impl Fault {
    pub(super) fn unknown_key(key: &str, known: &[Setting]) -> Self {
        let known: Vec<_> = known.iter().map(|setting| setting.name()).collect();
        Self::UnknownKey {
            name: quoted(key),
            hint: did_you_mean(key, &known),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotToml(reason) => f.write_str(reason),
            Self::UnknownKey { name, hint } => write!(f, "unknown key {name}{hint}"),
            Self::UnknownTable { name, hint } => {
                write!(
                    f,
                    "unknown table {name}; tables here are [service.NAME]{hint}"
                )
            }
            Self::NotATable { name, found } => write!(
                f,
                "{name} is {found}, not a table; write [service.NAME] above its settings"
            ),
            Self::NotAService(name) => write!(
                f,
                "{name} cannot be a PAM service; write its name as in /etc/pam.d, in lower case"
            ),
            Self::WrongType {
                key,
                expected,
                found,
            } => write!(f, "{key} takes {expected}, not {found}"),
            Self::UnknownWord { key, words } => {
                write!(f, "{key} takes \"{}\"", words.join("\" or \""))
            }
            Self::OutOfRange { key, least, most } => {
                write!(f, "{key} takes {least} to {most}")
            }
            Self::NotAbsolute(key) => write!(
                f,
                "{key} takes an absolute path without \"..\", or \"\" for none"
            ),
            Self::OnlyForAService(key) => {
                write!(
                    f,
                    "{key} is said of one service; move it into [service.NAME]"
                )
            }
            Self::OnlyAnArgument(key) => write!(
                f,
                "{key} is an argument of the module; write it into the line in /etc/pam.d"
            ),
            Self::NotAnArgument(key) => write!(
                f,
                "{key} cannot be given to the module; set it in /etc/pam-passkey/config.toml"
            ),
            Self::NoValue(key) => write!(f, "{key} wants a value; write {key}=..."),
            Self::GivenTwice(key) => write!(f, "{key} is given twice; remove one"),
            Self::Loosens(key) => write!(
                f,
                "arguments can only tighten, and this loosens {key}; \
                 set it in /etc/pam-passkey/config.toml"
            ),
        }
    }
}

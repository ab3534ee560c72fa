//! What the administrator asks of a login: `config.toml`, then the arguments
//! of the module, both through the same setter.
#![forbid(unsafe_code)]

mod config;
mod interactive_services;
mod setting;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::credential::{UserVerification, printable};
use crate::trusted_file::{Untrusted, shown};

use setting::Setting;

pub use config::Config;
pub use interactive_services::opens_a_session;
pub use setting::Fault;

/// What a login through one service has to satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The least demand; a credential may ask for more.
    pub user_verification: UserVerification,
    /// The one deadline of a login.
    pub timeout: Duration,
    /// What becomes of a person who has no credential.
    pub when_not_enrolled: WhenNotEnrolled,
    /// What becomes of a session that is not at this machine.
    pub remote: RemoteSessions,
    /// What becomes of a signature counter that did not grow.
    pub counter: CounterRule,
    /// What becomes of a credential that may be copied.
    pub synced: SyncedCredentials,
    /// Where receipts of approvals are kept, if they are.
    pub receipts: Option<PathBuf>,
    /// Whether this service is one of ours at all.
    pub covered: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            user_verification: UserVerification::Required,
            timeout: Duration::from_secs(30),
            when_not_enrolled: WhenNotEnrolled::Refuse,
            remote: RemoteSessions::Refuse,
            counter: CounterRule::Warn,
            synced: SyncedCredentials::Allow,
            receipts: None,
            covered: false,
        }
    }
}

/// What becomes of a person who has no credential. The stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhenNotEnrolled {
    /// The module stands aside; the rest of the PAM stack decides.
    Ignore,
    /// They do not get in by this module.
    Refuse,
}

/// What becomes of a session that is not at this machine. The stricter is the
/// greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemoteSessions {
    /// Asked for a touch like any other.
    Allow,
    /// Not asked: a touch would be given by whoever sits at the machine.
    Refuse,
}

/// What becomes of a signature counter that did not grow (WebAuthn §6.1.1).
/// The stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterRule {
    /// A warning in the log.
    Warn,
    /// The login fails: there may be a second copy of the key.
    Refuse,
}

/// What becomes of a credential that may be copied to other authenticators
/// (the BE flag, WebAuthn §6.1.3). The stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncedCredentials {
    /// As good as any.
    Allow,
    /// Not accepted.
    Refuse,
}

impl Policy {
    /// This policy with the module's arguments on top, as in
    /// `pam_passkey.so user_verification=required timeout=20`. They can only
    /// ask for more: whoever reads `config.toml` knows the least that any
    /// line in `/etc/pam.d` demands.
    pub fn tightened_by(self, arguments: &[&str]) -> Result<Self, PolicyError> {
        let mut tight = self;
        let mut given = Vec::new();
        for argument in arguments {
            tight
                .tighten(argument, &mut given)
                .map_err(|fault| PolicyError::Argument {
                    argument: (*argument).to_owned(),
                    fault,
                })?;
        }
        Ok(tight)
    }

    fn tighten(&mut self, argument: &str, given: &mut Vec<Setting>) -> Result<(), Fault> {
        let (key, text) = match argument.split_once('=') {
            Some((key, text)) => (key, Some(text)),
            None => (argument, None),
        };
        let known: Vec<_> = Setting::of_arguments().collect();
        let setting = match Setting::named(key) {
            Some(setting) if known.contains(&setting) => setting,
            Some(setting) => return Err(Fault::NotAnArgument(setting.name())),
            None => return Err(Fault::unknown_key(key, &known)),
        };
        if given.contains(&setting) {
            return Err(Fault::GivenTwice(setting.name()));
        }
        let text = text.ok_or(Fault::NoValue(setting.name()))?;
        let mut asked = self.clone();
        setting.set(&mut asked, setting.value_of_argument(text))?;
        if setting.is_looser(&asked, self) {
            return Err(Fault::Loosens(setting.name()));
        }
        given.push(setting);
        *self = asked;
        Ok(())
    }
}

/// Why there is no policy, and therefore no login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// The file or its directory may not be believed.
    Untrusted(Untrusted),
    /// A line of `config.toml` is not right.
    File {
        /// Where the file is.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        fault: Fault,
    },
    /// An argument of the module is not right.
    Argument {
        /// The argument as it was given.
        argument: String,
        /// What is wrong.
        fault: Fault,
    },
}

impl From<Untrusted> for PolicyError {
    fn from(problem: Untrusted) -> Self {
        Self::Untrusted(problem)
    }
}

impl std::error::Error for PolicyError {}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(problem) => problem.fmt(f),
            Self::File { path, line, fault } => write!(f, "{}:{line}: {fault}", shown(path)),
            Self::Argument { argument, fault } => {
                write!(f, "module argument {}: {fault}", printable(argument, 80))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn defaults_of(text: &str) -> Policy {
        Config::parse(text, Path::new("config.toml"))
            .unwrap()
            .for_service("cron")
    }

    fn tightened(arguments: &[&str]) -> Result<Policy, PolicyError> {
        defaults_of("").tightened_by(arguments)
    }

    #[test]
    fn arguments_tighten() {
        let config = "user_verification = \"discouraged\"\nwhen_not_enrolled = \"ignore\"\n\
                      remote = \"allow\"";
        let tight = defaults_of(config)
            .tightened_by(&[
                "user_verification=required",
                "timeout=20",
                "when_not_enrolled=refuse",
                "remote=refuse",
                "counter=refuse",
                "synced=refuse",
            ])
            .unwrap();
        let expected = Policy {
            timeout: Duration::from_secs(20),
            counter: CounterRule::Refuse,
            synced: SyncedCredentials::Refuse,
            ..defaults_of("")
        };
        assert_eq!(tight, expected);
    }

    #[test]
    fn arguments_equal_to_what_is_in_force_are_fine() {
        let same = [
            "user_verification=required",
            "timeout=30",
            "when_not_enrolled=refuse",
            "remote=refuse",
            "counter=warn",
            "synced=allow",
        ];
        assert_eq!(tightened(&same), Ok(defaults_of("")));
        assert_eq!(tightened(&[]), Ok(defaults_of("")));
    }

    #[test]
    fn an_argument_cannot_loosen() {
        let strict = defaults_of("counter = \"refuse\"\nsynced = \"refuse\"");
        for argument in [
            "user_verification=discouraged",
            "timeout=31",
            "when_not_enrolled=ignore",
            "remote=allow",
            "counter=warn",
            "synced=allow",
        ] {
            let key = argument.split('=').next().unwrap();
            let message = strict
                .clone()
                .tightened_by(&[argument])
                .unwrap_err()
                .to_string();
            let expected = format!(
                "module argument {argument}: arguments can only tighten, and this loosens {key}; \
                 set it in /etc/pam-passkey/config.toml"
            );
            assert_eq!(message, expected);
        }
    }

    #[test]
    fn an_argument_is_read_as_strictly_as_the_file() {
        for (argument, expected) in [
            ("timeout=0", "timeout takes 1 to 300"),
            ("timeout=99999999999999999999", "timeout takes 1 to 300"),
            (
                "timeout=+9",
                "timeout takes a whole number of seconds, not a string",
            ),
            (
                "timeout=",
                "timeout takes a whole number of seconds, not a string",
            ),
            ("remote=Refuse", "remote takes \"refuse\" or \"allow\""),
            ("remote", "remote wants a value; write remote=..."),
            ("debug", "unknown key \"debug\""),
            (
                "timeot=9",
                "unknown key \"timeot\"; did you mean \"timeout\"?",
            ),
            (
                "receipts=/x",
                "receipts cannot be given to the module; set it in /etc/pam-passkey/config.toml",
            ),
            (
                "enabled=true",
                "enabled cannot be given to the module; set it in /etc/pam-passkey/config.toml",
            ),
        ] {
            let message = tightened(&[argument]).unwrap_err().to_string();
            assert_eq!(message, format!("module argument {argument}: {expected}"));
        }
        let message = tightened(&["timeout=9", "timeout=9"])
            .unwrap_err()
            .to_string();
        assert!(
            message.ends_with("timeout is given twice; remove one"),
            "{message}"
        );
        let message = tightened(&["a\u{1b}[2J"]).unwrap_err().to_string();
        assert!(!message.contains('\u{1b}'));
    }
}

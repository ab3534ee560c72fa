//! The module's arguments: they tighten a policy and never loosen it.
#![forbid(unsafe_code)]

use super::config::PolicyError;
use super::rules::Policy;
use super::setting::{Fault, Setting};

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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::super::config::Config;
    use super::super::rules::{CounterRule, SyncedCredentials, WhenNotCovered};
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
    fn a_line_says_of_itself_what_becomes_of_services_that_are_not_covered() {
        assert_eq!(
            tightened(&[]).unwrap().when_not_covered,
            WhenNotCovered::Refuse
        );
        for (word, rule) in [
            ("ignore", WhenNotCovered::Ignore),
            ("refuse", WhenNotCovered::Refuse),
        ] {
            let policy = tightened(&[&format!("when_not_covered={word}")]).unwrap();
            let expected = Policy {
                when_not_covered: rule,
                ..defaults_of("")
            };
            assert_eq!(policy, expected);
        }
        for text in [
            "when_not_covered = \"ignore\"",
            "[service.sudo]\nwhen_not_covered = \"ignore\"",
        ] {
            let message = Config::parse(text, Path::new("config.toml"))
                .unwrap_err()
                .to_string();
            assert!(
                message.ends_with(
                    "when_not_covered is an argument of the module; \
                     write it into the line in /etc/pam.d"
                ),
                "{message}"
            );
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

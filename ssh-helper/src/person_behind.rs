//! Who stands behind a process of root: what sudo, pkexec and doas leave in
//! the environment of the command that they make root.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;

use ceremony::account::Account;

/// What makes a person root for one command, and says whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Through {
    /// sudo or sudo-rs; run0 leaves the same variable.
    Sudo,
    /// polkit's pkexec.
    Pkexec,
    /// doas, in any of its ports.
    Doas,
}

impl Through {
    const ALL: [Self; 3] = [Self::Sudo, Self::Pkexec, Self::Doas];

    /// The variable in which it says whom.
    fn variable(self) -> &'static str {
        match self {
            Self::Sudo => "SUDO_UID",
            Self::Pkexec => "PKEXEC_UID",
            Self::Doas => "DOAS_USER",
        }
    }

    /// Whom `value` says: doas by name, the others by number.
    fn uid(self, value: &OsStr, uid_of: impl Fn(&str) -> Option<u32>) -> Option<u32> {
        let text = value.to_str()?;
        match self {
            Self::Doas => uid_of(text),
            // Rust would take a plus sign, which neither of them writes.
            Self::Sudo | Self::Pkexec if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().ok()
            }
            Self::Sudo | Self::Pkexec => None,
        }
    }
}

impl fmt::Display for Through {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sudo => "sudo",
            Self::Pkexec => "pkexec",
            Self::Doas => "doas",
        })
    }
}

/// A person who became root for this command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Person {
    /// The number of their account.
    pub(crate) uid: u32,
    /// What made them root.
    pub(crate) through: Through,
}

/// Why it is not clear who stands behind this process. That is not the same as
/// nobody: nobody is asked for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unclear {
    /// A variable is set, but not to an account.
    Unreadable(Through),
    /// Two are set, and name different accounts.
    Disagreeing(Through, Through),
}

impl fmt::Display for Unclear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(through) => {
                let not_set_to = match through {
                    Through::Sudo | Through::Pkexec => "not to a number",
                    Through::Doas => "not to the name of an account that can be found",
                };
                write!(
                    f,
                    "{} is set, but {not_set_to}, so nobody knows whose account is meant",
                    through.variable()
                )
            }
            Self::Disagreeing(one, other) => write!(
                f,
                "{} and {} name different accounts, so nobody knows whose is meant",
                one.variable(),
                other.variable()
            ),
        }
    }
}

/// The person behind this process, if there is one.
pub(crate) fn of_this_process() -> Result<Option<Person>, Unclear> {
    let uid_of = |name: &str| Account::by_name(name).ok().map(|account| account.uid);
    read(|variable| env::var_os(variable), uid_of)
}

fn read(
    value_of: impl Fn(&str) -> Option<OsString>,
    uid_of: impl Fn(&str) -> Option<u32>,
) -> Result<Option<Person>, Unclear> {
    let mut behind: Option<Person> = None;
    for through in Through::ALL {
        let Some(value) = value_of(through.variable()) else {
            continue;
        };
        let uid = through
            .uid(&value, &uid_of)
            .ok_or(Unclear::Unreadable(through))?;
        match behind {
            None => behind = Some(Person { uid, through }),
            Some(person) if person.uid == uid => {}
            Some(person) => return Err(Unclear::Disagreeing(person.through, through)),
        }
    }
    Ok(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: u32 = 1000;

    fn of(environment: &[(&str, &str)]) -> Result<Option<Person>, Unclear> {
        let value_of = |variable: &str| {
            let (_, value) = environment.iter().find(|(name, _)| *name == variable)?;
            Some(OsString::from(value))
        };
        read(value_of, |name| (name == "alice").then_some(ALICE))
    }

    #[test]
    fn sudo_pkexec_and_doas_each_say_who_stands_behind() {
        for (variable, value, through) in [
            ("SUDO_UID", "1000", Through::Sudo),
            ("PKEXEC_UID", "1000", Through::Pkexec),
            ("DOAS_USER", "alice", Through::Doas),
        ] {
            let alice = Person {
                uid: ALICE,
                through,
            };
            assert_eq!(of(&[(variable, value)]), Ok(Some(alice)));
        }
        assert_eq!(of(&[("USER", "alice")]), Ok(None));
    }

    #[test]
    fn a_variable_that_names_no_account_is_not_an_absent_one() {
        for text in ["", "alice", "-1", "+1000", " 1000", "4294967296", "0x3e8"] {
            for (variable, through) in
                [("SUDO_UID", Through::Sudo), ("PKEXEC_UID", Through::Pkexec)]
            {
                let unreadable = Err(Unclear::Unreadable(through));
                assert_eq!(of(&[(variable, text)]), unreadable, "{text:?}");
            }
        }
        // doas gives names, and a number is none
        for text in ["", "nobody-of-that-name", "1000"] {
            let unreadable = Err(Unclear::Unreadable(Through::Doas));
            assert_eq!(of(&[("DOAS_USER", text)]), unreadable, "{text:?}");
        }
    }

    #[test]
    fn a_second_one_that_agrees_changes_nothing() {
        let both = of(&[("SUDO_UID", "1000"), ("DOAS_USER", "alice")]);
        let alice = Person {
            uid: ALICE,
            through: Through::Sudo,
        };
        assert_eq!(both, Ok(Some(alice)));
    }

    #[test]
    fn of_two_that_disagree_neither_is_believed() {
        let refused = of(&[("SUDO_UID", "1001"), ("DOAS_USER", "alice")]);
        assert_eq!(
            refused,
            Err(Unclear::Disagreeing(Through::Sudo, Through::Doas))
        );
        // nor is root, whom the inner one of two may name
        let refused = of(&[("PKEXEC_UID", "1000"), ("SUDO_UID", "0")]);
        assert_eq!(
            refused,
            Err(Unclear::Disagreeing(Through::Sudo, Through::Pkexec))
        );
    }
}

//! Whose account a command is about.
//!
//! What changes an account's keys needs root, and root that was reached
//! through sudo may change only the keys of the person who typed sudo: a
//! mistyped `--user` must not hand one person's login to another.
#![forbid(unsafe_code)]

use std::env;
use std::ffi::OsStr;

use ceremony::account::{Account, NoAccount};
use nix::unistd::{geteuid, getuid};

use crate::failure::Failure;

/// How this process came to be root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// Through sudo: a person with an account of their own stands behind it.
    ThroughSudo,
    /// By a login as root, su, a boot script: there is nobody else to ask.
    Directly,
}

/// An account whose keys may be changed.
#[derive(Debug)]
pub(crate) struct Administered {
    /// The account.
    pub(crate) account: Account,
    /// How we came to be root.
    pub(crate) root: Root,
}

/// The account whose keys `command` (`enroll`, `remove "blue key"`) changes.
pub(crate) fn to_change(wanted: Option<&str>, command: &str) -> Result<Administered, Failure> {
    let sudo = SudoUid::read(env::var_os("SUDO_UID").as_deref());
    let euid = geteuid().as_raw();
    // Before any name is looked up: who is not root learns that first.
    let unnamed = rule(euid, &sudo, None);
    if let Err(NotAllowed::NotRoot) = unnamed {
        return Err(NotAllowed::NotRoot.failure(command));
    }
    let wanted = wanted.map(named).transpose()?;
    let (uid, root) = rule(euid, &sudo, wanted.as_ref().map(|account| account.uid))
        .map_err(|refusal| refusal.failure(command))?;
    let account = match wanted {
        Some(account) => account,
        None => numbered(uid)?,
    };
    Ok(Administered { account, root })
}

/// The account that a command is about that changes nothing.
pub(crate) fn to_look_at(wanted: Option<&str>) -> Result<Account, Failure> {
    if let Some(name) = wanted {
        return named(name);
    }
    let real = getuid().as_raw();
    // Only root's environment comes from sudo; anybody else's could be left
    // over from it.
    let behind_sudo = match SudoUid::read(env::var_os("SUDO_UID").as_deref()) {
        SudoUid::Is(uid) if real == 0 => Some(uid),
        _ => None,
    };
    numbered(behind_sudo.unwrap_or(real))
}

/// What `SUDO_UID` says.
#[derive(Debug, PartialEq, Eq)]
enum SudoUid {
    Unset,
    Is(u32),
    /// Set, but not to a number: not sudo's work, and so no answer.
    Unreadable,
}

impl SudoUid {
    fn read(value: Option<&OsStr>) -> Self {
        match value.map(OsStr::to_str) {
            None => Self::Unset,
            Some(Some(text)) if text.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.parse().map_or(Self::Unreadable, Self::Is)
            }
            Some(_) => Self::Unreadable,
        }
    }
}

/// The rule: whose keys may a process of `euid` change, given what
/// `SUDO_UID` says and the account that was asked for by name?
fn rule(euid: u32, sudo: &SudoUid, wanted: Option<u32>) -> Result<(u32, Root), NotAllowed> {
    if euid != 0 {
        return Err(NotAllowed::NotRoot);
    }
    match (sudo, wanted) {
        (SudoUid::Unreadable, _) => Err(NotAllowed::UnreadableSudoUid),
        (SudoUid::Unset, wanted) => Ok((wanted.unwrap_or(0), Root::Directly)),
        (SudoUid::Is(behind), None) => Ok((*behind, Root::ThroughSudo)),
        (SudoUid::Is(behind), Some(wanted)) if *behind == wanted => Ok((wanted, Root::ThroughSudo)),
        (SudoUid::Is(_), Some(_)) => Err(NotAllowed::SomebodyElse),
    }
}

/// Why an account's keys may not be changed.
#[derive(Debug, PartialEq, Eq)]
enum NotAllowed {
    NotRoot,
    UnreadableSudoUid,
    SomebodyElse,
}

impl NotAllowed {
    fn failure(&self, command: &str) -> Failure {
        match self {
            Self::NotRoot => Failure::new(
                "only root may change who can log in",
                format!("run: sudo passkey {command}"),
            ),
            Self::UnreadableSudoUid => Failure::new(
                "SUDO_UID is set, but not to a number, so nobody knows whose account is meant",
                format!("run it through sudo itself: sudo passkey {command}"),
            ),
            Self::SomebodyElse => Failure::new(
                "through sudo you can change only the keys of your own account",
                format!(
                    "for another account take a root shell that sudo did not open \
                     (su -, or a login as root) and run there: passkey {command} --user NAME"
                ),
            ),
        }
    }
}

fn named(name: &str) -> Result<Account, Failure> {
    Account::by_name(name).map_err(|problem| no_account(&problem, &format!("--user {name:?}")))
}

fn numbered(uid: u32) -> Result<Account, Failure> {
    Account::by_uid(uid).map_err(|problem| no_account(&problem, &format!("user number {uid}")))
}

fn no_account(problem: &NoAccount, asked: &str) -> Failure {
    let what_to_do = match problem {
        NoAccount::Unknown => "see which accounts there are with: getent passwd",
        NoAccount::LookupFailed(_) => {
            "the name service (see /etc/nsswitch.conf) did not answer; try again when it does"
        }
        NoAccount::Invalid(_) => "name the account as `getent passwd` lists it",
    };
    Failure::new(format!("{asked}: {problem}"), what_to_do)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: u32 = 1000;
    const BOB: u32 = 1001;

    #[test]
    fn sudo_stands_for_the_person_behind_it() {
        let sudo = SudoUid::Is(ALICE);
        assert_eq!(rule(0, &sudo, None), Ok((ALICE, Root::ThroughSudo)));
        assert_eq!(rule(0, &sudo, Some(ALICE)), Ok((ALICE, Root::ThroughSudo)));
    }

    #[test]
    fn sudo_does_not_reach_another_account() {
        for wanted in [BOB, 0] {
            assert_eq!(
                rule(0, &SudoUid::Is(ALICE), Some(wanted)),
                Err(NotAllowed::SomebodyElse)
            );
        }
        // root that typed sudo is behind it, too
        assert_eq!(
            rule(0, &SudoUid::Is(0), Some(BOB)),
            Err(NotAllowed::SomebodyElse)
        );
    }

    #[test]
    fn root_without_sudo_means_root_or_whom_it_names() {
        assert_eq!(rule(0, &SudoUid::Unset, None), Ok((0, Root::Directly)));
        assert_eq!(
            rule(0, &SudoUid::Unset, Some(BOB)),
            Ok((BOB, Root::Directly))
        );
    }

    #[test]
    fn who_is_not_root_changes_nothing() {
        for sudo in [SudoUid::Unset, SudoUid::Is(ALICE), SudoUid::Is(0)] {
            for wanted in [None, Some(ALICE), Some(0)] {
                assert_eq!(rule(ALICE, &sudo, wanted), Err(NotAllowed::NotRoot));
            }
        }
    }

    #[test]
    fn a_sudo_uid_that_is_no_number_is_not_an_absent_one() {
        assert_eq!(SudoUid::read(None), SudoUid::Unset);
        assert_eq!(SudoUid::read(Some("1000".as_ref())), SudoUid::Is(ALICE));
        for text in ["", "alice", "-1", "+1000", " 1000", "4294967296", "0x3e8"] {
            let sudo = SudoUid::read(Some(text.as_ref()));
            assert_eq!(sudo, SudoUid::Unreadable, "{text:?}");
            assert_eq!(rule(0, &sudo, None), Err(NotAllowed::UnreadableSudoUid));
            assert_eq!(
                rule(0, &sudo, Some(ALICE)),
                Err(NotAllowed::UnreadableSudoUid)
            );
        }
    }

    #[test]
    fn a_refusal_says_what_to_type() {
        let failure = NotAllowed::NotRoot.failure("enroll");
        assert!(failure.to_string().contains("run: sudo passkey enroll"));
    }
}

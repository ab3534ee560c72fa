//! Whose account a command is about.
//!
//! What changes an account's keys needs root, and root on somebody's behalf
//! (through sudo, pkexec or doas) may change only the keys of that person: a
//! mistyped `--user` must not hand one person's login to another.
#![forbid(unsafe_code)]

use ceremony::account::{Account, NoAccount};
use nix::unistd::{geteuid, getuid};

use crate::failure::Failure;
use crate::key_name::{self, quoted_if_need_be};
use crate::person_behind::{self, Person, Through, Unclear};

/// How this process came to be root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Root {
    /// A person with an account of their own stands behind it.
    OnBehalf(Through),
    /// By a login as root, su, a boot script: there is nobody else to ask.
    Directly,
}

impl Root {
    /// What to type to come here again: `sudo passkey enroll`, or `passkey
    /// enroll --user alice`.
    pub(crate) fn command(self, verb: &str, account: &Account) -> String {
        match self {
            Self::OnBehalf(through) => format!("{through} passkey {verb}"),
            Self::Directly => format!(
                "passkey {verb} --user {}",
                quoted_if_need_be(account.name.as_str())
            ),
        }
    }
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
    let command = &for_account(wanted, command);
    let behind = person_behind::of_this_process();
    let euid = geteuid().as_raw();
    // Before `wanted` is looked up: who is not root learns that first.
    let unnamed = rule(euid, behind, None);
    if let Err(NotAllowed::NotRoot) = unnamed {
        return Err(NotAllowed::NotRoot.failure(command));
    }
    let wanted = wanted.map(named).transpose()?;
    let (uid, root) = rule(euid, behind, wanted.as_ref().map(|account| account.uid))
        .map_err(|refusal| refusal.failure(command))?;
    let account = match wanted {
        Some(account) => account,
        None => numbered(uid)?,
    };
    Ok(Administered { account, root })
}

/// The command with the account it was typed for: typed again without that, it
/// would change the keys of whoever types it.
fn for_account(wanted: Option<&str>, command: &str) -> String {
    let Some(name) = wanted else {
        return command.to_owned();
    };
    // Behind a "--" it would be taken for the name of a key.
    let (verb, rest) = command.split_at(command.find(' ').unwrap_or(command.len()));
    format!("{verb} --user {}{rest}", key_name::quoted(name))
}

/// The account that a command is about that changes nothing.
pub(crate) fn to_look_at(wanted: Option<&str>) -> Result<Account, Failure> {
    if let Some(name) = wanted {
        return named(name);
    }
    let real = getuid();
    // Only root's environment comes from sudo and its like; anybody else's
    // could be left over from them.
    if !real.is_root() {
        return numbered(real.as_raw());
    }
    let behind = person_behind::of_this_process()
        .map_err(|unclear| Failure::new(unclear.to_string(), "say whose: --user NAME"))?;
    numbered(behind.map_or(real.as_raw(), |person| person.uid))
}

/// The rule: whose keys may a process of `euid` change, given who stands
/// behind it and the account that was asked for by name?
fn rule(
    euid: u32,
    behind: Result<Option<Person>, Unclear>,
    wanted: Option<u32>,
) -> Result<(u32, Root), NotAllowed> {
    if euid != 0 {
        return Err(NotAllowed::NotRoot);
    }
    let Some(Person { uid, through }) = behind.map_err(NotAllowed::Unclear)? else {
        return Ok((wanted.unwrap_or(0), Root::Directly));
    };
    match wanted {
        Some(wanted) if wanted != uid => Err(NotAllowed::SomebodyElse(through)),
        Some(_) | None => Ok((uid, Root::OnBehalf(through))),
    }
}

/// Why an account's keys may not be changed.
#[derive(Debug, PartialEq, Eq)]
enum NotAllowed {
    NotRoot,
    Unclear(Unclear),
    SomebodyElse(Through),
}

impl NotAllowed {
    fn failure(&self, command: &str) -> Failure {
        match self {
            Self::NotRoot => Failure::new(
                "only root may change who can log in",
                format!("run: sudo passkey {command}"),
            ),
            Self::Unclear(unclear @ Unclear::Unreadable(through)) => Failure::new(
                unclear.to_string(),
                format!("run it through {through} itself: {through} passkey {command}"),
            ),
            Self::Unclear(unclear @ Unclear::Disagreeing(one, other)) => Failure::new(
                unclear.to_string(),
                format!(
                    "run it through one of them, from a shell that neither opened: \
                     {one} passkey {command}, or {other} passkey {command}"
                ),
            ),
            Self::SomebodyElse(through) => Failure::new(
                format!("through {through} you can change only the keys of your own account"),
                format!(
                    "for another account take a root shell that {through} did not open \
                     (su -, or a login as root) and run there: passkey {command}"
                ),
            ),
        }
    }
}

/// What to type so that `account` has a key.
pub(crate) fn how_to_enroll(account: &Account) -> String {
    match to_look_at(None) {
        Ok(own) if own == *account && own.uid != 0 => {
            "enrol one with: sudo passkey enroll".to_owned()
        }
        _ => format!(
            "enrol one from a root shell: passkey enroll --user {}",
            quoted_if_need_be(account.name.as_str())
        ),
    }
}

/// What names `account` to a command that only looks; nothing for one's own.
pub(crate) fn option(account: &Account) -> String {
    match to_look_at(None) {
        Ok(own) if own == *account => String::new(),
        _ => format!(" --user {}", quoted_if_need_be(account.name.as_str())),
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
    use ceremony::account::UserName;

    use super::*;

    const ALICE: u32 = 1000;
    const BOB: u32 = 1001;
    const EACH: [Through; 3] = [Through::Sudo, Through::Pkexec, Through::Doas];

    fn person(uid: u32, through: Through) -> Person {
        Person { uid, through }
    }

    #[test]
    fn root_on_behalf_of_a_person_means_that_person() {
        for through in EACH {
            for wanted in [None, Some(ALICE)] {
                assert_eq!(
                    rule(0, Ok(Some(person(ALICE, through))), wanted),
                    Ok((ALICE, Root::OnBehalf(through)))
                );
            }
        }
    }

    #[test]
    fn root_on_behalf_of_a_person_does_not_reach_another_account() {
        for through in EACH {
            for wanted in [BOB, 0] {
                assert_eq!(
                    rule(0, Ok(Some(person(ALICE, through))), Some(wanted)),
                    Err(NotAllowed::SomebodyElse(through))
                );
            }
            // root that typed sudo is behind it, too
            assert_eq!(
                rule(0, Ok(Some(person(0, through))), Some(BOB)),
                Err(NotAllowed::SomebodyElse(through))
            );
        }
    }

    #[test]
    fn root_with_nobody_behind_means_root_or_whom_it_names() {
        assert_eq!(rule(0, Ok(None), None), Ok((0, Root::Directly)));
        assert_eq!(rule(0, Ok(None), Some(BOB)), Ok((BOB, Root::Directly)));
    }

    #[test]
    fn who_is_not_root_changes_nothing() {
        let unreadable = Err(Unclear::Unreadable(Through::Doas));
        for behind in [Ok(None), Ok(Some(person(ALICE, Through::Sudo))), unreadable] {
            for wanted in [None, Some(ALICE), Some(0)] {
                assert_eq!(rule(ALICE, behind, wanted), Err(NotAllowed::NotRoot));
            }
        }
    }

    #[test]
    fn where_it_is_unclear_who_stands_behind_nothing_is_changed() {
        for unclear in [
            Unclear::Unreadable(Through::Pkexec),
            Unclear::Disagreeing(Through::Sudo, Through::Doas),
        ] {
            for wanted in [None, Some(ALICE), Some(0)] {
                assert_eq!(
                    rule(0, Err(unclear), wanted),
                    Err(NotAllowed::Unclear(unclear))
                );
            }
        }
    }

    #[test]
    fn what_to_type_again_is_for_the_account_that_was_typed() {
        assert_eq!(for_account(None, "enroll"), "enroll");
        assert_eq!(for_account(Some("bob"), "enroll"), "enroll --user \"bob\"");
        let again = for_account(Some("$(x)"), "remove -- \"-x\"");
        assert_eq!(again, "remove --user '$(x)' -- \"-x\"");
    }

    #[test]
    fn a_refusal_says_what_to_type() {
        let sentence = |refusal: NotAllowed| refusal.failure("enroll").to_string();
        assert!(sentence(NotAllowed::NotRoot).contains("run: sudo passkey enroll"));
        let unreadable = NotAllowed::Unclear(Unclear::Unreadable(Through::Doas));
        assert!(sentence(unreadable).ends_with("run it through doas itself: doas passkey enroll"));
        let two = NotAllowed::Unclear(Unclear::Disagreeing(Through::Sudo, Through::Doas));
        assert!(sentence(two).contains("SUDO_UID and DOAS_USER name different accounts"));
        let elses = sentence(NotAllowed::SomebodyElse(Through::Pkexec));
        assert!(elses.contains("through pkexec you can change only the keys of your own"));
    }

    #[test]
    fn what_to_type_again_is_what_was_typed() {
        let root = Account::by_name("root").unwrap();
        assert_eq!(
            Root::OnBehalf(Through::Doas).command("enroll", &root),
            "doas passkey enroll"
        );
        assert_eq!(
            Root::Directly.command("enroll", &root),
            "passkey enroll --user root"
        );
        let strange = Account {
            name: UserName::parse("a;reboot").unwrap(),
            uid: 1000,
        };
        assert_eq!(
            Root::Directly.command("enroll", &strange),
            "passkey enroll --user 'a;reboot'"
        );
    }
}

//! Who is looked at: root, whoever has a credential file, and whoever can log in
//! with a shell.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;

use ceremony::account::{Account, UserName};
use ceremony::credential_file::{CredentialFile, CredentialFileError, Store};
use nix::unistd::{Group, User};

use super::pam_folder::open_regular;

/// The most people that are looked at unasked.
pub(super) const MOST_PEOPLE: usize = 50;

/// The most bytes of `/etc/passwd` and `/etc/shadow` that are read.
const LONGEST: u64 = 4 << 20;

/// What is known of an account's password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Password {
    Set,
    /// No password is the right one.
    Locked,
    Empty,
    /// Root alone can see, or another machine.
    Unseen,
}

/// An account, and what it has to log in with.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) account: Account,
    pub(super) password: Password,
    /// Whether `/etc/passwd` has it.
    pub(super) is_local: bool,
    /// Whether `/etc/shells` has its shell.
    pub(super) shell_is_listed: Option<bool>,
    /// Its number belongs to no other name.
    pub(super) has_one_name: bool,
    pub(super) keys: Keys,
}

/// What `/etc/pam-passkey/users` has of somebody.
pub(super) type Keys = Result<Option<CredentialFile>, CredentialFileError>;

impl Person {
    /// Whether it is a member of one of these groups, which are parted by colons;
    /// none where nobody can tell.
    pub(super) fn is_in_a_group(&self, groups: &str) -> Option<bool> {
        let groups = groups.split(':').filter(|group| !group.is_empty());
        let is_in: Vec<Option<bool>> = groups.map(|group| self.is_in_group(group)).collect();
        if is_in.contains(&Some(true)) {
            return Some(true);
        }
        (!is_in.contains(&None)).then_some(false)
    }

    fn is_in_group(&self, group: &str) -> Option<bool> {
        let name = self.account.name.as_str();
        let Some(group) = Group::from_name(group).ok()? else {
            return Some(false);
        };
        let primary = User::from_name(name).ok()??.gid;
        Some(group.gid == primary || group.mem.iter().any(|member| member == name))
    }

    /// Whether nothing can let it in, however a stack is written.
    pub(super) fn has_nothing(&self) -> bool {
        self.password == Password::Locked && self.usable_keys() == 0
    }

    /// How many keys can be used.
    pub(super) fn usable_keys(&self) -> usize {
        match &self.keys {
            Ok(Some(file)) => file.credentials().count(),
            Ok(None) | Err(_) => 0,
        }
    }
}

/// Those who are looked at.
pub(super) struct People {
    pub(super) people: Vec<Person>,
    /// How many more there are.
    pub(super) left_out: usize,
}

/// The people who are asked for by name, or else everybody of interest.
pub(super) fn people(wanted: &[Account], enrolled: &[Account]) -> People {
    let facts = Facts::gather();
    let store = Store::open();
    let person = |account: &Account| facts.person(account, &store);
    if !wanted.is_empty() {
        return People {
            people: wanted.iter().map(person).collect(),
            left_out: 0,
        };
    }
    let mut accounts: Vec<Account> = Account::by_uid(0).ok().into_iter().collect();
    for account in enrolled.iter().cloned().chain(facts.with_a_shell()) {
        if !accounts.contains(&account) {
            accounts.push(account);
        }
    }
    let left_out = accounts.len().saturating_sub(MOST_PEOPLE);
    accounts.truncate(MOST_PEOPLE);
    People {
        people: accounts.iter().map(person).collect(),
        left_out,
    }
}

/// What files say of all accounts.
struct Facts {
    /// Name, number, password field and shell, as `/etc/passwd` has them.
    local: Vec<(String, u32, String, String)>,
    /// The password fields of `/etc/shadow`; none where it cannot be read.
    shadow: Option<BTreeMap<String, String>>,
    shells: Option<Vec<String>>,
    regular: std::ops::RangeInclusive<u32>,
}

impl Facts {
    fn gather() -> Self {
        Self {
            local: read("/etc/passwd")
                .as_deref()
                .map(passwd)
                .unwrap_or_default(),
            shadow: read("/etc/shadow").as_deref().map(shadow),
            shells: listed_shells(),
            regular: regular(&read("/etc/login.defs").unwrap_or_default()),
        }
    }

    fn with_a_shell(&self) -> impl Iterator<Item = Account> {
        let regular = self.local.iter().filter(|(_, uid, _, shell)| {
            self.regular.contains(uid) && !shell.ends_with("/nologin") && !shell.ends_with("/false")
        });
        regular.filter_map(|(name, uid, ..)| {
            Some(Account {
                name: UserName::parse(name).ok()?,
                uid: *uid,
            })
        })
    }

    fn person(&self, account: &Account, store: &Result<Store, CredentialFileError>) -> Person {
        let name = account.name.as_str();
        let local = self.local.iter().find(|(local, ..)| local == name);
        let shell = match local {
            Some((.., shell)) if shell.is_empty() => Some("/bin/sh".to_owned()),
            Some((.., shell)) => Some(shell.clone()),
            None => None,
        };
        let shells = self.shells.as_ref();
        Person {
            password: self.password(name),
            is_local: local.is_some(),
            shell_is_listed: shell.and_then(|shell| Some(shells?.contains(&shell))),
            has_one_name: Account::by_uid(account.uid).as_ref() == Ok(account),
            keys: store
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|store| store.load(account)),
            account: account.clone(),
        }
    }

    fn password(&self, name: &str) -> Password {
        let local = self.local.iter().find(|(local, ..)| local == name);
        let field = match local {
            Some((_, _, field, _)) if field != "x" => Some(field),
            Some(_) => self.shadow.as_ref().and_then(|shadow| shadow.get(name)),
            None => None,
        };
        field.map_or(Password::Unseen, |field| password(field))
    }
}

fn password(field: &str) -> Password {
    match field {
        "" => Password::Empty,
        locked if locked.starts_with(['!', '*']) => Password::Locked,
        _ => Password::Set,
    }
}

fn passwd(text: &str) -> Vec<(String, u32, String, String)> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let password = fields.next()?.to_owned();
        let uid = fields.next()?.parse().ok()?;
        let shell = fields.nth(3)?.to_owned();
        Some((name, uid, password, shell))
    };
    text.lines().filter_map(entry).collect()
}

fn shadow(text: &str) -> BTreeMap<String, String> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
    };
    text.lines().filter_map(entry).collect()
}

/// The numbers of people's accounts, by `/etc/login.defs`.
fn regular(text: &str) -> std::ops::RangeInclusive<u32> {
    let number = |key: &str, otherwise| {
        let value = text.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            (words.next() == Some(key)).then(|| words.next()?.parse().ok())?
        });
        value.unwrap_or(otherwise)
    };
    number("UID_MIN", 1000)..=number("UID_MAX", 60_000)
}

fn read(path: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let file = open_regular(Path::new(path)).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The lines of `/etc/shells`.
fn listed_shells() -> Option<Vec<String>> {
    let text = read("/etc/shells")?;
    Some(text.lines().map(|line| line.trim().to_owned()).collect())
}

/// The accounts whose files are in `/etc/pam-passkey/users`, and what else is
/// there.
pub(super) fn enrolled(folder: &Path) -> (Vec<Account>, Vec<(String, Stray)>) {
    let (mut accounts, mut strays) = (Vec::new(), Vec::new());
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = names
        .take(MOST_FILES)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    for name in names {
        match owner(&name) {
            Ok(account) => accounts.push(account),
            Err(stray) => strays.push((name, stray)),
        }
    }
    (accounts, strays)
}

/// The most credential files that are looked at.
const MOST_FILES: usize = 10_000;

/// Why a file among the credential files is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    /// No account can have such a file.
    Name,
    /// There is no such account.
    Gone,
    /// The name service knows the account by another name.
    OtherName,
    /// The name service does not answer.
    Unknown,
}

fn owner(name: &str) -> Result<Account, Stray> {
    use ceremony::account::NoAccount;
    let asked = name.strip_suffix(".toml").ok_or(Stray::Name)?;
    match Account::by_name(asked) {
        Ok(account) if account.name.as_str() == asked => Ok(account),
        Ok(_) => Err(Stray::OtherName),
        Err(NoAccount::Unknown) => Err(Stray::Gone),
        Err(NoAccount::Invalid(_)) => Err(Stray::Name),
        Err(NoAccount::LookupFailed(_)) => Err(Stray::Unknown),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Somebody with a password and no key.
    pub(in crate::check) fn alice() -> Person {
        Person {
            account: Account {
                name: UserName::parse("alice").unwrap(),
                uid: 1000,
            },
            password: Password::Set,
            is_local: true,
            shell_is_listed: Some(true),
            has_one_name: true,
            keys: Ok(None),
        }
    }

    #[test]
    fn a_password_field_says_whether_one_can_be_right() {
        for (field, expected) in [
            ("", Password::Empty),
            ("!", Password::Locked),
            ("*", Password::Locked),
            ("!$6$salt$hash", Password::Locked),
            ("$6$salt$hash", Password::Set),
        ] {
            assert_eq!(password(field), expected, "{field}");
        }
    }

    #[test]
    fn files_of_accounts_are_read_line_by_line() {
        let text = "root:x:0:0:root:/root:/bin/sh\nbad\n::x\nalice:x:1000:1000::/home/alice:\n";
        let names: Vec<_> = passwd(text)
            .into_iter()
            .map(|it| (it.0, it.1, it.3))
            .collect();
        assert_eq!(
            names,
            [
                ("root".into(), 0, "/bin/sh".into()),
                ("alice".into(), 1000, String::new())
            ]
        );
        assert_eq!(shadow("root:*:1\nx\n").len(), 1);
    }

    #[test]
    fn login_defs_says_whose_numbers_are_peoples() {
        assert_eq!(regular(""), 1000..=60_000);
        assert_eq!(
            regular("# UID_MIN 1\nUID_MIN\t 500\nUID_MAX x\n"),
            500..=60_000
        );
    }

    #[test]
    fn a_file_that_is_nobodys_is_known_as_such() {
        assert_eq!(owner("no-such-account-here.toml"), Err(Stray::Gone));
        for name in ["notes", "alice.toml~", ".toml", "-x.toml"] {
            assert_eq!(owner(name), Err(Stray::Name), "{name}");
        }
        assert_eq!(owner("root.toml").unwrap().uid, 0);
    }
}

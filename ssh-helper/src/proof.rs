//! What shows that an account's person asks for another key, and not merely
//! somebody at their open terminal.
#![forbid(unsafe_code)]

use std::time::Duration;

use ceremony::account::Account;
use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::race::Field;
use ceremony::credential::{Credential, CredentialId};
use ceremony::credential_file::CredentialFile;
use ceremony::policy::Policy;
use ceremony::signature_counter::SignatureCounters;

use crate::account_password;
use crate::failure::Failure;
use crate::key_name;
use crate::login::Login;
use crate::screen::Screen;
use crate::touch::Purpose;
use crate::whose_account::Root;

/// A proof to ask for.
pub(crate) struct Proving<'a> {
    /// Whose person.
    pub(crate) account: &'a Account,
    /// How we came to be root.
    pub(crate) root: Root,
    /// The credentials that may vouch.
    pub(crate) credentials: &'a [Credential],
    /// Whether there are also records that cannot be read.
    pub(crate) some_are_faulty: bool,
    /// What a key that vouches has to satisfy.
    pub(crate) policy: Policy,
    /// How long the person has to touch it.
    pub(crate) timeout: Duration,
    /// What was counted before, where it can be known.
    pub(crate) counters: Option<&'a SignatureCounters>,
    /// What to type to begin again.
    pub(crate) again: &'a str,
}

/// What has shown it.
#[derive(Debug)]
pub(crate) enum Proof {
    /// Nothing, since nothing had to.
    NotNeeded,
    /// The account's password.
    Password,
    /// One of the account's keys.
    Key {
        /// The key that was touched.
        key: FoundKey,
        /// Its credential.
        credential: CredentialId,
    },
}

impl Proof {
    /// The key that vouches, if one does.
    pub(crate) fn key(&self) -> Option<&FoundKey> {
        match self {
            Self::NotNeeded | Self::Password => None,
            Self::Key { key, .. } => Some(key),
        }
    }

    /// Whether the proof still stands for what `file` says now: what was true
    /// before the touches need not be true after them.
    pub(crate) fn holds_for(&self, file: &CredentialFile) -> bool {
        match self {
            Self::NotNeeded => true,
            Self::Password => file.is_empty(),
            Self::Key { credential, .. } => is_among(credential, file),
        }
    }
}

fn is_among(id: &CredentialId, file: &CredentialFile) -> bool {
    file.credentials().any(|credential| credential.id == *id)
}

/// What has to show it.
#[derive(Debug, PartialEq, Eq)]
enum Owed {
    /// Nothing: root can write the file without us.
    Nothing,
    /// The account's password: there is no key yet.
    Password,
    /// One of the account's keys.
    Key,
    /// There are keys, but none that can be read: the password must not do in
    /// their stead.
    Impossible,
}

fn owed(root: Root, good_records: usize, some_are_faulty: bool) -> Owed {
    match (root, good_records, some_are_faulty) {
        (Root::Directly, _, _) => Owed::Nothing,
        (Root::OnBehalf(_), 1.., _) => Owed::Key,
        (Root::OnBehalf(_), 0, true) => Owed::Impossible,
        (Root::OnBehalf(_), 0, false) => Owed::Password,
    }
}

impl Proving<'_> {
    /// Asks for it.
    pub(crate) fn ask(self, screen: &mut Screen) -> Result<Proof, Failure> {
        let name = &self.account.name;
        match owed(self.root, self.credentials.len(), self.some_are_faulty) {
            Owed::Nothing => {
                screen.say(&format!(
                    "You are root on nobody's behalf: {name} is asked for neither password nor key."
                ));
                Ok(Proof::NotNeeded)
            }
            Owed::Password => {
                account_password::ask(self.account, self.again, screen)?;
                Ok(Proof::Password)
            }
            Owed::Key => self.have_a_key_vouch(screen),
            Owed::Impossible => Err(Failure::new(
                format!("{name} has keys, but not one record that can be read, so none can vouch"),
                format!(
                    "correct the lines named above, or enrol from a root shell of its own (su -, \
                     or a login as root): passkey enroll --user {}",
                    key_name::quoted_if_need_be(name.as_str())
                ),
            )),
        }
    }

    fn have_a_key_vouch(self, screen: &mut Screen) -> Result<Proof, Failure> {
        let approved = Login {
            account: self.account,
            purpose: Purpose::Vouch(&self.account.name),
            credentials: self.credentials,
            field: Field::EveryKey,
            user_verification: self.policy.user_verification,
            policy: &self.policy,
            timeout: self.timeout,
            counters: self.counters,
            again: self.again,
        }
        .ask(screen)?;
        if let Some(counters) = self.counters {
            approved.remember(counters, screen);
        }
        let credential = approved.approval.verified.credential;
        screen.say(&format!("\"{}\" vouches for the new key.", credential.name));
        Ok(Proof::Key {
            credential: credential.id.clone(),
            key: approved.approval.key,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::credential;
    use crate::person_behind::Through;

    #[test]
    fn who_has_a_key_is_never_asked_for_the_password_instead() {
        for root in [Through::Sudo, Through::Pkexec, Through::Doas].map(Root::OnBehalf) {
            for faulty in [false, true] {
                assert_eq!(owed(root, 1, faulty), Owed::Key);
            }
            assert_eq!(owed(root, 0, true), Owed::Impossible);
            assert_eq!(owed(root, 0, false), Owed::Password);
        }
    }

    #[test]
    fn root_on_nobodys_behalf_is_not_asked() {
        for (good, faulty) in [(0, false), (0, true), (3, false)] {
            assert_eq!(owed(Root::Directly, good, faulty), Owed::Nothing);
        }
    }

    #[test]
    fn a_password_does_not_outlive_the_first_key() {
        let mut file = CredentialFile::new(&Account::by_name("root").unwrap());
        assert!(Proof::Password.holds_for(&file));
        file.add(credential("blue key", b"one")).unwrap();
        assert!(!Proof::Password.holds_for(&file));
        assert!(Proof::NotNeeded.holds_for(&file));
    }

    #[test]
    fn a_key_that_was_removed_meanwhile_does_not_vouch() {
        let mut file = CredentialFile::new(&Account::by_name("root").unwrap());
        let blue = credential("blue key", b"one");
        file.add(blue.clone()).unwrap();
        assert!(is_among(&blue.id, &file));
        file.remove(&blue.name).unwrap();
        assert!(!is_among(&blue.id, &file));
    }
}

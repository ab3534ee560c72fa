//! Where the credential files are.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use super::file::CredentialFile;
use super::head::CredentialFileError;
use crate::account::Account;
use crate::trusted_file::{CONFIGURATION, Lock, ROOT, Reason, STATE, TrustedDir, Untrusted};

/// The directory of credential files, open and checked.
#[derive(Debug)]
pub struct Store {
    users: TrustedDir,
    places: Places,
}

/// Where things are and whose they are. Everybody's are the same; only the
/// unit tests have their own.
#[derive(Clone, Debug)]
struct Places {
    configuration: PathBuf,
    state: PathBuf,
    owner: u32,
}

impl Places {
    fn of_the_system() -> Self {
        Self {
            configuration: CONFIGURATION.into(),
            state: STATE.into(),
            owner: ROOT,
        }
    }
}

const USERS: &str = "users";

/// Read by lock screens, which run as the user; written by root.
const READABLE_DIR: u32 = 0o755;
const READABLE_FILE: u32 = 0o644;

/// How long a writer waits for another.
const PATIENCE: Duration = Duration::from_secs(10);

/// The right to write, held until dropped. Whoever only reads needs none, and
/// so cannot be kept waiting by anybody.
#[derive(Debug)]
pub struct StoreLock {
    _lock: Lock,
}

impl Store {
    /// Opens `/etc/pam-passkey/users`.
    pub fn open() -> Result<Self, CredentialFileError> {
        Self::open_at(Places::of_the_system())
    }

    fn open_at(places: Places) -> Result<Self, CredentialFileError> {
        let users =
            TrustedDir::open_owned_by(&places.configuration, places.owner)?.open_dir(USERS)?;
        Ok(Self { users, places })
    }

    /// [`open`](Self::open), for root on the way to the first enrolment: makes
    /// the directories that are missing.
    pub fn open_or_create() -> Result<Self, CredentialFileError> {
        Self::open_or_create_at(Places::of_the_system())
    }

    fn open_or_create_at(places: Places) -> Result<Self, CredentialFileError> {
        let users =
            TrustedDir::open_or_create_owned_by(&places.configuration, READABLE_DIR, places.owner)?
                .open_or_create_dir(USERS, READABLE_DIR)?;
        Ok(Self { users, places })
    }

    /// The account's credentials. `None` only where the open and checked
    /// directory has no such file; a file without a single good record is
    /// `Some`, and says what is wrong with them.
    pub fn load(&self, account: &Account) -> Result<Option<CredentialFile>, CredentialFileError> {
        self.users
            .read(&file_name(account), CredentialFile::LONGEST)?
            .map(|text| CredentialFile::parse(&text, account, &self.path_of(account)))
            .transpose()
    }

    /// Waits up to ten seconds for the right to write. Taken before
    /// [`load`](Self::load), or what another writer did meanwhile is lost.
    pub fn lock(&self) -> Result<StoreLock, CredentialFileError> {
        self.lock_within(PATIENCE)
    }

    fn lock_within(&self, patience: Duration) -> Result<StoreLock, CredentialFileError> {
        let Places { state, owner, .. } = &self.places;
        let dir = TrustedDir::open_or_create_owned_by(state, 0o700, *owner)?;
        let lock = dir.lock("users.lock", patience)?;
        Ok(StoreLock { _lock: lock })
    }

    /// Puts `file` in the place of the account's old one; a file without
    /// records is removed instead.
    pub fn save(
        &self,
        _lock: &StoreLock,
        account: &Account,
        file: &CredentialFile,
    ) -> Result<(), CredentialFileError> {
        let path = self.path_of(account);
        if file.uid != account.uid {
            return Err(CredentialFileError::UidDiffers {
                path,
                line: None,
                found: file.uid.into(),
                account: account.clone(),
            });
        }
        if file.is_empty() {
            return Ok(self.users.remove(&file_name(account))?);
        }
        let text = file.to_text();
        // A file we would refuse to read must not take the place of a good one.
        if text.len() > CredentialFile::LONGEST {
            let most = CredentialFile::LONGEST;
            return Err(Untrusted::new(&path, Reason::TooLong { most }).into());
        }
        Ok(self
            .users
            .replace(&file_name(account), text.as_bytes(), READABLE_FILE)?)
    }

    /// Where the account's file is, or would be.
    pub fn path_of(&self, account: &Account) -> PathBuf {
        self.users.path().join(file_name(account))
    }
}

/// A user name has no slash and no more than 250 bytes (`UserName`), so this
/// is a file name whatever the name service answered.
fn file_name(account: &Account) -> String {
    format!("{}.toml", account.name)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::account::UserName;
    use crate::credential_file::record::samples::credential;
    use crate::trusted_file::CannotLock;
    use crate::trusted_file::scratch::{Scratch, me, mode, set_mode};

    fn places(scratch: &Scratch) -> Places {
        Places {
            configuration: scratch.path().join("etc"),
            state: scratch.path().join("state"),
            owner: me(),
        }
    }

    fn store(scratch: &Scratch) -> Store {
        Store::open_or_create_at(places(scratch)).unwrap()
    }

    fn account(name: &str) -> Account {
        Account {
            name: UserName::parse(name).unwrap(),
            uid: 1000,
        }
    }

    fn one_key(account: &Account) -> CredentialFile {
        let mut file = CredentialFile::new(account);
        file.add(credential("blue key", 1)).unwrap();
        file
    }

    #[test]
    fn what_is_saved_is_loaded_and_readable_by_lock_screens() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        let alice = account("alice");
        let file = one_key(&alice);
        store.save(&store.lock().unwrap(), &alice, &file).unwrap();
        let loaded = store.load(&alice).unwrap().unwrap();
        assert!(loaded.credentials().eq(file.credentials()));
        assert_eq!(
            store.path_of(&alice),
            scratch.path().join("etc/users/alice.toml")
        );
        assert_eq!(mode(&store.path_of(&alice)), 0o644);
        assert_eq!(mode(&scratch.path().join("etc/users")), 0o755);
        assert_eq!(mode(&scratch.path().join("etc")), 0o755);
        assert_eq!(mode(&scratch.path().join("state")), 0o700);
        // Whoever only reads makes nothing.
        assert!(Store::open_at(places(&scratch)).is_ok());
    }

    #[test]
    fn only_a_missing_file_means_not_enrolled() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        let alice = account("alice");
        assert_eq!(store.load(&alice), Ok(None));

        let path = store.path_of(&alice);
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(store.load(&alice).is_err());
        std::fs::remove_file(&path).unwrap();

        std::fs::write(&path, "").unwrap();
        set_mode(&path, 0o644);
        assert!(matches!(
            store.load(&alice),
            Err(CredentialFileError::Head { .. })
        ));

        std::fs::write(&path, "version = 1\nuid = 1000\n[[credential]]\n").unwrap();
        let file = store.load(&alice).unwrap().unwrap();
        assert_eq!((file.credentials().count(), file.faulty().count()), (0, 1));
    }

    #[test]
    fn a_missing_directory_is_an_error_and_not_an_absence() {
        let scratch = Scratch::new();
        let missing = |path: &Path| Untrusted::new(path, Reason::Missing).into();
        let etc = scratch.path().join("etc");
        assert_eq!(Store::open_at(places(&scratch)).unwrap_err(), missing(&etc));
        std::fs::create_dir(&etc).unwrap();
        set_mode(&etc, 0o755);
        let users = etc.join("users");
        assert_eq!(
            Store::open_at(places(&scratch)).unwrap_err(),
            missing(&users)
        );
    }

    #[test]
    fn directories_and_files_that_others_can_write_are_refused() {
        let scratch = Scratch::new();
        let alice = account("alice");
        let store = store(&scratch);
        store
            .save(&store.lock().unwrap(), &alice, &one_key(&alice))
            .unwrap();
        for path in [scratch.path().join("etc"), scratch.path().join("etc/users")] {
            set_mode(&path, 0o775);
            let writable = Untrusted::new(&path, Reason::Writable { mode: 0o775 });
            assert_eq!(
                Store::open_at(places(&scratch)).unwrap_err(),
                writable.clone().into()
            );
            assert_eq!(
                Store::open_or_create_at(places(&scratch)).unwrap_err(),
                writable.into()
            );
            set_mode(&path, 0o755);
        }
        set_mode(&store.path_of(&alice), 0o664);
        assert!(matches!(
            store.load(&alice),
            Err(CredentialFileError::Untrusted(_))
        ));
    }

    #[test]
    fn a_file_without_records_is_removed() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        let alice = account("alice");
        let lock = store.lock().unwrap();
        let mut file = one_key(&alice);
        store.save(&lock, &alice, &file).unwrap();
        file.remove(&credential("blue key", 1).name).unwrap();
        store.save(&lock, &alice, &file).unwrap();
        assert_eq!(store.load(&alice), Ok(None));
    }

    #[test]
    fn the_file_of_one_account_is_not_saved_for_another() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        let alice = account("alice");
        let mut other = account("alice");
        other.uid = 1001;
        let problem = store
            .save(&store.lock().unwrap(), &other, &one_key(&alice))
            .unwrap_err();
        assert!(matches!(problem, CredentialFileError::UidDiffers { .. }));
        assert_eq!(store.load(&alice), Ok(None));
    }

    #[test]
    fn a_file_too_long_to_be_read_is_not_saved() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        let alice = account("alice");
        let lock = store.lock().unwrap();
        let mut file = one_key(&alice);
        let room = CredentialFile::LONGEST - file.to_text().len();
        file.head.push_str(&"#".repeat(room - 1));
        file.head.push('\n');
        store.save(&lock, &alice, &file).unwrap();
        assert!(store.load(&alice).unwrap().is_some());
        file.head.insert(0, '\n');
        assert!(store.save(&lock, &alice, &file).is_err());
        assert!(store.load(&alice).unwrap().is_some());
    }

    #[test]
    fn writers_take_turns_and_readers_do_not_wait() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        let held = store.lock().unwrap();
        assert!(matches!(
            store.lock_within(Duration::from_millis(20)),
            Err(CredentialFileError::CannotLock(CannotLock::Held { .. }))
        ));
        assert_eq!(store.load(&account("alice")), Ok(None));
        drop(held);
        assert!(store.lock_within(Duration::ZERO).is_ok());
        assert_eq!(PATIENCE, Duration::from_secs(10));
    }

    #[test]
    fn the_longest_user_name_has_a_file() {
        let scratch = Scratch::new();
        let store = store(&scratch);
        let long = account(&"a".repeat(UserName::LONGEST));
        store
            .save(&store.lock().unwrap(), &long, &one_key(&long))
            .unwrap();
        assert!(store.load(&long).unwrap().is_some());
    }
}

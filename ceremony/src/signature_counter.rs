//! The largest signature counter seen for each credential:
//! `/var/lib/pam-passkey/counters/<SHA-256 of public key and credential id>`.
//!
//! WebAuthn §6.1.1: a counter that does not grow can mean that a second copy
//! of the key signs somewhere. Only what we remember can tell.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::credential::Credential;
use crate::trusted_file::{
    CannotLock, CannotOpen, CannotWrite, ROOT, STATE, TrustedDir, Untrusted, shown,
};

/// The remembered counters. Root's alone: the lock screen of an ordinary user
/// cannot open them, which its caller logs and lives with.
#[derive(Debug)]
pub struct SignatureCounters {
    dir: TrustedDir,
}

/// A login never hangs on somebody else's.
const PATIENCE: Duration = Duration::from_millis(200);

/// `u32::MAX` and a newline.
const LONGEST: usize = 11;

const PRIVATE_DIR: u32 = 0o700;
const PRIVATE_FILE: u32 = 0o600;

impl SignatureCounters {
    /// Opens the directory of counters; root makes it where it is missing.
    pub fn open() -> Result<Self, CounterError> {
        if nix::unistd::geteuid().is_root() {
            return Self::open_at(Path::new(STATE), ROOT);
        }
        // Anybody else would make one of their own, which root then refuses.
        let dir = TrustedDir::open(Path::new(STATE))?.open_dir("counters")?;
        Ok(Self { dir })
    }

    fn open_at(state: &Path, owner: u32) -> Result<Self, CounterError> {
        let dir = TrustedDir::open_or_create_owned_by(state, PRIVATE_DIR, owner)?
            .open_or_create_dir("counters", PRIVATE_DIR)?;
        Ok(Self { dir })
    }

    /// The largest counter seen, if any.
    pub fn read(&self, credential: &Credential) -> Result<Option<u32>, CounterError> {
        let name = file_name(credential);
        let Some(text) = self.dir.read(&name, LONGEST)? else {
            return Ok(None);
        };
        parse(&text)
            .map(Some)
            .ok_or_else(|| CounterError::NotANumber {
                path: self.dir.path().join(name),
            })
    }

    /// Remembers `value`, unless a larger one has been seen. Another login with
    /// the same key may be doing so at the same time.
    pub fn raise(&self, credential: &Credential, value: u32) -> Result<(), CounterError> {
        self.raise_within(PATIENCE, credential, value)
    }

    fn raise_within(
        &self,
        patience: Duration,
        credential: &Credential,
        value: u32,
    ) -> Result<(), CounterError> {
        // Between reading the old value and writing the new one nobody else writes.
        let _lock = self.dir.lock("lock", patience)?;
        if self.read(credential)?.is_some_and(|seen| seen >= value) {
            return Ok(());
        }
        let line = format!("{value}\n");
        Ok(self
            .dir
            .replace(&file_name(credential), line.as_bytes(), PRIVATE_FILE)?)
    }
}

/// Named for the id and for the key: anybody can read an id and teach it to a
/// stick of their own, whose counter must not become this credential's.
fn file_name(credential: &Credential) -> String {
    let mut hash = Sha256::new();
    hash.update(credential.public_key.to_bytes());
    hash.update(credential.id.as_bytes());
    base16ct::lower::encode_string(&hash.finalize())
}

fn parse(text: &str) -> Option<u32> {
    let digits = text.strip_suffix('\n')?;
    // Rust would take a plus sign, which we never write.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// Why a counter could not be read or remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CounterError {
    /// The file or a directory above it may not be believed.
    Untrusted(Untrusted),
    /// It could not be written.
    CannotWrite(CannotWrite),
    /// Somebody else is writing.
    CannotLock(CannotLock),
    /// The file does not hold a counter.
    NotANumber {
        /// Where it is.
        path: PathBuf,
    },
}

impl From<Untrusted> for CounterError {
    fn from(problem: Untrusted) -> Self {
        Self::Untrusted(problem)
    }
}

impl From<CannotWrite> for CounterError {
    fn from(problem: CannotWrite) -> Self {
        Self::CannotWrite(problem)
    }
}

impl From<CannotLock> for CounterError {
    fn from(problem: CannotLock) -> Self {
        Self::CannotLock(problem)
    }
}

impl From<CannotOpen> for CounterError {
    fn from(problem: CannotOpen) -> Self {
        match problem {
            CannotOpen::Untrusted(problem) => problem.into(),
            CannotOpen::CannotWrite(problem) => problem.into(),
        }
    }
}

impl std::error::Error for CounterError {}

impl fmt::Display for CounterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(problem) => problem.fmt(f),
            Self::CannotWrite(problem) => problem.fmt(f),
            Self::CannotLock(problem) => problem.fmt(f),
            Self::NotANumber { path } => {
                let path = shown(path);
                write!(f, "{path} does not hold a counter; remove it to count anew")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;
    use std::time::Instant;

    use super::*;
    use crate::public_key::Algorithm;
    use crate::test_key::TestKey;
    use crate::trusted_file::Reason;
    use crate::trusted_file::scratch::{Scratch, me, mode, set_mode};

    fn credential(seed: u8) -> Credential {
        TestKey::new(Algorithm::Es256, seed).credential()
    }

    fn counters(scratch: &Scratch) -> SignatureCounters {
        SignatureCounters::open_at(&scratch.path().join("state"), me()).unwrap()
    }

    fn path_of(scratch: &Scratch, credential: &Credential) -> PathBuf {
        let counters = scratch.path().join("state/counters");
        counters.join(file_name(credential))
    }

    #[test]
    fn a_counter_is_remembered_for_its_credential_only() {
        let scratch = Scratch::new();
        let counters = counters(&scratch);
        assert_eq!(counters.read(&credential(1)), Ok(None));
        counters.raise(&credential(1), 7).unwrap();
        assert_eq!(counters.read(&credential(1)), Ok(Some(7)));
        assert_eq!(counters.read(&credential(2)), Ok(None));
        let text = std::fs::read_to_string(path_of(&scratch, &credential(1))).unwrap();
        assert_eq!(text, "7\n");
    }

    #[test]
    fn a_stick_that_claims_anothers_id_counts_for_itself() {
        let scratch = Scratch::new();
        let counters = counters(&scratch);
        let honest = credential(1);
        let claimed = Credential {
            id: honest.id.clone(),
            ..credential(2)
        };
        counters.raise(&claimed, u32::MAX).unwrap();
        assert_eq!(counters.read(&honest), Ok(None));
        // And one key with two ids has two counters.
        let second = Credential {
            id: credential(2).id,
            ..honest.clone()
        };
        counters.raise(&second, 7).unwrap();
        assert_eq!(counters.read(&honest), Ok(None));
    }

    #[test]
    fn a_counter_never_goes_back() {
        let scratch = Scratch::new();
        let counters = counters(&scratch);
        for (value, expected) in [
            (7, 7),
            (6, 7),
            (0, 7),
            (8, 8),
            (u32::MAX, u32::MAX),
            (9, u32::MAX),
        ] {
            counters.raise(&credential(1), value).unwrap();
            assert_eq!(counters.read(&credential(1)), Ok(Some(expected)));
        }
    }

    #[test]
    fn of_two_logins_at_once_the_larger_counter_stays() {
        let scratch = Scratch::new();
        let counters = &counters(&scratch);
        thread::scope(|scope| {
            for thread in 0..8 {
                scope.spawn(move || {
                    for step in 0..20 {
                        let value = step * 8 + thread;
                        counters
                            .raise_within(Duration::from_secs(60), &credential(1), value)
                            .unwrap();
                        assert!(counters.read(&credential(1)).unwrap() >= Some(value));
                    }
                });
            }
        });
        assert_eq!(counters.read(&credential(1)), Ok(Some(159)));
    }

    #[test]
    fn a_login_does_not_hang_on_a_held_lock() {
        let scratch = Scratch::new();
        let counters = counters(&scratch);
        let _held = counters.dir.lock("lock", PATIENCE).unwrap();
        let start = Instant::now();
        let problem = counters.raise(&credential(1), 7).unwrap_err();
        assert!(matches!(
            problem,
            CounterError::CannotLock(CannotLock::Held { .. })
        ));
        assert!(start.elapsed() >= PATIENCE);
        assert!(start.elapsed() < PATIENCE * 10);
        assert!(PATIENCE <= Duration::from_millis(200));
        // Reading needs no lock.
        assert_eq!(counters.read(&credential(1)), Ok(None));
    }

    #[test]
    fn what_is_not_a_counter_is_refused_and_left_as_it_was() {
        let scratch = Scratch::new();
        let counters = counters(&scratch);
        for text in [
            "",
            "\n",
            "7",
            "7\n\n",
            "+7\n",
            "-7\n",
            " 7\n",
            "7 \n",
            "0x7\n",
            "4294967296\n",
        ] {
            let path = path_of(&scratch, &credential(1));
            std::fs::write(&path, text).unwrap();
            set_mode(&path, 0o600);
            let not_a_number = CounterError::NotANumber { path: path.clone() };
            assert_eq!(
                counters.read(&credential(1)),
                Err(not_a_number.clone()),
                "{text:?}"
            );
            assert_eq!(
                counters.raise(&credential(1), 9),
                Err(not_a_number),
                "{text:?}"
            );
            assert_eq!(std::fs::read_to_string(path).unwrap(), text);
        }
        std::fs::write(path_of(&scratch, &credential(1)), "4294967295\n").unwrap();
        assert_eq!(counters.read(&credential(1)), Ok(Some(u32::MAX)));
        let long = path_of(&scratch, &credential(1));
        std::fs::write(&long, "00000000007\n").unwrap();
        assert_eq!(
            counters.read(&credential(1)),
            Err(Untrusted::new(&long, Reason::TooLong { most: LONGEST }).into())
        );
    }

    #[test]
    fn counters_are_roots_alone() {
        let scratch = Scratch::new();
        let counters = counters(&scratch);
        counters.raise(&credential(1), 7).unwrap();
        let state = scratch.path().join("state");
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join("counters")), 0o700);
        assert_eq!(mode(&path_of(&scratch, &credential(1))), 0o600);
        assert!(SignatureCounters::open_at(&state, me() + 1).is_err());
    }

    #[test]
    fn what_an_ordinary_user_cannot_open_is_an_error_and_not_a_counter_of_none() {
        if me() != 0 {
            assert!(SignatureCounters::open().is_err());
        }
    }
}

//! A lock among writers, waited for with a deadline.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, fstat};

use super::dir::{CAREFULLY, Kind, TrustedDir, check, errno_of};
use super::untrusted::{Reason, Untrusted, shown};
use super::writing::{CannotWrite, Deed};
use crate::credential::{is_printable, printable};

/// How often a held lock is tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(10);

/// The most bytes that a holder's line can have: two numbers, and up to 400
/// characters of words.
const LONGEST_LINE: usize = 48 + 400 * 4;

/// An exclusive lock, held until dropped.
///
/// The lock file is never removed: a lock on a file without a name excludes
/// nobody. `File::lock` rather than nix's `Flock`, whose drop can panic.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would not do: a child that the host forked meanwhile
        // still has the descriptor, and with it the lock.
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

impl TrustedDir {
    /// Takes the lock `name` in this directory, which nobody else may enter,
    /// waiting no longer than `patience`.
    pub fn lock(&self, name: &str, patience: Duration) -> Result<Lock, CannotLock> {
        self.lock_saying(name, patience, "")
    }

    /// The same, with words of ours for whoever waits for it. Where there are
    /// some and they cannot be written, there is no lock.
    pub(crate) fn lock_saying(
        &self,
        name: &str,
        patience: Duration,
        words: &str,
    ) -> Result<Lock, CannotLock> {
        self.check_private()?;
        let path = self.path_of(name)?;
        let mut file = self.open_lock(name, &path)?;
        let deadline = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(problem)) => {
                    return Err(CannotWrite::new(&path, Deed::Write, errno_of(&problem)).into());
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(CannotLock::Held {
                    holder: Holder::read(&file),
                    path,
                    patience,
                });
            }
            thread::sleep(left.min(TRY_AGAIN_AFTER));
        }
        // Whose turn it is, for whoever waits. One write: whoever reads meanwhile
        // has all of it or nothing.
        let line = format!("{} {words}\n", std::process::id());
        let _ = file.set_len(0);
        let written = super::writing::may_grow()
            .and_then(|()| file.write_all(line.as_bytes()).map_err(|it| errno_of(&it)));
        let lock = Lock { file };
        match written {
            // On a full disk a lock without words is just as good without them.
            Err(errno) if !words.is_empty() => {
                Err(CannotWrite::new(&path, Deed::Write, errno).into())
            }
            Err(_) | Ok(()) => Ok(lock),
        }
    }

    /// Whoever can open a lock file can hold it for ever, so a directory for
    /// locks lets nobody else in.
    fn check_private(&self) -> Result<(), Untrusted> {
        let status = fstat(&self.descriptor)
            .map_err(|errno| Untrusted::new(&self.path, Reason::Io(errno)))?;
        let mode = status.st_mode & 0o7777;
        if mode & 0o077 != 0 {
            return Err(Untrusted::new(&self.path, Reason::NotPrivate { mode }));
        }
        Ok(())
    }

    fn open_lock(&self, name: &str, path: &Path) -> Result<File, CannotLock> {
        let flags = CAREFULLY | OFlag::O_RDWR | OFlag::O_CREAT;
        let descriptor = openat(&self.descriptor, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| match errno {
                Errno::ELOOP | Errno::ENXIO | Errno::EISDIR => {
                    CannotLock::Untrusted(Untrusted::on_opening(path, errno))
                }
                other => CannotWrite::new(path, Deed::Write, other).into(),
            })?;
        check(&descriptor, path, Kind::File, self.owner)?;
        Ok(File::from(descriptor))
    }
}

/// Who holds a lock, as far as can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    pid: u32,
    program: String,
    words: String,
}

impl Holder {
    fn read(lock: &File) -> Option<Self> {
        let mut bytes = vec![0; LONGEST_LINE];
        let length = lock.read_at(&mut bytes, 0).ok()?;
        let line = String::from_utf8_lossy(bytes.get(..length)?);
        let (pid, words) = line
            .trim_end()
            .split_once(' ')
            .unwrap_or((line.trim_end(), ""));
        let pid: u32 = pid.parse().ok()?;
        let mut program = String::new();
        // It may have gone meanwhile; then its number still helps with the log.
        if let Ok(comm) = File::open(format!("/proc/{pid}/comm")) {
            let _ = comm.take(64).read_to_string(&mut program);
        }
        Some(Self {
            pid,
            program: printable(&program, 64),
            words: words
                .chars()
                .map(|c| if c == '"' || is_printable(c) { c } else { '?' })
                .collect(),
        })
    }

    /// What it holds the lock for, where it says.
    pub(crate) fn words(&self) -> &str {
        &self.words
    }
}

/// Why a lock was not had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotLock {
    /// Somebody else holds it, and did so all the time we waited.
    Held {
        /// The lock file.
        path: PathBuf,
        /// How long we waited.
        patience: Duration,
        /// Who holds it.
        holder: Option<Holder>,
    },
    /// The lock file may not be believed.
    Untrusted(Untrusted),
    /// The lock file could not be made or locked.
    CannotWrite(CannotWrite),
}

impl From<Untrusted> for CannotLock {
    fn from(problem: Untrusted) -> Self {
        Self::Untrusted(problem)
    }
}

impl From<CannotWrite> for CannotLock {
    fn from(problem: CannotWrite) -> Self {
        Self::CannotWrite(problem)
    }
}

impl std::error::Error for CannotLock {}

impl fmt::Display for CannotLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held {
                path,
                patience,
                holder,
            } => {
                let path = shown(path);
                let waited = patience.as_secs_f32();
                match holder {
                    Some(Holder { pid, program, .. }) if program.is_empty() => {
                        write!(f, "process {pid} has held {path} for {waited} s")?;
                    }
                    Some(Holder { pid, program, .. }) => {
                        write!(
                            f,
                            "{program} (process {pid}) has held {path} for {waited} s"
                        )?;
                    }
                    None => write!(f, "another program has held {path} for {waited} s")?,
                }
                write!(f, "; wait until it is done and try again")
            }
            Self::Untrusted(problem) => problem.fmt(f),
            Self::CannotWrite(problem) => problem.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trusted_file::scratch::{Scratch, me, mode, set_mode};

    const BRIEFLY: Duration = Duration::from_millis(50);

    fn private(scratch: &Scratch) -> TrustedDir {
        set_mode(scratch.path(), 0o700);
        TrustedDir::open_owned_by(scratch.path(), me()).unwrap()
    }

    #[test]
    fn a_held_lock_is_waited_for_and_no_longer_than_said() {
        let scratch = Scratch::new();
        let dir = private(&scratch);
        let held = dir.lock("lock", BRIEFLY).unwrap();
        let start = Instant::now();
        let problem = dir.lock("lock", BRIEFLY).unwrap_err();
        assert!(start.elapsed() >= BRIEFLY);
        assert!(start.elapsed() < BRIEFLY * 20);
        let message = problem.to_string();
        let process = format!("(process {}) has held", std::process::id());
        assert!(message.contains(&process), "{message}");
        drop(held);
        assert!(dir.lock("lock", Duration::ZERO).is_ok());
    }

    #[test]
    fn a_lock_given_back_in_time_is_had() {
        let scratch = Scratch::new();
        let dir = private(&scratch);
        let held = dir.lock("lock", BRIEFLY).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(BRIEFLY);
                drop(held);
            });
            assert!(dir.lock("lock", Duration::from_secs(30)).is_ok());
        });
    }

    #[test]
    fn a_lock_goes_even_where_its_descriptor_lives_on_in_a_child() {
        let scratch = Scratch::new();
        let dir = private(&scratch);
        let held = dir.lock("lock", BRIEFLY).unwrap();
        let _as_in_a_child = held.file.try_clone().unwrap();
        drop(held);
        assert!(dir.lock("lock", Duration::ZERO).is_ok());
    }

    #[test]
    fn a_lock_where_others_could_hold_it_is_refused() {
        let scratch = Scratch::new();
        let dir = private(&scratch);
        for mode in [0o755, 0o750, 0o710, 0o701] {
            set_mode(scratch.path(), mode);
            assert_eq!(
                dir.lock("lock", BRIEFLY).unwrap_err(),
                Untrusted::new(scratch.path(), Reason::NotPrivate { mode }).into()
            );
        }
        set_mode(scratch.path(), 0o700);
        assert!(dir.lock("lock", BRIEFLY).is_ok());
        assert_eq!(mode(&scratch.path().join("lock")), 0o600);
    }

    #[test]
    fn a_lock_file_is_checked_like_any_other() {
        let scratch = Scratch::new();
        let dir = private(&scratch);
        scratch.write("lock", "");
        std::os::unix::fs::symlink("lock", scratch.path().join("link")).unwrap();
        scratch.create_dir("directory");
        std::fs::hard_link(scratch.path().join("lock"), scratch.path().join("second")).unwrap();
        for (name, reason) in [
            ("link", Reason::Link),
            ("directory", Reason::NotRegular),
            ("lock", Reason::HardLinked),
            ("../lock", Reason::NotAName),
        ] {
            let expected = Untrusted::new(&scratch.path().join(name), reason);
            assert_eq!(dir.lock(name, BRIEFLY).unwrap_err(), expected.into());
        }
    }

    #[test]
    fn a_holder_that_left_no_readable_name_is_still_reported() {
        let scratch = Scratch::new();
        let dir = private(&scratch);
        let path = scratch.path().join("lock");
        for (left, expected) in [
            ("", "another program has held"),
            ("\u{1b}[2J", "another program has held"),
            ("4294967295\n", "process 4294967295 has held"),
        ] {
            let _held = dir.lock("lock", BRIEFLY).unwrap();
            std::fs::write(&path, left).unwrap();
            let message = dir.lock("lock", Duration::ZERO).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}

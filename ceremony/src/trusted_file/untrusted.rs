//! Why a file may not be believed.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::geteuid;

use crate::credential::printable;

/// A file or directory that may not be believed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untrusted {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: Reason,
}

/// What is wrong with a file that may not be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is nothing of that name.
    Missing,
    /// A name that leads out of the directory, or is none.
    NotAName,
    /// A symbolic link.
    Link,
    /// Something else than a directory, or a link to one.
    NotDirectory,
    /// Something else than a regular file.
    NotRegular,
    /// It belongs to this user.
    WrongOwner {
        /// The owner.
        uid: u32,
    },
    /// Its group or everybody may write to it.
    Writable {
        /// The permission bits.
        mode: u32,
    },
    /// Others may look into a directory that is ours alone.
    NotPrivate {
        /// The permission bits.
        mode: u32,
    },
    /// It has a second name somewhere.
    HardLinked,
    /// Longer than any such file can be.
    TooLong {
        /// The most bytes it may have.
        most: usize,
    },
    /// Not UTF-8.
    NotText {
        /// The line, counted from 1, of the first byte that is not.
        line: usize,
    },
    /// This process may not open it; only one of root's always may.
    Forbidden {
        /// Whose process it is.
        uid: u32,
    },
    /// The system would not open or read it.
    Io(Errno),
}

impl Untrusted {
    pub(crate) fn new(path: &Path, reason: Reason) -> Self {
        Self {
            path: path.to_owned(),
            reason,
        }
    }

    /// Why a path could not even be opened the way we open paths.
    pub(super) fn on_opening(path: &Path, errno: Errno) -> Self {
        let reason = match errno {
            Errno::ENOENT => Reason::Missing,
            Errno::ELOOP => Reason::Link,
            Errno::ENOTDIR => Reason::NotDirectory,
            // A socket, a device nobody answers for, a directory opened to write.
            Errno::ENXIO | Errno::ENODEV | Errno::EISDIR => Reason::NotRegular,
            Errno::EACCES => Reason::Forbidden {
                uid: geteuid().as_raw(),
            },
            other => Reason::Io(other),
        };
        Self::new(path, reason)
    }
}

impl std::error::Error for Untrusted {}

impl fmt::Display for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = shown(&self.path);
        match self.reason {
            Reason::Missing => write!(
                f,
                "{path} is missing; install pam-passkey again or create it as root"
            ),
            Reason::NotAName => write!(f, "{path} is not the name of a file in that directory"),
            Reason::Link => write!(f, "{path} is a symbolic link; put the file itself there"),
            Reason::NotDirectory => write!(
                f,
                "{path} is not a directory (a link to one does not count)"
            ),
            Reason::NotRegular => write!(f, "{path} is not a regular file"),
            Reason::WrongOwner { uid } => write!(
                f,
                "{path} belongs to uid {uid}, not to root; look who wrote it, then: chown root {path}"
            ),
            Reason::Writable { mode } => write!(
                f,
                "{path} can be written by others (mode {mode:04o}); look who wrote it, then: chmod go-w {path}"
            ),
            Reason::NotPrivate { mode } => write!(
                f,
                "{path} is open to others (mode {mode:04o}); chmod 0700 {path}"
            ),
            Reason::HardLinked => write!(
                f,
                "{path} has a second name elsewhere (hard link); copy it and put the copy in its place"
            ),
            Reason::TooLong { most } => write!(f, "{path} has more than {most} bytes"),
            Reason::NotText { line } => write!(f, "{path}:{line}: not UTF-8 text"),
            Reason::Forbidden { uid } => write!(
                f,
                "{path} may not be opened by uid {uid}, as which this program runs"
            ),
            Reason::Io(errno) => write!(f, "{path} could not be read: {}", errno.desc()),
        }
    }
}

/// A path as a message may show it: a user's name is part of some.
pub(crate) fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy(), 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_where_and_what_to_do_and_cannot_move_the_cursor() {
        let problem = Untrusted::new(Path::new("/x/a\u{1b}b"), Reason::Writable { mode: 0o666 });
        assert_eq!(
            problem.to_string(),
            "/x/a?b can be written by others (mode 0666); \
             look who wrote it, then: chmod go-w /x/a?b"
        );
        let problem = Untrusted::new(Path::new("/x/y"), Reason::NotText { line: 7 });
        assert_eq!(problem.to_string(), "/x/y:7: not UTF-8 text");
    }

    #[test]
    fn who_may_not_open_a_file_is_named() {
        // The administrator, who is root, can open it, and would not believe it.
        let problem = Untrusted::on_opening(Path::new("/x/y"), Errno::EACCES);
        let expected = format!(
            "/x/y may not be opened by uid {}, as which this program runs",
            geteuid()
        );
        assert_eq!(problem.to_string(), expected);
    }
}

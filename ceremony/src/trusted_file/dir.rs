//! A directory that only root can have written to, held open, and reading what
//! is in it.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat};

use super::untrusted::{Reason, Untrusted};

/// What the administrator wrote: the configuration and everybody's credentials.
pub const CONFIGURATION: &str = "/etc/pam-passkey";

/// What we remember and lock: mode 0700, root's alone.
pub const STATE: &str = "/var/lib/pam-passkey";

/// The owner every trusted file has, outside the unit tests of this crate.
pub(crate) const ROOT: u32 = 0;

/// How the files and directories we trust are opened: following no link,
/// never waiting for the other end of a pipe, never passed on to a program.
pub(super) const CAREFULLY: OFlag = OFlag::O_NOFOLLOW
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// A directory only root can write to, held open. What is in it was put there
/// by root.
///
/// The directories above it are not looked at: they are `/etc` and `/var/lib`,
/// and whoever can write there needs no passkey.
#[derive(Debug)]
pub struct TrustedDir {
    pub(super) descriptor: OwnedFd,
    /// For messages only: after opening, everything goes through the descriptor.
    pub(super) path: PathBuf,
    pub(super) owner: u32,
}

impl TrustedDir {
    /// Opens the directory at `path`, which must exist.
    pub fn open(path: &Path) -> Result<Self, Untrusted> {
        Self::open_owned_by(path, ROOT)
    }

    /// [`open`](Self::open) for an owner other than root: the unit tests of
    /// this crate, which run as anybody, pass their own number.
    pub(crate) fn open_owned_by(path: &Path, owner: u32) -> Result<Self, Untrusted> {
        let descriptor = open(path, CAREFULLY | OFlag::O_DIRECTORY, Mode::empty())
            .map_err(|errno| Untrusted::on_opening(path, errno))?;
        Self::checked(descriptor, path.to_owned(), owner)
    }

    /// Opens the directory `name` in this one.
    pub fn open_dir(&self, name: &str) -> Result<Self, Untrusted> {
        let path = self.path_of(name)?;
        let descriptor = openat(
            &self.descriptor,
            name,
            CAREFULLY | OFlag::O_DIRECTORY,
            Mode::empty(),
        )
        .map_err(|errno| Untrusted::on_opening(&path, errno))?;
        Self::checked(descriptor, path, self.owner)
    }

    fn checked(descriptor: OwnedFd, path: PathBuf, owner: u32) -> Result<Self, Untrusted> {
        check(&descriptor, &path, Kind::Directory, owner)?;
        Ok(Self {
            descriptor,
            path,
            owner,
        })
    }

    /// What the file `name` says, in at most `most` bytes of UTF-8. `None`
    /// only where this directory, open and checked, said that there is no such
    /// file.
    pub fn read(&self, name: &str, most: usize) -> Result<Option<String>, Untrusted> {
        let path = self.path_of(name)?;
        let flags = CAREFULLY | OFlag::O_RDONLY;
        let descriptor = match openat(&self.descriptor, name, flags, Mode::empty()) {
            Ok(descriptor) => descriptor,
            Err(Errno::ENOENT) => return Ok(None),
            Err(errno) => return Err(Untrusted::on_opening(&path, errno)),
        };
        let size = check(&descriptor, &path, Kind::File, self.owner)?;
        let too_long = || Untrusted::new(&path, Reason::TooLong { most });
        if size > most {
            return Err(too_long());
        }
        let mut bytes = Vec::with_capacity(size);
        // One byte more than allowed tells a file that grew since it was asked
        // for its size; without a bound, one that never ends is read for ever.
        File::from(descriptor)
            .take((most as u64).saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(|problem| Untrusted::new(&path, Reason::Io(errno_of(&problem))))?;
        if bytes.len() > most {
            return Err(too_long());
        }
        String::from_utf8(bytes).map(Some).map_err(|problem| {
            let good = problem
                .as_bytes()
                .iter()
                .take(problem.utf8_error().valid_up_to());
            let line = 1 + good.filter(|byte| **byte == b'\n').count();
            Untrusted::new(&path, Reason::NotText { line })
        })
    }

    /// Where this directory is, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of `name` in this directory, if it is a name and not a way out.
    pub(super) fn path_of(&self, name: &str) -> Result<PathBuf, Untrusted> {
        let path = self.path.join(name);
        if is_file_name(name) {
            Ok(path)
        } else {
            Err(Untrusted::new(&path, Reason::NotAName))
        }
    }
}

pub(super) fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
}

/// The one check: what the open descriptor is, whose, and who else may write
/// to it. Answers with the size.
pub(super) fn check(
    open: impl AsFd,
    path: &Path,
    kind: Kind,
    owner: u32,
) -> Result<usize, Untrusted> {
    let distrust = |reason| Err(Untrusted::new(path, reason));
    let status = fstat(open).map_err(|errno| Untrusted::new(path, Reason::Io(errno)))?;
    let found = SFlag::from_bits_truncate(status.st_mode & SFlag::S_IFMT.bits());
    match kind {
        Kind::Directory if found != SFlag::S_IFDIR => return distrust(Reason::NotDirectory),
        Kind::File if found != SFlag::S_IFREG => return distrust(Reason::NotRegular),
        Kind::Directory | Kind::File => {}
    }
    if status.st_uid != owner {
        return distrust(Reason::WrongOwner { uid: status.st_uid });
    }
    // Group root counts as somebody else too: its members need not be root.
    // With an access list the group bits are its mask, so a list that lets
    // anybody write shows up here as well.
    if status.st_mode & 0o022 != 0 {
        let mode = status.st_mode & 0o7777;
        return distrust(Reason::Writable { mode });
    }
    // A second name may lie where somebody else can reach it. No name at all
    // is a file that was replaced between our open and now: old, but whole.
    if kind == Kind::File && status.st_nlink > 1 {
        return distrust(Reason::HardLinked);
    }
    Ok(usize::try_from(status.st_size).unwrap_or(usize::MAX))
}

pub(super) fn errno_of(problem: &io::Error) -> Errno {
    problem.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::super::scratch::{Scratch, me, set_mode};
    use super::*;

    const MOST: usize = 16;

    fn mine(scratch: &Scratch) -> TrustedDir {
        TrustedDir::open_owned_by(scratch.path(), me()).unwrap()
    }

    fn why_not_read(scratch: &Scratch, name: &str) -> Reason {
        mine(scratch).read(name, MOST).unwrap_err().reason
    }

    fn why_not_opened(path: &Path) -> Reason {
        TrustedDir::open_owned_by(path, me()).unwrap_err().reason
    }

    #[test]
    fn a_file_of_the_owner_is_read() {
        let scratch = Scratch::new();
        scratch.write("file", "text");
        assert_eq!(mine(&scratch).read("file", MOST), Ok(Some("text".into())));
    }

    #[test]
    fn a_file_of_another_user_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.write("file", "text");
        let mut dir = mine(&scratch);
        dir.owner = me() + 1;
        assert_eq!(
            dir.read("file", MOST),
            Err(Untrusted::new(&path, Reason::WrongOwner { uid: me() }))
        );
    }

    #[test]
    fn a_directory_of_another_user_is_refused() {
        let scratch = Scratch::new();
        scratch.create_dir("inner");
        let reason = Reason::WrongOwner { uid: me() };
        assert_eq!(
            TrustedDir::open_owned_by(scratch.path(), me() + 1).unwrap_err(),
            Untrusted::new(scratch.path(), reason)
        );
        let mut dir = mine(&scratch);
        dir.owner = me() + 1;
        assert_eq!(dir.open_dir("inner").unwrap_err().reason, reason);
    }

    #[test]
    fn the_public_door_takes_root_and_nobody_else() {
        let scratch = Scratch::new();
        assert_eq!(TrustedDir::open(scratch.path()).is_ok(), me() == 0);
        assert!(TrustedDir::open(Path::new("/")).is_ok());
    }

    #[test]
    fn a_file_others_can_write_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.write("file", "text");
        for mode in [0o664, 0o646, 0o666, 0o620] {
            set_mode(&path, mode);
            assert_eq!(why_not_read(&scratch, "file"), Reason::Writable { mode });
        }
        for mode in [0o644, 0o600, 0o755] {
            set_mode(&path, mode);
            assert!(mine(&scratch).read("file", MOST).is_ok(), "{mode:o}");
        }
    }

    #[test]
    fn a_directory_others_can_write_is_refused() {
        let scratch = Scratch::new();
        let inner = scratch.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        for mode in [0o775, 0o757, 0o1777] {
            set_mode(&inner, mode);
            assert_eq!(why_not_opened(&inner), Reason::Writable { mode });
            let problem = mine(&scratch).open_dir("inner").unwrap_err();
            assert_eq!(problem.reason, Reason::Writable { mode });
        }
        set_mode(&inner, 0o755);
        assert!(mine(&scratch).open_dir("inner").is_ok());
    }

    #[test]
    fn a_link_is_refused_even_to_a_good_file() {
        let scratch = Scratch::new();
        scratch.write("file", "text");
        symlink("file", scratch.path().join("link")).unwrap();
        symlink("nowhere", scratch.path().join("dangling")).unwrap();
        assert_eq!(why_not_read(&scratch, "link"), Reason::Link);
        // Not "no such file": that would mean "not enrolled".
        assert_eq!(why_not_read(&scratch, "dangling"), Reason::Link);
    }

    #[test]
    fn a_link_to_a_directory_is_refused() {
        let scratch = Scratch::new();
        let link = scratch.path().join("link");
        symlink(".", &link).unwrap();
        assert_eq!(why_not_opened(&link), Reason::NotDirectory);
        let problem = mine(&scratch).open_dir("link").unwrap_err();
        assert_eq!(problem.reason, Reason::NotDirectory);
    }

    #[test]
    fn what_is_not_a_regular_file_is_refused_without_waiting() {
        let scratch = Scratch::new();
        let fifo = scratch.path().join("fifo");
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        assert_eq!(why_not_read(&scratch, "fifo"), Reason::NotRegular);

        scratch.create_dir("directory");
        assert_eq!(why_not_read(&scratch, "directory"), Reason::NotRegular);

        let socket = scratch.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(socket).unwrap();
        assert_eq!(why_not_read(&scratch, "socket"), Reason::NotRegular);

        let devices = TrustedDir::open(Path::new("/dev")).unwrap();
        let problem = devices.read("zero", MOST).unwrap_err();
        assert_eq!(problem.reason, Reason::NotRegular);
    }

    #[test]
    fn what_is_not_a_directory_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.write("file", "text");
        assert_eq!(why_not_opened(&path), Reason::NotDirectory);
        // The open already refuses; so does the check, should a flag be lost.
        let open = File::open(&path).unwrap();
        let problem = check(&open, &path, Kind::Directory, me()).unwrap_err();
        assert_eq!(problem.reason, Reason::NotDirectory);
    }

    #[test]
    fn a_file_with_a_second_name_is_refused() {
        let scratch = Scratch::new();
        let path = scratch.write("file", "text");
        let second = scratch.path().join("second");
        std::fs::hard_link(&path, &second).unwrap();
        assert_eq!(why_not_read(&scratch, "file"), Reason::HardLinked);
        std::fs::remove_file(second).unwrap();
        assert!(mine(&scratch).read("file", MOST).is_ok());
    }

    #[test]
    fn a_file_replaced_after_it_was_opened_is_still_good() {
        let scratch = Scratch::new();
        let path = scratch.write("file", "old");
        let open = File::open(&path).unwrap();
        mine(&scratch).replace("file", b"new", 0o644).unwrap();
        assert_eq!(check(&open, &path, Kind::File, me()), Ok(3));
    }

    #[test]
    fn the_length_is_bounded_on_both_sides() {
        let scratch = Scratch::new();
        scratch.write("file", "x".repeat(MOST));
        assert_eq!(
            mine(&scratch).read("file", MOST).unwrap().unwrap().len(),
            MOST
        );
        scratch.write("file", "x".repeat(MOST + 1));
        let too_long = Reason::TooLong { most: MOST };
        assert_eq!(why_not_read(&scratch, "file"), too_long);
        scratch.write("file", "");
        assert_eq!(mine(&scratch).read("file", MOST), Ok(Some(String::new())));
        // Refused before there is memory for it: a terabyte of nothing.
        let sparse = File::create(scratch.path().join("file")).unwrap();
        sparse.set_len(1 << 40).unwrap();
        assert_eq!(why_not_read(&scratch, "file"), too_long);
    }

    #[test]
    fn a_file_longer_than_it_says_is_bounded_too() {
        // Files in /proc say they have no bytes at all.
        let proc = TrustedDir::open(Path::new("/proc")).unwrap();
        let problem = proc.read("meminfo", MOST).unwrap_err();
        assert_eq!(problem.reason, Reason::TooLong { most: MOST });
        assert!(proc.read("meminfo", 65_536).unwrap().is_some());
    }

    #[test]
    fn only_utf_8_is_read() {
        let scratch = Scratch::new();
        for (bytes, line) in [(b"\xff\xfe".as_slice(), 1), (b"\n\n\xe4", 3)] {
            scratch.write("file", bytes);
            assert_eq!(why_not_read(&scratch, "file"), Reason::NotText { line });
        }
    }

    #[test]
    fn only_the_checked_directory_can_say_that_there_is_no_file() {
        let scratch = Scratch::new();
        assert_eq!(mine(&scratch).read("file", MOST), Ok(None));
        assert_eq!(
            why_not_opened(&scratch.path().join("gone")),
            Reason::Missing
        );
        assert_eq!(
            mine(&scratch).open_dir("gone").unwrap_err().reason,
            Reason::Missing
        );
        // A name too long for the file system is an error, not an absence.
        assert_eq!(
            why_not_read(&scratch, &"a".repeat(256)),
            Reason::Io(Errno::ENAMETOOLONG)
        );
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_directory() {
        let scratch = Scratch::new();
        scratch.create_dir("inner");
        scratch.write("file", "text");
        let inner = mine(&scratch).open_dir("inner").unwrap();
        for name in ["", ".", "..", "../file", "/etc/passwd", "a/b", "a\0b"] {
            let not_a_name = |problem: Untrusted| problem.reason == Reason::NotAName;
            assert!(inner.read(name, MOST).is_err_and(not_a_name), "{name:?}");
            assert!(inner.open_dir(name).is_err_and(not_a_name), "{name:?}");
            assert!(inner.open_or_create_dir(name, 0o755).is_err(), "{name:?}");
            assert!(inner.remove(name).is_err(), "{name:?}");
            let problem = inner.replace(name, b"", 0o644).unwrap_err();
            assert_eq!(problem.errno, Errno::EINVAL, "{name:?}");
        }
        assert!(scratch.path().join("file").exists());
    }
}

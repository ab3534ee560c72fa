//! Making, replacing and removing what is in a trusted directory.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat, renameat};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{Mode, fchmod, mkdirat};
use nix::unistd::{UnlinkatFlags, fsync, mkdir, unlinkat};

use super::dir::{CAREFULLY, Kind, ROOT, TrustedDir, check, errno_of, is_file_name};
use super::untrusted::{Reason, Untrusted, shown};

impl TrustedDir {
    /// Opens the directory at `path`, made with `mode` where there is none.
    pub fn open_or_create(path: &Path, mode: u32) -> Result<Self, CannotOpen> {
        Self::open_or_create_owned_by(path, mode, ROOT)
    }

    pub(crate) fn open_or_create_owned_by(
        path: &Path,
        mode: u32,
        owner: u32,
    ) -> Result<Self, CannotOpen> {
        // Opened before anything is made: a reader who may not write must not
        // fail over a directory that is there.
        let open = || Self::open_owned_by(path, owner);
        match open() {
            Err(problem) if problem.reason == Reason::Missing => {}
            answer => return Ok(answer?),
        }
        make(mkdir(path, Mode::from_bits_truncate(mode)), path)?;
        let dir = open()?;
        let parent = path.parent().map(File::open).transpose();
        dir.settle(mode)
            .and_then(|()| parent.map_err(|problem| errno_of(&problem)))
            .and_then(|parent| parent.map_or(Ok(()), fsync))
            .map_err(|errno| CannotWrite::new(path, Deed::Create, errno))?;
        Ok(dir)
    }

    /// Opens the directory `name` in this one, made with `mode` where there is
    /// none.
    pub fn open_or_create_dir(&self, name: &str, mode: u32) -> Result<Self, CannotOpen> {
        let open = || self.open_dir(name);
        match open() {
            Err(problem) if problem.reason == Reason::Missing => {}
            answer => return Ok(answer?),
        }
        let path = self.path_of(name)?;
        make(
            mkdirat(&self.descriptor, name, Mode::from_bits_truncate(mode)),
            &path,
        )?;
        let dir = open()?;
        dir.settle(mode)
            .and_then(|()| fsync(&self.descriptor))
            .map_err(|errno| CannotWrite::new(&path, Deed::Create, errno))?;
        Ok(dir)
    }

    /// Gives a directory we have just made its mode, which mkdir would have
    /// narrowed by the umask of whoever called us.
    fn settle(&self, mode: u32) -> nix::Result<()> {
        fchmod(&self.descriptor, Mode::from_bits_truncate(mode))
    }

    /// Puts a file with these contents and this mode in the place of `name`,
    /// whole or not at all: a crash at any byte leaves the old or the new one.
    pub fn replace(&self, name: &str, contents: &[u8], mode: u32) -> Result<(), CannotWrite> {
        self.replace_by(name, mode, |file| file.write_all(contents))
    }

    fn replace_by(
        &self,
        name: &str,
        mode: u32,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<(), CannotWrite> {
        let cannot = |errno| CannotWrite::new(&self.path.join(name), Deed::Write, errno);
        if !is_file_name(name) {
            return Err(cannot(Errno::EINVAL));
        }
        may_grow().map_err(cannot)?;
        let (neighbour, mut file) = Neighbour::create(&self.descriptor).map_err(cannot)?;
        write(&mut file).map_err(|problem| cannot(errno_of(&problem)))?;
        // The umask of whoever called us has no say in who may read the file.
        fchmod(&file, Mode::from_bits_truncate(mode)).map_err(cannot)?;
        // Its bytes first, then its name: the other way round a power cut
        // leaves the right name on an empty file.
        fsync(&file).map_err(cannot)?;
        neighbour.take_the_place_of(name).map_err(cannot)?;
        fsync(&self.descriptor).map_err(cannot)
    }

    /// Adds `line` to the end of the file `name`, in one write; a file that is
    /// made for it is its owner's alone. Lines of two writers never mix.
    pub fn append(&self, name: &str, line: &[u8]) -> Result<(), CannotOpen> {
        let path = self.path_of(name)?;
        let cannot = |errno| CannotWrite::new(&path, Deed::Write, errno);
        let flags = CAREFULLY | OFlag::O_WRONLY | OFlag::O_APPEND | OFlag::O_CREAT;
        let descriptor = openat(&self.descriptor, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)
            .map_err(|errno| Untrusted::on_opening(&path, errno))?;
        let size = check(&descriptor, &path, Kind::File, self.owner)?;
        may_grow_to(size.saturating_add(line.len())).map_err(cannot)?;
        File::from(descriptor)
            .write_all(line)
            .map_err(|problem| cannot(errno_of(&problem)).into())
    }

    /// Removes the file `name`. One that is already gone is what was wanted.
    pub fn remove(&self, name: &str) -> Result<(), CannotWrite> {
        let cannot = |errno| CannotWrite::new(&self.path.join(name), Deed::Remove, errno);
        if !is_file_name(name) {
            return Err(cannot(Errno::EINVAL));
        }
        match unlinkat(&self.descriptor, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => fsync(&self.descriptor).map_err(cannot),
            Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(cannot(errno)),
        }
    }
}

/// Whether a file of the largest size we ever write may be written.
pub(super) fn may_grow() -> nix::Result<()> {
    may_grow_to(1024 * 1024)
}

/// Whether this process may write a file of `size` bytes. Asked first because
/// whoever called us may have set its limit to nothing (`ulimit -f`), and the
/// kernel answers a write beyond it with SIGXFSZ, which ends our host.
fn may_grow_to(size: usize) -> nix::Result<()> {
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
    if u64::try_from(size).unwrap_or(u64::MAX) > limit {
        return Err(Errno::EFBIG);
    }
    Ok(())
}

/// A directory that somebody else made meanwhile is as good as ours: it is
/// checked next.
fn make(answer: nix::Result<()>, path: &Path) -> Result<(), CannotWrite> {
    match answer {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(CannotWrite::new(path, Deed::Create, errno)),
    }
}

/// A file being written beside the one it will replace. Unless it takes that
/// one's place, it is removed.
struct Neighbour<'dir> {
    dir: &'dir OwnedFd,
    name: String,
    in_place: bool,
}

impl<'dir> Neighbour<'dir> {
    /// The name begins with a dot, so it is never a user's (`UserName`), and
    /// is random, so that two writers do not meet.
    fn create(dir: &'dir OwnedFd) -> nix::Result<(Self, File)> {
        let random = getrandom::u64().map_err(|_| Errno::EAGAIN)?;
        let name = format!(".new-{random:016x}");
        let flags = CAREFULLY | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let descriptor = openat(dir, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let neighbour = Self {
            dir,
            name,
            in_place: false,
        };
        Ok((neighbour, File::from(descriptor)))
    }

    fn take_the_place_of(mut self, name: &str) -> nix::Result<()> {
        renameat(self.dir, self.name.as_str(), self.dir, name)?;
        self.in_place = true;
        Ok(())
    }
}

impl Drop for Neighbour<'_> {
    fn drop(&mut self) {
        if !self.in_place {
            // Nobody is left to tell if this fails, and nothing ever reads it.
            let _ = unlinkat(self.dir, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// What was being done when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Making a directory.
    Create,
    /// Writing a file.
    Write,
    /// Removing a file.
    Remove,
}

/// A file that could not be written, made or removed. What was there before
/// is still there, unless only its way to the disk is in doubt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotWrite {
    /// Where it is.
    pub path: PathBuf,
    /// What was being done.
    pub deed: Deed,
    /// What the system said.
    pub errno: Errno,
}

impl CannotWrite {
    pub(crate) fn new(path: &Path, deed: Deed, errno: Errno) -> Self {
        Self {
            path: path.to_owned(),
            deed,
            errno,
        }
    }
}

impl std::error::Error for CannotWrite {}

impl fmt::Display for CannotWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deed = match self.deed {
            Deed::Create => "created",
            Deed::Write => "written",
            Deed::Remove => "removed",
        };
        write!(
            f,
            "{} could not be {deed}: {}",
            shown(&self.path),
            self.errno.desc()
        )?;
        match self.errno {
            Errno::EACCES | Errno::EPERM => write!(f, "; only root can, try with sudo"),
            Errno::ENOSPC | Errno::EDQUOT => write!(f, "; make room and try again"),
            Errno::EROFS => write!(f, "; make the file system writable and try again"),
            _ => Ok(()),
        }
    }
}

/// Why a directory that is made when missing could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotOpen {
    /// It is there, and may not be believed.
    Untrusted(Untrusted),
    /// It is not there, and could not be made.
    CannotWrite(CannotWrite),
}

impl From<Untrusted> for CannotOpen {
    fn from(problem: Untrusted) -> Self {
        Self::Untrusted(problem)
    }
}

impl From<CannotWrite> for CannotOpen {
    fn from(problem: CannotWrite) -> Self {
        Self::CannotWrite(problem)
    }
}

impl std::error::Error for CannotOpen {}

impl fmt::Display for CannotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(problem) => problem.fmt(f),
            Self::CannotWrite(problem) => problem.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::trusted_file::scratch::{Scratch, me, mode, set_mode};

    const MOST: usize = 16;

    fn mine(scratch: &Scratch) -> TrustedDir {
        TrustedDir::open_owned_by(scratch.path(), me()).unwrap()
    }

    fn names(scratch: &Scratch) -> Vec<String> {
        std::fs::read_dir(scratch.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn what_exceeds_the_hosts_limit_is_not_written() {
        let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).unwrap();
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        assert_eq!(may_grow_to(limit), Ok(()));
        if limit < usize::MAX {
            assert_eq!(may_grow_to(limit + 1), Err(Errno::EFBIG));
        }
    }

    #[test]
    fn lines_are_added_at_the_end_of_a_file_of_the_owners() {
        let scratch = Scratch::new();
        let dir = mine(&scratch);
        dir.append("file", b"one\n").unwrap();
        dir.append("file", b"two\n").unwrap();
        let path = scratch.path().join("file");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn nothing_is_added_to_a_link_a_pipe_or_a_file_that_others_may_write() {
        let scratch = Scratch::new();
        let dir = mine(&scratch);
        let writable = scratch.write("writable", "before");
        set_mode(&writable, 0o666);
        let target = scratch.write("target", "before");
        symlink(&target, scratch.path().join("link")).unwrap();
        nix::unistd::mkfifo(&scratch.path().join("pipe"), Mode::S_IRWXU).unwrap();
        for name in ["writable", "link", "pipe", "../target", ""] {
            assert!(dir.append(name, b"line").is_err(), "{name}");
        }
        for file in [writable, target] {
            assert_eq!(std::fs::read_to_string(file).unwrap(), "before");
        }
    }

    #[test]
    fn a_file_is_replaced_with_the_mode_asked_for() {
        let scratch = Scratch::new();
        for wanted in [0o644, 0o600] {
            mine(&scratch).replace("file", b"new", wanted).unwrap();
            assert_eq!(mode(&scratch.path().join("file")), wanted);
        }
        assert_eq!(mine(&scratch).read("file", MOST), Ok(Some("new".into())));
        assert_eq!(names(&scratch), ["file"]);
    }

    #[test]
    fn a_crash_at_any_byte_leaves_the_old_or_the_new() {
        let scratch = Scratch::new();
        scratch.write("file", "old");
        let dir = mine(&scratch);
        dir.replace_by("file", 0o644, |file| {
            for byte in b"newer" {
                file.write_all(&[*byte])?;
                assert_eq!(dir.read("file", MOST), Ok(Some("old".into())));
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(dir.read("file", MOST), Ok(Some("newer".into())));
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_and_nothing_beside_it() {
        let scratch = Scratch::new();
        scratch.write("file", "old");
        let dir = mine(&scratch);
        let problem = dir
            .replace_by("file", 0o644, |file| {
                file.write_all(b"ne")?;
                Err(Errno::ENOSPC.into())
            })
            .unwrap_err();
        assert_eq!(problem.errno, Errno::ENOSPC);
        assert!(problem.to_string().ends_with("; make room and try again"));
        assert_eq!(dir.read("file", MOST), Ok(Some("old".into())));
        assert_eq!(names(&scratch), ["file"]);

        // Neither does one that fails at the very last step.
        scratch.create_dir("directory");
        assert!(dir.replace("directory", b"new", 0o644).is_err());
        assert_eq!(names(&scratch).len(), 2);
    }

    #[test]
    fn replacing_a_link_does_not_write_through_it() {
        let scratch = Scratch::new();
        scratch.write("victim", "old");
        symlink("victim", scratch.path().join("file")).unwrap();
        let dir = mine(&scratch);
        dir.replace("file", b"new", 0o644).unwrap();
        assert_eq!(dir.read("victim", MOST), Ok(Some("old".into())));
        assert_eq!(dir.read("file", MOST), Ok(Some("new".into())));
    }

    #[test]
    fn a_file_is_removed_once_and_its_absence_is_no_error() {
        let scratch = Scratch::new();
        scratch.write("file", "text");
        mine(&scratch).remove("file").unwrap();
        assert_eq!(mine(&scratch).read("file", MOST), Ok(None));
        mine(&scratch).remove("file").unwrap();
    }

    #[test]
    fn a_missing_directory_is_made_with_the_mode_asked_for() {
        let scratch = Scratch::new();
        for wanted in [0o755, 0o700] {
            let path = scratch.path().join(format!("outer{wanted:o}"));
            let outer = TrustedDir::open_or_create_owned_by(&path, wanted, me()).unwrap();
            outer.open_or_create_dir("inner", wanted).unwrap();
            assert_eq!((mode(&path), mode(&path.join("inner"))), (wanted, wanted));
            // Whatever the umask of these tests took away.
            outer.settle(0o777).unwrap();
            assert_eq!(mode(&path), 0o777);
            // What is there already keeps the mode its administrator gave it.
            set_mode(&path, 0o711);
            TrustedDir::open_or_create_owned_by(&path, wanted, me()).unwrap();
            assert_eq!(mode(&path), 0o711);
        }
    }

    #[test]
    fn a_directory_that_was_there_is_checked_like_any_other() {
        let scratch = Scratch::new();
        let path = scratch.path().join("inner");
        std::fs::create_dir(&path).unwrap();
        set_mode(&path, 0o777);
        let writable = Untrusted::new(&path, Reason::Writable { mode: 0o777 });
        assert_eq!(
            TrustedDir::open_or_create_owned_by(&path, 0o755, me()).unwrap_err(),
            writable.clone().into()
        );
        assert_eq!(
            mine(&scratch)
                .open_or_create_dir("inner", 0o755)
                .unwrap_err(),
            writable.into()
        );
    }
}

//! A file that is to be: its place is kept before anybody is asked for a touch,
//! and what is written there is whole or not there at all.
//!
//! Until it has its name the file has none (`O_TMPFILE`): whoever ends us, at
//! whatever moment, leaves nothing behind. Where a file system knows no such
//! files it has a hidden neighbour's name, which goes with us unless we are
//! killed.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fmt;
use std::fs::{DirBuilder, File};
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{
    AT_FDCWD, AtFlags, FallocateFlags, OFlag, RenameFlags, fallocate, open, openat, renameat,
    renameat2,
};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat, stat};
use nix::unistd::{UnlinkatFlags, fsync, linkat, unlinkat};

use crate::failure::Failure;
use crate::key_name::quoted_if_need_be;

/// The room that is kept for a file: more than any of ours needs.
const ROOM: u16 = 32 * 1024;

/// What may be done where there is a file already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// It stays, and nothing is written.
    Stays,
    /// It is replaced.
    IsReplaced,
}

impl Existing {
    /// By the option `--force`.
    pub(crate) fn by(force: bool) -> Self {
        if force { Self::IsReplaced } else { Self::Stays }
    }
}

/// A file that has its place, and not yet its name.
#[derive(Debug)]
pub(crate) struct NewFile {
    directory: OwnedFd,
    path: PathBuf,
    file: File,
    /// Its name until then, where it needs one.
    neighbour: Option<String>,
    existing: Existing,
}

impl NewFile {
    /// Keeps the place at `path`.
    pub(crate) fn reserve(path: &Path, existing: Existing) -> Result<Self, CannotWrite> {
        let cannot = |why| CannotWrite {
            path: path.to_owned(),
            why,
        };
        let name = path.file_name().ok_or(cannot(Why::NoName))?;
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let flags = OFlag::O_DIRECTORY | OFlag::O_RDONLY | OFlag::O_CLOEXEC;
        let directory =
            open(directory, flags, Mode::empty()).map_err(|why| cannot(Why::Directory(why)))?;
        look(&directory, name, existing).map_err(cannot)?;
        let (file, neighbour) = unnamed(&directory).map_err(|why| cannot(Why::System(why)))?;
        let reserved = Self {
            directory,
            path: path.to_owned(),
            file,
            neighbour,
            existing,
        };
        reserved.make_room_beside(0)?;
        Ok(reserved)
    }

    /// Keeps room for so many bytes besides. A full disk is found out now.
    pub(crate) fn make_room_beside(&self, bytes: u32) -> Result<(), CannotWrite> {
        self.make_room(u64::from(bytes) + u64::from(ROOM))
            .map_err(|why| CannotWrite {
                path: self.path.clone(),
                why: Why::System(why),
            })
    }

    fn make_room(&self, bytes: u64) -> nix::Result<()> {
        // The kernel answers a write beyond this limit with a signal.
        let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE)?;
        if limit < bytes {
            return Err(Errno::EFBIG);
        }
        let bytes = i64::try_from(bytes).map_err(|_| Errno::EFBIG)?;
        match fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            // Some file systems cannot keep room.
            Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) => Ok(()),
            Err(problem) => Err(problem),
        }
    }

    /// The directory it will be in.
    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Where it will be.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether both would be one file.
    pub(crate) fn is_at(&self, other: &Self) -> bool {
        let directory = |it: &Self| fstat(&it.directory).map(|it| (it.st_dev, it.st_ino));
        match (directory(self), directory(other)) {
            (Ok(one), Ok(another)) => {
                one == another && self.path.file_name() == other.path.file_name()
            }
            // Who cannot tell does not write one over the other.
            _ => true,
        }
    }

    /// Whether the file at `path` would be replaced.
    pub(crate) fn replaces(&self, path: &Path) -> bool {
        let Some(name) = self.path.file_name() else {
            return false;
        };
        let there = fstatat(&self.directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        match (there, stat(path)) {
            (Ok(there), Ok(it)) => (there.st_dev, there.st_ino) == (it.st_dev, it.st_ino),
            _ => false,
        }
    }

    /// Writes these contents, and gives the file its mode and its name.
    pub(crate) fn fill(mut self, contents: &[u8], mode: u32) -> Result<(), CannotWrite> {
        let written = self.write(contents, mode).and_then(|()| self.name());
        written.map_err(|why| CannotWrite {
            path: self.path.clone(),
            why,
        })
    }

    fn write(&mut self, contents: &[u8], mode: u32) -> Result<(), Why> {
        let io = |problem: std::io::Error| {
            Why::System(problem.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
        };
        self.file.write_all(contents).map_err(io)?;
        self.file.set_len(contents.len() as u64).map_err(io)?;
        // The umask has no say in who may read a public key.
        let mode = std::fs::Permissions::from_mode(mode);
        self.file.set_permissions(mode).map_err(io)?;
        // Its bytes first, then its name: the other way round a power cut leaves
        // the right name on an empty file.
        self.file.sync_all().map_err(io)
    }

    fn name(&mut self) -> Result<(), Why> {
        let name = self.path.file_name().ok_or(Why::NoName)?.to_owned();
        // Once more: something may have come while a key was touched.
        look(&self.directory, &name, self.existing)?;
        match (self.existing, self.neighbour.take()) {
            (Existing::Stays, None) => self.link(&name),
            (Existing::Stays, Some(neighbour)) => {
                let flags = RenameFlags::RENAME_NOREPLACE;
                let from = neighbour.as_str();
                renameat2(
                    &self.directory,
                    from,
                    &self.directory,
                    name.as_os_str(),
                    flags,
                )
                .or_else(|problem| match problem {
                    // NFS and others cannot rename so.
                    Errno::EINVAL | Errno::ENOSYS => self.name_besides(from, &name),
                    other => Err(other),
                })
                .inspect_err(|_| self.neighbour = Some(neighbour))
            }
            (Existing::IsReplaced, neighbour) => {
                let neighbour = match neighbour {
                    Some(neighbour) => neighbour,
                    None => self.link_beside()?,
                };
                let from = neighbour.as_str();
                renameat(&self.directory, from, &self.directory, name.as_os_str())
                    .inspect_err(|_| self.neighbour = Some(neighbour))
            }
        }
        .map_err(|problem| match problem {
            Errno::EEXIST => Why::Exists,
            other => Why::System(other),
        })?;
        match fsync(&self.directory) {
            // Some file systems know none for directories; the name is there.
            Ok(()) | Err(Errno::EINVAL) => Ok(()),
            Err(problem) => Err(Why::System(problem)),
        }
    }

    /// Names the file that goes by `neighbour` so far, where nothing has the name,
    /// on a file system that cannot rename unless it is taken.
    fn name_besides(&self, neighbour: &str, name: &OsStr) -> nix::Result<()> {
        let directory = &self.directory;
        match linkat(directory, neighbour, directory, name, AtFlags::empty()) {
            Ok(()) => unlinkat(directory, neighbour, UnlinkatFlags::NoRemoveDir),
            Err(Errno::EPERM | Errno::EOPNOTSUPP | Errno::ENOSYS) => {
                self.name_over_an_empty_one(neighbour, name)
            }
            Err(problem) => Err(problem),
        }
    }

    /// The same where there are no second names either: whoever makes the empty
    /// file has the name.
    fn name_over_an_empty_one(&self, neighbour: &str, name: &OsStr) -> nix::Result<()> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
        let directory = &self.directory;
        drop(openat(directory, name, flags, Mode::S_IRUSR)?);
        renameat(directory, neighbour, directory, name).inspect_err(|_| {
            // Ours, and empty.
            let _ = unlinkat(directory, name, UnlinkatFlags::NoRemoveDir);
        })
    }

    fn link(&self, name: &OsStr) -> nix::Result<()> {
        let ours = by_descriptor(&self.file);
        let follow = AtFlags::AT_SYMLINK_FOLLOW;
        linkat(AT_FDCWD, ours.as_str(), &self.directory, name, follow)
    }

    fn link_beside(&self) -> Result<String, Why> {
        let neighbour = neighbours_name().map_err(Why::System)?;
        self.link(OsStr::new(&neighbour)).map_err(Why::System)?;
        Ok(neighbour)
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if let Some(neighbour) = &self.neighbour {
            // Nobody is left to tell if this fails, and nothing ever reads it.
            let flags = UnlinkatFlags::NoRemoveDir;
            let _ = unlinkat(&self.directory, neighbour.as_str(), flags);
        }
    }
}

/// The one way to name a file that has no name without a capability.
fn by_descriptor(file: &impl AsRawFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Makes `~/.ssh` as OpenSSH does, where it is missing.
pub(crate) fn make_directory(path: &Path) -> Result<(), CannotWrite> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(problem) if problem.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(problem) => Err(CannotWrite {
            path: path.to_owned(),
            why: Why::System(problem.raw_os_error().map_or(Errno::EIO, Errno::from_raw)),
        }),
    }
}

/// Whether `name` may be written in `directory`.
fn look(directory: &OwnedFd, name: &OsStr, existing: Existing) -> Result<(), Why> {
    let kind = |found: FileStat| SFlag::from_bits_truncate(found.st_mode) & SFlag::S_IFMT;
    match fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW).map(kind) {
        Err(Errno::ENOENT) => Ok(()),
        Err(problem) => Err(Why::System(problem)),
        Ok(SFlag::S_IFLNK) => Err(Why::IsALink),
        Ok(SFlag::S_IFREG) if existing == Existing::IsReplaced => Ok(()),
        Ok(SFlag::S_IFREG) => Err(Why::Exists),
        Ok(_) => Err(Why::IsNoFile),
    }
}

/// A file in `directory` without a name; its name, where it must have one.
fn unnamed(directory: &OwnedFd) -> nix::Result<(File, Option<String>)> {
    let flags = OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    match openat(directory, ".", flags | OFlag::O_TMPFILE, mode) {
        Ok(file) if Path::new(&by_descriptor(&file)).exists() => return Ok((file.into(), None)),
        // One that cannot be named later, as without /proc; and the answers of a
        // kernel or a file system that knows no such files.
        Ok(_) | Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL) => {}
        Err(problem) => return Err(problem),
    }
    let name = neighbours_name()?;
    let flags = flags | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    let file = openat(directory, name.as_str(), flags, mode)?;
    Ok((file.into(), Some(name)))
}

fn neighbours_name() -> nix::Result<String> {
    let random = getrandom::u64().map_err(|_| Errno::EAGAIN)?;
    Ok(format!(".passkey-{random:016x}"))
}

/// Why a file cannot be written. What was there before is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CannotWrite {
    path: PathBuf,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// The path names no file.
    NoName,
    /// Its directory cannot be opened.
    Directory(Errno),
    /// There is a file already.
    Exists,
    /// A symbolic link is in the way.
    IsALink,
    /// A directory or device is in the way.
    IsNoFile,
    /// What the system said.
    System(Errno),
}

impl fmt::Display for CannotWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = quoted_if_need_be(&self.path.display().to_string());
        match self.why {
            Why::NoName => write!(f, "{path} names no file"),
            Why::Directory(errno) => {
                write!(
                    f,
                    "the directory of {path} cannot be opened: {}",
                    errno.desc()
                )
            }
            Why::Exists => write!(f, "{path} is there already"),
            Why::IsALink => write!(
                f,
                "{path} is a symbolic link, and nothing is written through one"
            ),
            Why::IsNoFile => write!(f, "{path} is there already, and is no file"),
            Why::System(errno) => write!(f, "{path} cannot be written: {}", errno.desc()),
        }
    }
}

impl CannotWrite {
    /// Whether no file at all can be written there.
    pub(crate) fn is_about_the_directory(&self) -> bool {
        matches!(self.why, Why::Directory(_) | Why::System(_))
    }

    /// The pair of sentences; `force` is how to replace what is there, and
    /// `elsewhere` how to write to another place.
    pub(crate) fn failure(&self, force: &str, elsewhere: &str) -> Failure {
        let what_to_do = match self.why {
            Why::NoName | Why::IsALink | Why::IsNoFile => format!("choose another: {elsewhere}"),
            Why::Directory(Errno::ENOENT) => {
                format!("make the directory, or choose another: {elsewhere}")
            }
            Why::Exists => format!(
                "choose another: {elsewhere}; or replace it, and lose what it is good for: {force}"
            ),
            Why::System(Errno::ENOSPC | Errno::EDQUOT) => {
                format!("make room, or choose another place: {elsewhere}")
            }
            Why::Directory(_) | Why::System(_) => format!("choose another place: {elsewhere}"),
        };
        Failure::new(self.to_string(), what_to_do)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory that vanishes.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            let name = format!("passkey-{:016x}", getrandom::u64().unwrap());
            let path = std::env::temp_dir().join(name);
            fs::create_dir(&path).unwrap();
            Self(path)
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> = entries
                .map(|it| it.unwrap().file_name().into_string().unwrap())
                .collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_that_is_not_filled_leaves_nothing_behind() {
        let scratch = Scratch::new();
        let file = scratch.0.join("key");
        let reserved = NewFile::reserve(&file, Existing::Stays).unwrap();
        assert!(!file.exists());
        drop(reserved);
        assert!(scratch.names().is_empty());
    }

    #[test]
    fn a_file_has_its_contents_and_its_mode_whatever_the_umask() {
        let scratch = Scratch::new();
        for (existing, contents, mode) in [
            (Existing::Stays, &b"one"[..], 0o600),
            (Existing::IsReplaced, b"another one", 0o644),
            (Existing::IsReplaced, b"", 0o644),
        ] {
            let file = scratch.0.join("key");
            let reserved = NewFile::reserve(&file, existing).unwrap();
            reserved.fill(contents, mode).unwrap();
            assert_eq!(fs::read(&file).unwrap(), contents);
            let found = fs::metadata(&file).unwrap().permissions().mode();
            assert_eq!(found & 0o7777, mode);
            assert_eq!(scratch.names(), ["key"]);
        }
    }

    #[test]
    fn a_named_neighbour_does_the_same_and_goes_when_it_is_not_needed() {
        let scratch = Scratch::new();
        let named = |existing| {
            let file = scratch.0.join("key");
            let mut reserved = NewFile::reserve(&file, existing).unwrap();
            let name = neighbours_name().unwrap();
            reserved.file = File::create_new(scratch.0.join(&name)).unwrap();
            reserved.neighbour = Some(name);
            reserved
        };
        drop(named(Existing::Stays));
        assert!(scratch.names().is_empty());
        named(Existing::Stays).fill(b"one", 0o600).unwrap();
        named(Existing::IsReplaced).fill(b"two", 0o600).unwrap();
        assert_eq!(fs::read(scratch.0.join("key")).unwrap(), b"two");
        assert_eq!(scratch.names(), ["key"]);
    }

    #[test]
    fn a_file_system_that_cannot_rename_unless_taken_takes_a_new_file_and_keeps_an_old_one() {
        type Name = fn(&NewFile, &str, &OsStr) -> nix::Result<()>;
        for name in [
            NewFile::name_besides as Name,
            NewFile::name_over_an_empty_one as Name,
        ] {
            let scratch = Scratch::new();
            let reserved = NewFile::reserve(&scratch.0.join("key"), Existing::Stays).unwrap();
            let place = |contents: &str| {
                fs::write(scratch.0.join("neighbour"), contents).unwrap();
                name(&reserved, "neighbour", OsStr::new("key"))
            };
            place("one").unwrap();
            assert_eq!(fs::read(scratch.0.join("key")).unwrap(), b"one");
            assert_eq!(scratch.names(), ["key"]);
            assert_eq!(place("two"), Err(Errno::EEXIST));
            assert_eq!(fs::read(scratch.0.join("key")).unwrap(), b"one");
        }
    }

    #[test]
    fn two_files_of_one_place_are_told_from_two_of_two() {
        let scratch = Scratch::new();
        let around = scratch.0.join("../").join(scratch.0.file_name().unwrap());
        let at = |path: PathBuf| NewFile::reserve(&path, Existing::IsReplaced).unwrap();
        let key = at(scratch.0.join("key"));
        assert!(key.is_at(&at(around.join("key"))));
        assert!(!key.is_at(&at(scratch.0.join("key.pub"))));
        fs::create_dir(scratch.0.join("inside")).unwrap();
        assert!(!key.is_at(&at(scratch.0.join("inside/key"))));

        assert!(!key.replaces(&scratch.0.join("key")));
        fs::write(scratch.0.join("key"), "first").unwrap();
        symlink(scratch.0.join("key"), scratch.0.join("link")).unwrap();
        assert!(key.replaces(&around.join("key")));
        assert!(key.replaces(&scratch.0.join("link")));
        assert!(!key.replaces(&scratch.0.join("inside")));
    }

    #[test]
    fn what_is_there_stays_unless_it_is_to_be_replaced() {
        let scratch = Scratch::new();
        let file = scratch.0.join("key");
        fs::write(&file, "precious").unwrap();
        let refused = NewFile::reserve(&file, Existing::Stays).unwrap_err();
        assert_eq!(refused.why, Why::Exists);
        assert_eq!(fs::read(&file).unwrap(), b"precious");
    }

    #[test]
    fn what_came_while_a_key_was_touched_stays_too() {
        let scratch = Scratch::new();
        let file = scratch.0.join("key");
        let reserved = NewFile::reserve(&file, Existing::Stays).unwrap();
        fs::write(&file, "precious").unwrap();
        let refused = reserved.fill(b"ours", 0o600).unwrap_err();
        assert_eq!(refused.why, Why::Exists);
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        assert_eq!(scratch.names(), ["key"]);
    }

    #[test]
    fn nothing_is_written_through_a_link_or_over_a_directory() {
        let scratch = Scratch::new();
        let target = scratch.0.join("target");
        fs::write(&target, "precious").unwrap();
        symlink(&target, scratch.0.join("link")).unwrap();
        symlink(scratch.0.join("nowhere"), scratch.0.join("dangling")).unwrap();
        fs::create_dir(scratch.0.join("directory")).unwrap();
        for existing in [Existing::Stays, Existing::IsReplaced] {
            for (name, why) in [
                ("link", Why::IsALink),
                ("dangling", Why::IsALink),
                ("directory", Why::IsNoFile),
            ] {
                let refused = NewFile::reserve(&scratch.0.join(name), existing).unwrap_err();
                assert_eq!(refused.why, why, "{name}");
            }
        }
        assert_eq!(fs::read(&target).unwrap(), b"precious");
        let missing = scratch.0.join("missing/key");
        let refused = NewFile::reserve(&missing, Existing::Stays).unwrap_err();
        assert_eq!(refused.why, Why::Directory(Errno::ENOENT));
        let nameless = NewFile::reserve(Path::new("/"), Existing::Stays);
        assert_eq!(nameless.unwrap_err().why, Why::NoName);
    }
}

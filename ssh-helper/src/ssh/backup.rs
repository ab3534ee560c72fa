//! `passkey ssh backup`: a key noted in a backup file, from which its
//! private-key file can be made anew.
#![forbid(unsafe_code)]

mod contents;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use ceremony::challenge::rfc3339;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;
use serde::Serialize;

pub(crate) use contents::{Contents, LARGEST, NotABackup, Note};

use super::key_file::KeyFile;
use super::new_file::{CannotWrite, Existing, NewFile};
use super::{opening, show};
use crate::cli::ssh;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key_name::quoted_if_need_be;
use crate::screen::{Report, Screen};

/// How long another who adds a key is waited for; it takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// How often it is looked whether they are done.
const EVERY: Duration = Duration::from_millis(20);

/// Notes the key of a private-key file.
pub(crate) fn backup(wanted: &ssh::Backup, screen: &mut Screen) -> Result<(), Failure> {
    // First: nobody shall type a passphrase for nothing.
    let otherwise = format!("passkey ssh backup {} --to FILE", shown(&wanted.file));
    let backup = Backup::reserve(&wanted.to, &otherwise)?;
    let key = opening::open(&wanted.file, wanted.passphrase_file.as_deref(), screen)?.key;
    let noted = backup.add(&key, &otherwise)?;
    for fault in &noted.faults {
        screen.say(&format!("Passed over, and kept as it is: {fault}."));
    }
    screen.report(&Done {
        backup: wanted.to.display().to_string(),
        fingerprint: key.fingerprint().map_err(show::unwritten)?,
        keys: noted.keys,
        word: match noted.what {
            What::Noted => "noted",
            What::NotedBefore => "noted before",
        },
    })
}

/// A backup file in which a key will be noted. That it can be was found out
/// before anybody is asked for a touch.
#[derive(Debug)]
pub(crate) struct Backup {
    place: NewFile,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Noted {
    /// Whether there was something to do.
    pub(crate) what: What,
    /// How many keys the file has now.
    pub(crate) keys: usize,
    /// Where it has what cannot be understood, and what is wrong there.
    pub(crate) faults: Vec<String>,
}

/// Whether a key was noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// It was.
    Noted,
    /// It was in the file before, which is as it was.
    NotedBefore,
}

/// A backup file that is there.
struct Found {
    text: String,
    contents: Contents,
    mode: u32,
}

impl Backup {
    /// Finds out whether a key can be noted in the file at `path`, which may not
    /// be there yet, and keeps room for it; `otherwise` is what to type to choose
    /// another.
    pub(crate) fn reserve(path: &Path, otherwise: &str) -> Result<Self, Failure> {
        let cannot = |problem: CannotWrite| problem.failure(otherwise, otherwise);
        let place = NewFile::reserve(path, Existing::IsReplaced).map_err(cannot)?;
        let backup = Self { place };
        if let Some(found) = backup.found(otherwise)? {
            let length = u32::try_from(found.text.len()).unwrap_or(u32::MAX);
            backup.place.make_room_beside(length).map_err(cannot)?;
        }
        Ok(backup)
    }

    /// Notes `key`: all of it, or nothing where this fails; `otherwise` is what to
    /// type to choose another file then.
    pub(crate) fn add(self, key: &KeyFile, otherwise: &str) -> Result<Noted, Failure> {
        let shown = shown(self.path());
        let _lock = self.lock(otherwise)?;
        // Once more: another may have noted a key since.
        let found = self.found(otherwise)?;
        let (text, contents, mode) = match found {
            Some(found) => (found.text, found.contents, found.mode),
            None => (String::new(), Contents::default(), 0o600),
        };
        let faults = contents.faults.iter().map(|it| format!("{shown}, {it}"));
        let mut noted = Noted {
            what: What::NotedBefore,
            keys: contents.notes.len(),
            faults: faults.collect(),
        };
        let same = |note: &&Note| note.key.public_key == key.public_key;
        if let Some(note) = contents.notes.iter().find(same) {
            if (&note.key.id, note.key.flags) == (&key.id, key.flags) {
                return Ok(noted);
            }
            return Err(Failure::new(
                format!(
                    "line {} of {shown} says something else of this key: another id, or other \
                     demands",
                    note.line
                ),
                format!(
                    "one of them is wrong; take that record out, or choose another file: {otherwise}"
                ),
            ));
        }
        let added = rfc3339(SystemTime::now());
        let text = added.and_then(|added| contents::with(&text, key, &added).ok());
        let text = text.ok_or_else(|| {
            Failure::new(
                "the key could not be written as text",
                "nothing was noted; check the clock (date), and keep a copy of the private-key file",
            )
        })?;
        if text.len() > LARGEST {
            return Err(Failure::new(
                format!("{shown} would have more than {LARGEST} bytes"),
                format!("choose another file: {otherwise}"),
            ));
        }
        let cannot = |problem: CannotWrite| problem.failure(otherwise, otherwise);
        self.place.fill(text.as_bytes(), mode).map_err(cannot)?;
        noted.what = What::Noted;
        noted.keys += 1;
        Ok(noted)
    }

    /// Where it will be.
    pub(crate) fn place(&self) -> &NewFile {
        &self.place
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    /// Keeps others who note keys in this directory waiting. Where the file
    /// system knows no such locks there is none, and whoever writes last wins.
    fn lock(&self, otherwise: &str) -> Result<Option<Flock<OwnedFd>>, Failure> {
        let deadline = Instant::now() + PATIENCE;
        let Ok(mut directory) = self.place.directory().try_clone() else {
            return Ok(None);
        };
        loop {
            match Flock::lock(directory, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Some(lock)),
                Err((same, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < deadline => {
                    directory = same;
                    thread::sleep(EVERY);
                }
                Err((_, Errno::EWOULDBLOCK | Errno::EINTR)) => {
                    return Err(Failure::new(
                        format!(
                            "another program has kept the directory of {} locked for {} s",
                            shown(self.path()),
                            PATIENCE.as_secs()
                        ),
                        format!("wait until it is done, or choose another place: {otherwise}"),
                    ));
                }
                Err(_) => return Ok(None),
            }
        }
    }

    /// The file as it is now.
    fn found(&self, otherwise: &str) -> Result<Option<Found>, Failure> {
        let path = self.path();
        let cannot = |problem: &str| {
            Failure::new(
                format!("no key can be noted in {}: {problem}", shown(path)),
                format!("choose a file that you may read and write, or none: {otherwise}"),
            )
        };
        let Some(name) = path.file_name() else {
            return Err(cannot("it names no file"));
        };
        // To write as well, though it is replaced whole: who made it read-only
        // did not mean us to.
        let flags = OFlag::O_RDWR
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        let file = match openat(self.place.directory(), name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(None),
            Err(problem) => return Err(cannot(problem.desc())),
        };
        let found = file.metadata().map_err(|it| cannot(&it.to_string()))?;
        if !found.is_file() {
            return Err(cannot("it is not a file"));
        }
        if found.uid() != geteuid().as_raw() {
            return Err(Failure::new(
                format!("{} is another's (uid {})", shown(path), found.uid()),
                format!("run this as who it belongs to, or choose another file: {otherwise}"),
            ));
        }
        let bytes = read(file).map_err(|it| cannot(&it.to_string()))?;
        let contents = Contents::parse(&bytes).map_err(|problem| {
            Failure::new(
                format!("{} is not a backup file: {problem}", shown(path)),
                format!("nothing was changed in it; choose another, or one that is not there yet: {otherwise}"),
            )
        })?;
        Ok(Some(Found {
            // What was parsed is text.
            text: String::from_utf8(bytes).unwrap_or_default(),
            contents,
            mode: found.mode() & 0o777,
        }))
    }
}

/// What is in a file, up to one byte more than a backup file may have.
fn read(file: File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(LARGEST as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The backup file at `path`, to be read.
pub(crate) fn read_at(path: &Path) -> Result<Contents, Failure> {
    let cannot = |problem: &str| {
        Failure::new(
            format!("{} cannot be read: {problem}", shown(path)),
            "name the backup file, and one that you may read",
        )
    };
    let file = nix::fcntl::open(
        path,
        // A pipe that nobody writes to must not keep us.
        OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(|problem| cannot(problem.desc()))?;
    let file = File::from(file);
    match file.metadata() {
        Ok(found) if !found.is_file() => return Err(cannot("it is not a file")),
        Ok(found) => only_we_write(found.uid(), found.mode(), path)?,
        Err(problem) => return Err(cannot(&problem.to_string())),
    }
    let bytes = read(file).map_err(|problem| cannot(&problem.to_string()))?;
    Contents::parse(&bytes).map_err(|problem| {
        let what_to_do = match problem {
            NotABackup::Version(_) => "a newer passkey made it; use that one",
            _ => "name a file that passkey ssh backup wrote",
        };
        Failure::new(
            format!("{} is not a backup file: {problem}", shown(path)),
            what_to_do,
        )
    })
}

/// A backup is no secret, but who can write there can put a key of their own
/// under somebody's name, and its line would go to the servers.
fn only_we_write(owner: u32, mode: u32, path: &Path) -> Result<(), Failure> {
    let shown = shown(path);
    if owner != 0 && owner != geteuid().as_raw() {
        return Err(Failure::new(
            format!("{shown} belongs to somebody else, who may have put other keys there"),
            "copy it, look whether its keys are yours, and name the copy",
        ));
    }
    if mode & 0o022 != 0 {
        return Err(Failure::new(
            format!("{shown} can be changed by others, who may have put other keys there"),
            format!("look whether its keys are yours; then: chmod go-w {shown}"),
        ));
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    quoted_if_need_be(&path.display().to_string())
}

/// It was done.
#[derive(Serialize)]
struct Done {
    backup: String,
    fingerprint: String,
    /// How many are in the file now.
    keys: usize,
    #[serde(rename = "done")]
    word: &'static str,
}

impl Report for Done {
    fn lines(&self, _: Ink) -> Vec<String> {
        let file = shown(&PathBuf::from(&self.backup));
        let keys = match self.keys {
            1 => "1 key".to_owned(),
            keys => format!("{keys} keys"),
        };
        let fingerprint = &self.fingerprint;
        if self.word != "noted" {
            return vec![format!(
                "{fingerprint} was in {file} before, which is as it was ({keys})."
            )];
        }
        vec![
            format!("Noted {fingerprint} in {file}, which now has {keys}."),
            "There is no secret in it: it is of use only to who has the security key. \
             But nobody else should be able to change it."
                .to_owned(),
            format!(
                "If the private-key file is lost: passkey ssh recover {file} --fingerprint {fingerprint}"
            ),
            format!("Undo with an editor: take its [[key]] out of {file}."),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::contents::tests::file;
    use super::*;
    use crate::ssh::key_file::Flags;
    use crate::ssh::key_file::tests::ecdsa;
    use crate::ssh::new_file::tests::Scratch;

    impl Scratch {
        fn backup(&self) -> PathBuf {
            self.0.join("my backup")
        }

        fn keys(&self) -> Vec<KeyFile> {
            let notes = read_at(&self.backup()).unwrap().notes;
            notes.into_iter().map(|note| note.key).collect()
        }
    }

    fn add(path: &Path, key: &KeyFile) -> Result<Noted, Failure> {
        Backup::reserve(path, "--to FILE")?.add(key, "--to FILE")
    }

    #[test]
    fn keys_are_added_one_by_one_and_the_files_mode_stays() {
        let scratch = Scratch::new();
        let path = scratch.backup();
        let keys = [ecdsa("ssh:one", 64), ecdsa("ssh:two", 1023)];
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(add(&path, &keys[0]).unwrap().what, What::Noted);
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(add(&path, &keys[1]).unwrap().keys, 2);
        assert_eq!(mode(), 0o640);
        assert_eq!(scratch.keys(), keys);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    }

    #[test]
    fn a_key_is_not_noted_twice_and_never_contradicted() {
        let scratch = Scratch::new();
        let path = scratch.backup();
        let key = ecdsa("ssh:", 64);
        add(&path, &key).unwrap();
        let before = fs::read(&path).unwrap();
        let renamed = KeyFile {
            comment: "another comment".to_owned(),
            ..key.clone()
        };
        let noted = add(&path, &renamed).unwrap();
        assert_eq!((noted.what, noted.keys), (What::NotedBefore, 1));
        let (other_id, other_flags) = (
            ecdsa("ssh:", 65),
            KeyFile {
                flags: Flags::of(true, true, false),
                ..key
            },
        );
        for other in [other_id, other_flags] {
            let said = add(&path, &other).unwrap_err().to_string();
            assert!(said.contains("line 6 of"), "{said}");
            assert!(said.contains("says something else"), "{said}");
        }
        assert_eq!(fs::read(&path).unwrap(), before);
    }

    #[test]
    fn two_who_add_at_once_lose_nothing() {
        let scratch = Scratch::new();
        let path = scratch.backup();
        let key = |n: usize| ecdsa(&format!("ssh:{n}"), 64);
        // All have looked before any of them writes.
        let reserved: Vec<Backup> = (0..16)
            .map(|_| Backup::reserve(&path, "--to FILE").unwrap())
            .collect();
        thread::scope(|scope| {
            for (n, backup) in reserved.into_iter().enumerate() {
                scope.spawn(move || backup.add(&key(n), "--to FILE").unwrap());
            }
        });
        let found = scratch.keys();
        assert_eq!(found.len(), 16);
        assert!((0..16).all(|n| found.contains(&key(n))));
    }

    #[test]
    fn whoever_keeps_the_directory_locked_keeps_nobody_for_ever() {
        let scratch = Scratch::new();
        let directory = File::open(&scratch.0).unwrap();
        let held = Flock::lock(OwnedFd::from(directory), FlockArg::LockExclusive).unwrap();
        let said = add(&scratch.backup(), &ecdsa("ssh:", 64)).unwrap_err();
        assert!(said.to_string().contains("locked for 5 s"), "{said}");
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 0);
        drop(held);
        add(&scratch.backup(), &ecdsa("ssh:", 64)).unwrap();
    }

    #[test]
    fn what_is_no_backup_file_is_found_out_at_once_and_left_alone() {
        let scratch = Scratch::new();
        let path = scratch.backup();
        for (text, said) in [
            ("precious\n", "is not a backup file: line 1"),
            ("version = 2\n", "its version is 2"),
            (&"#".repeat(LARGEST + 1), "it has more than 1048576 bytes"),
        ] {
            fs::write(&path, text).unwrap();
            let refused = Backup::reserve(&path, "--to FILE").unwrap_err().to_string();
            assert!(refused.contains(said), "{refused}");
            assert!(refused.contains("--to FILE"), "{refused}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        fs::remove_file(&path).unwrap();
        let target = scratch.0.join("target");
        fs::write(&target, "").unwrap();
        symlink(&target, &path).unwrap();
        let refused = Backup::reserve(&path, "--to FILE").unwrap_err().to_string();
        assert!(refused.contains("is a symbolic link"), "{refused}");
    }

    #[test]
    fn a_backup_file_never_grows_too_large_to_be_read() {
        let scratch = Scratch::new();
        let path = scratch.backup();
        let full = file(&[ecdsa("ssh:one", 64)]);
        // Padded so that a record more is one byte too many, and then just fits.
        let record = contents::with(&full, &ecdsa("ssh:two", 64), "2026-11-28T04:30:00Z").unwrap();
        let room = LARGEST - (record.len() - full.len());
        for (length, fits) in [(room + 1, false), (room, true)] {
            let padded = format!("{full}#{}\n", "a".repeat(length - full.len() - 2));
            fs::write(&path, &padded).unwrap();
            let added = add(&path, &ecdsa("ssh:two", 64));
            assert_eq!(added.is_ok(), fits, "{added:?}");
            if !fits {
                assert_eq!(fs::read_to_string(&path).unwrap(), padded);
            }
        }
        assert_eq!(scratch.keys().len(), 2);
    }

    #[test]
    fn a_record_nobody_understands_is_kept_and_named() {
        let scratch = Scratch::new();
        let path = scratch.backup();
        let broken = file(&[ecdsa("ssh:one", 64)]).replace("resident", "resistent");
        fs::write(&path, &broken).unwrap();
        let noted = add(&path, &ecdsa("ssh:two", 64)).unwrap();
        assert_eq!((noted.keys, noted.faults.len()), (1, 1));
        assert!(noted.faults[0].contains("line 12: unknown member"));
        assert!(fs::read_to_string(&path).unwrap().starts_with(&broken));
    }

    #[test]
    fn a_backup_that_others_can_change_is_not_believed() {
        let ours = geteuid().as_raw();
        let of = |owner, mode| only_we_write(owner, mode, Path::new("backup"));
        for (owner, mode) in [(ours, 0o600), (ours, 0o644), (0, 0o755)] {
            assert_eq!(of(owner, mode), Ok(()), "{mode:o}");
        }
        for (owner, mode) in [(ours, 0o620), (ours, 0o602), (0, 0o666), (ours + 1, 0o600)] {
            assert!(of(owner, mode).is_err(), "{mode:o}");
        }
        let scratch = Scratch::new();
        let path = scratch.backup();
        add(&path, &ecdsa("ssh:one", 64)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o666)).unwrap();
        let said = read_at(&path).err().unwrap().to_string();
        assert!(said.contains("can be changed by others"), "{said}");
        assert!(
            said.ends_with(&format!("then: chmod go-w {}", shown(&path))),
            "{said}"
        );
    }
}

//! `/etc/pam.d` and the folders behind it, read without ever waiting: what is
//! no regular file, or has no end, is not read.
#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nix::libc::{O_CLOEXEC, O_NOCTTY, O_NONBLOCK};

use super::line;
use super::loading::{Contents, PamFiles};

/// The most bytes of a file in `/etc/pam.d` that are read.
pub(super) const LONGEST: u64 = 1 << 20;

/// The most files in `/etc/pam.d` that are looked at.
pub(super) const MOST_FILES: usize = 1000;

/// Where Debian's libpam looks for services, in this order.
const FOLDERS: [&str; 2] = ["/etc/pam.d", "/usr/lib/pam.d"];

/// Where those of other distributions look besides.
const FURTHER_FOLDERS: [&str; 2] = ["/usr/etc/pam.d", "/usr/share/pam.d"];

/// The folders of this machine. Each file is read once.
pub(super) struct PamFolders {
    folders: Vec<PathBuf>,
    is_debians: bool,
    read: RefCell<BTreeMap<PathBuf, Contents>>,
}

impl PamFolders {
    /// `None` where there are none: then libpam reads `/etc/pam.conf`.
    pub(super) fn of_this_machine() -> Option<Self> {
        let is_debians = Path::new("/usr/share/pam-configs").exists()
            || Path::new("/etc/debian_version").exists();
        let further = if is_debians {
            &[][..]
        } else {
            &FURTHER_FOLDERS
        };
        let folders: Vec<PathBuf> = FOLDERS.iter().chain(further).map(PathBuf::from).collect();
        // All of them are kept: files are included from the first, there or not.
        folders.iter().any(|folder| folder.is_dir()).then(|| Self {
            folders,
            is_debians,
            read: RefCell::default(),
        })
    }

    /// Has a file read otherwise from now on.
    pub(super) fn put(&mut self, path: PathBuf, bytes: &[u8]) {
        let contents = Contents::Lines(Rc::new(line::lines(bytes)));
        self.read.get_mut().insert(path, contents);
    }

    /// The names of all services that have a file, and whether there were more.
    pub(super) fn services(&self) -> (BTreeSet<String>, bool) {
        let mut names = BTreeSet::new();
        let entries = self
            .folders
            .iter()
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flat_map(Iterator::flatten);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder || is_left_over(&name) {
                continue;
            }
            if names.len() >= MOST_FILES {
                return (names, true);
            }
            names.insert(name);
        }
        (names, false)
    }
}

/// What editors and package managers leave behind.
fn is_left_over(name: &str) -> bool {
    const ENDS: [&str; 7] = [
        "~", ".bak", ".orig", ".rpmnew", ".rpmsave", ".pam-old", ".swp",
    ];
    name.starts_with('.') || name.contains(".dpkg-") || ENDS.iter().any(|end| name.ends_with(end))
}

impl PamFiles for PamFolders {
    fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    fn is_debians(&self) -> bool {
        self.is_debians
    }

    fn read(&self, path: &Path) -> Contents {
        if let Some(contents) = self.read.borrow().get(path) {
            return contents.clone();
        }
        let contents = match bytes(path) {
            Ok(bytes) => Contents::Lines(Rc::new(line::lines(&bytes))),
            Err(problem) => match problem.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Contents::Missing,
                _ => Contents::Unreadable(problem.to_string()),
            },
        };
        self.read
            .borrow_mut()
            .insert(path.to_owned(), contents.clone());
        contents
    }
}

fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other(format!(
            "it has more than {LONGEST} bytes"
        )));
    }
    Ok(bytes)
}

/// Opens a regular file, and nothing that somebody else could keep us waiting
/// with. Links are followed, as libpam does.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_no_service() {
        for name in [".sudo.swp", "sudo~", "sudo.dpkg-old", "login.rpmsave"] {
            assert!(is_left_over(name), "{name}");
        }
        for name in ["sudo", "sudo-i", "polkit-1", "my.service"] {
            assert!(!is_left_over(name), "{name}");
        }
    }

    #[test]
    fn nothing_keeps_us_waiting() {
        assert!(open_regular(Path::new("/dev/zero")).is_err());
        assert!(open_regular(Path::new("/dev")).is_err());
        assert!(open_regular(Path::new("/proc/self/exe")).is_ok());
    }
}

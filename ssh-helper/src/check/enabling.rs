//! `passkey check --enabling`: what each prompt would do if a profile of
//! pam-auth-update were enabled.
//!
//! pam-auth-update itself is run, upon a copy of what it reads and writes, with
//! answers to its questions that lie in the copy too. The real files are read, and
//! what it made of the others is judged in their place.
#![forbid(unsafe_code)]

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::unistd::mkdtemp;
use serde::Serialize;

use super::finding::printable;
use crate::failure::Failure;

/// The profiles that the package brings. Each excludes the others.
pub(crate) const PROFILES: [&str; 2] = ["passkey", "passkey-2fa"];

const PROGRAM: &str = "/usr/sbin/pam-auth-update";
const DESCRIPTIONS: &str = "/usr/share/pam-configs";
const FILES: &str = "/etc/pam.d";
/// Its notes of what it has written, in files called as the kinds of lines are.
const NOTES: &str = "/var/lib/pam";

/// A profile as it would be.
#[derive(Debug)]
pub(super) struct Enabling {
    pub(super) profile: &'static str,
    /// What enables it.
    pub(super) command: String,
    /// The files of `/etc/pam.d` that would change, and what would stand in them.
    pub(super) files: Vec<(PathBuf, Vec<u8>)>,
}

/// What is told of it.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    pub(super) profile: &'static str,
    pub(super) command: String,
    /// Whether somebody would not get in somewhere.
    pub(super) locks_out: bool,
}

/// Has pam-auth-update enable the profile in a copy.
pub(super) fn as_if_enabled(wanted: &str) -> Result<Enabling, Failure> {
    let profile = PROFILES
        .into_iter()
        .find(|profile| *profile == wanted)
        .ok_or_else(|| Failure::new("there is no such profile", "passkey check --help"))?;
    if !Path::new(PROGRAM).exists() {
        return Err(Failure::new(
            format!("there is no {PROGRAM} on this machine, which would enable it"),
            "write a line into a file of /etc/pam.d, man pam_passkey has examples; \
             then: passkey check",
        ));
    }
    if !Path::new(DESCRIPTIONS).join(profile).exists() {
        return Err(Failure::new(
            format!("there is no {DESCRIPTIONS}/{profile}"),
            "install the package libpam-passkey, which brings it",
        ));
    }
    in_a_copy(profile).map_err(|problem| match problem {
        Problem::Io(error) => Failure::new(
            format!("the profiles could not be tried in a copy: {error}"),
            "make room in /tmp, and try again",
        ),
        Problem::Said(failure) => failure,
    })
}

/// Whether pam-auth-update could enable a profile of ours here.
pub(super) fn is_at_hand() -> bool {
    Path::new(PROGRAM).exists()
        && PROFILES
            .iter()
            .all(|profile| Path::new(DESCRIPTIONS).join(profile).exists())
}

enum Problem {
    Io(io::Error),
    Said(Failure),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn in_a_copy(profile: &'static str) -> Result<Enabling, Problem> {
    let copy = Copy::make()?;
    let mut arguments = Vec::new();
    let enabled = copy.enabled();
    for other in PROFILES {
        if other != profile && enabled.iter().any(|name| name == other) {
            arguments.extend(["--disable", other]);
        }
    }
    arguments.extend(["--enable", profile]);
    let output = Command::new(PROGRAM)
        .arg("--root")
        .arg(&copy.folder)
        .args(&arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBCONF_SYSTEMRC", copy.folder.join(QUESTIONS))
        .current_dir(&copy.folder)
        .stdin(Stdio::null())
        .output()?;
    if !copy.enabled().iter().any(|name| name == profile) {
        return Err(Problem::Said(not_enabled(&output.stderr)));
    }
    Ok(Enabling {
        profile,
        command: format!("pam-auth-update {}", arguments.join(" ")),
        files: copy.files()?,
    })
}

/// pam-auth-update ends well also where it does nothing.
fn not_enabled(said: &[u8]) -> Failure {
    let said = String::from_utf8_lossy(said);
    if said.contains("Local modifications") {
        return Failure::new(
            "pam-auth-update would change nothing: somebody has edited /etc/pam.d/common-*",
            "put our line there yourself, man pam_passkey has examples; then: passkey check",
        );
    }
    let last = said.lines().rfind(|line| !line.trim().is_empty());
    Failure::new(
        format!(
            "pam-auth-update would not enable it, and says: {}",
            last.map_or_else(|| "nothing".to_owned(), printable)
        ),
        "man pam-auth-update",
    )
}

/// Where the copy has debconf's settings. The real answers are not touched.
const QUESTIONS: &str = "debconf.conf";

/// What pam-auth-update reads and writes, in a folder that only we can enter.
struct Copy {
    folder: PathBuf,
}

impl Copy {
    fn make() -> io::Result<Self> {
        let copy = Self {
            folder: mkdtemp("/tmp/passkey-check-XXXXXX")?,
        };
        for from in [DESCRIPTIONS, FILES, NOTES] {
            copy.take(Path::new(from))?;
        }
        let mut settings = "Config: config\nTemplates: templates\n".to_owned();
        for name in ["config", "templates"] {
            let place = copy.folder.join(name);
            let driver = format!("Driver: File\nMode: 600\nFilename: {}", place.display());
            let _ = write!(settings, "\nName: {name}\n{driver}\n");
        }
        fs::write(copy.folder.join(QUESTIONS), settings)?;
        Ok(copy)
    }

    /// Copies the regular files of a folder. Of `/etc/pam.d` those that are
    /// pam-auth-update's.
    fn take(&self, from: &Path) -> io::Result<()> {
        let to = self.at(from);
        fs::create_dir_all(&to)?;
        let entries = match fs::read_dir(from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if (from == Path::new(FILES) && !is_its_own(&name)) || !entry.path().is_file() {
                continue;
            }
            fs::write(to.join(&name), fs::read(entry.path())?)?;
        }
        Ok(())
    }

    fn at(&self, path: &Path) -> PathBuf {
        self.folder.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The profiles of which it has written lines of auth.
    fn enabled(&self) -> Vec<String> {
        let notes = fs::read_to_string(self.at(Path::new(NOTES)).join("auth"));
        notes
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("Module: "))
            .map(str::to_owned)
            .collect()
    }

    fn files(&self) -> io::Result<Vec<(PathBuf, Vec<u8>)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(self.at(Path::new(FILES)))? {
            let entry = entry?;
            let place = Path::new(FILES).join(entry.file_name());
            files.push((place, fs::read(entry.path())?));
        }
        Ok(files)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // Nothing in it is a secret.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn is_its_own(name: &OsStr) -> bool {
    let text = name.to_string_lossy();
    text.starts_with("common-") && !text.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_own_files_are_told_from_what_it_leaves_behind() {
        for name in ["common-auth", "common-session-noninteractive"] {
            assert!(is_its_own(OsStr::new(name)), "{name}");
        }
        for name in ["sudo", "common-auth.pam-old", "common-auth.dpkg-dist"] {
            assert!(!is_its_own(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn what_pam_auth_update_has_against_it_is_told() {
        let told = |said: &[u8]| not_enabled(said).into_sentences().0;
        let edited =
            b"\npam-auth-update: Local modifications to /etc/pam.d/common-*, not updating.\n";
        assert!(told(edited).contains("somebody has edited"));
        assert!(told(b"one\ntwo \x1b[2J\n\n").ends_with("and says: two ?[2J"));
        assert!(told(b"").ends_with("and says: nothing"));
    }
}

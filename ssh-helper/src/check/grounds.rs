//! What verdicts rest on: the services, the people, the policy.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ceremony::policy::{Config, PolicyError};

use super::finding::shown;
use super::modules::ModuleFolders;
use super::pam_folder::PamFolders;
use super::people::Person;
use super::stack::{Handler, Stack};

/// A service and its stack.
pub(super) struct Service {
    pub(super) name: String,
    pub(super) stack: Stack,
}

impl Service {
    /// The lines that ask our module.
    pub(super) fn ours(&self) -> impl Iterator<Item = &Handler> {
        self.stack.handlers.iter().filter(|line| line.is_ours())
    }
}

/// Those whose stack names us, or those that are asked for.
pub(super) fn services(
    folders: &PamFolders,
    names: &BTreeSet<String>,
    wanted: &[String],
) -> Vec<Service> {
    let service = |name: &String| Service {
        name: name.clone(),
        stack: Stack::of_service(folders, name),
    };
    if !wanted.is_empty() {
        return wanted.iter().map(service).collect();
    }
    let all = names.iter().filter(|name| !is_a_part(name));
    all.map(service).filter(|it| it.stack.names_us).collect()
}

/// Files that are there to be included, by no program of that name; and "other",
/// which stands for what has no file.
fn is_a_part(name: &str) -> bool {
    const PARTS: [&str; 10] = [
        "other",
        "system-auth",
        "password-auth",
        "fingerprint-auth",
        "smartcard-auth",
        "postlogin",
        "system-login",
        "system-local-login",
        "system-remote-login",
        "system-services",
    ];
    name.starts_with("common-") || PARTS.contains(&name)
}

/// What all verdicts rest on.
pub(super) struct Grounds<'g> {
    pub(super) config: &'g Result<Config, PolicyError>,
    pub(super) folders: &'g ModuleFolders,
    pub(super) people: &'g [Person],
    /// Whether the people were named by whoever asks.
    pub(super) people_are_wanted: bool,
}

/// Whether somebody else than root could have written a file, or put it into a
/// folder on the way to it: which of them, and why, in words.
pub(super) fn not_roots(path: &Path) -> Option<(PathBuf, String)> {
    let real = fs::canonicalize(path).ok()?;
    real.ancestors().find_map(|it| {
        let path = if it == real { path } else { it };
        whose(path).map(|problem| (path.to_owned(), problem))
    })
}

fn whose(path: &Path) -> Option<String> {
    /// In such a folder nobody replaces what is another's.
    const STICKY: u32 = 0o1000;
    let it = fs::metadata(path).ok()?;
    let mode = it.mode() & 0o7777;
    let is_somebodys = it.uid() != 0 && !has_no_number_here(it.uid());
    let is_shared = it.is_file() || it.is_dir() && mode & STICKY == 0;
    if is_somebodys {
        Some(format!("{} belongs to uid {}", shown(path), it.uid()))
    } else if mode & 0o022 != 0 && is_shared {
        Some(format!(
            "{} can be written by others (mode {mode:04o})",
            shown(path)
        ))
    } else {
        None
    }
}

/// In a user namespace the files of whoever has no number there, which may be the
/// machine's root, are shown as one and the same stranger's.
fn has_no_number_here(uid: u32) -> bool {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let stranger = read("/proc/sys/kernel/overflowuid");
    let numbers = read("/proc/self/uid_map");
    stranger.trim().parse() == Ok(uid) && !numbers.trim_end().ends_with(" 4294967295")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_to_be_included_is_no_service() {
        for name in ["common-auth", "system-auth", "other"] {
            assert!(is_a_part(name), "{name}");
        }
        for name in ["sudo", "su-l", "login", "commonplace"] {
            assert!(!is_a_part(name), "{name}");
        }
    }
}

//! Section one: the files of ours, read with the readers of the module, so that
//! the two can never differ.
#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ceremony::account::Account;
use ceremony::credential_file::{CredentialFile, CredentialFileError, Store};
use ceremony::policy::{Config, PolicyError};
use ceremony::trusted_file::{CONFIGURATION, Reason, STATE, TrustedDir, Untrusted};

use super::finding::{Finding, Id, printable, shown};
use super::people::{Stray, enrolled};
use super::report::LookedAt;
use crate::key_name::quoted_if_need_be;
use crate::machine::CONFIG;

/// What came of it.
pub(super) struct Files {
    pub(super) looked_at: Vec<LookedAt>,
    pub(super) findings: Vec<Finding>,
    pub(super) config: Result<Config, PolicyError>,
    /// Whoever has a credential file.
    pub(super) enrolled: Vec<Account>,
}

impl Files {
    /// Looks at all files, or at those of the accounts that are `wanted`.
    pub(super) fn look(wanted: &[Account]) -> Self {
        let mut files = Self {
            looked_at: Vec::new(),
            findings: Vec::new(),
            config: Config::load(),
            enrolled: Vec::new(),
        };
        files.config();
        let folder = Path::new(CONFIGURATION).join("users");
        match Store::open() {
            Ok(store) => {
                let (enrolled, strays) = enrolled(&folder);
                files.enrolled = enrolled;
                if wanted.is_empty() {
                    files.strays(&folder, &strays);
                } else {
                    files.enrolled.retain(|account| wanted.contains(account));
                }
                for account in files.enrolled.clone() {
                    files.credentials(&store, &account);
                }
            }
            Err(CredentialFileError::Untrusted(problem)) => {
                // The folder above it has been named already.
                if problem.path == folder {
                    files.distrust(&problem);
                }
            }
            Err(problem) => files.faulty(&folder, Id::FileUntrusted, &problem.to_string(), ""),
        }
        files.state();
        files.receipts();
        files
    }

    fn add(&mut self, path: &Path, state: &'static str, says: impl Into<String>) {
        self.looked_at.push(LookedAt {
            path: shown(path),
            state,
            says: says.into(),
        });
    }

    /// A sentence with the path in front is shown without it behind that path.
    fn faulty(&mut self, path: &Path, id: Id, what: &str, try_this: &str) {
        let says = what.strip_prefix(&shown(path)).unwrap_or(what);
        let says = says.trim_start_matches([':', ' ']);
        // What is left of "FILE:7: ...".
        let line = if says.starts_with(|c: char| c.is_ascii_digit()) {
            "line "
        } else {
            ""
        };
        self.add(path, "faulty", format!("{line}{says}"));
        self.findings.push(Finding::new(id, what, try_this));
    }

    fn distrust(&mut self, problem: &Untrusted) {
        let path = problem.path.clone();
        match problem.reason {
            Reason::Forbidden { uid } if uid != 0 => {
                self.add(&path, "unseen", "root alone can see it");
                let what = format!("{} was not looked at", shown(&path));
                self.findings.push(Finding::new(Id::Unseen, what, AS_ROOT));
            }
            Reason::Missing => {
                self.add(&path, "missing", "");
                let what = format!("{} is missing", shown(&path));
                let how = format!(
                    "install pam-passkey again, or as root: install -d -m 0755 \
                     {CONFIGURATION} {CONFIGURATION}/users"
                );
                self.findings.push(Finding::new(Id::FileMissing, what, how));
            }
            _ => {
                let sentence = problem.to_string();
                let (what, how) = two(&sentence);
                self.faulty(&path, Id::FileUntrusted, what, how);
            }
        }
    }

    fn config(&mut self) {
        let path = Path::new(CONFIG);
        match self.config.clone() {
            Ok(_) if path.exists() => self.add(path, "good", ""),
            Ok(_) => self.add(path, "missing", "so the defaults hold"),
            Err(PolicyError::Untrusted(problem)) => self.distrust(&problem),
            Err(problem) => {
                let sentence = problem.to_string();
                let (what, how) = two(&sentence);
                let how = format!("correct that line as root{}", and(how));
                self.faulty(path, Id::ConfigFaulty, what, &how);
            }
        }
    }

    fn credentials(&mut self, store: &Store, account: &Account) {
        let path = store.path_of(account);
        match store.load(account) {
            // Removed since the folder was listed.
            Ok(None) => {}
            Ok(Some(file)) => self.credential_file(&path, account, &file),
            Err(CredentialFileError::Untrusted(problem)) => self.distrust(&problem),
            Err(problem @ CredentialFileError::UidDiffers { .. }) => {
                let sentence = problem.to_string();
                let (what, how) = two(&sentence);
                self.faulty(&path, Id::UidDiffers, what, how);
            }
            Err(problem) => {
                let sentence = problem.to_string();
                let how = "correct that line as root, or remove the file and enrol again";
                self.faulty(&path, Id::CredentialsFaulty, &sentence, how);
            }
        }
    }

    fn credential_file(&mut self, path: &Path, account: &Account, file: &CredentialFile) {
        let faulty: Vec<String> = file.faulty().map(ToString::to_string).collect();
        let good = match file.credentials().count() {
            1 => "1 key".to_owned(),
            many => format!("{many} keys"),
        };
        if faulty.is_empty() {
            self.add(path, "good", good);
        } else {
            self.add(path, "faulty", format!("{good}, {} faulty", faulty.len()));
        }
        for record in faulty {
            let how = format!(
                "correct that line as root, or remove the record and, from a root shell: \
                 passkey enroll --user {}",
                quoted_if_need_be(account.name.as_str())
            );
            self.findings
                .push(Finding::new(Id::RecordFaulty, record, how));
        }
    }

    fn strays(&mut self, folder: &Path, strays: &[(String, Stray)]) {
        for (name, stray) in strays {
            let path = folder.join(name);
            let remove = format!("look what it is, then as root: rm {}", shown(&path));
            let (id, why) = match stray {
                Stray::Gone => (Id::AccountGone, "belongs to no account"),
                Stray::OtherName => (Id::StrayFile, "is named for an account's second name"),
                Stray::Name => (Id::StrayFile, "is no credential file"),
                Stray::Unknown => (Id::StrayFile, "is of an account that cannot be looked up"),
            };
            let what = format!("{} {why}", shown(&path));
            self.faulty(&path, id, &what, &remove);
        }
    }

    /// Where counters and locks are; root makes it where it is missing.
    fn state(&mut self) {
        let path = Path::new(STATE);
        match TrustedDir::open(path) {
            Ok(_) => {
                let mode = fs::symlink_metadata(path).map_or(0, |it| it.mode() & 0o7777);
                if mode.trailing_zeros() >= 6 {
                    self.add(path, "good", "");
                } else {
                    let what = format!("{} is open to others (mode {mode:04o})", shown(path));
                    let how = format!("chmod 0700 {}", shown(path));
                    self.faulty(path, Id::StateUntrusted, &what, &how);
                }
            }
            Err(problem) if problem.reason == Reason::Missing => {
                self.add(path, "missing", "made at the next login");
            }
            Err(problem) if matches!(problem.reason, Reason::Forbidden { uid } if uid != 0) => {
                self.distrust(&problem);
            }
            Err(problem) => {
                let sentence = problem.to_string();
                let (what, how) = two(&sentence);
                self.faulty(path, Id::StateUntrusted, what, how);
            }
        }
    }

    /// Every place at which some policy wants receipts kept.
    fn receipts(&mut self) {
        let Ok(config) = &self.config else { return };
        let services = config.services().chain([""]);
        let mut paths: Vec<_> = services
            .filter_map(|service| config.for_service(service).receipts)
            .collect();
        paths.sort();
        paths.dedup();
        for path in paths {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let why_not = match TrustedDir::open(folder) {
                Ok(_) => receipts_file(&path),
                Err(problem) if matches!(problem.reason, Reason::Forbidden { uid } if uid != 0) => {
                    self.distrust(&Untrusted {
                        path: path.clone(),
                        ..problem
                    });
                    continue;
                }
                Err(problem) => Some(problem.to_string()),
            };
            match why_not {
                None => self.add(&path, "good", "receipts"),
                Some(why) => {
                    let what = format!("receipts are to be kept in {}: {why}", shown(&path));
                    let how = format!("as root: install -d -m 0700 {}", shown(folder));
                    self.faulty(&path, Id::ReceiptsUnwritable, &what, &how);
                }
            }
        }
    }
}

/// Why no line can be added to it; it is made where it is missing.
fn receipts_file(path: &Path) -> Option<String> {
    let it = fs::symlink_metadata(path).ok()?;
    if !it.is_file() {
        Some("it is not a regular file".to_owned())
    } else if it.uid() != 0 {
        Some(format!("it belongs to uid {}, not to root", it.uid()))
    } else if it.mode() & 0o022 != 0 {
        Some(format!(
            "it can be written by others (mode {:04o})",
            it.mode() & 0o7777
        ))
    } else if it.nlink() > 1 {
        Some("it has a second name elsewhere (hard link)".to_owned())
    } else {
        None
    }
}

/// Root may see more than whoever asks.
pub(super) const AS_ROOT: &str = "sudo passkey check";

/// What happened, and what to do: the library says both in one sentence.
fn two(sentence: &str) -> (&str, &str) {
    sentence.split_once("; ").unwrap_or((sentence, ""))
}

fn and(how: &str) -> String {
    if how.is_empty() {
        String::new()
    } else {
        format!("; {how}")
    }
}

/// `[service.NAME]` tables of services that have no file.
pub(super) fn unknown_services(config: &Config, services: &[&str]) -> Vec<Finding> {
    let unknown = config.services().filter(|name| !services.contains(name));
    let finding = |name: &str| {
        let what = format!(
            "{CONFIG} has [service.{}], and there is no such service",
            printable(name)
        );
        let near = services
            .iter()
            .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
            .filter(|(likeness, _)| *likeness >= 0.6)
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        let how = match near {
            Some((_, known)) => format!("did you mean [service.{}]?", printable(known)),
            None => "remove the table, or write its service into /etc/pam.d".to_owned(),
        };
        Finding::new(Id::ServiceUnknown, what, how)
    };
    unknown.map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_service_is_answered_with_the_nearest() {
        let text = "[service.sduo]\n[service.sudo]\n[service.quake]\n";
        let config = Config::parse(text, Path::new("config.toml")).unwrap();
        let findings = unknown_services(&config, &["login", "su", "sudo"]);
        let tries: Vec<_> = findings.iter().map(|it| it.try_this.as_str()).collect();
        assert_eq!(
            tries,
            [
                "remove the table, or write its service into /etc/pam.d",
                "did you mean [service.sudo]?"
            ]
        );
        assert!(findings[1].what.contains("[service.sduo]"));
    }

    #[test]
    fn a_sentence_is_parted_into_what_happened_and_what_to_do() {
        assert_eq!(two("a is b; chown c; d"), ("a is b", "chown c; d"));
        assert_eq!(two("a is b"), ("a is b", ""));
    }
}

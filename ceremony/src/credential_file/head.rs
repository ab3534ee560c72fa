//! What stands before the first record: the format, and whose file it is.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::trusted_file::strict_toml::{self, Entry, Lines, did_you_mean, integer, kind, quoted};
use crate::trusted_file::{CannotLock, CannotOpen, CannotWrite, Untrusted, shown};

/// The format we read and write.
pub(super) const VERSION: i64 = 1;

/// The keys before the first record.
const HEAD: [&str; 2] = ["version", "uid"];

/// Refuses the whole file if its head is not right: then nobody knows what its
/// records mean.
pub(super) fn check_head(
    head: &str,
    account: &Account,
    path: &Path,
) -> Result<(), CredentialFileError> {
    let refuse = |line, reason| CredentialFileError::Head {
        path: path.to_owned(),
        line,
        reason,
    };
    let table = strict_toml::parse(head).map_err(|problem| refuse(problem.line, problem.reason))?;
    let entries = strict_toml::entries(&table, &Lines::of(head));
    let number = |key: &str| {
        let entry = entries.iter().find(|entry| entry.key == key);
        let Entry { value, line, .. } =
            entry.ok_or_else(|| refuse(1, format!("{key} is missing before the first record")))?;
        match integer(value) {
            Some(number) => Ok((number, *line)),
            None => Err(refuse(
                *line,
                format!("{key} takes a whole number, not {}", kind(value)),
            )),
        }
    };
    let refuse_unknown = || {
        let unknown = entries.iter().find(|entry| !HEAD.contains(&entry.key));
        unknown.map_or(Ok(()), |Entry { key, line, .. }| {
            let hint = did_you_mean(key, &HEAD);
            Err(refuse(*line, format!("unknown key {}{hint}", quoted(key))))
        })
    };
    // The version first: a newer one may have keys that we do not know. Where
    // there is none, it may be what a misspelt key was meant to be.
    let version = number("version").or_else(|missing| refuse_unknown().and(Err(missing)));
    match version? {
        (VERSION, _) => {}
        (version, line) if version > VERSION => {
            return Err(CredentialFileError::Newer {
                path: path.to_owned(),
                line,
                version,
            });
        }
        (_, line) => return Err(refuse(line, format!("version takes {VERSION}"))),
    }
    refuse_unknown()?;
    let (found, line) = number("uid")?;
    if found != i64::from(account.uid) {
        return Err(CredentialFileError::UidDiffers {
            path: path.to_owned(),
            line: Some(line),
            found,
            account: account.clone(),
        });
    }
    Ok(())
}

/// Why there is no credential file to speak of. Not one of these means that
/// the account has no credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CredentialFileError {
    /// The file or a directory above it may not be believed.
    Untrusted(Untrusted),
    /// It could not be written.
    CannotWrite(CannotWrite),
    /// Somebody else is writing.
    CannotLock(CannotLock),
    /// The head, before the first record, is not right.
    Head {
        /// Where the file is.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// Of a version that is not made yet.
    Newer {
        /// Where the file is.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The version it has.
        version: i64,
    },
    /// Of another account, which had the same name.
    UidDiffers {
        /// Where the file is.
        path: PathBuf,
        /// The line, counted from 1, in a file that was read.
        line: Option<usize>,
        /// The number in the file.
        found: i64,
        /// The account of that name now.
        account: Account,
    },
}

impl From<Untrusted> for CredentialFileError {
    fn from(problem: Untrusted) -> Self {
        Self::Untrusted(problem)
    }
}

impl From<CannotWrite> for CredentialFileError {
    fn from(problem: CannotWrite) -> Self {
        Self::CannotWrite(problem)
    }
}

impl From<CannotLock> for CredentialFileError {
    fn from(problem: CannotLock) -> Self {
        Self::CannotLock(problem)
    }
}

impl From<CannotOpen> for CredentialFileError {
    fn from(problem: CannotOpen) -> Self {
        match problem {
            CannotOpen::Untrusted(problem) => problem.into(),
            CannotOpen::CannotWrite(problem) => problem.into(),
        }
    }
}

impl std::error::Error for CredentialFileError {}

impl fmt::Display for CredentialFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(problem) => problem.fmt(f),
            Self::CannotWrite(problem) => problem.fmt(f),
            Self::CannotLock(problem) => problem.fmt(f),
            Self::Head { path, line, reason } => write!(f, "{}:{line}: {reason}", shown(path)),
            Self::Newer {
                path,
                line,
                version,
            } => write!(
                f,
                "{}:{line}: version {version} was written by a newer pam-passkey; \
                 this one reads version {VERSION}, update it",
                shown(path)
            ),
            Self::UidDiffers {
                path,
                line,
                found,
                account,
            } => write!(
                f,
                "{path}{line}: these are credentials of uid {found}, but {name} is uid {uid}; \
                 an account made anew inherits no keys: remove {path} and enrol again",
                path = shown(path),
                line = line.map_or(String::new(), |line| format!(":{line}")),
                name = account.name,
                uid = account.uid
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::UserName;
    use crate::credential_file::CredentialFile;
    use crate::credential_file::record::samples::record;

    const PATH: &str = "/etc/pam-passkey/users/alice.toml";
    const HEAD: &str = "version = 1\nuid = 1000\n";

    fn parse(text: &str) -> Result<CredentialFile, CredentialFileError> {
        let alice = Account {
            name: UserName::parse("alice").unwrap(),
            uid: 1000,
        };
        CredentialFile::parse(text, &alice, Path::new(PATH))
    }

    fn refused(text: &str, expected: &str) {
        let message = parse(text).unwrap_err().to_string();
        assert_eq!(message, format!("{PATH}:{expected}"), "{text}");
    }

    #[test]
    fn a_file_of_another_uid_is_refused_whole() {
        for uid in ["0", "1001", "-1", "4294968296", "99999999999999999999"] {
            let text = format!("version = 1\nuid = {uid}\n{}", record("one", 1));
            assert!(parse(&text).is_err(), "{uid}");
        }
        refused(
            "version = 1\nuid = 1001\n",
            &format!(
                "2: these are credentials of uid 1001, but alice is uid 1000; \
                 an account made anew inherits no keys: remove {PATH} and enrol again"
            ),
        );
    }

    #[test]
    fn a_newer_version_is_refused_as_such() {
        refused(
            "uid = 1000\nversion = 2\ncolour = 1\n",
            "2: version 2 was written by a newer pam-passkey; this one reads version 1, update it",
        );
        refused("uid = 1000\nversion = 0\n", "2: version takes 1");
    }

    #[test]
    fn the_head_is_read_strictly() {
        refused(
            "uid = 1000\n",
            "1: version is missing before the first record",
        );
        refused("version = 1\n", "1: uid is missing before the first record");
        refused("", "1: version is missing before the first record");
        refused(
            &format!("{HEAD}uids = 7"),
            "3: unknown key \"uids\"; did you mean \"uid\"?",
        );
        refused(
            "uid = 1000\nverison = 1\n",
            "2: unknown key \"verison\"; did you mean \"version\"?",
        );
        refused(
            "version = 1\nuid = \"1000\"\n",
            "2: uid takes a whole number, not a string",
        );
        refused(
            "version = 1.0\n",
            "1: version takes a whole number, not a decimal number",
        );
        refused(&format!("{HEAD}uid = 1000"), "3: key \"uid\" is set twice");
        refused(
            &format!("{HEAD}credential = []"),
            "3: unknown key \"credential\"",
        );
        assert!(parse(&format!("{HEAD}not toml")).is_err());
        // What belongs into the head is not looked for further down.
        let text = format!("version = 1\n{}uid = 1000\n", record("one", 1));
        refused(&text, "1: uid is missing before the first record");
    }
}

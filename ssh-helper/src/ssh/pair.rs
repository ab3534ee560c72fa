//! The two files of an SSH key: their places kept together, and filled with the
//! private key first, from which the public one can be had.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::Path;

use super::directory::public_name;
use super::key_file::{KeyFile, NotWritten};
use super::new_file::{CannotWrite, Existing, NewFile};
use super::passphrase::Passphrase;
use crate::cli::ssh::Encryption;

/// Places for both.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) private: NewFile,
    pub(crate) public: NewFile,
}

impl Pair {
    /// Keeps them, for the private key at `path`.
    pub(crate) fn reserve(path: &Path, existing: Existing) -> Result<Self, CannotWrite> {
        Ok(Self {
            private: NewFile::reserve(path, existing)?,
            public: NewFile::reserve(&public_name(path), existing)?,
        })
    }

    /// Writes `key` there, encrypted where there is a passphrase.
    pub(crate) fn fill(
        self,
        key: &KeyFile,
        encryption: &Encryption,
        passphrase: Option<&Passphrase>,
    ) -> Result<(), NotFilled> {
        let private = key.to_openssh(encryption, passphrase)?;
        let public = format!("{}\n", key.public_line()?);
        let written = self.private.fill(private.as_bytes(), 0o600);
        written.map_err(NotFilled::Private)?;
        let written = self.public.fill(public.as_bytes(), 0o644);
        written.map_err(NotFilled::Public)
    }
}

/// Why one of them, or neither, is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotFilled {
    /// Neither: the key has no form as text.
    Text(NotWritten),
    /// Neither.
    Private(CannotWrite),
    /// The private one is.
    Public(CannotWrite),
}

impl From<NotWritten> for NotFilled {
    fn from(problem: NotWritten) -> Self {
        Self::Text(problem)
    }
}

impl fmt::Display for NotFilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(problem) => problem.fmt(f),
            Self::Private(problem) | Self::Public(problem) => problem.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::ssh::key_file::tests::{ecdsa, encryption};
    use crate::ssh::new_file::tests::Scratch;

    #[test]
    fn the_private_key_is_there_before_the_public_one_and_stays() {
        let scratch = Scratch::new();
        let folder = &scratch.0;
        let (path, key) = (folder.join("key"), ecdsa("ssh:", 64));
        let pair = || Pair::reserve(&path, Existing::Stays);
        let fill = |pair: Pair| pair.fill(&key, &encryption(&[]), None);

        let reserved = pair().unwrap();
        fs::write(folder.join("key.pub"), "somebody else's").unwrap();
        assert!(matches!(fill(reserved), Err(NotFilled::Public(_))));
        assert!(fs::read_to_string(&path).unwrap().starts_with("-----BEGIN"));
        // Of two places one is not kept where the other is taken.
        assert!(pair().is_err());

        fs::remove_file(&path).unwrap();
        fs::remove_file(folder.join("key.pub")).unwrap();
        let reserved = pair().unwrap();
        fs::write(&path, "somebody else's").unwrap();
        assert!(matches!(fill(reserved), Err(NotFilled::Private(_))));
        assert!(!folder.join("key.pub").exists());

        fs::remove_file(&path).unwrap();
        assert_eq!(fill(pair().unwrap()), Ok(()));
        let public = fs::read_to_string(folder.join("key.pub")).unwrap();
        assert_eq!(public, format!("{}\n", key.public_line().unwrap()));
    }
}

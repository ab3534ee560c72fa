//! A person's private-key file opened, or why not and what to type.
#![forbid(unsafe_code)]

use std::path::Path;

use ssh_key::Cipher;

use super::key_file::{CannotRead, Closed, KeyFile, Unusable};
use super::passphrase;
use crate::failure::Failure;
use crate::key_name::quoted_if_need_be;
use crate::screen::Screen;

/// What a private-key file says, and how it was encrypted.
pub(crate) struct Opened {
    /// What it says.
    pub(crate) key: KeyFile,
    /// The cipher and the rounds of bcrypt, where there is a passphrase.
    pub(crate) encryption: Option<(Cipher, u32)>,
}

/// Opens the private-key file at `path`; its passphrase, where it has one, comes
/// from the first line of `passphrase_file`, or is asked for.
pub(crate) fn open(
    path: &Path,
    passphrase_file: Option<&Path>,
    screen: &mut Screen,
) -> Result<Opened, Failure> {
    let closed = Closed::read(path).map_err(|problem| problem.failure(path))?;
    let encryption = closed.encryption();
    match closed.open(|| passphrase::of(path, passphrase_file, screen)) {
        Ok(key) => Ok(Opened { key, encryption }),
        Err(problem) => Err(problem.failure(path)),
    }
}

impl CannotRead<Failure> {
    /// The pair of sentences, of the file at `path`.
    pub(crate) fn failure(self, path: &Path) -> Failure {
        match self {
            Self::Unusable(problem) => problem.failure(path),
            Self::NoPassphrase(failure) => failure,
        }
    }
}

impl Unusable {
    /// The pair of sentences, of the file at `path`.
    pub(crate) fn failure(&self, path: &Path) -> Failure {
        let file = quoted_if_need_be(&path.display().to_string());
        let happened = match self {
            Self::NotRead(_) => format!("{file} cannot be read: {self}"),
            Self::WrongPassphrase => format!("{file} cannot be opened: {self}"),
            _ => format!("{file} is not the private key of a security key: {self}"),
        };
        let what_to_do = match self {
            Self::NotRead(_) => {
                "name the private-key file, and one that you may read (ls -l ~/.ssh)".to_owned()
            }
            Self::NoFile | Self::TooLarge | Self::NotAKey => {
                "name the private-key file, such as ~/.ssh/id_ecdsa_sk".to_owned()
            }
            Self::PublicKey => match path.to_str().and_then(|path| path.strip_suffix(".pub")) {
                Some(private) => format!("name the one beside it: {}", quoted_if_need_be(private)),
                None => "name the private-key file, such as ~/.ssh/id_ecdsa_sk".to_owned(),
            },
            Self::NotOfASecurityKey(_) => format!(
                "see what it is with: ssh-keygen -l -f {file}; \
                 make one that a security key holds with: passkey ssh enroll"
            ),
            Self::Damaged(_) => "get it back from a backup file: passkey ssh recover BACKUP; \
                 a resident key also from the security key: passkey ssh import"
                .to_owned(),
            Self::TooManyRounds(_) => {
                format!("set the passphrase anew with fewer: ssh-keygen -p -a 16 -f {file}")
            }
            Self::WrongPassphrase => {
                "nothing was changed; run the command again, and type the right one".to_owned()
            }
        };
        Failure::new(happened, what_to_do)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_key_leads_to_the_private_one_beside_it() {
        let of = |path: &str| Unusable::PublicKey.failure(Path::new(path)).to_string();
        let said = of("/home/alice/my keys/id_ecdsa_sk.pub");
        assert!(
            said.ends_with("name the one beside it: '/home/alice/my keys/id_ecdsa_sk'"),
            "{said}"
        );
        assert!(of("key.txt").ends_with("such as ~/.ssh/id_ecdsa_sk"));
    }

    #[test]
    fn what_is_no_file_to_open_is_said_as_one_sentence() {
        for (problem, said) in [
            (
                Unusable::NotRead("No such file or directory".into()),
                "key cannot be read: No such file or directory",
            ),
            (
                Unusable::WrongPassphrase,
                "key cannot be opened: the passphrase is wrong, or it is damaged",
            ),
            (
                Unusable::NotAKey,
                "key is not the private key of a security key: it is no private key",
            ),
        ] {
            let whole = problem.failure(Path::new("key")).to_string();
            assert!(whole.contains(said), "{whole}");
        }
    }
}

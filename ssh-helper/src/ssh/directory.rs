//! Where ssh looks for a person's keys, and what it calls them.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use ceremony::public_key::Algorithm;
use nix::unistd::{User, geteuid};

use crate::failure::Failure;

/// `~/.ssh` of the account whose rights we have: as ssh does, by its entry in the
/// name service, not by the environment.
pub(crate) fn of_this_user() -> Result<PathBuf, Failure> {
    match User::from_uid(geteuid()) {
        Ok(Some(user)) => Ok(user.dir.join(".ssh")),
        Ok(None) | Err(_) => Err(Failure::new(
            format!("uid {} has no account, and no home directory", geteuid()),
            "name the file to write: --output FILE",
        )),
    }
}

/// What the private-key file is called that ssh tries by itself.
pub(crate) fn usual_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "id_ecdsa_sk",
        Algorithm::EdDsa => "id_ed25519_sk",
    }
}

/// The name of the public key beside `private`.
pub(crate) fn public_name(private: &std::path::Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

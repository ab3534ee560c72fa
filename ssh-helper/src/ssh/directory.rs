//! Where ssh looks for a person's keys, and what it calls them.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use ceremony::public_key::Algorithm;
use nix::unistd::{User, geteuid};

use crate::failure::Failure;
use crate::key_name::quoted_if_need_be;
use crate::person_behind;
use crate::screen::Screen;

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

/// Says whose directory that is, where a person stands behind root: sudo was of
/// no use to them then.
pub(crate) fn say_whose(directory: &std::path::Path, screen: &mut Screen) {
    if let (true, Ok(Some(person))) = (geteuid().is_root(), person_behind::of_this_process()) {
        screen.say(&format!(
            "This goes to {}, since {} made you root; without it, it goes to your own.",
            quoted_if_need_be(&directory.display().to_string()),
            person.through
        ));
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

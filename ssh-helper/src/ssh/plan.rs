//! What an SSH key is to be, once everything that was left out is filled in.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ceremony::attestation::NewCredential;
use ceremony::authenticator::ctap2::CredentialProtection;
use ceremony::credential::UserVerification;
use ceremony::registration::{Discoverable, random_bytes};
use ceremony::ssh_application::SshApplication;
use nix::unistd::{User, geteuid};

use super::attestation;
use super::directory;
use super::key_file::{Flags, KeyFile, one_line};
use super::opening;
use crate::cli::ssh::Enroll;
use crate::failure::Failure;
use crate::key_name::quoted_if_need_be;
use crate::machine;
use crate::screen::Screen;

/// The most bytes of a challenge.
const LONGEST_CHALLENGE: u64 = attestation::LONGEST_CHALLENGE as u64;

/// An SSH key to make.
pub(super) struct Plan<'w> {
    /// As it was asked for.
    pub(super) wanted: &'w Enroll,
    /// What it is for.
    pub(super) application: SshApplication,
    /// What is demanded of who uses it.
    pub(super) flags: Flags,
    /// A note.
    pub(super) comment: String,
    /// The key that it is a spare for.
    pub(super) first: Option<KeyFile>,
    /// Where the private key goes.
    pub(super) output: PathBuf,
    /// What is signed where the security key vouches for it.
    pub(super) challenge: Vec<u8>,
    /// What to type to begin again.
    pub(super) again: String,
}

impl<'w> Plan<'w> {
    /// Of what was asked for.
    pub(super) fn of(wanted: &'w Enroll, screen: &mut Screen) -> Result<Self, Failure> {
        let again = wanted.words();
        let first = match &wanted.spare_of {
            Some(path) => Some(first(path, screen)?),
            None => None,
        };
        let (application, flags) = match &first {
            Some(first) => (
                first.public_key.relying_party().clone(),
                Flags::of(
                    first.flags.touch_required(),
                    first.flags.verify_required(),
                    wanted.resident,
                ),
            ),
            None => (
                wanted.application.clone(),
                Flags::of(
                    !wanted.no_touch_required,
                    wanted.verify_required,
                    wanted.resident,
                ),
            ),
        };
        let comment = match (&wanted.comment, &first) {
            (Some(comment), _) => comment.clone(),
            (None, Some(first)) => format!("{} (spare)", first.comment).trim().to_owned(),
            (None, None) => user_at_host(),
        };
        let challenge = match &wanted.challenge {
            Some(path) => challenge(path)?,
            None => random_bytes()
                .map_err(|refused| {
                    Failure::new(
                        refused.to_string(),
                        format!("wait until the machine has booted, and run again: {again}"),
                    )
                })?
                .to_vec(),
        };
        let output = match (&wanted.output, &wanted.spare_of) {
            (Some(path), _) => path.clone(),
            (None, Some(first)) => {
                let mut name = first.as_os_str().to_owned();
                name.push("_spare");
                name.into()
            }
            (None, None) => {
                let directory = directory::of_this_user()?;
                directory::say_whose(&directory, screen);
                directory.join(directory::usual_name(wanted.key_type.into()))
            }
        };
        Ok(Self {
            wanted,
            application,
            flags,
            comment,
            first,
            output,
            challenge,
            again,
        })
    }

    /// What the security key must do besides noticing a touch, while it makes
    /// the key.
    pub(super) fn user_verification(&self) -> UserVerification {
        // A resident key that no PIN guards could be read by whoever finds the
        // security key, and not be listed by its owner.
        if self.flags.verify_required() || self.flags.is_resident() {
            UserVerification::Required
        } else {
            UserVerification::Discouraged
        }
    }

    /// How the security key is to guard it: as ssh-keygen asks for.
    pub(super) fn protection(&self) -> Option<CredentialProtection> {
        if self.flags.verify_required() {
            Some(CredentialProtection::Verification)
        } else if self.flags.is_resident() {
            Some(CredentialProtection::VerificationOrId)
        } else {
            None
        }
    }

    /// Whether the security key keeps it, and what may be lost by that.
    pub(super) fn discoverable(&self) -> Discoverable {
        match (self.flags.is_resident(), self.wanted.replace) {
            (false, _) => Discoverable::No,
            (true, false) => Discoverable::UnlessTaken,
            (true, true) => Discoverable::Yes,
        }
    }

    /// Whose it is, in the 32 bytes that ssh-keygen has for that.
    pub(super) fn user_id(&self) -> [u8; 32] {
        let mut id = [0; 32];
        let user = self.wanted.user.as_deref().unwrap_or_default();
        for (byte, of_user) in id.iter_mut().zip(user.bytes()) {
            *byte = of_user;
        }
        id
    }

    /// What its private-key file says.
    pub(super) fn key_file(&self, made: &NewCredential<SshApplication>) -> KeyFile {
        KeyFile {
            public_key: made.public_key.clone(),
            id: made.id.clone(),
            flags: self.flags,
            comment: self.comment.clone(),
        }
    }
}

/// The key that a spare is wanted for.
fn first(path: &Path, screen: &mut Screen) -> Result<KeyFile, Failure> {
    opening::open(path, None, screen).map(|opened| opened.key)
}

/// What ssh-keygen notes by itself.
fn user_at_host() -> String {
    let user = User::from_uid(geteuid()).ok().flatten();
    let user = user.map_or_else(|| geteuid().to_string(), |user| user.name);
    let host = machine::hostname().unwrap_or_else(|_| "localhost".to_owned());
    // The name of a machine may come from a stranger, by DHCP.
    one_line(format!("{user}@{host}").as_bytes())
}

fn challenge(path: &Path) -> Result<Vec<u8>, Failure> {
    let shown = quoted_if_need_be(&path.display().to_string());
    let another = "name a file of 1 to 65536 bytes: --challenge FILE";
    let mut challenge = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(LONGEST_CHALLENGE + 1).read_to_end(&mut challenge));
    read.map_err(|problem| Failure::new(format!("no challenge in {shown}: {problem}"), another))?;
    let length = challenge.len() as u64;
    if length == 0 || length > LONGEST_CHALLENGE {
        let size = if length == 0 { "empty" } else { "too long" };
        return Err(Failure::new(
            format!("the challenge in {shown} is {size}"),
            another,
        ));
    }
    Ok(challenge)
}

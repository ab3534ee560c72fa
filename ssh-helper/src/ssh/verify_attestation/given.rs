//! What the caller has in hand: the challenge, the public key, the application.
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::path::Path;

use ceremony::credential::printable;
use ceremony::public_key::PublicKey;
use ceremony::ssh_application::SshApplication;

use crate::cli::ssh::VerifyAttestation;
use crate::failure::Failure;
use crate::ssh::attestation::{LONGEST_CHALLENGE, public_key};

/// The longest file with a public key, in bytes.
const LONGEST_PUBLIC_KEY: usize = 16 * 1024;

/// What the file must agree with.
pub(super) struct Given {
    pub(super) challenge: Option<Vec<u8>>,
    pub(super) public_key: Option<PublicKey<SshApplication>>,
    pub(super) application: Option<SshApplication>,
}

impl Given {
    /// Reads the files that were named.
    pub(super) fn read(wanted: &VerifyAttestation) -> Result<Self, Failure> {
        let challenge = match &wanted.challenge {
            None => None,
            Some(path) => {
                let what_to_do = "name the file that the key was to sign, with 1 to 65536 bytes";
                let bytes = read(path, LONGEST_CHALLENGE, what_to_do)?;
                if bytes.is_empty() {
                    return Err(Failure::new(
                        format!("{} is empty, which no challenge is", shown(path)),
                        what_to_do,
                    ));
                }
                Some(bytes)
            }
        };
        let public_key = match &wanted.public_key {
            None => None,
            Some(path) => {
                let what_to_do = "name the .pub file of an ecdsa-sk or ed25519-sk key";
                let bytes = read(path, LONGEST_PUBLIC_KEY, what_to_do)?;
                let line = String::from_utf8_lossy(&bytes);
                let key = public_key(line.trim()).map_err(|problem| {
                    Failure::new(format!("{}: {problem}", shown(path)), what_to_do)
                })?;
                Some(key)
            }
        };
        Ok(Self {
            challenge,
            public_key,
            application: wanted.application.clone(),
        })
    }
}

/// The bytes of a file, of which there are at most `most`.
pub(super) fn read(path: &Path, most: usize, what_to_do: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most as u64 + 1).read_to_end(&mut bytes))
        .map_err(|problem| {
            Failure::new(
                format!("{} cannot be read: {problem}", shown(path)),
                what_to_do,
            )
        })?;
    if bytes.len() > most {
        return Err(Failure::new(
            format!("{} has more than {most} bytes", shown(path)),
            what_to_do,
        ));
    }
    Ok(bytes)
}

/// A path, fit to be shown.
pub(super) fn shown(path: &Path) -> String {
    printable(&path.display().to_string(), 4096)
}

//! `passkey ssh show`: what is in a private-key file, whoever made it.
#![forbid(unsafe_code)]

use std::path::Path;

use ceremony::credential::printable;
use ceremony::public_key::Algorithm;
use serde::Serialize;

use super::key_file::NotWritten;
use super::opening::{self, Opened};
use crate::cli::ssh::Show;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::screen::{Report, Screen};

/// As much of a comment as is shown on a line of its own.
const SHOWN_COMMENT: usize = 256;

/// Shows it.
pub(crate) fn show(wanted: &Show, screen: &mut Screen) -> Result<(), Failure> {
    let opened = opening::open(&wanted.file, wanted.passphrase_file.as_deref(), screen)?;
    let shown = Shown::of(&wanted.file, &opened).map_err(unwritten)?;
    screen.report(&shown)
}

/// What no key does that was read.
pub(crate) fn unwritten(problem: NotWritten) -> Failure {
    Failure::new(
        problem.to_string(),
        "see whether ssh-keygen can: ssh-keygen -y -f FILE",
    )
}

/// The kind of a key, by ssh-keygen's word.
pub(crate) fn kind(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "ecdsa-sk",
        Algorithm::EdDsa => "ed25519-sk",
    }
}

/// A private-key file in full.
#[derive(Serialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the flags of the file"
)]
struct Shown {
    file: String,
    #[serde(rename = "type")]
    kind: &'static str,
    application: String,
    fingerprint: String,
    comment: String,
    touch_required: bool,
    verify_required: bool,
    resident: bool,
    /// All of them, also those we have no name for.
    flags: u8,
    /// In bytes.
    id_length: usize,
    encryption: Option<Encryption>,
    public_key: String,
    authorized_keys: String,
}

/// How the file is encrypted.
#[derive(Serialize)]
struct Encryption {
    cipher: String,
    rounds: u32,
}

impl Shown {
    fn of(file: &Path, opened: &Opened) -> Result<Self, NotWritten> {
        let key = &opened.key;
        Ok(Self {
            file: file.display().to_string(),
            kind: kind(key.public_key.algorithm()),
            application: key.public_key.relying_party().to_string(),
            fingerprint: key.fingerprint()?,
            comment: key.comment.clone(),
            touch_required: key.flags.touch_required(),
            verify_required: key.flags.verify_required(),
            resident: key.flags.is_resident(),
            flags: key.flags.0,
            id_length: key.id.as_bytes().len(),
            encryption: opened.encryption.map(|(cipher, rounds)| Encryption {
                cipher: cipher.to_string(),
                rounds,
            }),
            public_key: key.public_line()?,
            authorized_keys: key.authorized_line()?,
        })
    }
}

impl Report for Shown {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let takes = match (self.touch_required, self.verify_required) {
            (true, true) => "a touch, and the PIN or a fingerprint",
            (true, false) => "a touch",
            (false, true) => "the PIN or a fingerprint, and no touch",
            (false, false) => "nothing but the security key: no touch, no PIN",
        };
        let kept = if self.resident {
            "the security key, too (resident)"
        } else {
            "this file alone"
        };
        let encrypted = match &self.encryption {
            Some(Encryption { cipher, rounds: 1 }) => format!("{cipher}, 1 round of bcrypt"),
            Some(Encryption { cipher, rounds }) => format!("{cipher}, {rounds} rounds of bcrypt"),
            None => "no".to_owned(),
        };
        let id = match self.id_length {
            1 => "1 byte".to_owned(),
            length => format!("{length} bytes"),
        };
        [
            ("File", printable(&self.file, 4096).as_str()),
            ("Kind", self.kind),
            ("Application", &self.application),
            ("Fingerprint", &self.fingerprint),
            ("Comment", &printable(&self.comment, SHOWN_COMMENT)),
            ("A signature takes", takes),
            ("Kept by", kept),
            ("Credential id", &id),
            ("Encrypted", &encrypted),
            ("authorized_keys", &self.authorized_keys),
        ]
        .iter()
        .map(|(label, value)| {
            let label = ink.heading(&format!("{label:<18}"));
            format!("{label} {value}").trim_end().to_owned()
        })
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh::key_file::Flags;
    use crate::ssh::key_file::tests::ecdsa;

    fn lines(flags: Flags, encryption: Option<(ssh_key::Cipher, u32)>) -> Vec<String> {
        let mut key = ecdsa("ssh:work", 241);
        key.flags = flags;
        key.comment = "alice\u{202e}@laptop".to_owned();
        let opened = Opened { key, encryption };
        let shown = Shown::of(Path::new("/home/alice/key"), &opened).unwrap();
        shown.lines(Ink::None)
    }

    #[test]
    fn what_a_signature_takes_is_said_in_words() {
        for (touch, verification, said) in [
            (true, false, "a touch"),
            (true, true, "a touch, and the PIN or a fingerprint"),
            (false, true, "the PIN or a fingerprint, and no touch"),
            (
                false,
                false,
                "nothing but the security key: no touch, no PIN",
            ),
        ] {
            let lines = lines(Flags::of(touch, verification, false), None);
            assert_eq!(lines[5], format!("A signature takes  {said}"));
        }
    }

    #[test]
    fn every_line_says_one_thing() {
        let encryption = Some((ssh_key::Cipher::Aes256Ctr, 16));
        let lines = lines(Flags::of(true, false, true), encryption);
        for line in [
            "File               /home/alice/key",
            "Kind               ecdsa-sk",
            "Application        ssh:work",
            "Comment            alice?@laptop",
            "Kept by            the security key, too (resident)",
            "Credential id      241 bytes",
            "Encrypted          aes256-ctr, 16 rounds of bcrypt",
        ] {
            assert!(lines.contains(&line.to_owned()), "no {line} in {lines:#?}");
        }
    }
}

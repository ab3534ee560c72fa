//! A guest, the people at it, and what the steps have in common.

#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use tests::guest::{Finger, Guest};

use crate::{Step, sudo};

/// alice's key.
pub(crate) const BLUE: &str = "Blue Key";
/// Her second one, with a PIN.
pub(crate) const GREEN: &str = "Green Key";

/// A booted guest.
pub(crate) struct Site {
    guest: Guest,
    /// The release, as `.ci/guests` names it.
    pub(crate) release: String,
    transcript: PathBuf,
}

impl Deref for Site {
    type Target = Guest;

    fn deref(&self) -> &Guest {
        &self.guest
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Guest {
        &mut self.guest
    }
}

impl Site {
    pub(crate) fn boot(release: &str, folder: &Path) -> Self {
        let transcript = PathBuf::from(format!("target/e2e/{release}.txt"));
        let mut luggage = vec![("hands".to_owned(), PathBuf::from("target/in-guest/hands"))];
        for package in fs::read_dir("target/package")
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = package.file_name().to_string_lossy().into_owned();
            if name.ends_with(".deb") {
                luggage.push((name, package.path()));
            }
        }
        let guest = Guest::boot(folder, &luggage, &transcript);
        Self {
            guest,
            release: release.to_owned(),
            transcript,
        }
    }

    /// What is seen here, in this order.
    pub(crate) fn steps(&self) -> Vec<Step> {
        [sudo::STEPS].concat()
    }

    /// A heading in the transcript.
    pub(crate) fn title(&self, sentence: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.transcript)
            .expect("the transcript");
        writeln!(file, "\n\n=== {sentence}").expect("the transcript");
    }

    /// Every step begins here: blue plugged in, nobody touches it, nothing left at the consoles.
    pub(crate) fn settle(&mut self) {
        self.keys.plug_in(BLUE, None);
        self.keys.finger(BLUE, Finger::Touches(300));
        self.keys.journal(BLUE);
        self.at_the_console("alice");
    }

    /// Replaces config.toml; removes nothing else.
    pub(crate) fn policy(&mut self, text: &str) {
        self.root
            .run(&format!(
                "cat >/etc/pam-passkey/config.toml <<'EOF'\n{text}EOF\n"
            ))
            .ok();
    }
}

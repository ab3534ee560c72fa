//! A guest, the people at it, and what the steps have in common.

#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::guest::{Finger, Guest};

use crate::{Step, lifecycle, odd_keys, packages, second_factor, sudo, trouble, ways_in};

/// alice's key.
pub(crate) const BLUE: &str = "Blue Key";
/// Her second one, with a PIN.
pub(crate) const GREEN: &str = "Green Key";

/// A finger that touches whatever blinks.
pub(crate) const TOUCHES: Finger = Finger::Touches(300);
/// The PIN of green.
pub(crate) const PIN: &str = "2718";

/// The policy of most steps.
pub(crate) const TOUCH: &str = "user_verification = \"discouraged\"\ntimeout = 30\n";
/// The same, where the deadline is waited for.
pub(crate) const SOON: &str = "user_verification = \"discouraged\"\ntimeout = 3\n";
/// The same, where nothing may end before its time.
pub(crate) const LONG: &str = "user_verification = \"discouraged\"\ntimeout = 120\n";

/// Takes the module away, as a hand that slipped would.
pub(crate) const MODULE_AWAY: &str =
    "for so in /usr/lib/*/security/pam_passkey.so; do mv $so $so.away; done";
/// Puts it back.
pub(crate) const MODULE_BACK: &str =
    "for so in /usr/lib/*/security/pam_passkey.so.away; do mv $so ${so%.away}; done";

/// What a person is told while an administrator must mend something.
pub(crate) const OUT_OF_ORDER: &str = "Security keys cannot be used now";

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
        let repacked = tempfile::tempdir().expect("a folder for packages");
        for package in fs::read_dir("target/package")
            .into_iter()
            .flatten()
            .flatten()
        {
            let name = package.file_name().to_string_lossy().into_owned();
            if let Some(stem) = name.strip_suffix(".deb") {
                let later = lifecycle::later(&package.path(), repacked.path());
                luggage.push((format!("{stem}.later"), later));
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
        let mut steps = [packages::ARRIVE, sudo::FIRST].concat();
        if self.release == "sid" {
            // What differs there: a polkit that asks in a service of its own.
            steps.extend(sudo::RS);
            steps.extend(ways_in::POLKIT);
            return steps;
        }
        steps.extend(sudo::STEPS);
        // Debian 12 has no sudo-rs to speak of.
        if self.release != "bookworm" {
            steps.extend(sudo::RS);
        }
        for more in [
            ways_in::STEPS,
            ways_in::POLKIT,
            odd_keys::STEPS,
            trouble::STEPS,
            lifecycle::KEPT,
            second_factor::STEPS,
            lifecycle::REMOVED,
        ] {
            steps.extend(more);
        }
        steps
    }

    /// A heading in the transcript.
    pub(crate) fn title(&self, sentence: &str) {
        self.note(&format!("\n=== {sentence}"));
    }

    /// A line in the transcript about what no console shows.
    fn note(&self, line: &str) {
        let mut file = OpenOptions::new()
            .append(true)
            .open(&self.transcript)
            .expect("the transcript");
        writeln!(file, "\n{line}").expect("the transcript");
    }

    /// The last lines of the guest's log.
    pub(crate) fn last_words(&mut self) -> String {
        self.root.run("journalctl --no-pager --lines 25").said
    }

    /// Every step begins here: a touch is enough, blue alone is plugged in and will be touched, and
    /// alice is at the prompt of her shell.
    pub(crate) fn settle(&mut self) {
        self.policy(TOUCH);
        self.keys.pull_out_all();
        self.keys.plug_in(BLUE, None);
        self.keys.finger(BLUE, TOUCHES);
        self.at_the_console("alice");
        self.keys.journal(BLUE);
    }

    /// Replaces config.toml, where there is one.
    pub(crate) fn policy(&mut self, text: &str) {
        let file = "/etc/pam-passkey/config.toml";
        let script = format!("if [ -e {file} ]; then cat >{file} <<'EOF'\n{text}EOF\nfi");
        self.root.run(&script).ok();
    }

    /// alice gets in with her password, and is asked for nothing else.
    pub(crate) fn password_alone(&mut self) {
        let before = self.password_at_last();
        assert!(!before.contains("key"), "{before}");
    }

    /// alice gets in with her password; returns what she was told before.
    pub(crate) fn password_at_last(&mut self) -> String {
        self.console.types("sudo -k id --user; echo =$?=");
        let before = self.console.sees("[sudo] password for alice:");
        self.console.types("alice-password");
        let after = self.console.prompt();
        assert!(after.contains("\n0\n=0="), "{after}");
        before
    }

    /// alice gets in with a touch of blue, and is asked for nothing else; returns what she was
    /// told.
    pub(crate) fn key_alone(&mut self) -> String {
        self.console.types("sudo -k true; echo =$?=");
        let said = self.console.sees_one_of(&["=0=", "password for alice:"]);
        assert!(said.contains("Touch \"blue key\""), "{said}");
        assert!(!said.contains("password"), "{said}");
        said
    }

    /// alice leaves, and logs in at the getty with her password while no key is plugged in;
    /// returns what she was told before.
    pub(crate) fn logs_in_with_the_password(&mut self) -> String {
        self.keys.pull_out_all();
        self.console.logs_out_and_names("alice");
        let before = self.console.sees("Password: ");
        self.console.types("alice-password");
        self.console.waits_for_the_prompt_of("alice");
        before
    }

    /// Root breaks something, this is seen, and root mends it again, whatever came of it.
    pub(crate) fn in_trouble(&mut self, breaks: &str, mends: &str, then: impl FnOnce(&mut Self)) {
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            self.note(&format!("root# {breaks}"));
            self.root.run(breaks).ok();
            then(self);
        }));
        self.note(&format!("root# {mends}"));
        let mended = self.root.run(mends);
        if let Err(failure) = outcome {
            panic::resume_unwind(failure);
        }
        mended.ok();
    }

    /// What was written to the log of logins since the last look.
    pub(crate) fn log(&mut self) -> String {
        let script = "journalctl --sync; journalctl --quiet --facility=authpriv --output=cat \
                      --cursor-file=/run/bench-cursor";
        self.root.run(script).ok()
    }

    /// How many messages blue was sent since the step began, without CANCELs.
    pub(crate) fn messages_to_blue(&mut self) -> usize {
        let messages = self.keys.journal(BLUE);
        messages.iter().filter(|message| !message.cancel).count()
    }

    /// sudo asks for the password, and does not let alice in with this one; returns what it says.
    pub(crate) fn sudo_refuses(&mut self, password: &str) -> String {
        self.console.types("sudo -k id --user; echo =$?=");
        self.console.sees("[sudo] password for alice:");
        self.console.types(password);
        let ends = ["password for alice:", "=1=", "=0="];
        let said = self.console.sees_one_of(&ends);
        assert!(!said.contains("\n0\n"), "{said}");
        assert!(!said.ends_with("=0="), "{said}");
        if said.ends_with("=1=") {
            self.console.prompt();
        } else {
            self.console.breaks_off();
        }
        said
    }

    /// The prompt of sudo for a password stands there; alice leaves it.
    pub(crate) fn is_asked_for_the_password(&mut self) -> String {
        let said = self.console.sees("password for alice:");
        self.console.breaks_off();
        said
    }

    /// At the seat: presses the key of the locker until this stands on the screen again.
    pub(crate) fn unlock_with(&mut self, press: &str, text: &str) {
        for _ in 0..10 {
            self.screen.presses(press);
            if self.screen_shows_within(Duration::from_secs(6), text) {
                return;
            }
        }
        self.screen_shows(text);
    }
}

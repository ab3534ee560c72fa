//! A machine people live on: a policy under which a touch is enough, the service sudo with our
//! module alone, and keys that the product itself has enrolled.

#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::machine::{Finished, MODULE, Machine, PluggedIn, Run};
use crate::ssh_keygen::{self, Verdict};
use crate::virtual_key::{Presence, VirtualKey};

/// Where the module keeps receipts on such a machine.
const RECEIPTS: &str = "/var/lib/pam-passkey/receipts";

impl Machine {
    /// A machine on which nobody has a key yet.
    #[must_use]
    pub fn lived_on() -> Self {
        let machine = Self::new();
        machine.policy("user_verification = \"discouraged\"\n");
        machine.service("sudo", &format!("auth required {MODULE}\n"));
        machine
    }

    /// The same, and it checks passwords as Debian does: the service `passkey` is the one we ship.
    #[must_use]
    pub fn with_passwords() -> Self {
        let machine = Self::lived_on();
        machine.service("passkey", include_str!("../../config/pam.d/passkey"));
        machine.common_files_of_debian();
        machine
    }

    /// `sudo passkey …`, as alice types it at her terminal, once sudo has let her.
    pub fn by_alice(&self, arguments: &[&str]) -> Run<'_> {
        self.passkey(arguments.iter().copied())
            .env("SUDO_UID", "1000")
            .on_a_terminal()
    }

    /// The same, and its clock can be told to fail the module: see
    /// [`break_clock`](Self::break_clock).
    #[must_use]
    pub fn with_a_clock_that_breaks() -> Self {
        let mut machine = Self::lived_on();
        machine.preload(&[env!("BROKEN_CLOCK")]);
        machine
    }

    /// The same, and it has no secrets: what random numbers its programs were given can be known
    /// (see [`random_numbers`](Self::random_numbers)), and what they freed is not overwritten.
    #[must_use]
    pub fn that_forgets_nothing() -> Self {
        let mut machine = Self::lived_on();
        machine.preload(&[
            env!("BROKEN_CLOCK"),
            env!("HOARDING_HEAP"),
            env!("KNOWN_RANDOM"),
        ]);
        machine.write("/run/random", "", 0o666);
        machine
    }

    /// All random numbers of this length that its programs were given since this was last asked.
    pub fn random_numbers(&self, length: usize) -> Vec<Vec<u8>> {
        let lines = self.read("/run/random").unwrap_or_default();
        self.write("/run/random", "", 0o666);
        let number = |line: &str| {
            let (digits, _) = line.as_bytes().as_chunks::<2>();
            let digits = digits
                .iter()
                .filter_map(|two| std::str::from_utf8(two).ok());
            digits
                .filter_map(|two| u8::from_str_radix(two, 16).ok())
                .collect::<Vec<_>>()
        };
        let numbers = lines.lines().map(number);
        numbers.filter(|number| number.len() == length).collect()
    }

    /// Loads these libraries into every program.
    fn preload(&mut self, libraries: &[&str]) {
        let mut places = String::new();
        for library in libraries {
            let library = Path::new(library);
            let name = library.file_name().expect("a file").to_string_lossy();
            let place = format!("/usr/local/lib/bench/{name}");
            self.install(library, &place);
            places.push_str(&place);
            places.push('\n');
        }
        self.write_etc("ld.so.preload", &places, 0o644);
    }

    /// Once the module has asked so many more times for the time, it asks once in vain, and
    /// panics: nothing else can make it.
    pub fn break_clock(&self, after: usize) {
        // There at once and whole: a login that is under way may take it away at any moment.
        self.write("/run/broken-clock.new", &after.to_string(), 0o644);
        let (new, it) = (
            self.path("/run/broken-clock.new"),
            self.path("/run/broken-clock"),
        );
        fs::rename(new, it).expect("the same folder");
    }

    /// Whether the clock has failed since it was told to. Afterwards it does not.
    pub fn clock_has_failed(&self) -> bool {
        fs::remove_file(self.path("/run/broken-clock")).is_err()
    }

    /// Writes the common files that Debian's services include, for passwords alone.
    pub fn common_files_of_debian(&self) {
        self.service(
            "common-auth",
            "auth [success=1 default=ignore] pam_unix.so nullok\n\
             auth requisite pam_deny.so\n\
             auth required pam_permit.so\n",
        );
        self.service("common-account", "account required pam_unix.so\n");
        self.service(
            "common-session-noninteractive",
            "session required pam_permit.so\n",
        );
    }

    /// Writes `config.toml`; receipts are always kept.
    pub fn policy(&self, settings: &str) {
        let text = format!("receipts = \"{RECEIPTS}\"\n{settings}");
        self.write_etc("pam-passkey/config.toml", &text, 0o644);
        self.sh("mkdir -p /etc/pam-passkey/users")
            .output()
            .expect_success();
    }

    /// The program `passkey`, typed in a root shell that sudo did not open.
    pub fn passkey<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Run<'_> {
        self.run(["passkey"].into_iter().chain(arguments))
    }

    /// Plugs a key in and enrols it as root; the key answers at a touch from then on.
    #[must_use = "a key that nobody holds is pulled out at once"]
    pub fn enrolled(&self, user: &str, name: &str, more: &[&str]) -> PluggedIn {
        let key = self.plug_in(VirtualKey::named("Bench Key"));
        self.enroll(&key, user, name, more);
        key
    }

    /// Enrols a key that is plugged in.
    pub fn enroll(&self, key: &PluggedIn, user: &str, name: &str, more: &[&str]) {
        key.presence(Presence::after_ms(150));
        let command = ["enroll", "--touch-only", "--user", user, "--name", name];
        self.passkey(command.into_iter().chain(more.iter().copied()))
            .output()
            .expect_success();
        key.forget_transactions();
    }

    /// Enrols a key that is plugged in and has this PIN, for logins that ask for it.
    pub fn enroll_with_pin(&self, key: &PluggedIn, user: &str, name: &str, pin: &str) {
        self.enroll_for(key, user, name, pin, &[]);
    }

    /// The same with further arguments.
    pub fn enroll_for(&self, key: &PluggedIn, user: &str, name: &str, pin: &str, more: &[&str]) {
        key.presence(Presence::after_ms(150));
        let command = ["enroll", "--no-spare", "--user", user, "--name", name];
        let command = command.into_iter().chain(more.iter().copied());
        let mut enroll = self.passkey(command).on_a_terminal().start();
        enroll.wait_for("[y/N] ");
        enroll.type_line("y");
        // Once to make the credential, once for the test login with it.
        for times in 1..=2 {
            enroll.wait_for_times("tries left: ", times);
            enroll.type_line(pin);
        }
        enroll.finish().expect_success();
        key.forget_transactions();
    }

    /// The receipts kept so far.
    pub fn receipts(&self) -> Vec<Receipt> {
        let text = self.read(RECEIPTS).unwrap_or_default();
        text.lines()
            .map(|line| serde_json::from_str(line).expect("a receipt is a line of JSON"))
            .collect()
    }

    /// The OpenSSH public keys in a user's credential file.
    pub fn public_keys(&self, user: &str) -> Vec<String> {
        let file = self.read(&format!("/etc/pam-passkey/users/{user}.toml"));
        file.unwrap_or_default()
            .lines()
            .filter_map(|line| line.strip_prefix("public_key = \"")?.strip_suffix('"'))
            .map(str::to_owned)
            .collect()
    }
}

/// Runs it at a terminal, and answers what is asked, in this order.
pub fn answering(run: Run<'_>, answers: &[(&str, &str)]) -> Finished {
    let mut running = run.on_a_terminal().start();
    for (question, answer) in answers {
        running.wait_for(question);
        running.type_line(answer);
    }
    running.finish()
}

/// Runs it at a terminal, and answers each question as often as it is asked: never, once, or more.
pub fn whenever_asked(run: Run<'_>, answers: &[(&str, &str)]) -> Finished {
    let mut running = run.on_a_terminal().start();
    let mut answered = vec![0; answers.len()];
    let began = Instant::now();
    // One that hangs fails in `finish`.
    while !running.has_ended() && began.elapsed() < Duration::from_secs(60) {
        let said = running.printed();
        for ((question, answer), answered) in answers.iter().zip(&mut answered) {
            while said.matches(question).count() > *answered {
                running.type_line(answer);
                *answered += 1;
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    running.finish()
}

/// A line of the receipts file.
#[derive(Debug, Deserialize)]
pub struct Receipt {
    /// The name of the key.
    pub key: String,
    /// The signed line of JSON.
    pub message: String,
    /// The armoured SSHSIG.
    pub signature: String,
}

impl Receipt {
    /// What stock ssh-keygen makes of it, if this is the signer's public key.
    pub fn judged_by_ssh_keygen(&self, user: &str, public_key: &str) -> Verdict {
        ssh_keygen::verify(
            &format!("{user} namespaces=\"login@pam-passkey\" {public_key}\n"),
            user,
            "login@pam-passkey",
            self.message.as_bytes(),
            &self.signature,
        )
    }
}

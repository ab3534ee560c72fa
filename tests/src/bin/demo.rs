//! `make demo`: the product as built, a real libpam, and a key, while the reader watches.
//!
//! Everything happens on a private machine of the bench; nothing under the real `/etc` is
//! touched. Ends with 1 if anything comes out otherwise than it is told here.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a demonstration talks"
)]

use std::io::{self, BufRead, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use tests::login::RunningLogin;
use tests::machine::{ALICE_PASSWORD, MODULE, PluggedIn};
use tests::real_key::RealKey;
use tests::{Machine, Pam, Presence, VirtualKey};

const BOBS_FILE: &str = "/etc/pam-passkey/users/bob.toml";
const POLICY: &str = "user_verification = \"discouraged\"\ntimeout = 10\n";

fn main() -> ExitCode {
    let mut demo = Demo {
        machine: Machine::lived_on(),
        key: None,
        surprises: 0,
    };
    demo.machine.policy(POLICY);
    demo.machine.common_files_of_debian();
    let passkey = include_str!("../../../config/pam.d/passkey");
    demo.machine.service("passkey", passkey);
    title("A machine of its own");
    println!("Its /etc, /dev, /sys, /run and /var/lib are private; yours stay as they are.");
    println!("There live alice and bob. What asks is a real PAM service:\n");
    quote("/etc/pam.d/sudo", &format!("auth required {MODULE}"));
    quote("/etc/pam-passkey/config.toml", POLICY);
    demo.plug_in();
    demo.enroll();
    demo.touch();
    demo.no_touch();
    demo.somebody_elses_key();
    demo.receipt();
    title("That was all");
    match demo.surprises {
        0 => {
            println!("Everything came out as it was told. What next: README.md.");
            ExitCode::SUCCESS
        }
        surprises => {
            println!("{surprises} of it came out otherwise than it was told.");
            ExitCode::FAILURE
        }
    }
}

struct Demo {
    machine: Machine,
    /// The virtual key; none where a real one serves.
    key: Option<PluggedIn>,
    surprises: usize,
}

impl Demo {
    fn plug_in(&mut self) {
        match RealKey::find().filter(wanted) {
            Some(real) => self.machine.lend(&real),
            None => self.key = Some(self.machine.plug_in(VirtualKey::named("Virtual Key"))),
        }
    }

    /// What the person at the key will do; a script does it for the virtual one.
    fn presence(&self, presence: Presence, person: &str) {
        match &self.key {
            Some(key) => key.presence(presence),
            None => println!("({person})"),
        }
    }

    fn enroll(&mut self) {
        title("alice enrols a key");
        println!("$ sudo passkey enroll --name \"blue key\" --touch-only");
        self.presence(
            Presence::after_ms(900),
            "touch your key each time it blinks",
        );
        let enroll = ["passkey", "enroll", "--name", "blue key", "--touch-only"];
        // As sudo runs it for alice, at a terminal where she types her password and says yes to the key.
        let run = self.machine.run(enroll).env("SUDO_UID", "1000");
        let mut passkey = run.on_a_terminal().start();
        passkey.wait_for("Password:");
        passkey.type_line(ALICE_PASSWORD);
        passkey.wait_for("for alice? [y/N]");
        passkey.type_line("y");
        let offer = "Enrol a second key now? [y/N] ";
        let offered = || passkey.has_ended() || passkey.printed().ends_with(offer);
        show("  | ", offered, || passkey.printed());
        let shown = passkey.printed().len();
        passkey.type_line("n");
        let rest = || {
            passkey
                .printed()
                .get(shown..)
                .unwrap_or_default()
                .to_owned()
        };
        show("  | ", || passkey.has_ended(), rest);
        let enrolled = passkey.finish().success();
        self.expect(enrolled, "the key is enrolled");
    }

    fn touch(&mut self) {
        title("alice types sudo, and touches her key");
        self.presence(Presence::after_ms(900), "touch it");
        let code = watch(self.machine.login("sudo", "alice").start());
        self.expect(code == Pam::Success, "a touch: she is in");
    }

    fn no_touch(&mut self) {
        title("malware types sudo, and nobody touches the key");
        self.machine.policy(&POLICY.replace("10", "3"));
        self.presence(Presence::Never, "do not touch it");
        let code = watch(self.machine.login("sudo", "alice").start());
        self.expect(code == Pam::AuthErr, "no touch: refused");
        self.machine.policy(POLICY);
    }

    fn somebody_elses_key(&mut self) {
        title("bob has a key of his own, and tries alice's");
        let blue = self.key.take().map(PluggedIn::unplug);
        let bobs = self.bobs_file();
        if let Some(blue) = blue {
            self.key = Some(self.machine.plug_in(blue));
        }
        self.presence(Presence::after_ms(900), "touch it if it blinks");
        self.expect(bobs, "bob's own key is enrolled (and then unplugged)");
        let code = watch(self.machine.login("sudo", "bob").start());
        self.expect(code == Pam::AuthErr, "somebody else's key: refused");
    }

    /// Enrols a virtual key for bob, elsewhere, and brings his file here.
    fn bobs_file(&self) -> bool {
        let elsewhere = Machine::lived_on();
        drop(elsewhere.enrolled("bob", "red key", &[]));
        match elsewhere.read(BOBS_FILE) {
            Some(file) => self.machine.write(BOBS_FILE, &file, 0o644),
            None => return false,
        }
        true
    }

    fn receipt(&mut self) {
        title("what alice approved can be checked by anybody");
        let public_keys = self.machine.public_keys("alice");
        let (Some(receipt), Some(public_key)) = (
            self.machine.receipts().into_iter().next(),
            public_keys.first(),
        ) else {
            self.expect(false, "there is a receipt");
            return;
        };
        quote("the message that was signed", &receipt.message);
        quote("allowed_signers", &format!("alice {public_key}"));
        println!(
            "$ ssh-keygen -Y verify -n login@pam-passkey -I alice -f allowed_signers -s signature < message"
        );
        let verdict = receipt.judged_by_ssh_keygen("alice", public_key);
        print!("{}", verdict.output);
        self.expect(verdict.is_good, "stock ssh-keygen says so too");
    }

    fn expect(&mut self, came_out: bool, what: &str) {
        self.surprises += usize::from(!came_out);
        println!("{} {what}", if came_out { "  ok:" } else { "  NOT SO:" });
    }
}

/// Shows what a person sees at the prompt, while they see it.
fn watch(login: RunningLogin<'_>) -> Pam {
    println!("  +-- the prompt");
    show("  | ", || login.has_ended(), || login.complained());
    let code = login.finish().code();
    println!("  +-- PAM says {code:?}");
    code
}

/// Prints what comes, line by line, until the end.
fn show(margin: &str, ended: impl Fn() -> bool, said: impl Fn() -> String) {
    let mut shown = 0;
    loop {
        let end = ended();
        let said = said();
        let whole = if end {
            said.len()
        } else {
            said.rfind('\n').map_or(0, |at| at + 1)
        };
        for line in said[..whole].lines().skip(shown) {
            println!("{margin}{line}");
            shown += 1;
        }
        if end {
            return;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// Asks whether to use a real key, if there is somebody to ask.
fn wanted(real: &RealKey) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    print!(
        "\n{} is plugged in. Use it instead of a virtual key?\n\
         What it makes is forgotten when the demonstration ends. [y/N] ",
        real.name
    );
    let _ = io::stdout().flush();
    let mut answer = String::new();
    let answered = io::stdin().lock().read_line(&mut answer);
    answered.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes")
}

fn title(text: &str) {
    println!("\n== {text}\n");
}

fn quote(name: &str, text: &str) {
    println!("{name}:");
    for line in text.lines() {
        println!("    {line}");
    }
    println!();
}

//! alice at her terminal, with `passkey ssh` and a security key.

use tests::household::whenever_asked;
use tests::machine::{Finished, PluggedIn, Run, privilege};
use tests::openssh::{PIN, home};
use tests::{Machine, Presence, VirtualKey};

/// The question for the PIN, as it ends.
pub(crate) const ITS_PIN: &str = "tries left: ";

/// What is asked of who has one security key plugged in.
pub(crate) const YES: (&str, &str) = ("? [y/N] ", "y");

/// A machine, and what is plugged in.
pub(crate) struct Sitting {
    pub(crate) machine: Machine,
    pub(crate) blue: PluggedIn,
}

impl Sitting {
    /// With a security key without a PIN.
    pub(crate) fn new() -> Self {
        Self::with(VirtualKey::named("Blue"))
    }

    /// With one that has [`PIN`].
    pub(crate) fn with_a_pin() -> Self {
        Self::with(VirtualKey::named("Blue").with_pin(PIN))
    }

    pub(crate) fn with(key: VirtualKey) -> Self {
        let machine = Machine::new();
        let blue = machine.plug_in(key);
        blue.presence(Presence::after_ms(50));
        open(&blue);
        Self { machine, blue }
    }

    /// Another security key.
    pub(crate) fn plug_in(&self, key: VirtualKey) -> PluggedIn {
        let key = self.machine.plug_in(key);
        key.presence(Presence::after_ms(50));
        open(&key);
        key
    }

    /// A command of the owner's, in their home.
    pub(crate) fn run(&self, command: &[&str]) -> Run<'_> {
        let at_home = ["sh", "-c", "cd; exec \"$@\"", "sh"];
        self.machine
            .by_owner(at_home.iter().chain(command).copied())
    }

    /// `passkey ssh …`, as it is typed there.
    pub(crate) fn ssh(&self, arguments: &[&str]) -> Run<'_> {
        self.run(&[&["passkey", "ssh"], arguments].concat())
    }

    /// `passkey ssh enroll …` at a terminal, with a yes to the security key and its PIN whenever
    /// it is asked for. No passphrase.
    pub(crate) fn enroll(&self, arguments: &[&str]) -> Finished {
        let command = ["enroll", "--no-passphrase"].iter().chain(arguments);
        let command: Vec<&str> = command.copied().collect();
        whenever_asked(self.ssh(&command), &[YES, (ITS_PIN, PIN)])
    }

    /// A line of the owner's shell, in their home.
    pub(crate) fn sh(&self, line: &str) -> Finished {
        self.machine.sh_by_owner(&format!("cd; {line}")).output()
    }

    /// What is in a folder of the owner's, hidden files too.
    pub(crate) fn names(&self, folder: &str) -> String {
        self.sh(&format!("ls -A {folder}")).stdout
    }
}

/// As udev does for whoever sits at the machine.
fn open(key: &PluggedIn) {
    if privilege().has_other_users() {
        key.node_mode(0o666);
    }
}

/// What ssh-keygen makes of a private-key file: its public key.
pub(crate) fn read_by_ssh_keygen(sitting: &Sitting, file: &str, passphrase: &str) -> Finished {
    let command = ["ssh-keygen", "-y", "-P", passphrase, "-f", file];
    sitting.run(&command).output()
}

/// A path in the owner's home.
pub(crate) fn at_home(path: &str) -> String {
    format!("{}/{path}", home())
}

/// Failed with 1, and said this, with what to do about it on a line of its own.
#[track_caller]
pub(crate) fn assert_failed(ended: &Finished, happened: &str, what_to_do: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let said = [ended.stdout.as_str(), &ended.stderr].concat();
    let said = said.replace("\r\n", "\n");
    let pair = said.rsplit_once("passkey: ").map(|(_, pair)| pair);
    let (first, second) = pair.and_then(|pair| pair.split_once("\n  ")).unwrap();
    assert!(first.contains(happened), "no {happened:?} in {first}");
    assert!(second.contains(what_to_do), "no {what_to_do:?} in {second}");
}

/// Whether the owner is an ordinary user: root may do what is refused here.
pub(crate) fn as_nobody_special() -> bool {
    let is_so = privilege().has_other_users();
    if !is_so {
        println!("skipped: there is only root");
    }
    is_so
}

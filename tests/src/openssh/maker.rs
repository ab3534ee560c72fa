//! Who makes an SSH key on a security key, so that one test holds for whoever made it.

#![forbid(unsafe_code)]

use crate::household::whenever_asked;
use crate::machine::{Finished, Machine, Run};

use super::{ASKED_FOR_PIN, PIN, home};

/// A program that makes SSH keys on security keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// OpenSSH's own.
    SshKeygen,
    /// Ours: `passkey ssh enroll`.
    Passkey,
}

/// What kind of key, in the words of `ssh-keygen -t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `sk-ecdsa-sha2-nistp256@openssh.com`
    EcdsaSk,
    /// `sk-ssh-ed25519@openssh.com`
    Ed25519Sk,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::EcdsaSk, Self::Ed25519Sk];

    /// What comes after `-t`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EcdsaSk => "ecdsa-sk",
            Self::Ed25519Sk => "ed25519-sk",
        }
    }

    /// What a public key of this kind begins with.
    #[must_use]
    pub fn algorithm(self) -> &'static str {
        match self {
            Self::EcdsaSk => "sk-ecdsa-sha2-nistp256@openssh.com",
            Self::Ed25519Sk => "sk-ssh-ed25519@openssh.com",
        }
    }

    /// What OpenSSH calls it to a person.
    #[must_use]
    pub fn called(self) -> &'static str {
        match self {
            Self::EcdsaSk => "ECDSA-SK",
            Self::Ed25519Sk => "ED25519-SK",
        }
    }
}

/// What a signature by the key takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protection {
    /// A touch.
    #[default]
    Touch,
    /// A touch and the PIN: `-O verify-required`.
    VerifyRequired,
    /// Nothing: `-O no-touch-required`.
    NoTouchRequired,
}

impl Protection {
    /// The option's name; a touch is no option.
    #[must_use]
    pub fn option(self) -> Option<&'static str> {
        match self {
            Self::Touch => None,
            Self::VerifyRequired => Some("verify-required"),
            Self::NoTouchRequired => Some("no-touch-required"),
        }
    }
}

/// A key that is to be made, without a passphrase.
#[derive(Clone, Debug)]
pub struct Order {
    kind: Kind,
    file: String,
    protection: Protection,
    resident_for: Option<String>,
    application: Option<String>,
    comment: String,
}

impl Order {
    /// A key in this file of the owner's `~/.ssh`.
    #[must_use]
    pub fn of(kind: Kind, file: &str) -> Self {
        Self {
            kind,
            file: format!("{}/.ssh/{file}", home()),
            protection: Protection::Touch,
            resident_for: None,
            application: None,
            comment: "bench".to_owned(),
        }
    }

    /// What a signature takes; a touch without this.
    #[must_use]
    pub fn protected(self, protection: Protection) -> Self {
        Self { protection, ..self }
    }

    /// Kept on the security key as well, for this user.
    #[must_use]
    pub fn resident_for(self, user: &str) -> Self {
        let resident_for = Some(user.to_owned());
        Self {
            resident_for,
            ..self
        }
    }

    /// For another application than `ssh:`.
    #[must_use]
    pub fn application(self, application: &str) -> Self {
        let application = Some(application.to_owned());
        Self {
            application,
            ..self
        }
    }

    /// With this comment.
    #[must_use]
    pub fn comment(self, comment: &str) -> Self {
        let comment = comment.to_owned();
        Self { comment, ..self }
    }

    /// The command line of `ssh-keygen` for it.
    fn for_ssh_keygen(&self) -> Vec<String> {
        let mut command = words(&["ssh-keygen", "-t", self.kind.name(), "-N", ""]);
        command.extend(words(&["-C", &self.comment, "-f", &self.file]));
        let mut option = |option: String| command.extend(["-O".to_owned(), option]);
        if let Some(protection) = self.protection.option() {
            option(protection.to_owned());
        }
        if let Some(user) = &self.resident_for {
            option("resident".to_owned());
            option(format!("user={user}"));
        }
        if let Some(application) = &self.application {
            option(format!("application={application}"));
        }
        command
    }

    /// That of `passkey`.
    fn for_passkey(&self) -> Vec<String> {
        let mut command = words(&["passkey", "ssh", "enroll", "--no-passphrase"]);
        command.extend(words(&["--type", self.kind.name(), "--output", &self.file]));
        command.extend(words(&["--comment", &self.comment]));
        if let Some(protection) = self.protection.option() {
            command.push(format!("--{protection}"));
        }
        if let Some(user) = &self.resident_for {
            command.extend(words(&["--resident", "--user", user]));
        }
        if let Some(application) = &self.application {
            command.extend(words(&["--application", application]));
        }
        command
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

impl Maker {
    /// Makes the key at the owner's terminal, where the PIN is typed as often as it is asked for.
    #[track_caller]
    pub fn make(self, machine: &Machine, order: &Order) -> SkKey {
        self.try_to_make(machine, order).expect_success();
        SkKey {
            file: order.file.clone(),
        }
    }

    /// The same where it may fail.
    pub fn try_to_make(self, machine: &Machine, order: &Order) -> Finished {
        let command = match self {
            Self::SshKeygen => order.for_ssh_keygen(),
            Self::Passkey => order.for_passkey(),
        };
        self.at_the_terminal(machine.by_owner(command), PIN)
    }

    /// Writes the files of the keys that the security key keeps itself into this folder.
    pub fn get_back(self, machine: &Machine, folder: &str, pin: &str) -> Finished {
        let command = match self {
            Self::SshKeygen => format!("cd {folder} && ssh-keygen -K -N ''"),
            Self::Passkey => format!("passkey ssh import --no-passphrase {folder}"),
        };
        self.at_the_terminal(machine.sh_by_owner(&command), pin)
    }

    fn at_the_terminal(self, run: Run<'_>, pin: &str) -> Finished {
        match self {
            Self::SshKeygen => whenever_asked(run, &[(ASKED_FOR_PIN, pin)]),
            Self::Passkey => whenever_asked(run, &[("[y/N] ", "y"), ("tries left: ", pin)]),
        }
    }
}

/// A private key file, with its `.pub` beside it.
#[derive(Clone, Debug)]
pub struct SkKey {
    /// Where it lies.
    pub file: String,
}

impl SkKey {
    /// One that is there already.
    #[must_use]
    pub fn at(file: &str) -> Self {
        let file = file.to_owned();
        Self { file }
    }

    /// The line in `.pub`, without its end.
    #[must_use]
    pub fn public_key(&self, machine: &Machine) -> String {
        // From inside: what is alice's may be closed to whoever runs the tests.
        let line = machine.by_owner(["cat", &self.public_file()]).output();
        line.expect_success().stdout.trim_end().to_owned()
    }

    /// Where the public key lies.
    #[must_use]
    pub fn public_file(&self) -> String {
        format!("{}.pub", self.file)
    }
}

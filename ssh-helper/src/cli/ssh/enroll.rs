//! `passkey ssh enroll`.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use ceremony::public_key::Algorithm;
use ceremony::ssh_application::SshApplication;
use clap::{Args, ValueEnum};

use super::{Encryption, SecurityKey};
use crate::key_name::{quoted, quoted_if_need_be};

/// Make an SSH key that a security key holds (`ssh-keygen -t ecdsa-sk`).
///
/// Writes a private-key file, which is of use only beside the security key, and
/// the public key. Nothing is written over unless told so, and what cannot be
/// written is found out before anybody is asked for a touch.
#[derive(Args, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub(crate) struct Enroll {
    /// The private-key file; its public key goes to FILE.pub. Where left out,
    /// `~/.ssh/id_ecdsa_sk` or `~/.ssh/id_ed25519_sk`.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// The kind of key.
    #[arg(short = 't', long = "type", value_enum, default_value_t = KeyType::EcdsaSk)]
    pub(crate) key_type: KeyType,

    /// A note at the end of the public key; USER@HOST where left out.
    #[arg(short = 'C', long, value_parser = comment)]
    pub(crate) comment: Option<String>,

    /// What the key is for: text that begins with `ssh:`. Keys on one security
    /// key that are for different things are told apart by it.
    #[arg(long, value_name = "ssh:TEXT", default_value = SshApplication::DEFAULT,
          value_parser = SshApplication::parse)]
    pub(crate) application: SshApplication,

    /// Have the security key keep the key itself, in one of its few slots:
    /// `passkey ssh import` or `ssh-keygen -K` get it back from there on any
    /// machine. Asks for the PIN.
    #[arg(long)]
    pub(crate) resident: bool,

    /// Whose the resident key is, to tell several of one application apart.
    #[arg(long, requires = "resident", value_parser = user)]
    pub(crate) user: Option<String>,

    /// Replace the resident key of the same application and user, which is
    /// then lost.
    #[arg(long, requires = "resident")]
    pub(crate) replace: bool,

    /// Ask for the PIN or fingerprint at every login, too.
    #[arg(long)]
    pub(crate) verify_required: bool,

    /// Sign without a touch, for scripts. Servers refuse such signatures unless
    /// the line in `authorized_keys` allows them.
    #[arg(long)]
    pub(crate) no_touch_required: bool,

    /// Sign the bytes of this file when the key vouches for itself, where a
    /// server wants to see that the key was made for it (1 to 65536 bytes;
    /// random ones where left out).
    #[arg(long, value_name = "FILE")]
    pub(crate) challenge: Option<PathBuf>,

    /// Write what vouches for the key to this file, for
    /// `passkey ssh verify-attestation`.
    #[arg(long, value_name = "FILE")]
    pub(crate) attestation: Option<PathBuf>,

    /// Also note the key in this backup file, from which `passkey ssh recover`
    /// makes the private-key file anew.
    #[arg(long, value_name = "FILE", conflicts_with = "resident")]
    pub(crate) backup: Option<PathBuf>,

    /// Make a spare for this private key, on another security key: for the same
    /// application and with the same demands. Both public keys are printed, to
    /// be installed together.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["application", "verify_required", "no_touch_required"])]
    pub(crate) spare_of: Option<PathBuf>,

    /// Then enrol a security key for logins on this machine, by
    /// `sudo passkey enroll`, which asks again which one where several are
    /// plugged in. These are two keys of their own: nothing that opens one opens
    /// the other.
    #[arg(long)]
    pub(crate) also_login: bool,

    /// Write over files that are there.
    #[arg(long)]
    pub(crate) force: bool,

    /// How the private-key file is encrypted.
    #[command(flatten)]
    pub(crate) encryption: Encryption,

    /// How long to wait for a security key and for each touch.
    #[arg(long, value_name = "SECONDS", default_value_t = Self::TIMEOUT,
          value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) timeout: u16,

    /// Which one.
    #[command(flatten)]
    pub(crate) which: SecurityKey,

    /// What ssh-keygen would take.
    #[command(flatten)]
    of_ssh_keygen: OfSshKeygen,
}

/// What whoever comes from ssh-keygen types by habit, to be told what it is
/// called here.
#[derive(Args, Clone, Debug, Default)]
struct OfSshKeygen {
    #[arg(short = 'O', hide = true, value_name = "OPTION", value_parser = called_here)]
    options: Vec<String>,

    #[arg(short = 'N', hide = true, value_name = "TEXT", allow_hyphen_values = true,
          value_parser = never_an_argument)]
    passphrase: Option<String>,
}

fn called_here(option: &str) -> Result<String, String> {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let ours = match name {
        "application" | "challenge" | "user" => format!("--{name} {value}"),
        "no-touch-required" | "resident" | "verify-required" => format!("--{name}"),
        "device" => format!("--key {value}"),
        "write-attestation" => format!("--attestation {value}"),
        _ => return Err("an option of ssh-keygen's that there is none for here".to_owned()),
    };
    Err(format!("it is called {} here", ours.trim_end()))
}

fn never_an_argument(_: &str) -> Result<String, String> {
    Err(
        "everybody on this machine can read arguments; leave it out to be asked, or say \
         --passphrase-file FILE or --no-passphrase"
            .to_owned(),
    )
}

impl Enroll {
    /// The command as it was typed: what to type again.
    pub(crate) fn words(&self) -> String {
        let path = |option: &str, path: &PathBuf| {
            let path = path.display().to_string();
            format!("{option} {}", quoted_if_need_be(&path))
        };
        let text = |option: &str, text: &str| format!("{option} {}", quoted(text));
        let switch = |option: &str, is_set: bool| is_set.then(|| option.to_owned());
        let application = self.application.as_str();
        let encryption = &self.encryption;
        let words = [
            Some("passkey ssh enroll".to_owned()),
            self.output.as_ref().map(|it| path("--output", it)),
            switch("--type ed25519-sk", self.key_type == KeyType::Ed25519Sk),
            self.comment.as_ref().map(|it| text("--comment", it)),
            (application != SshApplication::DEFAULT).then(|| text("--application", application)),
            switch("--resident", self.resident),
            self.user.as_ref().map(|it| text("--user", it)),
            switch("--replace", self.replace),
            switch("--verify-required", self.verify_required),
            switch("--no-touch-required", self.no_touch_required),
            self.challenge.as_ref().map(|it| path("--challenge", it)),
            self.attestation
                .as_ref()
                .map(|it| path("--attestation", it)),
            self.backup.as_ref().map(|it| path("--backup", it)),
            self.spare_of.as_ref().map(|it| path("--spare-of", it)),
            switch("--also-login", self.also_login),
            switch("--force", self.force),
            switch("--no-passphrase", encryption.no_passphrase),
            encryption
                .passphrase_file
                .as_ref()
                .map(|it| path("--passphrase-file", it)),
            (encryption.rounds != Encryption::ROUNDS)
                .then(|| format!("--rounds {}", encryption.rounds)),
            (encryption.cipher.as_str() != Encryption::CIPHER)
                .then(|| format!("--cipher {}", encryption.cipher)),
            (self.timeout != Self::TIMEOUT).then(|| format!("--timeout {}", self.timeout)),
            self.which.node.as_ref().map(|it| path("--key", it)),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// The same command with a change, to be typed instead.
    pub(crate) fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    /// How long to wait, in seconds.
    const TIMEOUT: u16 = 30;
}

impl From<KeyType> for Algorithm {
    fn from(kind: KeyType) -> Self {
        match kind {
            KeyType::EcdsaSk => Self::Es256,
            KeyType::Ed25519Sk => Self::EdDsa,
        }
    }
}

/// The kinds of keys, by ssh-keygen's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyType {
    /// ECDSA over P-256; every FIDO2 key has it.
    EcdsaSk,
    /// Ed25519, on newer keys.
    Ed25519Sk,
}

/// The longest comment, in bytes.
const LONGEST_COMMENT: usize = 1024;

/// One line of text.
fn comment(text: &str) -> Result<String, String> {
    if text.len() > LONGEST_COMMENT {
        return Err(format!("a comment has at most {LONGEST_COMMENT} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("a comment is one line, without control characters".to_owned());
    }
    Ok(text.trim().to_owned())
}

/// What fits into the 32 bytes that ssh-keygen keeps for it, and its end.
fn user(text: &str) -> Result<String, String> {
    if !(1..=31).contains(&text.len()) {
        return Err("a user has 1 to 31 bytes".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("a user has no control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;
    use crate::cli::ssh::SshCommand;
    use crate::cli::{Cli, Command};

    fn parsed(line: &[&str]) -> Result<Enroll, ErrorKind> {
        let line = [&["passkey", "ssh", "enroll"], line].concat();
        let cli = Cli::try_parse_from(line).map_err(|problem| problem.kind())?;
        match cli.command {
            Command::Ssh(ssh) => match ssh.command {
                SshCommand::Enroll(enroll) => Ok(enroll),
                _ => panic!("another command"),
            },
            _ => panic!("another command"),
        }
    }

    #[test]
    fn what_is_to_be_typed_again_has_every_option_that_was_typed() {
        for line in [
            &[][..],
            &[
                "--output",
                "/tmp/key",
                "--comment",
                "a b",
                "--force",
                "--timeout",
                "60",
            ],
            &[
                "--type",
                "ed25519-sk",
                "--application",
                "ssh:work",
                "--no-touch-required",
            ],
            &[
                "--resident",
                "--user",
                "bob",
                "--replace",
                "--verify-required",
            ],
            &["--challenge", "c", "--attestation", "a b", "--backup", "b"],
            &["--spare-of", "first", "--also-login", "--no-passphrase"],
            &["--resident", "--key", "/dev/hidraw3"],
            &[
                "--passphrase-file",
                "p",
                "--rounds",
                "32",
                "--cipher",
                "aes128-ctr",
            ],
        ] {
            let enroll = parsed(line).unwrap();
            let words = enroll.words();
            let again: Vec<&str> = words.split(' ').skip(3).collect();
            // One word each, but for those that have a blank in them.
            let blanks = line.iter().filter(|word| word.contains(' ')).count();
            assert_eq!(again.len(), line.len() + blanks, "{words}");
            for word in line {
                assert!(words.contains(word), "no {word} in {words}");
            }
        }
    }

    #[test]
    fn limits_have_two_sides() {
        let of = |length: usize| "a".repeat(length);
        let accepted = |line: &[&str]| parsed(line).is_ok();
        assert!(accepted(&["--comment", &of(1024)]));
        assert!(!accepted(&["--comment", &of(1025)]));
        assert!(!accepted(&["--comment", "two\nlines"]));
        assert!(accepted(&["--resident", "--user", &of(31)]));
        for user in [&of(32), "", "a\u{7}"] {
            assert!(!accepted(&["--resident", "--user", user]), "{user:?}");
        }
        for (rounds, good) in [("0", false), ("1", true), ("1024", true), ("1025", false)] {
            assert_eq!(accepted(&["--rounds", rounds]), good, "{rounds}");
        }
        for (seconds, good) in [("0", false), ("1", true), ("300", true), ("301", false)] {
            assert_eq!(accepted(&["--timeout", seconds]), good, "{seconds}");
        }
        for cipher in ["none", "3des-cbc", "rot13", ""] {
            assert!(!accepted(&["--cipher", cipher]), "{cipher}");
        }
    }

    #[test]
    fn whoever_types_ssh_keygens_options_is_told_ours() {
        let told = |line: &[&str]| {
            let line = [&["passkey", "ssh", "enroll"], line].concat();
            Cli::try_parse_from(line).unwrap_err().to_string()
        };
        for (option, ours) in [
            ("resident", "it is called --resident here"),
            ("verify-required", "--verify-required"),
            ("no-touch-required", "--no-touch-required"),
            ("application=ssh:work", "--application ssh:work"),
            ("user=bob", "--user bob"),
            ("challenge=c", "--challenge c"),
            ("device=/dev/hidraw3", "--key /dev/hidraw3"),
            ("write-attestation=a", "--attestation a"),
            ("hashalg=sha256", "there is none for here"),
        ] {
            let said = told(&["-O", option]);
            assert!(said.contains(ours), "no {ours} in {said}");
        }
        for passphrase in ["", "my house"] {
            let said = told(&["-N", passphrase]);
            assert!(said.contains("--no-passphrase"), "{said}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for line in [
            &["--application", "pam://laptop"][..],
            &["--application", "work"],
            &["--user", "bob"],
            &["--replace"],
            &["--resident", "--backup", "b"],
            &["--spare-of", "first", "--application", "ssh:work"],
            &["--no-passphrase", "--passphrase-file", "p"],
            &["--type", "rsa"],
        ] {
            assert!(parsed(line).is_err(), "{line:?}");
        }
    }
}

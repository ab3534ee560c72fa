//! The command line: the one definition from which help, man pages and
//! completions grow.
#![forbid(unsafe_code)]

mod check;
pub(crate) mod key;
pub(crate) mod manual;

use std::path::PathBuf;
use std::time::Duration;

use ceremony::credential::{CredentialName, UserVerification};
use ceremony::public_key::Algorithm;
use ceremony::relying_party::RelyingPartyId;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use check::Check;

use crate::key_name;

/// Log in with FIDO2 security keys: enrol them, list, remove and test them.
///
/// A key signs a fresh challenge for every login; this machine keeps only
/// public keys, in /etc/pam-passkey/users/.
#[derive(Debug, Parser)]
#[command(name = "passkey", version, after_long_help = manual::after_help())]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// How to say it.
    #[command(flatten)]
    pub(crate) manners: Manners,
}

/// How results and talk are to look; good for every command.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Manners {
    /// Print the result as one line of JSON, for programs (see passkey(1)).
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// No colours, and no line that is written over: for screen readers and
    /// serial lines. So it is where `TERM=dumb`; `NO_COLOR` does without
    /// colours only.
    #[arg(long, global = true)]
    pub(crate) plain: bool,
}

/// The commands, in the order in which a person meets them.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Enroll(Enroll),
    List(List),
    Show(Show),
    Rename(Rename),
    Remove(Remove),
    Test(Test),
    Check(Check),
    Key(key::Key),
    /// Judge the receipts of approvals.
    #[command(subcommand)]
    Receipt(Receipt),
    /// Print keys for other programs.
    #[command(subcommand)]
    Export(Export),
    Completions(manual::Completions),
    #[command(hide = true)]
    Manual(manual::Manual),
}

/// Enrol a security key for your account (run it with sudo).
///
/// The first key asks for the account's password, every further one for a key
/// you have, which vouches for it. The key is shown before you say yes; where
/// several are plugged in, you are asked which. Until then it is asked for
/// nothing but what it is. A PIN is typed twice: to make the credential, and for
/// the test login without which nothing is written.
#[derive(Args, Clone, Debug)]
pub(crate) struct Enroll {
    /// What to call the key; the product's name where left out.
    #[arg(long, value_parser = CredentialName::parse)]
    pub(crate) name: Option<CredentialName>,

    /// Enrol for this account. Another one than yours needs a root shell that
    /// was not reached through sudo, pkexec or doas.
    #[arg(long)]
    pub(crate) user: Option<String>,

    /// The signature algorithm.
    #[arg(long, value_enum, default_value_t = AlgorithmWord::Es256)]
    pub(crate) algorithm: AlgorithmWord,

    /// The relying party id the key is bound to; `pam://<hostname>` where left out.
    ///
    /// A fleet that shares credential files chooses one id for all its
    /// machines.
    #[arg(long, value_name = "ID", value_parser = RelyingPartyId::parse)]
    pub(crate) rp_id: Option<RelyingPartyId>,

    /// Let a touch of this key do where the policy does.
    ///
    /// That is where it says `user_verification = "discouraged"`. Elsewhere the
    /// key is asked for its PIN or fingerprint all the same, and opens nothing if
    /// it has neither. Some keys with a PIN want it at enrolment, too.
    #[arg(long)]
    pub(crate) touch_only: bool,

    /// Have the key keep the credential itself, in one of its few slots.
    ///
    /// Its id is then short, which makes logins with very many keys quicker;
    /// the key can list the credential, and asks for its PIN to make it.
    #[arg(long)]
    pub(crate) discoverable: bool,

    /// How long to wait for a key and for each touch; the policy's timeout
    /// where left out.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u16).range(1..=300))]
    pub(crate) timeout: Option<u16>,

    /// Do not offer to enrol a spare key after the first one.
    #[arg(long)]
    pub(crate) no_spare: bool,
}

impl Enroll {
    /// The same command with a change, to be typed instead.
    pub(crate) fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }

    /// What the key must do besides noticing a touch.
    pub(crate) fn user_verification(&self) -> UserVerification {
        if self.touch_only {
            UserVerification::Discouraged
        } else {
            UserVerification::Required
        }
    }

    /// The command as it was typed, but for `--user`: what to type again.
    pub(crate) fn words(&self) -> String {
        let mut words = "enroll".to_owned();
        if let Some(name) = &self.name {
            words += " --name ";
            words += &key_name::quoted(name.as_str());
        }
        if self.algorithm == AlgorithmWord::EdDsa {
            words += " --algorithm eddsa";
        }
        if let Some(id) = &self.rp_id {
            words += " --rp-id ";
            words += &key_name::quoted(id.as_str());
        }
        for (given, word) in [
            (self.touch_only, " --touch-only"),
            (self.discoverable, " --discoverable"),
            (self.no_spare, " --no-spare"),
        ] {
            words += if given { word } else { "" };
        }
        if let Some(seconds) = self.timeout {
            words += &format!(" --timeout {seconds}");
        }
        words
    }

    /// How long to wait, where the person said so.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        self.timeout
            .map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// The words for an algorithm on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AlgorithmWord {
    /// ECDSA over P-256; every FIDO2 key has it.
    Es256,
    /// Ed25519, on newer keys.
    #[value(name = "eddsa")]
    EdDsa,
}

impl From<AlgorithmWord> for Algorithm {
    fn from(word: AlgorithmWord) -> Self {
        match word {
            AlgorithmWord::Es256 => Self::Es256,
            AlgorithmWord::EdDsa => Self::EdDsa,
        }
    }
}

/// List the keys enrolled for an account.
#[derive(Args, Debug)]
pub(crate) struct List {
    /// The account; yours where left out.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

/// Show all that is recorded of a key.
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The key's name, as `passkey list` shows it.
    #[arg(value_parser = CredentialName::parse)]
    pub(crate) name: CredentialName,

    /// The account; yours where left out.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

/// Call a key something else (run it with sudo).
///
/// Only the name changes: the key opens what it opened before.
#[derive(Args, Debug)]
pub(crate) struct Rename {
    /// The key's name, as `passkey list` shows it.
    #[arg(value_parser = CredentialName::parse)]
    pub(crate) name: CredentialName,

    /// What to call it from now on.
    #[arg(value_parser = CredentialName::parse)]
    pub(crate) new_name: CredentialName,

    /// Rename a key of this account. Another one than yours needs a root shell
    /// that was not reached through sudo, pkexec or doas.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

/// Remove a key from your account (run it with sudo).
///
/// Also drops the time stamps by which sudo remembers the account's logins.
/// Before the last key goes you are asked, since wherever a key is required
/// the account is locked out then.
#[derive(Args, Debug)]
pub(crate) struct Remove {
    /// The key's name, as `passkey list` shows it.
    #[arg(value_parser = CredentialName::parse)]
    pub(crate) name: CredentialName,

    /// Remove it without a question, even if it is the account's last one.
    #[arg(long)]
    pub(crate) last: bool,

    /// Remove from this account. Another one than yours needs a root shell
    /// that was not reached through sudo, pkexec or doas.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

/// Try a login, without logging in.
///
/// Asks the plugged-in keys for exactly what a login through the service would
/// ask, by the policy of /etc/pam-passkey/config.toml. It looks neither at where
/// you sit nor at the module's arguments in /etc/pam.d.
#[derive(Args, Debug)]
pub(crate) struct Test {
    /// The PAM service whose policy counts.
    #[arg(long, value_name = "NAME", default_value = Test::SERVICE)]
    pub(crate) service: String,

    /// The account; yours where left out.
    #[arg(long)]
    pub(crate) user: Option<String>,

    /// Write the approval's receipt to this file, which must not exist yet:
    /// one line of JSON whose signature `ssh-keygen -Y verify` can check.
    #[arg(long, value_name = "FILE")]
    pub(crate) receipt: Option<PathBuf>,
}

/// What to do with receipts.
#[derive(Debug, Subcommand)]
pub(crate) enum Receipt {
    Verify(Verify),
}

/// Say of every receipt in a file who approved what, and whether it holds.
///
/// It holds if a key that the person has now has signed it, somebody was there
/// and was verified where the key demands it, it is not older than the key's
/// enrolment, and no other line has the same nonce. Ends with 1 if one does not
/// hold. A key that was removed since cannot be judged by: keep what
/// `passkey export allowed-signers` prints for as long as you keep receipts.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The file, a receipt a line: `receipts` in config.toml, or what
    /// `passkey test --receipt` wrote; `-` for standard input.
    pub(crate) file: PathBuf,

    /// Take receipts of this account only.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

/// What to print.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    AllowedSigners(AllowedSigners),
}

/// Print an account's keys as an `allowed_signers` file.
///
/// `ssh-keygen -Y verify` judges receipts by it, without passkey: each key for
/// the namespace login@pam-passkey alone, from its enrolment on.
#[derive(Args, Debug)]
pub(crate) struct AllowedSigners {
    /// The account; yours where left out.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

impl Test {
    /// The service that is tried where none is named.
    pub(crate) const SERVICE: &str = "sudo";
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn refused(line: &[&str]) -> ErrorKind {
        Cli::try_parse_from(line).unwrap_err().kind()
    }

    #[test]
    fn the_definition_is_consistent_with_itself() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_of_enroll_arrives() {
        let cli = Cli::try_parse_from([
            "passkey",
            "enroll",
            "--name",
            " blue key ",
            "--user",
            "alice",
            "--algorithm",
            "eddsa",
            "--rp-id",
            "pam://fleet",
            "--touch-only",
            "--discoverable",
            "--no-spare",
            "--timeout",
            "60",
        ])
        .unwrap();
        let Command::Enroll(enroll) = cli.command else {
            panic!("another command");
        };
        assert_eq!(enroll.name.as_ref().unwrap().as_str(), "blue key");
        assert_eq!(enroll.user.as_deref(), Some("alice"));
        assert_eq!(Algorithm::from(enroll.algorithm), Algorithm::EdDsa);
        assert_eq!(enroll.rp_id.as_ref().unwrap().as_str(), "pam://fleet");
        assert!(enroll.touch_only && enroll.discoverable);
        assert_eq!(enroll.timeout(), Some(Duration::from_secs(60)));
        // and is there again when it is to be typed once more
        assert_eq!(
            enroll.words(),
            "enroll --name \"blue key\" --algorithm eddsa --rp-id \"pam://fleet\" \
             --touch-only --discoverable --no-spare --timeout 60"
        );
        let other = enroll.but(|it| it.name = None);
        assert!(other.words().starts_with("enroll --algorithm eddsa"));
    }

    #[test]
    fn verification_and_es256_are_what_one_gets_unasked() {
        let Command::Enroll(enroll) = Cli::try_parse_from(["passkey", "enroll"]).unwrap().command
        else {
            panic!("another command");
        };
        assert_eq!(enroll.user_verification(), UserVerification::Required);
        assert_eq!(enroll.words(), "enroll");
        assert_eq!(Algorithm::from(enroll.algorithm), Algorithm::Es256);
        assert_eq!(enroll.timeout(), None);
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for line in [
            &["passkey", "enroll", "--name", "a\nb"][..],
            &["passkey", "enroll", "--name", ""],
            &["passkey", "enroll", "--rp-id", "ssh:host"],
            &["passkey", "enroll", "--timeout", "0"],
            &["passkey", "enroll", "--timeout", "301"],
        ] {
            assert_eq!(refused(line), ErrorKind::ValueValidation, "{line:?}");
        }
        assert_eq!(
            refused(&["passkey", "enroll", "--algorithm", "rs256"]),
            ErrorKind::InvalidValue
        );
        assert_eq!(
            refused(&["passkey", "remove"]),
            ErrorKind::MissingRequiredArgument
        );
        assert_eq!(refused(&["passkey", "add"]), ErrorKind::InvalidSubcommand);
    }
}

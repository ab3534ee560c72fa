//! The command line: the one definition from which help, man pages and
//! completions grow.
#![forbid(unsafe_code)]

mod check;
pub(crate) mod key;
mod login;
pub(crate) mod manual;
mod receipt;
pub(crate) mod ssh;

use clap::{Args, Parser, Subcommand};

pub(crate) use check::Check;
pub(crate) use login::{AlgorithmWord, Enroll, List, Remove, Rename, Show, Test};
pub(crate) use receipt::{AllowedSigners, Export, Receipt, Verify};

/// Log in with FIDO2 security keys: enrol them, look after them, and see what
/// they open.
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
    /// serial lines. `TERM=dumb` does the same; `NO_COLOR` takes away the
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
    Ssh(Box<ssh::Ssh>),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ceremony::credential::UserVerification;
    use ceremony::public_key::Algorithm;
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

//! What looks after the keys of an account.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use ceremony::credential::{CredentialName, UserVerification};
use ceremony::public_key::Algorithm;
use ceremony::relying_party::RelyingPartyId;
use clap::{Args, ValueEnum};

use crate::key_name;

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
        let text = |option: &str, value: &str| format!("{option} {}", key_name::quoted(value));
        let name = self.name.as_ref();
        let id = self.rp_id.as_ref();
        let algorithm = (self.algorithm == AlgorithmWord::EdDsa).then_some("--algorithm eddsa");
        let words = [
            Some("enroll".to_owned()),
            name.map(|name| text("--name", name.as_str())),
            algorithm.map(str::to_owned),
            id.map(|id| text("--rp-id", id.as_str())),
            self.touch_only.then(|| "--touch-only".to_owned()),
            self.discoverable.then(|| "--discoverable".to_owned()),
            self.no_spare.then(|| "--no-spare".to_owned()),
            self.timeout.map(|seconds| format!("--timeout {seconds}")),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
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

impl Test {
    /// The service that is tried where none is named.
    pub(crate) const SERVICE: &str = "sudo";
}

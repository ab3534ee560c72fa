//! What reads, keeps and judges the files of SSH keys.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use ceremony::ssh_application::SshApplication;
use clap::Args;

use super::Encryption;

/// Show what is in a private-key file of a security key, whoever made it.
#[derive(Args, Clone, Debug)]
pub(crate) struct Show {
    /// The private-key file.
    pub(crate) file: PathBuf,

    /// Read the passphrase from the first line of this file; `-` for standard
    /// input.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Note an SSH key in a backup file, from which `passkey ssh recover` makes the
/// private-key file anew.
///
/// The backup is not encrypted and needs no secrecy: it is of use only to who
/// has the security key. But keep it where nobody else can change it. A key that is in it already is not noted twice.
#[derive(Args, Clone, Debug)]
pub(crate) struct Backup {
    /// The private-key file, made here or by ssh-keygen.
    pub(crate) file: PathBuf,

    /// The backup file; made where there is none.
    #[arg(long, value_name = "FILE")]
    pub(crate) to: PathBuf,

    /// Read the private key's passphrase from the first line of this file; `-`
    /// for standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

/// Make a lost private-key file anew from a backup file. Takes no security key
/// and no touch.
#[derive(Args, Clone, Debug)]
pub(crate) struct Recover {
    /// The backup file.
    pub(crate) backup: PathBuf,

    /// Which key of several: its fingerprint as `ssh-keygen -l` shows it, or
    /// the beginning of it that no other has.
    #[arg(long, value_name = "SHA256:TEXT")]
    pub(crate) fingerprint: Option<String>,

    /// The private-key file to write; its public key goes to FILE.pub. Where left
    /// out, `~/.ssh/id_ecdsa_sk` or `~/.ssh/id_ed25519_sk`.
    #[arg(short = 'f', long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Write over files that are there.
    #[arg(long)]
    pub(crate) force: bool,

    /// How the private-key file is encrypted.
    #[command(flatten)]
    pub(crate) encryption: Encryption,
}

/// Judge what vouches for an SSH key: that a model of security key whose maker
/// you trust made it, for whom, and how it is protected.
///
/// Takes the files that `passkey ssh enroll --attestation` and
/// `ssh-keygen -O write-attestation` write; for the latter, the challenge and the
/// public key are needed beside it. The statement must be of format "packed", with
/// a certificate for security keys (OU=Authenticator Attestation), from which a
/// chain leads to one of the roots now. Ends with 1 where something does not hold.
///
/// It says what was so when the key was made. It does not say whether logins with
/// the key are touched for, nor whether its maker has withdrawn the certificate.
#[derive(Args, Clone, Debug)]
pub(crate) struct VerifyAttestation {
    /// The attestation file.
    pub(crate) file: PathBuf,

    /// Certificates of makers that are trusted, in PEM; may be given several
    /// times. A root's own dates are not looked at. One that may not issue others
    /// is trusted for itself: the certificate in the security keys.
    #[arg(long, value_name = "FILE", required = true)]
    pub(crate) roots: Vec<PathBuf>,

    /// Accept only these models: a file with an AAGUID a line. Lines that begin
    /// with # are passed over. The certificate must then name the model.
    #[arg(long, value_name = "FILE")]
    pub(crate) aaguids: Option<PathBuf>,

    /// The public key it must be about.
    #[arg(long, value_name = "FILE")]
    pub(crate) public_key: Option<PathBuf>,

    /// The challenge that was to be signed, 1 to 65536 bytes. Without it nobody
    /// knows when the key was made, nor for whom.
    #[arg(long, value_name = "FILE")]
    pub(crate) challenge: Option<PathBuf>,

    /// The application it must be for.
    #[arg(long, value_name = "ssh:TEXT", value_parser = SshApplication::parse)]
    pub(crate) application: Option<SshApplication>,
}

//! `passkey ssh`: SSH keys that a security key holds.
#![forbid(unsafe_code)]

mod enroll;
mod resident;
mod safekeeping;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

pub(crate) use enroll::{Enroll, KeyType};
pub(crate) use resident::{Import, Remove, Rename};
pub(crate) use safekeeping::{Backup, Recover, Show, VerifyAttestation};

/// Make and look after SSH keys that a security key holds.
///
/// The files are those of OpenSSH: ssh, ssh-agent, git and ssh-keygen use them as
/// they use their own, and what ssh-keygen made is read here. What ssh-keygen
/// calls by another name is in docs/ssh.md.
#[derive(Args, Debug)]
pub(crate) struct Ssh {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: SshCommand,
}

/// Which security key is meant.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct SecurityKey {
    /// The security key, by its device node as `passkey key list` shows it. With
    /// several plugged in, a person is asked which; a script says so here.
    #[arg(long = "key", value_name = "NODE")]
    pub(crate) node: Option<PathBuf>,
}

impl SecurityKey {
    /// Its node, where one is named.
    pub(crate) fn node(&self) -> Option<&Path> {
        self.node.as_deref()
    }
}

/// What can be done with SSH keys.
#[derive(Debug, Subcommand)]
pub(crate) enum SshCommand {
    Enroll(Enroll),
    /// List the SSH keys that a security key keeps itself, and the slots left.
    ///
    /// These are resident keys, made with --resident. Others take no room on the
    /// security key, and it cannot list them. Asks for the PIN.
    List(SecurityKey),
    Import(Import),
    Remove(Remove),
    Rename(Rename),
    Show(Show),
    Backup(Backup),
    Recover(Recover),
    VerifyAttestation(VerifyAttestation),
}

/// How a private-key file is encrypted.
#[derive(Args, Clone, Debug)]
pub(crate) struct Encryption {
    /// Do not encrypt the private-key file, and do not ask for a passphrase.
    ///
    /// Without the security key the file is worth nothing; a passphrase keeps
    /// whoever has both from using them.
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) no_passphrase: bool,

    /// Read the passphrase from the first line of this file; `-` for standard
    /// input. For scripts: a person is asked for it.
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,

    /// How much work each guess at the passphrase takes (bcrypt rounds).
    #[arg(short = 'a', long, default_value_t = Self::ROUNDS,
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) rounds: u32,

    /// The cipher.
    #[arg(short = 'Z', long, default_value = Self::CIPHER, value_name = "NAME",
          value_parser = cipher)]
    pub(crate) cipher: ssh_key::Cipher,
}

impl Encryption {
    /// As many as ssh-keygen takes.
    const ROUNDS: u32 = 16;

    /// The same one as ssh-keygen takes.
    const CIPHER: &str = "aes256-ctr";
}

/// The ciphers that OpenSSH reads in a private-key file, but for the broken one.
fn cipher(name: &str) -> Result<ssh_key::Cipher, String> {
    use ssh_key::Cipher;
    match name.parse() {
        Ok(Cipher::None | Cipher::TdesCbc) | Err(_) => Err(
            "known are aes128-ctr, aes192-ctr, aes256-ctr, aes128-cbc, aes192-cbc, aes256-cbc, \
             aes128-gcm@openssh.com, aes256-gcm@openssh.com and chacha20-poly1305@openssh.com"
                .to_owned(),
        ),
        Ok(cipher) => Ok(cipher),
    }
}

//! What looks after the SSH keys that a security key keeps itself.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::Args;

use super::{Encryption, SecurityKey};
use crate::cli::key::hexadecimal;
use crate::key_name::quoted_if_need_be;

/// Write the files of the SSH keys that a security key keeps itself
/// (`ssh-keygen -K`).
///
/// Each is called after its kind, application and user: `id_ecdsa_sk_rk`,
/// `id_ecdsa_sk_rk_work_alice`. What cannot be written is named, and the others
/// are written. Asks for the PIN.
#[derive(Args, Clone, Debug)]
pub(crate) struct Import {
    /// Where to; `~/.ssh` where left out.
    pub(crate) directory: Option<PathBuf>,

    /// Only the key whose id begins so, as `passkey ssh list` shows it.
    #[arg(long, value_name = "ID", value_parser = hexadecimal)]
    pub(crate) only: Option<String>,

    /// Write over files that are there.
    #[arg(long)]
    pub(crate) force: bool,

    /// How the private-key files are encrypted, all with one passphrase.
    #[command(flatten)]
    pub(crate) encryption: Encryption,

    /// Which security key.
    #[command(flatten)]
    pub(crate) which: SecurityKey,
}

impl Import {
    /// The command as it was typed, without the word passkey.
    pub(crate) fn words(&self) -> String {
        let path = |path: &PathBuf| quoted_if_need_be(&path.display().to_string());
        let encryption = &self.encryption;
        let words = [
            Some("ssh import".to_owned()),
            self.directory.as_ref().map(path),
            self.only.as_ref().map(|id| format!("--only {id}")),
            self.force.then(|| "--force".to_owned()),
            encryption
                .no_passphrase
                .then(|| "--no-passphrase".to_owned()),
            encryption
                .passphrase_file
                .as_ref()
                .map(|file| format!("--passphrase-file {}", path(file))),
            (encryption.rounds != Encryption::ROUNDS)
                .then(|| format!("--rounds {}", encryption.rounds)),
            (encryption.cipher.as_str() != Encryption::CIPHER)
                .then(|| format!("--cipher {}", encryption.cipher)),
        ];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }

    /// The same command with a change, to be typed instead.
    pub(crate) fn but(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut changed = self.clone();
        change(&mut changed);
        changed
    }
}

/// Remove an SSH key that a security key keeps itself. Asks for the PIN, and for
/// the word "remove" once it is clear what is lost.
#[derive(Args, Clone, Debug)]
pub(crate) struct Remove {
    /// The key's id in hexadecimal, or the beginning of it that no other has.
    #[arg(value_parser = hexadecimal)]
    pub(crate) id: String,

    /// Which security key.
    #[command(flatten)]
    pub(crate) which: SecurityKey,
}

/// Call an SSH key that a security key keeps itself something else. Asks for the
/// PIN.
///
/// Only the name is changed that lists show: what ssh-keygen calls "user" is
/// part of the key, and stays.
#[derive(Args, Clone, Debug)]
pub(crate) struct Rename {
    /// The key's id in hexadecimal, or the beginning of it that no other has.
    #[arg(value_parser = hexadecimal)]
    pub(crate) id: String,

    /// The new name, 1 to 64 characters.
    #[arg(value_parser = ceremony::credential::CredentialName::parse)]
    pub(crate) name: ceremony::credential::CredentialName,

    /// Which security key.
    #[command(flatten)]
    pub(crate) which: SecurityKey,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, ssh::SshCommand};

    fn import(words: &[&str]) -> Import {
        let line = [&["passkey"], words].concat();
        let Command::Ssh(ssh) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        let SshCommand::Import(import) = ssh.command else {
            panic!("another command");
        };
        import
    }

    #[test]
    fn what_is_to_be_typed_again_has_every_option_that_was_typed() {
        for line in [
            "ssh import",
            "ssh import /mnt/keys --only ab12 --force --no-passphrase",
            "ssh import --passphrase-file /root/pass --rounds 32 --cipher aes128-ctr",
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            assert_eq!(import(&words).words(), line);
        }
        let spaced = import(&["ssh", "import", "my keys", "--only", "AB"]);
        assert_eq!(spaced.words(), "ssh import 'my keys' --only ab");
    }
}

//! `passkey ssh`: makes and looks after SSH keys that a security key holds.
#![forbid(unsafe_code)]

mod directory;
mod key_file;
mod new_file;
mod passphrase;

use crate::cli::ssh::{Ssh, SshCommand};
use crate::failure::Failure;
use crate::screen::Screen;

/// Does what was asked.
pub(crate) fn ssh(wanted: &Ssh, _screen: &mut Screen) -> Result<(), Failure> {
    match &wanted.command {
        SshCommand::Enroll(_)
        | SshCommand::List
        | SshCommand::Import(_)
        | SshCommand::Remove(_)
        | SshCommand::Rename(_)
        | SshCommand::Show(_)
        | SshCommand::Backup(_)
        | SshCommand::Recover(_)
        | SshCommand::VerifyAttestation(_) => Err(Failure::new("this is not built yet", "wait")),
    }
}

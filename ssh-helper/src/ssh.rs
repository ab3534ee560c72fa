//! `passkey ssh`: makes and looks after SSH keys that a security key holds.
#![forbid(unsafe_code)]

mod also_login;
mod attestation;
mod backup;
mod directory;
mod enroll;
mod key_file;
mod making;
mod new_file;
mod opening;
mod passphrase;
mod places;
mod plan;
mod recover;
mod show;
mod verify_attestation;

use crate::cli::ssh::{Ssh, SshCommand};
use crate::failure::Failure;
use crate::screen::Screen;

/// Does what was asked.
pub(crate) fn ssh(wanted: &Ssh, screen: &mut Screen) -> Result<(), Failure> {
    let node = wanted.node.as_deref();
    match &wanted.command {
        SshCommand::Enroll(wanted) => enroll::enroll(wanted, node, screen),
        SshCommand::VerifyAttestation(wanted) => {
            verify_attestation::verify_attestation(wanted, screen)
        }
        SshCommand::List
        | SshCommand::Import(_)
        | SshCommand::Remove(_)
        | SshCommand::Rename(_) => Err(Failure::new("this is not built yet", "wait")),
        SshCommand::Show(wanted) => show::show(wanted, screen),
        SshCommand::Backup(wanted) => backup::backup(wanted, screen),
        SshCommand::Recover(wanted) => recover::recover(wanted, screen),
    }
}

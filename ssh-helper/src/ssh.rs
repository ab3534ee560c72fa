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
mod pair;
mod passphrase;
mod places;
mod plan;
mod recover;
mod resident;
mod show;
mod verify_attestation;

use crate::cli::ssh::{Ssh, SshCommand};
use crate::failure::Failure;
use crate::screen::Screen;

/// Does what was asked.
pub(crate) fn ssh(wanted: &Ssh, screen: &mut Screen) -> Result<(), Failure> {
    match &wanted.command {
        SshCommand::Enroll(wanted) => enroll::enroll(wanted, screen),
        SshCommand::VerifyAttestation(wanted) => {
            verify_attestation::verify_attestation(wanted, screen)
        }
        SshCommand::List(which) => resident::list(which.node(), screen),
        SshCommand::Import(wanted) => resident::import(wanted, screen),
        SshCommand::Remove(wanted) => resident::remove(wanted, screen),
        SshCommand::Rename(wanted) => resident::rename(wanted, screen),
        SshCommand::Show(wanted) => show::show(wanted, screen),
        SshCommand::Backup(wanted) => backup::backup(wanted, screen),
        SshCommand::Recover(wanted) => recover::recover(wanted, screen),
    }
}

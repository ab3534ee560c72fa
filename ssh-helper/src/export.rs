//! `passkey export`: what other programs need to judge what our keys sign.
#![forbid(unsafe_code)]

use ceremony::credential_file::CredentialFile;
use ceremony::receipt::{allowed_signer, is_a_principal};
use serde::Serialize;

use crate::cli;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::machine;
use crate::screen::{Report, Screen};
use crate::whose_account;

/// Prints an account's keys as `ssh-keygen -Y verify` wants them.
pub(crate) fn allowed_signers(
    wanted: &cli::AllowedSigners,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let account = whose_account::to_look_at(wanted.user.as_deref())?;
    let file = match machine::store_to_read()? {
        Some(store) => machine::credentials_of(&account, &store, screen)?,
        None => None,
    };
    let person = account.name.as_str();
    if !is_a_principal(person) {
        return Err(Failure::new(
            format!("ssh-keygen would take the name \"{person}\" for a pattern of names"),
            "judge the receipts with: passkey receipt verify",
        ));
    }
    let mut lines = Vec::new();
    for credential in file.iter().flat_map(CredentialFile::credentials) {
        match allowed_signer(person, credential) {
            Some(line) => lines.push(line),
            None => screen.say(&format!(
                "Left out: \"{}\", whose date cannot be written for ssh-keygen.",
                credential.name
            )),
        }
    }
    if lines.is_empty() {
        return Err(Failure::new(
            format!("no keys enrolled for {person}"),
            whose_account::how_to_enroll(&account),
        ));
    }
    screen.report(&Exported {
        user: account.name.to_string(),
        allowed_signers: lines,
    })
}

/// Lines of an `allowed_signers` file (ssh-keygen(1)).
#[derive(Serialize)]
struct Exported {
    user: String,
    allowed_signers: Vec<String>,
}

impl Report for Exported {
    fn lines(&self, _: Ink) -> Vec<String> {
        self.allowed_signers.clone()
    }
}

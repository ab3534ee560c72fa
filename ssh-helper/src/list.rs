//! `passkey list`: the keys enrolled for an account.
#![forbid(unsafe_code)]

use ceremony::credential::Credential;
use ceremony::credential_file::CredentialFile;
use serde::Serialize;

use crate::cli;
use crate::entry::{Entry, table};
use crate::failure::Failure;
use crate::ink::Ink;
use crate::machine;
use crate::screen::{Report, Screen};
use crate::whose_account;

/// Lists the keys of an account.
pub(crate) fn list(wanted: &cli::List, screen: &mut Screen) -> Result<(), Failure> {
    let account = whose_account::to_look_at(wanted.user.as_deref())?;
    let file = match machine::store_to_read()? {
        Some(store) => machine::credentials_of(&account, &store, screen)?,
        None => None,
    };
    let credentials: Vec<&Credential> = file.iter().flat_map(CredentialFile::credentials).collect();
    if credentials.is_empty() {
        let name = &account.name;
        screen.say(&if file.as_ref().is_some_and(|file| !file.is_empty()) {
            format!("no enrolled key of {name} can be read; correct the lines named above")
        } else {
            let how = whose_account::how_to_enroll(&account);
            format!("no keys enrolled for {name}; {how}")
        });
    }
    screen.report(&Listed {
        user: account.name.to_string(),
        credentials: credentials.into_iter().map(Entry::of).collect(),
    })
}

/// The keys of an account.
#[derive(Serialize)]
struct Listed {
    user: String,
    credentials: Vec<Entry>,
}

impl Report for Listed {
    fn lines(&self, ink: Ink) -> Vec<String> {
        table(&self.credentials, ink)
    }
}

//! `passkey show`: all that is recorded of one key.
#![forbid(unsafe_code)]

use ceremony::credential::Credential;
use ceremony::credential_file::CredentialFile;
use ceremony::signature_counter::SignatureCounters;
use serde::Serialize;

use crate::cli;
use crate::entry::Entry;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::machine;
use crate::screen::{Report, Screen};
use crate::whose_account;

/// Shows a key of an account.
pub(crate) fn show(wanted: &cli::Show, screen: &mut Screen) -> Result<(), Failure> {
    let account = whose_account::to_look_at(wanted.user.as_deref())?;
    let store = machine::store_to_read()?;
    let file = match &store {
        Some(store) => machine::credentials_of(&account, store, screen)?,
        None => None,
    };
    let file = file.unwrap_or_else(|| CredentialFile::new(&account));
    let credential = file.credentials().find(|it| it.name == wanted.name);
    let credential = credential.ok_or_else(|| machine::unknown(&wanted.name, &file, &account))?;
    screen.report(&Shown {
        user: account.name.to_string(),
        file: store.map(|store| store.path_of(&account).display().to_string()),
        credential: Entry::of(credential),
        counter: counter(credential),
    })?;
    screen.say(&format!(
        "Try it with: passkey test{}",
        whose_account::option(&account)
    ));
    Ok(())
}

/// The largest count seen; root's to know.
fn counter(credential: &Credential) -> Option<u32> {
    SignatureCounters::open().ok()?.read(credential).ok()?
}

/// A key in full.
#[derive(Serialize)]
struct Shown {
    user: String,
    file: Option<String>,
    credential: Entry,
    counter: Option<u32>,
}

impl Report for Shown {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let it = &self.credential;
        let yes_or_no = |yes| if yes { "yes" } else { "no" };
        let counter = self.counter.map(|count| count.to_string());
        let rows = [
            ("Name", it.name.as_str()),
            ("Account", &self.user),
            ("Verification", it.verification()),
            ("Algorithm", it.algorithm),
            ("Relying party", &it.rp_id),
            ("Enrolled", &it.enrolled),
            ("AAGUID", &it.aaguid),
            ("Kept by the key", yes_or_no(it.discoverable)),
            ("Can be copied", yes_or_no(it.synced)),
            ("Shows itself", yes_or_no(it.answers_silently)),
            (
                "Counter",
                counter.as_deref().unwrap_or("not known (root sees it)"),
            ),
            ("Fingerprint", &it.fingerprint),
            ("Public key", &it.public_key),
            ("Recorded in", self.file.as_deref().unwrap_or_default()),
        ];
        rows.iter()
            .map(|(label, value)| format!("{} {value}", ink.heading(&format!("{label:<16}"))))
            .collect()
    }
}

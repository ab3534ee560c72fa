//! `passkey rename`: a key is called something else.
#![forbid(unsafe_code)]

use ceremony::account::Account;
use ceremony::credential_file::{CannotRename, CredentialFile, Store};
use serde::Serialize;

use crate::cli;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key_name;
use crate::machine;
use crate::screen::{Report, Screen};
use crate::whose_account::{self, Administered};

/// Renames a key of an account.
pub(crate) fn rename(wanted: &cli::Rename, screen: &mut Screen) -> Result<(), Failure> {
    let names = key_name::as_arguments(&[&wanted.name, &wanted.new_name]);
    let command = format!("rename {names}");
    let Administered { account, root } =
        whose_account::to_change(wanted.user.as_deref(), &command)?;
    let Some(store) = machine::store_to_read()? else {
        let nothing = CredentialFile::new(&account);
        return Err(machine::unknown(&wanted.name, &nothing, &account));
    };
    let file = write(wanted, &account, &store)?;
    machine::name_faulty_records(&file, screen);
    screen.report(&Renamed {
        user: account.name.to_string(),
        from: wanted.name.to_string(),
        to: wanted.new_name.to_string(),
    })?;
    let back = key_name::as_arguments(&[&wanted.new_name, &wanted.name]);
    let rename = root.command("rename", &account);
    screen.say(&format!("Undo with: {rename} {back}"));
    Ok(())
}

/// Without a screen: while we hold the store, a terminal that takes no more
/// text (Ctrl-S, a pipe nobody reads) would hold it, too.
fn write(
    wanted: &cli::Rename,
    account: &Account,
    store: &Store,
) -> Result<CredentialFile, Failure> {
    let (lock, mut file) = machine::locked(account, store)?;
    if let Err(problem) = file.rename(&wanted.name, &wanted.new_name) {
        return Err(failure(&problem, wanted, &file, account));
    }
    let saved = store.save(&lock, account, &file);
    saved.map_err(|problem| machine::unusable(&problem))?;
    Ok(file)
}

fn failure(
    problem: &CannotRename,
    wanted: &cli::Rename,
    file: &CredentialFile,
    account: &Account,
) -> Failure {
    let cli::Rename { name, new_name, .. } = wanted;
    match problem {
        CannotRename::Unknown => machine::unknown(name, file, account),
        CannotRename::Taken => Failure::new(
            format!(
                "a record of {} is called \"{new_name}\" already",
                account.name
            ),
            "nothing was changed; choose another name (see `passkey list`)",
        ),
        CannotRename::HasATwin => Failure::new(
            format!("another record has the name or the id of \"{name}\", and would count then"),
            "nothing was changed; take that record out by hand first (`passkey list` names its line)",
        ),
        CannotRename::TooLong => Failure::new(
            "with that name the credential file would be too long",
            "nothing was changed; choose a shorter one",
        ),
        CannotRename::NotWritten(problem) => Failure::new(
            problem.to_string(),
            "nothing was changed; choose another name, and report this",
        ),
    }
}

/// What was done.
#[derive(Serialize)]
struct Renamed {
    user: String,
    from: String,
    to: String,
}

impl Report for Renamed {
    fn lines(&self, _: Ink) -> Vec<String> {
        vec![format!("\"{}\" is called \"{}\" now.", self.from, self.to)]
    }
}

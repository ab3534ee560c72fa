//! `passkey remove`: a key is no longer one of an account's.
#![forbid(unsafe_code)]

use ceremony::account::Account;
use ceremony::credential::{Credential, CredentialName};
use ceremony::credential_file::{CredentialFile, Store};

use crate::cli;
use crate::failure::Failure;
use crate::key_name;
use crate::machine;
use crate::screen::Screen;
use crate::sudo_timestamps;
use crate::whose_account::{self, Administered};

/// Removes a key, and what sudo remembers of its account.
pub(crate) fn remove(wanted: &cli::Remove, screen: &mut Screen) -> Result<(), Failure> {
    let command = format!("remove {}", key_name::as_argument(&wanted.name));
    let Administered { account, root } =
        whose_account::to_change(wanted.user.as_deref(), &command)?;

    let Some(store) = machine::store_to_read()? else {
        return Err(unknown(
            &wanted.name,
            &CredentialFile::new(&account),
            &account,
        ));
    };
    let (file, removed) = take_out(&wanted.name, &account, &store)?;
    let Some(removed) = removed else {
        machine::name_faulty_records(&file, screen);
        return Err(unknown(&wanted.name, &file, &account));
    };

    // Before anything is said: a screen nobody reads must not keep sudo open.
    forget_sudo(&account, screen);
    machine::name_faulty_records(&file, screen);
    if file.credentials().next().is_none() {
        screen.say(&format!(
            "That was the last key of {0}. Wherever a key is required, {0} can no longer log in: \
             unless that is what you want, open a root shell (sudo -i) before you close this terminal.",
            account.name
        ));
    }
    let path = store.path_of(&account);
    screen.say(&format!("Taken out of {}.", path.display()));
    screen.result(&format!(
        "Removed \"{}\" from {}.",
        removed.name, account.name
    ))?;
    screen.say(&format!(
        "Undo by enrolling it again: {}",
        root.command("enroll", &account)
    ));
    Ok(())
}

/// Takes the key called `name` out of the account's file, if it is there.
///
/// Without a screen: while we hold the store, a terminal that takes no more
/// text (Ctrl-S, a pipe nobody reads) would hold it, too.
fn take_out(
    name: &CredentialName,
    account: &Account,
    store: &Store,
) -> Result<(CredentialFile, Option<Credential>), Failure> {
    let unusable = |problem| machine::unusable(&problem);
    let lock = store.lock().map_err(unusable)?;
    let file = store.load(account).map_err(unusable)?;
    let mut file = file.unwrap_or_else(|| CredentialFile::new(account));
    let removed = file.remove(name);
    if removed.is_some() {
        store.save(&lock, account, &file).map_err(unusable)?;
    }
    Ok((file, removed))
}

/// Nobody is root a quarter of an hour longer for a touch of the removed key.
fn forget_sudo(account: &Account, screen: &mut Screen) {
    let dropped = sudo_timestamps::drop_all(account);
    for path in &dropped.gone {
        screen.say(&format!(
            "Dropped sudo's time stamp {}: the next sudo asks again.",
            path.display()
        ));
    }
    for (path, problem) in &dropped.left {
        screen.say(&format!(
            "sudo's time stamp {} is still there ({}); remove it, or a recent login goes on \
             opening sudo.",
            path.display(),
            problem.desc()
        ));
    }
}

fn unknown(name: &CredentialName, file: &CredentialFile, account: &Account) -> Failure {
    let names: Vec<String> = file
        .credentials()
        .map(|credential| format!("\"{}\"", credential.name))
        .collect();
    let what_to_do = match (names.is_empty(), file.faulty().next()) {
        (false, _) => format!("there are: {}", names.join(", ")),
        (true, None) => format!("{} has no keys enrolled at all", account.name),
        (true, Some(_)) => {
            "no record can be read; correct or take out the lines named above by hand".to_owned()
        }
    };
    Failure::new(
        format!("{} has no key called \"{name}\"", account.name),
        what_to_do,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::credential;

    #[test]
    fn an_unknown_name_leads_to_those_there_are() {
        let account = Account::by_name("root").unwrap();
        let name = CredentialName::parse("red key").unwrap();
        let mut file = CredentialFile::new(&account);
        let text = unknown(&name, &file, &account).to_string();
        assert!(text.contains("no keys enrolled at all"), "{text}");
        file.add(credential("blue key", b"one")).unwrap();
        file.add(credential("green key", b"two")).unwrap();
        let text = unknown(&name, &file, &account).to_string();
        assert!(
            text.contains("there are: \"blue key\", \"green key\""),
            "{text}"
        );
    }
}

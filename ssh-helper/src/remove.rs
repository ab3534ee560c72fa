//! `passkey remove`: a key is no longer one of an account's.
#![forbid(unsafe_code)]

use ceremony::account::Account;
use ceremony::credential::CredentialName;
use ceremony::credential_file::{CredentialFile, Store};
use serde::Serialize;

use crate::cli;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key_name;
use crate::machine;
use crate::screen::{Report, Screen};
use crate::sudo_timestamps::{self, Dropped};
use crate::terminal;
use crate::whose_account::{self, Administered, Root};

/// Removes a key, and what sudo remembers of its account.
pub(crate) fn remove(wanted: &cli::Remove, screen: &mut Screen) -> Result<(), Failure> {
    let command = format!("remove {}", key_name::as_argument(&wanted.name));
    let Administered { account, root } =
        whose_account::to_change(wanted.user.as_deref(), &command)?;

    let Some(store) = machine::store_to_read()? else {
        let nothing = CredentialFile::new(&account);
        return Err(machine::unknown(&wanted.name, &nothing, &account));
    };
    let the_last = if wanted.last {
        TheLast::Too
    } else {
        confirm_the_last(&wanted.name, &account, root, &store, screen)?
    };
    let file = take_out(&wanted.name, the_last, &account, &store)?;

    // Before anything is said: a screen nobody reads must not keep sudo open.
    let dropped = sudo_timestamps::drop_all(&account);
    say_what_sudo_forgot(&dropped, screen);
    machine::name_faulty_records(&file, screen);
    if file.credentials().next().is_none() {
        screen.say(&format!(
            "That was the last key of {0}. Wherever a key is required, also by sudo, {0} gets in no \
             more; from a root shell that is still open: passkey enroll --user {0}",
            account.name
        ));
    }
    let path = store.path_of(&account);
    screen.say(&format!("Taken out of {}.", path.display()));
    screen.report(&Removed {
        user: account.name.to_string(),
        name: wanted.name.to_string(),
        left: file.credentials().count(),
    })?;
    screen.say(&format!(
        "Undo by enrolling it again: {}",
        root.command("enroll", &account)
    ));
    Ok(())
}

/// Whether a key may be removed that is the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TheLast {
    /// Somebody has said so.
    Too,
    /// It was not the last one when we looked.
    Not,
}

/// Where the key is the account's last one, asks for a word that nobody types
/// by mistake.
fn confirm_the_last(
    name: &CredentialName,
    account: &Account,
    root: Root,
    store: &Store,
    screen: &mut Screen,
) -> Result<TheLast, Failure> {
    let file = store.load(account).map_err(|it| machine::unusable(&it))?;
    let file = file.unwrap_or_else(|| CredentialFile::new(account));
    if !file.credentials().any(|it| it.name == *name) {
        machine::name_faulty_records(&file, screen);
        return Err(machine::unknown(name, &file, account));
    }
    if file.credentials().count() > 1 {
        return Ok(TheLast::Not);
    }
    let user = &account.name;
    if terminal::somebody_is_there() {
        screen.say(&format!(
            "\"{name}\" is the last key of {user}. Wherever a key is required, {user} can no longer \
             log in without it; see where with: passkey check --user {}",
            key_name::quoted_if_need_be(user.as_str())
        ));
        screen.say("Have a root shell open in a second terminal before you go on: sudo -i");
        if terminal::typed_word("remove", "to remove it all the same", screen) {
            return Ok(TheLast::Too);
        }
    }
    Err(Failure::new(
        format!("\"{name}\" was not removed: it is the last key of {user}"),
        format!(
            "enrol another one first ({}), or remove it without a question: {} --last {}",
            root.command("enroll", account),
            root.command("remove", account),
            key_name::as_argument(name)
        ),
    ))
}

/// Takes the key called `name` out of the account's file.
///
/// Without a screen: while we hold the store, a terminal that takes no more
/// text (Ctrl-S, a pipe nobody reads) would hold it, too.
fn take_out(
    name: &CredentialName,
    the_last: TheLast,
    account: &Account,
    store: &Store,
) -> Result<CredentialFile, Failure> {
    let (lock, mut file) = machine::locked(account, store)?;
    if file.remove(name).is_none() {
        return Err(machine::unknown(name, &file, account));
    }
    if the_last == TheLast::Not && file.credentials().next().is_none() {
        return Err(Failure::new(
            format!("the keys of {} were changed meanwhile", account.name),
            "nothing was removed; see them with `passkey list`, and try again",
        ));
    }
    let saved = store.save(&lock, account, &file);
    saved.map_err(|problem| machine::unusable(&problem))?;
    Ok(file)
}

/// Nobody is root a quarter of an hour longer for a touch of the removed key.
fn say_what_sudo_forgot(dropped: &Dropped, screen: &mut Screen) {
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

/// What was done.
#[derive(Serialize)]
struct Removed {
    user: String,
    name: String,
    /// How many keys the account still has.
    left: usize,
}

impl Report for Removed {
    fn lines(&self, _: Ink) -> Vec<String> {
        vec![format!("Removed \"{}\" from {}.", self.name, self.user)]
    }
}

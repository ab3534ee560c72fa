//! The SSH keys that a security key keeps itself ("resident keys"): listed,
//! written as files, removed, renamed.
#![forbid(unsafe_code)]

mod file_names;
mod import;
mod key;
mod listed;

use std::path::Path;

use base16ct::lower::encode_string;
use ceremony::credential::printable;

pub(crate) use import::import;
pub(crate) use listed::list;

use crate::cli::ssh::{Remove, Rename};
use crate::failure::Failure;
use crate::key::kept::{self, Kept};
use crate::key::worker::{self, Work};
use crate::key::{Chosen, Done, with_pin};
use crate::key_name::as_argument;
use crate::screen::Screen;
use key::ResidentKey;

/// The security key, where it can list what it keeps. `command` is what follows
/// `passkey`.
fn able(node: Option<&Path>, command: &str, screen: &mut Screen) -> Result<Chosen, Failure> {
    kept::listing::<ResidentKey>(
        Chosen::find(node, command, screen)?,
        "it signs by the private-key files that were written when they were made, and by no \
         others; get those from a backup, or take a security key that has credMgmt: passkey key \
         info",
    )
}

/// `passkey ssh remove`.
pub(crate) fn remove(wanted: &Remove, screen: &mut Screen) -> Result<(), Failure> {
    let chosen = able(
        wanted.which.node(),
        &format!("ssh remove {}", wanted.id),
        screen,
    )?;
    let gone: ResidentKey = kept::remove(&wanted.id, &chosen, screen)?;
    screen.report(&Done::new(
        &chosen.key,
        "ssh key removed",
        [
            format!(
                "The SSH key \"{}\" is gone from {}.",
                gone.application, chosen.key
            ),
            "Its private-key file, wherever there is one, is worth nothing any more: delete it."
                .to_owned(),
            match gone.fingerprint() {
                Some(fingerprint) => format!(
                    "Take its line out of authorized_keys on every server, too: {fingerprint}"
                ),
                None => "Take its line out of authorized_keys on every server, too.".to_owned(),
            },
        ],
    ))
}

/// `passkey ssh rename`.
pub(crate) fn rename(wanted: &Rename, screen: &mut Screen) -> Result<(), Failure> {
    let command = format!("ssh rename {} {}", wanted.id, as_argument(&wanted.name));
    let chosen = able(wanted.which.node(), &command, screen)?;
    // updateUserInformation came with credMgmt itself; its forerunner has none.
    if chosen.described.option("credMgmt") != Some(true) {
        return Err(Failure::new(
            format!(
                "{} is of before CTAP 2.1, and gives no key another name",
                chosen.key
            ),
            "it goes by its application and its user: passkey ssh list",
        ));
    }
    let renamed = with_pin(&chosen, screen, |pin, screen| {
        let all = ResidentKey::all(&chosen, pin, screen)?;
        let key = match kept::only(&wanted.id, all, &chosen) {
            Ok(key) => key,
            Err(failure) => return Ok(Err(failure)),
        };
        let name = wanted.name.as_str();
        let work = Work::RenameCredential {
            pin: pin.clone(),
            id: key.id.clone(),
            user_id: encode_string(&key.user_id.0),
            name: name.to_owned(),
        };
        worker::run(&chosen, work, screen, |_, _| {})?;
        let all = ResidentKey::all(&chosen, pin, screen)?;
        let now = all.into_iter().find(|it| it.id == key.id);
        Ok(now.filter(|it| has_name(it, name)).ok_or_else(|| {
            Failure::new(
                format!(
                    "{} says that it has renamed the key, and has not",
                    chosen.key
                ),
                format!("unplug it, plug it in and run again: {}", chosen.again),
            )
        }))
    });
    let key = renamed??;
    screen.report(&Done::new(
        &chosen.key,
        "ssh key renamed",
        [
            format!(
                "The SSH key \"{}\" on {} is called \"{}\" now.",
                key.application, chosen.key, key.name
            ),
            "Files and servers know nothing of names, and need no change.".to_owned(),
        ],
    ))
}

/// Whether it is called so, as far as it keeps names: CTAP 2.1 §6.1.2 has it cut
/// them off after 64 bytes.
fn has_name(key: &ResidentKey, name: &str) -> bool {
    const LEAST_KEPT: usize = 60;
    let name = printable(name, 64);
    key.name == name || (key.name.len() >= LEAST_KEPT && name.starts_with(&key.name))
}

#[cfg(test)]
mod tests {
    use super::key::tests::{held, listed};
    use super::*;

    #[test]
    fn a_name_that_was_cut_off_is_the_name_and_another_one_is_not() {
        let called = |name: &str| {
            let mut held = held("ssh:", b"");
            name.clone_into(&mut held.user_name);
            listed(vec![held]).pop().unwrap()
        };
        let long = "é".repeat(64);
        assert!(has_name(&called("work"), "work"));
        assert!(has_name(&called(&"é".repeat(32)), &long));
        assert!(has_name(&called(&long), &long));
        assert!(!has_name(&called("wor"), "work"));
        assert!(!has_name(&called(""), "work"));
        assert!(!has_name(&called(&"é".repeat(29)), &long));
    }
}

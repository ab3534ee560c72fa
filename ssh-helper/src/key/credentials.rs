//! `passkey key credentials`: what a key keeps itself.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::asking::with_pin;
use super::chosen::Chosen;
use super::done::{Done, Which};
use super::not_done::NotDone;
use super::typed_pin::TypedPin;
use super::worker::{self, HeldCredential, Outcome, Work};
use crate::cli::key::CredentialsCommand;
use crate::entry::columns;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::screen::{Report, Screen};
use crate::terminal;

/// How much of an id is shown in a table, where that tells them apart. It can be
/// typed as it stands there.
const SHOWN_ID: usize = 16;

/// Lists them, or removes one.
pub(crate) fn credentials(
    wanted: &CredentialsCommand,
    node: Option<&Path>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match wanted {
        CredentialsCommand::List => {
            let chosen = able(node, "credentials list", screen)?;
            let held = with_pin(&chosen, screen, |pin, screen| held(&chosen, pin, screen))?;
            if held.is_empty() {
                screen.say(&format!("{} keeps no credentials itself", chosen.key));
            }
            screen.report(&Held {
                key: Which::of(&chosen.key),
                credentials: held,
            })
        }
        CredentialsCommand::Remove { id } => {
            let chosen = able(node, &format!("credentials remove {id}"), screen)?;
            remove(id, &chosen, screen)
        }
    }
}

/// The key, where it can list what it keeps.
fn able(node: Option<&Path>, command: &str, screen: &mut Screen) -> Result<Chosen, Failure> {
    let chosen = Chosen::find(node, command, screen)?;
    if can_list(&chosen) {
        return Ok(chosen);
    }
    Err(Failure::new(
        format!("{} cannot list the credentials that it keeps", chosen.key),
        "a reset removes them all, and everything else with them: passkey key reset",
    ))
}

/// Whether the key can list what it keeps.
pub(crate) fn can_list(chosen: &Chosen) -> bool {
    ["credMgmt", "credentialMgmtPreview"]
        .into_iter()
        .any(|name| chosen.described.option(name) == Some(true))
}

/// What it keeps.
pub(crate) fn held(
    chosen: &Chosen,
    pin: &TypedPin,
    screen: &mut Screen,
) -> Result<Vec<HeldCredential>, NotDone> {
    let work = Work::ListCredentials { pin: pin.clone() };
    match worker::run(chosen, work, screen, |_, _| {})? {
        Outcome::Credentials(held) => Ok(held),
        _ => Err(worker::Broken::Nonsense.into()),
    }
}

fn remove(beginning: &str, chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    let mut refused = None;
    let removed = with_pin(chosen, screen, |pin, screen| {
        let held = held(chosen, pin, screen)?;
        let credential = match only(beginning, &held, chosen) {
            Ok(credential) => credential,
            Err(failure) => {
                refused = Some(failure);
                return Ok(None);
            }
        };
        screen.say(&format!(
            "This is lost: the login of {} at {}, credential {}.",
            credential.user(),
            credential.rp_id,
            credential.id
        ));
        if !terminal::typed_word("remove", "to remove it for good", screen) {
            refused = Some(Failure::new(
                format!("nothing was removed from {}", chosen.key),
                format!("if you want it gone, run again: {}", chosen.again),
            ));
            return Ok(None);
        }
        let work = Work::RemoveCredential {
            pin: pin.clone(),
            id: credential.id.clone(),
        };
        worker::run(chosen, work, screen, |_, _| {})?;
        Ok(Some(credential.clone()))
    })?;
    if let Some(failure) = refused {
        return Err(failure);
    }
    let lost = removed.map_or_else(String::new, |lost| {
        format!(
            "The credential of {} at {} is gone",
            lost.user(),
            lost.rp_id
        )
    });
    screen.report(&Done::new(
        &chosen.key,
        "credential removed",
        [
            format!("{lost} from {}.", chosen.key),
            "Where it was registered, remove it too, or it stays in that list.".to_owned(),
        ],
    ))
}

/// The one credential whose id begins so.
fn only<'h>(
    beginning: &str,
    held: &'h [HeldCredential],
    chosen: &Chosen,
) -> Result<&'h HeldCredential, Failure> {
    let found: Vec<&HeldCredential> = held
        .iter()
        .filter(|credential| credential.id.starts_with(beginning))
        .collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(Failure::new(
            format!(
                "{} keeps no credential whose id begins with {beginning}",
                chosen.key
            ),
            "see those it keeps with: passkey key credentials list",
        )),
        several => Err(Failure::new(
            format!(
                "{} credentials on {} have ids that begin with {beginning}",
                several.len(),
                chosen.key
            ),
            "type more of the id; see them with: passkey key credentials list",
        )),
    }
}

impl HeldCredential {
    /// Whose it is.
    fn user(&self) -> String {
        match (self.user_name.as_str(), self.user_display_name.as_str()) {
            ("", "") => "a user without a name".to_owned(),
            ("", display_name) => format!("\"{display_name}\""),
            (name, _) => format!("\"{name}\""),
        }
    }
}

#[derive(Serialize)]
struct Held {
    key: Which,
    credentials: Vec<HeldCredential>,
}

impl Report for Held {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let ids: Vec<&str> = self.credentials.iter().map(|it| it.id.as_str()).collect();
        let length = telling_length(&ids);
        let ids: Vec<&str> = ids
            .iter()
            .map(|id| id.get(..length).unwrap_or(id))
            .collect();
        let rows: Vec<[&str; 4]> = self
            .credentials
            .iter()
            .zip(&ids)
            .map(|(it, id)| {
                [
                    *id,
                    it.rp_id.as_str(),
                    it.user_name.as_str(),
                    it.user_display_name.as_str(),
                ]
            })
            .collect();
        columns(["ID", "RELYING PARTY", "USER", "CALLED"], &rows, ink)
    }
}

/// How much of these ids must be shown to tell them apart.
fn telling_length(ids: &[&str]) -> usize {
    let longest = ids.iter().map(|id| id.len()).max().unwrap_or(0);
    let tells = |length: &usize| {
        let shown = ids.iter().map(|id| id.get(..*length).unwrap_or(id));
        shown.collect::<BTreeSet<_>>().len() == ids.len()
    };
    (SHOWN_ID..longest).find(tells).unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_of_an_id_is_shown_as_tells_it_from_the_others() {
        let (one, two) = (
            "0".repeat(40),
            format!("{}1{}", "0".repeat(20), "0".repeat(19)),
        );
        assert_eq!(telling_length(&[&one]), SHOWN_ID);
        assert_eq!(telling_length(&[&one, &two]), 21);
        assert_eq!(telling_length(&["0a", "0b"]), 2);
        assert_eq!(telling_length(&[]), 0);
    }
}

//! `passkey key credentials`: what a key keeps itself.
#![forbid(unsafe_code)]

use std::path::Path;

use serde::Serialize;

use super::asking::with_pin;
use super::chosen::Chosen;
use super::done::{Done, Which};
use super::kept::{self, Kept};
use super::not_done::NotDone;
use super::typed_pin::TypedPin;
use super::worker::{self, HeldCredential, Outcome, Work};
use crate::cli::key::CredentialsCommand;
use crate::entry::columns;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::screen::{Report, Screen};

/// Lists them, or removes one.
pub(crate) fn credentials(
    wanted: &CredentialsCommand,
    node: Option<&Path>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match wanted {
        CredentialsCommand::List => {
            let chosen = able(node, "key credentials list", screen)?;
            let held = with_pin(&chosen, screen, |pin, screen| {
                HeldCredential::all(&chosen, pin, screen)
            })?;
            if held.is_empty() {
                screen.say(&format!("{} keeps no credentials itself", chosen.key));
            }
            screen.report(&Held {
                key: Which::of(&chosen.key),
                credentials: held,
            })
        }
        CredentialsCommand::Remove { id } => {
            let chosen = able(node, &format!("key credentials remove {id}"), screen)?;
            remove(id, &chosen, screen)
        }
    }
}

/// The key, where it can list what it keeps.
fn able(node: Option<&Path>, command: &str, screen: &mut Screen) -> Result<Chosen, Failure> {
    kept::listing::<HeldCredential>(
        Chosen::find(node, command, screen)?,
        "a reset removes them all, and everything else with them: passkey key reset",
    )
}

fn remove(beginning: &str, chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    let lost: HeldCredential = kept::remove(beginning, chosen, screen)?;
    screen.report(&Done::new(
        &chosen.key,
        "credential removed",
        [
            format!(
                "The credential of {} at {} is gone from {}.",
                lost.user(),
                lost.rp_id,
                chosen.key
            ),
            "Where it was registered, remove it too, or it stays in that list.".to_owned(),
        ],
    ))
}

impl Kept for HeldCredential {
    const WHAT: &'static str = "credential";
    const LIST: &'static str = "passkey key credentials list";

    fn all(chosen: &Chosen, pin: &TypedPin, screen: &mut Screen) -> Result<Vec<Self>, NotDone> {
        let work = Work::ListCredentials { pin: pin.clone() };
        match worker::run(chosen, work, screen, |_, _| {})? {
            Outcome::Credentials(held) => Ok(held),
            _ => Err(worker::Broken::Nonsense.into()),
        }
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn described(&self) -> String {
        let (user, rp_id, id) = (self.user(), &self.rp_id, &self.id);
        format!("the login of {user} at {rp_id}, credential {id}")
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
        let ids = kept::short(&ids);
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

//! `passkey key pin`: sets and changes a key's PIN.
#![forbid(unsafe_code)]

use std::path::Path;

use super::asking::{last_try_by_now, new_pin, somebody_must_be_there, tries_left, with_old_pin};
use super::chosen::Chosen;
use super::done::Done;
use super::typed_pin::TypedPin;
use super::worker::{self, Work};
use crate::cli::key::PinCommand;
use crate::failure::Failure;
use crate::screen::Screen;

/// Sets or changes it.
pub(crate) fn pin(
    wanted: PinCommand,
    node: Option<&Path>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match wanted {
        PinCommand::Set => set(&Chosen::find(node, "key pin set", screen)?, screen),
        PinCommand::Change => change(&Chosen::find(node, "key pin change", screen)?, screen),
    }
}

fn set(chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    let key = &chosen.key;
    match chosen.described.option("clientPin") {
        Some(false) => {}
        Some(true) => {
            return Err(Failure::new(
                format!("{key} has a PIN already"),
                "change it with: passkey key pin change",
            ));
        }
        None => {
            return Err(Failure::new(
                format!("{key} cannot have a PIN"),
                "see what it can do with: passkey key info",
            ));
        }
    }
    somebody_must_be_there(chosen, "a new PIN is asked for")?;
    let new = new_pin(chosen, screen)?;
    worker::run(chosen, Work::SetPin { new: new.clone() }, screen, |_, _| {})
        .map_err(|problem| chosen.failure(&problem))?;
    let anew = chosen.anew()?;
    if !anew.info.options.client_pin {
        return Err(Failure::new(
            format!("{key} says that it has a PIN now, and that it has none"),
            format!(
                "unplug it, plug it in and look: passkey key info; then: {}",
                chosen.again
            ),
        ));
    }
    screen.report(&Done::new(
        key,
        "pin set",
        [
            format!("{key} has a PIN now. Nobody can tell you what it is, so keep it well."),
            "Enrol the key for login with: sudo passkey enroll".to_owned(),
        ],
    ))
}

fn change(chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    let key = &chosen.key;
    let mut new: Option<TypedPin> = None;
    let mut gave_up = None;
    let changed = with_old_pin(chosen, screen, |old, screen| {
        if new.is_none() {
            let typed = tries_left(chosen).and_then(|before| {
                let typed = new_pin(chosen, screen)?;
                last_try_by_now(before, chosen, screen)?;
                Ok(typed)
            });
            match typed {
                Ok(typed) => new = Some(typed),
                Err(failure) => gave_up = Some(failure),
            }
        }
        let Some(new) = &new else {
            return Ok(());
        };
        let work = Work::ChangePin {
            old: old.clone(),
            new: new.clone(),
        };
        worker::run(chosen, work, screen, |_, _| {}).map(|_| ())
    });
    match gave_up {
        Some(failure) => return Err(failure),
        None => changed?,
    }
    screen.report(&Done::new(
        key,
        "pin changed",
        [
            format!("{key} has another PIN now."),
            "What it is enrolled for stays as it is.".to_owned(),
        ],
    ))
}

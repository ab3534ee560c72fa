//! `passkey key fingerprints`: the fingers that a key knows.
#![forbid(unsafe_code)]

use std::path::Path;

use serde::Serialize;

use super::asking::with_pin;
use super::chosen::Chosen;
use super::done::{Done, Which};
use super::not_done::NotDone;
use super::typed_pin::TypedPin;
use super::worker::{self, Fingerprint, Line, Outcome, Work};
use crate::cli::key::FingerprintsCommand;
use crate::entry::columns;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::screen::{Report, Screen};
use crate::terminal;

/// Lists, adds, renames or removes them.
pub(crate) fn fingerprints(
    wanted: &FingerprintsCommand,
    node: Option<&Path>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match wanted {
        FingerprintsCommand::List => {
            let chosen = able(node, "key fingerprints list", screen)?;
            list(&chosen, screen)
        }
        FingerprintsCommand::Add { name } => {
            let chosen = able(node, "key fingerprints add", screen)?;
            add(name.as_deref(), &chosen, screen)
        }
        FingerprintsCommand::Rename { id, name } => {
            let chosen = able(node, &format!("key fingerprints rename {id} NAME"), screen)?;
            let renamed = with_one(id, &chosen, screen, |one, pin, _| {
                Ok(Work::RenameFingerprint {
                    pin: pin.clone(),
                    id: one.id.clone(),
                    name: name.clone(),
                })
            })?;
            let sentence = format!(
                "Fingerprint {} on {} has another name.",
                renamed.id, chosen.key
            );
            screen.report(&Done::new(&chosen.key, "fingerprint renamed", [sentence]))
        }
        FingerprintsCommand::Remove { id } => {
            let chosen = able(node, &format!("key fingerprints remove {id}"), screen)?;
            let removed = with_one(id, &chosen, screen, |one, pin, screen| {
                confirm_removal(one, &chosen, screen)?;
                Ok(Work::RemoveFingerprint {
                    pin: pin.clone(),
                    id: one.id.clone(),
                })
            })?;
            let sentence = format!(
                "Fingerprint {} is gone from {}. Its PIN is good as before.",
                removed.called(),
                chosen.key
            );
            screen.report(&Done::new(&chosen.key, "fingerprint removed", [sentence]))
        }
    }
}

/// Names what is lost, and asks for a word.
fn confirm_removal(one: &Fingerprint, chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    screen.say(&format!(
        "This is lost: {} knows the finger {} no more, and takes the PIN instead of it.",
        chosen.key,
        one.called()
    ));
    if terminal::typed_word("remove", "to remove it", screen) {
        return Ok(());
    }
    Err(Failure::new(
        format!("nothing was removed from {}", chosen.key),
        format!("if you want it gone, run again: {}", chosen.again),
    ))
}

/// The key, where it has a reader.
fn able(node: Option<&Path>, command: &str, screen: &mut Screen) -> Result<Chosen, Failure> {
    let chosen = Chosen::find(node, command, screen)?;
    if chosen.knows("bioEnroll") || chosen.knows("userVerificationMgmtPreview") {
        return Ok(chosen);
    }
    Err(Failure::new(
        format!("{} has no fingerprint reader", chosen.key),
        "verify with its PIN: passkey key pin set",
    ))
}

fn list(chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    let known = with_pin(chosen, screen, |pin, screen| known(chosen, pin, screen))?;
    if known.is_empty() {
        screen.say(&format!(
            "{} knows no fingerprint; add one with: passkey key fingerprints add",
            chosen.key
        ));
    }
    screen.report(&Known {
        key: Which::of(&chosen.key),
        fingerprints: known,
    })
}

fn add(name: Option<&str>, chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    let added = with_pin(chosen, screen, |pin, screen| {
        let work = Work::AddFingerprint {
            pin: pin.clone(),
            name: name.map(str::to_owned),
        };
        let mut progress = Progress::default();
        let outcome = worker::run(chosen, work, screen, |line, screen| {
            for said in progress.sentences(line) {
                screen.say(&said);
            }
        })?;
        match outcome {
            Outcome::Fingerprints(added) => Ok(added),
            _ => Err(NotDone::from(worker::Broken::Nonsense)),
        }
    })?;
    let called = added.first().map(Fingerprint::called).unwrap_or_default();
    screen.report(&Done::new(
        &chosen.key,
        "fingerprint added",
        [
            format!("{} knows fingerprint {called}.", chosen.key),
            "Undo with: passkey key fingerprints remove ID".to_owned(),
        ],
    ))
}

/// Does work with the one fingerprint whose id begins so.
fn with_one(
    beginning: &str,
    chosen: &Chosen,
    screen: &mut Screen,
    work: impl Fn(&Fingerprint, &TypedPin, &mut Screen) -> Result<Work, Failure>,
) -> Result<Fingerprint, Failure> {
    let mut refused = None;
    let done = with_pin(chosen, screen, |pin, screen| {
        let known = known(chosen, pin, screen)?;
        let meant = only(beginning, &known, chosen);
        match meant.and_then(|one| Ok((one, work(one, pin, screen)?))) {
            Ok((one, work)) => {
                worker::run(chosen, work, screen, |_, _| {})?;
                Ok(Some(one.clone()))
            }
            Err(failure) => {
                refused = Some(failure);
                Ok(None)
            }
        }
    })?;
    match (done, refused) {
        (Some(one), _) => Ok(one),
        (None, Some(failure)) => Err(failure),
        (None, None) => Err(chosen.failure(&worker::Broken::Nonsense.into())),
    }
}

fn known(
    chosen: &Chosen,
    pin: &TypedPin,
    screen: &mut Screen,
) -> Result<Vec<Fingerprint>, NotDone> {
    let work = Work::ListFingerprints { pin: pin.clone() };
    match worker::run(chosen, work, screen, |_, _| {})? {
        Outcome::Fingerprints(known) => Ok(known),
        _ => Err(worker::Broken::Nonsense.into()),
    }
}

fn only<'k>(
    beginning: &str,
    known: &'k [Fingerprint],
    chosen: &Chosen,
) -> Result<&'k Fingerprint, Failure> {
    let found: Vec<&Fingerprint> = known
        .iter()
        .filter(|fingerprint| fingerprint.id.starts_with(beginning))
        .collect();
    match found.as_slice() {
        [only] => Ok(only),
        [] => Err(Failure::new(
            format!(
                "{} knows no fingerprint whose id begins with {beginning}",
                chosen.key
            ),
            "see those it knows with: passkey key fingerprints list",
        )),
        _ => Err(Failure::new(
            format!("several fingerprints have ids that begin with {beginning}"),
            "type more of the id; see them with: passkey key fingerprints list",
        )),
    }
}

impl Fingerprint {
    /// Its name and id.
    fn called(&self) -> String {
        match self.name.as_str() {
            "" => self.id.clone(),
            name => format!("\"{name}\" ({})", self.id),
        }
    }
}

/// How far a finger has come.
#[derive(Debug, Default)]
struct Progress {
    samples: u32,
}

impl Progress {
    /// What a person is told of `line`.
    fn sentences(&mut self, line: &Line) -> Vec<String> {
        match line {
            Line::Sensor { samples } => {
                self.samples = *samples;
                vec![format!("Touch the sensor with the finger: 1 of {samples}.")]
            }
            Line::Sample { status, remaining } => {
                let mut said: Vec<String> = wrong_with_it(*status).into_iter().collect();
                // It may want more of them than it said.
                self.samples = self.samples.max(*remaining);
                if *remaining > 0 || *status != GOOD {
                    let this = (self.samples - remaining + 1).min(self.samples);
                    said.push(format!(
                        "Touch the sensor again: {this} of {}.",
                        self.samples
                    ));
                }
                said
            }
            _ => Vec::new(),
        }
    }
}

/// `CTAP2_ENROLL_FEEDBACK_FP_GOOD` (CTAP 2.1 §6.7.4).
const GOOD: u8 = 0x00;

/// What was wrong with a sample (CTAP 2.1 §6.7.4, lastEnrollSampleStatus).
fn wrong_with_it(status: u8) -> Option<String> {
    let wrong = match status {
        GOOD => return None,
        0x01 => "The finger was too high.",
        0x02 => "The finger was too low.",
        0x03 => "The finger was too far left.",
        0x04 => "The finger was too far right.",
        0x05 => "The finger moved too fast.",
        0x06 => "The finger moved too slowly.",
        0x07 => "The sample was not clear enough.",
        0x08 => "The finger was at too much of an angle.",
        0x09 => "The touch was too short.",
        0x0a => "The sample did not fit the others.",
        0x0b => "The key knows that finger already.",
        0x0d => "Nobody touched the sensor.",
        0x0e => "The finger did not leave the sensor.",
        other => return Some(format!("The sensor was not content (0x{other:02x}).")),
    };
    Some(wrong.to_owned())
}

#[derive(Serialize)]
struct Known {
    key: Which,
    fingerprints: Vec<Fingerprint>,
}

impl Report for Known {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let rows: Vec<[&str; 2]> = self
            .fingerprints
            .iter()
            .map(|it| [it.id.as_str(), it.name.as_str()])
            .collect();
        columns(["ID", "NAME"], &rows, ink)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_told_how_far_they_are_and_what_was_wrong() {
        let mut progress = Progress::default();
        let mut said = |line: &Line| progress.sentences(line).join(" ");
        assert_eq!(
            said(&Line::Sensor { samples: 3 }),
            "Touch the sensor with the finger: 1 of 3."
        );
        let sample = |status, remaining| Line::Sample { status, remaining };
        assert_eq!(said(&sample(GOOD, 2)), "Touch the sensor again: 2 of 3.");
        assert_eq!(
            said(&sample(0x05, 2)),
            "The finger moved too fast. Touch the sensor again: 2 of 3."
        );
        assert_eq!(said(&sample(GOOD, 1)), "Touch the sensor again: 3 of 3.");
        assert_eq!(said(&sample(GOOD, 0)), "");
    }

    #[test]
    fn a_sensor_that_wants_more_samples_than_it_said_is_believed() {
        let mut progress = Progress::default();
        let first = Line::Sample {
            status: 0x07,
            remaining: 5,
        };
        assert_eq!(
            progress.sentences(&first).join(" "),
            "The sample was not clear enough. Touch the sensor again: 1 of 5."
        );
    }
}

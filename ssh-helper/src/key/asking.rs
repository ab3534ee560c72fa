//! What a person is asked about a key: its PIN, a new one, and a word that says
//! that they know what they do.
#![forbid(unsafe_code)]

use ceremony::authenticator::ctap2::Status;
use ceremony::pin::Pin;
use zeroize::Zeroizing;

use super::chosen::Chosen;
use super::not_done::NotDone;
use super::typed_pin::TypedPin;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::terminal::{self, Echo};

/// How many wrong PINs one command tries; keys themselves take three in a row.
const MOST_PINS: u8 = 3;

/// How often what cannot be a PIN, or is not typed the same twice, is asked for
/// again.
const MOST_ATTEMPTS: u8 = 3;

/// Whether somebody can be asked; the failure where not.
pub(crate) fn somebody_must_be_there(chosen: &Chosen, what_for: &str) -> Result<(), Failure> {
    if terminal::somebody_is_there() {
        return Ok(());
    }
    Err(Failure::new(
        format!("{what_for}, and there is no terminal to answer at"),
        format!("run it in a terminal: {}", chosen.again),
    ))
}

/// Does `work` with the key's PIN, and asks for it again where it was wrong.
pub(crate) fn with_pin<T>(
    chosen: &Chosen,
    screen: &mut Screen,
    work: impl FnMut(&TypedPin, &mut Screen) -> Result<T, NotDone>,
) -> Result<T, Failure> {
    if chosen.info.force_pin_change {
        return Err(Failure::new(
            format!(
                "the PIN of {} must be changed before it is good for anything",
                chosen.key
            ),
            format!("run: passkey key pin change; then: {}", chosen.again),
        ));
    }
    with_old_pin(chosen, screen, work)
}

/// The same where the PIN may be one that is good for nothing but being
/// changed.
pub(crate) fn with_old_pin<T>(
    chosen: &Chosen,
    screen: &mut Screen,
    mut work: impl FnMut(&TypedPin, &mut Screen) -> Result<T, NotDone>,
) -> Result<T, Failure> {
    if !chosen.info.options.client_pin {
        return Err(Failure::new(
            format!(
                "{} has no PIN, and without one this is not done",
                chosen.key
            ),
            format!("set one first: passkey key pin set; then: {}", chosen.again),
        ));
    }
    somebody_must_be_there(chosen, "a PIN is asked for")?;
    let mut wrong = 0;
    loop {
        if wrong > 0 {
            screen.say("That PIN was wrong.");
        }
        let left = tries_left(chosen)?;
        if wrong >= MOST_PINS {
            return Err(Failure::new(
                format!(
                    "{MOST_PINS} PINs were wrong; {} takes {left} more",
                    chosen.key
                ),
                format!("if you know the right one, run again: {}", chosen.again),
            ));
        }
        if left == 1 {
            last_try(chosen, screen)?;
        }
        let question = format!("PIN of {}, {}: ", chosen.key, counted(left));
        // A PIN that was set before the key wanted longer ones is still one.
        let typed = ask_pin(&question, Pin::SHORTEST, screen).ok_or_else(|| no_pin(chosen))?;
        last_try_by_now(left, chosen, screen)?;
        match work(&typed, screen) {
            Err(problem) if problem.status() == Some(Status::PinInvalid) => wrong += 1,
            Err(problem) => return Err(chosen.failure(&problem)),
            Ok(result) => return Ok(result),
        }
    }
}

/// How many tries the PIN has left; not none.
pub(crate) fn tries_left(chosen: &Chosen) -> Result<u8, Failure> {
    let refused = |status| {
        let problem =
            NotDone::Unanswered(ceremony::authenticator::errand::Unanswered::Refused(status));
        Err(chosen.failure(&problem))
    };
    let tries = chosen
        .pin_tries()
        .map_err(|problem| chosen.failure(&problem))?;
    match (tries.left, tries.power_cycle_needed) {
        (0, _) => refused(Status::PinBlocked),
        (_, true) => refused(Status::PinAuthBlocked),
        (left, false) => Ok(left),
    }
}

pub(crate) fn counted(left: u8) -> String {
    match left {
        1 => "the last try".to_owned(),
        more => format!("{more} tries left"),
    }
}

/// Others may have used tries up while something was typed: `before` that there
/// were so many.
pub(crate) fn last_try_by_now(
    before: u8,
    chosen: &Chosen,
    screen: &mut Screen,
) -> Result<(), Failure> {
    if before > 1 && tries_left(chosen)? == 1 {
        return last_try(chosen, screen);
    }
    Ok(())
}

/// The last try is nobody's by accident.
fn last_try(chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    screen.say(&format!(
        "{} has one try left. If that PIN is wrong, only a reset makes the key usable again, \
         and erases it.",
        chosen.key
    ));
    if terminal::typed_word("last", "to use it", screen) {
        return Ok(());
    }
    Err(Failure::new(
        format!("the last try of {} was not used", chosen.key),
        format!("find the right PIN first; then run again: {}", chosen.again),
    ))
}

fn no_pin(chosen: &Chosen) -> Failure {
    Failure::new(
        format!("no PIN was given for {}", chosen.key),
        format!("nothing was changed; run again: {}", chosen.again),
    )
}

/// A PIN that `question` is answered with; `None` where there is no answer.
pub(crate) fn ask_pin(question: &str, shortest: u8, screen: &mut Screen) -> Option<TypedPin> {
    for _ in 0..MOST_ATTEMPTS {
        let typed = terminal::read_line(|| screen.ask(question), Echo::Off);
        let Ok(typed) = typed.map(Zeroizing::new) else {
            // Only a line's own end ends the question's line.
            screen.say("");
            return None;
        };
        if typed.is_empty() {
            return None;
        }
        match TypedPin::parse(&typed, shortest) {
            Ok(pin) => return Some(pin),
            Err(problem) => screen.say(&format!("That is not a PIN: {problem}.")),
        }
    }
    None
}

/// A new PIN, typed twice.
pub(crate) fn new_pin(chosen: &Chosen, screen: &mut Screen) -> Result<TypedPin, Failure> {
    let shortest = chosen.info.min_pin_length.max(Pin::SHORTEST);
    let question = format!(
        "New PIN of {}, at least {shortest} characters: ",
        chosen.key
    );
    for _ in 0..MOST_ATTEMPTS {
        let typed = ask_pin(&question, shortest, screen).ok_or_else(|| no_pin(chosen))?;
        let again = terminal::read_line(|| screen.ask("The same once more: "), Echo::Off);
        let Ok(again) = again.map(Zeroizing::new) else {
            screen.say("");
            return Err(no_pin(chosen));
        };
        if *again == typed.text().as_bytes() {
            return Ok(typed);
        }
        screen.say("These two are not the same.");
    }
    Err(Failure::new(
        format!("no new PIN was chosen for {}", chosen.key),
        format!("nothing was changed; run again: {}", chosen.again),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_try_is_called_the_last() {
        assert_eq!(counted(1), "the last try");
        assert_eq!(counted(8), "8 tries left");
    }
}

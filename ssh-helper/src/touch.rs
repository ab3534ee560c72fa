//! Tells the person which key to touch, and why, and asks for its PIN.
#![forbid(unsafe_code)]

use std::time::Duration;

use ceremony::account::UserName;
use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::{Gesture, Interaction, NoPin, Notice, PinQuestion};
use ceremony::pin::Pin;
use zeroize::Zeroizing;

use crate::screen::Screen;
use crate::terminal::{self, Echo};

/// What a touch is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// A key the account has vouches for a new one.
    Vouch(&'a UserName),
    /// The key makes a credential: "to enrol it for alice".
    Make(&'a str),
    /// The key that was just touched shows that its credential works.
    FirstLogin,
    /// `passkey test`.
    Test(&'a UserName),
}

/// How many PINs one ceremony may try; keys themselves take three in a row.
const MOST_PINS: u8 = 3;

/// Says what a ceremony needs from the person.
pub(crate) struct Prompt<'s> {
    screen: &'s mut Screen,
    purpose: Purpose<'s>,
    pins: u8,
    /// What is waited for, where the seconds are to be counted down.
    waiting: Option<String>,
}

impl<'s> Prompt<'s> {
    /// A prompt on `screen`, which says what touches are for.
    pub(crate) fn new(screen: &'s mut Screen, purpose: Purpose<'s>) -> Self {
        Self {
            screen,
            purpose,
            pins: 0,
            waiting: None,
        }
    }
}

impl Interaction for Prompt<'_> {
    fn tell(&mut self, notice: &Notice<'_>) {
        match self.line(notice) {
            Some(Line::Waiting(what, within)) => {
                self.screen.count_down(&what, within);
                self.waiting = Some(what);
            }
            Some(Line::Said(line)) => self.screen.say(&line),
            None => {}
        }
    }

    fn passing(&mut self, left: Duration) -> Option<Duration> {
        let what = self.waiting.as_deref()?;
        self.screen.count_on(what, left)
    }

    fn ask_pin(&mut self, key: &FoundKey, question: &PinQuestion) -> Result<Pin, NoPin> {
        if self.pins >= MOST_PINS {
            let wrong_before = question.wrong_before;
            return Err(NoPin::UsedUp { wrong_before });
        }
        // Nothing prompts unless someone is there to answer.
        if !terminal::somebody_is_there() {
            return Err(NoPin::NotGiven);
        }
        if question.wrong_before {
            self.screen.say("That PIN was wrong.");
        }
        let named_before = matches!(self.purpose, Purpose::Make(_) | Purpose::FirstLogin);
        if question.proven.is_none() && !named_before {
            self.screen.say(&format!(
                "Careful: {key} wants its PIN before it shows whose it is."
            ));
        }
        self.waiting = None;
        let text = format!("PIN of {key}, {} tries left: ", question.tries_left);
        loop {
            let typed = terminal::read_line(|| self.screen.ask(&text), Echo::Off);
            let typed = Zeroizing::new(typed.map_err(|_| {
                // Only a line's own end ends the question's line.
                self.screen.say("");
                NoPin::NotGiven
            })?);
            if typed.is_empty() {
                return Err(NoPin::NotGiven);
            }
            match Pin::typed(&typed, question.shortest) {
                Ok(pin) => {
                    self.pins += 1;
                    return Ok(pin);
                }
                Err(problem) => self.screen.say(&format!("That is not a PIN: {problem}.")),
            }
        }
    }
}

/// A line for the person.
enum Line {
    /// As it stands.
    Said(String),
    /// What is waited for, and how long.
    Waiting(String, Duration),
}

impl Prompt<'_> {
    fn line(&self, notice: &Notice<'_>) -> Option<Line> {
        use Purpose::{FirstLogin, Make, Test, Vouch};
        let line = match (notice, self.purpose) {
            (
                Notice::Waiting {
                    key,
                    gesture,
                    within,
                    ..
                },
                purpose,
            ) => return Some(Line::Waiting(waiting(key, *gesture, purpose), *within)),
            (Notice::PlugIn { within }, purpose) => {
                return Some(Line::Waiting(plug_in(purpose), *within));
            }
            (Notice::Busy { key, request: None }, _) => {
                format!("Another program is using {key}: do not touch it now.")
            }
            (
                Notice::Busy {
                    key,
                    request: Some(request),
                },
                _,
            ) => format!("{key} is in use for another request: do not touch it now.\n{request}"),
            (Notice::Dropped { key, why }, Test(_)) => format!("Not {key}: {why}."),
            // The key that is to be enrolled cannot vouch, which is no news; and
            // where there is only one key, its failure is the command's.
            (Notice::Dropped { .. }, Vouch(_) | Make(_) | FirstLogin) => return None,
            (Notice::Unclaimed { key, why }, _) => {
                format!("{key} is not kept to one request at a time: {why}.")
            }
        };
        Some(Line::Said(line))
    }
}

/// What is to be plugged in, and why.
fn plug_in(purpose: Purpose<'_>) -> String {
    match purpose {
        Purpose::Vouch(name) => {
            format!("Plug in a key that {name} has, to let {name} have another one")
        }
        Purpose::Test(name) => format!("Plug in a key of {name}"),
        // A race with one key asks for it only when it has been pulled out.
        Purpose::Make(_) | Purpose::FirstLogin => {
            "The key was unplugged; plug it in again".to_owned()
        }
    }
}

/// What a key waits for, and why.
fn waiting(key: &FoundKey, gesture: Gesture, purpose: Purpose<'_>) -> String {
    let what_for = match purpose {
        Purpose::Vouch(name) => format!("to let {name} have another key"),
        Purpose::Make(what_for) => what_for.to_owned(),
        Purpose::Test(name) => format!("for a test login as {name}"),
        Purpose::FirstLogin => match gesture {
            Gesture::Touch => return "Touch it once more: a test login".to_owned(),
            _ => "for a test login".to_owned(),
        },
    };
    match gesture {
        Gesture::Touch => format!("Touch {key} {what_for}"),
        Gesture::Choose => format!("Touch {key} to use it {what_for}"),
        Gesture::Verify => format!("Give {key} your fingerprint or code {what_for}"),
        Gesture::VerifyAgain => format!("Not recognised; once more at {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::recorded;

    #[test]
    fn a_missing_key_is_asked_for_with_the_time_there_is() {
        let name = UserName::parse("alice").unwrap();
        let (mut screen, results, talk) = recorded::screen();
        let mut prompt = Prompt::new(&mut screen, Purpose::Test(&name));
        prompt.tell(&Notice::PlugIn {
            within: Duration::from_millis(29_999),
        });
        assert_eq!(talk.text(), "Plug in a key of alice (30 s).\n");
        assert_eq!(results.text(), "");
    }

    #[test]
    fn the_seconds_are_not_counted_where_lines_cannot_be_rewritten() {
        let name = UserName::parse("alice").unwrap();
        let (mut screen, _, talk) = recorded::screen();
        let mut prompt = Prompt::new(&mut screen, Purpose::Test(&name));
        let within = Duration::from_secs(30);
        prompt.tell(&Notice::PlugIn { within });
        assert_eq!(prompt.passing(Duration::from_secs(29)), None);
        drop(prompt);
        screen.say("Done.");
        assert_eq!(talk.text(), "Plug in a key of alice (30 s).\nDone.\n");
    }

    #[test]
    fn one_ceremony_tries_three_pins() {
        let (mut screen, _, _) = recorded::screen();
        let mut prompt = Prompt::new(&mut screen, Purpose::FirstLogin);
        let question = PinQuestion {
            proven: None,
            tries_left: 8,
            shortest: 4,
            wrong_before: true,
        };
        prompt.pins = MOST_PINS;
        let refused = prompt.ask_pin(&FoundKey::default(), &question);
        assert_eq!(refused.unwrap_err(), NoPin::UsedUp { wrong_before: true });
    }
}

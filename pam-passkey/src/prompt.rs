//! What the person sees and is asked while a key is waited for.
#![forbid(unsafe_code)]

use std::time::Duration;

use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::{Gesture, Interaction, NoPin, Notice, PinQuestion};
use ceremony::challenge::Request;
use ceremony::credential::{Credential, CredentialName};
use ceremony::pin::Pin;
use ceremony::sentence;
use ceremony::sentence::{Sentence, Spoken};

use crate::log::Log;
use crate::pin_tries::PinTries;
use crate::voice::Voice;

/// How often one question is asked when what is typed cannot be a PIN. A host
/// that answers by itself must come to an end.
const MOST_QUESTIONS: usize = 3;

/// Speaks to the person, and logs what only an administrator needs. Says what
/// is requested once, before anything else.
pub(crate) struct Prompt<'p> {
    requested: Option<Sentence>,
    keys: Sentence,
    /// What was said last of keys that wait, but for the seconds: several keys
    /// may wait for the same thing.
    waiting: Vec<Sentence>,
    voice: &'p Voice<'p>,
    tries: Option<&'p PinTries>,
    log: &'p mut Log,
}

impl<'p> Prompt<'p> {
    /// A prompt for `request`, which one of `credentials` may answer.
    pub(crate) fn new(
        request: &Request,
        credentials: &[&Credential],
        voice: &'p Voice<'p>,
        tries: Option<&'p PinTries>,
        log: &'p mut Log,
    ) -> Self {
        Self {
            requested: Some(requested(request)),
            keys: names(credentials),
            waiting: Vec::new(),
            voice,
            tries,
            log,
        }
    }

    fn say(&mut self, sentence: Sentence) {
        let mut sentences = Vec::from_iter(self.requested.take());
        sentences.push(sentence);
        self.voice.tell(&sentences);
    }

    /// What was said of waiting keys no longer stands.
    fn say_instead(&mut self, sentence: Sentence) {
        self.waiting.clear();
        self.say(sentence);
    }
}

impl Interaction for Prompt<'_> {
    fn tell(&mut self, notice: &Notice<'_>) {
        match notice {
            Notice::PlugIn { within } => {
                self.say_instead(sentence!(
                    "Plug in {key} ({seconds} s).",
                    key = &self.keys,
                    seconds = seconds(*within)
                ));
            }
            Notice::Waiting {
                key: _,
                credential,
                gesture,
                within,
            } => {
                let key = credential.map_or_else(|| self.keys.clone(), named);
                let another = !self.waiting.is_empty();
                let but_for_the_seconds = waiting(*gesture, &key, another, Duration::ZERO);
                if !self.waiting.contains(&but_for_the_seconds) {
                    self.say(waiting(*gesture, &key, another, *within));
                    self.waiting.push(but_for_the_seconds);
                }
            }
            Notice::Busy { key, request } => {
                self.say_instead(busy(key, *request));
            }
            Notice::Dropped { key, why } => {
                self.log.info(&format!("key {key} is out: {why}"));
            }
            Notice::Unclaimed { key, why } => {
                self.log.warning(&format!(
                    "key {key} is not kept to one login at a time: {why}"
                ));
            }
        }
    }

    fn ask_pin(&mut self, key: &FoundKey, question: &PinQuestion) -> Result<Pin, NoPin> {
        let used_up = NoPin::UsedUp {
            wrong_before: question.wrong_before,
        };
        let tries = self.tries.filter(|tries| tries.are_left());
        let tries = tries.ok_or(used_up)?;
        if !self.voice.is_heard() {
            return Err(NoPin::NotGiven);
        }
        self.waiting.clear();
        // Text goes before a prompt, not into it: a greeter's label is short.
        if let Some(requested) = self.requested.take() {
            self.voice.tell(&[requested]);
        }
        // A greeter that answers by itself would hand the login password to any
        // stick that asks.
        if question.proven.is_none() && !tries.shows_every_prompt() {
            return Err(NoPin::NotAsked);
        }
        if question.proven.is_none() {
            self.log
                .warning(&format!("key {key} is asked for its PIN unproven"));
            self.voice.tell(&[unproven(key)]);
        }
        let prompt = pin_prompt(key, question);
        for _ in 0..MOST_QUESTIONS {
            let typed = match self.voice.ask(&prompt) {
                Some(typed) if !typed.is_empty() => typed,
                _ => return Err(NoPin::NotGiven),
            };
            match Pin::typed(typed.as_bytes(), question.shortest) {
                Ok(pin) if tries.take() => return Ok(pin),
                Ok(_) => return Err(used_up),
                Err(problem) => {
                    let sentence = sentence!("That is not a PIN: {problem}.", problem = &problem);
                    self.voice.complain(&sentence);
                }
            }
        }
        Err(NoPin::NotGiven)
    }
}

/// What a key waits for; `another` does already.
fn waiting(gesture: Gesture, key: &Sentence, another: bool, within: Duration) -> Sentence {
    let seconds = seconds(within);
    match (gesture, another) {
        (Gesture::Touch, false) => sentence!("Touch {key} ({seconds} s).", key, seconds),
        (Gesture::Touch, true) => sentence!("Or touch {key} ({seconds} s).", key, seconds),
        (Gesture::Choose, false) => {
            sentence!("Touch {key} to use it ({seconds} s).", key, seconds)
        }
        (Gesture::Choose, true) => {
            sentence!(
                "Or touch {key} to use that one ({seconds} s).",
                key,
                seconds
            )
        }
        (Gesture::Verify, false) => {
            sentence!(
                "Give {key} your fingerprint or code ({seconds} s).",
                key,
                seconds
            )
        }
        (Gesture::Verify, true) => {
            sentence!(
                "Or give {key} your fingerprint or code ({seconds} s).",
                key,
                seconds
            )
        }
        (Gesture::VerifyAgain, _) => {
            sentence!(
                "Not recognised; once more at {key} ({seconds} s).",
                key,
                seconds
            )
        }
    }
}

fn busy(key: &FoundKey, request: Option<&str>) -> Sentence {
    match request {
        // In English: whoever has the key may have another person's language.
        Some(request) => sentence!(
            "{key} is in use for another request: do not touch it.\n{request}",
            key,
            request
        ),
        None => sentence!("Another program is using {key}: do not touch it.", key),
    }
}

fn unproven(key: &FoundKey) -> Sentence {
    sentence!(
        "Careful: {key} wants its PIN before it shows that it is yours. \
         Type it only if that is the key in front of you.",
        key
    )
}

fn pin_prompt(key: &FoundKey, question: &PinQuestion) -> Sentence {
    let key = question
        .proven
        .as_ref()
        .map_or_else(|| key.sentence(), named);
    let tries = question.tries_left;
    if question.wrong_before {
        sentence!(
            "That PIN was wrong. PIN of {key}, {tries} tries left: ",
            key,
            tries
        )
    } else {
        sentence!("PIN of {key}, {tries} tries left: ", key, tries)
    }
}

/// Who asks for what, in one line. "Requested" because that is all it is: the
/// words come from the program that asks.
pub(crate) fn requested(request: &Request) -> Sentence {
    let Request { service, user, .. } = request;
    match &request.command {
        Some(command) => sentence!(
            "Requested by {service} for {user}: {command}",
            service,
            user,
            command
        ),
        None => sentence!("Requested by {service} for {user}.", service, user),
    }
}

/// The names of the keys that could answer, as long as they are few.
fn names(credentials: &[&Credential]) -> Sentence {
    let names: Vec<&str> = credentials.iter().map(|it| it.name.as_str()).collect();
    match *names.as_slice() {
        [] => sentence!("your security key"),
        [name] => sentence!("\"{name}\"", name),
        [one, two] => sentence!("\"{one}\" or \"{two}\"", one, two),
        [one, two, three] => {
            sentence!("\"{one}\", \"{two}\" or \"{three}\"", one, two, three)
        }
        _ => sentence!("one of your security keys"),
    }
}

/// A key by the name it has here.
pub(crate) fn named(name: &CredentialName) -> Sentence {
    sentence!("\"{name}\"", name = name.as_str())
}

/// Whole seconds, rounded up.
fn seconds(duration: Duration) -> u128 {
    duration.as_millis().div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use ceremony::credential::CredentialName;

    use super::*;

    #[test]
    fn the_request_is_named_before_the_touch() {
        let request = Request {
            service: "sudo".into(),
            user: "alice".into(),
            host: "laptop".into(),
            command: Some("sudo apt upgrade".into()),
            tty: None,
        };
        assert_eq!(
            requested(&request).to_string(),
            "Requested by sudo for alice: sudo apt upgrade"
        );
        let no_command = Request {
            command: None,
            ..request
        };
        assert_eq!(
            requested(&no_command).to_string(),
            "Requested by sudo for alice."
        );
    }

    #[test]
    fn a_pin_is_asked_for_by_name_and_with_the_tries_left() {
        let mut question = PinQuestion {
            proven: Some(CredentialName::parse("blue key").unwrap()),
            tries_left: 8,
            shortest: 4,
            wrong_before: false,
        };
        let key = FoundKey::default();
        assert_eq!(
            pin_prompt(&key, &question).to_string(),
            "PIN of \"blue key\", 8 tries left: "
        );
        question.tries_left = 7;
        question.wrong_before = true;
        assert_eq!(
            pin_prompt(&key, &question).to_string(),
            "That PIN was wrong. PIN of \"blue key\", 7 tries left: "
        );
    }

    #[test]
    fn a_second_key_that_waits_is_an_alternative() {
        let waiting = |name, another| {
            let key = named(&CredentialName::parse(name).unwrap());
            waiting(Gesture::Choose, &key, another, Duration::from_secs(30)).to_string()
        };
        assert_eq!(waiting("a", false), "Touch \"a\" to use it (30 s).");
        assert_eq!(waiting("b", true), "Or touch \"b\" to use that one (30 s).");
    }

    #[test]
    fn a_started_second_is_a_second() {
        assert_eq!(seconds(Duration::from_millis(29_001)), 30);
        assert_eq!(seconds(Duration::from_secs(30)), 30);
        assert_eq!(seconds(Duration::ZERO), 0);
    }
}

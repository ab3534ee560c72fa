//! What the person sees and is asked while a key is waited for.
#![forbid(unsafe_code)]

use std::time::Duration;

use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::{Gesture, Interaction, NoPin, Notice, PinQuestion};
use ceremony::challenge::Request;
use ceremony::credential::Credential;
use ceremony::pin::Pin;
use pam::constants::{PAM_ERROR_MSG, PAM_PROMPT_ECHO_OFF, PAM_TEXT_INFO, PamMessageStyle};
use pam::conv::Conv;

use crate::log::Log;
use crate::pin_tries::PinTries;

/// The most key names in one sentence.
const MOST_NAMES: usize = 3;

/// How often one question is asked when what is typed cannot be a PIN. A host
/// that answers by itself must come to an end.
const MOST_QUESTIONS: usize = 3;

/// Speaks through the host's conversation, and logs what only an administrator
/// needs. Says what is requested once, before anything else.
pub(crate) struct Prompt<'p> {
    requested: Option<String>,
    keys: String,
    /// What was said last of keys that wait, without the seconds: several keys
    /// may wait for the same thing.
    waiting: Vec<String>,
    conversation: Option<&'p Conv<'p>>,
    tries: Option<&'p PinTries>,
    log: &'p mut Log,
}

impl<'p> Prompt<'p> {
    /// A prompt for `request`, which one of `credentials` may answer.
    pub(crate) fn new(
        request: &Request,
        credentials: &[&Credential],
        conversation: Option<&'p Conv<'p>>,
        tries: Option<&'p PinTries>,
        log: &'p mut Log,
    ) -> Self {
        Self {
            requested: Some(requested(request)),
            keys: names(credentials),
            waiting: Vec::new(),
            conversation,
            tries,
            log,
        }
    }

    fn say(&mut self, sentence: &str) {
        let text = match self.requested.take() {
            Some(requested) => format!("{requested}\n{sentence}"),
            None => sentence.to_owned(),
        };
        self.send(PAM_TEXT_INFO, &text);
    }

    fn send(&self, style: PamMessageStyle, text: &str) {
        if let Some(conversation) = self.conversation {
            // A host that shows nothing may still have someone at the key.
            let _ = conversation.send(style, text);
        }
    }

    fn say_waiting(&mut self, sentence: String, within: Duration) {
        if !self.waiting.contains(&sentence) {
            self.say(&format!("{sentence} ({}).", seconds(within)));
            self.waiting.push(sentence);
        }
    }

    /// What was said of waiting keys no longer stands.
    fn say_instead(&mut self, sentence: &str) {
        self.waiting.clear();
        self.say(sentence);
    }
}

impl Interaction for Prompt<'_> {
    fn tell(&mut self, notice: &Notice<'_>) {
        match notice {
            Notice::PlugIn { within } => {
                let sentence = format!("Plug in {} ({}).", self.keys, seconds(*within));
                self.say_instead(&sentence);
            }
            Notice::Waiting {
                key: _,
                credential,
                gesture,
                within,
            } => {
                let name = credential.map(|name| format!("\"{name}\""));
                let name = name.as_deref().unwrap_or(&self.keys);
                self.say_waiting(waiting(*gesture, name, !self.waiting.is_empty()), *within);
            }
            Notice::Busy { key, request } => {
                let sentence = busy(key, *request);
                self.say_instead(&sentence);
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
        let conversation = self.conversation.ok_or(NoPin::NotGiven)?;
        self.waiting.clear();
        // Text goes before a prompt, not into it: a greeter's label is short.
        if let Some(requested) = self.requested.take() {
            self.send(PAM_TEXT_INFO, &requested);
        }
        // A greeter that answers by itself would hand the login password to any
        // stick that asks.
        if question.proven.is_none() && !tries.shows_every_prompt() {
            return Err(NoPin::NotAsked);
        }
        if question.proven.is_none() {
            self.log
                .warning(&format!("key {key} is asked for its PIN unproven"));
            self.send(PAM_TEXT_INFO, &unproven(key));
        }
        let prompt = pin_prompt(key, question);
        for _ in 0..MOST_QUESTIONS {
            let typed = match conversation.send(PAM_PROMPT_ECHO_OFF, &prompt) {
                Ok(Some(typed)) if !typed.is_empty() => typed,
                _ => return Err(NoPin::NotGiven),
            };
            match Pin::typed(typed.as_bytes(), question.shortest) {
                Ok(pin) if tries.take() => return Ok(pin),
                Ok(_) => return Err(used_up),
                Err(problem) => {
                    self.send(PAM_ERROR_MSG, &format!("That is not a PIN: {problem}."));
                }
            }
        }
        Err(NoPin::NotGiven)
    }
}

/// What a key waits for, without the time it has; `another` does already.
fn waiting(gesture: Gesture, name: &str, another: bool) -> String {
    match (gesture, another) {
        (Gesture::Touch, false) => format!("Touch {name}"),
        (Gesture::Touch, true) => format!("Or touch {name}"),
        (Gesture::Choose, false) => format!("Touch {name} to use it"),
        (Gesture::Choose, true) => format!("Or touch {name} to use that one"),
        (Gesture::Verify, false) => format!("Give {name} your fingerprint or code"),
        (Gesture::Verify, true) => format!("Or give {name} your fingerprint or code"),
        (Gesture::VerifyAgain, _) => format!("Not recognised; once more at {name}"),
    }
}

fn busy(key: &FoundKey, request: Option<&str>) -> String {
    match request {
        Some(request) => {
            format!("{key} is in use for another request: do not touch it.\n{request}")
        }
        None => format!("Another program is using {key}: do not touch it."),
    }
}

fn unproven(key: &FoundKey) -> String {
    format!(
        "Careful: {key} wants its PIN before it shows that it is yours. \
         Type it only if that is the key in front of you."
    )
}

fn pin_prompt(key: &FoundKey, question: &PinQuestion) -> String {
    let name = match &question.proven {
        Some(name) => format!("\"{name}\""),
        None => key.to_string(),
    };
    let wrong = if question.wrong_before {
        "That PIN was wrong. "
    } else {
        ""
    };
    format!("{wrong}PIN of {name}, {} tries left: ", question.tries_left)
}

/// Who asks for what, in one line. "Requested" because that is all it is: the
/// words come from the program that asks.
pub(crate) fn requested(request: &Request) -> String {
    let Request { service, user, .. } = request;
    match &request.command {
        Some(command) => format!("Requested by {service} for {user}: {command}"),
        None => format!("Requested by {service} for {user}."),
    }
}

/// The names of the keys that could answer: `"blue key" or "spare key"`.
fn names(credentials: &[&Credential]) -> String {
    let quoted: Vec<String> = credentials
        .iter()
        .map(|credential| format!("\"{}\"", credential.name))
        .collect();
    match quoted.as_slice() {
        [] => "your security key".to_owned(),
        [only] => only.clone(),
        [before @ .., last] if quoted.len() <= MOST_NAMES => {
            format!("{} or {last}", before.join(", "))
        }
        _ => "one of your security keys".to_owned(),
    }
}

/// Whole seconds, rounded up: `30 s`.
fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_millis().div_ceil(1000))
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
            requested(&request),
            "Requested by sudo for alice: sudo apt upgrade"
        );
        let no_command = Request {
            command: None,
            ..request
        };
        assert_eq!(requested(&no_command), "Requested by sudo for alice.");
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
            pin_prompt(&key, &question),
            "PIN of \"blue key\", 8 tries left: "
        );
        question.tries_left = 7;
        question.wrong_before = true;
        assert_eq!(
            pin_prompt(&key, &question),
            "That PIN was wrong. PIN of \"blue key\", 7 tries left: "
        );
    }

    #[test]
    fn a_second_key_that_waits_is_an_alternative() {
        assert_eq!(
            waiting(Gesture::Choose, "\"a\"", false),
            "Touch \"a\" to use it"
        );
        assert_eq!(
            waiting(Gesture::Choose, "\"b\"", true),
            "Or touch \"b\" to use that one"
        );
    }

    #[test]
    fn a_started_second_is_a_second() {
        assert_eq!(seconds(Duration::from_millis(29_001)), "30 s");
        assert_eq!(seconds(Duration::from_secs(30)), "30 s");
        assert_eq!(seconds(Duration::ZERO), "0 s");
    }
}

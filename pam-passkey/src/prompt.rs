//! What the person sees while a key is waited for.
#![forbid(unsafe_code)]

use std::time::Duration;

use ceremony::authenticator::{Interaction, Notice};
use ceremony::challenge::Request;
use ceremony::credential::Credential;
use pam::constants::PAM_TEXT_INFO;
use pam::conv::Conv;

use crate::log::Log;

/// The most key names in one sentence.
const MOST_NAMES: usize = 3;

/// Speaks through the host's conversation, and logs what only an administrator
/// needs. Says what is requested once, before anything else.
pub(crate) struct Prompt<'p> {
    requested: Option<String>,
    keys: String,
    conversation: Option<&'p Conv<'p>>,
    log: &'p mut Log,
}

impl<'p> Prompt<'p> {
    /// A prompt for `request`, which one of `credentials` may answer.
    pub(crate) fn new(
        request: &Request,
        credentials: &[&Credential],
        conversation: Option<&'p Conv<'p>>,
        log: &'p mut Log,
    ) -> Self {
        Self {
            requested: Some(requested(request)),
            keys: names(credentials),
            conversation,
            log,
        }
    }

    fn say(&mut self, sentence: &str) {
        let text = match self.requested.take() {
            Some(requested) => format!("{requested}\n{sentence}"),
            None => sentence.to_owned(),
        };
        if let Some(conversation) = self.conversation {
            // A host that shows nothing may still have someone at the key.
            let _ = conversation.send(PAM_TEXT_INFO, &text);
        }
    }
}

impl Interaction for Prompt<'_> {
    fn tell(&mut self, notice: &Notice<'_>) {
        match notice {
            Notice::PlugIn { within } => {
                self.say(&format!("Plug in {} ({}).", self.keys, seconds(*within)));
            }
            Notice::Touch { within, .. } => {
                self.say(&format!("Touch {} ({}).", self.keys, seconds(*within)));
            }
            Notice::Busy { key } => {
                self.say(&format!("Another program is using {key}: do not touch it."));
            }
            Notice::Dropped { key, why } => {
                self.log.info(&format!("key {key} is out: {why}"));
            }
        }
    }
}

/// Who asks for what, in one line. "Requested" because that is all it is: the
/// words come from the program that asks.
fn requested(request: &Request) -> String {
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
    fn a_started_second_is_a_second() {
        assert_eq!(seconds(Duration::from_millis(29_001)), "30 s");
        assert_eq!(seconds(Duration::from_secs(30)), "30 s");
        assert_eq!(seconds(Duration::ZERO), "0 s");
    }
}

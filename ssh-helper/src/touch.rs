//! Tells the person which key to touch, and why.
#![forbid(unsafe_code)]

use ceremony::account::UserName;
use ceremony::authenticator::{Interaction, Notice};

use crate::screen::{Screen, Seconds};

/// What a touch is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose<'a> {
    /// A key the account has vouches for a new one.
    Vouch(&'a UserName),
    /// The key makes a credential.
    Enroll(&'a UserName),
    /// The key that was just touched shows that its credential works.
    FirstLogin,
    /// `passkey test`.
    Test(&'a UserName),
}

/// Says what a ceremony needs from the person.
pub(crate) struct Prompt<'s> {
    /// Where it is said.
    pub(crate) screen: &'s mut Screen,
    /// What the touches are for.
    pub(crate) purpose: Purpose<'s>,
}

impl Interaction for Prompt<'_> {
    fn tell(&mut self, notice: &Notice<'_>) {
        if let Some(line) = self.line(notice) {
            self.screen.say(&line);
        }
    }
}

impl Prompt<'_> {
    fn line(&self, notice: &Notice<'_>) -> Option<String> {
        use Purpose::{Enroll, FirstLogin, Test, Vouch};
        let line = match (notice, self.purpose) {
            (Notice::Touch { key, within }, purpose) => {
                let within = Seconds(*within);
                match purpose {
                    Vouch(name) => {
                        format!("Touch {key} to let {name} have another key ({within}).")
                    }
                    Enroll(name) => format!("Touch {key} to enrol it for {name} ({within})."),
                    FirstLogin => format!("Touch it once more: a test login ({within})."),
                    Test(name) => format!("Touch {key} for a test login as {name} ({within})."),
                }
            }
            (Notice::PlugIn { within }, Vouch(name)) => format!(
                "Plug in a key that {name} has, to let {name} have another one ({}).",
                Seconds(*within)
            ),
            (Notice::PlugIn { within }, Test(name)) => {
                format!("Plug in a key of {name} ({}).", Seconds(*within))
            }
            // A race with one key asks for it only when it has been pulled out.
            (Notice::PlugIn { within }, Enroll(_) | FirstLogin) => {
                format!(
                    "The key was unplugged; plug it in again ({}).",
                    Seconds(*within)
                )
            }
            (Notice::Busy { key }, _) => {
                format!("Another program is using {key}: do not touch it now.")
            }
            (Notice::Dropped { key, why }, Vouch(_) | Test(_)) => format!("Not {key}: {why}."),
            // There is only one key, and its failure is the command's.
            (Notice::Dropped { .. }, Enroll(_) | FirstLogin) => return None,
        };
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::screen::recorded;

    #[test]
    fn a_missing_key_is_asked_for_with_the_time_there_is() {
        let name = UserName::parse("alice").unwrap();
        let (mut screen, results, talk) = recorded::screen();
        let mut prompt = Prompt {
            screen: &mut screen,
            purpose: Purpose::Test(&name),
        };
        prompt.tell(&Notice::PlugIn {
            within: Duration::from_millis(29_999),
        });
        assert_eq!(talk.text(), "Plug in a key of alice (30 s).\n");
        assert_eq!(results.text(), "");
    }
}

//! Asks for a touch, and for nothing else.
#![forbid(unsafe_code)]

use std::time::Duration;

use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::{Interaction, NoPin, Notice, PinQuestion};
use ceremony::pin::Pin;

use crate::screen::Screen;

/// The person, as far as one errand needs them.
pub(crate) struct Touching<'s> {
    screen: &'s mut Screen,
    what_for: &'static str,
    /// What is waited for, where the seconds are to be counted down.
    waiting: Option<String>,
}

impl<'s> Touching<'s> {
    /// A touch is for this: "to erase it".
    pub(crate) fn new(screen: &'s mut Screen, what_for: &'static str) -> Self {
        Self {
            screen,
            what_for,
            waiting: None,
        }
    }
}

impl Interaction for Touching<'_> {
    fn tell(&mut self, notice: &Notice<'_>) {
        match notice {
            Notice::Waiting { key, within, .. } => {
                let what = format!("Touch {key} {}", self.what_for);
                self.screen.count_down(&what, *within);
                self.waiting = Some(what);
            }
            Notice::Busy { key, request: None } => self.screen.say(&format!(
                "Another program is using {key}: do not touch it now."
            )),
            Notice::Busy {
                key,
                request: Some(request),
            } => self.screen.say(&format!(
                "{key} is in use for another request: do not touch it now.\n{request}"
            )),
            // Nobody waits for a key that is gone, and what drops it is the
            // command's own failure.
            Notice::PlugIn { .. } | Notice::Dropped { .. } | Notice::Unclaimed { .. } => {}
        }
    }

    fn passing(&mut self, left: Duration) -> Option<Duration> {
        let what = self.waiting.as_deref()?;
        self.screen.count_on(what, left)
    }

    fn ask_pin(&mut self, _: &FoundKey, _: &PinQuestion) -> Result<Pin, NoPin> {
        Err(NoPin::NotGiven)
    }
}

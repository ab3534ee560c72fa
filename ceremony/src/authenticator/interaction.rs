//! What passes between a ceremony and its person: who shows it, and how, is
//! the caller's affair.
#![forbid(unsafe_code)]

use std::time::Duration;

use super::hidraw::FoundKey;
use crate::credential::CredentialName;
use crate::pin::Pin;

/// What a person, or a log, should know while a ceremony runs.
#[derive(Debug)]
pub enum Notice<'a> {
    /// No key is plugged in; one is waited for.
    PlugIn {
        /// How long.
        within: Duration,
    },
    /// This key waits for its person. Said only when it says so itself.
    Waiting {
        /// The key that blinks.
        key: &'a FoundKey,
        /// The credential it has shown to hold, where it has.
        credential: Option<&'a CredentialName>,
        /// What it waits for.
        gesture: Gesture,
        /// How long it will be waited for.
        within: Duration,
    },
    /// This key serves somebody else: it must not be touched now.
    Busy {
        /// The key in use.
        key: &'a FoundKey,
        /// What it is in use for, where another ceremony of this machine says.
        request: Option<&'a str>,
    },
    /// This key is out of the race.
    Dropped {
        /// The key.
        key: &'a FoundKey,
        /// Why, for the log.
        why: String,
    },
    /// This key cannot be kept to one ceremony at a time.
    Unclaimed {
        /// The key.
        key: &'a FoundKey,
        /// Why, for the log.
        why: String,
    },
}

/// What a key that blinks is to be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gesture {
    /// A touch, which approves.
    Touch,
    /// A touch that says which of several keys is meant, and approves nothing.
    Choose,
    /// A finger, or a code at its own pad.
    Verify,
    /// The same once more: it was not recognised.
    VerifyAgain,
}

/// A question for a key's PIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinQuestion {
    /// The credential that the key has shown to hold. `None`: it has shown
    /// nothing yet, and whoever types a PIN should know.
    pub proven: Option<CredentialName>,
    /// How many wrong PINs the key still takes. Never the last one.
    pub tries_left: u8,
    /// The fewest characters its PIN has.
    pub shortest: u8,
    /// Whether the last one was wrong.
    pub wrong_before: bool,
}

/// Why a question for a PIN has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPin {
    /// The person would rather not, or nobody is there to be asked.
    NotGiven,
    /// As many were tried as this login may try.
    UsedUp {
        /// Whether the last one was wrong, so that nobody else will say so.
        wrong_before: bool,
    },
    /// The key has not shown whose it is, and nobody here would read a warning.
    NotAsked,
}

/// How a ceremony speaks to its person.
pub trait Interaction {
    /// Passes `notice` on; what cannot be said is left unsaid. What that costs
    /// in time is spent inside the deadline.
    fn tell(&mut self, notice: &Notice<'_>);

    /// Time passes: `left` of it is left. Called before each wait; the answer is
    /// when to be called again at the latest, for who counts seconds down.
    fn passing(&mut self, left: Duration) -> Option<Duration> {
        let _ = left;
        None
    }

    /// Asks for the PIN of `key`. The deadline stands still meanwhile, and
    /// nothing is held that others need.
    fn ask_pin(&mut self, key: &FoundKey, question: &PinQuestion) -> Result<Pin, NoPin>;
}

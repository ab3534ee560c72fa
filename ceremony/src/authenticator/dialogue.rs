//! One key's side of a ceremony: what it is asked next, and what its answers
//! mean. Pure; the [`race`](super::race) moves the messages.
#![forbid(unsafe_code)]

use super::ctap2::Status;
use super::interaction::{Gesture, NoPin, PinQuestion};
use crate::credential::CredentialName;
use crate::pin::Pin;

/// One key's side of a ceremony.
pub trait Dialogue {
    /// What a won race brings.
    type Outcome;
    /// Why this key is out.
    type Dropped: std::fmt::Display;

    /// What to ask first.
    fn begin(&mut self) -> Step<Self::Outcome, Self::Dropped>;

    /// What to do now that the key has answered: with data, or a status.
    fn answered(&mut self, answer: Result<&[u8], Status>) -> Step<Self::Outcome, Self::Dropped>;

    /// Several keys are ready: asks this one for the touch that chooses it.
    fn choose(&mut self) -> Step<Self::Outcome, Self::Dropped>;

    /// It is the one: by a touch, or because no other is there.
    fn chosen(&mut self) -> Step<Self::Outcome, Self::Dropped>;

    /// The person was asked for its PIN.
    fn pin(&mut self, pin: Result<Pin, NoPin>) -> Step<Self::Outcome, Self::Dropped>;

    /// What the key waits for when it blinks now. `None`: what it was asked takes
    /// no person, whatever it says.
    fn waits_for(&self) -> Option<Gesture>;

    /// The credential it has shown to hold, where it has.
    fn proven(&self) -> Option<&CredentialName>;
}

/// What a dialogue wants next.
#[derive(Debug)]
pub enum Step<T, D> {
    /// Send this CTAP2 message.
    Ask(Vec<u8>),
    /// Nothing, before this key is the chosen one.
    Ready,
    /// The person has chosen this key.
    Chosen,
    /// Ask the person for the key's PIN.
    AskPin(PinQuestion),
    /// The race is won.
    Win(T),
    /// This key is out.
    Drop(D),
}

impl<T, D> Step<T, D> {
    /// Asks `message`; drops the key for `why` where there is none.
    pub fn ask_or_drop(message: Option<Vec<u8>>, why: impl FnOnce() -> D) -> Self {
        message.map_or_else(|| Self::Drop(why()), Self::Ask)
    }
}

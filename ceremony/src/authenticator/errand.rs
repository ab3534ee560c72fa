//! One message to one key, and its answer: what takes no ceremony.
#![forbid(unsafe_code)]

use std::fmt;

use super::ctap2::Status;
use super::ctaphid::Fault;
use super::dialogue::{Dialogue, Step};
use super::hidraw::CannotOpen;
use super::interaction::{Gesture, Interaction, NoPin};
use super::race::{self, Course, Lost, Out, Waited};
use crate::credential::CredentialName;
use crate::pin::Pin;

/// Asks the one key of `course` for the answer to `message`. `gesture` is what
/// the key waits for when it blinks; `None` where it takes no person.
pub fn run(
    message: Vec<u8>,
    gesture: Option<Gesture>,
    course: &Course<'_>,
    interaction: &mut dyn Interaction,
) -> Result<Vec<u8>, Unanswered> {
    let mut message = Some(message);
    let start = |_: &_| Errand {
        message: message.take(),
        gesture,
    };
    match race::run(course, interaction, start) {
        Ok((_, answer)) => Ok(answer),
        Err(lost) => Err(lost.into()),
    }
}

/// Why a message has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// The key answered that it does not do that.
    Refused(Status),
    /// It is not plugged in, or no longer.
    Gone,
    /// This process may not open it.
    NoAccess,
    /// The deadline passed while this was waited for.
    TimedOut(Waited),
    /// It broke the rules of CTAPHID.
    Faulty(Fault),
    /// It could not be opened.
    NotOpened(CannotOpen),
    /// A signal asks this process to stop.
    Interrupted,
    /// The operating system refused what it takes.
    System(nix::Error),
}

impl std::error::Error for Unanswered {}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => status.fmt(f),
            Self::Gone => write!(f, "it was unplugged"),
            Self::NoAccess => write!(f, "this process may not open it"),
            Self::TimedOut(Waited::Key) => write!(f, "it did not answer in time"),
            Self::TimedOut(Waited::Others) => write!(f, "it served another program all the time"),
            Self::TimedOut(Waited::Person) => write!(f, "nobody touched it in time"),
            Self::Faulty(fault) => fault.fmt(f),
            Self::NotOpened(why) => why.fmt(f),
            Self::Interrupted => write!(f, "it was interrupted"),
            Self::System(problem) => write!(f, "{}", problem.desc()),
        }
    }
}

impl From<Lost<Status>> for Unanswered {
    fn from(lost: Lost<Status>) -> Self {
        match lost {
            Lost::NoAccess(_) => Self::NoAccess,
            Lost::TimedOut(keys) => keys
                .first()
                .map_or(Self::Gone, |(_, waited)| Self::TimedOut(*waited)),
            Lost::AllDropped(keys) => match keys.into_iter().next() {
                Some((_, Out::Dropped(status))) => Self::Refused(status),
                Some((_, Out::Fault(fault))) => Self::Faulty(fault),
                Some((_, Out::NotOpened(why))) => Self::NotOpened(why),
                None => Self::Gone,
            },
            Lost::Interrupted => Self::Interrupted,
            Lost::System(problem) => Self::System(problem),
            // Nobody is asked for a PIN here.
            Lost::NoKey | Lost::GaveUp(..) => Self::Gone,
        }
    }
}

struct Errand {
    /// Sent once: what a key was asked before it was pulled out is not asked
    /// again of what comes in its place.
    message: Option<Vec<u8>>,
    gesture: Option<Gesture>,
}

type Next = Step<Vec<u8>, Status>;

impl Dialogue for Errand {
    type Outcome = Vec<u8>;
    type Dropped = Status;

    fn begin(&mut self) -> Next {
        Step::ask_or_drop(self.message.take(), || Status::NotAllowed)
    }

    fn answered(&mut self, answer: Result<&[u8], Status>) -> Next {
        match answer {
            Ok(data) => Step::Win(data.to_vec()),
            Err(status) => Step::Drop(status),
        }
    }

    fn choose(&mut self) -> Next {
        Step::Drop(Status::NotAllowed)
    }

    fn chosen(&mut self) -> Next {
        self.choose()
    }

    fn pin(&mut self, _: Result<Pin, NoPin>) -> Next {
        self.choose()
    }

    fn waits_for(&self) -> Option<Gesture> {
        self.gesture
    }

    fn proven(&self) -> Option<&CredentialName> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::hidraw::FoundKey;
    use super::*;

    #[test]
    fn a_message_is_sent_once_and_its_answer_is_the_end() {
        let mut errand = Errand {
            message: Some(vec![7]),
            gesture: None,
        };
        assert!(matches!(errand.begin(), Step::Ask(message) if message == [7]));
        assert!(matches!(errand.answered(Ok(&[1, 2])), Step::Win(answer) if answer == [1, 2]));
        let refused = errand.answered(Err(Status::NotAllowed));
        assert!(matches!(refused, Step::Drop(Status::NotAllowed)));
        // and not to what comes in its place
        assert!(matches!(errand.begin(), Step::Drop(_)));
    }

    #[test]
    fn each_way_to_no_answer_is_told_from_the_others() {
        let key = FoundKey::imagined(0);
        for (lost, why) in [
            (Lost::NoKey, Unanswered::Gone),
            (Lost::NoAccess(key.clone()), Unanswered::NoAccess),
            (
                Lost::TimedOut(vec![(key.clone(), Waited::Person)]),
                Unanswered::TimedOut(Waited::Person),
            ),
            (
                Lost::AllDropped(vec![(key.clone(), Out::Dropped(Status::PinInvalid))]),
                Unanswered::Refused(Status::PinInvalid),
            ),
            (
                Lost::AllDropped(vec![(key.clone(), Out::Fault(Fault::OnlyU2f))]),
                Unanswered::Faulty(Fault::OnlyU2f),
            ),
            (Lost::Interrupted, Unanswered::Interrupted),
        ] {
            assert_eq!(Unanswered::from(lost), why);
        }
    }
}

//! Why one key is out, and why nobody is let in.
#![forbid(unsafe_code)]

use std::fmt;

use crate::assertion;
use crate::authenticator::NoPin;
use crate::authenticator::ctap2::{self, Status};
use crate::authenticator::ctaphid::Fault;
use crate::authenticator::hidraw::FoundKey;
use crate::authenticator::race::{Lost, Out, Waited};
use crate::authenticator::verification::CannotVerify;
use crate::credential::CredentialName;
use crate::sentence;
use crate::sentence::{Sentence, Spoken};

/// Why one key is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// It holds none of the credentials.
    NoCredential,
    /// The person said no on the key.
    Denied,
    /// The key itself gave up waiting.
    TimedOut,
    /// It speaks only U2F.
    OnlyU2f,
    /// It wants its PIN before it shows that it is enrolled, and no enrolled key
    /// is known to do so.
    Unproven,
    /// User verification is required, and came to nothing on the key of this
    /// credential, where it has shown it.
    CannotVerify(Option<CredentialName>, CannotVerify),
    /// It answered with a status that ends the request.
    Failed(Status),
    /// Its answer is not well-formed.
    Malformed(ctap2::Malformed),
    /// Its assertion was not accepted.
    Invalid(assertion::Refusal),
    /// The kernel gave no random bytes to probe it with.
    NoRandomness,
}

impl From<Status> for KeyRefusal {
    fn from(status: Status) -> Self {
        match status {
            Status::NoCredentials | Status::InvalidCredential => Self::NoCredential,
            Status::OperationDenied => Self::Denied,
            Status::UserActionTimeout | Status::ActionTimeout => Self::TimedOut,
            other => CannotVerify::of(other)
                .map_or(Self::Failed(other), |why| Self::CannotVerify(None, why)),
        }
    }
}

impl std::error::Error for KeyRefusal {}

impl Spoken for KeyRefusal {
    fn sentence(&self) -> Sentence {
        match self {
            Self::NoCredential => Status::NoCredentials.sentence(),
            Self::Denied => Status::OperationDenied.sentence(),
            Self::TimedOut => Status::UserActionTimeout.sentence(),
            Self::OnlyU2f => Fault::OnlyU2f.sentence(),
            Self::Unproven => sentence!("it wants its PIN before it shows that it is enrolled"),
            Self::CannotVerify(_, why) => why.sentence(),
            Self::Failed(status) => status.sentence(),
            Self::Malformed(problem) => problem.sentence(),
            Self::Invalid(refusal) => refusal.sentence(),
            Self::NoRandomness => sentence!("the kernel gave no random bytes to probe it with"),
        }
    }
}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

/// Why nobody is let in. Where several keys were in the race, the reason a
/// person can do most about, or must know most urgently, stands for all.
#[derive(Debug)]
pub enum Refused {
    /// No key was there by the deadline.
    NoKey,
    /// There is a key, but this process may not open it.
    NoAccess(FoundKey),
    /// Nobody touched a key by the deadline, the machine's or the key's own.
    TimedOut(FoundKey),
    /// A key did not answer by the deadline.
    NotAnswering(FoundKey),
    /// A key served somebody else until the deadline.
    Busy(FoundKey),
    /// Every key plugged in holds none of the credentials.
    WrongKey(FoundKey),
    /// This key speaks only U2F.
    OnlyU2f(FoundKey),
    /// This key wants its PIN before it shows that it is enrolled.
    Unproven(FoundKey),
    /// The person said no on the key.
    Denied(FoundKey),
    /// User verification is required, and came to nothing.
    CannotVerify {
        /// On this key.
        key: FoundKey,
        /// Whose credential this is, where it has shown it.
        credential: Option<CredentialName>,
        /// Why.
        why: CannotVerify,
    },
    /// An assertion was not accepted.
    Invalid(FoundKey, assertion::Refusal),
    /// The key failed, in its own words.
    Faulty(FoundKey, Sentence),
    /// A signal asks this process to stop.
    Interrupted,
    /// The operating system refused what the ceremony needs.
    System(String),
}

impl Refused {
    /// The greater speaks for all.
    fn weight(&self) -> u8 {
        match self {
            Self::Interrupted => 9,
            Self::Invalid(..) => 8,
            Self::Denied(_) => 7,
            Self::CannotVerify { .. } => 6,
            Self::TimedOut(_) | Self::Busy(_) | Self::NotAnswering(_) => 5,
            Self::Faulty(..) => 4,
            Self::WrongKey(_) | Self::Unproven(_) => 3,
            Self::NoAccess(_) | Self::OnlyU2f(_) => 2,
            Self::NoKey | Self::System(_) => 1,
        }
    }

    fn of_one(key: FoundKey, out: Out<KeyRefusal>) -> Self {
        match out {
            Out::Dropped(KeyRefusal::NoCredential) => Self::WrongKey(key),
            Out::Dropped(KeyRefusal::Denied) => Self::Denied(key),
            Out::Dropped(KeyRefusal::TimedOut) => Self::TimedOut(key),
            Out::Dropped(KeyRefusal::OnlyU2f) | Out::Fault(Fault::OnlyU2f) => Self::OnlyU2f(key),
            Out::Dropped(KeyRefusal::Unproven) => Self::Unproven(key),
            Out::Dropped(KeyRefusal::CannotVerify(credential, why)) => Self::CannotVerify {
                key,
                credential,
                why,
            },
            Out::Dropped(KeyRefusal::Invalid(refusal)) => Self::Invalid(key, refusal),
            // No fault of the key's.
            Out::Dropped(why @ KeyRefusal::NoRandomness) => Self::System(why.to_string()),
            other => {
                let why = other.sentence();
                Self::Faulty(key, why)
            }
        }
    }

    fn too_late(key: FoundKey, waited: Waited) -> Self {
        match waited {
            Waited::Person => Self::TimedOut(key),
            Waited::Others => Self::Busy(key),
            Waited::Key => Self::NotAnswering(key),
        }
    }
}

impl From<Lost<KeyRefusal>> for Refused {
    fn from(lost: Lost<KeyRefusal>) -> Self {
        match lost {
            Lost::NoKey => Self::NoKey,
            Lost::NoAccess(key) => Self::NoAccess(key),
            Lost::GaveUp(key, credential) => Self::CannotVerify {
                key,
                credential,
                why: CannotVerify::NoPin(NoPin::NotGiven),
            },
            Lost::Interrupted => Self::Interrupted,
            Lost::System(problem) => Self::System(problem.desc().to_owned()),
            Lost::TimedOut(keys) => keys
                .into_iter()
                .max_by_key(|(_, waited)| *waited)
                .map_or(Self::NoKey, |(key, waited)| Self::too_late(key, waited)),
            Lost::AllDropped(keys) => keys
                .into_iter()
                .map(|(key, out)| Self::of_one(key, out))
                .max_by_key(Self::weight)
                .unwrap_or(Self::NoKey),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_reasons_the_most_urgent_speaks_for_all() {
        let key = |number: u8| FoundKey::imagined(number);
        let out = |why| Out::Dropped(why);
        let lost = Lost::AllDropped(vec![
            (key(0), out(KeyRefusal::NoCredential)),
            (key(1), out(KeyRefusal::Denied)),
            (key(2), out(KeyRefusal::TimedOut)),
        ]);
        assert!(matches!(Refused::from(lost), Refused::Denied(k) if k == key(1)));
        let lost = Lost::AllDropped(vec![
            (key(0), out(KeyRefusal::Denied)),
            (
                key(1),
                out(KeyRefusal::Invalid(assertion::Refusal::BadSignature)),
            ),
        ]);
        assert!(matches!(Refused::from(lost), Refused::Invalid(k, _) if k == key(1)));
    }

    #[test]
    fn a_pin_that_was_asked_for_in_vain_says_more_than_a_strange_key_and_less_than_a_no() {
        let key = |number: u8| FoundKey::imagined(number);
        let no_pin = || Out::Dropped(KeyRefusal::CannotVerify(None, CannotVerify::PinBlocked));
        for (other, speaks) in [
            (KeyRefusal::NoCredential, 0),
            (KeyRefusal::OnlyU2f, 0),
            (KeyRefusal::TimedOut, 0),
            (KeyRefusal::Denied, 1),
        ] {
            let lost = Lost::AllDropped(vec![(key(0), no_pin()), (key(1), Out::Dropped(other))]);
            match Refused::from(lost) {
                Refused::CannotVerify { key: k, .. } if speaks == 0 => {
                    assert_eq!(k, key(0));
                }
                Refused::Denied(k) if speaks == 1 => assert_eq!(k, key(1)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn when_time_is_up_a_key_that_waits_for_its_person_speaks_for_all() {
        use Waited::{Key, Others, Person};
        let key = |number: u8| FoundKey::imagined(number);
        let lost = |waited: &[Waited]| {
            let keys = (0..).map(key).zip(waited.iter().copied());
            Refused::from(Lost::<KeyRefusal>::TimedOut(keys.collect()))
        };
        assert!(matches!(lost(&[Key, Person, Others]), Refused::TimedOut(k) if k == key(1)));
        assert!(matches!(lost(&[Key, Others]), Refused::Busy(k) if k == key(1)));
        assert!(matches!(lost(&[Key]), Refused::NotAnswering(k) if k == key(0)));
    }
}

//! Why there is no new credential.
#![forbid(unsafe_code)]

use std::fmt;

use crate::attestation;
use crate::authenticator::ctap2::Status;
use crate::authenticator::verification::CannotVerify;

/// Why there is no new credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The key was pulled out.
    Gone,
    /// This process may not open the key.
    NoAccess,
    /// Nobody touched it in time.
    TimedOut,
    /// It did not answer in time.
    NotAnswering,
    /// It served somebody else all the time.
    Busy,
    /// A signal asks this process to stop.
    Interrupted,
    /// The person said no on the key.
    Denied,
    /// It already holds one of the person's credentials.
    AlreadyEnrolled,
    /// It has no room for another credential.
    Full,
    /// It speaks only U2F.
    OnlyU2f,
    /// It keeps a credential for the same relying party and user, which would be
    /// lost.
    Taken,
    /// It does not say whether it keeps such a credential.
    PerhapsTaken,
    /// It keeps no credentials itself.
    CannotKeep,
    /// It cannot guard a credential as it is to be guarded.
    CannotProtect,
    /// It cannot make a key of the wanted algorithm.
    UnsupportedAlgorithm,
    /// Its person had to be verified, and that came to nothing.
    CannotVerify(CannotVerify),
    /// It made a credential without verifying the person.
    NotVerified,
    /// What it made is not accepted.
    Invalid(attestation::Refusal),
    /// It failed, in its own words.
    Faulty(String),
    /// The kernel gave no random bytes.
    NoRandomness,
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        match status {
            Status::OperationDenied => Self::Denied,
            Status::UserActionTimeout | Status::ActionTimeout => Self::TimedOut,
            Status::CredentialExcluded => Self::AlreadyEnrolled,
            Status::KeyStoreFull => Self::Full,
            Status::UnsupportedAlgorithm => Self::UnsupportedAlgorithm,
            other => CannotVerify::of(other)
                .map_or_else(|| Self::Faulty(other.to_string()), Self::CannotVerify),
        }
    }
}

impl std::error::Error for Refused {}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => write!(f, "the key was unplugged"),
            Self::NoAccess => write!(f, "this process may not open the key"),
            Self::TimedOut => write!(f, "nobody touched the key in time"),
            Self::Denied => Status::OperationDenied.fmt(f),
            Self::AlreadyEnrolled => write!(f, "this key is enrolled already"),
            Self::Full => write!(f, "the key has no room for another credential"),
            Self::Taken => write!(f, "the key keeps a credential that would be lost"),
            Self::PerhapsTaken => write!(
                f,
                "the key does not say whether it keeps a credential that would be lost"
            ),
            Self::CannotKeep => write!(f, "the key keeps no credentials itself (rk)"),
            Self::CannotProtect => write!(f, "the key cannot guard credentials (credProtect)"),
            Self::OnlyU2f => write!(f, "the key speaks only U2F, not FIDO2"),
            Self::UnsupportedAlgorithm => {
                write!(f, "the key cannot make a credential of that algorithm")
            }
            Self::NotAnswering => write!(f, "the key did not answer in time"),
            Self::Busy => write!(f, "the key served another program all the time"),
            Self::Interrupted => write!(f, "it was interrupted"),
            Self::CannotVerify(why) => why.fmt(f),
            Self::NotVerified => write!(f, "the key did not verify the person"),
            Self::Invalid(refusal) => refusal.fmt(f),
            Self::Faulty(why) => f.write_str(why),
            Self::NoRandomness => write!(f, "the kernel gave no random bytes for a challenge"),
        }
    }
}

//! The ceremony as its callers see it.
#![forbid(unsafe_code)]

use super::asking::Asking;
use super::refused::Refused;
use crate::assertion::{Candidate, Verified};
use crate::authenticator::Interaction;
use crate::authenticator::hidraw::FoundKey;
use crate::authenticator::race::{self, Course};
use crate::challenge::Challenge;
use crate::credential::UserVerification;
use crate::policy::{CounterRule, SyncedCredentials};

/// The rules of acceptance, as far as they are the policy's.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The policy's demand; a credential's own may be stronger.
    pub user_verification: UserVerification,
    /// Whether a credential that can be copied is good enough.
    pub synced: SyncedCredentials,
    /// What a counter that has not grown means.
    pub counter: CounterRule,
}

/// An approval.
#[derive(Debug)]
pub struct Approval<'a> {
    /// The accepted assertion.
    pub verified: Verified<'a>,
    /// The key it came from.
    pub key: FoundKey,
    /// Whether the key would say without its person that it holds the
    /// credential; `None` where it was not asked.
    pub answers_silently: Option<bool>,
}

/// Asks the keys of `course` to answer `challenge` with one of `candidates`,
/// all of them one user's.
pub fn authenticate<'a>(
    candidates: &[Candidate<'a>],
    challenge: &Challenge,
    terms: &Terms,
    course: &Course<'_>,
    interaction: &mut dyn Interaction,
) -> Result<Approval<'a>, Refused> {
    let hash = challenge.client_data_hash();
    let won = race::run(course, interaction, |_| {
        Asking::new(candidates, hash, terms)
    });
    match won {
        Ok((key, (verified, answers_silently))) => Ok(Approval {
            verified,
            key,
            answers_silently,
        }),
        Err(lost) => Err(Refused::from(lost)),
    }
}

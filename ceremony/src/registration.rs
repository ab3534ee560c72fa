//! The registration ceremony (WebAuthn §7.1): a key makes a new credential,
//! and what vouches for it is read.
#![forbid(unsafe_code)]

mod making;
mod refused;

use sha2::{Digest, Sha256};

use crate::attestation::NewCredential;
use crate::authenticator::ctap2::CredentialProtection;
use crate::authenticator::ctaphid::Fault;
use crate::authenticator::race::{self, Course, Lost, Out, Waited};
use crate::authenticator::verification::CannotVerify;
use crate::authenticator::{Interaction, NoPin};
use crate::credential::{CredentialId, UserVerification};
use crate::public_key::Algorithm;
use crate::relying_party::{RelyingParty, RelyingPartyId};

use making::Making;
pub use refused::Refused;

/// What kind of credential is wanted, for whom: for a login, unless it says
/// otherwise.
#[derive(Clone, Debug)]
pub struct Wanted<'a, R = RelyingPartyId> {
    /// Who will ask for it.
    pub relying_party: &'a R,
    /// Shown by keys with a display.
    pub user_name: &'a str,
    /// Whose it is, in 1 to 64 bytes that say nothing about the person
    /// (WebAuthn §14.6.1).
    pub user_id: &'a [u8],
    /// ES256 or EdDSA.
    pub algorithm: Algorithm,
    /// The credentials the person has; a key that holds one says so.
    pub exclude: &'a [&'a CredentialId],
    /// Whether the key is to keep the credential itself (`rk`).
    pub discoverable: Discoverable,
    /// Whether the key must verify the person while it makes the credential.
    pub user_verification: UserVerification,
    /// How the key is to guard the credential; as it likes, where left out.
    pub protection: Option<CredentialProtection>,
    /// What is signed where the key vouches for the credential.
    pub challenge: &'a [u8],
}

/// Whether a key keeps a credential itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discoverable {
    /// It does not, so that the credential takes no room on it.
    No,
    /// It does. One that it keeps already for the same relying party and user id
    /// is lost (CTAP 2.1 §6.1.2).
    Yes,
    /// It does, unless one would be lost.
    UnlessTaken,
}

/// A user id, or a challenge, that nobody could have known.
pub fn random_bytes() -> Result<[u8; 32], Refused> {
    let mut bytes = [0; 32];
    match getrandom::fill(&mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Refused::NoRandomness),
    }
}

/// Asks the key of `course` for a new credential; only one key is to be in it.
pub fn register<R: RelyingParty>(
    wanted: &Wanted<'_, R>,
    course: &Course<'_>,
    interaction: &mut dyn Interaction,
) -> Result<NewCredential<R>, Refused> {
    let client_data_hash = Sha256::digest(wanted.challenge).into();
    let won = race::run(course, interaction, |_| {
        Making::new(wanted, client_data_hash)
    });
    match won {
        Ok((_, credential)) => Ok(credential),
        Err(Lost::NoKey) => Err(Refused::Gone),
        Err(Lost::NoAccess(_)) => Err(Refused::NoAccess),
        Err(Lost::TimedOut(keys)) => Err(match keys.first() {
            Some((_, Waited::Key)) => Refused::NotAnswering,
            Some((_, Waited::Others)) => Refused::Busy,
            Some((_, Waited::Person)) | None => Refused::TimedOut,
        }),
        Err(Lost::GaveUp(..)) => Err(Refused::CannotVerify(CannotVerify::NoPin(NoPin::NotGiven))),
        Err(Lost::Interrupted) => Err(Refused::Interrupted),
        Err(Lost::System(problem)) => Err(Refused::Faulty(problem.desc().to_owned())),
        Err(Lost::AllDropped(out)) => Err(match out.into_iter().next() {
            Some((_, Out::Dropped(refused))) => refused,
            Some((_, Out::Fault(Fault::OnlyU2f))) => Refused::OnlyU2f,
            Some((_, other)) => Refused::Faulty(other.to_string()),
            None => Refused::Gone,
        }),
    }
}

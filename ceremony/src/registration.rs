//! The registration ceremony (WebAuthn §7.1): a key makes a new credential,
//! and proves at once that it can use it.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Instant;

use sha2::{Digest, Sha256};

use crate::attestation::{self, NewCredential};
use crate::authenticator::Interaction;
use crate::authenticator::ctap2::{self, AttestationObject, Info, MakeCredential, Status};
use crate::authenticator::hidraw::FoundKey;
use crate::authenticator::race::{self, Dialogue, Field, Lost, Out, Step};
use crate::credential::{CredentialId, UserVerification};
use crate::public_key::Algorithm;
use crate::relying_party::RelyingPartyId;

/// What kind of credential is wanted, for whom.
#[derive(Clone, Debug)]
pub struct Wanted<'a> {
    /// Who will ask for it.
    pub relying_party: &'a RelyingPartyId,
    /// Shown by keys with a display.
    pub user_name: &'a str,
    /// ES256 or EdDSA.
    pub algorithm: Algorithm,
    /// The credentials the person has; a key that holds one says so.
    pub exclude: &'a [&'a CredentialId],
    /// Whether the key must verify the person while it makes the credential.
    pub user_verification: UserVerification,
    /// When the person has had time enough.
    pub deadline: Instant,
}

/// Asks `key`, and no other, for a new credential.
pub fn register(
    wanted: &Wanted<'_>,
    key: &FoundKey,
    interaction: &mut dyn Interaction,
) -> Result<NewCredential, Refused> {
    let fresh = || {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map(|()| bytes)
    };
    // Attestation concerns this one exchange and leaves no receipt, so the
    // challenge is plain random bytes.
    let (Ok(challenge), Ok(user_id)) = (fresh(), fresh()) else {
        return Err(Refused::NoRandomness);
    };
    let field = Field::Only(key.clone());
    let won = race::run(&field, wanted.deadline, interaction, |_| Making {
        wanted,
        client_data_hash: Sha256::digest(challenge).into(),
        user_id,
        informed: false,
    });
    match won {
        Ok((_, credential)) => Ok(credential),
        Err(Lost::NoKey) => Err(Refused::Gone),
        Err(Lost::NoAccess(_)) => Err(Refused::NoAccess),
        Err(Lost::TimedOut(_)) => Err(Refused::TimedOut),
        Err(Lost::System(problem)) => Err(Refused::Faulty(problem.desc().to_owned())),
        Err(Lost::AllDropped(out)) => Err(match out.into_iter().next() {
            Some((_, Out::Dropped(refused))) => refused,
            Some((_, other)) => Refused::Faulty(other.to_string()),
            None => Refused::Gone,
        }),
    }
}

/// The key's side of the ceremony.
struct Making<'w> {
    wanted: &'w Wanted<'w>,
    client_data_hash: [u8; 32],
    user_id: [u8; 32],
    informed: bool,
}

type Next = Step<NewCredential, Refused>;

impl Dialogue for Making<'_> {
    type Outcome = NewCredential;
    type Dropped = Refused;

    fn begin(&mut self) -> Next {
        ask(Info::request())
    }

    fn answered(&mut self, answer: Result<&[u8], Status>) -> Next {
        match answer {
            Err(status) => Step::Drop(Refused::from(status)),
            Ok(data) if self.informed => self.judge(data),
            Ok(data) => {
                self.informed = true;
                match Info::parse(data) {
                    Ok(info) => self.ask_for_credential(&info),
                    Err(problem) => Step::Drop(Refused::Faulty(problem.to_string())),
                }
            }
        }
    }
}

impl Making<'_> {
    fn ask_for_credential(&self, info: &Info) -> Next {
        if !info.fido2 {
            return Step::Drop(Refused::OnlyU2f);
        }
        if !info.supports(self.wanted.algorithm) {
            return Step::Drop(Refused::UnsupportedAlgorithm);
        }
        if self.wanted.user_verification == UserVerification::Required && !info.built_in_uv {
            return Step::Drop(Refused::CannotVerify(Status::UnsupportedOption));
        }
        // As many ids as this key takes; one it holds beyond them would be
        // enrolled a second time, which costs a slot and opens nothing.
        let most = info.max_credential_count_in_list.unwrap_or(usize::MAX);
        let mut exclude = self
            .wanted
            .exclude
            .get(..most)
            .unwrap_or(self.wanted.exclude);
        loop {
            let message = self.request(exclude);
            let fits = message
                .as_ref()
                .is_none_or(|message| message.len() <= info.max_msg_size);
            match exclude.split_last() {
                Some((_, fewer)) if !fits => exclude = fewer,
                _ => return ask(message),
            }
        }
    }

    fn request(&self, exclude: &[&CredentialId]) -> Option<Vec<u8>> {
        MakeCredential {
            client_data_hash: self.client_data_hash,
            relying_party: self.wanted.relying_party,
            user_name: self.wanted.user_name,
            user_id: self.user_id,
            algorithm: self.wanted.algorithm,
            exclude_list: exclude,
            user_verification: self.wanted.user_verification,
        }
        .request()
    }

    fn judge(&self, data: &[u8]) -> Next {
        let object = match AttestationObject::parse(data) {
            Ok(object) => object,
            Err(problem) => return Step::Drop(Refused::Faulty(problem.to_string())),
        };
        let verdict = attestation::verify(
            &object,
            &self.client_data_hash,
            self.wanted.relying_party,
            self.wanted.algorithm,
        );
        match verdict {
            Err(refusal) => Step::Drop(Refused::Invalid(refusal)),
            Ok(credential)
                if self.wanted.user_verification == UserVerification::Required
                    && !credential.flags.user_verified() =>
            {
                Step::Drop(Refused::NotVerified)
            }
            Ok(credential) => Step::Win(credential),
        }
    }
}

fn ask(message: Option<Vec<u8>>) -> Next {
    match message {
        Some(message) => Step::Ask(message),
        None => Step::Drop(Refused::Faulty(
            ctap2::Malformed("the request could not be written").to_string(),
        )),
    }
}

/// Why there is no new credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The key was pulled out.
    Gone,
    /// This process may not open the key.
    NoAccess,
    /// Nobody touched it in time.
    TimedOut,
    /// The person said no on the key.
    Denied,
    /// It already holds one of the person's credentials.
    AlreadyEnrolled,
    /// It has no room for another credential.
    Full,
    /// It speaks only U2F.
    OnlyU2f,
    /// It cannot make a key of the wanted algorithm.
    UnsupportedAlgorithm,
    /// It wants a PIN or fingerprint that cannot be given.
    CannotVerify(Status),
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
            Status::PuatRequired
            | Status::PinNotSet
            | Status::UnsupportedOption
            | Status::InvalidOption
            | Status::UvBlocked
            | Status::UvInvalid => Self::CannotVerify(status),
            other => Self::Faulty(other.to_string()),
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
            Self::OnlyU2f => write!(f, "the key speaks only U2F, not FIDO2"),
            Self::UnsupportedAlgorithm => {
                write!(f, "the key cannot make a credential of that algorithm")
            }
            Self::CannotVerify(status) => status.fmt(f),
            Self::NotVerified => write!(f, "the key did not verify the person"),
            Self::Invalid(refusal) => refusal.fmt(f),
            Self::Faulty(why) => f.write_str(why),
            Self::NoRandomness => write!(f, "the kernel gave no random bytes for a challenge"),
        }
    }
}

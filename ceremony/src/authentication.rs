//! The authentication ceremony (WebAuthn §7.2): a key that this person
//! enrolled answers a fresh challenge.
//!
//! Touch only costs two transactions per key: an INIT, and one
//! authenticatorGetAssertion with all of the user's credential ids. Where they
//! do not fit one request, or belong to several relying parties, the key is
//! asked silently which of them it holds before it is asked for a touch.
#![forbid(unsafe_code)]

use std::fmt;
use std::time::Instant;

use crate::assertion::{self, Assertion, Candidate, Expectation, Verified};
use crate::authenticator::Interaction;
use crate::authenticator::ctap2::{
    self, GetAssertion, Info, LARGEST_UNASKED, MOST_IDS_UNASKED, Status, UserPresence,
};
use crate::authenticator::hidraw::FoundKey;
use crate::authenticator::race::{self, Dialogue, Field, Lost, Out, Step};
use crate::challenge::Challenge;
use crate::credential::{CredentialId, UserVerification};
use crate::policy::{CounterRule, SyncedCredentials};
use crate::relying_party::RelyingPartyId;

/// What is asked for, and under which rules.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// The policy's demand; a credential's own may be stronger.
    pub user_verification: UserVerification,
    /// Whether a credential that can be copied is good enough.
    pub synced: SyncedCredentials,
    /// What a counter that has not grown means.
    pub counter: CounterRule,
    /// When the person has had time enough.
    pub deadline: Instant,
}

/// An approval.
#[derive(Debug)]
pub struct Approval<'a> {
    /// The accepted assertion.
    pub verified: Verified<'a>,
    /// The key it came from.
    pub key: FoundKey,
}

/// Asks the keys of `field` to answer `challenge` with one of `candidates`,
/// all of them one user's.
pub fn authenticate<'a>(
    candidates: &[Candidate<'a>],
    challenge: &Challenge,
    terms: &Terms,
    field: &Field,
    interaction: &mut dyn Interaction,
) -> Result<Approval<'a>, Refused> {
    let unasked = Limits {
        ids: MOST_IDS_UNASKED,
        bytes: LARGEST_UNASKED,
    };
    let won = race::run(field, terms.deadline, interaction, |_| Asking {
        candidates,
        client_data_hash: challenge.client_data_hash(),
        terms,
        chunks: chunks(candidates, terms.user_verification, unasked),
        stage: Stage::Informing,
    });
    match won {
        Ok((key, verified)) => Ok(Approval { verified, key }),
        Err(lost) => Err(Refused::from(lost)),
    }
}

/// One key's side of the ceremony.
struct Asking<'t, 'a> {
    candidates: &'t [Candidate<'a>],
    client_data_hash: [u8; 32],
    terms: &'t Terms,
    chunks: Vec<Chunk<'a>>,
    stage: Stage,
}

/// What the key was last asked.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// What it takes.
    Informing,
    /// Whether it holds one of this chunk's credentials.
    Probing(usize),
    /// To sign the challenge with one of them.
    Signing(usize),
}

type Next<'a> = Step<Verified<'a>, KeyRefusal>;

impl<'a> Dialogue for Asking<'_, 'a> {
    type Outcome = Verified<'a>;
    type Dropped = KeyRefusal;

    fn begin(&mut self) -> Next<'a> {
        match self.chunks.as_slice() {
            [_] => self.ask_to_sign(0),
            _ => ask(Info::request()),
        }
    }

    fn answered(&mut self, answer: Result<&[u8], Status>) -> Next<'a> {
        match (self.stage, answer) {
            (Stage::Informing, Ok(data)) => self.informed(data),
            (Stage::Probing(at), Ok(_)) => self.ask_to_sign(at),
            (Stage::Probing(at), Err(Status::NoCredentials | Status::InvalidCredential)) => {
                self.probe(at + 1)
            }
            (Stage::Signing(at), Ok(data)) => self.judge(at, data),
            (_, Err(status)) => Step::Drop(KeyRefusal::from(status)),
        }
    }
}

impl<'a> Asking<'_, 'a> {
    fn informed(&mut self, data: &[u8]) -> Next<'a> {
        let info = match Info::parse(data) {
            Ok(info) => info,
            Err(problem) => return Step::Drop(KeyRefusal::Malformed(problem)),
        };
        let limits = Limits {
            ids: info
                .max_credential_count_in_list
                .unwrap_or(MOST_IDS_UNASKED),
            bytes: info.max_msg_size,
        };
        self.chunks = chunks(self.candidates, self.terms.user_verification, limits);
        match self.chunks.as_slice() {
            [_] => self.ask_to_sign(0),
            _ => self.probe(0),
        }
    }

    fn probe(&mut self, at: usize) -> Next<'a> {
        let Some(chunk) = self.chunks.get(at) else {
            return Step::Drop(KeyRefusal::NoCredential);
        };
        // A silent answer must be worth nothing: it is made over fresh random
        // bytes, never over the envelope.
        let mut worthless = [0; 32];
        if getrandom::fill(&mut worthless).is_err() {
            return Step::Drop(KeyRefusal::NoRandomness);
        }
        self.stage = Stage::Probing(at);
        ask(chunk.request(worthless, UserPresence::Silent))
    }

    fn ask_to_sign(&mut self, at: usize) -> Next<'a> {
        let Some(chunk) = self.chunks.get(at) else {
            return Step::Drop(KeyRefusal::NoCredential);
        };
        self.stage = Stage::Signing(at);
        ask(chunk.request(self.client_data_hash, UserPresence::Touch))
    }

    fn judge(&mut self, at: usize, data: &[u8]) -> Next<'a> {
        let assertion: Assertion = match GetAssertion::parse(data) {
            Ok(assertion) => assertion,
            Err(problem) => return Step::Drop(KeyRefusal::Malformed(problem)),
        };
        let expectation = Expectation {
            asked: self.chunks.get(at).map_or(&[], |chunk| &chunk.candidates),
            client_data_hash: self.client_data_hash,
            user_verification: self.terms.user_verification,
            synced: self.terms.synced,
            counter: self.terms.counter,
        };
        match assertion::verify(&assertion, &expectation) {
            Ok(verified) => Step::Win(verified),
            Err(refusal) => Step::Drop(KeyRefusal::Invalid(refusal)),
        }
    }
}

fn ask<T>(message: Option<Vec<u8>>) -> Step<T, KeyRefusal> {
    match message {
        Some(message) => Step::Ask(message),
        None => Step::Drop(KeyRefusal::Malformed(ctap2::Malformed(
            "the request could not be written",
        ))),
    }
}

/// Credentials that one request can ask for: of one relying party, under one
/// demand, few and short enough.
#[derive(Debug)]
struct Chunk<'a> {
    relying_party: &'a RelyingPartyId,
    user_verification: UserVerification,
    candidates: Vec<Candidate<'a>>,
}

impl Chunk<'_> {
    fn request(&self, client_data_hash: [u8; 32], presence: UserPresence) -> Option<Vec<u8>> {
        let ids: Vec<&CredentialId> = self.candidates.iter().map(|c| &c.credential.id).collect();
        GetAssertion {
            relying_party: self.relying_party,
            client_data_hash,
            allow_list: &ids,
            user_presence: presence,
            user_verification: match presence {
                UserPresence::Touch => self.user_verification,
                UserPresence::Silent => UserVerification::Discouraged,
            },
        }
        .request()
    }

    fn fits(&self, limits: Limits) -> bool {
        self.candidates.len() <= limits.ids
            && self
                .request([0; 32], UserPresence::Touch)
                .is_some_and(|message| message.len() <= limits.bytes)
    }
}

/// What a key takes in one request.
#[derive(Clone, Copy, Debug)]
struct Limits {
    ids: usize,
    bytes: usize,
}

/// Shares the candidates out, in their order, into as few requests as `limits`
/// allow. A single id is always asked for: it is the least a request can hold.
fn chunks<'a>(
    candidates: &[Candidate<'a>],
    user_verification: UserVerification,
    limits: Limits,
) -> Vec<Chunk<'a>> {
    let mut chunks: Vec<Chunk<'a>> = Vec::new();
    for &candidate in candidates {
        let relying_party = candidate.credential.public_key.relying_party();
        let demand = user_verification.max(candidate.credential.user_verification);
        let open = chunks.iter_mut().rev().find(|chunk| {
            chunk.relying_party == relying_party && chunk.user_verification == demand
        });
        if let Some(chunk) = open {
            chunk.candidates.push(candidate);
            if chunk.fits(limits) {
                continue;
            }
            chunk.candidates.pop();
        }
        chunks.push(Chunk {
            relying_party,
            user_verification: demand,
            candidates: vec![candidate],
        });
    }
    chunks
}

/// Why one key is out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyRefusal {
    /// It holds none of the credentials.
    NoCredential,
    /// The person said no on the key.
    Denied,
    /// The key itself gave up waiting.
    TimedOut,
    /// User verification is required and the key cannot do it by itself.
    CannotVerify(Status),
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
            Status::PuatRequired
            | Status::PinNotSet
            | Status::UnsupportedOption
            | Status::InvalidOption
            | Status::UvBlocked
            | Status::UvInvalid => Self::CannotVerify(status),
            other => Self::Failed(other),
        }
    }
}

impl std::error::Error for KeyRefusal {}

impl fmt::Display for KeyRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredential => Status::NoCredentials.fmt(f),
            Self::Denied => Status::OperationDenied.fmt(f),
            Self::TimedOut => Status::UserActionTimeout.fmt(f),
            Self::CannotVerify(status) | Self::Failed(status) => status.fmt(f),
            Self::Malformed(problem) => problem.fmt(f),
            Self::Invalid(refusal) => refusal.fmt(f),
            Self::NoRandomness => write!(f, "the kernel gave no random bytes to probe it with"),
        }
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
    /// Every key plugged in holds none of the credentials.
    WrongKey(FoundKey),
    /// The person said no on the key.
    Denied(FoundKey),
    /// User verification is required, and this key cannot do it by itself.
    CannotVerify(FoundKey, Status),
    /// An assertion was not accepted.
    Invalid(FoundKey, assertion::Refusal),
    /// The key failed, in its own words.
    Faulty(FoundKey, String),
    /// The operating system refused what the ceremony needs.
    System(String),
}

impl Refused {
    /// The greater speaks for all.
    fn weight(&self) -> u8 {
        match self {
            Self::Invalid(..) => 8,
            Self::Denied(_) => 7,
            Self::CannotVerify(..) => 6,
            Self::TimedOut(_) => 5,
            Self::Faulty(..) => 4,
            Self::WrongKey(_) => 3,
            Self::NoAccess(_) => 2,
            Self::NoKey | Self::System(_) => 1,
        }
    }

    fn of_one(key: FoundKey, out: Out<KeyRefusal>) -> Self {
        match out {
            Out::Dropped(KeyRefusal::NoCredential) => Self::WrongKey(key),
            Out::Dropped(KeyRefusal::Denied) => Self::Denied(key),
            Out::Dropped(KeyRefusal::TimedOut) => Self::TimedOut(key),
            Out::Dropped(KeyRefusal::CannotVerify(status)) => Self::CannotVerify(key, status),
            Out::Dropped(KeyRefusal::Invalid(refusal)) => Self::Invalid(key, refusal),
            other => {
                let why = other.to_string();
                Self::Faulty(key, why)
            }
        }
    }
}

impl From<Lost<KeyRefusal>> for Refused {
    fn from(lost: Lost<KeyRefusal>) -> Self {
        match lost {
            Lost::NoAccess(key) => Self::NoAccess(key),
            Lost::System(problem) => Self::System(problem.desc().to_owned()),
            Lost::TimedOut(keys) => keys.into_iter().next().map_or(Self::NoKey, Self::TimedOut),
            Lost::NoKey => Self::NoKey,
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
    use crate::credential::Credential;
    use crate::public_key::Algorithm;
    use crate::test_key::TestKey;

    fn credential(seed: u8, id_length: usize) -> Credential {
        let mut credential = TestKey::new(Algorithm::Es256, seed).credential();
        credential.id = CredentialId::new(&vec![seed; id_length]).unwrap();
        credential
    }

    fn uncounted(credentials: &[Credential]) -> Vec<Candidate<'_>> {
        let candidate = |credential| Candidate {
            credential,
            stored_counter: None,
        };
        credentials.iter().map(candidate).collect()
    }

    /// The seeds of the credentials in each chunk.
    fn shared_out(credentials: &[Credential], limits: Limits) -> Vec<Vec<u8>> {
        let candidates = uncounted(credentials);
        chunks(&candidates, UserVerification::Discouraged, limits)
            .iter()
            .map(|chunk| {
                let ids = chunk.candidates.iter();
                ids.map(|c| c.credential.id.as_bytes()[0]).collect()
            })
            .collect()
    }

    const UNASKED: Limits = Limits {
        ids: 8,
        bytes: 1024,
    };

    #[test]
    fn up_to_eight_ids_fit_one_request() {
        let credentials: Vec<Credential> = (1..=9).map(|seed| credential(seed, 16)).collect();
        assert_eq!(shared_out(&credentials[..8], UNASKED).len(), 1);
        assert_eq!(
            shared_out(&credentials, UNASKED),
            [vec![1, 2, 3, 4, 5, 6, 7, 8], vec![9]]
        );
    }

    #[test]
    fn a_request_is_at_most_as_long_as_the_key_takes() {
        let two = [credential(1, 400), credential(2, 400)];
        let length = {
            let candidates = uncounted(&two);
            let all = chunks(&candidates, UserVerification::Discouraged, UNASKED);
            all[0].request([0; 32], UserPresence::Touch).unwrap().len()
        };
        let limits = |bytes| Limits { ids: 8, bytes };
        assert_eq!(shared_out(&two, limits(length)), [[1, 2]]);
        assert_eq!(shared_out(&two, limits(length - 1)), [[1], [2]]);
    }

    #[test]
    fn relying_parties_and_demands_are_not_mixed() {
        let mut renamed = TestKey::new(Algorithm::Es256, 2);
        renamed.relying_party = RelyingPartyId::parse("pam://old-name").unwrap();
        let mut strict = credential(3, 16);
        strict.user_verification = UserVerification::Required;
        let credentials = [
            credential(1, 16),
            renamed.credential(),
            strict,
            credential(4, 16),
        ];
        assert_eq!(
            shared_out(&credentials, UNASKED),
            [vec![1, 4], vec![2], vec![3]]
        );
    }

    /// The message that a dialogue sends next.
    fn asked(step: Next<'_>) -> Vec<u8> {
        match step {
            Step::Ask(message) => message,
            other => panic!("expected a request, not {other:?}"),
        }
    }

    #[test]
    fn one_chunk_is_asked_for_a_touch_at_once_and_several_are_probed_first() {
        let credentials: Vec<Credential> = (1..=9).map(|seed| credential(seed, 16)).collect();
        let candidates = uncounted(&credentials);
        let terms = Terms {
            user_verification: UserVerification::Discouraged,
            synced: SyncedCredentials::Allow,
            counter: CounterRule::Warn,
            deadline: Instant::now(),
        };
        let dialogue = |many: usize| Asking {
            candidates: &candidates[..many],
            client_data_hash: [0x11; 32],
            terms: &terms,
            chunks: chunks(&candidates[..many], terms.user_verification, UNASKED),
            stage: Stage::Informing,
        };
        let silent = |message: &[u8]| message.ends_with(b"\x05\xa1\x62up\xf4");
        let envelope = |message: &[u8]| message.windows(32).any(|part| part == [0x11; 32]);

        let first = asked(dialogue(8).begin());
        assert!(first[0] == 0x02 && envelope(&first) && !silent(&first));

        let mut nine = dialogue(9);
        assert_eq!(asked(nine.begin()), [0x04]);
        // versions and AAGUID only: eight ids, 1024 bytes
        let mut info = b"\xa2\x01\x81\x68FIDO_2_0\x03\x50".to_vec();
        info.extend([0; 16]);
        let probe = asked(nine.answered(Ok(&info)));
        assert!(
            silent(&probe) && !envelope(&probe),
            "a probe signs no envelope"
        );
        let probe = asked(nine.answered(Err(Status::NoCredentials)));
        assert!(silent(&probe) && !envelope(&probe));
        let touch = asked(nine.answered(Ok(&[])));
        assert!(envelope(&touch) && !silent(&touch));

        // A key that takes all nine at once is asked for a touch, unprobed.
        let mut nine = dialogue(9);
        nine.begin();
        let mut roomy = info.clone();
        roomy[0] = 0xa3;
        roomy.extend([0x07, 0x09]);
        let touch = asked(nine.answered(Ok(&roomy)));
        assert!(envelope(&touch) && !silent(&touch));

        let mut nine = dialogue(9);
        nine.begin();
        nine.answered(Ok(&info));
        nine.answered(Err(Status::NoCredentials));
        assert!(matches!(
            nine.answered(Err(Status::NoCredentials)),
            Step::Drop(KeyRefusal::NoCredential)
        ));
    }

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
}

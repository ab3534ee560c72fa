//! The registration ceremony (WebAuthn §7.1): a key makes a new credential,
//! and proves at once that it can use it.
#![forbid(unsafe_code)]

use std::fmt;

use sha2::{Digest, Sha256};

use crate::attestation::{self, NewCredential};
use crate::authenticator::client_pin::{PinUvAuthParam, PinUvAuthProtocol};
use crate::authenticator::ctap2::{
    self, AttestationObject, GetAssertion, Info, MakeCredential, Permission, Status, UserPresence,
};
use crate::authenticator::ctaphid::{Fault, LARGEST_MESSAGE};
use crate::authenticator::dialogue::{Dialogue, Step};
use crate::authenticator::race::{self, Course, Lost, Out, Waited};
use crate::authenticator::verification::{
    Authorization, CannotVerify, Progress, Proof, Verification, built_in_failed,
};
use crate::authenticator::{Gesture, Interaction, NoPin};
use crate::credential::{CredentialId, CredentialName, UserVerification};
use crate::pin::Pin;
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
    /// Whether the key is to keep the credential itself (`rk`).
    pub discoverable: bool,
    /// Whether the key must verify the person while it makes the credential.
    pub user_verification: UserVerification,
}

/// Asks the key of `course` for a new credential; only one key is to be in it.
pub fn register(
    wanted: &Wanted<'_>,
    course: &Course<'_>,
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
    let won = race::run(course, interaction, |_| Making {
        wanted,
        client_data_hash: Sha256::digest(challenge).into(),
        user_id,
        info: None,
        exclude: Vec::new(),
        verification: None,
        stage: Stage::Informing,
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

/// The key's side of the ceremony.
struct Making<'w> {
    wanted: &'w Wanted<'w>,
    client_data_hash: [u8; 32],
    user_id: [u8; 32],
    info: Option<Info>,
    /// The ids to exclude, as many to a list as the key takes; the first list
    /// goes into the request itself.
    exclude: Vec<Vec<&'w CredentialId>>,
    verification: Option<Verification<'w>>,
    stage: Stage,
}

/// What the key was last asked.
enum Stage {
    /// What it takes.
    Informing,
    /// Whether it holds one of those ids that do not fit into the request.
    Excluding,
    /// Who its person is.
    Verifying,
    /// To make the credential; whether by the way it was to check its person.
    Making { built_in: bool },
}

type Next = Step<NewCredential, Refused>;

impl Dialogue for Making<'_> {
    type Outcome = NewCredential;
    type Dropped = Refused;

    fn begin(&mut self) -> Next {
        Step::Ask(Info::request())
    }

    fn answered(&mut self, answer: Result<&[u8], Status>) -> Next {
        match (&self.stage, answer) {
            (Stage::Verifying, answer) => self.verify_by(|it| it.answered(answer)),
            (Stage::Informing, Ok(data)) => self.informed(data),
            (Stage::Making { .. }, Ok(data)) => self.judge(data),
            (Stage::Making { built_in: true }, Err(failed)) if built_in_failed(failed) => {
                self.verify_by(|it| it.built_in_refused(failed))
            }
            (Stage::Excluding, Ok(_)) => Step::Drop(Refused::AlreadyEnrolled),
            // It has none of these, or does not say so silently.
            (Stage::Excluding, Err(_)) => self.exclude(),
            (_, Err(status)) => Step::Drop(Refused::from(status)),
        }
    }

    fn choose(&mut self) -> Next {
        self.verify_by(Verification::choose)
    }

    fn chosen(&mut self) -> Next {
        self.verify_by(Verification::chosen)
    }

    fn pin(&mut self, pin: Result<Pin, NoPin>) -> Next {
        self.verify_by(|it| it.pin(pin))
    }

    fn waits_for(&self) -> Option<Gesture> {
        match (&self.stage, &self.verification) {
            (Stage::Verifying | Stage::Making { built_in: true }, Some(it)) => it.waits_for(),
            (Stage::Making { .. }, _) => Some(Gesture::Touch),
            (Stage::Informing | Stage::Excluding | Stage::Verifying, _) => None,
        }
    }

    fn proven(&self) -> Option<&CredentialName> {
        None
    }
}

impl<'w> Making<'w> {
    fn informed(&mut self, data: &[u8]) -> Next {
        let info = match Info::parse(data) {
            Ok(info) => info,
            Err(problem) => return Step::Drop(Refused::Faulty(problem.to_string())),
        };
        if !info.versions.fido2 {
            return Step::Drop(Refused::OnlyU2f);
        }
        if !info.supports(self.wanted.algorithm) {
            return Step::Drop(Refused::UnsupportedAlgorithm);
        }
        self.exclude = self.exclude_lists(&info);
        self.info = Some(info);
        self.exclude()
    }

    /// All ids to exclude, in lists that this key takes.
    fn exclude_lists(&self, info: &Info) -> Vec<Vec<&'w CredentialId>> {
        // The longest request that any of them may go into.
        let longest = PinUvAuthParam {
            protocol: PinUvAuthProtocol::Two,
            mac: vec![0; 32],
        };
        let fits = |ids: &[&CredentialId]| {
            let message = self.request(ids, ctap2::Verification::Token(&longest));
            let most = info.max_credential_count_in_list.unwrap_or(usize::MAX);
            let bytes = info.max_msg_size.min(LARGEST_MESSAGE);
            ids.len() <= most && message.is_some_and(|message| message.len() <= bytes)
        };
        let mut lists: Vec<Vec<&'w CredentialId>> = Vec::new();
        for &id in self.wanted.exclude {
            if let Some(list) = lists.last_mut() {
                list.push(id);
                if fits(list) {
                    continue;
                }
                list.pop();
            }
            // One that does not fit alone cannot be this key's.
            if fits(&[id]) {
                lists.push(vec![id]);
            }
        }
        lists
    }

    /// Looks for the ids of every list but the first, one list after the other,
    /// before anything is asked of the person.
    fn exclude(&mut self) -> Next {
        let list = match self.exclude.len() {
            0 | 1 => return self.verify_or_make(),
            _ => self.exclude.pop().unwrap_or_default(),
        };
        let mut worthless = [0; 32];
        if getrandom::fill(&mut worthless).is_err() {
            return Step::Drop(Refused::NoRandomness);
        }
        self.stage = Stage::Excluding;
        let probe = GetAssertion {
            relying_party: self.wanted.relying_party,
            client_data_hash: worthless,
            allow_list: &list,
            user_presence: UserPresence::Silent,
            verification: ctap2::Verification::None,
        };
        Step::ask_or_drop(probe.request(), unwritten)
    }

    fn verify_or_make(&mut self) -> Next {
        let Some(info) = &self.info else {
            return Step::Drop(unwritten());
        };
        if !self.needs_verification(info) {
            return self.make(None);
        }
        // Nothing can be proven by a key that is not enrolled yet; its person
        // has just named it.
        let permission = Permission::MakeCredential;
        let verification = Verification::new(info, permission, self.wanted.relying_party, None);
        self.verification = Some(verification);
        self.verify_by(Verification::begin)
    }

    /// CTAP 2.1 §6.1.2: a key that can verify its person wants to, unless it
    /// says otherwise of credentials that it need not keep.
    fn needs_verification(&self, info: &Info) -> bool {
        let options = info.options;
        let protected = options.client_pin || options.uv;
        let not_required = options.make_cred_uv_not_rqd && !self.wanted.discoverable;
        self.wanted.user_verification == UserVerification::Required
            || options.always_uv
            || (protected && !not_required)
    }

    fn verify_by(&mut self, step: impl FnOnce(&mut Verification<'w>) -> Progress) -> Next {
        self.stage = Stage::Verifying;
        match self.verification.as_mut().map(step) {
            Some(Progress::Ask(message)) => Step::Ask(message),
            Some(Progress::Ready) => Step::Ready,
            Some(Progress::Chosen) => Step::Chosen,
            Some(Progress::AskPin(question)) => Step::AskPin(question),
            Some(Progress::Verified(authorization)) => self.make(Some(&authorization)),
            Some(Progress::Failed(why)) => Step::Drop(match why.by_the_person() {
                Some(status) => Refused::from(status),
                None => Refused::CannotVerify(why),
            }),
            None => Step::Drop(Refused::Faulty("it answered what nobody asked".to_owned())),
        }
    }

    fn make(&mut self, authorization: Option<&Authorization>) -> Next {
        let Some(proof) = Proof::of(authorization, &self.client_data_hash) else {
            return Step::Drop(unwritten());
        };
        self.stage = Stage::Making {
            built_in: matches!(proof, Proof::BuiltIn),
        };
        let exclude = self.exclude.first().map_or(&[][..], Vec::as_slice);
        Step::ask_or_drop(self.request(exclude, proof.as_member()), unwritten)
    }

    fn request(
        &self,
        exclude: &[&CredentialId],
        verification: ctap2::Verification<'_>,
    ) -> Option<Vec<u8>> {
        MakeCredential {
            client_data_hash: self.client_data_hash,
            relying_party: self.wanted.relying_party,
            user_name: self.wanted.user_name,
            user_id: self.user_id,
            algorithm: self.wanted.algorithm,
            exclude_list: exclude,
            discoverable: self.wanted.discoverable,
            verification,
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

fn unwritten() -> Refused {
    Refused::Faulty(ctap2::Malformed("the request could not be written").to_string())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_key::TestKey;

    const HASH: [u8; 32] = [0x77; 32];

    fn wanted<'a>(
        relying_party: &'a RelyingPartyId,
        exclude: &'a [&'a CredentialId],
    ) -> Wanted<'a> {
        Wanted {
            relying_party,
            user_name: "alice",
            algorithm: Algorithm::Es256,
            exclude,
            discoverable: false,
            user_verification: UserVerification::Discouraged,
        }
    }

    fn making<'w>(wanted: &'w Wanted<'w>) -> Making<'w> {
        Making {
            wanted,
            client_data_hash: HASH,
            user_id: [0x11; 32],
            info: None,
            exclude: Vec::new(),
            verification: None,
            stage: Stage::Informing,
        }
    }

    #[test]
    fn a_key_that_can_verify_does_so_unless_it_and_the_credential_need_not() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let touch_alone = wanted(&laptop, &[]);
        let discoverable = Wanted {
            discoverable: true,
            ..touch_alone.clone()
        };
        let required = Wanted {
            user_verification: UserVerification::Required,
            ..touch_alone.clone()
        };
        let needed = |wanted: &Wanted<'_>, change: fn(&mut Info)| {
            let mut info = Info::default();
            change(&mut info);
            making(wanted).needs_verification(&info)
        };
        assert!(!needed(&touch_alone, |_| ()));
        assert!(needed(&required, |_| ()));
        assert!(needed(&touch_alone, |it| it.options.always_uv = true));
        assert!(needed(&touch_alone, |it| it.options.client_pin = true));
        assert!(needed(&touch_alone, |it| it.options.uv = true));
        let not_required = |it: &mut Info| {
            it.options.client_pin = true;
            it.options.make_cred_uv_not_rqd = true;
        };
        assert!(!needed(&touch_alone, not_required));
        assert!(needed(&discoverable, not_required));
        assert!(needed(&required, not_required));
    }

    #[test]
    fn a_key_that_was_to_verify_its_person_and_did_not_is_not_enrolled() {
        let key = TestKey::new(Algorithm::Es256, 1);
        let touch_alone = wanted(&key.relying_party, &[]);
        let required = Wanted {
            user_verification: UserVerification::Required,
            ..touch_alone.clone()
        };
        // UP and AT, without UV and with it.
        let made = |flags| {
            let mut made = key.data(flags, 0);
            made.extend([0xaa; 16]);
            made.extend([0, 48]);
            made.extend([0xbb; 48]);
            made.extend(key.cose_key());
            let mut data = Vec::new();
            let mut e = minicbor::Encoder::new(&mut data);
            e.map(2).unwrap().u8(1).unwrap().str("none").unwrap();
            e.u8(2).unwrap().bytes(&made).unwrap();
            data
        };
        assert!(matches!(
            making(&required).judge(&made(0x41)),
            Step::Drop(Refused::NotVerified)
        ));
        for (wanted, flags) in [(&required, 0x45), (&touch_alone, 0x41)] {
            assert!(matches!(making(wanted).judge(&made(flags)), Step::Win(_)));
        }
    }

    #[test]
    fn a_key_is_told_of_as_many_credentials_as_it_takes() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let ids: Vec<CredentialId> = (1..=9)
            .map(|seed| CredentialId::new(&[seed; 100]).unwrap())
            .collect();
        let exclude: Vec<&CredentialId> = ids.iter().collect();
        let wanted = wanted(&laptop, &exclude);
        let lists = |most_ids, most_bytes| -> Vec<usize> {
            let making = making(&wanted);
            let lists = making.exclude_lists(&Info {
                max_credential_count_in_list: most_ids,
                max_msg_size: most_bytes,
                ..Info::default()
            });
            for list in &lists {
                let message = making.request(list, ctap2::Verification::None);
                assert!(message.unwrap().len() <= most_bytes);
            }
            assert_eq!(lists.concat(), exclude);
            lists.iter().map(Vec::len).collect()
        };
        assert_eq!(lists(None, 7609), [9]);
        assert_eq!(lists(Some(4), 7609), [4, 4, 1]);
        assert!((2..9).contains(&lists(None, 1024).len()));
        // One that fits into no request cannot be this key's.
        let none = making(&wanted).exclude_lists(&Info {
            max_msg_size: 200,
            ..Info::default()
        });
        assert!(none.is_empty());
    }

    #[test]
    fn a_key_whose_versions_hold_no_fido2_makes_nothing() {
        let laptop = RelyingPartyId::parse("pam://laptop").unwrap();
        let wanted = wanted(&laptop, &[]);
        let mut data = b"\xa2\x01\x81\x66U2F_V2\x03\x50".to_vec();
        data.extend([0; 16]);
        assert!(matches!(
            making(&wanted).informed(&data),
            Step::Drop(Refused::OnlyU2f)
        ));
    }
}

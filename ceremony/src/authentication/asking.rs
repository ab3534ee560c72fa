//! One key's side of the ceremony: it is asked what it takes, which credential
//! it holds, who its person is, and for the signature; each only where needed.
#![forbid(unsafe_code)]

use super::authenticate::Terms;
use super::chunk::{Chunk, Limits, chunks};
use super::refused::KeyRefusal;
use crate::assertion::{self, Candidate, Expectation, Verified};
use crate::authenticator::ctap2::{
    self, GetAssertion, Info, Malformed, Permission, Status, UserPresence,
};
use crate::authenticator::dialogue::{Dialogue, Step};
use crate::authenticator::interaction::{Gesture, NoPin};
use crate::authenticator::verification::{
    Authorization, Progress, Proof, Verification, built_in_failed,
};
use crate::credential::{CredentialName, UserVerification};
use crate::pin::Pin;

/// The dialogue with one key.
pub(super) struct Asking<'t, 'a> {
    candidates: &'t [Candidate<'a>],
    client_data_hash: [u8; 32],
    terms: &'t Terms,
    /// What the key says of itself, once it was asked.
    info: Option<Info>,
    limits: Limits,
    /// As many ids as it took no more, where it said so only when it had them.
    most_ids: usize,
    chunks: Vec<Chunk<'a>>,
    /// The key has said that it signs nothing for a touch alone.
    insists_on_verification: bool,
    /// The credential that a verified silent answer has shown it to hold.
    proven: Option<Candidate<'a>>,
    /// Whether it would say so without its person.
    answers_silently: Option<bool>,
    verification: Option<Verification<'a>>,
    stage: Stage,
}

/// What the key was last asked.
enum Stage {
    /// What it takes.
    Informing,
    /// Whether it holds one of a chunk's credentials: to sign these bytes.
    Probing { at: usize, worthless: [u8; 32] },
    /// Who its person is.
    Verifying,
    /// To sign the challenge with one of a chunk's credentials.
    Signing {
        at: usize,
        authorization: Option<Authorization>,
    },
}

type Next<'a> = Step<(Verified<'a>, Option<bool>), KeyRefusal>;

impl<'t, 'a> Asking<'t, 'a> {
    pub(super) fn new(
        candidates: &'t [Candidate<'a>],
        client_data_hash: [u8; 32],
        terms: &'t Terms,
    ) -> Self {
        Self {
            candidates,
            client_data_hash,
            terms,
            info: None,
            limits: Limits::UNASKED,
            most_ids: usize::MAX,
            chunks: chunks(candidates, terms.user_verification, Limits::UNASKED),
            insists_on_verification: false,
            proven: None,
            answers_silently: None,
            verification: None,
            stage: Stage::Informing,
        }
    }
}

impl<'a> Dialogue for Asking<'_, 'a> {
    type Outcome = (Verified<'a>, Option<bool>);
    type Dropped = KeyRefusal;

    fn begin(&mut self) -> Next<'a> {
        match self.chunks.as_slice() {
            [only] if !self.needs_verification(only) && self.hidden().is_empty() => {
                self.sign(0, None)
            }
            _ => self.inform(),
        }
    }

    fn answered(&mut self, answer: Result<&[u8], Status>) -> Next<'a> {
        if let (Stage::Verifying, Some(verification)) = (&self.stage, &mut self.verification) {
            let progress = verification.answered(answer);
            return self.follow(progress);
        }
        match (std::mem::replace(&mut self.stage, Stage::Informing), answer) {
            (
                Stage::Probing { at, .. }
                | Stage::Signing {
                    at,
                    authorization: None,
                },
                Err(status),
            ) if is_too_much(status) && self.shrink(at) => match self.info {
                Some(_) => self.find(),
                None => self.inform(),
            },
            (Stage::Informing, Ok(data)) => self.informed(data),
            (Stage::Probing { worthless, at }, Ok(data)) => self.shown(at, &worthless, data),
            (Stage::Probing { at, .. }, Err(status)) => match status {
                Status::NoCredentials | Status::InvalidCredential => self.probe(at + 1),
                Status::PuatRequired
                | Status::UnsupportedOption
                | Status::InvalidOption
                | Status::UpRequired => self.silence_refused(),
                other => Step::Drop(KeyRefusal::from(other)),
            },
            (Stage::Signing { at, .. }, Ok(data)) => self.judge(at, data),
            (Stage::Signing { at, authorization }, Err(status)) => {
                self.did_not_sign(at, authorization, status)
            }
            (Stage::Informing | Stage::Verifying, Err(status)) => {
                Step::Drop(KeyRefusal::from(status))
            }
            (Stage::Verifying, Ok(_)) => Step::Drop(KeyRefusal::Malformed(Malformed(
                "an answer that nobody asked for",
            ))),
        }
    }

    fn choose(&mut self) -> Next<'a> {
        self.verify_by(Verification::choose)
    }

    fn chosen(&mut self) -> Next<'a> {
        self.verify_by(Verification::chosen)
    }

    fn pin(&mut self, pin: Result<Pin, NoPin>) -> Next<'a> {
        self.verify_by(|verification| verification.pin(pin))
    }

    fn waits_for(&self) -> Option<Gesture> {
        match (&self.stage, &self.verification) {
            (
                Stage::Verifying
                | Stage::Signing {
                    authorization: Some(Authorization::BuiltIn),
                    ..
                },
                Some(verification),
            ) => verification.waits_for(),
            (Stage::Signing { .. }, _) => Some(Gesture::Touch),
            (Stage::Informing | Stage::Probing { .. } | Stage::Verifying, _) => None,
        }
    }

    fn proven(&self) -> Option<&CredentialName> {
        self.proven.map(|candidate| &candidate.credential.name)
    }
}

impl<'a> Asking<'_, 'a> {
    fn inform(&mut self) -> Next<'a> {
        self.stage = Stage::Informing;
        Step::Ask(Info::request())
    }

    fn informed(&mut self, data: &[u8]) -> Next<'a> {
        let info = match Info::parse(data) {
            Ok(info) => info,
            Err(problem) => return Step::Drop(KeyRefusal::Malformed(problem)),
        };
        if !info.versions.fido2 {
            return Step::Drop(KeyRefusal::OnlyU2f);
        }
        self.limits = Limits::of(&info);
        self.insists_on_verification |= info.options.always_uv;
        self.info = Some(info);
        self.find()
    }

    /// Finds out what the key holds, silently where there is a choice.
    fn find(&mut self) -> Next<'a> {
        self.limits.ids = self.limits.ids.min(self.most_ids);
        self.chunks = chunks(self.candidates, self.terms.user_verification, self.limits);
        self.probe(0)
    }

    fn needs_verification(&self, chunk: &Chunk<'_>) -> bool {
        self.insists_on_verification || chunk.user_verification == UserVerification::Required
    }

    /// The credentials that their keys do not admit to without their person.
    fn hidden(&self) -> Vec<Candidate<'a>> {
        let hidden = |candidate: &&Candidate<'a>| !candidate.credential.answers_silently;
        self.candidates.iter().filter(hidden).copied().collect()
    }

    fn probe(&mut self, at: usize) -> Next<'a> {
        let Some(chunk) = self.chunks.get(at) else {
            return match self.hidden() {
                none if none.is_empty() => Step::Drop(KeyRefusal::NoCredential),
                hidden => self.ask_unproven(&hidden),
            };
        };
        // The last one for a touch is asked outright: if the key holds none, it
        // says so all the same.
        let last = at + 1 == self.chunks.len() && self.hidden().is_empty();
        if last && !self.needs_verification(chunk) {
            return self.sign(at, None);
        }
        // A silent answer must be worth nothing: it is made over fresh random
        // bytes, never over the envelope.
        let mut worthless = [0; 32];
        if getrandom::fill(&mut worthless).is_err() {
            return Step::Drop(KeyRefusal::NoRandomness);
        }
        let message = chunk.request(worthless, UserPresence::Silent, ctap2::Verification::None);
        self.stage = Stage::Probing { at, worthless };
        Step::ask_or_drop(message, unwritten)
    }

    /// A silent answer: believed only as far as it verifies.
    fn shown(&mut self, at: usize, worthless: &[u8; 32], data: &[u8]) -> Next<'a> {
        let asked = self
            .chunks
            .get(at)
            .map_or(&[][..], |chunk| &chunk.candidates);
        let proven = GetAssertion::parse(data)
            .map_err(KeyRefusal::Malformed)
            .and_then(|assertion| {
                assertion::prove(&assertion, asked, worthless).map_err(KeyRefusal::Invalid)
            });
        match proven {
            Ok(candidate) => {
                self.proven = Some(candidate);
                self.answers_silently = Some(true);
                self.chunks = vec![Chunk::only(candidate, self.terms.user_verification)];
                self.verify_or_sign()
            }
            Err(why) => Step::Drop(why),
        }
    }

    /// The key answers no silent request. Where a touch is enough it is asked for
    /// that; for its PIN only where some credential is known to hide.
    fn silence_refused(&mut self) -> Next<'a> {
        let touch_is_enough = |chunk: &Chunk<'_>| !self.needs_verification(chunk);
        if self.chunks.iter().all(touch_is_enough) {
            return self.ask_unproven(self.candidates);
        }
        match self.hidden() {
            none if none.is_empty() => Step::Drop(KeyRefusal::Unproven),
            hidden => self.ask_unproven(&hidden),
        }
    }

    /// The key does not say without its person what it holds (credProtect, or
    /// firmware that always verifies), and is asked all the same.
    fn ask_unproven(&mut self, candidates: &[Candidate<'a>]) -> Next<'a> {
        self.answers_silently = Some(false);
        self.chunks = chunks(candidates, self.terms.user_verification, self.limits);
        self.verify_or_sign()
    }

    fn verify_or_sign(&mut self) -> Next<'a> {
        let (Some(chunk), Some(info)) = (self.chunks.first(), &self.info) else {
            return Step::Drop(KeyRefusal::NoCredential);
        };
        let hidden = self.answers_silently == Some(false)
            && chunk
                .candidates
                .iter()
                .any(|c| !c.credential.answers_silently);
        if !self.needs_verification(chunk) && !hidden {
            return self.sign(0, None);
        }
        let proven = self.proven.map(|candidate| &candidate.credential.name);
        let mut verification = Verification::new(
            info,
            Permission::GetAssertion,
            chunk.relying_party.as_str(),
            proven,
        );
        let progress = verification.begin();
        self.verification = Some(verification);
        self.follow(progress)
    }

    fn verify_by(&mut self, step: impl FnOnce(&mut Verification<'a>) -> Progress) -> Next<'a> {
        match self.verification.as_mut().map(step) {
            Some(progress) => self.follow(progress),
            None => Step::Drop(KeyRefusal::NoCredential),
        }
    }

    fn follow(&mut self, progress: Progress) -> Next<'a> {
        self.stage = Stage::Verifying;
        match progress {
            Progress::Ask(message) => Step::Ask(message),
            Progress::Ready => Step::Ready,
            Progress::Chosen => Step::Chosen,
            Progress::AskPin(question) => Step::AskPin(question),
            Progress::Verified(authorization) => self.sign(0, Some(authorization)),
            Progress::Failed(why) => {
                if let Some(status) = why.by_the_person() {
                    return Step::Drop(KeyRefusal::from(status));
                }
                Step::Drop(KeyRefusal::CannotVerify(self.proven_name(), why))
            }
        }
    }

    fn sign(&mut self, at: usize, authorization: Option<Authorization>) -> Next<'a> {
        let Some(chunk) = self.chunks.get(at) else {
            return Step::Drop(KeyRefusal::NoCredential);
        };
        let hash = self.client_data_hash;
        let Some(proof) = Proof::of(authorization.as_ref(), &hash) else {
            return Step::Drop(unwritten());
        };
        let message = chunk.request(hash, UserPresence::Touch, proof.as_member());
        self.stage = Stage::Signing { at, authorization };
        Step::ask_or_drop(message, unwritten)
    }

    /// The key has answered the request for a signature with a status.
    fn did_not_sign(
        &mut self,
        at: usize,
        authorization: Option<Authorization>,
        status: Status,
    ) -> Next<'a> {
        match (authorization, status) {
            // It verifies always, and did not say so before.
            (None, Status::PuatRequired) if !self.insists_on_verification => {
                self.insists_on_verification = true;
                match self.info {
                    Some(_) => self.find(),
                    None => self.inform(),
                }
            }
            (Some(Authorization::BuiltIn), failed) if built_in_failed(failed) => {
                self.verify_by(|verification| verification.built_in_refused(failed))
            }
            // A key that could not be probed may hold one of the next chunk; a
            // token is good for one relying party.
            (authorization, Status::NoCredentials | Status::InvalidCredential)
                if self.proven.is_none() && self.same_relying_party(at, at + 1) =>
            {
                self.sign(at + 1, authorization)
            }
            (_, other) => Step::Drop(match KeyRefusal::from(other) {
                KeyRefusal::CannotVerify(_, why) => {
                    KeyRefusal::CannotVerify(self.proven_name(), why)
                }
                refusal => refusal,
            }),
        }
    }

    fn proven_name(&self) -> Option<CredentialName> {
        self.proven
            .map(|candidate| candidate.credential.name.clone())
    }

    fn same_relying_party(&self, at: usize, next: usize) -> bool {
        match (self.chunks.get(at), self.chunks.get(next)) {
            (Some(at), Some(next)) => at.relying_party == next.relying_party,
            _ => false,
        }
    }

    /// Puts fewer ids into a request than this chunk had, where that is
    /// possible: the key takes fewer than it says.
    fn shrink(&mut self, at: usize) -> bool {
        let had = self
            .chunks
            .get(at)
            .map_or(0, |chunk| chunk.candidates.len());
        if had < 2 || self.proven.is_some() {
            return false;
        }
        self.most_ids = had / 2;
        true
    }

    fn judge(&mut self, at: usize, data: &[u8]) -> Next<'a> {
        let assertion = match GetAssertion::parse(data) {
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
            Ok(verified) => Step::Win((verified, self.answers_silently)),
            Err(refusal) => Step::Drop(KeyRefusal::Invalid(refusal)),
        }
    }
}

/// The request holds more than the key takes.
fn is_too_much(status: Status) -> bool {
    matches!(
        status,
        Status::LimitExceeded | Status::RequestTooLarge | Status::InvalidLength
    )
}

fn unwritten() -> KeyRefusal {
    KeyRefusal::Malformed(Malformed("the request could not be written"))
}

#[cfg(test)]
mod tests {
    use super::super::chunk::tests::{credential, uncounted};
    use super::*;
    use crate::assertion::Refusal;
    use crate::authenticator::interaction::PinQuestion;
    use crate::authenticator::verification::CannotVerify;
    use crate::credential::Credential;
    use crate::policy::{CounterRule, SyncedCredentials};
    use crate::public_key::Algorithm;
    use crate::relying_party::RelyingPartyId;
    use crate::test_key::TestKey;

    const TOUCH: Terms = Terms {
        user_verification: UserVerification::Discouraged,
        synced: SyncedCredentials::Allow,
        counter: CounterRule::Warn,
    };
    const VERIFIED: Terms = Terms {
        user_verification: UserVerification::Required,
        ..TOUCH
    };
    const HASH: [u8; 32] = [0x11; 32];

    /// getInfo of a key with these options, that takes so many ids at once.
    fn info(options: &[&str], most_ids: u8) -> Vec<u8> {
        let mut data = b"\xa4\x01\x81\x68FIDO_2_1\x03\x50".to_vec();
        data.extend([0; 16]);
        data.push(0x04);
        data.push(0xa0 + u8::try_from(options.len()).unwrap());
        for option in options {
            data.push(0x60 + u8::try_from(option.len()).unwrap());
            data.extend(option.bytes());
            data.push(0xf5);
        }
        data.extend([0x07, most_ids]);
        data
    }

    /// What the key of `seed` answers to a probe, by its own or a stolen name.
    fn silent_answer(seed: u8, claimed: &Credential, message: &[u8]) -> Vec<u8> {
        answer(seed, 0, claimed, message)
    }

    /// The same, with these flags.
    fn answer(seed: u8, flags: u8, claimed: &Credential, message: &[u8]) -> Vec<u8> {
        let key = TestKey::new(Algorithm::Es256, seed);
        let at = message.windows(3).position(|part| part == b"\x02\x58\x20");
        let hash = &message[at.unwrap() + 3..][..32];
        let assertion = key.assert(&key.data(flags, 1), hash.try_into().unwrap());
        let mut data = Vec::new();
        let mut e = minicbor::Encoder::new(&mut data);
        e.map(3).unwrap().u8(1).unwrap().map(2).unwrap();
        e.str("id").unwrap().bytes(claimed.id.as_bytes()).unwrap();
        e.str("type").unwrap().str("public-key").unwrap();
        e.u8(2)
            .unwrap()
            .bytes(&assertion.authenticator_data)
            .unwrap();
        e.u8(3).unwrap().bytes(&assertion.signature).unwrap();
        data
    }

    /// The message that a dialogue sends next.
    fn asked(step: Next<'_>) -> Vec<u8> {
        match step {
            Step::Ask(message) => message,
            other => panic!("expected a request, not {other:?}"),
        }
    }

    fn is_probe(message: &[u8]) -> bool {
        assert_eq!(message[0], 0x02);
        let silent = message.ends_with(b"\x05\xa1\x62up\xf4");
        let envelope = message.windows(32).any(|part| part == HASH);
        assert_ne!(
            silent, envelope,
            "a probe signs no envelope, a request does"
        );
        silent
    }

    /// Whether a request makes the key verify its person by itself.
    fn verifies(message: &[u8]) -> bool {
        !is_probe(message) && message.ends_with(b"\x05\xa1\x62uv\xf5")
    }

    /// Whether a request asks for the credential of `seed`.
    fn holds(message: &[u8], seed: u8) -> bool {
        message.windows(16).any(|part| part == [seed; 16])
    }

    fn credentials(many: u8) -> Vec<Credential> {
        (1..=many).map(|seed| credential(seed, 16)).collect()
    }

    #[test]
    fn what_fits_one_request_is_asked_for_a_touch_at_once() {
        let credentials = credentials(9);
        let candidates = uncounted(&credentials);
        let mut eight = Asking::new(&candidates[..8], HASH, &TOUCH);
        assert!(!is_probe(&asked(eight.begin())));
        // Nine do not fit unasked, but may once the key has been asked.
        let mut nine = Asking::new(&candidates, HASH, &TOUCH);
        assert_eq!(asked(nine.begin()), [0x04]);
        assert!(!is_probe(&asked(nine.answered(Ok(&info(&[], 9))))));
    }

    #[test]
    fn what_does_not_fit_is_looked_for_silently_and_the_last_chunk_asked_outright() {
        let credentials = credentials(9);
        let candidates = uncounted(&credentials);
        let mut nine = Asking::new(&candidates, HASH, &TOUCH);
        nine.begin();
        let probe = asked(nine.answered(Ok(&info(&[], 4))));
        assert!(is_probe(&probe));
        let probe = asked(nine.answered(Err(Status::NoCredentials)));
        assert!(is_probe(&probe));
        // found: asked for that one alone
        let touch = asked(nine.answered(Ok(&silent_answer(6, &credentials[5], &probe))));
        assert!(!is_probe(&touch) && touch.windows(16).any(|part| part == [6; 16]));
        assert!(!touch.windows(16).any(|part| part == [5; 16]));

        let mut nine = Asking::new(&candidates, HASH, &TOUCH);
        nine.begin();
        nine.answered(Ok(&info(&[], 4)));
        nine.answered(Err(Status::NoCredentials));
        let last = asked(nine.answered(Err(Status::NoCredentials)));
        assert!(!is_probe(&last) && last.windows(16).any(|part| part == [9; 16]));
        assert!(matches!(
            nine.answered(Err(Status::NoCredentials)),
            Step::Drop(KeyRefusal::NoCredential)
        ));
    }

    #[test]
    fn a_key_that_takes_fewer_ids_than_it_says_is_given_half_as_many() {
        let credentials = credentials(9);
        let candidates = uncounted(&credentials);
        let mut nine = Asking::new(&candidates, HASH, &TOUCH);
        nine.begin();
        nine.answered(Ok(&info(&[], 9)));
        let half = asked(nine.answered(Err(Status::LimitExceeded)));
        assert!(is_probe(&half) && half.windows(16).any(|part| part == [4; 16]));
        assert!(!half.windows(16).any(|part| part == [5; 16]));
    }

    #[test]
    fn a_pin_is_asked_for_only_after_a_proof() {
        let credentials = credentials(2);
        let candidates = uncounted(&credentials);
        let with_pin = info(&["clientPin"], 8);
        let mut honest = Asking::new(&candidates, HASH, &VERIFIED);
        assert_eq!(asked(honest.begin()), [0x04]);
        let probe = asked(honest.answered(Ok(&with_pin)));
        assert!(is_probe(&probe));
        let ready = honest.answered(Ok(&silent_answer(2, &credentials[1], &probe)));
        assert!(matches!(ready, Step::Ready));
        assert_eq!(asked(honest.chosen()), [0x06, 0xa2, 1, 1, 2, 1]);
        match honest.answered(Ok(&[0xa1, 0x03, 0x08])) {
            Step::AskPin(PinQuestion {
                proven: Some(name),
                tries_left: 8,
                ..
            }) => {
                assert_eq!(name, credentials[1].name);
            }
            other => panic!("{other:?}"),
        }

        // A stick that has learnt an id claims it, with a key of its own.
        let mut thief = Asking::new(&candidates, HASH, &VERIFIED);
        thief.begin();
        let probe = asked(thief.answered(Ok(&with_pin)));
        assert!(matches!(
            thief.answered(Ok(&silent_answer(7, &credentials[1], &probe))),
            Step::Drop(KeyRefusal::Invalid(Refusal::BadSignature))
        ));
        // One that knows none is asked for nothing more.
        let mut stranger = Asking::new(&candidates, HASH, &VERIFIED);
        stranger.begin();
        stranger.answered(Ok(&with_pin));
        assert!(matches!(
            stranger.answered(Err(Status::NoCredentials)),
            Step::Drop(KeyRefusal::NoCredential)
        ));
    }

    #[test]
    fn only_a_credential_known_to_hide_lets_a_key_ask_for_its_pin_unproven() {
        let mut credentials = credentials(2);
        credentials[1].answers_silently = false;
        let candidates = uncounted(&credentials);
        let with_pin = info(&["clientPin"], 8);
        for terms in [&TOUCH, &VERIFIED] {
            let mut asking = Asking::new(&candidates, HASH, terms);
            assert_eq!(asked(asking.begin()), [0x04]);
            assert!(is_probe(&asked(asking.answered(Ok(&with_pin)))));
            assert!(matches!(
                asking.answered(Err(Status::NoCredentials)),
                Step::Ready
            ));
            asking.chosen();
            assert!(matches!(
                asking.answered(Ok(&[0xa1, 0x03, 0x08])),
                Step::AskPin(PinQuestion { proven: None, .. })
            ));
        }
    }

    #[test]
    fn a_key_that_verifies_always_is_verified_although_a_touch_would_do() {
        let credentials = credentials(1);
        let candidates = uncounted(&credentials);
        let mut asking = Asking::new(&candidates, HASH, &TOUCH);
        assert!(!is_probe(&asked(asking.begin())));
        assert_eq!(asked(asking.answered(Err(Status::PuatRequired))), [0x04]);
        let always = info(&["alwaysUv", "clientPin"], 8);
        let probe = asked(asking.answered(Ok(&always)));
        assert!(is_probe(&probe));
        let ready = asking.answered(Ok(&silent_answer(1, &credentials[0], &probe)));
        assert!(matches!(ready, Step::Ready));
        // One that says so beforehand is not asked in vain.
        let several = self::credentials(9);
        let candidates = uncounted(&several);
        let mut nine = Asking::new(&candidates, HASH, &TOUCH);
        nine.begin();
        let always = info(&["alwaysUv", "clientPin"], 9);
        assert!(is_probe(&asked(nine.answered(Ok(&always)))));
        // It cannot go round in a circle.
        let candidates = uncounted(&credentials);
        let mut liar = Asking::new(&candidates, HASH, &TOUCH);
        liar.begin();
        liar.answered(Err(Status::PuatRequired));
        let probe = asked(liar.answered(Ok(&info(&[], 8))));
        assert!(matches!(
            liar.answered(Ok(&silent_answer(1, &credentials[0], &probe))),
            Step::Drop(KeyRefusal::CannotVerify(
                Some(_),
                CannotVerify::NothingSetUp
            ))
        ));
    }

    #[test]
    fn only_a_key_that_refuses_silence_is_asked_for_its_pin_unproven() {
        let open = credentials(2);
        let mut hiding = open.clone();
        hiding[1].answers_silently = false;
        let (open, hiding) = (uncounted(&open), uncounted(&hiding));
        let refusing = |status| {
            let mut asking = Asking::new(&hiding, HASH, &VERIFIED);
            asking.begin();
            asking.answered(Ok(&info(&["clientPin"], 8)));
            asking.answered(Err(status))
        };
        // And none of somebody whose keys are all known to show themselves.
        let mut asking = Asking::new(&open, HASH, &VERIFIED);
        asking.begin();
        asking.answered(Ok(&info(&["clientPin"], 8)));
        assert!(matches!(
            asking.answered(Err(Status::PuatRequired)),
            Step::Drop(KeyRefusal::Unproven)
        ));
        for status in [
            Status::PuatRequired,
            Status::UnsupportedOption,
            Status::InvalidOption,
            Status::UpRequired,
        ] {
            assert!(matches!(refusing(status), Step::Ready), "{status}");
        }
        for status in [
            Status::OperationDenied,
            Status::NotAllowed,
            Status::InvalidCommand,
            Status::Other,
            Status::Unknown(0xf2),
        ] {
            assert!(matches!(refusing(status), Step::Drop(_)), "{status}");
        }
    }

    #[test]
    fn a_key_that_refuses_silence_is_not_verified_where_a_touch_is_enough() {
        let credentials = credentials(9);
        let candidates = uncounted(&credentials);
        let mut asking = Asking::new(&candidates, HASH, &TOUCH);
        asking.begin();
        asking.answered(Ok(&info(&["clientPin"], 4)));
        let touch = asked(asking.answered(Err(Status::UpRequired)));
        assert!(!is_probe(&touch) && holds(&touch, 1));
    }

    #[test]
    fn an_unproven_key_is_asked_for_credentials_that_hide_and_no_others() {
        let mut credentials = credentials(2);
        credentials[1].answers_silently = false;
        let candidates = uncounted(&credentials);
        let mut asking = Asking::new(&candidates, HASH, &TOUCH);
        asking.begin();
        asking.answered(Ok(&info(&["uv"], 8)));
        let request = asked(asking.answered(Err(Status::NoCredentials)));
        assert!(verifies(&request) && holds(&request, 2) && !holds(&request, 1));
    }

    #[test]
    fn an_unproven_key_is_asked_chunk_by_chunk_for_one_relying_party() {
        let mut credentials = credentials(2);
        let mut renamed = TestKey::new(Algorithm::Es256, 3);
        renamed.relying_party = RelyingPartyId::parse("pam://old-name").unwrap();
        credentials.push(renamed.credential());
        for credential in &mut credentials {
            credential.answers_silently = false;
        }
        let candidates = uncounted(&credentials);
        let mut asking = Asking::new(&candidates, HASH, &VERIFIED);
        asking.begin();
        asking.answered(Ok(&info(&["uv"], 1)));
        let one = asked(asking.answered(Err(Status::PuatRequired)));
        assert!(verifies(&one) && holds(&one, 1));
        let two = asked(asking.answered(Err(Status::NoCredentials)));
        assert!(verifies(&two) && holds(&two, 2));
        // A token is good for one relying party.
        assert!(matches!(
            asking.answered(Err(Status::NoCredentials)),
            Step::Drop(KeyRefusal::NoCredential)
        ));
    }

    #[test]
    fn a_key_that_takes_not_even_one_id_is_out() {
        let credentials = credentials(1);
        let candidates = uncounted(&credentials);
        let mut asking = Asking::new(&candidates, HASH, &VERIFIED);
        asking.begin();
        asking.answered(Ok(&info(&["clientPin"], 8)));
        assert!(matches!(
            asking.answered(Err(Status::LimitExceeded)),
            Step::Drop(KeyRefusal::Failed(Status::LimitExceeded))
        ));
    }

    #[test]
    fn no_two_silent_answers_are_made_over_the_same_bytes() {
        let credentials = credentials(1);
        let candidates = uncounted(&credentials);
        let probe = || {
            let mut asking = Asking::new(&candidates, HASH, &VERIFIED);
            asking.begin();
            asked(asking.answered(Ok(&info(&["clientPin"], 8))))
        };
        assert_ne!(probe(), probe());
    }

    #[test]
    fn a_key_that_was_to_verify_its_person_and_did_not_lets_nobody_in() {
        let credentials = credentials(1);
        let candidates = uncounted(&credentials);
        for (flags, verified) in [(0x01, false), (0x05, true)] {
            let mut asking = Asking::new(&candidates, HASH, &VERIFIED);
            asking.begin();
            let probe = asked(asking.answered(Ok(&info(&["uv"], 8))));
            let proof = silent_answer(1, &credentials[0], &probe);
            let request = asked(asking.answered(Ok(&proof)));
            assert!(verifies(&request));
            match asking.answered(Ok(&answer(1, flags, &credentials[0], &request))) {
                Step::Win(_) => assert!(verified),
                Step::Drop(KeyRefusal::Invalid(Refusal::NotVerified)) => assert!(!verified),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_key_whose_versions_hold_no_fido2_is_out() {
        let credentials = credentials(1);
        let candidates = uncounted(&credentials);
        let mut asking = Asking::new(&candidates, HASH, &VERIFIED);
        asking.begin();
        let mut data = b"\xa2\x01\x81\x66U2F_V2\x03\x50".to_vec();
        data.extend([0; 16]);
        assert!(matches!(
            asking.answered(Ok(&data)),
            Step::Drop(KeyRefusal::OnlyU2f)
        ));
    }
}

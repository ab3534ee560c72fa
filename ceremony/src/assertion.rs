//! The rules of acceptance: is this assertion the answer to our challenge, by
//! a key this person enrolled?
//!
//! Bytes in, verdict out. The rules stand in [`verify`] in the order in which
//! they are judged; each has a test at the foot of this file that fails when
//! the rule is taken out.
#![forbid(unsafe_code)]

use std::fmt;

use crate::authenticator_data::{AuthenticatorData, Flags, Malformed};
use crate::credential::{Credential, UserVerification};
use crate::policy::{CounterRule, SyncedCredentials};
use crate::public_key::Signature;
use crate::relying_party::RelyingParty;
use crate::sentence;
use crate::sentence::{Sentence, Spoken};

/// An assertion as the authenticator gave it (CTAP 2.1 §6.2.3), the signed
/// bytes as they arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The credential that answers; left out at will when one id was asked for.
    pub credential_id: Option<Vec<u8>>,
    /// Authenticator data.
    pub authenticator_data: Vec<u8>,
    /// The signature over authenticator data ‖ clientDataHash.
    pub signature: Vec<u8>,
}

/// A credential whose id was sent.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The credential.
    pub credential: &'a Credential,
    /// The largest signature counter seen before the request was sent. Read
    /// before, or two logins at once would look like a clone.
    pub stored_counter: Option<u32>,
}

/// What the answer is measured against.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'l, 'a> {
    /// The credentials of this user whose ids were sent, and no others.
    pub asked: &'l [Candidate<'a>],
    /// The hash that was sent to be signed.
    pub client_data_hash: [u8; 32],
    /// The policy's demand; a credential's own may be stronger.
    pub user_verification: UserVerification,
    /// Whether a credential that can be copied is good enough.
    pub synced: SyncedCredentials,
    /// What a counter that has not grown means.
    pub counter: CounterRule,
}

/// An accepted assertion.
#[derive(Debug)]
pub struct Verified<'a> {
    /// The credential that signed.
    pub credential: &'a Credential,
    /// The flags it signed.
    pub flags: Flags,
    /// The counter it signed; 0 from a key that keeps none.
    pub sign_count: u32,
    /// The signature.
    pub signature: Signature,
    /// Set when the counter has not grown and policy only warns.
    pub clone_alarm: Option<CloneAlarm>,
}

/// The counter has not grown since the value read before the request: two
/// authenticators may hold one private key (WebAuthn §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloneAlarm {
    /// The largest value seen before.
    pub stored: u32,
    /// The value just signed.
    pub received: u32,
}

/// Judges `assertion`.
pub fn verify<'a>(
    assertion: &Assertion,
    expectation: &Expectation<'_, 'a>,
) -> Result<Verified<'a>, Refusal> {
    let (candidate, data) = answer(assertion, expectation.asked)?;
    let credential = candidate.credential;

    // WebAuthn §7.2, UP and UV.
    if !data.flags.user_present() {
        return Err(Refusal::NobodyPresent);
    }
    let demand = expectation
        .user_verification
        .max(credential.user_verification);
    if demand == UserVerification::Required && !data.flags.user_verified() {
        return Err(Refusal::NotVerified);
    }

    // WebAuthn §6.1.3: BE never changes, and nothing is backed up that is not
    // eligible; whether copies are good enough is for the policy.
    if data.flags.backup_eligible() != credential.synced
        || (data.flags.backup_state() && !data.flags.backup_eligible())
    {
        return Err(Refusal::BackupFlagsChanged);
    }
    if data.flags.backup_eligible() && expectation.synced == SyncedCredentials::Refuse {
        return Err(Refusal::Synced);
    }

    let signature = signature(assertion, credential, &expectation.client_data_hash)?;

    // WebAuthn §7.2, signCount: both zero means the key keeps none.
    let stored = candidate.stored_counter.unwrap_or(0);
    let clone_alarm =
        (data.sign_count <= stored && (data.sign_count, stored) != (0, 0)).then_some(CloneAlarm {
            stored,
            received: data.sign_count,
        });
    if let (Some(alarm), CounterRule::Refuse) = (clone_alarm, expectation.counter) {
        return Err(Refusal::Cloned(alarm));
    }

    Ok(Verified {
        credential,
        flags: data.flags,
        sign_count: data.sign_count,
        signature,
        clone_alarm,
    })
}

/// Which of `asked` the authenticator has just shown to hold, by a silent
/// assertion over `worthless` bytes. It shows nothing of a person.
pub fn prove<'a>(
    assertion: &Assertion,
    asked: &[Candidate<'a>],
    worthless: &[u8; 32],
) -> Result<Candidate<'a>, Refusal> {
    let (candidate, _) = answer(assertion, asked)?;
    signature(assertion, candidate.credential, worthless)?;
    Ok(*candidate)
}

/// The credential that answers, and what the authenticator says.
fn answer<'l, 'a>(
    assertion: &'l Assertion,
    asked: &'l [Candidate<'a>],
) -> Result<(&'l Candidate<'a>, AuthenticatorData<'l>), Refusal> {
    // WebAuthn §7.2, allowCredentials: an id we sent, and so this user's.
    let candidate = answering_candidate(assertion, asked)?;

    // Exactly as long as its flags say; no new credential, no extension we did
    // not ask for (the receipt could not carry it).
    let data =
        AuthenticatorData::parse(&assertion.authenticator_data).map_err(Refusal::Malformed)?;
    if data.flags.attested_credential_data() || data.flags.extension_data() {
        return Err(Refusal::Unasked);
    }

    // WebAuthn §7.2, rpIdHash: the hash of the RP ID we asked for, not merely
    // of one we know.
    if data.rp_id_hash != candidate.credential.public_key.relying_party().id_hash() {
        return Err(Refusal::OtherRelyingParty);
    }
    Ok((candidate, data))
}

/// The stored key and its algorithm, over the bytes as they came.
fn signature(
    assertion: &Assertion,
    credential: &Credential,
    client_data_hash: &[u8; 32],
) -> Result<Signature, Refusal> {
    let mut signed = assertion.authenticator_data.clone();
    signed.extend_from_slice(client_data_hash);
    credential
        .public_key
        .verify(&signed, &assertion.signature)
        .map_err(|_| Refusal::BadSignature)
}

/// The one credential that the answer is about. CTAP 2.1 §6.2.3 lets the
/// authenticator leave the id out only when exactly one was asked for.
fn answering_candidate<'l, 'a>(
    assertion: &Assertion,
    asked: &'l [Candidate<'a>],
) -> Result<&'l Candidate<'a>, Refusal> {
    match (&assertion.credential_id, asked) {
        (Some(id), _) => asked
            .iter()
            .find(|candidate| candidate.credential.id.as_bytes() == id)
            .ok_or(Refusal::OtherCredential),
        (None, [only]) => Ok(only),
        (None, _) => Err(Refusal::NoCredentialId),
    }
}

/// Why an assertion is not accepted. Each means: drop and log that key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It answers for a credential that was not asked for.
    OtherCredential,
    /// It names no credential although several were asked for.
    NoCredentialId,
    /// Authenticator data that is not well-formed.
    Malformed(Malformed),
    /// Authenticator data with a new credential or extensions nobody asked for.
    Unasked,
    /// Made for another relying party.
    OtherRelyingParty,
    /// UP is not set.
    NobodyPresent,
    /// UV is not set where it is required.
    NotVerified,
    /// BE differs from enrolment, or BS is set without BE.
    BackupFlagsChanged,
    /// The credential can be copied, and policy refuses those.
    Synced,
    /// The signature does not verify with the enrolled public key.
    BadSignature,
    /// The counter has not grown and policy refuses that.
    Cloned(CloneAlarm),
}

impl std::error::Error for Refusal {}

impl Spoken for Refusal {
    fn sentence(&self) -> Sentence {
        match self {
            Self::OtherCredential => sentence!("it answered for a credential nobody asked for"),
            Self::NoCredentialId => sentence!("it does not say which credential answered"),
            Self::Malformed(problem) => problem.sentence(),
            Self::Unasked => sentence!("it sent data nobody asked for"),
            Self::OtherRelyingParty => sentence!("the answer is for another relying party"),
            Self::NobodyPresent => sentence!("nobody touched it"),
            Self::NotVerified => sentence!("it did not verify the person"),
            Self::BackupFlagsChanged => {
                sentence!("its backup flags differ from those at enrolment")
            }
            Self::Synced => sentence!("its credential can be copied, which policy refuses"),
            Self::BadSignature => sentence!("the signature does not verify"),
            Self::Cloned(alarm) => alarm.sentence(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

impl Spoken for CloneAlarm {
    fn sentence(&self) -> Sentence {
        sentence!(
            "its signature counter is {received} where more than {stored} was expected: \
             a copy of this key may be in use",
            received = self.received,
            stored = self.stored,
        )
    }
}

impl fmt::Display for CloneAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::CredentialId;
    use crate::public_key::Algorithm;
    use crate::relying_party::RelyingPartyId;
    use crate::test_key::TestKey;

    const HASH: [u8; 32] = [0x5a; 32];
    const UP: u8 = 0x01;
    const UV: u8 = 0x04;
    const BE: u8 = 0x08;
    const BS: u8 = 0x10;

    fn key() -> TestKey {
        TestKey::new(Algorithm::Es256, 1)
    }

    /// Touch is enough, copies are fine, counters only warn, none is stored.
    fn lenient<'l, 'a>(asked: &'l [Candidate<'a>]) -> Expectation<'l, 'a> {
        Expectation {
            asked,
            client_data_hash: HASH,
            user_verification: UserVerification::Discouraged,
            synced: SyncedCredentials::Allow,
            counter: CounterRule::Warn,
        }
    }

    fn candidate(credential: &Credential) -> Candidate<'_> {
        Candidate {
            credential,
            stored_counter: None,
        }
    }

    fn judge(assertion: &Assertion, credential: &Credential) -> Result<(), Refusal> {
        verify(assertion, &lenient(&[candidate(credential)])).map(|_| ())
    }

    #[test]
    fn an_honest_answer_is_accepted_with_both_algorithms() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let key = TestKey::new(algorithm, 1);
            let credential = key.credential();
            let assertion = key.assert(&key.data(UP, 7), &HASH);
            let candidates = [candidate(&credential)];
            let verified = verify(&assertion, &lenient(&candidates)).unwrap();
            assert_eq!(verified.credential, &credential);
            assert_eq!(verified.sign_count, 7);
            assert_eq!(verified.clone_alarm, None);
        }
    }

    #[test]
    fn a_credential_nobody_asked_for_is_refused() {
        let other = TestKey::new(Algorithm::Es256, 2);
        let assertion = other.assert(&other.data(UP, 1), &HASH);
        assert_eq!(
            judge(&assertion, &key().credential()),
            Err(Refusal::OtherCredential)
        );
    }

    #[test]
    fn the_id_may_be_left_out_only_where_one_was_asked_for() {
        let (one, two) = (
            key().credential(),
            TestKey::new(Algorithm::EdDsa, 2).credential(),
        );
        let mut assertion = key().assert(&key().data(UP, 1), &HASH);
        assertion.credential_id = None;
        assert_eq!(judge(&assertion, &one), Ok(()));
        let both = [candidate(&one), candidate(&two)];
        assert_eq!(
            verify(&assertion, &lenient(&both)).unwrap_err(),
            Refusal::NoCredentialId
        );
        assert_eq!(
            verify(&assertion, &lenient(&[])).unwrap_err(),
            Refusal::NoCredentialId
        );
    }

    #[test]
    fn an_id_cannot_borrow_another_credentials_key() {
        // Both are the user's: the id names one, the other signed.
        let (mine, other) = (key(), TestKey::new(Algorithm::Es256, 2));
        let (one, two) = (mine.credential(), other.credential());
        let mut assertion = other.assert(&other.data(UP, 1), &HASH);
        assertion.credential_id = Some(one.id.as_bytes().to_vec());
        let both = [candidate(&one), candidate(&two)];
        assert_eq!(
            verify(&assertion, &lenient(&both)).unwrap_err(),
            Refusal::BadSignature
        );
    }

    #[test]
    fn authenticator_data_of_another_length_is_refused() {
        let mut long = key().data(UP, 1);
        long.push(0);
        for data in [&long[..], &long[..36], &[]] {
            let assertion = key().assert(data, &HASH);
            assert!(matches!(
                judge(&assertion, &key().credential()),
                Err(Refusal::Malformed(_))
            ));
        }
    }

    #[test]
    fn extensions_nobody_asked_for_are_refused() {
        let mut data = key().data(UP | 0x80, 1);
        data.push(0xa0);
        let assertion = key().assert(&data, &HASH);
        assert_eq!(
            judge(&assertion, &key().credential()),
            Err(Refusal::Unasked)
        );
    }

    #[test]
    fn a_new_credential_in_an_assertion_is_refused() {
        let mut data = key().data(UP | 0x40, 1);
        data.extend([0; 16]);
        data.extend([0, 1, 0xaa]);
        data.extend(key().cose_key());
        let assertion = key().assert(&data, &HASH);
        assert_eq!(
            judge(&assertion, &key().credential()),
            Err(Refusal::Unasked)
        );
    }

    #[test]
    fn another_relying_party_is_refused() {
        let mut elsewhere = key();
        elsewhere.relying_party = RelyingPartyId::parse("pam://server").unwrap();
        let assertion = elsewhere.assert(&elsewhere.data(UP, 1), &HASH);
        assert_eq!(
            judge(&assertion, &key().credential()),
            Err(Refusal::OtherRelyingParty)
        );
    }

    #[test]
    fn without_a_touch_nobody_is_let_in() {
        for flags in [0, UV] {
            let assertion = key().assert(&key().data(flags, 1), &HASH);
            assert_eq!(
                judge(&assertion, &key().credential()),
                Err(Refusal::NobodyPresent)
            );
        }
    }

    #[test]
    fn verification_is_demanded_by_policy_or_by_the_credential() {
        let touched = key().assert(&key().data(UP, 1), &HASH);
        let checked = key().assert(&key().data(UP | UV, 1), &HASH);
        let mut credential = key().credential();
        for (policy, own) in [
            (UserVerification::Required, UserVerification::Discouraged),
            (UserVerification::Discouraged, UserVerification::Required),
        ] {
            credential.user_verification = own;
            let asked = [candidate(&credential)];
            let expectation = Expectation {
                user_verification: policy,
                ..lenient(&asked)
            };
            assert_eq!(
                verify(&touched, &expectation).unwrap_err(),
                Refusal::NotVerified
            );
            assert!(verify(&checked, &expectation).is_ok());
        }
    }

    #[test]
    fn backup_eligibility_never_changes() {
        let mut credential = key().credential();
        let copyable = key().assert(&key().data(UP | BE, 1), &HASH);
        let fixed = key().assert(&key().data(UP, 1), &HASH);
        assert_eq!(
            judge(&copyable, &credential),
            Err(Refusal::BackupFlagsChanged)
        );
        credential.synced = true;
        assert_eq!(judge(&fixed, &credential), Err(Refusal::BackupFlagsChanged));
        assert_eq!(judge(&copyable, &credential), Ok(()));
    }

    #[test]
    fn nothing_is_backed_up_that_cannot_be() {
        let assertion = key().assert(&key().data(UP | BS, 1), &HASH);
        assert_eq!(
            judge(&assertion, &key().credential()),
            Err(Refusal::BackupFlagsChanged)
        );
    }

    #[test]
    fn policy_can_refuse_credentials_that_can_be_copied() {
        let mut credential = key().credential();
        credential.synced = true;
        let assertion = key().assert(&key().data(UP | BE | BS, 1), &HASH);
        let asked = [candidate(&credential)];
        let expectation = Expectation {
            synced: SyncedCredentials::Refuse,
            ..lenient(&asked)
        };
        assert_eq!(
            verify(&assertion, &expectation).unwrap_err(),
            Refusal::Synced
        );
        assert_eq!(judge(&assertion, &credential), Ok(()));
    }

    #[test]
    fn a_signature_over_another_challenge_is_refused() {
        let assertion = key().assert(&key().data(UP, 1), &[0x5b; 32]);
        assert_eq!(
            judge(&assertion, &key().credential()),
            Err(Refusal::BadSignature)
        );
    }

    #[test]
    fn a_flipped_bit_is_refused() {
        let honest = key().assert(&key().data(UP, 1), &HASH);
        for (place, bit) in (0..honest.signature.len()).flat_map(|p| (0..8).map(move |b| (p, b))) {
            let mut flipped = honest.clone();
            flipped.signature[place] ^= 1 << bit;
            assert_eq!(
                judge(&flipped, &key().credential()),
                Err(Refusal::BadSignature)
            );
        }
        // The counter, the one part that no other rule looks at.
        let mut flipped = honest;
        flipped.authenticator_data[36] ^= 2;
        assert_eq!(
            judge(&flipped, &key().credential()),
            Err(Refusal::BadSignature)
        );
    }

    #[test]
    fn a_signature_of_another_form_is_refused() {
        let data = key().data(UP, 1);
        let honest = key().assert(&data, &HASH);
        let p1363 = p256::ecdsa::Signature::from_der(&honest.signature)
            .unwrap()
            .to_bytes()
            .to_vec();
        let eddsa = TestKey::new(Algorithm::EdDsa, 1).sign(&[&data[..], &HASH].concat());
        let zero = vec![0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00];
        let mut trailing = honest.signature.clone();
        trailing.push(0);
        for signature in [p1363, eddsa, zero, trailing, Vec::new(), vec![0; 64]] {
            let mut assertion = honest.clone();
            assertion.signature = signature;
            assert_eq!(
                judge(&assertion, &key().credential()),
                Err(Refusal::BadSignature)
            );
        }
    }

    #[test]
    fn the_stored_algorithm_decides_not_the_answer() {
        // An Ed25519 credential answered with a good ES256 signature.
        let stored = TestKey::new(Algorithm::EdDsa, 1).credential();
        let assertion = key().assert(&key().data(UP, 1), &HASH);
        assert_eq!(judge(&assertion, &stored), Err(Refusal::BadSignature));
    }

    #[test]
    fn a_counter_that_has_not_grown_is_a_clone_alarm() {
        let credential = key().credential();
        let against = |stored, received, rule| {
            let assertion = key().assert(&key().data(UP, received), &HASH);
            let asked = [Candidate {
                credential: &credential,
                stored_counter: stored,
            }];
            let expectation = Expectation {
                counter: rule,
                ..lenient(&asked)
            };
            verify(&assertion, &expectation).map(|verified| verified.clone_alarm)
        };
        let alarm = |stored, received| CloneAlarm { stored, received };
        for (stored, received) in [(7, 7), (7, 6), (7, 0), (u32::MAX, 0)] {
            let expected = alarm(stored, received);
            assert_eq!(
                against(Some(stored), received, CounterRule::Warn),
                Ok(Some(expected))
            );
            assert_eq!(
                against(Some(stored), received, CounterRule::Refuse),
                Err(Refusal::Cloned(expected))
            );
        }
        // Grown, first seen, or not kept at all.
        for (stored, received) in [(Some(7), 8), (None, 1), (Some(0), 0), (None, 0)] {
            assert_eq!(against(stored, received, CounterRule::Refuse), Ok(None));
        }
    }

    #[test]
    fn a_longer_or_shorter_id_is_another_credential() {
        let mut assertion = key().assert(&key().data(UP, 1), &HASH);
        let id = key().credential().id;
        for other in [
            &id.as_bytes()[..47],
            &[id.as_bytes(), &[0]].concat()[..],
            &[][..],
        ] {
            assert!(CredentialId::new(other).as_ref() != Some(&id));
            assertion.credential_id = Some(other.to_vec());
            assert_eq!(
                judge(&assertion, &key().credential()),
                Err(Refusal::OtherCredential)
            );
        }
    }

    #[test]
    fn a_silent_answer_proves_its_credential_and_nothing_else_does() {
        let credential = key().credential();
        let asked = [candidate(&credential)];
        let worthless = [0x77; 32];
        let silent = key().assert(&key().data(0, 1), &worthless);
        let proven = prove(&silent, &asked, &worthless).unwrap();
        assert_eq!(proven.credential.id, credential.id);

        // A stick that claims the id: signed by another key, over other bytes,
        // for another relying party, for an id that was not sent.
        let mut thief = TestKey::new(Algorithm::Es256, 9).assert(&key().data(0, 1), &worthless);
        thief.credential_id = silent.credential_id.clone();
        assert_eq!(
            prove(&thief, &asked, &worthless).unwrap_err(),
            Refusal::BadSignature
        );
        assert_eq!(
            prove(&silent, &asked, &[0x78; 32]).unwrap_err(),
            Refusal::BadSignature
        );
        let mut elsewhere = key();
        elsewhere.relying_party = RelyingPartyId::parse("pam://elsewhere").unwrap();
        let elsewhere = elsewhere.assert(&elsewhere.data(0, 1), &worthless);
        assert_eq!(
            prove(&elsewhere, &asked, &worthless).unwrap_err(),
            Refusal::OtherRelyingParty
        );
        let mut unasked = silent.clone();
        unasked.credential_id = Some(vec![1]);
        assert_eq!(
            prove(&unasked, &asked, &worthless).unwrap_err(),
            Refusal::OtherCredential
        );
        // and the answer to a probe opens nothing
        let expectation = Expectation {
            client_data_hash: worthless,
            ..lenient(&asked)
        };
        assert_eq!(
            verify(&silent, &expectation).unwrap_err(),
            Refusal::NobodyPresent
        );
    }
}

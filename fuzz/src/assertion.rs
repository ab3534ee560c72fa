//! The rules of acceptance, against keys that sign whatever they are told to
//! and bytes that are changed on the way.
//!
//! The rules stand here a second time, as one expression each. What `verify`
//! says must follow from them and from whether the signed bytes arrived; that
//! a signature be accepted for anything but the very bytes it was made over is
//! the wrong acceptance that this looks for.
#![forbid(unsafe_code)]

use ceremony::assertion::{Assertion, Candidate, Expectation, Verified, prove, verify};
use ceremony::credential::{Credential, UserVerification};
use ceremony::policy::{CounterRule, SyncedCredentials};
use sha2::{Digest, Sha256};

use crate::honest_key::{EDDSA, ES256, HonestKey, RELYING_PARTY, authenticator_data};
use crate::input::Input;

const HASH: [u8; 32] = [0x5a; 32];

/// An answer, told by the input, judged by both judges.
pub(crate) fn assertion(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choices = input.byte();
    let keys = if choices & 0x01 == 0 {
        &*ES256
    } else {
        &*EDDSA
    };
    let credentials = enrolled(keys, input.byte());
    let stored_counter = (choices & 0x02 != 0).then(|| u32::from_be_bytes(input.array()));
    let candidates: Vec<Candidate<'_>> = credentials
        .iter()
        .map(|credential| Candidate {
            credential,
            stored_counter,
        })
        .collect();
    // Two were asked for, or one.
    let asked = &candidates[..if choices & 0x04 == 0 { 2 } else { 1 }];
    let expectation = Expectation {
        asked,
        client_data_hash: HASH,
        user_verification: demand(choices & 0x08 != 0),
        synced: match choices & 0x10 {
            0 => SyncedCredentials::Allow,
            _ => SyncedCredentials::Refuse,
        },
        counter: match choices & 0x20 {
            0 => CounterRule::Warn,
            _ => CounterRule::Refuse,
        },
    };
    let answer = Answer::told_by(&mut input, keys);
    let meant = answer.meant_by(asked);
    let good = meant.is_some_and(|meant| answer.signed_for(meant.credential, &expectation));

    let proven = prove(&answer.assertion, asked, &HASH).ok();
    answer.judge(good, proven.is_some());
    assert!(proven.is_none_or(|it| Some(it.credential) == meant.map(|it| it.credential)));

    let lawful = meant.is_some_and(|meant| answer.satisfies(&meant, &expectation));
    let verified = verify(&answer.assertion, &expectation).ok();
    answer.judge(good && lawful, verified.is_some());
    if let (Some(verified), Some(meant)) = (verified, meant) {
        answer.is_what_was_accepted(&verified, &meant);
    }
}

/// The keys' credentials, each by four bits of `choices`.
fn enrolled(keys: &[HonestKey; 2], choices: u8) -> Vec<Credential> {
    [choices, choices >> 4]
        .into_iter()
        .zip(keys)
        .map(|(choices, key)| Credential {
            user_verification: demand(choices & 0x01 != 0),
            synced: choices & 0x02 != 0,
            ..key.credential.clone()
        })
        .collect()
}

fn demand(required: bool) -> UserVerification {
    if required {
        UserVerification::Required
    } else {
        UserVerification::Discouraged
    }
}

struct Answer {
    assertion: Assertion,
    /// Whose signature it is.
    signer: Credential,
    /// The bytes it was made over.
    signed: Vec<u8>,
    /// Whether the signature was changed on the way.
    signature_spoilt: bool,
}

impl Answer {
    fn told_by(input: &mut Input<'_>, keys: &[HonestKey; 2]) -> Self {
        let choices = input.byte();
        let key = &keys[usize::from(choices & 0x01)];
        let relying_party = match choices & 0x02 {
            0 => RELYING_PARTY,
            _ => "pam://server",
        };
        let rp_id_hash: [u8; 32] = Sha256::digest(relying_party).into();
        let (flags, counter) = (input.byte(), u32::from_be_bytes(input.array()));
        let mut data = authenticator_data(&rp_id_hash, flags, counter);
        data.extend(input.counted());
        // A lie is signed with the bytes; an accident on the way is not.
        input.spoil(&mut data);
        let hash = match choices & 0x04 {
            0 => HASH,
            _ => [0xa5; 32],
        };
        let signed = [&data[..], &hash].concat();
        let mut assertion = key.assert(data, &hash);
        assertion.credential_id = match choices >> 3 & 0x03 {
            0 => assertion.credential_id,
            1 => None,
            2 => Some(keys[0].credential.id.as_bytes().to_vec()),
            _ => Some(input.counted().to_vec()),
        };
        input.spoil(&mut assertion.authenticator_data);
        let signature_spoilt = input.spoil(&mut assertion.signature);
        if choices & 0x20 != 0 {
            assertion.authenticator_data.extend(input.counted());
        }
        Self {
            assertion,
            signer: key.credential.clone(),
            signed,
            signature_spoilt,
        }
    }

    /// Rule 1: which of those asked for it answers for.
    fn meant_by<'a>(&self, asked: &[Candidate<'a>]) -> Option<Candidate<'a>> {
        match &self.assertion.credential_id {
            Some(id) => asked.iter().find(|it| it.credential.id.as_bytes() == id),
            None if asked.len() == 1 => asked.first(),
            None => None,
        }
        .copied()
    }

    /// Rules 2, 3 and 7: well-formed, of this relying party, and its signature
    /// is over what arrived.
    fn signed_for(&self, meant: &Credential, expectation: &Expectation<'_, '_>) -> bool {
        let data = &self.assertion.authenticator_data;
        let arrived = [&data[..], &expectation.client_data_hash].concat();
        data.len() == 37
            && data[32] & 0xc0 == 0
            && data[..32] == Sha256::digest(RELYING_PARTY)[..]
            && arrived == self.signed
            && meant.id == self.signer.id
    }

    /// Rules 4, 5, 6 and 8, of well-formed authenticator data.
    fn satisfies(&self, meant: &Candidate<'_>, expectation: &Expectation<'_, '_>) -> bool {
        let Some((flags, counter)) = self.says() else {
            return false;
        };
        let (up, uv, be, bs) = (flags & 1, flags & 4, flags & 8, flags & 16);
        let demands = [
            meant.credential.user_verification,
            expectation.user_verification,
        ];
        let stored = meant.stored_counter.unwrap_or(0);
        up != 0
            && (uv != 0 || !demands.contains(&UserVerification::Required))
            && (be != 0) == meant.credential.synced
            && (bs == 0 || be != 0)
            && (be == 0 || expectation.synced == SyncedCredentials::Allow)
            && (expectation.counter == CounterRule::Warn
                || counter > stored
                || (counter, stored) == (0, 0))
    }

    /// Flags and counter.
    fn says(&self) -> Option<(u8, u32)> {
        let behind = self.assertion.authenticator_data.get(32..37)?;
        let counter = behind[1..].try_into().ok()?;
        Some((behind[0], u32::from_be_bytes(counter)))
    }

    fn judge(&self, good: bool, accepted: bool) {
        assert!(good || !accepted, "accepted what no rule allows");
        // A changed signature may by chance be the other one of two that ECDSA
        // has for the same bytes; then it counts as well.
        assert!(
            accepted || !good || self.signature_spoilt,
            "refused an honest answer"
        );
    }

    fn is_what_was_accepted(&self, verified: &Verified<'_>, meant: &Candidate<'_>) {
        let stored = meant.stored_counter.unwrap_or(0);
        let grown = verified.sign_count > stored || (verified.sign_count, stored) == (0, 0);
        assert_eq!(verified.credential, meant.credential);
        assert_eq!(self.says(), Some((verified.flags.0, verified.sign_count)));
        assert_eq!(verified.clone_alarm.is_none(), grown);
    }
}

//! Which credential ids go into one request.
#![forbid(unsafe_code)]

use crate::assertion::Candidate;
use crate::authenticator::ctap2::{
    GetAssertion, Info, LARGEST_UNASKED, MOST_IDS_UNASKED, UserPresence, Verification,
};
use crate::authenticator::ctaphid::LARGEST_MESSAGE;
use crate::credential::{CredentialId, UserVerification};
use crate::relying_party::RelyingPartyId;

/// Credentials that one request can ask for: of one relying party, under one
/// demand, few and short enough.
#[derive(Clone, Debug)]
pub(super) struct Chunk<'a> {
    pub(super) relying_party: &'a RelyingPartyId,
    pub(super) user_verification: UserVerification,
    pub(super) candidates: Vec<Candidate<'a>>,
}

impl<'a> Chunk<'a> {
    /// A chunk of one, under the policy's demand or its own stronger one.
    pub(super) fn only(candidate: Candidate<'a>, user_verification: UserVerification) -> Self {
        Self {
            relying_party: candidate.credential.public_key.relying_party(),
            user_verification: user_verification.max(candidate.credential.user_verification),
            candidates: vec![candidate],
        }
    }

    /// The message.
    pub(super) fn request(
        &self,
        client_data_hash: [u8; 32],
        user_presence: UserPresence,
        verification: Verification<'_>,
    ) -> Option<Vec<u8>> {
        let ids: Vec<&CredentialId> = self.candidates.iter().map(|c| &c.credential.id).collect();
        GetAssertion {
            rp_id: self.relying_party.as_str(),
            client_data_hash,
            allow_list: &ids,
            user_presence,
            verification,
        }
        .request()
    }

    fn fits(&self, limits: Limits) -> bool {
        self.candidates.len() <= limits.ids
            && self
                .request([0; 32], UserPresence::Silent, Verification::None)
                .is_some_and(|message| message.len() + PROOF <= limits.bytes)
    }
}

/// What `pinUvAuthParam` and `pinUvAuthProtocol` add to a request, less the
/// option `up` that only a silent one carries.
const PROOF: usize = 31;

/// What a key takes in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) ids: usize,
    pub(super) bytes: usize,
}

impl Limits {
    /// What every key takes, unasked.
    pub(super) const UNASKED: Self = Self {
        ids: MOST_IDS_UNASKED,
        bytes: LARGEST_UNASKED,
    };

    /// What this key says it takes. Where it names no number of ids, only the
    /// length of its messages is a limit.
    pub(super) fn of(info: &Info) -> Self {
        Self {
            ids: info.max_credential_count_in_list.unwrap_or(usize::MAX),
            bytes: info.max_msg_size.min(LARGEST_MESSAGE),
        }
    }
}

/// Shares the candidates out, in their order, into as few requests as `limits`
/// allow. A single id is always asked for: it is the least a request can hold.
pub(super) fn chunks<'a>(
    candidates: &[Candidate<'a>],
    user_verification: UserVerification,
    limits: Limits,
) -> Vec<Chunk<'a>> {
    let mut chunks: Vec<Chunk<'a>> = Vec::new();
    for &candidate in candidates {
        let alone = Chunk::only(candidate, user_verification);
        let open = chunks.iter_mut().rev().find(|chunk| {
            chunk.relying_party == alone.relying_party
                && chunk.user_verification == alone.user_verification
        });
        if let Some(chunk) = open {
            chunk.candidates.push(candidate);
            if chunk.fits(limits) {
                continue;
            }
            chunk.candidates.pop();
        }
        chunks.push(alone);
    }
    chunks
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::authenticator::client_pin::{PinUvAuthParam, PinUvAuthProtocol};
    use crate::credential::Credential;
    use crate::public_key::Algorithm;
    use crate::test_key::TestKey;

    pub(in super::super) fn credential(seed: u8, id_length: usize) -> Credential {
        let mut credential = TestKey::new(Algorithm::Es256, seed).credential();
        credential.id = CredentialId::new(&vec![seed; id_length]).unwrap();
        credential
    }

    pub(in super::super) fn uncounted(credentials: &[Credential]) -> Vec<Candidate<'_>> {
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

    #[test]
    fn up_to_eight_ids_fit_one_request() {
        let credentials: Vec<Credential> = (1..=9).map(|seed| credential(seed, 16)).collect();
        assert_eq!(shared_out(&credentials[..8], Limits::UNASKED).len(), 1);
        assert_eq!(
            shared_out(&credentials, Limits::UNASKED),
            [vec![1, 2, 3, 4, 5, 6, 7, 8], vec![9]]
        );
    }

    #[test]
    fn a_request_is_at_most_as_long_as_the_key_takes() {
        let two = [credential(1, 400), credential(2, 400)];
        let length = {
            let candidates = uncounted(&two);
            let all = chunks(&candidates, UserVerification::Discouraged, Limits::UNASKED);
            let proof = PinUvAuthParam {
                protocol: PinUvAuthProtocol::Two,
                mac: vec![0; 32],
            };
            let verification = Verification::Token(&proof);
            all[0]
                .request([0; 32], UserPresence::Touch, verification)
                .unwrap()
                .len()
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
            shared_out(&credentials, Limits::UNASKED),
            [vec![1, 4], vec![2], vec![3]]
        );
    }

    #[test]
    fn no_request_is_longer_than_ctaphid_carries() {
        let boastful = Info {
            max_msg_size: usize::MAX,
            max_credential_count_in_list: Some(3),
            ..Info::default()
        };
        let limits = Limits::of(&boastful);
        assert_eq!((limits.ids, limits.bytes), (3, LARGEST_MESSAGE));
    }
}

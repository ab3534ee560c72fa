//! An honest key in software, for the tests of the rooms that judge one. A
//! test makes it lie about exactly one thing and sign that, so that only the
//! one check it is named for can refuse.
#![forbid(unsafe_code)]

use p256::ecdsa::signature::Signer;

use crate::assertion::Assertion;
use crate::credential::{Aaguid, Credential, CredentialId, CredentialName, UserVerification};
use crate::public_key::{Algorithm, PublicKey};
use crate::relying_party::{RelyingParty, RelyingPartyId};

pub(crate) struct TestKey {
    pub(crate) algorithm: Algorithm,
    secret: [u8; 32],
    pub(crate) relying_party: RelyingPartyId,
}

impl TestKey {
    /// A key pair of its own for every `seed`.
    pub(crate) fn new(algorithm: Algorithm, seed: u8) -> Self {
        Self {
            algorithm,
            secret: [seed; 32],
            relying_party: RelyingPartyId::parse("pam://laptop").unwrap(),
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Es256 => {
                let signature: p256::ecdsa::Signature = self.es256().sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Algorithm::EdDsa => self.eddsa().sign(message).to_bytes().to_vec(),
        }
    }

    pub(crate) fn es256(&self) -> p256::ecdsa::SigningKey {
        p256::ecdsa::SigningKey::from_bytes(&self.secret.into()).unwrap()
    }

    fn eddsa(&self) -> ed25519_dalek::SigningKey {
        ed25519_dalek::SigningKey::from_bytes(&self.secret)
    }

    /// The `COSE_Key` of the public half (RFC 9053 §7).
    pub(crate) fn cose_key(&self) -> Vec<u8> {
        match self.algorithm {
            Algorithm::Es256 => {
                let point = self.es256().verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                let start: &[u8] = &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
                [start, x, &[0x22, 0x58, 0x20], y].concat()
            }
            Algorithm::EdDsa => {
                let start: &[u8] = &[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
                [start, self.eddsa().verifying_key().as_bytes()].concat()
            }
        }
    }

    pub(crate) fn public_key(&self) -> PublicKey {
        let rp = self.relying_party.clone();
        match self.algorithm {
            Algorithm::Es256 => {
                let point = self.es256().verifying_key().to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                PublicKey::es256(x.try_into().unwrap(), y.try_into().unwrap(), rp).unwrap()
            }
            Algorithm::EdDsa => {
                PublicKey::eddsa(self.eddsa().verifying_key().as_bytes(), rp).unwrap()
            }
        }
    }

    /// A credential for touch alone, with an id of its own.
    pub(crate) fn credential(&self) -> Credential {
        Credential {
            name: CredentialName::parse("blue key").unwrap(),
            public_key: self.public_key(),
            id: CredentialId::new(&[self.secret[0]; 48]).unwrap(),
            user_verification: UserVerification::Discouraged,
            discoverable: false,
            synced: false,
            answers_silently: true,
            aaguid: Aaguid::default(),
            enrolled: "2026-01-01T00:00:00Z".into(),
        }
    }

    /// Authenticator data of an assertion.
    pub(crate) fn data(&self, flags: u8, sign_count: u32) -> Vec<u8> {
        [
            &self.relying_party.id_hash()[..],
            &[flags],
            &sign_count.to_be_bytes(),
        ]
        .concat()
    }

    /// `data`, signed over `client_data_hash`.
    pub(crate) fn assert(&self, data: &[u8], client_data_hash: &[u8; 32]) -> Assertion {
        Assertion {
            credential_id: Some(self.credential().id.as_bytes().to_vec()),
            authenticator_data: data.to_vec(),
            signature: self.sign(&[data, client_data_hash].concat()),
        }
    }
}

//! An honest key in software: what it signs is what it was told to say.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use ceremony::assertion::Assertion;
use ceremony::credential::{Aaguid, Credential, CredentialId, CredentialName, UserVerification};
use ceremony::public_key::{Algorithm, PublicKey};
use ceremony::relying_party::RelyingPartyId;
use p256::ecdsa::signature::Signer;

pub(crate) const RELYING_PARTY: &str = "pam://laptop";

pub(crate) struct HonestKey {
    pub(crate) algorithm: Algorithm,
    secret: Secret,
    pub(crate) credential: Credential,
}

enum Secret {
    Es256(p256::ecdsa::SigningKey),
    EdDsa(ed25519_dalek::SigningKey),
}

impl HonestKey {
    /// A key pair of its own for every `seed`, enrolled for touch alone.
    pub(crate) fn new(algorithm: Algorithm, seed: u8) -> Self {
        let secret = match algorithm {
            Algorithm::Es256 => {
                let key = p256::ecdsa::SigningKey::from_bytes(&[seed; 32].into());
                Secret::Es256(key.expect("a scalar below the order"))
            }
            Algorithm::EdDsa => Secret::EdDsa(ed25519_dalek::SigningKey::from_bytes(&[seed; 32])),
        };
        let relying_party = RelyingPartyId::parse(RELYING_PARTY).expect("a relying party");
        let public_key = match &secret {
            Secret::Es256(key) => {
                let (x, y) = coordinates(key);
                PublicKey::es256(&x, &y, relying_party)
            }
            Secret::EdDsa(key) => PublicKey::eddsa(key.verifying_key().as_bytes(), relying_party),
        };
        Self {
            algorithm,
            secret,
            credential: Credential {
                name: CredentialName::parse(&format!("key {seed}")).expect("a name"),
                public_key: public_key.expect("a point"),
                id: CredentialId::new(&[seed; 48]).expect("an id"),
                user_verification: UserVerification::Discouraged,
                discoverable: false,
                synced: false,
                answers_silently: true,
                aaguid: Aaguid::default(),
                enrolled: "2026-01-01T00:00:00Z".into(),
            },
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.secret {
            Secret::Es256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_der().as_bytes().to_vec()
            }
            Secret::EdDsa(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    /// `data`, signed over `client_data_hash`.
    pub(crate) fn assert(&self, data: Vec<u8>, client_data_hash: &[u8; 32]) -> Assertion {
        Assertion {
            credential_id: Some(self.credential.id.as_bytes().to_vec()),
            signature: self.sign(&[&data[..], client_data_hash].concat()),
            authenticator_data: data,
        }
    }

    /// The `COSE_Key` of the public half (RFC 9053 §7).
    pub(crate) fn cose_key(&self) -> Vec<u8> {
        match &self.secret {
            Secret::Es256(key) => {
                let (x, y) = coordinates(key);
                let start: &[u8] = &[0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
                [start, &x, &[0x22, 0x58, 0x20], &y].concat()
            }
            Secret::EdDsa(key) => {
                let start: &[u8] = &[0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
                [start, key.verifying_key().as_bytes()].concat()
            }
        }
    }
}

fn coordinates(key: &p256::ecdsa::SigningKey) -> ([u8; 32], [u8; 32]) {
    let point = key.verifying_key().to_sec1_point(false);
    let (x, y) = point.as_bytes()[1..].split_at(32);
    (
        x.try_into().expect("32 bytes"),
        y.try_into().expect("32 bytes"),
    )
}

/// Two of each algorithm: one that is meant, and another.
pub(crate) static ES256: LazyLock<[HonestKey; 2]> =
    LazyLock::new(|| [1, 2].map(|seed| HonestKey::new(Algorithm::Es256, seed)));
pub(crate) static EDDSA: LazyLock<[HonestKey; 2]> =
    LazyLock::new(|| [3, 4].map(|seed| HonestKey::new(Algorithm::EdDsa, seed)));

/// Authenticator data without anything behind the counter (WebAuthn §6.1).
pub(crate) fn authenticator_data(rp_id_hash: &[u8; 32], flags: u8, counter: u32) -> Vec<u8> {
    [&rp_id_hash[..], &[flags], &counter.to_be_bytes()].concat()
}

//! What the key signs: assertions and new credentials, taken apart so that a lie can change one
//! thing before the signature is made.

#![forbid(unsafe_code)]

use std::sync::Arc;

use ed25519_dalek::Signer as _;
use p256::ecdsa::Signature;
use sha2::{Digest, Sha256};
use sk_cbor::{Value, cbor_map};

/// A private key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyPair {
    /// ES256, by its scalar.
    Es256([u8; 32]),
    /// `EdDSA`, by its seed.
    EdDsa([u8; 32]),
}

impl KeyPair {
    /// A fresh one of the algorithm with this COSE number.
    pub(super) fn fresh(algorithm: i64) -> Self {
        match algorithm {
            -8 => Self::EdDsa(fresh_scalar()),
            _ => Self::Es256(fresh_scalar()),
        }
    }

    /// Signs as CTAP2 wants it: DER, or 64 raw bytes.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Es256(_) => self.es256(message).to_der().as_bytes().to_vec(),
            Self::EdDsa(seed) => ed25519_dalek::SigningKey::from_bytes(seed)
                .sign(message)
                .to_bytes()
                .to_vec(),
        }
    }

    /// r and s, 32 bytes each: IEEE P1363, which CTAP2 does not use.
    pub fn sign_p1363(&self, message: &[u8]) -> Vec<u8> {
        self.es256(message).to_bytes().to_vec()
    }

    fn es256(&self, message: &[u8]) -> Signature {
        let Self::Es256(secret) = self else {
            panic!("an ES256 signature needs an ES256 key");
        };
        p256::ecdsa::SigningKey::from_bytes(&(*secret).into())
            .expect("a scalar below the order")
            .sign(message)
    }

    /// The public half of an `EdDSA` key.
    pub fn public(&self) -> [u8; 32] {
        let Self::EdDsa(seed) = self else {
            panic!("an EdDSA key has one");
        };
        ed25519_dalek::SigningKey::from_bytes(seed)
            .verifying_key()
            .to_bytes()
    }

    /// The `COSE_Key` of its public half.
    fn cose(&self) -> Value {
        match self {
            Self::Es256(secret) => {
                let key = p256::SecretKey::from_slice(secret).expect("a scalar below the order");
                let sec1 = key.public_key().to_sec1_bytes();
                es256_cose(&sec1[1..33], &sec1[33..65])
            }
            Self::EdDsa(_) => eddsa_cose(&self.public()),
        }
    }
}

/// A number far below the order of P-256, and not zero.
pub(super) fn fresh_scalar() -> [u8; 32] {
    let mut scalar = [0; 32];
    getrandom::fill(&mut scalar).expect("random bytes");
    scalar[0] &= 0x7F;
    scalar[31] |= 1;
    scalar
}

/// The `COSE_Key` of an ES256 point with these coordinates, whatever they are.
fn es256_cose(x: &[u8], y: &[u8]) -> Value {
    cbor_map! { 1 => 2, 3 => -7, -1 => 1, -2 => x.to_vec(), -3 => y.to_vec() }
}

fn eddsa_cose(x: &[u8]) -> Value {
    cbor_map! { 1 => 1, 3 => -8, -1 => 6, -2 => x.to_vec() }
}

/// A credential that the key holds.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its id.
    pub id: Vec<u8>,
    /// Its private key.
    pub key: KeyPair,
    /// Whom it is for.
    pub rp_id: String,
}

/// How a signature is made.
pub type Form = Arc<dyn Fn(&KeyPair, &[u8]) -> Vec<u8> + Send + Sync>;

/// An assertion that is not signed yet.
pub struct Assertion {
    /// Member 0x01, the credential that answers.
    pub credential_id: Option<Vec<u8>>,
    /// Authenticator data: the first 32 bytes.
    pub rp_id_hash: Vec<u8>,
    /// The flags.
    pub flags: u8,
    /// The four bytes of the counter.
    pub counter: Vec<u8>,
    /// What follows the counter.
    pub behind: Vec<u8>,
    /// The clientDataHash that is signed.
    pub client_data_hash: Vec<u8>,
    /// By which key.
    pub key: KeyPair,
    /// And how.
    pub form: Form,
    /// Further members of the answer, by their numbers.
    pub more: Vec<(u64, Value)>,
    /// For lies: every id that was asked for.
    pub asked: Vec<Vec<u8>>,
    /// For lies: every clientDataHash it was to sign before, the latest last.
    pub before: Vec<Vec<u8>>,
}

impl Assertion {
    /// Signs in another way.
    pub fn signed(&mut self, form: impl Fn(&KeyPair, &[u8]) -> Vec<u8> + Send + Sync + 'static) {
        self.form = Arc::new(form);
    }

    /// The answer's map.
    pub(super) fn answer(self) -> Value {
        let counter = self.counter;
        let data = [&self.rp_id_hash[..], &[self.flags], &counter, &self.behind].concat();
        let signature = (self.form)(&self.key, &[&data[..], &self.client_data_hash].concat());
        let id = self
            .credential_id
            .map(|id| cbor_map! { "id" => id, "type" => "public-key" });
        let own = [
            (1, id),
            (2, Some(Value::byte_string(data))),
            (3, Some(Value::byte_string(signature))),
        ];
        let own = own.into_iter().filter_map(|(n, value)| Some((n, value?)));
        Value::map(
            own.chain(self.more)
                .map(|(number, value)| (Value::unsigned(number), value))
                .collect(),
        )
    }
}

/// A credential that has not been attested yet.
pub struct NewCredential {
    /// Authenticator data: the first 32 bytes.
    pub rp_id_hash: Vec<u8>,
    /// The flags.
    pub flags: u8,
    /// Its id.
    pub credential_id: Vec<u8>,
    /// Its `COSE_Key`, written.
    pub cose_key: Vec<u8>,
    /// What follows that.
    pub behind: Vec<u8>,
    /// The clientDataHash that is signed.
    pub client_data_hash: Vec<u8>,
    /// By which key.
    pub key: KeyPair,
    /// What the statement says its algorithm is.
    pub algorithm: i64,
    /// How it is signed.
    pub form: Form,
}

impl NewCredential {
    pub(super) fn of(key: KeyPair, rp_id: &str, id: &[u8], hash: &[u8], flags: u8) -> Self {
        Self {
            rp_id_hash: Sha256::digest(rp_id).to_vec(),
            flags,
            credential_id: id.to_vec(),
            cose_key: written(key.cose()),
            behind: Vec::new(),
            client_data_hash: hash.to_vec(),
            key,
            algorithm: match key {
                KeyPair::Es256(_) => -7,
                KeyPair::EdDsa(_) => -8,
            },
            form: Arc::new(KeyPair::sign),
        }
    }

    /// Claims a public key with these coordinates.
    pub fn claims_es256(&mut self, x: &[u8], y: &[u8]) {
        self.cose_key = written(es256_cose(x, y));
    }

    /// Claims this Ed25519 public key.
    pub fn claims_eddsa(&mut self, x: &[u8]) {
        self.cose_key = written(eddsa_cose(x));
    }

    /// The answer's map: packed, attested by itself.
    pub(super) fn answer(self) -> Value {
        let length = u16::try_from(self.credential_id.len()).expect("an id has at most 1023 bytes");
        let data = [
            &self.rp_id_hash[..],
            &[self.flags],
            &[0; 4],  // the counter
            &[0; 16], // the AAGUID of a key that does not say
            &length.to_be_bytes(),
            &self.credential_id,
            &self.cose_key,
            &self.behind,
        ]
        .concat();
        let signature = (self.form)(&self.key, &[&data[..], &self.client_data_hash].concat());
        cbor_map! {
            1 => "packed",
            2 => data,
            3 => cbor_map! { "alg" => self.algorithm, "sig" => signature },
        }
    }
}

pub(super) fn written(value: Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    sk_cbor::write(value, &mut bytes).expect("a value can be written");
    bytes
}

//! The key's side of its PIN: PIN/UV auth protocols one and two (CTAP 2.1 §6.5.6, §6.5.7).

#![forbid(unsafe_code)]

use aes::Aes256;
use aes::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use p256::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};
use sk_cbor::{Value, cbor_map};

use super::credential::{fresh_scalar, written};
use super::secrets;
use crate::memory::Needle;
use crate::virtual_key::request::Request;

/// Wrong PINs that it takes.
const MOST_TRIES: u8 = 8;

mod status {
    pub(super) const PIN_INVALID: u8 = 0x31;
    pub(super) const PIN_BLOCKED: u8 = 0x32;
    pub(super) const PIN_NOT_SET: u8 = 0x35;
    pub(super) const INVALID_PARAMETER: u8 = 0x02;
}

/// The PIN, and what was made of it last.
pub(super) struct PinKeeper {
    pin: Option<String>,
    pub(super) tries_left: u8,
    /// The protocols it offers, the preferred one first.
    pub(super) protocols: &'static [u8],
    agreement: SecretKey,
    token: [u8; 32],
    pub(super) secrets: Vec<Needle>,
}

impl Default for PinKeeper {
    fn default() -> Self {
        let secret = fresh_scalar();
        let mut token = [0; 32];
        getrandom::fill(&mut token).expect("random bytes");
        Self {
            pin: None,
            tries_left: MOST_TRIES,
            protocols: &[2, 1],
            agreement: SecretKey::from_slice(&secret).expect("a scalar below the order"),
            token,
            secrets: Vec::new(),
        }
    }
}

impl PinKeeper {
    pub(super) fn set(&mut self, pin: &str) {
        self.pin = Some(pin.to_owned());
    }

    pub(super) fn is_set(&self) -> bool {
        self.pin.is_some()
    }

    /// getKeyAgreement.
    pub(super) fn key_agreement(&self) -> Value {
        let sec1 = self.agreement.public_key().to_sec1_bytes();
        cbor_map! { 1 => cose_key_value(&sec1[1..33], &sec1[33..65]) }
    }

    /// getPINRetries.
    pub(super) fn retries(&self) -> Value {
        cbor_map! { 3 => u64::from(self.tries_left) }
    }

    /// A token for the right PIN, or a status.
    pub(super) fn token(&mut self, request: &Request) -> Result<Value, u8> {
        let pin = self.pin.clone().ok_or(status::PIN_NOT_SET)?;
        if self.tries_left == 0 {
            return Err(status::PIN_BLOCKED);
        }
        let protocol = request.pin_uv_auth_protocol();
        let (theirs, pin_hash_enc) = request.pin_of_host().ok_or(status::INVALID_PARAMETER)?;
        let secret = Secret::agree(&self.agreement, &theirs, protocol)?;
        let digest = Sha256::digest(&pin);
        self.secrets = secrets::of_pin(&pin);
        self.secrets.extend(secret.known());
        self.tries_left -= 1;
        if secret.decrypt(&pin_hash_enc) != digest[..16] {
            return Err(status::PIN_INVALID);
        }
        self.tries_left = MOST_TRIES;
        self.secrets
            .extend(secrets::of_hmac("the token", &self.token));
        Ok(cbor_map! { 2 => secret.encrypt(&self.token) })
    }

    /// Whether this request shows that its sender has the token.
    pub(super) fn verifies(&self, param: &[u8], hash: &[u8]) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.token).expect("any length is a key");
        mac.update(hash);
        let mac = mac.finalize().into_bytes();
        matches!(param.len(), 16 | 32) && mac.starts_with(param)
    }
}

/// The `COSE_Key` of a key agreement, written, with these coordinates, whatever they are.
pub fn cose_key(x: &[u8], y: &[u8]) -> Vec<u8> {
    written(cose_key_value(x, y))
}

fn cose_key_value(x: &[u8], y: &[u8]) -> Value {
    cbor_map! { 1 => 2, 3 => -25, -1 => 1, -2 => x.to_vec(), -3 => y.to_vec() }
}

struct Secret {
    protocol: u64,
    aes_key: [u8; 32],
    z: Vec<u8>,
}

impl Secret {
    fn agree(ours: &SecretKey, theirs: &[u8], protocol: Option<u64>) -> Result<Self, u8> {
        let theirs = PublicKey::from_sec1_bytes(theirs).map_err(|_| status::INVALID_PARAMETER)?;
        let shared = ours.diffie_hellman(&theirs);
        let z = shared.raw_secret_bytes().to_vec();
        let mut aes_key = [0; 32];
        match protocol {
            Some(1) => aes_key = Sha256::digest(&z).into(),
            Some(2) => Hkdf::<Sha256>::new(Some(&[0; 32]), &z)
                .expand(b"CTAP2 AES key", &mut aes_key)
                .expect("32 bytes can be derived"),
            _ => return Err(status::INVALID_PARAMETER),
        }
        Ok(Self {
            protocol: protocol.unwrap_or_default(),
            aes_key,
            z,
        })
    }

    fn decrypt(&self, message: &[u8]) -> Vec<u8> {
        let (iv, encrypted) = match self.protocol {
            1 => ([0; 16], message),
            _ => match message.split_first_chunk::<16>() {
                Some((iv, rest)) => (*iv, rest),
                None => return Vec::new(),
            },
        };
        let mut cipher = cbc::Decryptor::<Aes256>::new(&self.aes_key.into(), &iv.into());
        let mut plain = Vec::new();
        for block in encrypted.chunks_exact(16) {
            let mut block = Block::<Aes256>::try_from(block).expect("sixteen bytes");
            cipher.decrypt_block(&mut block);
            plain.extend_from_slice(&block);
        }
        plain
    }

    fn encrypt(&self, plain: &[u8]) -> Vec<u8> {
        let mut iv = [0; 16];
        let mut message = Vec::new();
        if self.protocol == 2 {
            getrandom::fill(&mut iv).expect("random bytes");
            message.extend_from_slice(&iv);
        }
        let mut cipher = cbc::Encryptor::<Aes256>::new(&self.aes_key.into(), &iv.into());
        for block in plain.chunks_exact(16) {
            let mut block = Block::<Aes256>::try_from(block).expect("sixteen bytes");
            cipher.encrypt_block(&mut block);
            message.extend_from_slice(&block);
        }
        message
    }

    /// What its other end must forget.
    fn known(&self) -> Vec<Needle> {
        secrets::of_agreement(&self.z, self.protocol, &self.aes_key)
    }
}

//! A key of either character: what it holds, what it is like, and what it
//! answers while it is honest.
#![forbid(unsafe_code)]

use std::convert::Infallible;

use aes::Aes256;
use aes::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use minicbor::encode::{Encoder, Error};
use p256::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};

use super::request::Request;
use crate::honest_key::{HonestKey, RELYING_PARTY, authenticator_data};
use crate::input::Input;

pub(super) const PIN: &[u8] = b"1234";

/// CTAP2 status codes (CTAP 2.1 §8.2).
const SUCCESS: u8 = 0x00;
const INVALID_COMMAND: u8 = 0x01;
const CREDENTIAL_EXCLUDED: u8 = 0x19;
const NO_CREDENTIALS: u8 = 0x2e;
const PIN_INVALID: u8 = 0x31;
const PIN_AUTH_INVALID: u8 = 0x33;
const PUAT_REQUIRED: u8 = 0x36;

const TOKEN: [u8; 32] = [0x55; 32];

/// What a key is like: options and limits of its getInfo.
#[derive(Clone, Copy)]
pub(super) struct Character(pub(super) u16);

impl Character {
    fn has(self, bit: u16) -> bool {
        self.0 & 1 << bit != 0
    }

    fn verifies_by_itself(self) -> bool {
        self.has(1)
    }

    fn verifies_always(self) -> bool {
        self.has(4)
    }

    /// One, two or both, or not said.
    fn protocols(self) -> &'static [u8] {
        [&[][..], &[1], &[2], &[2, 1]][usize::from(self.0 >> 7 & 0x03)]
    }

    /// Whether some of its reports may be shorter than reports are.
    pub(super) fn sends_short_reports(self) -> bool {
        self.has(12)
    }

    /// INIT's capabilities: CBOR, or only U2F.
    pub(super) fn capabilities(self) -> u8 {
        if self.has(13) { 0x00 } else { 0x0c }
    }

    fn info(self) -> Vec<u8> {
        answer(|e| {
            let protocols = self.protocols();
            let (few_ids, forced, algorithms) = (self.has(9), self.has(10), self.has(11));
            let long_pin = self.has(14);
            let more = u64::from(!protocols.is_empty())
                + u64::from(few_ids)
                + u64::from(forced)
                + u64::from(algorithms)
                + u64::from(long_pin);
            e.map(3 + more)?;
            let version = if self.has(0) { "FIDO_2_0" } else { "FIDO_2_1" };
            e.u8(0x01)?.array(2)?.str(version)?.str("U2F_V2")?;
            e.u8(0x03)?.bytes(&[0xaa; 16])?;
            let options = [
                ("uv", self.verifies_by_itself()),
                ("clientPin", self.has(2)),
                ("pinUvAuthToken", self.has(3)),
                ("alwaysUv", self.verifies_always()),
                ("makeCredUvNotRqd", self.has(5)),
                ("noMcGaPermissionsWithClientPin", self.has(6)),
            ];
            let set = options.iter().filter(|(_, set)| *set);
            e.u8(0x04)?.map(set.clone().count() as u64)?;
            for (name, set) in set {
                e.str(name)?.bool(*set)?;
            }
            if !protocols.is_empty() {
                e.u8(0x06)?.array(protocols.len() as u64)?;
                for protocol in protocols {
                    e.u8(*protocol)?;
                }
            }
            if few_ids {
                e.u8(0x07)?.u8(1)?;
            }
            if algorithms {
                e.u8(0x0a)?.array(1)?.map(2)?;
                e.str("alg")?.i8(-7)?.str("type")?.str("public-key")?;
            }
            if forced {
                e.u8(0x0c)?.bool(true)?;
            }
            if long_pin {
                e.u8(0x0d)?.u8(6)?;
            }
            Ok(())
        })
    }
}

/// What was signed, by which key, over which hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) stick: usize,
    pub(super) credential_id: Vec<u8>,
    pub(super) data: Vec<u8>,
    pub(super) hash: [u8; 32],
}

pub(super) struct Stick {
    pub(super) number: usize,
    pub(super) character: Character,
    pub(super) key: &'static HonestKey,
    counter: u32,
    agreement: SecretKey,
}

impl Stick {
    pub(super) fn new(number: usize, character: Character, key: &'static HonestKey) -> Self {
        let scalar = SecretKey::from_slice(&[0x21; 32]);
        Self {
            number,
            character,
            key,
            counter: 7,
            agreement: scalar.expect("a scalar"),
        }
    }

    /// The honest answer, and what was signed in it.
    pub(super) fn answer(&mut self, request: &Request<'_>) -> (Vec<u8>, Option<Signed>) {
        match request.command {
            0x01 => (self.make_credential(request), None),
            0x02 => self.get_assertion(request),
            0x04 => (self.character.info(), None),
            0x06 => (self.client_pin(request), None),
            0x0b => (vec![SUCCESS], None),
            _ => (vec![INVALID_COMMAND], None),
        }
    }

    fn holds(&self, id: &[u8]) -> bool {
        self.key.credential.id.as_bytes() == id
    }

    fn get_assertion(&mut self, request: &Request<'_>) -> (Vec<u8>, Option<Signed>) {
        if !request.ids(0x03).iter().any(|id| self.holds(id)) {
            return (vec![NO_CREDENTIALS], None);
        }
        let touched = request.option(0x05, "up") != Some(false);
        let hash = request.hash(0x02);
        let verified = match self.verified(request, 0x05, 0x06, &hash) {
            Ok(verified) => verified,
            Err(status) => return (vec![status], None),
        };
        if touched && !verified && self.character.verifies_always() {
            return (vec![PUAT_REQUIRED], None);
        }
        self.counter += 1;
        let rp_id_hash = Sha256::digest(request.text(0x01).expect("a relying party")).into();
        let flags = u8::from(touched) | u8::from(verified) << 2;
        let data = authenticator_data(&rp_id_hash, flags, self.counter);
        let id = self.key.credential.id.as_bytes();
        let (answer, signed) = self.sign(self.key, Some(id), data, hash);
        (answer, Some(signed))
    }

    /// An assertion that says what it is told to, by whatever key.
    pub(super) fn sign(
        &self,
        key: &HonestKey,
        named: Option<&[u8]>,
        data: Vec<u8>,
        hash: [u8; 32],
    ) -> (Vec<u8>, Signed) {
        let assertion = key.assert(data, &hash);
        let message = answer(|e| {
            e.map(if named.is_some() { 3 } else { 2 })?;
            if let Some(id) = named {
                e.u8(0x01)?.map(2)?.str("id")?.bytes(id)?;
                e.str("type")?.str("public-key")?;
            }
            e.u8(0x02)?.bytes(&assertion.authenticator_data)?;
            e.u8(0x03)?.bytes(&assertion.signature)?;
            Ok(())
        });
        let signed = Signed {
            stick: self.number,
            credential_id: key.credential.id.as_bytes().to_vec(),
            data: assertion.authenticator_data,
            hash,
        };
        (message, signed)
    }

    /// Whether the person is verified, by the option `uv` or by a token.
    fn verified(
        &self,
        request: &Request<'_>,
        options: u8,
        param: u8,
        hash: &[u8; 32],
    ) -> Result<bool, u8> {
        let Some(proof) = request.bytes(param) else {
            let asked = request.option(options, "uv") == Some(true);
            return Ok(asked && self.character.verifies_by_itself());
        };
        // §6.1.2, step 1: an empty one asks for a touch alone.
        if proof.is_empty() {
            return Err(PIN_INVALID);
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(&TOKEN).expect("a key");
        mac.update(hash);
        let mac = mac.finalize().into_bytes();
        let length = match request.number(param + 1) {
            Some(1) => 16,
            _ => 32,
        };
        if proof == &mac[..length] {
            Ok(true)
        } else {
            Err(PIN_AUTH_INVALID)
        }
    }

    fn make_credential(&mut self, request: &Request<'_>) -> Vec<u8> {
        if request.ids(0x05).iter().any(|id| self.holds(id)) {
            return vec![CREDENTIAL_EXCLUDED];
        }
        let hash = request.hash(0x01);
        let verified = match self.verified(request, 0x07, 0x08, &hash) {
            Ok(verified) => verified,
            Err(status) => return vec![status],
        };
        let flags = 0x41 | u8::from(verified) << 2;
        let rp_id_hash = Sha256::digest(RELYING_PARTY).into();
        let mut data = authenticator_data(&rp_id_hash, flags, self.counter);
        data.extend([0xaa; 16]);
        data.extend([0, 3, 0x1d, 0x1d, 0x1d]);
        data.extend(self.key.cose_key());
        let signature = self.key.sign(&[&data[..], &hash].concat());
        answer(|e| {
            e.map(3)?.u8(0x01)?.str("packed")?;
            e.u8(0x02)?.bytes(&data)?;
            e.u8(0x03)?.map(2)?;
            e.str("alg")?.i64(self.key.algorithm.cose())?;
            e.str("sig")?.bytes(&signature)?;
            Ok(())
        })
    }

    fn client_pin(&self, request: &Request<'_>) -> Vec<u8> {
        match request.number(0x02) {
            Some(0x01) => answer(|e| e.map(1)?.u8(0x03)?.u8(8)?.ok()),
            Some(0x02) => {
                let sec1 = self.agreement.public_key().to_sec1_bytes();
                let (x, y) = sec1[1..].split_at(32);
                answer(|e| {
                    e.map(1)?.u8(0x01)?.map(5)?;
                    e.u8(1)?.u8(2)?.u8(3)?.i8(-25)?.i8(-1)?.u8(1)?;
                    e.i8(-2)?.bytes(x)?.i8(-3)?.bytes(y)?.ok()
                })
            }
            // By PIN, of CTAP 2.0 and of 2.1.
            Some(0x05 | 0x09) => {
                let agreed = Agreed::with(&self.agreement, request);
                let hash = agreed.decrypted(request.bytes(0x06).expect("a PIN's hash"));
                if hash == Sha256::digest(PIN)[..16] {
                    agreed.token()
                } else {
                    vec![PIN_INVALID]
                }
            }
            // By the key's own check.
            Some(0x06) => Agreed::with(&self.agreement, request).token(),
            _ => vec![INVALID_COMMAND],
        }
    }
}

/// What key and host have agreed on (§6.5.6, §6.5.7).
struct Agreed {
    aes_key: [u8; 32],
    with_vector: bool,
}

impl Agreed {
    fn with(ours: &SecretKey, request: &Request<'_>) -> Self {
        let (x, y) = request.cose_key(0x03).expect("the host's half");
        let sec1 = [&[0x04], &x[..], &y].concat();
        let theirs = PublicKey::from_sec1_bytes(&sec1).expect("a point");
        let shared = ours.diffie_hellman(&theirs);
        let z: &[u8] = shared.raw_secret_bytes().as_ref();
        let with_vector = request.number(0x01) == Some(2);
        let mut aes_key = [0; 32];
        if with_vector {
            Hkdf::<Sha256>::new(Some(&[0; 32]), z)
                .expand(b"CTAP2 AES key", &mut aes_key)
                .expect("32 bytes");
        } else {
            aes_key.copy_from_slice(&Sha256::digest(z));
        }
        Self {
            aes_key,
            with_vector,
        }
    }

    fn decrypted(&self, bytes: &[u8]) -> Vec<u8> {
        let (iv, blocks) = if self.with_vector {
            let (iv, blocks) = bytes.split_first_chunk().expect("a vector");
            (*iv, blocks)
        } else {
            ([0; 16], bytes)
        };
        let mut cipher = cbc::Decryptor::<Aes256>::new(&self.aes_key.into(), &iv.into());
        let mut plain = Vec::new();
        for chunk in blocks.chunks(16) {
            let mut block = Block::<Aes256>::try_from(chunk).expect("whole blocks");
            cipher.decrypt_block(&mut block);
            plain.extend_from_slice(&block);
        }
        plain
    }

    fn token(&self) -> Vec<u8> {
        let iv = [0; 16];
        let mut encrypted = if self.with_vector {
            iv.to_vec()
        } else {
            Vec::new()
        };
        let mut cipher = cbc::Encryptor::<Aes256>::new(&self.aes_key.into(), &iv.into());
        for chunk in TOKEN.chunks(16) {
            let mut block = Block::<Aes256>::try_from(chunk).expect("whole blocks");
            cipher.encrypt_block(&mut block);
            encrypted.extend_from_slice(&block);
        }
        answer(|e| e.map(1)?.u8(0x02)?.bytes(&encrypted)?.ok())
    }
}

type Encoded<'a> = Encoder<&'a mut Vec<u8>>;

/// A successful answer.
fn answer(write: impl FnOnce(&mut Encoded<'_>) -> Result<(), Error<Infallible>>) -> Vec<u8> {
    let mut message = vec![SUCCESS];
    write(&mut Encoder::new(&mut message)).expect("memory");
    message
}

pub(super) fn says(input: &mut Input<'_>) -> (u8, u32) {
    (input.byte(), u32::from_be_bytes(input.array()))
}

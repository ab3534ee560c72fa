//! New credentials, from keys that say what they are told to, with statements
//! and certificates that were changed on the way.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use ceremony::attestation::{Kind, NewCredential, verify};
use ceremony::authenticator::ctap2::AttestationObject;
use ceremony::relying_party::RelyingPartyId;
use minicbor::Encoder;
use p256::ecdsa::signature::Signer;
use sha2::{Digest, Sha256};

use crate::honest_key::{EDDSA, ES256, HonestKey, RELYING_PARTY, authenticator_data};
use crate::input::Input;

const HASH: [u8; 32] = [0x77; 32];

/// The bench's batch certificate, and the key behind it.
const CERTIFICATE: &[u8] = include_bytes!("../../tests/data/attestation.der");
static BATCH: LazyLock<p256::ecdsa::SigningKey> = LazyLock::new(|| {
    let secret = include_bytes!("../../tests/data/attestation.key");
    p256::ecdsa::SigningKey::from_bytes(&(*secret).into()).expect("a scalar")
});

static HERE: LazyLock<RelyingPartyId> =
    LazyLock::new(|| RelyingPartyId::parse(RELYING_PARTY).expect("a relying party"));

/// A new credential, told by the input.
pub(crate) fn attestation(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choices = input.byte();
    let [key, _] = if choices & 0x01 == 0 {
        &*ES256
    } else {
        &*EDDSA
    };
    let told = Told::by(&mut input, key);
    let (format, statement) = statement(choices >> 1 & 0x07, &mut input, key, &told.signed);
    let mut object = AttestationObject {
        format,
        authenticator_data: told.data.clone(),
        statement: statement.bytes,
    };
    let spoilt = input.spoil(&mut object.statement)
        | input.spoil(&mut object.authenticator_data)
        | statement.spoilt;
    match verify(&object, &HASH, &*HERE, key.algorithm, None) {
        Ok(credential) => told.is_what_was_accepted(&credential, &object, statement.vouches),
        Err(why) => {
            assert!(!why.to_string().is_empty());
            let honest = told.is_lawful() && statement.vouches != Vouches::Nothing;
            assert!(spoilt || !honest, "refused an honest credential: {why}");
        }
    }
}

/// What a key says of a new credential, before anything happens to it.
struct Told {
    data: Vec<u8>,
    /// The same with the hash behind it.
    signed: Vec<u8>,
    flags: u8,
    model: [u8; 16],
    id: Vec<u8>,
    cose_key: Vec<u8>,
    spoilt: bool,
}

impl Told {
    fn by(input: &mut Input<'_>, key: &HonestKey) -> Self {
        let flags = input.byte() | 0x40;
        let counter = u32::from_be_bytes(input.array());
        let model = [input.byte(); 16];
        let id = vec![0x1d; input.number() % 1100];
        let cose_key = key.cose_key();
        let rp_id_hash: [u8; 32] = Sha256::digest(RELYING_PARTY).into();
        let length = u16::try_from(id.len()).expect("a short id");
        let mut data = authenticator_data(&rp_id_hash, flags, counter);
        data.extend([&model[..], &length.to_be_bytes(), &id, &cose_key].concat());
        data.extend(input.counted());
        let spoilt = data.len() != 37 + 18 + id.len() + cose_key.len();
        let spoilt = input.spoil(&mut data) | spoilt;
        Self {
            signed: [&data[..], &HASH].concat(),
            data,
            flags,
            model,
            id,
            cose_key,
            spoilt,
        }
    }

    fn is_lawful(&self) -> bool {
        let (up, be, bs, ed) = (
            self.flags & 0x01 != 0,
            self.flags & 0x08 != 0,
            self.flags & 0x10 != 0,
            self.flags & 0x80 != 0,
        );
        !self.spoilt && up && (be || !bs) && !ed && (1..=1023).contains(&self.id.len())
    }

    fn is_what_was_accepted(
        &self,
        credential: &NewCredential,
        object: &AttestationObject,
        vouches: Vouches,
    ) {
        let data = &object.authenticator_data;
        assert_eq!(data[..32], Sha256::digest(RELYING_PARTY)[..]);
        assert_eq!(data[32], credential.flags.0);
        assert!(credential.flags.user_present());
        assert!(credential.flags.backup_eligible() || !credential.flags.backup_state());
        // What is accepted stands in the bytes that came, and nothing else does.
        let id = credential.id.as_bytes();
        assert_eq!(data[37..53], credential.aaguid.0);
        assert_eq!(data[55..55 + id.len()], *id);
        if *data == self.data && !self.spoilt {
            assert_eq!((credential.aaguid.0, id), (self.model, &self.id[..]));
            assert!(data.ends_with(&self.cose_key));
        }
        // Nobody is taken to vouch but who signed what arrived.
        match credential.attestation {
            Kind::PackedSelf => assert_eq!(vouches, Vouches::Itself),
            Kind::PackedX5c => assert_eq!(vouches, Vouches::Batch),
            Kind::None | Kind::Unread => return,
        }
        assert_eq!(*data, self.data, "a signature over other bytes");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Vouches {
    /// Not well-formed, or by a certificate that may be none.
    Nothing,
    Nobody,
    Itself,
    Batch,
}

struct Statement {
    bytes: Vec<u8>,
    vouches: Vouches,
    spoilt: bool,
}

/// A statement over `signed`, and its format.
fn statement(
    kind: u8,
    input: &mut Input<'_>,
    key: &HonestKey,
    signed: &[u8],
) -> (String, Statement) {
    let plain = |bytes: &[u8], vouches| Statement {
        bytes: bytes.to_vec(),
        vouches,
        spoilt: false,
    };
    let (format, statement) = match kind {
        0 => ("none", plain(&[0xa0], Vouches::Nobody)),
        1 => ("none", plain(input.counted(), Vouches::Nothing)),
        2 => {
            let bytes = packed(key.algorithm.cose(), &key.sign(signed), &[]);
            ("packed", plain(&bytes, Vouches::Itself))
        }
        3 => {
            let mut certificate = CERTIFICATE.to_vec();
            let spoilt = input.spoil(&mut certificate);
            let bytes = packed(-7, &by_batch(signed), &[&certificate]);
            let vouches = Vouches::Batch;
            (
                "packed",
                Statement {
                    bytes,
                    vouches,
                    spoilt,
                },
            )
        }
        // A whole certificate of the input's.
        4 => {
            let length = input.number();
            let bytes = packed(-7, &by_batch(signed), &[input.take(length)]);
            let (vouches, spoilt) = (Vouches::Batch, true);
            (
                "packed",
                Statement {
                    bytes,
                    vouches,
                    spoilt,
                },
            )
        }
        5 => {
            let (algorithm, signature) = (i64::from(input.byte()) - 128, input.counted());
            let chain = [input.counted(), input.counted()];
            let bytes = packed(
                algorithm,
                signature,
                &chain[..usize::from(input.byte() % 3)],
            );
            ("packed", plain(&bytes, Vouches::Nothing))
        }
        6 => ("packed", plain(input.counted(), Vouches::Nothing)),
        _ => ("fido-u2f", plain(input.counted(), Vouches::Nobody)),
    };
    (format.to_owned(), statement)
}

fn by_batch(signed: &[u8]) -> Vec<u8> {
    let signature: p256::ecdsa::Signature = BATCH.sign(signed);
    signature.to_der().as_bytes().to_vec()
}

fn packed(algorithm: i64, signature: &[u8], certificates: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut e = Encoder::new(&mut bytes);
    let members = if certificates.is_empty() { 2 } else { 3 };
    e.map(members).expect("memory");
    e.str("alg")
        .expect("memory")
        .i64(algorithm)
        .expect("memory");
    e.str("sig")
        .expect("memory")
        .bytes(signature)
        .expect("memory");
    if !certificates.is_empty() {
        let many = certificates.len() as u64;
        e.str("x5c").expect("memory").array(many).expect("memory");
        for certificate in certificates {
            e.bytes(certificate).expect("memory");
        }
    }
    bytes
}

//! The attestation file: what vouches for an SSH key, in OpenSSH's own format
//! (`PROTOCOL.u2f`, `ssh-sk-attest-v01`).
//!
//! ```text
//! string   "ssh-sk-attest-v01"
//! string   the certificate that signed (DER); empty where there is none
//! string   the signature
//! string   authenticator data, as a CBOR byte string
//! uint32   0
//! string   reserved
//! ```
//!
//! OpenSSH has no member for the rest: the statement's format, the certificates
//! above the first, the challenge, and whose key it is. That stands in the
//! reserved string, one line of JSON ([`Note`]). ssh-keygen leaves the string
//! empty, and whoever reads its files passes over it. So one file serves both,
//! and what it says twice must agree.
#![forbid(unsafe_code)]

use std::fmt;

use base64ct::{Base64, Encoding};
use ceremony::attestation::{NewCredential, Packed};
use ceremony::authenticator::ctap2::AttestationObject;
use ceremony::public_key::{Algorithm, InvalidPublicKey, PublicKey};
use ceremony::ssh_application::SshApplication;
use minicbor::{Decoder, Encoder};
use serde::{Deserialize, Serialize};

/// What the file begins with.
const MAGIC: &[u8] = b"ssh-sk-attest-v01";

/// What it began with in OpenSSH 8.2 and 8.3.
const MAGIC_OF_OLD: &[u8] = b"ssh-sk-attest-v00";

/// What it begins with in any version.
const MAGIC_OF_ANY: &[u8] = b"ssh-sk-attest-v";

/// The longest file, in bytes. Room for the longest challenge in base64 (87 KiB)
/// and all that a key can say.
pub(crate) const LARGEST: usize = 256 * 1024;

/// The longest challenge, in bytes.
pub(crate) const LONGEST_CHALLENGE: usize = 65_536;

/// The longest certificate, signature and authenticator data, in bytes: a key
/// says all three in one message, which has at most 7609 (CTAP 2.1 §11.2.4).
const LONGEST_MEMBER: usize = 8 * 1024;

/// The version of [`Note`].
const NOTE_VERSION: u64 = 1;

/// What the reserved string says.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Note {
    version: u64,
    /// The attestation statement's format (WebAuthn §8).
    format: String,
    /// The statement as it arrived, in base64.
    statement: String,
    /// What the key was given to sign, in base64; it signed its SHA-256.
    challenge: String,
    application: String,
    /// A line of OpenSSH text.
    public_key: String,
}

/// The file for a new key, which was made over `challenge`.
pub(crate) fn contents(
    made: &NewCredential<SshApplication>,
    challenge: &[u8],
) -> Result<Vec<u8>, NotWritten> {
    if !(1..=LONGEST_CHALLENGE).contains(&challenge.len()) {
        return Err(NotWritten::Challenge);
    }
    let object = &made.object;
    let (certificate, signature) = pieces(&object.format, &object.statement);
    let note = Note {
        version: NOTE_VERSION,
        format: object.format.clone(),
        statement: Base64::encode_string(&object.statement),
        challenge: Base64::encode_string(challenge),
        application: made.public_key.relying_party().to_string(),
        public_key: made.public_key.to_openssh().map_err(NotWritten::Key)?,
    };
    let note = serde_json::to_vec(&note).map_err(|_| NotWritten::TooLong)?;
    let mut data = Vec::new();
    Encoder::new(&mut data)
        .bytes(&object.authenticator_data)
        .map_err(|_| NotWritten::TooLong)?;

    let mut file = Vec::new();
    put(&mut file, MAGIC)?;
    for member in [certificate, signature, &data] {
        if member.len() > LONGEST_MEMBER {
            return Err(NotWritten::TooLong);
        }
        put(&mut file, member)?;
    }
    file.extend(0_u32.to_be_bytes());
    put(&mut file, &note)?;
    if file.len() > LARGEST {
        return Err(NotWritten::TooLong);
    }
    Ok(file)
}

/// The first certificate and the signature, as OpenSSH keeps them; empty where
/// the statement has none, or is in a format that is not read.
fn pieces<'s>(format: &str, statement: &'s [u8]) -> (&'s [u8], &'s [u8]) {
    let packed = (format == "packed").then(|| Packed::parse(statement));
    match packed.flatten() {
        Some(packed) => (
            packed.certificates.first().copied().unwrap_or_default(),
            packed.signature,
        ),
        None => (&[], &[]),
    }
}

/// A string of SSH (RFC 4251 §5).
fn put(file: &mut Vec<u8>, bytes: &[u8]) -> Result<(), NotWritten> {
    let length = u32::try_from(bytes.len()).map_err(|_| NotWritten::TooLong)?;
    file.extend(length.to_be_bytes());
    file.extend(bytes);
    Ok(())
}

/// Why a new key has no attestation file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotWritten {
    /// A challenge of a length that nobody reads.
    Challenge,
    /// More than a file holds.
    TooLong,
    /// The public key has no form in OpenSSH.
    Key(InvalidPublicKey),
}

impl std::error::Error for NotWritten {}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Challenge => write!(f, "a challenge has 1 to {LONGEST_CHALLENGE} bytes"),
            Self::TooLong => write!(f, "what vouches for the key is too long for a file"),
            Self::Key(problem) => problem.fmt(f),
        }
    }
}

/// An attestation file, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AttestationFile {
    /// As they were signed.
    pub(crate) authenticator_data: Vec<u8>,
    statement: Statement,
    /// What OpenSSH has no member for; none in a file of ssh-keygen's.
    pub(crate) noted: Option<Noted>,
}

#[derive(Debug, PartialEq, Eq)]
enum Statement {
    /// As it arrived.
    Whole { format: String, statement: Vec<u8> },
    /// What OpenSSH keeps of it.
    Pieces {
        certificate: Vec<u8>,
        signature: Vec<u8>,
    },
}

/// What the file says of the key, beyond what vouches for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    /// What the key was given to sign.
    pub(crate) challenge: Vec<u8>,
    /// The key, bound to its application.
    pub(crate) public_key: PublicKey<SshApplication>,
}

impl AttestationFile {
    /// Takes a file apart. What it says twice agrees; nothing else is judged.
    pub(crate) fn parse(file: &[u8]) -> Result<Self, Unreadable> {
        if file.len() > LARGEST {
            return Err(Unreadable::TooLarge);
        }
        let mut rest = file;
        match string(&mut rest, "magic", MAGIC.len()) {
            Ok(MAGIC) => {}
            Ok(MAGIC_OF_OLD) => return Err(Unreadable::WithoutAuthenticatorData),
            Ok(later) if later.starts_with(MAGIC_OF_ANY) => return Err(Unreadable::Later),
            _ => return Err(Unreadable::NotOne),
        }
        let certificate = string(&mut rest, "certificate", LONGEST_MEMBER)?;
        let signature = string(&mut rest, "signature", LONGEST_MEMBER)?;
        let data = string(&mut rest, "authenticator data", LONGEST_MEMBER)?;
        let (flags, behind) = rest.split_first_chunk().ok_or(Unreadable::Truncated)?;
        rest = behind;
        let reserved = string(&mut rest, "reserved string", LARGEST)?;
        if !rest.is_empty() {
            return Err(Unreadable::LeftOver(rest.len()));
        }
        if u32::from_be_bytes(*flags) != 0 {
            return Err(Unreadable::Later);
        }
        let authenticator_data =
            byte_string(data).ok_or(Unreadable::Strange("authenticator data"))?;
        if reserved.is_empty() {
            return Ok(Self {
                authenticator_data,
                statement: Statement::Pieces {
                    certificate: certificate.to_vec(),
                    signature: signature.to_vec(),
                },
                noted: None,
            });
        }
        let (format, statement, noted) = read_note(reserved)?;
        if pieces(&format, &statement) != (certificate, signature) {
            return Err(Unreadable::Contradiction("certificate and signature"));
        }
        Ok(Self {
            authenticator_data,
            statement: Statement::Whole { format, statement },
            noted: Some(noted),
        })
    }

    /// What the key answered. ssh-keygen does not keep the statement's format nor
    /// how it was signed: *packed* is what security keys send, ES256 what their
    /// certificates sign with, and `algorithm` that of the key itself. A
    /// signature that holds says that it was so.
    pub(crate) fn object(&self, algorithm: Algorithm) -> Option<AttestationObject> {
        let (format, statement) = match &self.statement {
            Statement::Whole { format, statement } => (format.as_str(), statement.clone()),
            Statement::Pieces {
                certificate,
                signature,
            } if certificate.is_empty() && signature.is_empty() => ("none", Vec::new()),
            Statement::Pieces {
                certificate,
                signature,
            } => ("packed", packed(certificate, signature, algorithm)?),
        };
        Some(AttestationObject {
            format: format.to_owned(),
            authenticator_data: self.authenticator_data.clone(),
            statement,
        })
    }
}

/// A statement put together again (WebAuthn §8.2).
fn packed(certificate: &[u8], signature: &[u8], algorithm: Algorithm) -> Option<Vec<u8>> {
    let mut statement = Vec::new();
    let mut e = Encoder::new(&mut statement);
    let (members, signed_with) = if certificate.is_empty() {
        (2, algorithm)
    } else {
        (3, Algorithm::Es256)
    };
    e.map(members).ok()?;
    e.str("alg").ok()?.i64(signed_with.cose()).ok()?;
    e.str("sig").ok()?.bytes(signature).ok()?;
    if !certificate.is_empty() {
        e.str("x5c").ok()?.array(1).ok()?.bytes(certificate).ok()?;
    }
    Some(statement)
}

/// The next string of SSH, of at most `longest` bytes.
fn string<'f>(
    rest: &mut &'f [u8],
    member: &'static str,
    longest: usize,
) -> Result<&'f [u8], Unreadable> {
    let (length, behind) = rest.split_first_chunk().ok_or(Unreadable::Truncated)?;
    let length =
        usize::try_from(u32::from_be_bytes(*length)).map_err(|_| Unreadable::TooLong(member))?;
    if length > longest {
        return Err(Unreadable::TooLong(member));
    }
    let (string, behind) = behind
        .split_at_checked(length)
        .ok_or(Unreadable::Truncated)?;
    *rest = behind;
    Ok(string)
}

/// One CBOR byte string of a known length, and nothing behind it.
fn byte_string(cbor: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = Decoder::new(cbor);
    let bytes = decoder.bytes().ok()?.to_vec();
    (decoder.position() == cbor.len()).then_some(bytes)
}

fn read_note(text: &[u8]) -> Result<(String, Vec<u8>, Noted), Unreadable> {
    const STRANGE: Unreadable = Unreadable::Strange("reserved string");
    #[derive(Deserialize)]
    struct Version {
        version: u64,
    }
    let version: Version = serde_json::from_slice(text).map_err(|_| STRANGE)?;
    if version.version != NOTE_VERSION {
        return Err(Unreadable::Later);
    }
    let note: Note = serde_json::from_slice(text).map_err(|_| STRANGE)?;
    let bytes = |base64: &str| Base64::decode_vec(base64).map_err(|_| STRANGE);
    let challenge = bytes(&note.challenge)?;
    let statement = bytes(&note.statement)?;
    if !(1..=LONGEST_CHALLENGE).contains(&challenge.len()) {
        return Err(Unreadable::TooLong("challenge"));
    }
    if statement.len() > LONGEST_MEMBER || note.format.len() > LONGEST_MEMBER {
        return Err(Unreadable::TooLong("statement"));
    }
    let public_key = public_key(&note.public_key).map_err(|_| STRANGE)?;
    if public_key.relying_party().as_str() != note.application {
        return Err(Unreadable::Contradiction("application and public key"));
    }
    let noted = Noted {
        challenge,
        public_key,
    };
    Ok((note.format, statement, noted))
}

/// The public key in a line of OpenSSH text, with or without a comment.
pub(crate) fn public_key(line: &str) -> Result<PublicKey<SshApplication>, InvalidPublicKey> {
    let key = ssh_key::PublicKey::from_openssh(line)
        .map_err(|problem| InvalidPublicKey::NotOpenSsh(problem.to_string()))?;
    PublicKey::from_key_data(key.key_data(), SshApplication::parse)
}

/// Why a file is none that can be judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// Something else altogether.
    NotOne,
    /// `ssh-sk-attest-v00`.
    WithoutAuthenticatorData,
    /// A format that came after this program, or a use of what was reserved.
    Later,
    /// It ends before it should.
    Truncated,
    /// It goes on after its end, for so many bytes.
    LeftOver(usize),
    /// More than [`LARGEST`] bytes.
    TooLarge,
    /// This member is longer than it can be.
    TooLong(&'static str),
    /// This member is not what it should be.
    Strange(&'static str),
    /// What it says of these inside its note is not what it says outside.
    Contradiction(&'static str),
}

impl Unreadable {
    /// What to do about it.
    pub(crate) fn what_to_do(&self) -> &'static str {
        match self {
            Self::NotOne => {
                "name a file that passkey ssh enroll --attestation or \
                 ssh-keygen -O write-attestation wrote"
            }
            Self::WithoutAuthenticatorData => {
                "nothing can be made of it; make a key anew: passkey ssh enroll --attestation FILE"
            }
            Self::Later => "use the passkey that wrote it, or a newer one",
            Self::Truncated | Self::LeftOver(_) | Self::TooLarge => {
                "get the file once more from whoever made the key"
            }
            Self::TooLong(_) | Self::Strange(_) | Self::Contradiction(_) => {
                "do not rely on it; get the file once more from whoever made the key"
            }
        }
    }
}

impl std::error::Error for Unreadable {}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOne => write!(f, "it is not an attestation file"),
            Self::WithoutAuthenticatorData => write!(
                f,
                "it is of OpenSSH 8.3 or older (ssh-sk-attest-v00), which left out what the \
                 security key signed, so nobody can judge it"
            ),
            Self::Later => write!(f, "it is in a later format than this passkey reads"),
            Self::Truncated => write!(f, "it ends in the middle"),
            Self::LeftOver(bytes) => write!(f, "it has {bytes} bytes after its end"),
            Self::TooLarge => write!(f, "it has more than {} KiB", LARGEST / 1024),
            Self::TooLong(member) => write!(f, "its {member} is longer than any can be"),
            Self::Strange(member) => write!(f, "its {member} is not what it should be"),
            Self::Contradiction(members) => {
                write!(f, "it contradicts itself about {members}")
            }
        }
    }
}
#[cfg(test)]
mod tests {
    use ceremony::attestation::Kind;
    use ceremony::authenticator_data::Flags;
    use ceremony::credential::{Aaguid, CredentialId};

    use super::*;

    /// The base point of P-256 (FIPS 186-4 §D.1.2.3), whose private key is 1.
    const X: [u8; 32] = [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
        0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98,
        0xc2, 0x96,
    ];
    const Y: [u8; 32] = [
        0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
        0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf,
        0x51, 0xf5,
    ];

    /// A new key, of whose answer only the parts that a file keeps are true.
    fn made(format: &str, statement: &[u8], data: &[u8]) -> NewCredential<SshApplication> {
        let application = SshApplication::parse("ssh:work").unwrap();
        NewCredential {
            public_key: PublicKey::es256(&X, &Y, application).unwrap(),
            id: CredentialId::new(&[7]).unwrap(),
            aaguid: Aaguid::default(),
            flags: Flags(0x41),
            attestation: Kind::Unread,
            object: AttestationObject {
                format: format.to_owned(),
                authenticator_data: data.to_vec(),
                statement: statement.to_vec(),
            },
        }
    }

    const CHAIN: &[u8] = b"\xa3\x63alg\x26\x63sig\x43SIG\x63x5c\x82\x44LEAF\x44ROOT";
    const BY_ITSELF: &[u8] = b"\xa2\x63alg\x26\x63sig\x43SIG";

    #[test]
    fn a_file_is_openssh_s_member_by_member() {
        let file = contents(&made("packed", CHAIN, &[0xdd; 300]), b"once").unwrap();
        let public_key = made("", &[], &[]).public_key.to_openssh().unwrap();
        let note = format!(
            "{{\"version\":1,\"format\":\"packed\",\"statement\":\"{}\",\"challenge\":\"b25jZQ==\",\
             \"application\":\"ssh:work\",\"public_key\":\"{public_key}\"}}",
            Base64::encode_string(CHAIN),
        );
        let expected = [
            b"\0\0\0\x11ssh-sk-attest-v01\0\0\0\x04LEAF\0\0\0\x03SIG",
            // CBOR: a byte string whose length of 300 takes two bytes.
            &b"\0\0\x01\x2f\x59\x01\x2c"[..],
            &[0xdd; 300],
            &[0, 0, 0, 0],
            &u32::try_from(note.len()).unwrap().to_be_bytes(),
            note.as_bytes(),
        ]
        .concat();
        assert_eq!(file, expected);
        assert!(!note.contains('\n'));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (format, statement) in [
            ("packed", CHAIN),
            ("packed", BY_ITSELF),
            ("packed", b"\xa1\x63ver\x01"),
            ("none", b"\xa0"),
            ("none", b""),
            ("\"strange\"\n", b"\xa1\x01\x02"),
        ] {
            let made = made(format, statement, &[1, 2, 3]);
            let file = contents(&made, &[0, 255]).unwrap();
            let read = AttestationFile::parse(&file).unwrap();
            for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
                assert_eq!(read.object(algorithm), Some(made.object.clone()));
            }
            let noted = read.noted.unwrap();
            assert_eq!(noted.challenge, [0, 255]);
            assert_eq!(noted.public_key, made.public_key);
        }
    }

    #[test]
    fn of_a_file_of_ssh_keygens_the_statement_is_put_together_again() {
        let file = |certificate: &[u8], signature: &[u8]| {
            let mut file = Vec::new();
            for member in [MAGIC, certificate, signature, &[0x41, 0xdd]] {
                put(&mut file, member).unwrap();
            }
            file.extend([0; 8]);
            AttestationFile::parse(&file).unwrap()
        };
        let object = |file: &AttestationFile, algorithm| {
            let object = file.object(algorithm).unwrap();
            assert_eq!(object.authenticator_data, [0xdd]);
            (object.format, object.statement)
        };
        let alone = b"\xa3\x63alg\x26\x63sig\x43SIG\x63x5c\x81\x44LEAF".to_vec();
        let with_certificate = file(b"LEAF", b"SIG");
        // Whatever the key is, its certificate's is one for ES256.
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let packed = ("packed".to_owned(), alone.clone());
            assert_eq!(object(&with_certificate, algorithm), packed);
        }
        let by_itself = file(b"", b"SIG");
        let packed = ("packed".to_owned(), BY_ITSELF.to_vec());
        assert_eq!(object(&by_itself, Algorithm::Es256), packed);
        let mut eddsa = BY_ITSELF.to_vec();
        eddsa[5] = 0x27;
        let packed = ("packed".to_owned(), eddsa);
        assert_eq!(object(&by_itself, Algorithm::EdDsa), packed);
        let none = ("none".to_owned(), Vec::new());
        assert_eq!(object(&file(b"", b""), Algorithm::Es256), none);
        assert_eq!(with_certificate.noted, None);
    }

    #[test]
    fn every_truncation_of_a_file_is_refused() {
        let file = contents(&made("packed", CHAIN, &[0xdd; 300]), b"once").unwrap();
        for length in 0..file.len() {
            let refused = AttestationFile::parse(&file[..length]).unwrap_err();
            let expected = if length < 21 {
                Unreadable::NotOne
            } else {
                Unreadable::Truncated
            };
            assert_eq!(refused, expected, "{length}");
        }
    }

    #[test]
    fn lengths_are_bounded_on_both_sides() {
        let challenge = vec![7; LONGEST_CHALLENGE];
        let longest = made("packed", CHAIN, &[0xdd; LONGEST_MEMBER - 3]);
        let file = contents(&longest, &challenge).unwrap();
        assert!(file.len() <= LARGEST);
        assert!(AttestationFile::parse(&file).is_ok());

        let longer = made("packed", CHAIN, &[0xdd; LONGEST_MEMBER - 2]);
        assert_eq!(contents(&longer, b"once"), Err(NotWritten::TooLong));
        for challenge in [&[][..], &vec![7; LONGEST_CHALLENGE + 1]] {
            assert_eq!(contents(&longest, challenge), Err(NotWritten::Challenge));
        }
        let too_large = [&file[..], &vec![0; LARGEST]].concat();
        assert_eq!(
            AttestationFile::parse(&too_large),
            Err(Unreadable::TooLarge)
        );
        // A length that nobody has sent the bytes for.
        let mut endless = file;
        endless[21..25].copy_from_slice(&[0xff; 4]);
        assert_eq!(
            AttestationFile::parse(&endless),
            Err(Unreadable::TooLong("certificate"))
        );
    }
}

//! A credential's public key, in OpenSSH's form.
//!
//! `sk-ecdsa-sha2-nistp256@openssh.com` and `sk-ssh-ed25519@openssh.com` carry
//! the relying party id as their *application* string (OpenSSH
//! `PROTOCOL.u2f`), so one line holds everything a verifier needs.
#![forbid(unsafe_code)]

use std::fmt;

use p256::ecdsa::signature::Verifier;
use ssh_key::HashAlg;
use ssh_key::public::{EcdsaPublicKey, Ed25519PublicKey, KeyData, SkEcdsaSha2NistP256, SkEd25519};

use crate::relying_party::{InvalidRelyingPartyId, RelyingParty, RelyingPartyId};
use crate::sentence;
use crate::sentence::{Sentence, Spoken};
use crate::ssh_application::InvalidSshApplication;

/// The signature algorithms we verify, by their COSE numbers (RFC 9053 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with SHA-256 over P-256, COSE −7.
    Es256,
    /// Ed25519, COSE −8.
    EdDsa,
}

impl Algorithm {
    /// The identifier in COSE and CTAP2.
    pub fn cose(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
        }
    }

    /// The algorithm behind a COSE identifier, where it is one of ours.
    pub fn from_cose(identifier: i64) -> Option<Self> {
        match identifier {
            -7 => Some(Self::Es256),
            -8 => Some(Self::EdDsa),
            _ => None,
        }
    }
}

/// A point that has been checked to be one: on the curve, not the identity,
/// not of low order.
#[derive(Clone, PartialEq, Eq)]
enum Point {
    Es256(p256::ecdsa::VerifyingKey),
    EdDsa(ed25519_dalek::VerifyingKey),
}

impl Point {
    fn algorithm(&self) -> Algorithm {
        match self {
            Self::Es256(_) => Algorithm::Es256,
            Self::EdDsa(_) => Algorithm::EdDsa,
        }
    }
}

/// A public key bound to a relying party: to a login's, unless it says
/// otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey<R = RelyingPartyId> {
    point: Point,
    relying_party: R,
}

impl<R: RelyingParty> PublicKey<R> {
    /// From the uncompressed coordinates of an ES256 key.
    pub fn es256(x: &[u8; 32], y: &[u8; 32], relying_party: R) -> Result<Self, InvalidPublicKey> {
        let mut sec1 = [0x04; 65];
        let (_, coordinates) = sec1.split_at_mut(1);
        let (left, right) = coordinates.split_at_mut(32);
        left.copy_from_slice(x);
        right.copy_from_slice(y);
        Self::es256_from_sec1(&sec1, relying_party)
    }

    fn es256_from_sec1(sec1: &[u8], relying_party: R) -> Result<Self, InvalidPublicKey> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(sec1)
            .map_err(|_| InvalidPublicKey::NotOnCurve)?;
        Ok(Self {
            point: Point::Es256(key),
            relying_party,
        })
    }

    /// From the 32 bytes of an Ed25519 key.
    pub fn eddsa(x: &[u8; 32], relying_party: R) -> Result<Self, InvalidPublicKey> {
        let key =
            ed25519_dalek::VerifyingKey::from_bytes(x).map_err(|_| InvalidPublicKey::NotOnCurve)?;
        // A low-order point "verifies" signatures nobody made.
        if key.is_weak() {
            return Err(InvalidPublicKey::LowOrder);
        }
        Ok(Self {
            point: Point::EdDsa(key),
            relying_party,
        })
    }

    /// From OpenSSH's own type; `relying_party` takes its *application*.
    pub fn from_key_data<E: Into<InvalidPublicKey>>(
        key: &KeyData,
        relying_party: impl FnOnce(&str) -> Result<R, E>,
    ) -> Result<Self, InvalidPublicKey> {
        let relying_party = |application| relying_party(application).map_err(Into::into);
        match key {
            KeyData::SkEcdsaSha2NistP256(sk) => {
                Self::es256_from_sec1(sk.ec_point().as_bytes(), relying_party(sk.application())?)
            }
            KeyData::SkEd25519(sk) => {
                Self::eddsa(&sk.public_key().0, relying_party(sk.application())?)
            }
            other => Err(InvalidPublicKey::NotSecurityKey(
                other.algorithm().as_str().to_owned(),
            )),
        }
    }

    /// The key as OpenSSH's own type.
    pub fn key_data(&self) -> Result<KeyData, InvalidPublicKey> {
        let application = self.relying_party.id();
        match &self.point {
            Point::Es256(key) => {
                let sec1 = key.to_sec1_point(false);
                match EcdsaPublicKey::from_sec1_bytes(sec1.as_bytes()) {
                    Ok(EcdsaPublicKey::NistP256(point)) => Ok(KeyData::SkEcdsaSha2NistP256(
                        SkEcdsaSha2NistP256::new(point, application),
                    )),
                    _ => Err(InvalidPublicKey::NotOnCurve),
                }
            }
            Point::EdDsa(key) => Ok(KeyData::SkEd25519(SkEd25519::new(
                Ed25519PublicKey(key.to_bytes()),
                application,
            ))),
        }
    }

    /// The fingerprint that `ssh-keygen -l` shows: `SHA256:` and base64.
    pub fn fingerprint(&self) -> Result<String, InvalidPublicKey> {
        Ok(self.key_data()?.fingerprint(HashAlg::Sha256).to_string())
    }

    /// One line of OpenSSH text, without a comment.
    pub fn to_openssh(&self) -> Result<String, InvalidPublicKey> {
        ssh_key::PublicKey::from(self.key_data()?)
            .to_openssh()
            .map_err(|problem| InvalidPublicKey::NotOpenSsh(problem.to_string()))
    }

    /// The point, 65 bytes in SEC 1 form for ES256, 32 for EdDSA: lengths that
    /// tell the two apart.
    pub fn to_bytes(&self) -> Vec<u8> {
        match &self.point {
            Point::Es256(key) => key.to_sec1_point(false).as_bytes().to_vec(),
            Point::EdDsa(key) => key.to_bytes().to_vec(),
        }
    }

    /// The algorithm this key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.point.algorithm()
    }

    /// The relying party this key answers to.
    pub fn relying_party(&self) -> &R {
        &self.relying_party
    }

    /// Verifies `signature`, as CTAP2 delivers it, over the bytes as they came.
    ///
    /// ES256 signatures are ASN.1 DER, EdDSA ones 64 raw bytes (WebAuthn
    /// §6.5.6); the stored key decides which is expected, never the answer.
    pub fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<Signature, BadSignature> {
        match &self.point {
            Point::Es256(key) => {
                let parsed =
                    p256::ecdsa::Signature::from_der(signature).map_err(|_| BadSignature)?;
                key.verify(signed, &parsed).map_err(|_| BadSignature)?;
                Ok(Signature::Es256(parsed.to_bytes().into()))
            }
            Point::EdDsa(key) => {
                let parsed =
                    ed25519_dalek::Signature::from_slice(signature).map_err(|_| BadSignature)?;
                key.verify_strict(signed, &parsed)
                    .map_err(|_| BadSignature)?;
                Ok(Signature::EdDsa(parsed.to_bytes()))
            }
        }
    }
}

/// A login's public keys are written and read as lines of text.
impl PublicKey {
    /// From one line of OpenSSH text: `<type> <base64> [comment]`.
    pub fn from_openssh(line: &str) -> Result<Self, InvalidPublicKey> {
        let key = ssh_key::PublicKey::from_openssh(line)
            .map_err(|problem| InvalidPublicKey::NotOpenSsh(problem.to_string()))?;
        Self::from_key_data(key.key_data(), RelyingPartyId::parse)
    }
}

impl<R: fmt::Debug> fmt::Debug for PublicKey<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "PublicKey({:?}, {:?})",
            self.point.algorithm(),
            self.relying_party
        )
    }
}

/// A signature that has been verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signature {
    /// r ‖ s, 32 bytes each.
    Es256([u8; 64]),
    /// R ‖ S (RFC 8032 §5.1.6).
    EdDsa([u8; 64]),
}

/// The signature does not verify: not of the expected form, or over other
/// bytes, or by another key. Which of these is no help to an honest person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadSignature;

/// Why a public key is not one of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidPublicKey {
    /// Not a line of OpenSSH public key text.
    NotOpenSsh(String),
    /// A valid SSH key, but not a FIDO one.
    NotSecurityKey(String),
    /// The point is not on its curve, or is the identity.
    NotOnCurve,
    /// An Ed25519 point of low order.
    LowOrder,
    /// The application string cannot be a relying party id.
    RelyingParty(InvalidRelyingPartyId),
    /// The application string cannot be an SSH key's.
    Application(InvalidSshApplication),
}

impl From<InvalidSshApplication> for InvalidPublicKey {
    fn from(problem: InvalidSshApplication) -> Self {
        Self::Application(problem)
    }
}

impl From<InvalidRelyingPartyId> for InvalidPublicKey {
    fn from(problem: InvalidRelyingPartyId) -> Self {
        Self::RelyingParty(problem)
    }
}

impl std::error::Error for InvalidPublicKey {}

impl Spoken for InvalidPublicKey {
    fn sentence(&self) -> Sentence {
        match self {
            Self::NotOpenSsh(problem) => sentence!("not an OpenSSH public key: {problem}", problem),
            Self::NotSecurityKey(kind) => sentence!(
                "a {kind} key is not held by a security key; \
                 expected sk-ecdsa-sha2-nistp256@openssh.com or sk-ssh-ed25519@openssh.com",
                kind
            ),
            Self::NotOnCurve => sentence!("the public key is not a point on its curve"),
            Self::LowOrder => sentence!("the public key is a point of low order"),
            Self::RelyingParty(problem) => Sentence::foreign(problem.to_string()),
            Self::Application(problem) => Sentence::foreign(problem.to_string()),
        }
    }
}

impl fmt::Display for InvalidPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_key::TestKey;

    #[test]
    fn algorithms_have_their_numbers_in_cose() {
        // RFC 9053 §2.1 and §2.2.
        for (algorithm, number) in [(Algorithm::Es256, -7), (Algorithm::EdDsa, -8)] {
            assert_eq!(algorithm.cose(), number);
            assert_eq!(Algorithm::from_cose(number), Some(algorithm));
        }
        assert_eq!(Algorithm::from_cose(-257), None);
    }

    #[test]
    fn a_key_survives_the_way_through_openssh_text() {
        for (algorithm, kind) in [
            (Algorithm::Es256, "sk-ecdsa-sha2-nistp256@openssh.com "),
            (Algorithm::EdDsa, "sk-ssh-ed25519@openssh.com "),
        ] {
            let key = TestKey::new(algorithm, 1).public_key();
            let line = key.to_openssh().unwrap();
            assert!(line.starts_with(kind), "{line}");
            assert_eq!(PublicKey::from_openssh(&line), Ok(key.clone()));
            assert_eq!(
                PublicKey::from_openssh(&format!("{line} a comment")),
                Ok(key)
            );
        }
    }

    #[test]
    fn a_key_of_ssh_or_of_no_security_key_opens_no_login() {
        // ssh-keygen -t ed25519; and -t ecdsa-sk, whose application is "ssh:".
        const PLAIN: &str = "ssh-ed25519 \
            AAAAC3NzaC1lZDI1NTE5AAAAIK0wmN/Cr3JXqmLW7u+g9pTh+wyqDHpSQEIQczXkVx9q";
        assert!(matches!(
            PublicKey::from_openssh(PLAIN),
            Err(InvalidPublicKey::NotSecurityKey(_))
        ));
        let mut login = TestKey::new(Algorithm::EdDsa, 1)
            .public_key()
            .key_data()
            .unwrap();
        if let KeyData::SkEd25519(sk) = &mut login {
            *sk = SkEd25519::new(*sk.public_key(), "ssh:");
        }
        let line = ssh_key::PublicKey::from(login).to_openssh().unwrap();
        assert_eq!(
            PublicKey::from_openssh(&line),
            Err(InvalidPublicKey::RelyingParty(
                InvalidRelyingPartyId::BelongsToSsh
            ))
        );
        for nonsense in ["", "nonsense", "sk-ssh-ed25519@openssh.com AAAA"] {
            assert!(matches!(
                PublicKey::from_openssh(nonsense),
                Err(InvalidPublicKey::NotOpenSsh(_))
            ));
        }
    }

    #[test]
    fn an_eddsa_signature_without_a_nonce_of_its_own_is_refused() {
        // By the right key, with the neutral element for R, and s = k·a: RFC 8032
        // §5.1.7 takes it, though it gives the private key away.
        const S: [u8; 32] = [
            0x46, 0x5b, 0xa3, 0x18, 0x99, 0xf1, 0xb7, 0x16, 0x7a, 0xcf, 0xfb, 0xa8, 0x06, 0x6d,
            0xd0, 0x05, 0x19, 0x0d, 0x7a, 0x4e, 0x7a, 0xb3, 0x20, 0xf8, 0x4b, 0x9e, 0x82, 0xaa,
            0xa8, 0x79, 0x81, 0x00,
        ];
        let mut signature = [0; 64];
        let (r, s) = signature.split_at_mut(32);
        r[0] = 1;
        s.copy_from_slice(&S);
        let key = TestKey::new(Algorithm::EdDsa, 1).public_key();
        assert_eq!(key.verify(b"signed", &signature), Err(BadSignature));
    }

    #[test]
    fn points_that_are_none_are_refused() {
        let rp = || RelyingPartyId::parse("pam://laptop").unwrap();
        assert_eq!(
            PublicKey::es256(&[1; 32], &[1; 32], rp()),
            Err(InvalidPublicKey::NotOnCurve)
        );
        // y = 2 has no x on the curve of RFC 8032.
        let mut two = [0; 32];
        two[0] = 2;
        assert_eq!(
            PublicKey::eddsa(&two, rp()),
            Err(InvalidPublicKey::NotOnCurve)
        );
    }
}

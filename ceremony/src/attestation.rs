//! Attestation (WebAuthn §6.5 and §8): what a new credential says about where
//! it was made, checked for being consistent with itself.
//!
//! A statement that contradicts itself is refused. One that holds proves only
//! what it proves: *self* attestation that the new key can sign, *x5c* that
//! some certificate vouches for it. No chain is followed here, so nothing is
//! trusted for it; AAGUID and model are what the key claims.
#![forbid(unsafe_code)]

mod certificate;

pub use certificate::Problem as CertificateProblem;

use minicbor::Decoder;

use crate::authenticator::ctap2::{AttestationObject, CredentialProtection};
use crate::authenticator_data::{AttestedCredentialData, AuthenticatorData, Flags};
use crate::credential::{Aaguid, CredentialId};
use crate::public_key::{Algorithm, PublicKey};
use crate::relying_party::{RelyingParty, RelyingPartyId};

/// What vouches for the new credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing (WebAuthn §8.7).
    None,
    /// Itself (WebAuthn §8.2, no x5c).
    PackedSelf,
    /// A certificate, whose issuer nobody checked (WebAuthn §8.2, x5c).
    PackedX5c,
    /// A statement in a format we do not read; as good as none.
    Unread,
}

/// A new credential, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCredential<R = RelyingPartyId> {
    /// Its public key.
    pub public_key: PublicKey<R>,
    /// Its id.
    pub id: CredentialId,
    /// The model the authenticator claims to be.
    pub aaguid: Aaguid,
    /// The flags of the ceremony: presence, verification, backup.
    pub flags: Flags,
    /// What vouches for it.
    pub attestation: Kind,
    /// All of that as it arrived, for others to judge.
    pub object: AttestationObject,
}

/// Judges the answer to a request for a credential of `algorithm` for
/// `relying_party` (WebAuthn §7.1), which was to be guarded by `protection`.
pub fn verify<R: RelyingParty>(
    object: &AttestationObject,
    client_data_hash: &[u8; 32],
    relying_party: &R,
    algorithm: Algorithm,
    protection: Option<CredentialProtection>,
) -> Result<NewCredential<R>, Refusal> {
    let data = AuthenticatorData::parse(&object.authenticator_data)
        .map_err(|problem| Refusal::Malformed(problem.to_string()))?;
    let attested = data.attested.as_ref().ok_or(Refusal::NoCredential)?;
    check_protection(data.extensions, protection)?;
    if data.rp_id_hash != relying_party.id_hash() {
        return Err(Refusal::OtherRelyingParty);
    }
    if !data.flags.user_present() {
        return Err(Refusal::NobodyPresent);
    }
    // WebAuthn §6.1.3: nothing is backed up that is not eligible.
    if data.flags.backup_state() && !data.flags.backup_eligible() {
        return Err(Refusal::BackupFlags);
    }
    let public_key = attested
        .public_key(relying_party.clone())
        .map_err(|problem| Refusal::Malformed(problem.to_string()))?;
    if public_key.algorithm() != algorithm {
        return Err(Refusal::OtherAlgorithm);
    }

    let mut signed = object.authenticator_data.clone();
    signed.extend_from_slice(client_data_hash);
    let attestation = match object.format.as_str() {
        "none" => none(&object.statement)?,
        "packed" => packed(&object.statement, &signed, attested, &public_key)?,
        _ => Kind::Unread,
    };
    Ok(NewCredential {
        public_key,
        id: attested.credential_id.clone(),
        aaguid: attested.aaguid,
        flags: data.flags,
        attestation,
        object: object.clone(),
    })
}

/// The one extension that is ever asked for (CTAP 2.1 §12.1): its output is the
/// level, and a key may guard a credential better than it was asked to.
fn check_protection(
    extensions: Option<&[u8]>,
    asked: Option<CredentialProtection>,
) -> Result<(), Refusal> {
    match (extensions, asked) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(Refusal::Unasked),
        (None, Some(_)) => Err(Refusal::Unprotected),
        (Some(extensions), Some(asked)) => {
            let mut decoder = Decoder::new(extensions);
            let (Ok(Some(1)), Ok(CredentialProtection::NAME), Ok(level)) =
                (decoder.map(), decoder.str(), decoder.u8())
            else {
                return Err(Refusal::Unasked);
            };
            if level < asked.level() {
                return Err(Refusal::Unprotected);
            }
            Ok(())
        }
    }
}

/// Format *none*: an empty map, or, from keys that leave it out, nothing.
fn none(statement: &[u8]) -> Result<Kind, Refusal> {
    match statement {
        [] | [0xa0] => Ok(Kind::None),
        _ => Err(Refusal::Statement("\"none\" with a statement")),
    }
}

/// Format *packed* (WebAuthn §8.2).
fn packed<R: RelyingParty>(
    statement: &[u8],
    signed: &[u8],
    attested: &AttestedCredentialData<'_>,
    public_key: &PublicKey<R>,
) -> Result<Kind, Refusal> {
    let statement = Packed::parse(statement).ok_or(Refusal::Statement("not well-formed"))?;
    let Some(certificate) = statement.certificates.first() else {
        if statement.algorithm != public_key.algorithm().cose() {
            return Err(Refusal::Statement("another algorithm than the key's"));
        }
        public_key
            .verify(signed, statement.signature)
            .map_err(|_| Refusal::Statement("a signature that does not verify"))?;
        return Ok(Kind::PackedSelf);
    };
    if Algorithm::from_cose(statement.algorithm) != Some(Algorithm::Es256) {
        // Signed in a way that is not read here: as good as none.
        return Ok(Kind::Unread);
    }
    certificate::check(certificate, signed, statement.signature, attested.aaguid)
        .map_err(Refusal::Certificate)?;
    Ok(Kind::PackedX5c)
}

/// A statement of format *packed* (WebAuthn §8.2), taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed<'a> {
    /// `alg`: how it was signed, by its COSE number.
    pub algorithm: i64,
    /// `sig`.
    pub signature: &'a [u8],
    /// `x5c`: the certificate that signed, then those that vouch for it, each for
    /// the one before; none where the key attests itself.
    pub certificates: Vec<&'a [u8]>,
}

impl<'a> Packed<'a> {
    /// Takes `statement` apart, where it has all members it must have and no
    /// other.
    pub fn parse(statement: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(statement);
        let (mut algorithm, mut signature, mut certificates) = (None, None, None);
        for _ in 0..decoder.map().ok()?? {
            let before = match decoder.str().ok()? {
                "alg" => algorithm.replace(decoder.i64().ok()?).is_some(),
                "sig" => signature.replace(decoder.bytes().ok()?).is_some(),
                "x5c" => {
                    let mut all = Vec::new();
                    for _ in 0..decoder.array().ok()?? {
                        all.push(decoder.bytes().ok()?);
                    }
                    // A list of nobody would pass for self attestation.
                    (!all.is_empty()).then_some(())?;
                    certificates.replace(all).is_some()
                }
                // Members of other attestation types (ecdaaKeyId) have no
                // place here.
                _ => return None,
            };
            if before {
                return None;
            }
        }
        (decoder.position() == statement.len()).then_some(())?;
        Some(Self {
            algorithm: algorithm?,
            signature: signature?,
            certificates: certificates.unwrap_or_default(),
        })
    }
}

/// Why a new credential is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Authenticator data that is not well-formed.
    Malformed(String),
    /// No new credential in the answer.
    NoCredential,
    /// Extensions nobody asked for.
    Unasked,
    /// Not guarded as was asked for.
    Unprotected,
    /// Made for another relying party.
    OtherRelyingParty,
    /// UP is not set.
    NobodyPresent,
    /// BS is set without BE.
    BackupFlags,
    /// Another algorithm than was asked for.
    OtherAlgorithm,
    /// The attestation statement contradicts itself.
    Statement(&'static str),
    /// The attestation certificate is not what it must be.
    Certificate(CertificateProblem),
}

impl std::error::Error for Refusal {}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(problem) => write!(f, "{problem}"),
            Self::NoCredential => write!(f, "its answer holds no new credential"),
            Self::Unasked => write!(f, "it sent data nobody asked for"),
            Self::Unprotected => write!(f, "it did not guard the credential as it was asked to"),
            Self::OtherRelyingParty => write!(f, "the answer is for another relying party"),
            Self::NobodyPresent => write!(f, "nobody touched it"),
            Self::BackupFlags => write!(f, "its backup flags contradict each other"),
            Self::OtherAlgorithm => write!(f, "it made a key of another algorithm than asked for"),
            Self::Statement(problem) => write!(f, "its attestation statement is {problem}"),
            Self::Certificate(problem) => write!(f, "its attestation certificate {problem}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use minicbor::Encoder;

    use super::*;
    use crate::test_key::TestKey;

    const HASH: [u8; 32] = [0x77; 32];
    const MODEL: [u8; 16] = [0xaa; 16];

    fn key() -> TestKey {
        TestKey::new(Algorithm::Es256, 1)
    }

    fn data_of(key: &TestKey, flags: u8) -> Vec<u8> {
        let mut data = key.data(flags, 0);
        data.extend(MODEL);
        data.extend([0, 48]);
        data.extend([0xbb; 48]);
        data.extend(key.cose_key());
        data
    }

    fn object(format: &str, data: Vec<u8>, statement: Vec<u8>) -> AttestationObject {
        AttestationObject {
            format: format.into(),
            authenticator_data: data,
            statement,
        }
    }

    fn packed_statement(algorithm: i64, signature: &[u8], x5c: Option<&[u8]>) -> Vec<u8> {
        let mut statement = Vec::new();
        let mut e = Encoder::new(&mut statement);
        e.map(2 + u64::from(x5c.is_some())).unwrap();
        e.str("alg").unwrap().i64(algorithm).unwrap();
        e.str("sig").unwrap().bytes(signature).unwrap();
        if let Some(certificate) = x5c {
            e.str("x5c")
                .unwrap()
                .array(1)
                .unwrap()
                .bytes(certificate)
                .unwrap();
        }
        statement
    }

    fn judge(object: &AttestationObject) -> Result<NewCredential, Refusal> {
        verify(object, &HASH, &key().relying_party, Algorithm::Es256, None)
    }

    /// Self attestation by `signer` over the data of `key`.
    fn self_attested(key: &TestKey, signer: &TestKey, flags: u8) -> AttestationObject {
        let data = data_of(key, flags);
        let signature = signer.sign(&[&data[..], &HASH].concat());
        let statement = packed_statement(key.algorithm.cose(), &signature, None);
        object("packed", data, statement)
    }

    #[test]
    fn a_credential_without_attestation_is_accepted() {
        for statement in [&[][..], &[0xa0]] {
            let new = judge(&object("none", data_of(&key(), 0x41), statement.into())).unwrap();
            assert_eq!(new.attestation, Kind::None);
            assert_eq!(new.public_key, key().public_key());
            assert_eq!(new.id.as_bytes(), [0xbb; 48]);
            assert_eq!(new.aaguid, Aaguid(MODEL));
        }
    }

    #[test]
    fn none_with_a_statement_is_refused() {
        assert_eq!(
            judge(&object("none", data_of(&key(), 0x41), vec![0xa1, 0, 0])),
            Err(Refusal::Statement("\"none\" with a statement"))
        );
    }

    #[test]
    fn an_unread_format_is_as_good_as_none() {
        let new = judge(&object("tpm", data_of(&key(), 0x41), vec![0xa0])).unwrap();
        assert_eq!(new.attestation, Kind::Unread);
    }

    #[test]
    fn self_attestation_is_checked_with_both_algorithms() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let key = TestKey::new(algorithm, 1);
            let object = self_attested(&key, &key, 0x41);
            let new = verify(&object, &HASH, &key.relying_party, algorithm, None).unwrap();
            assert_eq!(new.attestation, Kind::PackedSelf);
        }
    }

    #[test]
    fn self_attestation_by_another_key_is_refused() {
        let other = TestKey::new(Algorithm::Es256, 2);
        assert_eq!(
            judge(&self_attested(&key(), &other, 0x41)),
            Err(Refusal::Statement("a signature that does not verify"))
        );
    }

    #[test]
    fn self_attestation_names_the_keys_own_algorithm() {
        let mut object = self_attested(&key(), &key(), 0x41);
        let signature = key().sign(&[&object.authenticator_data[..], &HASH].concat());
        object.statement = packed_statement(-8, &signature, None);
        assert_eq!(
            judge(&object),
            Err(Refusal::Statement("another algorithm than the key's"))
        );
    }

    #[test]
    fn a_certificate_may_vouch_for_a_credential() {
        let signer = TestKey::new(Algorithm::Es256, 9);
        let certificate = certificate::tests::honest(&signer, MODEL).encode();
        let data = data_of(&key(), 0x41);
        let signature = signer.sign(&[&data[..], &HASH].concat());
        let good = packed_statement(-7, &signature, Some(&certificate));
        let new = judge(&object("packed", data.clone(), good)).unwrap();
        assert_eq!(new.attestation, Kind::PackedX5c);

        // The key itself signed, where its certificate says it did.
        let signature = key().sign(&[&data[..], &HASH].concat());
        let bad = packed_statement(-7, &signature, Some(&certificate));
        assert_eq!(
            judge(&object("packed", data, bad)),
            Err(Refusal::Certificate(CertificateProblem::DidNotSign))
        );
    }

    #[test]
    fn a_certificate_for_another_algorithm_is_as_good_as_none() {
        // RS256
        let statement = packed_statement(-257, &[0; 256], Some(&[0x30, 0]));
        let new = judge(&object("packed", data_of(&key(), 0x41), statement)).unwrap();
        assert_eq!(new.attestation, Kind::Unread);
    }

    #[test]
    fn a_statement_with_strange_repeated_or_left_over_parts_is_refused() {
        let honest = self_attested(&key(), &key(), 0x41);
        let mut left_over = honest.statement.clone();
        left_over.push(0);
        let mut twice = honest.statement.clone();
        twice[0] = 0xa3;
        twice.extend([0x63, b'a', b'l', b'g', 0x26]);
        let mut strange = honest.statement.clone();
        strange[0] = 0xa3;
        strange.extend([0x63, b'x', b'x', b'x', 0x26]);
        let mut nobody = honest.statement.clone();
        nobody[0] = 0xa3;
        nobody.extend([0x63, b'x', b'5', b'c', 0x80]);
        for statement in [left_over, twice, strange, nobody, vec![0xa0], Vec::new()] {
            assert_eq!(
                judge(&AttestationObject {
                    statement,
                    ..honest.clone()
                }),
                Err(Refusal::Statement("not well-formed"))
            );
        }
    }

    #[test]
    fn each_rule_about_authenticator_data_refuses_alone() {
        // A touch, and nothing else, is missing.
        assert_eq!(
            judge(&self_attested(&key(), &key(), 0x40)),
            Err(Refusal::NobodyPresent)
        );
        // BS without BE
        assert_eq!(
            judge(&self_attested(&key(), &key(), 0x51)),
            Err(Refusal::BackupFlags)
        );
        // no credential inside
        let plain = object("none", key().data(0x01, 0), Vec::new());
        assert_eq!(judge(&plain), Err(Refusal::NoCredential));
        // extensions
        let mut extended = data_of(&key(), 0xc1);
        extended.push(0xa0);
        assert_eq!(
            judge(&object("none", extended, Vec::new())),
            Err(Refusal::Unasked)
        );
        // another relying party
        let mut elsewhere = key();
        elsewhere.relying_party = RelyingPartyId::parse("pam://server").unwrap();
        assert_eq!(
            judge(&self_attested(&elsewhere, &elsewhere, 0x41)),
            Err(Refusal::OtherRelyingParty)
        );
        // another algorithm than asked for
        let eddsa = TestKey::new(Algorithm::EdDsa, 1);
        assert_eq!(
            judge(&self_attested(&eddsa, &eddsa, 0x41)),
            Err(Refusal::OtherAlgorithm)
        );
    }

    #[test]
    fn a_credential_is_guarded_as_it_was_to_be_or_better() {
        use CredentialProtection::{Verification, VerificationOrId};
        let judged = |extensions: &[u8], asked| {
            let flags = if extensions.is_empty() { 0x41 } else { 0xc1 };
            let data = [&data_of(&key(), flags)[..], extensions].concat();
            let object = object("none", data, Vec::new());
            let algorithm = Algorithm::Es256;
            verify(&object, &HASH, &key().relying_party, algorithm, asked).map(|_| ())
        };
        let output = |level: u8| [b"\xa1\x6bcredProtect", &[level][..]].concat();
        assert_eq!(judged(&output(2), Some(VerificationOrId)), Ok(()));
        assert_eq!(judged(&output(3), Some(VerificationOrId)), Ok(()));
        assert_eq!(judged(&output(3), Some(Verification)), Ok(()));
        for (extensions, asked) in [
            (&output(1)[..], VerificationOrId),
            (&output(2), Verification),
            (&[], Verification),
        ] {
            assert_eq!(judged(extensions, Some(asked)), Err(Refusal::Unprotected));
        }
        // Nothing else is ever asked for.
        for strange in [
            &b"\xa0"[..],
            b"\xa1\x6bhmac-secret\x03",
            b"\xa2\x6bcredProtect\x03\x61x\x03",
            b"\xa1\x6bcredProtect\xf5",
        ] {
            assert_eq!(judged(strange, Some(Verification)), Err(Refusal::Unasked));
        }
        assert_eq!(judged(&output(3), None), Err(Refusal::Unasked));
    }
}

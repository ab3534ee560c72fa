//! Attestation (WebAuthn §6.5 and §8): what a new credential says about where
//! it was made, checked for being consistent with itself.
//!
//! A statement that contradicts itself is refused. One that holds proves only
//! what it proves: *self* attestation that the new key can sign, *x5c* that
//! some certificate vouches for it. No chain is followed here, so nothing is
//! trusted for it; AAGUID and model are what the key claims.
#![forbid(unsafe_code)]

use minicbor::Decoder;
use p256::ecdsa::signature::Verifier;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::BasicConstraints;

use crate::authenticator::ctap2::AttestationObject;
use crate::authenticator_data::{AttestedCredentialData, AuthenticatorData, Flags};
use crate::credential::{Aaguid, CredentialId};
use crate::public_key::{Algorithm, PublicKey};
use crate::relying_party::RelyingPartyId;

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
pub struct NewCredential {
    /// Its public key.
    pub public_key: PublicKey,
    /// Its id.
    pub id: CredentialId,
    /// The model the authenticator claims to be.
    pub aaguid: Aaguid,
    /// The flags of the ceremony: presence, verification, backup.
    pub flags: Flags,
    /// What vouches for it.
    pub attestation: Kind,
}

/// Judges the answer to a request for a credential of `algorithm` for
/// `relying_party` (WebAuthn §7.1).
pub fn verify(
    object: &AttestationObject,
    client_data_hash: &[u8; 32],
    relying_party: &RelyingPartyId,
    algorithm: Algorithm,
) -> Result<NewCredential, Refusal> {
    let data = AuthenticatorData::parse(&object.authenticator_data)
        .map_err(|problem| Refusal::Malformed(problem.to_string()))?;
    let attested = data.attested.as_ref().ok_or(Refusal::NoCredential)?;
    if data.flags.extension_data() {
        return Err(Refusal::Unasked);
    }
    if data.rp_id_hash != relying_party.hash() {
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
    })
}

/// Format *none*: an empty map, or, from keys that leave it out, nothing.
fn none(statement: &[u8]) -> Result<Kind, Refusal> {
    match statement {
        [] | [0xa0] => Ok(Kind::None),
        _ => Err(Refusal::Statement("\"none\" with a statement")),
    }
}

/// Format *packed* (WebAuthn §8.2).
fn packed(
    statement: &[u8],
    signed: &[u8],
    attested: &AttestedCredentialData<'_>,
    public_key: &PublicKey,
) -> Result<Kind, Refusal> {
    let statement = Packed::parse(statement).ok_or(Refusal::Statement("not well-formed"))?;
    let Some(certificate) = statement.certificate else {
        if statement.algorithm != public_key.algorithm().cose() {
            return Err(Refusal::Statement("another algorithm than the key's"));
        }
        public_key
            .verify(signed, statement.signature)
            .map_err(|_| Refusal::Statement("a signature that does not verify"))?;
        return Ok(Kind::PackedSelf);
    };
    let certificate =
        Certificate::from_der(certificate).map_err(|_| Refusal::Certificate("not well-formed"))?;
    verify_with(
        &certificate,
        statement.algorithm,
        signed,
        statement.signature,
    )?;
    requirements(&certificate, attested.aaguid)?;
    Ok(Kind::PackedX5c)
}

struct Packed<'a> {
    algorithm: i64,
    signature: &'a [u8],
    /// The first of x5c, which signed.
    certificate: Option<&'a [u8]>,
}

impl<'a> Packed<'a> {
    fn parse(statement: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(statement);
        let (mut algorithm, mut signature, mut certificate) = (None, None, None);
        for _ in 0..decoder.map().ok()?? {
            let before = match decoder.str().ok()? {
                "alg" => algorithm.replace(decoder.i64().ok()?).is_some(),
                "sig" => signature.replace(decoder.bytes().ok()?).is_some(),
                "x5c" => {
                    let certificates = decoder.array().ok()??;
                    let first = decoder.bytes().ok()?;
                    for _ in 1..certificates {
                        decoder.bytes().ok()?;
                    }
                    certificate.replace(first).is_some()
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
            certificate,
        })
    }
}

/// id-ecPublicKey and secp256r1 (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// id-fido-gen-ce-aaguid (WebAuthn §8.2.1).
const AAGUID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.4");

/// The statement's signature, by the certificate's key.
fn verify_with(
    certificate: &Certificate,
    algorithm: i64,
    signed: &[u8],
    signature: &[u8],
) -> Result<(), Refusal> {
    const BAD: Refusal = Refusal::Statement("a signature that its certificate does not verify");
    if Algorithm::from_cose(algorithm) != Some(Algorithm::Es256) {
        // FIDO attestation certificates are P-256 in practice (all of the
        // metadata service's FIDO2 entries); another kind is not readable here.
        return Err(Refusal::Certificate("not one for ES256"));
    }
    let info = certificate.tbs_certificate().subject_public_key_info();
    let of_p256 = info.algorithm.oid == EC_PUBLIC_KEY
        && info
            .algorithm
            .parameters
            .as_ref()
            .and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok())
            == Some(P_256);
    let key = of_p256
        .then(|| info.subject_public_key.as_bytes())
        .flatten()
        .and_then(|point| p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok())
        .ok_or(Refusal::Certificate("not one for ES256"))?;
    let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| BAD)?;
    key.verify(signed, &signature).map_err(|_| BAD)
}

/// The certificate's requirements (WebAuthn §8.2.1) that concern consistency.
fn requirements(certificate: &Certificate, aaguid: Aaguid) -> Result<(), Refusal> {
    let tbs = certificate.tbs_certificate();
    if tbs.version() != x509_cert::certificate::Version::V3 {
        return Err(Refusal::Certificate("not of version 3"));
    }
    for extension in tbs.extensions().into_iter().flatten() {
        let value = extension.extn_value.as_bytes();
        if extension.extn_id == BasicConstraints::OID {
            let constraints = BasicConstraints::from_der(value)
                .map_err(|_| Refusal::Certificate("not well-formed"))?;
            if constraints.ca {
                return Err(Refusal::Certificate("one of an authority, not of a key"));
            }
        }
        // An OCTET STRING of 16 bytes inside the extension's own.
        if extension.extn_id == AAGUID
            && value.strip_prefix(&[0x04, 0x10]) != Some(aaguid.0.as_slice())
        {
            return Err(Refusal::Certificate("one of another model"));
        }
    }
    Ok(())
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
    Certificate(&'static str),
}

impl std::error::Error for Refusal {}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(problem) => write!(f, "{problem}"),
            Self::NoCredential => write!(f, "its answer holds no new credential"),
            Self::Unasked => write!(f, "it sent data nobody asked for"),
            Self::OtherRelyingParty => write!(f, "the answer is for another relying party"),
            Self::NobodyPresent => write!(f, "nobody touched it"),
            Self::BackupFlags => write!(f, "its backup flags contradict each other"),
            Self::OtherAlgorithm => write!(f, "it made a key of another algorithm than asked for"),
            Self::Statement(problem) => write!(f, "its attestation statement is {problem}"),
            Self::Certificate(problem) => write!(f, "its attestation certificate is {problem}"),
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
        verify(object, &HASH, &key().relying_party, Algorithm::Es256)
    }

    /// Self attestation by `signer` over the data of `key`.
    fn self_attested(key: &TestKey, signer: &TestKey, flags: u8) -> AttestationObject {
        let data = data_of(key, flags);
        let signature = signer.sign(&[&data[..], &HASH].concat());
        let statement = packed_statement(key.algorithm.cose(), &signature, None);
        object("packed", data, statement)
    }

    /// What can be wrong with a certificate.
    struct CertificateOf<'a> {
        signer: &'a TestKey,
        version: u8,
        model: [u8; 16],
        authority: bool,
        curve: &'a [u8],
    }

    fn honest(signer: &TestKey) -> CertificateOf<'_> {
        CertificateOf {
            signer,
            version: 2,
            model: MODEL,
            authority: false,
            curve: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        }
    }

    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = content.len();
        let mut out = vec![tag];
        match u8::try_from(length) {
            Ok(short) if short < 0x80 => out.push(short),
            Ok(long) => out.extend([0x81, long]),
            Err(_) => {
                out.push(0x82);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        out.extend(content);
        out
    }

    impl CertificateOf<'_> {
        /// A certificate (RFC 5280 §4.1) as far as anybody here reads it.
        fn encode(&self) -> Vec<u8> {
            let ecdsa_sha256 = der(
                0x30,
                &[&der(0x06, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]])],
            );
            let ec = der(0x06, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]]);
            let point = self.signer.es256().verifying_key().to_sec1_point(false);
            let spki = der(
                0x30,
                &[
                    &der(0x30, &[&ec, &der(0x06, &[self.curve])]),
                    &der(0x03, &[&[0], point.as_bytes()]),
                ],
            );
            let constraints: &[u8] = if self.authority { &[1, 1, 0xff] } else { &[] };
            let extensions = der(
                0x30,
                &[
                    &der(
                        0x30,
                        &[
                            &der(0x06, &[&[0x55, 0x1d, 0x13]]),
                            &der(0x04, &[&der(0x30, &[constraints])]),
                        ],
                    ),
                    &der(
                        0x30,
                        &[
                            // 1.3.6.1.4.1.45724.1.1.4
                            &der(0x06, &[&[0x2b, 6, 1, 4, 1, 0x82, 0xe5, 0x1c, 1, 1, 4]]),
                            &der(0x04, &[&der(0x04, &[&self.model])]),
                        ],
                    ),
                ],
            );
            let validity = der(
                0x30,
                &[
                    &der(0x17, &[b"200101000000Z"]),
                    &der(0x17, &[b"400101000000Z"]),
                ],
            );
            // Version 3 is 2 on the wire; only version 3 may have extensions.
            let version = der(0xa0, &[&der(0x02, &[&[self.version]])]);
            let tbs = der(
                0x30,
                &[
                    &version,
                    &der(0x02, &[&[1]]),
                    &ecdsa_sha256,
                    &der(0x30, &[]),
                    &validity,
                    &der(0x30, &[]),
                    &spki,
                    &der(0xa3, &[&extensions]),
                ],
            );
            der(0x30, &[&tbs, &ecdsa_sha256, &der(0x03, &[&[0]])])
        }

        fn attest(&self, signer: &TestKey) -> AttestationObject {
            let data = data_of(&key(), 0x41);
            let signature = signer.sign(&[&data[..], &HASH].concat());
            let statement = packed_statement(-7, &signature, Some(&self.encode()));
            object("packed", data, statement)
        }
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
            let new = verify(&object, &HASH, &key.relying_party, algorithm).unwrap();
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
        let new = judge(&honest(&signer).attest(&signer)).unwrap();
        assert_eq!(new.attestation, Kind::PackedX5c);
    }

    #[test]
    fn a_certificate_that_did_not_sign_is_refused() {
        let signer = TestKey::new(Algorithm::Es256, 9);
        assert_eq!(
            judge(&honest(&signer).attest(&key())),
            Err(Refusal::Statement(
                "a signature that its certificate does not verify"
            ))
        );
    }

    #[test]
    fn a_certificate_of_another_model_version_curve_or_of_an_authority_is_refused() {
        let signer = TestKey::new(Algorithm::Es256, 9);
        let wrong = [
            (
                CertificateOf {
                    model: [0xab; 16],
                    ..honest(&signer)
                },
                "one of another model",
            ),
            (
                CertificateOf {
                    authority: true,
                    ..honest(&signer)
                },
                "one of an authority, not of a key",
            ),
            (
                CertificateOf {
                    version: 1,
                    ..honest(&signer)
                },
                "not of version 3",
            ),
            (
                CertificateOf {
                    curve: &[0x2b, 0x81, 0x04, 0x00, 0x0a],
                    ..honest(&signer)
                },
                "not one for ES256",
            ),
        ];
        for (certificate, why) in wrong {
            assert_eq!(
                judge(&certificate.attest(&signer)),
                Err(Refusal::Certificate(why))
            );
        }
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
        for statement in [left_over, twice, strange, vec![0xa0], Vec::new()] {
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
}

//! The attestation certificate (WebAuthn §8.2.1): whether it says what the
//! statement says. Who issued it is nobody's question here.
#![forbid(unsafe_code)]

use p256::ecdsa::signature::Verifier;
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::credential::Aaguid;

/// id-ecPublicKey and secp256r1 (RFC 5480 §2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// id-fido-gen-ce-aaguid (WebAuthn §8.2.1).
const AAGUID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.4");

/// Whether the certificate's key made this ES256 signature, and whether the
/// certificate is one of an authenticator of this model.
pub(super) fn check(
    der: &[u8],
    signed: &[u8],
    signature: &[u8],
    aaguid: Aaguid,
) -> Result<(), Problem> {
    let certificate = Certificate::from_der(der).map_err(|_| Problem::Malformed)?;
    let key = es256_key(certificate.tbs_certificate().subject_public_key_info())
        .ok_or(Problem::NotEs256)?;
    let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| Problem::DidNotSign)?;
    key.verify(signed, &signature)
        .map_err(|_| Problem::DidNotSign)?;
    requirements(&certificate, aaguid)
}

fn es256_key(info: &SubjectPublicKeyInfoOwned) -> Option<p256::ecdsa::VerifyingKey> {
    let curve: ObjectIdentifier = info.algorithm.parameters.as_ref()?.decode_as().ok()?;
    if (info.algorithm.oid, curve) != (EC_PUBLIC_KEY, P_256) {
        return None;
    }
    p256::ecdsa::VerifyingKey::from_sec1_bytes(info.subject_public_key.as_bytes()?).ok()
}

/// The requirements that concern consistency.
fn requirements(certificate: &Certificate, aaguid: Aaguid) -> Result<(), Problem> {
    let tbs = certificate.tbs_certificate();
    if tbs.version() != Version::V3 {
        return Err(Problem::NotVersion3);
    }
    for extension in tbs.extensions().into_iter().flatten() {
        let value = extension.extn_value.as_bytes();
        if extension.extn_id == BasicConstraints::OID {
            let constraints = BasicConstraints::from_der(value).map_err(|_| Problem::Malformed)?;
            if constraints.ca {
                return Err(Problem::Authority);
            }
        }
        // An OCTET STRING of 16 bytes inside the extension's own.
        if extension.extn_id == AAGUID
            && value.strip_prefix(&[0x04, 0x10]) != Some(aaguid.0.as_slice())
        {
            return Err(Problem::OtherModel);
        }
    }
    Ok(())
}

/// Why a certificate does not vouch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Not an X.509 certificate.
    Malformed,
    /// Its key is not one for ES256.
    NotEs256,
    /// Its key did not make the statement's signature.
    DidNotSign,
    /// Not of version 3.
    NotVersion3,
    /// It belongs to an authority.
    Authority,
    /// It names another AAGUID than the key.
    OtherModel,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not well-formed",
            Self::NotEs256 => "is not one for ES256",
            Self::DidNotSign => "did not make its signature",
            Self::NotVersion3 => "is not of version 3",
            Self::Authority => "is one of an authority, not of a key",
            Self::OtherModel => "is one of another model",
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::public_key::Algorithm;
    use crate::test_key::TestKey;

    const MODEL: [u8; 16] = [0xaa; 16];
    const SIGNED: &[u8] = b"what the key says of itself";

    /// A certificate, and what can be wrong with it.
    pub(in super::super) struct CertificateOf<'a> {
        signer: &'a TestKey,
        version: u8,
        model: [u8; 16],
        authority: bool,
        curve: &'a [u8],
    }

    pub(in super::super) fn honest(signer: &TestKey, model: [u8; 16]) -> CertificateOf<'_> {
        CertificateOf {
            signer,
            // Version 3 is 2 on the wire.
            version: 2,
            model,
            authority: false,
            curve: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        }
    }

    /// A value in DER: tag, length, content.
    fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u16::try_from(content.len()).unwrap();
        let [high, low] = length.to_be_bytes();
        let head: &[u8] = match length {
            0..0x80 => &[tag, low],
            0x80..0x100 => &[tag, 0x81, low],
            _ => &[tag, 0x82, high, low],
        };
        [head, &content].concat()
    }

    fn sequence(parts: &[&[u8]]) -> Vec<u8> {
        der(0x30, parts)
    }

    fn oid(bytes: &[u8]) -> Vec<u8> {
        der(0x06, &[bytes])
    }

    fn octets(bytes: &[u8]) -> Vec<u8> {
        der(0x04, &[bytes])
    }

    impl CertificateOf<'_> {
        /// As far as anybody here reads it (RFC 5280 §4.1).
        pub(in super::super) fn encode(&self) -> Vec<u8> {
            let ecdsa_sha256 = sequence(&[&oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2])]);
            let validity = sequence(&[
                &der(0x17, &[b"200101000000Z"]),
                &der(0x17, &[b"400101000000Z"]),
            ]);
            let point = self.signer.es256().verifying_key().to_sec1_point(false);
            let ec_public_key = oid(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1]);
            let public_key = sequence(&[
                &sequence(&[&ec_public_key, &oid(self.curve)]),
                &der(0x03, &[&[0], point.as_bytes()]),
            ]);
            let authority: &[u8] = if self.authority { &[1, 1, 0xff] } else { &[] };
            let extensions = sequence(&[
                &sequence(&[&oid(&[0x55, 0x1d, 0x13]), &octets(&sequence(&[authority]))]),
                &sequence(&[
                    &oid(&[0x2b, 6, 1, 4, 1, 0x82, 0xe5, 0x1c, 1, 1, 4]),
                    &octets(&octets(&self.model)),
                ]),
            ]);
            let nobody = sequence(&[]);
            let tbs = sequence(&[
                &der(0xa0, &[&der(0x02, &[&[self.version]])]),
                &der(0x02, &[&[1]]),
                &ecdsa_sha256,
                &nobody,
                &validity,
                &nobody,
                &public_key,
                &der(0xa3, &[&extensions]),
            ]);
            sequence(&[&tbs, &ecdsa_sha256, &der(0x03, &[&[0]])])
        }
    }

    fn signer() -> TestKey {
        TestKey::new(Algorithm::Es256, 9)
    }

    fn judge(certificate: &CertificateOf<'_>, signer: &TestKey) -> Result<(), Problem> {
        let signature = signer.sign(SIGNED);
        check(&certificate.encode(), SIGNED, &signature, Aaguid(MODEL))
    }

    #[test]
    fn a_certificate_that_signed_is_accepted() {
        let signer = signer();
        assert_eq!(judge(&honest(&signer, MODEL), &signer), Ok(()));
    }

    #[test]
    fn a_certificate_that_did_not_sign_is_refused() {
        let other = TestKey::new(Algorithm::Es256, 1);
        assert_eq!(
            judge(&honest(&signer(), MODEL), &other),
            Err(Problem::DidNotSign)
        );
    }

    #[test]
    fn a_certificate_of_another_model_version_curve_or_of_an_authority_is_refused() {
        let signer = signer();
        let honest = || honest(&signer, MODEL);
        let secp256k1: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x0a];
        for (certificate, why) in [
            (
                CertificateOf {
                    model: [0xab; 16],
                    ..honest()
                },
                Problem::OtherModel,
            ),
            (
                CertificateOf {
                    authority: true,
                    ..honest()
                },
                Problem::Authority,
            ),
            (
                CertificateOf {
                    version: 1,
                    ..honest()
                },
                Problem::NotVersion3,
            ),
            (
                CertificateOf {
                    curve: secp256k1,
                    ..honest()
                },
                Problem::NotEs256,
            ),
        ] {
            assert_eq!(judge(&certificate, &signer), Err(why));
        }
    }

    #[test]
    fn every_truncation_of_a_certificate_is_refused() {
        let signer = signer();
        let certificate = honest(&signer, MODEL).encode();
        let signature = signer.sign(SIGNED);
        for length in 0..certificate.len() {
            let result = check(&certificate[..length], SIGNED, &signature, Aaguid(MODEL));
            assert_eq!(result, Err(Problem::Malformed));
        }
    }
}

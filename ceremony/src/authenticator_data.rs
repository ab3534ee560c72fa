//! Authenticator data (WebAuthn §6.1): what the authenticator says about
//! itself and the person, under its signature.
#![forbid(unsafe_code)]

use minicbor::Decoder;

use crate::credential::{Aaguid, CredentialId};
use crate::public_key::{Algorithm, InvalidPublicKey, PublicKey};
use crate::relying_party::RelyingParty;
use crate::sentence;
use crate::sentence::{Sentence, Spoken};

/// The flags byte (WebAuthn §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u8);

impl Flags {
    /// UP: the person was there.
    pub fn user_present(self) -> bool {
        self.0 & 0x01 != 0
    }

    /// UV: the authenticator verified the person.
    pub fn user_verified(self) -> bool {
        self.0 & 0x04 != 0
    }

    /// BE: the credential may be backed up, i.e. copied.
    pub fn backup_eligible(self) -> bool {
        self.0 & 0x08 != 0
    }

    /// BS: the credential has been backed up.
    pub fn backup_state(self) -> bool {
        self.0 & 0x10 != 0
    }

    /// AT: attested credential data follows.
    pub fn attested_credential_data(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// ED: extension data follows.
    pub fn extension_data(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// Authenticator data, taken apart. The bytes that were signed stay with the
/// caller; nothing here is ever encoded again.
#[derive(Debug, PartialEq, Eq)]
pub struct AuthenticatorData<'a> {
    /// SHA-256 of the relying party id.
    pub rp_id_hash: [u8; 32],
    /// Presence, verification, backup, and what follows.
    pub flags: Flags,
    /// The signature counter; 0 from an authenticator that keeps none.
    pub sign_count: u32,
    /// The new credential, where the AT flag is set.
    pub attested: Option<AttestedCredentialData<'a>>,
    /// The extension outputs, a CBOR map as it arrived, where the ED flag is set.
    pub extensions: Option<&'a [u8]>,
}

/// Attested credential data (WebAuthn §6.5.2).
#[derive(Debug, PartialEq, Eq)]
pub struct AttestedCredentialData<'a> {
    /// The authenticator's model.
    pub aaguid: Aaguid,
    /// The new credential's id.
    pub credential_id: CredentialId,
    /// The new public key, a `COSE_Key` as it arrived.
    pub cose_key: &'a [u8],
}

impl<'a> AuthenticatorData<'a> {
    /// Takes `bytes` apart. They must be exactly as long as their flags say:
    /// left-over bytes would be signed bytes that nobody has read.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(Malformed::TooShort)?;
        let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(Malformed::TooShort)?;
        let (sign_count, mut rest) = rest.split_first_chunk::<4>().ok_or(Malformed::TooShort)?;
        let flags = Flags(flags);

        let attested = if flags.attested_credential_data() {
            let (attested, behind) = AttestedCredentialData::parse(rest)?;
            rest = behind;
            Some(attested)
        } else {
            None
        };
        let mut extensions = None;
        if flags.extension_data() {
            let mut decoder = Decoder::new(rest);
            decoder.map().map_err(|_| Malformed::Extensions)?;
            let behind = behind_one_item(rest).ok_or(Malformed::Extensions)?;
            extensions = rest.get(..rest.len() - behind.len());
            rest = behind;
        }
        if !rest.is_empty() {
            return Err(Malformed::LeftOver(rest.len()));
        }
        Ok(Self {
            rp_id_hash: *rp_id_hash,
            flags,
            sign_count: u32::from_be_bytes(*sign_count),
            attested,
            extensions,
        })
    }
}

impl<'a> AttestedCredentialData<'a> {
    fn parse(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), Malformed> {
        let (aaguid, rest) = bytes.split_first_chunk::<16>().ok_or(Malformed::TooShort)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or(Malformed::TooShort)?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (id, rest) = rest.split_at_checked(length).ok_or(Malformed::TooShort)?;
        let behind = behind_one_item(rest).ok_or(Malformed::PublicKey)?;
        let cose_key = rest
            .get(..rest.len() - behind.len())
            .ok_or(Malformed::PublicKey)?;
        Ok((
            Self {
                aaguid: Aaguid(*aaguid),
                credential_id: CredentialId::new(id).ok_or(Malformed::CredentialId(length))?,
                cose_key,
            },
            behind,
        ))
    }

    /// The public key, checked to be a point, bound to `relying_party`.
    pub fn public_key<R: RelyingParty>(&self, relying_party: R) -> Result<PublicKey<R>, Malformed> {
        let key = CoseKey::parse(self.cose_key).ok_or(Malformed::PublicKey)?;
        match (key.algorithm, key.kty, key.crv, key.x, key.y) {
            // RFC 9053 §7.1.1: kty EC2 (2), crv P-256 (1), x and y.
            (Some(Algorithm::Es256), Some(2), Some(1), Some(x), Some(y)) => {
                PublicKey::es256(x, y, relying_party).map_err(Malformed::Point)
            }
            // RFC 9053 §7.2: kty OKP (1), crv Ed25519 (6), x only.
            (Some(Algorithm::EdDsa), Some(1), Some(6), Some(x), None) => {
                PublicKey::eddsa(x, relying_party).map_err(Malformed::Point)
            }
            _ => Err(Malformed::PublicKey),
        }
    }
}

/// The members of a `COSE_Key` map (RFC 9052 §7) that our two algorithms have.
#[derive(Default)]
struct CoseKey<'a> {
    kty: Option<i64>,
    algorithm: Option<Algorithm>,
    crv: Option<i64>,
    x: Option<&'a [u8; 32]>,
    y: Option<&'a [u8; 32]>,
}

impl<'a> CoseKey<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut decoder = Decoder::new(bytes);
        let mut key = Self::default();
        for _ in 0..decoder.map().ok()?? {
            match decoder.i64().ok()? {
                1 => set(&mut key.kty, decoder.i64().ok()?)?,
                3 => set(
                    &mut key.algorithm,
                    Algorithm::from_cose(decoder.i64().ok()?)?,
                )?,
                -1 => set(&mut key.crv, decoder.i64().ok()?)?,
                -2 => set(&mut key.x, decoder.bytes().ok()?.try_into().ok()?)?,
                -3 => set(&mut key.y, decoder.bytes().ok()?.try_into().ok()?)?,
                // WebAuthn §6.5.1.1: no other member may stand here.
                _ => return None,
            }
        }
        Some(key)
    }
}

/// Fills a member once; a second time is a malformed map.
fn set<T>(member: &mut Option<T>, value: T) -> Option<()> {
    member.replace(value).is_none().then_some(())
}

/// What follows the first CBOR item of `bytes`. Iterative: depth costs the
/// sender bytes, not us a stack.
fn behind_one_item(bytes: &[u8]) -> Option<&[u8]> {
    let mut decoder = Decoder::new(bytes);
    decoder.skip().ok()?;
    bytes.get(decoder.position()..)
}

/// Why bytes are not authenticator data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than the flags promise.
    TooShort,
    /// More bytes than the flags promise, by this many.
    LeftOver(usize),
    /// A credential id of an impossible length.
    CredentialId(usize),
    /// Not a `COSE_Key` of ES256 or EdDSA.
    PublicKey,
    /// A key that is no valid point.
    Point(InvalidPublicKey),
    /// Extension data that is not a CBOR map.
    Extensions,
}

impl std::error::Error for Malformed {}

impl Spoken for Malformed {
    fn sentence(&self) -> Sentence {
        match self {
            Self::TooShort => sentence!("authenticator data is shorter than its flags say"),
            Self::LeftOver(bytes) => sentence!(
                "authenticator data is {bytes} bytes longer than its flags say",
                bytes
            ),
            Self::CredentialId(length) => {
                sentence!("a credential id of {length} bytes is impossible", length)
            }
            Self::PublicKey => sentence!("the credential's public key is neither ES256 nor EdDSA"),
            Self::Point(problem) => problem.sentence(),
            Self::Extensions => sentence!("extension data is not a CBOR map"),
        }
    }
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.sentence().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relying_party::RelyingPartyId;

    fn plain(flags: u8) -> Vec<u8> {
        let mut bytes = vec![0x11; 32];
        bytes.push(flags);
        bytes.extend(7_u32.to_be_bytes());
        bytes
    }

    /// An ES256 `COSE_Key` of P-256's generator (SEC 2 §2.4.2).
    fn cose_key() -> Vec<u8> {
        const X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        const Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let bytes = |hex: &str| -> Vec<u8> {
            (0..64)
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect()
        };
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(bytes(X));
        key.extend([0x22, 0x58, 0x20]);
        key.extend(bytes(Y));
        key
    }

    fn attested(id_length: u16) -> Vec<u8> {
        let mut bytes = plain(0x41);
        bytes.extend([0xaa; 16]);
        bytes.extend(id_length.to_be_bytes());
        bytes.extend(vec![0xbb; usize::from(id_length)]);
        bytes.extend(cose_key());
        bytes
    }

    fn rp() -> RelyingPartyId {
        RelyingPartyId::parse("pam://laptop").unwrap()
    }

    #[test]
    fn thirty_seven_bytes_are_taken_apart() {
        let bytes = plain(0x05);
        let data = AuthenticatorData::parse(&bytes).unwrap();
        assert_eq!(data.rp_id_hash, [0x11; 32]);
        assert!(data.flags.user_present() && data.flags.user_verified());
        assert_eq!(data.sign_count, 7);
        assert_eq!(data.attested, None);
    }

    #[test]
    fn every_other_length_is_refused() {
        let bytes = plain(0x01);
        for length in 0..37 {
            assert_eq!(
                AuthenticatorData::parse(&bytes[..length]),
                Err(Malformed::TooShort)
            );
        }
        let mut longer = bytes;
        longer.push(0);
        assert_eq!(
            AuthenticatorData::parse(&longer),
            Err(Malformed::LeftOver(1))
        );
    }

    #[test]
    fn a_flag_without_its_data_is_refused() {
        assert_eq!(
            AuthenticatorData::parse(&plain(0x41)),
            Err(Malformed::TooShort)
        );
        assert_eq!(
            AuthenticatorData::parse(&plain(0x81)),
            Err(Malformed::Extensions)
        );
    }

    #[test]
    fn extension_data_must_be_one_map() {
        let with = |extensions: &[u8]| [&plain(0x81)[..], extensions].concat();
        assert!(AuthenticatorData::parse(&with(&[0xa0])).is_ok());
        assert_eq!(
            AuthenticatorData::parse(&with(&[0x80])),
            Err(Malformed::Extensions)
        );
        assert_eq!(
            AuthenticatorData::parse(&with(&[0xa0, 0xa0])),
            Err(Malformed::LeftOver(1))
        );
    }

    #[test]
    fn a_new_credential_is_taken_apart() {
        let bytes = attested(64);
        let data = AuthenticatorData::parse(&bytes).unwrap();
        let attested = data.attested.unwrap();
        assert_eq!(attested.aaguid, Aaguid([0xaa; 16]));
        assert_eq!(attested.credential_id.as_bytes(), [0xbb; 64]);
        assert_eq!(
            attested.public_key(rp()).unwrap().algorithm(),
            Algorithm::Es256
        );
    }

    #[test]
    fn the_credential_id_is_bounded_on_both_sides() {
        assert!(AuthenticatorData::parse(&attested(1)).is_ok());
        assert!(AuthenticatorData::parse(&attested(1023)).is_ok());
        for impossible in [0, 1024] {
            assert_eq!(
                AuthenticatorData::parse(&attested(impossible)),
                Err(Malformed::CredentialId(impossible.into()))
            );
        }
    }

    #[test]
    fn every_truncation_of_a_new_credential_is_refused() {
        let bytes = attested(16);
        for length in 0..bytes.len() {
            assert!(AuthenticatorData::parse(&bytes[..length]).is_err());
        }
    }

    #[test]
    fn a_point_off_the_curve_is_refused() {
        let mut bytes = attested(16);
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let data = AuthenticatorData::parse(&bytes).unwrap();
        assert_eq!(
            data.attested.unwrap().public_key(rp()),
            Err(Malformed::Point(InvalidPublicKey::NotOnCurve))
        );
    }

    #[test]
    fn a_low_order_ed25519_point_is_refused() {
        let mut key = vec![0xa4, 0x01, 0x01, 0x03, 0x27, 0x20, 0x06, 0x21, 0x58, 0x20];
        // The identity, and the other point whose y is −1: order 1 and 2.
        let mut minus_one = [0xff; 32];
        minus_one[0] = 0xec;
        minus_one[31] = 0x7f;
        let mut identity = [0; 32];
        identity[0] = 1;
        for point in [identity, minus_one] {
            key.truncate(10);
            key.extend(point);
            let attested = AttestedCredentialData {
                aaguid: Aaguid::default(),
                credential_id: CredentialId::new(&[1]).unwrap(),
                cose_key: &key,
            };
            assert_eq!(
                attested.public_key(rp()),
                Err(Malformed::Point(InvalidPublicKey::LowOrder))
            );
        }
    }

    #[test]
    fn a_cose_key_says_each_thing_once_and_nothing_else() {
        let parse = |cose_key: &[u8]| {
            AttestedCredentialData {
                aaguid: Aaguid::default(),
                credential_id: CredentialId::new(&[1]).unwrap(),
                cose_key,
            }
            .public_key(rp())
        };
        assert!(parse(&cose_key()).is_ok());
        // kty twice
        let mut twice = cose_key();
        twice[0] = 0xa6;
        twice.extend([0x01, 0x02]);
        assert_eq!(parse(&twice), Err(Malformed::PublicKey));
        // a member of its own
        let mut strange = cose_key();
        strange[0] = 0xa6;
        strange.extend([0x04, 0x80]);
        assert_eq!(parse(&strange), Err(Malformed::PublicKey));
        // RS256's number on an EC2 key
        let mut other = cose_key();
        other[4] = 0x27;
        assert_eq!(parse(&other), Err(Malformed::PublicKey));
    }
}

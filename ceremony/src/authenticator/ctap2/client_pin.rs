//! authenticatorClientPIN (CTAP 2.1 §6.5.5): the messages around a PIN or a
//! built-in check. What is encrypted in them is the affair of
//! `authenticator::client_pin`.
#![forbid(unsafe_code)]

use minicbor::Decoder;

use super::message::{EncodeError, Encoded, Malformed, command, once, read_map, request};
use crate::authenticator::client_pin::{KeyAgreementKey, PinUvAuthProtocol};

/// What a token may be used for (§6.5.5.7, permissions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// `mc`: one authenticatorMakeCredential.
    MakeCredential,
    /// `ga`: one authenticatorGetAssertion.
    GetAssertion,
    /// Both: to look silently, and then make.
    LookAndMakeCredential,
}

impl Permission {
    fn bits(self) -> u8 {
        match self {
            Self::MakeCredential => 0x01,
            Self::GetAssertion => 0x02,
            Self::LookAndMakeCredential => 0x03,
        }
    }
}

/// `acfg`: authenticatorConfig.
const CONFIGURE: u8 = 0x20;

/// A request for something about the PIN.
#[derive(Clone, Copy, Debug)]
pub enum ClientPin<'a> {
    /// getPINRetries: how many wrong PINs are left.
    PinRetries,
    /// getKeyAgreement: the key's half of a shared secret.
    KeyAgreement,
    /// getPinToken, the one way of CTAP 2.0.
    PinToken {
        /// Our half of the shared secret.
        key_agreement: &'a KeyAgreementKey,
        /// The encrypted hash of the PIN.
        pin_hash_enc: &'a [u8],
    },
    /// getPinUvAuthTokenUsingPinWithPermissions of CTAP 2.1.
    TokenUsingPin {
        /// Our half of the shared secret.
        key_agreement: &'a KeyAgreementKey,
        /// The encrypted hash of the PIN.
        pin_hash_enc: &'a [u8],
        /// What the token is for.
        permission: Permission,
        /// With whom it may be used.
        rp_id: &'a str,
    },
    /// The same for authenticatorConfig (permission `acfg`), which no relying
    /// party has a part in.
    TokenToConfigure {
        /// Our half of the shared secret.
        key_agreement: &'a KeyAgreementKey,
        /// The encrypted hash of the PIN.
        pin_hash_enc: &'a [u8],
    },
    /// getPinUvAuthTokenUsingUvWithPermissions of CTAP 2.1: the key checks the
    /// person by itself.
    TokenUsingUv {
        /// Our half of the shared secret.
        key_agreement: &'a KeyAgreementKey,
        /// What the token is for.
        permission: Permission,
        /// With whom it may be used.
        rp_id: &'a str,
    },
}

impl ClientPin<'_> {
    /// The message.
    pub fn request(&self, protocol: PinUvAuthProtocol) -> Option<Vec<u8>> {
        request(command::CLIENT_PIN, |e| {
            let (subcommand, more) = match self {
                Self::PinRetries => (0x01, 0),
                Self::KeyAgreement => (0x02, 0),
                Self::PinToken { .. } => (0x05, 2),
                Self::TokenUsingUv { .. } => (0x06, 3),
                Self::TokenUsingPin { .. } => (0x09, 4),
                Self::TokenToConfigure { .. } => (0x09, 3),
            };
            e.map(2 + more)?;
            e.u8(0x01)?.u8(protocol.number())?;
            e.u8(0x02)?.u8(subcommand)?;
            match self {
                Self::PinRetries | Self::KeyAgreement => Ok(()),
                Self::PinToken {
                    key_agreement,
                    pin_hash_enc,
                } => {
                    cose_key(e, key_agreement)?;
                    e.u8(0x06)?.bytes(pin_hash_enc)?;
                    Ok(())
                }
                Self::TokenToConfigure {
                    key_agreement,
                    pin_hash_enc,
                } => {
                    cose_key(e, key_agreement)?;
                    e.u8(0x06)?.bytes(pin_hash_enc)?;
                    e.u8(0x09)?.u8(CONFIGURE)?;
                    Ok(())
                }
                Self::TokenUsingUv {
                    key_agreement,
                    permission,
                    rp_id,
                } => {
                    cose_key(e, key_agreement)?;
                    permitted(e, *permission, rp_id)
                }
                Self::TokenUsingPin {
                    key_agreement,
                    pin_hash_enc,
                    permission,
                    rp_id,
                } => {
                    cose_key(e, key_agreement)?;
                    e.u8(0x06)?.bytes(pin_hash_enc)?;
                    permitted(e, *permission, rp_id)
                }
            }
        })
    }
}

/// Member 0x03, keyAgreement: a COSE key of ECDH-ES+HKDF-256 (−25) on P-256.
fn cose_key(e: &mut Encoded<'_>, key: &KeyAgreementKey) -> Result<(), EncodeError> {
    e.u8(0x03)?.map(5)?;
    e.u8(1)?.u8(2)?;
    e.u8(3)?.i8(-25)?;
    e.i8(-1)?.u8(1)?;
    e.i8(-2)?.bytes(&key.x)?;
    e.i8(-3)?.bytes(&key.y)?;
    Ok(())
}

fn permitted(e: &mut Encoded<'_>, permission: Permission, rp_id: &str) -> Result<(), EncodeError> {
    e.u8(0x09)?.u8(permission.bits())?;
    e.u8(0x0a)?.str(rp_id)?;
    Ok(())
}

/// The answer to any of them; each holds one of the members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientPinAnswer {
    /// 0x01 keyAgreement.
    pub key_agreement: Option<KeyAgreementKey>,
    /// 0x02 pinUvAuthToken, encrypted.
    pub token: Option<Vec<u8>>,
    /// 0x03 pinRetries.
    pub pin_retries: Option<u8>,
    /// 0x04 powerCycleState: no PIN is taken before the key was unplugged.
    pub power_cycle_needed: bool,
}

impl ClientPinAnswer {
    /// Reads the response's data.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let mut key_agreement = None;
        let mut token = None;
        let mut pin_retries = None;
        let mut power_cycle = None;
        read_map(data, |key, value| match key {
            0x01 => once(&mut key_agreement, read_cose_key(value)?),
            0x02 => {
                let bytes = value
                    .bytes()
                    .map_err(|_| Malformed("a PIN/UV auth token"))?;
                once(&mut token, bytes.to_vec())
            }
            0x03 => {
                let count = value.u64().map_err(|_| Malformed("the tries of a PIN"))?;
                // At most 8 are allowed (§6.5.1); more is as good as 255.
                once(&mut pin_retries, u8::try_from(count).unwrap_or(u8::MAX))
            }
            0x04 => {
                let state = value.bool().map_err(|_| Malformed("powerCycleState"))?;
                once(&mut power_cycle, state)
            }
            _ => Ok(false),
        })?;
        Ok(Self {
            key_agreement,
            token,
            pin_retries,
            power_cycle_needed: power_cycle.unwrap_or(false),
        })
    }
}

/// The coordinates of a COSE key; whether they are a point is for the key
/// agreement to find out. Firmware differs in what else it puts in.
fn read_cose_key(value: &mut Decoder<'_>) -> Result<KeyAgreementKey, Malformed> {
    const WRONG: Malformed = Malformed("a key agreement key");
    let (mut x, mut y) = (None, None);
    for _ in 0..value.map().ok().flatten().ok_or(WRONG)? {
        let coordinate = match value.i64().map_err(|_| WRONG)? {
            -2 => &mut x,
            -3 => &mut y,
            _ => {
                value.skip().map_err(|_| WRONG)?;
                continue;
            }
        };
        let bytes = value.bytes().map_err(|_| WRONG)?;
        let bytes: [u8; 32] = bytes.try_into().map_err(|_| WRONG)?;
        once(coordinate, bytes)?;
    }
    match (x, y) {
        (Some(x), Some(y)) => Ok(KeyAgreementKey { x, y }),
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::ctap2::message::tests::bytes;

    const KEY: KeyAgreementKey = KeyAgreementKey {
        x: [0x11; 32],
        y: [0x22; 32],
    };

    /// [`KEY`] as COSE has it.
    fn cose() -> String {
        let (x, y) = ("11".repeat(32), "22".repeat(32));
        format!("a5 01 02 03 38 18 20 01 21 58 20 {x} 22 58 20 {y}")
    }

    #[test]
    fn requests_are_canonical_cbor() {
        let rp = "0a 67 70616d3a2f2f61";
        let cose = cose();
        for (asked, expected) in [
            (ClientPin::PinRetries, "06 a2 01 02 02 01".to_owned()),
            (ClientPin::KeyAgreement, "06 a2 01 02 02 02".to_owned()),
            (
                ClientPin::PinToken {
                    key_agreement: &KEY,
                    pin_hash_enc: &[0xaa],
                },
                format!("06 a4 01 02 02 05 03 {cose} 06 41 aa"),
            ),
            (
                ClientPin::TokenUsingUv {
                    key_agreement: &KEY,
                    permission: Permission::GetAssertion,
                    rp_id: "pam://a",
                },
                format!("06 a5 01 02 02 06 03 {cose} 09 02 {rp}"),
            ),
            (
                ClientPin::TokenUsingPin {
                    key_agreement: &KEY,
                    pin_hash_enc: &[0xaa],
                    permission: Permission::MakeCredential,
                    rp_id: "pam://a",
                },
                format!("06 a6 01 02 02 09 03 {cose} 06 41 aa 09 01 {rp}"),
            ),
            (
                ClientPin::TokenToConfigure {
                    key_agreement: &KEY,
                    pin_hash_enc: &[0xaa],
                },
                format!("06 a5 01 02 02 09 03 {cose} 06 41 aa 09 1820"),
            ),
        ] {
            let message = asked.request(PinUvAuthProtocol::Two).unwrap();
            assert_eq!(message, bytes(&expected), "{asked:?}");
        }
        let one = ClientPin::PinRetries.request(PinUvAuthProtocol::One);
        assert_eq!(one.unwrap(), bytes("06 a2 01 01 02 01"));
    }

    #[test]
    fn answers_are_read() {
        let key = ClientPinAnswer::parse(&bytes(&format!("a1 01 {}", cose()))).unwrap();
        assert_eq!(key.key_agreement, Some(KEY));
        let token = ClientPinAnswer::parse(&bytes("a1 02 42 0102")).unwrap();
        assert_eq!(token.token, Some(vec![1, 2]));
        let retries = ClientPinAnswer::parse(&bytes("a2 03 05 04 f5")).unwrap();
        assert_eq!(retries.pin_retries, Some(5));
        assert!(retries.power_cycle_needed);
        let many = ClientPinAnswer::parse(&bytes("a1 03 1bffffffffffffffff")).unwrap();
        assert_eq!(many.pin_retries, Some(255));
    }

    #[test]
    fn what_is_repeated_short_or_of_another_kind_is_refused() {
        let short = format!(
            "a1 01 a2 21 58 1f {} 22 58 20 {}",
            "11".repeat(31),
            "22".repeat(32)
        );
        let twice = format!(
            "a1 01 a3 21 58 20 {0} 21 58 20 {0} 22 58 20 {0}",
            "11".repeat(32)
        );
        for data in [
            "a2 03 05 03 05",
            "a1 03 20",
            "a1 04 01",
            "a1 02 61 61",
            "a1 01 80",
            "a1 01 a0",
            &short,
            &twice,
            "a1 03 05 00",
            "",
        ] {
            assert!(ClientPinAnswer::parse(&bytes(data)).is_err(), "{data}");
        }
    }
}

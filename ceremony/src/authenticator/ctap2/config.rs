//! authenticatorConfig (CTAP 2.1 §6.11): what a key can be set to.
#![forbid(unsafe_code)]

use super::message::{EncodeError, Encoded, command, request};
use crate::authenticator::client_pin::PinUvAuthParam;

/// A change of a key's settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// toggleAlwaysUv: on where it was off, and off where it was on.
    ToggleAlwaysUv,
    /// setMinPINLength, in code points. It only ever grows; a shorter PIN must
    /// then be changed before it is good for anything else.
    MinPinLength(u8),
}

impl Setting {
    fn subcommand(self) -> u8 {
        match self {
            Self::ToggleAlwaysUv => 0x02,
            Self::MinPinLength(_) => 0x03,
        }
    }

    /// What the request's proof is made over (§6.11): 32 bytes of 0xff, the
    /// command, the subcommand and its parameters as they are sent.
    pub fn authenticated(self) -> Option<Vec<u8>> {
        let parameters = request(self.subcommand(), |e| self.write_parameters(e))?;
        Some([&[0xff; 32][..], &[command::CONFIG], &parameters].concat())
    }

    /// The message.
    pub fn request(self, proof: &PinUvAuthParam) -> Option<Vec<u8>> {
        request(command::CONFIG, |e| {
            let parameters = matches!(self, Self::MinPinLength(_));
            e.map(3 + u64::from(parameters))?;
            e.u8(0x01)?.u8(self.subcommand())?;
            if parameters {
                e.u8(0x02)?;
                self.write_parameters(e)?;
            }
            e.u8(0x03)?.u8(proof.protocol.number())?;
            e.u8(0x04)?.bytes(&proof.mac)?;
            Ok(())
        })
    }

    fn write_parameters(self, e: &mut Encoded<'_>) -> Result<(), EncodeError> {
        match self {
            Self::ToggleAlwaysUv => {}
            Self::MinPinLength(length) => {
                e.map(1)?.u8(0x01)?.u8(length)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::client_pin::PinUvAuthProtocol;
    use crate::authenticator::ctap2::message::tests::bytes;

    #[test]
    fn a_request_is_canonical_cbor_and_what_it_proves_are_its_own_bytes() {
        let proof = PinUvAuthParam {
            protocol: PinUvAuthProtocol::Two,
            mac: vec![0xcc],
        };
        let ones = "ff".repeat(32);
        let toggle = Setting::ToggleAlwaysUv;
        assert_eq!(
            toggle.request(&proof).unwrap(),
            bytes("0d a3 01 02 03 02 04 41 cc")
        );
        assert_eq!(
            toggle.authenticated().unwrap(),
            bytes(&format!("{ones} 0d 02"))
        );
        let length = Setting::MinPinLength(8);
        assert_eq!(
            length.request(&proof).unwrap(),
            bytes("0d a4 01 03 02 a1 01 08 03 02 04 41 cc")
        );
        assert_eq!(
            length.authenticated().unwrap(),
            bytes(&format!("{ones} 0d 03 a1 01 08"))
        );
    }
}

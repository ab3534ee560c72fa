//! authenticatorMakeCredential (CTAP 2.1 §6.1).
#![forbid(unsafe_code)]

use super::message::{Malformed, Verification, command, descriptor, once, read_map, request};
use crate::credential::CredentialId;
use crate::public_key::Algorithm;

/// A request for a new credential, with a touch.
#[derive(Clone, Copy, Debug)]
pub struct MakeCredential<'a> {
    /// 0x01 clientDataHash.
    pub client_data_hash: [u8; 32],
    /// 0x02 rp.
    pub rp_id: &'a str,
    /// 0x03 user.name, for keys with a display.
    pub user_name: &'a str,
    /// 0x03 user.id: 1 to 64 bytes.
    pub user_id: &'a [u8],
    /// 0x04 pubKeyCredParams.
    pub algorithm: Algorithm,
    /// 0x05 excludeList.
    pub exclude_list: &'a [&'a CredentialId],
    /// 0x06 extensions `credProtect`.
    pub protection: Option<CredentialProtection>,
    /// 0x07 options `rk`: the key keeps the credential itself.
    pub discoverable: bool,
    /// 0x07 options `uv`, or 0x08 pinUvAuthParam and 0x09 pinUvAuthProtocol.
    pub verification: Verification<'a>,
}

impl MakeCredential<'_> {
    /// The message.
    pub fn request(&self) -> Option<Vec<u8>> {
        request(command::MAKE_CREDENTIAL, |e| {
            let with_uv = self.verification == Verification::BuiltIn;
            let options = u64::from(self.discoverable) + u64::from(with_uv);
            let members = 4
                + u64::from(!self.exclude_list.is_empty())
                + u64::from(self.protection.is_some())
                + u64::from(options > 0);
            e.map(members + self.verification.members())?;
            e.u8(0x01)?.bytes(&self.client_data_hash)?;
            e.u8(0x02)?.map(2)?;
            e.str("id")?.str(self.rp_id)?;
            e.str("name")?.str(self.rp_id)?;
            e.u8(0x03)?.map(3)?;
            e.str("id")?.bytes(self.user_id)?;
            e.str("name")?.str(self.user_name)?;
            e.str("displayName")?.str(self.user_name)?;
            e.u8(0x04)?.array(1)?.map(2)?;
            e.str("alg")?.i64(self.algorithm.cose())?;
            e.str("type")?.str("public-key")?;
            if !self.exclude_list.is_empty() {
                e.u8(0x05)?.array(self.exclude_list.len() as u64)?;
                for id in self.exclude_list {
                    descriptor(e, id.as_bytes())?;
                }
            }
            if let Some(protection) = self.protection {
                e.u8(0x06)?.map(1)?;
                e.str(CredentialProtection::NAME)?.u8(protection.level())?;
            }
            if options > 0 {
                e.u8(0x07)?.map(options)?;
            }
            if self.discoverable {
                e.str("rk")?.bool(true)?;
            }
            if with_uv {
                e.str("uv")?.bool(true)?;
            }
            self.verification.write(e, 0x08)
        })
    }
}

/// Who may use a credential (CTAP 2.1 §12.1, credProtect), beyond anybody who
/// touches its authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CredentialProtection {
    /// `userVerificationOptionalWithCredentialIDList`: who has its id, or is
    /// verified.
    VerificationOrId,
    /// `userVerificationRequired`: who is verified.
    Verification,
}

impl CredentialProtection {
    /// The extension's name.
    pub const NAME: &'static str = "credProtect";

    /// Its value.
    pub fn level(self) -> u8 {
        match self {
            Self::VerificationOrId => 2,
            Self::Verification => 3,
        }
    }
}

/// The response (CTAP 2.1 §6.1.2), the signed bytes as they arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttestationObject {
    /// 0x01 fmt.
    pub format: String,
    /// 0x02 authData.
    pub authenticator_data: Vec<u8>,
    /// 0x03 attStmt, undecoded; empty where there is none.
    pub statement: Vec<u8>,
}

impl AttestationObject {
    /// Reads the response's data.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        const WRONG: Malformed = Malformed("an attestation object");
        let mut format = None;
        let mut authenticator_data = None;
        let mut statement = None;
        read_map(data, |key, value| match key {
            0x01 => once(&mut format, value.str().map_err(|_| WRONG)?.to_owned()),
            0x02 => once(
                &mut authenticator_data,
                value.bytes().map_err(|_| WRONG)?.to_vec(),
            ),
            0x03 => {
                let from = value.position();
                value.skip().map_err(|_| WRONG)?;
                let bytes = data.get(from..value.position()).ok_or(WRONG)?;
                once(&mut statement, bytes.to_vec())
            }
            _ => Ok(false),
        })?;
        Ok(Self {
            format: format.ok_or(Malformed("an attestation object without a format"))?,
            authenticator_data: authenticator_data.ok_or(Malformed(
                "an attestation object without authenticator data",
            ))?,
            statement: statement.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::client_pin::{PinUvAuthParam, PinUvAuthProtocol};
    use crate::authenticator::ctap2::message::tests::bytes;

    #[test]
    fn a_request_is_canonical_cbor() {
        let id = CredentialId::new(&[0xaa]).unwrap();
        let mut request = MakeCredential {
            client_data_hash: [0x11; 32],
            rp_id: "pam://a",
            user_name: "al",
            user_id: &[0x22; 32],
            algorithm: Algorithm::EdDsa,
            exclude_list: &[],
            discoverable: false,
            protection: None,
            verification: Verification::None,
        };
        let common = format!(
            "01 5820 {} 02 a2 626964 67 70616d3a2f2f61 646e616d65 67 70616d3a2f2f61 \
             03 a3 626964 5820 {} 646e616d65 62 616c 6b646973706c61794e616d65 62 616c \
             04 81 a2 63616c67 27 6474797065 6a7075626c69632d6b6579",
            "11".repeat(32),
            "22".repeat(32)
        );
        assert_eq!(
            request.request().unwrap(),
            bytes(&format!("01 a4 {common}"))
        );
        let ids = [&id];
        request.exclude_list = &ids;
        request.verification = Verification::BuiltIn;
        assert_eq!(
            request.request().unwrap(),
            bytes(&format!(
                "01 a6 {common} 05 81 a2 626964 41 aa 6474797065 6a7075626c69632d6b6579 \
                 07 a1 627576 f5"
            ))
        );
        let proof = PinUvAuthParam {
            protocol: PinUvAuthProtocol::One,
            mac: vec![0xcc; 2],
        };
        request.exclude_list = &[];
        request.discoverable = true;
        request.verification = Verification::Token(&proof);
        assert_eq!(
            request.request().unwrap(),
            bytes(&format!("01 a7 {common} 07 a1 62726b f5 08 42 cccc 09 01"))
        );
        request.verification = Verification::None;
        for (protection, level) in [
            (CredentialProtection::VerificationOrId, "02"),
            (CredentialProtection::Verification, "03"),
        ] {
            request.protection = Some(protection);
            assert_eq!(
                request.request().unwrap(),
                bytes(&format!(
                    "01 a6 {common} 06 a1 6b6372656450726f74656374 {level} 07 a1 62726b f5"
                ))
            );
        }
    }

    #[test]
    fn a_response_keeps_its_statement_as_it_came() {
        let object =
            AttestationObject::parse(&bytes("a3 01 646e6f6e65 02 42 0102 03 a1 00 1800")).unwrap();
        assert_eq!(object.format, "none");
        assert_eq!(object.authenticator_data, [1, 2]);
        assert_eq!(object.statement, bytes("a1 00 1800"));
    }

    #[test]
    fn what_is_missing_repeated_or_of_another_kind_is_refused() {
        for data in [
            "a1 01 646e6f6e65",
            "a1 02 41 00",
            "a2 01 01 02 41 00",
            "a2 01 62 ff00 02 41 00",
            "a3 01 646e6f6e65 02 41 00 02 41 00",
            "a3 01 646e6f6e65 02 41 00 03 a1",
        ] {
            assert!(AttestationObject::parse(&bytes(data)).is_err(), "{data}");
        }
    }
}

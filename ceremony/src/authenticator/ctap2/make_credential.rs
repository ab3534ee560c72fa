//! authenticatorMakeCredential (CTAP 2.1 §6.1).
#![forbid(unsafe_code)]

use super::{Malformed, command, descriptor, once, read_map, request};
use crate::credential::{CredentialId, UserVerification};
use crate::public_key::Algorithm;
use crate::relying_party::RelyingPartyId;

/// A request for a new credential, with a touch.
#[derive(Clone, Copy, Debug)]
pub struct MakeCredential<'a> {
    /// 0x01 clientDataHash.
    pub client_data_hash: [u8; 32],
    /// 0x02 rp.
    pub relying_party: &'a RelyingPartyId,
    /// 0x03 user.name, for keys with a display.
    pub user_name: &'a str,
    /// 0x03 user.id: 1 to 64 random bytes that say nothing about the person
    /// (WebAuthn §14.6.1).
    pub user_id: [u8; 32],
    /// 0x04 pubKeyCredParams.
    pub algorithm: Algorithm,
    /// 0x05 excludeList.
    pub exclude_list: &'a [&'a CredentialId],
    /// 0x07 options `uv`.
    pub user_verification: UserVerification,
}

impl MakeCredential<'_> {
    /// The message.
    pub fn request(&self) -> Option<Vec<u8>> {
        request(command::MAKE_CREDENTIAL, |e| {
            let with_uv = self.user_verification == UserVerification::Required;
            let members =
                4 + u64::from(!self.exclude_list.is_empty()) + u64::from(with_uv);
            e.map(members)?;
            e.u8(0x01)?.bytes(&self.client_data_hash)?;
            e.u8(0x02)?.map(2)?;
            e.str("id")?.str(self.relying_party.as_str())?;
            e.str("name")?.str(self.relying_party.as_str())?;
            e.u8(0x03)?.map(3)?;
            e.str("id")?.bytes(&self.user_id)?;
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
            if with_uv {
                e.u8(0x07)?.map(1)?.str("uv")?.bool(true)?;
            }
            Ok(())
        })
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
            authenticator_data: authenticator_data
                .ok_or(Malformed("an attestation object without authenticator data"))?,
            statement: statement.unwrap_or_default(),
        })
    }
}

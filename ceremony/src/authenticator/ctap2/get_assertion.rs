//! authenticatorGetAssertion (CTAP 2.1 §6.2).
#![forbid(unsafe_code)]

use minicbor::Decoder;

use super::{Malformed, command, descriptor, once, read_map, request};
use crate::assertion::Assertion;
use crate::credential::{CredentialId, UserVerification};
use crate::relying_party::RelyingPartyId;

/// Whether a person must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserPresence {
    /// The key waits for a touch.
    Touch,
    /// The key answers at once: a probe that finds out where a credential is.
    /// Whatever it signs has UP 0 and must never be over an envelope.
    Silent,
}

/// A request for an assertion.
#[derive(Clone, Copy, Debug)]
pub struct GetAssertion<'a> {
    /// 0x01 rpId.
    pub relying_party: &'a RelyingPartyId,
    /// 0x02 clientDataHash.
    pub client_data_hash: [u8; 32],
    /// 0x03 allowList.
    pub allow_list: &'a [&'a CredentialId],
    /// 0x05 options `up`.
    pub user_presence: UserPresence,
    /// 0x05 options `uv`: asks for built-in user verification.
    pub user_verification: UserVerification,
}

impl GetAssertion<'_> {
    /// The message.
    pub fn request(&self) -> Option<Vec<u8>> {
        request(command::GET_ASSERTION, |e| {
            // Both options have their defaults, and older firmware is best not
            // told what it takes for granted.
            let silent = self.user_presence == UserPresence::Silent;
            let verify = self.user_verification == UserVerification::Required;
            let options = u64::from(silent) + u64::from(verify);
            e.map(3 + u64::from(options > 0))?;
            e.u8(0x01)?.str(self.relying_party.as_str())?;
            e.u8(0x02)?.bytes(&self.client_data_hash)?;
            e.u8(0x03)?.array(self.allow_list.len() as u64)?;
            for id in self.allow_list {
                descriptor(e, id.as_bytes())?;
            }
            if options > 0 {
                e.u8(0x05)?.map(options)?;
            }
            if silent {
                e.str("up")?.bool(false)?;
            }
            if verify {
                e.str("uv")?.bool(true)?;
            }
            Ok(())
        })
    }

    /// Reads the response's data.
    pub fn parse(data: &[u8]) -> Result<Assertion, Malformed> {
        let mut credential_id = None;
        let mut authenticator_data = None;
        let mut signature = None;
        read_map(data, |key, value| match key {
            0x01 => once(&mut credential_id, id_of_descriptor(value)?),
            0x02 => once(&mut authenticator_data, bytes(value)?),
            0x03 => once(&mut signature, bytes(value)?),
            // user, numberOfCredentials, userSelected, largeBlobKey: we asked
            // with an allowList and want one answer.
            _ => Ok(false),
        })?;
        Ok(Assertion {
            credential_id: credential_id.flatten(),
            authenticator_data: authenticator_data
                .ok_or(Malformed("an assertion without authenticator data"))?,
            signature: signature.ok_or(Malformed("an assertion without a signature"))?,
        })
    }
}

fn bytes(value: &mut Decoder<'_>) -> Result<Vec<u8>, Malformed> {
    value
        .bytes()
        .map(<[u8]>::to_vec)
        .map_err(|_| Malformed("an assertion's bytes"))
}

/// The `id` of a `PublicKeyCredentialDescriptor`; some firmware sends an empty
/// map where it left the id out.
fn id_of_descriptor(value: &mut Decoder<'_>) -> Result<Option<Vec<u8>>, Malformed> {
    const WRONG: Malformed = Malformed("an assertion's credential");
    let mut id = None;
    for _ in 0..value.map().ok().flatten().ok_or(WRONG)? {
        match value.str().map_err(|_| WRONG)? {
            "id" => {
                once(&mut id, value.bytes().map_err(|_| WRONG)?.to_vec())?;
            }
            _ => value.skip().map_err(|_| WRONG)?,
        }
    }
    Ok(id)
}

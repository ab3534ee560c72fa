//! authenticatorGetAssertion (CTAP 2.1 §6.2).
#![forbid(unsafe_code)]

use minicbor::Decoder;

use super::message::{
    Malformed, Verification, command, descriptor, once, read_map, request, request_without_members,
};
use crate::assertion::Assertion;
use crate::credential::CredentialId;

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
    pub rp_id: &'a str,
    /// 0x02 clientDataHash.
    pub client_data_hash: [u8; 32],
    /// 0x03 allowList; where it is empty, any credential that the key keeps
    /// itself.
    pub allow_list: &'a [&'a CredentialId],
    /// 0x05 options `up`.
    pub user_presence: UserPresence,
    /// 0x05 options `uv`, or 0x06 pinUvAuthParam and 0x07 pinUvAuthProtocol.
    pub verification: Verification<'a>,
}

impl GetAssertion<'_> {
    /// The message.
    pub fn request(&self) -> Option<Vec<u8>> {
        request(command::GET_ASSERTION, |e| {
            // Both options have their defaults, and older firmware is best not
            // told what it takes for granted.
            let silent = self.user_presence == UserPresence::Silent;
            let verify = self.verification == Verification::BuiltIn;
            let options = u64::from(silent) + u64::from(verify);
            let named = u64::from(!self.allow_list.is_empty());
            e.map(2 + named + u64::from(options > 0) + self.verification.members())?;
            e.u8(0x01)?.str(self.rp_id)?;
            e.u8(0x02)?.bytes(&self.client_data_hash)?;
            if !self.allow_list.is_empty() {
                e.u8(0x03)?.array(self.allow_list.len() as u64)?;
            }
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
            self.verification.write(e, 0x06)
        })
    }

    /// The message that asks for the next of several credentials that the key
    /// keeps (authenticatorGetNextAssertion, §6.3).
    pub fn next() -> Vec<u8> {
        request_without_members(command::GET_NEXT_ASSERTION)
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

/// A credential that a key keeps itself, as it answers to a request without an
/// allowList. What it signs is of no interest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// 0x04 user.id.
    pub user_id: Vec<u8>,
    /// 0x05 numberOfCredentials: how many there are; one where it is left out.
    pub number: u64,
}

impl Discovered {
    /// Reads the response's data.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let mut user_id = None;
        let mut number = None;
        read_map(data, |key, value| match key {
            0x04 => once(&mut user_id, id_of_descriptor(value)?),
            0x05 => {
                let wrong = |_| Malformed("a number of credentials");
                once(&mut number, value.u64().map_err(wrong)?)
            }
            _ => Ok(false),
        })?;
        Ok(Self {
            user_id: user_id.flatten().unwrap_or_default(),
            number: number.unwrap_or(1),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::client_pin::{PinUvAuthParam, PinUvAuthProtocol};
    use crate::authenticator::ctap2::message::tests::bytes;

    fn request(presence: UserPresence, verification: Verification<'_>) -> Vec<u8> {
        GetAssertion {
            rp_id: "pam://a",
            client_data_hash: [0x11; 32],
            allow_list: &[
                &CredentialId::new(&[0xaa]).unwrap(),
                &CredentialId::new(&[0xbb, 0xbb]).unwrap(),
            ],
            user_presence: presence,
            verification,
        }
        .request()
        .unwrap()
    }

    #[test]
    fn a_request_is_canonical_cbor() {
        // CTAP 2.1 §8: keys in order, shortest lengths.
        let proof = PinUvAuthParam {
            protocol: PinUvAuthProtocol::Two,
            mac: vec![0xcc; 2],
        };
        let common = format!(
            "01 67 70616d3a2f2f61 02 5820 {} 03 82 \
             a2 626964 41 aa 6474797065 6a7075626c69632d6b6579 \
             a2 626964 42 bbbb 6474797065 6a7075626c69632d6b6579",
            "11".repeat(32)
        );
        for (presence, verification, members, options) in [
            (UserPresence::Touch, Verification::None, "a3", ""),
            (
                UserPresence::Touch,
                Verification::BuiltIn,
                "a4",
                "05 a1 627576 f5",
            ),
            (
                UserPresence::Silent,
                Verification::None,
                "a4",
                "05 a1 627570 f4",
            ),
            (
                UserPresence::Touch,
                Verification::Token(&proof),
                "a5",
                "06 42 cccc 07 02",
            ),
        ] {
            assert_eq!(
                request(presence, verification),
                bytes(&format!("02 {members} {common} {options}"))
            );
        }
    }

    #[test]
    fn a_response_is_read_with_and_without_its_credential() {
        let id = "01 a2 626964 42 bbbb 6474797065 6a7075626c69632d6b6579";
        let rest = "02 43 010203 03 42 0405";
        let with = GetAssertion::parse(&bytes(&format!("a3 {id} {rest}"))).unwrap();
        assert_eq!(with.credential_id, Some(vec![0xbb, 0xbb]));
        assert_eq!(with.authenticator_data, [1, 2, 3]);
        assert_eq!(with.signature, [4, 5]);
        let without = GetAssertion::parse(&bytes(&format!("a2 {rest}"))).unwrap();
        assert_eq!(without.credential_id, None);
        // Careless firmware: an empty credential, members out of order.
        let careless = GetAssertion::parse(&bytes("a3 03 42 0405 02 43 010203 01 a0")).unwrap();
        assert_eq!(careless, without);
    }

    #[test]
    fn what_is_missing_repeated_or_of_another_kind_is_refused() {
        for data in [
            "a1 02 41 00",
            "a1 03 41 00",
            "a3 02 41 00 02 41 00 03 41 00",
            "a2 02 61 61 03 41 00",
            "a2 02 41 00 03 01",
            "a3 01 41 00 02 41 00 03 41 00",
            "a3 01 a2 626964 41 00 626964 41 00 02 41 00 03 41 00",
            "a2 02 5f 41 00 ff 03 41 00",
            "a2 02 41 00 03 41 00 00",
            "82 02 03",
            "",
        ] {
            assert!(GetAssertion::parse(&bytes(data)).is_err(), "{data}");
        }
    }
}

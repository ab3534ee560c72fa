//! What a message asks for, as far as this bench has to know.

#![forbid(unsafe_code)]

use sk_cbor::Value;

use super::message::{CBOR, Message};

/// CTAPHID's commands, with CTAP2's in place of the envelope CBOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the specification's names")]
pub enum Command {
    Init,
    Ping,
    Msg,
    Lock,
    Wink,
    Cancel,
    MakeCredential,
    GetAssertion,
    GetInfo,
    ClientPin,
    Reset,
    GetNextAssertion,
    BioEnrollment,
    CredentialManagement,
    Selection,
    LargeBlobs,
    Config,
    /// `authenticatorCredentialManagement` before it was standard: `FIDO_2_1_PRE`.
    CredentialManagementPreview,
    /// A CBOR command this bench has no name for.
    OtherCbor(u8),
    /// A CTAPHID command this bench has no name for.
    Other(u8),
}

impl Command {
    fn of(message: &Message) -> Self {
        match (message.command, message.bytes.first().unwrap_or(&0)) {
            (0x01, _) => Self::Ping,
            (0x03, _) => Self::Msg,
            (0x04, _) => Self::Lock,
            (0x06, _) => Self::Init,
            (0x08, _) => Self::Wink,
            (0x11, _) => Self::Cancel,
            (CBOR, 0x01) => Self::MakeCredential,
            (CBOR, 0x02) => Self::GetAssertion,
            (CBOR, 0x04) => Self::GetInfo,
            (CBOR, 0x06) => Self::ClientPin,
            (CBOR, 0x07) => Self::Reset,
            (CBOR, 0x08) => Self::GetNextAssertion,
            (CBOR, 0x09) => Self::BioEnrollment,
            (CBOR, 0x0A) => Self::CredentialManagement,
            (CBOR, 0x0B) => Self::Selection,
            (CBOR, 0x0C) => Self::LargeBlobs,
            (CBOR, 0x0D) => Self::Config,
            (CBOR, 0x41) => Self::CredentialManagementPreview,
            (CBOR, other) => Self::OtherCbor(*other),
            (other, _) => Self::Other(other),
        }
    }
}

/// A message read. Parameters that are no CBOR map read as none: refusing them is the firmware's.
pub(super) struct Request {
    pub(super) command: Command,
    pub(super) length: usize,
    parameters: Vec<(Value, Value)>,
}

impl Request {
    pub(super) fn of(message: &Message) -> Self {
        let command = Command::of(message);
        let parameters = match (message.command, message.bytes.get(1..)) {
            (CBOR, Some(parameters)) => sk_cbor::read(parameters).ok(),
            _ => None,
        };
        Self {
            command,
            length: message.bytes.len(),
            parameters: parameters.and_then(Value::extract_map).unwrap_or_default(),
        }
    }

    /// The subcommand, of commands that have some.
    pub(super) fn subcommand(&self) -> Option<u8> {
        let number = match self.command {
            Command::ClientPin | Command::BioEnrollment => 0x02,
            Command::CredentialManagement
            | Command::CredentialManagementPreview
            | Command::Config => 0x01,
            _ => return None,
        };
        self.unsigned(number)?.try_into().ok()
    }

    /// How many credential ids stand in the allowList or excludeList.
    pub(super) fn ids(&self) -> usize {
        let list = self.of_assertion_or_credential(0x03, 0x05);
        list.and_then(Value::extract_array)
            .map_or(0, |ids| ids.len())
    }

    /// Of an assertion, the relying party it is for.
    pub(super) fn rp_id(&self) -> Option<String> {
        self.of_assertion(0x01)?.extract_text_string()
    }

    /// Of an assertion, the clientDataHash.
    pub(super) fn client_data_hash(&self) -> Option<Vec<u8>> {
        self.of_assertion(0x02)?.extract_byte_string()
    }

    /// Of an assertion, the first id of the allowList.
    pub(super) fn first_id(&self) -> Option<Vec<u8>> {
        let first = self.of_assertion(0x03)?.extract_array()?.into_iter().next();
        let id = Value::text_string("id".to_owned());
        let (_, value) = first?
            .extract_map()?
            .into_iter()
            .find(|(key, _)| *key == id)?;
        value.extract_byte_string()
    }

    /// Whether it is an assertion without a touch: `up` false.
    pub(super) fn is_silent(&self) -> bool {
        self.command == Command::GetAssertion && self.option("up") == Some(false)
    }

    /// Whether the key itself is to verify its user: `uv` true.
    pub(super) fn wants_built_in_uv(&self) -> bool {
        self.option("uv") == Some(true)
    }

    /// Whether an assertion or a credential is asked for with a pinUvAuthParam.
    pub(super) fn has_pin_uv_auth_param(&self) -> bool {
        self.of_assertion_or_credential(0x06, 0x08).is_some()
    }

    /// The PIN/UV auth protocol, where one is named.
    pub(super) fn pin_uv_auth_protocol(&self) -> Option<u64> {
        match self.command {
            Command::ClientPin => self.unsigned(0x01),
            _ => self
                .of_assertion_or_credential(0x07, 0x09)?
                .extract_unsigned(),
        }
    }

    fn option(&self, name: &str) -> Option<bool> {
        let options = self.of_assertion_or_credential(0x05, 0x07)?.extract_map()?;
        let name = Value::text_string(name.to_owned());
        let (_, value) = options.into_iter().find(|(key, _)| *key == name)?;
        value.extract_bool()
    }

    fn of_assertion_or_credential(&self, assertion: u64, credential: u64) -> Option<Value> {
        match self.command {
            Command::GetAssertion => self.member(assertion),
            Command::MakeCredential => self.member(credential),
            _ => None,
        }
    }

    fn of_assertion(&self, number: u64) -> Option<Value> {
        (self.command == Command::GetAssertion).then(|| self.member(number))?
    }

    fn unsigned(&self, number: u64) -> Option<u64> {
        self.member(number)?.extract_unsigned()
    }

    fn member(&self, number: u64) -> Option<Value> {
        let number = Value::unsigned(number);
        let (_, value) = self.parameters.iter().find(|(key, _)| *key == number)?;
        Some(value.clone())
    }
}

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
pub(crate) struct Request {
    pub(crate) command: Command,
    pub(crate) length: usize,
    parameters: Vec<(Value, Value)>,
}

impl Request {
    pub(crate) fn of(message: &Message) -> Self {
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
    pub(crate) fn subcommand(&self) -> Option<u8> {
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
    pub(crate) fn ids(&self) -> usize {
        let list = self.of_assertion_or_credential(0x03, 0x05);
        list.and_then(Value::extract_array)
            .map_or(0, |ids| ids.len())
    }

    /// Of an assertion, the relying party it is for.
    pub(crate) fn rp_id(&self) -> Option<String> {
        self.of_assertion(0x01)?.extract_text_string()
    }

    /// Of an assertion, the clientDataHash.
    pub(crate) fn client_data_hash(&self) -> Option<Vec<u8>> {
        self.of_assertion(0x02)?.extract_byte_string()
    }

    /// Of an assertion, the first id of the allowList.
    pub(crate) fn first_id(&self) -> Option<Vec<u8>> {
        self.allow_list().into_iter().next()
    }

    /// Of an assertion, every id of the allowList.
    pub(crate) fn allow_list(&self) -> Vec<Vec<u8>> {
        let list = self.of_assertion(0x03).and_then(Value::extract_array);
        list.unwrap_or_default()
            .into_iter()
            .filter_map(|descriptor| entry(descriptor, "id")?.extract_byte_string())
            .collect()
    }

    /// Of a new credential: the relying party, the clientDataHash and the algorithm wanted most.
    pub(crate) fn wanted(&self) -> Option<(String, Vec<u8>, i64)> {
        let rp_id = entry(self.member(0x02)?, "id")?.extract_text_string()?;
        let hash = self.member(0x01)?.extract_byte_string()?;
        let algorithms = self.member(0x04)?.extract_array()?;
        let algorithm = entry(algorithms.into_iter().next()?, "alg")?.extract_integer()?;
        Some((rp_id, hash, algorithm))
    }

    /// Of an assertion or a credential, the pinUvAuthParam.
    pub(crate) fn pin_uv_auth_param(&self) -> Option<Vec<u8>> {
        let param = self.of_assertion_or_credential(0x06, 0x08);
        param?.extract_byte_string()
    }

    /// Of a request for a token: the host's half of the secret, in SEC 1 form, and the PIN's hash,
    /// encrypted.
    pub(crate) fn pin_of_host(&self) -> Option<(Vec<u8>, Vec<u8>)> {
        let key = self.member(0x03)?.extract_map()?;
        let coordinate = |number: i64| {
            let number = Value::integer(number);
            let (_, value) = key.iter().find(|(label, _)| *label == number)?;
            value.clone().extract_byte_string()
        };
        let point = [vec![0x04], coordinate(-2)?, coordinate(-3)?].concat();
        Some((point, self.member(0x06)?.extract_byte_string()?))
    }

    /// Whether it is an assertion without a touch: `up` false.
    pub(crate) fn is_silent(&self) -> bool {
        self.command == Command::GetAssertion && self.option("up") == Some(false)
    }

    /// Whether the key itself is to verify its user: `uv` true.
    pub(crate) fn wants_built_in_uv(&self) -> bool {
        self.option("uv") == Some(true)
    }

    /// Whether the key itself is to keep the credential: `rk` true.
    pub(crate) fn wants_to_be_kept(&self) -> bool {
        self.option("rk") == Some(true)
    }

    /// Whether an assertion or a credential is asked for with a pinUvAuthParam.
    pub(crate) fn has_pin_uv_auth_param(&self) -> bool {
        self.of_assertion_or_credential(0x06, 0x08).is_some()
    }

    /// The PIN/UV auth protocol, where one is named.
    pub(crate) fn pin_uv_auth_protocol(&self) -> Option<u64> {
        match self.command {
            Command::ClientPin => self.unsigned(0x01),
            _ => self
                .of_assertion_or_credential(0x07, 0x09)?
                .extract_unsigned(),
        }
    }

    fn option(&self, name: &str) -> Option<bool> {
        entry(self.of_assertion_or_credential(0x05, 0x07)?, name)?.extract_bool()
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

/// The value under this name in a map.
fn entry(map: Value, name: &str) -> Option<Value> {
    let name = Value::text_string(name.to_owned());
    let (_, value) = map
        .extract_map()?
        .into_iter()
        .find(|(key, _)| *key == name)?;
    Some(value)
}

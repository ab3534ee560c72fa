//! authenticatorGetInfo (CTAP 2.1 §6.4).
#![forbid(unsafe_code)]

use minicbor::Decoder;

use super::{Malformed, command, once, read_map, request};
use crate::credential::Aaguid;
use crate::public_key::Algorithm;

/// What an authenticator says about itself, as far as the ceremonies ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// 0x01 versions: whether some CTAP2 is among them.
    pub fido2: bool,
    /// 0x03 aaguid.
    pub aaguid: Aaguid,
    /// 0x04 options `uv`: built-in user verification that is set up.
    pub built_in_uv: bool,
    /// 0x04 options `clientPin`: a PIN is set.
    pub pin_set: bool,
    /// 0x04 options `alwaysUv`: no touch counts without verification.
    pub always_uv: bool,
    /// 0x05 maxMsgSize, in bytes; 1024 where not given.
    pub max_msg_size: usize,
    /// 0x07 maxCredentialCountInList, where given.
    pub max_credential_count_in_list: Option<usize>,
    /// 0x0A algorithms, those we verify; `None` where the key does not list any.
    pub algorithms: Option<Vec<Algorithm>>,
}

impl Info {
    /// The request.
    pub fn request() -> Option<Vec<u8>> {
        request(command::GET_INFO, |_| Ok(()))
    }

    /// Reads the response's data.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let mut versions = None;
        let mut aaguid = None;
        let mut options = None;
        let mut max_msg_size = None;
        let mut max_ids = None;
        let mut algorithms = None;
        read_map(data, |key, value| match key {
            0x01 => once(&mut versions, has_fido2(value)?),
            0x03 => once(&mut aaguid, read_aaguid(value)?),
            0x04 => once(&mut options, Options::read(value)?),
            0x05 => once(&mut max_msg_size, size(value)?),
            0x07 => once(&mut max_ids, size(value)?),
            0x0a => once(&mut algorithms, read_algorithms(value)?),
            _ => Ok(false),
        })?;
        let options = options.unwrap_or_default();
        Ok(Self {
            fido2: versions.ok_or(Malformed("getInfo without versions"))?,
            aaguid: aaguid.ok_or(Malformed("getInfo without an AAGUID"))?,
            built_in_uv: options.uv,
            pin_set: options.client_pin,
            always_uv: options.always_uv,
            max_msg_size: max_msg_size.unwrap_or(super::LARGEST_UNASKED),
            max_credential_count_in_list: max_ids,
            algorithms,
        })
    }

    /// Whether the key can make a credential of `algorithm`. A key that lists
    /// none is of CTAP 2.0, where ES256 goes without saying.
    pub fn supports(&self, algorithm: Algorithm) -> bool {
        match &self.algorithms {
            Some(listed) => listed.contains(&algorithm),
            None => algorithm == Algorithm::Es256,
        }
    }
}

fn has_fido2(value: &mut Decoder<'_>) -> Result<bool, Malformed> {
    const WRONG: Malformed = Malformed("getInfo versions");
    let mut found = false;
    for _ in 0..value.array().ok().flatten().ok_or(WRONG)? {
        found |= value.str().map_err(|_| WRONG)?.starts_with("FIDO_2");
    }
    Ok(found)
}

fn read_aaguid(value: &mut Decoder<'_>) -> Result<Aaguid, Malformed> {
    const WRONG: Malformed = Malformed("getInfo AAGUID");
    let bytes = value.bytes().map_err(|_| WRONG)?;
    Ok(Aaguid(bytes.try_into().map_err(|_| WRONG)?))
}

/// A size in bytes or a count. 2^63 is as good as no limit; 0 is no size.
fn size(value: &mut Decoder<'_>) -> Result<usize, Malformed> {
    match value.u64() {
        Ok(0) => Err(Malformed("a limit of 0 in getInfo")),
        Ok(size) => Ok(usize::try_from(size).unwrap_or(usize::MAX)),
        Err(_) => Err(Malformed("a limit in getInfo")),
    }
}

#[derive(Default)]
struct Options {
    uv: bool,
    client_pin: bool,
    always_uv: bool,
}

impl Options {
    fn read(value: &mut Decoder<'_>) -> Result<Self, Malformed> {
        const WRONG: Malformed = Malformed("getInfo options");
        let mut options = Self::default();
        for _ in 0..value.map().ok().flatten().ok_or(WRONG)? {
            let name = value.str().map_err(|_| WRONG)?;
            let set = value.bool().map_err(|_| WRONG)?;
            match name {
                "uv" => options.uv = set,
                "clientPin" => options.client_pin = set,
                "alwaysUv" => options.always_uv = set,
                _ => {}
            }
        }
        Ok(options)
    }
}

/// The list of `PublicKeyCredentialParameters`; those we do not know are left
/// out.
fn read_algorithms(value: &mut Decoder<'_>) -> Result<Vec<Algorithm>, Malformed> {
    const WRONG: Malformed = Malformed("getInfo algorithms");
    let mut algorithms = Vec::new();
    for _ in 0..value.array().ok().flatten().ok_or(WRONG)? {
        let mut identifier = None;
        for _ in 0..value.map().ok().flatten().ok_or(WRONG)? {
            match value.str().map_err(|_| WRONG)? {
                "alg" => identifier = Some(value.i64().map_err(|_| WRONG)?),
                _ => value.skip().map_err(|_| WRONG)?,
            }
        }
        let known = identifier.and_then(Algorithm::from_cose);
        algorithms.extend(known.filter(|known| !algorithms.contains(known)));
    }
    Ok(algorithms)
}

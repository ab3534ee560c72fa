//! All that getInfo says (CTAP 2.1 §6.4), to be shown. What the ceremonies act
//! on is `Info`, which is read more strictly.
#![forbid(unsafe_code)]

use minicbor::Decoder;

use super::message::{Malformed, once, read_map};
use crate::credential::{Aaguid, printable};

/// The most entries of one list that are kept. No key has half as many.
const MOST_ENTRIES: usize = 32;

/// The most characters of a name.
const LONGEST_NAME: usize = 64;

/// What a key says of itself, made fit to be shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SelfDescription {
    /// 0x01 versions.
    pub versions: Vec<String>,
    /// 0x02 extensions.
    pub extensions: Vec<String>,
    /// 0x03 aaguid.
    pub aaguid: Aaguid,
    /// 0x04 options.
    pub options: Vec<(String, bool)>,
    /// 0x06 pinUvAuthProtocols.
    pub pin_uv_auth_protocols: Vec<u64>,
    /// 0x09 transports.
    pub transports: Vec<String>,
    /// 0x0A algorithms, by their COSE numbers.
    pub algorithms: Vec<i64>,
    /// 0x0E firmwareVersion.
    pub firmware_version: Option<u64>,
    /// 0x14 remainingDiscoverableCredentials.
    pub remaining_discoverable_credentials: Option<u64>,
}

impl SelfDescription {
    /// Reads the response's data.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let mut versions = None;
        let mut extensions = None;
        let mut aaguid = None;
        let mut options = None;
        let mut protocols = None;
        let mut transports = None;
        let mut algorithms = None;
        let mut firmware_version = None;
        let mut remaining = None;
        read_map(data, |key, value| match key {
            0x01 => once(&mut versions, list(value, name)?),
            0x02 => once_or_not(&mut extensions, list(value, name)),
            0x03 => {
                let bytes = value.bytes().map_err(|_| WRONG)?;
                once(&mut aaguid, Aaguid(bytes.try_into().map_err(|_| WRONG)?))
            }
            0x04 => once(&mut options, read_options(value)?),
            0x06 => once_or_not(&mut protocols, list(value, number)),
            0x09 => once_or_not(&mut transports, list(value, name)),
            0x0a => once_or_not(&mut algorithms, list(value, algorithm)),
            0x0e => once_or_not(&mut firmware_version, number(value)),
            0x14 => once_or_not(&mut remaining, number(value)),
            _ => Ok(false),
        })?;
        Ok(Self {
            versions: versions.ok_or(Malformed("getInfo without versions"))?,
            extensions: extensions.unwrap_or_default(),
            aaguid: aaguid.ok_or(Malformed("getInfo without an AAGUID"))?,
            options: options.unwrap_or_default(),
            pin_uv_auth_protocols: protocols.unwrap_or_default(),
            transports: transports.unwrap_or_default(),
            algorithms: algorithms.unwrap_or_default(),
            firmware_version,
            remaining_discoverable_credentials: remaining,
        })
    }

    /// What the option of this name is set to; `None` where the key does not
    /// know it.
    pub fn option(&self, name: &str) -> Option<bool> {
        let found = self.options.iter().find(|(option, _)| option == name);
        found.map(|(_, set)| *set)
    }
}

const WRONG: Malformed = Malformed("getInfo");

/// A member that is only shown. One of another kind than it should be is passed
/// over, as one that nobody knows: no command need fail for it.
fn once_or_not<T>(member: &mut Option<T>, read: Result<T, Malformed>) -> Result<bool, Malformed> {
    read.map_or(Ok(false), |value| once(member, value))
}

fn list<T>(
    value: &mut Decoder<'_>,
    entry: impl Fn(&mut Decoder<'_>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut entries = Vec::new();
    for _ in 0..value.array().ok().flatten().ok_or(WRONG)? {
        let read = entry(value)?;
        if entries.len() < MOST_ENTRIES {
            entries.push(read);
        }
    }
    Ok(entries)
}

fn name(value: &mut Decoder<'_>) -> Result<String, Malformed> {
    Ok(printable(value.str().map_err(|_| WRONG)?, LONGEST_NAME))
}

fn number(value: &mut Decoder<'_>) -> Result<u64, Malformed> {
    value.u64().map_err(|_| WRONG)
}

fn read_options(value: &mut Decoder<'_>) -> Result<Vec<(String, bool)>, Malformed> {
    let mut options = Vec::new();
    for _ in 0..value.map().ok().flatten().ok_or(WRONG)? {
        let option = (name(value)?, value.bool().map_err(|_| WRONG)?);
        if options.len() < MOST_ENTRIES {
            options.push(option);
        }
    }
    Ok(options)
}

/// The COSE number of a `PublicKeyCredentialParameters`; 0 where it has none.
fn algorithm(value: &mut Decoder<'_>) -> Result<i64, Malformed> {
    let mut identifier = 0;
    for _ in 0..value.map().ok().flatten().ok_or(WRONG)? {
        let is_alg = value.str().map_err(|_| WRONG)? == "alg";
        if is_alg {
            identifier = value.i64().map_err(|_| WRONG)?;
        } else {
            value.skip().map_err(|_| WRONG)?;
        }
    }
    Ok(identifier)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::ctap2::message::tests::bytes;

    fn described(members: u8, more: &str) -> Result<SelfDescription, Malformed> {
        let mut data = vec![0xa2 + members];
        data.extend(bytes("01 81 68 4649444f5f325f30 03 50"));
        data.extend([0x22; 16]);
        data.extend(bytes(more));
        SelfDescription::parse(&data)
    }

    #[test]
    fn what_a_key_says_of_itself_is_read() {
        let said = described(
            7,
            "02 81 6b 686d61632d736563726574  04 a2 627576 f5 627270 f4  06 82 02 01 \
             09 81 63 757362  0a 81 a2 63616c67 26 6474797065 6a7075626c69632d6b6579 \
             0e 1a 00050403  14 18 19",
        )
        .unwrap();
        assert_eq!(said.versions, ["FIDO_2_0"]);
        assert_eq!(said.extensions, ["hmac-secret"]);
        assert_eq!(said.transports, ["usb"]);
        assert_eq!(said.algorithms, [-7]);
        assert_eq!(said.pin_uv_auth_protocols, [2, 1]);
        assert_eq!(said.firmware_version, Some(0x0005_0403));
        assert_eq!(said.remaining_discoverable_credentials, Some(25));
        assert_eq!(said.option("uv"), Some(true));
        assert_eq!(said.option("rp"), Some(false));
        assert_eq!(said.option("plat"), None);
    }

    #[test]
    fn the_words_of_a_key_are_fit_to_be_shown_and_few() {
        let said = described(1, "02 81 64 1b5b324a").unwrap();
        assert_eq!(said.extensions, ["?[2J"]);
        let many = format!("02 98 28 {}", "61 61".repeat(40));
        assert_eq!(described(1, &many).unwrap().extensions.len(), MOST_ENTRIES);
        assert!(described(1, "02 9b8000000000000000").is_err());
        assert!(described(1, "04 bb8000000000000000").is_err());
    }

    #[test]
    fn what_is_only_shown_is_passed_over_where_it_is_of_another_kind() {
        let said = described(4, "02 01  09 a0  0e 6131  14 07").unwrap();
        assert!(said.extensions.is_empty() && said.transports.is_empty());
        assert_eq!(said.firmware_version, None);
        assert_eq!(said.remaining_discoverable_credentials, Some(7));
        let algorithms = described(1, "0a 82 a1 63616c67 6161 01")
            .unwrap()
            .algorithms;
        assert!(algorithms.is_empty());
    }

    #[test]
    fn what_is_acted_on_and_what_does_not_end_is_refused() {
        for more in ["04 a1 627576 01", "02 81", "0e", "0e 01 00", "0e 01 0e 01"] {
            let members = if more == "0e 01 0e 01" { 2 } else { 1 };
            assert!(described(members, more).is_err(), "{more}");
        }
        assert!(SelfDescription::parse(&[]).is_err());
    }
}

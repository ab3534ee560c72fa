//! authenticatorGetInfo (CTAP 2.1 §6.4).
#![forbid(unsafe_code)]

use minicbor::Decoder;

use super::message::{LARGEST_UNASKED, Malformed, command, once, read_map, request};
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
        let mut built_in_uv = None;
        let mut max_msg_size = None;
        let mut max_ids = None;
        let mut algorithms = None;
        read_map(data, |key, value| match key {
            0x01 => once(&mut versions, has_fido2(value)?),
            0x03 => once(&mut aaguid, read_aaguid(value)?),
            0x04 => once(&mut built_in_uv, has_built_in_uv(value)?),
            0x05 => once(&mut max_msg_size, size(value)?),
            0x07 => once(&mut max_ids, size(value)?),
            0x0a => once(&mut algorithms, read_algorithms(value)?),
            _ => Ok(false),
        })?;
        Ok(Self {
            fido2: versions.ok_or(Malformed("getInfo without versions"))?,
            aaguid: aaguid.ok_or(Malformed("getInfo without an AAGUID"))?,
            built_in_uv: built_in_uv.unwrap_or(false),
            max_msg_size: max_msg_size.unwrap_or(LARGEST_UNASKED),
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

/// The `uv` option: absent where there is none, false where it is not set up.
fn has_built_in_uv(value: &mut Decoder<'_>) -> Result<bool, Malformed> {
    const WRONG: Malformed = Malformed("getInfo options");
    let mut built_in_uv = None;
    for _ in 0..value.map().ok().flatten().ok_or(WRONG)? {
        let name = value.str().map_err(|_| WRONG)?;
        let set = value.bool().map_err(|_| WRONG)?;
        if name == "uv" {
            once(&mut built_in_uv, set)?;
        }
    }
    Ok(built_in_uv.unwrap_or(false))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator::ctap2::message::tests::bytes;

    /// The start of a response: versions and AAGUID, then more members.
    fn info(members: u8, more: &str) -> Result<Info, Malformed> {
        let mut data = vec![0xa2 + members];
        data.extend(bytes("01 81 68 4649444f5f325f30 03 50"));
        data.extend([0x22; 16]);
        data.extend(bytes(more));
        Info::parse(&data)
    }

    #[test]
    fn the_least_a_key_can_say_is_enough() {
        let info = info(0, "").unwrap();
        assert!(info.fido2 && !info.built_in_uv);
        assert_eq!(info.aaguid, Aaguid([0x22; 16]));
        assert_eq!(info.max_msg_size, 1024);
        assert_eq!(info.max_credential_count_in_list, None);
        // CTAP 2.0 lists no algorithms and means ES256.
        assert!(info.supports(Algorithm::Es256) && !info.supports(Algorithm::EdDsa));
    }

    #[test]
    fn what_a_key_says_of_itself_is_read() {
        let info = info(
            5,
            "04 a2 627576 f5 627270 f4  05 1904b0  07 0a  18ff 80 \
             0a 82 a2 63616c67 26 6474797065 6a7075626c69632d6b6579 \
                   a2 63616c67 27 6474797065 6a7075626c69632d6b6579",
        )
        .unwrap();
        assert!(info.built_in_uv);
        assert_eq!(info.max_msg_size, 1200);
        assert_eq!(info.max_credential_count_in_list, Some(10));
        assert!(info.supports(Algorithm::Es256) && info.supports(Algorithm::EdDsa));
    }

    #[test]
    fn a_key_that_speaks_only_u2f_is_known() {
        let mut data = bytes("a2 01 81 66 5532465f5632 03 50");
        data.extend([0; 16]);
        assert!(!Info::parse(&data).unwrap().fido2);
    }

    #[test]
    fn limits_are_bounded_on_both_sides() {
        assert!(info(1, "07 00").is_err());
        assert_eq!(
            info(1, "07 01").unwrap().max_credential_count_in_list,
            Some(1)
        );
        let huge = info(1, "05 1bffffffffffffffff").unwrap();
        assert_eq!(huge.max_msg_size, usize::MAX);
    }

    #[test]
    fn wrong_types_twice_and_left_over_are_refused() {
        for (members, more) in [
            (1, "05 6131"),
            (1, "07 20"),
            (1, "04 80"),
            (1, "04 a1 627576 01"),
            (1, "0a a0"),
            (2, "05 01 05 01"),
            (0, "00"),
            (1, "05"),
        ] {
            assert!(info(members, more).is_err(), "{more}");
        }
        assert!(Info::parse(&bytes("a1 01 81 68 4649444f5f325f30")).is_err());
        assert!(Info::parse(&[]).is_err());
        assert!(Info::parse(&bytes("bf ff")).is_err());
    }

    #[test]
    fn depth_and_promised_lengths_cost_nothing() {
        // 7,000 arrays one inside the other, and an array of 2^63 members.
        let mut deep = "81".repeat(7000);
        deep.push_str("80");
        assert!(info(1, &format!("18ff {deep}")).is_ok());
        assert!(info(1, "18ff 9b8000000000000000").is_err());
        assert!(info(1, "0a 9b8000000000000000").is_err());
        assert!(info(1, "18ff 5bffffffffffffffff").is_err());
    }
}

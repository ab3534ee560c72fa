//! authenticatorGetInfo (CTAP 2.1 §6.4).
#![forbid(unsafe_code)]

use minicbor::Decoder;

use super::make_credential::CredentialProtection;
use super::message::{
    LARGEST_UNASKED, Malformed, command, once, read_map, request_without_members,
};
use crate::authenticator::client_pin::PinUvAuthProtocol;
use crate::credential::Aaguid;
use crate::pin::Pin;
use crate::public_key::Algorithm;

/// What an authenticator says about itself, as far as the ceremonies ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// 0x01 versions.
    pub versions: Versions,
    /// 0x02 extensions: whether `credProtect` is among them.
    pub cred_protect: bool,
    /// 0x03 aaguid.
    pub aaguid: Aaguid,
    /// 0x04 options.
    pub options: Options,
    /// 0x05 maxMsgSize, in bytes; 1024 where not given.
    pub max_msg_size: usize,
    /// 0x06 pinUvAuthProtocols: the greatest of those we speak.
    pub pin_uv_auth_protocol: Option<PinUvAuthProtocol>,
    /// 0x07 maxCredentialCountInList, where given.
    pub max_credential_count_in_list: Option<usize>,
    /// 0x0A algorithms, those we verify; `None` where the key does not list any.
    pub algorithms: Option<Vec<Algorithm>>,
    /// 0x0C forcePINChange: its PIN is good for nothing but being changed.
    pub force_pin_change: bool,
    /// 0x0D minPINLength, in code points; 4 where not given.
    pub min_pin_length: u8,
}

/// Which protocols a key speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// Some CTAP2 is among them.
    pub fido2: bool,
    /// CTAP 2.1 or later, not the preview of it.
    pub ctap2_1: bool,
}

/// The options (§6.4) that the ceremonies ask for. One that is not there is
/// as good as false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the specification's"
)]
pub struct Options {
    /// `rk`: credentials that the key keeps itself.
    pub rk: bool,
    /// `uv`: built-in user verification that is set up.
    pub uv: bool,
    /// `clientPin`: a PIN that is set.
    pub client_pin: bool,
    /// `pinUvAuthToken`: tokens with permissions, and by built-in verification.
    pub pin_uv_auth_token: bool,
    /// `alwaysUv`: nothing is signed without verification.
    pub always_uv: bool,
    /// `makeCredUvNotRqd`: a credential that is not discoverable may be made
    /// without verification.
    pub make_cred_uv_not_rqd: bool,
    /// `noMcGaPermissionsWithClientPin`: a PIN is good for managing the key
    /// only.
    pub no_mc_ga_permissions_with_client_pin: bool,
}

impl Info {
    /// The request.
    pub fn request() -> Vec<u8> {
        request_without_members(command::GET_INFO)
    }

    /// Reads the response's data.
    pub fn parse(data: &[u8]) -> Result<Self, Malformed> {
        let mut versions = None;
        let mut cred_protect = None;
        let mut aaguid = None;
        let mut options = None;
        let mut max_msg_size = None;
        let mut protocols = None;
        let mut max_ids = None;
        let mut algorithms = None;
        let mut force_pin_change = None;
        let mut min_pin_length = None;
        read_map(data, |key, value| match key {
            0x01 => once(&mut versions, read_versions(value)?),
            0x02 => once(&mut cred_protect, read_extensions(value)?),
            0x03 => once(&mut aaguid, read_aaguid(value)?),
            0x04 => once(&mut options, read_options(value)?),
            0x05 => once(&mut max_msg_size, size(value)?),
            0x06 => once(&mut protocols, read_protocols(value)?),
            0x07 => once(&mut max_ids, size(value)?),
            0x0a => once(&mut algorithms, read_algorithms(value)?),
            0x0c => {
                let forced = value.bool().map_err(|_| Malformed("forcePINChange"))?;
                once(&mut force_pin_change, forced)
            }
            0x0d => once(&mut min_pin_length, read_min_pin_length(value)?),
            _ => Ok(false),
        })?;
        let options = options.unwrap_or_default();
        Ok(Self {
            versions: versions.ok_or(Malformed("getInfo without versions"))?,
            cred_protect: cred_protect.unwrap_or(false),
            aaguid: aaguid.ok_or(Malformed("getInfo without an AAGUID"))?,
            max_msg_size: max_msg_size.unwrap_or(LARGEST_UNASKED),
            // CTAP 2.0 leaves the list out where protocol one is all there is.
            pin_uv_auth_protocol: protocols.unwrap_or(Some(PinUvAuthProtocol::One)),
            max_credential_count_in_list: max_ids,
            algorithms,
            force_pin_change: force_pin_change.unwrap_or(false),
            min_pin_length: min_pin_length.unwrap_or(Pin::SHORTEST),
            options,
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

fn read_versions(value: &mut Decoder<'_>) -> Result<Versions, Malformed> {
    const WRONG: Malformed = Malformed("getInfo versions");
    let mut versions = Versions::default();
    for _ in 0..value.array().ok().flatten().ok_or(WRONG)? {
        let version = value.str().map_err(|_| WRONG)?;
        versions.fido2 |= version.starts_with("FIDO_2");
        // FIDO_2_1_PRE has neither selection nor tokens with permissions.
        versions.ctap2_1 |=
            version.starts_with("FIDO_2_") && !matches!(version, "FIDO_2_0" | "FIDO_2_1_PRE");
    }
    Ok(versions)
}

/// Whether `credProtect` is among them.
fn read_extensions(value: &mut Decoder<'_>) -> Result<bool, Malformed> {
    const WRONG: Malformed = Malformed("getInfo extensions");
    let mut cred_protect = false;
    for _ in 0..value.array().ok().flatten().ok_or(WRONG)? {
        cred_protect |= value.str().map_err(|_| WRONG)? == CredentialProtection::NAME;
    }
    Ok(cred_protect)
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

/// One that no PIN can reach would have a person type theirs in vain.
fn read_min_pin_length(value: &mut Decoder<'_>) -> Result<u8, Malformed> {
    match u8::try_from(size(value)?) {
        Ok(length) if usize::from(length) <= Pin::LONGEST => Ok(length),
        _ => Err(Malformed("a minPINLength over 63")),
    }
}

/// The options; those we do not ask for are passed over.
fn read_options(value: &mut Decoder<'_>) -> Result<Options, Malformed> {
    const WRONG: Malformed = Malformed("getInfo options");
    let mut names: Vec<&str> = Vec::new();
    let mut options = Options::default();
    for _ in 0..value.map().ok().flatten().ok_or(WRONG)? {
        let name = value.str().map_err(|_| WRONG)?;
        let set = value.bool().map_err(|_| WRONG)?;
        let option = match name {
            "rk" => &mut options.rk,
            "uv" => &mut options.uv,
            "clientPin" => &mut options.client_pin,
            "pinUvAuthToken" => &mut options.pin_uv_auth_token,
            "alwaysUv" => &mut options.always_uv,
            "makeCredUvNotRqd" => &mut options.make_cred_uv_not_rqd,
            "noMcGaPermissionsWithClientPin" => &mut options.no_mc_ga_permissions_with_client_pin,
            _ => continue,
        };
        if names.contains(&name) {
            return Err(Malformed("an option that stands twice"));
        }
        names.push(name);
        *option = set;
    }
    Ok(options)
}

/// The greatest protocol among those listed that we speak.
fn read_protocols(value: &mut Decoder<'_>) -> Result<Option<PinUvAuthProtocol>, Malformed> {
    const WRONG: Malformed = Malformed("getInfo pinUvAuthProtocols");
    let mut best = None;
    for _ in 0..value.array().ok().flatten().ok_or(WRONG)? {
        let number = value.u64().map_err(|_| WRONG)?;
        best = best.max(PinUvAuthProtocol::from_number(number));
    }
    Ok(best)
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
        assert!(info.versions.fido2 && !info.versions.ctap2_1);
        assert_eq!(info.options, Options::default());
        assert_eq!(info.pin_uv_auth_protocol, Some(PinUvAuthProtocol::One));
        assert_eq!((info.min_pin_length, info.force_pin_change), (4, false));
        assert_eq!(info.aaguid, Aaguid([0x22; 16]));
        assert_eq!(info.max_msg_size, 1024);
        assert_eq!(info.max_credential_count_in_list, None);
        // CTAP 2.0 lists no algorithms and means ES256.
        assert!(info.supports(Algorithm::Es256) && !info.supports(Algorithm::EdDsa));
    }

    #[test]
    fn what_a_key_says_of_itself_is_read() {
        let info = info(
            8,
            "04 a2 627576 f5 627270 f4  05 1904b0  06 83 01 02 09  07 0a  18ff 80 \
             0c f5  0d 06 \
             0a 82 a2 63616c67 26 6474797065 6a7075626c69632d6b6579 \
                   a2 63616c67 27 6474797065 6a7075626c69632d6b6579",
        )
        .unwrap();
        assert!(info.options.uv && !info.options.client_pin);
        assert_eq!(info.pin_uv_auth_protocol, Some(PinUvAuthProtocol::Two));
        assert_eq!((info.min_pin_length, info.force_pin_change), (6, true));
        assert_eq!(info.max_msg_size, 1200);
        assert_eq!(info.max_credential_count_in_list, Some(10));
        assert!(info.supports(Algorithm::Es256) && info.supports(Algorithm::EdDsa));
    }

    #[test]
    fn every_option_is_read_and_a_preview_is_not_the_real_thing() {
        let names = [
            (
                "rk",
                Options {
                    rk: true,
                    ..Options::default()
                },
            ),
            (
                "uv",
                Options {
                    uv: true,
                    ..Options::default()
                },
            ),
            (
                "clientPin",
                Options {
                    client_pin: true,
                    ..Options::default()
                },
            ),
            (
                "pinUvAuthToken",
                Options {
                    pin_uv_auth_token: true,
                    ..Options::default()
                },
            ),
            (
                "alwaysUv",
                Options {
                    always_uv: true,
                    ..Options::default()
                },
            ),
            (
                "makeCredUvNotRqd",
                Options {
                    make_cred_uv_not_rqd: true,
                    ..Options::default()
                },
            ),
            (
                "noMcGaPermissionsWithClientPin",
                Options {
                    no_mc_ga_permissions_with_client_pin: true,
                    ..Options::default()
                },
            ),
        ];
        for (name, expected) in names {
            let mut text = Vec::new();
            minicbor::Encoder::new(&mut text).str(name).unwrap();
            let hex = base16ct::lower::encode_string(&text);
            let read = info(1, &format!("04 a1 {hex} f5")).unwrap();
            assert_eq!(read.options, expected, "{name}");
        }
        for (version, real) in [
            ("FIDO_2_0", false),
            ("FIDO_2_1_PRE", false),
            ("FIDO_2_1", true),
        ] {
            let mut data = vec![
                0xa2,
                0x01,
                0x81,
                0x60 + u8::try_from(version.len()).unwrap(),
            ];
            data.extend(version.bytes());
            data.extend([0x03, 0x50]);
            data.extend([0; 16]);
            assert_eq!(
                Info::parse(&data).unwrap().versions.ctap2_1,
                real,
                "{version}"
            );
        }
    }

    #[test]
    fn a_key_that_speaks_only_u2f_is_known() {
        let mut data = bytes("a2 01 81 66 5532465f5632 03 50");
        data.extend([0; 16]);
        assert!(!Info::parse(&data).unwrap().versions.fido2);
    }

    #[test]
    fn limits_are_bounded_on_both_sides() {
        assert!(info(1, "07 00").is_err());
        assert_eq!(
            info(1, "07 01").unwrap().max_credential_count_in_list,
            Some(1)
        );
        assert_eq!(info(1, "0d 183f").unwrap().min_pin_length, 63);
        assert!(info(1, "0d 1840").is_err());
        assert!(info(1, "0d 1bffffffffffffffff").is_err());
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
            (1, "04 a2 627576 f5 627576 f5"),
            (1, "06 01"),
            (1, "0c 01"),
            (1, "0d 00"),
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

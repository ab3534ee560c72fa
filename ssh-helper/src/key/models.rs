//! What a key's model is called.
//!
//! From the FIDO Alliance's metadata service and the makers' own lists. An
//! AAGUID is what a key says of itself, and shown as no more than that.
#![forbid(unsafe_code)]

use ceremony::credential::Aaguid;

/// The model's name, where it is known.
pub(crate) fn model(aaguid: Aaguid) -> Option<&'static str> {
    let aaguid = aaguid.to_string();
    let known = MODELS.iter().find(|(known, _)| *known == aaguid);
    known.map(|(_, name)| *name)
}

const MODELS: &[(&str, &str)] = &[
    ("cb69481e-8ff7-4039-93ec-0a2729a154a8", "YubiKey 5 Series"),
    ("ee882879-721c-4913-9775-3dfcce97072a", "YubiKey 5 Series"),
    ("19083c3d-8383-4b18-bc03-8f1c9ab2fd1b", "YubiKey 5 Series"),
    ("ff4dac45-ede8-4ec2-aced-cf66103f4335", "YubiKey 5 Series"),
    (
        "fa2b99dc-9e39-4257-8f92-4a30d23c4118",
        "YubiKey 5 Series with NFC",
    ),
    (
        "2fc0579f-8113-47ea-b116-bb5a8db9202a",
        "YubiKey 5 Series with NFC",
    ),
    (
        "a25342c0-3cdc-4414-8e46-f4807fca511c",
        "YubiKey 5 Series with NFC",
    ),
    (
        "d7781e5d-e353-46aa-afe2-3ca49f13332a",
        "YubiKey 5 Series with NFC",
    ),
    (
        "c5ef55ff-ad9a-4b9f-b580-adebafe026d0",
        "YubiKey 5 Series with Lightning",
    ),
    (
        "a02167b9-ae71-4ac7-9a07-06432ebb6f1c",
        "YubiKey 5 Series with Lightning",
    ),
    (
        "24673149-6c86-42e7-98d9-433fb5b73296",
        "YubiKey 5 Series with Lightning",
    ),
    (
        "73bb0cd4-e502-49b8-9c6f-b59445bf720b",
        "YubiKey 5 FIPS Series",
    ),
    (
        "57f7de54-c807-4eab-b1c6-1c9be7984e92",
        "YubiKey 5 FIPS Series",
    ),
    (
        "c1f9a0bc-1dd2-404a-b27f-8e29047a43fd",
        "YubiKey 5 FIPS Series with NFC",
    ),
    (
        "fcc0118f-cd45-435b-8da1-9782b2da0715",
        "YubiKey 5 FIPS Series with NFC",
    ),
    (
        "85203421-48f9-4355-9bc8-8a53846e5083",
        "YubiKey 5 FIPS Series with Lightning",
    ),
    ("d8522d9f-575b-4866-88a9-ba99fa02f35b", "YubiKey Bio Series"),
    ("dd86a2da-86a0-4cbe-b462-4bd31f57bc6f", "YubiKey Bio Series"),
    (
        "7d1351a6-e097-4852-b8bf-c9ac5c9ce4a3",
        "YubiKey Bio Series - Multi-protocol Edition",
    ),
    (
        "f8a011f3-8c0a-4d15-8006-17111f9edc7d",
        "Security Key by Yubico",
    ),
    (
        "b92c3f9a-c014-4056-887f-140a2501163b",
        "Security Key by Yubico",
    ),
    (
        "6d44ba9b-f6ec-2e49-b930-0c8fe920cb73",
        "Security Key by Yubico with NFC",
    ),
    (
        "149a2021-8ef6-4133-96b8-81f8d5b7f1f5",
        "Security Key by Yubico with NFC",
    ),
    (
        "a4e9fc6d-4cbe-4758-b8ba-37598bb5bbaa",
        "Security Key NFC by Yubico",
    ),
    (
        "b7d3f68e-88a6-471e-9ecf-2df26d041ede",
        "Security Key NFC by Yubico",
    ),
    (
        "e77e3c64-05e3-428b-8824-0cbeb04b829d",
        "Security Key NFC by Yubico",
    ),
    (
        "0bb43545-fd2c-4185-87dd-feb0b2916ace",
        "Security Key NFC by Yubico - Enterprise Edition",
    ),
    (
        "47ab2fb4-66ac-4184-9ae1-86be814012d5",
        "Security Key NFC by Yubico - Enterprise Edition",
    ),
    (
        "ed042a3a-4b22-4455-bb69-a267b652ae7e",
        "Security Key NFC by Yubico - Enterprise Edition",
    ),
    ("2cd2f727-f6ca-44da-8f48-5c2e5da000a2", "Nitrokey 3"),
    (
        "42b4fb4a-2866-43b2-9bf7-6c6669c2e5d3",
        "Google Titan Security Key v2",
    ),
    ("8876631b-d4a0-427f-5773-0ec71c9e0279", "Solo"),
    (
        "833b721a-ff5f-4d00-bb2e-bdda3ec01e29",
        "Feitian ePass FIDO2",
    ),
    (
        "ee041bce-25e5-4cdb-8f86-897fd6418464",
        "Feitian ePass FIDO2-NFC",
    ),
    (
        "77010bd7-212a-4fc9-b236-d2ca5e9d4084",
        "Feitian BioPass FIDO2",
    ),
    (
        "b6ede29c-3772-412c-8a78-539c1f4c62d2",
        "Feitian BioPass FIDO2 Plus",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_model_stands_once_under_an_aaguid() {
        let ids: BTreeSet<&str> = MODELS.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids.len(), MODELS.len());
        for (id, name) in MODELS {
            let aaguid = Aaguid::parse(id).unwrap();
            assert_eq!(aaguid.to_string(), *id);
            assert_eq!(model(aaguid), Some(*name));
        }
    }

    #[test]
    fn a_key_that_prefers_not_to_say_has_no_model() {
        assert_eq!(model(Aaguid::default()), None);
    }
}

//! getInfo reworded: what opensk says of itself, in the words of another firmware (CTAP 2.1 §6.4).

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use sk_cbor::Value;

use super::profile::{Generation, Profile, Quirk};

const VERSIONS: u64 = 0x01;
const EXTENSIONS: u64 = 0x02;
const OPTIONS: u64 = 0x04;
const MAX_MSG_SIZE: u64 = 0x05;
const PIN_UV_AUTH_PROTOCOLS: u64 = 0x06;

/// opensk's answer to getInfo, status byte and all, as a key of this profile gives it. An answer
/// that is no success stays what it is.
pub(super) fn reworded(answer: &[u8], profile: &Profile) -> Vec<u8> {
    let Some((0, map)) = answer.split_first() else {
        return answer.to_vec();
    };
    let map = sk_cbor::read(map).expect("opensk writes CBOR");
    let mut info = GetInfo::of(map);
    info.pose_as(profile);
    info.written()
}

/// What a key says of itself.
#[derive(Clone, Debug, PartialEq)]
pub struct GetInfo {
    /// The members by their numbers, the options (0x04) among them.
    pub members: BTreeMap<u64, Value>,
    /// The options by their names.
    pub options: BTreeMap<String, bool>,
}

impl GetInfo {
    /// The versions (0x01) in their order.
    pub fn versions(&self) -> Vec<String> {
        let versions = self.members.get(&VERSIONS).cloned();
        versions
            .and_then(Value::extract_array)
            .unwrap_or_default()
            .into_iter()
            .filter_map(Value::extract_text_string)
            .collect()
    }

    pub(super) fn of(map: Value) -> Self {
        let members: BTreeMap<u64, Value> = map
            .extract_map()
            .expect("getInfo is a map")
            .into_iter()
            .filter_map(|(number, value)| Some((number.extract_unsigned()?, value)))
            .collect();
        let options = members.get(&OPTIONS).cloned().and_then(Value::extract_map);
        let options = options
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(name, value)| Some((name.extract_text_string()?, value.extract_bool()?)))
            .collect();
        Self { members, options }
    }

    fn pose_as(&mut self, profile: &Profile) {
        match profile.generation {
            Generation::U2f | Generation::Fido21 => {}
            Generation::Fido20 => {
                self.members.retain(|number, _| *number <= 0x06);
                self.rename_version("FIDO_2_1", None);
                self.keep_extensions(&["hmac-secret", "credProtect"]);
                self.keep_options(&["rk", "up", "clientPin", "uv"]);
                self.options.insert("plat".to_owned(), false);
            }
            Generation::Fido21Pre => {
                // Without what large blobs, credBlob and authenticatorConfig brought.
                let members = [1, 2, 3, 4, 5, 6, 7, 8, 9, 0x0A, 0x0C, 0x0D, 0x0E];
                self.members.retain(|number, _| members.contains(number));
                self.rename_version("FIDO_2_1", Some("FIDO_2_1_PRE"));
                self.keep_extensions(&["hmac-secret", "credProtect", "minPinLength"]);
                self.keep_options(&["rk", "up", "clientPin", "uv"]);
                self.options.insert("plat".to_owned(), false);
                self.options
                    .insert("credentialMgmtPreview".to_owned(), true);
                if profile.has(Quirk::AlwaysUv) {
                    self.options.insert("alwaysUv".to_owned(), true);
                }
            }
        }
        if profile.has(Quirk::PinProtocolOneOnly) {
            let one = Value::array(vec![Value::unsigned(1)]);
            self.members.insert(PIN_UV_AUTH_PROTOCOLS, one);
        }
        if let Some(bytes) = profile.most_bytes {
            self.members
                .insert(MAX_MSG_SIZE, Value::unsigned(bytes as u64));
        }
        if profile.has(Quirk::MakeCredUvRequired)
            && let Some(not_required) = self.options.get_mut("makeCredUvNotRqd")
        {
            *not_required = false;
        }
        if profile.has(Quirk::KeepsNothing) {
            self.options.insert("rk".to_owned(), false);
            self.options.remove("credMgmt");
            self.options.remove("credentialMgmtPreview");
        }
        if profile.has(Quirk::ClaimsEveryId) {
            self.options.insert("clientPin".to_owned(), true);
        }
    }

    fn rename_version(&mut self, old: &str, new: Option<&str>) {
        self.change_texts(VERSIONS, |version| {
            if version == old {
                new.map(ToOwned::to_owned)
            } else {
                Some(version)
            }
        });
    }

    fn keep_extensions(&mut self, kept: &[&str]) {
        self.change_texts(EXTENSIONS, |name| {
            kept.contains(&name.as_str()).then_some(name)
        });
    }

    fn keep_options(&mut self, kept: &[&str]) {
        self.options.retain(|name, _| kept.contains(&name.as_str()));
    }

    fn change_texts(&mut self, number: u64, change: impl FnMut(String) -> Option<String>) {
        let Some(texts) = self.members.remove(&number).and_then(Value::extract_array) else {
            return;
        };
        let texts = texts
            .into_iter()
            .filter_map(Value::extract_text_string)
            .filter_map(change)
            .map(Value::text_string)
            .collect();
        self.members.insert(number, Value::array(texts));
    }

    fn written(mut self) -> Vec<u8> {
        let options = self.options.into_iter();
        let options =
            options.map(|(name, value)| (Value::text_string(name), Value::bool_value(value)));
        self.members.insert(OPTIONS, Value::map(options.collect()));
        let members = self.members.into_iter();
        let members = members.map(|(number, value)| (Value::unsigned(number), value));
        let mut answer = vec![0];
        sk_cbor::write(Value::map(members.collect()), &mut answer).expect("a map can be written");
        answer
    }
}

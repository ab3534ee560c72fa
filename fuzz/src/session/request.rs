//! What the host asks, read strictly: the host is the product.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use minicbor::Decoder;
use minicbor::data::Type;

/// A CTAP2 request: its command byte and its members, undecoded.
pub(super) struct Request<'m> {
    pub(super) command: u8,
    members: BTreeMap<u8, &'m [u8]>,
}

impl<'m> Request<'m> {
    pub(super) fn read(message: &'m [u8]) -> Self {
        let (&command, data) = message.split_first().expect("a command");
        let mut members = BTreeMap::new();
        if !data.is_empty() {
            let mut decoder = Decoder::new(data);
            let mut before = 0;
            for _ in 0..decoder.map().expect("a map").expect("of a known length") {
                let key = decoder.u8().expect("a small key");
                assert!(key > before, "keys in canonical order");
                before = key;
                let from = decoder.position();
                decoder.skip().expect("a member");
                members.insert(key, &data[from..decoder.position()]);
            }
            assert_eq!(decoder.position(), data.len(), "bytes left over");
        }
        Self { command, members }
    }

    fn member(&self, key: u8) -> Option<Decoder<'m>> {
        self.members.get(&key).map(|bytes| Decoder::new(bytes))
    }

    pub(super) fn text(&self, key: u8) -> Option<&'m str> {
        self.member(key).map(|mut it| it.str().expect("text"))
    }

    pub(super) fn bytes(&self, key: u8) -> Option<&'m [u8]> {
        self.member(key).map(|mut it| it.bytes().expect("bytes"))
    }

    pub(super) fn hash(&self, key: u8) -> [u8; 32] {
        let hash = self.bytes(key).expect("a hash");
        hash.try_into().expect("32 bytes")
    }

    pub(super) fn number(&self, key: u8) -> Option<u64> {
        self.member(key).map(|mut it| it.u64().expect("a number"))
    }

    /// The ids in a list of descriptors.
    pub(super) fn ids(&self, key: u8) -> Vec<&'m [u8]> {
        let Some(mut list) = self.member(key) else {
            return Vec::new();
        };
        let many = list.array().expect("a list").expect("of a known length");
        (0..many)
            .map(|_| {
                assert_eq!(list.map().expect("a descriptor"), Some(2));
                assert_eq!(list.str().expect("a key"), "id");
                let id = list.bytes().expect("an id");
                assert_eq!(list.str().expect("a key"), "type");
                assert_eq!(list.str().expect("a type"), "public-key");
                id
            })
            .collect()
    }

    /// An option of the map of options.
    pub(super) fn option(&self, key: u8, name: &str) -> Option<bool> {
        let mut options = self.member(key)?;
        let many = options.map().expect("a map").expect("of a known length");
        (0..many)
            .map(|_| {
                let name = options.str().expect("an option");
                (name, options.bool().expect("set or not"))
            })
            .find(|(found, _)| *found == name)
            .map(|(_, set)| set)
    }

    /// The coordinates of a `COSE_Key`.
    pub(super) fn cose_key(&self, key: u8) -> Option<([u8; 32], [u8; 32])> {
        let mut cose = self.member(key)?;
        let (mut x, mut y) = (None, None);
        for _ in 0..cose.map().expect("a map").expect("of a known length") {
            let key = cose.i64().expect("a key");
            match (key, cose.datatype().expect("a value")) {
                (-2, Type::Bytes) => x = cose.bytes().ok(),
                (-3, Type::Bytes) => y = cose.bytes().ok(),
                _ => cose.skip().expect("a value"),
            }
        }
        let coordinate = |bytes: Option<&[u8]>| bytes.and_then(|it| it.try_into().ok());
        Some((coordinate(x).expect("x"), coordinate(y).expect("y")))
    }
}

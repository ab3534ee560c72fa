//! A host's end of the cable, for what no tool lets a test do.

#![forbid(unsafe_code)]

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{MsgFlags, recv, send};
use sk_cbor::{Value, cbor_array, cbor_map, cbor_map_options};

use super::message::{Assembly, CBOR, ERROR, INIT, KEEPALIVE, Message, head};
use super::{GetInfo, Reply, Report, VirtualKey};

/// One CTAPHID channel to a key that this plugs in.
pub struct Channel {
    cable: OwnedFd,
    id: u32,
    capabilities: u8,
}

impl Channel {
    /// The channel that belongs to nobody: INIT is sent on it.
    pub const BROADCAST: u32 = u32::MAX;

    /// Plugs the key in and opens a channel to it.
    pub fn open(key: &VirtualKey) -> Self {
        let mut channel = Self {
            cable: key.power_on(),
            id: Self::BROADCAST,
            capabilities: 0,
        };
        channel.send(INIT, &[1, 2, 3, 4, 5, 6, 7, 8]);
        let (_, response) = channel.answer();
        // CTAP 2.1 §11.2.9.1.3: nonce, channel, protocol and device version, capabilities.
        let id = response[8..12].try_into().expect("four bytes");
        channel.id = u32::from_be_bytes(id);
        channel.capabilities = response[16];
        channel
    }

    /// The capability flags of the key's INIT response.
    pub fn capabilities(&self) -> u8 {
        self.capabilities
    }

    /// Sends a message, without waiting for its answer.
    pub fn send(&self, command: u8, bytes: &[u8]) {
        self.send_on(self.id, command, bytes);
    }

    /// Sends a message as somebody else on the same cable.
    pub fn send_on(&self, channel: u32, command: u8, bytes: &[u8]) {
        let bytes = bytes.to_vec();
        let message = Message {
            channel,
            command,
            bytes,
        };
        for packet in message.packets() {
            send(self.cable.as_raw_fd(), &packet, MsgFlags::empty())
                .expect("the key is plugged in");
        }
    }

    /// The next report, whatever it is.
    pub fn report(&self) -> Report {
        let mut report = [0; 64];
        let length = recv(self.cable.as_raw_fd(), &mut report, MsgFlags::empty());
        assert_eq!(length, Ok(64), "the key is plugged in");
        report
    }

    /// The next message that is no keepalive, on whatever channel: its command and its bytes.
    pub fn answer(&self) -> (u8, Vec<u8>) {
        let mut arriving = Assembly::default();
        loop {
            let report = self.report();
            if head(&report).1 == Some(KEEPALIVE) {
                continue;
            }
            if let Some(message) = arriving.add(&report) {
                return (message.command, message.bytes);
            }
        }
    }

    /// Asks a CTAP2 command and returns the map of the answer, or an empty one.
    ///
    /// # Errors
    ///
    /// The status or `CTAPHID_ERROR` with which the key refuses.
    pub fn ask(&self, command: u8, parameters: Option<Value>) -> Result<Value, Reply> {
        let mut request = vec![command];
        if let Some(parameters) = parameters {
            sk_cbor::write(parameters, &mut request).expect("parameters can be written");
        }
        self.send(CBOR, &request);
        self.outcome()
    }

    /// Waits for the answer to a CTAP2 command sent before.
    ///
    /// # Errors
    ///
    /// The status or `CTAPHID_ERROR` with which the key refuses.
    pub fn outcome(&self) -> Result<Value, Reply> {
        match self.answer() {
            (CBOR, bytes) if bytes == [0] => Ok(Value::map(Vec::new())),
            (CBOR, bytes) if bytes[0] == 0 => {
                Ok(sk_cbor::read(&bytes[1..]).expect("the key writes CBOR"))
            }
            (CBOR, bytes) => Err(Reply::Ctap2(bytes[0])),
            (ERROR, bytes) => Err(Reply::HidError(bytes[0])),
            (command, _) => panic!("CTAPHID command {command:#04x} is no answer to CBOR"),
        }
    }

    /// What the key says of itself.
    ///
    /// # Errors
    ///
    /// The status or `CTAPHID_ERROR` with which the key refuses.
    pub fn get_info(&self) -> Result<GetInfo, Reply> {
        self.ask(0x04, None).map(GetInfo::of)
    }

    /// Makes an ES256 credential that is not discoverable, and returns its id.
    ///
    /// # Errors
    ///
    /// The status or `CTAPHID_ERROR` with which the key refuses.
    pub fn make_credential(&self, rp_id: &str, excluded: &[Vec<u8>]) -> Result<Vec<u8>, Reply> {
        let parameters = cbor_map_options! {
            1 => vec![7; 32],
            2 => cbor_map! { "id" => rp_id },
            3 => cbor_map! { "id" => b"alice".to_vec(), "name" => "alice" },
            4 => cbor_array![cbor_map! { "alg" => -7, "type" => "public-key" }],
            5 => (!excluded.is_empty()).then(|| descriptors(excluded)),
        };
        let made = self.ask(0x01, Some(parameters))?;
        let data = member(&made, 0x02).and_then(Value::extract_byte_string);
        let data = data.expect("authenticator data");
        // WebAuthn §6.5.1: rpIdHash, flags, counter, AAGUID, length of the id, id.
        let length = usize::from(u16::from_be_bytes([data[53], data[54]]));
        Ok(data[55..55 + length].to_vec())
    }
}

/// An allowList or excludeList of these ids.
pub fn descriptors(ids: &[Vec<u8>]) -> Value {
    let descriptor = |id: &Vec<u8>| cbor_map! { "id" => id.clone(), "type" => "public-key" };
    Value::array(ids.iter().map(descriptor).collect())
}

/// The member with this number of a map.
pub fn member(map: &Value, number: u64) -> Option<Value> {
    let number = Value::unsigned(number);
    let members = map.clone().extract_map()?;
    let (_, value) = members.into_iter().find(|(key, _)| *key == number)?;
    Some(value)
}

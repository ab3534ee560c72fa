//! CTAPHID messages, and the packets they travel in (CTAP 2.1 §11.2.4).

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::wire::Report;

pub(crate) const INIT: u8 = 0x06;
pub(crate) const CBOR: u8 = 0x10;
#[cfg(feature = "built-in-uv")]
pub(crate) const CANCEL: u8 = 0x11;
pub(crate) const KEEPALIVE: u8 = 0x3B;
pub(crate) const ERROR: u8 = 0x3F;

/// Bytes of a message in its first packet, and in each that continues it.
const FIRST: usize = 57;
const FURTHER: usize = 59;

/// A whole message, from either side.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) channel: u32,
    pub(crate) command: u8,
    pub(crate) bytes: Vec<u8>,
}

impl Message {
    /// `CTAPHID_ERROR` with this code.
    pub(crate) fn error(channel: u32, code: u8) -> Self {
        Self {
            channel,
            command: ERROR,
            bytes: vec![code],
        }
    }

    /// The message cut into reports.
    pub(crate) fn packets(&self) -> Vec<Report> {
        let (head, tail) = self.bytes.split_at(self.bytes.len().min(FIRST));
        let length = u16::try_from(self.bytes.len()).expect("a message has at most 7609 bytes");
        let [high, low] = length.to_be_bytes();
        let mut packets = vec![self.packet(&[0x80 | self.command, high, low], head)];
        for (sequence, part) in (0..).zip(tail.chunks(FURTHER)) {
            packets.push(self.packet(&[sequence], part));
        }
        packets
    }

    fn packet(&self, header: &[u8], part: &[u8]) -> Report {
        let mut report = [0; 64];
        report[..4].copy_from_slice(&self.channel.to_be_bytes());
        let body = 4 + header.len();
        report[4..body].copy_from_slice(header);
        report[body..body + part.len()].copy_from_slice(part);
        report
    }
}

/// The channel of a packet, and the command if it begins a message.
pub(crate) fn head(report: &Report) -> (u32, Option<u8>) {
    let channel = u32::from_be_bytes([report[0], report[1], report[2], report[3]]);
    let begins = report[4] & 0x80 != 0;
    (channel, begins.then_some(report[4] & 0x7F))
}

/// Messages of which packets are still missing, one a channel. Listens in only: what is legal is
/// the firmware's to judge.
#[derive(Default)]
pub(crate) struct Assembly(BTreeMap<u32, Arriving>);

struct Arriving {
    message: Message,
    length: usize,
}

impl Assembly {
    /// Adds a packet; a message if that completes one.
    pub(crate) fn add(&mut self, report: &Report) -> Option<Message> {
        let (channel, command) = head(report);
        let (mut arriving, part) = match command {
            Some(command) => {
                let message = Message {
                    channel,
                    command,
                    bytes: Vec::new(),
                };
                let arriving = Arriving {
                    message,
                    length: usize::from(u16::from_be_bytes([report[5], report[6]])),
                };
                (arriving, &report[7..])
            }
            None => (self.0.remove(&channel)?, &report[5..]),
        };
        let missing = arriving.length - arriving.message.bytes.len();
        let part = &part[..missing.min(part.len())];
        arriving.message.bytes.extend_from_slice(part);
        if arriving.message.bytes.len() == arriving.length {
            self.0.remove(&channel);
            return Some(arriving.message);
        }
        self.0.insert(channel, arriving);
        None
    }
}

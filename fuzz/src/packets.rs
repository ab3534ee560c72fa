//! CTAPHID from the key's side (CTAP 2.1 §11.2.4), written apart from the
//! product's.
#![forbid(unsafe_code)]

use ceremony::authenticator::ctaphid::Packet;

pub(crate) type ChannelId = [u8; 4];

pub(crate) const BROADCAST: ChannelId = [0xff; 4];

/// A packet on a channel; what is too much is cut off, the rest is zero.
pub(crate) fn packet(id: ChannelId, content: &[u8]) -> Packet {
    let mut packet = [0; 64];
    let content = &content[..content.len().min(60)];
    packet[..4].copy_from_slice(&id);
    packet[4..4 + content.len()].copy_from_slice(content);
    packet
}

/// A message, cut into packets. What does not fit into 128 more is cut off.
pub(crate) fn packets_of(id: ChannelId, command: u8, message: &[u8]) -> Vec<Packet> {
    let [high, low] = u16::try_from(message.len())
        .unwrap_or(u16::MAX)
        .to_be_bytes();
    let (first, rest) = message.split_at(message.len().min(57));
    let mut packets = vec![packet(id, &[&[command, high, low], first].concat())];
    for (sequence, data) in (0..0x80).zip(rest.chunks(59)) {
        packets.push(packet(id, &[&[sequence], data].concat()));
    }
    packets
}

/// The answer to an INIT (§11.2.9.1.3).
pub(crate) fn granted(nonce: [u8; 8], id: ChannelId, capabilities: u8) -> Packet {
    let content = [&[0x86, 0, 17], &nonce[..], &id, &[2, 5, 0, 0, capabilities]];
    packet(BROADCAST, &content.concat())
}

/// Puts the messages of a host together again, and is strict about it: the
/// host is the product.
#[derive(Default)]
pub(crate) struct Reassembly(Option<Partial>);

struct Partial {
    id: ChannelId,
    command: u8,
    length: usize,
    next: u8,
    data: Vec<u8>,
}

/// Channel, command and data of a message.
pub(crate) type Message = (ChannelId, u8, Vec<u8>);

impl Reassembly {
    pub(crate) fn take_in(&mut self, packet: &Packet) -> Option<Message> {
        let id: ChannelId = packet[..4].try_into().expect("four bytes");
        let mut partial = match self.0.take() {
            None => {
                assert!(packet[4] & 0x80 != 0, "a continuation of nothing");
                let length = usize::from(u16::from_be_bytes([packet[5], packet[6]]));
                Partial {
                    id,
                    command: packet[4],
                    length,
                    next: 0,
                    data: packet[7..].to_vec(),
                }
            }
            // CTAPHID_CANCEL may come at any time (§11.2.9.1.5).
            Some(partial) if packet[4] == 0x91 => {
                assert_eq!((id, &packet[5..7]), (partial.id, &[0, 0][..]));
                self.0 = Some(partial);
                return Some((id, 0x91, Vec::new()));
            }
            Some(mut partial) => {
                assert_eq!((id, packet[4]), (partial.id, partial.next));
                partial.next += 1;
                partial.data.extend_from_slice(&packet[5..]);
                partial
            }
        };
        if partial.data.len() < partial.length {
            self.0 = Some(partial);
            return None;
        }
        let padding = partial.data.split_off(partial.length);
        assert!(padding.iter().all(|byte| *byte == 0), "something leaks");
        Some((partial.id, partial.command, partial.data))
    }
}

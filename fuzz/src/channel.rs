//! CTAPHID: packets into the state machine, in any order.
#![forbid(unsafe_code)]

use ceremony::authenticator::ctaphid::{Channel, Event, LARGEST_MESSAGE, Packet};

use crate::input::Input;
use crate::packets::{BROADCAST, ChannelId, Reassembly, granted, packet, packets_of};

const NONCE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
const OURS: ChannelId = [0, 0, 0, 9];
const CBOR: u8 = 0x90;

/// Packets, whole answers, requests and cancellations, as the input has them.
pub(crate) fn channel(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let (channel, init) = Channel::open(NONCE);
    assert_eq!(init[..7], [0xff, 0xff, 0xff, 0xff, 0x86, 0, 8]);
    let mut watched = Watched { channel, id: None };
    while !input.is_empty() {
        let goes_on = match input.byte() % 10 {
            0 => watched.receives(&granted(NONCE, OURS, input.byte())),
            1 => watched.is_asked(&vec![0xa0; usize::from(input.byte())]),
            2 => watched.is_cancelled(),
            3 => watched.receives(&input.array()),
            4 => watched.receives(&packet(OURS, input.counted())),
            5 => watched.receives(&packet(BROADCAST, input.counted())),
            6 => watched.is_answered(&vec![0x5a; usize::from(input.byte())]),
            // Long ones cost, and are rarely worth it.
            7 => watched.is_asked(&vec![0xa0; input.number() % (LARGEST_MESSAGE + 2)]),
            8 => watched.is_answered(&vec![0x5a; input.number() % (LARGEST_MESSAGE + 1)]),
            _ => watched.receives(&packet(input.array(), input.counted())),
        };
        if !goes_on {
            return;
        }
    }
}

struct Watched {
    channel: Channel,
    /// The channel that was granted, once one was.
    id: Option<ChannelId>,
}

impl Watched {
    /// Whether the exchange goes on: a fault ends it, as it does in the race.
    fn receives(&mut self, packet: &Packet) -> bool {
        let was_waiting = self.channel.is_waiting();
        let ours = packet[..4] == self.id.unwrap_or(BROADCAST);
        let event = match self.channel.receive(packet) {
            Ok(event) => event,
            Err(fault) => {
                assert!(ours, "{fault} on another channel");
                assert!(!fault.to_string().is_empty());
                return false;
            }
        };
        match event {
            None => assert_eq!(was_waiting, self.channel.is_waiting()),
            Some(event) => {
                assert!(ours, "{event:?} on another channel");
                self.understand(event, was_waiting, packet);
            }
        }
        true
    }

    fn understand(&mut self, event: Event, was_waiting: bool, packet: &Packet) {
        match event {
            Event::Opened => {
                assert_eq!((self.id, &packet[7..15]), (None, &NONCE[..]));
                let id: ChannelId = packet[15..19].try_into().expect("four bytes");
                assert!(id != BROADCAST && id != [0; 4]);
                self.id = Some(id);
            }
            Event::Response(message) => {
                assert!(was_waiting && !self.channel.is_waiting());
                assert!((1..=LARGEST_MESSAGE).contains(&message.len()));
            }
            Event::Busy => assert!(was_waiting && !self.channel.is_waiting()),
            Event::Processing | Event::UserPresenceNeeded => {
                assert!(was_waiting && self.channel.is_waiting());
            }
        }
    }

    fn is_asked(&mut self, message: &[u8]) -> bool {
        let may = self.id.is_some() && !self.channel.is_waiting();
        match (self.channel.send(message), self.id) {
            (Ok(packets), Some(id)) => {
                assert!(may && message.len() <= LARGEST_MESSAGE);
                let mut reassembly = Reassembly::default();
                let (last, first) = packets.split_last().expect("at least one packet");
                for packet in first {
                    assert_eq!(reassembly.take_in(packet), None);
                }
                assert_eq!(reassembly.take_in(last), Some((id, CBOR, message.to_vec())));
            }
            (Ok(_), None) => panic!("a message without a channel"),
            (Err(_), _) => assert!(!may || message.len() > LARGEST_MESSAGE),
        }
        true
    }

    fn is_cancelled(&mut self) -> bool {
        let cancel = self.channel.cancel();
        assert_eq!(cancel.is_some(), self.channel.is_waiting());
        true
    }

    /// A whole answer arrives as it was sent.
    fn is_answered(&mut self, message: &[u8]) -> bool {
        let Some(id) = self.id else { return true };
        let packets = packets_of(id, CBOR, message);
        let (last, first) = packets.split_last().expect("at least one packet");
        if !self.channel.is_waiting() || message.is_empty() {
            return packets.iter().all(|packet| self.receives(packet));
        }
        for packet in first {
            match self.channel.receive(packet) {
                Ok(event) => assert_eq!(event, None),
                // Something of another answer had come.
                Err(_) => return false,
            }
        }
        match self.channel.receive(last) {
            Ok(event) => assert_eq!(event, Some(Event::Response(message.to_vec()))),
            Err(_) => return false,
        }
        true
    }
}

//! CTAPHID framing (CTAP 2.1 §11.2) as a state machine fed with packets.
//!
//! A [`Channel`] never reads or writes: it returns the packets to send and is
//! handed those that came. A FIDO node is shared with every other program that
//! has it open, so packets of other channels pass by all the time and are no
//! fault; a packet of *our* channel that breaks a rule ends the exchange with
//! this authenticator.
#![forbid(unsafe_code)]

use std::fmt;

use crate::sentence;
use crate::sentence::{Sentence, Spoken};

/// One HID report. The specification allows other sizes; every FIDO device on
/// full-speed USB uses 64 (§11.2.2), and the framing below counts on it.
pub type Packet = [u8; 64];

/// A channel id (§11.2.3).
type ChannelId = [u8; 4];

/// The channel on which a channel of one's own is asked for (§11.2.3).
const BROADCAST: ChannelId = [0xff; 4];

/// Data bytes in the first packet of a message: 64 less channel, command and
/// the two bytes of BCNT.
const FIRST_DATA: usize = 57;

/// Data bytes in each further packet: 64 less channel and sequence number.
const NEXT_DATA: usize = 59;

/// The largest message: one first packet and 128 further ones (§11.2.4).
pub const LARGEST_MESSAGE: usize = FIRST_DATA + 128 * NEXT_DATA;

/// CTAPHID command numbers (§11.2.9), with the bit that marks a first packet.
mod command {
    pub(super) const INIT: u8 = 0x86;
    pub(super) const CBOR: u8 = 0x90;
    pub(super) const CANCEL: u8 = 0x91;
    pub(super) const KEEPALIVE: u8 = 0xbb;
    pub(super) const ERROR: u8 = 0xbf;
}

/// `ERR_CHANNEL_BUSY` (§11.2.9.1.6).
const BUSY: u8 = 0x06;

/// The CBOR bit among the capabilities in an INIT response (§11.2.9.1.3).
const CAPABILITY_CBOR: u8 = 0x04;

/// What a packet meant.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// The authenticator gave us a channel.
    Opened,
    /// It is still at work (§11.2.9.2.2, KEEPALIVE 1).
    Processing,
    /// It waits for the person's touch (KEEPALIVE 2).
    UserPresenceNeeded,
    /// A whole CBOR response: status byte and data.
    Response(Vec<u8>),
    /// It serves another program at the moment (§11.2.9.1.6,
    /// `ERR_CHANNEL_BUSY`); what we sent is lost and may be sent again.
    Busy,
}

/// Where a channel stands.
#[derive(Debug)]
enum State {
    /// INIT was sent; the nonce says which response is ours.
    Opening { nonce: [u8; 8] },
    /// A channel of our own, nothing under way.
    Idle,
    /// A message was sent, no packet of the response has come.
    Waiting,
    /// Some of the response has come.
    Receiving {
        length: usize,
        sequence: u8,
        data: Vec<u8>,
    },
}

/// Our end of a CTAPHID channel.
#[derive(Debug)]
pub struct Channel {
    id: ChannelId,
    state: State,
}

impl Channel {
    /// Begins with an INIT on the broadcast channel. The nonce must be random:
    /// it is how our response is told from everybody else's.
    pub fn open(nonce: [u8; 8]) -> (Self, Packet) {
        let channel = Self {
            id: BROADCAST,
            state: State::Opening { nonce },
        };
        (channel, init(nonce))
    }

    /// The INIT once more, where it has not been answered.
    pub fn open_again(&self) -> Option<Packet> {
        match self.state {
            State::Opening { nonce } => Some(init(nonce)),
            _ => None,
        }
    }

    /// The packets of a CBOR message. Nothing may be under way.
    pub fn send(&mut self, message: &[u8]) -> Result<Vec<Packet>, Fault> {
        if !matches!(self.state, State::Idle) {
            return Err(Fault::NotIdle);
        }
        if message.len() > LARGEST_MESSAGE {
            return Err(Fault::TooLarge(message.len()));
        }
        self.state = State::Waiting;
        let (first, rest) = message.split_at(message.len().min(FIRST_DATA));
        let mut packets = vec![first_packet(self.id, command::CBOR, message.len(), first)];
        packets.extend(
            (0_u8..)
                .zip(rest.chunks(NEXT_DATA))
                .map(|(sequence, data)| next_packet(self.id, sequence, data)),
        );
        Ok(packets)
    }

    /// The packet that ends what is under way (§11.2.9.1.5), where there is
    /// something: the authenticator then answers that it was
    /// cancelled and goes dark.
    pub fn cancel(&mut self) -> Option<Packet> {
        self.is_waiting()
            .then(|| first_packet(self.id, command::CANCEL, 0, &[]))
    }

    /// Whether an answer is still to come.
    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting | State::Receiving { .. })
    }

    /// Takes in a packet. `Ok(None)`: not for us, or more is to come. After a
    /// fault the channel is good for nothing but [`cancel`](Self::cancel).
    pub fn receive(&mut self, packet: &Packet) -> Result<Option<Event>, Fault> {
        let (id, rest) = packet.split_first_chunk::<4>().ok_or(Fault::Short)?;
        if *id != self.id {
            return Ok(None);
        }
        let (&[kind], rest) = rest.split_first_chunk::<1>().ok_or(Fault::Short)?;
        if kind & 0x80 == 0 {
            return self.next_packet(kind, rest);
        }
        let (length, data) = rest.split_first_chunk::<2>().ok_or(Fault::Short)?;
        self.first_packet(kind, usize::from(u16::from_be_bytes(*length)), data)
    }

    fn first_packet(
        &mut self,
        command: u8,
        length: usize,
        data: &[u8],
    ) -> Result<Option<Event>, Fault> {
        if let State::Opening { nonce } = self.state {
            // Everybody's INIT responses come on the broadcast channel.
            return match (command, data.split_first_chunk::<8>()) {
                (command::INIT, Some((answered, granted))) if *answered == nonce => {
                    self.opened(length, granted).map(Some)
                }
                // §11.2.5.1: it takes no INIT in the middle of a message. The
                // error may answer somebody else's; ours is sent again for it.
                (command::ERROR, _) if length == 1 && data.first() == Some(&BUSY) => {
                    Ok(Some(Event::Busy))
                }
                _ => Ok(None),
            };
        }
        if matches!(self.state, State::Idle) {
            // A late word about something already over.
            return Ok(None);
        }
        match (command, data.first()) {
            (command::KEEPALIVE, Some(1)) if length == 1 => Ok(Some(Event::Processing)),
            (command::KEEPALIVE, Some(2)) if length == 1 => Ok(Some(Event::UserPresenceNeeded)),
            (command::ERROR, Some(&BUSY)) if length == 1 => {
                self.state = State::Idle;
                Ok(Some(Event::Busy))
            }
            (command::ERROR, Some(&code)) if length == 1 => Err(Fault::Reported(code)),
            (command::CBOR, _) if matches!(self.state, State::Receiving { .. }) => {
                Err(Fault::Interleaved)
            }
            (command::CBOR, _) => {
                if !(1..=LARGEST_MESSAGE).contains(&length) {
                    return Err(Fault::Length(length));
                }
                let first = data.get(..length.min(data.len())).unwrap_or(data);
                self.state = State::Receiving {
                    length,
                    sequence: 0,
                    data: first.to_vec(),
                };
                Ok(self.collected())
            }
            _ => Err(Fault::Command(command)),
        }
    }

    fn opened(&mut self, length: usize, granted: &[u8]) -> Result<Event, Fault> {
        // §11.2.9.1.3: nonce 8, channel 4, protocol version 1, device version
        // 3, capabilities 1. A later protocol may add more.
        if length < 17 {
            return Err(Fault::Length(length));
        }
        let (id, rest) = granted.split_first_chunk::<4>().ok_or(Fault::Short)?;
        if *id == BROADCAST || *id == [0; 4] {
            return Err(Fault::ReservedChannel);
        }
        let capabilities = rest.get(4).ok_or(Fault::Short)?;
        if capabilities & CAPABILITY_CBOR == 0 {
            return Err(Fault::OnlyU2f);
        }
        self.id = *id;
        self.state = State::Idle;
        Ok(Event::Opened)
    }

    /// A fault leaves the state as it was: what was asked is still under way,
    /// and a key that blinks for it must be told to stop.
    fn next_packet(&mut self, sequence: u8, data: &[u8]) -> Result<Option<Event>, Fault> {
        match &mut self.state {
            State::Receiving {
                length,
                sequence: expected,
                data: so_far,
            } => {
                if sequence != *expected {
                    return Err(Fault::Sequence {
                        expected: *expected,
                        received: sequence,
                    });
                }
                *expected = expected.saturating_add(1);
                let wanted = data.len().min(length.saturating_sub(so_far.len()));
                so_far.extend_from_slice(data.get(..wanted).unwrap_or_default());
                Ok(self.collected())
            }
            State::Waiting => Err(Fault::Interleaved),
            // Left over from something already over, or on the broadcast
            // channel, where it means nothing to us.
            State::Opening { .. } | State::Idle => Ok(None),
        }
    }

    /// The response, once all of it has come.
    fn collected(&mut self) -> Option<Event> {
        let State::Receiving { length, data, .. } = &mut self.state else {
            return None;
        };
        if data.len() < *length {
            return None;
        }
        let data = std::mem::take(data);
        self.state = State::Idle;
        Some(Event::Response(data))
    }
}

/// The packet that ends what is under way on somebody else's channel: a process
/// that is no more cannot send it itself.
pub fn cancel_on(channel: [u8; 4]) -> Packet {
    first_packet(channel, command::CANCEL, 0, &[])
}

fn init(nonce: [u8; 8]) -> Packet {
    first_packet(BROADCAST, command::INIT, nonce.len(), &nonce)
}

fn first_packet(id: ChannelId, command: u8, length: usize, data: &[u8]) -> Packet {
    // A message is at most 7609 bytes, so BCNT always fits.
    let [high, low] = u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    packet(&[&id, &[command, high, low], data])
}

fn next_packet(id: ChannelId, sequence: u8, data: &[u8]) -> Packet {
    packet(&[&id, &[sequence], data])
}

/// The parts one after the other, the rest zero.
fn packet(parts: &[&[u8]]) -> Packet {
    let mut packet = [0; 64];
    for (to, from) in packet.iter_mut().zip(parts.iter().copied().flatten()) {
        *to = *from;
    }
    packet
}

/// What ends the exchange with an authenticator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A packet too short for its header.
    Short,
    /// A message length (BCNT) that no message of its kind has.
    Length(usize),
    /// Channel 0 or the broadcast channel was granted to us.
    ReservedChannel,
    /// The device does not speak CTAP2, only U2F.
    OnlyU2f,
    /// A command that answers nothing we asked.
    Command(u8),
    /// A continuation packet out of order.
    Sequence {
        /// The sequence number that had its turn.
        expected: u8,
        /// The one that came.
        received: u8,
    },
    /// A first packet in the middle of a message, or a continuation before one.
    Interleaved,
    /// `CTAPHID_ERROR` with this code (§11.2.9.1.6).
    Reported(u8),
    /// We wanted to send more than a message can hold.
    TooLarge(usize),
    /// We wanted to send while something was under way.
    NotIdle,
    /// It takes its packets so slowly that others would wait for it.
    Slow,
    /// It does not answer, and others wait for it.
    Silent,
}

impl std::error::Error for Fault {}

impl Spoken for Fault {
    fn sentence(&self) -> Sentence {
        match self {
            Self::Short => sentence!("it sent a packet too short for its header"),
            Self::Length(length) => sentence!("it announced an impossible {length} bytes", length),
            Self::ReservedChannel => sentence!("it granted a reserved channel"),
            Self::OnlyU2f => sentence!("it speaks only U2F, not FIDO2"),
            Self::Command(command) => {
                let command = format!("0x{command:02x}");
                sentence!("it answered with command {command}", command)
            }
            Self::Sequence { expected, received } => sentence!(
                "it sent packet {received} of a message where {expected} was due",
                received,
                expected
            ),
            Self::Interleaved => sentence!("it mixed up two messages"),
            Self::Reported(code) => {
                let code = format!("0x{code:02x}");
                sentence!("it reported CTAPHID error {code}", code)
            }
            Self::TooLarge(length) => sentence!(
                "a message of {length} bytes is larger than the {largest} that fit",
                length,
                largest = LARGEST_MESSAGE
            ),
            Self::Slow => sentence!("it is too slow to take a request"),
            Self::Silent => sentence!("it does not answer"),
            Self::NotIdle => sentence!("a second request was made before the first was answered"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];
    const OURS: ChannelId = [0, 0, 0, 9];

    fn granted(nonce: [u8; 8], id: ChannelId, capabilities: u8) -> Packet {
        let mut data = nonce.to_vec();
        data.extend(id);
        data.extend([2, 5, 0, 0, capabilities]);
        first_packet(BROADCAST, command::INIT, data.len(), &data)
    }

    fn open() -> Channel {
        let (mut channel, _) = Channel::open(NONCE);
        let event = channel.receive(&granted(NONCE, OURS, CAPABILITY_CBOR));
        assert_eq!(event, Ok(Some(Event::Opened)));
        channel
    }

    fn waiting() -> Channel {
        let mut channel = open();
        channel.send(&[4]).unwrap();
        channel
    }

    /// A response of `length` bytes, cut into packets.
    fn response(length: usize) -> (Vec<u8>, Vec<Packet>) {
        let message: Vec<u8> = (0..length).map(|n| n.to_le_bytes()[0]).collect();
        let mut sender = open();
        (message.clone(), sender.send(&message).unwrap())
    }

    #[test]
    fn init_goes_out_on_the_broadcast_channel_with_its_nonce() {
        let (_, packet) = Channel::open(NONCE);
        assert_eq!(packet[..7], [0xff, 0xff, 0xff, 0xff, 0x86, 0, 8]);
        assert_eq!(packet[7..15], NONCE);
        assert_eq!(packet[15..], [0; 49]);
    }

    #[test]
    fn another_programs_init_response_is_not_ours() {
        let (mut channel, _) = Channel::open(NONCE);
        for _ in 0..200 {
            let theirs = granted([9; 8], [7; 4], CAPABILITY_CBOR);
            assert_eq!(channel.receive(&theirs), Ok(None));
        }
        let ours = granted(NONCE, OURS, CAPABILITY_CBOR);
        assert_eq!(channel.receive(&ours), Ok(Some(Event::Opened)));
    }

    #[test]
    fn a_key_in_the_middle_of_a_message_may_be_asked_again_for_a_channel() {
        let (mut channel, first) = Channel::open(NONCE);
        let busy = first_packet(BROADCAST, command::ERROR, 1, &[0x06]);
        assert_eq!(channel.receive(&busy), Ok(Some(Event::Busy)));
        assert_eq!(channel.open_again(), Some(first));
        for other in [
            first_packet(BROADCAST, command::ERROR, 1, &[0x01]),
            first_packet(BROADCAST, command::ERROR, 2, &[0x06]),
        ] {
            assert_eq!(channel.receive(&other), Ok(None));
        }
        let ours = granted(NONCE, OURS, CAPABILITY_CBOR);
        assert_eq!(channel.receive(&ours), Ok(Some(Event::Opened)));
        assert_eq!(channel.open_again(), None);
    }

    #[test]
    fn a_reserved_channel_is_refused() {
        for reserved in [[0; 4], BROADCAST] {
            let (mut channel, _) = Channel::open(NONCE);
            assert_eq!(
                channel.receive(&granted(NONCE, reserved, CAPABILITY_CBOR)),
                Err(Fault::ReservedChannel)
            );
        }
    }

    #[test]
    fn a_device_without_cbor_is_refused() {
        let (mut channel, _) = Channel::open(NONCE);
        assert_eq!(
            channel.receive(&granted(NONCE, OURS, 0x01)),
            Err(Fault::OnlyU2f)
        );
    }

    #[test]
    fn an_init_response_is_at_least_seventeen_bytes() {
        let (mut channel, _) = Channel::open(NONCE);
        let mut short = granted(NONCE, OURS, CAPABILITY_CBOR);
        short[6] = 16;
        assert_eq!(channel.receive(&short), Err(Fault::Length(16)));
    }

    #[test]
    fn messages_of_every_length_arrive_whole() {
        for length in [1, 56, 57, 58, 57 + 59, 57 + 60, 1024, LARGEST_MESSAGE] {
            let (message, packets) = response(length);
            let mut channel = waiting();
            let (last, before) = packets.split_last().unwrap();
            for packet in before {
                assert_eq!(channel.receive(packet), Ok(None));
            }
            assert_eq!(channel.receive(last), Ok(Some(Event::Response(message))));
        }
    }

    #[test]
    fn a_key_that_broke_a_rule_can_still_be_told_to_stop() {
        let (_, packets) = response(300);
        for broken in [&packets[1..2], &packets[..1], &[packets[0], packets[2]]] {
            let mut channel = waiting();
            for packet in broken {
                let _ = channel.receive(packet);
            }
            assert!(channel.cancel().is_some(), "{broken:?}");
        }
    }

    #[test]
    fn lengths_no_message_has_are_refused() {
        assert_eq!(LARGEST_MESSAGE, 7609);
        for length in [0, 7610, 65535] {
            let packet = first_packet(OURS, command::CBOR, length, &[]);
            assert_eq!(waiting().receive(&packet), Err(Fault::Length(length)));
        }
        let mut channel = open();
        assert!(channel.send(&[0; 7609]).is_ok());
        assert_eq!(open().send(&[0; 7610]), Err(Fault::TooLarge(7610)));
    }

    #[test]
    fn other_channels_pass_by_in_the_middle_of_a_message() {
        let (message, packets) = response(100);
        let mut channel = waiting();
        assert_eq!(channel.receive(&packets[0]), Ok(None));
        let theirs = first_packet([7; 4], command::CBOR, 200, &[0xee; 57]);
        assert_eq!(channel.receive(&theirs), Ok(None));
        assert_eq!(
            channel.receive(&packets[1]),
            Ok(Some(Event::Response(message)))
        );
    }

    #[test]
    fn packets_out_of_order_end_the_exchange() {
        let (_, packets) = response(57 + 59 * 3);
        for (wrong, received) in [(2, 1), (3, 2)] {
            let mut channel = waiting();
            channel.receive(&packets[0]).unwrap();
            assert_eq!(
                channel.receive(&packets[wrong]),
                Err(Fault::Sequence {
                    expected: 0,
                    received
                })
            );
        }
        let mut repeated = waiting();
        repeated.receive(&packets[0]).unwrap();
        repeated.receive(&packets[1]).unwrap();
        assert!(matches!(
            repeated.receive(&packets[1]),
            Err(Fault::Sequence { .. })
        ));
    }

    #[test]
    fn two_messages_in_one_end_the_exchange() {
        let (_, packets) = response(200);
        let mut channel = waiting();
        channel.receive(&packets[0]).unwrap();
        assert_eq!(channel.receive(&packets[0]), Err(Fault::Interleaved));
        assert_eq!(waiting().receive(&packets[1]), Err(Fault::Interleaved));
    }

    #[test]
    fn keepalives_say_what_is_waited_for() {
        let mut channel = waiting();
        let keepalive = |status| first_packet(OURS, command::KEEPALIVE, 1, &[status]);
        assert_eq!(channel.receive(&keepalive(1)), Ok(Some(Event::Processing)));
        assert_eq!(
            channel.receive(&keepalive(2)),
            Ok(Some(Event::UserPresenceNeeded))
        );
        assert_eq!(
            channel.receive(&keepalive(3)),
            Err(Fault::Command(command::KEEPALIVE))
        );
    }

    #[test]
    fn keepalives_and_errors_are_one_byte_long() {
        for (command, byte) in [
            (command::KEEPALIVE, 1),
            (command::KEEPALIVE, 2),
            (command::ERROR, 0x06),
            (command::ERROR, 0x01),
        ] {
            let long = first_packet(OURS, command, 2, &[byte]);
            assert_eq!(waiting().receive(&long), Err(Fault::Command(command)));
        }
    }

    #[test]
    fn a_busy_key_may_be_asked_again() {
        let mut channel = waiting();
        let busy = first_packet(OURS, command::ERROR, 1, &[0x06]);
        assert_eq!(channel.receive(&busy), Ok(Some(Event::Busy)));
        assert!(channel.send(&[4]).is_ok());
    }

    #[test]
    fn an_error_or_a_strange_command_ends_the_exchange() {
        let error = first_packet(OURS, command::ERROR, 1, &[0x01]);
        assert_eq!(waiting().receive(&error), Err(Fault::Reported(1)));
        let ping = first_packet(OURS, 0x81, 1, &[0]);
        assert_eq!(waiting().receive(&ping), Err(Fault::Command(0x81)));
    }

    #[test]
    fn only_what_is_under_way_can_be_cancelled() {
        let (mut opening, _) = Channel::open(NONCE);
        assert_eq!(opening.cancel(), None);
        assert_eq!(open().cancel(), None);
        let cancel = waiting().cancel().unwrap();
        assert_eq!(cancel[..7], [0, 0, 0, 9, 0x91, 0, 0]);
    }

    #[test]
    fn a_key_that_broke_the_rules_can_still_be_told_to_stop() {
        let (_, packets) = response(100);
        let mut early = waiting();
        assert_eq!(early.receive(&packets[1]), Err(Fault::Interleaved));
        assert!(early.cancel().is_some());
        let mut twice = waiting();
        twice.receive(&packets[0]).unwrap();
        assert_eq!(twice.receive(&packets[0]), Err(Fault::Interleaved));
        assert!(twice.cancel().is_some());
    }

    #[test]
    fn one_request_at_a_time() {
        assert_eq!(waiting().send(&[4]), Err(Fault::NotIdle));
    }

    #[test]
    fn a_late_packet_after_the_response_is_nobodys() {
        let (_, packets) = response(10);
        assert_eq!(open().receive(&packets[0]), Ok(None));
        let (_, packets) = response(100);
        assert_eq!(open().receive(&packets[1]), Ok(None));
    }
}

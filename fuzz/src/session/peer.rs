//! Whoever is at the other end of the cable: a key that is honest, or not,
//! step by step as the script has it.
#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};

use super::node::Cable;
use super::request::Request;
use super::stick::{Signed, Stick, says};
use crate::honest_key::{EDDSA, ES256, RELYING_PARTY, authenticator_data};
use crate::input::Input;
use crate::packets::{ChannelId, Reassembly, granted, packet, packets_of};

const INIT: u8 = 0x86;
const CBOR: u8 = 0x90;
const CANCEL: u8 = 0x91;
const KEEPALIVE: u8 = 0xbb;
const ERROR: u8 = 0xbf;

/// What all of one session's keys have done.
#[derive(Default)]
pub(super) struct Deeds(Mutex<Record>);

#[derive(Default)]
struct Record {
    signed: Vec<Signed>,
    /// What the host wanted signed without a touch.
    worthless: HashSet<[u8; 32]>,
}

impl Deeds {
    fn record<T>(&self, look: impl FnOnce(&mut Record) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether such a thing was signed.
    pub(super) fn any_signed(&self, such: impl Fn(&Signed) -> bool) -> bool {
        self.record(|record| record.signed.iter().any(such))
    }

    /// Whether this was signed for a question that took no touch.
    pub(super) fn shown(&self, such: impl Fn(&Signed) -> bool) -> bool {
        self.record(|record| {
            let mut shown = record.signed.iter();
            shown.any(|signed| record.worthless.contains(&signed.hash) && such(signed))
        })
    }
}

/// How a peer found things when the host had gone.
pub(super) struct Left {
    /// A request was neither answered nor cancelled: a light that still blinks.
    pub(super) blinking: bool,
}

/// What a step of the script means for the host's turn.
enum Step {
    /// There is more to say.
    More,
    /// It is the host's turn.
    Over,
    /// The cable is broken.
    Unplugged,
}

pub(super) struct Peer<'s> {
    stick: Stick,
    cable: Cable,
    script: Input<'s>,
    deeds: &'s Deeds,
    /// What an approval is to be signed over; none while a credential is made.
    challenge: Option<[u8; 32]>,
    id: ChannelId,
    under_way: bool,
}

impl<'s> Peer<'s> {
    pub(super) fn new(
        stick: Stick,
        cable: Cable,
        script: Input<'s>,
        deeds: &'s Deeds,
        challenge: Option<[u8; 32]>,
    ) -> Self {
        let number = u8::try_from(stick.number).unwrap_or(0);
        Self {
            stick,
            cable,
            script,
            deeds,
            challenge,
            id: [0, 0, 0, 1 + number],
            under_way: false,
        }
    }

    /// Plays until the host closes the node.
    pub(super) fn play(mut self) -> Left {
        let mut reassembly = Reassembly::default();
        while let Some(packet) = self.cable.read() {
            let Some((id, command, data)) = reassembly.take_in(&packet) else {
                continue;
            };
            match command {
                INIT => {}
                CBOR => {
                    assert_eq!(id, self.id, "a request on another channel");
                    assert!(data.len() <= 7609);
                    self.look_into(&Request::read(&data));
                    self.under_way = true;
                }
                CANCEL => {
                    assert_eq!(id, self.id, "a cancellation on another channel");
                    // CTAP2_ERR_KEEPALIVE_CANCEL
                    if std::mem::take(&mut self.under_way) {
                        self.send(CBOR, &[0x2d]);
                    }
                    continue;
                }
                other => panic!("the host says 0x{other:02x}"),
            }
            if self.turn(command, &data) {
                return Left { blinking: false };
            }
        }
        Left {
            blinking: self.under_way,
        }
    }

    /// What no request of ours may be.
    fn look_into(&self, request: &Request<'_>) {
        if request.command != 0x02 {
            return;
        }
        let hash = request.hash(0x02);
        assert_eq!(request.text(0x01), Some(RELYING_PARTY));
        assert!(!request.ids(0x03).is_empty(), "no allowList");
        if request.option(0x05, "up") == Some(false) {
            assert_ne!(Some(hash), self.challenge, "a silent approval");
            let fresh = self.deeds.record(|record| record.worthless.insert(hash));
            assert!(fresh, "a question asked twice");
        } else {
            assert_eq!(Some(hash), self.challenge, "a touch for something else");
        }
    }

    /// One turn of the key's; says whether it unplugged itself.
    fn turn(&mut self, command: u8, data: &[u8]) -> bool {
        while !self.script.is_empty() {
            match self.step(command, data) {
                Step::More => {}
                Step::Over => return false,
                Step::Unplugged => return true,
            }
        }
        // The script is over, and so should be the session.
        if command == INIT {
            self.grant(data, 0);
        } else {
            self.send(ERROR, &[0x7f]);
            self.under_way = false;
        }
        false
    }

    fn step(&mut self, command: u8, data: &[u8]) -> Step {
        match self.script.byte() % 16 {
            0 => return self.is_honest(command, data, false),
            1 => return self.is_honest(command, data, true),
            2 => {
                let packet = self.script.array::<64>();
                self.murky(packet[4]);
                self.cable.send(&packet);
            }
            3 => {
                let content = self.script.counted();
                self.murky(content.first().copied().unwrap_or(0));
                self.cable.send(&packet(self.id, content));
            }
            4 => {
                let message = self.script.counted();
                return self.answer(message);
            }
            5 => {
                let status = self.script.byte();
                self.send(KEEPALIVE, &[status]);
            }
            6 => {
                let code = self.script.byte();
                self.under_way = false;
                self.send(ERROR, &[code]);
                return Step::Over;
            }
            7 => {
                let status = self.script.byte();
                return self.answer(&[status]);
            }
            8 => return self.says_what_it_is_told(command, data),
            9 => {
                let short = self.script.counted();
                self.cable.send(&short[..short.len().min(63)]);
            }
            10 => return Step::Unplugged,
            11 => {
                let other = self.script.array();
                for packet in packets_of(other, CBOR, self.script.counted()) {
                    self.murky_if(other == self.id);
                    self.cable.send(&packet);
                }
            }
            12 => return Step::Over,
            13 => {
                let message = self.script.counted();
                let most = usize::from(self.script.byte() % 8);
                self.murky_if(true);
                for packet in packets_of(self.id, CBOR, message).iter().take(most) {
                    self.cable.send(packet);
                }
            }
            14 => {
                let spoilt = self.script.byte();
                self.grant(data, spoilt);
            }
            _ => {
                let length = self.script.number() % 7610;
                let mut message = vec![self.script.byte(); length];
                if let Some(status) = message.first_mut() {
                    *status = 0;
                }
                return self.answer(&message);
            }
        }
        Step::More
    }

    /// What may have been an answer leaves open whether a light still blinks.
    fn murky(&mut self, kind: u8) {
        self.murky_if(kind & 0x80 != 0);
    }

    fn murky_if(&mut self, it_is: bool) {
        self.under_way &= !it_is;
    }

    fn is_honest(&mut self, command: u8, data: &[u8], spoilt: bool) -> Step {
        if command == INIT {
            let spoilt = if spoilt { self.script.byte() } else { 0 };
            self.grant(data, spoilt);
            return Step::Over;
        }
        let (mut answer, signed) = self.stick.answer(&Request::read(data));
        self.deeds.record(|record| record.signed.extend(signed));
        if spoilt {
            self.script.spoil(&mut answer);
        }
        self.answer(&answer)
    }

    /// An assertion with anything in it, signed by either of either kind of key.
    fn says_what_it_is_told(&mut self, command: u8, data: &[u8]) -> Step {
        let choices = self.script.byte();
        let (flags, counter) = says(&mut self.script);
        if command != CBOR {
            return Step::More;
        }
        let request = Request::read(data);
        if request.command != 0x02 {
            return Step::More;
        }
        let relying_party = if choices & 0x01 == 0 {
            RELYING_PARTY
        } else {
            "pam://server"
        };
        let hash = if choices & 0x02 == 0 {
            request.hash(0x02)
        } else {
            [0; 32]
        };
        let key = match choices >> 2 & 0x03 {
            0 => self.stick.key,
            1 => &ES256[0],
            2 => &EDDSA[0],
            _ => &ES256[1],
        };
        let asked = request.ids(0x03);
        let named = match choices >> 4 & 0x03 {
            0 => Some(key.credential.id.as_bytes()),
            1 => None,
            2 => asked.last().copied(),
            _ => Some(self.script.counted()),
        };
        let rp_id_hash = Sha256::digest(relying_party).into();
        let mut data = authenticator_data(&rp_id_hash, flags, counter);
        if choices & 0x40 != 0 {
            data.extend(self.script.counted());
        }
        let (message, signed) = self.stick.sign(key, named, data, hash);
        self.deeds.record(|record| record.signed.push(signed));
        self.answer(&message)
    }

    fn answer(&mut self, message: &[u8]) -> Step {
        self.under_way = false;
        self.send(CBOR, message);
        Step::Over
    }

    fn send(&mut self, command: u8, data: &[u8]) {
        for packet in packets_of(self.id, command, data) {
            self.cable.send(&packet);
        }
    }

    /// Answers an INIT, for another nonce where it is `spoilt`.
    fn grant(&mut self, data: &[u8], spoilt: u8) {
        let mut nonce = [0; 8];
        for (to, from) in nonce.iter_mut().zip(data) {
            *to = *from ^ spoilt;
        }
        let capabilities = self.stick.character.capabilities();
        self.cable.send(&granted(nonce, self.id, capabilities));
    }
}

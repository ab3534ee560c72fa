//! The mask over the firmware: what it is not asked, and how its answers are worded.
//!
//! opensk stays in charge of CTAPHID: it puts messages together, judges channels and sequence
//! numbers, and waits for touches. It asks here before it reads a CBOR message
//! (`Env::process_vendor_command`), and every whole answer passes through here on its way out.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opensk::ctap::status_code::Ctap2StatusCode;

use super::get_info;
use super::message::{CBOR, INIT, Message};
use super::profile::{Generation, Pin, Profile, Quirk};
use super::request::{Command, Request};
use super::rogue;

/// `CTAPHID_ERROR`'s codes (CTAP 2.1 §11.2.9.1.6).
const ERR_INVALID_CMD: u8 = 0x01;
const ERR_CHANNEL_BUSY: u8 = 0x06;

/// INIT's capability flag for CBOR, and where it stands in the response.
const CAPABILITY_CBOR: u8 = 0x04;
const CAPABILITIES: usize = 16;

/// Until when the key is busy with somebody else's request; shared with the test.
#[derive(Clone, Default)]
pub(super) struct Busy(Arc<Mutex<Option<Instant>>>);

impl Busy {
    pub(super) fn lasts(&self, duration: Duration) {
        let mut until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *until = Some(Instant::now() + duration);
    }

    fn is_so(&self) -> bool {
        let until = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

/// One key's mask, while it has power.
pub(super) struct Disguise {
    profile: Profile,
    busy: Busy,
    /// The CBOR message that is being answered.
    request: Option<Request>,
    /// Where its answer is to be no CTAP2 status but a `CTAPHID_ERROR`.
    hid_error: Option<u8>,
}

impl Disguise {
    pub(super) fn new(profile: Profile, busy: Busy) -> Self {
        Self {
            profile,
            busy,
            request: None,
            hid_error: None,
        }
    }

    /// A CBOR message has come: the answer, if opensk is not to see it.
    pub(super) fn answer(&mut self, channel: u32, bytes: &[u8], pin: Pin) -> Option<Vec<u8>> {
        let request = Request::of(&Message {
            channel,
            command: CBOR,
            bytes: bytes.to_vec(),
        });
        let request = self.request.insert(request);
        self.hid_error = if self.profile.generation == Generation::U2f {
            Some(ERR_INVALID_CMD)
        } else if self.busy.is_so() {
            Some(ERR_CHANNEL_BUSY)
        } else {
            None
        };
        if let Some(code) = self.hid_error {
            return Some(vec![code]);
        }
        if let Some(status) = self.profile.refusal(request, pin) {
            return Some(vec![status]);
        }
        if self.profile.has(Quirk::ClaimsEveryId) && request.is_silent() {
            return rogue::assertion(request);
        }
        None
    }

    /// What goes out in place of this answer.
    pub(super) fn reword(&mut self, mut answer: Message) -> Message {
        match answer.command {
            CBOR => {
                if let Some(code) = self.hid_error.take() {
                    return Message::error(answer.channel, code);
                }
                if self.is_answering(Command::GetInfo) {
                    answer.bytes = get_info::reworded(&answer.bytes, &self.profile);
                }
            }
            INIT if self.profile.generation == Generation::U2f => {
                if let Some(capabilities) = answer.bytes.get_mut(CAPABILITIES) {
                    *capabilities &= !CAPABILITY_CBOR;
                }
            }
            _ => {}
        }
        answer
    }

    /// Whether the key waits for a touch before it gives this answer.
    pub(super) fn keeps_it_until_touched(&self, answer: &Message) -> bool {
        self.profile.has(Quirk::NoCredentialsAfterTouch)
            && answer.command == CBOR
            && answer.bytes == [Ctap2StatusCode::CTAP2_ERR_NO_CREDENTIALS as u8]
            && self.is_answering(Command::GetAssertion)
            && !self.request.as_ref().is_some_and(Request::is_silent)
    }

    fn is_answering(&self, command: Command) -> bool {
        self.request
            .as_ref()
            .is_some_and(|request| request.command == command)
    }
}

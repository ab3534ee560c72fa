//! The key at work: packets in, packets out, and what it does meanwhile.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use sha2::{Digest, Sha256};
use sk_cbor::{Value, cbor_array_vec, cbor_map};

use super::credential::{Assertion, Credential, KeyPair, NewCredential, written};
use super::lie::{Act, Lie, Moment, Packets, WhenCancelled};
use super::pin::PinKeeper;
use crate::virtual_key::Report;
use crate::virtual_key::message::{
    Assembly, CBOR, ERROR, INIT, KEEPALIVE as KEEPALIVE_COMMAND, Message, head,
};
use crate::virtual_key::request::{Command, Request};

mod status {
    pub(super) const INVALID_COMMAND: u8 = 0x01;
    pub(super) const MISSING_PARAMETER: u8 = 0x14;
    pub(super) const KEEPALIVE_CANCEL: u8 = 0x2D;
    pub(super) const NO_CREDENTIALS: u8 = 0x2E;
    pub(super) const PIN_AUTH_INVALID: u8 = 0x33;
}

/// UP and UV of the flags (WebAuthn §6.1).
const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;

/// How often it says that it waits for its person.
const KEEPALIVE: Duration = Duration::from_millis(100);

/// What the key remembers, with and without power.
pub(super) struct Memory {
    pub(super) lie: Lie,
    pub(super) touched_after: Option<Duration>,
    pub(super) pin: PinKeeper,
    pub(super) credentials: Vec<Credential>,
    pub(super) counter: u32,
    hashes: Vec<Vec<u8>>,
    next_channel: u32,
    pub(super) heard: Vec<Moment>,
    pub(super) packets_sent: usize,
    pub(super) interruptions: usize,
    pub(super) cancels: usize,
    /// It was asked something, and has neither answered nor stopped.
    pub(super) owes: bool,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            lie: Lie::None,
            touched_after: Some(Duration::ZERO),
            pin: PinKeeper::default(),
            credentials: Vec::new(),
            counter: 0,
            hashes: Vec::new(),
            next_channel: 0x0102_0304,
            heard: Vec::new(),
            packets_sent: 0,
            interruptions: 0,
            cancels: 0,
            owes: false,
        }
    }
}

/// Works until the cable is pulled.
pub(super) fn run(cable: &OwnedFd, memory: &Mutex<Memory>) {
    let lock = || memory.lock().unwrap_or_else(PoisonError::into_inner);
    let mut work = Work::default();
    loop {
        if work.go_on(cable, &lock).is_err() {
            break;
        }
        let pause = work
            .next
            .map(|at| at.saturating_duration_since(Instant::now()));
        if !is_readable(cable, pause) {
            continue;
        }
        let mut report = [0; 64];
        match recv(cable.as_raw_fd(), &mut report, MsgFlags::MSG_DONTWAIT) {
            Ok(64) => {
                if let Some(message) = work.arriving.add(&report) {
                    work.take_in(&message, &mut lock());
                }
            }
            Ok(0) => break,
            Ok(_) | Err(nix::Error::EAGAIN | nix::Error::EINTR) => {}
            Err(_) => break,
        }
    }
    lock().owes = false;
}

fn is_readable(cable: &OwnedFd, pause: Option<Duration>) -> bool {
    let mut fds = [PollFd::new(cable.as_fd(), PollFlags::POLLIN)];
    let timeout = match pause {
        None => PollTimeout::NONE,
        // Shorter ones than poll's milliseconds are slept: nobody listens that closely.
        Some(pause) if pause < Duration::from_millis(1) => {
            std::thread::sleep(pause);
            PollTimeout::ZERO
        }
        Some(pause) => PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX),
    };
    poll(&mut fds, timeout).is_ok_and(|ready| ready > 0)
}

/// It has no power any more.
struct Unplugged;

/// What it is doing.
#[derive(Default)]
struct Work {
    arriving: Assembly,
    departing: Assembly,
    acts: VecDeque<Act>,
    /// The answer to what it was asked last, as an honest key sends it.
    honest: Vec<Act>,
    /// When the next act is due; at once where there is no time.
    next: Option<Instant>,
}

impl Work {
    /// Does what is due.
    fn go_on<'m>(
        &mut self,
        cable: &OwnedFd,
        lock: &impl Fn() -> MutexGuard<'m, Memory>,
    ) -> Result<(), Unplugged> {
        while self.next.is_none_or(|at| at <= Instant::now()) {
            self.next = None;
            let Some(act) = self.acts.pop_front() else {
                return Ok(());
            };
            match act {
                Act::Send(report) => self.send(&report, cable, &mut lock())?,
                Act::Wait(pause) => self.next = Some(Instant::now() + pause),
                Act::SendForEver(report, pause) => {
                    self.send(&report, cable, &mut lock())?;
                    self.acts.push_front(Act::SendForEver(report, pause));
                    self.next = Some(Instant::now() + pause);
                }
                Act::Unplug => return Err(Unplugged),
            }
        }
        Ok(())
    }

    fn send(
        &mut self,
        report: &Report,
        cable: &OwnedFd,
        memory: &mut Memory,
    ) -> Result<(), Unplugged> {
        if matches!(memory.lie, Lie::UnplugAfter(packets) if memory.packets_sent >= packets) {
            return Err(Unplugged);
        }
        memory.packets_sent += 1;
        // A keepalive may stand between the packets of a message.
        if head(report).1 != Some(KEEPALIVE_COMMAND) {
            let answered = self.departing.add(report);
            if answered.is_some_and(|message| matches!(message.command, CBOR | ERROR)) {
                memory.owes = false;
            }
        }
        let _ = send(cable.as_raw_fd(), report, MsgFlags::MSG_NOSIGNAL);
        Ok(())
    }

    fn take_in(&mut self, message: &Message, memory: &mut Memory) {
        let request = Request::of(message);
        if request.command == Command::Cancel {
            memory.cancels += 1;
            if memory.owes {
                self.cancelled(message.channel, memory);
            }
            return;
        }
        let moment = moment(&request);
        memory.heard.push(moment);
        memory.interruptions += usize::from(memory.owes);
        self.acts.clear();
        self.next = None;
        let (answer, touched) = if request.command == Command::Init {
            let answer = init(message, memory);
            (answer, true)
        } else {
            memory.owes = true;
            let (bytes, touched) = match memory.answer(&request) {
                Ok((map, touched)) => ([vec![0], written(map)].concat(), touched),
                Err(status) => (vec![status], true),
            };
            (
                Message {
                    channel: message.channel,
                    command: CBOR,
                    bytes,
                },
                touched,
            )
        };
        self.honest = answer.packets().into_iter().map(Act::Send).collect();
        self.acts = memory.acts(moment, answer, touched).into();
    }

    fn cancelled(&mut self, channel: u32, memory: &mut Memory) {
        let stopped = Message {
            channel,
            command: CBOR,
            bytes: vec![status::KEEPALIVE_CANCEL],
        };
        let stop = stopped.packets().into_iter().map(Act::Send);
        match memory.lie {
            Lie::Cancelled(WhenCancelled::BlinksOn) => {}
            Lie::Cancelled(WhenCancelled::StopsAfter(pause)) => {
                // It blinks until then.
                let blinks = pause.as_millis() / KEEPALIVE.as_millis();
                let keepalive = Act::Send(super::lie::packet(channel, &[0xBB, 0, 1, 2]));
                let blink = (0..blinks).flat_map(|_| [keepalive.clone(), Act::Wait(KEEPALIVE)]);
                self.acts = blink.chain(stop).collect();
                self.next = None;
            }
            Lie::Cancelled(WhenCancelled::AnswersAllTheSame) => {
                self.acts = stop.chain(self.honest.clone()).collect();
                self.next = None;
            }
            _ => {
                memory.owes = false;
                self.acts = stop.collect();
                self.next = None;
            }
        }
    }
}

fn moment(request: &Request) -> Moment {
    match (request.command, request.subcommand()) {
        (Command::Init, _) => Moment::Init,
        (Command::GetInfo, _) => Moment::GetInfo,
        (Command::GetAssertion, _) if request.is_silent() => Moment::Probe,
        (Command::GetAssertion, _) => Moment::GetAssertion,
        (Command::MakeCredential, _) => Moment::MakeCredential,
        (Command::ClientPin, Some(0x01)) => Moment::PinRetries,
        (Command::ClientPin, Some(0x02)) => Moment::KeyAgreement,
        (Command::ClientPin, Some(0x05 | 0x09)) => Moment::PinToken,
        (Command::Selection, _) => Moment::Selection,
        _ => Moment::Other,
    }
}

/// CTAP 2.1 §11.2.9.1.3: nonce, channel, versions, and that it speaks CBOR and nothing else.
fn init(message: &Message, memory: &mut Memory) -> Message {
    memory.next_channel += 1;
    let channel = memory.next_channel.to_be_bytes();
    Message {
        channel: message.channel,
        command: INIT,
        bytes: [&message.bytes[..], &channel, &[2, 1, 0, 0, 0x0C]].concat(),
    }
}

impl Memory {
    /// How the answer is sent, by an honest key or by this one.
    fn acts(&self, moment: Moment, mut answer: Message, touched: bool) -> Vec<Act> {
        if let Lie::Answer(when, lie) = &self.lie
            && *when == moment
        {
            answer.bytes = lie(&answer.bytes);
        }
        let packets = Packets {
            channel: answer.channel,
            honest: answer.packets(),
        };
        if let Lie::Packets(when, lie) = &self.lie
            && *when == moment
        {
            return lie(&packets);
        }
        let blinks = packets.keepalive(2);
        match self.touched_after {
            _ if touched => packets.sent(),
            None => vec![Act::SendForEver(blinks, KEEPALIVE)],
            Some(Duration::ZERO) => packets.sent(),
            Some(after) => [vec![Act::Send(blinks), Act::Wait(after)], packets.sent()].concat(),
        }
    }

    /// The map to answer with, and whether that takes no touch; or a status.
    fn answer(&mut self, request: &Request) -> Result<(Value, bool), u8> {
        match moment(request) {
            Moment::GetInfo => Ok((self.info(), true)),
            Moment::Probe => Ok((self.assertion(request)?, true)),
            Moment::GetAssertion => Ok((self.assertion(request)?, false)),
            Moment::MakeCredential => Ok((self.new_credential(request)?, false)),
            Moment::PinRetries => Ok((self.pin.retries(), true)),
            Moment::KeyAgreement => Ok((self.pin.key_agreement(), true)),
            Moment::PinToken => Ok((self.pin.token(request)?, true)),
            Moment::Selection => Ok((Value::map(Vec::new()), false)),
            Moment::Init | Moment::Other => Err(status::INVALID_COMMAND),
        }
    }

    fn info(&self) -> Value {
        let protocols = self.pin.protocols.iter().copied();
        let protocols = protocols.map(|number| Value::unsigned(number.into()));
        let algorithm = |number: i64| cbor_map! { "alg" => number, "type" => "public-key" };
        cbor_map! {
            1 => cbor_array_vec!(vec!["FIDO_2_0", "FIDO_2_1"]),
            3 => vec![0; 16],
            4 => cbor_map! {
                "clientPin" => self.pin.is_set(),
                "makeCredUvNotRqd" => true,
                "pinUvAuthToken" => true,
                "rk" => true,
            },
            5 => 1200,
            6 => Value::array(protocols.collect()),
            7 => 8,
            10 => Value::array(vec![algorithm(-7), algorithm(-8)]),
            13 => 4,
        }
    }

    /// UV, where the request shows that the person was verified.
    fn verified(&self, request: &Request, hash: &[u8]) -> Result<u8, u8> {
        match request.pin_uv_auth_param() {
            None => Ok(0),
            Some(param) if self.pin.verifies(&param, hash) => Ok(VERIFIED),
            Some(_) => Err(status::PIN_AUTH_INVALID),
        }
    }

    fn assertion(&mut self, request: &Request) -> Result<Value, u8> {
        let hash = request
            .client_data_hash()
            .ok_or(status::MISSING_PARAMETER)?;
        let rp_id = request.rp_id().ok_or(status::MISSING_PARAMETER)?;
        let asked = request.allow_list();
        let verified = self.verified(request, &hash)?;
        let asked_for = |it: &&Credential| it.rp_id == rp_id && asked.contains(&it.id);
        let held = self.credentials.iter().find(asked_for);
        let held = held.ok_or(status::NO_CREDENTIALS)?.clone();
        self.counter += 1;
        let silent = request.is_silent();
        let mut assertion = Assertion {
            credential_id: Some(held.id),
            rp_id_hash: Sha256::digest(&rp_id).to_vec(),
            flags: verified | if silent { 0 } else { PRESENT },
            counter: self.counter.to_be_bytes().to_vec(),
            behind: Vec::new(),
            client_data_hash: hash.clone(),
            key: held.key,
            form: Arc::new(KeyPair::sign),
            more: Vec::new(),
            asked,
            before: self.hashes.clone(),
        };
        self.hashes.push(hash);
        match &self.lie {
            Lie::Probe(lie) if silent => lie(&mut assertion),
            Lie::Assertion(lie) if !silent => lie(&mut assertion),
            _ => {}
        }
        Ok(assertion.answer())
    }

    fn new_credential(&mut self, request: &Request) -> Result<Value, u8> {
        let (rp_id, hash, algorithm) = request.wanted().ok_or(status::MISSING_PARAMETER)?;
        let verified = self.verified(request, &hash)?;
        let key = KeyPair::fresh(algorithm);
        let mut id = vec![0; 32];
        getrandom::fill(&mut id).expect("random bytes");
        self.credentials.push(Credential {
            id: id.clone(),
            key,
            rp_id: rp_id.clone(),
        });
        let flags = PRESENT | ATTESTED | verified;
        let mut credential = NewCredential::of(key, &rp_id, &id, &hash, flags);
        if let Lie::NewCredential(lie) = &self.lie {
            lie(&mut credential);
        }
        Ok(credential.answer())
    }
}

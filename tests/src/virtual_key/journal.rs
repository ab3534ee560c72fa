//! Everything that was said to the key, so that a test can count it.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::wire::Report;

/// One CTAPHID message from the host, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// When its last packet arrived, counted from the making of the key.
    pub at: Duration,
    /// The channel it came on; `0xffff_ffff` is the broadcast channel of INIT.
    pub channel: u32,
    /// What was asked.
    pub command: Command,
    /// Length of the message in bytes; for CBOR, the command byte included.
    pub length: usize,
    /// Keepalives sent while it was worked on: the key blinks from the first one.
    pub keepalives: u32,
    /// What the key answered; `None` while it works, for CANCEL, and after an unplugging.
    pub reply: Option<Reply>,
}

/// CTAPHID's commands, with CTAP2's in place of the envelope CBOR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "they are the specification's names")]
pub enum Command {
    Init,
    Ping,
    Msg,
    Lock,
    Wink,
    Cancel,
    MakeCredential,
    GetAssertion,
    GetInfo,
    ClientPin,
    Reset,
    GetNextAssertion,
    CredentialManagement,
    Selection,
    LargeBlobs,
    Config,
    /// A CBOR command this bench has no name for.
    OtherCbor(u8),
    /// A CTAPHID command this bench has no name for.
    Other(u8),
}

/// How the key answered a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// CTAP2's status byte: 0 is success.
    Ctap2(u8),
    /// `CTAPHID_ERROR` with its code: 6 is channel busy.
    HidError(u8),
    /// A reply without a status of its own (INIT, PING, MSG, …).
    Done,
}

impl Command {
    fn of(hid_command: u8, first_byte: u8) -> Self {
        match (hid_command, first_byte) {
            (0x01, _) => Self::Ping,
            (0x03, _) => Self::Msg,
            (0x04, _) => Self::Lock,
            (0x06, _) => Self::Init,
            (0x08, _) => Self::Wink,
            (0x11, _) => Self::Cancel,
            (0x10, 0x01) => Self::MakeCredential,
            (0x10, 0x02) => Self::GetAssertion,
            (0x10, 0x04) => Self::GetInfo,
            (0x10, 0x06) => Self::ClientPin,
            (0x10, 0x07) => Self::Reset,
            (0x10, 0x08) => Self::GetNextAssertion,
            (0x10, 0x0A) => Self::CredentialManagement,
            (0x10, 0x0B) => Self::Selection,
            (0x10, 0x0C) => Self::LargeBlobs,
            (0x10, 0x0D) => Self::Config,
            (0x10, other) => Self::OtherCbor(other),
            (other, _) => Self::Other(other),
        }
    }
}

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            channel,
            command,
            length,
            keepalives,
            reply,
        } = self;
        let at = at.as_millis();
        write!(f, "{at:>7} ms  {channel:08x}  {command:?}, {length} bytes")?;
        match reply {
            Some(Reply::Ctap2(status)) => write!(f, ": status {status:#04x}")?,
            Some(Reply::HidError(code)) => write!(f, ": CTAPHID error {code:#04x}")?,
            Some(Reply::Done) => f.write_str(": done")?,
            None => f.write_str(": no answer")?,
        }
        match keepalives {
            0 => Ok(()),
            n => write!(f, " after {n} keepalives"),
        }
    }
}

pub(super) struct Journal {
    began: Instant,
    pages: Mutex<Pages>,
}

#[derive(Default)]
struct Pages {
    messages: Vec<Transaction>,
    /// A message of which packets are still missing: its channel, command, first byte, length
    /// and how much of it is here.
    arriving: Option<(u32, u8, u8, usize, usize)>,
    copy_to: Option<File>,
}

/// Bytes of a message in its first packet, and in each that continues it.
const FIRST: usize = 57;
const FURTHER: usize = 59;
const KEEPALIVE: u8 = 0x3B;
const ERROR: u8 = 0x3F;
const CBOR: u8 = 0x10;

impl Journal {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            pages: Mutex::default(),
        }
    }

    pub(super) fn copy_to(&self, file: File) {
        self.pages().copy_to = Some(file);
    }

    pub(super) fn messages(&self) -> Vec<Transaction> {
        self.pages().messages.clone()
    }

    pub(super) fn forget(&self) {
        self.pages().messages.clear();
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A packet from the host. Listens in only: what is legal is the firmware's to judge.
    pub(super) fn received(&self, report: &Report) {
        let mut pages = self.pages();
        let packet = Packet::of(report);
        pages.arriving = match (packet.command, pages.arriving.take()) {
            (Some(command), _) => Some((packet.channel, command, report[7], packet.length, FIRST)),
            (None, Some((channel, command, byte, length, here))) if channel == packet.channel => {
                Some((channel, command, byte, length, here + FURTHER))
            }
            // Somebody else's continuation does not disturb the message that is arriving.
            (None, arriving) => {
                pages.arriving = arriving;
                return;
            }
        };
        let Some((channel, command, byte, length, here)) = pages.arriving else {
            return;
        };
        if here < length {
            return;
        }
        pages.arriving = None;
        let message = Transaction {
            at: self.began.elapsed(),
            channel,
            command: Command::of(command, if length == 0 { 0 } else { byte }),
            length,
            keepalives: 0,
            reply: None,
        };
        // A CANCEL has no answer to wait for.
        if message.command == Command::Cancel {
            pages.copy(&message);
        }
        pages.messages.push(message);
    }

    /// A packet to the host: a keepalive, the beginning of an answer, or its continuation.
    pub(super) fn sent(&self, report: &Report) {
        let mut pages = self.pages();
        let packet = Packet::of(report);
        let Some(command) = packet.command else {
            return;
        };
        let Some(message) = pages.messages.iter_mut().rev().find(|message| {
            message.channel == packet.channel
                && message.reply.is_none()
                && message.command != Command::Cancel
        }) else {
            return;
        };
        message.reply = match command {
            KEEPALIVE => {
                message.keepalives += 1;
                return;
            }
            ERROR => Some(Reply::HidError(report[7])),
            CBOR => Some(Reply::Ctap2(report[7])),
            _ => Some(Reply::Done),
        };
        let message = message.clone();
        pages.copy(&message);
    }
}

impl Pages {
    fn copy(&mut self, message: &Transaction) {
        if let Some(file) = &mut self.copy_to {
            writeln!(file, "{message}").expect("the key's log file");
        }
    }
}

/// The head of a CTAPHID packet; `command` is none in a continuation.
struct Packet {
    channel: u32,
    command: Option<u8>,
    length: usize,
}

impl Packet {
    fn of(report: &Report) -> Self {
        Self {
            channel: u32::from_be_bytes([report[0], report[1], report[2], report[3]]),
            command: (report[4] & 0x80 != 0).then_some(report[4] & 0x7F),
            length: usize::from(u16::from_be_bytes([report[5], report[6]])),
        }
    }
}

//! Everything that was said to the key, so that a test can count it.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::message::{Assembly, CBOR, ERROR, KEEPALIVE, head};
use super::request::{Command, Request};
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
    /// Of `clientPIN` and other commands that have some, the subcommand.
    pub subcommand: Option<u8>,
    /// Whether it was an assertion without a touch: `up` false.
    pub silent: bool,
    /// Whether it was an assertion or a credential asked for with a pinUvAuthParam.
    pub pin_uv_auth: bool,
    /// Whether the key itself was to verify its user: `uv` true.
    pub uv: bool,
    /// How many credential ids its allowList or excludeList held.
    pub ids: usize,
    /// Length of the message in bytes; for CBOR, the command byte included.
    pub length: usize,
    /// Keepalives sent while it was worked on: the key blinks from the first one.
    pub keepalives: u32,
    /// What the key answered; `None` while it works, for CANCEL, and after an unplugging.
    pub reply: Option<Reply>,
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

impl fmt::Display for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            at,
            channel,
            command,
            subcommand,
            silent,
            pin_uv_auth,
            uv,
            ids: _,
            length,
            keepalives,
            reply,
        } = self;
        let at = at.as_millis();
        write!(f, "{at:>7} ms  {channel:08x}  {command:?}")?;
        if let Some(subcommand) = subcommand {
            write!(f, " {subcommand:#04x}")?;
        }
        for (is_so, word) in [(silent, "up=false"), (uv, "uv"), (pin_uv_auth, "pinUvAuth")] {
            if *is_so {
                write!(f, " {word}")?;
            }
        }
        write!(f, ", {length} bytes")?;
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
    arriving: Assembly,
    copy_to: Option<File>,
}

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

    /// Whether the key still works on something.
    pub(super) fn is_unanswered(&self) -> bool {
        let pages = self.pages();
        let mut messages = pages.messages.iter();
        messages.any(|message| message.reply.is_none() && message.command != Command::Cancel)
    }

    pub(super) fn forget(&self) {
        self.pages().messages.clear();
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A packet from the host.
    pub(super) fn received(&self, report: &Report) {
        let mut pages = self.pages();
        let Some(message) = pages.arriving.add(report) else {
            return;
        };
        let request = Request::of(&message);
        let message = Transaction {
            at: self.began.elapsed(),
            channel: message.channel,
            command: request.command,
            subcommand: request.subcommand(),
            silent: request.is_silent(),
            pin_uv_auth: request.has_pin_uv_auth_param(),
            uv: request.wants_built_in_uv(),
            ids: request.ids(),
            length: request.length,
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
        let (channel, Some(command)) = head(report) else {
            return;
        };
        let Some(message) = pages.messages.iter_mut().rev().find(|message| {
            message.channel == channel
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

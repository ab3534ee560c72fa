//! What a lie can change, and when.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::credential::{Assertion, NewCredential};
use crate::virtual_key::Report;

/// What the key is asked when it lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// For a channel.
    Init,
    /// What it is.
    GetInfo,
    /// For an assertion without a touch.
    Probe,
    /// For an assertion with one.
    GetAssertion,
    /// For a new credential.
    MakeCredential,
    /// How many tries of its PIN are left.
    PinRetries,
    /// For its half of a secret.
    KeyAgreement,
    /// For a token, given its PIN.
    PinToken,
    /// Whether it is the one that is meant.
    Selection,
    /// Anything else.
    Other,
}

/// Its answer, cut into packets.
pub struct Packets {
    /// The channel that is answered.
    pub channel: u32,
    /// The honest answer.
    pub honest: Vec<Report>,
}

impl Packets {
    /// A packet of this channel: the bytes behind the channel's four.
    pub fn packet(&self, bytes: &[u8]) -> Report {
        packet(self.channel, bytes)
    }

    /// The honest answer, sent.
    pub fn sent(&self) -> Vec<Act> {
        self.honest.iter().copied().map(Act::Send).collect()
    }

    /// A keepalive: 1 is at work, 2 waits for its person.
    pub fn keepalive(&self, status: u8) -> Report {
        self.packet(&[0xBB, 0, 1, status])
    }
}

/// A packet on any channel.
pub fn packet(channel: u32, bytes: &[u8]) -> Report {
    let mut report = [0; 64];
    report[..4].copy_from_slice(&channel.to_be_bytes());
    report[4..4 + bytes.len()].copy_from_slice(bytes);
    report
}

/// What it does, one after the other.
#[derive(Clone)]
pub enum Act {
    /// Sends a packet.
    Send(Report),
    /// Does nothing for so long.
    Wait(Duration),
    /// Sends this again and again, so long apart.
    SendForEver(Report, Duration),
    /// Loses its power.
    Unplug,
}

/// What it does when it is told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenCancelled {
    /// Blinks on.
    BlinksOn,
    /// Blinks on for so long, and stops then.
    StopsAfter(Duration),
    /// Says that it stopped, and answers then as if it had not.
    AnswersAllTheSame,
}

type OfPackets = Arc<dyn Fn(&Packets) -> Vec<Act> + Send + Sync>;
type OfAnswer = Arc<dyn Fn(&[u8]) -> Vec<u8> + Send + Sync>;

/// The one thing about which a key is not honest.
#[derive(Clone, Default)]
pub enum Lie {
    /// There is none.
    #[default]
    None,
    /// What it does instead of sending its answer.
    Packets(Moment, OfPackets),
    /// Its answer, status byte and all.
    Answer(Moment, OfAnswer),
    /// An assertion with a touch, before it is signed.
    Assertion(Arc<dyn Fn(&mut Assertion) + Send + Sync>),
    /// An assertion without a touch, before it is signed.
    Probe(Arc<dyn Fn(&mut Assertion) + Send + Sync>),
    /// A new credential, before it is signed.
    NewCredential(Arc<dyn Fn(&mut NewCredential) + Send + Sync>),
    /// Loses its power after so many packets.
    UnplugAfter(usize),
    /// Does not stop when it is told to.
    Cancelled(WhenCancelled),
}

impl Lie {
    /// About the packets of one answer.
    pub fn packets(
        moment: Moment,
        lie: impl Fn(&Packets) -> Vec<Act> + Send + Sync + 'static,
    ) -> Self {
        Self::Packets(moment, Arc::new(lie))
    }

    /// About one answer as a whole.
    pub fn answer(moment: Moment, lie: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::Answer(moment, Arc::new(lie))
    }

    /// About what an assertion says, under its own signature.
    pub fn assertion(lie: impl Fn(&mut Assertion) + Send + Sync + 'static) -> Self {
        Self::Assertion(Arc::new(lie))
    }

    /// The same of one without a touch.
    pub fn probe(lie: impl Fn(&mut Assertion) + Send + Sync + 'static) -> Self {
        Self::Probe(Arc::new(lie))
    }

    /// About a new credential.
    pub fn new_credential(lie: impl Fn(&mut NewCredential) + Send + Sync + 'static) -> Self {
        Self::NewCredential(Arc::new(lie))
    }
}

impl fmt::Debug for Lie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Packets(..) => "Packets",
            Self::Answer(..) => "Answer",
            Self::Assertion(_) => "Assertion",
            Self::Probe(_) => "Probe",
            Self::NewCredential(_) => "NewCredential",
            Self::UnplugAfter(_) => "UnplugAfter",
            Self::Cancelled(_) => "Cancelled",
        })
    }
}

//! One key in the race: its node, its channel, its dialogue.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use super::claim::{Claimed, Claims};
use super::ctap2;
use super::ctaphid::{Channel, Event, Fault, Packet};
use super::dialogue::{Dialogue, Step};
use super::hidraw::{FoundKey, OpenKey};
use super::interaction::{Interaction, NoPin, Notice, PinQuestion};
use super::interruption::Interruption;
use crate::pin::Pin;
use crate::trusted_file::Lock;

/// How long a key that serves somebody else is left alone.
pub(super) const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// How long a key may take to accept one packet. The kernel waits up to 5 s,
/// and everybody else with it.
const SLOWEST_SEND: Duration = Duration::from_secs(1);

/// How long the chosen key may take for what takes no person, where others
/// stand aside for it: getPINRetries, the key agreement, the token. Keys take
/// less than a second.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

/// The most packets taken from one key before the others, and the deadline,
/// have their turn.
const PACKETS_PER_TURN: usize = 32;

/// Where one key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Something is under way that takes no person.
    Working,
    /// It has said that it waits for its person.
    Waiting,
    /// It serves somebody else; it will be asked again.
    Busy,
    /// Nothing is under way: it needs to be the chosen one first.
    Ready,
    /// Asked for the touch that chooses it.
    Choosing,
}

/// A key in the race.
pub(super) struct Contestant<D> {
    pub(super) found: FoundKey,
    key: OpenKey,
    channel: Channel,
    dialogue: D,
    claim: Option<Lock>,
    phase: Phase,
    /// What is asked, until it has been answered: a busy key is asked again, and
    /// so is one that stood aside for another.
    message: Option<Vec<u8>>,
    /// When that is to be sent; `None` once it has been.
    send_at: Option<Instant>,
    /// When it was first asked what it is asked now.
    asked_at: Instant,
    /// The person's answer, where the key has to be claimed again first.
    typed: Option<Pin>,
    /// Whether the answer that comes next is to something cancelled.
    cancelled: bool,
    told_busy: bool,
    told_waiting: bool,
}

/// What one key's turn came to.
pub(super) enum Turn<T, D> {
    GoOn,
    Chosen,
    AskPin(PinQuestion),
    Won(T),
    Out(D),
    Faulty(Fault),
    Gone,
}

/// What a turn may use.
pub(super) struct Table<'t> {
    pub(super) deadline: Instant,
    pub(super) claims: Option<&'t Claims>,
    pub(super) interruption: Option<&'t Interruption>,
    pub(super) interaction: &'t mut dyn Interaction,
}

impl Table<'_> {
    /// Speaks to the person. A host that hangs in it can be interrupted, as it
    /// could be without us.
    pub(super) fn tell(&mut self, notice: &Notice<'_>) {
        self.with_signals(|interaction| interaction.tell(notice));
    }

    pub(super) fn ask_pin(&mut self, key: &FoundKey, question: &PinQuestion) -> Result<Pin, NoPin> {
        self.with_signals(|interaction| interaction.ask_pin(key, question))
    }

    fn with_signals<T>(&mut self, work: impl FnOnce(&mut dyn Interaction) -> T) -> T {
        let interaction = &mut *self.interaction;
        match self.interruption {
            Some(interruption) => interruption.let_through(|| work(interaction)),
            None => work(interaction),
        }
    }
}

impl<D: Dialogue> Contestant<D> {
    /// Sends the INIT with which every exchange begins.
    pub(super) fn enter(
        found: FoundKey,
        mut key: OpenKey,
        nonce: [u8; 8],
        claim: Option<Lock>,
        dialogue: D,
    ) -> Result<Self, (FoundKey, Unsent)> {
        let (channel, init) = Channel::open(nonce);
        match send(&mut key, &init) {
            Err(unsent) => Err((found, unsent)),
            Ok(()) => Ok(Self {
                found,
                key,
                channel,
                dialogue,
                claim,
                phase: Phase::Working,
                message: None,
                send_at: None,
                asked_at: Instant::now(),
                typed: None,
                cancelled: false,
                told_busy: false,
                told_waiting: false,
            }),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether it has shown to hold one of the credentials.
    pub(super) fn has_shown_a_credential(&self) -> bool {
        self.dialogue.proven().is_some()
    }

    /// Whether its person was told that it serves somebody else, and it has not
    /// answered since.
    pub(super) fn was_last_busy(&self) -> bool {
        self.told_busy
    }

    /// When something is to be done that no packet brings about.
    pub(super) fn due(&self) -> Option<Instant> {
        // Nothing is sent before it has answered that it stopped.
        self.send_at.filter(|_| !self.cancelled)
    }

    /// When it has taken too long for what takes no person, if that is what it
    /// is at. One that says it serves somebody else does not begin anew.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        let at_work = matches!(self.phase, Phase::Working | Phase::Busy)
            && (self.is_under_way() || self.send_at.is_some());
        at_work.then(|| self.asked_at + LONGEST_ANSWER)
    }

    /// Takes in what the key has sent.
    pub(super) fn turn(&mut self, table: &mut Table<'_>) -> Turn<D::Outcome, D::Dropped> {
        for _ in 0..PACKETS_PER_TURN {
            let packet = match self.key.receive() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Turn::GoOn,
                Err(problem) if problem.kind() == io::ErrorKind::InvalidData => {
                    return Turn::Faulty(Fault::Short);
                }
                Err(_) => return Turn::Gone,
            };
            match self.take_in(&packet, table) {
                Turn::GoOn => {}
                end => return end,
            }
        }
        Turn::GoOn
    }

    fn take_in(&mut self, packet: &Packet, table: &mut Table<'_>) -> Turn<D::Outcome, D::Dropped> {
        let event = match self.channel.receive(packet) {
            Err(fault) => return Turn::Faulty(fault),
            Ok(None) => return Turn::GoOn,
            Ok(Some(event)) => event,
        };
        match event {
            Event::Processing => Turn::GoOn,
            Event::Response(_) | Event::Busy if self.cancelled => {
                self.cancelled = false;
                self.send_if_due(table)
            }
            Event::UserPresenceNeeded => {
                self.waits(table);
                Turn::GoOn
            }
            Event::Busy => {
                self.busy(None, table);
                Turn::GoOn
            }
            Event::Opened => {
                let step = self.dialogue.begin();
                self.follow(step, table)
            }
            Event::Response(message) => {
                self.message = None;
                self.told_waiting = false;
                self.told_busy = false;
                let step = self.dialogue.answered(ctap2::response(&message));
                self.follow(step, table)
            }
        }
    }

    /// The key says that it waits for its person.
    fn waits(&mut self, table: &mut Table<'_>) {
        if self.cancelled {
            return;
        }
        // Nobody is told to touch a key for what takes no touch.
        let Some(gesture) = self.dialogue.waits_for() else {
            return;
        };
        if self.phase != Phase::Choosing {
            self.phase = Phase::Waiting;
        }
        if !self.told_waiting {
            self.told_waiting = true;
            table.tell(&Notice::Waiting {
                key: &self.found,
                credential: self.dialogue.proven(),
                gesture,
                within: left(table.deadline),
            });
        }
    }

    fn busy(&mut self, request: Option<&str>, table: &mut Table<'_>) {
        if self.phase != Phase::Choosing {
            self.phase = Phase::Busy;
        }
        self.send_at = Some(Instant::now() + BUSY_PAUSE);
        if !self.told_busy {
            self.told_busy = true;
            self.told_waiting = false;
            table.tell(&Notice::Busy {
                key: &self.found,
                request,
            });
        }
    }

    fn follow(
        &mut self,
        step: Step<D::Outcome, D::Dropped>,
        table: &mut Table<'_>,
    ) -> Turn<D::Outcome, D::Dropped> {
        match step {
            Step::Ask(message) => {
                self.phase = Phase::Working;
                self.ask(message, table)
            }
            Step::Ready => {
                self.phase = Phase::Ready;
                Turn::GoOn
            }
            Step::Chosen => {
                self.phase = Phase::Working;
                Turn::Chosen
            }
            Step::AskPin(question) => {
                self.phase = Phase::Working;
                Turn::AskPin(question)
            }
            Step::Win(outcome) => Turn::Won(outcome),
            Step::Drop(why) => Turn::Out(why),
        }
    }

    fn ask(&mut self, message: Vec<u8>, table: &mut Table<'_>) -> Turn<D::Outcome, D::Dropped> {
        self.message = Some(message);
        self.asked_at = Instant::now();
        self.send_at = Some(self.asked_at);
        self.send_if_due(table)
    }

    /// Asks for the touch that chooses this key.
    pub(super) fn choose(&mut self, table: &mut Table<'_>) -> Turn<D::Outcome, D::Dropped> {
        let step = self.dialogue.choose();
        let turn = self.follow(step, table);
        if matches!(turn, Turn::GoOn) {
            self.phase = Phase::Choosing;
        }
        turn
    }

    /// It is the one whose PIN will be asked for.
    pub(super) fn chosen(&mut self, table: &mut Table<'_>) -> Turn<D::Outcome, D::Dropped> {
        let step = self.dialogue.chosen();
        self.follow(step, table)
    }

    /// What the person typed. It goes out once the key is ours again.
    pub(super) fn typed(
        &mut self,
        pin: Result<Pin, NoPin>,
        table: &mut Table<'_>,
    ) -> Turn<D::Outcome, D::Dropped> {
        match pin {
            Err(why) => {
                let step = self.dialogue.pin(Err(why));
                self.follow(step, table)
            }
            Ok(pin) => {
                self.typed = Some(pin);
                self.asked_at = Instant::now();
                self.send_at = Some(self.asked_at);
                self.send_if_due(table)
            }
        }
    }

    /// Sends what is to be sent, where its time has come, nothing is under way
    /// and the key is ours.
    pub(super) fn send_if_due(&mut self, table: &mut Table<'_>) -> Turn<D::Outcome, D::Dropped> {
        if self.cancelled || self.send_at.is_none_or(|at| at > Instant::now()) {
            return Turn::GoOn;
        }
        if !self.claim(table) {
            return Turn::GoOn;
        }
        self.send_at = None;
        if let Some(pin) = self.typed.take() {
            let step = self.dialogue.pin(Ok(pin));
            return self.follow(step, table);
        }
        let packets = match (self.channel.open_again(), &self.message) {
            (Some(init), _) => vec![init],
            (None, Some(message)) => match self.channel.send(message) {
                Ok(packets) => packets,
                Err(fault) => return Turn::Faulty(fault),
            },
            (None, None) => return Turn::GoOn,
        };
        for packet in packets {
            match send(&mut self.key, &packet) {
                Ok(()) => {}
                Err(Unsent::Fault(fault)) => return Turn::Faulty(fault),
                Err(Unsent::Gone) => return Turn::Gone,
            }
        }
        if self.phase != Phase::Choosing {
            self.phase = Phase::Working;
        }
        Turn::GoOn
    }

    /// Whether the key is ours now.
    fn claim(&mut self, table: &mut Table<'_>) -> bool {
        let (None, Some(claims)) = (&self.claim, table.claims) else {
            return true;
        };
        match claims.claim(&self.found, left(table.deadline)) {
            Claimed::Ours(lock) => {
                self.claim = Some(lock);
                true
            }
            Claimed::Theirs(request) => {
                self.busy(request.as_deref(), table);
                false
            }
            Claimed::Overdue | Claimed::Impossible(_) => true,
        }
    }

    /// Stands aside for another key, dark and free for others. What it was
    /// asked is asked again by [`resume`](Self::resume).
    pub(super) fn stand_aside(&mut self) {
        self.cancel();
        if self.phase == Phase::Choosing {
            self.phase = Phase::Ready;
            self.message = None;
        }
        // One that was busy when it was asked for a channel still needs one.
        if self.channel.open_again().is_none() {
            self.send_at = None;
        }
        self.told_waiting = false;
        self.claim = None;
    }

    /// Goes on where it stood aside.
    pub(super) fn resume(&mut self) {
        if self.message.is_some() && self.send_at.is_none() && !self.is_under_way() {
            self.send_at = Some(Instant::now());
        }
    }

    /// Frees the key for others while its person types. Nothing is under way.
    pub(super) fn release(&mut self) {
        self.claim = None;
    }

    fn is_under_way(&self) -> bool {
        !self.cancelled && self.channel.is_waiting()
    }

    /// Puts its light out.
    pub(super) fn cancel(&mut self) {
        if self.cancelled {
            return;
        }
        if let Some(packet) = self.channel.cancel() {
            self.cancelled = true;
            // Nobody is left to tell if it fails.
            let _ = self.key.send(&packet);
        }
    }
}

impl<D> AsFd for Contestant<D> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.key.as_fd()
    }
}

/// Why a message did not reach a key.
pub(super) enum Unsent {
    Fault(Fault),
    Gone,
}

/// Sends one packet to a key that takes it in time.
fn send(key: &mut OpenKey, packet: &Packet) -> Result<(), Unsent> {
    let began = Instant::now();
    let sent = key.send(packet);
    judge(sent, began.elapsed())
}

/// A device that takes no packet at all makes the write fail, after 5 s: it is
/// as slow as one that takes it late, not gone, or it would be tried again.
fn judge(sent: io::Result<()>, took: Duration) -> Result<(), Unsent> {
    if took > SLOWEST_SEND {
        return Err(Unsent::Fault(Fault::Slow));
    }
    sent.map_err(|_| Unsent::Gone)
}

pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_took_too_long_is_a_fault_whether_it_was_taken_or_not() {
        let failed = || Err(io::ErrorKind::TimedOut.into());
        let late = SLOWEST_SEND + Duration::from_millis(1);
        assert!(judge(Ok(()), SLOWEST_SEND).is_ok());
        assert!(matches!(judge(failed(), SLOWEST_SEND), Err(Unsent::Gone)));
        for sent in [Ok(()), failed()] {
            assert!(matches!(judge(sent, late), Err(Unsent::Fault(Fault::Slow))));
        }
    }
}

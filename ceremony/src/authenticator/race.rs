//! Several keys, one poll loop, one deadline: the first good answer wins.
//!
//! Every key that is plugged in, or comes before the deadline, is opened once
//! and given a [`Dialogue`] of its own, which decides what to ask it next. A
//! key whose dialogue drops it is out; the others go on. When the race is over,
//! won or lost, every key that still waits for a touch is told to stop, so that
//! no light blinks for nobody.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::ctap2::{self, Status};
use super::ctaphid::{Channel, Event, Fault, Packet};
use super::hidraw::{self, CannotOpen, FoundKey, OpenKey, Watch};

/// How long a key that is busy with another program is left alone.
const BUSY_PAUSE: Duration = Duration::from_millis(200);

/// How long a key may take to accept one packet. The kernel waits up to 5 s,
/// and everybody else with it.
const SLOWEST_SEND: Duration = Duration::from_secs(1);

/// The most packets taken from one key before the others, and the deadline,
/// have their turn.
const PACKETS_PER_TURN: usize = 32;

/// What a person, or a log, should know while the race runs.
#[derive(Debug)]
pub enum Notice<'a> {
    /// No key is plugged in; the race waits for one.
    PlugIn {
        /// How long it will wait.
        within: Duration,
    },
    /// This key waits for its person's touch.
    Touch {
        /// The key that blinks.
        key: &'a FoundKey,
        /// How long it will be waited for.
        within: Duration,
    },
    /// This key is serving another program: it must not be touched now.
    Busy {
        /// The key in use.
        key: &'a FoundKey,
    },
    /// This key is out of the race.
    Dropped {
        /// The key.
        key: &'a FoundKey,
        /// Why, for the log.
        why: String,
    },
}

/// How the race speaks to its person. Whatever a notice costs in time is spent
/// inside the deadline.
pub trait Interaction {
    /// Passes `notice` on; what cannot be said is left unsaid.
    fn tell(&mut self, notice: &Notice<'_>);
}

/// One key's side of a ceremony.
pub trait Dialogue {
    /// What a won race brings.
    type Outcome;
    /// Why this key is out.
    type Dropped: std::fmt::Display;

    /// What to ask first.
    fn begin(&mut self) -> Step<Self::Outcome, Self::Dropped>;

    /// What to do now that the key has answered: with data, or a status.
    fn answered(&mut self, answer: Result<&[u8], Status>) -> Step<Self::Outcome, Self::Dropped>;
}

/// What a dialogue wants next.
#[derive(Debug)]
pub enum Step<T, D> {
    /// Send this CTAP2 message.
    Ask(Vec<u8>),
    /// The race is won.
    Win(T),
    /// This key is out.
    Drop(D),
}

/// Who may take part.
#[derive(Clone, Debug)]
pub enum Field {
    /// Every key that is plugged in, or will be before the deadline.
    EveryKey,
    /// This one key.
    Only(FoundKey),
}

/// Why nobody won.
#[derive(Debug)]
pub enum Lost<D> {
    /// No key was there by the deadline.
    NoKey,
    /// There is a key, but this process may not open it.
    NoAccess(FoundKey),
    /// The deadline passed while these keys waited.
    TimedOut(Vec<FoundKey>),
    /// Every key is out, for its own reason. Never empty.
    AllDropped(Vec<(FoundKey, Out<D>)>),
    /// The operating system refused what a race needs.
    System(nix::Error),
}

/// Why a key is out.
#[derive(Debug)]
pub enum Out<D> {
    /// Its dialogue dropped it.
    Dropped(D),
    /// It broke the rules of CTAPHID.
    Fault(Fault),
    /// It could not be opened.
    NotOpened(CannotOpen),
}

impl<D: std::fmt::Display> std::fmt::Display for Out<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dropped(why) => why.fmt(f),
            Self::Fault(fault) => fault.fmt(f),
            Self::NotOpened(why) => why.fmt(f),
        }
    }
}

/// Runs a race: `start` gives each key its dialogue.
pub fn run<D: Dialogue>(
    field: &Field,
    deadline: Instant,
    interaction: &mut dyn Interaction,
    start: impl FnMut(&FoundKey) -> D,
) -> Result<(FoundKey, D::Outcome), Lost<D::Dropped>> {
    // The watch comes before the first look, or a key plugged in between the
    // two would be missed.
    let watch = Watch::new().map_err(Lost::System)?;
    let mut race = Race {
        field,
        deadline,
        interaction,
        start,
        running: Vec::new(),
        out: Vec::new(),
        no_access: None,
        told_to_plug_in: false,
    };
    let result = race.run(&watch);
    race.cancel_all();
    result
}

struct Race<'r, D: Dialogue, S> {
    field: &'r Field,
    deadline: Instant,
    interaction: &'r mut dyn Interaction,
    start: S,
    running: Vec<Contestant<D>>,
    out: Vec<(FoundKey, Out<D::Dropped>)>,
    no_access: Option<FoundKey>,
    told_to_plug_in: bool,
}

/// A key in the race.
struct Contestant<D> {
    found: FoundKey,
    key: OpenKey,
    channel: Channel,
    dialogue: D,
    /// What was last asked, to be asked again of a busy key.
    asked: Vec<u8>,
    ask_again_at: Option<Instant>,
    told_busy: bool,
    told_touch: bool,
}

/// What one key's turn came to.
enum Turn<T, D> {
    GoOn,
    Won(T),
    Out(Out<D>),
    Gone,
}

impl<D: Dialogue, S: FnMut(&FoundKey) -> D> Race<'_, D, S> {
    fn run(&mut self, watch: &Watch) -> Result<(FoundKey, D::Outcome), Lost<D::Dropped>> {
        self.look_for_keys();
        loop {
            if self.running.is_empty() {
                if !self.out.is_empty() {
                    return Err(Lost::AllDropped(std::mem::take(&mut self.out)));
                }
                // A key that may not be opened now will not open later by
                // waiting, unless it has only just come (see IN_ATTRIB).
                if let (Some(key), false) = (&self.no_access, self.told_to_plug_in) {
                    return Err(Lost::NoAccess(key.clone()));
                }
                self.tell_to_plug_in();
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Err(self.too_late());
            }
            let ready = self.wait(watch, now).map_err(Lost::System)?;
            if watch.hidraw_changed() {
                self.look_for_keys();
            }
            for node in ready {
                if let Some(won) = self.turn_of(&node) {
                    return Ok(won);
                }
            }
            self.ask_again();
        }
    }

    /// Opens every key that is not yet in the race, and forgets those that are
    /// out and have been unplugged since: replugged, they may try again.
    fn look_for_keys(&mut self) {
        let found = match self.field {
            Field::EveryKey => hidraw::find(),
            Field::Only(key) => hidraw::find().into_iter().filter(|f| f == key).collect(),
        };
        self.out.retain(|(key, _)| found.contains(key));
        self.no_access = None;
        for key in found {
            if Instant::now() >= self.deadline {
                return;
            }
            let known = self.running.iter().any(|running| running.found == key)
                || self.out.iter().any(|(out, _)| *out == key);
            if !known {
                self.enter(key);
            }
        }
    }

    fn enter(&mut self, found: FoundKey) {
        let mut nonce = [0; 8];
        if getrandom::fill(&mut nonce).is_err() {
            return;
        }
        let mut key = match found.open() {
            Ok(key) => key,
            Err(CannotOpen::NoAccess) => {
                self.no_access.get_or_insert(found);
                return;
            }
            Err(CannotOpen::Gone) => return,
            Err(other) => {
                self.drop_key(found, Out::NotOpened(other));
                return;
            }
        };
        let (channel, init) = Channel::open(nonce);
        match send(&mut key, &init) {
            Err(Unsent::Gone) => {}
            Err(Unsent::Fault(fault)) => self.drop_key(found, Out::Fault(fault)),
            Ok(()) => {
                let dialogue = (self.start)(&found);
                self.running.push(Contestant {
                    found,
                    key,
                    channel,
                    dialogue,
                    asked: Vec::new(),
                    ask_again_at: None,
                    told_busy: false,
                    told_touch: false,
                });
            }
        }
    }

    /// Waits for a packet, a change in `/dev`, the next thing to do or the
    /// deadline; returns the keys that have something to say.
    fn wait(&self, watch: &Watch, now: Instant) -> nix::Result<Vec<FoundKey>> {
        let until = self
            .running
            .iter()
            .filter_map(|contestant| contestant.ask_again_at)
            .fold(self.deadline, Instant::min);
        // Rounded up, or the last millisecond would be a busy loop.
        let pause = until.saturating_duration_since(now) + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
        let mut fds: Vec<PollFd<'_>> = self
            .running
            .iter()
            .map(|contestant| PollFd::new(contestant.key.as_fd(), PollFlags::POLLIN))
            .collect();
        fds.push(PollFd::new(watch.as_fd(), PollFlags::POLLIN));
        match poll(&mut fds, timeout) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(problem) => return Err(problem),
        }
        Ok(self
            .running
            .iter()
            .zip(&fds)
            .filter(|(_, fd)| fd.any().unwrap_or(true))
            .map(|(contestant, _)| contestant.found.clone())
            .collect())
    }

    /// Lets one key have its say; returns the prize if that wins the race.
    fn turn_of(&mut self, found: &FoundKey) -> Option<(FoundKey, D::Outcome)> {
        let place = self.running.iter().position(|c| c.found == *found)?;
        let contestant = self.running.get_mut(place)?;
        match contestant.turn(self.deadline, self.interaction) {
            Turn::GoOn => None,
            Turn::Won(outcome) => {
                let winner = self.running.swap_remove(place);
                Some((winner.found, outcome))
            }
            Turn::Out(why) => {
                let mut out = self.running.swap_remove(place);
                // One that takes packets too slowly would take this one so too.
                if !matches!(why, Out::Fault(Fault::Slow)) {
                    out.cancel();
                }
                self.drop_key(out.found, why);
                None
            }
            Turn::Gone => {
                self.running.swap_remove(place);
                None
            }
        }
    }

    fn drop_key(&mut self, key: FoundKey, why: Out<D::Dropped>) {
        self.interaction.tell(&Notice::Dropped {
            key: &key,
            why: why.to_string(),
        });
        self.out.push((key, why));
    }

    fn ask_again(&mut self) {
        let now = Instant::now();
        for contestant in &mut self.running {
            if contestant.ask_again_at.is_some_and(|at| at <= now) {
                contestant.ask_again_at = None;
                let message = std::mem::take(&mut contestant.asked);
                // A key that cannot be written to is gone or too slow; poll, or
                // the deadline, will say so.
                let _ = contestant.ask(message);
            }
        }
    }

    fn tell_to_plug_in(&mut self) {
        if !self.told_to_plug_in {
            self.told_to_plug_in = true;
            self.interaction.tell(&Notice::PlugIn {
                within: left(self.deadline),
            });
        }
    }

    fn too_late(&mut self) -> Lost<D::Dropped> {
        match (&self.no_access, self.running.is_empty()) {
            (_, false) => Lost::TimedOut(self.running.iter().map(|c| c.found.clone()).collect()),
            (Some(key), true) => Lost::NoAccess(key.clone()),
            (None, true) => Lost::NoKey,
        }
    }

    fn cancel_all(&mut self) {
        for contestant in &mut self.running {
            contestant.cancel();
        }
    }
}

impl<D: Dialogue> Contestant<D> {
    fn turn(
        &mut self,
        deadline: Instant,
        interaction: &mut dyn Interaction,
    ) -> Turn<D::Outcome, D::Dropped> {
        for _ in 0..PACKETS_PER_TURN {
            let packet = match self.key.receive() {
                Ok(Some(packet)) => packet,
                Ok(None) => return Turn::GoOn,
                Err(problem) if problem.kind() == io::ErrorKind::InvalidData => {
                    return Turn::Out(Out::Fault(Fault::Short));
                }
                Err(_) => return Turn::Gone,
            };
            match self.take_in(&packet, deadline, interaction) {
                Turn::GoOn => {}
                end => return end,
            }
        }
        Turn::GoOn
    }

    fn take_in(
        &mut self,
        packet: &Packet,
        deadline: Instant,
        interaction: &mut dyn Interaction,
    ) -> Turn<D::Outcome, D::Dropped> {
        let step = match self.channel.receive(packet) {
            Err(fault) => return Turn::Out(Out::Fault(fault)),
            Ok(None | Some(Event::Processing)) => return Turn::GoOn,
            Ok(Some(Event::UserPresenceNeeded)) => {
                if !self.told_touch {
                    self.told_touch = true;
                    interaction.tell(&Notice::Touch {
                        key: &self.found,
                        within: left(deadline),
                    });
                }
                return Turn::GoOn;
            }
            Ok(Some(Event::Busy)) => {
                if !self.told_busy {
                    self.told_busy = true;
                    interaction.tell(&Notice::Busy { key: &self.found });
                }
                self.ask_again_at = Some(Instant::now() + BUSY_PAUSE);
                return Turn::GoOn;
            }
            Ok(Some(Event::Opened)) => self.dialogue.begin(),
            Ok(Some(Event::Response(message))) => {
                self.told_touch = false;
                self.dialogue.answered(ctap2::response(&message))
            }
        };
        match step {
            Step::Win(outcome) => Turn::Won(outcome),
            Step::Drop(why) => Turn::Out(Out::Dropped(why)),
            Step::Ask(message) => match self.ask(message) {
                Ok(()) => Turn::GoOn,
                Err(Unsent::Fault(fault)) => Turn::Out(Out::Fault(fault)),
                Err(Unsent::Gone) => Turn::Gone,
            },
        }
    }

    fn ask(&mut self, message: Vec<u8>) -> Result<(), Unsent> {
        for packet in self.channel.send(&message).map_err(Unsent::Fault)? {
            send(&mut self.key, &packet)?;
        }
        self.asked = message;
        Ok(())
    }

    fn cancel(&mut self) {
        if let Some(packet) = self.channel.cancel() {
            // Nobody is left to tell if it fails.
            let _ = self.key.send(&packet);
        }
    }
}

/// Why a message did not reach a key.
enum Unsent {
    Fault(Fault),
    Gone,
}

/// Sends one packet to a key that takes it in time.
fn send(key: &mut OpenKey, packet: &Packet) -> Result<(), Unsent> {
    let began = Instant::now();
    key.send(packet).map_err(|_| Unsent::Gone)?;
    if began.elapsed() > SLOWEST_SEND {
        return Err(Unsent::Fault(Fault::Slow));
    }
    Ok(())
}

fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

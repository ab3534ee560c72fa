//! Several keys, one poll loop, one deadline: the first good answer wins.
//!
//! Every key that is plugged in, or comes before the deadline, is claimed,
//! opened once and given a [`Dialogue`] of its own, which decides what to ask
//! it next. A key whose dialogue drops it is out; the others go on. What only
//! one key at a time can be asked, a PIN, waits until it is clear which one:
//! the only one that is ready, or the one that is touched. When the race is
//! over, won or lost, every key that still waits for its person is told to
//! stop, so that no light blinks for nobody.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::claim::{Claimed, Claims};
use super::contestant::{BUSY_PAUSE, Contestant, Phase, Table, Turn, Unsent, left};
use super::ctaphid::Fault;
use super::dialogue::Dialogue;
use super::hidraw::{self, CannotOpen, FoundKey, Watch};
use super::interaction::{Interaction, NoPin, Notice, PinQuestion};
use super::interruption::Interruption;
use crate::credential::CredentialName;
use crate::sentence::{Sentence, Spoken};

/// How long a key that is ready for its PIN waits for others that are still at
/// work. One that hangs must not keep the others.
const SETTLE: Duration = Duration::from_millis(1500);

/// What a race runs under.
#[derive(Debug)]
pub struct Course<'c> {
    /// Who may take part.
    pub field: Field,
    /// When the person has had time enough. It stands still while they type.
    pub deadline: Instant,
    /// Keeps a key to one ceremony at a time, where this process can.
    pub claims: Option<&'c Claims>,
    /// Ends the race early, where the host can be interrupted.
    pub interruption: Option<&'c Interruption>,
}

/// Who may take part.
#[derive(Clone, Debug)]
pub enum Field {
    /// Every key that is plugged in, or will be before the deadline.
    EveryKey,
    /// This one key.
    Only(FoundKey),
    /// This one key, and no longer than it is plugged in.
    WhilePluggedIn(FoundKey),
}

/// Why nobody won.
#[derive(Debug)]
pub enum Lost<D> {
    /// No key was there by the deadline.
    NoKey,
    /// There is a key, but this process may not open it.
    NoAccess(FoundKey),
    /// The deadline passed while these keys were waited for. Never empty.
    TimedOut(Vec<(FoundKey, Waited)>),
    /// Every key is out, for its own reason. Never empty.
    AllDropped(Vec<(FoundKey, Out<D>)>),
    /// The person gave no PIN for this key, which has shown this credential, and
    /// so gave up.
    GaveUp(FoundKey, Option<CredentialName>),
    /// A signal asks this process to stop.
    Interrupted,
    /// The operating system refused what a race needs.
    System(nix::Error),
}

/// What a key was waited for when time was up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waited {
    /// Its answer to what takes no person.
    Key,
    /// The others that it served.
    Others,
    /// Its person.
    Person,
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

impl<D: Spoken> Spoken for Out<D> {
    fn sentence(&self) -> Sentence {
        match self {
            Self::Dropped(why) => why.sentence(),
            Self::Fault(fault) => fault.sentence(),
            Self::NotOpened(why) => why.sentence(),
        }
    }
}

/// Runs a race: `start` gives each key its dialogue.
pub fn run<D: Dialogue>(
    course: &Course<'_>,
    interaction: &mut dyn Interaction,
    start: impl FnMut(&FoundKey) -> D,
) -> Result<(FoundKey, D::Outcome), Lost<D::Dropped>> {
    // The watch comes before the first look, or a key plugged in between the
    // two would be missed.
    let watch = Watch::new().map_err(Lost::System)?;
    let mut race = Race {
        course,
        table: Table {
            deadline: course.deadline,
            claims: course.claims,
            interruption: course.interruption,
            interaction,
        },
        start,
        running: Vec::new(),
        claimed_by_others: Vec::new(),
        out: Vec::new(),
        no_access: None,
        told_to_plug_in: false,
        ready_since: None,
        chosen: None,
    };
    race.run(&watch)
}

struct Race<'r, 'c, D: Dialogue, S> {
    course: &'r Course<'c>,
    table: Table<'r>,
    start: S,
    running: Vec<Contestant<D>>,
    /// Keys that another ceremony had when last looked at, not opened yet.
    claimed_by_others: Vec<FoundKey>,
    out: Vec<(FoundKey, Out<D::Dropped>)>,
    no_access: Option<FoundKey>,
    told_to_plug_in: bool,
    /// Since when some key is ready for its PIN, and none has been chosen.
    ready_since: Option<Instant>,
    /// The key that alone may be asked for its PIN.
    chosen: Option<FoundKey>,
}

/// However the race ends, no key is left blinking: not even by a panic.
impl<D: Dialogue, S> Drop for Race<'_, '_, D, S> {
    fn drop(&mut self) {
        for contestant in &mut self.running {
            contestant.cancel();
        }
    }
}

/// How the race ends, as soon as it does.
type End<D> = Result<(FoundKey, <D as Dialogue>::Outcome), Lost<<D as Dialogue>::Dropped>>;

impl<D: Dialogue, S: FnMut(&FoundKey) -> D> Race<'_, '_, D, S> {
    fn run(&mut self, watch: &Watch) -> End<D> {
        self.look_for_keys();
        loop {
            if self.course.interruption.is_some_and(Interruption::has_come) {
                return Err(Lost::Interrupted);
            }
            if let Some(end) = self.choose() {
                return end;
            }
            if let Some(lost) = self.nobody_left() {
                return Err(lost);
            }
            let now = Instant::now();
            if now >= self.table.deadline {
                return Err(self.too_late());
            }
            let ready = self.wait(watch, now).map_err(Lost::System)?;
            let looked_away = !self.claimed_by_others.is_empty();
            if watch.hidraw_changed() || looked_away {
                self.look_for_keys();
            }
            for node in ready {
                if let Some(end) = self.step(&node, Contestant::turn) {
                    return end;
                }
            }
            if let Some(end) = self.send_what_is_due() {
                return end;
            }
            if let Some(end) = self.give_up_on_the_chosen() {
                return end;
            }
        }
    }

    /// Enters every key that is not yet in the race, and forgets those that are
    /// out and have been unplugged since: replugged, they may try again.
    fn look_for_keys(&mut self) {
        let found = match &self.course.field {
            Field::EveryKey => hidraw::find(),
            Field::Only(key) | Field::WhilePluggedIn(key) => {
                hidraw::find().into_iter().filter(|f| f == key).collect()
            }
        };
        self.out.retain(|(key, _)| found.contains(key));
        self.claimed_by_others.retain(|key| found.contains(key));
        self.no_access = None;
        for key in found {
            if Instant::now() >= self.table.deadline {
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
        let within = left(self.table.deadline);
        let claims = self.table.claims;
        let claim = match claims.map(|claims| claims.claim(&found, within)) {
            None | Some(Claimed::Overdue) => None,
            Some(Claimed::Ours(lock)) => Some(lock),
            Some(Claimed::Impossible(problem)) => {
                self.table.tell(&Notice::Unclaimed {
                    key: &found,
                    why: problem.to_string(),
                });
                None
            }
            Some(Claimed::Theirs(request)) => {
                if !self.claimed_by_others.contains(&found) {
                    self.table.tell(&Notice::Busy {
                        key: &found,
                        request: request.as_deref(),
                    });
                    self.claimed_by_others.push(found);
                }
                return;
            }
        };
        self.claimed_by_others.retain(|key| *key != found);
        let key = match found.open() {
            Ok(key) => key,
            Err(CannotOpen::NoAccess) => {
                self.no_access.get_or_insert(found);
                return;
            }
            Err(CannotOpen::Gone) => return,
            Err(other) => return self.drop_key(found, Out::NotOpened(other)),
        };
        let dialogue = (self.start)(&found);
        match Contestant::enter(found, key, nonce, claim, dialogue) {
            Ok(contestant) => self.running.push(contestant),
            Err((_, Unsent::Gone)) => {}
            Err((found, Unsent::Fault(fault))) => self.drop_key(found, Out::Fault(fault)),
        }
    }

    /// Why it makes no sense to wait on; says on the way what is waited for.
    fn nobody_left(&mut self) -> Option<Lost<D::Dropped>> {
        if !self.running.is_empty() || !self.claimed_by_others.is_empty() {
            return None;
        }
        if !self.out.is_empty() {
            return Some(Lost::AllDropped(std::mem::take(&mut self.out)));
        }
        // A key that may not be opened now will not open later by waiting,
        // unless it has only just come (see IN_ATTRIB).
        if let (Some(key), false) = (&self.no_access, self.told_to_plug_in) {
            return Some(Lost::NoAccess(key.clone()));
        }
        if matches!(self.course.field, Field::WhilePluggedIn(_)) {
            return Some(Lost::NoKey);
        }
        if !self.told_to_plug_in {
            self.told_to_plug_in = true;
            self.table.tell(&Notice::PlugIn {
                within: left(self.table.deadline),
            });
        }
        None
    }

    /// Waits for a packet, a change in `/dev`, a signal, the next thing to do or
    /// the deadline; returns the keys that have something to say.
    fn wait(&mut self, watch: &Watch, now: Instant) -> nix::Result<Vec<FoundKey>> {
        let left = self.table.deadline.saturating_duration_since(now);
        let counted = self.table.interaction.passing(left);
        let look_again = (!self.claimed_by_others.is_empty()).then(|| now + BUSY_PAUSE);
        let settled = self.ready_since.map(|since| since + SETTLE);
        let until = self
            .running
            .iter()
            .filter_map(Contestant::due)
            .chain(look_again)
            .chain(settled)
            .chain(self.chosen_is_overdue())
            .chain(counted.map(|within| now + within))
            .fold(self.table.deadline, Instant::min);
        // Rounded up, or the last millisecond would be a busy loop.
        let pause = until.saturating_duration_since(now) + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut fds: Vec<PollFd<'_>> = self.running.iter().map(|c| readable(c.as_fd())).collect();
        fds.push(readable(watch.as_fd()));
        fds.extend(self.course.interruption.map(|it| readable(it.as_fd())));
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

    /// Finds out which of the keys that need a PIN is meant, once it is clear
    /// who is among them.
    fn choose(&mut self) -> Option<End<D>> {
        let ready = self.ready();
        if self.chosen.is_some() || ready.is_empty() {
            self.ready_since = None;
            return None;
        }
        let since = *self.ready_since.get_or_insert_with(Instant::now);
        let at_work = self.running.iter().any(|c| c.phase() == Phase::Working);
        if at_work && since.elapsed() < SETTLE {
            return None;
        }
        self.ready_since = None;
        let others_wait = self
            .running
            .iter()
            .any(|c| matches!(c.phase(), Phase::Waiting | Phase::Choosing));
        if let ([only], false) = (ready.as_slice(), others_wait) {
            return self.chosen(only);
        }
        ready
            .iter()
            .find_map(|key| self.step(key, Contestant::choose))
    }

    /// The keys that wait to be chosen. One that has not shown a credential is
    /// among them only where no other key has, or may yet: a stick that touches
    /// itself must not come between a person and their key.
    fn ready(&self) -> Vec<FoundKey> {
        let others_may = !self.claimed_by_others.is_empty()
            || self.running.iter().any(|contestant| {
                let waits = matches!(
                    contestant.phase(),
                    Phase::Waiting | Phase::Choosing | Phase::Busy
                );
                waits || contestant.has_shown_a_credential()
            });
        self.running
            .iter()
            .filter(|contestant| contestant.phase() == Phase::Ready)
            .filter(|contestant| contestant.has_shown_a_credential() || !others_may)
            .map(|contestant| contestant.found.clone())
            .collect()
    }

    /// This key is the one; the others go dark.
    fn chosen(&mut self, key: &FoundKey) -> Option<End<D>> {
        for other in self.running.iter_mut().filter(|c| c.found != *key) {
            other.stand_aside();
        }
        self.chosen = Some(key.clone());
        self.step(key, Contestant::chosen)
    }

    /// The chosen key is out: the others go on.
    fn resume(&mut self, key: &FoundKey) {
        if self.chosen.take_if(|chosen| chosen == key).is_some() {
            for contestant in &mut self.running {
                contestant.resume();
            }
        }
    }

    /// When the chosen key has kept the others waiting for long enough.
    fn chosen_is_overdue(&self) -> Option<Instant> {
        let chosen = self.running.iter().find(|it| self.is_chosen(it))?;
        let others = self.running.len() > 1;
        others.then(|| chosen.overdue_at()).flatten()
    }

    fn is_chosen(&self, contestant: &Contestant<D>) -> bool {
        self.chosen.as_ref() == Some(&contestant.found)
    }

    /// One that hangs must not keep the others, chosen or not.
    fn give_up_on_the_chosen(&mut self) -> Option<End<D>> {
        let is_overdue = |race: &Self| {
            race.chosen_is_overdue()
                .is_some_and(|at| at <= Instant::now())
        };
        let key = self.chosen.clone().filter(|_| is_overdue(self))?;
        // It may have answered while the loop was held up elsewhere.
        if let Some(end) = self.step(&key, Contestant::turn) {
            return Some(end);
        }
        if !is_overdue(self) {
            return None;
        }
        self.step(&key, |_, _| Turn::Faulty(Fault::Silent))
    }

    fn ask_pin(&mut self, key: &FoundKey, question: &PinQuestion) -> Option<End<D>> {
        // One that came before the question is not for the question's host.
        if self.course.interruption.is_some_and(Interruption::has_come) {
            return Some(Err(Lost::Interrupted));
        }
        // One that came since it was chosen may blink by now.
        for contestant in &mut self.running {
            if contestant.found == *key {
                contestant.release();
            } else {
                contestant.stand_aside();
            }
        }
        let asked_at = Instant::now();
        let pin = self.table.ask_pin(key, question);
        self.table.deadline += asked_at.elapsed();
        if self.course.interruption.is_some_and(Interruption::has_come) {
            return Some(Err(Lost::Interrupted));
        }
        // Who types nothing for a key of theirs gives up; who types nothing for
        // one that has not shown to be theirs is right, and the others go on.
        if matches!(pin, Err(NoPin::NotGiven)) && question.proven.is_some() {
            return Some(Err(Lost::GaveUp(key.clone(), question.proven.clone())));
        }
        // Nobody has looked meanwhile.
        self.look_for_keys();
        self.step(key, |contestant, table| contestant.typed(pin, table))
    }

    fn send_what_is_due(&mut self) -> Option<End<D>> {
        let keys: Vec<FoundKey> = self.running.iter().map(|c| c.found.clone()).collect();
        keys.iter()
            .find_map(|key| self.step(key, Contestant::send_if_due))
    }

    /// Lets one key have its say; returns the end of the race if that is it.
    fn step(
        &mut self,
        key: &FoundKey,
        turn: impl FnOnce(&mut Contestant<D>, &mut Table<'_>) -> Turn<D::Outcome, D::Dropped>,
    ) -> Option<End<D>> {
        let place = self.running.iter().position(|c| c.found == *key)?;
        let contestant = self.running.get_mut(place)?;
        let turn = turn(contestant, &mut self.table);
        let is_ready = contestant.phase() == Phase::Ready;
        let out = match turn {
            // It needs its PIN after all, or once more, and has been chosen.
            Turn::GoOn if is_ready && self.chosen.as_ref() == Some(key) => {
                return self.step(key, Contestant::chosen);
            }
            Turn::GoOn => return None,
            Turn::Chosen => return self.chosen(key),
            Turn::AskPin(question) => return self.ask_pin(key, &question),
            Turn::Won(outcome) => {
                let winner = self.running.swap_remove(place);
                return Some(Ok((winner.found, outcome)));
            }
            Turn::Gone => None,
            // One that takes packets too slowly would take a CANCEL so too.
            Turn::Faulty(Fault::Slow) => Some(Out::Fault(Fault::Slow)),
            Turn::Faulty(fault) => {
                contestant.cancel();
                Some(Out::Fault(fault))
            }
            Turn::Out(why) => Some(Out::Dropped(why)),
        };
        let found = self.running.swap_remove(place).found;
        if let Some(why) = out {
            self.drop_key(found, why);
        }
        self.resume(key);
        None
    }

    fn drop_key(&mut self, key: FoundKey, why: Out<D::Dropped>) {
        self.table.tell(&Notice::Dropped {
            key: &key,
            why: why.to_string(),
        });
        self.out.push((key, why));
    }

    fn too_late(&mut self) -> Lost<D::Dropped> {
        let running = self.running.iter().map(|contestant| {
            let waited = match contestant.phase() {
                // One that was just asked again is still as busy as it was.
                Phase::Working if contestant.was_last_busy() => Waited::Others,
                Phase::Working => Waited::Key,
                Phase::Busy => Waited::Others,
                Phase::Waiting | Phase::Ready | Phase::Choosing => Waited::Person,
            };
            (contestant.found.clone(), waited)
        });
        let claimed = self.claimed_by_others.iter();
        let waited: Vec<_> = running
            .chain(claimed.map(|key| (key.clone(), Waited::Others)))
            .collect();
        match (waited.is_empty(), &self.no_access) {
            (false, _) => Lost::TimedOut(waited),
            (true, Some(key)) => Lost::NoAccess(key.clone()),
            (true, None) => Lost::NoKey,
        }
    }
}

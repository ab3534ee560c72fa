//! Starts a worker, hands it its work, listens to it, and ends it: when it is
//! done, when its time is up, and when the person has had enough.
#![forbid(unsafe_code)]

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use ceremony::authenticator::ctap2::Status;
use ceremony::authenticator::ctaphid::cancel_on;
use ceremony::authenticator::errand::Unanswered;
use ceremony::authenticator::hidraw::{CannotOpen, FoundKey};
use ceremony::authenticator::interruption::Interruption;
use ceremony::authenticator::race::Waited;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zeroize::Zeroizing;

use super::lines::{Failed, Line, Outcome, Request, Work};
use crate::key::chosen::Chosen;
use crate::key::not_done::NotDone;
use crate::machine;
use crate::screen::Screen;

/// How long a worker may be silent where no person has a part in its work.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long it may be silent where one has.
const PATIENCE_WITH_A_PERSON: Duration = Duration::from_secs(60);

/// How long it may take in all where a person has a part in it. For so long the
/// key is claimed.
const LONGEST_WITH_A_PERSON: Duration = Duration::from_secs(300);

/// The most bytes a worker may say: a key that keeps hundreds of credentials
/// needs a tenth of that.
const MOST_BYTES: usize = 1024 * 1024;

/// What a Rust program exits with that has panicked.
const PANICKED: i32 = 101;

/// Has a worker do `work` with the key. `listen` hears what it says meanwhile.
pub(crate) fn run(
    chosen: &Chosen,
    work: Work,
    screen: &mut Screen,
    mut listen: impl FnMut(&Line, &mut Screen),
) -> Result<Outcome, NotDone> {
    let key = &chosen.key;
    let (patience, longest) = if work.takes_a_person() {
        (PATIENCE_WITH_A_PERSON, LONGEST_WITH_A_PERSON)
    } else {
        (PATIENCE, PATIENCE)
    };
    let end = Instant::now() + longest;
    let request = request(chosen, work);
    let claims = machine::claims(&format!("Requested by {}.", chosen.asked_by()), screen);
    // The crate takes what is meant for others for its own, so there must be
    // none.
    let _claimed = match claims.map(|claims| claims.claim_alone(key, longest)) {
        None => None,
        Some(Ok(lock)) => lock,
        Some(Err(request)) => return Err(NotDone::InUse(request)),
    };
    // Why a key cannot be opened is said better by us.
    drop(key.open().map_err(|why| match why {
        CannotOpen::NoAccess => Unanswered::NoAccess,
        CannotOpen::Gone => Unanswered::Gone,
        other => Unanswered::NotOpened(other),
    })?);
    // Held back before there is a worker that could be left behind.
    let interruption = Interruption::hold_back();
    let mut worker = Worker::start(key)?;
    worker.hand_over(&request)?;
    let mut deadline = Instant::now() + patience;
    loop {
        match worker.next_line(deadline, interruption.as_ref())? {
            Line::Channel(channel) => worker.channel = Some(channel),
            Line::Done(outcome) => {
                worker.is_done = true;
                return Ok(outcome);
            }
            Line::Failed(why) => {
                worker.is_done = true;
                return Err(failed(why));
            }
            line @ (Line::Sensor { .. } | Line::Sample { .. }) => {
                // A terminal that takes no text can be given up, as always.
                match &interruption {
                    Some(held_back) if held_back.has_come() => {}
                    Some(held_back) => held_back.let_through(|| listen(&line, screen)),
                    None => listen(&line, screen),
                }
                deadline = end.min(Instant::now() + patience);
            }
        }
    }
}

fn request(chosen: &Chosen, work: Work) -> Request {
    let real = if work.is_about_fingerprints() {
        "bioEnroll"
    } else {
        "credMgmt"
    };
    Request {
        node: chosen.key.node.clone(),
        key: chosen.key.to_string(),
        protocol: chosen.protocol().number(),
        preview: !chosen.knows(real),
        work,
    }
}

fn failed(why: Failed) -> NotDone {
    match why {
        Failed::Status(status) => Unanswered::Refused(Status::from(status)).into(),
        Failed::Gone => Unanswered::Gone.into(),
        Failed::Disturbed => Unanswered::TimedOut(Waited::Others).into(),
        Failed::NoFinger => NotDone::NoFinger,
        Failed::Words(words) => NotDone::Dishonest(words),
    }
}

/// A worker. Dropping it ends it, and leaves no light that blinks for nobody.
struct Worker<'k> {
    key: &'k FoundKey,
    child: Child,
    from_it: Option<ChildStdout>,
    heard: Vec<u8>,
    bytes: usize,
    channel: Option<[u8; 4]>,
    /// Whether it has said its last word.
    is_done: bool,
}

impl<'k> Worker<'k> {
    fn start(key: &'k FoundKey) -> Result<Self, Broken> {
        let mut command = Command::new("/proc/self/exe");
        command.args(["key", "worker"]);
        Self::run(command, key)
    }

    fn run(mut command: Command, key: &'k FoundKey) -> Result<Self, Broken> {
        let mut child = command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is ours to notice, and to tell the key.
            .process_group(0)
            .spawn()
            .map_err(|problem| Broken::NotStarted(problem.to_string()))?;
        Ok(Self {
            key,
            from_it: child.stdout.take(),
            child,
            heard: Vec::new(),
            bytes: 0,
            channel: None,
            is_done: false,
        })
    }

    /// Writes the request and closes the pipe.
    fn hand_over(&mut self, request: &Request) -> Result<(), Broken> {
        let line = serde_json::to_vec(request)
            .map(Zeroizing::new)
            .map_err(|_| Broken::Nonsense)?;
        let mut to_it = self.child.stdin.take().ok_or(Broken::Nonsense)?;
        // It fits into the pipe, so this waits for nobody. Where the worker is
        // gone already, its exit status says more than the pipe.
        let _ = to_it.write_all(&line);
        Ok(())
    }

    /// The next thing it says.
    fn next_line(
        &mut self,
        deadline: Instant,
        interruption: Option<&Interruption>,
    ) -> Result<Line, NotDone> {
        loop {
            if let Some(end) = self.heard.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=end).collect();
                return serde_json::from_slice(&line).map_err(|_| Broken::Nonsense.into());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Broken::Silent.into());
            }
            self.wait(left, interruption)?;
            if interruption.is_some_and(Interruption::has_come) {
                return Err(Unanswered::Interrupted.into());
            }
            if !self.hear()? {
                return Err(self.how_it_ended().into());
            }
        }
    }

    /// Waits until there is something to hear, or a reason to stop.
    fn wait(&self, left: Duration, interruption: Option<&Interruption>) -> Result<(), NotDone> {
        let Some(from_it) = &self.from_it else {
            return Err(Broken::Nonsense.into());
        };
        // Rounded up, or the last millisecond would be a busy loop.
        let timeout = PollTimeout::try_from(left + Duration::from_millis(1));
        let mut fds = vec![PollFd::new(from_it.as_fd(), PollFlags::POLLIN)];
        fds.extend(interruption.map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN)));
        match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(nix::Error::EINTR) => Ok(()),
            Err(problem) => Err(Unanswered::System(problem).into()),
        }
    }

    /// Takes in what it has said; `false` at the end.
    fn hear(&mut self) -> Result<bool, NotDone> {
        let Some(from_it) = &mut self.from_it else {
            return Ok(false);
        };
        let mut readable = [PollFd::new(from_it.as_fd(), PollFlags::POLLIN)];
        if !poll(&mut readable, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
            return Ok(true);
        }
        let mut bytes = [0; 4096];
        match from_it.read(&mut bytes) {
            Ok(0) => Ok(false),
            Ok(length) => {
                self.bytes += length;
                if self.bytes > MOST_BYTES {
                    return Err(Broken::Nonsense.into());
                }
                self.heard.extend(bytes.get(..length).unwrap_or_default());
                Ok(true)
            }
            Err(problem) if problem.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(problem) => Err(Broken::NotStarted(problem.to_string()).into()),
        }
    }

    /// What became of one that has closed its pipe without a last word.
    fn how_it_ended(&mut self) -> Broken {
        // It has closed its pipe, so it is ending or dead.
        let status: Option<ExitStatus> = self.child.wait().ok();
        match status.map(|status| (status.code(), status.signal())) {
            Some((Some(PANICKED), _)) => Broken::Panicked,
            Some((_, Some(signal))) => Broken::Killed(signal),
            _ => Broken::Nonsense,
        }
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // Both fail only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if self.is_done {
            return;
        }
        // It may have left the key waiting for somebody.
        if let (Some(channel), Ok(mut key)) = (self.channel, self.key.open()) {
            let _ = key.send(&cancel_on(channel));
        }
    }
}

/// Why a worker did not do its work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// It could not be started, or not be listened to.
    NotStarted(String),
    /// It said nothing for too long.
    Silent,
    /// The key's answer was too much for it.
    Panicked,
    /// Somebody ended it, with this signal.
    Killed(i32),
    /// What it said makes no sense, or it ended without a word.
    Nonsense,
}

impl Broken {
    /// The pair of sentences.
    pub(crate) fn sentences(&self, key: &FoundKey, again: &str) -> (String, String) {
        let replug = format!("unplug the key, plug it in and run again: {again}");
        match self {
            Self::NotStarted(why) => (
                format!("the process that asks {key} could not be started: {why}"),
                format!("run again: {again}"),
            ),
            Self::Silent => (
                format!("{key} did not get ready in time, and the process that asked it was ended"),
                replug,
            ),
            Self::Panicked => (
                format!("{key} answered with something that cannot be read"),
                replug,
            ),
            Self::Killed(signal) => (
                format!("the process that asks {key} was ended by signal {signal}"),
                replug,
            ),
            Self::Nonsense => (
                format!("the process that asks {key} ended without a result"),
                replug,
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a worker that does this instead.
    fn heard(script: &str, patience: Duration) -> Result<Line, NotDone> {
        let key = FoundKey::default();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        let mut worker = Worker::run(command, &key).unwrap();
        worker.next_line(Instant::now() + patience, None)
    }

    fn broken(script: &str) -> Broken {
        match heard(script, Duration::from_secs(20)) {
            Err(NotDone::Broken(why)) => why,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_worker_says_is_heard_line_by_line() {
        let line = heard(
            "printf '{\"Sensor\":'; sleep 0.1; echo '{\"samples\":5}}'",
            PATIENCE,
        );
        assert!(matches!(line, Ok(Line::Sensor { samples: 5 })), "{line:?}");
    }

    #[test]
    fn nonsense_is_none_of_its_words_and_neither_is_too_much() {
        assert_eq!(
            broken("echo '- Touch the sensor on the authenticator'"),
            Broken::Nonsense
        );
        assert_eq!(broken("echo '{\"Sensor\":{}}'"), Broken::Nonsense);
        // no line's end, ever
        assert_eq!(broken("exec cat /dev/zero"), Broken::Nonsense);
        // half a line
        assert_eq!(broken("printf '{\"Done\":'"), Broken::Nonsense);
    }

    #[test]
    fn how_a_worker_ended_is_known() {
        assert_eq!(broken("exit 0"), Broken::Nonsense);
        assert_eq!(broken("exit 101"), Broken::Panicked);
        assert_eq!(broken("kill -TERM $$"), Broken::Killed(15));
    }

    #[test]
    fn a_silent_worker_is_ended_when_its_time_is_up() {
        let before = Instant::now();
        let heard = heard("exec sleep 60", Duration::from_millis(100));
        assert!(
            matches!(heard, Err(NotDone::Broken(Broken::Silent))),
            "{heard:?}"
        );
        // Dropping it has waited for its end.
        assert!(before.elapsed() < Duration::from_secs(10));
    }
}

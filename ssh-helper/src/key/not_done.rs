//! Why something was not done with a key, and the pair of sentences for it.
#![forbid(unsafe_code)]

use ceremony::authenticator::ctap2::{Malformed, Status};
use ceremony::authenticator::ctaphid::Fault;
use ceremony::authenticator::errand::Unanswered;
use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::race::Waited;
use nix::unistd::geteuid;

use super::worker::Broken;
use crate::failure::Failure;

/// Why it was not done.
#[derive(Debug)]
pub(crate) enum NotDone {
    /// The key answered so, or not at all.
    Unanswered(Unanswered),
    /// Its answer cannot be read.
    Malformed(Malformed),
    /// It did something that no honest key does.
    Dishonest(String),
    /// Another ceremony of this machine has the key, for this.
    InUse(Option<String>),
    /// Nobody touched the fingerprint sensor, again and again.
    NoFinger,
    /// The worker did not do its work.
    Broken(Broken),
}

impl From<Unanswered> for NotDone {
    fn from(why: Unanswered) -> Self {
        Self::Unanswered(why)
    }
}

impl From<Broken> for NotDone {
    fn from(why: Broken) -> Self {
        Self::Broken(why)
    }
}

impl NotDone {
    /// The status with which the key refused.
    pub(crate) fn status(&self) -> Option<Status> {
        match self {
            Self::Unanswered(Unanswered::Refused(status)) => Some(*status),
            _ => None,
        }
    }

    /// The pair of sentences. `again` is what to type to begin again.
    pub(crate) fn failure(&self, key: &FoundKey, again: &str) -> Failure {
        let replug = || format!("unplug it, plug it in and run again: {again}");
        let (happened, what_to_do) = match self {
            Self::Unanswered(Unanswered::Refused(status)) => refused(*status, key, again),
            Self::Unanswered(why) => unanswered(*why, key, again),
            Self::Malformed(problem) => (format!("{key} failed: {problem}"), replug()),
            Self::Dishonest(why) => (format!("{key} failed: {why}"), replug()),
            Self::InUse(request) => {
                let request = request
                    .as_deref()
                    .unwrap_or("one that does not say what for");
                (
                    format!("{key} is in use for another request: {request}"),
                    format!("wait until that has ended, and run again: {again}"),
                )
            }
            Self::NoFinger => (
                format!("nobody touched the sensor of {key}"),
                format!("nothing was added; run again: {again}"),
            ),
            Self::Broken(why) => why.sentences(key, again),
        };
        Failure::new(happened, what_to_do)
    }
}

fn unanswered(why: Unanswered, key: &FoundKey, again: &str) -> (String, String) {
    match why {
        Unanswered::Gone => (
            format!("{key} was unplugged"),
            format!("plug it in and run again: {again}"),
        ),
        Unanswered::NoAccess => (
            format!("this process may not open {key}"),
            if geteuid().is_root() {
                format!("run it outside any sandbox: {again}")
            } else {
                format!("run: sudo {again}")
            },
        ),
        Unanswered::Faulty(Fault::OnlyU2f) => (
            format!("{key} speaks only U2F, not FIDO2"),
            "there is nothing on it to look after; take a key that says FIDO2 on its box"
                .to_owned(),
        ),
        Unanswered::TimedOut(Waited::Person) => (
            format!("nobody touched {key} in time"),
            format!("touch it while it blinks; run again: {again}"),
        ),
        Unanswered::TimedOut(Waited::Others) => (
            format!("{key} served another program all the time"),
            format!("end that program, and run again: {again}"),
        ),
        Unanswered::Interrupted => (
            "it was interrupted".to_owned(),
            format!("run again: {again}"),
        ),
        Unanswered::System(problem) => (
            format!("no key can be asked: {}", problem.desc()),
            format!("see `dmesg`, and run again: {again}"),
        ),
        Unanswered::TimedOut(Waited::Key)
        | Unanswered::Refused(_)
        | Unanswered::Faulty(_)
        | Unanswered::NotOpened(_) => (
            format!("{key} failed: {why}"),
            format!("unplug it, plug it in and run again: {again}"),
        ),
    }
}

/// What a status means to a person, and what to do.
fn refused(status: Status, key: &FoundKey, again: &str) -> (String, String) {
    match status {
        Status::PinBlocked => (
            format!("the PIN of {key} is blocked"),
            "only a reset helps, which erases the key: passkey key reset".to_owned(),
        ),
        Status::PinAuthBlocked => (
            format!("{key} takes no PIN now: too many in a row were wrong"),
            format!("unplug it, plug it in and run again: {again}"),
        ),
        Status::ChannelBusy => unanswered(Unanswered::TimedOut(Waited::Others), key, again),
        Status::PinNotSet => (
            format!("{key} has no PIN"),
            "set one first: passkey key pin set".to_owned(),
        ),
        Status::PinPolicyViolation => (
            format!("{key} does not take that PIN"),
            format!("choose a longer one that was not used before, and run again: {again}"),
        ),
        Status::FpDatabaseFull => (
            format!("{key} has no room for another fingerprint"),
            "remove one first: passkey key fingerprints remove ID".to_owned(),
        ),
        Status::OperationDenied | Status::KeepaliveCancel => (
            format!("the request was denied on {key}"),
            format!("if that was a mistake, run again: {again}"),
        ),
        Status::UserActionTimeout | Status::ActionTimeout => (
            format!("nobody touched {key} in time"),
            format!("touch it while it blinks; run again: {again}"),
        ),
        _ => (
            format!("{key} did not do it: {status}"),
            "see what it can do with: passkey key info".to_owned(),
        ),
    }
}

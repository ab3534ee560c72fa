//! `passkey key reset`: a key forgets everything.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use ceremony::authenticator::Gesture;
use ceremony::authenticator::ctap2::{self, Status};
use ceremony::authenticator::errand::{self, Unanswered};
use ceremony::authenticator::hidraw::{self, FoundKey, Watch};
use ceremony::authenticator::interruption::Interruption;
use ceremony::authenticator::race::{Course, Field};
use ceremony::pin::Pin;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::asking::{ask_pin, counted, somebody_must_be_there};
use super::chosen::{Chosen, describe};
use super::done::Done;
use super::kept::{Kept, can_list};
use super::not_done::NotDone;
use super::touching::Touching;
use super::worker::HeldCredential;
use crate::failure::Failure;
use crate::machine;
use crate::screen::Screen;
use crate::terminal;

/// How long a person has to unplug the key, and again to plug it in.
const TO_REPLUG: Duration = Duration::from_secs(60);

/// How long a person has to touch it. CTAP 2.1 §6.6: the request must come in
/// the first ten seconds; the touch may follow later.
const TO_TOUCH: Duration = Duration::from_secs(30);

/// How long a key that has just come may take until it can be opened: udev
/// hands out access a moment after the node appears.
const TO_OPEN: Duration = Duration::from_secs(5);

/// Resets it.
pub(crate) fn reset(node: Option<&Path>, screen: &mut Screen) -> Result<(), Failure> {
    let chosen = Chosen::find(node, "key reset", screen)?;
    somebody_must_be_there(&chosen, "a word is asked for")?;
    let credentials = count(&chosen, screen);
    for line in what_is_lost(&chosen, credentials) {
        screen.say(&line);
    }
    if !terminal::typed_word("reset", "to erase it", screen) {
        return Err(Failure::new(
            format!("{} was not reset", chosen.key),
            format!("if you want it erased, run again: {}", chosen.again),
        ));
    }
    let key = replugged(&chosen, screen)?;
    let claims = machine::claims("Requested by passkey key reset.", screen);
    let interruption = Interruption::hold_back();
    let course = Course {
        field: Field::WhilePluggedIn(key.clone()),
        deadline: Instant::now() + TO_TOUCH,
        claims: claims.as_ref(),
        interruption: interruption.as_ref(),
    };
    let gesture = Some(Gesture::Touch);
    let answer = errand::run(
        ctap2::reset(),
        gesture,
        &course,
        &mut Touching::new(screen, "to erase it"),
    );
    drop(interruption);
    answer.map_err(|why| not_reset(why, &key, &chosen))?;
    screen.report(&Done::new(
        &key,
        "reset",
        [
            format!("{key} has forgotten everything, its PIN too."),
            // In this order: an only key that is still on record would have to vouch.
            "Remove what it was enrolled for, by its name in `passkey list`: sudo passkey remove NAME"
                .to_owned(),
            "Then: passkey key pin set; and enrol it anew: sudo passkey enroll".to_owned(),
        ],
    ))
}

/// How many credentials the key keeps, where its person likes to know and has
/// the PIN. Who resets a key often has not.
fn count(chosen: &Chosen, screen: &mut Screen) -> Option<usize> {
    if !chosen.info.options.client_pin || chosen.info.force_pin_change || !can_list(chosen) {
        return None;
    }
    let tries = chosen.pin_tries().ok()?;
    // Not worth one of the last ones.
    if tries.left <= 1 || tries.power_cycle_needed {
        return None;
    }
    let question = format!(
        "PIN of {}, to count what is on it, {} (nothing: do not count): ",
        chosen.key,
        counted(tries.left)
    );
    let pin = ask_pin(&question, Pin::SHORTEST, screen)?;
    // Others may have used some up while it was typed.
    if chosen.pin_tries().ok()?.left <= 1 {
        return None;
    }
    match HeldCredential::all(chosen, &pin, screen) {
        Ok(held) => Some(held.len()),
        Err(why) if why.status() == Some(Status::PinInvalid) => {
            screen.say("That PIN was wrong; nothing was counted.");
            None
        }
        Err(_) => {
            screen.say("What is on it could not be counted.");
            None
        }
    }
}

/// What a reset takes away, as far as the key says.
fn what_is_lost(chosen: &Chosen, credentials: Option<usize>) -> Vec<String> {
    let key = &chosen.key;
    let mut lost = vec![format!("A reset erases {key}. This is lost for good:")];
    if chosen.info.options.client_pin {
        lost.push("  its PIN".to_owned());
    }
    if chosen.described.option("bioEnroll") == Some(true) {
        lost.push("  its fingerprints".to_owned());
    }
    match credentials {
        Some(0) => {}
        Some(1) => lost.push("  the one credential that it keeps itself".to_owned()),
        Some(several) => lost.push(format!("  the {several} credentials that it keeps itself")),
        None => lost.push("  every credential that it keeps itself".to_owned()),
    }
    lost.push(
        "  every login enrolled with it, at this machine and everywhere else: none of them works \
         any more, and the key cannot tell which they are"
            .to_owned(),
    );
    lost
}

/// The key, once it has been unplugged and plugged in.
fn replugged(chosen: &Chosen, screen: &mut Screen) -> Result<FoundKey, Failure> {
    let key = &chosen.key;
    // Before the first look, or a change between the two would be missed.
    let watch = Watch::new().map_err(|problem| {
        Failure::new(
            format!("/dev cannot be watched for a key: {}", problem.desc()),
            format!("run again: {}", chosen.again),
        )
    })?;
    let others = wait(&watch, &format!("Unplug {key} now"), screen, || {
        let found = hidraw::find();
        (!found.contains(key)).then_some(found)
    })
    .ok_or_else(|| not_replugged(chosen, "was not unplugged"))?;
    let others: Vec<FoundKey> = others;
    let found = wait(
        &watch,
        "Plug it in again, and touch it when it blinks",
        screen,
        || {
            let new: Vec<FoundKey> = hidraw::find()
                .into_iter()
                .filter(|found| !others.contains(found))
                .collect();
            (!new.is_empty()).then_some(new)
        },
    )
    .ok_or_else(|| not_replugged(chosen, "was not plugged in again"))?;
    let [found] = found.as_slice() else {
        return Err(not_replugged(
            chosen,
            "is not the only one that was plugged in",
        ));
    };
    let aaguid = opened(found).map_err(|problem| problem.failure(found, &chosen.again))?;
    if found.product != key.product || aaguid != chosen.described.aaguid {
        return Err(Failure::new(
            format!("{found} was plugged in, which is another key than {key}"),
            format!("nothing was erased; run again: {}", chosen.again),
        ));
    }
    Ok(found.clone())
}

/// What the key that has just come says that it is.
fn opened(key: &FoundKey) -> Result<ceremony::credential::Aaguid, NotDone> {
    let until = Instant::now() + TO_OPEN;
    loop {
        match describe(key) {
            Err(NotDone::Unanswered(Unanswered::NoAccess)) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(50));
            }
            described => return described.map(|(_, said)| said.aaguid),
        }
    }
}

/// Waits for what `look` looks for, and counts the seconds down.
fn wait<T>(
    watch: &Watch,
    what: &str,
    screen: &mut Screen,
    look: impl Fn() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + TO_REPLUG;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        screen.count_down(what, left);
        let pause = left.min(Duration::from_secs(1)) + Duration::from_millis(1);
        let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
        let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, timeout).is_ok() {
            watch.hidraw_changed();
        }
    }
}

fn not_replugged(chosen: &Chosen, what: &str) -> Failure {
    Failure::new(
        format!("{} {what}", chosen.key),
        format!("nothing was erased; run again: {}", chosen.again),
    )
}

fn not_reset(why: Unanswered, key: &FoundKey, chosen: &Chosen) -> Failure {
    match why {
        Unanswered::Refused(Status::NotAllowed) => Failure::new(
            format!("{key} did not reset: it takes the request only just after it was plugged in"),
            format!(
                "nothing was erased; run again, and be quick: {}",
                chosen.again
            ),
        ),
        Unanswered::Refused(Status::OperationDenied) => Failure::new(
            format!("{key} does not allow a reset over USB, or it was denied there"),
            format!(
                "nothing was erased; if that was a mistake, run again: {}",
                chosen.again
            ),
        ),
        other => NotDone::from(other).failure(key, &chosen.again),
    }
}

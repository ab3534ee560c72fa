//! Which key is meant to make something: one the person has named and confirmed.
//!
//! Nobody can tell two keys apart by their device nodes alone, and a hidden
//! stick that touches itself must not become somebody's key; so every key that
//! could be meant is shown with its node, product and AAGUID, and where several
//! could be, the person says which. Until then they are asked for nothing but
//! what they say of themselves.
#![forbid(unsafe_code)]

use std::fmt;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ceremony::authenticator::ctap2::Info;
use ceremony::authenticator::hidraw::{self, FoundKey, Watch};
use ceremony::authenticator::introduction::{Mute, introduction};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::Failure;
use crate::screen::Screen;
use crate::terminal::{answer, is_yes};

/// What a key is to be chosen for, in the words of who asks.
pub(crate) trait ToMake {
    /// What is wanted: a "key to enrol".
    fn wanted(&self) -> &'static str;

    /// The question about the only key plugged in: "Enrol it for alice?".
    fn question(&self, key: &FoundKey) -> String;

    /// The question about several: "Which one is to be enrolled for alice?".
    fn question_of_several(&self) -> String;

    /// What becomes of it: "enrolled".
    fn done(&self) -> &'static str;

    /// What to type, where the key can be named.
    fn by_name(&self) -> Option<String> {
        None
    }

    /// Why a key that says this of itself need not be asked at all.
    fn unfit(&self, key: &FoundKey, said: Result<&Info, Mute>) -> Option<Failure>;
}

/// A key, not yet chosen.
pub(crate) struct Choosing<'a> {
    /// What it is to make.
    pub(crate) to_make: &'a dyn ToMake,
    /// Whether a person is asked.
    pub(crate) asked: bool,
    /// A key that has been used already, as we know by now, and is not the one.
    pub(crate) has_it: Option<FoundKey>,
    /// How long the person has to plug it in.
    pub(crate) timeout: Duration,
    /// What to type to begin again.
    pub(crate) again: &'a str,
}

impl Choosing<'_> {
    /// Waits for it, and asks whether it is the one, or which.
    pub(crate) fn ask(mut self, screen: &mut Screen) -> Result<FoundKey, Failure> {
        let keys = self.wait_for_one(screen)?;
        match (keys.as_slice(), self.asked) {
            ([only], false) => Ok(only.clone()),
            (several, false) => Err(self.several(several)),
            ([only], true) => {
                let introduced = Introduced::by_itself(only);
                screen.say(&format!("Plugged in: {introduced}."));
                self.refuse_the_unfit(&introduced)?;
                self.confirm(only, screen)?;
                self.still_among(&keys)?;
                Ok(only.clone())
            }
            (several, true) => {
                let key = self.which(several, screen)?;
                self.still_among(&keys)?;
                Ok(key)
            }
        }
    }

    /// The keys that could be meant; at least one.
    fn wait_for_one(&mut self, screen: &mut Screen) -> Result<Vec<FoundKey>, Failure> {
        // Before the first look, or a key that comes between the two is missed.
        let watch = Watch::new().map_err(|problem| self.cannot_wait(problem))?;
        let deadline = Instant::now() + self.timeout;
        let wanted = self.to_make.wanted();
        let waits = if self.has_it.is_some() {
            format!("Plug in the {wanted}; the one that is enrolled may stay")
        } else {
            format!("Plug in the {wanted}")
        };
        loop {
            let keys = choose(&hidraw::find(), &mut self.has_it);
            if !keys.is_empty() {
                return Ok(keys);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::new(
                    format!("no security {wanted} was plugged in"),
                    format!(
                        "plug it in and run again: {} \
                         (a key that is there but not seen: check `ls /sys/class/hidraw`)",
                        self.again
                    ),
                ));
            }
            screen.count_down(&waits, left);
            pause(&watch, left.min(Duration::from_secs(1)))
                .map_err(|problem| self.cannot_wait(problem))?;
        }
    }

    /// Asks whether `key` is the one that is meant.
    fn confirm(&self, key: &FoundKey, screen: &mut Screen) -> Result<(), Failure> {
        let question = format!("{} [y/N] ", self.to_make.question(key));
        let answer = answer(&question, screen);
        if answer.is_some_and(|line| is_yes(&line)) {
            return Ok(());
        }
        Err(Failure::new(
            format!(
                "{key} was not {}, since nobody said yes to it",
                self.to_make.done()
            ),
            format!("unplug what is not yours and run again: {}", self.again),
        ))
    }

    /// Before anybody says yes to it.
    fn refuse_the_unfit(&self, key: &Introduced) -> Result<(), Failure> {
        let said = key.said.as_ref().map_err(|mute| *mute);
        match self.to_make.unfit(&key.key, said) {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    /// Asks which of `keys` is the one that is meant.
    fn which(&self, keys: &[FoundKey], screen: &mut Screen) -> Result<FoundKey, Failure> {
        let keys: Vec<Introduced> = keys.iter().map(Introduced::by_itself).collect();
        screen.say("Several keys are plugged in:");
        for (number, key) in (1..).zip(&keys) {
            screen.say(&format!("  {number}  {key}"));
        }
        let question = format!(
            "{} [1-{}, nothing for none] ",
            self.to_make.question_of_several(),
            keys.len()
        );
        let chosen = answer(&question, screen)
            .and_then(|line| number(&line))
            .and_then(|number| keys.get(number.checked_sub(1)?));
        let chosen = chosen.ok_or_else(|| {
            Failure::new(
                format!(
                    "no key was {}, since nobody said which",
                    self.to_make.done()
                ),
                format!("unplug what is not yours and run again: {}", self.again),
            )
        })?;
        self.refuse_the_unfit(chosen)?;
        Ok(chosen.key.clone())
    }

    /// Whoever plugs theirs in while the question stands means that one. A key
    /// that was pulled out meanwhile is missed when it is asked.
    fn still_among(&mut self, keys: &[FoundKey]) -> Result<(), Failure> {
        let now = choose(&hidraw::find(), &mut self.has_it);
        if now.len() > 1 && now.iter().any(|key| !keys.contains(key)) {
            return Err(self.several(&now));
        }
        Ok(())
    }

    fn several(&self, keys: &[FoundKey]) -> Failure {
        let list: Vec<String> = keys.iter().map(ToString::to_string).collect();
        let happened = format!("several keys could be meant: {}", list.join(", "));
        match self.to_make.by_name() {
            Some(command) => Failure::new(happened, format!("say which is meant: {command}")),
            None => Failure::new(
                happened,
                format!(
                    "leave only the {} plugged in and run again: {}",
                    self.to_make.wanted(),
                    self.again
                ),
            ),
        }
    }

    fn cannot_wait(&self, problem: nix::Error) -> Failure {
        Failure::new(
            format!("/dev cannot be watched for a key: {}", problem.desc()),
            format!("plug the key in first and run again: {}", self.again),
        )
    }
}

/// The number that was typed, and nothing else.
fn number(answer: &[u8]) -> Option<usize> {
    std::str::from_utf8(answer.trim_ascii()).ok()?.parse().ok()
}

/// A key with what it says of itself.
struct Introduced {
    key: FoundKey,
    said: Result<Info, Mute>,
}

impl Introduced {
    fn by_itself(key: &FoundKey) -> Self {
        Self {
            key: key.clone(),
            said: introduction(key),
        }
    }
}

impl fmt::Display for Introduced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.said {
            Ok(info) => write!(f, "{}, AAGUID {}", self.key, info.aaguid),
            Err(Mute::OnlyU2f) => write!(f, "{}, which speaks only U2F", self.key),
            Err(Mute::Silent) => write!(f, "{}, which does not say what it is", self.key),
        }
    }
}

/// The keys that could be meant, of those that were found.
fn choose<K: Clone + PartialEq>(found: &[K], vouched: &mut Option<K>) -> Vec<K> {
    // Once it is unplugged, the next key in its place is another one, even
    // where node and product are the same: some computers have one port.
    vouched.take_if(|key| !found.contains(key));
    found
        .iter()
        .filter(|key| vouched.as_ref() != Some(*key))
        .cloned()
        .collect()
}

fn pause(watch: &Watch, at_most: Duration) -> nix::Result<()> {
    // Rounded up, or the last millisecond would be a busy loop.
    let timeout = PollTimeout::try_from(at_most + Duration::from_millis(1));
    let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
    match poll(&mut fds, timeout.unwrap_or(PollTimeout::MAX)) {
        Ok(_) | Err(nix::Error::EINTR) => {
            watch.hidraw_changed();
            Ok(())
        }
        Err(problem) => Err(problem),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_a_number() {
        assert_eq!(number(b"2"), Some(2));
        assert_eq!(number(b" 2 "), Some(2));
        for no in [&b""[..], b"two", b"2.", b"1 2", b"-1", b"y", b"\xff"] {
            assert_eq!(number(no), None, "{no:?}");
        }
    }

    #[test]
    fn the_key_that_vouched_is_not_one_to_enrol() {
        let mut vouched = Some("blue");
        assert!(choose(&["blue"], &mut vouched).is_empty());
        assert_eq!(choose(&["blue", "green"], &mut vouched), ["green"]);
        assert_eq!(choose(&["blue", "green"], &mut None), ["blue", "green"]);
    }

    #[test]
    fn a_key_in_the_place_of_the_one_that_vouched_is_another() {
        let mut vouched = Some("blue");
        assert!(choose(&[], &mut vouched).is_empty());
        assert_eq!(choose(&["blue"], &mut vouched), ["blue"]);
    }
}

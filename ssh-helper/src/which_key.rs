//! Which key is to be enrolled: one the person has named and confirmed.
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
use crate::registering::Registering;
use crate::screen::Screen;
use crate::terminal::{self, answer, is_yes};
use crate::whose_account::Root;

/// A key to enrol, not yet chosen.
pub(crate) struct Choosing<'a> {
    /// What it is to make, for whom.
    pub(crate) registering: &'a Registering<'a>,
    /// A key that the account has, as we know by now, and is not the one.
    pub(crate) has_it: Option<FoundKey>,
}

impl Choosing<'_> {
    /// Waits for it, and asks whether it is the one, or which.
    pub(crate) fn ask(mut self, screen: &mut Screen) -> Result<FoundKey, Failure> {
        let keys = self.wait_for_one(screen)?;
        let asked = match self.registering.root {
            Root::OnBehalf(_) => true,
            // A script of root's, which can write the file without us.
            Root::Directly => terminal::somebody_is_there(),
        };
        match (keys.as_slice(), asked) {
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
        let deadline = Instant::now() + self.registering.timeout;
        let waits = if self.has_it.is_some() {
            "Plug in the key to enrol; the one that is enrolled may stay"
        } else {
            "Plug in the key to enrol"
        };
        loop {
            let keys = choose(&hidraw::find(), &mut self.has_it);
            if !keys.is_empty() {
                return Ok(keys);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::new(
                    "no security key to enrol was plugged in",
                    format!(
                        "plug it in and run again: {} \
                         (a key that is there but not seen: check `ls /sys/class/hidraw`)",
                        self.registering.again
                    ),
                ));
            }
            screen.count_down(waits, left);
            pause(&watch, left.min(Duration::from_secs(1)))
                .map_err(|problem| self.cannot_wait(problem))?;
        }
    }

    /// Asks whether `key` is the one that is meant.
    fn confirm(&self, key: &FoundKey, screen: &mut Screen) -> Result<(), Failure> {
        let question = format!("Enrol {key} for {}? [y/N] ", self.registering.account.name);
        let answer = answer(&question, screen);
        if answer.is_some_and(|line| is_yes(&line)) {
            return Ok(());
        }
        Err(Failure::new(
            format!("{key} was not enrolled, since nobody said yes to it"),
            format!(
                "unplug what is not yours and run again: {}",
                self.registering.again
            ),
        ))
    }

    /// Before anybody says yes to it.
    fn refuse_the_unfit(&self, key: &Introduced) -> Result<(), Failure> {
        let said = key.said.as_ref().map_err(|mute| *mute);
        match self.registering.unfit(said) {
            Some(refused) => Err(self.registering.failure(&refused, &key.key)),
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
            "Which one is to be enrolled for {}? [1-{}, nothing for none] ",
            self.registering.account.name,
            keys.len()
        );
        let chosen = answer(&question, screen)
            .and_then(|line| number(&line))
            .and_then(|number| keys.get(number.checked_sub(1)?));
        let chosen = chosen.ok_or_else(|| {
            Failure::new(
                "no key was enrolled, since nobody said which",
                format!(
                    "unplug what is not yours and run again: {}",
                    self.registering.again
                ),
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
        Failure::new(
            format!("several keys could be meant: {}", list.join(", ")),
            format!(
                "leave only the one to enrol plugged in and run again: {}",
                self.registering.again
            ),
        )
    }

    fn cannot_wait(&self, problem: nix::Error) -> Failure {
        Failure::new(
            format!("/dev cannot be watched for a key: {}", problem.desc()),
            format!(
                "plug the key in first and run again: {}",
                self.registering.again
            ),
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

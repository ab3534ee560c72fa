//! Which key is to be enrolled: the only one there is, if the person says so.
//!
//! Nobody can tell two keys apart by their device nodes, and a hidden stick
//! that touches itself must not become somebody's key; so where several could
//! be meant, none is, and the one that is left is named before it is asked for
//! anything.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ceremony::account::Account;
use ceremony::authenticator::hidraw::{self, FoundKey, Watch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::Failure;
use crate::screen::Screen;
use crate::terminal::{self, Echo};
use crate::whose_account::Root;

/// A key to enrol, not yet chosen.
pub(crate) struct Choosing<'a> {
    /// For whom.
    pub(crate) account: &'a Account,
    /// How we came to be root.
    pub(crate) root: Root,
    /// The key that has just vouched for it, and is not the one.
    pub(crate) vouched: Option<FoundKey>,
    /// How long to wait for it where none is plugged in.
    pub(crate) timeout: Duration,
    /// What to type to begin again.
    pub(crate) again: &'a str,
}

impl Choosing<'_> {
    /// Waits for it, and asks whether it is the one. Nothing is sent to it.
    pub(crate) fn ask(mut self, screen: &mut Screen) -> Result<FoundKey, Failure> {
        let key = self.wait_for_the_only_one(screen)?;
        match self.root {
            Root::OnBehalf(_) => self.confirm(&key, screen)?,
            Root::Directly if terminal::somebody_is_there() => self.confirm(&key, screen)?,
            // A script of root's, which can write the file without us.
            Root::Directly => {}
        }
        Ok(key)
    }

    fn wait_for_the_only_one(&mut self, screen: &mut Screen) -> Result<FoundKey, Failure> {
        // Before the first look, or a key that comes between the two is missed.
        let watch = Watch::new().map_err(|problem| self.cannot_wait(problem))?;
        let deadline = Instant::now() + self.timeout;
        let waits = if self.vouched.is_some() {
            "Plug in the key to enrol; the one that vouched for it may stay"
        } else {
            "Plug in the key to enrol"
        };
        loop {
            match choose(&hidraw::find(), &mut self.vouched) {
                Choice::Only(key) => return Ok(key),
                Choice::Several(keys) => return Err(self.several(&keys)),
                Choice::None => {}
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::new(
                    "no security key to enrol was plugged in",
                    format!(
                        "plug it in and run again: {} \
                         (a key that is there but not seen: check `ls /sys/class/hidraw`)",
                        self.again
                    ),
                ));
            }
            screen.count_down(waits, left);
            pause(&watch, left.min(Duration::from_secs(1)))
                .map_err(|problem| self.cannot_wait(problem))?;
        }
    }

    /// Asks whether `key` is the one that is meant.
    fn confirm(&mut self, key: &FoundKey, screen: &mut Screen) -> Result<(), Failure> {
        let question = format!("Enrol {key} for {}? [y/N] ", self.account.name);
        let answer = terminal::read_line(|| screen.ask(&question), Echo::On);
        if answer.is_err() {
            // Only a line's own end ends the question's line.
            screen.say("");
        }
        if !answer.is_ok_and(|line| is_yes(&line)) {
            return Err(Failure::new(
                format!("{key} was not enrolled, since nobody said yes to it"),
                format!("unplug what is not yours and run again: {}", self.again),
            ));
        }
        // Whoever plugs theirs in while the question stands means that one. A
        // key that was pulled out meanwhile is missed when it is asked.
        match choose(&hidraw::find(), &mut self.vouched) {
            Choice::Several(keys) => Err(self.several(&keys)),
            Choice::Only(_) | Choice::None => Ok(()),
        }
    }

    fn several(&self, keys: &[FoundKey]) -> Failure {
        let list: Vec<String> = keys.iter().map(ToString::to_string).collect();
        Failure::new(
            format!("several keys could be meant: {}", list.join(", ")),
            format!(
                "leave only the one to enrol plugged in and run again: {}",
                self.again
            ),
        )
    }

    fn cannot_wait(&self, problem: nix::Error) -> Failure {
        Failure::new(
            format!("/dev cannot be watched for a key: {}", problem.desc()),
            format!("plug the key in first and run again: {}", self.again),
        )
    }
}

/// Yes, said in so many words; anything else is no.
fn is_yes(answer: &[u8]) -> bool {
    let answer = answer.trim_ascii();
    answer.eq_ignore_ascii_case(b"y") || answer.eq_ignore_ascii_case(b"yes")
}

/// What the keys that are plugged in leave to choose.
#[derive(Debug, PartialEq, Eq)]
enum Choice<K> {
    None,
    Only(K),
    Several(Vec<K>),
}

fn choose<K: Clone + PartialEq>(found: &[K], vouched: &mut Option<K>) -> Choice<K> {
    // Once it is unplugged, the next key in its place is another one, even
    // where node and product are the same: some computers have one port.
    vouched.take_if(|key| !found.contains(key));
    let candidates: Vec<&K> = found
        .iter()
        .filter(|key| vouched.as_ref() != Some(*key))
        .collect();
    match candidates.as_slice() {
        [] => Choice::None,
        [only] => Choice::Only((*only).clone()),
        several => Choice::Several(several.iter().copied().cloned().collect()),
    }
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
    fn only_yes_is_yes() {
        for yes in [&b"y"[..], b"Y", b"yes", b" yes "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in [&b""[..], b"n", b"no", b"yes?", b"yy", b"ye", b"y\0", b"j"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }

    #[test]
    fn the_only_key_is_meant() {
        assert_eq!(choose(&["green"], &mut None), Choice::Only("green"));
        assert_eq!(choose::<&str>(&[], &mut None), Choice::None);
    }

    #[test]
    fn of_several_keys_none_is_meant() {
        assert_eq!(
            choose(&["green", "hidden"], &mut None),
            Choice::Several(vec!["green", "hidden"])
        );
        assert_eq!(
            choose(&["blue", "green", "hidden"], &mut Some("blue")),
            Choice::Several(vec!["green", "hidden"])
        );
    }

    #[test]
    fn the_key_that_vouched_is_not_the_one_to_enrol() {
        let mut vouched = Some("blue");
        assert_eq!(choose(&["blue"], &mut vouched), Choice::None);
        assert_eq!(
            choose(&["blue", "green"], &mut vouched),
            Choice::Only("green")
        );
    }

    #[test]
    fn a_key_in_the_place_of_the_one_that_vouched_is_another() {
        let mut vouched = Some("blue");
        assert_eq!(choose(&[], &mut vouched), Choice::None);
        assert_eq!(choose(&["blue"], &mut vouched), Choice::Only("blue"));
    }
}

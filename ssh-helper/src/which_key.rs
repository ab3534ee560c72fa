//! Which key is to be enrolled: the only one there is.
//!
//! Nobody can tell two keys apart by their device nodes, and a hidden stick
//! that touches itself must not become somebody's key; so where several could
//! be meant, none is.
#![forbid(unsafe_code)]

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use ceremony::authenticator::hidraw::{self, FoundKey, Watch};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::Failure;
use crate::screen::Screen;

/// The key to enrol. Waits for it until `deadline` where none is plugged in;
/// `vouched`, the key that has just vouched for it, is not one.
pub(crate) fn to_enroll(
    mut vouched: Option<FoundKey>,
    deadline: Instant,
    screen: &mut Screen,
) -> Result<FoundKey, Failure> {
    // Before the first look, or a key that comes between the two is missed.
    let watch = Watch::new().map_err(cannot_wait)?;
    let waits = if vouched.is_some() {
        "Plug in the key to enrol; the one that vouched for it may stay"
    } else {
        "Plug in the key to enrol"
    };
    loop {
        match choose(&hidraw::find(), &mut vouched) {
            Choice::Only(key) => return Ok(key),
            Choice::Several(keys) => return Err(several(&keys)),
            Choice::None => {}
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Failure::new(
                "no security key to enrol was plugged in",
                "plug it in and run again: sudo passkey enroll \
                 (a key that is there but not seen: check `ls /sys/class/hidraw`)",
            ));
        }
        screen.count_down(waits, left);
        pause(&watch, left.min(Duration::from_secs(1))).map_err(cannot_wait)?;
    }
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

fn several(keys: &[FoundKey]) -> Failure {
    let list: Vec<String> = keys.iter().map(ToString::to_string).collect();
    Failure::new(
        format!("several keys could be meant: {}", list.join(", ")),
        "leave only the one to enrol plugged in and run again: sudo passkey enroll",
    )
}

fn cannot_wait(problem: nix::Error) -> Failure {
    Failure::new(
        format!("/dev cannot be watched for a key: {}", problem.desc()),
        "plug the key in first and run again: sudo passkey enroll",
    )
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

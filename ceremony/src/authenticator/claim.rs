//! One ceremony per key at a time, among all programs of root's on this
//! machine.
//!
//! Malware that starts its own sudo a moment before its person does would
//! otherwise get the touch that is meant for the other. The second ceremony
//! leaves the key alone and says what the first one is for.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::hidraw::FoundKey;
use crate::trusted_file::{CannotLock, CannotOpen, Holder, Lock, ROOT, STATE, TrustedDir};

/// How much of a request is kept for others to read.
const LONGEST_REQUEST: usize = 400;

/// The claims of one ceremony: `/var/lib/pam-passkey/keys/<device number>`, a
/// lock each, with the request in it.
#[derive(Debug)]
pub struct Claims {
    dir: TrustedDir,
    request: String,
}

impl Claims {
    /// Claims in the name of `request`, which others are shown. Root's alone:
    /// a lock that anybody could take would be a way to lock others out.
    pub fn open(request: &str) -> Result<Self, CannotOpen> {
        Self::open_at(Path::new(STATE), ROOT, request)
    }

    fn open_at(state: &Path, owner: u32, request: &str) -> Result<Self, CannotOpen> {
        let dir = TrustedDir::open_or_create_owned_by(state, 0o700, owner)?
            .open_or_create_dir("keys", 0o700)?;
        Ok(Self {
            dir,
            request: request.chars().take(LONGEST_REQUEST).collect(),
        })
    }

    /// Claims `key`, without waiting, for no longer than `within`.
    pub(super) fn claim(&self, key: &FoundKey, within: Duration) -> Claimed {
        self.claim_until(key, since_boot() + within + GRACE)
    }

    /// Claims `key` for work that is not a race. `Err`: another ceremony has it,
    /// for this, where it says.
    pub fn claim_alone(
        &self,
        key: &FoundKey,
        within: Duration,
    ) -> Result<Option<Lock>, Option<String>> {
        match self.claim(key, within) {
            Claimed::Ours(lock) => Ok(Some(lock)),
            Claimed::Theirs(request) => Err(request),
            Claimed::Overdue | Claimed::Impossible(_) => Ok(None),
        }
    }

    fn claim_until(&self, key: &FoundKey, until: Duration) -> Claimed {
        let name = key.device().replace(':', "-");
        let words = format!("{} {}", until.as_secs(), self.request);
        match self.dir.lock_saying(&name, Duration::ZERO, &words) {
            Ok(lock) => Claimed::Ours(lock),
            Err(CannotLock::Held { holder, .. }) => {
                let words = holder.as_ref().map(Holder::words);
                match words.and_then(|words| words.split_once(' ')) {
                    Some((until, _)) if is_over(until) => Claimed::Overdue,
                    Some((_, request)) => Claimed::Theirs(Some(request.to_owned())),
                    // Its line is just being written.
                    None => Claimed::Theirs(None),
                }
            }
            Err(problem) => Claimed::Impossible(problem),
        }
    }
}

/// How long after its deadline a ceremony may still hold a key: it has to leave
/// its conversation and put lights out.
const GRACE: Duration = Duration::from_secs(2);

/// Time since boot, sleep included: a clock that nobody sets, and that all
/// processes share.
fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Duration::ZERO, Duration::from)
}

fn is_over(until: &str) -> bool {
    until
        .parse()
        .is_ok_and(|seconds| since_boot() > Duration::from_secs(seconds))
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Claimed {
    /// Ours until the lock is dropped.
    Ours(Lock),
    /// Another ceremony has it, for this.
    Theirs(Option<String>),
    /// Another ceremony has it, and should long have ended: a host that was
    /// stopped with Ctrl-Z must not keep a key for ever.
    Overdue,
    /// There is no way to tell. A full disk must not keep people out, so the
    /// ceremony goes on without.
    Impossible(CannotLock),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trusted_file::scratch::{Scratch, me, set_mode};

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn the_second_ceremony_is_told_what_the_first_one_is_for() {
        let scratch = Scratch::new();
        set_mode(scratch.path(), 0o700);
        let claims = |request| Claims::open_at(scratch.path(), me(), request).unwrap();
        let (first, second) = (claims("sudo for alice: 'a \"b\"'"), claims("su for bob"));
        let key = FoundKey::imagined(3);
        let Claimed::Ours(lock) = first.claim(&key, MINUTE) else {
            panic!("nobody else has it");
        };
        match second.claim(&key, MINUTE) {
            Claimed::Theirs(Some(words)) => assert_eq!(words, "sudo for alice: 'a \"b\"'"),
            other => panic!("{other:?}"),
        }
        // Another key is another lock.
        assert!(matches!(
            second.claim(&FoundKey::imagined(4), MINUTE),
            Claimed::Ours(_)
        ));
        drop(lock);
        assert!(matches!(second.claim(&key, MINUTE), Claimed::Ours(_)));
    }

    #[test]
    fn a_request_is_kept_to_its_first_four_hundred_characters() {
        let scratch = Scratch::new();
        set_mode(scratch.path(), 0o700);
        for (length, kept) in [(400, 400), (401, 400)] {
            let claims = Claims::open_at(scratch.path(), me(), &"ä".repeat(length)).unwrap();
            let key = FoundKey::imagined(1);
            let _lock = claims.claim(&key, MINUTE);
            match claims.claim(&key, MINUTE) {
                Claimed::Theirs(Some(words)) => assert_eq!(words.chars().count(), kept),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn who_holds_a_key_past_the_deadline_holds_it_no_more() {
        let scratch = Scratch::new();
        set_mode(scratch.path(), 0o700);
        let claims = |request| Claims::open_at(scratch.path(), me(), request).unwrap();
        let (first, second) = (claims("su for alice"), claims("sudo for alice"));
        let key = FoundKey::imagined(3);
        let now = since_boot();
        assert!(now > 2 * GRACE, "this machine has only just booted");
        for (until, over) in [(now.saturating_sub(GRACE), true), (now + MINUTE, false)] {
            let _lock = first.claim_until(&key, until);
            let claimed = second.claim(&key, MINUTE);
            assert_eq!(matches!(claimed, Claimed::Overdue), over, "{claimed:?}");
        }
    }

    #[test]
    fn what_a_request_says_is_shown_without_what_could_hide_or_move_it() {
        let scratch = Scratch::new();
        set_mode(scratch.path(), 0o700);
        let words = "sudo: \u{1b}[2Jls\nRequested by root \u{202e}";
        let claims = Claims::open_at(scratch.path(), me(), words).unwrap();
        let key = FoundKey::imagined(1);
        let _lock = claims.claim(&key, MINUTE);
        match claims.claim(&key, MINUTE) {
            Claimed::Theirs(Some(words)) => {
                assert_eq!(words, "sudo: ?[2Jls?Requested by root ?");
            }
            other => panic!("{other:?}"),
        }
    }
}

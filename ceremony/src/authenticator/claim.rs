//! One ceremony per key at a time, among all programs of root's on this
//! machine.
//!
//! Malware that starts its own sudo a moment before its person does would
//! otherwise get the touch that is meant for the other. The second ceremony
//! leaves the key alone and says what the first one is for.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::Duration;

use super::hidraw::FoundKey;
use crate::trusted_file::{CannotLock, CannotOpen, Lock, ROOT, STATE, TrustedDir};

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

    /// Claims `key`, without waiting.
    pub(super) fn claim(&self, key: &FoundKey) -> Claimed {
        let name = key.device().replace(':', "-");
        match self.dir.lock_saying(&name, Duration::ZERO, &self.request) {
            Ok(lock) => Claimed::Ours(lock),
            Err(CannotLock::Held { holder, .. }) => Claimed::Theirs(
                holder
                    .map(|holder| holder.words().to_owned())
                    .filter(|words| !words.is_empty()),
            ),
            Err(problem) => Claimed::Impossible(problem),
        }
    }
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum Claimed {
    /// Ours until the lock is dropped.
    Ours(Lock),
    /// Another ceremony has it, for this.
    Theirs(Option<String>),
    /// There is no way to tell. A full disk must not keep people out, so the
    /// ceremony goes on without.
    Impossible(CannotLock),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trusted_file::scratch::{Scratch, me, set_mode};

    #[test]
    fn the_second_ceremony_is_told_what_the_first_one_is_for() {
        let scratch = Scratch::new();
        set_mode(scratch.path(), 0o700);
        let claims = |request| Claims::open_at(scratch.path(), me(), request).unwrap();
        let (first, second) = (claims("sudo for alice: 'a \"b\"'"), claims("su for bob"));
        let key = FoundKey::imagined(3);
        let Claimed::Ours(lock) = first.claim(&key) else {
            panic!("nobody else has it");
        };
        match second.claim(&key) {
            Claimed::Theirs(Some(words)) => assert_eq!(words, "sudo for alice: 'a \"b\"'"),
            other => panic!("{other:?}"),
        }
        // Another key is another lock.
        assert!(matches!(
            second.claim(&FoundKey::imagined(4)),
            Claimed::Ours(_)
        ));
        drop(lock);
        assert!(matches!(second.claim(&key), Claimed::Ours(_)));
    }

    #[test]
    fn a_request_is_kept_to_its_first_four_hundred_characters() {
        let scratch = Scratch::new();
        set_mode(scratch.path(), 0o700);
        for (length, kept) in [(400, 400), (401, 400)] {
            let claims = Claims::open_at(scratch.path(), me(), &"ä".repeat(length)).unwrap();
            let key = FoundKey::imagined(1);
            let _lock = claims.claim(&key);
            match claims.claim(&key) {
                Claimed::Theirs(Some(words)) => assert_eq!(words.chars().count(), kept),
                other => panic!("{other:?}"),
            }
        }
    }
}

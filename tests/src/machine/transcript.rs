//! What a command prints, readable while it prints.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What a command says, collected while it says it.
#[derive(Clone, Default)]
pub(super) struct Transcript(Arc<(Mutex<Said>, Condvar)>);

#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    following: bool,
    used: bool,
}

impl Transcript {
    pub(super) fn follow(&self, from: OwnedFd) {
        self.change(|said| (said.following, said.used) = (true, true));
        let this = self.clone();
        thread::spawn(move || {
            let mut from = File::from(from);
            let mut bytes = [0; 4096];
            // The end is 0 of a pipe, and EIO of a terminal.
            while let Ok(length @ 1..) = from.read(&mut bytes) {
                this.change(|said| said.bytes.extend(&bytes[..length]));
            }
            this.change(|said| said.following = false);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Said)) {
        change(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(
            &self
                .0
                .0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .bytes,
        )
        .into_owned()
    }

    pub(super) fn is_unused(&self) -> bool {
        !self.0.0.lock().unwrap_or_else(PoisonError::into_inner).used
    }

    pub(super) fn wait_for(&self, text: &str, times: usize, deadline: Instant) -> bool {
        let patience = deadline.saturating_duration_since(Instant::now());
        let is_there = |said: &str| said.matches(text).count() >= times;
        self.wait_while(patience, |said| {
            said.following && !is_there(&String::from_utf8_lossy(&said.bytes))
        });
        is_there(&self.text())
    }

    pub(super) fn wait_for_end(&self) -> bool {
        self.wait_while(Duration::from_secs(5), |said| said.following)
    }

    /// Waits; false if the condition still holds when patience is at its end.
    fn wait_while(&self, patience: Duration, condition: impl Fn(&Said) -> bool) -> bool {
        let said = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (said, _) = self
            .0
            .1
            .wait_timeout_while(said, patience, |said| condition(said))
            .unwrap_or_else(PoisonError::into_inner);
        !condition(&said)
    }
}

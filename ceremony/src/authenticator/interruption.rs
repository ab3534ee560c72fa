//! Ctrl-C, noticed in time to put the keys' lights out.
//!
//! The signals that ask a program to stop are held back while a race runs, and
//! never taken away: whoever sent one finds it delivered as soon as we have
//! cancelled the keys and left. A signal that is read is lost; sudo, which
//! looks for it after us, would ask for a password instead of stopping.
//!
//! Only the calling thread is affected; in a host with several the kernel may
//! hand the signal to another, which is the host's way of doing things.
#![forbid(unsafe_code)]

use std::fs;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What asks a program to stop.
const SIGNALS: [Signal; 4] = [
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGTERM,
    Signal::SIGHUP,
];

/// Holds those signals back until dropped.
#[derive(Debug)]
pub struct Interruption {
    pending: SignalFd,
    held_back: SigSet,
    before: SigSet,
}

impl Interruption {
    /// Begins to hold back. `None` where it cannot be done; then a race cannot
    /// be interrupted, only waited for.
    pub fn hold_back() -> Option<Self> {
        let held_back: SigSet = not_ignored(&fs::read_to_string("/proc/self/status").ok()?)?;
        let pending =
            SignalFd::with_flags(&held_back, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
                .ok()?;
        let before = SigSet::thread_get_mask().ok()?;
        held_back.thread_block().ok()?;
        Some(Self {
            pending,
            held_back,
            before,
        })
    }

    /// Whether one has come. It stays pending.
    pub fn has_come(&self) -> bool {
        let mut fds = [PollFd::new(self.pending.as_fd(), PollFlags::POLLIN)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }

    /// Lets them through while `work` runs, which is the host's: a prompt can be
    /// left, and a terminal that takes no text be given up, as without us.
    pub fn let_through<T>(&self, work: impl FnOnce() -> T) -> T {
        // Neither call fails with a set that the kernel gave, or we made.
        let _ = self.before.thread_set_mask();
        let result = work();
        let _ = self.held_back.thread_block();
        result
    }
}

impl Drop for Interruption {
    fn drop(&mut self) {
        let _ = self.before.thread_set_mask();
    }
}

/// Readable when a signal is pending. Never read.
impl AsFd for Interruption {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pending.as_fd()
    }
}

/// Those of [`SIGNALS`] that this process does not ignore, by the `SigIgn` of
/// `/proc/self/status`: under nohup a SIGHUP is no reason to stop.
fn not_ignored(status: &str) -> Option<SigSet> {
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    let ignored = u64::from_str_radix(ignored.trim(), 16).ok()?;
    let bit = |signal: Signal| 1_u64 << (signal as u32 - 1);
    Some(
        SIGNALS
            .into_iter()
            .filter(|&signal| ignored & bit(signal) == 0)
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_no_reason_to_stop() {
        let none = not_ignored("SigIgn:\t0000000000000000\n").unwrap();
        for signal in SIGNALS {
            assert!(none.contains(signal));
        }
        // SIGHUP is 1, SIGINT 2
        let nohup = not_ignored("SigBlk:\t0\nSigIgn:\t0000000000000001\n").unwrap();
        assert!(!nohup.contains(Signal::SIGHUP) && nohup.contains(Signal::SIGINT));
        let background = not_ignored("SigIgn:\t0000000000000006\n").unwrap();
        assert!(!background.contains(Signal::SIGINT) && !background.contains(Signal::SIGQUIT));
        assert!(not_ignored("").is_none());
    }

    #[test]
    fn a_signal_is_noticed_and_stays_pending_and_the_mask_comes_back() {
        let before = SigSet::thread_get_mask().unwrap();
        let interruption = Interruption::hold_back().unwrap();
        assert!(!interruption.has_come());
        // To this thread alone: the harness has others.
        nix::sys::signal::raise(Signal::SIGTERM).unwrap();
        assert!(interruption.has_come());
        assert!(interruption.has_come(), "looking takes nothing away");
        // Taken here, or dropping would end the test.
        interruption.pending.read_signal().unwrap();
        assert!(!interruption.has_come());
        drop(interruption);
        assert_eq!(SigSet::thread_get_mask().unwrap(), before);
    }
}

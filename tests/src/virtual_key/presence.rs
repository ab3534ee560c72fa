//! The finger: who touches the key, and when. Scripted while the key runs.

#![forbid(unsafe_code)]

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opensk::api::connection::{RecvStatus, UsbEndpoint};
use opensk::api::user_presence::{UserPresence, UserPresenceError, UserPresenceWaitResult};
use opensk::ctap::status_code::Ctap2StatusCode;

use super::wire::{Arrival, Wire};

/// What the person in front of the key does when it blinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// Touches it before it could even blink: no keepalive is ever sent.
    Accept,
    /// Refuses at once (`CTAP2_ERR_OPERATION_DENIED`), as a key with a cross button can.
    Deny,
    /// Touches it this long after it began to wait, and never before it has blinked once: on a busy
    /// machine the firmware's first keepalive, due after 100 ms, may be late.
    After(Duration),
    /// Does nothing: the key waits for its own 30 s, for CANCEL, or to be unplugged.
    Never,
}

impl Presence {
    /// Touches the key this many milliseconds after it began to wait.
    #[must_use]
    pub fn after_ms(milliseconds: u64) -> Self {
        Self::After(Duration::from_millis(milliseconds))
    }
}

/// The script and what the key is doing about it, shared between a test and the key's thread.
#[derive(Clone)]
pub(super) struct Script(Arc<(Mutex<State>, Condvar)>);

struct State {
    presence: Presence,
    waiting_since: Option<Instant>,
    has_blinked: bool,
    moments: Moments,
}

/// When the key began to wait for its person, and when it was touched.
#[derive(Clone, Copy, Debug, Default)]
pub struct Moments {
    /// The first time it waited.
    pub waited: Option<Instant>,
    /// The last time it was touched, as its firmware noticed.
    pub touched: Option<Instant>,
}

impl Script {
    pub(super) fn new(presence: Presence) -> Self {
        let state = State {
            presence,
            waiting_since: None,
            has_blinked: false,
            moments: Moments::default(),
        };
        Self(Arc::new((Mutex::new(state), Condvar::new())))
    }

    pub(super) fn set(&self, presence: Presence) {
        self.with(|state| state.presence = presence);
    }

    /// Blocks until the key waits for a touch; false if it did not within `patience`.
    pub(super) fn wait_until_asked(&self, patience: Duration) -> bool {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let (state, _) = changed
            .wait_timeout_while(state, patience, |state| state.waiting_since.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.waiting_since.is_some()
    }

    pub(super) fn moments(&self) -> Moments {
        self.with(|state| state.moments)
    }

    pub(super) fn forget_moments(&self) {
        self.with(|state| state.moments = Moments::default());
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (state, changed) = &*self.0;
        let answer = change(&mut state.lock().unwrap_or_else(PoisonError::into_inner));
        changed.notify_all();
        answer
    }

    /// The person's answer by now; `Timeout` is CTAP's word for "not yet".
    fn answer(&self) -> Result<(), UserPresenceError> {
        self.with(|state| match (state.presence, state.waiting_since) {
            (Presence::Accept, _) => Ok(()),
            (Presence::Deny, _) => Err(UserPresenceError::Declined),
            (Presence::After(pause), Some(since))
                if since.elapsed() >= pause && state.has_blinked =>
            {
                Ok(())
            }
            (Presence::After(_) | Presence::Never, _) => Err(UserPresenceError::Timeout),
        })
    }

    /// U2F does not wait, it is polled: each poll asks whether the key was touched by now.
    pub(super) fn touched_for_u2f(&self) -> bool {
        self.with(|state| {
            state.waiting_since.get_or_insert_with(Instant::now);
            state.has_blinked = true;
        });
        let touched = self.answer().is_ok();
        if touched {
            self.stop_waiting();
        }
        touched
    }

    pub(super) fn start_waiting(&self) {
        self.with(|state| {
            let now = Instant::now();
            state.waiting_since = Some(now);
            state.has_blinked = false;
            state.moments.waited.get_or_insert(now);
        });
    }

    pub(super) fn stop_waiting(&self) {
        self.with(|state| state.waiting_since = None);
    }
}

/// The firmware's side of the script.
pub(super) struct Finger {
    pub(super) script: Script,
    pub(super) wire: Arc<Wire>,
}

/// How soon a change of the script, or a touch falling due, is noticed.
pub(super) const GLANCE: Duration = Duration::from_millis(5);

impl UserPresence for Finger {
    fn check_init(&mut self) {
        self.script.start_waiting();
    }

    /// Waits for the touch, and hands every packet that comes meanwhile to the firmware: that is
    /// how a CANCEL gets through to a key that waits.
    fn wait_with_timeout(
        &mut self,
        packet: &mut [u8; 64],
        timeout_ms: usize,
    ) -> UserPresenceWaitResult {
        let until = Instant::now() + Duration::from_millis(timeout_ms as u64);
        loop {
            // The wire before the finger: a CANCEL that is already here beats the touch after it.
            match self.wire.receive(Duration::ZERO) {
                Arrival::Report(report) => {
                    *packet = report;
                    let not_yet = Err(UserPresenceError::Timeout);
                    return Ok((not_yet, RecvStatus::Received(UsbEndpoint::MainHid)));
                }
                Arrival::Unplugged => {
                    return Err(Ctap2StatusCode::CTAP2_ERR_VENDOR_HARDWARE_FAILURE);
                }
                Arrival::Nothing => {}
            }
            let answer = self.script.answer();
            if !matches!(answer, Err(UserPresenceError::Timeout)) || Instant::now() >= until {
                // The firmware sends a keepalive before it waits again.
                self.script.with(|state| {
                    state.has_blinked = true;
                    if answer.is_ok() {
                        state.moments.touched = Some(Instant::now());
                    }
                });
                return Ok((answer, RecvStatus::Timeout));
            }
            self.wire.wait_readable(GLANCE);
        }
    }

    fn check_complete(&mut self) {
        self.script.stop_waiting();
    }
}

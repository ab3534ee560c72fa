//! The sensor: a finger that is the right one, a wrong one, or none. Scripted as the touch is.
//!
//! Only the build with `--features built-in-uv` has it. What opensk then does, so that nobody
//! takes it for the specification:
//!
//! - Option `uv` in getAssertion and makeCredential asks the sensor, for silent assertions too. A
//!   match sets UV and counts as the touch: the key does not blink a second time. With no
//!   fingerprint enrolled it is `INVALID_OPTION` (0x2C). No PIN need be set.
//! - getPinUvAuthTokenUsingUvWithPermissions asks the sensor and counts as the touch of the
//!   assertion that spends the token. The token itself comes without a PIN, but makeCredential and
//!   getAssertion answer a pinUvAuthParam with `PIN_NOT_SET` (0x35) as long as there is none. With
//!   no fingerprint it is `NOT_ALLOWED` (0x30).
//! - A wrong finger is `UV_INVALID` (0x3F) after `max_uv_attempts_for_internal_retries`, one if
//!   nothing else is said. The token knows no attempt but the first where
//!   `preferred_platform_uv_attempts` is not one.
//! - `max_uv_retries` wrong fingers, eight, block the sensor: `UV_BLOCKED` (0x3C) for the token,
//!   `PIN_BLOCKED` (0x32) for option `uv`, and so already in answer to the last of them. A match
//!   or the right PIN gives all tries back. PIN tries are not touched, but a blocked PIN blocks
//!   the sensor too.
//! - Nobody's finger is `USER_ACTION_TIMEOUT` (0x2F) after thirty seconds.
//! - alwaysUv is content with either. U2F stays off with it, although the key could verify.
//!
//! opensk reads no packets while it asks the sensor: CANCEL and the other channels are seen to
//! here, as they are in a touch.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opensk::api::fingerprint::{
    Ctap2EnrollFeedback, Fingerprint as SensorHardware, FingerprintCheckError, FingerprintKind,
};
use opensk::api::persist::Persist as _;
use opensk::ctap::status_code::{Ctap2StatusCode, CtapResult};

use super::message::{CANCEL, KEEPALIVE, Message, head};
use super::presence::{GLANCE, Script};
use super::storage::Storage;
use super::wire::{Arrival, Report, Wire};

/// Whose finger lies on the sensor when the key asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fingerprint {
    /// The owner's.
    Matches,
    /// Somebody else's, or a wet one.
    DoesNotMatch,
    /// None: the key waits for its own 30 s, for CANCEL, or to be unplugged.
    Nobody,
}

/// What comes of one touch of a finger that is enrolled (CTAP 2.1 §6.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// It is one of those that are wanted.
    Good,
    /// The finger moved too fast.
    TooFast,
    /// Nobody touched the sensor.
    Nobody,
}

/// The script, shared between a test and the key's thread.
#[derive(Clone)]
pub(super) struct FingerprintScript(Arc<Mutex<State>>);

struct State {
    fingerprint: Fingerprint,
    /// Of a finger that is enrolled; all good when there are no more.
    samples: VecDeque<Sample>,
    /// How many of it are still wanted.
    wanted: usize,
}

impl FingerprintScript {
    pub(super) fn new(fingerprint: Fingerprint) -> Self {
        Self(Arc::new(Mutex::new(State {
            fingerprint,
            samples: VecDeque::new(),
            wanted: SAMPLES,
        })))
    }

    pub(super) fn set(&self, fingerprint: Fingerprint) {
        self.state().fingerprint = fingerprint;
    }

    pub(super) fn set_samples(&self, samples: &[Sample]) {
        self.state().samples = samples.iter().copied().collect();
    }

    fn get(&self) -> Fingerprint {
        self.state().fingerprint
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many good samples a new finger takes.
const SAMPLES: usize = 3;

/// The one fingerprint that is enrolled from the start.
const OWNERS: [u8; 1] = [1];

/// Enrols the owner's finger, unless one is.
pub(super) fn enrol_owner(storage: &Storage) {
    let mut storage = storage.clone();
    let enrolled = storage.template_infos().expect("memory gives its list");
    if enrolled.is_empty() {
        storage
            .store_template_id(OWNERS.to_vec())
            .expect("memory takes a fingerprint");
    }
}

/// How often a key that waits says so (CTAP 2.1 §11.2.9.1.7).
const BLINK: Duration = Duration::from_millis(100);

/// The firmware's side of the script.
pub(super) struct Sensor {
    pub(super) fingerprint: FingerprintScript,
    /// The touch's script is told of the wait, so that `wait_until_it_blinks` holds for both.
    pub(super) touch: Script,
    pub(super) wire: Arc<Wire>,
    pub(super) storage: Storage,
    /// Whose request it is.
    pub(super) channel: u32,
    /// Why the check was broken off, and the count of wrong fingers until then.
    pub(super) broken_off: Option<(Ctap2StatusCode, u8)>,
}

impl Sensor {
    /// opensk's loop ends with a match or a miss and with nothing else. So a check that is broken
    /// off ends as a match, and `check_fingerprint_complete` takes it back: its error is the one
    /// the host gets.
    fn break_off(&mut self, status: Ctap2StatusCode) {
        let misses = self.storage.uv_fails().unwrap_or(0);
        self.broken_off = Some((status, misses));
    }

    fn is_cancelled_by(&self, report: &Report) -> bool {
        let (channel, command) = head(report);
        if channel == self.channel {
            return command == Some(CANCEL);
        }
        if command.is_some() {
            self.say(&Message::error(channel, 0x06)); // ERR_CHANNEL_BUSY
        }
        false
    }

    fn say(&self, message: &Message) {
        for packet in message.packets() {
            self.wire.send(&packet);
        }
    }
}

impl SensorHardware for Sensor {
    fn check_fingerprint_init(&mut self) -> CtapResult<()> {
        self.touch.start_waiting();
        Ok(())
    }

    fn check_fingerprint(&mut self, timeout_ms: usize) -> Result<(), FingerprintCheckError> {
        let until = Instant::now() + Duration::from_millis(timeout_ms as u64);
        let mut blinks_at = Instant::now() + BLINK;
        loop {
            match self.wire.receive(Duration::ZERO) {
                Arrival::Report(report) if self.is_cancelled_by(&report) => {
                    self.break_off(Ctap2StatusCode::CTAP2_ERR_KEEPALIVE_CANCEL);
                    return Ok(());
                }
                Arrival::Unplugged => {
                    self.break_off(Ctap2StatusCode::CTAP2_ERR_VENDOR_HARDWARE_FAILURE);
                    return Ok(());
                }
                Arrival::Report(_) | Arrival::Nothing => {}
            }
            match self.fingerprint.get() {
                Fingerprint::Matches => return Ok(()),
                Fingerprint::DoesNotMatch => return Err(FingerprintCheckError::NoMatch),
                Fingerprint::Nobody => {}
            }
            // The last one of each round is opensk's.
            if Instant::now() >= until {
                return Err(FingerprintCheckError::Timeout);
            }
            if Instant::now() >= blinks_at {
                blinks_at += BLINK;
                self.say(&Message {
                    channel: self.channel,
                    command: KEEPALIVE,
                    bytes: vec![2], // STATUS_UPNEEDED
                });
            }
            self.wire.wait_readable(GLANCE);
        }
    }

    fn check_fingerprint_complete(&mut self) -> CtapResult<()> {
        self.touch.stop_waiting();
        let Some((status, misses)) = self.broken_off.take() else {
            return Ok(());
        };
        for _ in 0..misses {
            self.storage.incr_uv_fails()?;
        }
        Err(status)
    }

    fn prepare_enrollment(&mut self) -> CtapResult<()> {
        self.fingerprint.state().wanted = SAMPLES;
        Ok(())
    }

    fn capture_sample(
        &mut self,
        _: Option<usize>,
    ) -> CtapResult<(Ctap2EnrollFeedback, usize, Option<Vec<u8>>)> {
        let mut state = self.fingerprint.state();
        let feedback = match state.samples.pop_front().unwrap_or(Sample::Good) {
            Sample::Good => {
                state.wanted -= 1;
                Ctap2EnrollFeedback::FpGood
            }
            Sample::TooFast => Ctap2EnrollFeedback::FpTooFast,
            Sample::Nobody => Ctap2EnrollFeedback::NoUserActivity,
        };
        let another = OWNERS.map(|id| id + 1).to_vec();
        Ok((feedback, state.wanted, Some(another)))
    }

    fn cancel_enrollment(&mut self) -> CtapResult<()> {
        Ok(())
    }

    fn remove_enrollment(&mut self, _: &[u8]) -> CtapResult<()> {
        Ok(())
    }

    fn fingerprint_kind(&self) -> FingerprintKind {
        FingerprintKind::Touch
    }

    fn max_capture_samples_required_for_enroll(&self) -> usize {
        SAMPLES
    }
}

//! The inside of the key: opensk on this process's clock and random numbers.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use opensk::api::clock::Clock;
use opensk::api::crypto::software_crypto::SoftwareCrypto;
use opensk::api::customization::CustomizationImpl;
use opensk::api::key_store;
use opensk::api::rng::{Rng, rand_core};
use opensk::env::Env;
use opensk::{Ctap, Transport};

use super::presence::{Finger, Script};
use super::storage::Storage;
use super::wire::{Arrival, Plug, Wire};

/// How long the key sleeps between looks at a U2F touch that may have fallen due.
const IDLE: Duration = Duration::from_millis(10);

/// Runs the firmware until the cable is pulled.
pub(super) fn run(
    wire: &Arc<Wire>,
    script: &Script,
    storage: Storage,
    customization: CustomizationImpl,
) {
    let mut ctap = Ctap::new(Board {
        finger: Finger {
            script: script.clone(),
            wire: Arc::clone(wire),
        },
        plug: Plug(Arc::clone(wire)),
        storage,
        customization,
        rng: OsRandom,
        clock: Uptime,
    });
    loop {
        match wire.receive(IDLE) {
            Arrival::Report(report) => {
                for reply in ctap.process_hid_packet(&report, Transport::MainHid) {
                    wire.send(&reply);
                }
            }
            Arrival::Nothing => {}
            Arrival::Unplugged => break,
        }
        if ctap.u2f_needs_user_presence() && script.touched_for_u2f() {
            ctap.u2f_grant_user_presence();
        }
    }
    script.stop_waiting();
}

struct Board {
    finger: Finger,
    plug: Plug,
    storage: Storage,
    customization: CustomizationImpl,
    rng: OsRandom,
    clock: Uptime,
}

impl key_store::Helper for Board {}

impl Env for Board {
    type Rng = OsRandom;
    type UserPresence = Finger;
    type Persist = Storage;
    type KeyStore = Self;
    type Write = String;
    type Customization = CustomizationImpl;
    type HidConnection = Plug;
    type Clock = Uptime;
    type Crypto = SoftwareCrypto;

    fn rng(&mut self) -> &mut OsRandom {
        &mut self.rng
    }

    fn user_presence(&mut self) -> &mut Finger {
        &mut self.finger
    }

    fn persist(&mut self) -> &mut Storage {
        &mut self.storage
    }

    fn key_store(&mut self) -> &mut Self {
        self
    }

    fn clock(&mut self) -> &mut Uptime {
        &mut self.clock
    }

    fn write(&mut self) -> String {
        String::new()
    }

    fn customization(&self) -> &CustomizationImpl {
        &self.customization
    }

    fn hid_connection(&mut self) -> &mut Plug {
        &mut self.plug
    }

    /// A reset is allowed within ten seconds of plugging in, as on a real key.
    fn boots_after_soft_reset(&self) -> bool {
        false
    }
}

struct OsRandom;

impl Rng for OsRandom {}
impl rand_core::CryptoRng for OsRandom {}

impl rand_core::RngCore for OsRandom {
    fn next_u32(&mut self) -> u32 {
        rand_core::impls::next_u32_via_fill(self)
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_fill(self)
    }

    fn fill_bytes(&mut self, destination: &mut [u8]) {
        getrandom::fill(destination).expect("the system has random numbers");
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), rand_core::Error> {
        self.fill_bytes(destination);
        Ok(())
    }
}

struct Uptime;

impl Clock for Uptime {
    /// When the timer rings; the default one, `None`, has rung.
    type Timer = Option<Instant>;

    fn make_timer(&mut self, milliseconds: usize) -> Self::Timer {
        Some(Instant::now() + Duration::from_millis(milliseconds as u64))
    }

    fn is_elapsed(&mut self, timer: &Self::Timer) -> bool {
        timer.is_none_or(|end| Instant::now() >= end)
    }
}

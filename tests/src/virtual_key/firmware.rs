//! The inside of the key: opensk on this process's clock and random numbers.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use opensk::api::clock::Clock;
use opensk::api::crypto::software_crypto::SoftwareCrypto;
use opensk::api::customization::CustomizationImpl;
use opensk::api::key_store;
use opensk::api::persist::Persist as _;
use opensk::api::rng::{Rng, rand_core};
use opensk::ctap::{Channel, check_user_presence};
use opensk::env::Env;
use opensk::{Ctap, Transport};

use super::disguise::Disguise;
#[cfg(feature = "built-in-uv")]
use super::fingerprint::{FingerprintScript, Sensor};
use super::message::{Assembly, Message};
use super::presence::{Finger, Script};
use super::profile::Pin;
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
    disguise: Disguise,
    #[cfg(feature = "built-in-uv")] fingerprint: FingerprintScript,
) {
    let mut leaving = Assembly::default();
    let mut ctap = Ctap::new(Board {
        finger: Finger {
            script: script.clone(),
            wire: Arc::clone(wire),
        },
        plug: Plug(Arc::clone(wire)),
        #[cfg(feature = "built-in-uv")]
        sensor: Sensor {
            fingerprint,
            touch: script.clone(),
            wire: Arc::clone(wire),
            storage: storage.clone(),
            channel: 0,
            broken_off: None,
        },
        storage,
        customization,
        disguise,
        rng: OsRandom,
        clock: Uptime,
    });
    loop {
        match wire.receive(IDLE) {
            Arrival::Report(report) => {
                for packet in ctap.process_hid_packet(&report, Transport::MainHid) {
                    if let Some(answer) = leaving.add(&packet) {
                        send(wire, &mut ctap, answer);
                    }
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

/// Sends an answer as the key's disguise has it.
fn send(wire: &Wire, ctap: &mut Ctap<Board>, answer: Message) {
    let mut answer = ctap.env().disguise.reword(answer);
    if ctap.env().disguise.keeps_it_until_touched(&answer) {
        let channel = Channel::MainHid(answer.channel.to_be_bytes());
        // opensk's own wait, so that keepalives, CANCEL and other channels are seen to.
        if let Err(status) = check_user_presence(ctap.env(), channel) {
            answer.bytes = vec![status as u8];
        }
    }
    for packet in answer.packets() {
        wire.send(&packet);
    }
}

struct Board {
    finger: Finger,
    plug: Plug,
    #[cfg(feature = "built-in-uv")]
    sensor: Sensor,
    storage: Storage,
    customization: CustomizationImpl,
    disguise: Disguise,
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
    #[cfg(feature = "built-in-uv")]
    type Fingerprint = Sensor;

    fn rng(&mut self) -> &mut OsRandom {
        &mut self.rng
    }

    fn user_presence(&mut self) -> &mut Finger {
        &mut self.finger
    }

    #[cfg(feature = "built-in-uv")]
    fn fingerprint(&mut self) -> &mut Sensor {
        &mut self.sensor
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

    /// opensk asks this before it reads a CBOR message.
    fn process_vendor_command(&mut self, bytes: &[u8], channel: Channel) -> Option<Vec<u8>> {
        let Channel::MainHid(channel) = channel;
        let pin = match self.storage.pin_hash() {
            Ok(None) => Pin::NotSet,
            Ok(Some(_)) | Err(_) => Pin::Set,
        };
        let channel = u32::from_be_bytes(channel);
        #[cfg(feature = "built-in-uv")]
        {
            self.sensor.channel = channel;
        }
        self.disguise.answer(channel, bytes, pin)
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

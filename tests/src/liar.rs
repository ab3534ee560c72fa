//! A security key that lies: honest but for one thing.
//!
//! It is a whole key in software, with a channel, credentials and both PIN protocols. A [`Lie`]
//! changes one answer; where a signature covers what was changed, it is made again with the right
//! private key, so that only the one check can refuse it.
//!
//! ```no_run
//! use tests::liar::{Lie, Moment};
//! use tests::{Liar, Machine};
//!
//! let machine = Machine::lived_on();
//! let liar = Liar::named("Liar");
//! let _port = machine.plug_in_cable(liar.name(), liar.power_on());
//! // Enrol it while it is honest, and then:
//! liar.lies(Lie::assertion(|assertion| assertion.flags = 0));
//! ```

#![forbid(unsafe_code)]

pub mod cbor;
mod credential;
mod firmware;
mod lie;
mod pin;
mod secrets;

use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::memory::Needle;
use crate::virtual_key::cable;

pub use credential::{Assertion, Credential, Form, KeyPair, NewCredential};
pub use lie::{Act, Lie, Moment, Packets, WhenCancelled, packet};
pub use pin::cose_key;
pub use secrets::{of_pin, of_scalar};
pub use sk_cbor::Value;

use firmware::Memory;

/// The key. Clones are the same key: one for the machine, one for the test.
#[derive(Clone)]
pub struct Liar {
    name: String,
    memory: Arc<Mutex<Memory>>,
}

impl Liar {
    /// A new key with this USB product name, honest, without a PIN, and touched at once.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            memory: Arc::default(),
        }
    }

    /// The key comes from its last owner with this PIN set.
    #[must_use]
    pub fn with_pin(self, pin: &str) -> Self {
        self.memory().pin.set(pin);
        self
    }

    /// Speaks PIN/UV auth protocol one alone.
    #[must_use]
    pub fn protocol_one_only(self) -> Self {
        self.memory().pin.protocols = &[1];
        self
    }

    /// The USB product name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it lies about, from now on.
    pub fn lies(&self, lie: Lie) {
        self.memory().lie = lie;
    }

    /// How long after it is asked it is touched, from now on; never where there is no time.
    pub fn touched(&self, after: Option<Duration>) {
        self.memory().touched_after = after;
    }

    /// The credentials it has made, in order.
    pub fn credentials(&self) -> Vec<Credential> {
        self.memory().credentials.clone()
    }

    /// The signature counter as it last signed it.
    pub fn counter(&self) -> u32 {
        self.memory().counter
    }

    /// How many wrong PINs it still takes.
    pub fn pin_tries_left(&self) -> u8 {
        self.memory().pin.tries_left
    }

    /// What it was asked since it was last told to forget, in order.
    pub fn heard(&self) -> Vec<Moment> {
        self.memory().heard.clone()
    }

    /// How many packets it has sent since then.
    pub fn packets_sent(&self) -> usize {
        self.memory().packets_sent
    }

    /// How often it was spoken to while it still owed an answer.
    pub fn interruptions(&self) -> usize {
        self.memory().interruptions
    }

    /// How many CANCELs it was sent. One may be on its way, so it is given two seconds.
    pub fn cancels(&self) -> usize {
        let until = Instant::now() + Duration::from_secs(2);
        while self.memory().cancels == 0 && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        self.memory().cancels
    }

    /// Begins a new page: what was said before no longer counts.
    pub fn forget(&self) {
        let mut memory = self.memory();
        memory.heard.clear();
        (memory.packets_sent, memory.interruptions, memory.cancels) = (0, 0, 0);
    }

    /// Whether it no longer waits for its person: it has answered what it was asked, was told to
    /// stop, or has lost its power. What told it so may still be on its way.
    pub fn is_dark(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(2);
        while self.memory().owes && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        !self.memory().owes
    }

    /// Blocks until it was asked this, or fails the test after ten seconds.
    pub fn wait_until_asked(&self, moment: Moment) {
        let until = Instant::now() + Duration::from_secs(10);
        while !self.heard().contains(&moment) {
            assert!(
                Instant::now() < until,
                "{} was not asked for {moment:?}",
                self.name
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What nobody but it and its host may know of the PIN's last way here, each with its name.
    pub fn secrets(&self) -> Vec<Needle> {
        self.memory().pin.secrets.clone()
    }

    /// Gives it power and hands out its cable, as [`VirtualKey::power_on`] does.
    ///
    /// [`VirtualKey::power_on`]: crate::VirtualKey::power_on
    pub fn power_on(&self) -> OwnedFd {
        let (hosts, ours) = cable();
        let memory = Arc::clone(&self.memory);
        thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || firmware::run(&ours, &memory))
            .expect("a thread for the key");
        hosts
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

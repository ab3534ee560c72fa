//! A FIDO2 security key without hardware: real firmware behind a socket.
//!
//! The firmware is opensk, written by others to the specification, so the product meets a peer
//! that does not share its misunderstandings. [`VirtualKey::power_on`] hands out the cable, a
//! socket of 64-byte reports; a [`Machine`](crate::machine::Machine) puts it behind a hidraw
//! node, and something else may put it behind `/dev/uhid`.

#![forbid(unsafe_code)]

mod attestation;
mod channel;
mod disguise;
#[cfg(feature = "built-in-uv")]
mod fingerprint;
mod firmware;
mod get_info;
mod journal;
pub(crate) mod message;
mod presence;
mod profile;
pub(crate) mod request;
mod rogue;
mod storage;
mod wire;

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use opensk::api::customization::{CustomizationImpl, DEFAULT_CUSTOMIZATION};
use opensk::api::persist::{AttestationId, Persist};
use sha2::{Digest, Sha256};

pub use attestation::Attestation;
pub use channel::{Channel, descriptors, member};
#[cfg(feature = "built-in-uv")]
pub use fingerprint::{Fingerprint, Sample};
pub use get_info::GetInfo;
pub use journal::{Reply, Transaction};
pub use presence::{Moments, Presence};
pub use profile::Profile;
pub use request::Command;
pub use wire::Report;

use disguise::{Busy, Disguise};
#[cfg(feature = "built-in-uv")]
use fingerprint::FingerprintScript;
use journal::Journal;
use presence::Script;
use profile::Quirk;
use storage::Storage;
use wire::Wire;

/// A security key. Clones are the same key: one for the machine, one for the test.
#[derive(Clone)]
pub struct VirtualKey {
    name: String,
    script: Script,
    journal: Arc<Journal>,
    storage: Storage,
    customization: CustomizationImpl,
    profile: Profile,
    busy: Busy,
    #[cfg(feature = "built-in-uv")]
    fingerprint: FingerprintScript,
}

impl VirtualKey {
    /// A new key with this USB product name. It is touched at once ([`Presence::Accept`]), has no
    /// PIN, and attests itself.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let key = Self {
            name: name.to_owned(),
            script: Script::new(Presence::Accept),
            journal: Arc::new(Journal::new()),
            storage: Storage::default(),
            customization: DEFAULT_CUSTOMIZATION,
            profile: Profile::fido_2_1(),
            busy: Busy::default(),
            #[cfg(feature = "built-in-uv")]
            fingerprint: FingerprintScript::new(Fingerprint::Matches),
        };
        #[cfg(feature = "built-in-uv")]
        fingerprint::enrol_owner(&key.storage);
        // U2F knows no self attestation: a key without a certificate could not register at all.
        key.store_attestation(&Attestation::of_the_bench());
        key
    }

    /// Keeps the key's memory in this file; if the file is there, this is that key again.
    #[must_use]
    pub fn kept_in(self, state_file: &Path) -> Self {
        self.storage.keep_in(state_file);
        self.store_attestation(&Attestation::of_the_bench());
        self.apply_force_pin_change();
        #[cfg(feature = "built-in-uv")]
        fingerprint::enrol_owner(&self.storage);
        self
    }

    /// Copies the journal to this file, a line for each answered message.
    #[must_use]
    pub fn logged_to(self, file: &Path) -> Self {
        self.journal
            .copy_to(File::create(file).expect("the key's log file"));
        self
    }

    /// Answers registrations with this certificate (`packed`, with `x5c`).
    #[must_use]
    pub fn attested_by(mut self, attestation: &Attestation) -> Self {
        self.store_attestation(attestation);
        self.customization.use_batch_attestation = true;
        self
    }

    /// The key comes from its last owner with this PIN set.
    #[must_use]
    pub fn with_pin(self, pin: &str) -> Self {
        // CTAP 2.1 §6.5.5.5: a key keeps the first 16 bytes of the PIN's SHA-256.
        let digest = Sha256::digest(pin.as_bytes());
        let hash = digest[..16]
            .try_into()
            .expect("sixteen of thirty-two bytes");
        let code_points =
            u8::try_from(pin.chars().count()).expect("a PIN has at most 63 characters");
        self.storage
            .clone()
            .set_pin(hash, code_points)
            .expect("memory takes a PIN");
        self.apply_force_pin_change();
        self
    }

    /// Makes it a key with other firmware. Without this it is opensk as it is.
    #[must_use]
    pub fn posing_as(mut self, profile: Profile) -> Self {
        profile.configure(&mut self.customization);
        self.profile = profile;
        self.apply_force_pin_change();
        self
    }

    /// Makes it a key of another model, reported by getInfo.
    #[must_use]
    pub fn of_model(self, aaguid: [u8; 16]) -> Self {
        self.storage
            .clone()
            .set_aaguid(&aaguid)
            .expect("memory takes an AAGUID");
        self
    }

    /// Other firmware is different: changes what opensk lets one change, for example
    /// `.firmware(|f| f.max_credential_count_in_list = Some(10))`.
    #[must_use]
    pub fn firmware(mut self, change: impl FnOnce(&mut CustomizationImpl)) -> Self {
        change(&mut self.customization);
        self
    }

    /// The USB product name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Scripts the finger, from now on and also in the middle of a wait.
    pub fn presence(&self, presence: Presence) {
        self.script.set(presence);
    }

    /// Scripts the fingerprint sensor, from now on and also in the middle of a wait.
    #[cfg(feature = "built-in-uv")]
    pub fn fingerprint(&self, fingerprint: Fingerprint) {
        self.fingerprint.set(fingerprint);
    }

    /// Scripts the touches of a finger that is enrolled, three good ones in all; all are good when
    /// there are no more.
    #[cfg(feature = "built-in-uv")]
    pub fn samples(&self, samples: &[Sample]) {
        self.fingerprint.set_samples(samples);
    }

    /// The fingers that are enrolled: their ids, and names where they have any.
    #[cfg(feature = "built-in-uv")]
    pub fn fingerprints(&self) -> Vec<(Vec<u8>, Option<String>)> {
        let enrolled = self
            .storage
            .template_infos()
            .expect("memory gives its list");
        let enrolled = enrolled.into_iter();
        enrolled
            .map(|one| (one.template_id, one.template_friendly_name))
            .collect()
    }

    /// How many wrong fingers the sensor takes before it is blocked.
    #[cfg(feature = "built-in-uv")]
    pub fn uv_tries_left(&self) -> u8 {
        let fails = self.storage.uv_fails().expect("memory gives its count");
        self.customization.max_uv_retries.saturating_sub(fails)
    }

    /// Blocks until the key waits for a touch; fails the test if it does not within ten seconds.
    pub fn wait_until_it_blinks(&self) {
        assert!(
            self.script.wait_until_asked(Duration::from_secs(10)),
            "{} was not asked for a touch; it heard {:?}",
            self.name,
            self.commands()
        );
    }

    /// Whether the key waits for a touch, or does so within this time.
    pub fn blinks_within(&self, patience: Duration) -> bool {
        self.script.wait_until_asked(patience)
    }

    /// From now on, and for so long, the key serves another program: every CBOR message gets
    /// `ERR_CHANNEL_BUSY`.
    pub fn busy_for(&self, duration: Duration) {
        self.busy.lasts(duration);
    }

    /// How many wrong PINs the key takes before it is blocked for good.
    pub fn pin_tries_left(&self) -> u8 {
        let fails = self.storage.pin_fails().expect("memory gives its count");
        self.customization.max_pin_retries.saturating_sub(fails)
    }

    /// Makes it a key on which that many PIN tries are left, as if others had been at it.
    pub fn set_pin_tries_left(&self, tries: u8) {
        let mut storage = self.storage.clone();
        storage.reset_pin_retries().expect("memory takes a count");
        for _ in tries..self.customization.max_pin_retries {
            storage.incr_pin_fails().expect("memory takes a count");
        }
    }

    /// Every message the key was sent so far, in order, without the CANCELs.
    pub fn transactions(&self) -> Vec<Transaction> {
        let mut messages = self.journal.messages();
        messages.retain(|message| message.command != Command::Cancel);
        messages
    }

    /// Every message the key was sent so far, CANCELs as well.
    pub fn messages(&self) -> Vec<Transaction> {
        self.journal.messages()
    }

    /// What was asked, in order, without the CANCELs.
    pub fn commands(&self) -> Vec<Command> {
        self.transactions()
            .iter()
            .map(|transaction| transaction.command)
            .collect()
    }

    /// Whether it no longer works on anything, nor waits for its person. What ends it may be on its
    /// way when whoever sent it has ended, so it is given two seconds.
    #[allow(
        clippy::must_use_candidate,
        reason = "sometimes the waiting is all one wants"
    )]
    pub fn is_dark(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(2);
        while self.journal.is_unanswered() && Instant::now() < until {
            thread::sleep(Duration::from_millis(2));
        }
        !self.journal.is_unanswered()
    }

    /// How many CANCELs the key was sent. A CANCEL may be on its way when whoever sent it has
    /// ended, so a key that still has something to answer is given two seconds to do so.
    pub fn cancels(&self) -> usize {
        self.is_dark();
        let messages = self.journal.messages();
        messages
            .iter()
            .filter(|message| message.command == Command::Cancel)
            .count()
    }

    /// Begins a new page: what was said before no longer counts.
    pub fn forget_transactions(&self) {
        self.journal.forget();
        self.script.forget_moments();
    }

    /// When it first waited for its person, and was last touched, on this page.
    pub fn moments(&self) -> Moments {
        self.script.moments()
    }

    /// Gives the key power and hands out its cable: a `SOCK_SEQPACKET` socket, one 64-byte report a
    /// packet. Dropping it pulls the plug; the key keeps its memory.
    pub fn power_on(&self) -> OwnedFd {
        let (ours, keys) = cable();
        let wire = Arc::new(Wire::new(keys, Arc::clone(&self.journal)));
        let Self {
            script,
            storage,
            customization,
            profile,
            busy,
            #[cfg(feature = "built-in-uv")]
            fingerprint,
            ..
        } = self.clone();
        let disguise = Disguise::new(profile, busy);
        thread::Builder::new()
            .name(self.name.clone())
            .spawn(move || {
                firmware::run(
                    &wire,
                    &script,
                    storage,
                    customization,
                    disguise,
                    #[cfg(feature = "built-in-uv")]
                    fingerprint,
                );
            })
            .expect("a thread for the key");
        ours
    }

    /// opensk takes this mark away with the PIN it was put on, so it is put on anew with each.
    fn apply_force_pin_change(&self) {
        if self.profile.has(Quirk::ForcePinChange) {
            let mut storage = self.storage.clone();
            storage.force_pin_change().expect("memory takes a mark");
        }
    }

    fn store_attestation(&self, attestation: &Attestation) {
        let mut storage = self.storage.clone();
        // opensk overwrites none: the old one is taken out first.
        for attestation in [None, Some(&attestation.for_firmware())] {
            storage
                .set_attestation(AttestationId::Batch, attestation)
                .expect("memory takes an attestation");
        }
    }
}

/// Both ends of a cable: sockets that carry whole reports.
pub fn cable() -> (OwnedFd, OwnedFd) {
    let (family, kind) = (AddressFamily::Unix, SockType::SeqPacket);
    socketpair(family, kind, None, SockFlag::SOCK_CLOEXEC).expect("a socket pair")
}

//! The bench: security keys without hardware, and private machines to plug them into.
//!
//! ```no_run
//! use tests::{Machine, Pam, Presence, VirtualKey};
//!
//! let machine = Machine::new();
//! let blue = machine.plug_in(VirtualKey::named("Blue Key"));
//! blue.presence(Presence::after_ms(150));
//! let enrolled = machine.run(["passkey", "enroll", "--user", "alice"]).output();
//! assert!(enrolled.success());
//!
//! machine.service("sudo", "auth required /usr/local/lib/security/pam_passkey.so");
//! let login = machine.login("sudo", "alice").run();
//! assert_eq!(login.code(), Pam::Success);
//! ```
//!
//! Nothing in the product knows of the bench: what it opens are real files, found where they
//! always are, in a mount namespace of the bench's making.

// A bench that cannot do its work fails the test, loudly and where it stands.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::unwrap_used
)]
#![forbid(unsafe_code)]

// The macros of sk-cbor name it.
extern crate alloc;

pub mod alice_and_bob;
pub mod counts;
mod footprint;
pub mod guest;
mod hidraw;
pub mod household;
pub mod liar;
pub mod login;
pub mod machine;
pub mod memory;
pub mod openssh;
mod pty;
pub mod real_key;
pub mod ssh_keygen;
mod sysfs;
pub mod uhid;
pub mod virtual_key;

pub use liar::Liar;
pub use login::{Pam, Style};
pub use machine::{Machine, Session};
pub use virtual_key::{Attestation, Command, Presence, Profile, Reply, VirtualKey};
#[cfg(feature = "built-in-uv")]
pub use virtual_key::{Fingerprint, Sample};

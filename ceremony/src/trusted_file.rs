//! Files that only root can have written.
//!
//! Opened once, no link followed; then the *open descriptor* is asked what it
//! is, and what is read comes from that same descriptor. A path that is
//! checked and then opened again may be two different files.
#![forbid(unsafe_code)]

mod dir;
mod lock;
#[cfg(test)]
pub(crate) mod scratch;
pub mod strict_toml;
mod untrusted;
mod writing;

pub(crate) use dir::ROOT;
pub use dir::{CONFIGURATION, STATE, TrustedDir};
pub use lock::{CannotLock, Holder, Lock};
pub(crate) use untrusted::shown;
pub use untrusted::{Reason, Untrusted};
pub use writing::{CannotOpen, CannotWrite, Deed};

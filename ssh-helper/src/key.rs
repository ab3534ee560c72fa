//! `passkey key`: looks after a security key itself. What is `pub(crate)` is what
//! [`passkey ssh`](crate::ssh) needs to look after the SSH keys on one.
//!
//! What a key is asked by getInfo, how many tries its PIN has left, its
//! settings and its reset go through the engine of `ceremony`. PINs,
//! credentials and fingerprints are the affair of ctap-hid-fido2, which runs in
//! a process of its own: the [`worker`].
#![forbid(unsafe_code)]

mod asking;
mod chosen;
mod config;
mod credentials;
mod done;
mod fingerprints;
mod info;
pub(crate) mod kept;
mod list;
pub(crate) mod models;
mod not_done;
mod pin;
mod reset;
mod touching;
mod typed_pin;
pub(crate) mod worker;

pub(crate) use asking::with_pin;
pub(crate) use chosen::{Chosen, plugged_in_at};
pub(crate) use done::{Done, Which};
pub(crate) use not_done::NotDone;
pub(crate) use typed_pin::TypedPin;

use crate::cli::key::{Key, KeyCommand};
use crate::failure::Failure;
use crate::screen::Screen;

/// Does what was asked with the key that is meant.
pub(crate) fn key(wanted: &Key, screen: &mut Screen) -> Result<(), Failure> {
    let node = wanted.node.as_deref();
    match &wanted.command {
        KeyCommand::List => list::list(node, screen),
        KeyCommand::Info => info::info(node, screen),
        KeyCommand::Pin { command } => pin::pin(*command, node, screen),
        KeyCommand::Credentials { command } => credentials::credentials(command, node, screen),
        KeyCommand::Fingerprints { command } => fingerprints::fingerprints(command, node, screen),
        KeyCommand::Config { command } => config::config(*command, node, screen),
        KeyCommand::Reset => reset::reset(node, screen),
        KeyCommand::Worker => worker::work(),
    }
}

//! OpenSSH's own tools around a security key: who makes the key, an agent that keeps it, a server
//! to log in to. They run inside a machine, and are those of the [`Debian`] whose programs it runs.
//!
//! [`Debian`]: crate::machine::Debian

#![forbid(unsafe_code)]

mod agent;
mod maker;
mod server;

use crate::machine::{Machine, Run, privilege};

pub use agent::Agent;
pub use maker::{Kind, Maker, Order, Protection, SkKey};
pub use server::{Attempt, Sshd};

/// The PIN of a security key that has one.
pub const PIN: &str = "2468";

/// The question for it, of whichever program: as it begins.
pub const ASKED_FOR_PIN: &str = "Enter PIN for";

/// Whose SSH keys these are: alice, or root where there is nobody else.
#[must_use]
pub fn owner() -> &'static str {
    if privilege().has_other_users() {
        "alice"
    } else {
        "root"
    }
}

/// The folder for the owner's files.
#[must_use]
pub fn home() -> &'static str {
    match owner() {
        "alice" => "/home/alice",
        _ => "/root",
    }
}

impl Machine {
    /// A command of the SSH keys' owner.
    pub fn by_owner<S: Into<String>>(&self, command: impl IntoIterator<Item = S>) -> Run<'_> {
        let run = self.run(command);
        match owner() {
            "alice" => run.as_alice(),
            _ => run,
        }
    }

    /// A line of the owner's shell.
    pub fn sh_by_owner(&self, line: &str) -> Run<'_> {
        self.by_owner(["sh", "-c", line])
    }
}

//! The module is a guest in sudo, login or a display manager: it leaves no trace there, takes no
//! orders from its surroundings, and survives a bug of its own with its host unharmed.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "also in a test's helpers"
)]

mod outcomes;
mod panics;
mod secrets;
mod surroundings;

use tests::login::LoggedIn;
use tests::machine::PluggedIn;
use tests::{Machine, Pam, VirtualKey};

const PIN: &str = "246810";

/// alice's key with a PIN; every login wants it.
fn with_a_pin(machine: &Machine) -> PluggedIn {
    machine.policy("");
    let key = machine.plug_in(VirtualKey::named("Bench Key").with_pin(PIN));
    machine.enroll_with_pin(&key, "alice", "pin key", PIN);
    key
}

fn codes(login: &LoggedIn) -> Vec<Pam> {
    login.report.calls.iter().map(|call| call.code).collect()
}

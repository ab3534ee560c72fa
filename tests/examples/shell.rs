//! A shell in a private machine, with a security key plugged in that touches itself after a
//! second: to try things by hand, and to show them.
//!
//! `cargo build --package tests && cargo run --package tests --example shell [COMMAND…]`

#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "talk, to whoever sits there")]

use std::env;
use std::process::ExitCode;

use tests::{Attestation, Machine, Presence, VirtualKey};

fn main() -> ExitCode {
    let machine = Machine::new();
    let blue =
        machine.plug_in(VirtualKey::named("Blue Key").attested_by(&Attestation::of_the_bench()));
    blue.presence(Presence::after_ms(1000));
    machine.service(
        "sudo",
        &format!("auth required {}\n", tests::machine::MODULE),
    );

    let mut command: Vec<String> = env::args().skip(1).collect();
    if command.is_empty() {
        eprintln!(
            "Root's shell in a machine of the bench; the key is {}.",
            blue.node()
        );
        command = vec!["/bin/sh".to_owned()];
    }
    let status = machine.run(command).on_this_terminal();

    for transaction in blue.transactions() {
        eprintln!("{transaction}");
    }
    for line in machine.log() {
        eprintln!("{line:?}");
    }
    ExitCode::from(u8::from(!status.success()))
}

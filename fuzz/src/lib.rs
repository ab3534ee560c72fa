//! Fuzz targets for everything that reads what a device, a file or a person
//! says, and for a whole session of packets against the race.
//!
//! Each target is a function of bytes that panics where a rule is broken.
//! libFuzzer calls it ([`TARGETS`], `run`, `make fuzz`); so does the test that
//! replays `corpus/`, where every finding becomes an input that stays.
#![forbid(unsafe_code)]

mod assertion;
mod attestation;
mod channel;
mod configuration;
mod credential_file;
mod honest_key;
mod host;
mod input;
mod messages;
mod names;
mod packets;
mod private_machine;
mod receipt;
mod report_descriptor;
pub mod session;

/// Panics where a rule is broken.
pub type Target = fn(&[u8]);

/// Every target, by the name of its folder in `corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("channel", channel::channel),
    ("messages", messages::messages),
    ("assertion", assertion::assertion),
    ("attestation", attestation::attestation),
    ("report_descriptor", report_descriptor::report_descriptor),
    ("names", names::names),
    ("credential_file", credential_file::credential_file),
    ("configuration", configuration::configuration),
    ("host", host::host),
    ("receipt", receipt::receipt),
    ("session", session::session),
];

/// The target of that name, found while compiling.
pub const fn target(name: &str) -> Target {
    let mut targets = TARGETS;
    while let [(known, target), rest @ ..] = targets {
        if is_same(known.as_bytes(), name.as_bytes()) {
            return *target;
        }
        targets = rest;
    }
    panic!("there is no target of that name")
}

const fn is_same(mut one: &[u8], mut other: &[u8]) -> bool {
    while let ([first, rest @ ..], [second, others @ ..]) = (one, other) {
        if *first != *second {
            return false;
        }
        (one, other) = (rest, others);
    }
    one.is_empty() && other.is_empty()
}

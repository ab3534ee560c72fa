//! `passkey key info`: what a key says of itself.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::Path;

use ceremony::authenticator::errand::Unanswered;
use serde::Serialize;

use super::chosen::{Chosen, PinTries};
use super::done::Which;
use super::models::model;
use super::not_done::NotDone;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::screen::{Report, Screen};

/// Shows it.
pub(crate) fn info(node: Option<&Path>, screen: &mut Screen) -> Result<(), Failure> {
    let chosen = Chosen::find(node, "key info", screen)?;
    let tries = if chosen.info.options.client_pin {
        match chosen.pin_tries() {
            Ok(tries) => Some(tries),
            // The rest is worth showing all the same.
            Err(NotDone::Malformed(_) | NotDone::Unanswered(Unanswered::Refused(_))) => None,
            Err(problem) => return Err(chosen.failure(&problem)),
        }
    } else {
        None
    };
    screen.report(&Described::of(&chosen, tries))
}

#[derive(Serialize)]
struct Described {
    key: Which,
    aaguid: String,
    model: Option<&'static str>,
    firmware: Option<u64>,
    versions: Vec<String>,
    extensions: Vec<String>,
    transports: Vec<String>,
    algorithms: Vec<i64>,
    options: BTreeMap<String, bool>,
    pin: Pin,
    /// `null`: no fingerprint reader.
    fingerprints_enrolled: Option<bool>,
    /// `null`: the key does not say.
    credentials_left: Option<u64>,
}

#[derive(Serialize)]
struct Pin {
    /// `null`: it cannot have one.
    set: Option<bool>,
    min_length: u8,
    must_be_changed: bool,
    tries_left: Option<u8>,
    power_cycle_needed: bool,
}

impl Described {
    fn of(chosen: &Chosen, tries: Option<PinTries>) -> Self {
        let said = &chosen.described;
        // A list of options with one that stands twice was refused before.
        let options: BTreeMap<String, bool> = said.options.iter().cloned().collect();
        let option = |name: &str| said.option(name);
        Self {
            key: Which::of(&chosen.key),
            aaguid: said.aaguid.to_string(),
            model: model(said.aaguid),
            firmware: said.firmware_version,
            versions: said.versions.clone(),
            extensions: said.extensions.clone(),
            transports: said.transports.clone(),
            algorithms: said.algorithms.clone(),
            options,
            pin: Pin {
                set: option("clientPin"),
                min_length: chosen.info.min_pin_length,
                must_be_changed: chosen.info.force_pin_change,
                tries_left: tries.map(|tries| tries.left),
                power_cycle_needed: tries.is_some_and(|tries| tries.power_cycle_needed),
            },
            fingerprints_enrolled: option("bioEnroll")
                .or_else(|| option("userVerificationMgmtPreview")),
            credentials_left: said.remaining_discoverable_credentials,
        }
    }
}

impl Report for Described {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let mut lines: Vec<(&str, String)> = Vec::new();
        let Which { node, product } = &self.key;
        lines.push(("Node", node.clone()));
        lines.push(("Product", product.clone()));
        let model = self.model.map(str::to_owned);
        lines.push(("Model", model.unwrap_or_else(|| "not known".to_owned())));
        lines.push(("AAGUID", self.aaguid.clone()));
        if let Some(firmware) = self.firmware {
            lines.push(("Firmware", format!("{firmware} (0x{firmware:x})")));
        }
        lines.push(("Speaks", self.versions.join(" ")));
        let algorithms: Vec<String> = self.algorithms.iter().copied().map(algorithm).collect();
        lines.push(("Algorithms", algorithms.join(" ")));
        lines.push(("Extensions", self.extensions.join(" ")));
        lines.push(("Transports", self.transports.join(" ")));
        lines.push(("PIN", self.pin.words(ink)));
        lines.push((
            "Shortest PIN",
            format!("{} characters", self.pin.min_length),
        ));
        let fingerprints = match self.fingerprints_enrolled {
            Some(true) => "enrolled",
            Some(false) => "none enrolled",
            None => "no reader",
        };
        lines.push(("Fingerprints", fingerprints.to_owned()));
        let left = match self.credentials_left {
            Some(left) => format!("room for {left} more"),
            None => "the key does not say how much room it has".to_owned(),
        };
        lines.push(("Credentials", left));
        let options: Vec<String> = self
            .options
            .iter()
            .map(|(name, set)| format!("{name}={}", if *set { "yes" } else { "no" }))
            .collect();
        lines.push(("Options", options.join(" ")));
        lines
            .iter()
            .map(|(name, value)| format!("{name:<14}{value}").trim_end().to_owned())
            .collect()
    }
}

impl Pin {
    fn words(&self, ink: Ink) -> String {
        let tries = match self.tries_left {
            Some(0) => return ink.bad("blocked: only a reset helps, which erases the key"),
            Some(1) => ink.bad("one try left"),
            Some(few @ 2..=3) => ink.warning(&format!("{few} tries left")),
            Some(left) => format!("{left} tries left"),
            None => "it does not say how many tries are left".to_owned(),
        };
        match (self.set, self.must_be_changed) {
            (_, true) => ink.warning(&format!("must be changed first, {tries}")),
            (Some(true), _) if self.power_cycle_needed => {
                ink.warning(&format!("set, {tries}, once it has been unplugged"))
            }
            (Some(true), _) => format!("set, {tries}"),
            (Some(false), _) => "not set".to_owned(),
            (None, _) => "this key has none".to_owned(),
        }
    }
}

/// The algorithm's name (IANA COSE Algorithms), or its number.
fn algorithm(number: i64) -> String {
    match number {
        -7 => "ES256".to_owned(),
        -8 => "EdDSA".to_owned(),
        -9 => "ESP256".to_owned(),
        -19 => "Ed25519".to_owned(),
        -35 => "ES384".to_owned(),
        -36 => "ES512".to_owned(),
        -47 => "ES256K".to_owned(),
        -257 => "RS256".to_owned(),
        other => other.to_string(),
    }
}

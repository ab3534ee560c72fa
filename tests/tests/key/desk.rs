//! A person at a terminal, and fido2-token beside them.

use std::process::Command as Program;

use tests::household::answering;
use tests::machine::{Finished, PluggedIn, Run};
use tests::{Command, Machine, VirtualKey};

pub(crate) fn key<'m>(machine: &'m Machine, arguments: &[&'m str]) -> Run<'m> {
    machine.passkey(["key"].into_iter().chain(arguments.iter().copied()))
}

/// Failed with 1, and said this, with what to do about it on a line of its own.
#[track_caller]
pub(crate) fn assert_failed(ended: &Finished, happened: &str, what_to_do: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let said = [ended.stdout.as_str(), &ended.stderr].concat();
    let said = said.replace("\r\n", "\n");
    let pair = said.split_once("passkey: ").map(|(_, pair)| pair);
    let (first, second) = pair.and_then(|pair| pair.split_once("\n  ")).unwrap();
    assert!(first.contains(happened), "no {happened:?} in {first}");
    assert!(second.contains(what_to_do), "no {what_to_do:?} in {second}");
}

/// What stock fido2-token prints, where it is installed; asked for a PIN, this one is typed.
pub(crate) fn fido2_token(machine: &Machine, arguments: &[&str], pin: &str) -> Option<Finished> {
    if Program::new("fido2-token").arg("-V").output().is_err() {
        println!("not judged: fido2-token is not installed (package fido2-tools)");
        return None;
    }
    let run = machine.run(["fido2-token"].iter().chain(arguments).copied());
    Some(answering(run, &[("Enter PIN", pin)]))
}

/// A machine with this key plugged in.
pub(crate) fn with(key: VirtualKey) -> (Machine, PluggedIn) {
    let machine = Machine::new();
    let key = machine.plug_in(key);
    (machine, key)
}

pub(crate) fn blue() -> VirtualKey {
    VirtualKey::named("Blue")
}

pub(crate) const PIN: (&str, &str) = ("PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ", "2468");

/// No PIN was tried with it.
#[track_caller]
pub(crate) fn assert_no_pin_was_tried(key: &PluggedIn) {
    assert_eq!(key.pin_tries_left(), 8);
    assert!(!key.commands().contains(&Command::CredentialManagement));
}

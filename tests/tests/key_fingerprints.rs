//! `passkey key fingerprints`, with a key that has a reader, and judged by what the key remembers:
//! fido2-token 1.12 knows only the commands of `FIDO_2_1_PRE`.
//!
//! `cargo test -p tests --features built-in-uv --test key_fingerprints`

#![forbid(unsafe_code)]

use tests::machine::{Finished, PluggedIn};
use tests::{Command, Machine, Sample, VirtualKey};

/// A machine and a key with a PIN, which knows its owner's finger, id 01, by no name.
fn with_a_reader() -> (Machine, PluggedIn) {
    let machine = Machine::new();
    let key = machine.plug_in(VirtualKey::named("Blue").with_pin("2468"));
    (machine, key)
}

/// Runs it at a terminal, and types the PIN.
fn fingerprints(machine: &Machine, arguments: &[&str]) -> Finished {
    let command = ["key", "fingerprints"].iter().chain(arguments).copied();
    let mut running = machine.passkey(command).on_a_terminal().start();
    running.wait_for("PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ");
    running.type_line("2468");
    running.finish()
}

/// Removes one at a terminal, and types this at the question for a word.
fn removing(machine: &Machine, id: &str, word: &str) -> Finished {
    let command = ["key", "fingerprints", "remove", id];
    let mut running = machine.passkey(command).on_a_terminal().start();
    running.wait_for("PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ");
    running.type_line("2468");
    running.wait_for("This is lost: ");
    running.wait_for("to remove it: ");
    running.type_line(word);
    running.finish()
}

#[track_caller]
fn assert_failed(ended: &Finished, happened: &str, what_to_do: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    assert!(
        ended.stdout.contains(happened),
        "no {happened:?} in {ended:#?}"
    );
    assert!(
        ended.stdout.contains(what_to_do),
        "no {what_to_do:?} in {ended:#?}"
    );
}

/// The lines that stand in this order in what was said.
#[track_caller]
fn assert_said(ended: &Finished, lines: &[&str]) {
    let mut rest = ended.stdout.as_str();
    for line in lines {
        let (_, behind) = rest.split_once(line).unwrap_or_else(|| {
            assert_eq!(rest, *line, "{ended:#?}");
            ("", "")
        });
        rest = behind;
    }
}

#[test]
fn a_finger_is_added_touch_by_touch_and_what_was_wrong_is_said() {
    let (machine, blue) = with_a_reader();
    blue.samples(&[Sample::Good, Sample::TooFast, Sample::Nobody]);
    let added = fingerprints(&machine, &["add", "--name", "left thumb"]).expect_success();
    assert_said(
        &added,
        &[
            "Touch the sensor with the finger: 1 of 3.",
            "Touch the sensor again: 2 of 3.",
            "The finger moved too fast.",
            "Touch the sensor again: 2 of 3.",
            "Nobody touched the sensor.",
            "Touch the sensor again: 2 of 3.",
            "Touch the sensor again: 3 of 3.",
            "\"Blue\" (/dev/hidraw0) knows fingerprint \"left thumb\" (02).",
        ],
    );
    assert!(!added.stdout.contains("4 of 3"), "{added:#?}");
    let listed = fingerprints(&machine, &["list"]).expect_success();
    assert_said(&listed, &["ID  NAME", "01", "02  left thumb"]);
    assert_eq!(
        blue.fingerprints(),
        [(vec![1], None), (vec![2], Some("left thumb".to_owned()))]
    );
}

#[test]
fn a_sensor_that_nobody_touches_is_given_up() {
    let (machine, blue) = with_a_reader();
    blue.samples(&[Sample::Good, Sample::Nobody, Sample::Nobody, Sample::Nobody]);
    let ended = fingerprints(&machine, &["add"]);
    assert_failed(
        &ended,
        "nobody touched the sensor of \"Blue\"",
        "nothing was added",
    );
    assert_eq!(blue.fingerprints(), [(vec![1], None)]);
}

#[test]
fn a_finger_gets_another_name_and_is_removed_after_a_word() {
    let (machine, blue) = with_a_reader();
    fingerprints(&machine, &["rename", "01", "right thumb"]).expect_success();
    let listed = fingerprints(&machine, &["list", "--json"]).expect_success();
    let member = "\"fingerprints\":[{\"id\":\"01\",\"name\":\"right thumb\"}]";
    assert!(listed.stdout.contains(member), "{listed:#?}");
    let kept = removing(&machine, "0", "y");
    assert_failed(
        &kept,
        "nothing was removed",
        "passkey key fingerprints remove 0",
    );
    assert_eq!(blue.fingerprints().len(), 1);
    let removed = removing(&machine, "0", "remove").expect_success();
    assert!(
        removed.stdout.contains("\"right thumb\" (01) is gone"),
        "{removed:#?}"
    );
    let listed = fingerprints(&machine, &["list"]).expect_success();
    assert!(
        listed.stdout.contains("knows no fingerprint"),
        "{listed:#?}"
    );
    let info = machine.passkey(["key", "info"]).output();
    assert!(
        info.stdout.contains("Fingerprints  none enrolled"),
        "{info:#?}"
    );
}

#[test]
fn what_does_not_mean_one_finger_changes_none() {
    let (machine, blue) = with_a_reader();
    fingerprints(&machine, &["add"]).expect_success();
    blue.forget_transactions();
    let none = fingerprints(&machine, &["remove", "ff"]);
    assert_failed(
        &none,
        "knows no fingerprint whose id begins with ff",
        "fingerprints list",
    );
    let both = fingerprints(&machine, &["rename", "0", "mine"]);
    assert_failed(
        &both,
        "several fingerprints have ids that begin with 0",
        "type more",
    );
    let listed = fingerprints(&machine, &["list"]).expect_success();
    assert_said(&listed, &["01", "02"]);
    assert!(!listed.stdout.contains("mine"), "{listed:#?}");
}

#[test]
fn a_name_that_is_too_long_for_the_key_costs_no_touch() {
    let (machine, _blue) = with_a_reader();
    let long = "x".repeat(500);
    let ended = fingerprints(&machine, &["add", "--name", &long]);
    assert_failed(&ended, "it takes names of at most", "run again");
    assert!(!ended.stdout.contains("Touch the sensor"), "{ended:#?}");
    let ended = fingerprints(&machine, &["rename", "01", &long]);
    assert_failed(&ended, "did not do it", "passkey key info");
}

#[test]
fn without_a_pin_no_finger_is_added() {
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    let ended = machine
        .passkey(["key", "fingerprints", "add"])
        .on_a_terminal()
        .output();
    assert_failed(&ended, "has no PIN", "passkey key pin set");
    assert!(!blue.commands().contains(&Command::BioEnrollment));
}

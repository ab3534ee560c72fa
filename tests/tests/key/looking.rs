//! Which keys there are, what they say of themselves, and which is meant.

use tests::household::answering;
use tests::machine::Mouse;
use tests::{Machine, Profile, VirtualKey};

use crate::desk::{PIN, assert_failed, assert_no_pin_was_tried, blue, key, with};

#[test]
fn keys_are_listed_with_what_they_are_and_whether_they_open() {
    let machine = Machine::new();
    let empty = key(&machine, &["list"]).output().expect_success();
    assert_eq!(empty.stdout, "");
    assert!(empty.stderr.contains("no security key is plugged in"));

    let model = "2fc0579f8113-47ea-b116-bb5a8db9202a".replace('-', "");
    let aaguid =
        std::array::from_fn(|at| u8::from_str_radix(&model[2 * at..2 * at + 2], 16).unwrap());
    let _mouse: Mouse = machine.plug_in_mouse();
    let _blue = machine.plug_in(blue().of_model(aaguid));
    let _u2f = machine.plug_in(VirtualKey::named("Old").posing_as(Profile::u2f_only()));
    let listed = key(&machine, &["list"]).output().expect_success();
    let rows: Vec<&str> = listed.stdout.lines().skip(1).collect();
    assert_eq!(rows.len(), 2, "{listed:#?}");
    assert!(
        rows[0].starts_with("/dev/hidraw1  Blue     yes"),
        "{rows:#?}"
    );
    assert!(rows[0].contains("YubiKey 5 Series with NFC"), "{rows:#?}");
    assert!(
        rows[1].contains("it speaks only U2F, not FIDO2"),
        "{rows:#?}"
    );

    let one = key(&machine, &["list", "--key", "/dev/hidraw2"]).output();
    assert_eq!(one.expect_success().stdout.lines().count(), 2, "{rows:?}");
    let mouse = key(&machine, &["list", "--key", "/dev/hidraw0"]).output();
    assert_failed(
        &mouse,
        "is no security key that is plugged in",
        "passkey key list",
    );

    let u2f = key(&machine, &["info", "--key", "/dev/hidraw2"]).output();
    assert_failed(
        &u2f,
        "speaks only U2F, not FIDO2",
        "take a key that says FIDO2",
    );

    let json = key(&machine, &["list", "--json"]).output().expect_success();
    for member in [
        "\"version\":1",
        "\"node\":\"/dev/hidraw1\"",
        "\"accessible\":true",
        "\"model\":\"YubiKey 5 Series with NFC\"",
        "\"aaguid\":\"2fc0579f-8113-47ea-b116-bb5a8db9202a\"",
    ] {
        assert!(
            json.stdout.contains(member),
            "no {member} in {}",
            json.stdout
        );
    }
}

#[test]
fn what_a_key_says_of_itself_is_shown() {
    let (machine, blue) = with(blue().with_pin("2468"));
    blue.set_pin_tries_left(3);
    let shown = key(&machine, &["info"]).output().expect_success();
    for line in [
        "Node          /dev/hidraw0",
        "Product       Blue",
        "Model         not known",
        "AAGUID        00000000-0000-0000-0000-000000000000",
        "Speaks        U2F_V2 FIDO_2_0 FIDO_2_1",
        "Algorithms    ES256 EdDSA",
        "Transports    usb",
        "PIN           set, 3 tries left",
        "Shortest PIN  4 characters",
        "Credentials   room for 150 more",
    ] {
        assert!(
            shown.stdout.contains(line),
            "no {line:?} in {}",
            shown.stdout
        );
    }
    let json = key(&machine, &["info", "--json"]).output().expect_success();
    for member in [
        "\"set\":true",
        "\"tries_left\":3",
        "\"credentials_left\":150",
        "\"credMgmt\":true",
        "\"algorithms\":[-7,-8]",
    ] {
        assert!(
            json.stdout.contains(member),
            "no {member} in {}",
            json.stdout
        );
    }
}

#[test]
fn a_result_that_nobody_takes_is_a_failure_and_no_panic() {
    let (machine, _blue) = with(blue());
    let line = "(sleep 0.3; passkey key info --json; echo code $? >&2) | head -c0";
    let ended = machine.sh(line).output();
    assert!(ended.stderr.contains("could not be written"), "{ended:#?}");
    assert!(ended.stderr.contains("code 1"), "{ended:#?}");
}

#[test]
fn without_a_key_every_command_says_so_and_waits_for_nothing() {
    let machine = Machine::new();
    for command in [
        &["info"][..],
        &["pin", "set"],
        &["pin", "change"],
        &["credentials", "list"],
        &["credentials", "remove", "ab"],
        &["fingerprints", "list"],
        &["config", "always-uv", "on"],
        &["reset"],
    ] {
        let ended = key(&machine, command).on_a_terminal().output();
        assert_failed(
            &ended,
            "no security key is plugged in",
            "plug it in and run again",
        );
    }
}

#[test]
fn of_several_keys_a_person_says_which_and_a_script_is_told_to() {
    let machine = Machine::new();
    let _blue = machine.plug_in(blue());
    let green = machine.plug_in(VirtualKey::named("Green"));
    let script = key(&machine, &["info"]).output();
    assert_failed(
        &script,
        "several keys are plugged in: \"Blue\" (/dev/hidraw0), \"Green\" (/dev/hidraw1)",
        "passkey key info --key NODE",
    );
    let which = "Which one is meant? [1-2, nothing for none] ";
    let asked = answering(key(&machine, &["info"]), &[(which, "2")]).expect_success();
    assert!(asked.stdout.contains("Product       Green"), "{asked:#?}");
    for none in ["", "3", "0", "Green"] {
        let asked = answering(key(&machine, &["info"]), &[(which, none)]);
        assert_failed(&asked, "nobody said with which key", "--key NODE");
    }
    let named = key(&machine, &["info", "--key", &green.node()]).output();
    assert!(named.stdout.contains("Product       Green"), "{named:#?}");
    // as udev's links do
    machine
        .run(["ln", "-s", "hidraw1", "/dev/green"])
        .output()
        .expect_success();
    let linked = key(&machine, &["info", "--key", "/dev/green"]).output();
    assert!(linked.stdout.contains("Product       Green"), "{linked:#?}");
    let wrong = key(&machine, &["info", "--key", "/dev/null"]).output();
    assert_failed(
        &wrong,
        "\"/dev/null\" is no security key",
        "passkey key list",
    );
}

#[test]
fn who_may_not_open_the_node_is_told_who_may() {
    if !tests::machine::privilege().has_other_users() {
        return;
    }
    let (machine, blue) = with(blue().with_pin("2468"));
    let listed = key(&machine, &["list"])
        .as_alice()
        .output()
        .expect_success();
    assert!(
        listed.stdout.contains("/dev/hidraw0  Blue     no"),
        "{listed:#?}"
    );
    for command in [&["info"][..], &["credentials", "list"], &["reset"]] {
        let ended = key(&machine, command).as_alice().on_a_terminal().output();
        assert_failed(
            &ended,
            "this process may not open \"Blue\"",
            "run: sudo passkey key",
        );
    }
    // where udev gives the seat's user access
    blue.node_mode(0o666);
    let listed = answering(key(&machine, &["credentials", "list"]).as_alice(), &[PIN]);
    listed.expect_success();
}

#[test]
fn nothing_prompts_where_nobody_can_answer() {
    let (machine, blue) = with(blue().with_pin("2468"));
    let (without_pin, _green) = with(VirtualKey::named("Green"));
    let ended = key(&without_pin, &["pin", "set"])
        .stdin("2468\n2468\n")
        .output();
    assert_failed(
        &ended,
        "there is no terminal",
        "run it in a terminal: passkey key pin set",
    );
    for command in [
        &["pin", "change"][..],
        &["credentials", "list"],
        &["credentials", "remove", "ab"],
        &["config", "always-uv", "on"],
        &["config", "min-pin-length", "8"],
        &["reset"],
    ] {
        let ended = key(&machine, command).stdin("2468\nreset\n").output();
        assert_failed(
            &ended,
            "there is no terminal to answer at",
            "run it in a terminal",
        );
    }
    assert_no_pin_was_tried(&blue);
}

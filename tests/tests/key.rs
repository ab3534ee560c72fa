//! `passkey key`: a key itself, looked after by a person at a terminal, and judged by stock
//! fido2-token where it can judge.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

// The macros of sk-cbor name it.
extern crate alloc;

use std::process::Command as Program;

use sk_cbor::{cbor_array_vec, cbor_map};
use tests::household::answering;
use tests::machine::{Finished, Mouse, PluggedIn, Run};
use tests::virtual_key::Channel;
use tests::{Command, Machine, Presence, Profile, VirtualKey};

fn key<'m>(machine: &'m Machine, arguments: &[&'m str]) -> Run<'m> {
    machine.passkey(["key"].into_iter().chain(arguments.iter().copied()))
}

/// Failed with 1, and said this, with what to do about it on a line of its own.
#[track_caller]
fn assert_failed(ended: &Finished, happened: &str, what_to_do: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let said = [ended.stdout.as_str(), &ended.stderr].concat();
    let said = said.replace("\r\n", "\n");
    let pair = said.split_once("passkey: ").map(|(_, pair)| pair);
    let (first, second) = pair.and_then(|pair| pair.split_once("\n  ")).unwrap();
    assert!(first.contains(happened), "no {happened:?} in {first}");
    assert!(second.contains(what_to_do), "no {what_to_do:?} in {second}");
}

/// What stock fido2-token prints, where it is installed; asked for a PIN, this one is typed.
fn fido2_token(machine: &Machine, arguments: &[&str], pin: &str) -> Option<Finished> {
    if Program::new("fido2-token").arg("-V").output().is_err() {
        println!("not judged: fido2-token is not installed (package fido2-tools)");
        return None;
    }
    let run = machine.run(["fido2-token"].iter().chain(arguments).copied());
    Some(answering(run, &[("Enter PIN", pin)]))
}

/// A machine with this key plugged in.
fn with(key: VirtualKey) -> (Machine, PluggedIn) {
    let machine = Machine::new();
    let key = machine.plug_in(key);
    (machine, key)
}

fn blue() -> VirtualKey {
    VirtualKey::named("Blue")
}

const PIN: (&str, &str) = ("PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ", "2468");

/// No PIN was tried with it.
#[track_caller]
fn assert_no_pin_was_tried(key: &PluggedIn) {
    assert_eq!(key.pin_tries_left(), 8);
    assert!(!key.commands().contains(&Command::CredentialManagement));
}

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

#[test]
fn a_try_that_becomes_the_last_while_a_pin_is_typed_is_nobodys_by_accident() {
    let (machine, blue) = with(blue().with_pin("2468"));
    blue.set_pin_tries_left(2);
    let list = key(&machine, &["credentials", "list"]).on_a_terminal();
    let mut list = list.start();
    list.wait_for("2 tries left: ");
    blue.set_pin_tries_left(1);
    list.type_line("1111");
    list.wait_for("Type \"last\" to use it: ");
    list.type_line("");
    assert_failed(&list.finish(), "the last try", "find the right PIN first");
    // and while the new one is typed
    blue.set_pin_tries_left(2);
    let mut change = key(&machine, &["pin", "change"]).on_a_terminal().start();
    change.wait_for("2 tries left: ");
    change.type_line("1111");
    change.wait_for("New PIN");
    blue.set_pin_tries_left(1);
    change.type_line("13579");
    change.wait_for("once more");
    change.type_line("13579");
    change.wait_for("Type \"last\" to use it: ");
    change.type_line("");
    assert_failed(&change.finish(), "the last try", "find the right PIN first");
    assert_eq!(blue.pin_tries_left(), 1);
}

#[test]
fn a_pin_is_set_and_fido2_token_takes_it() {
    let (machine, blue) = with(blue());
    let set = key(&machine, &["pin", "set"]);
    let new = "New PIN of \"Blue\" (/dev/hidraw0), at least 4 characters: ";
    let answers = [(new, "2468"), ("The same once more: ", "2468")];
    let set = answering(set, &answers).expect_success();
    assert!(
        set.stdout
            .contains("\"Blue\" (/dev/hidraw0) has a PIN now."),
        "{set:#?}"
    );
    assert!(set.stdout.contains("sudo passkey enroll"), "{set:#?}");
    assert!(!set.stdout.contains("2468"), "{set:#?}");
    if let Some(judged) = fido2_token(&machine, &["-I", "-c", &blue.node()], "2468") {
        judged.expect_success();
    }

    let twice = key(&machine, &["pin", "set"]).on_a_terminal().output();
    assert_failed(&twice, "has a PIN already", "passkey key pin change");
}

#[test]
fn what_cannot_be_a_pin_is_asked_for_again_and_set_by_nobody() {
    let (machine, blue) = with(blue());
    let mut set = key(&machine, &["pin", "set"]).on_a_terminal().start();
    set.wait_for("New PIN");
    set.type_line("246");
    set.wait_for("That is not a PIN: the PIN has at least 4 characters.");
    set.wait_for_times("New PIN", 2);
    set.type_line("2468");
    set.wait_for("once more");
    set.type_line("2469");
    set.wait_for("These two are not the same.");
    set.wait_for_times("New PIN", 3);
    set.type_line("");
    assert_failed(&set.finish(), "no PIN was given", "nothing was changed");
    // Ctrl-C
    let left = key(&machine, &["pin", "set"]).on_a_terminal().start();
    left.wait_for("New PIN");
    let mut left = left;
    left.type_keys("\x03");
    assert_failed(&left.finish(), "no PIN was given", "nothing was changed");
    assert!(!blue.commands().contains(&Command::ClientPin));
}

#[test]
fn a_pin_is_changed_and_a_wrong_one_asked_for_again() {
    let (machine, blue) = with(blue().with_pin("2468"));
    let change = key(&machine, &["pin", "change"]);
    let answers = [
        ("8 tries left: ", "1111"),
        ("New PIN", "héllo wörld"),
        ("once more", "héllo wörld"),
        ("7 tries left: ", "2468"),
    ];
    let changed = answering(change, &answers).expect_success();
    assert!(
        changed.stdout.contains("That PIN was wrong."),
        "{changed:#?}"
    );
    assert!(
        changed.stdout.contains("has another PIN now."),
        "{changed:#?}"
    );
    assert_eq!(blue.pin_tries_left(), 8);
    if let Some(judged) = fido2_token(&machine, &["-I", "-c", &blue.node()], "héllo wörld") {
        judged.expect_success();
    }
    if let Some(judged) = fido2_token(&machine, &["-I", "-c", &blue.node()], "2468") {
        assert!(!judged.success(), "{judged:#?}");
    }
}

// FIDO_2_1_PRE is left out: opensk takes no token without permissions for its list.
#[test]
fn old_keys_change_their_pins_and_list_what_they_keep_too() {
    for (profile, can_list) in [
        (Profile::fido_2_1().pin_protocol_one_only(), true),
        (Profile::fido_2_0(), false),
    ] {
        let (machine, _blue) = with(blue().with_pin("2468").posing_as(profile));
        let answers = [PIN, ("New PIN", "13579"), ("once more", "13579")];
        answering(key(&machine, &["pin", "change"]), &answers).expect_success();
        let list = key(&machine, &["credentials", "list"]);
        if can_list {
            answering(list, &[("8 tries left: ", "13579")]).expect_success();
        } else {
            let ended = list.on_a_terminal().output();
            assert_failed(&ended, "cannot list the credentials", "passkey key reset");
        }
    }
}

#[test]
fn a_pin_that_must_be_changed_is_good_for_that_alone() {
    let profile = Profile::fido_2_1().force_pin_change();
    let (machine, _blue) = with(blue().with_pin("2468").posing_as(profile));
    let list = key(&machine, &["credentials", "list"])
        .on_a_terminal()
        .output();
    assert_failed(&list, "must be changed", "passkey key pin change");
    let answers = [PIN, ("New PIN", "13579"), ("once more", "13579")];
    answering(key(&machine, &["pin", "change"]), &answers).expect_success();
    let list = key(&machine, &["credentials", "list"]);
    answering(list, &[("8 tries left: ", "13579")]).expect_success();
}

#[test]
fn a_key_without_a_pin_leads_to_setting_one() {
    let (machine, _blue) = with(blue());
    for command in [&["pin", "change"][..], &["credentials", "list"]] {
        let ended = key(&machine, command).on_a_terminal().output();
        assert_failed(&ended, "has no PIN", "passkey key pin set");
    }
}

#[test]
fn three_wrong_pins_in_a_row_are_all_a_key_takes() {
    let (machine, blue) = with(blue().with_pin("2468"));
    let list = key(&machine, &["credentials", "list"]);
    let wrong = [
        ("8 tries left: ", "1111"),
        ("7 tries left: ", "1111"),
        ("6 tries left: ", "1111"),
    ];
    let ended = answering(list, &wrong);
    assert_failed(
        &ended,
        "too many in a row were wrong",
        "unplug it, plug it in",
    );
    assert_eq!(blue.pin_tries_left(), 5);
    // and until then it is asked for none
    let again = key(&machine, &["credentials", "list"])
        .on_a_terminal()
        .output();
    assert_failed(
        &again,
        "too many in a row were wrong",
        "unplug it, plug it in",
    );
    assert!(!again.stdout.contains("tries left"), "{again:#?}");
}

#[test]
fn a_blocked_pin_is_not_asked_for() {
    let (machine, blue) = with(blue().with_pin("2468"));
    blue.set_pin_tries_left(0);
    let ended = key(&machine, &["credentials", "list"])
        .on_a_terminal()
        .output();
    assert_failed(
        &ended,
        "the PIN of \"Blue\" (/dev/hidraw0) is blocked",
        "passkey key reset",
    );
    let shown = key(&machine, &["info"]).output().expect_success();
    assert!(shown.stdout.contains("PIN           blocked"), "{shown:#?}");
}

#[test]
fn the_last_try_is_used_by_who_types_the_word_and_by_nobody_else() {
    let (machine, blue) = with(blue().with_pin("2468"));
    blue.set_pin_tries_left(1);
    let word = "Type \"last\" to use it: ";
    for other in ["", "yes", "lasts"] {
        let list = key(&machine, &["credentials", "list"]);
        let ended = answering(list, &[(word, other)]);
        assert_failed(
            &ended,
            "the last try of \"Blue\"",
            "find the right PIN first",
        );
        assert!(!ended.stdout.contains("PIN of"), "{ended:#?}");
    }
    assert_eq!(blue.pin_tries_left(), 1);
    let list = key(&machine, &["credentials", "list"]);
    answering(list, &[(word, "last"), ("the last try: ", "2468")]).expect_success();
    assert_eq!(blue.pin_tries_left(), 8);
    // and a wrong one blocks it
    blue.set_pin_tries_left(1);
    let list = key(&machine, &["credentials", "list"]);
    let ended = answering(list, &[(word, "last"), ("the last try: ", "1111")]);
    assert_failed(&ended, "is blocked", "passkey key reset");
}

/// A key that keeps a credential of alice's and one of bob's, for the same relying party.
fn keeping_two() -> (Machine, PluggedIn) {
    let machine = Machine::lived_on();
    let blue = machine.plug_in(blue().with_pin("2468"));
    for user in ["alice", "bob"] {
        machine.enroll_for(&blue, user, "blue key", "2468", &["--discoverable"]);
    }
    (machine, blue)
}

/// The ids in a list's rows, in order.
fn ids(listed: &Finished) -> Vec<String> {
    let rows = listed.stdout.lines().filter(|line| line.contains("pam://"));
    rows.map(|row| row.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn credentials_on_a_key_are_listed_and_removed_by_a_piece_of_their_id() {
    let (machine, blue) = keeping_two();
    let list = || answering(key(&machine, &["credentials", "list"]), &[PIN]).expect_success();
    let listed = list();
    let ids = ids(&listed);
    assert_eq!(ids.len(), 2, "{listed:#?}");
    assert!(
        listed.stdout.contains("alice") && listed.stdout.contains("bob"),
        "{listed:#?}"
    );
    if let Some(judged) = fido2_token(&machine, &["-L", "-r", &blue.node()], "2468") {
        assert!(judged.stdout.contains("pam://"), "{judged:#?}");
    }
    let json = answering(key(&machine, &["credentials", "list", "--json"]), &[PIN]);
    assert!(json.stdout.contains("\"user_name\":\"alice\""), "{json:#?}");

    let of_alice = listed
        .stdout
        .lines()
        .find(|line| line.contains("alice"))
        .unwrap();
    let id = of_alice.split_whitespace().next().unwrap();
    let upper = id.to_uppercase();
    let remove = key(&machine, &["credentials", "remove", &upper]);
    let kept = answering(
        remove,
        &[PIN, ("Type \"remove\" to remove it for good: ", "yes")],
    );
    assert_failed(&kept, "nothing was removed", "run again");
    assert!(
        kept.stdout
            .contains("This is lost: the login of \"alice\" at pam://"),
        "{kept:#?}"
    );
    assert_eq!(list().stdout.matches("pam://").count(), 2);

    let remove = key(&machine, &["credentials", "remove", id]);
    answering(remove, &[PIN, ("Type \"remove\"", "remove")]).expect_success();
    let left = list();
    assert!(
        !left.stdout.contains("alice") && left.stdout.contains("bob"),
        "{left:#?}"
    );
    if let Some(judged) = fido2_token(&machine, &["-L", "-r", &blue.node()], "2468") {
        judged.expect_success();
    }
    let info = key(&machine, &["info"]).output();
    assert!(info.stdout.contains("room for 149 more"), "{info:#?}");
}

#[test]
fn a_piece_of_an_id_means_one_credential_or_none() {
    let (machine, _blue) = keeping_two();
    let listed = answering(key(&machine, &["credentials", "list"]), &[PIN]);
    let ids = ids(&listed);
    let absent = "0123456789abcdef"
        .chars()
        .find(|digit| ids.iter().all(|id| !id.starts_with(*digit)));
    let absent = absent.unwrap().to_string();
    let ended = answering(key(&machine, &["credentials", "remove", &absent]), &[PIN]);
    assert_failed(
        &ended,
        "keeps no credential whose id begins with",
        "credentials list",
    );
    assert!(!ended.stdout.contains("Type \"remove\""), "{ended:#?}");
}

/// A key that keeps a credential for each of these users of a relying party of their own.
fn keeping(users: &[&str]) -> (Machine, PluggedIn) {
    let key = blue();
    let channel = Channel::open(&key);
    for (number, user) in (0_u8..).zip(users) {
        let rp_id = format!("pam://{user}");
        let request = cbor_map! {
            1 => vec![7; 32],
            2 => cbor_map! { "id" => rp_id.as_str() },
            3 => cbor_map! { "id" => vec![number], "name" => *user },
            4 => cbor_array_vec!(vec![cbor_map! { "alg" => -7, "type" => "public-key" }]),
            7 => cbor_map! { "rk" => true },
        };
        channel.ask(MAKE_CREDENTIAL, Some(request)).unwrap();
    }
    drop(channel);
    with(key.with_pin("2468"))
}

const MAKE_CREDENTIAL: u8 = 0x01;

#[test]
fn a_piece_of_an_id_that_means_several_credentials_removes_none() {
    // More than there are digits: two of the ids begin with the same one.
    let users = "abcdefghijklmnopq"
        .split("")
        .filter(|name| !name.is_empty());
    let (machine, _blue) = keeping(&users.collect::<Vec<_>>());
    let list = || answering(key(&machine, &["credentials", "list"]), &[PIN]).expect_success();
    let all = ids(&list());
    assert_eq!(all.len(), 17);
    let digits = "0123456789abcdef".chars().map(String::from);
    let shared = |digit: &String| all.iter().filter(|id| id.starts_with(digit)).count() > 1;
    let digit = digits.into_iter().find(shared).unwrap();
    let ended = answering(key(&machine, &["credentials", "remove", &digit]), &[PIN]);
    assert_failed(
        &ended,
        &format!("have ids that begin with {digit}"),
        "type more of the id",
    );
    assert!(!ended.stdout.contains("Type \"remove\""), "{ended:#?}");
    assert_eq!(ids(&list()), all);
}

#[test]
fn words_on_a_key_are_made_fit_to_be_shown() {
    let (machine, _blue) = keeping(&["\u{1b}[2J\u{202e}root\n\"alice", "bob"]);
    let listed = answering(key(&machine, &["credentials", "list"]), &[PIN]).expect_success();
    assert!(
        listed.stdout.contains("pam://?[2J?root??alice"),
        "{listed:#?}"
    );
    let strange = |c: char| (c.is_control() && !"\r\n".contains(c)) || c == '\u{202e}';
    assert_eq!(listed.stdout.find(strange), None, "{listed:#?}");
    let row = listed
        .stdout
        .lines()
        .find(|line| line.contains("?root"))
        .unwrap();
    let id = row.split_whitespace().next().unwrap();
    let remove = key(&machine, &["credentials", "remove", id]);
    let removed = answering(remove, &[PIN, ("Type \"remove\"", "remove")]).expect_success();
    assert_eq!(removed.stdout.find(strange), None, "{removed:#?}");
}

#[test]
fn a_key_that_keeps_nothing_says_so() {
    let (machine, _blue) = with(blue().with_pin("2468"));
    let listed = answering(key(&machine, &["credentials", "list"]), &[PIN]).expect_success();
    assert!(
        listed.stdout.contains("keeps no credentials itself"),
        "{listed:#?}"
    );
}

#[test]
fn a_key_without_a_reader_has_no_fingerprints() {
    if cfg!(feature = "built-in-uv") {
        return;
    }
    let (machine, _blue) = with(blue().with_pin("2468"));
    let ended = key(&machine, &["fingerprints", "list"])
        .on_a_terminal()
        .output();
    assert_failed(&ended, "has no fingerprint reader", "passkey key pin set");
}

#[test]
fn always_uv_is_switched_on_and_off_and_what_is_so_already_costs_no_pin() {
    let (machine, blue) = with(blue().with_pin("2468"));
    let on = key(&machine, &["config", "always-uv", "on"]);
    let on = answering(on, &[PIN]).expect_success();
    assert!(on.stdout.contains("signs nothing without"), "{on:#?}");
    assert!(
        key(&machine, &["info"])
            .output()
            .stdout
            .contains("alwaysUv=yes")
    );
    blue.forget_transactions();
    key(&machine, &["config", "always-uv", "on"])
        .output()
        .expect_success();
    assert!(!blue.commands().contains(&Command::Config));
    let json = key(&machine, &["config", "always-uv", "on", "--json"]).output();
    let done = "{\"version\":1,\"key\":{\"node\":\"/dev/hidraw0\",\"product\":\"Blue\"},\
                \"done\":\"always-uv on\"}\n";
    assert_eq!(json.stdout, done);
    let off = key(&machine, &["config", "always-uv", "off"]);
    answering(off, &[("8 tries left", "1111"), ("7 tries left", "2468")]).expect_success();
    assert!(
        key(&machine, &["info"])
            .output()
            .stdout
            .contains("alwaysUv=no")
    );
}

#[test]
fn the_shortest_pin_grows_with_a_word_and_never_shrinks() {
    let (machine, blue) = with(blue().with_pin("2468"));
    let eight = || key(&machine, &["config", "min-pin-length", "8"]);
    let kept = answering(eight(), &[("Type \"longer\" to go on: ", "yes")]);
    assert_failed(&kept, "the shortest PIN of \"Blue\"", "run again");
    assert!(
        kept.stdout.contains("Only a reset, which erases the"),
        "{kept:#?}"
    );
    assert_no_pin_was_tried(&blue);
    let grown = answering(eight(), &[("Type \"longer\"", "longer"), PIN]).expect_success();
    assert!(
        grown.stdout.contains("takes no PIN under 8 characters"),
        "{grown:#?}"
    );
    assert!(
        grown.stdout.contains("passkey key pin change"),
        "{grown:#?}"
    );
    let shrunk = key(&machine, &["config", "min-pin-length", "6"]).output();
    assert_failed(&shrunk, "that cannot be made less", "passkey key reset");
    // what it is already, it is
    eight().output().expect_success();
    let mut change = key(&machine, &["pin", "change"]).on_a_terminal().start();
    change.wait_for("8 tries left");
    change.type_line("2468");
    change.wait_for("at least 8 characters: ");
    change.type_line("1357913");
    change.wait_for("at least 8 characters.");
    change.wait_for_times("New PIN", 2);
    change.type_line("13579135");
    change.wait_for("once more");
    change.type_line("13579135");
    change.finish().expect_success();
}

#[test]
fn a_key_that_has_no_settings_says_so() {
    let (machine, _blue) = with(blue().with_pin("2468").posing_as(Profile::fido_2_0()));
    for command in [
        ["config", "always-uv", "on"],
        ["config", "min-pin-length", "8"],
    ] {
        let ended = key(&machine, &command).on_a_terminal().output();
        assert_failed(&ended, "cannot", "passkey key info");
    }
}

#[test]
fn a_key_is_reset_after_a_word_and_a_replug_and_a_touch() {
    let (machine, blue) = keeping_two();
    blue.presence(Presence::after_ms(200));
    let mut reset = key(&machine, &["reset"]).on_a_terminal().start();
    reset.wait_for("PIN of \"Blue\" (/dev/hidraw0), to count what is on it, 8 tries left");
    reset.type_line("2468");
    reset.wait_for("the 2 credentials that it keeps itself");
    reset.wait_for("every login enrolled with it");
    reset.wait_for("Type \"reset\" to erase it: ");
    reset.type_line("reset");
    reset.wait_for("Unplug \"Blue\" (/dev/hidraw0) now (60 s).");
    let blue = blue.unplug();
    reset.wait_for("Plug it in again");
    let blue = machine.plug_in(blue);
    reset.wait_for("Touch \"Blue\" (/dev/hidraw0) to erase it (30 s).");
    let reset = reset.finish().expect_success();
    assert!(
        reset.stdout.contains("has forgotten everything"),
        "{reset:#?}"
    );
    let removed = reset.stdout.find("sudo passkey remove NAME");
    let set = reset.stdout.find("passkey key pin set");
    let enrolled = reset.stdout.find("sudo passkey enroll");
    // while it is on record, an only key would have to vouch for itself
    assert!(
        removed.is_some() && removed < set && set < enrolled,
        "{reset:#?}"
    );
    let info = key(&machine, &["info"]).output();
    assert!(info.stdout.contains("PIN           not set"), "{info:#?}");
    assert!(info.stdout.contains("room for 150 more"), "{info:#?}");
    drop(blue);
}

/// A reset that has come to the point at which the key is unplugged.
fn reset_until_unplugged(machine: &Machine) -> tests::machine::Running<'_> {
    let mut reset = key(machine, &["reset"]).on_a_terminal().start();
    reset.wait_for("Type \"reset\" to erase it: ");
    reset.type_line("reset");
    reset.wait_for("Unplug \"Blue\"");
    reset
}

#[test]
fn without_the_word_nothing_is_erased() {
    let (machine, blue) = with(blue());
    for other in ["", "yes", "resett"] {
        let ended = answering(key(&machine, &["reset"]), &[("Type \"reset\"", other)]);
        assert_failed(&ended, "was not reset", "run again");
    }
    assert!(!blue.commands().contains(&Command::Reset));
}

#[test]
fn another_key_in_its_place_is_not_erased() {
    let (machine, blue) = with(blue());
    let reset = reset_until_unplugged(&machine);
    drop(blue);
    reset.wait_for("Plug it in again");
    let green = machine.plug_in(VirtualKey::named("Green"));
    assert_failed(
        &reset.finish(),
        "which is another key than \"Blue\"",
        "nothing was erased",
    );
    assert!(!green.commands().contains(&Command::Reset));

    // nor one of the same name and another model
    let blue = machine.plug_in(VirtualKey::named("Blue").of_model([7; 16]));
    drop(green);
    let reset = key(&machine, &["reset", "--key", "/dev/hidraw1"]);
    let mut reset = reset.on_a_terminal().start();
    reset.wait_for("Type \"reset\"");
    reset.type_line("reset");
    reset.wait_for("Unplug");
    drop(blue);
    reset.wait_for("Plug it in again");
    let other = machine.plug_in(VirtualKey::named("Blue").of_model([8; 16]));
    assert_failed(
        &reset.finish(),
        "which is another key than",
        "nothing was erased",
    );
    assert!(!other.commands().contains(&Command::Reset));
}

#[test]
fn a_reset_that_nobody_touches_for_erases_nothing() {
    let (machine, blue) = with(blue().with_pin("2468"));
    blue.presence(Presence::Deny);
    let mut reset = key(&machine, &["reset"]).on_a_terminal().start();
    reset.wait_for("nothing: do not count): ");
    reset.type_line("");
    reset.wait_for("every credential that it keeps itself");
    reset.wait_for("Type \"reset\"");
    reset.type_line("reset");
    reset.wait_for("Unplug");
    let blue = blue.unplug();
    reset.wait_for("Plug it in again");
    let blue = machine.plug_in(blue);
    assert_failed(&reset.finish(), "denied", "nothing was erased");
    assert!(blue.is_dark());
    let info = key(&machine, &["info"]).output();
    assert!(info.stdout.contains("PIN           set"), "{info:#?}");
}

#[test]
fn ctrl_c_in_a_reset_leaves_no_key_blinking() {
    let (machine, blue) = with(blue());
    blue.presence(Presence::Never);
    let mut reset = reset_until_unplugged(&machine);
    let blue = blue.unplug();
    reset.wait_for("Plug it in again");
    let blue = machine.plug_in(blue);
    reset.wait_for("Touch \"Blue\"");
    reset.wait_until_it_holds_back(nix::sys::signal::Signal::SIGINT);
    reset.type_keys("\x03");
    assert_eq!(reset.finish().signal(), Some(2));
    assert_eq!(blue.cancels(), 1);
}

#[test]
fn a_key_that_was_pulled_out_meanwhile_is_missed() {
    let (machine, blue) = with(blue().with_pin("2468"));
    for command in [&["credentials", "list"][..], &["config", "always-uv", "on"]] {
        let blue = machine.plug_in(VirtualKey::named("Other").with_pin("2468"));
        let node = blue.node();
        let command: Vec<&str> = command.iter().copied().chain(["--key", &node]).collect();
        let run = machine.passkey(["key"].into_iter().chain(command.iter().copied()));
        let mut running = run.on_a_terminal().start();
        running.wait_for("8 tries left: ");
        drop(blue);
        running.type_line("2468");
        assert_failed(
            &running.finish(),
            "was unplugged",
            "plug it in and run again",
        );
    }
    drop(blue);
}

#[test]
fn a_key_that_took_anothers_place_is_given_no_pin() {
    for command in [&["credentials", "list"][..], &["config", "always-uv", "on"]] {
        let (machine, blue) = with(blue().with_pin("2468"));
        let mut running = key(&machine, command).on_a_terminal().start();
        running.wait_for(PIN.0);
        drop(blue);
        let green = machine.plug_in(VirtualKey::named("Green").with_pin("2468"));
        assert_eq!(green.node(), "/dev/hidraw0");
        running.type_line("2468");
        let ended = running.finish();
        assert_eq!(ended.code(), Some(1), "{ended:#?}");
        assert!(
            ended.stdout.contains("plug it in and run again"),
            "{ended:#?}"
        );
        assert!(!green.commands().contains(&Command::ClientPin));
    }
}

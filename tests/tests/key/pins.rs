//! PINs set and changed, and tries that nobody loses by accident.

use tests::household::answering;
use tests::{Command, Profile};

use crate::desk::{PIN, assert_failed, blue, fido2_token, key, with};

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

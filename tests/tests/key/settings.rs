//! Settings, and keys that have none.

use tests::household::answering;
use tests::{Command, Profile};

use crate::desk::{PIN, assert_failed, assert_no_pin_was_tried, blue, key, with};

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

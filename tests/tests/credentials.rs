//! The records behind the keys: shown, renamed, removed, and a spare beside them; what is printed
//! for people and what for programs.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use serde_json::Value;
use tests::household::answering;
use tests::machine::{ALICE_PASSWORD, Finished};
use tests::{Command, Machine, Pam, Presence, Profile, VirtualKey};

const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

/// As root in a script.
fn as_root(machine: &Machine, arguments: &[&str]) -> Finished {
    let user = ["--user", "alice"];
    machine
        .passkey(arguments.iter().chain(&user).copied())
        .output()
}

/// The one line of JSON, of the version that is documented.
#[track_caller]
fn json(ended: &Finished) -> Value {
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:#?}");
    let value: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(value.get("version"), Some(&1.into()), "{value}");
    value
}

#[track_caller]
fn assert_failed(ended: &Finished, happened: &str, what_to_do: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let said = [ended.stdout.as_str(), &ended.stderr].concat();
    assert!(said.contains(happened), "no {happened:?} in {said}");
    assert!(said.contains(what_to_do), "no {what_to_do:?} in {said}");
}

#[test]
fn list_names_every_key_to_people_and_to_programs() {
    let machine = Machine::with_passwords();
    let none = as_root(&machine, &["list"]).expect_success();
    assert_eq!(none.stdout, "");
    let how =
        "no keys enrolled for alice; enrol one from a root shell: passkey enroll --user alice";
    assert!(none.stderr.contains(how), "{none:#?}");
    let none = json(&as_root(&machine, &["list", "--json"]));
    assert_eq!(none["credentials"].as_array().unwrap().len(), 0);

    let _blue = machine.enrolled("alice", "blue key", &["--rp-id", "pam://fleet"]);
    let list = as_root(&machine, &["list"]).expect_success();
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert!(
        lines[0].starts_with("NAME      ALGORITHM  VERIFICATION  ENROLLED"),
        "{list:#?}"
    );
    assert!(
        lines[1].starts_with("blue key  ES256      touch only    20"),
        "{list:#?}"
    );
    assert!(lines[1].ends_with("  pam://fleet"), "{list:#?}");

    let list = json(&as_root(&machine, &["list", "--json"]));
    assert_eq!(list["user"], "alice");
    let blue = &list["credentials"][0];
    assert_eq!(blue["name"], "blue key");
    assert_eq!(blue["user_verification"], "discouraged");
    assert_eq!(blue["rp_id"], "pam://fleet");
    assert_eq!(blue["public_key"], machine.public_keys("alice")[0]);
}

#[test]
fn show_says_all_that_is_recorded_of_a_key() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let shown = as_root(&machine, &["show", "blue key"]).expect_success();
    let public_key = &machine.public_keys("alice")[0];
    for line in [
        "Name             blue key",
        "Verification     touch only",
        "Can be copied    no",
        "Recorded in      /etc/pam-passkey/users/alice.toml",
        &format!("Public key       {public_key}"),
    ] {
        assert!(
            shown.stdout.lines().any(|it| it == line),
            "no {line:?} in {shown:#?}"
        );
    }
    // the fingerprint is stock ssh-keygen's
    machine.write("/root/key.pub", public_key, 0o600);
    let judged = machine
        .run(["ssh-keygen", "-l", "-f", "/root/key.pub"])
        .output();
    let fingerprint = judged.expect_success().stdout;
    let fingerprint = fingerprint.split(' ').nth(1).unwrap();
    assert!(
        shown
            .stdout
            .contains(&format!("Fingerprint      {fingerprint}\n")),
        "{shown:#?}"
    );

    let shown = json(&as_root(&machine, &["show", "blue key", "--json"]));
    assert_eq!(shown["credential"]["fingerprint"], fingerprint);
    assert!(
        shown["counter"].as_u64().unwrap() > 0,
        "root sees the counter"
    );

    let ended = as_root(&machine, &["show", "red key"]);
    assert_failed(
        &ended,
        "alice has no key called \"red key\"",
        "there are: \"blue key\"",
    );
}

#[test]
fn a_renamed_key_opens_what_it_opened_and_is_called_by_its_new_name() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let before = machine.read(ALICE_FILE);
    let renamed = machine
        .by_alice(&["rename", "blue key", "Bob's -x"])
        .output();
    let renamed = renamed.expect_success();
    assert!(
        renamed
            .stdout
            .contains("\"blue key\" is called \"Bob's -x\" now.")
    );
    let undo = "Undo with: sudo passkey rename 'Bob'\\''s -x' \"blue key\"";
    assert!(renamed.stdout.contains(undo), "{renamed:#?}");
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success);
    assert!(
        login.said().contains("Touch \"Bob's -x\""),
        "{}",
        login.said()
    );

    let back = as_root(&machine, &["rename", "Bob's -x", "blue key", "--json"]);
    let back = json(&back.expect_success());
    assert_eq!(
        (&back["from"], &back["to"]),
        (&"Bob's -x".into(), &"blue key".into())
    );
    assert_eq!(machine.read(ALICE_FILE), before);
}

#[test]
fn what_cannot_be_renamed_is_left_as_it_is() {
    let machine = Machine::with_passwords();
    let ended = as_root(&machine, &["rename", "blue key", "x"]);
    assert_failed(
        &ended,
        "has no key called \"blue key\"",
        "no keys enrolled at all",
    );
    drop(machine.enrolled("alice", "blue key", &[]));
    drop(machine.enrolled("alice", "red key", &[]));
    let before = machine.read(ALICE_FILE).unwrap();
    let ended = as_root(&machine, &["rename", "blue key", "red key"]);
    assert_failed(&ended, "called \"red key\" already", "choose another name");
    let ended = as_root(&machine, &["rename", "grey key", "x"]);
    assert_failed(
        &ended,
        "no key called \"grey key\"",
        "there are: \"blue key\", \"red key\"",
    );
    assert_eq!(machine.read(ALICE_FILE).unwrap(), before);
    // a twin would come to count
    let (_, record) = before.split_once("\n\n").unwrap();
    let (record, _) = record.split_once("\n\n").unwrap();
    let twin = record.replace("discoverable = false", "discoverable = true");
    let twins = format!("{before}\n{twin}\n");
    machine.write(ALICE_FILE, &twins, 0o644);
    let ended = as_root(&machine, &["rename", "blue key", "x"]);
    assert_failed(&ended, "would count then", "take that record out by hand");
    assert_eq!(machine.read(ALICE_FILE).unwrap(), twins);

    if tests::machine::privilege().has_other_users() {
        let ended = machine
            .passkey(["rename", "blue key", "x"])
            .as_alice()
            .output();
        assert_failed(
            &ended,
            "only root may",
            "run: sudo passkey rename \"blue key\" \"x\"",
        );
        // without the account it would be done to alice's own key
        let ended = machine
            .passkey(["remove", "--user", "bob", "blue key"])
            .as_alice()
            .output();
        assert_failed(
            &ended,
            "only root may",
            "run: sudo passkey remove --user \"bob\" \"blue key\"",
        );
    }
    let ended = machine.passkey(["rename", "blue key", "a\nb"]).output();
    assert_eq!(ended.code(), Some(2), "{ended:#?}");
}

#[test]
fn the_last_key_goes_only_where_somebody_says_so() {
    let machine = Machine::with_passwords();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let before = machine.read(ALICE_FILE);
    let question = "to remove it all the same: ";
    for no in ["", "y", "yes", "Remove it", "\x03"] {
        let mut remove = machine.by_alice(&["remove", "blue key"]).start();
        remove.wait_for(question);
        remove.type_line(no);
        let ended = remove.finish();
        let not = "\"blue key\" was not removed: it is the last key of alice";
        assert_failed(&ended, not, "enrol another one first (sudo passkey enroll)");
        assert_failed(
            &ended,
            "passkey check --user alice",
            "passkey remove --last \"blue key\"",
        );
    }
    // a script is not asked
    let ended = as_root(&machine, &["remove", "blue key"]);
    assert_failed(
        &ended,
        "was not removed",
        "passkey remove --user alice --last \"blue key\"",
    );
    assert!(!ended.stderr.contains(question), "{ended:#?}");
    assert_eq!(machine.read(ALICE_FILE), before);

    // one of two is no last one
    drop(blue);
    drop(machine.enrolled("alice", "spare key", &[]));
    let removed = json(&as_root(&machine, &["remove", "--json", "spare key"]));
    assert_eq!(
        (&removed["name"], &removed["left"]),
        (&"spare key".into(), &1.into())
    );
    let removed = as_root(&machine, &["remove", "--last", "blue key"]).expect_success();
    assert_eq!(removed.stdout, "Removed \"blue key\" from alice.\n");
    assert!(removed.stderr.contains("That was the last key of alice."));
    // where sudo wants a key, sudo does not lead back
    let back = "from a root shell that is still open: passkey enroll --user alice";
    assert!(removed.stderr.contains(back), "{removed:#?}");
    assert_eq!(machine.read(ALICE_FILE), None);
}

#[test]
fn a_spare_key_is_enrolled_in_the_same_breath_and_the_first_vouches() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(Presence::after_ms(150));
    let enroll = ["enroll", "--touch-only", "--name", "blue key"];
    let mut enroll = machine.by_alice(&enroll).start();
    enroll.wait_for("Password:");
    enroll.type_line(ALICE_PASSWORD);
    enroll.wait_for("[y/N] ");
    enroll.type_line("y");
    enroll.wait_for("Lost or broken, it lets nobody in");
    enroll.wait_for("Enrol a second key now? [y/N] ");
    let green = machine.plug_in(VirtualKey::named("Green"));
    green.presence(Presence::after_ms(150));
    enroll.type_line("y");
    enroll.wait_for("\"blue key\" vouches for the new key.");
    enroll.wait_for("Enrol \"Green\" (/dev/hidraw1) for alice? [y/N] ");
    enroll.type_line("y");
    let enrolled = enroll.finish().expect_success();
    assert!(
        enrolled
            .stdout
            .contains("Enrolled \"spare key\" for alice."),
        "{enrolled:#?}"
    );
    drop(blue);
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
}

#[test]
fn the_first_key_is_not_offered_as_its_own_spare() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(Presence::after_ms(150));
    // root is asked for no proof, so nothing vouches
    let enroll = ["enroll", "--touch-only", "--user", "alice"];
    let mut enroll = machine.passkey(enroll).on_a_terminal().start();
    enroll.wait_for("Enrol \"Blue\" (/dev/hidraw0) for alice? [y/N] ");
    enroll.type_line("y");
    enroll.wait_for("Enrol a second key now? [y/N] ");
    enroll.type_line("y");
    enroll.wait_for("Plug in the key to enrol; the one that is enrolled may stay (");
    let green = machine.plug_in(VirtualKey::named("Green"));
    green.presence(Presence::after_ms(150));
    enroll.wait_for("Enrol \"Green\" (/dev/hidraw1) for alice? [y/N] ");
    enroll.type_line("y");
    enroll.finish().expect_success();
}

#[test]
fn a_spare_that_is_not_enrolled_leaves_the_first_one_enrolled() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(Presence::after_ms(150));
    let enroll = ["enroll", "--touch-only", "--timeout", "1"];
    let answers = [
        ("Password:", ALICE_PASSWORD),
        ("for alice? [y/N] ", "y"),
        ("Enrol a second key now? [y/N] ", "y"),
    ];
    let ended = answering(machine.by_alice(&enroll), &answers);
    let happened = "no security key to enrol was plugged in";
    assert_failed(
        &ended,
        happened,
        "\"Blue\" is enrolled; only the spare key is not.",
    );
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
}

#[test]
fn a_first_key_that_cannot_vouch_for_a_spare_says_which_table_would_let_it() {
    let machine = Machine::with_passwords();
    machine.policy("");
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(Presence::after_ms(150));
    let mut enroll = machine.by_alice(&["enroll", "--touch-only"]).start();
    for (question, answer) in [
        ("Password:", ALICE_PASSWORD),
        ("for alice? [y/N] ", "y"),
        ("Enrol a second key now? [y/N] ", "y"),
    ] {
        enroll.wait_for(question);
        enroll.type_line(answer);
    }
    assert_failed(
        &enroll.finish(),
        "\"Blue\" is enrolled; only the spare key is not.",
        "user_verification = \"discouraged\" in the table [service.sudo]",
    );
}

#[test]
fn programs_and_scripts_are_offered_no_spare() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(Presence::after_ms(150));
    let enrolled = as_root(&machine, &["enroll", "--touch-only", "--json"]).expect_success();
    let value = json(&enrolled);
    assert_eq!(value["credential"]["name"], "Blue");
    assert_eq!(value["file"], ALICE_FILE);
    assert_eq!(value["undo"], "passkey remove --user alice \"Blue\"");
    assert!(enrolled.stderr.contains("Enrol it soon"), "{enrolled:#?}");
    assert!(!enrolled.stderr.contains("[y/N]"), "{enrolled:#?}");
}

#[test]
fn a_key_that_cannot_be_enrolled_is_refused_before_anybody_says_yes() {
    let machine = Machine::with_passwords();
    let plain = machine.plug_in(VirtualKey::named("Plain"));
    let ended = machine.by_alice(&["enroll", "--name", "blue key"]);
    let mut ended = ended.start();
    ended.wait_for("Password:");
    ended.type_line(ALICE_PASSWORD);
    let ended = ended.finish();
    assert_failed(
        &ended,
        "\"Plain\" (/dev/hidraw0) gave none",
        "sudo passkey enroll --name \"blue key\" --touch-only",
    );
    assert_failed(&ended, "set a PIN on it: passkey key pin set", "");
    assert!(!ended.stdout.contains("[y/N]"), "{ended:#?}");
    assert_eq!(plain.commands(), [Command::Init, Command::GetInfo]);
    drop(plain);

    let u2f = machine.plug_in(VirtualKey::named("Old").posing_as(Profile::u2f_only()));
    let mut ended = machine.by_alice(&["enroll", "--touch-only"]).start();
    ended.wait_for("Password:");
    ended.type_line(ALICE_PASSWORD);
    let ended = ended.finish();
    assert_failed(
        &ended,
        "speaks only U2F, not FIDO2",
        "says FIDO2 on its box",
    );
    assert!(!ended.stdout.contains("[y/N]"), "{ended:#?}");
    drop(u2f);
}

#[test]
fn a_test_says_what_the_service_asks_for_and_where_to_read_on() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let tested = as_root(&machine, &["test"]).expect_success();
    let enough = "That is enough for sudo, which asks for a touch.";
    assert!(
        tested.stdout.ends_with(&format!("{enough}\n")),
        "{tested:#?}"
    );
    assert!(
        tested.stderr.contains("passkey check --service sudo"),
        "{tested:#?}"
    );
    let tested = json(&as_root(&machine, &["test", "--json", "--service", "su"]));
    assert_eq!(
        (&tested["key"], &tested["service"]),
        (&"blue key".into(), &"su".into())
    );
    assert_eq!(tested["user_present"], true);
    assert_eq!(tested["user_verified"], false);

    let ended = as_root(&machine, &["test", "--service", "cron"]);
    assert_failed(&ended, "does not cover it", "[service.cron]");
    let bob = machine
        .passkey(["test", "--user", "bob", "--service", "su"])
        .output();
    assert_failed(
        &bob,
        "no keys enrolled for bob",
        "passkey enroll --user bob",
    );
    machine.policy("timeout = 1\n");
    let ended = as_root(&machine, &["test", "--service", "su"]);
    assert_failed(&ended, "a PIN or fingerprint is required", "");
}

#[test]
fn what_to_type_again_has_every_option_that_was_typed() {
    let machine = Machine::with_passwords();
    machine.policy("timeout = 1\n");
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    machine.enroll(&blue, "alice", "blue key", &[]);
    drop(blue);
    let ended = as_root(
        &machine,
        &["test", "--service", "su", "--receipt", "/root/r"],
    );
    let again = "passkey test --service \"su\" --user \"alice\" --receipt \"/root/r\"";
    assert_failed(&ended, "no security key of alice was plugged in", again);
}

#[test]
fn seconds_are_counted_down_on_a_terminal_and_on_no_other_line() {
    let machine = Machine::with_passwords();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::after_ms(2500));
    let seen = machine.by_alice(&["test"]).env("TERM", "xterm").output();
    let seen = seen.expect_success().stdout;
    let counted = "\rTouch \"Bench Key\" (/dev/hidraw0) for a test login as alice (28 s).\x1b[K";
    assert!(seen.contains(counted), "{seen:?}");
    assert!(
        seen.contains("\x1b[32mThat is enough for\x1b[0m sudo"),
        "{seen:?}"
    );

    for (variable, value, option, counts) in [
        ("TERM", "dumb", &[][..], false),
        ("TERM", "xterm", &["--plain"], false),
        ("NO_COLOR", "1", &[], true),
    ] {
        blue.presence(Presence::after_ms(1500));
        let arguments = [&["test"], option].concat();
        let seen = machine
            .by_alice(&arguments)
            .env("TERM", "xterm")
            .env(variable, value);
        let seen = seen.output().expect_success().stdout;
        assert!(!seen.contains("\x1b[3"), "{variable}: {seen:?}");
        assert_eq!(seen.contains("\x1b[K"), counts, "{variable}: {seen:?}");
        assert!(seen.contains("(30 s)."), "{seen:?}");
        assert!(seen.contains("That is enough for sudo"), "{seen:?}");
    }
    // into a file there is neither
    let piped = as_root(&machine, &["test"]).expect_success();
    assert!(
        !piped.stdout.contains('\x1b') && !piped.stderr.contains('\x1b'),
        "{piped:#?}"
    );
}

#[test]
fn a_result_that_nobody_can_read_is_a_failure() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    for command in ["list", "show 'blue key'", "list --json"] {
        let full = format!("passkey {command} --user alice >/dev/full");
        let ended = machine.run(["/bin/sh", "-c", &full]).output();
        assert_failed(&ended, "the result could not be written", "passkey list");
    }
}

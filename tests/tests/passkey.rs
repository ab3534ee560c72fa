//! The program `passkey`, with a virtual key and a person at a terminal.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use tests::machine::{ALICE_PASSWORD, BOB_PASSWORD, Finished, Run};
use tests::{Attestation, Command, Machine, Pam, Presence, VirtualKey};

const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

/// A machine whose service `passkey` is the one we ship.
fn machine() -> Machine {
    let machine = Machine::lived_on();
    machine.service("passkey", include_str!("../../config/pam.d/passkey"));
    machine.common_files_of_debian();
    machine
}

/// As alice would run it: sudo passkey …, at her terminal.
fn by_alice<'m>(machine: &'m Machine, arguments: &[&str]) -> Run<'m> {
    machine
        .run(["passkey"].iter().chain(arguments).copied())
        .env("SUDO_UID", "1000")
        .on_a_terminal()
}

/// The same, and types this password when asked for one.
fn by_alice_typing(machine: &Machine, password: &str, arguments: &[&str]) -> Finished {
    let mut running = by_alice(machine, arguments).start();
    running.wait_for("Password:");
    running.type_line(password);
    running.finish()
}

/// Failed with 1, said this, and wrote nothing for alice.
#[track_caller]
fn assert_refused(machine: &Machine, ended: &Finished, sentence: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let said = [ended.stdout.as_str(), &ended.stderr].concat();
    assert!(said.contains(sentence), "no {sentence:?} in {said}");
    assert_eq!(machine.read(ALICE_FILE), None);
}

#[test]
fn the_first_key_wants_the_accounts_password() {
    let machine = machine();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(Presence::after_ms(150));

    let wrong = by_alice_typing(&machine, BOB_PASSWORD, &["enroll", "--touch-only"]);
    assert_refused(&machine, &wrong, "that is not the password of alice");
    assert!(blue.commands().is_empty(), "no key is asked before");

    let enroll = ["enroll", "--touch-only", "--name", "blue key"];
    let enrolled = by_alice_typing(&machine, ALICE_PASSWORD, &enroll).expect_success();
    assert!(!enrolled.stdout.contains(ALICE_PASSWORD), "{enrolled:#?}");
    assert!(enrolled.stdout.contains("Enrolled \"blue key\" for alice."));
    assert!(
        enrolled
            .stdout
            .contains("Undo with: sudo passkey remove \"blue key\"")
    );
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
}

#[test]
fn nothing_prompts_where_nobody_can_answer() {
    let machine = machine();
    let _blue = machine.plug_in(VirtualKey::named("Blue"));
    let ended = machine
        .run(["passkey", "enroll", "--touch-only"])
        .env("SUDO_UID", "1000")
        .stdin(format!("{ALICE_PASSWORD}\n"))
        .output();
    assert_refused(&machine, &ended, "there is no terminal to type it at");
}

#[test]
fn a_second_key_wants_a_touch_of_the_first() {
    let machine = machine();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Deny);
    let spare = machine.plug_in(VirtualKey::named("Spare"));
    spare.presence(Presence::after_ms(150));
    let before = machine.read(ALICE_FILE);

    let enroll = ["enroll", "--touch-only", "--name", "spare key"];
    let denied = by_alice(&machine, &enroll).output();
    assert_eq!(denied.code(), Some(1), "{denied:#?}");
    assert_eq!(machine.read(ALICE_FILE), before);
    assert!(!spare.commands().contains(&Command::MakeCredential));

    blue.presence(Presence::after_ms(150));
    let enrolled = by_alice(&machine, &enroll).output().expect_success();
    assert!(
        enrolled
            .stdout
            .contains("\"blue key\" vouches for the new key.")
    );
    let list = machine
        .run(["passkey", "list", "--user", "alice"])
        .output()
        .expect_success();
    for name in ["blue key", "spare key"] {
        assert!(list.stdout.contains(name), "{list:#?}");
    }
}

#[test]
fn a_key_that_is_enrolled_already_is_not_enrolled_twice() {
    let machine = machine();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let before = machine.read(ALICE_FILE);
    let ended = machine
        .run([
            "passkey",
            "enroll",
            "--touch-only",
            "--user",
            "alice",
            "--name",
            "again",
        ])
        .output();
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    assert_eq!(machine.read(ALICE_FILE), before);
    drop(blue);
}

#[test]
fn through_sudo_everybody_changes_their_own_keys_and_no_others() {
    let machine = machine();
    let _blue = machine.plug_in(VirtualKey::named("Blue"));
    let ended = machine
        .run(["passkey", "enroll", "--touch-only", "--user", "alice"])
        .env("SUDO_UID", "1001")
        .output();
    assert_refused(
        &machine,
        &ended,
        "through sudo you can change only the keys of your own account",
    );
}

#[test]
fn of_several_keys_none_is_enrolled_by_chance() {
    let machine = machine();
    let one = machine.plug_in(VirtualKey::named("One"));
    let two = machine.plug_in(VirtualKey::named("Two"));
    let ended = machine
        .run(["passkey", "enroll", "--touch-only", "--user", "alice"])
        .output();
    assert_refused(&machine, &ended, "One (/dev/hidraw0)");
    assert!(ended.stderr.contains("Two (/dev/hidraw1)"));
    assert!(one.commands().is_empty() && two.commands().is_empty());
}

#[test]
fn without_a_key_it_waits_visibly_and_then_says_so() {
    let machine = machine();
    let ended = machine
        .run([
            "passkey",
            "enroll",
            "--touch-only",
            "--user",
            "alice",
            "--timeout",
            "1",
        ])
        .output();
    assert_refused(&machine, &ended, "no security key to enrol was plugged in");
    assert!(ended.stderr.contains("1 s"), "{ended:#?}");
}

#[test]
fn a_touch_denied_or_never_given_enrols_nothing() {
    for presence in [Presence::Deny, Presence::Never] {
        let machine = machine();
        let blue = machine.plug_in(VirtualKey::named("Blue"));
        blue.presence(presence);
        let ended = machine
            .run([
                "passkey",
                "enroll",
                "--touch-only",
                "--user",
                "alice",
                "--timeout",
                "1",
            ])
            .output();
        assert_refused(&machine, &ended, "");
        assert_eq!(blue.cancels(), usize::from(presence == Presence::Never));
    }
}

#[test]
fn a_key_that_cannot_verify_its_person_is_told_what_to_type() {
    let machine = machine();
    for key in [
        VirtualKey::named("Plain"),
        VirtualKey::named("With PIN").with_pin("2468"),
    ] {
        let key = machine.plug_in(key);
        key.presence(Presence::after_ms(150));
        let ended = machine
            .run(["passkey", "enroll", "--user", "alice"])
            .output();
        assert_refused(&machine, &ended, "--touch-only");
    }
}

#[test]
fn the_new_credential_logs_in_once_before_it_is_recorded() {
    let machine = machine();
    let blue = machine.plug_in(VirtualKey::named("Blue").attested_by(&Attestation::of_the_bench()));
    blue.presence(Presence::after_ms(150));
    let enrolled = machine
        .run(["passkey", "enroll", "--touch-only", "--user", "alice"])
        .output()
        .expect_success();
    assert_eq!(
        blue.commands(),
        [
            Command::Init,
            Command::GetInfo,
            Command::MakeCredential,
            Command::Init,
            Command::GetAssertion
        ]
    );
    assert!(
        enrolled
            .stdout
            .contains("attestation: certificate, not checked against a root"),
        "{enrolled:#?}"
    );
    // Named for what the key calls itself.
    assert!(enrolled.stdout.contains("Enrolled \"Blue\" for alice."));
}

#[test]
fn a_relying_party_of_ssh_is_refused() {
    let machine = machine();
    let _blue = machine.plug_in(VirtualKey::named("Blue"));
    let ended = machine
        .run([
            "passkey",
            "enroll",
            "--touch-only",
            "--user",
            "alice",
            "--rp-id",
            "ssh:host",
        ])
        .output();
    assert_eq!(ended.code(), Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("belongs to SSH keys"), "{ended:#?}");
}

#[test]
fn removing_a_key_shuts_it_out_and_drops_sudos_time_stamps() {
    let machine = machine();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    machine.write("/run/sudo/ts/alice", "", 0o600);
    machine.write("/run/sudo/ts/1000", "", 0o600);

    let unknown = by_alice(&machine, &["remove", "red key"]).output();
    assert_eq!(unknown.code(), Some(1));
    assert!(unknown.stdout.contains("blue key"), "{unknown:#?}");

    by_alice(&machine, &["remove", "blue key"])
        .output()
        .expect_success();
    for stamp in ["/run/sudo/ts/alice", "/run/sudo/ts/1000"] {
        assert_eq!(machine.read(stamp), None, "{stamp}");
    }
    assert_eq!(
        machine.login("sudo", "alice").run().code(),
        Pam::UserUnknown
    );
}

#[test]
fn a_record_that_cannot_be_read_survives_enrolment_and_removal() {
    let machine = machine();
    let blue = machine.enrolled("alice", "blue key", &[]).unplug();
    let broken = "\n[[credential]]\nname = \"precious\nid = 7\n";
    let with_broken = machine.read(ALICE_FILE).unwrap() + broken;
    machine.write(ALICE_FILE, &with_broken, 0o644);
    drop(machine.enrolled("alice", "spare key", &[]));
    for name in ["blue key", "spare key"] {
        machine
            .run(["passkey", "remove", "--user", "alice", name])
            .output()
            .expect_success();
    }
    assert!(machine.read(ALICE_FILE).unwrap().contains("precious"));
    drop(blue);
}

#[test]
fn a_test_login_says_which_key_answered_and_leaves_a_receipt() {
    let machine = machine();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let tested = machine
        .run([
            "passkey",
            "test",
            "--user",
            "alice",
            "--receipt",
            "/root/receipt",
        ])
        .output()
        .expect_success();
    assert!(tested.stdout.contains("blue key"), "{tested:#?}");
    let line = machine.read("/root/receipt").unwrap();
    let receipt: tests::household::Receipt = serde_json::from_str(&line).unwrap();
    let public_key = &machine.public_keys("alice")[0];
    let verdict = receipt.judged_by_ssh_keygen("alice", public_key);
    assert!(verdict.is_good, "{verdict:?}");

    let again = machine
        .run([
            "passkey",
            "test",
            "--user",
            "alice",
            "--receipt",
            "/root/receipt",
        ])
        .output();
    assert_eq!(again.code(), Some(1), "a file in the way is left alone");
    assert_eq!(machine.read("/root/receipt").unwrap(), line);
}

#[test]
fn only_root_enrols() {
    if !tests::machine::privilege().has_other_users() {
        return;
    }
    let machine = machine();
    let ended = machine
        .run(["passkey", "enroll", "--touch-only"])
        .as_alice()
        .output();
    assert_refused(&machine, &ended, "run: sudo passkey enroll");
}

//! Receipts judged afterwards: by `passkey receipt verify`, and by stock ssh-keygen with the line
//! it prints.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use serde_json::Value;
use tests::machine::Finished;
use tests::{Machine, Pam};

const RECEIPTS: &str = "/var/lib/pam-passkey/receipts";
const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

/// A machine on which alice's key has approved two logins of sudo.
fn approved_twice() -> (Machine, tests::machine::PluggedIn) {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    for _ in 0..2 {
        assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
    }
    (machine, blue)
}

fn verify(machine: &Machine, more: &[&str]) -> Finished {
    let command = ["receipt", "verify", RECEIPTS];
    machine
        .passkey(command.iter().chain(more).copied())
        .output()
}

/// The lines a person sees, judged by the first that does not hold.
#[track_caller]
fn assert_bad(machine: &Machine, why: &str, in_all: &str) {
    let ended = verify(machine, &[]);
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    assert!(ended.stdout.contains(why), "no {why:?} in {ended:#?}");
    assert!(ended.stderr.contains(in_all), "no {in_all:?} in {ended:#?}");
    assert!(ended.stderr.contains("do not rely on"), "{ended:#?}");
}

#[test]
fn what_was_approved_is_told_and_openssh_agrees_by_the_line_that_is_printed() {
    let (machine, _blue) = approved_twice();
    let verified = verify(&machine, &[]).expect_success();
    let lines: Vec<&str> = verified.stdout.lines().collect();
    assert!(lines[0].starts_with("line 1: good 20"), "{verified:#?}");
    let what = " sudo approved for alice on ";
    assert!(lines[0].contains(what), "{verified:#?}");
    let how = "(\"blue key\", presence yes, verification no)";
    assert!(lines[1].starts_with("line 2: good") && lines[1].ends_with(how));
    let check_with = lines[3].trim();
    assert!(check_with.starts_with("ssh-keygen -Y verify -n login@pam-passkey -I alice"));

    let judged = machine.run(["/bin/bash", "-c", check_with]).output();
    let good = "Good \"login@pam-passkey\" signature for alice with ECDSA-SK key";
    assert!(judged.expect_success().stdout.starts_with(good));
    // and it can say no
    let other = check_with.replace("sed -n 1p", "sed -n 2p");
    let other = other.replacen("sed -n 2p", "sed -n 1p", 1);
    let judged = machine.run(["/bin/bash", "-c", &other]).output();
    assert_ne!(judged.code(), Some(0), "{judged:#?}");
}

#[test]
fn a_receipt_of_passkey_test_is_judged_by_itself_and_through_a_pipe() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &["--algorithm", "eddsa"]);
    let test = ["test", "--user", "alice", "--receipt", "/root/a receipt"];
    machine.passkey(test).output().expect_success();
    let verified = machine
        .passkey(["receipt", "verify", "/root/a receipt"])
        .output();
    let verified = verified.expect_success();
    let check_with = verified.stdout.lines().last().unwrap().trim();
    let judged = machine.run(["/bin/bash", "-c", check_with]).output();
    let good = "Good \"login@pam-passkey\" signature for alice with ED25519-SK key";
    assert!(
        judged.expect_success().stdout.starts_with(good),
        "{check_with}"
    );

    let piped = "passkey receipt verify - <'/root/a receipt'";
    let verified = machine
        .run(["/bin/sh", "-c", piped])
        .output()
        .expect_success();
    assert!(verified.stdout.starts_with("line 1: good"), "{verified:#?}");
}

#[test]
fn programs_get_every_member() {
    let (machine, blue) = approved_twice();
    let ended = verify(&machine, &["--json"]).expect_success();
    let value: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(value["version"], 1);
    let first = &value["receipts"][0];
    assert_eq!((&first["holds"], &first["line"]), (&true.into(), &1.into()));
    assert_eq!(
        (&first["user"], &first["service"]),
        (&"alice".into(), &"sudo".into())
    );
    assert_eq!(first["user_present"], true);
    assert_eq!(first["user_verified"], false);
    assert!(first["counter"].as_u64() < value["receipts"][1]["counter"].as_u64());
    assert_eq!(first["nonce"].as_str().unwrap().len(), 64);
    drop(blue);
}

#[test]
fn a_line_that_does_not_hold_is_named_with_the_reason() {
    let (machine, _blue) = approved_twice();
    let honest = machine.read(RECEIPTS).unwrap();
    let lines: Vec<&str> = honest.lines().collect();
    let with = |second: &str| format!("{}\n{second}\n", lines[0]);
    for (text, why) in [
        (
            with(&lines[1].replace("sudo", "su")),
            "line 2: BAD the key has not signed",
        ),
        (
            with(lines[0]),
            "line 2: BAD it is the one of line 1 once more",
        ),
        (with("{}"), "line 2: BAD this is not a receipt"),
        (with("\x1b[2J"), "line 2: BAD this is not a receipt"),
        (
            with(&lines[1].replace("\\\"nonce\\\":\\\"", "\\\"nonce\\\":\\\"00")),
            "line 2: BAD its message is not a request",
        ),
        (
            with(&lines[1].replace("alice", "bob")),
            "line 2: BAD bob has no such key now, if ever",
        ),
        (
            with(&lines[1].replace("alice", "nobody's")),
            "line 2: BAD nobody's has no such key now, if ever",
        ),
    ] {
        machine.write(RECEIPTS, &text, 0o600);
        assert_bad(&machine, why, "1 of 2 receipts do not hold");
    }
    machine.write(RECEIPTS, &honest, 0o600);
    // older than the key is, as far as the record goes
    let file = machine.read(ALICE_FILE).unwrap();
    let later = file.replace("enrolled = \"2", "enrolled = \"9");
    machine.write(ALICE_FILE, &later, 0o644);
    assert_bad(
        &machine,
        "it is older than the key's enrolment (9",
        "2 of 2 receipts",
    );
    let stricter = file.replace(
        "user_verification = \"discouraged\"",
        "user_verification = \"required\"",
    );
    machine.write(ALICE_FILE, &stricter, 0o644);
    assert_bad(
        &machine,
        "BAD the key did not verify its person",
        "2 of 2 receipts",
    );
    machine.write(ALICE_FILE, &file, 0o644);
    verify(&machine, &[]).expect_success();

    let ended = verify(&machine, &["--user", "bob"]);
    assert!(
        ended.stdout.contains("line 1: BAD it is about alice"),
        "{ended:#?}"
    );
    machine
        .passkey(["remove", "--last", "--user", "alice", "blue key"])
        .output()
        .expect_success();
    assert_bad(
        &machine,
        "alice has no such key now, if ever",
        "2 of 2 receipts",
    );
}

#[test]
fn what_cannot_be_read_is_said_with_what_to_type() {
    let (machine, _blue) = approved_twice();
    let ended = machine.passkey(["receipt", "verify", "/nowhere"]).output();
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stderr.contains("/nowhere cannot be read"),
        "{ended:#?}"
    );
    machine.write("/root/empty", "\n\n", 0o600);
    let ended = machine
        .passkey(["receipt", "verify", "/root/empty"])
        .output();
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stderr.contains("there is no receipt in /root/empty"),
        "{ended:#?}"
    );
    for (size, too_much) in [(16 << 20, false), ((16 << 20) + 1, true)] {
        machine.write("/root/much", &"\n".repeat(size), 0o600);
        let ended = machine
            .passkey(["receipt", "verify", "/root/much"])
            .output();
        let said = ended.stderr.contains("has more than 16 MiB");
        assert_eq!((ended.code(), said), (Some(1), too_much), "{size}");
    }
    if tests::machine::privilege().has_other_users() {
        let ended = machine
            .passkey(["receipt", "verify", RECEIPTS])
            .as_alice()
            .output();
        assert_eq!(ended.code(), Some(1));
        assert!(
            ended.stderr.contains("run the same command with sudo"),
            "{ended:#?}"
        );
    }
}

#[test]
fn allowed_signers_are_the_keys_there_are() {
    let (machine, _blue) = approved_twice();
    let export = ["export", "allowed-signers", "--user", "alice"];
    let exported = machine.passkey(export).output().expect_success();
    let public_key = &machine.public_keys("alice")[0];
    let begin = "alice namespaces=\"login@pam-passkey\",valid-after=\"20";
    assert!(exported.stdout.starts_with(begin), "{exported:#?}");
    assert!(
        exported
            .stdout
            .ends_with(&format!(" {public_key} blue key\n"))
    );
    let value = machine
        .passkey(export.into_iter().chain(["--json"]))
        .output();
    let value: Value = serde_json::from_str(&value.stdout).unwrap();
    assert_eq!(value["allowed_signers"][0], exported.stdout.trim_end());

    let nobody = machine
        .passkey(["export", "allowed-signers", "--user", "bob"])
        .output();
    assert_eq!(nobody.code(), Some(1));
    assert!(
        nobody.stderr.contains("no keys enrolled for bob"),
        "{nobody:#?}"
    );
}

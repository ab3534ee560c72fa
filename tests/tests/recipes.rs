//! The recipes do what they say to Debian's own files, and undo it.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "also in a test's helpers"
)]

use std::fs;

use tests::machine::{ALICE_PASSWORD, MODULE};
use tests::{Machine, Pam, Presence};

const RECIPES: &str = include_str!("../../RECIPES.md");

/// The root shell's commands of a recipe that change `/etc/pam.d`: to do it, and to undo it.
fn commands(recipe: &str) -> (String, String) {
    let begin = format!("\n## {recipe}\n");
    let (_, text) = RECIPES.split_once(&begin).unwrap();
    let (text, _) = text.split_once("\n## ").unwrap_or((text, ""));
    let lines = text.lines().filter_map(|line| line.strip_prefix("    # "));
    let (undo, does): (Vec<&str>, Vec<&str>) = lines
        .filter(|line| line.contains("/etc/pam.d/"))
        .partition(|line| line.contains("/d' "));
    let ([does], [undo]) = (does.as_slice(), undo.as_slice()) else {
        panic!("{recipe}: one command each way: {does:?}, {undo:?}");
    };
    ((*does).to_owned(), (*undo).to_owned())
}

/// A machine with Debian's own file for `service`, and its common files.
fn machine(service: &str, file: &str) -> Machine {
    let machine = Machine::lived_on();
    machine.common_files_of_debian();
    machine.service("common-session", "session required pam_permit.so\n");
    machine.service("common-password", "password required pam_permit.so\n");
    machine.service(service, file);
    machine
}

/// Follows a recipe; the bench's module stands at a place of its own.
fn follow(machine: &Machine, command: &str, service: &str) -> String {
    machine.sh(command).output().expect_success();
    let file = machine.read(&format!("/etc/pam.d/{service}")).unwrap();
    assert_eq!(file.matches("pam_passkey.so").count(), 1, "{file}");
    machine.service(service, &file.replace("pam_passkey.so", MODULE));
    file
}

#[test]
fn with_the_key_instead_of_the_password_a_touch_lets_in_and_so_does_the_password() {
    for (recipe, service) in [
        ("sudo", "sudo"),
        ("login", "login"),
        ("su", "su"),
        // no locker is installed here: its file as xscreensaver's package has it
        ("Screen lock", "xscreensaver"),
    ] {
        let stock = fs::read_to_string(format!("/etc/pam.d/{service}"));
        let stock = stock.unwrap_or("@include common-auth\n@include common-account\n".into());
        let machine = machine(service, &stock);
        let blue = machine.enrolled("alice", "blue key", &[]);
        let (does, undo) = commands(recipe);
        let changed = follow(&machine, &does, service);
        let login = machine.login(service, "alice").run();
        assert_eq!(login.code(), Pam::Success, "{recipe}: {login:#?}");
        assert!(!login.said().contains("assword"), "{recipe}: {login:#?}");
        blue.presence(Presence::Deny);
        let login = machine.login(service, "alice").answers([ALICE_PASSWORD]);
        let login = login.run();
        assert_eq!(login.code(), Pam::Success, "{recipe}: {login:#?}");

        machine.service(service, &changed);
        machine.sh(&undo).output().expect_success();
        assert_eq!(
            machine.read(&format!("/etc/pam.d/{service}")).unwrap(),
            stock
        );
    }
}

#[test]
fn with_the_key_besides_the_password_it_takes_both() {
    let stock = fs::read_to_string("/etc/pam.d/sudo").unwrap();
    let machine = machine("sudo", &stock);
    let blue = machine.enrolled("alice", "blue key", &[]);
    let (does, undo) = commands("Two-factor");
    let changed = follow(&machine, &does, "sudo");
    let login = |answer: &str| {
        machine
            .login("sudo", "alice")
            .answers([answer])
            .run()
            .code()
    };
    assert_eq!(login(ALICE_PASSWORD), Pam::Success);
    assert_ne!(login("not it"), Pam::Success);
    blue.presence(Presence::Deny);
    assert_ne!(login(ALICE_PASSWORD), Pam::Success);
    machine.service("sudo", &changed);
    machine.sh(&undo).output().expect_success();
    assert_eq!(machine.read("/etc/pam.d/sudo").unwrap(), stock);
}

#[test]
fn a_key_enrolled_under_a_former_name_of_the_machine_lets_in() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &["--rp-id", "pam://a-former-name"]);
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
}

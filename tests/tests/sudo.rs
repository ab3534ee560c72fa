//! The real sudo, with the lines for `/etc/pam.d` that we ship.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use tests::machine::{ALICE_PASSWORD, MODULE, Privilege, Running, privilege};
use tests::{Machine, Presence};

const WITH_A_KEY: &str = include_str!("../../config/pam.d/sudo");
const WITH_BOTH: &str = include_str!("../../config/pam.d/sudo-2fa");

/// A machine with Debian's common files and this `/etc/pam.d/sudo`; none where sudo cannot run.
fn machine(sudo: &str) -> Option<Machine> {
    if privilege() != Privilege::Root {
        println!("skipped: a setuid program needs real root");
        return None;
    }
    let machine = Machine::lived_on();
    machine.common_files_of_debian();
    machine.service("sudo", &sudo.replace("pam_passkey.so", MODULE));
    Some(machine)
}

/// alice types `sudo id -un` at her terminal.
fn alice_types_sudo(machine: &Machine) -> Running<'_> {
    let command = ["sudo", "-k", "id", "-un"];
    machine.run(command).as_alice().on_a_terminal().start()
}

#[test]
fn a_touch_opens_sudo_and_the_prompt_shows_the_command() {
    let Some(machine) = machine(WITH_A_KEY) else {
        return;
    };
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let ended = alice_types_sudo(&machine).finish().expect_success();
    for line in [
        "Requested by sudo for alice: sudo -k id -un",
        "Touch \"blue key\" (30 s).",
        "root",
    ] {
        assert!(ended.stdout.contains(line), "no {line:?} in {ended:#?}");
    }
    assert!(!ended.stdout.contains("assword"), "{ended:#?}");
}

#[test]
fn without_a_touch_sudo_goes_on_to_the_password() {
    let Some(machine) = machine(WITH_A_KEY) else {
        return;
    };
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Deny);
    let mut sudo = alice_types_sudo(&machine);
    sudo.wait_for("The request was denied on the security key.");
    sudo.wait_for("assword");
    sudo.type_line(ALICE_PASSWORD);
    let ended = sudo.finish().expect_success();
    assert!(ended.stdout.contains("root"), "{ended:#?}");
}

#[test]
fn as_a_second_factor_neither_password_nor_key_is_enough_alone() {
    let Some(machine) = machine(WITH_BOTH) else {
        return;
    };
    let blue = machine.enrolled("alice", "blue key", &[]);
    let with_password = |presence| {
        blue.presence(presence);
        let mut sudo = alice_types_sudo(&machine);
        sudo.wait_for("assword");
        sudo.type_line(ALICE_PASSWORD);
        sudo
    };
    let both = with_password(Presence::after_ms(150)).finish();
    assert!(both.expect_success().stdout.contains("root"));

    // sudo asks three times; the other two are for nothing.
    let mut no_touch = with_password(Presence::Deny);
    for prompt in 2..=3 {
        no_touch.wait_for_times("password for alice", prompt);
        no_touch.type_line(ALICE_PASSWORD);
    }
    let ended = no_touch.finish();
    assert_eq!(ended.code(), Some(1), "{ended:#?}");

    blue.presence(Presence::after_ms(150));
    blue.forget_transactions();
    let mut no_password = alice_types_sudo(&machine);
    for prompt in 1..=3 {
        no_password.wait_for_times("password for alice", prompt);
        no_password.type_line("wrong");
    }
    let ended = no_password.finish();
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    assert!(
        blue.commands().is_empty(),
        "no key is asked after a wrong password"
    );
}

//! The real sudo, su and login, with the lines for `/etc/pam.d` that we ship.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use std::time::Duration;

use tests::machine::{ALICE_PASSWORD, MODULE, PluggedIn, Privilege, Running, privilege};
use tests::{Machine, Presence, VirtualKey};

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

/// A key with a PIN, where a touch is not enough.
fn with_a_pin(machine: &Machine) -> PluggedIn {
    machine.policy("");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin("2468"));
    machine.enroll_with_pin(&blue, "alice", "blue key", "2468");
    blue
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

#[test]
fn ctrl_c_stops_sudo_at_once_and_the_key_goes_dark() {
    let Some(machine) = machine(WITH_A_KEY) else {
        return;
    };
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let mut sudo = alice_types_sudo(&machine);
    sudo.wait_for("Touch \"blue key\" (30 s).");
    sudo.type_keys("\x03");
    let ended = sudo.finish();
    assert!(!ended.success(), "{ended:#?}");
    assert!(ended.elapsed < Duration::from_secs(10), "{ended:#?}");
    assert!(!ended.stdout.contains("assword for"), "{ended:#?}");
    assert_eq!(blue.cancels(), 1);
}

#[test]
fn a_pin_opens_sudo_and_ctrl_c_at_its_prompt_stops_it() {
    let Some(machine) = machine(WITH_A_KEY) else {
        return;
    };
    let _blue = with_a_pin(&machine);
    let mut sudo = alice_types_sudo(&machine);
    sudo.wait_for("PIN of \"blue key\", 8 tries left: ");
    sudo.type_line("2468");
    let ended = sudo.finish().expect_success();
    assert!(ended.stdout.contains("root"), "{ended:#?}");
    assert!(!ended.stdout.contains("2468"), "{ended:#?}");

    let mut sudo = alice_types_sudo(&machine);
    sudo.wait_for("PIN of \"blue key\", 8 tries left: ");
    // sudo drops what was typed before it has turned the echo off.
    while !sudo.has_ended() {
        sudo.type_keys("\x03");
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = sudo.finish();
    assert!(!ended.success(), "{ended:#?}");
    assert!(!ended.stdout.contains("assword for"), "{ended:#?}");
}

#[test]
fn three_wrong_pins_of_sudo_lead_to_the_password_and_no_further() {
    let Some(machine) = machine(WITH_A_KEY) else {
        return;
    };
    let _blue = with_a_pin(&machine);
    let mut sudo = alice_types_sudo(&machine);
    for left in [8, 7, 6] {
        sudo.wait_for(&format!("PIN of \"blue key\", {left} tries left: "));
        sudo.type_line("1111");
    }
    sudo.wait_for("Too many wrong PINs.");
    for prompt in 1..=3 {
        sudo.wait_for_times("password for alice", prompt);
        sudo.type_line("wrong");
    }
    let ended = sudo.finish();
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    assert_eq!(ended.stdout.matches("PIN of").count(), 3, "{ended:#?}");
}

#[test]
fn ctrl_c_stops_su_and_the_key_goes_dark() {
    let Some(machine) = machine(WITH_A_KEY) else {
        return;
    };
    machine.service(
        "su",
        &format!(
            "auth [success=done abort=die default=ignore] {MODULE}\n\
             auth required pam_unix.so\naccount required pam_permit.so\n\
             session required pam_permit.so\n"
        ),
    );
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    machine.enroll(&blue, "root", "blue key", &[]);
    blue.presence(Presence::Never);
    let su = ["su", "-c", "id -un"];
    let mut asked = machine.run(su).as_alice().on_a_terminal().start();
    asked.wait_for("Touch \"blue key\" (30 s).");
    asked.type_keys("\x03");
    let ended = asked.finish();
    assert!(!ended.success(), "{ended:#?}");
    assert!(ended.elapsed < Duration::from_secs(10), "{ended:#?}");
    assert!(!ended.stdout.contains("assword for"), "{ended:#?}");
    assert_eq!(blue.cancels(), 1);

    blue.presence(Presence::after_ms(150));
    let opened = machine
        .run(su)
        .as_alice()
        .on_a_terminal()
        .output()
        .expect_success();
    assert!(opened.stdout.contains("root"), "{opened:#?}");
}

#[test]
fn ctrl_c_stops_login_and_the_key_goes_dark() {
    let Some(machine) = machine(WITH_A_KEY) else {
        return;
    };
    // Debian 12's comes from shadow. That of util-linux, in Debian 13, ignores SIGINT, and what a
    // host ignores is no reason for the module to stop.
    let version = machine.run(["login", "--version"]).output();
    if version.stdout.contains("util-linux") {
        println!("skipped: this login ignores Ctrl-C");
        return;
    }
    // A pseudo-terminal is no console; here it stands for one.
    machine.policy("user_verification = \"discouraged\"\nremote = \"allow\"\n");
    machine.service(
        "login",
        &format!(
            "auth [success=done abort=die default=ignore] {MODULE}\n\
             auth required pam_unix.so\naccount required pam_permit.so\n\
             session required pam_permit.so\n"
        ),
    );
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let login = ["login", "alice"];
    let mut asked = machine.run(login).on_a_terminal().start();
    asked.wait_for("Touch \"blue key\" (30 s).");
    asked.type_keys("\x03");
    let ended = asked.finish();
    assert!(!ended.success(), "{ended:#?}");
    assert!(ended.elapsed < Duration::from_secs(10), "{ended:#?}");
    assert_eq!(blue.cancels(), 1);

    blue.presence(Presence::after_ms(150));
    let mut opened = machine.run(login).on_a_terminal().start();
    opened.wait_for("Touch \"blue key\" (30 s).");
    opened.wait_for("$ ");
    opened.type_line("id -un; exit");
    let opened = opened.finish();
    assert!(opened.stdout.contains("alice"), "{opened:#?}");
}

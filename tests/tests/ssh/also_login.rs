//! `passkey ssh enroll --also-login`: a login of this machine in the same sitting.

use tests::household::answering;
use tests::machine::{ALICE_PASSWORD, Privilege, privilege};
use tests::openssh::PIN;
use tests::{Command, Machine, Presence, VirtualKey};

use crate::sitting::{ITS_PIN, Sitting, as_nobody_special, assert_failed};

/// A machine on which alice may become root by her password.
fn with_sudo(key: VirtualKey) -> Option<(Machine, tests::machine::PluggedIn)> {
    if privilege() != Privilege::Root {
        println!("skipped: a setuid program needs real root");
        return None;
    }
    let machine = Machine::with_passwords();
    machine.service("sudo", "@include common-auth\n@include common-account\n");
    machine.write_etc("sudoers", "alice ALL=(ALL) ALL\n", 0o440);
    let key = machine.plug_in(key);
    key.presence(Presence::after_ms(50));
    key.node_mode(0o666);
    Some((machine, key))
}

const AND_A_LOGIN: [&str; 5] = [
    "passkey",
    "ssh",
    "enroll",
    "--no-passphrase",
    "--also-login",
];

const ON_BLUE: (&str, &str) = ("Make the SSH key on \"Blue\" (/dev/hidraw0)? [y/N] ", "y");

const SUDOS: (&str, &str) = ("password for alice: ", ALICE_PASSWORD);

const ACCOUNTS: (&str, &str) = ("Password: ", ALICE_PASSWORD);

const FOR_ALICE: (&str, &str) = ("for alice? [y/N] ", "y");

const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

#[test]
fn a_login_that_nobody_could_be_asked_for_is_refused_before_the_touch() {
    if !as_nobody_special() {
        return;
    }
    let sitting = Sitting::new();
    let both = [
        "enroll",
        "--no-passphrase",
        "--also-login",
        "--key",
        "/dev/hidraw0",
    ];
    assert_failed(
        &sitting.ssh(&both).output(),
        "to enrol the login a person is asked, and there is no terminal",
        "make the SSH key alone, and enrol the login at a terminal: passkey ssh enroll",
    );
    assert_eq!(sitting.blue.commands(), []);
}

#[test]
fn a_login_is_enrolled_in_the_same_sitting_and_is_a_key_of_its_own() {
    let Some((machine, blue)) = with_sudo(VirtualKey::named("Blue").with_pin(PIN)) else {
        return;
    };
    let enroll = machine.by_owner(AND_A_LOGIN);
    let mut enroll = enroll.on_a_terminal().start();
    for (question, answer) in [ON_BLUE, SUDOS, ACCOUNTS, FOR_ALICE] {
        enroll.wait_for(question);
        enroll.type_line(answer);
    }
    for times in [1, 2] {
        enroll.wait_for_times(ITS_PIN, times);
        enroll.type_line(PIN);
    }
    enroll.wait_for("Enrol a second key now? [y/N] ");
    enroll.type_line("n");
    let ended = enroll.finish().expect_success();
    for needed in [
        "Two things are made",
        "Made an ecdsa-sk key",
        // What the password was for.
        "Now the login for this machine, by: sudo /",
        "/passkey enroll\r\n",
        "Enrolled \"Blue\" for alice.",
    ] {
        assert!(ended.stdout.contains(needed), "no {needed:?} in {ended:#?}");
    }
    let ssh = machine
        .sh_by_owner("cat ~/.ssh/id_ecdsa_sk.pub")
        .output()
        .stdout;
    let login = machine.public_keys("alice").pop().unwrap();
    assert_ne!(login.split(' ').nth(1), ssh.split(' ').nth(1));
    assert!(blue.commands().contains(&Command::GetAssertion));
}

#[test]
fn a_login_that_is_not_enrolled_leaves_the_ssh_key_and_says_how_to_go_on() {
    let Some((machine, _blue)) = with_sudo(VirtualKey::named("Blue")) else {
        return;
    };
    let ended = answering(machine.by_owner(AND_A_LOGIN), &[ON_BLUE, SUDOS, ACCOUNTS]);
    // It has no PIN, which a login needs, and an SSH key does not.
    assert!(
        ended
            .stdout
            .contains("set a PIN on it: passkey key pin set"),
        "{ended:#?}"
    );
    let stays = "the SSH key is made, and stays; the login was not enrolled";
    assert_failed(&ended, stays, "enrol it any time: sudo passkey enroll");
    assert!(
        machine
            .sh_by_owner("cat ~/.ssh/id_ecdsa_sk.pub")
            .output()
            .success()
    );
    assert_eq!(machine.read(ALICE_FILE), None);
}

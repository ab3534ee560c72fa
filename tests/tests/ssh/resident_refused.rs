//! What keeps the SSH keys on a security key from being looked after, and what is said then.

use tests::household::answering;
use tests::machine::privilege;
use tests::{Command, Machine, Profile, VirtualKey};

use crate::resident_desk::{
    PIN, blue, done, files, id, keeping, list, made, row, ssh, with, with_blue,
};
use crate::sitting::assert_failed;

/// Every command, with what it needs.
const ALL: [&[&str]; 4] = [
    &["list"],
    &["import"],
    &["remove", "ab"],
    &["rename", "ab", "work"],
];

#[test]
fn no_key_several_keys_and_no_terminal_are_said_with_what_to_type() {
    let machine = Machine::new();
    for command in ALL {
        let ended = ssh(&machine, command).on_a_terminal().output();
        assert_failed(
            &ended,
            "no security key is plugged in",
            "run again: passkey ssh ",
        );
    }
    let blue = machine.plug_in(blue().with_pin("2468"));
    for command in ALL {
        let ended = ssh(&machine, command).stdin("2468\n").output();
        assert_failed(&ended, "there is no terminal", "terminal: passkey ssh ");
    }
    let _green = machine.plug_in(VirtualKey::named("Green"));
    let several = ssh(&machine, &["import", "/root", "--no-passphrase"]).output();
    let again = "passkey ssh import /root --no-passphrase --key NODE";
    assert_failed(&several, "several keys are plugged in", again);
    assert_eq!(blue.pin_tries_left(), 8);
    assert!(!blue.commands().contains(&Command::CredentialManagement));
    let which = ("Which one is meant? [1-2, nothing for none] ", "1");
    let listed = answering(ssh(&machine, &["list"]), &[which, PIN]).expect_success();
    assert!(listed.stdout.contains("keeps no SSH keys"), "{listed:#?}");
    let node = blue.node();
    done(&machine, &["list", "--key", &node]).expect_success();
}

#[test]
fn a_key_without_a_pin_or_without_a_list_is_told_from_one_that_keeps_nothing() {
    let (machine, _blue) = with(blue());
    for command in ALL {
        let ended = ssh(&machine, command).on_a_terminal().output();
        let again = "passkey key pin set; then: passkey ssh ";
        assert_failed(&ended, "has no PIN", again);
    }
    let (machine, blue) = with(blue().with_pin("2468").posing_as(Profile::fido_2_0()));
    for command in ALL {
        let ended = ssh(&machine, command).on_a_terminal().output();
        assert_failed(
            &ended,
            "cannot list the SSH keys that it keeps",
            "passkey key info",
        );
    }
    assert_eq!(blue.pin_tries_left(), 8);
}

#[test]
fn a_wrong_pin_is_asked_for_again_and_lists_nothing() {
    let (machine, blue) = with_blue();
    made(&machine, "key", "ecdsa-sk", &[]);
    let seven = ("PIN of \"Blue\" (/dev/hidraw0), 7 tries left: ", "2468");
    let listed = answering(ssh(&machine, &["list"]), &[(PIN.0, "1111"), seven]).expect_success();
    assert!(listed.stdout.contains("That PIN was wrong."), "{listed:#?}");
    row(&listed, "ssh:");
    let none = answering(ssh(&machine, &["import"]), &[(PIN.0, "")]);
    assert_failed(&none, "no PIN was given", "run again: passkey ssh import");
    assert_eq!(blue.pin_tries_left(), 8);
    assert!(files(&machine, "/root/.ssh").is_empty());
}

#[test]
fn a_key_that_is_pulled_out_is_named() {
    let (machine, blue) = with_blue();
    let mut running = ssh(&machine, &["import"]).on_a_terminal().start();
    running.wait_for(PIN.0);
    drop(blue.unplug());
    running.type_line("2468");
    let again = "plug it in and run again: passkey ssh import";
    assert_failed(&running.finish(), "was unplugged", again);
}

#[test]
fn a_file_in_the_way_stays_and_the_others_are_written() {
    let (machine, _blue) = with_blue();
    made(&machine, "plain", "ecdsa-sk", &[]);
    made(&machine, "work", "ecdsa-sk", &["application=ssh:work"]);
    let lay = "mkdir /root/ours; cd /root/ours; echo precious > id_ecdsa_sk_rk; \
               ln -s /root/target id_ecdsa_sk_rk_work.pub; echo precious > /root/target";
    machine.sh(lay).output().expect_success();
    made(&machine, "home", "ecdsa-sk", &["application=ssh:home"]);
    let import = ["import", "/root/ours", "--no-passphrase"];
    let ended = done(&machine, &import);
    assert_failed(
        &ended,
        "2 of 3 SSH keys could not be written",
        "the lines above say which",
    );
    for said in [
        "not written: \"ssh:\": /root/ours/id_ecdsa_sk_rk is there already",
        "passkey ssh import /root/ours --force --no-passphrase --only ",
        "passkey ssh import DIRECTORY --no-passphrase --only ",
        "not written: \"ssh:work\": /root/ours/id_ecdsa_sk_rk_work.pub is a symbolic link",
        "/root/ours/id_ecdsa_sk_rk_home ",
    ] {
        assert!(ended.stdout.contains(said), "no {said:?} in {ended:#?}");
    }
    let there = [
        "id_ecdsa_sk_rk",
        "id_ecdsa_sk_rk_home",
        "id_ecdsa_sk_rk_home.pub",
        "id_ecdsa_sk_rk_work.pub",
    ];
    assert_eq!(files(&machine, "/root/ours"), there);
    let read = |file: &str| machine.read(file).unwrap();
    assert_eq!(read("/root/ours/id_ecdsa_sk_rk"), "precious\n");

    let forced = done(
        &machine,
        &["import", "/root/ours", "--force", "--no-passphrase"],
    );
    assert_failed(
        &forced,
        "1 of 3 SSH keys could not be written",
        "the lines above",
    );
    assert!(read("/root/ours/id_ecdsa_sk_rk").starts_with("-----BEGIN OPENSSH"));
    assert_eq!(read("/root/target"), "precious\n");
}

#[test]
fn a_directory_that_will_not_do_is_said_before_anybody_types_a_pin() {
    let (machine, blue) = with_blue();
    made(&machine, "key", "ecdsa-sk", &[]);
    let missing = ssh(&machine, &["import", "/root/missing"])
        .on_a_terminal()
        .output();
    assert_failed(
        &missing,
        "cannot be opened: No such file",
        "make the directory",
    );
    let file = ssh(&machine, &["import", "/root/key"])
        .on_a_terminal()
        .output();
    assert_failed(
        &file,
        "cannot be opened: Not a directory",
        "passkey ssh import DIRECTORY",
    );
    if privilege().has_other_users() {
        blue.node_mode(0o666);
        let import = ssh(&machine, &["import", "/etc"])
            .as_alice()
            .on_a_terminal();
        let ended = import.output();
        assert_failed(
            &ended,
            "cannot be written: Permission denied",
            "choose another place",
        );
        let import = ssh(&machine, &["import", "--no-passphrase"]).as_alice();
        answering(import, &[PIN]).expect_success();
        let modes = machine
            .sh("stat -c '%a %U' /home/alice/.ssh /home/alice/.ssh/*")
            .output();
        assert_eq!(modes.stdout, "700 alice\n600 alice\n644 alice\n");
    }
}

#[test]
fn an_id_means_one_ssh_key_or_none() {
    let parties: Vec<String> = (0..17).map(|number| format!("ssh:{number}")).collect();
    let mut all: Vec<(&str, &[u8])> = parties.iter().map(|it| (it.as_str(), &b"\0"[..])).collect();
    all.push(("pam://laptop", b"alice"));
    let (machine, _blue) = keeping(&all);
    let listed = list(&machine);
    let ids: Vec<&str> = listed
        .stdout
        .lines()
        .filter(|it| it.contains(" ssh:"))
        .map(id)
        .collect();
    assert_eq!(ids.len(), 17, "{listed:#?}");
    let digits = "0123456789abcdef".chars().map(String::from);
    let shared = |digit: &String| {
        ids.iter()
            .filter(|id| id.starts_with(digit.as_str()))
            .count()
            > 1
    };
    let digit = digits.into_iter().find(shared).unwrap();
    // what is no SSH key is not removed here
    let held = answering(machine.passkey(["key", "credentials", "list"]), &[PIN]);
    let login = id(row(&held, "pam://")).to_owned();
    for (command, said, what_to_do) in [
        (
            &["remove", &digit][..],
            "SSH keys on",
            "type more of the id",
        ),
        (
            &["rename", &digit, "x"],
            "SSH keys on",
            "type more of the id",
        ),
        (
            &["import", "--only", &digit],
            "SSH keys on",
            "passkey ssh list",
        ),
        (
            &["remove", &login],
            "keeps no SSH key whose id",
            "passkey ssh list",
        ),
        (
            &["rename", &login, "x"],
            "keeps no SSH key whose id",
            "passkey ssh list",
        ),
        (
            &["import", "--only", &login],
            "keeps no SSH key whose id",
            "passkey ssh list",
        ),
    ] {
        let ended = done(&machine, command);
        assert_failed(&ended, said, what_to_do);
        assert!(!ended.stdout.contains("Type \"remove\""), "{ended:#?}");
    }
    assert!(files(&machine, "/root/.ssh").is_empty());
    assert_eq!(list(&machine).stdout.matches(" ssh:").count(), 17);
}

#[test]
fn strange_words_on_a_key_are_shown_made_fit_and_become_no_path() {
    let (machine, _blue) = keeping(&[
        ("ssh:../../tmp/x", b"../y"),
        ("ssh:\u{1b}[2J\u{202e}gone", b"\x1b[2J"),
        ("ssh:good", b"alice"),
    ]);
    let listed = list(&machine);
    let bad = row(&listed, "ssh:?[2J?gone");
    assert!(
        bad.contains("not readable: an application cannot contain"),
        "{listed:#?}"
    );
    let strange = |c: char| (c.is_control() && !"\r\n".contains(c)) || c == '\u{202e}';
    assert_eq!(listed.stdout.find(strange), None, "{listed:#?}");
    let imported = done(&machine, &["import", "--no-passphrase"]);
    assert_failed(
        &imported,
        "1 of 3 SSH keys could not be written",
        "the lines above",
    );
    assert_eq!(imported.stdout.find(strange), None, "{imported:#?}");
    let names = [
        "id_ecdsa_sk_rk_2e2e2f2e2e2f746d702f78_2e2e2f79",
        "id_ecdsa_sk_rk_2e2e2f2e2e2f746d702f78_2e2e2f79.pub",
        "id_ecdsa_sk_rk_good_alice",
        "id_ecdsa_sk_rk_good_alice.pub",
    ];
    assert_eq!(files(&machine, "/root/.ssh"), names);
    let removed = answering(
        ssh(&machine, &["remove", id(bad)]),
        &[PIN, ("Type \"remove\"", "remove")],
    );
    let removed = removed.expect_success();
    assert_eq!(removed.stdout.find(strange), None, "{removed:#?}");
    assert!(!list(&machine).stdout.contains("gone"));
}

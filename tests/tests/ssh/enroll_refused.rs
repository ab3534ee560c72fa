//! What `passkey ssh enroll` does not do, and what it says instead.

use tests::household::{answering, whenever_asked};
use tests::machine::{Privilege, privilege};
use tests::openssh::PIN;
use tests::{Command, Machine, Presence, Profile, VirtualKey};

use crate::sitting::{
    ITS_PIN, Sitting, YES, as_nobody_special, assert_failed, at_home, read_by_ssh_keygen,
};

#[test]
fn nothing_that_is_there_is_written_over_and_no_key_is_touched_in_vain() {
    let sitting = Sitting::new();
    sitting
        .sh(
            "mkdir -m 700 .ssh; echo precious >.ssh/id_ecdsa_sk; mkdir dir; ln -s aim link; \
                echo precious >public.pub",
        )
        .expect_success();
    let refused = |file: &str, more: &[&str], happened: &str, what_to_do: &str| {
        let arguments = [&["-f", file][..], more].concat();
        assert_failed(&sitting.enroll(&arguments), happened, what_to_do);
    };
    refused(
        ".ssh/id_ecdsa_sk",
        &[],
        "is there already",
        "or replace it, and lose what it is good for: passkey ssh enroll",
    );
    // Of the two files the second is in the way, and the first is not there afterwards.
    refused("public", &[], "public.pub is there already", "--force");
    for more in [&[][..], &["--force"]] {
        refused("dir", more, "is no file", "choose another");
        refused("link", more, "is a symbolic link", "choose another");
        refused(
            "missing/key",
            more,
            "cannot be opened: No such file",
            "make the directory",
        );
    }
    // Another place for the private key would be no help.
    let arguments = ["-f", "other", "--attestation", "public.pub"];
    assert_failed(
        &sitting.enroll(&arguments),
        "public.pub is there already",
        "passkey ssh enroll --output other --no-passphrase --attestation FILE",
    );
    assert_eq!(sitting.blue.commands(), [], "touched in vain");
    assert_eq!(sitting.names("."), ".ssh\ndir\nlink\npublic.pub\n");
    assert_eq!(
        sitting.sh("cat .ssh/* public.pub").stdout,
        "precious\nprecious\n"
    );
    assert!(!sitting.sh("test -e aim").success());

    sitting
        .enroll(&["-f", ".ssh/id_ecdsa_sk", "--force"])
        .expect_success();
    assert!(read_by_ssh_keygen(&sitting, at_home(".ssh/id_ecdsa_sk").as_str(), "").success());
}

#[test]
fn no_file_is_written_over_another_of_the_same_sitting_nor_over_the_first_key() {
    let sitting = Sitting::new();
    for options in [
        &["-f", "key", "--attestation", "key"][..],
        &["-f", "key", "--attestation", "./key.pub"],
        &["-f", "key", "--backup", "key"],
        &["-f", "key", "--attestation", "a", "--backup", "a"],
    ] {
        for more in [&[][..], &["--force"]] {
            let refused = sitting.enroll(&[options, more].concat());
            assert_failed(&refused, "two files would be called", "a name of its own");
        }
    }
    assert_eq!(sitting.blue.commands(), [], "touched in vain");
    assert_eq!(sitting.names("."), "");
    sitting
        .enroll(&["-f", "key", "--backup", "noted"])
        .expect_success();
    let before = sitting.sh("cat key key.pub noted").stdout;
    for file in ["key", "./key"] {
        let spare = sitting.enroll(&["--spare-of", "key", "-f", file, "--force"]);
        assert_failed(&spare, "to be a spare for", "--output FILE");
    }
    for file in ["noted", "./noted"] {
        let recover = ["recover", "noted", "--no-passphrase", "--force", "-f", file];
        let recovered = sitting.ssh(&recover).output();
        assert_failed(&recovered, "is the backup file itself", "--output FILE");
    }
    assert_eq!(sitting.sh("cat key key.pub noted").stdout, before);
}

#[test]
fn a_full_or_a_read_only_disk_is_found_out_before_the_touch() {
    if privilege() != Privilege::Root {
        println!("skipped: a disk of its own needs real root");
        return;
    }
    let sitting = Sitting::new();
    let mount = |options: &str| {
        let line = format!(
            "mkdir -p /home/alice/disk && mount -t tmpfs -o {options} none /home/alice/disk"
        );
        line
    };
    // Both in one shell: a mount is seen by who made it, and by nobody else.
    let enroll =
        "cd /home/alice && passkey ssh enroll --no-passphrase --key /dev/hidraw0 -f disk/key";
    for (options, happened) in [
        ("size=4k,mode=777", "No space left on device"),
        ("ro,mode=777", "Read-only file system"),
    ] {
        let fill = "head -c 4096 /dev/zero >/home/alice/disk/full";
        let line = format!(
            "{}; {fill}; {enroll}; code=$?; ls -A disk; exit $code",
            mount(options)
        );
        let ended = sitting.machine.sh(&line).output();
        assert_failed(&ended, happened, "choose another place");
        assert!(!ended.stdout.contains("key"), "{ended:#?}");
    }
    assert_eq!(sitting.blue.commands(), []);
}

#[test]
fn a_folder_in_which_nobody_may_write_is_found_out_before_the_touch() {
    if !as_nobody_special() {
        return;
    }
    let sitting = Sitting::new();
    sitting
        .sh("mkdir -m 555 closed; mkdir -m 0 dark")
        .expect_success();
    let denied = "Permission denied";
    assert_failed(
        &sitting.enroll(&["-f", "closed/key"]),
        denied,
        "choose another place",
    );
    assert_failed(
        &sitting.enroll(&["-f", "dark/key"]),
        denied,
        "choose another place",
    );
    assert_eq!(sitting.blue.commands(), []);
}

#[test]
fn who_gives_up_leaves_nothing_behind_and_no_light_on() {
    let sitting = Sitting::new();
    sitting.blue.presence(Presence::Never);
    let mut enroll = sitting
        .ssh(&["enroll", "--no-passphrase"])
        .on_a_terminal()
        .start();
    enroll.wait_for("[y/N] ");
    enroll.type_line("y");
    sitting.blue.wait_until_it_blinks();
    enroll.type_keys("\x03");
    let ended = enroll.finish();
    assert!(!ended.success(), "{ended:#?}");
    assert!(sitting.blue.is_dark());
    assert_eq!(sitting.names(".ssh"), "");

    // Killed, too, at the question for the passphrase and while the light is on.
    for question in ["Passphrase for the private-key file", "Touch \"Blue\""] {
        let mut enroll = sitting
            .ssh(&["enroll", "--key", "/dev/hidraw0"])
            .on_a_terminal()
            .start();
        enroll.wait_for("Passphrase for the private-key file (nothing for none): ");
        if question.starts_with("Touch") {
            enroll.type_line("");
            sitting.blue.wait_until_it_blinks();
        }
        enroll.signal(nix::sys::signal::Signal::SIGKILL);
        enroll.finish();
        assert_eq!(sitting.names(".ssh"), "", "{question}");
    }
}

#[test]
fn a_touch_denied_or_never_given_makes_nothing() {
    let sitting = Sitting::new();
    sitting.blue.presence(Presence::Deny);
    assert_failed(
        &sitting.enroll(&[]),
        "the request was denied",
        "run again: passkey ssh enroll",
    );
    sitting.blue.presence(Presence::Never);
    assert_failed(
        &sitting.enroll(&["--timeout", "1"]),
        "nobody touched",
        "run again: passkey ssh enroll",
    );
    assert!(sitting.blue.is_dark());
    assert_eq!(sitting.names(".ssh"), "");
}

#[test]
fn a_key_pulled_out_makes_nothing() {
    let Sitting { machine, blue } = Sitting::new();
    blue.presence(Presence::Never);
    let mut enroll = machine
        .by_owner(["passkey", "ssh", "enroll", "--no-passphrase"])
        .on_a_terminal()
        .start();
    enroll.wait_for("[y/N] ");
    enroll.type_line("y");
    blue.wait_until_it_blinks();
    drop(blue.unplug());
    assert_failed(
        &enroll.finish(),
        "was unplugged",
        "plug it in and run again: passkey ssh enroll",
    );
    assert_eq!(machine.sh_by_owner("ls -A ~/.ssh").output().stdout, "");
}

#[test]
fn a_wrong_pin_is_asked_for_again_and_the_third_ends_it() {
    let sitting = Sitting::with_a_pin();
    let run = sitting.ssh(&["enroll", "--no-passphrase", "--verify-required"]);
    let ended = whenever_asked(run, &[YES, (ITS_PIN, "13579")]);
    assert_eq!(
        ended.stdout.matches("That PIN was wrong.").count(),
        2,
        "{ended:#?}"
    );
    assert_eq!(sitting.blue.pin_tries_left(), 5);
    assert!(ended.stdout.contains("passkey: "), "{ended:#?}");
    assert_eq!(ended.code(), Some(1));
    assert_eq!(sitting.names(".ssh"), "");
}

#[test]
fn a_key_without_a_pin_leads_to_setting_one() {
    let sitting = Sitting::new();
    for option in ["--verify-required", "--resident"] {
        let ended = sitting.enroll(&[option]);
        assert_failed(
            &ended,
            "it has neither a PIN nor a fingerprint",
            &format!("passkey key pin set; then run again: passkey ssh enroll {option}"),
        );
    }
    assert!(!sitting.blue.commands().contains(&Command::MakeCredential));
}

#[test]
fn a_full_security_key_and_one_that_keeps_nothing_lead_to_a_key_that_takes_no_room() {
    let full = VirtualKey::named("Full").with_pin(PIN);
    let full = Sitting::with(full.firmware(|it| it.max_supported_resident_keys = 1));
    full.enroll(&["--resident", "-f", "one"]).expect_success();
    let keeps_nothing = Profile::fido_2_1().keeps_nothing();
    let small = VirtualKey::named("Small").with_pin(PIN);
    let small = Sitting::with(small.posing_as(keeps_nothing));
    for (sitting, happened) in [
        (&full, "has no room for another resident key"),
        (&small, "keeps no keys itself"),
    ] {
        let node = sitting.blue.node();
        for named in [&[][..], &["--key", &node]] {
            let two = ["--resident", "--user", "bob", "-f", "two", "-C", "a b"];
            let refused = sitting.enroll(&[&two[..], named].concat());
            let what_to_do = "passkey ssh enroll --output two --comment \"a b\" --no-passphrase";
            assert_failed(&refused, happened, what_to_do);
        }
        assert!(!sitting.names(".").contains("two"));
    }
    // Nobody types a PIN at one that says that it keeps nothing.
    assert!(!small.blue.commands().contains(&Command::ClientPin));
    small.enroll(&["-f", "two"]).expect_success();

    // What is to be typed makes room, and undoes the first one.
    let list = full.run(&["passkey", "key", "credentials", "list"]);
    let listed = answering(list, &[(ITS_PIN, PIN)]).expect_success();
    let id = listed.stdout.lines().find(|it| it.contains(" ssh:"));
    let id = id.unwrap().split_whitespace().next().unwrap();
    let remove = full.run(&["passkey", "key", "credentials", "remove", id]);
    answering(remove, &[(ITS_PIN, PIN), ("Type \"remove\"", "remove")]).expect_success();
    full.enroll(&["--resident", "-f", "two"]).expect_success();
}

#[test]
fn a_resident_key_is_not_replaced_unless_somebody_says_so() {
    let sitting = Sitting::with_a_pin();
    let enroll = |file: &str, more: &[&str]| {
        let arguments = [&["--resident", "-f", file][..], more].concat();
        sitting.enroll(&arguments)
    };
    enroll("one", &[]).expect_success();
    let refused = enroll("two", &[]);
    assert_failed(
        &refused,
        "keeps an SSH key for ssh: already, and it would be lost",
        "choose another --user, to keep both; or lose it: passkey ssh enroll",
    );
    assert!(!sitting.sh("test -e two").success());
    // Others are kept beside it: another user, another application.
    enroll("two", &["--user", "bob"]).expect_success();
    enroll("three", &["--application", "ssh:work"]).expect_success();
    assert_failed(
        &enroll("four", &["--user", "bob"]),
        "ssh: and user bob already",
        "--replace",
    );
    // The one that ssh-keygen would take for its own is the same.
    let theirs = sitting.run(&[
        "ssh-keygen",
        "-t",
        "ecdsa-sk",
        "-O",
        "resident",
        "-N",
        "",
        "-f",
        "theirs",
    ]);
    let theirs = whenever_asked(theirs, &[("Enter PIN for", PIN), ("(y/n)", "n")]);
    assert!(theirs.stdout.contains("already exists"), "{theirs:#?}");

    // Replaced, it signs for nobody any more.
    enroll("four", &["--replace"]).expect_success();
    let sign = |file: &str| {
        sitting.sh(&format!(
            "echo hello >message; rm -f message.sig; ssh-keygen -Y sign -n file -f {file} message"
        ))
    };
    assert!(!sign("one").success());
    sign("four").expect_success();
    sign("two").expect_success();
}

#[test]
fn a_key_that_cannot_guard_keys_makes_none_that_must_be_guarded() {
    let machine = Machine::new();
    let liar = tests::Liar::named("Old").with_pin(PIN);
    let port = machine.plug_in_cable(liar.name(), liar.power_on());
    let enroll = |options: &[&str]| {
        let command = [
            "passkey",
            "ssh",
            "enroll",
            "--no-passphrase",
            "-f",
            "/root/key",
            "--key",
        ];
        let command = command
            .iter()
            .copied()
            .chain([port.node().leak() as &str])
            .chain(options.iter().copied());
        whenever_asked(machine.run(command), &[(ITS_PIN, PIN)])
    };
    for option in ["--resident", "--verify-required"] {
        assert_failed(
            &enroll(&[option]),
            "(credProtect)",
            "without --resident and --verify-required",
        );
    }
    enroll(&[]).expect_success();
}

#[test]
fn a_key_without_ed25519_says_so_and_ecdsa_is_offered() {
    let sitting = Sitting::with(VirtualKey::named("Old").posing_as(Profile::fido_2_0()));
    let cannot = "cannot make an ed25519-sk key";
    let ed25519 = ["enroll", "--no-passphrase", "-t", "ed25519-sk"];
    let declined = answering(sitting.ssh(&ed25519), &[YES, ("instead? [y/N] ", "n")]);
    assert_failed(
        &declined,
        cannot,
        "make an ecdsa-sk key: passkey ssh enroll",
    );
    let nobody = sitting.ssh(&ed25519).output();
    assert_failed(&nobody, cannot, "make an ecdsa-sk key: passkey ssh enroll");
    assert_eq!(sitting.names(".ssh"), "");
    let taken = answering(sitting.ssh(&ed25519), &[YES, ("instead? [y/N] ", "y")]);
    assert!(
        taken
            .expect_success()
            .stdout
            .contains("Made an ecdsa-sk key")
    );
    assert_eq!(sitting.names(".ssh"), "id_ecdsa_sk\nid_ecdsa_sk.pub\n");
}

#[test]
fn of_several_security_keys_a_person_says_which_and_a_script_is_told_to() {
    let sitting = Sitting::new();
    let green = sitting.plug_in(VirtualKey::named("Green"));
    let enroll = ["enroll", "--no-passphrase"];
    let nobody = sitting.ssh(&enroll).output();
    assert_failed(&nobody, "several keys could be meant", "--key NODE");
    let question = (
        "Which one is to hold the SSH key? [1-2, nothing for none] ",
        "2",
    );
    answering(sitting.ssh(&enroll), &[question]).expect_success();
    assert!(green.commands().contains(&Command::MakeCredential));
    assert!(!sitting.blue.commands().contains(&Command::MakeCredential));
    let none = answering(
        sitting.ssh(&["enroll", "--no-passphrase", "-f", "other"]),
        &[(question.0, "")],
    );
    assert_failed(
        &none,
        "no key was used, since nobody said which",
        "run again: passkey ssh enroll",
    );
}

#[test]
fn what_is_to_be_typed_again_names_the_same_security_key() {
    let sitting = Sitting::with_a_pin();
    let _green = sitting.plug_in(VirtualKey::named("Green"));
    let node = sitting.blue.node();
    let enroll = |more: &[&str]| {
        let options = [&["--resident", "--key", &node][..], more].concat();
        sitting.enroll(&options)
    };
    enroll(&[]).expect_success();
    let named = format!("--key {node}");
    assert_failed(
        &enroll(&[]),
        "is there already",
        &format!("{named} --output FILE"),
    );
    let forced = format!("--force --no-passphrase {named}");
    assert_failed(&enroll(&[]), "is there already", &forced);
    let replace = format!("--replace --no-passphrase {named}");
    assert_failed(&enroll(&["-f", "two"]), "would be lost", &replace);
}

#[test]
fn nothing_prompts_where_nobody_can_answer() {
    let sitting = Sitting::with_a_pin();
    let no_passphrase = sitting.ssh(&["enroll", "--key", "/dev/hidraw0"]).output();
    assert_failed(
        &no_passphrase,
        "a passphrase is asked for, and there is no terminal",
        "--no-passphrase",
    );
    let no_pin = sitting.ssh(&[
        "enroll",
        "--key",
        "/dev/hidraw0",
        "--no-passphrase",
        "--verify-required",
    ]);
    assert_failed(
        &no_pin.output(),
        "no PIN was given",
        "PINs are typed at a terminal",
    );
    assert_eq!(sitting.blue.pin_tries_left(), 8);
    assert_eq!(sitting.names(".ssh"), "");
}

//! `passkey ssh enroll`: what it makes, what it asks, and what it does not do.

use tests::household::{answering, whenever_asked};
use tests::machine::{ALICE_PASSWORD, Finished, Privilege, privilege};
use tests::openssh::PIN;
use tests::{Command, Machine, Presence, Profile, VirtualKey};

use crate::sitting::{ITS_PIN, Sitting, YES, as_nobody_special, assert_failed, at_home};

/// What ssh-keygen makes of a private-key file: its public key.
#[track_caller]
fn read_by_ssh_keygen(sitting: &Sitting, file: &str, passphrase: &str) -> Finished {
    let command = ["ssh-keygen", "-y", "-P", passphrase, "-f", file];
    sitting.run(&command).output()
}

#[test]
fn one_touch_makes_a_key_where_ssh_looks_for_it() {
    use Command::{GetInfo, Init, MakeCredential};

    let sitting = Sitting::new();
    let made = sitting.enroll(&[]).expect_success();
    assert_eq!(
        sitting.sh("stat -c '%a %n' .ssh .ssh/*").stdout,
        "700 .ssh\n600 .ssh/id_ecdsa_sk\n644 .ssh/id_ecdsa_sk.pub\n"
    );
    let public = sitting.sh("cat .ssh/id_ecdsa_sk.pub").stdout;
    let read = read_by_ssh_keygen(&sitting, ".ssh/id_ecdsa_sk", "");
    assert_eq!(read.stdout, public, "{read:#?}");
    let shown = sitting.sh("ssh-keygen -l -f .ssh/id_ecdsa_sk.pub").stdout;
    let fingerprint = shown.split_whitespace().nth(1).unwrap();
    for needed in [
        "Made an ecdsa-sk key on \"Blue\" (/dev/hidraw0).",
        fingerprint,
        public.trim_end(),
        "Install it with: ssh-copy-id -i ",
        "Undo with: rm ",
        "--spare-of ",
    ] {
        assert!(made.stdout.contains(needed), "no {needed:?} in {made:#?}");
    }
    let asked = [Init, GetInfo, Init, GetInfo, MakeCredential];
    assert_eq!(sitting.blue.commands(), asked);

    // Who names the security key is asked nothing about it.
    sitting.blue.forget_transactions();
    let node = sitting.blue.node();
    let command = ["enroll", "--no-passphrase", "--key", &node, "-f", "named"];
    sitting.ssh(&command).output().expect_success();
    assert_eq!(sitting.blue.commands(), [Init, GetInfo, MakeCredential]);
}

#[test]
fn we_ask_the_security_key_no_more_than_ssh_keygen_does() {
    // A key that is to ask for the PIN asks for it when it is made, too: ssh-keygen leaves that out.
    const ITS_PIN_IS_CHECKED: usize = 3;

    let sitting = Sitting::with_a_pin();
    let count = |command: &[&str]| {
        sitting.blue.forget_transactions();
        let opens = sitting.blue.opens();
        let its_pin = [("Enter PIN for", PIN), (ITS_PIN, PIN)];
        whenever_asked(sitting.run(command), &its_pin).expect_success();
        let transactions = sitting.blue.transactions().len();
        (transactions, sitting.blue.opens() - opens)
    };
    for (number, (options, more)) in [
        (&[][..], 0),
        (&["verify-required"], ITS_PIN_IS_CHECKED),
        (&["resident"], 0),
    ]
    .into_iter()
    .enumerate()
    {
        let (theirs, ours) = (format!("theirs{number}"), format!("ours{number}"));
        let node = sitting.blue.node();
        let device = format!("device={node}");
        let mut ssh_keygen = vec!["ssh-keygen", "-t", "ecdsa-sk", "-N", "", "-f", &theirs];
        ssh_keygen.extend(["-O", &device]);
        let mut passkey = vec!["passkey", "ssh", "enroll", "--no-passphrase", "-f", &ours];
        passkey.extend(["--key", &node]);
        // Of one application and user there is one resident key.
        let application = "ssh:ours";
        passkey.extend(["--application", application]);
        let long: Vec<String> = options.iter().map(|it| format!("--{it}")).collect();
        for (option, long) in options.iter().zip(&long) {
            ssh_keygen.extend(["-O", option]);
            passkey.push(long);
        }
        let (theirs, ours) = (count(&ssh_keygen), count(&passkey));
        println!("{options:?}, transactions and opens: ssh-keygen {theirs:?}, passkey {ours:?}");
        assert!(
            ours.0 <= theirs.0 + more,
            "{options:?}: {ours:?}, {theirs:?}"
        );
        assert!(ours.1 <= theirs.1, "{options:?}: {ours:?}, {theirs:?}");
        assert_eq!(ours.1, 1);
    }
}

#[test]
fn what_is_asked_for_is_what_the_files_and_the_security_key_hold() {
    let sitting = Sitting::with_a_pin();
    let made = sitting
        .enroll(&[
            "--type",
            "ed25519-sk",
            "--output",
            "work key",
            "--comment",
            "alice's key, at work",
            "--application",
            "ssh:My Laptop",
            "--verify-required",
            "--resident",
            "--user",
            "bob",
        ])
        .expect_success();
    let public = sitting.sh("cat 'work key.pub'").stdout;
    assert!(
        public.starts_with("sk-ssh-ed25519@openssh.com "),
        "{public}"
    );
    assert!(public.ends_with(" alice's key, at work\n"), "{public}");
    assert!(
        made.stdout
            .contains(&format!("verify-required {}", public.trim_end()))
    );
    assert!(
        made.stdout.contains("ssh-copy-id installs no options"),
        "{made:#?}"
    );
    assert!(made.stdout.contains("ssh -i 'work key'"), "{made:#?}");

    let shown = sitting
        .ssh(&["show", "work key", "--json"])
        .output()
        .expect_success();
    for needed in [
        "\"application\":\"ssh:My Laptop\"",
        "\"resident\":true",
        "\"verify_required\":true",
        "\"touch_required\":true",
    ] {
        assert!(shown.stdout.contains(needed), "no {needed} in {shown:#?}");
    }
}

#[test]
fn a_program_reads_what_was_made_as_one_line() {
    let sitting = Sitting::new();
    let node = sitting.blue.node();
    let command = [
        "enroll",
        "--no-passphrase",
        "--no-touch-required",
        "--json",
        "--key",
        &node,
    ];
    let made = sitting.ssh(&command).output().expect_success();
    assert_eq!(made.stdout.lines().count(), 1, "{made:#?}");
    let made: serde_json::Value = serde_json::from_str(&made.stdout).unwrap();
    let public = sitting.sh("cat .ssh/id_ecdsa_sk.pub").stdout;
    assert_eq!(made["version"], 1);
    assert_eq!(made["type"], "ecdsa-sk");
    assert_eq!(made["application"], "ssh:");
    assert_eq!(made["touch_required"], false);
    assert_eq!(made["key"]["node"], node);
    assert_eq!(made["private_key"], at_home(".ssh/id_ecdsa_sk"));
    let line = format!("no-touch-required {}", public.trim_end());
    assert_eq!(made["authorized_keys"][0], line);
    assert!(made["login"].is_null());
}

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
fn what_undoes_it_can_be_typed_as_it_stands_there() {
    let sitting = Sitting::with_a_pin();
    sitting
        .enroll(&["--resident", "--user", "other", "-f", "other"])
        .expect_success();
    let made = sitting
        .enroll(&["--resident", "-f", "a key", "--attestation", "att"])
        .expect_success();
    let said = made.stdout.replace("\r\n", "\n");
    let undo = said
        .lines()
        .find_map(|line| line.strip_prefix("Undo with: "));
    let undo = undo
        .unwrap()
        .strip_suffix("; and take the line off the servers");
    let run = sitting.run(&["sh", "-c", undo.unwrap()]);
    answering(run, &[(ITS_PIN, PIN), ("Type \"remove\"", "remove")]).expect_success();
    assert_eq!(sitting.names("."), "other\nother.pub\n");
    let listed = answering(sitting.ssh(&["list"]), &[(ITS_PIN, PIN)]).expect_success();
    assert!(listed.stdout.contains("other"), "{listed:#?}");
    assert_eq!(listed.stdout.matches(" ssh:").count(), 1, "{listed:#?}");
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
fn an_id_of_more_than_255_bytes_is_written_and_read() {
    let machine = Machine::new();
    let liar = tests::Liar::named("Long");
    let _port = machine.plug_in_cable(liar.name(), liar.power_on());
    for length in [255, 256, 304, 1023] {
        liar.lies(tests::liar::Lie::new_credential(move |it| {
            it.credential_id = vec![0xab; length];
        }));
        let file = format!("/root/key{length}");
        let command = [
            "passkey",
            "ssh",
            "enroll",
            "--no-passphrase",
            "-f",
            &file,
            "--key",
            "/dev/hidraw0",
        ];
        machine.run(command).output().expect_success();
        let public = machine.read(&format!("{file}.pub")).unwrap();
        let read = machine
            .run(["ssh-keygen", "-y", "-f", &file])
            .output()
            .expect_success();
        assert_eq!(read.stdout, public, "{length}");
        // and OpenSSH writes it anew, with all of its bytes
        machine
            .run(["ssh-keygen", "-p", "-N", "another one", "-f", &file])
            .output()
            .expect_success();
        let read = machine
            .run(["ssh-keygen", "-y", "-P", "another one", "-f", &file])
            .output();
        assert_eq!(read.stdout, public, "{length}");
    }
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
fn a_passphrase_is_typed_twice_and_nothing_else_opens_the_file() {
    let sitting = Sitting::new();
    let first = "Passphrase for the private-key file (nothing for none): ";
    let again = "The same once more: ";
    let passphrase = " my house has 🗝️ 3 ";
    let mut enroll = sitting.ssh(&["enroll"]).on_a_terminal().start();
    enroll.wait_for("[y/N] ");
    enroll.type_line("y");
    for (times, typed, once_more) in [
        (1, "four", None),
        (2, "correct horse", Some("correct house")),
        (3, passphrase, Some(passphrase)),
    ] {
        enroll.wait_for_times(first, times);
        enroll.type_line(typed);
        if let Some(typed) = once_more {
            enroll.wait_for_times(again, times - 1);
            enroll.type_line(typed);
        }
    }
    let ended = enroll.finish().expect_success();
    assert!(!ended.stdout.contains("house"), "{ended:#?}");
    assert!(
        ended
            .stdout
            .contains("a passphrase has at least 5 bytes, this one has 4")
    );
    assert!(ended.stdout.contains("These two are not the same."));
    let file = at_home(".ssh/id_ecdsa_sk");
    assert!(read_by_ssh_keygen(&sitting, &file, passphrase).success());
    for wrong in ["", passphrase.trim(), "correct horse"] {
        assert!(
            !read_by_ssh_keygen(&sitting, &file, wrong).success(),
            "{wrong:?}"
        );
    }
}

#[test]
fn every_cipher_and_every_number_of_rounds_is_read_by_ssh_keygen() {
    let sitting = Sitting::new();
    sitting
        .sh("printf 'my house has 3 windows\\nand a door' >secret")
        .expect_success();
    for (number, (cipher, rounds)) in [
        ("aes128-ctr", "1"),
        ("aes192-ctr", "16"),
        ("aes256-ctr", "33"),
        ("aes128-cbc", "2"),
        ("aes192-cbc", "2"),
        ("aes256-cbc", "2"),
        ("aes128-gcm@openssh.com", "2"),
        ("aes256-gcm@openssh.com", "2"),
        ("chacha20-poly1305@openssh.com", "2"),
    ]
    .into_iter()
    .enumerate()
    {
        let file = format!("key{number}");
        let made = sitting.ssh(&[
            "enroll",
            "--key",
            "/dev/hidraw0",
            "-f",
            &file,
            "-Z",
            cipher,
            "-a",
            rounds,
            "--passphrase-file",
            "secret",
        ]);
        made.output().expect_success();
        let read = read_by_ssh_keygen(&sitting, &at_home(&file), "my house has 3 windows");
        assert_eq!(
            read.stdout,
            sitting.sh(&format!("cat {file}.pub")).stdout,
            "{cipher} {read:#?}"
        );
        assert!(
            !read_by_ssh_keygen(&sitting, &at_home(&file), "my house").success(),
            "{cipher}"
        );
    }
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

#[test]
fn a_challenge_has_1_to_65536_bytes() {
    let sitting = Sitting::new();
    for (bytes, happened) in [(0, "is empty"), (65537, "is too long")] {
        sitting
            .sh(&format!("head -c {bytes} /dev/zero >challenge"))
            .expect_success();
        let ended = sitting.enroll(&["--challenge", "challenge"]);
        assert_failed(&ended, happened, "1 to 65536 bytes");
    }
    assert_failed(
        &sitting.enroll(&["--challenge", "missing"]),
        "No such file",
        "--challenge FILE",
    );
    assert_eq!(sitting.blue.commands(), []);
    for (number, bytes) in [1, 65536].into_iter().enumerate() {
        sitting
            .sh(&format!("head -c {bytes} /dev/zero >challenge"))
            .expect_success();
        let file = format!("key{number}");
        sitting
            .enroll(&["--challenge", "challenge", "-f", &file])
            .expect_success();
    }
}

#[test]
fn a_spare_is_made_on_another_security_key_and_goes_beside_the_first() {
    let sitting = Sitting::with_a_pin();
    let first = [
        "--verify-required",
        "--application",
        "ssh:work",
        "-f",
        ".ssh/id_ecdsa_sk",
    ];
    sitting.sh("mkdir -m 700 .ssh");
    sitting.enroll(&first).expect_success();
    sitting
        .sh("ssh-keygen -q -p -N 'my house' -f .ssh/id_ecdsa_sk")
        .expect_success();
    let spare = [
        "enroll",
        "--no-passphrase",
        "--spare-of",
        ".ssh/id_ecdsa_sk",
    ];
    let its_passphrase = ("Passphrase of .ssh/id_ecdsa_sk: ", "my house");

    // The same security key is no other one.
    let same = whenever_asked(sitting.ssh(&spare), &[its_passphrase, YES, (ITS_PIN, PIN)]);
    assert_failed(
        &same,
        "already holds the first key",
        "a spare is of use only on another one; plug that in and run again: passkey ssh enroll --spare-of",
    );
    let wrong = answering(sitting.ssh(&spare), &[(its_passphrase.0, "my horse")]);
    assert_failed(
        &wrong,
        "the passphrase is wrong, or it is damaged",
        "type the right one",
    );
    assert_eq!(sitting.names(".ssh"), "id_ecdsa_sk\nid_ecdsa_sk.pub\n");

    let green = sitting.plug_in(VirtualKey::named("Green").with_pin(PIN));
    let which = ("nothing for none] ", "2");
    let made = whenever_asked(
        sitting.ssh(&spare),
        &[its_passphrase, which, (ITS_PIN, PIN)],
    );
    let made = made.expect_success();
    assert!(green.commands().contains(&Command::MakeCredential));
    let lines = sitting
        .sh("cat .ssh/id_ecdsa_sk.pub .ssh/id_ecdsa_sk_spare.pub")
        .stdout;
    for line in lines.lines() {
        let line = format!("verify-required {line}");
        assert!(made.stdout.contains(&line), "no {line} in {made:#?}");
    }
    assert!(
        lines.lines().nth(1).unwrap().ends_with(" (spare)"),
        "{lines}"
    );
    let shown = sitting
        .ssh(&["show", "--json", ".ssh/id_ecdsa_sk_spare"])
        .output();
    assert!(
        shown.stdout.contains("\"application\":\"ssh:work\""),
        "{shown:#?}"
    );
}

#[test]
fn what_was_made_is_noted_in_a_backup() {
    let sitting = Sitting::new();
    sitting.enroll(&["--backup", "backup"]).expect_success();
    let public = sitting.sh("cat .ssh/id_ecdsa_sk.pub").stdout;
    sitting.sh("rm .ssh/*").expect_success();
    sitting
        .ssh(&["recover", "backup", "--no-passphrase"])
        .output()
        .expect_success();
    assert_eq!(sitting.sh("cat .ssh/id_ecdsa_sk.pub").stdout, public);
    sitting
        .sh("echo hello >message; ssh-keygen -Y sign -n file -f .ssh/id_ecdsa_sk message")
        .expect_success();
    // A backup that cannot be written is found out before the touch.
    sitting.blue.forget_transactions();
    sitting.sh("mkdir folder").expect_success();
    let refused = sitting.enroll(&["--backup", "folder", "-f", "other"]);
    assert_eq!(refused.code(), Some(1), "{refused:#?}");
    assert_eq!(sitting.blue.commands(), []);
}

#[test]
fn two_files_of_one_name_are_refused_before_a_touch_even_with_force() {
    let sitting = Sitting::new();
    for (arguments, path) in [
        (&["--attestation", "key"][..], "key"),
        (&["--attestation", "./key.pub"], "./key.pub"),
        (&["--backup", "key"], "key"),
        (&["--attestation", "b", "--backup", "b"], "b"),
    ] {
        let ended = sitting.enroll(&[&["-f", "key", "--force"], arguments].concat());
        let happened = format!("{path} would be two of the files at once");
        assert_failed(&ended, &happened, "give each a name of its own");
    }
    assert_eq!(sitting.blue.commands(), []);

    sitting.enroll(&["-f", "key"]).expect_success();
    let before = sitting.sh("cat key").stdout;
    sitting.blue.forget_transactions();
    let over = sitting.enroll(&["--spare-of", "key", "-f", "./key", "--force"]);
    let happened = "written over the key that it is to be a spare for";
    assert_failed(&over, happened, "choose another file: passkey ssh enroll");
    assert_eq!(sitting.blue.commands(), []);
    assert_eq!(sitting.sh("cat key").stdout, before);
}

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

//! `passkey ssh enroll`: what it makes, and what it asks.

use tests::household::{answering, whenever_asked};
use tests::openssh::PIN;
use tests::{Command, Machine, VirtualKey};

use crate::sitting::{ITS_PIN, Sitting, YES, assert_failed, at_home, read_by_ssh_keygen};

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

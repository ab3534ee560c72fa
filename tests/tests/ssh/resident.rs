//! The SSH keys that a security key keeps itself: what stock ssh-keygen made is listed, imported,
//! renamed and removed, and ssh-keygen agrees.

use tests::household::answering;
use tests::{Machine, Profile, ssh_keygen};

use crate::resident_desk::{
    PIN, blue, done, downloaded, files, id, keeping, list, made, row, ssh, with, with_blue,
};
use crate::sitting::assert_failed;

/// What `ssh-keygen -l` says of a public key in `/root`.
fn fingerprint(machine: &Machine, file: &str) -> String {
    let path = format!("/root/{file}.pub");
    let said = machine.run(["ssh-keygen", "-l", "-f", &path]).output();
    let said = said.expect_success().stdout;
    said.split_whitespace().nth(1).unwrap().to_owned()
}

/// Two keys of both kinds; the second takes the PIN.
fn make_two(machine: &Machine) {
    made(machine, "plain", "ecdsa-sk", &[]);
    let options = ["application=ssh:work", "user=alice", "verify-required"];
    made(machine, "alices", "ed25519-sk", &options);
}

#[test]
fn what_ssh_keygen_made_is_listed_with_what_it_is_and_takes() {
    let machine = Machine::lived_on();
    let blue = machine.plug_in(blue().with_pin("2468"));
    machine.enroll_for(&blue, "alice", "blue key", "2468", &["--discoverable"]);
    make_two(&machine);
    let listed = list(&machine);
    let plain = row(&listed, " ssh: ");
    let what = format!(
        "touch; PIN to list  ecdsa-sk {}",
        fingerprint(&machine, "plain")
    );
    assert!(
        plain.contains("openssh") && plain.ends_with(&what),
        "{listed:#?}"
    );
    let alices = row(&listed, " ssh:work ");
    let what = format!(
        "touch and PIN       ed25519-sk {}",
        fingerprint(&machine, "alices")
    );
    assert!(
        alices.contains(" alice ") && alices.ends_with(&what),
        "{listed:#?}"
    );
    assert!(listed.stdout.contains("147 slots left"), "{listed:#?}");
    // the login is none of SSH's
    assert!(!listed.stdout.contains("pam://"), "{listed:#?}");

    let json = done(&machine, &["list", "--json"]).expect_success();
    let (_, object) = json.stdout.split_once('{').unwrap();
    let value: serde_json::Value = serde_json::from_str(&format!("{{{object}")).unwrap();
    assert_eq!(value["slots_left"], 147);
    let keys = value["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2, "{value}");
    assert_eq!(
        (&keys[0]["user"], &keys[0]["cred_protect"]),
        (&().into(), &2.into())
    );
    assert_eq!(
        (&keys[1]["user"], &keys[1]["cred_protect"]),
        (&"alice".into(), &3.into())
    );
    assert_eq!(
        (&keys[1]["type"], &keys[1]["problem"]),
        (&"ed25519-sk".into(), &().into())
    );
    let public_key = machine.read("/root/alices.pub").unwrap();
    let public_key: Vec<&str> = public_key.split(' ').take(2).collect();
    let listed = keys[1]["public_key"].as_str().unwrap();
    assert!(listed.starts_with(&public_key.join(" ")), "{value}");
}

#[test]
fn a_key_that_keeps_nothing_says_so_and_imports_nothing() {
    let (machine, _blue) = with_blue();
    let listed = list(&machine);
    assert!(
        listed.stdout.contains("keeps no SSH keys itself"),
        "{listed:#?}"
    );
    assert!(listed.stdout.contains("150 slots left"), "{listed:#?}");
    // and nobody is asked for a passphrase
    let imported = done(&machine, &["import"]).expect_success();
    assert!(
        imported.stdout.contains("keeps no SSH keys itself"),
        "{imported:#?}"
    );
    assert!(files(&machine, "/root/.ssh").is_empty());
}

fn is_public(name: &str) -> bool {
    name.strip_suffix(".pub").is_some()
}

/// The members of a private-key file without a passphrase (OpenSSH `PROTOCOL.key`), from the public
/// key to the reserved one: what is left out is random, or a note.
fn members(machine: &Machine, file: &str) -> Vec<Vec<u8>> {
    let path = machine.path(file);
    let hex = format!(
        "sed /-----/d '{}' | base64 -d | od -An -v -tx1",
        path.display()
    );
    let hex = machine
        .sh(hex.replace(path.to_str().unwrap(), file))
        .output();
    let hex = hex.expect_success().stdout;
    let bytes = hex.split_whitespace();
    let bytes: Vec<u8> = bytes
        .map(|it| u8::from_str_radix(it, 16).unwrap())
        .collect();
    let string = |bytes: &mut &[u8]| {
        let (length, rest) = bytes.split_at(4);
        let length = u32::from_be_bytes(length.try_into().unwrap()) as usize;
        let (string, rest) = rest.split_at(length);
        *bytes = rest;
        string.to_vec()
    };
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0").unwrap();
    let unencrypted = (b"none".to_vec(), b"none".to_vec(), Vec::new());
    let found = (string(&mut rest), string(&mut rest), string(&mut rest));
    assert_eq!(found, unencrypted);
    let (_number_of_keys, mut rest) = rest.split_at(4);
    let public = string(&mut rest);
    let private = string(&mut rest);
    let (_random, mut rest) = private.split_at(8);
    let kind = string(&mut rest);
    let strings = if kind.starts_with(b"sk-ecdsa") { 3 } else { 2 };
    let mut members = vec![public, kind];
    members.extend((0..strings).map(|_| string(&mut rest)));
    let (flags, mut rest) = rest.split_at(1);
    members.push(flags.to_vec());
    members.extend([string(&mut rest), string(&mut rest)]);
    members
}

#[test]
fn what_is_imported_is_what_ssh_keygen_downloads() {
    let (machine, _blue) = with_blue();
    make_two(&machine);
    made(&machine, "bobs", "ecdsa-sk", &["user=bob"]);
    let imported = answering(
        ssh(&machine, &["import"]),
        &[PIN, ("(nothing for none): ", "")],
    );
    imported.expect_success();
    let names = downloaded(&machine);
    assert_eq!(names.len(), 6, "{names:?}");
    assert_eq!(files(&machine, "/root/.ssh"), names);
    let flags =
        |file: &str| members(&machine, file)[if file.contains("ecdsa") { 5 } else { 4 }].clone();
    for name in names.iter().filter(|name| !is_public(name)) {
        let [ours, theirs] = ["/root/.ssh", "/root/theirs"].map(|it| format!("{it}/{name}"));
        assert_eq!(
            members(&machine, &ours),
            members(&machine, &theirs),
            "{name}"
        );
        let read = |file: &str| {
            let read = machine.run(["ssh-keygen", "-y", "-f", file]).output();
            let read = read.expect_success().stdout;
            read.split(' ').take(2).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read(&ours), read(&theirs));
        let public = machine.read(&format!("{ours}.pub")).unwrap();
        assert!(public.starts_with(&read(&ours)), "{public}");
    }
    assert_eq!(flags("/root/.ssh/id_ecdsa_sk_rk"), [0x21]);
    assert_eq!(flags("/root/.ssh/id_ed25519_sk_rk_work_alice"), [0x25]);
    let modes = machine
        .sh("stat -c %a /root/.ssh /root/.ssh/id_ecdsa_sk_rk*")
        .output();
    assert_eq!(modes.stdout, "700\n600\n644\n600\n644\n");
    let public = machine
        .read("/root/.ssh/id_ed25519_sk_rk_work_alice.pub")
        .unwrap();
    assert!(public.ends_with(" ssh:work alice\n"), "{public}");
}

#[test]
fn an_imported_file_signs_and_is_encrypted_where_a_passphrase_is_typed() {
    let (machine, _blue) = with_blue();
    make_two(&machine);
    machine
        .sh("mkdir /root/ours; echo hello > /root/message")
        .output()
        .expect_success();
    let import = ssh(&machine, &["import", "/root/ours"]);
    let passphrase = "my house has 🗝️ 3";
    let imported = answering(
        import,
        &[
            PIN,
            ("(nothing for none): ", passphrase),
            ("once more: ", passphrase),
        ],
    );
    let imported = imported.expect_success();
    let fingerprint = fingerprint(&machine, "plain");
    assert!(imported.stdout.contains(&fingerprint), "{imported:#?}");
    let verified =
        "verify-required and a blank before the line in /root/ours/id_ed25519_sk_rk_work_alice.pub";
    assert!(imported.stdout.contains(verified), "{imported:#?}");
    for (name, asked) in [
        ("id_ecdsa_sk_rk", vec![]),
        (
            "id_ed25519_sk_rk_work_alice",
            vec![("Enter PIN for ED25519-SK key", "2468")],
        ),
    ] {
        let file = format!("/root/ours/{name}");
        let sign = [
            "ssh-keygen",
            "-Y",
            "sign",
            "-n",
            "file",
            "-f",
            &file,
            "/root/message",
        ];
        let mut answers = vec![("Enter passphrase", passphrase)];
        answers.extend(asked);
        machine.sh("rm -f /root/message.sig").output();
        answering(machine.run(sign), &answers).expect_success();
        let signature = machine.read("/root/message.sig").unwrap();
        let public_key = machine.read(&format!("{file}.pub")).unwrap();
        let signers = format!("alice {public_key}");
        let verdict = ssh_keygen::verify(&signers, "alice", "file", b"hello\n", &signature);
        assert!(verdict.is_good, "{verdict:?}");
        let verdict = ssh_keygen::verify(&signers, "alice", "file", b"hallo\n", &signature);
        assert!(!verdict.is_good, "{verdict:?}");
    }
}

#[test]
fn one_key_is_imported_where_one_is_asked_for_and_programs_get_its_line() {
    let (machine, _blue) = with_blue();
    make_two(&machine);
    let listed = list(&machine);
    let alices = id(row(&listed, "alice")).to_uppercase();
    machine.sh("mkdir /root/ours").output();
    let import = [
        "import",
        "/root/ours",
        "--only",
        &alices,
        "--no-passphrase",
        "--json",
    ];
    let imported = done(&machine, &import).expect_success();
    let names = [
        "id_ed25519_sk_rk_work_alice",
        "id_ed25519_sk_rk_work_alice.pub",
    ];
    assert_eq!(files(&machine, "/root/ours"), names);
    let (_, object) = imported.stdout.split_once('{').unwrap();
    let value: serde_json::Value = serde_json::from_str(&format!("{{{object}")).unwrap();
    let key = &value["keys"][0];
    let public = machine
        .read("/root/ours/id_ed25519_sk_rk_work_alice.pub")
        .unwrap();
    let line = format!("verify-required {}", public.trim_end());
    assert_eq!(key["authorized_keys"], line);
    assert_eq!(key["private_key"], "/root/ours/id_ed25519_sk_rk_work_alice");
    assert_eq!(value["not_written"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_removed_key_is_gone_for_ssh_keygen_too() {
    let (machine, _blue) = with_blue();
    make_two(&machine);
    let listed = list(&machine);
    let alices = id(row(&listed, "alice"));
    let remove = || ssh(&machine, &["remove", alices]);
    let word = "Type \"remove\" to remove it for good: ";
    let kept = answering(remove(), &[PIN, (word, "yes")]);
    assert_eq!(kept.code(), Some(1), "{kept:#?}");
    assert!(kept.stdout.contains("nothing was removed"), "{kept:#?}");
    let fingerprint = fingerprint(&machine, "alices");
    let lost = format!("the SSH key \"ssh:work\" of \"alice\" ({fingerprint})");
    assert!(kept.stdout.contains(&lost), "{kept:#?}");
    assert_eq!(downloaded(&machine).len(), 4);

    let gone = answering(remove(), &[PIN, (word, "remove")]).expect_success();
    assert!(
        gone.stdout.contains("is worth nothing any more"),
        "{gone:#?}"
    );
    let line = format!("authorized_keys on every server, too: {fingerprint}");
    assert!(gone.stdout.contains(&line), "{gone:#?}");
    assert_eq!(
        downloaded(&machine),
        ["id_ecdsa_sk_rk", "id_ecdsa_sk_rk.pub"]
    );
    assert!(!list(&machine).stdout.contains("alice"));
}

#[test]
fn a_renamed_key_is_listed_by_its_new_name_and_is_the_same_key() {
    let (machine, _blue) = with_blue();
    make_two(&machine);
    let before = downloaded(&machine);
    let listed = list(&machine);
    let alices = id(row(&listed, "alice"));
    let renamed = done(&machine, &["rename", alices, "Zoë's work"]).expect_success();
    assert!(
        renamed.stdout.contains("is called \"Zoë's work\" now"),
        "{renamed:#?}"
    );
    let listed = list(&machine);
    let row = row(&listed, "Zoë's work");
    assert!(
        row.starts_with(alices) && row.contains(" alice "),
        "{listed:#?}"
    );
    assert!(
        row.ends_with(&fingerprint(&machine, "alices")),
        "{listed:#?}"
    );
    assert_eq!(downloaded(&machine), before);
}

#[test]
fn a_key_of_before_ctap_2_1_says_that_it_renames_nothing_before_anybody_types_a_pin() {
    let (machine, _blue) = with(blue().with_pin("2468").posing_as(Profile::fido_2_1_pre()));
    let rename = ssh(&machine, &["rename", "ab", "work"]);
    let refused = rename.on_a_terminal().output();
    assert_failed(&refused, "is of before CTAP 2.1", "passkey ssh list");
    assert!(!refused.stdout.contains("PIN of"), "{refused:#?}");
}

#[test]
fn two_keys_of_one_name_are_both_imported() {
    let (machine, _blue) = keeping(&[("ssh:a", b"b\0"), ("ssh:a_b", b"\0"), ("ssh:a", b"b")]);
    done(&machine, &["import", "--no-passphrase"]).expect_success();
    let names = files(&machine, "/root/.ssh");
    let private: Vec<&String> = names.iter().filter(|it| !is_public(it)).collect();
    let expected = [
        "id_ecdsa_sk_rk_a_b",
        "id_ecdsa_sk_rk_a_b_2",
        "id_ecdsa_sk_rk_a_b_3",
    ];
    assert_eq!(private, expected);
    let lines = machine
        .sh("cut -d' ' -f2 /root/.ssh/*.pub | sort -u | wc -l")
        .output();
    assert_eq!(lines.stdout, "3\n");
}

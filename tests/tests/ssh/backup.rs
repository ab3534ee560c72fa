//! What stock ssh-keygen made is shown, noted in a backup file, lost, and made anew, and stock
//! ssh-keygen signs with it as before.

use serde_json::Value;
use tests::household::answering;
use tests::machine::{Finished, PluggedIn, Run, privilege};
use tests::virtual_key::Presence;
use tests::{Command, Machine, VirtualKey};

use crate::sitting::assert_failed;

const PASSPHRASE: &str = "  my house has 🗝️ 3  ";
const KEY: &str = "/root/.ssh/id_ecdsa_sk";
const BACKUP: &str = "/root/my backup";

/// A machine with a security key that is touched at once.
fn machine() -> (Machine, PluggedIn) {
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin("2468"));
    blue.presence(Presence::after_ms(50));
    sh(&machine, "mkdir -m 700 /root/.ssh").expect_success();
    (machine, blue)
}

/// A line of root's shell, in their home.
fn sh(machine: &Machine, line: &str) -> Finished {
    machine.sh(format!("cd /root; {line}")).output()
}

/// `passkey ssh ...`
fn ssh<'m>(machine: &'m Machine, arguments: &[&str]) -> Run<'m> {
    let command = [&["passkey", "ssh"], arguments].concat();
    machine.run(command)
}

/// Has ssh-keygen make a key of this kind, with this passphrase.
fn ssh_keygen(machine: &Machine, kind: &str, file: &str, passphrase: &str, more: &[&str]) {
    let comment = format!("alice's {kind}");
    let command = [
        &["ssh-keygen", "-q", "-t", kind, "-f", file, "-a", "2"],
        &["-N", passphrase, "-C", &comment][..],
        more,
    ]
    .concat();
    machine.run(command).output().expect_success();
}

/// What `ssh-keygen -y` and `-l` say of a private-key file.
fn judged(machine: &Machine, file: &str, passphrase: &str) -> (String, String) {
    let public = ["ssh-keygen", "-y", "-P", passphrase, "-f", file];
    let fingerprint = ["ssh-keygen", "-l", "-f", file];
    let fingerprint = machine.run(fingerprint).output().expect_success().stdout;
    let fingerprint = fingerprint.split(' ').nth(1).unwrap().to_owned();
    let public = machine.run(public).output().expect_success().stdout;
    (public.trim_end().to_owned(), fingerprint)
}

/// Signs with this private-key file, with a touch, and has the signature judged by this public
/// key.
#[track_caller]
fn assert_signs(machine: &Machine, blue: &PluggedIn, file: &str, passphrase: &str, public: &str) {
    machine.write("/root/message", "let alice in", 0o600);
    machine.write("/root/signers", &format!("alice {public}\n"), 0o600);
    sh(machine, "rm -f message.sig");
    blue.forget_transactions();
    let sign = ["ssh-keygen", "-Y", "sign", "-n", "file", "-f", file];
    let sign = machine.run([&sign[..], &["/root/message"]].concat());
    let passphrase = [("Enter passphrase", passphrase)];
    let asked: &[_] = if passphrase[0].1.is_empty() {
        &[]
    } else {
        &passphrase
    };
    answering(sign, asked).expect_success();
    assert!(!blue.commands().is_empty());
    let verify = "ssh-keygen -Y verify -n file -I alice -f signers -s message.sig";
    let verified = sh(machine, &format!("{verify} <message")).expect_success();
    assert!(
        verified.stdout.starts_with("Good \"file\""),
        "{verified:#?}"
    );
    let forged = sh(machine, &format!("echo 'let mallory in' | {verify}"));
    assert_ne!(forged.code(), Some(0), "{forged:#?}");
}

fn mode(machine: &Machine, file: &str) -> String {
    let mode = sh(machine, &format!("stat -c %a '{file}'"));
    mode.expect_success().stdout.trim_end().to_owned()
}

#[test]
fn a_key_that_ssh_keygen_made_is_noted_lost_and_made_anew() {
    for (kind, name) in [("ecdsa-sk", "id_ecdsa_sk"), ("ed25519-sk", "id_ed25519_sk")] {
        let (machine, blue) = machine();
        let file = format!("/root/.ssh/{name}");
        ssh_keygen(&machine, kind, &file, "", &[]);
        let (public, fingerprint) = judged(&machine, &file, "");
        let noted = ssh(&machine, &["backup", &file, "--to", BACKUP]).output();
        let noted = noted.expect_success();
        assert!(noted.stdout.contains(&fingerprint), "{noted:#?}");
        assert!(noted.stdout.contains("There is no secret in it"));
        assert_eq!(mode(&machine, BACKUP), "600");

        sh(&machine, "rm -r .ssh").expect_success();
        blue.forget_transactions();
        let recover = ssh(&machine, &["recover", BACKUP, "--no-passphrase"]);
        let recovered = recover.output().expect_success();
        assert_eq!(blue.commands(), [], "no security key is asked");
        assert_eq!(judged(&machine, &file, ""), (public.clone(), fingerprint));
        for said in [&public, &format!("Undo with: rm {file} {file}.pub")] {
            assert!(recovered.stdout.lines().any(|line| line == said), "{said}");
        }
        let public_file = machine.read(&format!("{file}.pub"));
        assert_eq!(public_file, Some(format!("{public}\n")));
        for (path, is) in [
            ("/root/.ssh", "700"),
            (&file, "600"),
            (&format!("{file}.pub"), "644"),
        ] {
            assert_eq!(mode(&machine, path), is, "{path}");
        }
        assert_signs(&machine, &blue, &file, "", &public);
    }
}

#[test]
fn a_passphrase_with_blanks_and_emoji_opens_a_key_and_locks_the_new_file() {
    let (machine, blue) = machine();
    ssh_keygen(&machine, "ecdsa-sk", KEY, PASSPHRASE, &[]);
    let (public, _) = judged(&machine, KEY, PASSPHRASE);
    let asked = ("Passphrase of /root/.ssh/id_ecdsa_sk: ", PASSPHRASE);
    let backup = ssh(&machine, &["backup", KEY, "--to", BACKUP]);
    answering(backup, &[asked]).expect_success();
    sh(&machine, "rm .ssh/*").expect_success();

    let new = "another 🏠 of mine";
    let recover = ssh(&machine, &["recover", BACKUP, "-a", "2"]);
    let asked = [
        ("Passphrase for the private-key file", new),
        ("The same once more: ", new),
    ];
    answering(recover, &asked).expect_success();
    assert_eq!(judged(&machine, KEY, new).0, public);
    let refused = machine.run(["ssh-keygen", "-y", "-P", "", "-f", KEY]);
    assert_ne!(refused.output().code(), Some(0));
    assert_signs(&machine, &blue, KEY, new, &public);

    // And from a file, in a script.
    machine.write("/root/secret", &format!("{PASSPHRASE}\nmore\n"), 0o600);
    let more = ["--force", "-a", "2", "--passphrase-file", "/root/secret"];
    let recover = ssh(&machine, &[&["recover", BACKUP][..], &more].concat());
    recover.output().expect_success();
    assert_eq!(judged(&machine, KEY, PASSPHRASE).0, public);
    let show = ["show", KEY, "--passphrase-file", "/root/secret"];
    ssh(&machine, &show).output().expect_success();
}

#[test]
fn a_key_that_is_made_here_is_noted_in_the_same_breath() {
    let (machine, blue) = machine();
    let node = blue.node();
    let enroll = |output: &str, backup: &str| {
        let enroll = ["enroll", "--no-passphrase", "--key", &node, "-f", output];
        ssh(&machine, &[&enroll[..], &["--backup", backup]].concat()).output()
    };
    // What cannot be noted is found out before the touch.
    machine.write("/root/letter", "dear friend\n", 0o600);
    for (backup, happened) in [
        ("/root/letter", "is not a backup file"),
        ("/root/no/where", "No such file or directory"),
    ] {
        let refused = enroll(KEY, backup);
        assert_failed(&refused, happened, "--backup FILE");
        assert!(!blue.commands().contains(&Command::MakeCredential));
        assert_eq!(machine.read(KEY), None);
    }
    enroll("/root/.ssh/other", BACKUP).expect_success();
    let made = enroll(KEY, BACKUP).expect_success();
    assert!(made.stdout.contains(BACKUP), "{made:#?}");
    let (public, fingerprint) = judged(&machine, KEY, "");
    sh(&machine, "rm .ssh/*").expect_success();
    let recover = [
        "recover",
        BACKUP,
        "--no-passphrase",
        "--fingerprint",
        &fingerprint,
    ];
    ssh(&machine, &recover).output().expect_success();
    assert_eq!(judged(&machine, KEY, "").0, public);
    assert_signs(&machine, &blue, KEY, "", &public);
}

#[test]
fn a_private_key_file_is_shown_to_people_and_to_programs() {
    let (machine, _blue) = machine();
    let more = ["-O", "application=ssh:work", "-O", "no-touch-required"];
    ssh_keygen(&machine, "ecdsa-sk", KEY, PASSPHRASE, &more);
    machine.write("/root/secret", PASSPHRASE, 0o600);
    let (public, fingerprint) = judged(&machine, KEY, PASSPHRASE);
    let show = ["show", KEY, "--passphrase-file", "/root/secret"];
    let shown = ssh(&machine, &show).output().expect_success();
    for line in [
        "Kind               ecdsa-sk",
        "Application        ssh:work",
        &format!("Fingerprint        {fingerprint}"),
        "Comment            alice's ecdsa-sk",
        "A signature takes  nothing but the security key: no touch, no PIN",
        "Kept by            this file alone",
        "Credential id      241 bytes",
        "Encrypted          aes256-ctr, 2 rounds of bcrypt",
        &format!("authorized_keys    no-touch-required {public}"),
    ] {
        let is_there = shown.stdout.lines().any(|it| it == line);
        assert!(is_there, "no {line:?} in {shown:#?}");
    }
    let shown = ssh(&machine, &[&show[..], &["--json"]].concat()).output();
    let value: Value = serde_json::from_str(&shown.expect_success().stdout).unwrap();
    for (member, is) in [
        ("file", Value::from(KEY)),
        ("type", "ecdsa-sk".into()),
        ("application", "ssh:work".into()),
        ("fingerprint", fingerprint.clone().into()),
        ("comment", "alice's ecdsa-sk".into()),
        ("touch_required", false.into()),
        ("verify_required", false.into()),
        ("resident", false.into()),
        ("flags", 0.into()),
        ("id_length", 241.into()),
        ("public_key", public.clone().into()),
        (
            "authorized_keys",
            format!("no-touch-required {public}").into(),
        ),
    ] {
        assert_eq!(value[member], is, "{member}");
    }
    assert_eq!(value["encryption"]["cipher"], "aes256-ctr");
    assert_eq!(value["encryption"]["rounds"], 2);

    // What it demands is kept in the backup, too.
    let backup = ["backup", KEY, "--to", BACKUP, "--json"];
    let backup = [&backup[..], &["--passphrase-file", "/root/secret"]].concat();
    let noted = ssh(&machine, &backup).output().expect_success();
    let noted: Value = serde_json::from_str(&noted.stdout).unwrap();
    assert_eq!(
        (&noted["done"], &noted["keys"]),
        (&"noted".into(), &1.into())
    );
    assert_eq!(noted["fingerprint"], fingerprint.as_str());
    let recover = ["recover", BACKUP, "--force", "--no-passphrase", "--json"];
    let recovered = ssh(&machine, &recover).output().expect_success();
    let recovered: Value = serde_json::from_str(&recovered.stdout).unwrap();
    assert_eq!(recovered["authorized_keys"], value["authorized_keys"]);
    assert_eq!(recovered["private_key"], KEY);
    assert_eq!(recovered["public_key"], format!("{KEY}.pub"));
    assert_eq!(recovered["encrypted"], false);
}

#[test]
fn a_resident_key_that_asks_for_the_pin_stays_one() {
    let (machine, _blue) = machine();
    let make = "ssh-keygen -q -t ecdsa-sk -N '' -O resident -O verify-required -f .ssh/id_ecdsa_sk";
    let make = machine.sh(format!("cd /root; {make}"));
    answering(make, &[("Enter PIN", "2468")]).expect_success();
    let shown = |file: &str| {
        let shown = ssh(&machine, &["show", file, "--json"]).output();
        serde_json::from_str::<Value>(&shown.expect_success().stdout).unwrap()
    };
    let before = shown(KEY);
    assert_eq!(before["resident"], true);
    assert_eq!(before["verify_required"], true);
    let line = before["authorized_keys"].as_str().unwrap();
    assert!(line.starts_with("verify-required sk-ecdsa"), "{line}");
    let backup = ssh(&machine, &["backup", KEY, "--to", BACKUP]);
    backup.output().expect_success();
    let recover = ["recover", BACKUP, "--no-passphrase", "-f", "/root/again"];
    ssh(&machine, &recover).output().expect_success();
    let mut after = shown("/root/again");
    after["file"] = KEY.into();
    assert_eq!(after, before);
}

#[test]
fn what_is_no_key_of_a_security_key_is_named_with_what_to_type() {
    let (machine, _blue) = machine();
    ssh_keygen(&machine, "ecdsa-sk", KEY, "", &[]);
    let plain = "ssh-keygen -q -t ed25519 -N '' -f plain; ssh-keygen -q -t rsa -m PEM -N '' -f pem";
    sh(&machine, plain).expect_success();
    let whole = machine.read(KEY).unwrap();
    machine.write("/root/damaged", &whole[..whole.len() / 2], 0o600);
    machine.write("/root/letter", "dear friend\n", 0o600);
    sh(&machine, "mkfifo pipe").expect_success();
    for (file, happened, what_to_do) in [
        (
            "/root/plain",
            "a private key of its own (ssh-ed25519)",
            "ssh-keygen -l -f /root/plain",
        ),
        (
            "/root/pem",
            "a private key of its own (PEM)",
            "passkey ssh enroll",
        ),
        (
            "/root/.ssh/id_ecdsa_sk.pub",
            "it is a public key",
            "beside it: /root/.ssh/id_ecdsa_sk",
        ),
        (
            "/root/damaged",
            "it is damaged",
            "passkey ssh recover BACKUP",
        ),
        (
            "/root/letter",
            "it is no private key",
            "such as ~/.ssh/id_ecdsa_sk",
        ),
        ("/root", "it is not a file", "such as ~/.ssh/id_ecdsa_sk"),
        (
            "/root/pipe",
            "it is not a file",
            "such as ~/.ssh/id_ecdsa_sk",
        ),
        (
            "/root/nothing",
            "cannot be read: No such file",
            "name the private-key file",
        ),
    ] {
        let shown = ssh(&machine, &["show", file]).output();
        assert_failed(&shown, happened, what_to_do);
        let noted = ssh(&machine, &["backup", file, "--to", BACKUP]).output();
        assert_failed(&noted, happened, what_to_do);
    }
    assert_eq!(machine.read(BACKUP), None);
}

#[test]
fn without_its_passphrase_a_key_stays_closed() {
    let (machine, _blue) = machine();
    ssh_keygen(&machine, "ecdsa-sk", KEY, PASSPHRASE, &[]);
    machine.write("/root/secret", PASSPHRASE.trim(), 0o600);
    for command in [&["show", KEY][..], &["backup", KEY, "--to", BACKUP]] {
        let silent = ssh(&machine, command).output();
        assert_failed(
            &silent,
            "/root/.ssh/id_ecdsa_sk is encrypted, and there is no terminal",
            "--passphrase-file FILE",
        );
        let wrong = [command, &["--passphrase-file", "/root/secret"]].concat();
        assert_failed(
            &ssh(&machine, &wrong).output(),
            "cannot be opened: the passphrase is wrong",
            "and type the right one",
        );
        let nowhere = [command, &["--passphrase-file", "/nowhere"]].concat();
        assert_failed(
            &ssh(&machine, &nowhere).output(),
            "no passphrase in /nowhere",
            "name a file that you may read",
        );
        let typed = answering(ssh(&machine, command), &[("Passphrase of", "wrong")]);
        assert_failed(&typed, "the passphrase is wrong", "the right one");
    }
    assert_eq!(machine.read(BACKUP), None);
}

#[test]
fn where_no_key_can_be_noted_nothing_is_asked_and_nothing_is_changed() {
    let (machine, _blue) = machine();
    // Encrypted: a passphrase that is asked for would be what is complained of.
    ssh_keygen(&machine, "ecdsa-sk", KEY, PASSPHRASE, &[]);
    let private = machine.read(KEY).unwrap();
    machine.write("/root/letter", "dear friend\n", 0o600);
    machine.write("/root/newer", "version = 2\n", 0o600);
    sh(&machine, "ln -s letter link; mkdir folder").expect_success();
    for (to, happened, what_to_do) in [
        (
            "/root/letter",
            "is not a backup file: line 1",
            "choose another",
        ),
        (
            "/root/newer",
            "its version is 2, and known is 1",
            "choose another",
        ),
        (KEY, "is not a backup file", "choose another"),
        (
            "/root/link",
            "is a symbolic link",
            "choose another: passkey ssh backup /root/.ssh/id_ecdsa_sk --to FILE",
        ),
        (
            "/root/folder",
            "is there already, and is no file",
            "choose another: passkey ssh backup /root/.ssh/id_ecdsa_sk --to FILE",
        ),
        (
            "/root/no/where",
            "No such file or directory",
            "make the directory",
        ),
        (
            "/",
            "names no file",
            "choose another: passkey ssh backup /root/.ssh/id_ecdsa_sk --to FILE",
        ),
    ] {
        let noted = ssh(&machine, &["backup", KEY, "--to", to]).output();
        assert_failed(&noted, happened, what_to_do);
    }
    assert_eq!(machine.read(KEY), Some(private));
    assert_eq!(machine.read("/root/letter").unwrap(), "dear friend\n");

    let on_a_disk_of_its_own = |prepare: &str| {
        let backup = "exec passkey ssh backup .ssh/id_ecdsa_sk --to folder/backup";
        let mount = "mount -t tmpfs -o size=64k none folder";
        sh(&machine, &format!("{mount} && {prepare} && {backup}"))
    };
    let full = on_a_disk_of_its_own("{ head -c 100k /dev/zero >folder/zero 2>&-; true; }");
    assert_failed(
        &full,
        "folder/backup cannot be written: No space left",
        "make room",
    );
    let read_only = on_a_disk_of_its_own("mount -o remount,ro folder");
    assert_failed(&read_only, "Read-only file system", "choose another place");
    // And the file is not the only thing there may be no room for.
    let too_large = sh(
        &machine,
        "ulimit -f 1; exec passkey ssh backup .ssh/id_ecdsa_sk --to folder/backup",
    );
    assert_failed(&too_large, "File too large", "choose another place");
}

#[test]
fn a_backup_file_that_is_read_only_or_anothers_is_left_alone() {
    if !privilege().has_other_users() {
        return;
    }
    let (machine, _blue) = machine();
    ssh_keygen(&machine, "ecdsa-sk", KEY, "", &[]);
    sh(
        &machine,
        "cp .ssh/id_ecdsa_sk /home/alice/key; cd /home/alice; chown alice key",
    )
    .expect_success();
    let by_alice = |to: &str| {
        let backup = ssh(&machine, &["backup", "/home/alice/key", "--to", to]);
        backup.as_alice().output()
    };
    by_alice("/home/alice/backup").expect_success();
    sh(&machine, "chmod 400 /home/alice/backup").expect_success();
    let read_only = by_alice("/home/alice/backup");
    assert_failed(
        &read_only,
        "Permission denied",
        "that you may read and write",
    );
    sh(&machine, "chmod 000 /home/alice/backup").expect_success();
    let unreadable = by_alice("/home/alice/backup");
    assert_failed(
        &unreadable,
        "Permission denied",
        "that you may read and write",
    );
    let no_entry = by_alice("/root/backup");
    assert_failed(&no_entry, "Permission denied", "choose another place");
    // Root's would be alice's file no more.
    let by_root = ssh(&machine, &["backup", KEY, "--to", "/home/alice/backup"]).output();
    assert_failed(&by_root, "is another's (uid 1000)", "as who it belongs to");
}

/// Two keys and the backup file in which they are noted; their fingerprints.
fn two_noted(machine: &Machine) -> [String; 2] {
    ["ecdsa-sk", "ed25519-sk"].map(|kind| {
        let file = format!("/root/.ssh/{kind}");
        ssh_keygen(machine, kind, &file, "", &[]);
        let backup = ssh(machine, &["backup", &file, "--to", BACKUP]);
        backup.output().expect_success();
        judged(machine, &file, "").1
    })
}

#[test]
fn a_key_is_not_noted_twice() {
    let (machine, _blue) = machine();
    let [one, _] = two_noted(&machine);
    let before = machine.read(BACKUP).unwrap();
    let again = ["backup", "/root/.ssh/ecdsa-sk", "--to", BACKUP];
    let noted = ssh(&machine, &again).output().expect_success();
    let said = format!("{one} was in '{BACKUP}' before, which is as it was (2 keys).");
    assert_eq!(noted.stdout.trim_end(), said);
    assert_eq!(machine.read(BACKUP), Some(before));
}

#[test]
fn of_several_keys_the_one_is_made_anew_that_is_meant() {
    let (machine, _blue) = machine();
    let prints = two_noted(&machine);
    let recover = |more: &[&str]| {
        let recover = [&["recover", BACKUP, "--no-passphrase"], more].concat();
        ssh(&machine, &recover)
    };
    // In a script nothing is guessed, and all are listed.
    let undecided = recover(&[]).output();
    assert_failed(
        &undecided,
        "2 keys in '/root/my backup' may be meant",
        "--fingerprint",
    );
    for (number, (print, kind)) in (1..).zip(prints.iter().zip(["ecdsa-sk", "ed25519-sk"])) {
        let line = format!("  {number}  {print} {kind} ssh: \"alice's {kind}\", noted 2");
        assert!(
            undecided.stderr.contains(&line),
            "no {line} in {undecided:#?}"
        );
    }
    let ambiguous = recover(&["--fingerprint", "SHA256:"]).output();
    assert_failed(&ambiguous, "2 keys in", "by more of its fingerprint");
    let unknown = recover(&["--fingerprint", "SHA256:no"]).output();
    assert_failed(
        &unknown,
        "no key in '/root/my backup' has a fingerprint",
        "those listed",
    );
    assert!(unknown.stderr.contains(&prints[1]), "{unknown:#?}");
    let none = "test ! -e .ssh/id_ecdsa_sk -a ! -e .ssh/id_ed25519_sk";
    sh(&machine, none).expect_success();

    // By a beginning, with or without what all begin with.
    for (print, name) in prints.iter().zip(["id_ecdsa_sk", "id_ed25519_sk"]) {
        let file = format!("/root/.ssh/{name}");
        for beginning in [&print[..20], &print[7..20]] {
            recover(&["--fingerprint", beginning, "--force"])
                .output()
                .expect_success();
            assert_eq!(judged(&machine, &file, "").1, *print);
            sh(&machine, &format!("rm {file}")).expect_success();
        }
    }
    // And whoever is there is asked.
    let question = "Which one is meant? [1-2, nothing for none] ";
    for answer in ["", "0", "3", "one"] {
        let asked = answering(recover(&["-f", "/root/new"]), &[(question, answer)]);
        assert_failed(&asked, "nobody said which key", "--fingerprint");
    }
    assert_eq!(machine.read("/root/new"), None);
    answering(recover(&["-f", "/root/new"]), &[(question, "2")]).expect_success();
    assert_eq!(judged(&machine, "/root/new", "").1, prints[1]);
}

#[test]
fn nothing_is_written_over_unless_told_so() {
    let (machine, _blue) = machine();
    ssh_keygen(&machine, "ecdsa-sk", KEY, "", &[]);
    let (public, _) = judged(&machine, KEY, "");
    let backup = ssh(&machine, &["backup", KEY, "--to", BACKUP]);
    backup.output().expect_success();
    let recover = |more: &[&str]| {
        let recover = [&["recover", BACKUP, "--no-passphrase"], more].concat();
        ssh(&machine, &recover).output()
    };
    // The private key in the way, and then the public one alone.
    for (lost, in_the_way) in [("", KEY), (KEY, &format!("{KEY}.pub")[..])] {
        machine.write(in_the_way, "precious", 0o600);
        sh(&machine, &format!("rm -f {lost}")).expect_success();
        let refused = recover(&[]);
        assert_failed(
            &refused,
            &format!("{in_the_way} is there already"),
            "--force",
        );
        assert_eq!(machine.read(in_the_way).unwrap(), "precious");
    }
    assert_eq!(machine.read(KEY), None);
    recover(&["--force"]).expect_success();
    assert_eq!(judged(&machine, KEY, "").0, public);

    sh(
        &machine,
        "echo precious >target; ln -s target link; mkdir folder",
    )
    .expect_success();
    for (output, happened) in [
        ("/root/link", "is a symbolic link"),
        ("/root/folder", "is no file"),
        ("/root/no/where", "No such file or directory"),
    ] {
        let refused = recover(&["--force", "--output", output]);
        assert_failed(&refused, happened, "--output FILE");
    }
    assert_eq!(machine.read("/root/target").unwrap(), "precious\n");
    let silent = ssh(&machine, &["recover", BACKUP, "-f", "/root/new"]).output();
    assert_failed(
        &silent,
        "there is no terminal to answer at",
        "--no-passphrase",
    );
    assert_eq!(machine.read("/root/new"), None);
}

#[test]
fn a_broken_record_is_named_and_hides_no_other() {
    let (machine, _blue) = machine();
    let prints = two_noted(&machine);
    let whole = machine.read(BACKUP).unwrap();
    let broken = whole.replacen("touch_required", "touch_requierd", 1);
    machine.write(BACKUP, &broken, 0o600);
    let recover = ["recover", BACKUP, "--no-passphrase"];
    let recovered = ssh(&machine, &recover).output().expect_success();
    let named = "Passed over in '/root/my backup': line 10: unknown member \"touch_requierd\"; \
                 did you mean \"touch_required\"?";
    assert!(recovered.stderr.contains(named), "{recovered:#?}");
    assert_eq!(
        judged(&machine, "/root/.ssh/id_ed25519_sk", "").1,
        prints[1]
    );
    // It is kept as it is where a key is added.
    ssh_keygen(&machine, "ecdsa-sk", KEY, "", &[]);
    let noted = ssh(&machine, &["backup", KEY, "--to", BACKUP]).output();
    let noted = noted.expect_success();
    assert!(
        noted.stderr.contains("line 10: unknown member"),
        "{noted:#?}"
    );
    assert!(machine.read(BACKUP).unwrap().starts_with(&broken));

    let nothing_good = broken.replace("public_key", "public");
    machine.write(BACKUP, &nothing_good, 0o600);
    let refused = ssh(&machine, &recover).output();
    assert_failed(
        &refused,
        "no key in '/root/my backup' can be understood",
        "mend the lines",
    );
    machine.write(BACKUP, "version = 1\n", 0o600);
    let refused = ssh(&machine, &recover).output();
    assert_failed(
        &refused,
        "there is no key in '/root/my backup'",
        "passkey ssh backup FILE",
    );
    for (text, happened, what_to_do) in [
        (
            "dear friend\n",
            "is not a backup file: line 1",
            "that passkey ssh backup wrote",
        ),
        ("version = 2\n", "its version is 2", "a newer passkey"),
    ] {
        machine.write(BACKUP, text, 0o600);
        let refused = ssh(&machine, &recover).output();
        assert_failed(&refused, happened, what_to_do);
    }
    for (file, happened) in [("/root", "it is not a file"), ("/nowhere", "No such file")] {
        let refused = ssh(&machine, &["recover", file]).output();
        assert_failed(&refused, happened, "name the backup file");
    }
}

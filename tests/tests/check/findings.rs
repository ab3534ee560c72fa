//! Each finding, on a machine that is healthy but for one thing.

use std::collections::BTreeSet;

use tests::machine::privilege;

use crate::scene::{Checked, Healthy, shipped};

const TWO_FACTORS: &str = include_str!("../../../config/pam.d/sudo-2fa");

/// What is broken by a line of shell, and what is then found: its name, and
/// something of its sentence.
const BROKEN: &[(&str, &str, &str)] = &[
    // who gets in
    (
        "sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/sudo",
        "nothing-needed",
        "sudo lets in alice and bob: neither a key nor a password is needed",
    ),
    (
        "echo 'auth required pam_deny.so' > /etc/pam.d/su; echo 'auth required MODULE' >> /etc/pam.d/su",
        "locked-out",
        "su does not let in root, alice and bob: whatever is tried ends with auth_err",
    ),
    (
        "echo 'auth required MODULE' > /etc/pam.d/cron",
        "locked-out",
        "cron does not let in root, alice and bob: whatever is tried ends with \
         authinfo_unavail; the key is not asked for: this service is not covered by config.toml",
    ),
    (
        "sed -i 's/^root:[^:]*/root:!/' /etc/shadow; cp /etc/pam.d/sudo /etc/pam.d/su",
        "root-locked-out",
        "root has neither a password nor a key",
    ),
    (
        "cp /root/sudo-2fa /etc/pam.d/sudo",
        "not-enrolled",
        "sudo does not let in bob",
    ),
    (
        "cp /root/sudo-2fa /etc/pam.d/sudo; \
         echo 'when_not_enrolled = \"ignore\"' >> /etc/pam-passkey/config.toml",
        "second-factor-hole",
        "of bob the password alone",
    ),
    (
        "cp /root/sudo-2fa /etc/pam.d/sudo; passkey remove --user alice 'red key'",
        "one-key-only",
        "alice has one key, and needs it for sudo",
    ),
    (
        "sed -i '/^user_verification/d' /etc/pam-passkey/config.toml",
        "touch-only",
        "every key of alice was enrolled for a touch alone, and sudo wants more",
    ),
    (
        "sed -i '0,/synced = false/s//synced = true/' /etc/pam-passkey/users/alice.toml; \
         echo 'synced = \"refuse\"' >> /etc/pam-passkey/config.toml",
        "synced-refused",
        "\"blue key\" of alice is synced, and is refused for sudo",
    ),
    (
        "sed -i 's#^auth.*#auth [default=ignore abort=die] MODULE#' /etc/pam.d/sudo",
        "key-changes-nothing",
        "the key changes nothing in sudo",
    ),
    (
        "sed -i 's#^auth.*#auth [success=done abort=die] MODULE#' /etc/pam.d/sudo",
        "password-in-vain",
        "sudo asks for a password that lets nobody in",
    ),
    (
        "sed -i 's/^@include common-auth/auth requisite pam_nologin.so\\n&/' /etc/pam.d/sudo",
        "skips-a-refusal",
        "is not seen by pam_nologin.so at /etc/pam.d/sudo:19",
    ),
    (
        "sed -i 's#^auth.*#auth sufficient MODULE#' /etc/pam.d/sudo",
        "abort-not-die",
        "/etc/pam.d/sudo:18 goes on after Ctrl-C",
    ),
    (
        "sed -i 's/^auth/auth sufficient pam_exec.so \\/bin\\/true\\n&/' /etc/pam.d/sudo",
        "unclear",
        "sudo, for alice and bob: it depends on pam_exec.so",
    ),
    (
        "cp /etc/pam.d/sudo /etc/pam.d/cups",
        "not-covered",
        "our line is reached by cups",
    ),
    (
        "rm /etc/pam.d/sudo",
        "not-in-use",
        "no file in /etc/pam.d names pam_passkey.so",
    ),
    (
        "for n in $(seq 60); do echo \"user$n:x:$((2000 + n)):100::/:/bin/sh\"; done >> /etc/passwd",
        "unclear",
        "13 more accounts were not looked at",
    ),
    (
        "for n in $(seq 1000); do echo > /etc/pam.d/service$n; done",
        "unclear",
        "/etc/pam.d has more than 1000 files",
    ),
    // the lines
    (
        "sed -i 's#MODULE#pam_passkey.so#' /etc/pam.d/sudo",
        "module-missing",
        "/etc/pam.d/sudo:18 names pam_passkey.so, and there is no /",
    ),
    (
        "mkdir /usr/local/lib/other; echo text > /usr/local/lib/other/pam_passkey.so; \
         sed -i 's#lib/ours#lib/other#' /etc/pam.d/sudo",
        "module-not-loadable",
        "/usr/local/lib/other/pam_passkey.so cannot be loaded",
    ),
    (
        "mkdir /usr/local/lib/other; cp MODULE /usr/local/lib/other; \
         chmod 0666 /usr/local/lib/other/pam_passkey.so; \
         sed -i 's#lib/ours#lib/other#' /etc/pam.d/sudo",
        "module-untrusted",
        "/usr/local/lib/other/pam_passkey.so can be written by others (mode 0666)",
    ),
    (
        "sed -i 's#MODULE#& user_verfication=required#' /etc/pam.d/sudo",
        "argument-refused",
        "/etc/pam.d/sudo:18: module argument user_verfication=required: unknown key \
         \"user_verfication\"; did you mean \"user_verification\"?",
    ),
    (
        "sed -i 's/^auth *.success/auth [sucess/' /etc/pam.d/sudo",
        "control-refused",
        "the brackets at /etc/pam.d/sudo:18 are not understood: no such return value",
    ),
    (
        "sed -i 's/success=done/success=7/' /etc/pam.d/sudo",
        "jump-too-far",
        "/etc/pam.d/sudo:18 jumps over 7 lines, and there are fewer",
    ),
    (
        "echo 'account required MODULE' >> /etc/pam.d/sudo",
        "wrong-facility",
        "/etc/pam.d/sudo:22 names our module for account",
    ),
    (
        "echo 'auht required pam_deny.so' >> /etc/pam.d/sudo",
        "line-faulty",
        "/etc/pam.d/sudo:22 begins with \"auht\"",
    ),
    (
        "sed -i '1i auth required' /etc/pam.d/sudo",
        "line-faulty",
        "/etc/pam.d/sudo:1 names no module",
    ),
    (
        "sed -i 's/@include common-auth/@include common-auht/' /etc/pam.d/sudo",
        "include-missing",
        "/etc/pam.d/sudo:19 includes \"common-auht\", and there is no such file",
    ),
    (
        "echo 'auth include sudo' >> /etc/pam.d/sudo",
        "include-too-deep",
        "/etc/pam.d/sudo:22 is included more than 16 files deep",
    ),
    (
        "printf 'auth required \\\\' >> /etc/pam.d/sudo",
        "file-breaks-off",
        "/etc/pam.d/sudo ends with a line to be continued",
    ),
    (
        "printf '# %01023d\\n' 7 >> /etc/pam.d/sudo",
        "pam-file-ambiguous",
        "/etc/pam.d/sudo:22 has a NUL or more than 1022 bytes",
    ),
    (
        "mkfifo /etc/pam.d/pipe; echo '@include pipe' >> /etc/pam.d/sudo",
        "pam-file-unreadable",
        "/etc/pam.d/pipe cannot be read: it is not a regular file",
    ),
    (
        "truncate -s 1G /etc/pam.d/big; echo '@include big' >> /etc/pam.d/sudo",
        "pam-file-unreadable",
        "/etc/pam.d/big cannot be read: it has more than 1048576 bytes",
    ),
    (
        "chmod 0666 /etc/pam.d/sudo",
        "pam-file-untrusted",
        "/etc/pam.d/sudo can be written by others (mode 0666)",
    ),
    (
        "chmod 0777 /etc/pam.d",
        "pam-file-untrusted",
        "/etc/pam.d can be written by others (mode 0777)",
    ),
    (
        "touch /etc/pam.d/empty; chmod 0666 /etc/pam.d/empty; \
         echo '@include empty' >> /etc/pam.d/sudo",
        "pam-file-untrusted",
        "/etc/pam.d/empty can be written by others (mode 0666)",
    ),
    (
        "mkdir /usr/local/lib/other; cp MODULE /usr/local/lib/other/pam_hers.so; \
         chmod 0666 /usr/local/lib/other/pam_hers.so; \
         echo 'auth optional /usr/local/lib/other/pam_hers.so' >> /etc/pam.d/sudo",
        "module-untrusted",
        "/usr/local/lib/other/pam_hers.so can be written by others (mode 0666)",
    ),
    (
        "cp /etc/pam.d/sudo \"$(printf '/etc/pam.d/x\\033c')\"",
        "not-covered",
        "our line is reached by x?c",
    ),
    (
        "mv /etc/pam.d/sudo /etc/pam.d/Sudo",
        "never-read",
        "/etc/pam.d/Sudo has capital letters",
    ),
    // files of ours
    (
        "echo 'user_verfication = 1' >> /etc/pam-passkey/config.toml",
        "config-faulty",
        "/etc/pam-passkey/config.toml:3: unknown key \"user_verfication\"",
    ),
    (
        "sed -i 's/^version = 1/version = 2/' /etc/pam-passkey/users/alice.toml",
        "credentials-faulty",
        "/etc/pam-passkey/users/alice.toml:2: version 2",
    ),
    (
        "sed -i '0,/synced = false/s//sync = false/' /etc/pam-passkey/users/alice.toml",
        "record-faulty",
        "unknown key \"sync\"; did you mean \"synced\"?",
    ),
    (
        "sed -i 's/^uid = 1000/uid = 1001/' /etc/pam-passkey/users/alice.toml",
        "uid-differs",
        "these are credentials of uid 1001, but alice is uid 1000",
    ),
    (
        "cp /etc/pam-passkey/users/alice.toml /etc/pam-passkey/users/carol.toml",
        "account-gone",
        "/etc/pam-passkey/users/carol.toml belongs to no account",
    ),
    (
        "touch /etc/pam-passkey/users/notes",
        "stray-file",
        "/etc/pam-passkey/users/notes is no credential file",
    ),
    (
        "rm -r /etc/pam-passkey/users",
        "file-missing",
        "/etc/pam-passkey/users is missing",
    ),
    (
        "rm -r /etc/pam-passkey",
        "file-missing",
        "/etc/pam-passkey is missing",
    ),
    (
        "chmod 0666 /etc/pam-passkey/users/alice.toml",
        "file-untrusted",
        "/etc/pam-passkey/users/alice.toml can be written by others (mode 0666)",
    ),
    (
        "chmod 0777 /etc/pam-passkey",
        "file-untrusted",
        "/etc/pam-passkey can be written by others (mode 0777)",
    ),
    (
        "chmod 0755 /var/lib/pam-passkey",
        "state-untrusted",
        "/var/lib/pam-passkey is open to others (mode 0755)",
    ),
    (
        "sed -i 's#^receipts.*#receipts = \"/nowhere/receipts\"#' /etc/pam-passkey/config.toml",
        "receipts-unwritable",
        "receipts are to be kept in /nowhere/receipts: /nowhere is missing",
    ),
    (
        "echo '[service.sduo]' >> /etc/pam-passkey/config.toml",
        "service-unknown",
        "/etc/pam-passkey/config.toml has [service.sduo], and there is no such service",
    ),
    (
        "printf '[service.sudo]\\nenabled = false\\n' >> /etc/pam-passkey/config.toml",
        "service-disabled",
        "[service.sudo] says \"enabled = false\"",
    ),
];

/// Found by others than root.
const FOR_OTHERS: [&str; 2] = ["key-inaccessible", "unseen"];

fn healthy() -> Healthy {
    let healthy = Healthy::machine();
    healthy
        .machine
        .write("/root/sudo-2fa", &shipped(TWO_FACTORS), 0o644);
    healthy
}

#[test]
fn a_healthy_machine_has_no_findings_and_each_fault_has_its_own() {
    let healthy = healthy();
    let checked = healthy.broken("true");
    assert_eq!(checked.findings(), []);
    for (line, id, what) in BROKEN {
        println!("{line}");
        healthy.broken(line).assert_found(id, what);
    }
    assert_eq!(healthy.broken("true").findings(), [], "all was mended");
    drop(healthy.keys);
}

#[test]
fn every_finding_of_the_help_is_tried() {
    let healthy = Healthy::machine();
    let help = healthy.check(&["--help"]).output().expect_success().stdout;
    let (_, list) = help.split_once("What can be found:").unwrap();
    let known: BTreeSet<&str> = list
        .lines()
        .filter_map(|line| line.strip_prefix("  ")?.strip_suffix(')')?.split_once(" ("))
        .filter(|(id, _)| !id.starts_with(' '))
        .map(|(id, _)| id)
        .collect();
    let tried = BROKEN.iter().map(|(_, id, _)| *id).chain(FOR_OTHERS);
    assert_eq!(known, tried.collect());
}

#[test]
fn what_hurts_one_service_is_all_that_is_found() {
    let healthy = healthy();
    for (line, id) in [
        (
            "sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/sudo",
            "nothing-needed",
        ),
        (
            "sed -i 's/^root:[^:]*/root:!/' /etc/shadow; cp /etc/pam.d/sudo /etc/pam.d/su",
            "root-locked-out",
        ),
        ("rm /etc/pam.d/sudo", "not-in-use"),
        ("touch /etc/pam-passkey/users/notes", "stray-file"),
        (
            "echo '[service.sduo]' >> /etc/pam-passkey/config.toml",
            "service-unknown",
        ),
        ("cp /root/sudo-2fa /etc/pam.d/sudo", "not-enrolled"),
        (
            "sed -i 's#^auth.*#auth sufficient MODULE#' /etc/pam.d/sudo",
            "abort-not-die",
        ),
    ] {
        healthy.broken(line).assert_found_alone(id, "");
    }
}

#[test]
fn what_is_no_fault_is_not_found() {
    let healthy = healthy();
    for line in [
        // root comes in by its password, and nobody is asked to be root through sudo
        "cp /etc/pam.d/sudo /etc/pam.d/su",
        "sed -i 's/^root:[^:]*/root:!/' /etc/shadow",
        // nobody is to log in as carol
        "echo 'carol:x:1002:1002::/:/bin/sh' >> /etc/passwd; echo 'carol:!:1::::::' >> /etc/shadow",
        // what nothing reads, or is read alike by all
        "echo 'auth nonsense MODULE' > /etc/pam.d/sudo.dpkg-old; mkfifo /etc/pam.d/pipe",
        "printf '# %01000d\\n' 7 >> /etc/pam.d/sudo",
        "sed -i 's#MODULE#& timeout=9 remote=refuse#' /etc/pam.d/sudo",
        "printf 'auth [success=1 abort=die default=ignore] MODULE\\n\
         auth requisite pam_unix.so\\nauth required pam_permit.so\\n' > /etc/pam.d/sudo",
        "echo '[service.su]' >> /etc/pam-passkey/config.toml; cp /etc/pam.d/sudo /etc/pam.d/su",
    ] {
        println!("{line}");
        assert_eq!(healthy.broken(line).findings(), [], "{line}");
    }
}

#[test]
fn who_is_not_root_learns_what_was_not_seen() {
    if !privilege().has_other_users() {
        println!("skipped: there is no alice");
        return;
    }
    let healthy = Healthy::machine();
    let as_alice = || Checked::of(healthy.check(&["--json"]).as_alice());
    let checked = as_alice();
    checked.assert_found("unseen", "/var/lib/pam-passkey was not looked at");
    checked.assert_found("unseen", "/etc/shadow was not looked at");
    checked.assert_found("unseen", "/var/lib/pam-passkey/receipts was not looked at");
    assert_eq!(checked.ways_in(), "sudo alice either\nsudo bob password\n");

    let close = |mode: &str, file: &str| {
        let line = format!("chmod {mode} {file}");
        healthy.machine.sh(line).output().expect_success();
    };
    close("0600", "/etc/pam.d/common-auth");
    let checked = as_alice();
    checked.assert_found("unseen", "/etc/pam.d/common-auth cannot be read");
    checked.assert_found("unclear", "sudo, for alice and bob: /etc/pam.d/common-auth");
    close("0644", "/etc/pam.d/common-auth");
    close("0600", "/etc/pam-passkey/config.toml");
    let checked = as_alice();
    checked.assert_found("unseen", "/etc/pam-passkey/config.toml was not looked at");
    assert_eq!(checked.ways_in(), "sudo alice unclear\nsudo bob unclear\n");
}

#[test]
fn a_key_that_alice_may_not_open_is_named() {
    if !privilege().has_other_users() {
        println!("skipped: there is no alice");
        return;
    }
    let healthy = Healthy::machine();
    let node = healthy.keys[0].node();
    healthy.keys[0].node_mode(0o600);
    let checked = Checked::of(healthy.check(&["--json"]).as_alice());
    checked.assert_found("key-inaccessible", &format!("({node}) could not be opened"));
    let keys = checked.report["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert_eq!(key["accessible"], key["node"] != node, "{key}");
    }
}

#[test]
fn a_name_that_is_nobodys_cannot_be_looked_at() {
    let healthy = Healthy::machine();
    let ended = healthy.check(&["--user", "carol"]).output();
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let ended = healthy.check(&["--service", "../sudo"]).output();
    assert_eq!(ended.code(), Some(2), "{ended:#?}");
}

//! `passkey check --enabling`: what a profile would do, told before it does.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tests::Machine;
use tests::machine::{Finished, MODULE};

use crate::tree::{Tree, packaging};

/// What pam-auth-update loads its questions from.
const QUESTIONS: &str = "/var/lib/dpkg/info/libpam-runtime.templates";

/// A machine that has what pam-auth-update has written for passwords, and our profiles.
fn machine() -> Machine {
    let mut machine = Machine::lived_on();
    let tree = Tree::with_the_package();
    for folder in ["etc/pam.d", "var/lib/pam", "usr/share/pam-configs"] {
        for entry in fs::read_dir(tree.path(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let text = fs::read_to_string(entry.path()).unwrap();
            let text = text.replace("pam_passkey.so", MODULE);
            let folder = folder.replace("usr/share", "usr/local/share");
            machine.write(&format!("/{folder}/{name}"), &text, 0o644);
        }
    }
    machine.service("sudo", "@include common-auth\n");
    machine.service("cups", "@include common-auth\n");
    machine.install(Path::new(QUESTIONS), QUESTIONS);
    machine
}

/// Shows the profiles where pam-auth-update looks for them.
const BRING: &str = "mount --bind /usr/local/share/pam-configs /usr/share/pam-configs";

fn check(machine: &Machine, arguments: &str) -> Finished {
    let line = format!("{BRING} && exec passkey check {arguments}");
    machine.sh(line).output()
}

fn report(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|_| panic!("{finished:#?}"))
}

fn ways_in(report: &Value, service: &str) -> Vec<String> {
    let rows = report["services"].as_array().unwrap();
    rows.iter()
        .filter(|row| row["service"] == service)
        .map(|row| format!("{}: {}", row["user"], row["way_in"]).replace('"', ""))
        .collect()
}

#[test]
fn a_profile_that_would_lock_somebody_out_is_not_to_be_enabled() {
    let machine = machine();
    let _blue = machine.enrolled("alice", "blue key", &[]).unplug();
    let before = machine
        .sh("cat /etc/pam.d/* /var/lib/pam/*")
        .output()
        .stdout;

    let both = check(&machine, "--json --enabling passkey-2fa");
    assert_eq!(both.code(), Some(3), "{both:#?}");
    let told = report(&both);
    assert_eq!(told["enabling"]["profile"], "passkey-2fa");
    assert_eq!(told["enabling"]["locks_out"], true);
    assert_eq!(
        ways_in(&told, "sudo"),
        ["alice: both", "bob: locked out"],
        "{told:#}"
    );
    assert_eq!(
        ways_in(&told, "cups"),
        ["root: password", "alice: password", "bob: password"]
    );
    let said = check(&machine, "--enabling passkey-2fa").stdout;
    for line in [
        "As if the profile passkey-2fa were enabled; nothing is changed.",
        "sudo does not let in bob",
        "passkey enroll --user bob",
        "Do not enable passkey-2fa yet",
    ] {
        assert!(said.contains(line), "no {line:?} in {said}");
    }

    // Once bob has a key, one each is a warning and no reason to wait.
    let _red = machine.enrolled("bob", "red key", &[]);
    // Root has none, and is asked for one where this machine has polkit.
    let both = check(&machine, "--enabling passkey-2fa --service sudo");
    assert_eq!(both.code(), Some(0), "{both:#?}");
    let last = "To enable passkey-2fa, as root: pam-auth-update --enable passkey-2fa\n";
    assert!(both.stdout.ends_with(last), "{both:#?}");
    assert!(both.stdout.contains("warning one-key-only"), "{both:#?}");

    let after = machine
        .sh("cat /etc/pam.d/* /var/lib/pam/*")
        .output()
        .stdout;
    assert_eq!(before, after);
    // In a /tmp of its own: other tests make copies in the machine's.
    let left = format!(
        "{BRING} && mount -t tmpfs none /tmp && \
         passkey check --enabling passkey >/dev/null && ls -A /tmp"
    );
    assert_eq!(machine.sh(left).output().expect_success().stdout, "");
}

#[test]
fn where_no_login_asks_for_a_key_the_next_step_is_a_profile_if_there_is_one() {
    let machine = machine();
    let with = check(&machine, "").stdout;
    assert!(
        with.contains("Try: passkey check --enabling passkey\n"),
        "{with}"
    );
    let without = machine.sh("exec passkey check").output().stdout;
    assert!(without.contains("Try: man pam_passkey has"), "{without}");
}

#[test]
fn the_key_instead_of_the_password_locks_nobody_out() {
    let machine = machine();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let instead = check(&machine, "--json --enabling passkey");
    assert_eq!(instead.code(), Some(0), "{instead:#?}");
    let told = report(&instead);
    assert_eq!(
        told["enabling"]["command"],
        "pam-auth-update --enable passkey"
    );
    assert_eq!(ways_in(&told, "sudo"), ["alice: either", "bob: password"]);
    // As it is now.
    let now = report(&check(&machine, "--json --service sudo"));
    assert_eq!(now["enabling"], Value::Null);
    assert_eq!(ways_in(&now, "sudo"), ["alice: password", "bob: password"]);
}

#[test]
fn what_keeps_a_profile_from_being_enabled_is_said() {
    let machine = machine();
    let notes = machine.read("/var/lib/pam/auth").unwrap();
    machine.write(
        "/var/lib/pam/auth",
        &format!("Module: passkey-2fa\nrequired pam_x.so\n{notes}"),
        0o644,
    );
    let first = check(&machine, "--enabling passkey");
    let last = "pam-auth-update --disable passkey-2fa --enable passkey\n";
    assert!(first.stdout.ends_with(last), "{first:#?}");
    machine.write("/var/lib/pam/auth", &notes, 0o644);

    let common = machine.read("/etc/pam.d/common-auth").unwrap();
    let edited = common.replace("auth\t[success", "auth required pam_x.so\nauth\t[success");
    assert_ne!(edited, common);
    machine.service("common-auth", &edited);
    let edited = check(&machine, "--enabling passkey");
    assert_eq!(edited.code(), Some(1), "{edited:#?}");
    assert!(edited.stderr.contains("somebody has edited"), "{edited:#?}");
    machine.service("common-auth", &common);

    machine
        .sh("rm /usr/local/share/pam-configs/passkey")
        .output()
        .expect_success();
    let absent = check(&machine, "--enabling passkey");
    assert_eq!(absent.code(), Some(1), "{absent:#?}");
    assert!(
        absent.stderr.contains("install the package libpam-passkey"),
        "{absent:#?}"
    );
    let unknown = check(&machine, "--enabling unix");
    assert_eq!(unknown.code(), Some(2), "{unknown:#?}");
}

/// What the program offers is what the package brings.
#[test]
fn the_profiles_are_those_that_are_shipped() {
    let mut shipped: Vec<_> = fs::read_dir(packaging("pam-configs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    shipped.sort();
    assert_eq!(shipped, ["passkey", "passkey-2fa"]);
}

//! The profiles of authselect that an rpm makes on the machine. There is no authselect here: its
//! templates are ones of their shape, and what it makes of them is done by a few lines below.

use std::process::{Command, Output};

use tests::machine::{ALICE_PASSWORD, MODULE};
use tests::{Machine, Pam, Presence};

use crate::tree::{Tree, packaging};

const README: &str = "Accounts of this machine\n========================\n\nFeatures.\n";

const TEMPLATE: &str = "\
{imply \"with-a\" if \"with-b\"}
auth        required      pam_env.so
auth        sufficient    pam_fprintd.so                       {include if \"with-fingerprint\"}
auth        sufficient    pam_u2f.so cue                       {include if \"with-pam-u2f\"}
auth        required      pam_u2f.so cue {if not \"x\":nouserok} {include if \"with-pam-u2f-2fa\"}
auth        [default=1 ignore=ignore success=ok] pam_permit.so
auth        sufficient    pam_unix.so {if not \"without-nullok\":nullok}
auth        required      pam_deny.so

account     required      pam_unix.so
";

/// What authselect makes of the template: lines of features that are not wanted go.
fn made(template: &str, features: &[&str]) -> String {
    let wanted = |line: &&str| match line.split_once("{include if \"") {
        Some((_, rest)) => features.contains(&rest.split('"').next().unwrap()),
        None => !line.starts_with('{'),
    };
    let without_marks = |line: &str| line.split('{').next().unwrap().to_owned() + "\n";
    template.lines().filter(wanted).map(without_marks).collect()
}

fn profiles(tree: &Tree, what: &str) -> Output {
    let script = packaging("authselect/profiles");
    let mut command = Command::new("/bin/sh");
    let command = command.arg(script).arg(what).arg(tree.path(""));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:#?}");
    output
}

fn tree() -> Tree {
    let tree = Tree::with_the_package();
    for file in ["system-auth", "password-auth"] {
        tree.write(
            &format!("usr/share/authselect/default/local/{file}"),
            TEMPLATE,
        );
    }
    tree.write("usr/share/authselect/default/local/README", README);
    tree.write("usr/share/authselect/default/local/nsswitch.conf", "x\n");
    tree
}

#[test]
fn a_profile_is_the_one_that_authselect_brings_with_two_features_more() {
    let tree = tree();
    profiles(&tree, "make");
    let read = |file: &str| tree.read(&format!("usr/share/authselect/vendor/local-passkey/{file}"));
    assert_eq!(read("nsswitch.conf"), "x\n");
    let about = read("README");
    assert!(
        about.starts_with("Accounts of this machine, and security keys (pam_passkey)\n====="),
        "{about}"
    );
    for file in ["system-auth", "password-auth"] {
        let template = read(file);
        // Without the features nothing is different, and no line but ours is.
        assert_eq!(made(&template, &[]), made(TEMPLATE, &[]));
        let others: String = template
            .split_inclusive('\n')
            .filter(|line| !line.contains("pam_passkey.so"))
            .collect();
        assert_eq!(others, TEMPLATE);
        assert!(about.contains("\nwith-passkey::\n") && about.contains("\nwith-passkey-2fa::\n"));
    }
}

#[test]
fn its_features_let_in_whom_they_are_to() {
    let tree = tree();
    profiles(&tree, "make");
    let template = tree.read("usr/share/authselect/vendor/local-passkey/system-auth");
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let code = |service: &str, answers: &[&str]| {
        let login = machine.login(service, "alice").answers(answers.to_vec());
        login.run().code()
    };
    let features: [(&str, &[&str]); 2] = [
        ("with-passkey", &["key", "password"]),
        ("with-passkey-2fa", &[]),
    ];
    for (feature, enough_alone) in features {
        let lines = made(&template, &[feature]).replace("pam_passkey.so", MODULE);
        for service in ["sudo", "cups"] {
            machine.service(service, &lines);
        }
        let lets_in = |what, code| {
            let let_in = code == Pam::Success;
            assert_eq!(let_in, enough_alone.contains(&what), "{feature}: {what}");
        };
        blue.presence(Presence::after_ms(150));
        lets_in("key", code("sudo", &[]));
        assert_eq!(code("sudo", &[ALICE_PASSWORD]), Pam::Success, "{feature}");
        blue.presence(Presence::Deny);
        lets_in("password", code("sudo", &[ALICE_PASSWORD]));
        lets_in("nothing", code("sudo", &["wrong"]));
        // Nobody sits there.
        assert_eq!(code("cups", &[ALICE_PASSWORD]), Pam::Success, "{feature}");
        let gone = lines.replace(MODULE, "/nowhere/pam_passkey.so");
        machine.service("sudo", &gone);
        let without = code("sudo", &[ALICE_PASSWORD]) == Pam::Success;
        assert_eq!(without, feature == "with-passkey", "{feature}");
        // A finger that lets in is no key.
        let fingers = made(&template, &[feature, "with-fingerprint"])
            .replace("pam_fprintd.so", "pam_permit.so")
            .replace("pam_passkey.so", MODULE);
        machine.service("sudo", &fingers);
        let finger = code("sudo", &[]) == Pam::Success;
        assert_eq!(finger, feature == "with-passkey", "{feature}");
    }
}

#[test]
fn a_template_of_another_shape_gets_no_profile_and_the_others_stay() {
    let tree = tree();
    profiles(&tree, "make");
    let ours = "usr/share/authselect/vendor/local-passkey/system-auth";
    let before = tree.read(ours);
    let template = "usr/share/authselect/default/local/system-auth";
    tree.write(template, "auth required pam_unix.so\n");
    let output = profiles(&tree, "make");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("no profile local-passkey"), "{said}");
    assert_eq!(tree.read(ours), before, "the old one still works");

    tree.write(template, TEMPLATE);
    tree.write("usr/share/authselect/vendor/mine/README", "");
    profiles(&tree, "remove");
    assert!(!tree.path(ours).exists());
    assert!(
        tree.path("usr/share/authselect/vendor/mine/README")
            .exists()
    );
}

//! The profiles of pam-auth-update: which lines they come to, and whom those let in.

use tests::login::assert_outcome;
use tests::machine::{ALICE_PASSWORD, MODULE};
use tests::{Machine, Pam, Presence};

use crate::tree::Tree;

pub(crate) const PASSWORD_ALONE: &str = "\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
";

const INSTEAD: &str = "\
auth [success=2 abort=die default=ignore] pam_passkey.so
auth [success=1 default=ignore] pam_unix.so nullok try_first_pass
auth requisite pam_deny.so
auth required pam_permit.so
";

const IN_ADDITION: &str = "\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
auth [success=ok ignore=ignore default=die] pam_passkey.so when_not_covered=ignore
";

#[test]
fn each_profile_gives_its_lines_and_takes_them_out_again() {
    let tree = Tree::with_the_package();
    for (profile, lines) in [("passkey", INSTEAD), ("passkey-2fa", IN_ADDITION)] {
        tree.pam_auth_update(&["--enable", profile]);
        assert_eq!(tree.auth(), lines, "{profile}");
        tree.pam_auth_update(&["--disable", profile]);
        assert_eq!(tree.auth(), PASSWORD_ALONE, "{profile}");
    }
}

#[test]
fn only_one_of_them_is_ever_enabled() {
    let tree = Tree::with_the_package();
    tree.pam_auth_update(&["--enable", "passkey", "passkey-2fa"]);
    assert_eq!(tree.auth(), IN_ADDITION);
    tree.pam_auth_update(&["--disable", "passkey-2fa", "--enable", "passkey"]);
    assert_eq!(tree.auth(), INSTEAD);
}

/// A machine whose sudo, and whose print server, include common-auth.
fn machine(auth: &str) -> Machine {
    let machine = Machine::lived_on();
    machine.service("common-auth", &auth.replace("pam_passkey.so", MODULE));
    for service in ["sudo", "cups"] {
        machine.service(service, "@include common-auth\n");
    }
    machine
}

fn code(machine: &Machine, service: &str, answers: &[&str]) -> Pam {
    let login = machine.login(service, "alice").answers(answers.to_vec());
    login.setcred().run().code()
}

#[test]
fn instead_of_the_password_the_key_lets_in_and_nothing_else_is_lost() {
    let machine = machine(INSTEAD);
    // Nobody has a key yet.
    assert_eq!(code(&machine, "sudo", &[ALICE_PASSWORD]), Pam::Success);
    assert_eq!(code(&machine, "sudo", &["wrong"]), Pam::AuthErr);
    let blue = machine.enrolled("alice", "blue key", &[]);
    assert_eq!(code(&machine, "sudo", &[]), Pam::Success);
    blue.presence(Presence::Deny);
    assert_eq!(code(&machine, "sudo", &[ALICE_PASSWORD]), Pam::Success);
    assert_eq!(code(&machine, "sudo", &["wrong"]), Pam::AuthErr);
    blue.forget_transactions();
    assert_eq!(code(&machine, "cups", &[ALICE_PASSWORD]), Pam::Success);
    assert_eq!(code(&machine, "cups", &["wrong"]), Pam::AuthErr);
    assert!(blue.commands().is_empty(), "nobody sits at a print server");
    let _elsewhere = blue.unplug();
    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    assert_eq!(code(&machine, "sudo", &[ALICE_PASSWORD]), Pam::Success);
}

#[test]
fn in_addition_to_the_password_both_are_needed_where_somebody_sits() {
    let machine = machine(IN_ADDITION);
    let blue = machine.enrolled("alice", "blue key", &[]);
    let bob = machine.login("sudo", "bob").answers(["bob-password"]).run();
    assert_outcome(
        &bob,
        Pam::UserUnknown,
        "No security key is enrolled for bob.",
    );

    assert_eq!(code(&machine, "sudo", &[ALICE_PASSWORD]), Pam::Success);
    blue.forget_transactions();
    assert_eq!(code(&machine, "sudo", &["wrong"]), Pam::AuthErr);
    assert!(blue.commands().is_empty(), "after a wrong password");
    blue.presence(Presence::Deny);
    assert_eq!(code(&machine, "sudo", &[ALICE_PASSWORD]), Pam::AuthErr);

    // Where nobody sits the password is enough, and still needed.
    blue.forget_transactions();
    assert_eq!(code(&machine, "cups", &[ALICE_PASSWORD]), Pam::Success);
    assert_eq!(code(&machine, "cups", &["wrong"]), Pam::AuthErr);
    assert!(blue.commands().is_empty(), "nobody sits at a print server");

    let _elsewhere = blue.unplug();
    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    assert_eq!(
        code(&machine, "sudo", &[ALICE_PASSWORD]),
        Pam::AuthinfoUnavail
    );
}

/// Whoever starts su with little memory (`ulimit -v`) keeps libpam from loading the module; it
/// answers as for one that is not there.
#[test]
fn without_the_module_the_password_is_enough_only_where_the_key_stands_in_for_it() {
    for (auth, right) in [(INSTEAD, Pam::Success), (IN_ADDITION, Pam::ModuleUnknown)] {
        let machine = machine(auth);
        let auth = auth.replace("pam_passkey.so", "/nowhere/pam_passkey.so");
        machine.service("common-auth", &auth);
        for service in ["sudo", "cups"] {
            assert_eq!(code(&machine, service, &[ALICE_PASSWORD]), right);
            assert_eq!(code(&machine, service, &["wrong"]), Pam::AuthErr);
        }
    }
}

#[test]
fn a_broken_configuration_leaves_the_password_only_where_the_key_stands_in_for_it() {
    let broken = "colour = 1\n";
    let first = machine(INSTEAD);
    let _blue = first.enrolled("alice", "blue key", &[]);
    first.policy(broken);
    assert_eq!(code(&first, "sudo", &[ALICE_PASSWORD]), Pam::Success);
    assert_eq!(code(&first, "sudo", &["wrong"]), Pam::AuthErr);

    // Whoever could break it, were it only for the length of one login, would have no second
    // factor to give.
    let second = machine(IN_ADDITION);
    let _blue = second.enrolled("alice", "blue key", &[]);
    second.policy(broken);
    for service in ["sudo", "cups"] {
        assert_eq!(code(&second, service, &[ALICE_PASSWORD]), Pam::ServiceErr);
    }
}

//! The key besides the password, for whoever has one: both or nobody, and the way back where
//! nobody gets in.

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::Step;
use crate::site::{BLUE, MODULE_AWAY, MODULE_BACK, OUT_OF_ORDER, SOON, Site};

pub(crate) const STEPS: &[Step] = &[
    (
        "passkey-2fa: passkey check refuses while somebody would be locked out, and then it is enabled",
        enable,
    ),
    (
        "passkey-2fa: sudo and the getty ask for the password and then for the key",
        both,
    ),
    (
        "passkey-2fa: who has no key gets in by the password, where that is allowed, and else not",
        not_enrolled,
    ),
    ("passkey-2fa: without the key nobody gets in", without_key),
    (
        "passkey-2fa: with a wrong password the key is not even asked",
        wrong_password,
    ),
    (
        "passkey-2fa: pam_passkey.so is gone: nobody gets in",
        module_gone,
    ),
    (
        "passkey-2fa: a typo in config.toml: nobody gets in, but root in single-user mode, who mends it",
        typo,
    ),
    (
        "passkey-2fa: /etc/pam-passkey is gone: nobody gets in",
        files_gone,
    ),
];

/// A second factor for those who have enrolled.
const ENROLLED: &str =
    "user_verification = \"discouraged\"\ntimeout = 30\nwhen_not_enrolled = \"ignore\"\n";

const CHECK: &str = "passkey check --enabling passkey-2fa";

fn enable(site: &mut Site) {
    site.policy(SOON);
    let refused = site.root.run(CHECK);
    assert_eq!(refused.code, 3, "{}", refused.said);
    site.policy(ENROLLED);
    let enable = format!("{CHECK} && pam-auth-update --disable passkey --enable passkey-2fa");
    site.root.run(&enable).ok();
    let lines = "grep -h pam_passkey /etc/pam.d/common-auth";
    let lines = site.root.run(lines).ok();
    assert_eq!(lines.lines().count(), 1, "{lines}");
    assert!(
        lines.contains("[success=ok ignore=ignore default=die]"),
        "{lines}"
    );
}

fn both(site: &mut Site) {
    site.policy(ENROLLED);
    site.console.types("sudo -k true; echo =$?=");
    let said = site.console.sees("[sudo] password for alice:");
    assert!(!said.contains("Touch"), "{said}");
    site.console.types("alice-password");
    site.console.sees("Touch \"blue key\"");
    site.console.sees("=0=");
    assert_eq!(site.messages_to_blue(), 2);

    site.console.logs_out_and_names("alice");
    site.console.sees("Password: ");
    site.console.types("alice-password");
    site.console.sees("Touch \"blue key\"");
    site.console.waits_for_the_prompt_of("alice");
}

fn not_enrolled(site: &mut Site) {
    site.policy(ENROLLED);
    let su = "su bob -c id; echo =$?=";
    site.console.types(su);
    site.console.sees("Password:");
    site.console.types("bob-password");
    let said = site.console.prompt();
    assert!(said.contains("(bob)"), "{said}");

    site.policy(SOON);
    site.console.types(su);
    site.console.sees("Password:");
    site.console.types("bob-password");
    let said = site.console.prompt();
    assert!(
        said.contains("No security key is enrolled for bob."),
        "{said}"
    );
    assert!(said.contains("=1=") && !said.contains("(bob)"), "{said}");
    assert_eq!(site.messages_to_blue(), 0);
}

/// alice types this password, and sudo runs nothing; returns what she is told.
fn without_key(site: &mut Site) {
    site.policy(&ENROLLED.replace("timeout = 30", "timeout = 1"));
    site.keys.pull_out(BLUE);
    let said = site.sudo_refuses("alice-password");
    assert!(said.contains("No security key was plugged in."), "{said}");
}

fn wrong_password(site: &mut Site) {
    site.policy(ENROLLED);
    let said = site.sudo_refuses("wrong");
    assert!(!said.contains("Touch"), "{said}");
    assert_eq!(site.messages_to_blue(), 0);
}

fn module_gone(site: &mut Site) {
    // As for whoever keeps libpam from loading it, by `ulimit -v`.
    site.in_trouble(MODULE_AWAY, MODULE_BACK, |site| {
        site.sudo_refuses("alice-password");
        assert_eq!(site.messages_to_blue(), 0);
    });
}

fn typo(site: &mut Site) {
    site.log();
    site.policy(&ENROLLED.replace("user_verification", "user_verfication"));
    let said = site.sudo_refuses("alice-password");
    assert!(said.contains(OUT_OF_ORDER), "{said}");
    assert_eq!(site.messages_to_blue(), 0);
    let log = site.log();
    let line = "/etc/pam-passkey/config.toml:1: unknown key \"user_verfication\"";
    assert!(log.contains(line), "{log}");

    site.console.logs_out_and_names("root");
    site.console.sees("Password: ");
    site.console.types("root-password");
    let said = site.console.sees_one_of(&["login: ", "root@guest"]);
    assert!(said.ends_with("login: "), "{said}");
    assert!(said.contains(OUT_OF_ORDER), "{said}");

    // What rescue.target starts. It asks no PAM.
    let getty = "serial-getty@ttyS1.service";
    site.second.forget();
    site.in_trouble(
        &format!("systemctl stop {getty}; systemd-run --quiet --unit=single-user sulogin /dev/ttyS1"),
        // A shell at work is deaf to SIGTERM.
        &format!("systemctl kill --signal=KILL single-user; systemctl start {getty}"),
        |site| {
            site.second.sees("(or press Control-D to continue):");
            // It throws away what was typed before it turned the echo off.
            let soon = Duration::from_secs(5);
            let mut types = || site.second.types("root-password").shows_within(soon, "# ");
            assert!((0..5).any(|_| types()), "no shell");
            site.second.forget();
            site.second
                .types("sed -i s/user_verfication/user_verification/ /etc/pam-passkey/config.toml; echo =$?=");
            site.second.sees("=0=");
        },
    );
    site.console.forget();
    site.root.run("systemctl restart serial-getty@ttyS0").ok();
    site.console.log_in("alice");
}

fn files_gone(site: &mut Site) {
    site.policy(ENROLLED);
    site.in_trouble(
        "mv /etc/pam-passkey /etc/pam-passkey.away",
        "mv /etc/pam-passkey.away /etc/pam-passkey",
        |site| {
            // Nobody can tell who has enrolled: that is not the same as nobody.
            let said = site.sudo_refuses("alice-password");
            assert!(said.contains(OUT_OF_ORDER), "{said}");
            assert_eq!(site.messages_to_blue(), 0);
        },
    );
}

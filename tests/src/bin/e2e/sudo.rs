//! sudo, at the console.

#![forbid(unsafe_code)]

use std::time::Instant;

use tests::guest::Finger;

use crate::Step;
use crate::site::{BLUE, GREEN, LONG, PIN, SOON, Site, TOUCHES};

/// The one that is seen on every release.
pub(crate) const FIRST: &[Step] = &[("sudo -k true: a touch, two messages, and in", touch)];

pub(crate) const STEPS: &[Step] = &[
    ("sudo: a refusal on the key leads to the password", refused),
    (
        "sudo: a key that is not enrolled leads to the password",
        stranger,
    ),
    ("sudo: a PIN and a touch", pin),
    (
        "sudo: a wrong PIN is asked for again, three times, then the password",
        wrong_pin,
    ),
    (
        "sudo: the key is pulled out while it blinks, and comes back",
        pulled_out,
    ),
    (
        "sudo: the key is pulled out while it blinks, and does not come back",
        gone,
    ),
    ("sudo: the key is plugged in late", late),
    (
        "sudo: Ctrl-C: the shell is back, the key dark, no password asked",
        ctrl_c,
    ),
    (
        "sudo: Ctrl-C at the PIN: the shell is back, no password asked",
        ctrl_c_at_the_pin,
    ),
    ("sudo: Ctrl-Z while it blinks, then fg and a touch", ctrl_z),
    (
        "sudo -n asks neither for the key nor for the password",
        not_interactive,
    ),
    (
        "sudo -A: a touch needs no askpass, a refusal asks it",
        askpass,
    ),
    (
        "sudo without a terminal: a touch, and in; a refusal, and out",
        no_terminal,
    ),
    (
        "two sudos on one key: the second names the first, which gets no touch meant for it",
        two,
    ),
    ("twenty sudos in a row, forty messages", twenty),
];

pub(crate) const RS: &[Step] = &[
    ("sudo-rs: a touch, and in", rs_touch),
    (
        "sudo-rs: a refusal on the key leads to the password",
        rs_refused,
    ),
    (
        "sudo-rs: Ctrl-C: the shell is back, the key dark, no password asked",
        rs_ctrl_c,
    ),
];

const TRUE: &str = "sudo -k true; echo =$?=";
const RS_TRUE: &str = "sudo-rs -k true; echo =$?=";

fn touch(site: &mut Site) {
    site.console.types(TRUE);
    let said = site.console.sees("=0=");
    assert!(
        said.contains("Requested by sudo for alice: sudo -k true"),
        "{said}"
    );
    assert!(said.contains("Touch \"blue key\""), "{said}");
    assert!(!said.contains("password"), "{said}");
    assert_eq!(site.messages_to_blue(), 2);
}

fn refused(site: &mut Site) {
    site.keys.finger(BLUE, Finger::Refuses);
    site.console.types(TRUE);
    let said = site.is_asked_for_the_password();
    assert!(
        said.contains("The request was denied on the security key."),
        "{said}"
    );
}

fn stranger(site: &mut Site) {
    site.keys.pull_out(BLUE);
    site.keys.plug_in("Strange Key", None);
    site.keys.finger("Strange Key", TOUCHES);
    site.console.types(TRUE);
    let said = site.is_asked_for_the_password();
    assert!(said.contains("not enrolled"), "{said}");
}

/// green alone, and its person must be verified.
fn green_alone(site: &mut Site) {
    site.policy("timeout = 30\n");
    site.keys.pull_out(BLUE);
    site.keys.plug_in(GREEN, Some(PIN));
    site.keys.finger(GREEN, TOUCHES);
    site.keys.journal(GREEN);
}

fn pin(site: &mut Site) {
    green_alone(site);
    site.console.types(TRUE);
    site.console.sees("PIN of \"green key\", 8 tries left: ");
    site.console.types(PIN);
    let said = site.console.sees("=0=");
    assert!(said.contains("Touch \"green key\""), "{said}");
    assert!(!said.contains(PIN), "shown: {said}");
    assert!(!said.contains("password"), "{said}");
}

fn wrong_pin(site: &mut Site) {
    green_alone(site);
    site.console.types(TRUE);
    site.console.sees("PIN of \"green key\", 8 tries left: ");
    site.console.types("9999");
    site.console
        .sees("That PIN was wrong. PIN of \"green key\", 7 tries left: ");
    site.console.types("9999");
    site.console
        .sees("That PIN was wrong. PIN of \"green key\", 6 tries left: ");
    site.console.types("9999");
    site.is_asked_for_the_password();
    // A key takes three wrong ones, until it has been without power. The right one makes all eight
    // good again.
    site.keys.pull_out(GREEN);
    site.keys.plug_in(GREEN, None);
    site.console.types(TRUE);
    site.console.sees("PIN of \"green key\", 5 tries left: ");
    site.console.types(PIN);
    site.console.sees("=0=");
}

fn pulled_out(site: &mut Site) {
    site.keys.finger(BLUE, Finger::Rests);
    site.console.types(TRUE);
    site.keys.wait_until_it_blinks(BLUE);
    site.keys.pull_out(BLUE);
    site.keys.finger(BLUE, TOUCHES);
    site.keys.plug_in(BLUE, None);
    let said = site.console.sees("=0=");
    assert!(!said.contains("password"), "{said}");
}

fn gone(site: &mut Site) {
    site.policy(SOON);
    site.keys.finger(BLUE, Finger::Rests);
    site.console.types(TRUE);
    site.keys.wait_until_it_blinks(BLUE);
    site.keys.pull_out(BLUE);
    site.is_asked_for_the_password();
}

fn late(site: &mut Site) {
    site.keys.pull_out(BLUE);
    site.console.types(TRUE);
    site.console
        .sees("Plug in \"blue key\" or \"green key\" (30 s).");
    site.keys.plug_in(BLUE, None);
    site.console.sees("Touch \"blue key\"");
    site.console.sees("=0=");
}

fn ctrl_c(site: &mut Site) {
    breaks_off(site, "sudo -k true");
}

/// Ctrl-C while the key blinks for this command.
fn breaks_off(site: &mut Site, command: &str) {
    site.policy(LONG);
    site.keys.finger(BLUE, Finger::Rests);
    site.console.types(command);
    site.console.sees("Touch \"blue key\"");
    site.keys.wait_until_it_blinks(BLUE);
    let pressed = Instant::now();
    site.console.presses("\x03");
    let said = site.console.prompt();
    println!(
        "          back at the shell {} ms after Ctrl-C",
        pressed.elapsed().as_millis()
    );
    assert!(!said.contains("password for"), "{said}");
    assert!(site.keys.is_dark(BLUE));
    let cancels = site
        .keys
        .journal(BLUE)
        .iter()
        .filter(|message| message.cancel)
        .count();
    assert_eq!(cancels, 1);
}

fn ctrl_c_at_the_pin(site: &mut Site) {
    green_alone(site);
    site.console.types("sudo -k true");
    site.console.sees("tries left: ");
    site.console.presses("\x03");
    let said = site.console.prompt();
    assert!(!said.contains("password for"), "{said}");
}

fn ctrl_z(site: &mut Site) {
    site.policy(LONG);
    site.keys.finger(BLUE, Finger::Rests);
    site.console.types(TRUE);
    site.keys.wait_until_it_blinks(BLUE);
    site.console.presses("\x1a");
    site.console.sees("Stopped");
    site.console.prompt();
    site.console.types("fg; echo =$?=");
    site.console.sees("sudo -k true");
    site.keys.finger(BLUE, TOUCHES);
    let said = site.console.sees("=0=");
    assert!(!said.contains("password"), "{said}");
}

fn not_interactive(site: &mut Site) {
    let said = site.console.runs_to(1, "sudo -n -k true");
    assert!(said.contains("a password is required"), "{said}");
    assert_eq!(site.messages_to_blue(), 0);
}

fn askpass(site: &mut Site) {
    let askpass = "printf '#!/bin/sh\necho asked >>/tmp/askpass.said\necho alice-password\n' >/tmp/askpass; \
                   chmod 755 /tmp/askpass; rm -f /tmp/askpass.said";
    site.console.runs_to(0, askpass);
    let sudo = "SUDO_ASKPASS=/tmp/askpass sudo -k -A true";
    site.console.runs_to(0, sudo);
    site.console.runs_to(2, "ls /tmp/askpass.said");
    site.keys.finger(BLUE, Finger::Refuses);
    site.console.runs_to(0, sudo);
    site.console.runs_to(0, "ls /tmp/askpass.said");
}

fn no_terminal(site: &mut Site) {
    let sudo = "setsid --wait sudo -k true </dev/null >/tmp/said 2>&1";
    site.console.runs_to(0, sudo);
    site.keys.finger(BLUE, Finger::Refuses);
    site.console.runs_to(1, sudo);
    let said = site.console.runs("cat /tmp/said");
    assert!(said.contains("a terminal is required"), "{said}");
}

fn two(site: &mut Site) {
    site.at_the_second_console("alice");
    site.policy("user_verification = \"discouraged\"\ntimeout = 6\n");
    site.keys.finger(BLUE, Finger::Rests);
    site.second.types("sudo -k touch /tmp/harvested; echo =$?=");
    site.keys.wait_until_it_blinks(BLUE);
    // The second one outlives the first.
    site.policy(LONG);
    site.console.types(TRUE);
    site.console
        .sees("\"Blue Key\" (/dev/hidraw0) is in use for another request: do not touch it.");
    site.console.sees("sudo -k touch /tmp/harvested");
    site.second.sees("password for alice:");
    site.second.presses("\x03");
    site.keys.finger(BLUE, TOUCHES);
    site.console.sees("Touch \"blue key\"");
    site.console.sees("=0=");
    site.console.prompt();
    site.console.runs_to(2, "ls /tmp/harvested");
}

fn twenty(site: &mut Site) {
    site.console
        .types("for i in $(seq 20); do sudo -k true || echo no-$i; done; echo =$?=");
    let said = site.console.sees("=0=");
    assert!(!said.contains("\nno-"), "{said}");
    assert_eq!(site.messages_to_blue(), 40);
}

fn rs_touch(site: &mut Site) {
    site.console.types(RS_TRUE);
    let said = site.console.sees("=0=");
    assert!(said.contains("Touch \"blue key\""), "{said}");
    assert_eq!(site.messages_to_blue(), 2);
}

fn rs_refused(site: &mut Site) {
    site.keys.finger(BLUE, Finger::Refuses);
    site.console.types(RS_TRUE);
    site.console.sees("denied on the security key");
    site.console.sees("assword");
}

fn rs_ctrl_c(site: &mut Site) {
    breaks_off(site, "sudo-rs -k true");
}

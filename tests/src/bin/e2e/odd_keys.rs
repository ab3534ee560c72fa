//! What a device says or is that no honest key says or is: the login beside it goes on.

#![forbid(unsafe_code)]

use tests::guest::Finger;

use crate::Step;
use crate::site::{BLUE, Site, TOUCHES};

pub(crate) const STEPS: &[Step] = &[
    (
        "odd reports: 8, 63, 65 and 4096 bytes before anybody asks harm nothing",
        babble_before,
    ),
    (
        "odd reports: 8, 63, 65 and 4096 bytes while it blinks: a touch, and in",
        babble,
    ),
    (
        "odd reports: 8 bytes where reports have 8: that key is out and says why, the password lets in",
        short_packet,
    ),
    (
        "odd devices: a mouse, and another usage of FIDO's page, are left alone",
        no_keys,
    ),
    (
        "odd devices: no reports, 8 bytes, 1023, numbered ones: blue lets in beside them, alone they do not answer",
        silent_keys,
    ),
    (
        "odd devices: of a truncated report descriptor the kernel makes nothing",
        truncated,
    ),
];

/// A deadline that no key of these meets.
const AT_ONCE: &str = "user_verification = \"discouraged\"\ntimeout = 1\n";

fn babble_before(site: &mut Site) {
    for length in [8, 63, 65, 4096] {
        site.keys.babble(BLUE, length);
    }
    site.key_alone();
    assert_eq!(site.messages_to_blue(), 2);
    nothing_crashed(site);
}

/// The kernel keeps a report to itself that is shorter than the descriptor says, and of a longer
/// one the module reads what a packet has.
fn babble(site: &mut Site) {
    for length in [8, 63, 65, 4096] {
        site.keys.finger(BLUE, Finger::Rests);
        site.console.types("sudo -k true; echo =$?=");
        site.keys.wait_until_it_blinks(BLUE);
        site.keys.babble(BLUE, length);
        site.keys.finger(BLUE, TOUCHES);
        let said = site.console.sees_one_of(&["=0=", "password for alice:"]);
        assert!(said.ends_with("=0="), "after {length} bytes: {said}");
    }
    nothing_crashed(site);
}

fn short_packet(site: &mut Site) {
    site.keys.pull_out(BLUE);
    let node = site.keys.plug_in_odd(&authenticator(&reports(8, None)));
    let node = node.expect("a node");
    site.console.types("sudo -k id --user; echo =$?=");
    let asked = format!("until ls -l /proc/*/fd 2>/dev/null | grep -q {node}; do sleep 0.1; done");
    site.root.run(&asked).ok();
    site.keys.odd_babble(8);
    let said = site.console.sees("password for alice:");
    assert!(
        said.contains("did not work: it sent a packet too short for its header."),
        "{said}"
    );
    site.console.types("alice-password");
    site.console.sees("\n0\n=0=");
    nothing_crashed(site);
}

/// Global and local items of HID 1.11 §6.2.2, as far as they are needed here.
const FIDO_PAGE: &[u8] = &[0x06, 0xD0, 0xF1];
const AUTHENTICATOR: &[u8] = &[0x09, 0x01];
const APPLICATION: &[u8] = &[0xA1, 0x01];
const END: &[u8] = &[0xC0];

/// A report each way, of so many bytes, with this number if any.
fn reports(bytes: u16, number: Option<u8>) -> Vec<u8> {
    let mut items = number.map_or_else(Vec::new, |number| vec![0x85, number]);
    let [low, high] = bytes.to_le_bytes();
    for (usage, direction) in [(0x20, 0x81), (0x21, 0x91)] {
        items.extend([0x09, usage, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08]);
        items.extend([0x96, low, high, direction, 0x02]);
    }
    items
}

fn authenticator(reports: &[u8]) -> Vec<u8> {
    [FIDO_PAGE, AUTHENTICATOR, APPLICATION, reports, END].concat()
}

/// A mouse of one button.
const MOUSE: &[u8] = &[
    0x05, 0x01, 0x09, 0x02, 0xA1, 0x01, 0x05, 0x09, 0x19, 0x01, 0x29, 0x01, 0x15, 0x00, 0x25, 0x01,
    0x95, 0x08, 0x75, 0x01, 0x81, 0x02, 0xC0,
];

/// Beside blue nobody hears of them, and alone they count as none.
fn no_keys(site: &mut Site) {
    let another: &[u8] = &[0x09, 0x02];
    let other_usage = [FIDO_PAGE, another, APPLICATION, &reports(64, None), END].concat();
    let said = beside_blue(site, &[MOUSE, &other_usage]);
    assert!(!said.contains("Odd Device"), "{said}");
    site.policy(AT_ONCE);
    site.keys.pull_out(BLUE);
    let said = site.password_at_last();
    assert!(said.contains("No security key was plugged in."), "{said}");
    assert!(!said.contains("Odd Device"), "{said}");
    nothing_crashed(site);
}

/// Keys by their own word, which answer nothing: they disturb nobody, and alone they are named.
fn silent_keys(site: &mut Site) {
    let descriptors = [
        Vec::new(),
        reports(8, None),
        reports(1023, None),
        reports(64, Some(1)),
    ];
    let descriptors = descriptors.map(|reports| authenticator(&reports));
    let all: Vec<&[u8]> = descriptors.iter().map(Vec::as_slice).collect();
    beside_blue(site, &all);
    site.policy(AT_ONCE);
    for descriptor in all {
        site.keys.pull_out_all();
        site.keys.plug_in_odd(descriptor).expect("a node");
        site.console.types("sudo -k true");
        let said = site.is_asked_for_the_password();
        assert!(said.contains("\"Odd Device\" (/dev/hidraw"), "{said}");
        assert!(said.contains("does not answer."), "{said}");
    }
    nothing_crashed(site);
}

fn truncated(site: &mut Site) {
    let mut descriptor = authenticator(&reports(64, None));
    descriptor.pop();
    assert_eq!(site.keys.plug_in_odd(&descriptor), None);
    site.key_alone();
    nothing_crashed(site);
}

/// blue lets in beside these, which are found before it; returns what is said.
fn beside_blue(site: &mut Site, descriptors: &[&[u8]]) -> String {
    site.keys.pull_out(BLUE);
    for descriptor in descriptors {
        site.keys.plug_in_odd(descriptor).expect("a node");
    }
    site.keys.plug_in(BLUE, None);
    let said = site.key_alone();
    assert_eq!(site.messages_to_blue(), 2);
    said
}

/// Neither a host nor our module in it.
fn nothing_crashed(site: &mut Site) {
    let crashes = site
        .root
        .run("dmesg | grep -E 'segfault|general protection|traps:|BUG:|Oops'");
    assert_eq!(crashes.code, 1, "{}", crashes.said);
    let log = site.log();
    assert!(!log.contains("a bug of its own"), "{log}");
}

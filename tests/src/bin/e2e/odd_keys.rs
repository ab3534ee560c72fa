//! What a device says or is that no honest key says or is: the login beside it goes on.

#![forbid(unsafe_code)]

use tests::guest::Finger;

use crate::Step;
use crate::site::{BLUE, SOON, Site, TOUCHES};

pub(crate) const STEPS: &[Step] = &[
    (
        "odd reports: 8, 63, 65 and 4096 bytes before anybody asks harm nothing",
        babble_before,
    ),
    (
        "odd reports: 8 and 63 bytes while it blinks: a touch, and in, or that key is out and the password lets in",
        babble_short,
    ),
    (
        "odd reports: 65 and 4096 bytes while it blinks: a touch, and in",
        babble_long,
    ),
    ("odd devices: a mouse is left alone", mouse),
    (
        "odd devices: another usage of FIDO's page is left alone",
        other_usage,
    ),
    (
        "odd devices: an empty FIDO collection does not answer",
        empty_collection,
    ),
    (
        "odd devices: a FIDO device with reports of 8 bytes does not answer",
        small_reports,
    ),
    (
        "odd devices: a FIDO device with reports of 1023 bytes does not answer",
        large_reports,
    ),
    (
        "odd devices: a FIDO device with numbered reports does not answer",
        numbered_reports,
    ),
    (
        "odd devices: of a truncated report descriptor the kernel makes nothing",
        truncated,
    ),
];

fn babble_before(site: &mut Site) {
    for length in [8, 63, 65, 4096] {
        site.keys.babble(BLUE, length);
    }
    site.key_alone();
    assert_eq!(site.messages_to_blue(), 2);
    nothing_crashed(site);
}

/// Linux 6.1 hands a short report over as it is. Later ones keep it to themselves, and say so.
fn babble_short(site: &mut Site) {
    for length in [8, 63] {
        let said = touched_after(site, length);
        if !said.ends_with("=0=") {
            assert!(
                said.contains("did not work: it sent a packet too short for its header."),
                "{said}"
            );
            site.console.types("alice-password");
            site.console.sees("=0=");
        }
        assert!(site.keys.is_dark(BLUE));
        site.key_alone();
    }
    nothing_crashed(site);
}

fn babble_long(site: &mut Site) {
    for length in [65, 4096] {
        let said = touched_after(site, length);
        assert!(said.ends_with("=0="), "{said}");
    }
    nothing_crashed(site);
}

/// blue blinks, says so much, and is touched; returns what is said up to the end, or to the
/// question for the password.
fn touched_after(site: &mut Site, length: usize) -> String {
    site.keys.finger(BLUE, Finger::Rests);
    site.console.types("sudo -k true; echo =$?=");
    site.keys.wait_until_it_blinks(BLUE);
    site.keys.babble(BLUE, length);
    site.keys.finger(BLUE, TOUCHES);
    site.console.sees_one_of(&["=0=", "password for alice:"])
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

fn mouse(site: &mut Site) {
    is_left_alone(site, MOUSE);
}

fn other_usage(site: &mut Site) {
    let another: &[u8] = &[0x09, 0x02];
    let descriptor = [FIDO_PAGE, another, APPLICATION, &reports(64, None), END].concat();
    is_left_alone(site, &descriptor);
}

fn empty_collection(site: &mut Site) {
    does_not_answer(site, &authenticator(&[]));
}

fn small_reports(site: &mut Site) {
    does_not_answer(site, &authenticator(&reports(8, None)));
}

fn large_reports(site: &mut Site) {
    does_not_answer(site, &authenticator(&reports(1023, None)));
}

fn numbered_reports(site: &mut Site) {
    does_not_answer(site, &authenticator(&reports(64, Some(1))));
}

fn truncated(site: &mut Site) {
    let mut descriptor = authenticator(&reports(64, None));
    descriptor.pop();
    assert_eq!(site.keys.plug_in_odd(&descriptor), None);
    site.key_alone();
    nothing_crashed(site);
}

/// No key to us: beside blue nobody hears of it, and alone it counts as none.
fn is_left_alone(site: &mut Site, descriptor: &[u8]) {
    let said = beside_and_alone(site, descriptor);
    assert!(said.contains("No security key was plugged in."), "{said}");
    assert!(!said.contains("Odd Device"), "{said}");
}

/// A key by its own word: beside blue it disturbs nobody, and alone it is named.
fn does_not_answer(site: &mut Site, descriptor: &[u8]) {
    let said = beside_and_alone(site, descriptor);
    assert!(said.contains("\"Odd Device\" (/dev/hidraw"), "{said}");
    assert!(said.contains("does not answer."), "{said}");
}

/// blue lets in beside it; returns what is said where it is alone.
fn beside_and_alone(site: &mut Site, descriptor: &[u8]) -> String {
    site.policy(SOON);
    // Found first, so that it comes before blue.
    site.keys.pull_out(BLUE);
    let odd = site.keys.plug_in_odd(descriptor).expect("a node");
    let blue = site.keys.plug_in(BLUE, None);
    assert!(odd < blue, "{odd} {blue}");
    let said = site.key_alone();
    assert!(!said.contains("Odd Device"), "{said}");
    assert_eq!(site.messages_to_blue(), 2);
    site.keys.pull_out(BLUE);
    let said = site.password_at_last();
    nothing_crashed(site);
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

//! The packages: they come, and change nothing; they are enabled; keys are enrolled.

#![forbid(unsafe_code)]

use tests::guest::Finger;

use crate::Step;
use crate::site::{BLUE, GREEN, PIN, Site, TOUCHES};

/// What the rest stands on.
pub(crate) const ARRIVE: &[Step] = &[
    ("install: the packages change no login", install),
    ("install: sudo passkey enroll, the first key", enroll_first),
    (
        "install: sudo passkey enroll, the second key, once the first is touched",
        enroll_second,
    ),
    ("install: pam-auth-update enables the profile", enable),
];

fn install(site: &mut Site) {
    let before = site.root.run("cat /etc/pam.d/common-*").ok();
    site.root
        .run("dpkg --force-unsafe-io --install /opt/bench/*.deb")
        .ok();
    assert_eq!(site.root.run("cat /etc/pam.d/common-*").ok(), before);
    site.password_alone();
}

pub(crate) fn enroll_first(site: &mut Site) {
    let console = &mut site.console;
    console.types("sudo -k passkey enroll --name 'blue key' --touch-only; echo =$?=");
    console.sees("[sudo] password for alice:");
    console.types("alice-password");
    console.sees("the password of alice shows who is asking.\nPassword:");
    console.types("alice-password");
    console.sees("Enrol \"Blue Key\" (/dev/hidraw");
    console.sees("for alice? [y/N]");
    console.types("y");
    console.sees("Enrolled \"blue key\" for alice.");
    console.sees("Enrol a second key now? [y/N]");
    console.types("n");
    console.sees("=0=");
}

fn enroll_second(site: &mut Site) {
    let enroll = "sudo -k passkey enroll --name 'green key' --touch-only; echo =$?=";
    site.keys.plug_in(GREEN, Some(PIN));
    site.keys.finger(GREEN, TOUCHES);
    site.keys.finger(BLUE, Finger::Refuses);
    site.console.types(enroll);
    site.console.sees("[sudo] password for alice:");
    site.console.types("alice-password");
    site.console.sees("the request was denied on \"Blue Key\"");
    site.console.sees("=1=");

    site.keys.finger(BLUE, TOUCHES);
    site.console.types(enroll);
    site.console.sees("[sudo] password for alice:");
    site.console.types("alice-password");
    site.console.sees("to let alice have another key");
    site.console.sees("\"blue key\" vouches for the new key.");
    site.console.sees("Enrol \"Green Key\" (/dev/hidraw");
    site.console.sees("for alice? [y/N]");
    site.console.types("y");
    site.console.sees("Enrolled \"green key\" for alice.");
    site.console.sees("=0=");
}

pub(crate) fn enable(site: &mut Site) {
    site.root
        .run("pam-auth-update --package --enable passkey")
        .ok();
    site.console.types("sudo -k true; echo =$?=");
    site.console.sees("Touch \"blue key\"");
    site.console.sees("=0=");
}

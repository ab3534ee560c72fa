//! The packages are upgraded, disabled, removed and purged, and come back: after each of it the
//! password lets in.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::guest::Finger;

use crate::Step;
use crate::packages;
use crate::site::{BLUE, Site, TOUCH};

/// What keeps the packages.
pub(crate) const KEPT: &[Step] = &[
    (
        "lifecycle: upgraded without a question: profile, config.toml and keys are as they were",
        upgrade,
    ),
    (
        "lifecycle: the profile is disabled: the password lets in, and nobody asks for a key",
        disable,
    ),
];

/// What does not.
pub(crate) const REMOVED: &[Step] = &[
    (
        "lifecycle: removed with passkey-2fa enabled: the password lets in, keys and config.toml stay",
        remove,
    ),
    (
        "lifecycle: installed again: the key lets in once the profile is enabled",
        come_back,
    ),
    (
        "lifecycle: removal stops at a line that would refuse everybody, names it, and loses nothing",
        removal_stops,
    ),
    (
        "lifecycle: told to, removal goes on: the line refuses as was said; taken out, the password lets in",
        removal_goes_on,
    ),
    (
        "lifecycle: purged: nothing is left, the password lets in",
        purge,
    ),
    (
        "lifecycle: installed again after that: nobody has a key, and one enrolled anew lets in",
        start_again,
    ),
];

/// The same package as the next release would bring it.
pub(crate) fn later(package: &Path, folder: &Path) -> PathBuf {
    let name = package.file_stem().expect("a name");
    let (tree, later) = (folder.join(name), folder.join(name).with_extension("later"));
    let dpkg_deb = |arguments: &[&str], paths: [&Path; 2]| {
        let mut command = Command::new("dpkg-deb");
        let output = command.args(arguments).args(paths).output();
        let output = output.expect("dpkg-deb");
        assert!(output.status.success(), "{output:?}");
    };
    dpkg_deb(&["--raw-extract"], [package, &tree]);
    let control = tree.join("DEBIAN/control");
    let text = fs::read_to_string(&control).expect("a control file");
    let version = text.lines().find(|line| line.starts_with("Version: "));
    let version = version.expect("a version");
    let text = text.replace(version, &format!("{version}{LATER}"));
    fs::write(&control, text).expect("a control file");
    dpkg_deb(
        &["--root-owner-group", "-Znone", "--build"],
        [&tree, &later],
    );
    later
}

/// What makes a version a later one.
const LATER: &str = "+later";

const INSTALL_LATER: &str = "dpkg --force-unsafe-io --install /opt/bench/*.later";

fn upgrade(site: &mut Site) {
    site.policy(&format!("{TOUCH}# of this machine\n"));
    let files = "cat /etc/pam.d/common-* /etc/pam-passkey/config.toml /etc/pam-passkey/users/*; \
                 ls -lR /etc/pam-passkey";
    let before = site.root.run(files).ok();
    assert!(before.contains("pam_passkey.so") && before.contains("# of this machine"));
    // It has nobody to answer a question.
    let said = site.root.run(INSTALL_LATER).ok();
    assert!(!said.contains("Configuration file"), "{said}");
    let versions = "dpkg-query --show --showformat='${Version}\\n' libpam-passkey passkey";
    let versions = site.root.run(versions).ok();
    assert_eq!(versions.matches(LATER).count(), 2, "{versions}");
    assert_eq!(site.root.run(files).ok(), before);
    site.key_alone();
    site.keys.finger(BLUE, Finger::Refuses);
    site.password_at_last();
}

fn disable(site: &mut Site) {
    site.root.run("pam-auth-update --disable passkey").ok();
    nothing_asks_for_a_key(site);
    site.password_alone();
}

/// No stack of the machine's names the module.
fn nothing_asks_for_a_key(site: &mut Site) {
    let lines = site.root.run("grep -r '^[^#]*pam_passkey' /etc/pam.d");
    assert_eq!(lines.code, 1, "{}", lines.said);
}

const KEPT_FILES: &str = "sha256sum /etc/pam-passkey/config.toml /etc/pam-passkey/users/alice.toml";

fn remove(site: &mut Site) {
    let before = site.root.run(KEPT_FILES).ok();
    site.root.run("dpkg --remove passkey libpam-passkey").ok();
    assert_eq!(site.root.run(KEPT_FILES).ok(), before);
    assert_ne!(
        site.root.run("ls /usr/lib/*/security/pam_passkey.so").code,
        0
    );
    nothing_asks_for_a_key(site);
    site.password_alone();
    site.logs_in_with_the_password();
}

fn come_back(site: &mut Site) {
    site.root.run(INSTALL_LATER).ok();
    nothing_asks_for_a_key(site);
    site.root.run("pam-auth-update --enable passkey").ok();
    site.key_alone();
}

const LINE: &str = "auth required pam_passkey.so";

fn removal_stops(site: &mut Site) {
    site.root
        .run(&format!("sed -i '1i {LINE}' /etc/pam.d/sudo"))
        .ok();
    let state = format!(
        "{KEPT_FILES}; sha256sum /etc/pam.d/common-auth /usr/lib/*/security/pam_passkey.so"
    );
    let before = site.root.run(&state).ok();
    let refused = site.root.run("dpkg --remove libpam-passkey");
    assert_ne!(refused.code, 0, "{}", refused.said);
    for text in [
        &format!("/etc/pam.d/sudo:1: {LINE}"),
        "libpam-passkey is not removed",
        "sudo env PAM_PASSKEY_REMOVE_ANYWAY=1 apt-get remove libpam-passkey",
    ] {
        assert!(refused.said.contains(text), "{}", refused.said);
    }
    assert_eq!(site.root.run(&state).ok(), before);
    // Once for the line, once for the profile.
    let said = site.key_alone();
    assert_eq!(said.matches("Touch \"blue key\"").count(), 2, "{said}");
}

fn removal_goes_on(site: &mut Site) {
    let command = "env PAM_PASSKEY_REMOVE_ANYWAY=1 apt-get remove --yes libpam-passkey";
    site.root.run(command).ok();
    site.sudo_refuses("alice-password");
    site.root
        .run("sed -i '/pam_passkey/d' /etc/pam.d/sudo")
        .ok();
    nothing_asks_for_a_key(site);
    site.password_alone();
}

fn purge(site: &mut Site) {
    site.root.run("dpkg --purge passkey libpam-passkey").ok();
    let left = "find / -xdev -path /opt/bench -prune -o -path /proc -prune -o \
                \\( -iname '*pam?passkey*' -o -name passkey -o -name 'passkey-2fa' \\) -print";
    assert_eq!(site.root.run(left).ok(), "");
    nothing_asks_for_a_key(site);
    site.password_alone();
    site.logs_in_with_the_password();
}

fn start_again(site: &mut Site) {
    site.root
        .run("dpkg --force-unsafe-io --install /opt/bench/*.deb")
        .ok();
    site.policy(TOUCH);
    // alice has no key yet, and proves by her password who she is.
    packages::enroll_first(site);
    packages::enable(site);
}

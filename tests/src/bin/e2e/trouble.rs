//! What goes wrong on a machine where the key stands in for the password: each time the person
//! gets in, by the key where it can still be asked, and else by the password.

#![forbid(unsafe_code)]

use tests::guest::Finger;

use crate::Step;
use crate::site::{BLUE, MODULE_AWAY, MODULE_BACK, OUT_OF_ORDER, SOON, Site, TOUCH, TOUCHES};

pub(crate) const STEPS: &[Step] = &[
    (
        "trouble: a typo in config.toml: the log has its line, the password lets in",
        typo,
    ),
    (
        "trouble: pam_passkey.so is gone: the password lets in",
        module_gone,
    ),
    (
        "trouble: /etc/pam-passkey is gone: the password lets in",
        files_gone,
    ),
    (
        "trouble: the host has another name since: the key lets in",
        renamed,
    ),
    (
        "trouble: the clock is set back a year while the key blinks: the deadline holds, the key lets in",
        clock,
    ),
    (
        "trouble: /var is read-only: the key lets in, the log says what is not kept",
        read_only,
    ),
    (
        "trouble: journald is stopped: the key lets in, and so does the password",
        no_journal,
    ),
    (
        "trouble: journald hangs: the key lets in, and so does the password",
        hanging_journal,
    ),
    (
        "trouble: the disk is full: enrolment says so and loses nothing, the key lets in",
        disk_full,
    ),
];

fn typo(site: &mut Site) {
    site.log();
    site.policy("timeout = 1\nuser_verfication = \"discouraged\"\n");
    let said = site.password_at_last();
    assert!(said.contains(OUT_OF_ORDER), "{said}");
    assert_eq!(site.messages_to_blue(), 0);
    let log = site.log();
    assert!(
        log.contains("/etc/pam-passkey/config.toml:2: unknown key \"user_verfication\""),
        "{log}"
    );
    let said = site.logs_in_with_the_password();
    assert!(said.contains(OUT_OF_ORDER), "{said}");
    site.policy(TOUCH);
    site.keys.plug_in(BLUE, None);
    site.key_alone();
}

fn module_gone(site: &mut Site) {
    site.log();
    site.in_trouble(MODULE_AWAY, MODULE_BACK, |site| {
        site.password_alone();
        let log = site.log();
        assert!(log.contains("unable to dlopen(pam_passkey.so)"), "{log}");
    });
    site.key_alone();
}

fn files_gone(site: &mut Site) {
    site.in_trouble(
        "mv /etc/pam-passkey /etc/pam-passkey.away",
        "mv /etc/pam-passkey.away /etc/pam-passkey",
        |site| {
            let said = site.password_at_last();
            assert!(said.contains(OUT_OF_ORDER), "{said}");
            assert_eq!(site.messages_to_blue(), 0);
        },
    );
    site.key_alone();
}

fn renamed(site: &mut Site) {
    site.in_trouble(
        "hostname elsewhere; echo elsewhere >/etc/hostname; sed -i 's/ guest/ elsewhere guest/' /etc/hosts",
        "hostname guest; echo guest >/etc/hostname; sed -i 's/ elsewhere guest/ guest/' /etc/hosts",
        |site| {
            site.key_alone();
            assert_eq!(site.messages_to_blue(), 2);
            let keys = site.root.run("hostname; passkey list --user alice").ok();
            assert!(keys.starts_with("elsewhere\n"), "{keys}");
            assert!(keys.contains("pam://guest"), "{keys}");
        },
    );
}

fn clock(site: &mut Site) {
    site.policy(SOON);
    site.keys.finger(BLUE, Finger::Rests);
    site.console.types("sudo -k true; echo =$?=");
    site.keys.wait_until_it_blinks(BLUE);
    site.in_trouble(
        "date --set=@$(($(date +%s) - 31536000))",
        "date --set=@$(($(date +%s) + 31536000))",
        |site| {
            let said = site.is_asked_for_the_password();
            assert!(
                said.contains("Nobody touched the security key in time"),
                "{said}"
            );
            assert!(site.keys.is_dark(BLUE));
            site.policy(TOUCH);
            site.keys.finger(BLUE, TOUCHES);
            site.keys.journal(BLUE);
            site.key_alone();
            assert_eq!(site.messages_to_blue(), 2);
        },
    );
}

fn read_only(site: &mut Site) {
    site.log();
    site.in_trouble(
        "cd /var/lib/pam-passkey && mount --bind . . && mount -o remount,bind,ro /var/lib/pam-passkey",
        "umount /var/lib/pam-passkey",
        |site| {
            site.key_alone();
            let log = site.log();
            assert!(log.contains("a signature counter is not kept: "), "{log}");
            assert!(log.contains("Read-only file system"), "{log}");
            // Who wants every signature counted does not get in by what cannot be counted.
            site.policy(&format!("{TOUCH}counter = \"refuse\"\n"));
            let said = site.password_at_last();
            assert!(said.contains(OUT_OF_ORDER), "{said}");
        },
    );
    // Nothing there at all, and nothing can be made.
    site.policy(TOUCH);
    site.in_trouble(
        "mount -t tmpfs -o ro none /var/lib",
        "umount /var/lib",
        |site| {
            site.key_alone();
            let log = site.log();
            assert!(log.contains("a signature counter is not kept: "), "{log}");
        },
    );
    site.key_alone();
    let log = site.log();
    assert!(!log.contains("is not kept"), "{log}");
}

const JOURNAL: &str =
    "systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service";

fn no_journal(site: &mut Site) {
    site.in_trouble(
        &format!(
            "systemctl stop systemd-journald-audit.socket {JOURNAL}; ! pidof systemd-journald"
        ),
        &format!("systemctl start {JOURNAL}"),
        |site| {
            site.key_alone();
            site.keys.finger(BLUE, Finger::Refuses);
            site.password_at_last();
        },
    );
}

fn hanging_journal(site: &mut Site) {
    site.in_trouble(
        "kill -STOP $(pidof systemd-journald)",
        "kill -CONT $(pidof systemd-journald)",
        |site| {
            site.key_alone();
            site.policy(SOON);
            site.logs_in_with_the_password();
        },
    );
}

const SPARE: &str = "Spare Key";

fn disk_full(site: &mut Site) {
    let records = "cd /etc/pam-passkey/users && ls -A && sha256sum *";
    let before = site.root.run(records).ok();
    site.keys.plug_in(SPARE, None);
    site.keys.finger(SPARE, TOUCHES);
    site.in_trouble(
        "n=0; for size in 512M 64M 8M 1M 64k 4k; do
             while fallocate --length $size /full.$n 2>/dev/null; do n=$((n + 1)); done
         done; ! dd if=/dev/zero of=/full.$n bs=4k count=1 2>/dev/null",
        "rm -f /full.*",
        |site| {
            site.console
                .types("sudo -k passkey enroll --name 'spare key' --touch-only; echo =$?=");
            site.console.sees("Enrol \"Spare Key\" (/dev/hidraw");
            site.console.sees("for alice? [y/N]");
            site.console.types("y");
            let said = site.console.sees("=1=");
            assert!(said.contains("No space left on device"), "{said}");
            assert!(said.contains("make room and try again"), "{said}");
            assert!(!said.contains("Enrolled \"spare key\""), "{said}");
            assert_eq!(site.root.run(records).ok(), before);
            site.keys.pull_out(SPARE);
            site.key_alone();
        },
    );
}

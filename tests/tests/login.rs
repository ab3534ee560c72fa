//! The module in a real libpam: who is let in, who is not, and what each of them is told.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use std::fs::File;
use std::io::{Read, Write};
use std::time::Duration;

use tests::login::{LoggedIn, assert_outcome};
use tests::machine::{MODULE, privilege};
use tests::{Command, Machine, Pam, Presence, Session, Style, VirtualKey};

const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

#[track_caller]
fn assert_logged(login: &LoggedIn, text: &str) {
    assert!(login.logged().contains(text), "no {text:?}: {login:#?}");
}

/// The number of the line that begins so.
fn line_of(text: &str, beginning: &str) -> usize {
    1 + text
        .lines()
        .position(|line| line.starts_with(beginning))
        .unwrap()
}

#[test]
fn a_touch_lets_its_owner_in_and_leaves_a_receipt_that_ssh_keygen_accepts() {
    for algorithm in ["es256", "eddsa"] {
        let machine = Machine::lived_on();
        let blue = machine.enrolled("alice", "blue key", &["--algorithm", algorithm]);
        let login = machine.login("sudo", "alice").setcred().run();
        assert_outcome(&login, Pam::Success, "Touch \"blue key\" (30 s).");
        assert_logged(&login, "user=alice accepted key=\"blue key\"");
        assert_eq!(login.report.setcred.as_ref().unwrap().code, Pam::Success);

        let receipts = machine.receipts();
        assert_eq!(receipts.len(), 1);
        let public_key = &machine.public_keys("alice")[0];
        let verdict = receipts[0].judged_by_ssh_keygen("alice", public_key);
        assert!(verdict.is_good, "{algorithm}: {verdict:?}");
        let message: serde_json::Value = serde_json::from_str(&receipts[0].message).unwrap();
        assert_eq!(message["service"], "sudo");
        assert_eq!(message["user"], "alice");
        drop(blue);
    }
}

#[test]
fn one_touch_costs_two_transactions_and_one_open_of_one_node() {
    let machine = Machine::lived_on();
    let mouse = machine.plug_in_mouse();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let opens = blue.opens();
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert_eq!(blue.commands(), [Command::Init, Command::GetAssertion]);
    assert_eq!(blue.opens() - opens, 1);
    assert_eq!(blue.cancels(), 0);
    assert_eq!(blue.malformed_writes(), 0);
    assert_eq!(mouse.opens(), 0);
}

#[test]
fn inside_sudo_the_prompt_says_what_is_requested() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let login = machine.login("sudo", "alice").tty("/dev/tty2").run();
    let first = &login.report.messages[0];
    assert_eq!(first.style, Style::TextInfo);
    let (requested, touch) = first.text.split_once('\n').unwrap();
    // The host is pam-host, so its arguments stand for sudo's.
    assert!(
        requested.starts_with("Requested by sudo for alice: ") && requested.contains("--service"),
        "{requested}"
    );
    assert_eq!(touch, "Touch \"blue key\" (30 s).");
    let message: serde_json::Value = serde_json::from_str(&machine.receipts()[0].message).unwrap();
    assert!(requested.ends_with(message["command"].as_str().unwrap()));
    assert_eq!(message["tty"], "/dev/tty2");
}

#[test]
fn nobody_is_told_to_touch_a_key_that_does_not_wait_for_it() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Accept); // before it could blink
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success);
    assert_eq!(login.said(), "");
}

#[test]
fn nobody_is_told_to_touch_a_key_that_says_it_is_at_work() {
    let machine = Machine::lived_on();
    drop(machine.enrolled("alice", "blue key", &[]));
    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    let (cable, far_end) = tests::virtual_key::cable();
    let _at_work = machine.plug_in_cable("At Work", cable);
    std::thread::spawn(|| at_work_for_ever(File::from(far_end)));
    let login = machine.login("sudo", "alice").run();
    let sentence = "\"At Work\" (/dev/hidraw0) does not answer.";
    assert_outcome(&login, Pam::AuthErr, sentence);
    assert!(!login.said().contains("Touch"), "{login:#?}");
}

/// A key that opens a channel, and to whatever it is asked says `STATUS_PROCESSING`.
fn at_work_for_ever(mut cable: File) {
    let mut asked = [0; 64];
    while let Ok(1..) = cable.read(&mut asked) {
        let said = if asked[4] == 0x86 {
            // INIT: the nonce, channel 1, versions, and that it speaks CBOR
            [
                &asked[..5],
                &[0, 17],
                &asked[7..15],
                &[0, 0, 0, 1, 2, 0, 0, 0, 4],
            ]
            .concat()
        } else {
            vec![0, 0, 0, 1, 0xbb, 0, 1, 1]
        };
        let mut report = [0; 64];
        report[..said.len()].copy_from_slice(&said);
        if cable.write_all(&report).is_err() {
            return;
        }
    }
}

#[test]
fn a_request_denied_on_the_key_is_refused() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Deny);
    let login = machine.login("sudo", "alice").run();
    assert_outcome(
        &login,
        Pam::AuthErr,
        "The request was denied on the security key.",
    );
    assert_logged(&login, "user=alice refused: denied on \"Bench Key\"");
    assert!(machine.receipts().is_empty());
}

#[test]
fn a_key_that_nobody_touches_is_refused_at_the_deadline_and_goes_dark() {
    let machine = Machine::lived_on();
    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let login = machine.login("sudo", "alice").run();
    assert_outcome(
        &login,
        Pam::AuthErr,
        "Nobody touched the security key in time. Try again.",
    );
    assert!(login.said().contains("Touch \"blue key\" (1 s)."));
    assert_eq!(blue.cancels(), 1);
    // The next honest login works.
    blue.presence(Presence::after_ms(150));
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
}

#[test]
fn without_a_key_the_person_is_asked_for_it_and_then_refused() {
    let machine = Machine::lived_on();
    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    drop(machine.enrolled("alice", "blue key", &[]));
    let login = machine.login("sudo", "alice").run();
    assert_outcome(
        &login,
        Pam::AuthinfoUnavail,
        "No security key was plugged in. Plug yours in and try again.",
    );
    assert!(login.said().contains("Plug in \"blue key\" (1 s)."));
}

#[test]
fn a_key_plugged_in_while_it_is_asked_for_lets_its_owner_in() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]).unplug();
    let login = machine.login("sudo", "alice").start();
    login.wait_until_said("Plug in \"blue key\"");
    let _blue = machine.plug_in(blue);
    assert_eq!(login.finish().code(), Pam::Success);
}

#[test]
fn a_key_pulled_out_while_it_waits_lets_nobody_in() {
    let machine = Machine::lived_on();
    machine.policy("user_verification = \"discouraged\"\ntimeout = 2\n");
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let login = machine.login("sudo", "alice").start();
    login.wait_until_said("Touch \"blue key\"");
    drop(blue);
    login.wait_until_said("Plug in \"blue key\"");
    assert_eq!(login.finish().code(), Pam::AuthinfoUnavail);
}

#[test]
fn a_key_that_is_not_enrolled_is_refused() {
    let machine = Machine::lived_on();
    drop(machine.enrolled("alice", "blue key", &[]));
    let other = machine.plug_in(VirtualKey::named("Found Key"));
    other.presence(Presence::after_ms(150));
    let login = machine.login("sudo", "alice").run();
    assert_outcome(
        &login,
        Pam::AuthErr,
        "\"Found Key\" (/dev/hidraw0) is not enrolled for alice. Plug in a key that is, and try again.",
    );
}

#[test]
fn a_node_that_is_another_device_than_sysfs_says_is_not_spoken_to() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    machine
        .sh("echo 1:3 > /sys/class/hidraw/hidraw0/dev")
        .output()
        .expect_success();
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::AuthErr, "its node belongs to another device");
    assert!(blue.commands().is_empty());
}

#[test]
fn a_screen_locker_that_runs_as_the_user_needs_the_node_alone() {
    if !privilege().has_other_users() {
        println!("skipped: there is only one user here");
        return;
    }
    let machine = Machine::lived_on();
    machine.service("kde", &format!("auth required {MODULE}\n"));
    let blue = machine.enrolled("alice", "blue key", &[]);
    let locked = machine.login("kde", "alice").as_alice().run();
    assert_outcome(
        &locked,
        Pam::AuthinfoUnavail,
        "\"Bench Key\" (/dev/hidraw0) is plugged in, but this program may not use it.",
    );
    blue.node_mode(0o666); // what udev gives the user at the seat
    let opened = machine.login("kde", "alice").as_alice().run();
    assert_outcome(&opened, Pam::Success, "Touch \"blue key\" (30 s).");
    assert_logged(&opened, "a signature counter is not kept");
    // Claims are root's alone; that is no reason to warn at every login.
    assert!(
        !opened.logged().contains("one login at a time"),
        "{opened:#?}"
    );

    machine.policy("user_verification = \"discouraged\"\ncounter = \"refuse\"\n");
    let uncounted = machine.login("kde", "alice").as_alice().run();
    assert_outcome(
        &uncounted,
        Pam::ServiceErr,
        "Security keys cannot be used now",
    );
}

#[test]
fn another_users_key_is_refused() {
    let machine = Machine::lived_on();
    drop(machine.enrolled("alice", "blue key", &[]));
    let red = machine.enrolled("bob", "red key", &[]);
    assert_eq!(machine.login("sudo", "bob").run().code(), Pam::Success);
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::AuthErr, "is not enrolled for alice.");
    drop(red);
}

#[test]
fn another_users_file_under_ones_own_name_is_refused() {
    let machine = Machine::lived_on();
    let _red = machine.enrolled("bob", "red key", &[]);
    let bobs = machine.read("/etc/pam-passkey/users/bob.toml").unwrap();
    machine.write(ALICE_FILE, &bobs, 0o644);
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::ServiceErr, "{login:#?}");
    assert_logged(
        &login,
        &format!("alice.toml:{}: ", line_of(&bobs, "uid = ")),
    );
}

#[test]
fn of_two_keys_the_touched_one_wins_and_the_other_goes_dark() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let blue = blue.unplug();
    let spare = machine.enrolled("alice", "spare key", &["--timeout", "5"]);
    let blue = machine.plug_in(blue);
    blue.presence(Presence::Never);
    spare.presence(Presence::after_ms(300));
    let login = machine.login("sudo", "alice").run();
    assert_outcome(
        &login,
        Pam::Success,
        "Touch \"blue key\" or \"spare key\" (30 s).",
    );
    assert_logged(&login, "accepted key=\"spare key\"");
    assert_eq!((blue.cancels(), spare.cancels()), (1, 0));
}

#[test]
fn somebody_without_a_key_is_unknown_and_nobody_learns_who_exists() {
    let machine = Machine::lived_on();
    let alice = machine.login("sudo", "alice").run();
    assert_outcome(
        &alice,
        Pam::UserUnknown,
        "No security key is enrolled for alice. Enrol one with: sudo passkey enroll",
    );
    for nobody in ["mallory", "../alice", "a/b", "Alice", &"x".repeat(300)] {
        let login = machine.login("sudo", nobody).run();
        assert_outcome(&login, Pam::UserUnknown, "No security key is enrolled for ");
    }
}

#[test]
fn a_misspelt_option_is_refused_and_the_log_says_what_was_meant() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    machine.policy("user_verfication = \"discouraged\"\n");
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::ServiceErr, "Security keys cannot be used now");
    assert_logged(
        &login,
        "/etc/pam-passkey/config.toml:2: unknown key \"user_verfication\"; \
         did you mean \"user_verification\"?",
    );

    machine.policy("user_verification = \"discouraged\"\n");
    machine.service("sudo", &format!("auth required {MODULE} timeot=5\n"));
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::ServiceErr, "Security keys cannot be used now");
    assert_logged(&login, "did you mean \"timeout\"?");
}

#[test]
fn arguments_tighten_the_policy_and_never_loosen_it() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    machine.service("sudo", &format!("auth required {MODULE} timeout=1\n"));
    blue.presence(Presence::Never);
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::AuthErr, "Touch \"blue key\" (1 s).");

    machine.policy("user_verification = \"required\"\n");
    let line = format!("auth required {MODULE} user_verification=discouraged\n");
    machine.service("sudo", &line);
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::ServiceErr, "Security keys cannot be used now");
    assert_logged(&login, "arguments can only tighten");
}

#[test]
fn where_verification_is_required_a_touch_is_not_enough() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    machine.policy("");
    let login = machine.login("sudo", "alice").run();
    assert_outcome(
        &login,
        Pam::AuthErr,
        "A PIN or fingerprint is required here, and \"blue key\" has none set up.",
    );
}

#[test]
fn services_that_nobody_sits_at_are_left_alone() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    machine.service("cups", &format!("auth required {MODULE}\n"));
    let login = machine.login("cups", "alice").run();
    assert_eq!(login.code(), Pam::AuthinfoUnavail);
    assert_eq!(login.said(), "");
    assert_logged(&login, "not covered: add [service.cups]");
    assert!(blue.commands().is_empty());

    machine.policy("user_verification = \"discouraged\"\n[service.cups]\n");
    assert_eq!(machine.login("cups", "alice").run().code(), Pam::Success);
}

#[test]
fn a_line_can_stand_aside_where_nobody_sits_and_nowhere_else() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let line = format!("auth required {MODULE} when_not_covered=ignore\n");
    for service in ["cups", "sudo"] {
        machine.service(service, &format!("{line}auth required pam_permit.so\n"));
    }
    let aside = machine.login("cups", "alice").run();
    assert_eq!((aside.code(), &*aside.said()), (Pam::Success, ""));
    assert!(blue.commands().is_empty());
    // Not even it lets in by itself.
    machine.service("cups", &line);
    assert_ne!(machine.login("cups", "alice").run().code(), Pam::Success);

    blue.presence(Presence::Deny);
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::AuthErr);
    machine.policy("colour = 1\n");
    for service in ["cups", "sudo"] {
        let login = machine.login(service, "alice").run();
        assert_ne!(login.code(), Pam::Success, "{service}");
    }
}

#[test]
fn people_elsewhere_are_refused_unless_configured() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let elsewhere = [
        Session::Remote,
        Session::LocalInactive,
        Session::UserManagerRemote,
        Session::None,
    ];
    for session in elsewhere {
        let login = machine.login("sudo", "alice").session(session).run();
        assert_outcome(
            &login,
            Pam::AuthinfoUnavail,
            "Security keys let in only people in front of this machine.",
        );
    }
    let login = machine.login("sudo", "alice").from_host("192.0.2.7").run();
    assert_eq!(login.code(), Pam::AuthinfoUnavail);
    assert!(blue.commands().is_empty());

    for session in [Session::Local, Session::UserManager] {
        let login = machine.login("sudo", "alice").session(session).run();
        assert_eq!(login.code(), Pam::Success, "{session:?} {login:#?}");
    }
    machine.policy("user_verification = \"discouraged\"\nremote = \"allow\"\n");
    let login = machine
        .login("sudo", "alice")
        .session(Session::Remote)
        .run();
    assert_eq!(login.code(), Pam::Success);
}

#[test]
fn a_counter_that_has_not_grown_raises_the_alarm() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
    // As if another key with the same private half had been used far more.
    machine
        .sh("for f in /var/lib/pam-passkey/counters/*; do echo 4000000000 > $f; done")
        .output()
        .expect_success();
    let login = machine.login("sudo", "alice").run();
    assert_outcome(
        &login,
        Pam::Success,
        "Warning: a copy of \"blue key\" may be in use. Tell your administrator.",
    );
    assert_logged(&login, "CLONE ALARM");

    machine.policy("user_verification = \"discouraged\"\ncounter = \"refuse\"\n");
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::AuthErr, "signature counter");
}

#[test]
fn a_rule_on_counters_cannot_be_switched_off_by_making_a_write_fail() {
    let machine = Machine::lived_on();
    machine.service("su", &format!("auth required {MODULE}\n"));
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let with_no_room = "ulimit -f 0; exec pam-host --service su --user alice 2>&1 | cat";
    let limited = || machine.sh(with_no_room).output();

    // A host that may write nothing is not ended by a signal; the rest goes on.
    let warned = limited();
    assert!(warned.stdout.contains("AuthinfoUnavail"), "{warned:#?}");
    machine.policy("user_verification = \"discouraged\"\nremote = \"allow\"\n");
    let warned = limited();
    assert!(warned.stdout.contains("\"Success\""), "{warned:#?}");
    assert!(machine.receipts().is_empty());

    machine
        .policy("user_verification = \"discouraged\"\nremote = \"allow\"\ncounter = \"refuse\"\n");
    let refused = limited();
    assert!(refused.stdout.contains("\"ServiceErr\""), "{refused:#?}");
    assert_eq!(machine.login("su", "alice").run().code(), Pam::Success);
}

#[test]
fn more_credentials_than_fit_one_request_are_found_silently() {
    let machine = Machine::lived_on();
    let keys: Vec<VirtualKey> = (1..=5)
        .map(|number| {
            machine
                .enrolled("alice", &format!("key {number}"), &[])
                .unplug()
        })
        .collect();
    // 241-byte ids: four of them do not fit one request of 1024 bytes.
    let last = machine.plug_in(keys.last().unwrap().clone());
    last.forget_transactions();
    let login = machine.login("sudo", "alice").run();
    assert_outcome(
        &login,
        Pam::Success,
        "Touch one of your security keys (30 s).",
    );
    assert_logged(&login, "accepted key=\"key 5\"");
    assert!(last.commands().len() <= 4, "{:?}", last.commands());
}

#[test]
fn a_renamed_host_changes_nothing_for_enrolled_keys() {
    let machine = Machine::lived_on();
    let old = machine
        .enrolled("alice", "old", &["--rp-id", "pam://old-name"])
        .unplug();
    drop(machine.enrolled("alice", "new", &["--rp-id", "pam://new-name"]));
    let _old = machine.plug_in(old);
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert_logged(&login, "accepted key=\"old\"");
}

#[test]
fn a_silenced_log_delays_nobody_for_long() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    machine.sh("rm /dev/log").output().expect_success();
    let login = machine
        .login("sudo", "alice")
        .within(Duration::from_secs(10))
        .run();
    assert_eq!(login.code(), Pam::Success);
}

#[test]
fn eight_keys_are_asked_and_a_ninth_is_left_alone() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]).unplug();
    let strangers: Vec<_> = (0..7)
        .map(|number| machine.plug_in(VirtualKey::named(&format!("Stranger {number}"))))
        .collect();
    let eighth = machine.plug_in(blue);
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    for stranger in &strangers {
        assert_eq!(stranger.opens(), 1);
    }

    let blue = eighth.unplug();
    let _one_more = machine.plug_in(VirtualKey::named("Stranger 7"));
    let ninth = machine.plug_in(blue);
    ninth.forget_transactions();
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::AuthErr, "is not enrolled for alice.");
    assert!(ninth.commands().is_empty());
    assert_eq!(ninth.opens(), 0);
}

//! PINs: of whom they are asked, how often, and what happens when they are wrong.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tests::login::LoggedIn;
use tests::machine::{MODULE, PluggedIn};
use tests::{Command, Machine, Pam, Presence, Profile, VirtualKey};

const PIN: &str = "2468";

/// A host that does with signals what the kernel does.
const HOST: [&str; 6] = [
    "pam-host",
    "--aloud",
    "--service",
    "sudo",
    "--user",
    "alice",
];

/// A machine on which every login asks for more than a touch.
fn machine() -> Machine {
    let machine = Machine::lived_on();
    machine.policy("");
    machine
}

/// A key with a PIN, enrolled for alice.
fn enrolled(machine: &Machine, name: &str) -> PluggedIn {
    let key = machine.plug_in(VirtualKey::named(name).with_pin(PIN));
    machine.enroll_with_pin(&key, "alice", name, PIN);
    key
}

fn codes(login: &LoggedIn) -> Vec<Pam> {
    login.report.calls.iter().map(|call| call.code).collect()
}

#[test]
fn a_pin_and_a_touch_let_their_owner_in_with_seven_transactions_and_one_open() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    let opens = blue.opens();
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert_eq!(login.questions(), ["PIN of \"blue key\", 8 tries left: "]);
    assert!(login.said().contains("Requested by sudo for alice: "));
    assert!(login.said().contains("Touch \"blue key\" ("));
    assert!(login.logged().contains("verified=yes"), "{login:#?}");
    assert!(login.report.footprint.is_clean(), "{login:#?}");
    assert_eq!(
        blue.commands(),
        [
            Command::Init,
            Command::GetInfo,
            Command::GetAssertion,
            Command::ClientPin,
            Command::ClientPin,
            Command::ClientPin,
            Command::GetAssertion
        ]
    );
    assert_eq!(blue.opens() - opens, 1);

    // ssh-keygen, who knows nothing of us, verifies the receipt and the verification in it.
    let receipt = machine.receipts().pop().unwrap();
    let key = &machine.public_keys("alice")[0];
    assert!(receipt.judged_by_ssh_keygen("alice", key).is_good);
}

#[test]
fn a_wrong_pin_is_said_to_be_wrong_and_another_one_asked_for() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    let login = machine.login("sudo", "alice").answers(["1357", PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert_eq!(
        login.questions(),
        [
            "PIN of \"blue key\", 8 tries left: ",
            "That PIN was wrong. PIN of \"blue key\", 7 tries left: "
        ]
    );
    drop(blue);
}

#[test]
fn what_cannot_be_a_pin_costs_no_try() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    let long = "9".repeat(64);
    let login = machine
        .login("sudo", "alice")
        .answers(["246", &long, PIN])
        .run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert_eq!(login.questions().len(), 3);
    assert!(
        login
            .said()
            .contains("That is not a PIN: the PIN has at least 4 characters.")
    );
    assert!(
        login
            .said()
            .contains("That is not a PIN: a PIN has at most 63 bytes.")
    );
    // A host that answers by itself comes to an end.
    blue.forget_transactions();
    let login = machine.login("sudo", "alice").answers(vec!["no"; 99]).run();
    assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
    assert_eq!(login.questions().len(), 3);
}

#[test]
fn three_calls_of_sudo_have_three_tries_together() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    blue.presence(Presence::Deny);
    let answers = ["1111", "2222", "", PIN, PIN, PIN];
    let login = machine
        .login("sudo", "alice")
        .answers(answers)
        .calls(3)
        .run();
    // Two wrong ones and nothing; a right one and no touch; none is left.
    assert_eq!(login.questions().len(), 4, "{login:#?}");
    assert_eq!(codes(&login), [Pam::AuthErr, Pam::AuthErr, Pam::MaxTries]);
    let sentence = "No further PIN may be tried here. Start again if you know the right one.";
    assert!(login.said().contains(sentence), "{login:#?}");
    blue.presence(Presence::after_ms(100));
    assert_eq!(
        machine.login("sudo", "alice").answers([PIN]).run().code(),
        Pam::Success
    );
}

#[test]
fn three_wrong_pins_in_a_row_and_the_key_wants_to_be_unplugged() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    let wrong = ["1111", "2222", "3333", "4444", "5555"];
    let login = machine.login("sudo", "alice").answers(wrong).calls(3).run();
    assert_eq!(login.questions().len(), 3, "{login:#?}");
    assert_eq!(codes(&login), [Pam::AuthErr; 3]);
    let sentence = "Too many wrong PINs. Unplug \"blue key\", plug it in and try again.";
    assert_eq!(login.said().matches(sentence).count(), 3, "{login:#?}");
    let _blue = machine.plug_in(blue.unplug());
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert_eq!(login.questions(), ["PIN of \"blue key\", 5 tries left: "]);
}

#[test]
fn a_service_not_known_to_converse_has_one_try() {
    let machine = machine();
    machine.service("kde", &format!("auth required {MODULE}\n"));
    let _blue = enrolled(&machine, "blue key");
    let replayed = vec!["her login password"; 9];
    let login = machine
        .login("kde", "alice")
        .answers(replayed)
        .calls(3)
        .run();
    assert_eq!(login.questions().len(), 1, "{login:#?}");
    assert_eq!(codes(&login), [Pam::MaxTries; 3]);
    let right = machine.login("kde", "alice").answers([PIN]).run();
    assert_eq!(right.code(), Pam::Success, "{right:#?}");
}

#[test]
fn the_last_try_of_a_key_is_never_risked() {
    let machine = machine();
    let mut blue = enrolled(&machine, "blue key");
    for wrong in 0..7 {
        // Three in a row are all a key takes.
        if wrong % 3 == 0 {
            blue = machine.plug_in(blue.unplug());
        }
        let login = machine.login("kde", "alice");
        machine.service("kde", &format!("auth required {MODULE}\n"));
        let login = login.answers(["9999"]).run();
        assert_eq!(login.questions().len(), 1, "{wrong}: {login:#?}");
    }
    let blue = machine.plug_in(blue.unplug());
    blue.forget_transactions();
    for _ in 0..3 {
        let login = machine.login("sudo", "alice").answers([PIN]).run();
        assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
        assert!(login.questions().is_empty(), "{login:#?}");
        let sentence = "The PIN of \"blue key\" has one try left, which is not risked here.";
        assert!(login.said().contains(sentence), "{login:#?}");
    }
}

#[test]
fn no_answer_is_no_pin_and_the_key_loses_no_try() {
    let machine = machine();
    let _blue = enrolled(&machine, "blue key");
    for nothing in [vec![], vec![""]] {
        let login = machine.login("sudo", "alice").answers(nothing).run();
        assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
        let sentence = "No PIN was given for \"blue key\".";
        assert!(login.said().contains(sentence), "{login:#?}");
    }
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(login.questions(), ["PIN of \"blue key\", 8 tries left: "]);
}

#[test]
fn a_pin_is_not_asked_of_a_key_that_is_not_enrolled() {
    let machine = machine();
    drop(enrolled(&machine, "blue key"));
    let found = machine.plug_in(VirtualKey::named("Found Key").with_pin(PIN));
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
    assert!(
        login
            .said()
            .contains("\"Found Key\" (/dev/hidraw0) is not enrolled for alice.")
    );
    assert!(login.questions().is_empty());
    assert!(!found.commands().contains(&Command::ClientPin));
}

#[test]
fn of_several_keys_the_touched_one_is_asked_for_its_pin_and_the_others_go_dark() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    let blue = blue.unplug();
    let spare = enrolled(&machine, "spare key");
    let blue = machine.plug_in(blue);
    blue.presence(Presence::Never);
    blue.forget_transactions();
    spare.presence(Presence::after_ms(300));
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert_eq!(login.questions(), ["PIN of \"spare key\", 8 tries left: "]);
    for sentence in [
        "Touch \"spare key\" to use it (30 s).",
        "Or touch \"blue key\" to use that one (30 s).",
    ] {
        let other = sentence
            .replace("spare", "x")
            .replace("blue", "spare")
            .replace('x', "blue");
        let said = login.said();
        assert!(said.contains(sentence) || said.contains(&other), "{said}");
    }
    assert_eq!((blue.cancels(), spare.cancels()), (1, 0));
    assert!(blue.commands().contains(&Command::Selection));
    assert!(!blue.commands().contains(&Command::ClientPin));
}

#[test]
fn a_chosen_key_that_fails_leaves_the_others_in_the_race() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key").unplug();
    let spare = enrolled(&machine, "spare key");
    let blue = machine.plug_in(blue);
    blue.presence(Presence::Never);
    spare.presence(Presence::after_ms(100));
    let mut login = machine.login("sudo", "alice").answers_later().start();
    login.wait_until_said("PIN of \"spare key\"");
    blue.presence(Presence::after_ms(100));
    drop(spare);
    login.type_line(PIN);
    login.wait_until_said("PIN of \"blue key\"");
    login.type_line(PIN);
    let login = login.finish();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert!(login.logged().contains("accepted key=\"blue key\""));
}

#[test]
fn a_key_pulled_out_while_its_pin_is_typed_lets_nobody_in() {
    let machine = machine();
    machine.policy("timeout = 2\n");
    let blue = enrolled(&machine, "blue key");
    let mut login = machine.login("sudo", "alice").answers_later().start();
    login.wait_until_said("PIN of \"blue key\"");
    drop(blue);
    login.type_line(PIN);
    let login = login.finish();
    assert_eq!(login.code(), Pam::AuthinfoUnavail, "{login:#?}");
    assert!(login.said().contains("Plug in \"blue key\""), "{login:#?}");
}

#[test]
fn the_deadline_stands_still_while_a_pin_is_typed() {
    let machine = machine();
    machine.policy("timeout = 2\n");
    let _blue = enrolled(&machine, "blue key");
    let mut login = machine.login("sudo", "alice").answers_later().start();
    login.wait_until_said("PIN of \"blue key\"");
    thread::sleep(Duration::from_millis(2500));
    login.type_line(PIN);
    assert_eq!(login.finish().code(), Pam::Success);
}

#[test]
fn an_interrupted_wait_is_an_abort_the_key_goes_dark_and_the_signal_stays() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    blue.presence(Presence::Never);
    for signal in [Signal::SIGINT, Signal::SIGQUIT] {
        let mut login = machine
            .login("sudo", "alice")
            .answers_later()
            .interrupts_like_sudo()
            .start();
        login.wait_until_said("PIN of \"blue key\"");
        login.type_line(PIN);
        login.wait_until_said("Touch \"blue key\"");
        blue.forget_transactions();
        login.signal(signal);
        let login = login.finish();
        assert_eq!(login.code(), Pam::Abort, "{login:#?}");
        assert_eq!(login.report.pending, [signal.as_str()]);
        assert_eq!(blue.cancels(), 1);
    }
}

#[test]
fn a_prompt_for_a_pin_can_be_left_as_the_hosts_own_can() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    let left = machine.run(HOST).stdin_open().start();
    left.wait_for_error("PIN of \"blue key\"");
    left.signal(Signal::SIGINT);
    // Its input stays open: the end of that would be an answer too.
    let patience = Instant::now() + Duration::from_secs(10);
    while !left.has_ended() {
        assert!(Instant::now() < patience, "it waits for an answer");
        thread::sleep(Duration::from_millis(20));
    }
    let ended = left.finish();
    assert_eq!(ended.signal(), Some(Signal::SIGINT as i32), "{ended:#?}");
    assert_eq!(blue.pin_tries_left(), 8);

    // Once it is typed the key is put out first, as before.
    blue.presence(Presence::Never);
    let touched = machine.run(HOST).stdin(format!("{PIN}\n")).start();
    touched.wait_for_error("Touch \"blue key\"");
    // While the host shows it, a signal is the host's.
    touched.wait_until_it_holds_back(Signal::SIGINT);
    blue.forget_transactions();
    touched.signal(Signal::SIGINT);
    let ended = touched.finish();
    assert_eq!(ended.signal(), Some(Signal::SIGINT as i32), "{ended:#?}");
    assert_eq!(blue.cancels(), 1);
}

#[test]
fn a_signal_that_came_while_a_pin_was_typed_is_an_abort_and_the_pin_is_not_sent() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    for typed in [PIN, ""] {
        let mut login = machine
            .login("sudo", "alice")
            .answers_later()
            .interrupts_like_sudo()
            .start();
        login.wait_until_said("PIN of \"blue key\"");
        blue.forget_transactions();
        login.signal(Signal::SIGINT);
        login.type_line(typed);
        let login = login.finish();
        assert_eq!(login.code(), Pam::Abort, "{typed:?}: {login:#?}");
        assert_eq!(login.report.pending, ["SIGINT"]);
        assert!(blue.commands().is_empty(), "{:?}", blue.commands());
    }
}

#[test]
fn a_host_that_does_not_hold_signals_back_stops_at_once_and_the_key_goes_dark() {
    let machine = machine();
    machine.policy("user_verification = \"discouraged\"\n");
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let host = machine.run(HOST).start();
        host.wait_for_error("Touch \"blue key\"");
        // While the host shows it, a signal is the host's.
        host.wait_until_it_holds_back(signal);
        blue.forget_transactions();
        host.signal(signal);
        let ended = host.finish();
        assert_eq!(ended.signal(), Some(signal as i32), "{ended:#?}");
        assert_eq!(blue.cancels(), 1);
    }
}

#[test]
fn one_ceremony_at_a_time_the_second_is_told_what_the_first_is_for() {
    let machine = machine();
    machine.policy("user_verification = \"discouraged\"\n");
    machine.service("su", &format!("auth required {MODULE}\n"));
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let first = machine.login("su", "alice").start();
    first.wait_until_said("Touch \"blue key\"");
    let opens = blue.opens();
    let second = machine.login("sudo", "alice").start();
    second.wait_until_said(
        "\"Bench Key\" (/dev/hidraw0) is in use for another request: do not touch it.\n\
         Requested by su for alice.",
    );
    assert_eq!(blue.opens(), opens, "it is not even opened");
    // The touch goes to the first, and only then is the second one's turn.
    blue.presence(Presence::after_ms(0));
    assert_eq!(first.finish().code(), Pam::Success);
    let second = second.finish();
    assert_eq!(second.code(), Pam::Success, "{second:#?}");
    assert!(!second.said().contains("Plug in"), "{second:#?}");
}

#[test]
fn nothing_is_held_while_a_pin_is_typed() {
    let machine = machine();
    let _blue = enrolled(&machine, "blue key");
    let mut first = machine.login("sudo", "alice").answers_later().start();
    first.wait_until_said("PIN of \"blue key\"");
    let second = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(second.code(), Pam::Success, "{second:#?}");
    first.type_line(PIN);
    let first = first.finish();
    assert_eq!(first.code(), Pam::Success, "{first:#?}");
}

#[test]
fn a_key_is_left_to_whoever_took_it_while_its_pin_was_typed() {
    let machine = machine();
    let blue = enrolled(&machine, "blue key");
    let mut login = machine.login("sudo", "alice").answers_later().start();
    login.wait_until_said("PIN of \"blue key\"");
    blue.forget_transactions();
    // One that says nothing to the key: what it is answered would be read by both.
    let other = "flock /var/lib/pam-passkey/keys/* -c 'echo taken; sleep 2'";
    let other = machine.sh(other).on_a_terminal().start();
    other.wait_for("taken");
    login.type_line(PIN);
    login.wait_until_said("Another program is using \"blue key\" (/dev/hidraw0): do not touch it.");
    assert!(blue.commands().is_empty(), "{:?}", blue.commands());
    other.finish().expect_success();
    let login = login.finish();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
}

#[test]
fn a_key_that_stood_aside_goes_on_where_the_chosen_one_fails() {
    let machine = machine();
    machine.policy("user_verification = \"discouraged\"\ntimeout = 5\n");
    let profile = Profile::fido_2_1().always_uv();
    let strict = machine.plug_in(VirtualKey::named("Strict").posing_as(profile).with_pin(PIN));
    machine.enroll_for(&strict, "alice", "strict key", PIN, &["--touch-only"]);
    let strict = strict.unplug();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let strict = machine.plug_in(strict);
    strict.set_pin_tries_left(1);
    blue.presence(Presence::after_ms(1500));
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert!(login.logged().contains("accepted key=\"blue key\""));
    // One waits for its touch, so the other is not taken for the one that is meant.
    assert!(strict.commands().contains(&Command::Selection));
    assert_eq!(blue.cancels(), 1);
}

#[test]
fn a_key_that_never_answers_keeps_no_other_from_its_pin() {
    let machine = machine();
    machine.policy("timeout = 10\n");
    let _blue = enrolled(&machine, "blue key");
    let (cable, _far_end) = tests::virtual_key::cable();
    let _mute = machine.plug_in_cable("Mute", cable);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
}

#[test]
fn a_key_that_never_answers_is_named_and_nobody_is_blamed_for_not_touching_it() {
    let machine = machine();
    drop(enrolled(&machine, "blue key"));
    machine.policy("timeout = 1\n");
    let (cable, _far_end) = tests::virtual_key::cable();
    let _mute = machine.plug_in_cable("Mute", cable);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
    let sentence = "\"Mute\" (/dev/hidraw0) does not answer. Unplug it, plug it in and try again.";
    assert!(login.said().contains(sentence), "{login:#?}");
}

#[test]
fn a_key_that_cannot_be_claimed_is_used_all_the_same_and_logged() {
    let machine = machine();
    let _blue = enrolled(&machine, "blue key");
    // Others could hold such a lock.
    let spoil = "chmod 666 /var/lib/pam-passkey/keys/*";
    machine.sh(spoil).output().expect_success();
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    let line = "key \"blue key\" (/dev/hidraw0) is not kept to one login at a time: ";
    assert!(login.logged().contains(line), "{login:#?}");
}

#[test]
fn a_signal_is_noticed_where_no_key_is_plugged_in() {
    let machine = machine();
    machine.policy("user_verification = \"discouraged\"\n");
    drop(machine.enrolled("alice", "blue key", &[]));
    let host = machine.run(HOST).start();
    host.wait_for_error("Plug in \"blue key\"");
    host.signal(Signal::SIGINT);
    let ended = host.finish();
    assert_eq!(ended.signal(), Some(Signal::SIGINT as i32), "{ended:#?}");
    assert!(ended.elapsed < Duration::from_secs(10), "{ended:#?}");
}

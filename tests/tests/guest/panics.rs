//! A bug of ours, forced from outside: the clock fails the module once, wherever it asks for it.

#![forbid(unsafe_code)]

use std::time::Duration;

use tests::login::{LoggedIn, assert_no_trace};
use tests::machine::PluggedIn;
use tests::{Liar, Machine, Pam, Presence};

use super::{PIN, codes, with_a_pin};

/// The first login of the host panicked and the second, an honest one, succeeded, as if nothing
/// had been.
#[track_caller]
fn assert_survived(login: &LoggedIn) {
    assert_eq!(codes(login), [Pam::ServiceErr, Pam::Success], "{login:#?}");
    assert_logged_as_a_bug(login);
    assert_no_trace(login);
    // The host's hook hears none of ours, and is still there for the host's own.
    assert_eq!(login.report.panics_heard, [0, 1]);
}

#[track_caller]
fn assert_logged_as_a_bug(login: &LoggedIn) {
    let of_a_bug = "pam_passkey failed from a bug of its own, at ";
    let lines = login.host.log.iter();
    let lines = lines.filter(|line| line.text.contains(of_a_bug));
    let severities: Vec<_> = lines.map(|line| (line.facility, line.severity)).collect();
    assert_eq!(severities, [(10, 3)], "{login:#?}");
}

/// Fails the module at each of its looks at the clock in turn; tells at how many it panicked.
fn panic_everywhere(machine: &Machine, key: &PluggedIn, answers: &[&str]) -> usize {
    let mut panics = 0;
    for after in 0.. {
        machine.break_clock(after);
        key.forget_transactions();
        let login = machine.login("sudo", "alice").logins(2);
        let login = login.env("RUST_BACKTRACE", "full");
        let login = login.answers(answers.to_vec()).run();
        let has_failed = machine.clock_has_failed();
        match codes(&login)[..] {
            [Pam::ServiceErr, Pam::Success] => {
                assert_survived(&login);
                panics += 1;
            }
            // Some looks need no answer: a claim says until when it counts.
            [Pam::Success, Pam::Success] if has_failed => assert_no_trace(&login),
            // It was the second login's turn, or nobody's.
            [Pam::Success, _] => break,
            _ => panic!("{after}: {:#?} {login:#?}", key.transactions()),
        }
    }
    panics
}

#[test]
fn a_panic_anywhere_in_a_login_by_touch_is_survived() {
    let machine = Machine::with_a_clock_that_breaks();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Accept);
    let panics = panic_everywhere(&machine, &blue, &[]);
    println!("{panics} panics");
    assert!(panics > 10, "{panics}");
}

#[test]
fn a_panic_anywhere_in_a_login_by_pin_is_survived() {
    let machine = Machine::with_a_clock_that_breaks();
    let blue = with_a_pin(&machine);
    blue.presence(Presence::Accept);
    let panics = panic_everywhere(&machine, &blue, &[PIN, PIN]);
    println!("{panics} panics");
    assert!(panics > 20, "{panics}");
}

/// A key that blinks when the module panics.
fn panic_while_it_blinks(machine: &Machine, liar: &Liar) -> LoggedIn {
    liar.touched(None);
    let login = machine.login("sudo", "alice").start();
    login.wait_until_said("Touch \"it\"");
    assert!(!login.has_ended());
    machine.break_clock(0);
    login.finish()
}

#[test]
fn a_panic_while_a_key_blinks_puts_its_light_out_and_frees_it() {
    let machine = Machine::with_a_clock_that_breaks();
    let liar = Liar::named("Liar");
    let _port = machine.plug_in_cable(liar.name(), liar.power_on());
    let enroll = ["enroll", "--touch-only", "--user", "alice", "--name", "it"];
    machine.passkey(enroll).output().expect_success();
    liar.forget();

    let login = panic_while_it_blinks(&machine, &liar);
    assert_eq!(codes(&login), [Pam::ServiceErr], "{login:#?}");
    assert_logged_as_a_bug(&login);
    assert_no_trace(&login);
    assert!(liar.is_dark(), "it blinks for nobody: {login:#?}");
    assert_eq!(liar.cancels(), 1);

    liar.touched(Some(Duration::from_millis(50)));
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert!(!login.said().contains("in use"), "{login:#?}");
}

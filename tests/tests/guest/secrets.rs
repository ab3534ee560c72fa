//! A PIN, and all that is made of it, is forgotten: no piece of it is left in the host's memory,
//! wherever in it, and none is said or logged.

#![forbid(unsafe_code)]

use nix::sys::signal::Signal;
use tests::liar::{of_pin, of_scalar};
use tests::login::{LoggedIn, Login, assert_no_trace};
use tests::memory::{Find, Needle, search};
use tests::{Liar, Machine, Pam};

/// Long, and nothing in them twice: a piece of one is found, and is nothing else.
const PIN: &str = "kV7#qzR2!mXw9@Lp4$tGy6%Bn8&Jd3*HcF5(As1";
const WRONG: &str = "fT5^vE9)wQ1+zU7=oI3-uY8_hN2.eM6,rD4;aS0";

/// Each protocol makes keys of its own.
fn each_protocol() -> [(Machine, Liar); 2] {
    let liar = || Liar::named("Liar").with_pin(PIN);
    [liar(), liar().protocol_one_only()].map(|liar| {
        let machine = Machine::that_forgets_nothing();
        machine.policy("timeout = 2\n");
        let _port = machine.plug_in_cable(liar.name(), liar.power_on());
        let command = ["enroll", "--no-spare", "--user", "alice", "--name", "it"];
        let mut enroll = machine.passkey(command).on_a_terminal().start();
        enroll.wait_for("[y/N] ");
        enroll.type_line("y");
        for times in 1..=2 {
            enroll.wait_for_times("tries left: ", times);
            enroll.type_line(PIN);
        }
        enroll.finish().expect_success();
        let _ = machine.random_numbers(32);
        (machine, liar)
    })
}

/// What the key knows, both PINs, and the number that the host drew for the key agreement: after
/// the nonce, and what a silent answer was made over, which are public.
fn secrets(machine: &Machine, liar: &Liar) -> Vec<Needle> {
    let mut secrets = liar.secrets();
    secrets.extend([of_pin(PIN), of_pin(WRONG)].concat());
    let drawn = machine.random_numbers(32);
    secrets.extend(drawn.iter().skip(2).flat_map(|scalar| of_scalar(scalar)));
    secrets
}

/// What is left of all these secrets once the login is over.
fn left_behind(machine: &Machine, liar: &Liar, login: Login<'_>) -> (Vec<Find>, LoggedIn) {
    let _port = machine.plug_in_cable(liar.name(), liar.power_on());
    let login = login.start();
    login.wait_until_stopped();
    let secrets = secrets(machine, liar);
    // A scalar, where it came to that, is known in two forms beside what the key knows.
    assert!(secrets.len() >= 12, "{}", secrets.len());
    let finds = search(login.pid(), &secrets);
    login.signal(Signal::SIGCONT);
    (finds, login.finish())
}

#[test]
fn nothing_of_a_pin_is_left_after_a_success() {
    for (machine, liar) in each_protocol() {
        for stops in [Login::stops_after_authenticate, Login::stops_after_end] {
            let login = machine.login("sudo", "alice").answers([PIN]);
            let (finds, login) = left_behind(&machine, &liar, stops(login));
            assert_eq!(login.code(), Pam::Success, "{login:#?}");
            assert!(finds.is_empty(), "{finds:#?}");
            assert_no_trace(&login);
        }
    }
}

#[test]
fn nothing_of_a_pin_is_left_after_a_refusal() {
    for (machine, liar) in each_protocol() {
        for (answers, touched) in [(&[WRONG, ""][..], true), (&[PIN], false)] {
            liar.touched(touched.then_some(std::time::Duration::ZERO));
            let login = machine.login("sudo", "alice").stops_after_end();
            let login = login.answers(answers.to_vec());
            let (finds, login) = left_behind(&machine, &liar, login);
            assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
            assert!(finds.is_empty(), "{finds:#?}");
            assert_no_trace(&login);
        }
    }
}

#[test]
fn nothing_of_a_pin_is_left_after_a_panic() {
    let [(machine, liar), _] = each_protocol();
    let mut panics = 0;
    for after in 0.. {
        let _port = machine.plug_in_cable(liar.name(), liar.power_on());
        let login = machine.login("sudo", "alice").answers_later();
        let mut login = login.stops_after_end().start();
        login.wait_until_said("PIN of \"it\"");
        machine.break_clock(after);
        login.type_line(PIN);
        login.wait_until_stopped();
        machine.clock_has_failed();
        let finds = search(login.pid(), &secrets(&machine, &liar));
        login.signal(Signal::SIGCONT);
        let login = login.finish();
        assert!(finds.is_empty(), "after {after}: {finds:#?}");
        match login.code() {
            Pam::ServiceErr => panics += 1,
            code if panics > 0 => {
                assert_eq!(code, Pam::Success, "{login:#?}");
                break;
            }
            // The first look is at how long the person took: nothing to panic for.
            code => assert_eq!(code, Pam::Success, "{login:#?}"),
        }
    }
    println!("{panics} panics");
}

#[test]
fn nothing_of_a_wrong_pin_is_left_while_the_next_is_typed() {
    for (machine, liar) in each_protocol() {
        let _port = machine.plug_in_cable(liar.name(), liar.power_on());
        let mut login = machine.login("sudo", "alice").answers_later().start();
        login.wait_until_said("PIN of \"it\"");
        login.type_line(WRONG);
        login.wait_until_said("That PIN was wrong. PIN of \"it\"");
        let finds = search(login.pid(), &secrets(&machine, &liar));
        assert!(finds.is_empty(), "{finds:#?}");
        login.type_line(PIN);
        assert_eq!(login.finish().code(), Pam::Success);
    }
}

#[test]
fn while_a_touch_is_waited_for_nothing_is_left_but_the_token() {
    for (machine, liar) in each_protocol() {
        liar.touched(None);
        let _port = machine.plug_in_cable(liar.name(), liar.power_on());
        let login = machine.login("sudo", "alice").answers([PIN]).start();
        login.wait_until_said("Touch \"it\"");
        let finds = search(login.pid(), &secrets(&machine, &liar));
        let names: Vec<_> = finds.iter().map(|find| find.needle.as_str()).collect();
        assert_eq!(names, ["the token"], "{finds:#?}");
        assert_eq!(finds[0].mapping, "[heap]");
    }
}

#[test]
fn what_a_host_leaves_on_its_heap_is_found() {
    let [(machine, liar), _] = each_protocol();
    let login = machine.login("sudo", "alice").answers([PIN]).litters();
    let (finds, _) = left_behind(&machine, &liar, login.stops_after_end());
    assert!(!finds.is_empty());
    for find in finds {
        assert_eq!((&*find.needle, &*find.mapping), ("the PIN", "[heap]"));
    }
}

#[test]
fn no_pin_is_said_or_logged_or_kept() {
    let [(machine, liar), _] = each_protocol();
    let _port = machine.plug_in_cable(liar.name(), liar.power_on());
    let login = machine.login("sudo", "alice").answers([WRONG, PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    let everything = format!(
        "{} {:#?} {:#?} {}",
        login.said(),
        login,
        machine.log(),
        machine.read("/var/lib/pam-passkey/receipts").unwrap()
    );
    assert!(everything.contains("PIN of \"it\""));
    for pin in [PIN, WRONG] {
        for piece in pin.as_bytes().windows(4) {
            let piece = std::str::from_utf8(piece).unwrap();
            assert!(!everything.contains(piece), "{piece}");
        }
    }
}

//! Whatever comes of a login, the host finds itself as it was.

#![forbid(unsafe_code)]

use nix::sys::signal::Signal;
use tests::liar::{Act, Lie, Moment};
use tests::login::{LoggedIn, assert_no_trace, assert_outcome};
use tests::{Liar, Machine, Pam, Presence, VirtualKey};

use super::{PIN, codes, with_a_pin};

#[track_caller]
fn assert_left_nothing(login: &LoggedIn, code: Pam) {
    assert_eq!(login.code(), code, "{login:#?}");
    assert_no_trace(login);
}

#[test]
fn all_that_a_process_has_only_one_of_is_looked_at() {
    let machine = Machine::lived_on();
    let login = machine.login("sudo", "alice").run();
    assert_left_nothing(&login, Pam::UserUnknown);
    assert_eq!(
        login.report.footprint.things(),
        [
            "children",
            "descriptors",
            "dispositions",
            "environment",
            "identity",
            "limits",
            "locale",
            "mapped files",
            "signals",
            "threads",
            "timers",
            "umask",
            "working directory"
        ]
    );
}

#[test]
fn a_success_leaves_nothing_behind() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    assert_left_nothing(&machine.login("sudo", "alice").run(), Pam::Success);
    drop(blue);
    let _blue = with_a_pin(&machine);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_left_nothing(&login, Pam::Success);
}

#[test]
fn a_refusal_leaves_nothing_behind() {
    let machine = Machine::lived_on();
    let login = || machine.login("sudo", "alice");
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Deny);
    assert_left_nothing(&login().run(), Pam::AuthErr);

    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    blue.presence(Presence::Never);
    assert_outcome(&login().run(), Pam::AuthErr, "Nobody touched");

    let blue = blue.unplug();
    assert_outcome(&login().run(), Pam::AuthinfoUnavail, "Plug in \"blue key\"");

    let other = machine.plug_in(VirtualKey::named("Found Key"));
    assert_outcome(&login().run(), Pam::AuthErr, "is not enrolled for alice");
    drop((blue, other));

    let _pin = with_a_pin(&machine);
    let wrong = login().answers(["1111", "2222", ""]).run();
    assert_outcome(&wrong, Pam::AuthErr, "That PIN was wrong.");
    // Nobody answers: the host's conversation fails.
    assert_left_nothing(&login().run(), Pam::AuthErr);

    machine.policy("no such option = 1\n");
    assert_left_nothing(&login().run(), Pam::ServiceErr);
}

#[test]
fn a_key_at_fault_leaves_nothing_behind() {
    let machine = Machine::lived_on();
    let liar = Liar::named("Liar");
    let port = machine.plug_in_cable(liar.name(), liar.power_on());
    let enroll = ["enroll", "--touch-only", "--user", "alice", "--name", "it"];
    machine.passkey(enroll).output().expect_success();
    drop(port);
    let packet_of = |bytes: &'static [u8]| {
        Lie::packets(Moment::GetAssertion, move |packets| {
            vec![Act::Send(packets.packet(bytes))]
        })
    };
    for lie in [
        Lie::assertion(|assertion| assertion.flags = 0),
        Lie::assertion(|assertion| assertion.rp_id_hash[0] ^= 1),
        packet_of(&[0xBF, 0, 1, 0x7F]),
        packet_of(&[0x90, 0xFF, 0xFF]),
    ] {
        liar.lies(lie);
        let _port = machine.plug_in_cable(liar.name(), liar.power_on());
        let login = machine.login("sudo", "alice").run();
        assert_left_nothing(&login, Pam::AuthErr);
    }
}

#[test]
fn an_interrupted_login_leaves_nothing_behind() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let login = machine.login("sudo", "alice").interrupts_like_sudo();
    let login = login.start();
    blue.wait_until_it_blinks();
    login.signal(Signal::SIGINT);
    let login = login.finish();
    assert_eq!(login.report.pending, ["SIGINT"]);
    assert_left_nothing(&login, Pam::Abort);
}

/// What is freed is free: malloc keeps no stock of small pieces, which it counts as in use.
const NO_STOCK: &str = "glibc.malloc.tcache_count=0:glibc.malloc.mxfast=0";

#[test]
fn twenty_logins_in_one_host_leave_not_a_byte_of_the_heap() {
    let machine = Machine::lived_on();
    let twenty = |locale, answers: &[&str]| {
        let login = machine.login("sudo", "alice").logins(20);
        let login = login.env("GLIBC_TUNABLES", NO_STOCK).env("LANG", locale);
        login.answers(answers.to_vec()).run()
    };
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Accept);
    let touched = twenty("C", &[]);
    assert_eq!(codes(&touched), [Pam::Success; 20]);
    drop(blue);
    let pin = with_a_pin(&machine);
    pin.presence(Presence::Accept);
    let with_pins = twenty("de_DE.UTF-8", &[PIN; 20]);
    assert_eq!(codes(&with_pins), [Pam::Success; 20]);
    let refused = twenty("zh_CN.UTF-8", &[""; 20]);
    assert_eq!(codes(&refused), [Pam::AuthErr; 20]);
    drop(pin);
    for login in [touched, with_pins, refused] {
        assert_no_trace(&login);
        // libc and libpam keep something of the first.
        let [_, first, later @ ..] = &login.report.heap[..] else {
            panic!("the host did not count");
        };
        assert_eq!(later, vec![*first; 19], "{:?}", login.report.heap);
    }
}

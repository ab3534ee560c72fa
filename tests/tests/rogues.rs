//! Sticks and hosts that mean no good, and a person who does not notice.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use tests::liar::{Act, Lie, Moment};
use tests::login::assert_outcome;
use tests::machine::{MODULE, PluggedIn};
use tests::{Command, Liar, Machine, Pam, Presence, Profile, VirtualKey};

const PIN: &str = "246810";

/// A touch is enough everywhere, or nowhere.
fn machine(user_verification: &str) -> Machine {
    let machine = Machine::lived_on();
    machine.policy(&format!("user_verification = \"{user_verification}\"\n"));
    machine
}

fn key(name: &str, profile: Profile) -> VirtualKey {
    VirtualKey::named(name).posing_as(profile)
}

/// A key with a PIN, enrolled for alice.
fn enrolled(machine: &Machine, name: &str, profile: Profile) -> PluggedIn {
    let key = machine.plug_in(key(name, profile).with_pin(PIN));
    machine.enroll_with_pin(&key, "alice", name, PIN);
    key
}

/// A stick that answers no silent request and touches itself.
fn mute_stick(machine: &Machine) -> PluggedIn {
    let profile = Profile::fido_2_1().always_uv().refuses_probes();
    let stick = machine.plug_in(key("Rogue", profile).with_pin(PIN));
    stick.presence(Presence::Accept);
    stick
}

#[track_caller]
fn assert_got_no_pin(stick: &VirtualKey) {
    let commands = stick.commands();
    assert!(!commands.contains(&Command::ClientPin), "{commands:?}");
    assert!(!commands.contains(&Command::Selection), "{commands:?}");
}

#[test]
fn a_stick_that_claims_every_credential_gets_no_pin() {
    let machine = machine("required");
    let blue = enrolled(&machine, "blue key", Profile::fido_2_1()).unplug();
    let rogue = machine.plug_in(key("Rogue", Profile::fido_2_1().claims_every_id()));
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    let sentence = "The answer of \"Rogue\" (/dev/hidraw0) was not accepted";
    assert_outcome(&login, Pam::AuthErr, sentence);
    assert!(login.questions().is_empty(), "{login:#?}");
    assert_got_no_pin(&rogue);

    // Beside an honest key it is dropped, and disturbs nobody.
    let _blue = machine.plug_in(blue);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome(&login, Pam::Success, "Touch \"blue key\" (");
    assert_eq!(login.questions(), ["PIN of \"blue key\", 8 tries left: "]);
    let line = "key \"Rogue\" (/dev/hidraw0) is out";
    assert!(login.logged().contains(line), "{login:#?}");
}

#[test]
fn a_mute_stick_gets_no_pin_of_who_has_no_such_key() {
    let machine = machine("required");
    drop(enrolled(&machine, "blue key", Profile::fido_2_1()));
    let rogue = mute_stick(&machine);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    let sentence = "\"Rogue\" (/dev/hidraw0) wants its PIN before it shows that it is enrolled, \
                    so it is not asked. If it is yours, enrol it again.";
    assert_outcome(&login, Pam::AuthErr, sentence);
    assert_got_no_pin(&rogue);
}

#[test]
fn a_mute_stick_is_never_asked_where_nobody_would_read_the_warning() {
    let machine = machine("required");
    machine.service("kde", &format!("auth required {MODULE}\n"));
    let mute = Profile::fido_2_1().refuses_probes();
    drop(enrolled(&machine, "mute key", mute));
    let rogue = mute_stick(&machine);
    let replayed = vec!["her login password"; 9];
    let login = machine.login("kde", "alice").answers(replayed).run();
    let sentence =
        "\"Rogue\" (/dev/hidraw0) shows whose it is only after its PIN, which is not asked for";
    assert_outcome(&login, Pam::AuthErr, sentence);
    assert!(login.questions().is_empty(), "{login:#?}");
    let asked = rogue.transactions();
    assert!(
        asked.iter().all(|it| it.subcommand != Some(0x09)),
        "{asked:?}"
    );
    // Where somebody does, they are warned.
    let login = machine.login("sudo", "alice").answers([""]).run();
    let warning =
        "Careful: \"Rogue\" (/dev/hidraw0) wants its PIN before it shows that it is yours.";
    assert_outcome(&login, Pam::AuthErr, warning);
}

/// alice has a key that shows nothing before its PIN, at home; so a mute stick might be hers.
fn with_a_mute_key_at_home(user_verification: &str) -> Machine {
    let machine = machine("required");
    drop(enrolled(
        &machine,
        "mute key",
        Profile::fido_2_1().refuses_probes(),
    ));
    machine.policy(&format!("user_verification = \"{user_verification}\"\n"));
    machine
}

#[test]
fn a_mute_stick_does_not_come_before_a_key_that_has_shown_itself() {
    let machine = with_a_mute_key_at_home("required");
    let _blue = enrolled(&machine, "blue key", Profile::fido_2_1());
    let rogue = mute_stick(&machine);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome(&login, Pam::Success, "Touch \"blue key\" (");
    assert_eq!(login.questions(), ["PIN of \"blue key\", 8 tries left: "]);
    assert!(!login.said().contains("Careful"), "{login:#?}");
    assert_got_no_pin(&rogue);
}

#[test]
fn nor_before_one_that_waits_for_a_touch() {
    let machine = with_a_mute_key_at_home("discouraged");
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::after_ms(600));
    let rogue = mute_stick(&machine);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome(&login, Pam::Success, "Touch \"blue key\" (30 s).");
    assert!(login.questions().is_empty(), "{login:#?}");
    assert_got_no_pin(&rogue);
}

#[test]
fn nor_before_one_that_serves_another_program() {
    let machine = with_a_mute_key_at_home("required");
    let blue = enrolled(&machine, "blue key", Profile::fido_2_1());
    let rogue = mute_stick(&machine);
    blue.busy_for(Duration::from_millis(2500));
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome(&login, Pam::Success, "Touch \"blue key\" (");
    assert_eq!(login.questions(), ["PIN of \"blue key\", 8 tries left: "]);
    assert_got_no_pin(&rogue);
}

#[test]
fn who_types_nothing_for_a_mute_stick_loses_only_the_stick() {
    let machine = with_a_mute_key_at_home("required");
    let blue = enrolled(&machine, "blue key", Profile::fido_2_1()).unplug();
    let _rogue = mute_stick(&machine);
    let mut login = machine.login("sudo", "alice").answers_later().start();
    login.wait_until_said("PIN of \"Rogue\" (/dev/hidraw0)");
    let _blue = machine.plug_in(blue);
    login.type_line("");
    login.wait_until_said("PIN of \"blue key\"");
    login.type_line(PIN);
    assert_eq!(login.finish().code(), Pam::Success);
}

#[test]
fn two_logins_at_once_do_not_burn_the_last_try_between_them() {
    for (tries, left) in [(2, 1), (3, 1)] {
        let machine = machine("required");
        let blue = enrolled(&machine, "blue key", Profile::fido_2_1());
        blue.set_pin_tries_left(tries);
        let question = format!("PIN of \"blue key\", {tries} tries left: ");
        let mut logins: Vec<_> = (0..3)
            .map(|_| {
                let login = machine.login("sudo", "alice").answers_later().start();
                login.wait_until_said(&question);
                login
            })
            .collect();
        for login in &mut logins {
            login.type_line("wrong pin");
            login.type_line("");
            thread::sleep(Duration::from_millis(400));
        }
        for login in logins {
            assert_eq!(login.finish().code(), Pam::AuthErr);
        }
        assert_eq!(blue.pin_tries_left(), left, "of {tries}");
    }
}

#[test]
fn a_host_that_was_stopped_does_not_keep_a_key_for_ever() {
    let machine = machine("discouraged");
    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    machine.service("su", &format!("auth required {MODULE}\n"));
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let stopped = machine.login("su", "alice").start();
    stopped.wait_until_said("Touch \"blue key\"");
    stopped.signal(Signal::SIGSTOP);
    let in_use = "is in use for another request: do not touch it.\nRequested by su for alice.";
    let login = machine.login("sudo", "alice").run();
    assert_outcome(&login, Pam::AuthinfoUnavail, in_use);

    thread::sleep(Duration::from_secs(3));
    // The key has done with what the stopped one asked.
    blue.presence(Presence::after_ms(0));
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert!(!login.said().contains(in_use), "{login:#?}");
    stopped.signal(Signal::SIGCONT);
    assert_ne!(stopped.finish().code(), Pam::Success, "its time was over");
}

#[test]
fn a_key_that_is_removed_while_its_pin_is_typed_opens_nothing() {
    let machine = machine("required");
    let _spare = enrolled(&machine, "spare key", Profile::fido_2_1()).unplug();
    let _blue = enrolled(&machine, "blue key", Profile::fido_2_1());
    let mut login = machine.login("sudo", "alice").answers_later().start();
    login.wait_until_said("PIN of \"blue key\"");
    let remove = ["remove", "--last", "--user", "alice", "blue key"];
    machine.passkey(remove).output().expect_success();
    login.type_line(PIN);
    let login = login.finish();
    assert_outcome(
        &login,
        Pam::AuthErr,
        "\"blue key\" was taken off your account while it was waited for.",
    );
}

/// A touch-only key of alice's, not plugged in.
fn touch_key(machine: &Machine) -> Liar {
    let key = Liar::named("Touch");
    let _port = machine.plug_in_cable(key.name(), key.power_on());
    let enroll = [
        "enroll",
        "--touch-only",
        "--user",
        "alice",
        "--name",
        "touch key",
    ];
    machine.passkey(enroll).output().expect_success();
    key.touched(None);
    key.forget();
    key
}

#[test]
fn a_key_that_came_late_neither_blinks_nor_is_held_while_a_pin_is_typed_again() {
    let machine = machine("required");
    let pin_key = enrolled(&machine, "pin key", Profile::fido_2_1()).unplug();
    machine.policy("user_verification = \"discouraged\"\n");
    machine.service("su", &format!("auth required {MODULE}\n"));
    let touch = touch_key(&machine);
    let _pin_key = machine.plug_in(pin_key);
    let mut first = machine.login("sudo", "alice").answers_later().start();
    first.wait_until_said("PIN of \"pin key\"");
    let _touch = machine.plug_in_cable(touch.name(), touch.power_on());
    first.type_line("wrong pin");
    first.wait_until_said("That PIN was wrong.");
    assert!(
        touch.is_dark(),
        "{:?}: {}",
        touch.heard(),
        first.complained()
    );

    // Who comes next has it to themselves.
    touch.touched(Some(Duration::from_millis(100)));
    let second = machine.login("su", "alice").answers(["", ""]).run();
    assert_eq!(second.code(), Pam::Success, "{second:#?}");
    assert_eq!(touch.interruptions(), 0, "{:?}", touch.heard());
}

#[test]
fn a_strangers_stick_that_is_busy_for_ever_keeps_no_mute_key_out() {
    let machine = machine("required");
    let mute = enrolled(&machine, "mute key", Profile::fido_2_1().refuses_probes());
    let rogue = Liar::named("Rogue").with_pin(PIN);
    rogue.lies(Lie::packets(Moment::PinRetries, |packets| {
        vec![Act::Send(packets.packet(&[0xBF, 0, 1, 6]))]
    }));
    let _rogue = machine.plug_in_cable(rogue.name(), rogue.power_on());
    mute.presence(Presence::after_ms(400));
    let login = machine.login("sudo", "alice").answers([PIN, PIN]).run();
    assert_outcome(&login, Pam::Success, "PIN of \"mute key\"");
}

//! A greeter that answers every prompt with the login password, also the one for a PIN: what that
//! costs a key, how it is explained, and that the password still lets its person in.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use tests::login::{LoggedIn, assert_outcome};
use tests::machine::{ALICE_PASSWORD, MODULE, PluggedIn, Privilege, privilege};
use tests::{Machine, Pam, Presence, VirtualKey};

const PIN: &str = "246810";

/// Lockers, and greeters before there is a session.
const GREETERS: &[&str] = &[
    "kde",
    "gdm-password",
    "lightdm",
    "sddm",
    "xscreensaver",
    "swaylock",
];

const NOT_THE_PIN: &str = "What was typed is not the PIN of \"blue key\". \
     No further PIN may be tried here. Start again if you know the right one.";
const UNPLUG_IT: &str = "Too many wrong PINs. Unplug \"blue key\", plug it in and try again.";
const ONE_LEFT: &str = "The PIN of \"blue key\" has one try left, which is not risked here. \
     Type the right one elsewhere first, as in a browser.";

/// More answers than anybody may ask for.
fn replayed(password: &str) -> Vec<String> {
    vec![password.to_owned(); 30]
}

/// alice's key has a PIN, every login wants it, and the service has our module alone.
fn machine(service: &str) -> (Machine, PluggedIn) {
    let machine = Machine::lived_on();
    machine.policy("");
    machine.service(service, &format!("auth required {MODULE}\n"));
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    assert_eq!(blue.pin_tries_left(), 8);
    (machine, blue)
}

/// One login by a greeter that gives this password for everything.
fn greeted(machine: &Machine, service: &str, password: &str) -> LoggedIn {
    let login = machine.login(service, "alice").tty(":0");
    login.answers(replayed(password)).run()
}

#[test]
fn ten_logins_cost_a_key_three_tries_until_it_is_unplugged() {
    for service in GREETERS {
        let (machine, blue) = machine(service);
        for (number, (left, code, sentence)) in [
            (7, Pam::MaxTries, NOT_THE_PIN),
            (6, Pam::MaxTries, NOT_THE_PIN),
        ]
        .into_iter()
        .chain([(5, Pam::AuthErr, UNPLUG_IT); 8])
        .enumerate()
        {
            let login = greeted(&machine, service, ALICE_PASSWORD);
            assert_outcome(&login, code, sentence);
            assert_eq!(
                login.questions().len(),
                usize::from(number < 3),
                "{login:#?}"
            );
            assert_eq!(blue.pin_tries_left(), left, "{service}, login {number}");
        }
        // Her PIN is as good as before.
        let _blue = machine.plug_in(blue.unplug());
        let login = greeted(&machine, service, PIN);
        assert_eq!(login.questions(), ["PIN of \"blue key\", 5 tries left: "]);
        assert_eq!(login.code(), Pam::Success, "{login:#?}");
    }
}

#[test]
fn ten_logins_with_a_key_that_is_replugged_between_them_leave_it_one_try() {
    let (machine, mut blue) = machine("kde");
    for number in 1..=10 {
        blue = machine.plug_in(blue.unplug());
        let login = greeted(&machine, "kde", ALICE_PASSWORD);
        let (left, code, sentence) = match number {
            1..=6 => (8 - number, Pam::MaxTries, NOT_THE_PIN),
            _ => (1, Pam::AuthErr, ONE_LEFT),
        };
        assert_outcome(&login, code, sentence);
        assert_eq!(blue.pin_tries_left(), left, "login {number}");
        assert_eq!(
            login.questions().len(),
            usize::from(number <= 7),
            "{login:#?}"
        );
    }
}

#[test]
fn the_password_still_lets_its_person_in() {
    let (machine, mut blue) = machine("gdm-password");
    machine.service(
        "gdm-password",
        &format!(
            "auth [success=done abort=die default=ignore] {MODULE}\n\
             auth required pam_unix.so\n"
        ),
    );
    for number in 1..=10 {
        if number > 4 {
            blue = machine.plug_in(blue.unplug());
        }
        let login = greeted(&machine, "gdm-password", ALICE_PASSWORD);
        assert_eq!(login.code(), Pam::Success, "login {number}: {login:#?}");
        let asked = login.questions();
        assert_eq!(asked.last(), Some(&"Password: "), "{login:#?}");
        assert!(asked.len() <= 2, "{login:#?}");
        assert!(!login.logged().contains("accepted"), "{login:#?}");
    }
    assert_eq!(blue.pin_tries_left(), 1);
    let wrong = greeted(&machine, "gdm-password", "not her password");
    assert_ne!(wrong.code(), Pam::Success, "{wrong:#?}");
}

#[test]
fn a_password_that_cannot_be_a_pin_costs_no_try() {
    let (machine, blue) = machine("kde");
    let longest = "p".repeat(63);
    for (password, why) in [
        ("p".repeat(64), "a PIN has at most 63 bytes"),
        ("ä".repeat(32), "a PIN has at most 63 bytes"),
        ("correct horse ".repeat(20), "a PIN has at most 63 bytes"),
        ("abc".to_owned(), "the PIN has at least 4 characters"),
        ("äöü".to_owned(), "the PIN has at least 4 characters"),
    ] {
        let login = greeted(&machine, "kde", &password);
        assert_outcome(&login, Pam::AuthErr, &format!("That is not a PIN: {why}."));
        assert_eq!(login.questions().len(), 3, "{login:#?}");
        assert!(login.said().contains("No PIN was given for \"blue key\"."));
        assert_eq!(blue.pin_tries_left(), 8, "{password}");
    }
    for (password, left) in [(longest.as_str(), 7), ("pässwörd ☃", 6)] {
        let login = greeted(&machine, "kde", password);
        assert_outcome(&login, Pam::MaxTries, NOT_THE_PIN);
        assert_eq!(blue.pin_tries_left(), left, "{password}");
    }
}

#[test]
fn a_greeter_that_calls_again_on_one_handle_gets_no_second_try() {
    let (machine, blue) = machine("lightdm");
    let login = machine.login("lightdm", "alice").tty(":0").calls(10);
    let login = login.answers(replayed(ALICE_PASSWORD)).run();
    let codes: Vec<_> = login.report.calls.iter().map(|call| call.code).collect();
    assert_eq!(codes, [Pam::MaxTries; 10], "{login:#?}");
    assert_eq!(login.questions().len(), 1);
    assert_eq!(blue.pin_tries_left(), 7);
}

/// The key is never touched, so that a right PIN ends a call as a wrong one does, and starts the
/// key's own count of wrong ones anew: only ours can end this.
#[test]
fn the_calls_of_one_sudo_have_three_tries_together() {
    for like_sudo in [false, true] {
        let (machine, blue) = machine("sudo");
        blue.presence(Presence::Deny);
        let login = machine.login("sudo", "alice").calls(4);
        let login = if like_sudo {
            login.interrupts_like_sudo()
        } else {
            login
        };
        let login = login
            .answers(["wrong one", PIN, "wrong again", "", PIN])
            .run();
        let codes: Vec<_> = login.report.calls.iter().map(|call| call.code).collect();
        // A wrong one and a right one; a wrong one and nothing; none is left.
        let expected = [Pam::AuthErr, Pam::MaxTries, Pam::MaxTries, Pam::MaxTries];
        assert_eq!(codes, expected, "{login:#?}");
        assert_eq!(login.questions().len(), 3, "{login:#?}");
        assert!(login.said().contains(NOT_THE_PIN), "{login:#?}");
        assert_eq!(blue.pin_tries_left(), 7);
        assert!(login.report.footprint.is_clean(), "{login:#?}");
    }
}

#[test]
fn a_script_that_pipes_the_password_into_sudo_loses_three_tries_and_no_more() {
    let (machine, blue) = machine("sudo");
    let login = machine
        .login("sudo", "alice")
        .calls(3)
        .interrupts_like_sudo();
    let login = login.answers(replayed(ALICE_PASSWORD)).run();
    assert_eq!(login.questions().len(), 3, "{login:#?}");
    assert_outcome(&login, Pam::AuthErr, UNPLUG_IT);
    assert_eq!(blue.pin_tries_left(), 5);
}

#[test]
fn the_three_calls_of_the_real_sudo_have_three_tries_together() {
    if privilege() != Privilege::Root {
        println!("skipped: a setuid program needs real root");
        return;
    }
    let (machine, blue) = machine("sudo");
    machine.common_files_of_debian();
    let lines = include_str!("../../config/pam.d/sudo");
    machine.service("sudo", &lines.replace("pam_passkey.so", MODULE));
    blue.presence(Presence::Deny);
    let command = ["sudo", "-k", "id", "-un"];
    let mut sudo = machine.run(command).as_alice().on_a_terminal().start();
    let mut pins = 0;
    let mut answer_pin = |sudo: &mut tests::machine::Running<'_>, pin: &str| {
        pins += 1;
        sudo.wait_for_times("tries left: ", pins);
        sudo.type_line(pin);
    };
    for (call, typed) in [vec!["wrong one", PIN], vec![PIN], vec![]]
        .iter()
        .enumerate()
    {
        for pin in typed {
            answer_pin(&mut sudo, pin);
        }
        sudo.wait_for_times("password for alice: ", call + 1);
        sudo.type_line(if call == 2 { ALICE_PASSWORD } else { "wrong" });
    }
    let ended = sudo.finish().expect_success();
    assert_eq!(ended.stdout.matches("PIN of ").count(), 3, "{ended:#?}");
    assert!(
        ended.stdout.contains("No further PIN may be tried here."),
        "{ended:#?}"
    );
    assert!(ended.stdout.contains("root"), "{ended:#?}");
    assert_eq!(blue.pin_tries_left(), 8);
}

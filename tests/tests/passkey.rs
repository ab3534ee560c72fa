//! The program `passkey`, with a virtual key and a person at a terminal.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use std::time::Duration;

use nix::sys::signal::Signal;
use tests::household::answering;
use tests::machine::{ALICE_PASSWORD, BOB_PASSWORD, Finished};
use tests::{Attestation, Command, Machine, Pam, Presence, Profile, VirtualKey};

const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

/// The question whether this key is the one, as it ends.
const THIS_ONE: &str = "for alice? [y/N] ";
const HER_PASSWORD: (&str, &str) = ("Password:", ALICE_PASSWORD);
const YES: (&str, &str) = (THIS_ONE, "y");
const NO: (&str, &str) = (THIS_ONE, "n");
/// The offer that follows an account's first key.
const NO_SPARE: (&str, &str) = ("Enrol a second key now? [y/N] ", "n");

/// What is typed before an account's last key goes.
const THE_LAST: (&str, &str) = ("to remove it all the same: ", "remove");

/// All that a key is asked before somebody says yes to it: what it is.
const INTRODUCED: [Command; 2] = [Command::Init, Command::GetInfo];

/// Failed with 1, and said this.
#[track_caller]
fn assert_failed(ended: &Finished, sentence: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let said = [ended.stdout.as_str(), &ended.stderr].concat();
    assert!(said.contains(sentence), "no {sentence:?} in {said}");
}

/// The same, and wrote nothing for alice.
#[track_caller]
fn assert_refused(machine: &Machine, ended: &Finished, sentence: &str) {
    assert_failed(ended, sentence);
    assert_eq!(machine.read(ALICE_FILE), None);
}

#[test]
fn the_first_key_wants_the_accounts_password() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(Presence::after_ms(150));

    let wrong = machine.by_alice(&["enroll", "--touch-only"]);
    let wrong = answering(wrong, &[("Password:", BOB_PASSWORD)]);
    assert_refused(&machine, &wrong, "that is not the password of alice");
    assert!(blue.commands().is_empty(), "no key is asked before");

    let enroll = ["enroll", "--touch-only", "--name", "blue key"];
    let answers = [HER_PASSWORD, YES, NO_SPARE];
    let enrolled = answering(machine.by_alice(&enroll), &answers).expect_success();
    assert!(!enrolled.stdout.contains(ALICE_PASSWORD), "{enrolled:#?}");
    assert!(enrolled.stdout.contains("Enrolled \"blue key\" for alice."));
    assert!(
        enrolled
            .stdout
            .contains("Undo with: sudo passkey remove \"blue key\"")
    );
    let later =
        "Later, with this one plugged in: sudo passkey enroll --name \"spare key\" --touch-only";
    assert!(enrolled.stdout.contains(later), "{enrolled:#?}");
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
}

#[test]
fn the_readme_shows_what_a_person_sees() {
    let machine = Machine::with_passwords();
    machine.policy("");
    let blue = machine.plug_in(VirtualKey::named("Blue Key").with_pin("2468"));
    blue.presence(Presence::after_ms(150));
    let mut enroll = machine.by_alice(&["enroll", "--name", "blue key"]).start();
    enroll.wait_for("Password:");
    enroll.type_line(ALICE_PASSWORD);
    enroll.wait_for("[y/N]");
    enroll.type_line("y");
    for times in 1..=2 {
        enroll.wait_for_times("tries left: ", times);
        enroll.type_line("2468");
    }
    enroll.wait_for(NO_SPARE.0);
    enroll.type_line(NO_SPARE.1);
    let enrolled = enroll.finish().expect_success();

    let readme = include_str!("../../README.md");
    let (_, shown) = readme.split_once("[sudo] password for alice:\n").unwrap();
    let (shown, _) = shown.split_once("\n\n").unwrap();
    let lines = |text: &str| -> Vec<String> {
        let text = text.replace('\r', "");
        text.lines().map(|line| line.trim().to_owned()).collect()
    };
    assert_eq!(lines(&enrolled.stdout), lines(shown));
}

#[test]
fn nothing_prompts_where_nobody_can_answer() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    let without_a_terminal = || {
        machine
            .passkey(["enroll", "--touch-only"])
            .env("SUDO_UID", "1000")
            .stdin(format!("{ALICE_PASSWORD}\ny\n"))
            .output()
    };
    let refused = "to enrol through sudo a person is asked, and there is no terminal to answer at";
    assert_refused(&machine, &without_a_terminal(), refused);
    let unseen = machine
        .run(["/bin/sh", "-c", "passkey enroll --touch-only 2>/root/said"])
        .env("SUDO_UID", "1000")
        .on_a_terminal()
        .output();
    assert_refused(&machine, &unseen, "");
    assert!(machine.read("/root/said").unwrap().contains(refused));
    assert!(blue.commands().is_empty());

    // nor where a key could vouch without a word
    machine.enroll(&blue, "alice", "blue key", &[]);
    let before = machine.read(ALICE_FILE);
    let _spare = machine.plug_in(VirtualKey::named("Spare"));
    assert_failed(&without_a_terminal(), refused);
    assert_eq!(machine.read(ALICE_FILE), before);
    assert!(blue.commands().is_empty(), "nor is that touch asked for");
}

#[test]
fn no_to_the_key_enrols_nothing_and_asks_the_key_only_what_it_is() {
    for no in ["n", "", "yes, later", "\x03", "\x04"] {
        let machine = Machine::with_passwords();
        let blue = machine.plug_in(VirtualKey::named("Blue"));
        let enroll = machine.by_alice(&["enroll", "--touch-only"]);
        let ended = answering(enroll, &[HER_PASSWORD, (THIS_ONE, no)]);
        assert_refused(&machine, &ended, "\"Blue\" (/dev/hidraw0) was not enrolled");
        let what_to_do = "unplug what is not yours and run again: sudo passkey enroll --touch-only";
        assert_refused(&machine, &ended, what_to_do);
        assert_eq!(blue.commands(), INTRODUCED, "{no:?}");
    }
}

#[test]
fn root_is_asked_at_a_terminal_and_not_in_a_script() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    let enroll = ["passkey", "enroll", "--touch-only", "--user", "alice"];
    let no = answering(machine.run(enroll).on_a_terminal(), &[NO]);
    assert_refused(
        &machine,
        &no,
        "run again: passkey enroll --touch-only --user alice",
    );
    assert_eq!(blue.commands(), INTRODUCED);
    let script = machine.run(enroll).output().expect_success();
    assert!(!script.stderr.contains("[y/N]"), "{script:#?}");
}

#[test]
fn a_hidden_stick_that_touches_itself_is_named_before_it_is_asked() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let before = machine.read(ALICE_FILE);
    let model = [0x0b; 16];
    let stick = machine.plug_in(VirtualKey::named("Hidden Stick").of_model(model));
    stick.presence(Presence::Accept);

    let enroll = machine.by_alice(&["enroll", "--touch-only"]);
    let this_one = "Plugged in: \"Hidden Stick\" (/dev/hidraw1), \
                    AAGUID 0b0b0b0b-0b0b-0b0b-0b0b-0b0b0b0b0b0b.\r\n\
                    Enrol \"Hidden Stick\" (/dev/hidraw1) for alice? [y/N] ";
    let ended = answering(enroll, &[(this_one, "n")]);
    assert_failed(&ended, "\"blue key\" vouches for the new key.");
    assert_failed(&ended, "\"Hidden Stick\" (/dev/hidraw1) was not enrolled");
    assert!(!stick.commands().contains(&Command::MakeCredential));
    assert_eq!(machine.read(ALICE_FILE), before);
}

#[test]
fn who_plugs_theirs_in_at_the_question_does_not_say_yes_to_another() {
    let machine = Machine::with_passwords();
    let stick = machine.plug_in(VirtualKey::named("Hidden Stick"));
    let mut enroll = machine.by_alice(&["enroll", "--touch-only"]).start();
    enroll.wait_for(HER_PASSWORD.0);
    enroll.type_line(HER_PASSWORD.1);
    enroll.wait_for(THIS_ONE);
    let mine = machine.plug_in(VirtualKey::named("Mine"));
    enroll.type_line("y");
    let several = "several keys could be meant: \"Hidden Stick\" (/dev/hidraw0), \
                   \"Mine\" (/dev/hidraw1)";
    assert_refused(&machine, &enroll.finish(), several);
    assert_eq!(stick.commands(), INTRODUCED);
    assert!(mine.commands().is_empty());
}

#[test]
fn a_yes_is_for_no_key_in_the_place_of_the_one_that_was_named() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    let mut enroll = machine
        .by_alice(&["enroll", "--touch-only", "--timeout", "1"])
        .start();
    enroll.wait_for(HER_PASSWORD.0);
    enroll.type_line(HER_PASSWORD.1);
    enroll.wait_for(THIS_ONE);
    let blue = blue.unplug();
    let other = machine.plug_in(VirtualKey::named("Other"));
    enroll.type_line("y");
    let gone = "\"Blue\" (/dev/hidraw0) was unplugged";
    assert_refused(&machine, &enroll.finish(), gone);
    assert_eq!(blue.commands(), INTRODUCED);
    assert!(other.commands().is_empty());
}

#[test]
fn a_second_key_wants_a_touch_of_the_first() {
    let machine = Machine::with_passwords();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Deny);
    let spare = machine.plug_in(VirtualKey::named("Spare"));
    spare.presence(Presence::after_ms(150));
    let before = machine.read(ALICE_FILE);

    let enroll = ["enroll", "--touch-only", "--name", "spare key"];
    let denied = machine.by_alice(&enroll).output();
    assert_eq!(denied.code(), Some(1), "{denied:#?}");
    assert_eq!(machine.read(ALICE_FILE), before);
    assert!(!spare.commands().contains(&Command::MakeCredential));

    blue.presence(Presence::after_ms(150));
    let enrolled = answering(machine.by_alice(&enroll), &[YES]).expect_success();
    assert!(
        enrolled
            .stdout
            .contains("\"blue key\" vouches for the new key.")
    );
    let list = machine
        .passkey(["list", "--user", "alice"])
        .output()
        .expect_success();
    for name in ["blue key", "spare key"] {
        assert!(list.stdout.contains(name), "{list:#?}");
    }
}

#[test]
fn a_key_that_is_enrolled_already_is_not_enrolled_twice() {
    let machine = Machine::with_passwords();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let before = machine.read(ALICE_FILE);
    let ended = machine
        .passkey([
            "enroll",
            "--touch-only",
            "--user",
            "alice",
            "--name",
            "again",
        ])
        .output();
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    assert_eq!(machine.read(ALICE_FILE), before);
    drop(blue);
}

/// What each leaves in the environment of a command that it runs for bob.
const FOR_BOB: [(&str, &str, &str); 3] = [
    ("sudo", "SUDO_UID", "1001"),
    ("pkexec", "PKEXEC_UID", "1001"),
    ("doas", "DOAS_USER", "bob"),
];

#[test]
fn on_anybodys_behalf_their_own_keys_are_changed_and_no_others() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let before = machine.read(ALICE_FILE);
    for (through, variable, bob) in FOR_BOB {
        let refused = format!("through {through} you can change only the keys of your own account");
        for command in [
            &["passkey", "enroll", "--touch-only", "--user", "alice"][..],
            &["passkey", "remove", "--user", "alice", "blue key"],
        ] {
            let run = machine.run(command.iter().copied()).env(variable, bob);
            assert_failed(&run.on_a_terminal().output(), &refused);
        }
    }
    assert_eq!(machine.read(ALICE_FILE), before);
}

#[test]
fn on_anybodys_behalf_a_proof_is_asked_for() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    for (through, variable, bob) in FOR_BOB {
        let run = machine
            .passkey(["enroll", "--touch-only"])
            .env(variable, bob)
            .on_a_terminal();
        let ended = answering(run, &[("Password:", ALICE_PASSWORD)]);
        assert_failed(&ended, "that is not the password of bob");
        assert_failed(&ended, &format!("run again: {through} passkey enroll"));
    }
    assert!(blue.commands().is_empty());
}

#[test]
fn where_sudo_and_doas_disagree_nobody_stands_behind() {
    let machine = Machine::with_passwords();
    let ended = machine
        .by_alice(&["enroll", "--touch-only"])
        .env("DOAS_USER", "bob")
        .output();
    assert_refused(
        &machine,
        &ended,
        "SUDO_UID and DOAS_USER name different accounts",
    );
    let listed = machine
        .passkey(["list"])
        .env("SUDO_UID", "1000")
        .env("DOAS_USER", "bob")
        .output();
    assert_failed(&listed, "say whose: --user NAME");
}

#[test]
fn of_several_keys_the_one_that_is_named_is_enrolled_and_the_others_are_not() {
    let machine = Machine::with_passwords();
    let one = machine.plug_in(VirtualKey::named("One").of_model([1; 16]));
    let two = machine.plug_in(VirtualKey::named("Two").of_model([2; 16]));
    one.presence(Presence::Accept); // a stick that touches itself
    two.presence(Presence::after_ms(150));
    let which = "Which one is to be enrolled for alice? [1-2, nothing for none] ";
    for nothing in ["", "0", "3", "y", "\x03"] {
        let enroll = machine.by_alice(&["enroll", "--touch-only"]);
        let ended = answering(enroll, &[HER_PASSWORD, (which, nothing)]);
        assert_refused(
            &machine,
            &ended,
            "no key was enrolled, since nobody said which",
        );
    }
    let enroll = machine.by_alice(&["enroll", "--touch-only"]);
    let enrolled = answering(enroll, &[HER_PASSWORD, (which, "2"), NO_SPARE]).expect_success();
    let listed = "  2  \"Two\" (/dev/hidraw1), AAGUID 02020202-0202-0202-0202-020202020202\r\n";
    assert!(enrolled.stdout.contains(listed), "{enrolled:#?}");
    assert!(enrolled.stdout.contains("Enrolled \"Two\" for alice."));
    assert!(!one.commands().contains(&Command::MakeCredential));
    assert!(!one.commands().contains(&Command::GetAssertion));
}

#[test]
fn who_plugs_theirs_in_while_several_are_named_gets_none_of_those_enrolled() {
    let machine = Machine::with_passwords();
    let one = machine.plug_in(VirtualKey::named("One"));
    let two = machine.plug_in(VirtualKey::named("Two"));
    let mut enroll = machine.by_alice(&["enroll", "--touch-only"]).start();
    enroll.wait_for(HER_PASSWORD.0);
    enroll.type_line(HER_PASSWORD.1);
    enroll.wait_for("[1-2, nothing for none] ");
    let mine = machine.plug_in(VirtualKey::named("Mine"));
    enroll.type_line("2");
    assert_refused(&machine, &enroll.finish(), "several keys could be meant: ");
    assert_eq!(one.commands(), INTRODUCED);
    assert_eq!(two.commands(), INTRODUCED);
    assert!(mine.commands().is_empty());
}

#[test]
fn a_key_that_never_answers_holds_no_enrolment_up() {
    let machine = Machine::with_passwords();
    let (cable, _far_end) = tests::virtual_key::cable();
    let _mute = machine.plug_in_cable("Mute", cable);
    let enroll = machine.by_alice(&["enroll", "--touch-only"]);
    let mute = "Plugged in: \"Mute\" (/dev/hidraw0), which does not say what it is.";
    let ended = answering(enroll, &[HER_PASSWORD, (THIS_ONE, "n")]);
    assert_failed(&ended, mute);
    assert_refused(&machine, &ended, "\"Mute\" (/dev/hidraw0) was not enrolled");
    assert!(ended.elapsed < Duration::from_secs(10), "{ended:#?}");
}

#[test]
fn of_several_keys_none_is_enrolled_by_chance() {
    let machine = Machine::with_passwords();
    let one = machine.plug_in(VirtualKey::named("One"));
    let two = machine.plug_in(VirtualKey::named("Two"));
    let ended = machine
        .passkey(["enroll", "--touch-only", "--user", "alice"])
        .output();
    assert_refused(&machine, &ended, "\"One\" (/dev/hidraw0)");
    assert!(ended.stderr.contains("\"Two\" (/dev/hidraw1)"));
    assert!(one.commands().is_empty() && two.commands().is_empty());
}

#[test]
fn without_a_key_it_waits_visibly_and_then_says_so() {
    let machine = Machine::with_passwords();
    let ended = machine
        .passkey([
            "enroll",
            "--touch-only",
            "--user",
            "alice",
            "--timeout",
            "1",
        ])
        .output();
    assert_refused(&machine, &ended, "no security key to enrol was plugged in");
    assert!(ended.stderr.contains("1 s"), "{ended:#?}");
}

#[test]
fn a_touch_denied_or_never_given_enrols_nothing() {
    for presence in [Presence::Deny, Presence::Never] {
        let machine = Machine::with_passwords();
        let blue = machine.plug_in(VirtualKey::named("Blue"));
        blue.presence(presence);
        let ended = machine
            .passkey([
                "enroll",
                "--touch-only",
                "--user",
                "alice",
                "--timeout",
                "1",
            ])
            .output();
        assert_refused(&machine, &ended, "");
        assert_eq!(blue.cancels(), usize::from(presence == Presence::Never));
    }
}

#[test]
fn a_key_that_cannot_verify_its_person_is_told_what_to_type() {
    let machine = Machine::with_passwords();
    let plain = machine.plug_in(VirtualKey::named("Plain"));
    let ended = machine.passkey(["enroll", "--user", "alice"]).output();
    assert_refused(&machine, &ended, "set a PIN on it");
    assert_refused(&machine, &ended, "--touch-only");
    drop(plain);
    // Nobody is there to type a PIN.
    let _with_pin = machine.plug_in(VirtualKey::named("With PIN").with_pin("2468"));
    let ended = machine.passkey(["enroll", "--user", "alice"]).output();
    assert_refused(&machine, &ended, "PINs are typed at a terminal");
    // Nor is one who does not see that it is asked for.
    let unseen = machine
        .run(["/bin/sh", "-c", "passkey enroll --user alice 2>/root/said"])
        .on_a_terminal()
        .output();
    assert_refused(&machine, &unseen, "");
    let said = machine.read("/root/said").unwrap();
    assert!(said.contains("PINs are typed at a terminal"), "{said}");
}

#[test]
fn a_pin_enrols_a_key_and_is_asked_for_again_by_the_test_login() {
    let machine = Machine::with_passwords();
    machine.policy("");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin("2468"));
    blue.presence(Presence::after_ms(150));
    let mut enroll = machine.by_alice(&["enroll", "--name", "blue key"]).start();
    for (times, question, answer) in [
        (1, HER_PASSWORD.0, HER_PASSWORD.1),
        (1, YES.0, YES.1),
        (1, "PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ", "8642"),
        (1, "PIN of \"Blue\" (/dev/hidraw0), 7 tries left: ", "2468"),
        (2, "PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ", "246"),
        (3, "PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ", "2468"),
        (1, NO_SPARE.0, NO_SPARE.1),
    ] {
        enroll.wait_for_times(question, times);
        enroll.type_line(answer);
    }
    let enrolled = enroll.finish().expect_success();
    assert!(enrolled.stdout.contains("That PIN was wrong."));
    assert!(
        enrolled
            .stdout
            .contains("the PIN has at least 4 characters")
    );
    for pin in ["2468", "8642", "246\r"] {
        assert!(!enrolled.stdout.contains(pin), "{enrolled:#?}");
    }
    let login = machine.login("sudo", "alice").answers(["2468"]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
}

#[test]
fn a_pin_shorter_than_this_keys_shortest_is_not_sent_at_enrolment() {
    let machine = Machine::with_passwords();
    machine.policy("");
    let profile = Profile::fido_2_1().min_pin_length(6);
    let blue = machine.plug_in(
        VirtualKey::named("Blue")
            .posing_as(profile)
            .with_pin("246810"),
    );
    let enroll = ["enroll", "--user", "alice"];
    let mut enroll = machine.passkey(enroll).on_a_terminal().start();
    enroll.wait_for(YES.0);
    enroll.type_line(YES.1);
    for (times, typed) in [(1, "24681"), (2, "")] {
        enroll.wait_for_times("8 tries left: ", times);
        enroll.type_line(typed);
    }
    let ended = enroll.finish();
    assert_failed(&ended, "the PIN has at least 6 characters");
    let not_given = "no PIN was given for \"Blue\" (/dev/hidraw0)";
    assert_refused(&machine, &ended, not_given);
    assert_eq!(blue.pin_tries_left(), 8);
}

#[test]
fn a_test_login_warns_of_a_key_that_does_not_show_whose_it_is() {
    let machine = Machine::with_passwords();
    machine.policy("");
    let profile = Profile::fido_2_1().refuses_probes();
    let blue = machine.plug_in(
        VirtualKey::named("Blue")
            .posing_as(profile)
            .with_pin("2468"),
    );
    machine.enroll_with_pin(&blue, "alice", "blue key", "2468");
    let test = ["passkey", "test", "--user", "alice"];
    let question = "PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ";
    let tested = answering(machine.run(test).on_a_terminal(), &[(question, "2468")]);
    let warning = "Careful: \"Blue\" (/dev/hidraw0) wants its PIN before it shows whose it is.";
    assert!(tested.expect_success().stdout.contains(warning));
}

#[test]
fn the_new_credential_logs_in_once_before_it_is_recorded() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue").attested_by(&Attestation::of_the_bench()));
    blue.presence(Presence::after_ms(150));
    let enrolled = machine
        .passkey(["enroll", "--touch-only", "--user", "alice"])
        .output()
        .expect_success();
    assert_eq!(
        blue.commands(),
        [
            Command::Init,
            Command::GetInfo,
            Command::MakeCredential,
            // A login, which also finds out whether it answers silently.
            Command::Init,
            Command::GetInfo,
            Command::GetAssertion,
            Command::GetAssertion
        ]
    );
    assert!(
        enrolled
            .stdout
            .contains("attestation: certificate, not checked against a root"),
        "{enrolled:#?}"
    );
    // Named for what the key calls itself.
    assert!(enrolled.stdout.contains("Enrolled \"Blue\" for alice."));
}

#[test]
fn a_relying_party_of_ssh_is_refused() {
    let machine = Machine::with_passwords();
    let _blue = machine.plug_in(VirtualKey::named("Blue"));
    let ended = machine
        .passkey([
            "enroll",
            "--touch-only",
            "--user",
            "alice",
            "--rp-id",
            "ssh:host",
        ])
        .output();
    assert_eq!(ended.code(), Some(2), "{ended:#?}");
    assert!(ended.stderr.contains("belongs to SSH keys"), "{ended:#?}");
}

#[test]
fn removing_a_key_shuts_it_out_and_drops_sudos_time_stamps() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    machine.write("/run/sudo/ts/alice", "", 0o600);
    machine.write("/run/sudo/ts/1000", "", 0o600);

    let unknown = machine.by_alice(&["remove", "red key"]).output();
    assert_eq!(unknown.code(), Some(1));
    assert!(unknown.stdout.contains("blue key"), "{unknown:#?}");

    let remove = machine.by_alice(&["remove", "blue key"]);
    answering(remove, &[THE_LAST]).expect_success();
    for stamp in ["/run/sudo/ts/alice", "/run/sudo/ts/1000"] {
        assert_eq!(machine.read(stamp), None, "{stamp}");
    }
    assert_eq!(
        machine.login("sudo", "alice").run().code(),
        Pam::UserUnknown
    );
}

#[test]
fn a_record_that_cannot_be_read_survives_enrolment_and_removal() {
    let machine = Machine::with_passwords();
    let blue = machine.enrolled("alice", "blue key", &[]).unplug();
    let broken = "\n[[credential]]\nname = \"precious\nid = 7\n";
    let with_broken = machine.read(ALICE_FILE).unwrap() + broken;
    machine.write(ALICE_FILE, &with_broken, 0o644);
    drop(machine.enrolled("alice", "spare key", &[]));
    for name in ["blue key", "spare key"] {
        machine
            .passkey(["remove", "--last", "--user", "alice", name])
            .output()
            .expect_success();
    }
    assert!(machine.read(ALICE_FILE).unwrap().contains("precious"));
    drop(blue);
}

#[test]
fn a_test_login_says_which_key_answered_and_leaves_a_receipt() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let tested = machine
        .passkey(["test", "--user", "alice", "--receipt", "/root/receipt"])
        .output()
        .expect_success();
    assert!(tested.stdout.contains("blue key"), "{tested:#?}");
    let line = machine.read("/root/receipt").unwrap();
    let receipt: tests::household::Receipt = serde_json::from_str(&line).unwrap();
    let public_key = &machine.public_keys("alice")[0];
    let verdict = receipt.judged_by_ssh_keygen("alice", public_key);
    assert!(verdict.is_good, "{verdict:?}");

    let again = machine
        .passkey(["test", "--user", "alice", "--receipt", "/root/receipt"])
        .output();
    assert_eq!(again.code(), Some(1), "a file in the way is left alone");
    assert_eq!(machine.read("/root/receipt").unwrap(), line);
}

#[test]
fn only_root_enrols() {
    if !tests::machine::privilege().has_other_users() {
        return;
    }
    let machine = Machine::with_passwords();
    let ended = machine
        .passkey(["enroll", "--touch-only"])
        .as_alice()
        .output();
    assert_refused(&machine, &ended, "run: sudo passkey enroll");
}

#[test]
fn ctrl_c_leaves_no_key_blinking_and_nothing_written() {
    let machine = Machine::with_passwords();
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(Presence::Never);
    let mut enroll = machine.by_alice(&["enroll", "--touch-only"]).start();
    enroll.wait_for(HER_PASSWORD.0);
    enroll.type_line(HER_PASSWORD.1);
    enroll.wait_for(THIS_ONE);
    enroll.type_line("y");
    enroll.wait_for("Touch \"Blue\"");
    enroll.wait_until_it_holds_back(Signal::SIGINT);
    enroll.type_keys("\x03");
    let ended = enroll.finish();
    assert_eq!(ended.signal(), Some(2), "{ended:#?}");
    assert_eq!(blue.cancels(), 1);
    assert_eq!(machine.read(ALICE_FILE), None);
}

#[test]
fn ctrl_c_leaves_no_key_blinking_after_a_test_login() {
    let machine = Machine::with_passwords();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let mut test = machine.by_alice(&["test"]).start();
    test.wait_for("Touch \"Bench Key\"");
    test.wait_until_it_holds_back(Signal::SIGINT);
    test.type_keys("\x03");
    let ended = test.finish();
    assert_eq!(ended.signal(), Some(2), "{ended:#?}");
    assert_eq!(blue.cancels(), 1);
}

#[test]
fn a_terminal_that_takes_no_more_text_keeps_no_signal_away() {
    let machine = Machine::with_passwords();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Never);
    let test = machine.passkey(["test", "--user", "alice"]);
    let test = test
        .on_a_terminal()
        .env("TERM", "xterm")
        .within(Duration::from_secs(15));
    let mut test = test.start();
    test.wait_for("Touch \"Bench Key\"");
    test.wait_until_it_holds_back(Signal::SIGTERM);
    // Ctrl-S; then the next second is to be counted
    test.type_keys("\x13");
    std::thread::sleep(Duration::from_secs(2));
    test.signal(Signal::SIGTERM);
    let ended = test.finish();
    assert_eq!(ended.signal(), Some(15), "{ended:#?}");
}

#[test]
fn a_login_leaves_the_key_alone_that_passkey_asks() {
    let machine = Machine::with_passwords();
    machine.policy("user_verification = \"discouraged\"\ntimeout = 5\n");
    let blue = machine.enrolled("alice", "blue key", &[]);
    for asks in ["test", "enroll"] {
        blue.presence(Presence::Never);
        let command: &[&str] = if asks == "enroll" {
            // for somebody else: alice has it already
            &["enroll", "--touch-only", "--user", "bob"]
        } else {
            &["test", "--user", "alice"]
        };
        let asking = machine.passkey(command.iter().copied()).start();
        asking.wait_for_error("Touch \"Bench Key\"");
        let opens = blue.opens();
        let login = machine.login("sudo", "alice").start();
        login.wait_until_said(&format!("Requested by passkey {asks} for "));
        assert_eq!(blue.opens(), opens, "it is not even opened");
        asking.signal(Signal::SIGINT);
        asking.finish();
        blue.presence(Presence::after_ms(0));
        assert_eq!(login.finish().code(), Pam::Success);
    }
}

#[test]
fn a_discoverable_credential_is_recorded_as_one() {
    let machine = Machine::with_passwords();
    let _blue = machine.enrolled("alice", "blue key", &["--discoverable"]);
    let file = machine.read(ALICE_FILE).unwrap();
    assert!(file.contains("discoverable = true"), "{file}");
    assert_eq!(machine.login("sudo", "alice").run().code(), Pam::Success);
}

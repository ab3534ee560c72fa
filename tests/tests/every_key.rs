//! Every kind of firmware that the virtual key can pose as, and what becomes of a login with it:
//! the accepted cases, each with its refusals.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use std::time::Duration;

use opensk::ctap::data_formats::CredentialProtectionPolicy;
use tests::login::LoggedIn;
use tests::machine::PluggedIn;
use tests::{Command, Machine, Pam, Presence, Profile, VirtualKey};

const PIN: &str = "246810";

/// A name for it, and the profile.
type Kind = (&'static str, fn() -> Profile);

/// Firmware that lets its owner in with a touch, and with its PIN.
const KINDS: [Kind; 9] = [
    ("FIDO_2_0", Profile::fido_2_0),
    ("FIDO_2_1_PRE", Profile::fido_2_1_pre),
    ("FIDO_2_1", Profile::fido_2_1),
    ("PIN protocol one only", || {
        Profile::fido_2_1().pin_protocol_one_only()
    }),
    ("makeCredUvNotRqd absent", || {
        Profile::fido_2_1().make_cred_uv_not_rqd(false)
    }),
    ("minPINLength 6", || Profile::fido_2_1().min_pin_length(6)),
    ("ten ids a list", || Profile::fido_2_1().most_ids(10)),
    ("maxMsgSize 1024", || Profile::fido_2_1().most_bytes(1024)),
    ("NO_CREDENTIALS after a touch", || {
        Profile::fido_2_0().no_credentials_after_touch()
    }),
];

/// A touch is enough everywhere, or nowhere.
fn machine(user_verification: &str) -> Machine {
    let machine = Machine::lived_on();
    machine.policy(&format!("user_verification = \"{user_verification}\"\n"));
    machine
}

fn key(name: &str, profile: Profile) -> VirtualKey {
    VirtualKey::named(name).posing_as(profile)
}

#[track_caller]
fn assert_outcome(kind: &str, login: &LoggedIn, code: Pam, sentence: &str) {
    assert_eq!(login.code(), code, "{kind}: {login:#?}");
    assert!(
        login.said().contains(sentence),
        "{kind}: nobody said {sentence:?}: {login:#?}"
    );
    assert!(login.report.footprint.is_clean(), "{kind}: {login:#?}");
}

fn within(patience_in_s: u64) -> Duration {
    Duration::from_secs(patience_in_s)
}

#[test]
fn every_kind_lets_its_owner_in_with_a_touch_in_two_transactions() {
    for (kind, profile) in KINDS {
        let machine = machine("discouraged");
        let blue = machine.plug_in(key("Blue", profile()));
        machine.enroll(&blue, "alice", "blue key", &[]);
        let login = machine.login("sudo", "alice").run();
        assert_outcome(kind, &login, Pam::Success, "Touch \"blue key\" (30 s).");
        assert_eq!(
            blue.commands(),
            [Command::Init, Command::GetAssertion],
            "{kind}"
        );

        blue.presence(Presence::Deny);
        let denied = machine.login("sudo", "alice").run();
        let sentence = "The request was denied on the security key.";
        assert_outcome(kind, &denied, Pam::AuthErr, sentence);

        machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
        blue.presence(Presence::Never);
        blue.forget_transactions();
        let untouched = machine.login("sudo", "alice").run();
        let sentence = "Nobody touched the security key in time. Try again.";
        assert_outcome(kind, &untouched, Pam::AuthErr, sentence);
        assert_eq!(blue.cancels(), 1, "{kind}");
    }
}

#[test]
fn every_kind_lets_its_owner_in_with_its_pin_and_no_other() {
    for (kind, profile) in KINDS {
        let machine = machine("required");
        let blue = machine.plug_in(key("Blue", profile()).with_pin(PIN));
        machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
        let opens = blue.opens();
        let login = machine.login("sudo", "alice").answers([PIN]).run();
        assert_outcome(kind, &login, Pam::Success, "Touch \"blue key\" (");
        assert!(
            blue.transactions().len() <= 7,
            "{kind}: {:?}",
            blue.commands()
        );
        assert_eq!(blue.opens() - opens, 1, "{kind}");
        assert_eq!(blue.pin_tries_left(), 8, "{kind}");
        let receipt = machine.receipts().pop().unwrap();
        let public_key = machine.public_keys("alice").pop().unwrap();
        assert!(receipt.judged_by_ssh_keygen("alice", &public_key).is_good);

        let wrong = machine.login("sudo", "alice").answers(["135790", ""]).run();
        assert_outcome(kind, &wrong, Pam::AuthErr, "That PIN was wrong.");
        assert_eq!(blue.pin_tries_left(), 7, "{kind}");

        blue.presence(Presence::Deny);
        let denied = machine.login("sudo", "alice").answers([PIN]).run();
        let sentence = "The request was denied on the security key.";
        assert_outcome(kind, &denied, Pam::AuthErr, sentence);
    }
}

#[test]
fn the_way_to_a_token_is_the_one_that_the_key_knows() {
    for (kind, profile, subcommand) in [
        ("FIDO_2_0", Profile::fido_2_0(), 0x05),
        ("FIDO_2_1_PRE", Profile::fido_2_1_pre(), 0x05),
        ("FIDO_2_1", Profile::fido_2_1(), 0x09),
    ] {
        let machine = machine("required");
        let blue = machine.plug_in(key("Blue", profile).with_pin(PIN));
        machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
        let login = machine.login("sudo", "alice").answers([PIN]).run();
        assert_eq!(login.code(), Pam::Success, "{kind}: {login:#?}");
        let transactions = blue.transactions();
        let asked: Vec<u8> = transactions.iter().filter_map(|it| it.subcommand).collect();
        assert_eq!(asked, [0x01, 0x02, subcommand], "{kind}");
        let last = transactions.last().unwrap();
        assert!(last.pin_uv_auth && !last.silent && last.ids == 1, "{kind}");
        assert!(transactions.iter().any(|it| it.silent), "{kind}");
    }
}

#[test]
fn no_kind_is_asked_for_a_pin_that_is_not_enrolled_or_has_none() {
    for (kind, profile) in KINDS {
        let machine = machine("required");
        let blue = machine.plug_in(key("Blue", profile()).with_pin(PIN));
        machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
        drop(blue);
        let found = machine.plug_in(key("Found", profile()).with_pin(PIN));
        let login = machine.login("sudo", "alice").answers([PIN]).run();
        let sentence = "\"Found\" (/dev/hidraw0) is not enrolled for alice.";
        assert_outcome(kind, &login, Pam::AuthErr, sentence);
        assert!(login.questions().is_empty(), "{kind}");
        assert!(!found.commands().contains(&Command::ClientPin), "{kind}");
        drop(found);

        machine.policy("user_verification = \"discouraged\"\n");
        let plain = machine.plug_in(key("Plain", profile()));
        machine.enroll(&plain, "bob", "plain key", &[]);
        machine.policy("user_verification = \"required\"\n");
        let login = machine.login("sudo", "bob").answers([PIN]).run();
        let sentence = "\"plain key\" has none set up. Set a PIN on it, or use another key.";
        assert_outcome(kind, &login, Pam::AuthErr, sentence);
        assert!(login.questions().is_empty(), "{kind}");
    }
}

#[test]
fn a_key_with_a_pin_is_enrolled_for_touch_alone_with_its_pin_where_it_wants_it() {
    for (kind, profile, wants_it) in [
        ("FIDO_2_0", Profile::fido_2_0(), true),
        ("2.1", Profile::fido_2_1().make_cred_uv_not_rqd(false), true),
        (
            "not required",
            Profile::fido_2_1().make_cred_uv_not_rqd(true),
            false,
        ),
    ] {
        let machine = machine("discouraged");
        let blue = machine.plug_in(key("Blue", profile).with_pin(PIN));
        blue.presence(Presence::after_ms(150));
        let enroll = ["enroll", "--touch-only", "--no-spare", "--user", "alice"];
        let mut enroll = machine.passkey(enroll).on_a_terminal().start();
        enroll.wait_for("[y/N] ");
        enroll.type_line("y");
        if wants_it {
            enroll.wait_for("tries left: ");
            enroll.type_line(PIN);
        }
        enroll.finish().expect_success();
        let login = machine.login("sudo", "alice").run();
        assert_outcome(kind, &login, Pam::Success, "Touch \"Blue\" (30 s).");
    }
}

#[test]
fn of_twenty_four_credentials_the_keys_own_is_found_in_five_transactions() {
    for (kind, profile) in [
        ("opensk", Profile::fido_2_1()),
        ("ten ids", Profile::fido_2_1().most_ids(10)),
    ] {
        let machine = machine("discouraged");
        for number in 1..24 {
            drop(machine.enrolled("alice", &format!("key {number}"), &[]));
        }
        let last = machine.plug_in(key("Last", profile));
        machine.enroll(&last, "alice", "last key", &[]);
        let login = machine.login("sudo", "alice").run();
        assert_eq!(login.code(), Pam::Success, "{kind}: {login:#?}");
        assert!(
            last.transactions().len() <= 5,
            "{kind}: {:?}",
            last.commands()
        );
        let most = last.transactions().iter().map(|it| it.ids).max();
        assert!(kind != "ten ids" || most <= Some(10), "{most:?}");
    }
}

#[test]
fn small_messages_and_several_relying_parties_are_looked_through_with_a_pin_as_well() {
    let machine = machine("required");
    for (number, host) in [(1, "one"), (2, "two"), (3, "one"), (4, "one")] {
        let other = machine.plug_in(VirtualKey::named("Other").with_pin(PIN));
        let rp = format!("pam://{host}");
        machine.enroll_for(
            &other,
            "alice",
            &format!("key {number}"),
            PIN,
            &["--rp-id", &rp],
        );
    }
    let profile = Profile::fido_2_1().most_bytes(1024).most_ids(2);
    let blue = machine.plug_in(key("Blue", profile).with_pin(PIN));
    machine.enroll_for(&blue, "alice", "blue key", PIN, &["--rp-id", "pam://two"]);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome("", &login, Pam::Success, "Touch \"blue key\" (");
    assert_eq!(login.questions(), ["PIN of \"blue key\", 8 tries left: "]);
    for asked in blue.transactions() {
        assert!(asked.length <= 1024 && asked.ids <= 2, "{asked}");
    }
}

#[test]
fn a_key_that_takes_few_ids_is_not_enrolled_twice_all_the_same() {
    let machine = machine("discouraged");
    let mut blue = key("Blue", Profile::fido_2_1().most_ids(2));
    for place in 0..5 {
        let name = format!("key {place}");
        if place == 3 {
            let plugged_in = machine.plug_in(blue);
            machine.enroll(&plugged_in, "alice", &name, &[]);
            blue = plugged_in.unplug();
        } else {
            drop(machine.enrolled("alice", &name, &[]));
        }
    }
    let blue = machine.plug_in(blue);
    blue.forget_transactions();
    let enroll = ["enroll", "--touch-only", "--user", "alice"];
    let refused = machine.passkey(enroll).output();
    assert_eq!(refused.code(), Some(1));
    let sentence = "\"Blue\" (/dev/hidraw0) is enrolled for alice already";
    assert!(refused.stderr.contains(sentence), "{refused:#?}");
    assert!(!blue.commands().contains(&Command::MakeCredential));
    assert!(blue.transactions().iter().all(|it| it.ids <= 2));
}

#[test]
fn a_key_that_verifies_always_is_asked_for_its_pin_although_a_touch_would_do() {
    let machine = machine("discouraged");
    let blue = machine.plug_in(key("Blue", Profile::fido_2_1().always_uv()).with_pin(PIN));
    machine.enroll_for(&blue, "alice", "blue key", PIN, &["--touch-only"]);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome("", &login, Pam::Success, "Touch \"blue key\" (");
    assert_eq!(login.questions(), ["PIN of \"blue key\", 8 tries left: "]);
    assert!(login.logged().contains("verified=yes"), "{login:#?}");
    // It proves itself first: opensk answers silent requests even so.
    assert!(!login.said().contains("Careful"), "{login:#?}");
}

#[test]
fn a_key_that_refuses_silent_requests_is_asked_for_its_pin_with_a_warning() {
    let machine = machine("required");
    let profile = Profile::fido_2_1().refuses_probes();
    let blue = machine.plug_in(key("Blue", profile).with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    let warning = "Careful: \"Blue\" (/dev/hidraw0) wants its PIN before it shows that it is yours. \
                   Type it only if that is the key in front of you.";
    assert_outcome("", &login, Pam::Success, warning);
    let question = "PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ";
    assert_eq!(login.questions(), [question]);
    assert!(login.logged().contains("asked for its PIN unproven"));
}

#[test]
fn a_credential_that_hides_is_known_from_enrolment_and_asked_for_with_a_warning() {
    // opensk's own protection, and a key that hides from all who do not verify.
    let protected = VirtualKey::named("Blue").firmware(|firmware| {
        firmware.default_cred_protect = Some(CredentialProtectionPolicy::UserVerificationRequired);
    });
    let hiding = key("Blue", Profile::fido_2_1().hides_credentials());
    for blue in [protected, hiding] {
        let machine = machine("required");
        let blue = machine.plug_in(blue.with_pin(PIN));
        machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
        let file = machine.read("/etc/pam-passkey/users/alice.toml").unwrap();
        assert!(file.contains("answers_silently = false"), "{file}");
        let login = machine.login("sudo", "alice").answers([PIN]).run();
        let warning = "Careful: \"Blue\" (/dev/hidraw0)";
        assert_outcome("", &login, Pam::Success, warning);
    }
}

#[test]
fn a_credential_that_hides_only_where_no_id_is_given_is_like_any_other() {
    let machine = machine("required");
    let key = VirtualKey::named("Blue").firmware(|firmware| {
        firmware.default_cred_protect =
            Some(CredentialProtectionPolicy::UserVerificationOptionalWithCredentialIdList);
    });
    let blue = machine.plug_in(key.with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome("", &login, Pam::Success, "Touch \"blue key\" (");
    assert!(!login.said().contains("Careful"), "{login:#?}");
}

#[test]
fn a_u2f_key_is_recognised_named_and_not_used() {
    let machine = machine("discouraged");
    drop(machine.enrolled("alice", "blue key", &[]));
    let old = machine.plug_in(key("Old", Profile::u2f_only()));
    let login = machine.login("sudo", "alice").run();
    let sentence =
        "\"Old\" (/dev/hidraw0) speaks only U2F, which is not used here. Plug in a FIDO2 key.";
    assert_outcome("", &login, Pam::AuthErr, sentence);
    assert_eq!(old.commands(), [Command::Init]);
    let enroll = ["enroll", "--touch-only", "--user", "bob"];
    let refused = machine.passkey(enroll).output();
    assert_eq!(refused.code(), Some(1));
    assert!(
        refused.stderr.contains("speaks only U2F, not FIDO2"),
        "{refused:#?}"
    );
    let what_to_do = "take a key that says FIDO2 on its box";
    assert!(refused.stderr.contains(what_to_do), "{refused:#?}");
}

#[test]
fn a_pin_that_must_be_changed_is_not_asked_for() {
    let machine = machine("required");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    let forced = blue
        .unplug()
        .posing_as(Profile::fido_2_1().force_pin_change());
    let forced = machine.plug_in(forced);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    let sentence = "The PIN of \"blue key\" must be changed first: passkey key pin change";
    assert_outcome("", &login, Pam::AuthErr, sentence);
    assert!(login.questions().is_empty());
    assert_eq!(forced.pin_tries_left(), 8);
}

#[test]
fn a_pin_shorter_than_this_keys_shortest_is_not_sent() {
    let machine = machine("required");
    let profile = Profile::fido_2_1().min_pin_length(6);
    let blue = machine.plug_in(key("Blue", profile).with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    let login = machine.login("sudo", "alice").answers(["24681", PIN]).run();
    let sentence = "That is not a PIN: the PIN has at least 6 characters.";
    assert_outcome("", &login, Pam::Success, sentence);
    assert_eq!(blue.pin_tries_left(), 8);
}

#[test]
fn two_tries_are_asked_for_and_one_is_not() {
    for (tries, asked) in [(2, 1), (1, 0)] {
        let machine = machine("required");
        let blue = machine.plug_in(VirtualKey::named("Blue").with_pin(PIN));
        machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
        blue.set_pin_tries_left(tries);
        let login = machine
            .login("sudo", "alice")
            .answers(["wrong pin", PIN])
            .run();
        assert_eq!(login.questions().len(), asked, "{login:#?}");
        let sentence = "The PIN of \"blue key\" has one try left, which is not risked here.";
        assert_outcome("", &login, Pam::AuthErr, sentence);
        assert_eq!(blue.pin_tries_left(), 1);
    }
    let machine = machine("required");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    blue.set_pin_tries_left(0);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    let sentence = "The PIN of \"blue key\" is blocked: only a reset helps, which erases the key.";
    assert_outcome("", &login, Pam::AuthErr, sentence);
    assert!(login.questions().is_empty(), "{login:#?}");
}

#[test]
fn a_key_that_serves_another_program_is_waited_for_inside_the_deadline() {
    let machine = machine("discouraged");
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.busy_for(Duration::from_millis(700));
    let login = machine.login("sudo", "alice").within(within(20)).run();
    let busy = "Another program is using \"Bench Key\" (/dev/hidraw0): do not touch it.";
    assert_outcome("", &login, Pam::Success, busy);
    let said = login.said();
    let touch = said.find("Touch \"blue key\"").unwrap();
    assert!(said.find(busy).unwrap() < touch, "{said}");
    assert_eq!(said.matches(busy).count(), 1);

    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    blue.busy_for(Duration::from_secs(20));
    let login = machine.login("sudo", "alice").within(within(20)).run();
    let sentence =
        "\"Bench Key\" (/dev/hidraw0) was in use by another program all the time. Try again.";
    assert_outcome("", &login, Pam::AuthinfoUnavail, sentence);
    assert!(!login.said().contains("Touch"), "{login:#?}");
}

#[test]
fn a_busy_key_keeps_no_other_from_its_pin() {
    let machine = machine("required");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    let spare = machine.plug_in(VirtualKey::named("Spare").with_pin(PIN));
    spare.busy_for(Duration::from_secs(60));
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome("", &login, Pam::Success, "Touch \"blue key\" (");
}

#[test]
fn a_choice_denied_on_one_key_leaves_it_to_the_other() {
    let machine = machine("required");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    let blue = blue.unplug();
    let spare = machine.plug_in(VirtualKey::named("Spare").with_pin(PIN));
    machine.enroll_with_pin(&spare, "alice", "spare key", PIN);
    let blue = machine.plug_in(blue);
    blue.presence(Presence::Deny);
    spare.presence(Presence::after_ms(300));
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    assert_outcome("", &login, Pam::Success, "PIN of \"spare key\"");
    spare.presence(Presence::Deny);
    let login = machine.login("sudo", "alice").answers([PIN]).run();
    let sentence = "The request was denied on the security key.";
    assert_outcome("", &login, Pam::AuthErr, sentence);
    assert!(login.questions().is_empty(), "{login:#?}");
}

#[test]
fn different_kinds_in_one_machine_are_asked_each_in_its_own_way() {
    let machine = machine("required");
    let kinds = [
        ("old", Profile::fido_2_0()),
        ("preview", Profile::fido_2_1_pre()),
        ("new", Profile::fido_2_1()),
    ];
    let keys: Vec<VirtualKey> = kinds
        .into_iter()
        .map(|(name, profile)| {
            let plugged_in = machine.plug_in(key("Key", profile).with_pin(PIN));
            machine.enroll_with_pin(&plugged_in, "alice", name, PIN);
            plugged_in.unplug()
        })
        .collect();
    let keys: Vec<PluggedIn> = keys.into_iter().map(|key| machine.plug_in(key)).collect();
    for (chosen, name) in [(0, "old"), (1, "preview"), (2, "new")] {
        for (number, key) in keys.iter().enumerate() {
            key.forget_transactions();
            key.presence(if number == chosen {
                Presence::after_ms(300)
            } else {
                Presence::Never
            });
        }
        let login = machine.login("sudo", "alice").answers([PIN]).run();
        assert_outcome(name, &login, Pam::Success, &format!("Touch \"{name}\" ("));
        let question = format!("PIN of \"{name}\", 8 tries left: ");
        assert_eq!(login.questions(), [question.as_str()]);
        for (number, key) in keys.iter().enumerate().filter(|(n, _)| *n != chosen) {
            assert_eq!(key.cancels(), 1, "{name}: {number}");
            assert!(!key.commands().contains(&Command::ClientPin), "{name}");
        }
    }
}

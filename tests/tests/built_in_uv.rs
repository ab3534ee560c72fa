//! A key with a fingerprint sensor verifies its user by itself.
//!
//! `cargo test -p tests --features built-in-uv --test built_in_uv`

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "also in a test's helpers"
)]

// The macros of sk-cbor name it.
extern crate alloc;

use sk_cbor::{Value, cbor_map};
use tests::machine::PluggedIn;
use tests::virtual_key::{Channel, descriptors, member};
use tests::{Command, Fingerprint, Machine, Pam, Presence, Profile, Reply, VirtualKey};

const CBOR: u8 = 0x10;
const CANCEL: u8 = 0x11;
const GET_ASSERTION: u8 = 0x02;

#[test]
fn a_finger_verifies_and_counts_as_the_touch_without_any_pin() {
    let (key, channel, id) = a_key_and_its_credential();
    // Whoever has laid their finger on it need not touch it again.
    key.presence(Presence::Never);
    let info = channel.get_info().unwrap();
    assert!(info.options["uv"] && !info.options["clientPin"]);
    let assertion = channel.ask(GET_ASSERTION, Some(with_uv(&id))).unwrap();
    assert_eq!(flags(&assertion), 0x05); // user present, user verified
    assert!(key.transactions().last().unwrap().uv);
}

#[test]
fn a_wrong_finger_costs_a_try_and_the_last_one_blocks_the_sensor() {
    let (key, channel, id) = a_key_and_its_credential();
    key.fingerprint(Fingerprint::DoesNotMatch);
    let tries = key.uv_tries_left();
    assert_eq!(tries, 8);
    for left in (1..tries).rev() {
        assert_eq!(ask_with_uv(&channel, &id), Err(Reply::Ctap2(0x3F)));
        assert_eq!(key.uv_tries_left(), left);
    }
    // UV_BLOCKED becomes PIN_BLOCKED in getAssertion.
    assert_eq!(ask_with_uv(&channel, &id), Err(Reply::Ctap2(0x32)));
    key.fingerprint(Fingerprint::Matches);
    assert_eq!(ask_with_uv(&channel, &id), Err(Reply::Ctap2(0x32)));
    assert_eq!(key.pin_tries_left(), 8);
}

#[test]
fn a_key_that_waits_for_a_finger_blinks_and_a_cancel_costs_no_try() {
    let (key, channel, id) = a_key_and_its_credential();
    key.fingerprint(Fingerprint::DoesNotMatch);
    assert_eq!(ask_with_uv(&channel, &id), Err(Reply::Ctap2(0x3F)));

    key.fingerprint(Fingerprint::Nobody);
    channel.send(CBOR, &request(&id));
    key.wait_until_it_blinks();
    assert_eq!(channel.report()[4..8], [0xBB, 0, 1, 2]); // CTAPHID_KEEPALIVE, UPNEEDED
    channel.send_on(Channel::BROADCAST, 0x06, &[7; 8]);
    assert_eq!(channel.outcome(), Err(Reply::HidError(0x06)));
    channel.send(CANCEL, &[]);
    assert_eq!(channel.outcome(), Err(Reply::Ctap2(0x2D)));
    assert_eq!(key.uv_tries_left(), 7);

    channel.send(CBOR, &request(&id));
    key.wait_until_it_blinks();
    key.fingerprint(Fingerprint::Matches);
    assert_eq!(flags(&channel.outcome().unwrap()), 0x05);
    assert_eq!(key.uv_tries_left(), 8);
}

#[test]
fn a_key_asks_its_sensor_for_a_silent_assertion_too_and_for_a_token() {
    let (key, channel, id) = a_key_and_its_credential();
    key.fingerprint(Fingerprint::DoesNotMatch);
    let silent = cbor_map! {
        1 => RP,
        2 => vec![7; 32],
        3 => descriptors(&[id]),
        5 => cbor_map! { "up" => false, "uv" => true },
    };
    assert_eq!(
        channel.ask(GET_ASSERTION, Some(silent)),
        Err(Reply::Ctap2(0x3F))
    );
    // The sensor is asked before the key agreement is looked at: any point will do here.
    let agreed = channel
        .ask(0x06, Some(cbor_map! { 1 => 2, 2 => 2 }))
        .unwrap();
    let point = member(&agreed, 0x01).unwrap();
    let token = || cbor_map! { 1 => 2, 2 => 6, 3 => point.clone(), 9 => 2, 0x0A => RP };
    assert_eq!(channel.ask(0x06, Some(token())), Err(Reply::Ctap2(0x3F)));
    key.fingerprint(Fingerprint::Matches);
    assert!(channel.ask(0x06, Some(token())).is_ok());
    let retries = channel
        .ask(0x06, Some(cbor_map! { 1 => 2, 2 => 7 }))
        .unwrap();
    assert_eq!(member(&retries, 0x05), Some(8.into()));
}

/// A machine on which every login asks for more than a touch, and a key that is enrolled there
/// with its finger.
fn enrolled(key: VirtualKey) -> (Machine, PluggedIn) {
    let machine = Machine::lived_on();
    machine.policy("user_verification = \"required\"\n");
    let key = machine.plug_in(key);
    let enroll = [
        "enroll",
        "--no-spare",
        "--user",
        "alice",
        "--name",
        "blue key",
    ];
    machine.passkey(enroll).output().expect_success();
    key.forget_transactions();
    (machine, key)
}

#[test]
fn a_finger_lets_its_owner_in_without_a_pin() {
    for profile in [Profile::fido_2_0(), Profile::fido_2_1()] {
        let (machine, key) = enrolled(VirtualKey::named("Bio").posing_as(profile));
        let login = machine.login("sudo", "alice").run();
        assert_eq!(login.code(), Pam::Success, "{login:#?}");
        assert!(login.logged().contains("verified=yes"), "{login:#?}");
        assert_eq!(
            key.commands(),
            [
                Command::Init,
                Command::GetInfo,
                Command::GetAssertion,
                Command::GetAssertion
            ]
        );
        let transactions = key.transactions();
        assert!(transactions[2].silent && !transactions[2].uv);
        assert!(transactions[3].uv);
    }
}

#[test]
fn a_key_that_gives_tokens_verifies_for_one() {
    let (machine, key) = enrolled(VirtualKey::named("Bio").with_pin("2468"));
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    assert_eq!(login.questions().len(), 0);
    let transactions = key.transactions();
    let asked: Vec<u8> = transactions.iter().filter_map(|it| it.subcommand).collect();
    assert_eq!(asked, [0x02, 0x06]);
    let last = transactions.last().unwrap();
    assert!(last.pin_uv_auth && !last.uv);
}

#[test]
fn a_finger_that_is_waited_for_is_asked_for_by_name_and_goes_dark_at_the_deadline() {
    for key in [
        VirtualKey::named("Bio"),
        VirtualKey::named("Bio").with_pin("2468"),
    ] {
        let (machine, key) = enrolled(key);
        machine.policy("timeout = 1\n");
        key.fingerprint(Fingerprint::Nobody);
        let login = machine.login("sudo", "alice").run();
        assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
        let sentence = "Give \"blue key\" your fingerprint or code (1 s).";
        assert!(login.said().contains(sentence), "{login:#?}");
        assert_eq!(key.cancels(), 1);
    }
}

#[test]
fn where_the_finger_is_not_recognised_the_pin_is_asked_for_in_the_same_call() {
    for profile in [Profile::fido_2_0(), Profile::fido_2_1()] {
        let key = VirtualKey::named("Bio").posing_as(profile).with_pin("2468");
        let (machine, key) = enrolled(key);
        key.fingerprint(Fingerprint::DoesNotMatch);
        let login = machine.login("sudo", "alice").answers(["2468"]).run();
        assert_eq!(login.code(), Pam::Success, "{login:#?}");
        assert_eq!(login.questions().len(), 1, "{login:#?}");
        // three tries of the eight, given back by the right PIN
        assert_eq!(key.uv_tries_left(), 8);

        let wrong = machine.login("sudo", "alice").answers(["1357", ""]).run();
        assert_eq!(wrong.code(), Pam::AuthErr, "{wrong:#?}");
        assert_eq!(key.uv_tries_left(), 5);
    }
}

#[test]
fn where_the_finger_is_not_recognised_at_enrolment_the_pin_is_asked_for() {
    for profile in [Profile::fido_2_0(), Profile::fido_2_1()] {
        let machine = Machine::lived_on();
        machine.policy("user_verification = \"required\"\n");
        let key = VirtualKey::named("Bio").posing_as(profile).with_pin("2468");
        let key = machine.plug_in(key);
        key.fingerprint(Fingerprint::DoesNotMatch);
        machine.enroll_with_pin(&key, "alice", "blue key", "2468");
        let login = machine.login("sudo", "alice").answers(["2468"]).run();
        assert_eq!(login.code(), Pam::Success, "{login:#?}");
    }
}

#[test]
fn a_blocked_sensor_leads_to_the_pin_at_once() {
    for profile in [Profile::fido_2_0(), Profile::fido_2_1()] {
        let key = VirtualKey::named("Bio").posing_as(profile).with_pin("2468");
        let (machine, key) = enrolled(key);
        key.fingerprint(Fingerprint::DoesNotMatch);
        for _ in 0..3 {
            let _ = machine.login("sudo", "alice").answers([""]).run();
        }
        assert_eq!(key.uv_tries_left(), 0);
        key.forget_transactions();
        let login = machine.login("sudo", "alice").answers(["2468"]).run();
        assert_eq!(login.code(), Pam::Success, "{login:#?}");
        assert_eq!(login.questions().len(), 1);
    }
}

#[test]
fn somebody_elses_finger_lets_nobody_in() {
    let (machine, key) = enrolled(VirtualKey::named("Bio"));
    key.fingerprint(Fingerprint::DoesNotMatch);
    let login = machine.login("sudo", "alice").answers(["2468"]).run();
    assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
    assert_eq!(login.questions().len(), 0);
    let sentence = "\"blue key\" did not recognise you, and has no PIN to ask for.";
    assert!(login.said().contains(sentence), "{login:#?}");
    assert_eq!(key.uv_tries_left(), 5, "a login tries three times");
}

const RP: &str = "pam://bench";

fn a_key_and_its_credential() -> (VirtualKey, Channel, Vec<u8>) {
    let key = VirtualKey::named("Bio Key");
    let channel = Channel::open(&key);
    let id = channel.make_credential(RP, &[]).unwrap();
    (key, channel, id)
}

fn with_uv(id: &[u8]) -> Value {
    cbor_map! {
        1 => RP,
        2 => vec![7; 32],
        3 => descriptors(&[id.to_vec()]),
        5 => cbor_map! { "uv" => true },
    }
}

fn ask_with_uv(channel: &Channel, id: &[u8]) -> Result<Value, Reply> {
    channel.ask(GET_ASSERTION, Some(with_uv(id)))
}

fn request(id: &[u8]) -> Vec<u8> {
    let mut request = vec![GET_ASSERTION];
    sk_cbor::write(with_uv(id), &mut request).unwrap();
    request
}

/// The flags of an assertion's authenticator data.
fn flags(assertion: &Value) -> u8 {
    member(assertion, 0x02)
        .unwrap()
        .extract_byte_string()
        .unwrap()[32]
}

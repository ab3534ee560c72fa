//! A key of another make says so in getInfo, and refuses what its firmware lacks.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

// The macros of sk-cbor name it.
extern crate alloc;

use std::process::Command as Program;
use std::time::{Duration, Instant};

use p256::ecdsa::signature::Verifier;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};
use sk_cbor::{Value, cbor_array, cbor_map};
use tests::virtual_key::{Channel, descriptors, member};
use tests::{Command, Machine, Presence, Profile, Reply, VirtualKey};

const RP: &str = "pam://bench";
const HASH: [u8; 32] = [7; 32];
const HASH_BASE64: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const CBOR: u8 = 0x10;

/// CTAP2's commands.
const GET_ASSERTION: u8 = 0x02;
const GET_INFO: u8 = 0x04;
const CLIENT_PIN: u8 = 0x06;
const CREDENTIAL_MANAGEMENT: u8 = 0x0A;
const SELECTION: u8 = 0x0B;
const LARGE_BLOBS: u8 = 0x0C;
const CONFIG: u8 = 0x0D;

#[test]
fn a_key_of_fido_2_0_says_so_and_knows_nothing_of_2_1() {
    let key = VirtualKey::named("Old Key")
        .posing_as(Profile::fido_2_0())
        .with_pin("2468");
    let channel = Channel::open(&key);
    let info = channel.get_info().unwrap();
    assert_eq!(info.versions(), ["U2F_V2", "FIDO_2_0"]);
    assert!(info.members.keys().copied().eq(1..=6));
    let mut options: Vec<_> = info.options.keys().collect();
    // Only a build with a fingerprint sensor has it.
    options.retain(|name| *name != "uv");
    assert_eq!(options, ["clientPin", "plat", "rk", "up"]);
    assert_eq!(info.options.get("clientPin"), Some(&true));
    assert_eq!(info.members[&0x05], 1200.into());
    assert_eq!(info.members[&0x06], cbor_array![1]);

    for command in [SELECTION, CONFIG, CREDENTIAL_MANAGEMENT, LARGE_BLOBS] {
        assert_eq!(
            channel.ask(command, Some(cbor_map! { 1 => 1 })),
            refused(0x01)
        );
    }
    for subcommand in 0x06..=0x09 {
        assert_eq!(client_pin(&channel, 1, subcommand), refused(0x02));
    }
    assert_eq!(client_pin(&channel, 2, 0x02), refused(0x02));
    assert!(client_pin(&channel, 1, 0x02).is_ok());
    assert_eq!(channel.make_credential(RP, &[]), Err(Reply::Ctap2(0x36)));
}

#[test]
fn a_key_of_fido_2_0_without_a_pin_makes_and_asserts_a_credential() {
    let key = VirtualKey::named("Old Key").posing_as(Profile::fido_2_0());
    let channel = Channel::open(&key);
    let id = channel.make_credential(RP, &[]).unwrap();
    assert!(get_assertion(&channel, &[id], Touch::Asked).is_ok());
}

#[test]
fn a_key_of_fido_2_1_pre_has_both_pin_protocols_and_no_permissions() {
    let key = VirtualKey::named("5.4").posing_as(Profile::fido_2_1_pre());
    let channel = Channel::open(&key);
    let info = channel.get_info().unwrap();
    assert_eq!(info.versions(), ["U2F_V2", "FIDO_2_0", "FIDO_2_1_PRE"]);
    assert_eq!(info.members[&0x06], cbor_array![2, 1]);
    assert_eq!(info.members[&0x07], 8.into());
    assert_eq!(info.options.get("pinUvAuthToken"), None);
    assert_eq!(info.options.get("credentialMgmtPreview"), Some(&true));

    assert_eq!(channel.ask(SELECTION, None), refused(0x01));
    for subcommand in [0x06, 0x09] {
        assert_eq!(client_pin(&channel, 2, subcommand), refused(0x02));
    }
    assert!(client_pin(&channel, 2, 0x02).is_ok());
    let ids = vec![vec![1; 64]; 9];
    assert_eq!(
        get_assertion(&channel, &ids, Touch::Silent),
        Err(Reply::Ctap2(0x15))
    );
}

#[test]
fn a_key_of_fido_2_1_is_opensk_as_it_is() {
    let plain = Channel::open(&VirtualKey::named("Plain"));
    let posing = VirtualKey::named("Posing").posing_as(Profile::fido_2_1());
    let posing = Channel::open(&posing);
    let info = posing.get_info().unwrap();
    assert_eq!(info, plain.get_info().unwrap());
    assert_eq!(info.versions(), ["U2F_V2", "FIDO_2_0", "FIDO_2_1"]);
    assert!(posing.ask(SELECTION, None).is_ok());
}

#[test]
fn a_key_with_pin_protocol_one_refuses_two() {
    let profile = Profile::fido_2_1().pin_protocol_one_only();
    let channel = Channel::open(&VirtualKey::named("Blue Key").posing_as(profile));
    assert_eq!(channel.get_info().unwrap().members[&0x06], cbor_array![1]);
    assert_eq!(client_pin(&channel, 2, 0x02), refused(0x02));
    assert!(client_pin(&channel, 1, 0x02).is_ok());
}

#[test]
fn an_always_uv_key_neither_makes_nor_asserts_without_verification() {
    let key = VirtualKey::named("Blue Key");
    let enrolling = Channel::open(&key);
    let id = enrolling.make_credential(RP, &[]).unwrap();
    let channel = Channel::open(&key.posing_as(Profile::fido_2_1().always_uv()));
    let info = channel.get_info().unwrap();
    assert_eq!(info.options.get("alwaysUv"), Some(&true));
    assert_eq!(info.options.get("makeCredUvNotRqd"), Some(&false));
    assert_eq!(info.versions(), ["FIDO_2_0", "FIDO_2_1"]);
    assert_eq!(channel.make_credential(RP, &[]), Err(Reply::Ctap2(0x36)));
    let ids = [id];
    assert_eq!(
        get_assertion(&channel, &ids, Touch::Asked),
        Err(Reply::Ctap2(0x36))
    );
    assert!(get_assertion(&channel, &ids, Touch::Silent).is_ok());
}

#[test]
fn a_key_that_refuses_probes_asserts_with_a_touch_only() {
    let profile = Profile::fido_2_1().refuses_probes();
    let channel = Channel::open(&VirtualKey::named("Blue Key").posing_as(profile));
    let ids = [channel.make_credential(RP, &[]).unwrap()];
    assert_eq!(
        get_assertion(&channel, &ids, Touch::Silent),
        Err(Reply::Ctap2(0x36))
    );
    assert!(get_assertion(&channel, &ids, Touch::Asked).is_ok());
}

#[test]
fn a_key_may_want_its_pin_for_every_credential() {
    let strict = Profile::fido_2_1().make_cred_uv_not_rqd(false);
    let strict = VirtualKey::named("Strict").posing_as(strict);
    let channel = Channel::open(&strict);
    assert!(channel.make_credential(RP, &[]).is_ok(), "no PIN is set");
    let channel = Channel::open(&strict.with_pin("2468"));
    assert_eq!(
        channel.get_info().unwrap().options.get("makeCredUvNotRqd"),
        Some(&false)
    );
    assert_eq!(channel.make_credential(RP, &[]), Err(Reply::Ctap2(0x36)));

    let lenient = Profile::fido_2_1().make_cred_uv_not_rqd(true);
    let lenient = VirtualKey::named("Lenient").posing_as(lenient);
    let channel = Channel::open(&lenient.with_pin("2468"));
    assert_eq!(
        channel.get_info().unwrap().options.get("makeCredUvNotRqd"),
        Some(&true)
    );
    assert!(channel.make_credential(RP, &[]).is_ok());
}

#[test]
fn a_key_reports_the_least_length_of_its_pin_and_that_it_must_be_changed() {
    let profile = Profile::fido_2_1().min_pin_length(6).force_pin_change();
    let key = VirtualKey::named("Blue Key")
        .posing_as(profile)
        .with_pin("2468");
    let info = Channel::open(&key).get_info().unwrap();
    assert_eq!(info.members[&0x0D], 6.into());
    assert_eq!(info.members[&0x0C], Value::bool_value(true));
}

#[test]
fn a_key_refuses_a_longer_list_than_it_takes() {
    let profile = Profile::fido_2_1().most_ids(10);
    let channel = Channel::open(&VirtualKey::named("Blue Key").posing_as(profile));
    assert_eq!(channel.get_info().unwrap().members[&0x07], 10.into());
    let own = channel.make_credential(RP, &[]).unwrap();
    let mut ids = vec![vec![1; 64]; 9];
    ids.push(own);
    assert!(get_assertion(&channel, &ids, Touch::Silent).is_ok());
    ids.push(vec![2; 64]);
    let too_many = Reply::Ctap2(0x15);
    assert_eq!(get_assertion(&channel, &ids, Touch::Silent), Err(too_many));
    assert_eq!(channel.make_credential(RP, &ids), Err(too_many));
}

#[test]
fn a_key_refuses_a_longer_message_than_it_takes() {
    let profile = Profile::fido_2_1().most_bytes(1024);
    let channel = Channel::open(&VirtualKey::named("Blue Key").posing_as(profile));
    assert_eq!(channel.get_info().unwrap().members[&0x05], 1024.into());
    let with_an_id_of = |bytes| get_assertion(&channel, &[vec![1; bytes]], Touch::Silent);
    assert_eq!(with_an_id_of(900), Err(Reply::Ctap2(0x2E)));
    assert_eq!(with_an_id_of(1024), Err(Reply::Ctap2(0x39)));
}

#[test]
fn a_u2f_key_knows_no_cbor() {
    let key = VirtualKey::named("U2F").posing_as(Profile::u2f_only());
    let channel = Channel::open(&key);
    assert_eq!(channel.capabilities() & 0x04, 0);
    assert_eq!(channel.ask(GET_INFO, None), Err(Reply::HidError(0x01)));
    channel.send(0x03, &[0, 3, 0, 0, 0, 0, 0]); // U2F_VERSION
    assert_eq!(channel.answer(), (0x03, b"U2F_V2\x90\x00".to_vec()));
    assert_eq!(
        Channel::open(&VirtualKey::named("2")).capabilities() & 0x04,
        4
    );
}

#[test]
fn a_key_that_hides_its_credentials_knows_none_without_verification() {
    let profile = Profile::fido_2_1().hides_credentials();
    let channel = Channel::open(&VirtualKey::named("Blue Key").posing_as(profile));
    let ids = [channel.make_credential(RP, &[]).unwrap()];
    for touch in [Touch::Silent, Touch::Asked] {
        assert_eq!(
            get_assertion(&channel, &ids, touch),
            Err(Reply::Ctap2(0x2E))
        );
    }
}

#[test]
fn a_cautious_key_says_only_after_a_touch_that_a_credential_is_not_its_own() {
    let profile = Profile::fido_2_1().no_credentials_after_touch();
    let key = VirtualKey::named("Blue Key").posing_as(profile);
    let channel = Channel::open(&key);
    key.presence(Presence::after_ms(250));
    let none = Err(Reply::Ctap2(0x2E));
    let strange = [vec![1; 64]];
    assert_eq!(get_assertion(&channel, &strange, Touch::Silent), none);

    let began = Instant::now();
    assert_eq!(get_assertion(&channel, &strange, Touch::Asked), none);
    assert!(began.elapsed() >= Duration::from_millis(250));
    assert!(key.transactions().last().unwrap().keepalives >= 2);

    key.presence(Presence::Never);
    channel.send(CBOR, &assertion_request(&strange, Touch::Asked));
    key.wait_until_it_blinks();
    channel.send(0x11, &[]); // CTAPHID_CANCEL
    assert_eq!(channel.outcome(), refused(0x2D));
}

#[test]
fn a_rogue_key_claims_every_id_but_its_signature_is_its_own() {
    let profile = Profile::fido_2_1().claims_every_id();
    let key = VirtualKey::named("Rogue").posing_as(profile);
    let channel = Channel::open(&key);
    assert_eq!(
        channel.get_info().unwrap().options.get("clientPin"),
        Some(&true)
    );

    let ids = [vec![5; 64], vec![6; 64]];
    let claim = get_assertion(&channel, &ids, Touch::Silent).unwrap();
    assert_eq!(
        member(&claim, 0x01),
        Some(cbor_map! { "id" => ids[0].clone(), "type" => "public-key" })
    );
    let bytes = |number| {
        member(&claim, number)
            .unwrap()
            .extract_byte_string()
            .unwrap()
    };
    let data = bytes(0x02);
    assert_eq!(data[..32], *Sha256::digest(RP));
    assert_eq!(data[32..], [0, 0, 0, 0, 1]);
    let signature = Signature::from_der(&bytes(0x03)).unwrap();
    let rogue = SigningKey::from_bytes(&[0x52; 32].into()).unwrap();
    rogue
        .verifying_key()
        .verify(&[&data[..], &HASH].concat(), &signature)
        .unwrap();

    let asked = get_assertion(&channel, &ids, Touch::Asked);
    assert_eq!(asked, Err(Reply::Ctap2(0x2E)));
}

#[test]
fn a_busy_key_says_so_for_as_long_as_it_is() {
    let key = VirtualKey::named("Blue Key");
    let channel = Channel::open(&key);
    key.busy_for(Duration::from_millis(500));
    assert_eq!(channel.ask(GET_INFO, None), Err(Reply::HidError(0x06)));
    std::thread::sleep(Duration::from_millis(510));
    assert!(channel.ask(GET_INFO, None).is_ok());
}

#[test]
fn the_journal_tells_a_probe_from_an_assertion() {
    let key = VirtualKey::named("Blue Key");
    let channel = Channel::open(&key);
    let ids = vec![vec![1; 64]; 3];
    get_assertion(&channel, &ids, Touch::Silent).unwrap_err();
    get_assertion(&channel, &ids[..1], Touch::Asked).unwrap_err();
    client_pin(&channel, 2, 0x01).unwrap();
    let said: Vec<_> = key.transactions()[1..]
        .iter()
        .map(|t| (t.command, t.silent, t.ids, t.subcommand))
        .collect();
    assert_eq!(
        said,
        [
            (Command::GetAssertion, true, 3, None),
            (Command::GetAssertion, false, 1, None),
            (Command::ClientPin, false, 0, Some(0x01)),
        ]
    );
}

#[test]
fn pin_tries_are_read_and_set_behind_the_keys_back() {
    let key = VirtualKey::named("Blue Key").with_pin("2468");
    assert_eq!(key.pin_tries_left(), 8);
    key.set_pin_tries_left(2);
    assert_eq!(key.pin_tries_left(), 2);
    let retries = client_pin(&Channel::open(&key), 2, 0x01).unwrap();
    assert_eq!(member(&retries, 0x03), Some(2.into()));
    key.set_pin_tries_left(8);
    assert_eq!(key.pin_tries_left(), 8);
}

#[test]
fn libfido2_proves_the_pin_to_older_keys_side_by_side_in_one_machine() {
    if Program::new("fido2-token").arg("-V").output().is_err() {
        println!("skipped: fido2-token is not installed (package fido2-tools)");
        return;
    }
    let machine = Machine::new();
    let plug_in = |name: &str, profile| {
        let key = VirtualKey::named(name).posing_as(profile);
        machine.plug_in(key.with_pin("2468"))
    };
    let keys = [
        plug_in("2.0", Profile::fido_2_0()),
        plug_in("5.4", Profile::fido_2_1_pre()),
        plug_in("2.1", Profile::fido_2_1().make_cred_uv_not_rqd(false)),
    ];
    for (key, subcommand) in keys.iter().zip([0x05, 0x05, 0x09]) {
        let node = key.node();
        let request = "/root/request";
        machine.write(
            request,
            &format!("{HASH_BASE64}\n{RP}\nalice\nYWxpY2U=\n"),
            0o600,
        );
        let mut making = machine
            .run(["fido2-cred", "-M", "-i", request, "-o", "/root/made", &node])
            .on_a_terminal()
            .start();
        making.wait_for("Enter PIN");
        making.type_line("2468");
        making.finish().expect_success();
        let last = key.transactions().pop().unwrap();
        assert_eq!(
            (last.command, last.reply, last.pin_uv_auth),
            (Command::MakeCredential, Some(Reply::Ctap2(0)), true),
            "{}",
            key.name()
        );
        let tokens: Vec<_> = key
            .transactions()
            .iter()
            .filter(|t| t.command == Command::ClientPin && t.subcommand > Some(0x04))
            .map(|t| t.subcommand)
            .collect();
        assert_eq!(tokens, [Some(subcommand)], "{}", key.name());
    }
}

/// Whether an assertion asks for a touch: the option `up`.
#[derive(Clone, Copy)]
enum Touch {
    Asked,
    Silent,
}

fn refused(status: u8) -> Result<Value, Reply> {
    Err(Reply::Ctap2(status))
}

fn client_pin(channel: &Channel, protocol: u64, subcommand: u64) -> Result<Value, Reply> {
    channel.ask(
        CLIENT_PIN,
        Some(cbor_map! { 1 => protocol, 2 => subcommand }),
    )
}

fn get_assertion(channel: &Channel, ids: &[Vec<u8>], touch: Touch) -> Result<Value, Reply> {
    channel.send(CBOR, &assertion_request(ids, touch));
    channel.outcome()
}

fn assertion_request(ids: &[Vec<u8>], touch: Touch) -> Vec<u8> {
    let parameters = cbor_map! {
        1 => RP,
        2 => HASH.to_vec(),
        3 => descriptors(ids),
        5 => cbor_map! { "up" => matches!(touch, Touch::Asked) },
    };
    let mut request = vec![GET_ASSERTION];
    sk_cbor::write(parameters, &mut request).unwrap();
    request
}

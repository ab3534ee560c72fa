//! What a key says of a new credential (WebAuthn §7.1), and of itself before that.

#![forbid(unsafe_code)]

use std::time::Duration;

use tests::liar::cbor::with_value;
use tests::liar::{Act, KeyPair, Lie, Moment};
use tests::{Liar, Machine, VirtualKey};

use crate::desk::{ALICE_FILE, Desk, new};
use crate::scene::PIN;

#[test]
fn new_credentials_that_contradict_themselves_are_not_enrolled() {
    let desk = Desk::new("es256");
    let refuses = |fault: &str, lie: Lie, why: &str| {
        desk.refuses(
            fault,
            lie,
            &format!("(/dev/hidraw0) made is not accepted: {why}"),
        );
    };
    refuses("UP 0", new(|it| it.flags &= !1), "nobody touched it");
    refuses(
        "another relying party",
        new(|it| it.rp_id_hash[0] ^= 1),
        "the answer is for another relying party",
    );
    refuses(
        "BS without BE",
        new(|it| it.flags |= 0x10),
        "its backup flags contradict each other",
    );
    refuses(
        "ED without data",
        new(|it| it.flags |= 0x80),
        "extension data is not a CBOR map",
    );
    refuses(
        "an extension nobody asked for",
        new(|it| {
            it.flags |= 0x80;
            it.behind = vec![0xA0];
        }),
        "it sent data nobody asked for",
    );
    refuses(
        "a byte behind",
        new(|it| it.behind = vec![0]),
        "authenticator data is 1 bytes longer than its flags say",
    );
    refuses(
        "no AT",
        new(|it| it.flags &= !0x40),
        "authenticator data is 127 bytes longer than its flags say",
    );
    refuses(
        "another key's signature",
        new(|it| it.key = KeyPair::Es256([7; 32])),
        "its attestation statement is a signature that does not verify",
    );
    refuses(
        "another challenge",
        new(|it| it.client_data_hash[0] ^= 1),
        "its attestation statement is a signature that does not verify",
    );
    refuses(
        "a statement of another algorithm",
        new(|it| it.algorithm = -8),
        "its attestation statement is another algorithm than the key's",
    );
    refuses(
        "an EdDSA key where ES256 was asked for",
        new(|it| {
            it.key = KeyPair::EdDsa([7; 32]);
            it.algorithm = -8;
            // Of the seed 07…07, so that the signature verifies.
            it.claims_eddsa(&it.key.public());
        }),
        "it made a key of another algorithm than asked for",
    );
    refuses(
        "an id of no bytes",
        new(|it| it.credential_id.clear()),
        "a credential id of 0 bytes is impossible",
    );
    refuses(
        "an id of 1,024 bytes",
        new(|it| it.credential_id = vec![1; 1024]),
        "a credential id of 1024 bytes",
    );
    desk.accepts("nothing", Lie::None);
}

#[test]
fn a_key_that_cannot_use_what_it_made_is_not_enrolled() {
    let desk = Desk::new("es256");
    for (fault, lie) in [
        (
            "by another key",
            Lie::assertion(|it| it.key = KeyPair::Es256([7; 32])),
        ),
        ("UP 0", Lie::assertion(|it| it.flags = 0)),
    ] {
        desk.refuses(
            fault,
            lie,
            "the answer of \"Liar\" (/dev/hidraw0) is not accepted:",
        );
    }
}

#[test]
fn a_key_that_speaks_cbor_only_the_first_time_is_not_enrolled() {
    let desk = Desk::new("es256");
    let inits = std::sync::atomic::AtomicUsize::new(0);
    let lie = Lie::packets(Moment::Init, move |packets| {
        let mut report = packets.honest[0];
        if inits.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 0 {
            report[23] &= !0x04;
        }
        vec![Act::Send(report)]
    });
    desk.refuses("CBOR dropped between two INITs", lie, "speaks only U2F");
}

#[test]
fn keys_that_say_no() {
    let desk = Desk::new("es256");
    let info = |member: u64, value: &'static [u8]| {
        Lie::answer(Moment::GetInfo, move |honest| {
            with_value(honest, member, value)
        })
    };
    desk.refuses(
        "no FIDO2 among its versions",
        info(1, b"\x81\x66U2F_V2"),
        "speaks only U2F",
    );
    desk.refuses(
        "no ES256 among its algorithms",
        info(10, b"\x81\xA2\x63alg\x27\x64type\x6Apublic-key"),
        "cannot make",
    );
    for (fault, status, sentence) in [
        (
            "it holds one already",
            0x19,
            "is enrolled for alice already",
        ),
        ("it is full", 0x28, "has no room"),
        ("it is not touched", 0x2F, "nobody touched"),
        ("its person says no", 0x27, "was denied"),
    ] {
        let lie = Lie::answer(Moment::MakeCredential, move |_| vec![status]);
        desk.refuses(fault, lie, sentence);
    }
}

#[test]
fn a_key_that_says_often_that_it_waits_is_believed_once() {
    let desk = Desk::new("es256");
    let lie = Lie::packets(Moment::MakeCredential, |packets| {
        let blinks = packets.keepalive(2);
        let blinks = (0..5).flat_map(|_| [Act::Send(blinks), Act::Wait(Duration::from_millis(50))]);
        blinks.chain(packets.sent()).collect()
    });
    let ended = desk.enroll("new", lie).expect_success();
    let touch = "Touch \"Liar\" (/dev/hidraw0) to enrol it for alice";
    assert_eq!(ended.stderr.matches(touch).count(), 1, "{ended:#?}");
}

#[test]
fn a_key_that_does_not_verify_its_person_is_not_enrolled() {
    let machine = Machine::lived_on();
    let liar = Liar::named("Liar").with_pin(PIN);
    liar.lies(new(|it| it.flags &= !0x04));
    let _port = machine.plug_in_cable(liar.name(), liar.power_on());
    let enroll = ["enroll", "--user", "alice", "--name", "new"];
    let mut enroll = machine.passkey(enroll).on_a_terminal().start();
    enroll.wait_for("[y/N] ");
    enroll.type_line("y");
    enroll.wait_for("tries left: ");
    enroll.type_line(PIN);
    let ended = enroll.finish();
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let sentence = "made a credential without checking a PIN or fingerprint";
    assert!(ended.stdout.contains(sentence), "{ended:#?}");
    assert_eq!(machine.read(ALICE_FILE), None);
}

#[test]
fn a_key_that_takes_few_ids_at_once_is_not_enrolled_twice() {
    let desk = Desk::new("es256");
    desk.enroll("new", Lie::None).expect_success();
    let enrolled = desk.machine.read(ALICE_FILE);
    // Asked for the first id alone it makes another credential; the second is its own.
    let one_id = Lie::answer(Moment::GetInfo, |honest| with_value(honest, 7, &[1]));
    let ended = desk.enroll("another", one_id);
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let sentence = "is enrolled for alice already";
    assert!(ended.stderr.contains(sentence), "{ended:#?}");
    assert_eq!(desk.machine.read(ALICE_FILE), enrolled);
}

#[test]
fn names_that_would_move_a_cursor_are_made_fit_to_be_shown() {
    let machine = Machine::lived_on();
    let evil = "Key\x1b[2J\u{202e}\u{7}\"\u{3164}\u{201d}; touch me\r";
    let key = machine.plug_in(VirtualKey::named(evil));
    let enroll = ["enroll", "--user", "alice", "--touch-only", "--name", "new"];
    let enrolled = machine.passkey(enroll).output().expect_success();
    let shown = |text: &str| {
        text.chars()
            .all(|c| !c.is_control() && c != '\u{202e}' || c == '\n')
    };
    assert!(
        shown(&enrolled.stderr) && shown(&enrolled.stdout),
        "{enrolled:#?}"
    );
    key.presence(tests::Presence::Deny);
    let login = machine.login("sudo", "alice").run();
    assert!(shown(&login.said()) && shown(&login.logged()), "{login:#?}");
    // Neither a quote that would end its own nor a blank that is no blank.
    let denied = "denied on \"Key?[2J?????; touch me\" (/dev/hidraw0)";
    assert!(login.logged().contains(denied), "{login:#?}");
}

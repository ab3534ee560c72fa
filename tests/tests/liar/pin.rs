//! On the way to a PIN: what a key says before it is given one, and of it.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

use tests::liar::cbor::{RawAnswer, head, with_value};
use tests::liar::{Assertion, KeyPair, Lie, Moment, cose_key};
use tests::login::assert_outcome;
use tests::{Pam, Presence};

use crate::scene::{Expected, Scene};

/// It could not check a PIN, for this reason.
fn could_not(why: &str) -> Expected {
    Expected::faulty(
        format!("A PIN or fingerprint is required here, and \"liar\" could not check one: {why}.")
            .leak(),
    )
}

fn key_agreement(x: &'static [u8], y: &'static [u8]) -> Lie {
    Lie::answer(Moment::KeyAgreement, move |honest| {
        with_value(honest, 1, &cose_key(x, y))
    })
}

#[test]
fn key_agreement_keys_that_are_no_points_are_refused() {
    let mut scene = Scene::pin();
    let off_curve = could_not("its key agreement key is not on the curve");
    let malformed = could_not("its answer is malformed: a key agreement key");
    scene.tries(
        "off the curve",
        key_agreement(&[1; 32], &[1; 32]),
        off_curve,
    );
    scene.tries("infinity", key_agreement(&[0; 32], &[0; 32]), off_curve);
    scene.tries(
        "over the field",
        key_agreement(&[0xFF; 32], &[0xFF; 32]),
        off_curve,
    );
    scene.tries(
        "31 bytes of x",
        key_agreement(&[1; 31], &[1; 32]),
        malformed,
    );
    scene.tries(
        "x twice",
        Lie::answer(Moment::KeyAgreement, |honest| {
            let mut raw = RawAnswer::of(honest);
            let key = raw.value(1);
            key[0] += 1;
            key.extend([&[0x21, 0x58, 0x20][..], &[1; 32]].concat());
            raw.written()
        }),
        could_not("its answer is malformed: a member that stands twice"),
    );
    scene.tries(
        "no y",
        Lie::answer(Moment::KeyAgreement, |honest| {
            let mut raw = RawAnswer::of(honest);
            let key = raw.value(1);
            key[0] -= 1;
            // Its last member: a key of one byte, a length of two, and 32.
            key.truncate(key.len() - 35);
            raw.written()
        }),
        malformed,
    );
    scene.tries(
        "33 bytes of y",
        key_agreement(&[1; 32], &[1; 33]),
        malformed,
    );
    scene.tries("no coordinates", key_agreement(&[], &[]), malformed);
    scene.tries(
        "no key at all",
        Lie::answer(Moment::KeyAgreement, |_| vec![0, 0xA0]),
        could_not("it gave no key agreement key"),
    );
}

#[test]
fn protocol_one_refuses_bad_points_and_tokens() {
    let mut scene = Scene::pin_protocol_one();
    let off_curve = could_not("its key agreement key is not on the curve");
    scene.tries(
        "off the curve",
        key_agreement(&[1; 32], &[1; 32]),
        off_curve,
    );
    let length = could_not("its PIN/UV auth token has an impossible length");
    for bytes in [0, 15, 17, 31, 48] {
        scene.tries(&format!("a token of {bytes} bytes"), token(bytes), length);
    }
}

fn token(length: usize) -> Lie {
    Lie::answer(Moment::PinToken, move |honest| {
        with_value(
            honest,
            2,
            &[head(2, length as u64), vec![7; length]].concat(),
        )
    })
}

#[test]
fn tokens_of_impossible_lengths_are_refused() {
    let mut scene = Scene::pin();
    let length = could_not("its PIN/UV auth token has an impossible length");
    for bytes in [0, 15, 16, 32, 47, 49, 64, 4096] {
        scene.tries(&format!("a token of {bytes} bytes"), token(bytes), length);
    }
    scene.tries(
        "a token that is another",
        token(48),
        could_not("it did not accept the proof of the PIN (CTAP status 0x33)"),
    );
    scene.tries(
        "no token at all",
        Lie::answer(Moment::PinToken, |_| vec![0, 0xA0]),
        could_not("it gave no token"),
    );
}

/// It says that so many tries are left, the first time, the second, and from then on.
fn tries_left(says: &'static [u64]) -> Lie {
    let asked = AtomicUsize::new(0);
    Lie::answer(Moment::PinRetries, move |honest| {
        let at = asked.fetch_add(1, Ordering::Relaxed).min(says.len() - 1);
        with_value(honest, 3, &head(0, says[at]))
    })
}

#[test]
fn tries_left_that_lie_cost_no_pin() {
    let mut scene = Scene::pin();
    let last_try = "The PIN of \"liar\" has one try left, which is not risked here.";
    let blocked = "The PIN of \"liar\" is blocked: only a reset helps, which erases the key.";
    scene.tries("none left", tries_left(&[0]), Expected::faulty(blocked));
    scene.tries("one left", tries_left(&[1]), Expected::faulty(last_try));
    // What it says depends on how often it was asked: so it begins anew.
    let recounted = "three left, and after the prompt one";
    scene.alone(recounted, tries_left(&[3, 1]), Expected::faulty(last_try));
    scene.beside_an_honest_key(recounted, tries_left(&[3, 1]));
    for says in [&[9], &[255], &[256], &[1 << 32], &[u64::MAX]] {
        scene.tries(
            &format!("{says:?} left"),
            tries_left(says),
            Expected::Tolerated,
        );
    }
    scene.tries(
        "no number",
        Lie::answer(Moment::PinRetries, |_| vec![0, 0xA0]),
        could_not("it does not say how many tries are left"),
    );
    scene.tries(
        "unplug me first",
        Lie::answer(Moment::PinRetries, |honest| {
            let mut raw = RawAnswer::of(honest);
            raw.add(&[4], &[0xF5]);
            raw.written()
        }),
        Expected::faulty("Too many wrong PINs. Unplug \"liar\", plug it in and try again."),
    );
}

#[test]
fn a_key_that_says_eight_for_ever_is_given_three_wrong_pins() {
    let scene = Scene::pin();
    scene.liar().lies(tries_left(&[8]));
    let _port = scene.plug_liar_in();
    let login = scene
        .machine()
        .login("sudo", "alice")
        .answers(["wrong pin"; 9])
        .calls(3)
        .run();
    let sentence = "No further PIN may be tried here. Start again if you know the right one.";
    assert_outcome(&login, Pam::MaxTries, sentence);
    assert_eq!(scene.liar().pin_tries_left(), 8 - 3);
}

/// The answer to a silent request, before any PIN is asked for.
fn tries_to_phish(
    scene: &mut Scene,
    fault: &str,
    lie: impl Fn(&mut Assertion) + Send + Sync + 'static,
    why: &str,
) {
    let lie = Lie::probe(lie);
    let login = scene.login_with(lie.clone());
    assert!(login.questions().is_empty(), "{fault}: {login:#?}");
    assert!(
        scene.liar_got_no_pin(),
        "{fault}: {:?}",
        scene.liar().heard()
    );
    let sentence = format!("was not accepted: {why}");
    scene.tries(fault, lie, Expected::faulty(sentence.leak()));
}

#[test]
fn a_stick_that_only_claims_a_credential_is_asked_for_no_pin() {
    let mut scene = Scene::pin();
    let no_signature = "the signature does not verify.";
    let scene = &mut scene;
    tries_to_phish(
        scene,
        "claims every id",
        |it| it.key = KeyPair::Es256([7; 32]),
        no_signature,
    );
    tries_to_phish(
        scene,
        "the answer to the question before",
        |it| it.client_data_hash = it.before.last().unwrap().clone(),
        no_signature,
    );
    tries_to_phish(
        scene,
        "another relying party's",
        |it| it.rp_id_hash[0] ^= 1,
        "the answer is for another relying party.",
    );
    tries_to_phish(
        scene,
        "a credential nobody asked for",
        |it| it.credential_id = Some(vec![9; 32]),
        "it answered for a credential nobody asked for.",
    );
    tries_to_phish(
        scene,
        "no id, where there were several",
        |it| it.credential_id = None,
        "it does not say which credential answered.",
    );
    tries_to_phish(scene, "36 bytes", |it| it.counter.truncate(3), "");
    tries_to_phish(
        scene,
        "extensions",
        |it| (it.flags, it.behind) = (0x80, vec![0xA0]),
        "it sent data",
    );
}

#[test]
fn what_it_signed_silently_opens_nothing() {
    let mut scene = Scene::pin();
    scene.tries(
        "the bytes of the silent question",
        Lie::assertion(|it| it.client_data_hash = it.before.last().unwrap().clone()),
        Expected::faulty("was not accepted: the signature does not verify."),
    );
    let nobody_asked =
        Expected::faulty("was not accepted: it answered for a credential nobody asked for.");
    scene.tries(
        "a strange credential, where one was proven",
        Lie::assertion(|it| it.credential_id = Some(vec![9; 32])),
        nobody_asked,
    );
    let other = scene.enroll_liar_again();
    scene.tries(
        "another of her credentials than the one that was proven, and its signature",
        Lie::assertion(move |it| (it.credential_id, it.key) = (Some(other.id.clone()), other.key)),
        nobody_asked,
    );
    scene.tries(
        "no id, where there is but one",
        Lie::assertion(|it| it.credential_id = None),
        Expected::Tolerated,
    );
}

#[test]
fn what_it_says_of_itself() {
    let mut scene = Scene::pin();
    let info = |change: fn(&mut RawAnswer)| {
        Lie::answer(Moment::GetInfo, move |honest| {
            let mut raw = RawAnswer::of(honest);
            change(&mut raw);
            raw.written()
        })
    };
    for (fault, lie, sentence) in [
        (
            "no versions",
            info(|raw| raw.remove(1)),
            "its answer is malformed: getInfo without versions.",
        ),
        (
            "no AAGUID",
            info(|raw| raw.remove(3)),
            "its answer is malformed: getInfo without an AAGUID.",
        ),
        (
            "an option twice",
            info(|raw| *raw.value(4) = b"\xA2\x69clientPin\xF5\x69clientPin\xF5".to_vec()),
            "its answer is malformed: an option that stands twice.",
        ),
        (
            "a PIN for managing it alone",
            info(|raw| {
                let name = b"\x78\x1EnoMcGaPermissionsWithClientPin";
                let options = raw.value(4);
                options[0] += 1;
                options.extend([&name[..], &[0xF5]].concat());
            }),
            "\"liar\" has none set up. Set a PIN on it, or use another key.",
        ),
        (
            "a PIN that must be changed",
            info(|raw| raw.add(&[12], &[0xF5])),
            "The PIN of \"liar\" must be changed first: passkey key pin change",
        ),
        (
            "protocol 3 alone",
            info(|raw| *raw.value(6) = vec![0x81, 3]),
            "could not check one: it speaks no PIN protocol of ours.",
        ),
    ] {
        scene.tries(fault, lie, Expected::faulty(sentence));
    }
}

#[test]
fn a_key_is_not_chosen_by_saying_no() {
    let scene = Scene::pin();
    for status in [0x01, 0x27, 0x2F, 0x31, 0x33, 0x35] {
        let lie = Lie::answer(Moment::Selection, move |_| vec![status]);
        scene.liar().lies(lie);
        scene.liar().forget();
        let _port = scene.plug_liar_in();
        let blue = scene.machine().plug_in(scene.blue().clone());
        blue.presence(Presence::after_ms(300));
        let login = scene.login();
        assert_outcome(&login, Pam::Success, "Touch \"blue key\"");
        assert_eq!(
            login.questions(),
            ["PIN of \"blue key\", 8 tries left: "],
            "status {status:#04x}"
        );
        assert!(scene.liar_got_no_pin(), "status {status:#04x}");
    }
}

#[test]
fn limits_of_zero_are_refused() {
    let mut scene = Scene::pin();
    let info = |member: u64, value: Vec<u8>| {
        Lie::answer(Moment::GetInfo, move |honest| {
            with_value(honest, member, &value)
        })
    };
    let none = Expected::faulty("its answer is malformed: a limit of 0 in getInfo.");
    scene.tries("maxMsgSize 0", info(5, head(0, 0)), none);
    scene.tries("maxCredentialCountInList 0", info(7, head(0, 0)), none);
    scene.tries("minPINLength 0", info(13, head(0, 0)), none);
    for size in [1, 1024, 7609, 7610, 1 << 32, u64::MAX] {
        scene.tries(
            &format!("maxMsgSize {size}"),
            info(5, head(0, size)),
            Expected::Tolerated,
        );
    }
    for count in [1, 1 << 32, u64::MAX] {
        let lie = info(7, head(0, count));
        scene.tries(
            &format!("maxCredentialCountInList {count}"),
            lie,
            Expected::Tolerated,
        );
    }
    let over = Expected::faulty("its answer is malformed: a minPINLength over 63.");
    scene.tries("minPINLength 64", info(13, head(0, 64)), over);
    // A PIN of six is too short for a key that wants 63: it is not sent.
    let login = scene.login_with(info(13, head(0, 63)));
    assert_outcome(
        &login,
        Pam::AuthErr,
        "That is not a PIN: the PIN has at least 63 characters.",
    );
    assert!(scene.liar_got_no_pin());
}

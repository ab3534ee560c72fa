//! What an assertion says: the rules of acceptance (WebAuthn §7.2), one after the other.
//!
//! Everything is signed again with the enrolled private key after the lie, but where the lie is
//! the signature.

#![forbid(unsafe_code)]

use tests::liar::cbor::nested;
use tests::liar::{Assertion, KeyPair, Lie, Value};

use tests::Pam;
use tests::login::assert_outcome;

use crate::scene::{Expected, Scene};

fn assertion(lie: impl Fn(&mut Assertion) + Send + Sync + 'static) -> Lie {
    Lie::assertion(lie)
}

/// Signs nothing, and sends these bytes as the signature.
fn forged(signature: &'static [u8]) -> Lie {
    assertion(|it| it.signed(|_, _| signature.to_vec()))
}

const NO_SIGNATURE: Expected = Expected::AtOnce(
    Pam::AuthErr,
    "was not accepted: the signature does not verify.",
);

#[test]
fn an_answer_without_a_touch_or_with_other_backup_flags_is_refused() {
    let mut scene = Scene::touch();
    scene.tries(
        "UP 0",
        assertion(|it| it.flags = 0),
        Expected::faulty("was not accepted: nobody touched it."),
    );
    scene.tries(
        "UV without UP",
        assertion(|it| it.flags = 0x04),
        Expected::faulty("was not accepted: nobody touched it."),
    );
    let backup = "was not accepted: its backup flags differ from those at enrolment.";
    for (fault, flags) in [("BE", 0x09), ("BS", 0x11), ("BE and BS", 0x19)] {
        let lie = assertion(move |it| it.flags = flags);
        scene.tries(
            &format!("{fault} out of nowhere"),
            lie,
            Expected::faulty(backup),
        );
    }
    scene.tries(
        "UV where nobody asked for it",
        assertion(|it| it.flags |= 0x04),
        Expected::Tolerated,
    );
    scene.tries(
        "the reserved flags",
        assertion(|it| it.flags |= 0x22),
        Expected::Tolerated,
    );
}

#[test]
fn an_unverified_person_is_refused_where_verification_is_required() {
    for (mut scene, by) in [
        (Scene::pin(), "policy and credential"),
        (Scene::pin_by_policy(), "the policy alone"),
        (Scene::pin_by_credential(), "the credential alone"),
    ] {
        scene.tries(
            &format!("UV 0 where it is required by {by}"),
            assertion(|it| it.flags &= !0x04),
            Expected::faulty("was not accepted: it did not verify the person."),
        );
    }
}

#[test]
fn another_relying_party_or_unasked_data_is_refused() {
    let mut scene = Scene::touch();
    scene.tries(
        "another relying party",
        assertion(|it| it.rp_id_hash[0] ^= 1),
        Expected::faulty("was not accepted: the answer is for another relying party."),
    );
    let too_short =
        Expected::faulty("was not accepted: authenticator data is shorter than its flags say.");
    for cut in [1, 4] {
        scene.tries(
            &format!("authenticator data of {} bytes", 37 - cut),
            assertion(move |it| it.counter.truncate(4 - cut)),
            too_short,
        );
    }
    scene.tries(
        "authenticator data of 0 bytes",
        assertion(|it| {
            it.rp_id_hash.clear();
            it.counter.clear();
        }),
        too_short,
    );
    scene.tries(
        "a byte behind authenticator data",
        assertion(|it| it.behind = vec![0]),
        Expected::faulty("was not accepted: authenticator data is 1 bytes longer"),
    );
    scene.tries(
        "AT without its data",
        assertion(|it| it.flags |= 0x40),
        too_short,
    );
    let nobody_asked = Expected::faulty("was not accepted: it sent data nobody asked for.");
    scene.tries(
        "AT with a new credential",
        assertion(|it| {
            let (model, id, public_key) = ([0; 16], [0, 1, 9], [0xA0]);
            (it.flags, it.behind) = (0x41, [&model[..], &id, &public_key].concat());
        }),
        nobody_asked,
    );
    scene.tries(
        "ED with an extension nobody asked for",
        assertion(|it| (it.flags, it.behind) = (0x81, vec![0xA1, 0x61, b'x', 0xF5])),
        nobody_asked,
    );
    let no_map = Expected::faulty("was not accepted: extension data is not a CBOR map.");
    for (fault, behind) in [
        ("nothing", vec![]),
        ("a number", vec![1]),
        ("7,000 lists in each other", nested(&[0x81], 7000)),
    ] {
        let lie = assertion(move |it| (it.flags, it.behind) = (0x81, behind.clone()));
        scene.tries(&format!("ED with {fault}"), lie, no_map);
    }
}

#[test]
fn a_signature_over_anything_else_is_refused() {
    let mut scene = Scene::touch();
    scene.tries(
        "the challenge of the login before",
        assertion(|it| it.client_data_hash = it.before.last().unwrap().clone()),
        NO_SIGNATURE,
    );
    scene.tries(
        "no challenge at all",
        assertion(|it| it.client_data_hash.clear()),
        NO_SIGNATURE,
    );
    scene.tries(
        "by another key",
        assertion(|it| it.key = KeyPair::Es256([7; 32])),
        NO_SIGNATURE,
    );
    scene.tries("nothing", forged(&[]), NO_SIGNATURE);
    scene.tries("r 0", forged(&[0x30, 6, 2, 1, 0, 2, 1, 1]), NO_SIGNATURE);
    scene.tries("s 0", forged(&[0x30, 6, 2, 1, 1, 2, 1, 0]), NO_SIGNATURE);
    scene.tries(
        "r and s 0",
        forged(&[0x30, 6, 2, 1, 0, 2, 1, 0]),
        NO_SIGNATURE,
    );
    scene.tries(
        "a negative r",
        forged(&[0x30, 6, 2, 1, 0xFF, 2, 1, 1]),
        NO_SIGNATURE,
    );
    scene.tries(
        "r that does not end",
        forged(&[0x30, 6, 2, 0x7F, 1]),
        NO_SIGNATURE,
    );
    scene.tries(
        "IEEE P1363 instead of DER",
        assertion(|it| it.signed(KeyPair::sign_p1363)),
        NO_SIGNATURE,
    );
    scene.tries(
        "64 bytes of EdDSA by a key of its own",
        assertion(|it| it.key = KeyPair::EdDsa([7; 32])),
        NO_SIGNATURE,
    );
    scene.tries(
        "DER with a byte behind it",
        assertion(|it| it.signed(|key, message| [key.sign(message), vec![0]].concat())),
        NO_SIGNATURE,
    );
    scene.tries(
        "BER: a length longer than it need be",
        assertion(|it| {
            it.signed(|key, message| {
                let der = key.sign(message);
                [&[0x30, 0x81, der[1]], &der[2..]].concat()
            });
        }),
        NO_SIGNATURE,
    );
    scene.tries(
        "a bit of it turned",
        assertion(|it| {
            it.signed(|key, message| {
                let mut der = key.sign(message);
                *der.last_mut().unwrap() ^= 1;
                der
            });
        }),
        NO_SIGNATURE,
    );
}

/// R the neutral element and s 0: good for every message under a key of low order.
const NEUTRAL: &[u8] = &{
    let mut signature = [0; 64];
    signature[0] = 1;
    signature
};

#[test]
fn an_eddsa_signature_that_is_none_is_refused() {
    let mut scene = Scene::touch_eddsa();
    scene.tries(
        "ES256 by a key of its own",
        assertion(|it| it.key = KeyPair::Es256([7; 32])),
        NO_SIGNATURE,
    );
    scene.tries(
        "by another key",
        assertion(|it| it.key = KeyPair::EdDsa([7; 32])),
        NO_SIGNATURE,
    );
    scene.tries("the neutral element", forged(NEUTRAL), NO_SIGNATURE);
    scene.tries("64 zeros", forged(&[0; 64]), NO_SIGNATURE);
    scene.tries("nothing", forged(&[]), NO_SIGNATURE);
    scene.tries(
        "a byte behind it",
        assertion(|it| it.signed(|key, message| [key.sign(message), vec![0]].concat())),
        NO_SIGNATURE,
    );
    scene.tries(
        "s not reduced",
        assertion(|it| it.signed(|key, message| with_s_plus_order(key.sign(message)))),
        NO_SIGNATURE,
    );
}

/// The same signature with the group's order added to s, which some verifiers take as well (RFC
/// 8032 §5.1.7, step 1).
fn with_s_plus_order(mut signature: Vec<u8>) -> Vec<u8> {
    let mut order = [0; 32];
    order[..16].copy_from_slice(&0x14de_f9de_a2f7_9cd6_5812_631a_5cf5_d3ed_u128.to_le_bytes());
    order[31] = 0x10;
    let mut carry = 0;
    for (s, order) in signature[32..].iter_mut().zip(order) {
        let sum = u16::from(*s) + u16::from(order) + carry;
        (*s, carry) = (sum.to_le_bytes()[0], sum >> 8);
    }
    signature
}

#[test]
fn a_credential_nobody_asked_for_is_refused() {
    let mut scene = Scene::touch();
    let nobody_asked = "was not accepted: it answered for a credential nobody asked for.";
    scene.tries(
        "one that is not in the list",
        assertion(|it| it.credential_id = Some(vec![9; 32])),
        Expected::faulty(nobody_asked),
    );
    scene.tries(
        "an empty id",
        assertion(|it| it.credential_id = Some(Vec::new())),
        Expected::faulty(nobody_asked),
    );
    scene.tries(
        "none, where the list had several",
        assertion(|it| it.credential_id = None),
        Expected::faulty("was not accepted: it does not say which credential answered."),
    );
    scene.tries(
        "the other key's",
        assertion(|it| it.credential_id = it.asked.last().cloned()),
        // The blue key's public key does not verify what this one signed.
        NO_SIGNATURE,
    );
    for number in [0_u64, 1, 2, 1 << 31, 1 << 63] {
        scene.tries(
            &format!("numberOfCredentials {number}"),
            assertion(move |it| it.more = vec![(5, Value::unsigned(number))]),
            Expected::Tolerated,
        );
    }
}

#[test]
fn another_users_credential_is_refused() {
    let mut scene = Scene::touch();
    // bob's key is this very stick; only the id in the answer is his.
    let bobs = scene.enroll_liar_for_bob();
    scene.tries(
        "bob's credential, and bob's signature",
        assertion(move |it| (it.credential_id, it.key) = (Some(bobs.id.clone()), bobs.key)),
        Expected::faulty("was not accepted: it answered for a credential nobody asked for."),
    );
}

#[test]
fn a_credential_that_can_be_copied() {
    const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

    let mut scene = Scene::touch();
    // As if her keys had said so when they were enrolled.
    let file = scene.machine().read(ALICE_FILE).unwrap();
    let file = file.replace("synced = false", "synced = true");
    scene.machine().write(ALICE_FILE, &file, 0o600);
    let synced = || assertion(|it| it.flags |= 0x08);
    scene.alone("BE, as at enrolment", synced(), Expected::Tolerated);
    let backup = "was not accepted: its backup flags differ from those at enrolment.";
    scene.alone("BE gone since", Lie::None, Expected::faulty(backup));
    scene.set_settings("synced = \"refuse\"\n");
    scene.alone(
        "BE where policy refuses it",
        synced(),
        Expected::faulty("was not accepted: its credential can be copied, which policy refuses."),
    );
}

/// It signs this counter, whatever it has counted.
fn counts(counter: u32) -> Lie {
    assertion(move |it| it.counter = counter.to_be_bytes().to_vec())
}

#[test]
fn a_counter_that_does_not_grow_is_refused_or_raises_the_alarm() {
    let mut scene = Scene::touch();
    scene.login_with(Lie::None);
    let refused = Expected::faulty("was not accepted: its signature counter is");
    scene.set_settings("counter = \"refuse\"\n");
    let stored = scene.liar().counter();
    scene.tries("equal", counts(stored), refused);
    scene.tries("lower", counts(stored - 1), refused);
    scene.tries("zero", counts(0), refused);

    // Where policy only warns she is let in, and told.
    scene.set_settings("");
    let warning = "Warning: a copy of \"liar\" may be in use. Tell your administrator.";
    for counter in [scene.liar().counter(), 1, 0] {
        let login = scene.login_with(counts(counter));
        assert_outcome(&login, Pam::Success, warning);
        assert!(login.logged().contains("CLONE ALARM"), "{login:#?}");
    }

    // A key that keeps none says zero for ever, which is no alarm.
    let counters = "/var/lib/pam-passkey/counters";
    let forget = scene.machine().sh(format!("rm -r {counters}"));
    forget.output().expect_success();
    scene.set_settings("counter = \"refuse\"\n");
    for _ in 0..2 {
        let login = scene.login_with(counts(0));
        assert_outcome(&login, Pam::Success, "");
    }
    scene.set_settings("");

    // The largest there is, and on from the beginning.
    let login = scene.login_with(counts(u32::MAX));
    assert_outcome(&login, Pam::Success, "");
    let login = scene.login_with(Lie::None);
    assert_outcome(&login, Pam::Success, warning);
    scene.set_settings("counter = \"refuse\"\n");
    let login = scene.login_with(Lie::None);
    let sentence = "where more than 4294967295 was expected";
    assert_outcome(&login, Pam::AuthErr, sentence);
}

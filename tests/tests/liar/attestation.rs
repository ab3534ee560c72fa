//! What a new credential comes with (WebAuthn §6.5): its public key, and what vouches for it.

#![forbid(unsafe_code)]

use tests::Attestation;
use tests::liar::cbor::{RawAnswer, head, with_value};
use tests::liar::{Lie, Moment};

use crate::desk::{Desk, new};

#[test]
fn points_off_the_curve_are_not_enrolled() {
    let desk = Desk::new("es256");
    let off_curve = "the public key is not a point on its curve";
    desk.refuses(
        "off the curve",
        new(|it| it.claims_es256(&[1; 32], &[1; 32])),
        off_curve,
    );
    desk.refuses(
        "infinity",
        new(|it| it.claims_es256(&[0; 32], &[0; 32])),
        off_curve,
    );
    desk.refuses(
        "over the field",
        new(|it| it.claims_es256(&[0xFF; 32], &[1; 32])),
        off_curve,
    );
    let neither = "the credential's public key is neither ES256 nor EdDSA";
    desk.refuses(
        "31 bytes",
        new(|it| it.claims_es256(&[1; 31], &[1; 32])),
        neither,
    );
    desk.refuses("no y", new(|it| it.claims_es256(&[1; 32], &[])), neither);
}

/// A `COSE_Key` with one more member than it had.
fn with_member(cose_key: &mut Vec<u8>, member: &[u8]) {
    cose_key[0] += 1;
    cose_key.extend(member);
}

#[test]
fn public_keys_that_are_not_what_they_say() {
    let neither = "the credential's public key is neither ES256 nor EdDSA";
    // kty, alg and crv stand first, each of one byte.
    let (kty, algorithm, curve) = (2, 4, 6);
    for (name, strange) in [
        ("es256", [(kty, 1), (algorithm, 0x27), (curve, 2)]),
        ("eddsa", [(kty, 2), (algorithm, 0x26), (curve, 7)]),
    ] {
        let desk = Desk::new(name);
        let refuses = |fault: &str, lie: Lie| {
            desk.refuses(&format!("{fault} of {name}"), lie, neither);
        };
        for (at, value) in strange {
            refuses(
                &format!("byte {at} is {value}"),
                new(move |it| it.cose_key[at] = value),
            );
        }
        refuses(
            "a strange member",
            new(|it| with_member(&mut it.cose_key, &[4, 0])),
        );
        let y = [&[0x22, 0x58, 0x20][..], &[1; 32]].concat();
        refuses(
            "one y too many",
            new(move |it| with_member(&mut it.cose_key, &y)),
        );
    }
}

/// The eight points of Ed25519 whose order divides eight, as they are encoded.
const LOW_ORDER: [&str; 8] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
];

#[test]
fn points_of_low_order_are_not_enrolled() {
    let desk = Desk::new("eddsa");
    for point in LOW_ORDER {
        let bytes: Vec<u8> = (0..32)
            .map(|at| u8::from_str_radix(&point[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let lie = new(move |it| {
            it.claims_eddsa(&bytes);
            // R the neutral element, s zero: under such a key it would be good for everything.
            it.form = std::sync::Arc::new(|_, _| [&[1][..], &[0; 63]].concat());
        });
        desk.refuses(point, lie, "the public key is a point of low order");
    }
    desk.refuses(
        "31 bytes",
        new(|it| it.claims_eddsa(&[1; 31])),
        "neither ES256 nor EdDSA",
    );
    desk.accepts("nothing", Lie::None);
}

/// An attestation object with one more member in its statement.
fn with_statement_member(honest: &[u8], member: &[u8]) -> Vec<u8> {
    let mut raw = RawAnswer::of(honest);
    let statement = raw.value(3);
    statement[0] += 1;
    statement.extend(member);
    raw.written()
}

/// With these as the certificates that vouch for it.
fn with_certificates(honest: &[u8], certificates: &[u8]) -> Vec<u8> {
    with_statement_member(honest, &[b"\x63x5c", certificates].concat())
}

#[test]
fn malformed_attestation_objects_are_not_enrolled() {
    let desk = Desk::new("es256");
    let answer = |lie: fn(&[u8]) -> Vec<u8>| Lie::answer(Moment::MakeCredential, lie);
    let malformed = "its answer is malformed";
    desk.refuses(
        "a byte behind",
        answer(|honest| [honest, &[0]].concat()),
        malformed,
    );
    desk.refuses(
        "cut off",
        answer(|honest| honest[..honest.len() - 1].to_vec()),
        malformed,
    );
    desk.refuses("empty", answer(|_| vec![0, 0xA0]), malformed);
    desk.refuses(
        "a number as the format",
        answer(|honest| with_value(honest, 1, &[0])),
        malformed,
    );
    for (member, name) in [(1, "a format"), (2, "authenticator data")] {
        let lie = Lie::answer(Moment::MakeCredential, move |honest| {
            let mut raw = RawAnswer::of(honest);
            raw.remove(member);
            raw.written()
        });
        let sentence = format!("its answer is malformed: an attestation object without {name}");
        desk.refuses(name, lie, &sentence);
    }
    desk.refuses(
        "no new credential",
        answer(|honest| {
            let data = [&[0; 32][..], &[0x01], &[0; 4]].concat();
            with_value(honest, 2, &[&head(2, 37)[..], &data].concat())
        }),
        "its answer holds no new credential",
    );
    desk.refuses(
        "bad UTF-8 in the format",
        answer(|honest| with_value(honest, 1, &[0x61, 0xFF])),
        malformed,
    );
    desk.refuses(
        "2^63 bytes",
        answer(|honest| with_value(honest, 2, &head(2, 1 << 63))),
        malformed,
    );
    desk.refuses(
        "twice",
        answer(|honest| {
            let mut raw = RawAnswer::of(honest);
            raw.members.push(raw.members[0].clone());
            raw.written()
        }),
        malformed,
    );
}

#[test]
fn statements_that_vouch_for_nothing() {
    let desk = Desk::new("es256");
    let answer = |lie: fn(&[u8]) -> Vec<u8>| Lie::answer(Moment::MakeCredential, lie);
    let statement = "its attestation statement is not well-formed";
    desk.refuses(
        "no statement",
        answer(|honest| with_value(honest, 3, &[0xA0])),
        statement,
    );
    desk.refuses(
        "a strange statement",
        answer(|honest| with_value(honest, 3, &[0xA1, 0x61, b'x', 0])),
        statement,
    );
    desk.refuses(
        "a statement with none",
        answer(|honest| with_value(honest, 1, &[0x64, b'n', b'o', b'n', b'e'])),
        "its attestation statement is \"none\" with a statement",
    );
    desk.refuses(
        "a strange member in the statement",
        answer(|honest| with_statement_member(honest, &[0x61, b'x', 0])),
        statement,
    );
    desk.refuses(
        "the algorithm twice",
        answer(|honest| with_statement_member(honest, &[0x63, b'a', b'l', b'g', 0x26])),
        statement,
    );
    desk.refuses(
        "no certificate",
        answer(|honest| with_certificates(honest, &[0x80])),
        statement,
    );
    desk.refuses(
        "a certificate that is none",
        answer(|honest| with_certificates(honest, &[0x81, 0x41, 0x30])),
        "its attestation certificate is not well-formed",
    );
    desk.refuses(
        "a maker's certificate, and its own signature",
        answer(|honest| {
            let attestation = Attestation::of_the_bench();
            let certificate = attestation.certificate();
            let length = head(2, certificate.len() as u64);
            with_certificates(honest, &[&[0x81], &length[..], certificate].concat())
        }),
        "its attestation certificate did not make its signature",
    );
    // A format that nobody reads is as good as none, whatever it is called.
    desk.accepts(
        "a format with escapes",
        answer(|honest| with_value(honest, 1, &[0x64, 0x1B, b'[', b'2', b'J'])),
    );
}

//! CBOR that no honest key writes, in every member of every answer.

#![forbid(unsafe_code)]

use tests::Pam;
use tests::liar::cbor::{RawAnswer, head, monsters, nested, with_value, wrong_types};
use tests::liar::{Lie, Moment};

use crate::scene::{Expected, Scene};

const MALFORMED: Expected = Expected::AtOnce(Pam::AuthErr, "its answer is malformed: ");

/// An answer, the member that is lied about, and the major type it should have.
type Member = (Moment, u64, u8);

const OF_A_TOUCH: [Member; 3] = [
    (Moment::GetAssertion, 1, 5),
    (Moment::GetAssertion, 2, 2),
    (Moment::GetAssertion, 3, 2),
];

const OF_A_PIN: [Member; 14] = [
    (Moment::GetInfo, 1, 4),
    (Moment::GetInfo, 3, 2),
    (Moment::GetInfo, 4, 5),
    (Moment::GetInfo, 5, 0),
    (Moment::GetInfo, 6, 4),
    (Moment::GetInfo, 7, 0),
    (Moment::GetInfo, 10, 4),
    (Moment::GetInfo, 13, 0),
    (Moment::Probe, 1, 5),
    (Moment::Probe, 2, 2),
    (Moment::Probe, 3, 2),
    (Moment::PinRetries, 3, 0),
    (Moment::KeyAgreement, 1, 5),
    (Moment::PinToken, 2, 2),
];

/// All that can be wrong with one member's value.
fn values(right: u8) -> Vec<(&'static str, Vec<u8>)> {
    [wrong_types(right), monsters()].concat()
}

fn value(scene: &mut Scene, (moment, member, _): Member, (fault, value): (&str, Vec<u8>)) {
    let lie = Lie::answer(moment, move |honest| with_value(honest, member, &value));
    let fault = format!("{fault} as {member} of {moment:?}");
    scene.tries(&fault, lie, MALFORMED);
}

/// One fault a member, another one each.
fn some_values(mut scene: Scene, members: &[Member]) {
    for (at, member) in members.iter().enumerate() {
        let values = values(member.2);
        let fault = values[at * 5 % values.len()].clone();
        value(&mut scene, *member, fault);
    }
}

/// Every fault in every member.
fn all_values(mut scene: Scene, members: &[Member]) {
    for member in members {
        for fault in values(member.2) {
            value(&mut scene, *member, fault);
        }
    }
}

#[test]
fn a_wrong_value_in_each_member_on_the_way_to_a_touch_is_refused() {
    some_values(Scene::touch(), &OF_A_TOUCH);
}

#[test]
fn a_wrong_value_in_each_member_on_the_way_to_a_pin_is_refused() {
    some_values(Scene::pin(), &OF_A_PIN);
}

#[test]
#[ignore = "long: make hostile"]
fn every_wrong_value_on_the_way_to_a_touch_is_refused() {
    all_values(Scene::touch(), &OF_A_TOUCH);
}

#[test]
#[ignore = "long: make hostile"]
fn every_wrong_value_of_get_info_is_refused() {
    all_values(Scene::pin(), &OF_A_PIN[..8]);
}

#[test]
#[ignore = "long: make hostile"]
fn every_wrong_value_of_a_silent_answer_and_of_the_pin_is_refused() {
    all_values(Scene::pin(), &OF_A_PIN[8..]);
}

/// The whole map, with this done to it.
fn map(moment: Moment, change: impl Fn(RawAnswer) -> Vec<u8> + Send + Sync + 'static) -> Lie {
    Lie::answer(moment, move |honest| change(RawAnswer::of(honest)))
}

fn malformed_maps(scene: &mut Scene, moment: Moment) {
    let mut tries = |fault: &str, lie: Lie, expected| {
        scene.tries(&format!("{fault} in {moment:?}"), lie, expected);
    };
    let add = |key: &'static [u8], value: Vec<u8>| {
        map(moment, move |mut raw| {
            raw.add(key, &value);
            raw.written()
        })
    };
    let bytes = |bytes: Vec<u8>| Lie::answer(moment, move |_| bytes.clone());
    tries(
        "a byte behind the map",
        map(moment, |raw| [raw.written(), vec![0]].concat()),
        MALFORMED,
    );
    tries(
        "the last byte missing",
        Lie::answer(moment, |honest| honest[..honest.len() - 1].to_vec()),
        MALFORMED,
    );
    for (fault, difference) in [("a member too few", 1_isize), ("a member too many", -1)] {
        tries(
            fault,
            map(moment, move |raw| {
                let members = raw.members.len().checked_add_signed(difference).unwrap();
                [&[0][..], &RawAnswer::header(members), &raw.body()].concat()
            }),
            MALFORMED,
        );
    }
    tries(
        "its first member twice",
        map(moment, |mut raw| {
            raw.members.push(raw.members[0].clone());
            raw.written()
        }),
        MALFORMED,
    );
    tries(
        "no length",
        map(moment, |raw| {
            [&[0, 0xBF][..], &raw.body(), &[0xFF]].concat()
        }),
        MALFORMED,
    );
    for members in [1 << 32, 1 << 63, u64::MAX] {
        tries(
            &format!("{members} members"),
            map(moment, move |raw| {
                [vec![0], head(5, members), raw.body()].concat()
            }),
            MALFORMED,
        );
    }
    tries("no map but a list", bytes(vec![0, 0x80]), MALFORMED);
    tries("nothing behind the status", bytes(vec![0]), MALFORMED);
    tries("a text as key", add(&[0x61, b'x'], vec![0]), MALFORMED);
    tries("bad UTF-8 as key", add(&[0x61, 0xFF], vec![0]), MALFORMED);
    tries("a negative key", add(&[0x20], vec![0]), MALFORMED);
    tries(
        "an unknown member that does not end",
        add(&[0x18, 0x7F], head(4, 1 << 63)),
        MALFORMED,
    );

    // What firmware does that is not quite canonical, and harms nobody.
    tries(
        "its members the other way round",
        map(moment, |mut raw| {
            raw.members.reverse();
            raw.written()
        }),
        Expected::Tolerated,
    );
    tries(
        "numbers longer than they need be",
        map(moment, |mut raw| {
            for (key, _) in &mut raw.members {
                key.insert(0, 0x18);
            }
            raw.written()
        }),
        Expected::Tolerated,
    );
    tries(
        "an unknown member",
        add(&[0x18, 0x7F], nested(&[0x81], 7000)),
        Expected::Tolerated,
    );
}

#[test]
fn malformed_assertions_are_refused() {
    let mut scene = Scene::touch();
    malformed_maps(&mut scene, Moment::GetAssertion);
    for (member, name) in [(2, "authenticator data"), (3, "a signature")] {
        let lie = map(Moment::GetAssertion, move |mut raw| {
            raw.remove(member);
            raw.written()
        });
        let sentence = format!("its answer is malformed: an assertion without {name}.");
        let expected = Expected::faulty(sentence.leak());
        scene.tries(&format!("no {name}"), lie, expected);
    }
    scene.tries(
        "its id twice",
        map(Moment::GetAssertion, |mut raw| {
            let descriptor = raw.value(1);
            descriptor[0] += 1;
            descriptor.extend([text(b"id"), vec![0x41, 9]].concat());
            raw.written()
        }),
        Expected::faulty("its answer is malformed: a member that stands twice."),
    );
}

#[test]
#[ignore = "long: make hostile"]
fn malformed_maps_on_the_way_to_a_pin_are_refused() {
    let mut scene = Scene::pin();
    for moment in [
        Moment::GetInfo,
        Moment::Probe,
        Moment::PinRetries,
        Moment::KeyAgreement,
        Moment::PinToken,
    ] {
        malformed_maps(&mut scene, moment);
    }
}

fn text(text: &[u8]) -> Vec<u8> {
    [&head(3, text.len() as u64), text].concat()
}

#[test]
fn texts_that_would_move_a_cursor_are_shown_to_nobody() {
    let mut scene = Scene::pin();
    let info = |member, value: Vec<u8>| {
        Lie::answer(Moment::GetInfo, move |honest| {
            with_value(honest, member, &value)
        })
    };
    let evil = text(b"FIDO_2_1\x1b[2J\r\nTouch the other key\x07\x00");
    // Scene::tries looks for control characters in all that is said and logged.
    scene.tries(
        "versions",
        info(1, [vec![0x81], evil.clone()].concat()),
        Expected::Tolerated,
    );
    let versions = [vec![0x81], text(b"\x1b]0;x\x07")].concat();
    scene.tries(
        "no FIDO2 among the versions",
        info(1, versions),
        Expected::Refused,
    );
    let bad_utf8 = [vec![0x81], text(b"FIDO_2_0\xFF")].concat();
    scene.tries("bad UTF-8 in versions", info(1, bad_utf8), MALFORMED);
    let option = |name: &[u8]| [&[0xA1][..], &text(name), &[0xF5]].concat();
    scene.tries(
        "an option",
        info(4, option(b"\x1b[2J\n")),
        Expected::Refused,
    );
    scene.tries(
        "bad UTF-8 in an option",
        info(4, option(b"\xC3(")),
        MALFORMED,
    );
    scene.tries(
        "a member of the credential",
        Lie::answer(Moment::Probe, |honest| {
            let mut raw = RawAnswer::of(honest);
            let descriptor = raw.value(1);
            descriptor[0] += 1;
            descriptor.extend([text(b"\x1b[2J\n"), text(b"\x1b[2J\n")].concat());
            raw.written()
        }),
        Expected::Tolerated,
    );
}

#[test]
fn ten_thousand_options_are_refused_or_passed_over() {
    let mut scene = Scene::pin();
    let options = |announced: u64, given: u16| {
        let names =
            (0..given).map(|n| [text(&n.to_be_bytes().map(|b| b & 0x7F)), vec![0xF5]].concat());
        let options = [vec![head(5, announced)], names.collect()]
            .concat()
            .concat();
        Lie::answer(Moment::GetInfo, move |honest| {
            with_value(honest, 4, &options)
        })
    };
    // As many as fit into a message; none says that a PIN is set.
    let no_pin = "\"liar\" has none set up. Set a PIN on it, or use another key.";
    scene.tries(
        "1,800 options",
        options(1800, 1800),
        Expected::faulty(no_pin),
    );
    scene.tries(
        "10,000 options that do not come",
        options(10_000, 1800),
        MALFORMED,
    );
}

#[test]
fn a_failure_with_an_answer_behind_it() {
    let mut scene = Scene::touch();
    for status in [0x01, 0x2E, 0x7F, 0xFF] {
        let lie = Lie::answer(Moment::GetAssertion, move |honest| {
            [&[status], &honest[1..]].concat()
        });
        scene.tries(&format!("status {status:#04x}"), lie, Expected::Refused);
    }
}

#[test]
#[ignore = "long: make hostile"]
fn every_status_there_is_refuses() {
    let mut scene = Scene::touch();
    for status in 1..=u8::MAX {
        let lie = Lie::answer(Moment::GetAssertion, move |_| vec![status]);
        scene.tries(&format!("status {status:#04x}"), lie, Expected::Refused);
    }
}

#[test]
#[ignore = "long: make hostile"]
fn every_status_there_is_on_the_way_to_a_pin_refuses() {
    let mut scene = Scene::pin();
    for moment in [
        Moment::GetInfo,
        Moment::Probe,
        Moment::PinRetries,
        Moment::KeyAgreement,
        Moment::GetAssertion,
    ] {
        for status in (1..0x42).chain([0x7F, 0xDF, 0xE0, 0xEF, 0xF0, 0xFF]) {
            let lie = Lie::answer(moment, move |_| vec![status]);
            scene.tries(
                &format!("status {status:#04x} of {moment:?}"),
                lie,
                Expected::Refused,
            );
        }
    }
}

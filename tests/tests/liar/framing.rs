//! CTAPHID (CTAP 2.1 §11.2): packets that no honest key sends.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tests::Pam;
use tests::liar::{Act, Lie, Moment, Packets, packet};

use crate::scene::{Expected, Scene};

const DEADLINE: Expected = Expected::AtDeadline(Pam::AuthErr, "does not answer. Unplug it");

/// Instead of its answer to `moment`, these packets.
fn sends(
    moment: Moment,
    packets: impl Fn(&Packets) -> Vec<[u8; 64]> + Send + Sync + 'static,
) -> Lie {
    Lie::packets(moment, move |honest| {
        packets(honest).into_iter().map(Act::Send).collect()
    })
}

/// The honest answer to INIT, with this done to it.
fn init(change: impl Fn(&mut [u8; 64]) + Send + Sync + 'static) -> Lie {
    sends(Moment::Init, move |packets| {
        let mut report = packets.honest[0];
        change(&mut report);
        vec![report]
    })
}

/// A first packet that announces so many bytes, and the rest of the honest answer.
fn announces(length: u16) -> Lie {
    sends(Moment::GetAssertion, move |packets| {
        let mut reports = packets.honest.clone();
        reports[0][5..7].copy_from_slice(&length.to_be_bytes());
        reports
    })
}

#[test]
fn a_channel_that_is_not_ours_is_refused() {
    let mut scene = Scene::touch();
    scene.tries("INIT answers another nonce", init(|r| r[7] ^= 1), DEADLINE);
    for length in [16, 8, 0] {
        let name = format!("INIT answers with {length} bytes");
        let expected = if length < 8 {
            "it announced an impossible 0 bytes"
        } else {
            "it announced an impossible"
        };
        scene.tries(
            &name,
            init(move |r| r[6] = length),
            Expected::faulty(expected),
        );
    }
    let reserved = Expected::faulty("it granted a reserved channel");
    for channel in [0_u32, u32::MAX] {
        scene.tries(
            &format!("INIT grants channel {channel:#x}"),
            init(move |r| r[15..19].copy_from_slice(&channel.to_be_bytes())),
            reserved,
        );
    }
    scene.tries(
        "INIT is answered by another command",
        init(|r| r[4] = 0x81),
        DEADLINE,
    );
    scene.tries(
        "INIT answers with a later protocol and more bytes",
        init(|r| (r[6], r[19], r[30]) = (40, 9, 7)),
        Expected::Tolerated,
    );
    scene.tries(
        "200 packets of others before its own",
        Lie::packets(Moment::Init, |packets| {
            let foreign = |number: u32| Act::Send(packet(0x0A00_0000 + number, &[0x90, 0, 1, 0]));
            let between = |act| [act, Act::Wait(Duration::from_micros(100))];
            let foreign = (0..200).map(foreign).flat_map(between);
            foreign.chain(packets.sent()).collect()
        }),
        Expected::Tolerated,
    );
    scene.tries(
        "INIT says that it speaks no CBOR any more",
        init(|r| r[23] &= !0x04),
        Expected::faulty("speaks only U2F, which is not used here. Plug in a FIDO2 key."),
    );
}

/// As a key does that was left in the middle of somebody else's message (CTAP 2.1 §11.2.5.1).
#[test]
fn a_key_that_is_busy_when_it_is_asked_for_a_channel_is_asked_again() {
    let mut scene = Scene::touch();
    let asked = AtomicUsize::new(0);
    scene.tries(
        "BUSY, and then the honest answer to INIT",
        Lie::packets(Moment::Init, move |packets| {
            let first = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            if first {
                vec![Act::Send(packet(u32::MAX, &[0xBF, 0, 1, 6]))]
            } else {
                packets.sent()
            }
        }),
        Expected::Tolerated,
    );
}

#[test]
fn lengths_that_no_message_has_are_refused() {
    let mut scene = Scene::touch();
    for length in [0, 7610, u16::MAX] {
        let sentence = format!("it announced an impossible {length} bytes.");
        let expected = Expected::faulty(sentence.leak());
        scene.tries(&format!("BCNT {length}"), announces(length), expected);
    }
    // The most that fits is a message: only that nothing follows.
    scene.tries("BCNT 7609", announces(7609), DEADLINE);
}

#[test]
fn messages_that_are_no_answer_are_refused() {
    let mut scene = Scene::touch();
    for command in [0x86, 0x81, 0x83, 0x91, 0x92, 0xC0, 0xFF] {
        let sentence = format!("it answered with command 0x{command:02x}.");
        scene.tries(
            &format!("command {command:#04x}"),
            sends(Moment::GetAssertion, move |packets| {
                let mut reports = packets.honest.clone();
                reports[0][4] = command;
                reports
            }),
            Expected::faulty(sentence.leak()),
        );
    }
    for code in [1, 3, 4, 5, 0x0B, 0x7F, 0xFF] {
        let sentence = format!("it reported CTAPHID error 0x{code:02x}.");
        scene.tries(
            &format!("ERROR {code:#04x}"),
            sends(Moment::GetAssertion, move |packets| {
                vec![packets.packet(&[0xBF, 0, 1, code])]
            }),
            Expected::faulty(sentence.leak()),
        );
    }
    // Both are one byte long; ERROR 6 would have it asked again.
    for (name, command, byte) in [
        ("a keepalive 1", 0xBB, 1),
        ("a keepalive 2", 0xBB, 2),
        ("ERROR 1", 0xBF, 1),
        ("ERROR 6", 0xBF, 6),
    ] {
        for length in [0, 2] {
            let sentence = format!("it answered with command 0x{command:02x}.");
            scene.tries(
                &format!("{name} of {length} bytes"),
                sends(Moment::GetAssertion, move |packets| {
                    vec![packets.packet(&[command, 0, length, byte])]
                }),
                Expected::faulty(sentence.leak()),
            );
        }
    }
    let busy = Expected::AtDeadline(
        Pam::AuthinfoUnavail,
        "was in use by another program all the time. Try again.",
    );
    // It was last heard to be busy, and so the person was told.
    let asked = AtomicUsize::new(0);
    scene.tries(
        "BUSY, and then silence",
        Lie::packets(Moment::GetAssertion, move |packets| {
            let busy = Act::Send(packets.packet(&[0xBF, 0, 1, 6]));
            let first = asked.fetch_add(1, Ordering::Relaxed).is_multiple_of(2);
            if first { vec![busy] } else { Vec::new() }
        }),
        busy,
    );
    scene.tries(
        "BUSY for ever",
        Lie::packets(Moment::GetAssertion, |packets| {
            vec![Act::Send(packets.packet(&[0xBF, 0, 1, 6]))]
        }),
        busy,
    );
}

#[test]
fn packets_out_of_order_are_refused() {
    let mut scene = Scene::touch();
    let mixed_up = Expected::faulty("it mixed up two messages.");
    scene.tries(
        "the continuation first",
        sends(Moment::GetAssertion, |packets| packets.honest[1..].to_vec()),
        mixed_up,
    );
    scene.tries(
        "a second first packet in the middle",
        sends(Moment::GetAssertion, |packets| {
            vec![packets.honest[0], packets.honest[0], packets.honest[1]]
        }),
        mixed_up,
    );
    for (fault, sequence, sentence) in [
        (
            "a number skipped",
            1,
            "it sent packet 1 of a message where 0 was due.",
        ),
        (
            "over 127",
            0x7F,
            "it sent packet 127 of a message where 0 was due.",
        ),
    ] {
        scene.tries(
            fault,
            // It stops there, and only a CANCEL puts its light out.
            sends(Moment::GetAssertion, move |packets| {
                let mut reports = packets.honest[..2].to_vec();
                reports[1][4] = sequence;
                reports
            }),
            Expected::faulty(sentence),
        );
    }
    scene.tries(
        "a number repeated",
        sends(Moment::GetAssertion, |packets| {
            let mut reports = packets.honest.clone();
            reports.insert(2, reports[1]);
            reports
        }),
        Expected::faulty("it sent packet 0 of a message where 1 was due."),
    );
    scene.tries(
        "the last packet never comes",
        sends(Moment::GetAssertion, |packets| {
            let (_, but_the_last) = packets.honest.split_last().unwrap();
            but_the_last.to_vec()
        }),
        DEADLINE,
    );
    scene.tries(
        "keepalives in the middle of its message",
        sends(Moment::GetAssertion, |packets| {
            let mut reports = packets.honest.clone();
            reports.insert(1, packets.keepalive(1));
            reports
        }),
        Expected::Tolerated,
    );
    scene.tries(
        "its whole answer before it was asked",
        sends(Moment::Init, |packets| {
            let early = |sequence| packet(0x0102_0305, &[sequence, 1, 2, 3]);
            vec![early(0x90), packets.honest[0]]
        }),
        Expected::Tolerated,
    );
}

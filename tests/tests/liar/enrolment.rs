//! What a key says of a new credential (WebAuthn §7.1), and of itself before that.

#![forbid(unsafe_code)]

use tests::liar::cbor::{RawAnswer, head, with_value};
use tests::liar::{KeyPair, Lie, Moment, NewCredential};
use tests::machine::Finished;
use tests::{Liar, Machine, VirtualKey};

const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

/// A machine on which alice has a key already, so that it is seen to be left alone.
struct Desk {
    machine: Machine,
    liar: Liar,
    algorithm: &'static str,
    before: Option<String>,
}

impl Desk {
    fn new(algorithm: &'static str) -> Self {
        let machine = Machine::lived_on();
        drop(machine.enrolled("alice", "blue key", &[]));
        Self {
            before: machine.read(ALICE_FILE),
            machine,
            liar: Liar::named("Liar"),
            algorithm,
        }
    }

    fn enroll(&self, lie: Lie, more: &[&str]) -> Finished {
        self.liar.lies(lie);
        self.liar.forget();
        let _port = self
            .machine
            .plug_in_cable(self.liar.name(), self.liar.power_on());
        let command = ["enroll", "--user", "alice", "--touch-only", "--name", "new"];
        let command = command.into_iter().chain(["--algorithm", self.algorithm]);
        let ended = self
            .machine
            .passkey(command.chain(more.iter().copied()))
            .output();
        assert!(self.liar.is_dark());
        ended
    }

    /// Refused with this sentence, nothing written, and no worse for it.
    #[track_caller]
    fn refuses(&self, fault: &str, lie: Lie, sentence: &str) {
        let ended = self.enroll(lie, &[]);
        assert_eq!(ended.code(), Some(1), "{fault}: {ended:#?}");
        assert_eq!(ended.stdout, "", "{fault}");
        assert!(
            ended.stderr.contains(sentence),
            "{fault}: no {sentence:?} in {ended:#?}"
        );
        let strange = ended.stderr.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(strange, None, "{fault}: {ended:#?}");
        assert_eq!(self.machine.read(ALICE_FILE), self.before, "{fault}");
    }

    fn accepts(&self, fault: &str, lie: Lie) {
        self.enroll(lie, &[]).expect_success();
        let file = self.machine.read(ALICE_FILE).unwrap();
        assert!(file.contains("\"new\""), "{fault}");
        let remove = ["remove", "--user", "alice", "new"];
        self.machine.passkey(remove).output().expect_success();
    }
}

fn new(lie: impl Fn(&mut NewCredential) + Send + Sync + 'static) -> Lie {
    Lie::new_credential(lie)
}

#[test]
fn new_credentials_that_are_none() {
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
    refuses("a byte behind", new(|it| it.behind = vec![0]), "");
    refuses("no AT", new(|it| it.flags &= !0x40), "");
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
fn points_that_are_none() {
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
fn points_of_low_order() {
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
        vec![tests::liar::Act::Send(report)]
    });
    desk.refuses("CBOR dropped between two INITs", lie, "speaks only U2F");
}

#[test]
fn malformed_attestation_objects() {
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
        "no format",
        answer(|honest| with_value(honest, 1, &[0])),
        malformed,
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
    // A format that nobody reads is as good as none, whatever it is called.
    desk.accepts(
        "a format with escapes",
        answer(|honest| with_value(honest, 1, &[0x64, 0x1B, b'[', b'2', b'J'])),
    );
}

#[test]
fn names_that_would_move_a_cursor() {
    let machine = Machine::lived_on();
    let evil = "Key\x1b[2J\u{202e}\u{7}\"; touch me\r";
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
    assert!(login.logged().contains("denied on \"Key"), "{login:#?}");
}

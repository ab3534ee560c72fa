//! What a key says of a new credential (WebAuthn §7.1), and of itself before that.

#![forbid(unsafe_code)]

use tests::liar::{KeyPair, Lie, Moment};
use tests::{Machine, VirtualKey};

use crate::desk::{Desk, new};

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

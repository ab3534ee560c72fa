//! A line of a receipts file, as the module wrote it or as somebody changed it.
#![forbid(unsafe_code)]

use std::sync::LazyLock;

use ceremony::assertion::{Candidate, Expectation, verify};
use ceremony::challenge::{Challenge, Request};
use ceremony::credential::UserVerification;
use ceremony::policy::{CounterRule, SyncedCredentials};
use ceremony::receipt::Receipt;
use ceremony::relying_party::RelyingParty;

use crate::honest_key::{EDDSA, ES256, HonestKey, authenticator_data};
use crate::input::Input;

static OF_ES256: LazyLock<Receipt> = LazyLock::new(|| honest(&ES256[0]));
static OF_EDDSA: LazyLock<Receipt> = LazyLock::new(|| honest(&EDDSA[0]));

/// The first byte says of which key, and whether the others are a line or what
/// is changed in an honest one: where, and to what.
pub(crate) fn receipt(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let choices = input.byte();
    let (key, honest) = match choices & 0x01 {
        0 => (&ES256[0], &*OF_ES256),
        _ => (&EDDSA[0], &*OF_EDDSA),
    };
    let line = if choices & 0x02 == 0 {
        input.rest().to_vec()
    } else {
        let mut line = honest.to_line().expect("a line").into_bytes();
        for _ in 0..choices >> 4 {
            let at = usize::from(u16::from_be_bytes(input.array())) % line.len();
            line[at] = input.byte();
        }
        line
    };
    let line = String::from_utf8_lossy(&line);
    let Ok(read) = Receipt::parse(&line) else {
        return;
    };
    let _ = read.claim();
    let holds = read.verify(&key.credential).is_ok();
    assert!(!holds || read.message == honest.message, "{line}");
    assert!(holds || read != *honest, "an honest receipt does not hold");
    assert!(!holds || read.names(&key.credential));
}

fn honest(key: &HonestKey) -> Receipt {
    let request = Request {
        service: "sudo".into(),
        user: "alice".into(),
        host: "laptop".into(),
        command: Some("sudo true".into()),
        tty: None,
    };
    let challenge = Challenge::new(&request).expect("a challenge");
    let hash = challenge.client_data_hash();
    let asked = [Candidate {
        credential: &key.credential,
        stored_counter: None,
    }];
    let expectation = Expectation {
        asked: &asked,
        client_data_hash: hash,
        user_verification: UserVerification::Discouraged,
        synced: SyncedCredentials::Allow,
        counter: CounterRule::Warn,
    };
    let answer = key.assert(
        authenticator_data(
            &key.credential.public_key.relying_party().id_hash(),
            0x01,
            7,
        ),
        &hash,
    );
    let verified = verify(&answer, &expectation).expect("an honest answer");
    Receipt::new(challenge, &verified).expect("a receipt")
}

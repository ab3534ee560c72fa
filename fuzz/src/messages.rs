//! What a key answers, and the authenticator data in it: every parser of
//! CTAP2's, each by itself.
#![forbid(unsafe_code)]

use std::fmt::Debug;
use std::sync::LazyLock;

use ceremony::authenticator::client_pin::{KeyAgreementKey, PinUvAuthProtocol, SharedSecret};
use ceremony::authenticator::ctap2::{
    AttestationObject, ClientPinAnswer, Discovered, GetAssertion, Info, SelfDescription, response,
};
use ceremony::authenticator_data::AuthenticatorData;
use ceremony::credential::is_printable;
use ceremony::public_key::PublicKey;
use ceremony::relying_party::RelyingPartyId;

use crate::honest_key::RELYING_PARTY;
use crate::input::Input;

/// The first byte says what the others are the answer to.
pub(crate) fn messages(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let kind = input.byte();
    let data = input.rest();
    match kind % 6 {
        0 => {
            if let Some(info) = read_whole(data, Info::parse) {
                assert!(info.max_msg_size > 0);
                assert_ne!(info.max_credential_count_in_list, Some(0));
            }
            if let Some(said) = read_whole(data, SelfDescription::parse) {
                is_fit_to_be_shown(&said);
            }
        }
        1 => {
            if let Some(assertion) = read_whole(data, GetAssertion::parse) {
                let id = assertion.credential_id.map_or(0, |id| id.len());
                let parts = id + assertion.authenticator_data.len() + assertion.signature.len();
                assert!(parts < data.len());
            }
            // The same answer where no credential was named.
            if let Some(found) = read_whole(data, Discovered::parse) {
                assert!(found.user_id.len() < data.len());
            }
        }
        2 => {
            if let Some(object) = read_whole(data, AttestationObject::parse) {
                let parts =
                    object.format.len() + object.authenticator_data.len() + object.statement.len();
                assert!(parts < data.len());
            }
        }
        3 => {
            if let Some(answer) = read_whole(data, ClientPinAnswer::parse) {
                use_pin_answer(&answer);
            }
        }
        4 => authenticator_data(data),
        _ => match response(data) {
            Ok(rest) => assert_eq!((data[0], rest), (0, &data[1..])),
            Err(status) => {
                assert_eq!(status.code(), data.first().copied().unwrap_or(0));
                assert!(!status.to_string().is_empty());
            }
        },
    }
}

/// A key's own words are few, short and harmless.
fn is_fit_to_be_shown(said: &SelfDescription) {
    let options = said.options.iter().map(|(name, _)| name);
    let lists = [&said.versions, &said.extensions, &said.transports];
    for words in lists.into_iter().flatten().chain(options) {
        assert!(words.chars().count() <= 64 && words.chars().all(is_printable));
    }
    assert!(lists.iter().all(|list| list.len() <= 32) && said.options.len() <= 32);
}

/// What `parse` makes of `data`. Where it takes it, it takes neither a byte
/// less nor a byte more.
fn read_whole<T: Debug, E: Debug>(data: &[u8], parse: impl Fn(&[u8]) -> Result<T, E>) -> Option<T> {
    let whole = parse(data).ok()?;
    assert!(parse(&[data, &[0]].concat()).is_err(), "bytes left over");
    assert!(parse(&data[..data.len() - 1]).is_err(), "bytes missing");
    Some(whole)
}

/// A secret under each protocol, to decrypt tokens with.
static SECRETS: LazyLock<[SharedSecret; 2]> = LazyLock::new(|| {
    // The base point of P-256.
    let theirs = KeyAgreementKey {
        x: [
            0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4,
            0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45,
            0xd8, 0x98, 0xc2, 0x96,
        ],
        y: [
            0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f,
            0x9e, 0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68,
            0x37, 0xbf, 0x51, 0xf5,
        ],
    };
    [PinUvAuthProtocol::One, PinUvAuthProtocol::Two].map(|protocol| {
        let agreed = SharedSecret::agree(protocol, &theirs);
        agreed.map(|(secret, _)| secret).expect("a secret")
    })
});

fn use_pin_answer(answer: &ClientPinAnswer) {
    if let Some(theirs) = &answer.key_agreement {
        let _ = SharedSecret::agree(PinUvAuthProtocol::Two, theirs);
    }
    if let Some(token) = &answer.token {
        let [one, two] = &*SECRETS;
        for (secret, lengths) in [(one, &[16, 32][..]), (two, &[48])] {
            let decrypted = secret.decrypt_token(token);
            assert_eq!(decrypted.is_ok(), lengths.contains(&token.len()));
            if let Ok(token) = decrypted {
                assert!(token.authenticate(&[0; 32]).is_some());
            }
        }
    }
}

fn authenticator_data(data: &[u8]) {
    let parse = |data: &[u8]| AuthenticatorData::parse(data).map(|_| ());
    if read_whole(data, parse).is_none() {
        return;
    }
    let Ok(read) = AuthenticatorData::parse(data) else {
        return;
    };
    assert_eq!(read.attested.is_some(), data[32] & 0x40 != 0);
    assert_eq!(read.extensions.is_some(), data[32] & 0x80 != 0);
    if let Some(extensions) = read.extensions {
        assert!(data.ends_with(extensions) && !extensions.is_empty());
    }
    let Some(attested) = read.attested else {
        return;
    };
    let relying_party = RelyingPartyId::parse(RELYING_PARTY).expect("a relying party");
    if let Ok(key) = attested.public_key(relying_party) {
        // What was enrolled is what will be read from the credential file.
        let line = key.to_openssh().expect("a line of text");
        assert_eq!(PublicKey::from_openssh(&line), Ok(key));
    }
}

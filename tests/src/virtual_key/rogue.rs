//! A stick that claims to hold every credential it is asked about.

#![forbid(unsafe_code)]

use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest, Sha256};
use sk_cbor::Value;

use super::request::Request;

/// The rogue's own key: as good as any, but nobody enrolled it.
const SECRET: [u8; 32] = [0x52; 32];

/// An assertion for the first credential asked about, with nothing wrong but the key that signed
/// it. None where no credential was named or a parameter is missing.
pub(super) fn assertion(request: &Request) -> Option<Vec<u8>> {
    let id = request.first_id()?;
    // CTAP 2.1 §6.1, authenticator data: rpIdHash, flags (neither present nor verified), counter.
    let mut authenticator_data = Sha256::digest(request.rp_id()?).to_vec();
    authenticator_data.push(0);
    authenticator_data.extend(1_u32.to_be_bytes());

    let key = SigningKey::from_bytes(&SECRET.into()).expect("a scalar below the order");
    let signed = [&authenticator_data[..], &request.client_data_hash()?].concat();
    let signature: Signature = key.sign(&signed);

    let text = |text: &str| Value::text_string(text.to_owned());
    let credential = Value::map(vec![
        (text("id"), Value::byte_string(id)),
        (text("type"), text("public-key")),
    ]);
    let members = [
        credential,
        Value::byte_string(authenticator_data),
        Value::byte_string(signature.to_der().as_bytes().to_vec()),
    ];
    let members = (1..).map(Value::unsigned).zip(members).collect();
    let mut answer = vec![0];
    sk_cbor::write(Value::map(members), &mut answer).expect("a map can be written");
    Some(answer)
}

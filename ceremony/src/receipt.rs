//! The receipt of an approval: the message and a signature over it that stock
//! `ssh-keygen -Y verify` can judge.
#![forbid(unsafe_code)]

mod verification;

pub use verification::{Approved, Claim, Unsound, allowed_signer, is_a_principal};

use serde::{Deserialize, Serialize};
use ssh_key::encoding::Encode;
use ssh_key::{Algorithm, LineEnding, Mpint, SshSig};

use crate::assertion::Verified;
use crate::challenge::{Challenge, MESSAGE_HASH, NAMESPACE};
use crate::public_key::Signature;

/// An approval that anybody with the public key can check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    /// The name of the key that signed.
    pub key: String,
    /// The one-line JSON message that was signed, without a line end.
    pub message: String,
    /// The armoured SSHSIG signature over the message, namespace
    /// [`NAMESPACE`].
    pub signature: String,
}

impl Receipt {
    /// The receipt of `verified`, which answered `challenge`.
    pub fn new(challenge: Challenge, verified: &Verified<'_>) -> Result<Self, NotRepresentable> {
        let signature = openssh_signature(verified).ok_or(NotRepresentable)?;
        let public_key = verified
            .credential
            .public_key
            .key_data()
            .map_err(|_| NotRepresentable)?;
        let signature = SshSig::new(public_key, NAMESPACE, MESSAGE_HASH, signature)
            .and_then(|signature| signature.to_pem(LineEnding::LF))
            .map_err(|_| NotRepresentable)?;
        Ok(Self {
            key: verified.credential.name.as_str().to_owned(),
            message: challenge.into_message(),
            signature,
        })
    }

    /// The receipt as one line of JSON, with its line end.
    pub fn to_line(&self) -> Result<String, NotRepresentable> {
        let mut line = serde_json::to_string(self).map_err(|_| NotRepresentable)?;
        line.push('\n');
        Ok(line)
    }
}

/// The signature in OpenSSH's form (`PROTOCOL.u2f`, "SSH U2F signatures"):
/// the algorithm's own signature, then flags and counter.
fn openssh_signature(verified: &Verified<'_>) -> Option<ssh_key::Signature> {
    let (algorithm, mut blob) = match &verified.signature {
        Signature::Es256(r_s) => {
            let mut blob = Vec::new();
            let (r, s) = r_s.split_at_checked(32)?;
            for number in [r, s] {
                Mpint::from_positive_bytes(number).encode(&mut blob).ok()?;
            }
            (Algorithm::SkEcdsaSha2NistP256, blob)
        }
        Signature::EdDsa(r_s) => (Algorithm::SkEd25519, r_s.to_vec()),
    };
    blob.push(verified.flags.0);
    blob.extend(verified.sign_count.to_be_bytes());
    ssh_key::Signature::new(algorithm, blob).ok()
}

/// The approval could not be written as a receipt. The verdict stands; only
/// the paper is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotRepresentable;

impl std::error::Error for NotRepresentable {}

impl std::fmt::Display for NotRepresentable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the approval could not be written as an OpenSSH signature")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authenticator_data::Flags;
    use crate::challenge::Request;
    use crate::public_key::Algorithm as KeyAlgorithm;
    use crate::test_key::TestKey;

    /// A receipt of a touch of `key`.
    pub(super) fn receipt_of(key: &TestKey) -> Receipt {
        signed_with(key, 0x01)
    }

    /// A receipt over these flags, whatever a login would say to them.
    pub(super) fn signed_with(key: &TestKey, flags: u8) -> Receipt {
        let credential = key.credential();
        let challenge = Challenge::new(&Request {
            service: "sudo".into(),
            user: "alice".into(),
            host: "laptop".into(),
            command: None,
            tty: None,
        })
        .unwrap();
        let hash = challenge.client_data_hash();
        let answer = key.assert(&key.data(flags, 9), &hash);
        let signed = [&answer.authenticator_data[..], &hash].concat();
        let verified = Verified {
            credential: &credential,
            flags: Flags(flags),
            sign_count: 9,
            signature: credential
                .public_key
                .verify(&signed, &answer.signature)
                .unwrap(),
            clone_alarm: None,
        };
        Receipt::new(challenge, &verified).unwrap()
    }

    /// A receipt of an honest approval, and the public key it should verify with.
    fn receipt(algorithm: KeyAlgorithm) -> (Receipt, ssh_key::PublicKey) {
        let key = TestKey::new(algorithm, 3);
        let public_key = key.public_key().key_data().unwrap().into();
        (receipt_of(&key), public_key)
    }

    // That stock ssh-keygen accepts it is shown by the bench for every login.
    #[test]
    fn a_receipt_carries_the_key_and_the_signed_flags_and_counter() {
        for algorithm in [KeyAlgorithm::Es256, KeyAlgorithm::EdDsa] {
            let (receipt, public_key) = receipt(algorithm);
            let signature = SshSig::from_pem(&receipt.signature).unwrap();
            let blob = signature.signature().as_bytes();
            assert_eq!(blob[blob.len() - 5..], [0x01, 0, 0, 0, 9]);
            assert_eq!(signature.public_key(), public_key.key_data());
            assert_eq!(signature.namespace(), NAMESPACE);
        }
    }

    #[test]
    fn a_receipt_is_one_line() {
        let (receipt, _) = receipt(KeyAlgorithm::Es256);
        let line = receipt.to_line().unwrap();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.ends_with("}\n"));
        let read: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["message"], receipt.message);
        assert_eq!(read["key"], "blue key");
    }
}

//! Judges a receipt afterwards: did this key approve that request?
//!
//! `ssh-keygen -Y verify` judges the signature and no more: to it, flags that
//! say "nobody was there" are as good as any. What a login asks of a signature
//! beyond that is asked here once more.
#![forbid(unsafe_code)]

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};
use ssh_key::encoding::Decode;
use ssh_key::{Algorithm, Mpint, SshSig};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Receipt;
use crate::authenticator_data::Flags;
use crate::challenge::{MESSAGE_HASH, NAMESPACE, Request};
use crate::credential::{Credential, UserVerification};
use crate::relying_party::RelyingParty;

/// What a receipt says, before anybody has judged it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Claim {
    version: u8,
    /// What was asked for.
    #[serde(flatten)]
    pub request: Request,
    /// When, by the clock of that machine (RFC 3339).
    pub time: String,
    /// The 32 random bytes of the challenge, as hexadecimal digits.
    pub nonce: String,
}

/// What the key has signed besides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved {
    /// Presence and verification.
    pub flags: Flags,
    /// The counter; 0 from a key that keeps none.
    pub sign_count: u32,
}

impl Receipt {
    /// The most bytes of a line.
    pub const LONGEST: usize = 16 * 1024;

    /// Reads a line of a receipts file.
    pub fn parse(line: &str) -> Result<Self, Unsound> {
        if line.len() > Self::LONGEST {
            return Err(Unsound::NotAReceipt);
        }
        serde_json::from_str(line).map_err(|_| Unsound::NotAReceipt)
    }

    /// What it says was asked for.
    pub fn claim(&self) -> Result<Claim, Unsound> {
        let claim: Claim = serde_json::from_str(&self.message).map_err(|_| Unsound::NotARequest)?;
        let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        let is_nonce = claim.nonce.len() == 64 && claim.nonce.bytes().all(is_digit);
        if claim.version == 1 && is_nonce && moment(&claim.time).is_some() {
            Ok(claim)
        } else {
            Err(Unsound::NotARequest)
        }
    }

    /// Whether it names this credential's key as its signer; says nothing of
    /// whether that has signed it.
    pub fn names(&self, credential: &Credential) -> bool {
        let named = SshSig::from_pem(&self.signature).map(|it| it.public_key().clone());
        let its = credential.public_key.key_data();
        matches!((named, its), (Ok(named), Ok(its)) if named == its)
    }

    /// Whether `credential` has approved what the receipt says, as a login with
    /// it demands: the signature, presence and verification, and that it was
    /// enrolled by then.
    pub fn verify(&self, credential: &Credential) -> Result<Approved, Unsound> {
        let claim = self.claim()?;
        let signature = SshSig::from_pem(&self.signature).map_err(|_| Unsound::NotASignature)?;
        if signature.namespace() != NAMESPACE || signature.hash_alg() != MESSAGE_HASH {
            return Err(Unsound::NotASignature);
        }
        if !self.names(credential) {
            return Err(Unsound::OtherKey);
        }
        let envelope = SshSig::signed_data(NAMESPACE, MESSAGE_HASH, self.message.as_bytes())
            .map_err(|_| Unsound::NotASignature)?;
        let (raw, approved) = taken_apart(signature.signature()).ok_or(Unsound::NotASignature)?;
        let mut signed = credential.public_key.relying_party().id_hash().to_vec();
        signed.push(approved.flags.0);
        signed.extend(approved.sign_count.to_be_bytes());
        signed.extend(Sha256::digest(envelope));
        if credential.public_key.verify(&signed, &raw).is_err() {
            return Err(Unsound::BadSignature);
        }
        if !approved.flags.user_present() {
            return Err(Unsound::NobodyPresent);
        }
        let required = credential.user_verification == UserVerification::Required;
        if required && !approved.flags.user_verified() {
            return Err(Unsound::NotVerified);
        }
        if moment(&claim.time) < moment(&credential.enrolled) {
            return Err(Unsound::NotEnrolledYet);
        }
        Ok(approved)
    }
}

/// Whether a name means nobody else where ssh-keygen reads who may sign: that is
/// a list of patterns (ssh-keygen(1), ALLOWED SIGNERS).
pub fn is_a_principal(name: &str) -> bool {
    !name.contains(|c: char| c.is_whitespace() || "*?!,\"#".contains(c))
}

/// The line by which `ssh-keygen -Y verify` takes signatures of `credential`
/// for the person's, from its enrolment on; `None` for a name or a date it cannot
/// read.
pub fn allowed_signer(person: &str, credential: &Credential) -> Option<String> {
    if !is_a_principal(person) {
        return None;
    }
    let from = moment(&credential.enrolled)?.checked_to_offset(time::UtcOffset::UTC)?;
    let (date, time) = (from.date(), from.time());
    Some(format!(
        "{person} namespaces=\"{NAMESPACE}\",valid-after=\"{:04}{:02}{:02}{:02}{:02}{:02}Z\" {} {}",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second(),
        credential.public_key.to_openssh().ok()?,
        credential.name,
    ))
}

fn moment(text: &str) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok()
}

/// An OpenSSH signature of a security key (`PROTOCOL.u2f`) as CTAP2 delivers
/// it, and what was signed with it.
fn taken_apart(signature: &ssh_key::Signature) -> Option<(Vec<u8>, Approved)> {
    let (raw, tail) = signature.as_bytes().split_last_chunk::<5>()?;
    let [flags, counter @ ..] = *tail;
    let approved = Approved {
        flags: Flags(flags),
        sign_count: u32::from_be_bytes(counter),
    };
    let raw = match signature.algorithm() {
        Algorithm::SkEcdsaSha2NistP256 => der(raw)?,
        Algorithm::SkEd25519 => raw.to_vec(),
        _ => return None,
    };
    Some((raw, approved))
}

/// r and s, two numbers of SSH's, as ASN.1 has them.
fn der(mut numbers: &[u8]) -> Option<Vec<u8>> {
    let mut number = || -> Option<[u8; 32]> {
        let number = Mpint::decode(&mut numbers).ok()?;
        let bytes = number.as_positive_bytes()?;
        let mut padded = [0; 32];
        padded
            .get_mut(32_usize.checked_sub(bytes.len())?..)?
            .copy_from_slice(bytes);
        Some(padded)
    };
    let (r, s) = (number()?, number()?);
    let signature = p256::ecdsa::Signature::from_scalars(r, s).ok()?;
    numbers
        .is_empty()
        .then(|| signature.to_der().as_bytes().to_vec())
}

/// Why a receipt proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsound {
    /// The line is none.
    NotAReceipt,
    /// Its message is not a request of ours.
    NotARequest,
    /// Its signature is not an SSHSIG of ours.
    NotASignature,
    /// It names another key.
    OtherKey,
    /// The key has not signed this message.
    BadSignature,
    /// Nobody touched the key.
    NobodyPresent,
    /// The key did not verify its person, as it has to.
    NotVerified,
    /// It is older than the credential.
    NotEnrolledYet,
}

impl std::error::Error for Unsound {}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAReceipt => "this is not a receipt",
            Self::NotARequest => "its message is not a request for a login",
            Self::NotASignature => "its signature is not one over a login",
            Self::OtherKey => "it names another key",
            Self::BadSignature => "the key has not signed this message",
            Self::NobodyPresent => "nobody touched the key",
            Self::NotVerified => "the key did not verify its person, as it has to",
            Self::NotEnrolledYet => "it is older than the key's enrolment",
        })
    }
}

#[cfg(test)]
mod tests {
    use ssh_key::{HashAlg, LineEnding};

    use super::super::tests::{receipt_of, signed_with};
    use super::*;
    use crate::public_key::Algorithm as KeyAlgorithm;
    use crate::test_key::TestKey;

    const BOTH: [KeyAlgorithm; 2] = [KeyAlgorithm::Es256, KeyAlgorithm::EdDsa];

    #[test]
    fn an_honest_receipt_says_what_was_approved_and_how() {
        for algorithm in BOTH {
            let key = TestKey::new(algorithm, 3);
            let line = receipt_of(&key).to_line().unwrap();
            let receipt = Receipt::parse(line.trim_end()).unwrap();
            let claim = receipt.claim().unwrap();
            assert_eq!(claim.request.service, "sudo");
            let mut credential = key.credential();
            credential.user_verification = UserVerification::Discouraged;
            let approved = receipt.verify(&credential).unwrap();
            assert!(approved.flags.user_present() && !approved.flags.user_verified());
            assert_eq!(approved.sign_count, 9);
        }
    }

    #[test]
    fn what_was_changed_afterwards_is_not_what_was_signed() {
        for algorithm in BOTH {
            let key = TestKey::new(algorithm, 3);
            let honest = receipt_of(&key);
            let mut changed = honest.clone();
            changed.message = honest.message.replace("sudo", "su");
            assert_eq!(
                changed.verify(&key.credential()),
                Err(Unsound::BadSignature)
            );
            // the message of another approval by the same key
            changed.message = receipt_of(&key).message;
            assert_eq!(
                changed.verify(&key.credential()),
                Err(Unsound::BadSignature)
            );
            let other = TestKey::new(algorithm, 4).credential();
            assert_eq!(honest.verify(&other), Err(Unsound::OtherKey));
            assert!(honest.names(&key.credential()) && !honest.names(&other));
        }
    }

    #[test]
    fn a_signature_without_a_person_is_no_approval() {
        for algorithm in BOTH {
            let key = TestKey::new(algorithm, 3);
            let mut credential = key.credential();
            let judged =
                |flags, credential: &Credential| signed_with(&key, flags).verify(credential);
            credential.user_verification = UserVerification::Discouraged;
            assert_eq!(judged(0x00, &credential), Err(Unsound::NobodyPresent));
            assert_eq!(judged(0x04, &credential), Err(Unsound::NobodyPresent));
            assert!(judged(0x01, &credential).is_ok());
            credential.user_verification = UserVerification::Required;
            assert_eq!(judged(0x01, &credential), Err(Unsound::NotVerified));
            assert!(judged(0x05, &credential).is_ok());
        }
    }

    #[test]
    fn a_receipt_older_than_its_key_is_none() {
        let key = TestKey::new(KeyAlgorithm::Es256, 3);
        let receipt = signed_with(&key, 0x05);
        let mut credential = key.credential();
        for (enrolled, judged) in [
            ("2999-01-01T00:00:00Z", Err(Unsound::NotEnrolledYet)),
            ("2020-01-01T00:00:00Z", Ok(())),
        ] {
            credential.enrolled = enrolled.into();
            assert_eq!(receipt.verify(&credential).map(|_| ()), judged);
        }
    }

    #[test]
    fn what_is_no_receipt_is_refused() {
        let key = TestKey::new(KeyAlgorithm::Es256, 3);
        let honest = receipt_of(&key);
        let line = honest.to_line().unwrap();
        for no in [
            "",
            "{}",
            "[]",
            &line[1..],
            &line.replace("\"key\"", "\"keys\""),
            &line.replace("{\"key\"", "{\"more\":1,\"key\""),
        ] {
            assert_eq!(Receipt::parse(no), Err(Unsound::NotAReceipt), "{no}");
        }
        let with_key = |length: usize| Receipt {
            key: "k".repeat(length),
            ..honest.clone()
        };
        let rest = with_key(0).to_line().unwrap().trim_end().len();
        for (length, is_read) in [(Receipt::LONGEST, true), (Receipt::LONGEST + 1, false)] {
            let line = with_key(length - rest).to_line().unwrap();
            assert_eq!(Receipt::parse(line.trim_end()).is_ok(), is_read);
        }
        let message = |message: &str| Receipt {
            message: message.into(),
            ..honest.clone()
        };
        for no in [
            "",
            "sudo",
            &honest.message.replace("\"version\":1", "\"version\":2"),
            &honest.message.replace("\"nonce\":\"", "\"nonce\":\"x"),
            &honest.message.replace("\"time\":\"2", "\"time\":\"x"),
            &honest.message.replace("\"user\"", "\"used\""),
        ] {
            let judged = message(no).verify(&key.credential());
            assert_eq!(judged, Err(Unsound::NotARequest), "{no}");
        }
        // a signature of the same key for another purpose, or none at all
        let signature = SshSig::from_pem(&honest.signature).unwrap();
        let remade = |namespace: &str, hash| {
            let key = signature.public_key().clone();
            SshSig::new(key, namespace, hash, signature.signature().clone())
                .and_then(|it| it.to_pem(LineEnding::LF))
                .unwrap()
        };
        assert_eq!(remade(NAMESPACE, MESSAGE_HASH), honest.signature);
        for no in [
            remade("git", MESSAGE_HASH),
            remade(NAMESPACE, HashAlg::Sha256),
            String::new(),
        ] {
            let other = Receipt {
                signature: no,
                ..honest.clone()
            };
            let judged = other.verify(&key.credential());
            assert_eq!(judged, Err(Unsound::NotASignature));
        }
    }

    #[test]
    fn a_name_that_is_a_pattern_is_no_signers() {
        let credential = TestKey::new(KeyAlgorithm::EdDsa, 3).credential();
        for name in [
            "*",
            "a?ice",
            "alice,bob",
            "!bob",
            "alice b",
            "#alice",
            "\"a",
        ] {
            assert_eq!(allowed_signer(name, &credential), None, "{name}");
        }
        assert!(allowed_signer("CORP\\alice", &credential).is_some());
    }

    #[test]
    fn a_signer_is_allowed_from_its_enrolment_on() {
        let mut credential = TestKey::new(KeyAlgorithm::EdDsa, 3).credential();
        credential.enrolled = "2026-11-24T01:30:00+02:00".into();
        let line = allowed_signer("alice", &credential).unwrap();
        let begin =
            "alice namespaces=\"login@pam-passkey\",valid-after=\"20261123233000Z\" sk-ssh-ed25519";
        assert!(line.starts_with(begin), "{line}");
        assert!(line.ends_with(" blue key"), "{line}");
        credential.enrolled = "9999-12-31T23:59:59-01:00".into();
        assert_eq!(allowed_signer("alice", &credential), None);
    }
}

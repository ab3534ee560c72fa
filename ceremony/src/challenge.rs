//! The challenge: who asks and for what, in a form that becomes a receipt.
//!
//! The bytes an authenticator signs are not 32 naked random ones. They are the
//! SSHSIG envelope (OpenSSH `PROTOCOL.sshsig`) of a one-line JSON message that
//! names the request and carries the nonce. An OpenSSH *sk* signature covers
//! `SHA256(application) ‖ flags ‖ counter ‖ SHA256(envelope)`; a FIDO2
//! assertion covers `rpIdHash ‖ flags ‖ signCount ‖ clientDataHash`. With
//! `clientDataHash = SHA256(envelope)` they are the same bytes, so every
//! approval is a signature that stock `ssh-keygen -Y verify` can judge.
#![forbid(unsafe_code)]

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use ssh_key::{HashAlg, SshSig};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The SSHSIG namespace of a login. A signature made for another namespace
/// (`git`, `file`) never verifies as a login, nor the other way round.
pub const NAMESPACE: &str = "login@pam-passkey";

/// The hash SSHSIG applies to the message before it is enveloped.
pub(crate) const MESSAGE_HASH: HashAlg = HashAlg::Sha512;

/// What is asked of the person, by whom: the part of the message that a
/// program fills in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The PAM service, or the program's own name: `sudo`, `passkey test`.
    pub service: String,
    /// The account whose credential answers.
    pub user: String,
    /// The host the person is logging in to.
    pub host: String,
    /// The command line, where one is asked for; quoted, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The terminal, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tty: Option<String>,
}

/// The message as it is signed. The order of the fields is the order in the
/// JSON line; readers go by name.
#[derive(Serialize)]
struct Message<'a> {
    version: u8,
    #[serde(flatten)]
    request: &'a Request,
    time: String,
    nonce: String,
}

/// A fresh challenge. It cannot be cloned and is consumed by the receipt, so
/// one challenge approves one request.
#[derive(Debug)]
pub struct Challenge {
    message: String,
    client_data_hash: [u8; 32],
}

impl Challenge {
    /// A challenge for `request` with 32 fresh random bytes.
    pub fn new(request: &Request) -> Result<Self, NoChallenge> {
        let mut nonce = [0; 32];
        getrandom::fill(&mut nonce).map_err(|_| NoChallenge::NoRandomness)?;
        Self::with_nonce(request, nonce, SystemTime::now())
    }

    fn with_nonce(
        request: &Request,
        nonce: [u8; 32],
        now: SystemTime,
    ) -> Result<Self, NoChallenge> {
        let message = serde_json::to_string(&Message {
            version: 1,
            request,
            time: rfc3339(now).ok_or(NoChallenge::NoTime)?,
            nonce: base16ct::lower::encode_string(&nonce),
        })
        .map_err(|_| NoChallenge::NotRepresentable)?;
        let envelope = SshSig::signed_data(NAMESPACE, MESSAGE_HASH, message.as_bytes())
            .map_err(|_| NoChallenge::NotRepresentable)?;
        Ok(Self {
            message,
            client_data_hash: Sha256::digest(envelope).into(),
        })
    }

    /// What the authenticator is given to sign (CTAP 2.1 §6.2, 0x02).
    pub fn client_data_hash(&self) -> [u8; 32] {
        self.client_data_hash
    }

    /// The message, one line without its end.
    pub(crate) fn into_message(self) -> String {
        self.message
    }
}

/// A moment as RFC 3339 in UTC, to the second.
pub fn rfc3339(moment: SystemTime) -> Option<String> {
    OffsetDateTime::from(moment)
        .replace_nanosecond(0)
        .ok()?
        .format(&Rfc3339)
        .ok()
}

/// Why there is no challenge; each of them means "refuse".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoChallenge {
    /// The kernel gave no random bytes.
    NoRandomness,
    /// The clock shows a time that RFC 3339 cannot write.
    NoTime,
    /// The request could not be written as JSON or enveloped.
    NotRepresentable,
}

impl std::error::Error for NoChallenge {}

impl std::fmt::Display for NoChallenge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoRandomness => "the kernel gave no random bytes for a challenge",
            Self::NoTime => "the clock shows a time that no challenge can carry",
            Self::NotRepresentable => "the request could not be written into a challenge",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request() -> Request {
        Request {
            service: "sudo".into(),
            user: "alice".into(),
            host: "laptop".into(),
            command: Some("'apt' 'upgrade'".into()),
            tty: None,
        }
    }

    #[test]
    fn the_message_is_one_line_that_says_who_asks_for_what() {
        let challenge = Challenge::with_nonce(
            &Request {
                command: Some("a\nb".into()),
                ..request()
            },
            [0xab; 32],
            SystemTime::UNIX_EPOCH + Duration::from_secs(1),
        )
        .unwrap();
        let message = challenge.into_message();
        assert_eq!(
            message,
            format!(
                "{{\"version\":1,\"service\":\"sudo\",\"user\":\"alice\",\"host\":\"laptop\",\
                 \"command\":\"a\\nb\",\"time\":\"1970-01-01T00:00:01Z\",\"nonce\":\"{}\"}}",
                "ab".repeat(32)
            )
        );
    }

    #[test]
    fn the_client_data_hash_covers_the_envelope_of_protocol_sshsig() {
        let challenge = Challenge::with_nonce(&request(), [1; 32], SystemTime::UNIX_EPOCH).unwrap();
        let hash = challenge.client_data_hash();
        // PROTOCOL.sshsig, written out by hand: magic, then four strings.
        let mut envelope = b"SSHSIG".to_vec();
        let digest = sha2::Sha512::digest(challenge.into_message().as_bytes());
        for part in [NAMESPACE.as_bytes(), b"", b"sha512", &digest[..]] {
            envelope.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            envelope.extend(part);
        }
        assert_eq!(hash, <[u8; 32]>::from(Sha256::digest(envelope)));
    }

    #[test]
    fn two_challenges_for_one_request_differ() {
        let one = Challenge::new(&request()).unwrap();
        let two = Challenge::new(&request()).unwrap();
        assert_ne!(one.client_data_hash(), two.client_data_hash());
    }
}

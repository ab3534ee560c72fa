//! What passes between the worker and who started it: one line of JSON to it,
//! and lines from it.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::key::typed_pin::TypedPin;

/// What is to be done, with which key.
#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    /// The key's node.
    pub(crate) node: PathBuf,
    /// How the key is shown: node and product must still be these.
    pub(crate) key: String,
    /// The PIN/UV auth protocol, by its number.
    pub(crate) protocol: u8,
    /// Whether the key speaks the commands of `FIDO_2_1_PRE`.
    pub(crate) preview: bool,
    /// What is to be done.
    pub(crate) work: Work,
}

/// What a worker does.
#[derive(Serialize, Deserialize)]
#[allow(missing_docs, reason = "the members say what they are")]
pub(crate) enum Work {
    SetPin {
        new: TypedPin,
    },
    ChangePin {
        old: TypedPin,
        new: TypedPin,
    },
    ListCredentials {
        pin: TypedPin,
    },
    RemoveCredential {
        pin: TypedPin,
        id: String,
    },
    /// What it keeps for relying parties of SSH's alone, and its slots left.
    ListSshKeys {
        pin: TypedPin,
    },
    /// Gives a credential another name. Keys refuse another user than its own.
    RenameCredential {
        pin: TypedPin,
        id: String,
        user_id: String,
        name: String,
    },
    ListFingerprints {
        pin: TypedPin,
    },
    AddFingerprint {
        pin: TypedPin,
        name: Option<String>,
    },
    RenameFingerprint {
        pin: TypedPin,
        id: String,
        name: String,
    },
    RemoveFingerprint {
        pin: TypedPin,
        id: String,
    },
}

impl Work {
    /// Whether a person has a part in it, and it takes as long as they do.
    pub(crate) fn takes_a_person(&self) -> bool {
        matches!(self, Self::AddFingerprint { .. })
    }

    /// Whether it is about fingerprints.
    pub(crate) fn is_about_fingerprints(&self) -> bool {
        matches!(
            self,
            Self::ListFingerprints { .. }
                | Self::AddFingerprint { .. }
                | Self::RenameFingerprint { .. }
                | Self::RemoveFingerprint { .. }
        )
    }
}

/// What a worker says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Line {
    /// The CTAPHID channel on which it speaks to the key.
    Channel([u8; 4]),
    /// How many samples of a finger the sensor wants.
    Sensor {
        /// That many.
        samples: u32,
    },
    /// A sample of a finger was taken, or was not good.
    Sample {
        /// lastEnrollSampleStatus.
        status: u8,
        /// How many more are wanted.
        remaining: u32,
    },
    /// It is done. The last line.
    Done(Outcome),
    /// It is not. The last line.
    Failed(Failed),
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Outcome {
    /// Nothing to show.
    Nothing,
    /// What the key keeps.
    Credentials(Vec<HeldCredential>),
    /// What it keeps for SSH.
    SshKeys(HeldForSsh),
    /// The fingers it knows, or the one it has come to know.
    Fingerprints(Vec<Fingerprint>),
}

/// Why it is not done.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Failed {
    /// The key's answer.
    Status(u8),
    /// The key could not be opened, read or written.
    Gone,
    /// Another program's answer came instead of ours.
    Disturbed,
    /// Nobody touched the sensor.
    NoFinger,
    /// Its answer was none that an honest key gives.
    Words(String),
}

/// A credential that a key keeps, made fit to be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct HeldCredential {
    /// In hexadecimal.
    pub(crate) id: String,
    pub(crate) rp_id: String,
    pub(crate) user_name: String,
    pub(crate) user_display_name: String,
}

/// What a key keeps for SSH, as it says it: nothing here is fit to be shown, or
/// believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldForSsh {
    pub(crate) keys: Vec<HeldSshKey>,
    /// The relying parties whose credentials it did not list, and why.
    pub(crate) not_listed: Vec<(String, String)>,
    /// How many credentials it has room for, where it says so.
    pub(crate) slots_left: Option<u32>,
}

/// A credential of a relying party that begins with `ssh:`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeldSshKey {
    pub(crate) id: Vec<u8>,
    pub(crate) rp_id: String,
    /// rpIDHash. A key may cut the rpId short; this stays.
    pub(crate) rp_id_hash: Vec<u8>,
    pub(crate) user_id: Vec<u8>,
    pub(crate) user_name: String,
    pub(crate) user_display_name: String,
    pub(crate) kind: HeldKind,
    /// 04, x and y, or what an Ed25519 key has.
    pub(crate) public_key: Vec<u8>,
    /// The level of credProtect; 0 where it does not say.
    pub(crate) cred_protect: u8,
}

/// The kinds of public keys (RFC 9053 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HeldKind {
    /// kty 2.
    Ec2,
    /// kty 1.
    Okp,
    /// Any other.
    Other,
}

/// A finger that a key knows, made fit to be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// In hexadecimal.
    pub(crate) id: String,
    pub(crate) name: String,
}

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

/// A finger that a key knows, made fit to be shown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Fingerprint {
    /// In hexadecimal.
    pub(crate) id: String,
    pub(crate) name: String,
}

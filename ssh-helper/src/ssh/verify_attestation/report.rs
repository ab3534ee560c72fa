//! What was found, for a person and for a program.
#![forbid(unsafe_code)]

use ceremony::attestation::NewCredential;
use ceremony::authenticator::ctap2::CredentialProtection;
use ceremony::public_key::InvalidPublicKey;
use ceremony::ssh_application::SshApplication;
use serde::Serialize;

use super::chain::Leaf;
use crate::ink::Ink;
use crate::key::models::model;
use crate::screen::Report;

/// What is judged, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Step {
    /// The file can be read.
    File,
    /// What the key was to sign.
    Challenge,
    /// What the key is for.
    Application,
    /// What the key said, and the signature over it.
    AuthenticatorData,
    /// Which key it is about.
    PublicKey,
    /// Whether somebody vouches for it.
    Statement,
    /// Who vouches for it.
    Certificate,
    /// For which model.
    Model,
}

impl Step {
    fn words(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Challenge => "challenge",
            Self::Application => "application",
            Self::AuthenticatorData => "authenticator data",
            Self::PublicKey => "public key",
            Self::Statement => "statement",
            Self::Certificate => "certificate",
            Self::Model => "model",
        }
    }
}

/// What one step found.
#[derive(Debug, Serialize)]
pub(super) struct Said {
    step: Step,
    holds: bool,
    says: String,
}

impl Said {
    pub(super) fn holds(step: Step, says: impl Into<String>) -> Self {
        let says = says.into();
        let holds = true;
        Self { step, holds, says }
    }

    pub(super) fn not(step: Step, says: &str) -> Self {
        let says = says.to_owned();
        let holds = false;
        Self { step, holds, says }
    }
}

/// The judgement.
#[derive(Debug, Serialize)]
pub(super) struct Verified {
    holds: bool,
    steps: Vec<Said>,
    /// Where it holds.
    key: Option<Key>,
}

impl Verified {
    pub(super) fn holds(steps: Vec<Said>, key: Key) -> Self {
        Self {
            holds: true,
            steps,
            key: Some(key),
        }
    }

    pub(super) fn does_not_hold(steps: Vec<Said>) -> Self {
        Self {
            holds: false,
            steps,
            key: None,
        }
    }
}

/// What is known of the key.
#[derive(Debug, Serialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the members of an object in JSON"
)]
pub(super) struct Key {
    #[serde(rename = "type")]
    kind: String,
    fingerprint: String,
    #[serde(rename = "public_key")]
    openssh: String,
    application: String,
    aaguid: String,
    model: Option<&'static str>,
    /// Whether the certificate is one for this model.
    certificate_names_model: bool,
    user_present: bool,
    user_verified: bool,
    /// credProtect's level; none where the key did not say.
    protection: Option<u8>,
    backup_eligible: bool,
    backed_up: bool,
    certificate: String,
    root: String,
}

impl Key {
    pub(super) fn of(
        made: &NewCredential<SshApplication>,
        protection: Option<CredentialProtection>,
        leaf: &Leaf,
        root: String,
    ) -> Result<Self, InvalidPublicKey> {
        let flags = made.flags;
        let algorithm = made.public_key.key_data()?.algorithm();
        Ok(Self {
            kind: algorithm.as_str().to_owned(),
            fingerprint: made.public_key.fingerprint()?,
            openssh: made.public_key.to_openssh()?,
            application: made.public_key.relying_party().to_string(),
            aaguid: made.aaguid.to_string(),
            model: model(made.aaguid),
            certificate_names_model: leaf.names_model,
            user_present: flags.user_present(),
            user_verified: flags.user_verified(),
            protection: protection.map(CredentialProtection::level),
            backup_eligible: flags.backup_eligible(),
            backed_up: flags.backup_state(),
            certificate: leaf.subject.clone(),
            root,
        })
    }

    fn lines(&self) -> [(&'static str, String); 10] {
        let made_with = match (self.user_present, self.user_verified) {
            (_, true) => "a touch, and the PIN or a fingerprint",
            (true, false) => "a touch",
            (false, false) => "nobody there",
        };
        let protection = match self.protection {
            Some(3) => "signs only after the PIN or a fingerprint (credProtect 3)",
            Some(_) => "found on the key only after the PIN or a fingerprint (credProtect 2)",
            None => "the key does not say (no credProtect)",
        };
        let copies = match (self.backup_eligible, self.backed_up) {
            (false, _) => "none can be made",
            (true, false) => "may be made",
            (true, true) => "have been made",
        };
        [
            ("Type", self.kind.clone()),
            ("Fingerprint", self.fingerprint.clone()),
            ("Application", self.application.clone()),
            ("Model", self.model.unwrap_or("not known").to_owned()),
            ("AAGUID", self.aaguid.clone()),
            ("Made with", made_with.to_owned()),
            ("Protection", protection.to_owned()),
            ("Copies", copies.to_owned()),
            ("Certificate", self.certificate.clone()),
            ("Root", self.root.clone()),
        ]
    }
}

impl Report for Verified {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let mut lines: Vec<String> = self
            .steps
            .iter()
            .map(|Said { step, holds, says }| {
                let verdict = if *holds {
                    ink.good("good")
                } else {
                    ink.bad("BAD")
                };
                format!("{verdict} {}: {says}", step.words())
            })
            .collect();
        if let Some(key) = &self.key {
            lines.push(String::new());
            let table = key.lines();
            lines.extend(table.map(|(name, value)| format!("{name:<14}{value}")));
            lines.push(String::new());
            lines.push(
                "So it was when the key was made. Whether its maker has withdrawn the certificate \
                 since was not asked."
                    .to_owned(),
            );
        }
        lines
    }
}

//! `passkey ssh verify-attestation`: which security key made an SSH key, as far
//! as its maker vouches for it.
//!
//! The judgement goes step by step, and each step says in a sentence what it
//! found. The first that does not hold ends it: what comes after would rest on
//! what has been refused. Nothing is said of a key for which a step is missing.
#![forbid(unsafe_code)]

mod chain;
mod given;
mod models;
mod report;

use ceremony::attestation::{self, CertificateProblem, Kind, NewCredential, Packed, Refusal};
use ceremony::authenticator::ctap2::{AttestationObject, CredentialProtection};
use ceremony::authenticator_data::AuthenticatorData;
use ceremony::credential::printable;
use ceremony::public_key::PublicKey;
use ceremony::ssh_application::SshApplication;
use sha2::{Digest, Sha256};

use super::attestation::{AttestationFile, LARGEST};
use crate::cli::ssh::VerifyAttestation;
use crate::failure::Failure;
use crate::key::models::model;
use crate::screen::Screen;
use chain::{Leaf, Roots};
use given::{Given, read, shown};
use models::Models;
use report::{Key, Said, Step, Verified};

/// Judges what vouches for an SSH key.
pub(crate) fn verify_attestation(
    wanted: &VerifyAttestation,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut judge = Judge {
        roots: Roots::read(&wanted.roots)?,
        models: wanted.aaguids.as_deref().map(Models::read).transpose()?,
        given: Given::read(wanted)?,
        said: Vec::new(),
    };
    let file = read(
        &wanted.file,
        LARGEST,
        "name an attestation file that you may read",
    )?;
    match judge.judge(&file) {
        Ok(key) => screen.report(&Verified::holds(judge.said, key)),
        Err(refused) => {
            judge.said.push(Said::not(refused.step, &refused.why));
            screen.report(&Verified::does_not_hold(judge.said))?;
            Err(Failure::new(
                format!("{} does not vouch for the key", shown(&wanted.file)),
                refused.what_to_do,
            ))
        }
    }
}

/// A step that does not hold.
struct Refused {
    step: Step,
    why: String,
    what_to_do: String,
}

impl Refused {
    fn new(step: Step, why: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self {
            step,
            why: why.into(),
            what_to_do: what_to_do.into(),
        }
    }
}

const DO_NOT_RELY: &str = "do not rely on this key; where it should be a good one, get the file \
                           and the challenge once more from whoever made it";

/// What it is judged by, and what was found so far.
struct Judge {
    roots: Roots,
    models: Option<Models>,
    given: Given,
    said: Vec<Said>,
}

impl Judge {
    fn judge(&mut self, file: &[u8]) -> Result<Key, Refused> {
        let file = self.file(file)?;
        let challenge = self.challenge(&file)?;
        let application = self.application(&file)?;
        let (object, made) = self.authenticator_data(&file, &challenge, &application)?;
        self.public_key(&file, &made.public_key)?;
        let statement = self.statement(&object, &made)?;
        let (leaf, root) = self.certificate(&statement)?;
        self.model(&made, &leaf)?;
        Key::of(&made, protection(&object), &leaf, root).map_err(|problem| {
            Refused::new(
                Step::PublicKey,
                format!("the public key has no form in OpenSSH: {problem}"),
                DO_NOT_RELY,
            )
        })
    }

    fn holds(&mut self, step: Step, says: impl Into<String>) {
        self.said.push(Said::holds(step, says));
    }

    fn file(&mut self, file: &[u8]) -> Result<AttestationFile, Refused> {
        let file = AttestationFile::parse(file).map_err(|problem| {
            Refused::new(Step::File, problem.to_string(), problem.what_to_do())
        })?;
        self.holds(
            Step::File,
            match file.noted {
                Some(_) => "it is whole, as passkey ssh enroll writes it",
                None => "it is whole, as ssh-keygen writes it",
            },
        );
        Ok(file)
    }

    fn challenge(&mut self, file: &AttestationFile) -> Result<Vec<u8>, Refused> {
        let noted = file.noted.as_ref().map(|noted| &noted.challenge);
        let (challenge, says) = match (noted, &self.given.challenge) {
            (None, None) => {
                return Err(Refused::new(
                    Step::Challenge,
                    "ssh-keygen does not keep the challenge in the file, and without it no \
                     signature can be judged",
                    "give the file that was used with ssh-keygen -O challenge: --challenge FILE; \
                     where there was none, make a key anew: passkey ssh enroll --attestation FILE",
                ));
            }
            (Some(noted), Some(given)) if noted != given => {
                return Err(Refused::new(
                    Step::Challenge,
                    "the key was made for another challenge than the one that was given",
                    "it may be an old key, or somebody else's; have one made for your challenge: \
                     passkey ssh enroll --challenge FILE --attestation FILE",
                ));
            }
            (Some(both), Some(_)) => (both, "the one in the file is the one that was given"),
            (None, Some(given)) => (given, "the one that was given"),
            (Some(noted), None) => (
                noted,
                "the one in the file; whether it was ever asked for is not known",
            ),
        };
        let challenge = challenge.clone();
        self.holds(Step::Challenge, says);
        Ok(challenge)
    }

    fn application(&mut self, file: &AttestationFile) -> Result<SshApplication, Refused> {
        let of = |key: &PublicKey<SshApplication>| key.relying_party().clone();
        // Whoever names one wants that one, and everybody must name the same.
        let named = [
            self.given.application.clone(),
            self.given.public_key.as_ref().map(of),
            file.noted.as_ref().map(|noted| of(&noted.public_key)),
        ];
        let mut named = named.into_iter().flatten();
        let Some(application) = named.next() else {
            return Err(Refused::new(
                Step::Application,
                "ssh-keygen does not keep the application in the file",
                "give the public key: --public-key FILE; or the application: --application ssh:",
            ));
        };
        if let Some(other) = named.find(|other| *other != application) {
            return Err(Refused::new(
                Step::Application,
                format!("the key is for \"{other}\", not for \"{application}\""),
                "give the file of the right key, or the right --application",
            ));
        }
        self.holds(Step::Application, format!("\"{application}\""));
        Ok(application)
    }

    /// The rules of a registration (WebAuthn §7.1), and the signature.
    fn authenticator_data(
        &mut self,
        file: &AttestationFile,
        challenge: &[u8],
        application: &SshApplication,
    ) -> Result<(AttestationObject, NewCredential<SshApplication>), Refused> {
        let step = Step::AuthenticatorData;
        let refused = |why: String| Refused::new(step, why, DO_NOT_RELY);
        let algorithm = AuthenticatorData::parse(&file.authenticator_data)
            .map_err(|problem| refused(problem.to_string()))?
            .attested
            .ok_or_else(|| refused(Refusal::NoCredential.to_string()))?
            .public_key(application.clone())
            .map_err(|problem| refused(problem.to_string()))?
            .algorithm();
        let object = file
            .object(algorithm)
            .ok_or_else(|| refused("the statement cannot be put together".to_owned()))?;
        let protection = protection(&object);
        let verify = |hash: [u8; 32]| {
            attestation::verify(&object, &hash, application, algorithm, protection)
        };
        let mut verified = verify(Sha256::digest(challenge).into());
        // Before it hashed it itself, OpenSSH had the key sign a challenge of 32
        // bytes as it is.
        if let (Err(_), None, Ok(raw)) = (&verified, &file.noted, challenge.try_into()) {
            verified = verify(raw).or(verified);
        }
        let made = verified.map_err(|problem| match problem {
            Refusal::OtherRelyingParty => Refused::new(
                step,
                format!("the key was not made for \"{application}\""),
                "give the application it was made for: --application ssh:TEXT",
            ),
            Refusal::Certificate(CertificateProblem::DidNotSign) | Refusal::Statement(_)
                if file.noted.is_none() =>
            {
                Refused::new(
                    step,
                    format!(
                        "{problem}: it was changed, the challenge is another one, or it is a \
                         U2F key, whose statements are not read"
                    ),
                    DO_NOT_RELY,
                )
            }
            other => refused(other.to_string()),
        })?;
        self.holds(step, "they are lawful, and consistent with the statement");
        Ok((object, made))
    }

    fn public_key(
        &mut self,
        file: &AttestationFile,
        made: &PublicKey<SshApplication>,
    ) -> Result<(), Refused> {
        let step = Step::PublicKey;
        let noted = file.noted.as_ref().map(|noted| &noted.public_key);
        if noted.is_some_and(|noted| noted != made) {
            let why = "the file names another public key than the one that was signed";
            return Err(Refused::new(step, why, DO_NOT_RELY));
        }
        let says = match &self.given.public_key {
            Some(given) if given != made => {
                return Err(Refused::new(
                    step,
                    "the file is about another key than the one that was given",
                    "give the file of the right key; of this key nothing is known",
                ));
            }
            Some(_) => "the one that was given",
            None => "none was given; it is shown below",
        };
        self.holds(step, says);
        Ok(())
    }

    /// Its certificates, in a statement that somebody vouches for.
    fn statement<'o>(
        &mut self,
        object: &'o AttestationObject,
        made: &NewCredential<SshApplication>,
    ) -> Result<Packed<'o>, Refused> {
        let why = match made.attestation {
            Kind::PackedX5c => match Packed::parse(&object.statement) {
                Some(packed) => {
                    let says = "\"packed\", signed by the key of a certificate";
                    self.holds(Step::Statement, says);
                    return Ok(packed);
                }
                None => "it is not well-formed".to_owned(),
            },
            Kind::PackedSelf => {
                "the key vouches for itself, which any program can do; nobody else vouches for it"
                    .to_owned()
            }
            Kind::None => "there is none; nobody vouches for the key".to_owned(),
            Kind::Unread if object.format == "packed" => format!(
                "it says that it is signed with algorithm {}, and only ES256 (-7) is read, so \
                 nobody vouches for the key",
                Packed::parse(&object.statement).map_or(0, |packed| packed.algorithm)
            ),
            Kind::Unread => format!(
                "its format \"{}\" is not read (\"packed\" is), so nobody vouches for the key",
                printable(&object.format, 32)
            ),
        };
        Err(Refused::new(
            Step::Statement,
            why,
            "have the key made on a security key whose maker put a certificate in it, or do \
             without: what holds the key is then not known",
        ))
    }

    fn certificate(&mut self, statement: &Packed<'_>) -> Result<(Leaf, String), Refused> {
        let (leaf, root) = self.roots.vouch(&statement.certificates).map_err(|it| {
            let why = it.to_string();
            Refused::new(Step::Certificate, why, it.what_to_do())
        })?;
        self.holds(
            Step::Certificate,
            format!("{} vouches for {}", root, leaf.subject),
        );
        Ok((leaf, root))
    }

    /// That the certificate names no other model has been seen to.
    fn model(&mut self, made: &NewCredential<SshApplication>, leaf: &Leaf) -> Result<(), Refused> {
        let aaguid = made.aaguid;
        let called = match model(aaguid) {
            Some(name) => format!("{aaguid} ({name})"),
            None => aaguid.to_string(),
        };
        let says = match &self.models {
            Some(models) if !models.accept(aaguid) => {
                return Err(Refused::new(
                    Step::Model,
                    format!("{called} is not on the list"),
                    "have the key made on another model, or put its AAGUID on the list",
                ));
            }
            // Roots that vouch for several models tell them apart by it (WebAuthn
            // §8.2.1), and which root is for which model is not in the list.
            Some(_) if !leaf.names_model => {
                return Err(Refused::new(
                    Step::Model,
                    format!("the certificate does not say that it is for {called}"),
                    "judge without --aaguids, if any model of its maker will do",
                ));
            }
            Some(_) => format!("{called} is on the list, and the certificate is for it"),
            None if leaf.names_model => format!("{called}, for which the certificate is"),
            None => format!("{called}, as the key says; the certificate names none"),
        };
        self.holds(Step::Model, says);
        Ok(())
    }
}

/// How the key says that it guards the credential (credProtect). Nothing tells
/// what was asked for, so whatever is said lawfully is taken: the better level
/// first, then the other.
fn protection(object: &AttestationObject) -> Option<CredentialProtection> {
    let data = AuthenticatorData::parse(&object.authenticator_data).ok()?;
    let extensions = data.extensions?;
    Some(match extensions.last() {
        Some(3) => CredentialProtection::Verification,
        _ => CredentialProtection::VerificationOrId,
    })
}

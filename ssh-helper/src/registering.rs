//! Has a key make its credential, with the sentence for each way that can fail.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::time::{Duration, Instant};

use ceremony::account::Account;
use ceremony::attestation::NewCredential;
use ceremony::authenticator::NoPin;
use ceremony::authenticator::ctap2::Info;
use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::interruption::Interruption;
use ceremony::authenticator::introduction::Mute;
use ceremony::authenticator::race::{Course, Field};
use ceremony::authenticator::verification::CannotVerify;
use ceremony::credential::{Credential, CredentialId, UserVerification};
use ceremony::registration::{self, Discoverable, Refused, Wanted};
use ceremony::relying_party::RelyingPartyId;

use crate::cli::{self, AlgorithmWord};
use crate::failure::Failure;
use crate::login::{about_verification, not_typed};
use crate::machine::{self, CONFIG};
use crate::refused;
use crate::screen::Screen;
use crate::touch::{Prompt, Purpose};
use crate::which_key::ToMake;
use crate::whose_account::Root;

/// A credential to make.
pub(crate) struct Registering<'a> {
    /// As it was asked for.
    pub(crate) wanted: &'a cli::Enroll,
    /// For whom.
    pub(crate) account: &'a Account,
    /// How we came to be root.
    pub(crate) root: Root,
    /// Who will ask for it.
    pub(crate) relying_party: &'a RelyingPartyId,
    /// The credentials the account has.
    pub(crate) enrolled: &'a [Credential],
    /// How long the person has.
    pub(crate) timeout: Duration,
    /// What to type to begin again.
    pub(crate) again: &'a str,
}

impl Registering<'_> {
    /// Asks `key`, and no other, to make it.
    pub(crate) fn ask(
        &self,
        key: &FoundKey,
        screen: &mut Screen,
    ) -> Result<NewCredential, Failure> {
        // A key knows its own credentials only under their relying party, and
        // takes but so many ids.
        let exclude: Vec<&CredentialId> = self
            .enrolled
            .iter()
            .filter(|credential| credential.public_key.relying_party() == self.relying_party)
            .map(|credential| &credential.id)
            .collect();
        // A user id of its own for each credential, so none replaces another; a
        // challenge that nobody sees again, since attestation leaves no receipt.
        let random = || registration::random_bytes().map_err(|it| self.failure(&it, key));
        let wanted = Wanted {
            relying_party: self.relying_party,
            user_name: self.account.name.as_str(),
            user_id: &random()?,
            algorithm: self.wanted.algorithm.into(),
            exclude: &exclude,
            discoverable: if self.wanted.discoverable {
                Discoverable::Yes
            } else {
                Discoverable::No
            },
            user_verification: self.wanted.user_verification(),
            protection: None,
            challenge: &random()?,
        };
        let words = format!("Requested by passkey enroll for {}.", self.account.name);
        let claims = machine::claims(&words, screen);
        let interruption = Interruption::hold_back();
        let course = Course {
            field: Field::Only(key.clone()),
            deadline: Instant::now() + self.timeout,
            claims: claims.as_ref(),
            interruption: interruption.as_ref(),
        };
        let what_for = format!("to enrol it for {}", self.account.name);
        let mut prompt = Prompt::new(screen, Purpose::Make(&what_for));
        registration::register(&wanted, &course, &mut prompt)
            .map_err(|refused| self.failure(&refused, key))
    }

    /// What to type to have it otherwise.
    fn instead(&self, change: impl FnOnce(&mut cli::Enroll)) -> String {
        self.root
            .command(&self.wanted.but(change).words(), self.account)
    }

    /// The pair of sentences for a refusal.
    fn failure(&self, refused: &Refused, key: &dyn Display) -> Failure {
        let command = self.again;
        let (happened, what_to_do) = match refused {
            Refused::NoAccess => (
                format!("this process may not open {key}"),
                format!("run it as root, outside any sandbox: {command}"),
            ),
            Refused::AlreadyEnrolled => (
                format!("{key} is enrolled for {} already", self.account.name),
                "see its name with `passkey list`; to enrol another, plug that one in".to_owned(),
            ),
            Refused::UnsupportedAlgorithm => (
                format!("{key} cannot make a credential of that algorithm"),
                format!(
                    "run: {}",
                    self.instead(|it| {
                        it.algorithm = match it.algorithm {
                            AlgorithmWord::EdDsa => AlgorithmWord::Es256,
                            AlgorithmWord::Es256 => AlgorithmWord::EdDsa,
                        };
                    })
                ),
            ),
            Refused::CannotVerify(CannotVerify::NoPin(NoPin::NotGiven)) => not_typed(key, command),
            Refused::CannotVerify(why) => self.cannot_verify(key, why),
            other => refused::sentences(other, key, command),
        };
        Failure::new(happened, what_to_do)
    }

    /// A key that could not verify its person.
    fn cannot_verify(&self, key: &dyn Display, why: &CannotVerify) -> (String, String) {
        let happened = format!("a PIN or fingerprint is required, and {key} gave none: {why}");
        let mut what_to_do = about_verification(why, self.again);
        if *why == CannotVerify::NothingSetUp
            && self.wanted.user_verification() == UserVerification::Required
        {
            what_to_do = format!(
                "{what_to_do}; or enrol the key for touch alone: {}\n  \
                 without a PIN it lets {} in only where {CONFIG} says \
                 user_verification = \"discouraged\" for the service",
                self.instead(|it| it.touch_only = true),
                self.account.name
            );
        }
        (happened, what_to_do)
    }
}

impl ToMake for Registering<'_> {
    fn wanted(&self) -> &'static str {
        "key to enrol"
    }

    fn question(&self, key: &FoundKey) -> String {
        format!("Enrol {key} for {}?", self.account.name)
    }

    fn question_of_several(&self) -> String {
        format!("Which one is to be enrolled for {}?", self.account.name)
    }

    fn done(&self) -> &'static str {
        "enrolled"
    }

    fn unfit(&self, key: &FoundKey, said: Result<&Info, Mute>) -> Option<Failure> {
        refused::before_it_is_asked(said, self.wanted.user_verification())
            .map(|refused| self.failure(&refused, key))
    }
}

#[cfg(test)]
mod tests {
    use ceremony::account::UserName;
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::person_behind::Through;

    fn sentence(refused: &Refused, line: &[&str]) -> String {
        let line = ["passkey", "enroll"].iter().chain(line);
        let Command::Enroll(wanted) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        let account = Account {
            name: UserName::parse("alice").unwrap(),
            uid: 1000,
        };
        let relying_party = RelyingPartyId::for_host("laptop").unwrap();
        Registering {
            wanted: &wanted,
            account: &account,
            root: Root::OnBehalf(Through::Sudo),
            relying_party: &relying_party,
            enrolled: &[],
            timeout: Duration::ZERO,
            again: "sudo passkey enroll",
        }
        .failure(refused, &"YubiKey 5 (/dev/hidraw3)")
        .to_string()
    }

    #[test]
    fn a_key_that_needs_a_pin_leads_to_touch_only_and_its_price() {
        let refused = Refused::CannotVerify(CannotVerify::NothingSetUp);
        let text = sentence(&refused, &["--name", "blue"]);
        for needed in [
            "YubiKey 5 (/dev/hidraw3)",
            "sudo passkey enroll --name \"blue\" --touch-only",
            "set a PIN on it",
            "user_verification = \"discouraged\"",
        ] {
            assert!(text.contains(needed), "{text}");
        }
    }

    #[test]
    fn touch_only_is_not_recommended_to_who_has_tried_it() {
        let refused = Refused::CannotVerify(CannotVerify::NothingSetUp);
        let text = sentence(&refused, &["--touch-only"]);
        assert!(!text.contains("--touch-only"), "{text}");
    }

    #[test]
    fn a_missing_algorithm_leads_to_the_other_one() {
        let other = sentence(&Refused::UnsupportedAlgorithm, &[]);
        assert!(
            other.ends_with("run: sudo passkey enroll --algorithm eddsa"),
            "{other}"
        );
        let back = sentence(&Refused::UnsupportedAlgorithm, &["--algorithm", "eddsa"]);
        assert!(back.ends_with("run: sudo passkey enroll"), "{back}");
    }
}

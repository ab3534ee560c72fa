//! Has a security key make an SSH key.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use ceremony::attestation::NewCredential;
use ceremony::authenticator::ctap2::Info;
use ceremony::authenticator::hidraw::FoundKey;
use ceremony::authenticator::interruption::Interruption;
use ceremony::authenticator::introduction::{Mute, introduction};
use ceremony::authenticator::race::{Course, Field};
use ceremony::credential::CredentialId;
use ceremony::public_key::Algorithm;
use ceremony::registration::{self, Refused, Wanted};
use ceremony::ssh_application::SshApplication;

use super::plan::Plan;
use crate::cli::ssh::KeyType;
use crate::failure::Failure;
use crate::key;
use crate::machine;
use crate::refused;
use crate::screen::Screen;
use crate::terminal;
use crate::touch::{Prompt, Purpose};
use crate::which_key::{Choosing, ToMake};

/// The longest user name that a security key keeps whole (CTAP 2.1 §6.1.2).
const LONGEST_USER_NAME: usize = 64;

/// An SSH key that a security key is to make.
pub(super) struct Making<'p> {
    /// What it is to be.
    pub(super) plan: &'p Plan<'p>,
}

impl Making<'_> {
    /// The security key that was named, or the one that a person says is meant.
    pub(super) fn choose(&self, screen: &mut Screen) -> Result<FoundKey, Failure> {
        if let Some(node) = self.plan.wanted.which.node() {
            return key::plugged_in_at(node);
        }
        Choosing {
            to_make: self,
            asked: screen.is_for_a_person() && terminal::somebody_is_there(),
            has_it: None,
            timeout: self.timeout(),
            again: &self.plan.again,
        }
        .ask(screen)
    }

    /// Whether `key` says that it makes no key of the kind that is wanted.
    pub(super) fn is_of_another_kind(&self, key: &FoundKey) -> bool {
        // ES256 goes without saying.
        self.plan.wanted.key_type == KeyType::Ed25519Sk
            && introduction(key).is_ok_and(|info| !info.supports(Algorithm::EdDsa))
    }

    /// Asks `key`, and no other, to make it.
    pub(super) fn ask(
        &self,
        key: &FoundKey,
        screen: &mut Screen,
    ) -> Result<NewCredential<SshApplication>, Failure> {
        let plan = self.plan;
        // A spare on the very security key that it is to be a spare for is none.
        let exclude: Vec<&CredentialId> = plan.first.iter().map(|first| &first.id).collect();
        let wanted = Wanted {
            relying_party: &plan.application,
            user_name: shortened(&plan.comment),
            user_id: &plan.user_id(),
            algorithm: plan.wanted.key_type.into(),
            exclude: &exclude,
            discoverable: plan.discoverable(),
            user_verification: plan.user_verification(),
            protection: plan.protection(),
            challenge: &plan.challenge,
        };
        let claims = machine::claims("Requested by passkey ssh enroll.", screen);
        let interruption = Interruption::hold_back();
        let course = Course {
            field: Field::Only(key.clone()),
            deadline: Instant::now() + self.timeout(),
            claims: claims.as_ref(),
            interruption: interruption.as_ref(),
        };
        let mut prompt = Prompt::new(screen, Purpose::Make("to make the SSH key"));
        registration::register(&wanted, &course, &mut prompt)
            .map_err(|refused| self.failure(&refused, key))
    }

    fn timeout(&self) -> Duration {
        Duration::from_secs(self.plan.wanted.timeout.into())
    }

    /// The pair of sentences for a refusal.
    fn failure(&self, refused: &Refused, key: &FoundKey) -> Failure {
        let plan = self.plan;
        let whose = match &plan.wanted.user {
            Some(user) => format!("{} and user {user}", plan.application),
            None => plan.application.to_string(),
        };
        let replace = plan.wanted.but(|it| it.replace = true).words();
        let another = "choose another --user, to keep both";
        let not_resident = plan.wanted.but(|it| {
            it.resident = false;
            it.user = None;
            it.replace = false;
        });
        let not_resident = not_resident.words();
        let (happened, what_to_do) = match refused {
            Refused::AlreadyEnrolled => (
                format!("{key} is the security key that already holds the first key"),
                format!(
                    "a spare is of use only on another one; plug that in and run again: {}",
                    plan.again
                ),
            ),
            Refused::Taken => (
                format!("{key} keeps an SSH key for {whose} already, and it would be lost"),
                format!("{another}; or lose it: {replace}"),
            ),
            Refused::PerhapsTaken => (
                format!("{key} does not say whether it keeps an SSH key for {whose} already"),
                format!("see `passkey ssh list`; if it does not: {replace}"),
            ),
            Refused::CannotProtect => (
                format!("{key} cannot guard a key with its PIN (credProtect)"),
                "make one without --resident and --verify-required, or take another security key"
                    .to_owned(),
            ),
            Refused::Full => (
                format!("{key} has no room for another resident key"),
                format!(
                    "make room: passkey key credentials list, and passkey key credentials \
                     remove ID; or make one that takes none: {not_resident}"
                ),
            ),
            Refused::CannotKeep => (
                format!("{key} keeps no keys itself, so it makes none that is resident"),
                format!("make one that is not: {not_resident}; or take another security key"),
            ),
            Refused::UnsupportedAlgorithm => (
                format!("{key} cannot make an ed25519-sk key"),
                format!(
                    "every server takes ecdsa-sk, too: {}",
                    plan.wanted.but(|it| it.key_type = KeyType::EcdsaSk).words()
                ),
            ),
            other => refused::sentences(other, key, &plan.again),
        };
        Failure::new(happened, what_to_do)
    }
}

impl ToMake for Making<'_> {
    fn wanted(&self) -> &'static str {
        "key that is to hold it"
    }

    fn question(&self, key: &FoundKey) -> String {
        format!("Make the SSH key on {key}?")
    }

    fn question_of_several(&self) -> String {
        "Which one is to hold the SSH key?".to_owned()
    }

    fn done(&self) -> &'static str {
        "used"
    }

    fn by_name(&self) -> Option<String> {
        Some(format!("{} --key NODE", self.plan.again))
    }

    fn unfit(&self, key: &FoundKey, said: Result<&Info, Mute>) -> Option<Failure> {
        let guards = self.plan.protection().is_some();
        let keeps = self.plan.flags.is_resident();
        let cannot = match said {
            Ok(info) if keeps && !info.options.rk => Some(Refused::CannotKeep),
            Ok(info) if guards && !info.cred_protect => Some(Refused::CannotProtect),
            said => refused::before_it_is_asked(said, self.plan.user_verification()),
        };
        cannot.map(|refused| self.failure(&refused, key))
    }
}

/// As much of `text` as a security key keeps.
fn shortened(text: &str) -> &str {
    (0..=LONGEST_USER_NAME)
        .rev()
        .find_map(|length| text.get(..length.min(text.len())))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_between_its_letters() {
        assert_eq!(shortened("alice@laptop"), "alice@laptop");
        assert_eq!(shortened(&"a".repeat(65)).len(), 64);
        assert_eq!(shortened(&"é".repeat(40)), "é".repeat(32));
        assert_eq!(shortened(&format!("a{}", "é".repeat(40))).len(), 63);
    }
}

//! A login as the module would ask for it, without logging in: a fresh
//! challenge, the ceremony, and the sentence for each way it can fail.
#![forbid(unsafe_code)]

use std::fmt::Display;
use std::io;
use std::time::{Duration, Instant};

use ceremony::account::Account;
use ceremony::assertion::{Candidate, Refusal};
use ceremony::authentication::{self, Approval, Refused, Terms};
use ceremony::authenticator::NoPin;
use ceremony::authenticator::interruption::Interruption;
use ceremony::authenticator::race::{Course, Field};
use ceremony::authenticator::verification::CannotVerify;
use ceremony::challenge::{Challenge, Request};
use ceremony::credential::{Credential, UserVerification};
use ceremony::policy::Policy;
use ceremony::signature_counter::SignatureCounters;

use crate::failure::Failure;
use crate::key_name;
use crate::machine::{self, CONFIG};
use crate::screen::Screen;
use crate::terminal;
use crate::touch::{Prompt, Purpose};

/// A login to ask for.
pub(crate) struct Login<'a> {
    /// Whose.
    pub(crate) account: &'a Account,
    /// What it is for.
    pub(crate) purpose: Purpose<'a>,
    /// The credentials that may answer, all the account's.
    pub(crate) credentials: &'a [Credential],
    /// The keys that may answer.
    pub(crate) field: Field,
    /// The least demand; a credential may ask for more.
    pub(crate) user_verification: UserVerification,
    /// The rules on copies and counters.
    pub(crate) policy: &'a Policy,
    /// How long the person has.
    pub(crate) timeout: Duration,
    /// What was counted before, where it can be known.
    pub(crate) counters: Option<&'a SignatureCounters>,
    /// What to type to begin again.
    pub(crate) again: &'a str,
}

/// A login that a key approved.
pub(crate) struct Approved<'a> {
    /// The key, and what it signed.
    pub(crate) approval: Approval<'a>,
    /// What was approved.
    pub(crate) challenge: Challenge,
}

impl<'a> Login<'a> {
    /// Asks for it.
    pub(crate) fn ask(self, screen: &mut Screen) -> Result<Approved<'a>, Failure> {
        let challenge = Challenge::new(&self.request()?).map_err(|problem| {
            Failure::new(
                problem.to_string(),
                "check the clock with `date`, and try again",
            )
        })?;
        let candidates: Vec<Candidate<'a>> = self
            .credentials
            .iter()
            .map(|credential| Candidate {
                credential,
                stored_counter: self.counted(credential, screen),
            })
            .collect();
        let terms = Terms {
            user_verification: self.user_verification,
            synced: self.policy.synced,
            counter: self.policy.counter,
        };
        let claims = machine::claims(&self.words(), screen);
        let interruption = Interruption::hold_back();
        let course = Course {
            field: self.field.clone(),
            deadline: Instant::now() + self.timeout,
            claims: claims.as_ref(),
            interruption: interruption.as_ref(),
        };
        let mut prompt = Prompt::new(screen, self.purpose);
        let approval =
            authentication::authenticate(&candidates, &challenge, &terms, &course, &mut prompt)
                .map_err(|refused| self.failure(&refused))?;
        drop(interruption);
        if let Some(alarm) = &approval.verified.clone_alarm {
            let name = &approval.verified.credential.name;
            screen.say(&format!("Warning: \"{name}\": {alarm}."));
        }
        Ok(Approved {
            approval,
            challenge,
        })
    }

    fn command(&self) -> &'static str {
        match self.purpose {
            Purpose::Vouch(_) | Purpose::Make(_) | Purpose::FirstLogin => "passkey enroll",
            Purpose::Test(_) => "passkey test",
        }
    }

    /// What others are shown who would use the key meanwhile.
    fn words(&self) -> String {
        format!("Requested by {} for {}.", self.command(), self.account.name)
    }

    fn request(&self) -> Result<Request, Failure> {
        Ok(Request {
            service: self.command().to_owned(),
            user: self.account.name.to_string(),
            host: machine::hostname()?,
            command: None,
            tty: nix::unistd::ttyname(io::stdin())
                .ok()
                .and_then(|tty| tty.into_os_string().into_string().ok()),
        })
    }

    fn counted(&self, credential: &Credential, screen: &mut Screen) -> Option<u32> {
        match self.counters?.read(credential) {
            Ok(counted) => counted,
            Err(problem) => {
                let name = &credential.name;
                screen.say(&format!(
                    "The counter of \"{name}\" is not known: {problem}."
                ));
                None
            }
        }
    }

    /// The pair of sentences for a refusal.
    fn failure(&self, refused: &Refused) -> Failure {
        let name = &self.account.name;
        let again = self.again;
        let (happened, what_to_do) = match refused {
            Refused::NoKey => (
                format!("no security key of {name} was plugged in"),
                format!(
                    "plug one in and run again: {again}{}",
                    self.when_all_are_lost()
                ),
            ),
            Refused::NoAccess(key) => (
                format!("this process may not open {key}"),
                match self.purpose {
                    Purpose::Test(_) => format!("run: sudo {again}"),
                    Purpose::Vouch(_) | Purpose::Make(_) | Purpose::FirstLogin => {
                        format!("run it as root, outside any sandbox: {again}")
                    }
                },
            ),
            Refused::TimedOut(key) => (
                format!("nobody touched {key} in time"),
                format!("run again and touch it while it blinks: {again}"),
            ),
            Refused::WrongKey(key) => (
                format!("{key} holds none of the credentials of {name}"),
                format!(
                    "plug in one of the keys that `passkey list` names{}",
                    self.when_all_are_lost()
                ),
            ),
            Refused::Denied(key) => (
                format!("the request was denied on {key}"),
                format!("if that was a mistake, run again: {again}"),
            ),
            Refused::NotAnswering(key) => (
                format!("{key} did not answer in time"),
                format!("unplug it, plug it in and run again: {again}"),
            ),
            Refused::Busy(key) => (
                format!("{key} served another program all the time"),
                format!("end that program, and run again: {again}"),
            ),
            Refused::OnlyU2f(key) => (
                format!("{key} speaks only U2F, not FIDO2"),
                "plug in one of the keys that `passkey list` names".to_owned(),
            ),
            Refused::Unproven(key) => (
                format!("{key} wants its PIN before it shows that it is enrolled"),
                "if it is yours, remove it with `passkey remove` and enrol it again".to_owned(),
            ),
            Refused::CannotVerify {
                key,
                why: CannotVerify::NoPin(NoPin::NotGiven),
                ..
            } => not_typed(key, again),
            Refused::CannotVerify { key, why, .. } => (
                format!("a PIN or fingerprint is required, and {key} gave none: {why}"),
                match why {
                    CannotVerify::NothingSetUp => {
                        let (service, table) = match self.purpose {
                            // A key vouches for another by what sudo asks.
                            Purpose::Vouch(_) => ("sudo", "the table [service.sudo]"),
                            _ => ("the service", "its table"),
                        };
                        format!(
                            "{}; or let a touch do, if that is enough for {service}: \
                             user_verification = \"discouraged\" in {table} in {CONFIG}",
                            about_verification(why, again)
                        )
                    }
                    _ => about_verification(why, again),
                },
            ),
            Refused::Interrupted => (
                "it was interrupted".to_owned(),
                format!("nothing was changed; run again: {again}"),
            ),
            Refused::Invalid(key, refusal) => (
                format!("the answer of {key} is not accepted: {refusal}"),
                self.about(refusal),
            ),
            Refused::Faulty(key, why) => (
                format!("{key} failed: {why}"),
                format!("unplug it, plug it in and run again: {again}"),
            ),
            Refused::System(problem) => (
                format!("no key can be asked: {problem}"),
                format!("see `dmesg`, and run again: {again}"),
            ),
        };
        Failure::new(happened, what_to_do)
    }

    fn when_all_are_lost(&self) -> String {
        match self.purpose {
            Purpose::Vouch(name) => format!(
                "; if {name} has lost them all, a root shell of its own (su -, or a login as \
                 root) needs none: passkey enroll --user {}",
                key_name::quoted_if_need_be(name.as_str())
            ),
            Purpose::Make(_) | Purpose::FirstLogin | Purpose::Test(_) => String::new(),
        }
    }

    /// What to do about an answer that is not accepted.
    fn about(&self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::Synced => {
                format!("use a key that cannot be copied, or set synced = \"allow\" in {CONFIG}")
            }
            Refusal::Cloned(_) => format!(
                "remove that key from {} unless you know of the copy (passkey list, passkey remove)",
                self.account.name
            ),
            Refusal::NotVerified => format!(
                "give the key its PIN or fingerprint, or accept a touch: \
                 user_verification = \"discouraged\" in {CONFIG}, for a key enrolled --touch-only"
            ),
            Refusal::OtherCredential
            | Refusal::NoCredentialId
            | Refusal::Malformed(_)
            | Refusal::Unasked
            | Refusal::OtherRelyingParty
            | Refusal::NobodyPresent
            | Refusal::BackupFlagsChanged
            | Refusal::BadSignature => {
                "use another key; an honest one does not answer like that".to_owned()
            }
        }
    }
}

impl Approved<'_> {
    /// Remembers the counter that the key signed.
    pub(crate) fn remember(&self, counters: &SignatureCounters, screen: &mut Screen) {
        let verified = &self.approval.verified;
        if let Err(problem) = counters.raise(verified.credential, verified.sign_count) {
            let name = &verified.credential.name;
            screen.say(&format!(
                "The counter of \"{name}\" was not remembered: {problem}."
            ));
        }
    }
}

/// Nobody typed the PIN, or nobody was there to type it.
pub(crate) fn not_typed(key: &dyn Display, again: &str) -> (String, String) {
    let what_to_do = if terminal::somebody_is_there() {
        format!("run again and type it: {again}")
    } else {
        format!("PINs are typed at a terminal; run it in one: {again}")
    };
    (format!("no PIN was given for {key}"), what_to_do)
}

/// What to do about a key that could not verify its person.
pub(crate) fn about_verification(why: &CannotVerify, again: &str) -> String {
    match why {
        CannotVerify::NothingSetUp => {
            format!("set a PIN on it: passkey key pin set; then run again: {again}")
        }
        CannotVerify::BuiltInBlocked => {
            format!("set a PIN on it as well: passkey key pin set; then run again: {again}")
        }
        CannotVerify::NoPin(_) => format!("if you know the right one, run again: {again}"),
        CannotVerify::LastTry { .. } => {
            "give it the right PIN elsewhere first, as in a browser; a wrong one there blocks it"
                .to_owned()
        }
        CannotVerify::PinAuthBlocked => format!("unplug it, plug it in and run again: {again}"),
        CannotVerify::PinBlocked => {
            "only a reset helps, which erases the key (passkey key reset); use another key"
                .to_owned()
        }
        CannotVerify::PinChangeForced => {
            format!("change its PIN: passkey key pin change; then run again: {again}")
        }
        CannotVerify::Refused(_) | CannotVerify::Malformed(_) | CannotVerify::Faulty(_) => {
            format!("unplug it, plug it in and run again: {again}")
        }
    }
}

//! The verdict: one `match` from what happened to PAM code, the person's
//! sentence and the log line, so that none of the three is ever forgotten.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use ceremony::account::{Account, NoAccount};
use ceremony::authentication::{Approval, Refused};
use ceremony::authenticator::NoPin;
use ceremony::authenticator::verification::CannotVerify;
use ceremony::challenge::NoChallenge;
use ceremony::credential::{CredentialName, is_printable, printable};
use ceremony::credential_file::CredentialFileError;
use ceremony::policy::{PolicyError, WhenNotCovered, WhenNotEnrolled};
use ceremony::sentence;
use ceremony::sentence::{Sentence, Spoken};
use ceremony::signature_counter::CounterError;
use pam::constants::PamResultCode;

use crate::log::Log;
use crate::prompt::named;
use crate::voice::Voice;

/// Everything that can come of an authentication.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// A key of this user's answered.
    Accepted(Accepted),
    /// This service is none of ours, unless configured.
    NotCovered {
        /// Its name.
        service: String,
        /// What the line in `/etc/pam.d` wants done.
        rule: WhenNotCovered,
    },
    /// libpam has no user name to give.
    NoUserName,
    /// There is no account of that name, or nobody could tell.
    NoAccount {
        /// The name as asked for.
        asked: String,
        /// Why there is none.
        problem: NoAccount,
    },
    /// The account exists and has no credential file.
    NotEnrolled {
        /// Whose file is not there.
        account: Account,
        /// What the administrator wants done.
        rule: WhenNotEnrolled,
    },
    /// A credential file without one good record.
    NoGoodRecord {
        /// The file.
        path: PathBuf,
    },
    /// The person is not in front of this machine.
    Remote {
        /// Who asked.
        account: Account,
        /// How we know, for the log.
        why: String,
    },
    /// The policy could not be read, or an argument is not accepted.
    Policy(PolicyError),
    /// The store could not be read.
    Store(CredentialFileError),
    /// A signature counter cannot be kept, and policy refuses that.
    NoCounter(CounterError),
    /// The key that answered was removed meanwhile.
    Removed {
        /// Whose it was.
        account: Account,
        /// Which.
        key: CredentialName,
    },
    /// No challenge could be made.
    NoChallenge(NoChallenge),
    /// The ceremony let nobody in.
    Refused {
        /// Who asked.
        account: Account,
        /// Why not.
        refused: Refused,
    },
    /// We panicked.
    Bug {
        /// In which line of which file.
        place: String,
    },
}

/// What is worth saying of an accepted assertion.
#[derive(Debug)]
pub(crate) struct Accepted {
    user: String,
    key: CredentialName,
    device: String,
    user_verified: bool,
    sign_count: u32,
    clone_alarm: Option<String>,
}

impl Accepted {
    /// The essence of `approval`.
    pub(crate) fn of(account: &Account, approval: &Approval<'_>) -> Self {
        let verified = &approval.verified;
        Self {
            user: account.name.to_string(),
            key: verified.credential.name.clone(),
            device: approval.key.to_string(),
            user_verified: verified.flags.user_verified(),
            sign_count: verified.sign_count,
            clone_alarm: verified.clone_alarm.map(|alarm| alarm.to_string()),
        }
    }
}

/// How much a log line matters.
enum Level {
    Info,
    Notice,
    Warning,
    Error,
}

/// How a sentence is meant.
enum Say {
    Telling(Sentence),
    Complaining(Sentence),
}

/// Code, sentence and log line of one outcome.
struct Verdict {
    code: PamResultCode,
    say: Option<Say>,
    log: Option<(Level, String)>,
}

impl Verdict {
    fn silent(code: PamResultCode) -> Self {
        Self {
            code,
            say: None,
            log: None,
        }
    }

    fn saying(mut self, sentence: Sentence) -> Self {
        self.say = Some(Say::Complaining(sentence));
        self
    }

    fn telling(mut self, sentence: Sentence) -> Self {
        self.say = Some(Say::Telling(sentence));
        self
    }

    fn logging(mut self, level: Level, line: impl Into<String>) -> Self {
        self.log = Some((level, line.into()));
        self
    }
}

impl Outcome {
    /// Says it to the person, logs it, and returns the code.
    pub(crate) fn pronounce(self, log: &mut Log, voice: &Voice<'_>) -> PamResultCode {
        let verdict = self.verdict();
        // The verdict stands, shown or not.
        match verdict.say {
            Some(Say::Telling(sentence)) => voice.tell(&[sentence]),
            Some(Say::Complaining(sentence)) => voice.complain(&sentence),
            None => {}
        }
        match verdict.log {
            Some((Level::Info, line)) => log.info(&line),
            Some((Level::Notice, line)) => log.notice(&line),
            Some((Level::Warning, line)) => log.warning(&line),
            Some((Level::Error, line)) => log.error(&line),
            None => {}
        }
        verdict.code
    }

    fn verdict(self) -> Verdict {
        match self {
            Self::Accepted(accepted) => accepted.verdict(),
            Self::NotCovered { service, rule } => not_covered(&service, rule),
            Self::NoUserName => Verdict::silent(PamResultCode::PAM_USER_UNKNOWN).logging(
                Level::Notice,
                "no user name to authenticate, or one that is not UTF-8",
            ),
            Self::NoAccount { asked, problem } => no_account(&asked, &problem),
            Self::NotEnrolled {
                account,
                rule: WhenNotEnrolled::Ignore,
            } => Verdict::silent(PamResultCode::PAM_IGNORE).logging(
                Level::Info,
                format!("user={} has no key; ignored, as configured", account.name),
            ),
            Self::NotEnrolled {
                account,
                rule: WhenNotEnrolled::Refuse,
            } => not_enrolled(account.name.as_str()).logging(
                Level::Info,
                format!("user={} has no key enrolled", account.name),
            ),
            Self::NoGoodRecord { path } => out_of_order(format!(
                "{}: not one usable credential; the lines before this say why",
                path.display()
            )),
            Self::Remote { account, why } => Verdict::silent(PamResultCode::PAM_AUTHINFO_UNAVAIL)
                .telling(sentence!(
                    "Security keys let in only people in front of this machine."
                ))
                .logging(
                    Level::Notice,
                    format!("user={} refused: not at this machine ({why})", account.name),
                ),
            Self::Policy(problem) => out_of_order(problem.to_string()),
            Self::Store(problem) => out_of_order(problem.to_string()),
            Self::NoCounter(problem) => out_of_order(problem.to_string()),
            Self::Removed { account, key } => Verdict::silent(PamResultCode::PAM_AUTH_ERR)
                .saying(sentence!(
                    "{key} was taken off your account while it was waited for.",
                    key = named(&key)
                ))
                .logging(
                    Level::Warning,
                    format!(
                        "user={} refused: key=\"{key}\" was removed meanwhile",
                        account.name
                    ),
                ),
            Self::NoChallenge(problem) => out_of_order(problem.to_string()),
            Self::Refused { account, refused } => refused_verdict(&account, &refused),
            Self::Bug { place } => Verdict::silent(PamResultCode::PAM_SERVICE_ERR).logging(
                Level::Error,
                format!(
                    "pam_passkey failed from a bug of its own, at {place}; nobody was let in; \
                     please report this line"
                ),
            ),
        }
    }
}

impl Accepted {
    fn verdict(self) -> Verdict {
        let line = format!(
            "user={} accepted key=\"{}\" on {} verified={} counter={}",
            self.user,
            self.key,
            self.device,
            if self.user_verified { "yes" } else { "no" },
            self.sign_count,
        );
        let accepted = Verdict::silent(PamResultCode::PAM_SUCCESS);
        match self.clone_alarm {
            None => accepted.logging(Level::Notice, line),
            Some(alarm) => accepted
                .saying(sentence!(
                    "Warning: a copy of {key} may be in use. Tell your administrator.",
                    key = named(&self.key)
                ))
                .logging(Level::Warning, format!("{line}; CLONE ALARM: {alarm}")),
        }
    }
}

/// Where the line asks for it the module stands aside, and says nothing: cron and mail servers
/// pass by here all day.
fn not_covered(service: &str, rule: WhenNotCovered) -> Verdict {
    match rule {
        WhenNotCovered::Ignore => Verdict::silent(PamResultCode::PAM_IGNORE),
        WhenNotCovered::Refuse => Verdict::silent(PamResultCode::PAM_AUTHINFO_UNAVAIL).logging(
            Level::Info,
            format!(
                "not covered: add [service.{}] to /etc/pam-passkey/config.toml, \
                 or take \"enabled = false\" out of it",
                printable(service, 64)
            ),
        ),
    }
}

/// What only an administrator can mend: `line` says what.
fn out_of_order(line: String) -> Verdict {
    Verdict::silent(PamResultCode::PAM_SERVICE_ERR)
        .saying(ask_the_administrator())
        .logging(Level::Error, line)
}

/// What a person is told when only an administrator can help.
fn ask_the_administrator() -> Sentence {
    sentence!(
        "Security keys cannot be used now; the system log says what the administrator must mend."
    )
}

/// The same sentence for somebody unknown as for somebody without a key: a
/// prompt does not tell strangers who has an account here.
fn not_enrolled(user: &str) -> Verdict {
    Verdict::silent(PamResultCode::PAM_USER_UNKNOWN).telling(sentence!(
        "No security key is enrolled for {user}. Enrol one with: sudo passkey enroll",
        user = printable(user, 64)
    ))
}

fn no_account(asked: &str, problem: &NoAccount) -> Verdict {
    // Quoted and short: what was typed at a login prompt is a stranger's word.
    // Its blanks stay: they may be all that is wrong with it.
    let shown = |c| if is_printable(c) { c } else { '?' };
    let shown: String = asked.chars().map(shown).take(64).collect();
    let line = format!("no account \"{shown}\": {problem}");
    match problem {
        NoAccount::Unknown | NoAccount::Invalid(_) => {
            not_enrolled(asked).logging(Level::Notice, line)
        }
        NoAccount::LookupFailed(_) => Verdict::silent(PamResultCode::PAM_AUTHINFO_UNAVAIL)
            .saying(sentence!(
                "Your account could not be looked up; try again in a moment."
            ))
            .logging(
                Level::Error,
                format!("account \"{shown}\": {problem}; does the name service answer?"),
            ),
    }
}

/// What is said of a key that could not verify its person.
fn not_verified(key: &Sentence, why: &CannotVerify) -> Sentence {
    match why {
        CannotVerify::NothingSetUp => sentence!(
            "A PIN or fingerprint is required here, and {key} has none set up. \
             Set a PIN on it, or use another key.",
            key
        ),
        CannotVerify::BuiltInBlocked => {
            sentence!(
                "{key} did not recognise you, and has no PIN to ask for.",
                key
            )
        }
        CannotVerify::NoPin(NoPin::NotGiven) => sentence!("No PIN was given for {key}.", key),
        CannotVerify::NoPin(NoPin::NotAsked) => sentence!(
            "{key} shows whose it is only after its PIN, which is not asked for on this \
             screen. Use the password, or another key.",
            key
        ),
        // Where a greeter gave the login password as a PIN, its person has not
        // heard of one yet.
        CannotVerify::NoPin(NoPin::UsedUp { wrong_before: true }) => sentence!(
            "What was typed is not the PIN of {key}. No further PIN may be tried here. \
             Start again if you know the right one.",
            key
        ),
        CannotVerify::NoPin(NoPin::UsedUp {
            wrong_before: false,
        }) => {
            sentence!("No further PIN may be tried here. Start again if you know the right one.")
        }
        CannotVerify::LastTry { wrong_before: true } => sentence!(
            "That PIN was wrong. The PIN of {key} has one try left, which is not risked here. \
             Type the right one elsewhere first, as in a browser.",
            key
        ),
        CannotVerify::LastTry {
            wrong_before: false,
        } => sentence!(
            "The PIN of {key} has one try left, which is not risked here. \
             Type the right one elsewhere first, as in a browser.",
            key
        ),
        CannotVerify::PinAuthBlocked => sentence!(
            "Too many wrong PINs. Unplug {key}, plug it in and try again.",
            key
        ),
        CannotVerify::PinBlocked => sentence!(
            "The PIN of {key} is blocked: only a reset helps, which erases the key.",
            key
        ),
        CannotVerify::PinChangeForced => sentence!(
            "The PIN of {key} must be changed first: passkey key pin change",
            key
        ),
        CannotVerify::Refused(_) | CannotVerify::Malformed(_) | CannotVerify::Faulty(_) => {
            sentence!(
                "A PIN or fingerprint is required here, and {key} could not check one: {why}.",
                key,
                why
            )
        }
    }
}

#[allow(
    clippy::too_many_lines,
    reason = "a table: one match, so that no outcome is forgotten"
)]
fn refused_verdict(account: &Account, refused: &Refused) -> Verdict {
    use PamResultCode::{
        PAM_ABORT, PAM_AUTH_ERR, PAM_AUTHINFO_UNAVAIL, PAM_MAXTRIES, PAM_SERVICE_ERR,
    };

    let line = |why: &str| format!("user={} refused: {why}", account.name);
    let (code, level, sentence, why) = match refused {
        Refused::NoKey => (
            PAM_AUTHINFO_UNAVAIL,
            Level::Notice,
            sentence!("No security key was plugged in. Plug yours in and try again."),
            "no key plugged in".to_owned(),
        ),
        Refused::NoAccess(key) => (
            PAM_AUTHINFO_UNAVAIL,
            Level::Warning,
            sentence!("{key} is plugged in, but this program may not use it.", key),
            format!("no access to {key}"),
        ),
        Refused::TimedOut(key) => (
            PAM_AUTH_ERR,
            Level::Notice,
            sentence!("Nobody touched the security key in time. Try again."),
            format!("{key} was not touched in time"),
        ),
        Refused::NotAnswering(key) => (
            PAM_AUTH_ERR,
            Level::Warning,
            sentence!(
                "{key} does not answer. Unplug it, plug it in and try again.",
                key
            ),
            format!("{key} did not answer in time"),
        ),
        Refused::Busy(key) => (
            PAM_AUTHINFO_UNAVAIL,
            Level::Notice,
            sentence!(
                "{key} was in use by another program all the time. Try again.",
                key
            ),
            format!("{key} served another program all the time"),
        ),
        Refused::OnlyU2f(key) => (
            PAM_AUTH_ERR,
            Level::Notice,
            sentence!(
                "{key} speaks only U2F, which is not used here. Plug in a FIDO2 key.",
                key
            ),
            format!("{key} speaks only U2F"),
        ),
        Refused::Unproven(key) => (
            PAM_AUTH_ERR,
            Level::Warning,
            sentence!(
                "{key} wants its PIN before it shows that it is enrolled, so it is not asked. \
                 If it is yours, enrol it again.",
                key
            ),
            format!("{key} wants its PIN unproven, which no enrolled key is known to do"),
        ),
        Refused::WrongKey(key) => (
            PAM_AUTH_ERR,
            Level::Notice,
            sentence!(
                "{key} is not enrolled for {user}. Plug in a key that is, and try again.",
                key,
                user = account.name.as_str()
            ),
            format!("{key} holds none of the user's credentials"),
        ),
        Refused::Denied(key) => (
            PAM_AUTH_ERR,
            Level::Notice,
            sentence!("The request was denied on the security key."),
            format!("denied on {key}"),
        ),
        Refused::CannotVerify {
            key,
            credential,
            why,
        } => (
            match why {
                CannotVerify::NoPin(NoPin::UsedUp { .. }) => PAM_MAXTRIES,
                _ => PAM_AUTH_ERR,
            },
            match why {
                CannotVerify::NoPin(NoPin::NotGiven) => Level::Info,
                _ => Level::Warning,
            },
            match credential {
                // By the name it has here, as it was asked for.
                Some(name) => not_verified(&named(name), why),
                None => not_verified(&key.sentence(), why),
            },
            format!("user verification is required and {key} gave none: {why}"),
        ),
        Refused::Invalid(key, refusal) => (
            PAM_AUTH_ERR,
            Level::Warning,
            sentence!(
                "The answer of {key} was not accepted: {refusal}. Unplug it; if it is yours, \
                 tell your administrator.",
                key,
                refusal
            ),
            format!("invalid answer from {key}: {refusal}"),
        ),
        Refused::Faulty(key, why) => (
            PAM_AUTH_ERR,
            Level::Warning,
            sentence!(
                "{key} did not work: {why}. Unplug it, plug it in and try again; if that does \
                 not help, use another key.",
                key,
                why
            ),
            format!("{key} failed: {why}"),
        ),
        // Whoever has just pressed Ctrl-C knows.
        Refused::Interrupted => {
            return Verdict::silent(PAM_ABORT).logging(Level::Info, line("interrupted"));
        }
        Refused::System(why) => (
            PAM_SERVICE_ERR,
            Level::Error,
            ask_the_administrator(),
            format!("the system refused what a ceremony needs: {why}"),
        ),
    };
    Verdict::silent(code)
        .saying(sentence)
        .logging(level, line(&why))
}

//! Changes one of a key's settings, given its PIN.
#![forbid(unsafe_code)]

use super::client_pin::{PinUvAuthProtocol, SharedSecret};
use super::ctap2::{ClientPin, ClientPinAnswer, Malformed, Setting, Status};
use super::dialogue::{Dialogue, Step};
use super::errand::Unanswered;
use super::interaction::{Gesture, Interaction, NoPin};
use super::race::{self, Course, Lost, Out};
use crate::credential::CredentialName;
use crate::pin::Pin;

/// Has the one key of `course` change `setting`.
pub fn change(
    setting: Setting,
    pin: Pin,
    protocol: PinUvAuthProtocol,
    course: &Course<'_>,
    interaction: &mut dyn Interaction,
) -> Result<(), Unchanged> {
    let mut pin = Some(pin);
    let start = |_: &_| Configuration {
        setting,
        protocol,
        pin: pin.take(),
        stage: Stage::Beginning,
    };
    match race::run(course, interaction, start) {
        Ok(_) => Ok(()),
        Err(lost) => Err(lost.into()),
    }
}

/// Why a setting is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unchanged {
    /// The key answered so, or not at all.
    Unanswered(Unanswered),
    /// Its answer was none that an honest key gives.
    Dishonest(&'static str),
}

/// Why the key is out.
enum Dropped {
    Refused(Status),
    Dishonest(&'static str),
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(status) => status.fmt(f),
            Self::Dishonest(why) => f.write_str(why),
        }
    }
}

impl From<Malformed> for Dropped {
    fn from(Malformed(why): Malformed) -> Self {
        Self::Dishonest(why)
    }
}

impl From<Lost<Dropped>> for Unchanged {
    fn from(lost: Lost<Dropped>) -> Self {
        let lost = match lost {
            Lost::AllDropped(mut keys) => match keys.pop() {
                Some((_, Out::Dropped(Dropped::Dishonest(why)))) => return Self::Dishonest(why),
                Some((key, Out::Dropped(Dropped::Refused(status)))) => {
                    Lost::AllDropped(vec![(key, Out::Dropped(status))])
                }
                Some((key, Out::Fault(fault))) => Lost::AllDropped(vec![(key, Out::Fault(fault))]),
                Some((key, Out::NotOpened(why))) => {
                    Lost::AllDropped(vec![(key, Out::NotOpened(why))])
                }
                None => Lost::NoKey,
            },
            Lost::NoKey => Lost::NoKey,
            Lost::NoAccess(key) => Lost::NoAccess(key),
            Lost::TimedOut(keys) => Lost::TimedOut(keys),
            Lost::GaveUp(key, credential) => Lost::GaveUp(key, credential),
            Lost::Interrupted => Lost::Interrupted,
            Lost::System(problem) => Lost::System(problem),
        };
        Self::Unanswered(lost.into())
    }
}

struct Configuration {
    setting: Setting,
    protocol: PinUvAuthProtocol,
    /// Sent once.
    pin: Option<Pin>,
    stage: Stage,
}

/// What the next answer is one to.
enum Stage {
    Beginning,
    KeyAgreement,
    Token(SharedSecret),
    Setting,
}

type Next = Step<(), Dropped>;

impl Dialogue for Configuration {
    type Outcome = ();
    type Dropped = Dropped;

    fn begin(&mut self) -> Next {
        self.stage = Stage::KeyAgreement;
        let message = ClientPin::KeyAgreement.request(self.protocol);
        Step::ask_or_drop(message, || NOTHING_TO_ASK)
    }

    fn answered(&mut self, answer: Result<&[u8], Status>) -> Next {
        match answer {
            Err(status) => Step::Drop(Dropped::Refused(status)),
            Ok(data) => self.go_on(data).unwrap_or_else(Step::Drop),
        }
    }

    fn choose(&mut self) -> Next {
        Step::Drop(NOTHING_TO_ASK)
    }

    fn chosen(&mut self) -> Next {
        self.choose()
    }

    fn pin(&mut self, _: Result<Pin, NoPin>) -> Next {
        self.choose()
    }

    fn waits_for(&self) -> Option<Gesture> {
        // §6.11 asks for no touch; some keys want one all the same.
        matches!(self.stage, Stage::Setting).then_some(Gesture::Touch)
    }

    fn proven(&self) -> Option<&CredentialName> {
        None
    }
}

const NOTHING_TO_ASK: Dropped = Dropped::Dishonest("it was plugged in anew");

impl Configuration {
    fn go_on(&mut self, data: &[u8]) -> Result<Next, Dropped> {
        match std::mem::replace(&mut self.stage, Stage::Setting) {
            Stage::Beginning => Err(NOTHING_TO_ASK),
            Stage::KeyAgreement => {
                let theirs = ClientPinAnswer::parse(data)?
                    .key_agreement
                    .ok_or(Malformed("no key agreement key"))?;
                let pin = self.pin.take().ok_or(NOTHING_TO_ASK)?;
                let (secret, ours) = SharedSecret::agree(self.protocol, &theirs)
                    .map_err(|problem| Dropped::Dishonest(problem.0))?;
                let encrypted = secret
                    .encrypt_pin(pin)
                    .map_err(|problem| Dropped::Dishonest(problem.0))?;
                self.stage = Stage::Token(secret);
                let message = ClientPin::TokenToConfigure {
                    key_agreement: &ours,
                    pin_hash_enc: &encrypted,
                }
                .request(self.protocol);
                Ok(Step::ask_or_drop(message, || NOTHING_TO_ASK))
            }
            Stage::Token(secret) => {
                let encrypted = ClientPinAnswer::parse(data)?
                    .token
                    .ok_or(Malformed("no PIN/UV auth token"))?;
                let token = secret
                    .decrypt_token(&encrypted)
                    .map_err(|problem| Dropped::Dishonest(problem.0))?;
                let proof = self
                    .setting
                    .authenticated()
                    .and_then(|bytes| token.authenticate(&bytes));
                let message = proof.and_then(|proof| self.setting.request(&proof));
                Ok(Step::ask_or_drop(message, || NOTHING_TO_ASK))
            }
            Stage::Setting => Ok(Step::Win(())),
        }
    }
}

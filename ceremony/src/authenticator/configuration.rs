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

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration() -> Configuration {
        Configuration {
            setting: Setting::ToggleAlwaysUv,
            protocol: PinUvAuthProtocol::Two,
            pin: Pin::typed(b"2468", 4).ok(),
            stage: Stage::Beginning,
        }
    }

    /// An answer to getKeyAgreement: the base point of P-256 (SEC 2 §2.4.2).
    fn key_agreement() -> Vec<u8> {
        const X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        const Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let hex = format!("a101a22158 20{X}225820{Y}").replace(' ', "");
        base16ct::lower::decode_vec(hex).unwrap()
    }

    #[test]
    fn a_pin_goes_out_once_encrypted_and_only_after_the_key_agreement() {
        let mut asked = configuration();
        assert!(matches!(asked.begin(), Step::Ask(message) if message[0] == 0x06));
        let Step::Ask(token) = asked.answered(Ok(&key_agreement())) else {
            panic!("no request for a token");
        };
        // getPinUvAuthTokenUsingPinWithPermissions, and `acfg` at the end
        assert_eq!(token[1..6], [0xa5, 0x01, 0x02, 0x02, 0x09]);
        assert!(token.ends_with(&[0x09, 0x18, 0x20]));
        assert!(asked.pin.is_none());
        // 16 bytes of IV and 32 of token; whatever they are, there is a proof.
        let answer = [&[0xa1, 0x02, 0x58, 48][..], &[7; 48]].concat();
        assert!(matches!(asked.answered(Ok(&answer)), Step::Ask(message) if message[0] == 0x0d));
        assert!(matches!(asked.answered(Ok(&[])), Step::Win(())));
        // A key in its place is asked for the agreement, and given no PIN.
        asked.begin();
        assert!(matches!(
            asked.answered(Ok(&key_agreement())),
            Step::Drop(_)
        ));
    }

    #[test]
    fn what_no_honest_key_answers_ends_it() {
        for answer in [
            &[][..],
            &[0xa0],
            &[0xa1, 0x02, 0x41, 0],
            &[0xa1, 0x01, 0xa0],
        ] {
            let mut asked = configuration();
            asked.begin();
            let next = asked.answered(Ok(answer));
            assert!(
                matches!(next, Step::Drop(Dropped::Dishonest(_))),
                "{answer:?}"
            );
            let mut asked = configuration();
            asked.begin();
            asked.answered(Ok(&key_agreement()));
            let next = asked.answered(Ok(answer));
            assert!(
                matches!(next, Step::Drop(Dropped::Dishonest(_))),
                "{answer:?}"
            );
        }
        let mut asked = configuration();
        asked.begin();
        let next = asked.answered(Err(Status::PinInvalid));
        assert!(matches!(
            next,
            Step::Drop(Dropped::Refused(Status::PinInvalid))
        ));
    }

    #[test]
    fn a_touch_is_asked_for_by_the_setting_alone() {
        let mut asked = configuration();
        asked.begin();
        assert_eq!(asked.waits_for(), None);
        asked.stage = Stage::Setting;
        assert_eq!(asked.waits_for(), Some(Gesture::Touch));
    }
}

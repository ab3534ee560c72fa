//! User verification (CTAP 2.1 §6.5): how a key comes to know its person.
//!
//! Built-in first, by a token where the key gives one (2.1) or by the option
//! `uv` (2.0); the PIN where there is nothing built in, or it is blocked. Both
//! ceremonies walk through this room on their way. What must hold before a
//! person is asked for a PIN at all is theirs to know: see
//! [`authentication`](crate::authentication).
#![forbid(unsafe_code)]

use std::fmt;

use super::client_pin::{
    KeyAgreementKey, NoSecret, PinUvAuthParam, PinUvAuthProtocol, PinUvAuthToken, SharedSecret,
};
use super::ctap2::{
    self, ClientPin, ClientPinAnswer, Info, MakeCredential, Malformed, Permission, Status,
};
use super::interaction::{Gesture, NoPin, PinQuestion};
use crate::credential::CredentialName;
use crate::pin::Pin;
use crate::public_key::Algorithm;
use crate::sentence;
use crate::sentence::{Sentence, Spoken};

/// How often a finger that was not recognised may try again. A key has a limit
/// of its own, and blocks itself; this one is for keys that do not.
const MOST_BUILT_IN_TRIES: u8 = 3;

/// One key's way to a verified person.
pub struct Verification<'a> {
    info: Info,
    permission: Permission,
    rp_id: &'a str,
    proven: Option<&'a CredentialName>,
    stage: Stage,
    built_in_tries: u8,
    wrong_before: bool,
}

/// What the key, or the person, was last asked.
enum Stage {
    /// Nothing yet, or nothing any more.
    Idle,
    /// Its half of a secret, for a token by built-in verification.
    AgreeingForToken,
    /// To verify its person.
    Verifying(SharedSecret),
    /// Whether it is the one that is meant.
    Choosing,
    /// How many tries are left.
    Counting,
    /// The PIN, of the person, when it had so many tries left.
    Typing(u8),
    /// Again how many are left, now that this PIN has been typed.
    Recounting(Pin),
    /// Its half of a secret, for this PIN.
    AgreeingForPin(Pin),
    /// Whether the PIN is right.
    Checking(SharedSecret),
}

/// What comes next on that way.
#[derive(Debug)]
pub enum Progress {
    /// Send this message.
    Ask(Vec<u8>),
    /// A PIN is needed: only one key at a time can be asked for one.
    Ready,
    /// The person touched this key to choose it.
    Chosen,
    /// Ask the person.
    AskPin(PinQuestion),
    /// There.
    Verified(Authorization),
    /// It leads nowhere.
    Failed(CannotVerify),
}

/// What lets the next request count as verified.
#[derive(Debug)]
pub enum Authorization {
    /// The key checks its person in the request itself.
    BuiltIn,
    /// A token.
    Token(PinUvAuthToken),
}

/// What a request carries to count as verified, if anything.
#[derive(Debug)]
pub enum Proof {
    /// Nothing: a touch is enough.
    None,
    /// The option `uv`.
    BuiltIn,
    /// A proof made with a token.
    Token(PinUvAuthParam),
}

impl Proof {
    /// For a request over `client_data_hash`; `None` where none can be made.
    pub fn of(authorization: Option<&Authorization>, client_data_hash: &[u8; 32]) -> Option<Self> {
        match authorization {
            None => Some(Self::None),
            Some(Authorization::BuiltIn) => Some(Self::BuiltIn),
            Some(Authorization::Token(token)) => {
                token.authenticate(client_data_hash).map(Self::Token)
            }
        }
    }

    /// As requests take it.
    pub fn as_member(&self) -> ctap2::Verification<'_> {
        match self {
            Self::None => ctap2::Verification::None,
            Self::BuiltIn => ctap2::Verification::BuiltIn,
            Self::Token(proof) => ctap2::Verification::Token(proof),
        }
    }
}

/// Whether a key that was to verify its person by itself has failed at that.
/// §6.2.2 and §6.5.5.7.3 send a platform to the PIN then; whether that is
/// blocked as well is for getPINRetries to say.
pub fn built_in_failed(status: Status) -> bool {
    matches!(
        status,
        Status::UvInvalid | Status::UvBlocked | Status::PuatRequired | Status::PinBlocked
    )
}

impl<'a> Verification<'a> {
    /// At a key that says `info` of itself. `proven` is the credential that it
    /// has shown to hold, if it has.
    pub fn new(
        info: &Info,
        permission: Permission,
        rp_id: &'a str,
        proven: Option<&'a CredentialName>,
    ) -> Self {
        Self {
            info: info.clone(),
            permission,
            rp_id,
            proven,
            stage: Stage::Idle,
            built_in_tries: 0,
            wrong_before: false,
        }
    }

    /// The first step.
    pub fn begin(&mut self) -> Progress {
        let options = self.info.options;
        // A key without a PIN may give a token and then not take it; the option
        // is good with all that can verify by themselves.
        match (options.uv, options.pin_uv_auth_token && options.client_pin) {
            (true, true) => self.agree(Stage::AgreeingForToken),
            (true, false) => Progress::Verified(Authorization::BuiltIn),
            (false, _) => self.turn_to_pin(CannotVerify::NothingSetUp),
        }
    }

    /// What to do now that the key has answered.
    pub fn answered(&mut self, answer: Result<&[u8], Status>) -> Progress {
        match (std::mem::replace(&mut self.stage, Stage::Idle), answer) {
            (Stage::AgreeingForToken, Ok(data)) => self.ask_for_token(data),
            (Stage::Verifying(secret) | Stage::Checking(secret), Ok(data)) => token(&secret, data),
            (Stage::Verifying(_), Err(status)) => self.built_in_refused(status),
            (Stage::Choosing, answer) => self.selected(answer),
            (Stage::Counting, Ok(data)) => match self.tries_left(data) {
                Ok(tries_left) => self.ask_pin(tries_left),
                Err(why) => Progress::Failed(why),
            },
            (Stage::Recounting(pin), Ok(data)) => match self.tries_left(data) {
                Ok(_) => self.agree(Stage::AgreeingForPin(pin)),
                Err(why) => Progress::Failed(why),
            },
            (Stage::AgreeingForPin(pin), Ok(data)) => self.send_pin(pin, data),
            (Stage::Checking(_), Err(Status::PinInvalid)) => {
                self.wrong_before = true;
                self.count_tries(Stage::Counting)
            }
            (_, Err(status)) => Progress::Failed(CannotVerify::from(status)),
            (Stage::Idle | Stage::Typing(_), Ok(_)) => {
                Progress::Failed(CannotVerify::Faulty("it answered what nobody asked"))
            }
        }
    }

    /// The key has refused to verify its person, here or in the request that
    /// was to make it: once more, then by PIN.
    pub fn built_in_refused(&mut self, status: Status) -> Progress {
        match status {
            Status::UvInvalid if self.built_in_tries + 1 < MOST_BUILT_IN_TRIES => {
                self.built_in_tries += 1;
                self.begin()
            }
            failed if built_in_failed(failed) => self.turn_to_pin(CannotVerify::BuiltInBlocked),
            other => Progress::Failed(CannotVerify::from(other)),
        }
    }

    /// Asks for the touch that chooses this key.
    pub fn choose(&mut self) -> Progress {
        self.stage = Stage::Choosing;
        if self.info.versions.ctap2_1 {
            return Progress::Ask(ctap2::selection());
        }
        // §6.1.2, step 1: an empty pinUvAuthParam makes a key wait for a touch,
        // answer with an error, and do nothing else.
        let empty = PinUvAuthParam {
            protocol: PinUvAuthProtocol::One,
            mac: Vec::new(),
        };
        ask(MakeCredential {
            client_data_hash: [0; 32],
            rp_id: self.rp_id,
            user_name: "",
            user_id: &[1; 32],
            algorithm: Algorithm::Es256,
            exclude_list: &[],
            discoverable: false,
            protection: None,
            verification: ctap2::Verification::Token(&empty),
        }
        .request())
    }

    fn selected(&self, answer: Result<&[u8], Status>) -> Progress {
        match (self.info.versions.ctap2_1, answer) {
            (true, Ok(_))
            | (false, Err(Status::PinInvalid | Status::PinNotSet | Status::PinAuthInvalid)) => {
                Progress::Chosen
            }
            (_, Err(status)) => Progress::Failed(CannotVerify::from(status)),
            (false, Ok(_)) => {
                Progress::Failed(CannotVerify::Faulty("it made what nobody asked for"))
            }
        }
    }

    /// This is the one key whose PIN will be asked for.
    pub fn chosen(&mut self) -> Progress {
        self.count_tries(Stage::Counting)
    }

    /// What the person typed. Others may have tried meanwhile: where three wrong
    /// PINs, all that a key takes without being unplugged, could have brought it
    /// to its last, the tries are counted again.
    pub fn pin(&mut self, pin: Result<Pin, NoPin>) -> Progress {
        match (pin, &self.stage) {
            (Ok(pin), Stage::Typing(4..)) => self.agree(Stage::AgreeingForPin(pin)),
            (Ok(pin), _) => self.count_tries(Stage::Recounting(pin)),
            (Err(why), _) => Progress::Failed(CannotVerify::NoPin(why)),
        }
    }

    /// What the key waits for when it blinks now, if what it was asked takes a
    /// person: by this way, or in the request that it makes verified.
    pub fn waits_for(&self) -> Option<Gesture> {
        match (&self.stage, self.built_in_tries) {
            (Stage::Choosing, _) => Some(Gesture::Choose),
            (Stage::Verifying(_) | Stage::Idle, 0) => Some(Gesture::Verify),
            (Stage::Verifying(_) | Stage::Idle, _) => Some(Gesture::VerifyAgain),
            // A key with a display may ask whether it should.
            (Stage::Checking(_), _) => Some(Gesture::Touch),
            (
                Stage::AgreeingForToken
                | Stage::Counting
                | Stage::Typing(_)
                | Stage::Recounting(_)
                | Stage::AgreeingForPin(_),
                _,
            ) => None,
        }
    }

    /// Whether the key can be asked for a PIN; if not, `otherwise` is why.
    fn turn_to_pin(&mut self, otherwise: CannotVerify) -> Progress {
        let options = self.info.options;
        self.stage = Stage::Idle;
        if !options.client_pin || options.no_mc_ga_permissions_with_client_pin {
            Progress::Failed(otherwise)
        } else if self.info.force_pin_change {
            Progress::Failed(CannotVerify::PinChangeForced)
        } else {
            Progress::Ready
        }
    }

    fn count_tries(&mut self, stage: Stage) -> Progress {
        self.stage = stage;
        self.ask_protocol(|protocol| ClientPin::PinRetries.request(protocol))
    }

    /// How many tries are left, if enough are.
    fn tries_left(&self, data: &[u8]) -> Result<u8, CannotVerify> {
        let answer = ClientPinAnswer::parse(data)?;
        match (answer.power_cycle_needed, answer.pin_retries) {
            (true, _) => Err(CannotVerify::PinAuthBlocked),
            (_, None) => Err(CannotVerify::Faulty(
                "it does not say how many tries are left",
            )),
            (_, Some(0)) => Err(CannotVerify::PinBlocked),
            // The last one is for whoever stands before the key's own tool: a
            // greeter that answers every prompt must not be what locks it.
            (_, Some(1)) => Err(CannotVerify::LastTry {
                wrong_before: self.wrong_before,
            }),
            (_, Some(tries_left)) => Ok(tries_left),
        }
    }

    fn ask_pin(&mut self, tries_left: u8) -> Progress {
        self.stage = Stage::Typing(tries_left);
        Progress::AskPin(PinQuestion {
            proven: self.proven.cloned(),
            tries_left,
            shortest: self.info.min_pin_length,
            wrong_before: self.wrong_before,
        })
    }

    fn agree(&mut self, stage: Stage) -> Progress {
        self.stage = stage;
        self.ask_protocol(|protocol| ClientPin::KeyAgreement.request(protocol))
    }

    fn ask_protocol(&self, message: impl FnOnce(PinUvAuthProtocol) -> Option<Vec<u8>>) -> Progress {
        match self.info.pin_uv_auth_protocol {
            Some(protocol) => ask(message(protocol)),
            None => Progress::Failed(CannotVerify::Faulty("it speaks no PIN protocol of ours")),
        }
    }

    /// Our half of the secret, given the key's.
    fn secret(&self, data: &[u8]) -> Result<(SharedSecret, KeyAgreementKey), CannotVerify> {
        let protocol = self.info.pin_uv_auth_protocol;
        let theirs = ClientPinAnswer::parse(data)?.key_agreement;
        match (protocol, theirs) {
            (Some(protocol), Some(theirs)) => Ok(SharedSecret::agree(protocol, &theirs)?),
            _ => Err(CannotVerify::Faulty("it gave no key agreement key")),
        }
    }

    fn ask_for_token(&mut self, data: &[u8]) -> Progress {
        let (secret, ours) = match self.secret(data) {
            Ok(agreed) => agreed,
            Err(why) => return Progress::Failed(why),
        };
        self.stage = Stage::Verifying(secret);
        self.ask_protocol(|protocol| {
            ClientPin::TokenUsingUv {
                key_agreement: &ours,
                permission: self.permission,
                rp_id: self.rp_id,
            }
            .request(protocol)
        })
    }

    fn send_pin(&mut self, pin: Pin, data: &[u8]) -> Progress {
        let agreed = self.secret(data).and_then(|(secret, ours)| {
            let encrypted = secret.encrypt_pin(pin)?;
            Ok((secret, ours, encrypted))
        });
        let (secret, ours, encrypted) = match agreed {
            Ok(agreed) => agreed,
            Err(why) => return Progress::Failed(why),
        };
        self.stage = Stage::Checking(secret);
        let with_permissions = self.info.options.pin_uv_auth_token;
        self.ask_protocol(|protocol| {
            if with_permissions {
                ClientPin::TokenUsingPin {
                    key_agreement: &ours,
                    pin_hash_enc: &encrypted,
                    permission: self.permission,
                    rp_id: self.rp_id,
                }
            } else {
                ClientPin::PinToken {
                    key_agreement: &ours,
                    pin_hash_enc: &encrypted,
                }
            }
            .request(protocol)
        })
    }
}

fn ask(message: Option<Vec<u8>>) -> Progress {
    match message {
        Some(message) => Progress::Ask(message),
        None => Progress::Failed(CannotVerify::Faulty("the request could not be written")),
    }
}

fn token(secret: &SharedSecret, data: &[u8]) -> Progress {
    let decrypted = ClientPinAnswer::parse(data)
        .map_err(CannotVerify::from)
        .and_then(|answer| {
            let token = answer
                .token
                .ok_or(CannotVerify::Faulty("it gave no token"))?;
            Ok(secret.decrypt_token(&token)?)
        });
    match decrypted {
        Ok(token) => Progress::Verified(Authorization::Token(token)),
        Err(why) => Progress::Failed(why),
    }
}

/// Why a key could not verify its person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotVerify {
    /// It has neither a PIN nor anything built in that is set up.
    NothingSetUp,
    /// What is built in did not recognise the person, and there is no PIN.
    BuiltInBlocked,
    /// The person gave no PIN, or may not try another.
    NoPin(NoPin),
    /// Its PIN has one try left, which is not risked.
    LastTry {
        /// Whether the one before it has just been used up.
        wrong_before: bool,
    },
    /// Three wrong PINs: it takes none before it was unplugged.
    PinAuthBlocked,
    /// All tries are used up.
    PinBlocked,
    /// Its PIN must be changed first.
    PinChangeForced,
    /// It refused, by this status.
    Refused(Status),
    /// Its answer is not well-formed.
    Malformed(Malformed),
    /// Its answer is not what was asked for.
    Faulty(&'static str),
}

impl CannotVerify {
    /// The status, where it is one about the person at the key and not about
    /// verification: they said no, or did nothing.
    pub fn by_the_person(self) -> Option<Status> {
        match self {
            Self::Refused(
                status @ (Status::OperationDenied
                | Status::UserActionTimeout
                | Status::ActionTimeout),
            ) => Some(status),
            _ => None,
        }
    }

    /// The same where `status` can only be about verification, in answer to
    /// whatever request.
    pub fn of(status: Status) -> Option<Self> {
        matches!(
            status,
            Status::PuatRequired
                | Status::PinNotSet
                | Status::PinAuthInvalid
                | Status::PinBlocked
                | Status::PinAuthBlocked
                | Status::UnsupportedOption
                | Status::InvalidOption
                | Status::UvBlocked
                | Status::UvInvalid
        )
        .then(|| Self::from(status))
    }
}

impl From<Status> for CannotVerify {
    fn from(status: Status) -> Self {
        match status {
            Status::PinBlocked => Self::PinBlocked,
            Status::PinAuthBlocked => Self::PinAuthBlocked,
            Status::PinPolicyViolation => Self::PinChangeForced,
            other => Self::Refused(other),
        }
    }
}

impl From<Malformed> for CannotVerify {
    fn from(problem: Malformed) -> Self {
        Self::Malformed(problem)
    }
}

impl From<NoSecret> for CannotVerify {
    fn from(NoSecret(why): NoSecret) -> Self {
        Self::Faulty(why)
    }
}

impl std::error::Error for CannotVerify {}

impl Spoken for CannotVerify {
    fn sentence(&self) -> Sentence {
        match self {
            Self::NothingSetUp => sentence!("it has neither a PIN nor a fingerprint set up"),
            Self::BuiltInBlocked => sentence!("it did not recognise its person, and has no PIN"),
            Self::NoPin(NoPin::NotGiven) => sentence!("its PIN was not given"),
            Self::NoPin(NoPin::NotAsked) => {
                sentence!("it wants its PIN before it shows that it is enrolled")
            }
            Self::NoPin(NoPin::UsedUp { .. }) => {
                sentence!("no further PIN may be tried in this login")
            }
            Self::LastTry { .. } => sentence!("its PIN has one try left, which is not risked here"),
            Self::PinAuthBlocked => sentence!("too many wrong PINs in a row"),
            Self::PinBlocked => sentence!("all tries of its PIN are used up"),
            Self::PinChangeForced => sentence!("its PIN must be changed first"),
            Self::Refused(status) => status.sentence(),
            Self::Malformed(problem) => problem.sentence(),
            Self::Faulty(why) => Sentence::plain(why),
        }
    }
}

impl fmt::Display for CannotVerify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key with a PIN, of CTAP 2.0.
    fn with_pin() -> Info {
        let mut info = Info {
            pin_uv_auth_protocol: Some(PinUvAuthProtocol::One),
            ..Info::default()
        };
        info.versions.fido2 = true;
        info.options.client_pin = true;
        info
    }

    fn at(info: &Info) -> Verification<'static> {
        Verification::new(info, Permission::GetAssertion, "pam://laptop", None)
    }

    #[track_caller]
    fn assert_failed(progress: &Progress, expected: CannotVerify) {
        match progress {
            Progress::Failed(why) => assert_eq!(*why, expected),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_of_a_token_is_shown_by_what_holds_it() {
        let sec1 = p256::SecretKey::from_slice(&[1; 32])
            .unwrap()
            .public_key()
            .to_sec1_bytes();
        let theirs = KeyAgreementKey {
            x: sec1[1..33].try_into().unwrap(),
            y: sec1[33..65].try_into().unwrap(),
        };
        let (secret, _) = SharedSecret::agree(PinUvAuthProtocol::One, &theirs).unwrap();
        let token = secret.decrypt_token(&[0x5a; 32]).unwrap();
        let progress = Progress::Verified(Authorization::Token(token));
        assert_eq!(
            format!("{progress:?}"),
            "Verified(Token(PinUvAuthToken(..)))"
        );
    }

    #[test]
    fn a_pin_is_asked_for_where_two_tries_are_left_and_never_for_the_last_one() {
        let counted = |answer: &[u8]| {
            let mut verification = at(&with_pin());
            assert!(matches!(verification.chosen(), Progress::Ask(_)));
            verification.answered(Ok(answer))
        };
        assert!(matches!(
            counted(&[0xa1, 3, 2]),
            Progress::AskPin(PinQuestion { tries_left: 2, .. })
        ));
        assert_failed(
            &counted(&[0xa1, 3, 1]),
            CannotVerify::LastTry {
                wrong_before: false,
            },
        );
        assert_failed(&counted(&[0xa1, 3, 0]), CannotVerify::PinBlocked);
        // powerCycleState
        assert_failed(
            &counted(&[0xa2, 3, 5, 4, 0xf5]),
            CannotVerify::PinAuthBlocked,
        );
        let unsaid = CannotVerify::Faulty("it does not say how many tries are left");
        assert_failed(&counted(&[0xa0]), unsaid);
    }

    #[test]
    fn a_pin_that_is_good_for_nothing_here_is_not_asked_for() {
        let begun = |change: fn(&mut Info)| {
            let mut info = with_pin();
            change(&mut info);
            at(&info).begin()
        };
        assert!(matches!(begun(|_| ()), Progress::Ready));
        for useless in [
            |info: &mut Info| info.options.client_pin = false,
            |info: &mut Info| info.options.no_mc_ga_permissions_with_client_pin = true,
        ] {
            assert_failed(&begun(useless), CannotVerify::NothingSetUp);
        }
        assert_failed(
            &begun(|info| info.force_pin_change = true),
            CannotVerify::PinChangeForced,
        );
    }

    #[test]
    fn a_protocol_that_is_not_ours_is_not_spoken() {
        let mut info = with_pin();
        info.pin_uv_auth_protocol = None;
        let strange = CannotVerify::Faulty("it speaks no PIN protocol of ours");
        assert_failed(&at(&info).chosen(), strange);
    }

    #[test]
    fn a_key_is_chosen_by_a_touch_and_by_nothing_else() {
        let selected = |ctap2_1, answer| {
            let mut info = with_pin();
            info.versions.ctap2_1 = ctap2_1;
            let mut verification = at(&info);
            match verification.choose() {
                // authenticatorSelection, or an empty pinUvAuthParam
                Progress::Ask(message) => assert_eq!(message[0], if ctap2_1 { 0x0b } else { 1 }),
                other => panic!("{other:?}"),
            }
            verification.answered(answer)
        };
        let chosen = |progress| matches!(progress, Progress::Chosen);
        assert!(chosen(selected(true, Ok(&[]))));
        for touched in [
            Status::PinInvalid,
            Status::PinNotSet,
            Status::PinAuthInvalid,
        ] {
            assert!(chosen(selected(false, Err(touched))), "{touched}");
            assert!(!chosen(selected(true, Err(touched))), "{touched}");
        }
        for untouched in [
            Status::OperationDenied,
            Status::UserActionTimeout,
            Status::InvalidCommand,
        ] {
            for ctap2_1 in [false, true] {
                let refused = selected(ctap2_1, Err(untouched));
                assert_failed(&refused, CannotVerify::Refused(untouched));
            }
        }
        // A credential that nobody asked for.
        assert!(!chosen(selected(false, Ok(&[]))));
    }

    #[test]
    fn a_finger_is_tried_three_times_and_then_the_pin() {
        let mut info = with_pin();
        info.options.uv = true;
        let mut verification = at(&info);
        assert!(matches!(verification.begin(), Progress::Verified(_)));
        for _ in 0..2 {
            let again = verification.built_in_refused(Status::UvInvalid);
            assert!(matches!(again, Progress::Verified(_)), "{again:?}");
        }
        let pin = verification.built_in_refused(Status::UvInvalid);
        assert!(matches!(pin, Progress::Ready), "{pin:?}");
        for blocked in [Status::UvBlocked, Status::PuatRequired, Status::PinBlocked] {
            let pin = at(&info).built_in_refused(blocked);
            assert!(matches!(pin, Progress::Ready), "{blocked}");
        }
        // Whoever said no on the key is not asked for its PIN.
        for no in [Status::OperationDenied, Status::UserActionTimeout] {
            assert_failed(&at(&info).built_in_refused(no), CannotVerify::Refused(no));
        }
    }

    #[test]
    fn what_nobody_asked_for_leads_nowhere() {
        let unasked = CannotVerify::Faulty("it answered what nobody asked");
        assert_failed(&at(&with_pin()).answered(Ok(&[0xa0])), unasked);
    }
}

//! Other firmware is different: what a key of another make says of itself, and what it refuses.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use opensk::api::customization::CustomizationImpl;

use super::request::{Command, Request};

/// A make of firmware. opensk does the work behind it; where opensk can be configured to be that
/// key it is, and where it cannot, its getInfo is reworded and the rest refused for it.
///
/// ```
/// use tests::{Profile, VirtualKey};
/// let blue = VirtualKey::named("Blue Key").posing_as(Profile::fido_2_1().most_ids(10));
/// ```
#[derive(Clone, Debug)]
pub struct Profile {
    pub(super) generation: Generation,
    quirks: BTreeSet<Quirk>,
    most_ids: Option<usize>,
    pub(super) most_bytes: Option<usize>,
    min_pin_length: Option<u8>,
}

/// The edition of CTAP that a key was built to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    U2f,
    Fido20,
    Fido21Pre,
    Fido21,
}

/// What sets a key apart from others of its generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Quirk {
    PinProtocolOneOnly,
    AlwaysUv,
    RefusesProbes,
    MakeCredUvRequired,
    ForcePinChange,
    HidesCredentials,
    NoCredentialsAfterTouch,
    ClaimsEveryId,
    KeepsNothing,
}

/// CTAP2's status codes, as far as a profile answers with them (CTAP 2.1 §8.2).
mod status {
    pub(super) const INVALID_COMMAND: u8 = 0x01;
    pub(super) const INVALID_PARAMETER: u8 = 0x02;
    pub(super) const LIMIT_EXCEEDED: u8 = 0x15;
    pub(super) const UNSUPPORTED_OPTION: u8 = 0x2B;
    pub(super) const NO_CREDENTIALS: u8 = 0x2E;
    pub(super) const PUAT_REQUIRED: u8 = 0x36;
    pub(super) const REQUEST_TOO_LARGE: u8 = 0x39;
}

impl Profile {
    fn of(generation: Generation) -> Self {
        Self {
            generation,
            quirks: BTreeSet::new(),
            most_ids: None,
            most_bytes: None,
            min_pin_length: None,
        }
    }

    /// A key that knows U2F and nothing else: no CBOR in its INIT response, `ERR_INVALID_CMD` to
    /// every CBOR message.
    #[must_use]
    pub fn u2f_only() -> Self {
        Self::of(Generation::U2f)
    }

    /// The first FIDO2 keys: PIN protocol one, getPinToken, nothing that CTAP 2.1 brought.
    /// With a PIN set they make no credential without it.
    #[must_use]
    pub fn fido_2_0() -> Self {
        Self::of(Generation::Fido20)
            .most_bytes(1200)
            .pin_protocol_one_only()
            .make_cred_uv_not_rqd(false)
    }

    /// A key of the years between, as `YubiKey` firmware 5.4: both PIN protocols, but getPinToken
    /// only; no selection; lists of eight.
    #[must_use]
    pub fn fido_2_1_pre() -> Self {
        Self::of(Generation::Fido21Pre)
            .most_ids(8)
            .most_bytes(1200)
            .make_cred_uv_not_rqd(false)
    }

    /// opensk as it is.
    #[must_use]
    pub fn fido_2_1() -> Self {
        Self::of(Generation::Fido21)
    }

    /// Offers PIN protocol one and refuses two.
    #[must_use]
    pub fn pin_protocol_one_only(self) -> Self {
        self.with(Quirk::PinProtocolOneOnly)
    }

    /// Wants its user verified for every assertion with a touch and every credential. This is
    /// opensk's own `alwaysUv`: U2F is gone too, and silent probes are answered.
    #[must_use]
    pub fn always_uv(self) -> Self {
        self.with(Quirk::AlwaysUv)
    }

    /// Answers no assertion without a touch (`up` false): `PUAT_REQUIRED`.
    #[must_use]
    pub fn refuses_probes(self) -> Self {
        self.with(Quirk::RefusesProbes)
    }

    /// Whether a credential is made without user verification although a PIN is set.
    #[must_use]
    pub fn make_cred_uv_not_rqd(mut self, not_required: bool) -> Self {
        if not_required {
            self.quirks.remove(&Quirk::MakeCredUvRequired);
            return self;
        }
        self.with(Quirk::MakeCredUvRequired)
    }

    /// New PINs must be this long; opensk's own check.
    #[must_use]
    pub fn min_pin_length(self, code_points: u8) -> Self {
        let min_pin_length = Some(code_points);
        Self {
            min_pin_length,
            ..self
        }
    }

    /// Its PIN must be changed before it is good for anything. opensk's own flag: the right PIN is
    /// answered with `PIN_INVALID`, and a new PIN clears it.
    #[must_use]
    pub fn force_pin_change(self) -> Self {
        self.with(Quirk::ForcePinChange)
    }

    /// Takes lists of so many credential ids and refuses longer ones.
    #[must_use]
    pub fn most_ids(self, ids: usize) -> Self {
        let most_ids = Some(ids);
        Self { most_ids, ..self }
    }

    /// Takes messages of so many bytes and refuses longer ones.
    #[must_use]
    pub fn most_bytes(self, bytes: usize) -> Self {
        let most_bytes = Some(bytes);
        Self { most_bytes, ..self }
    }

    /// Knows its credentials only after user verification: credProtect level three.
    #[must_use]
    pub fn hides_credentials(self) -> Self {
        self.with(Quirk::HidesCredentials)
    }

    /// Says only after a touch that a credential is not its own, so that nobody finds out behind
    /// its owner's back (CTAP 2.0 §5.2).
    #[must_use]
    pub fn no_credentials_after_touch(self) -> Self {
        self.with(Quirk::NoCredentialsAfterTouch)
    }

    /// A rogue: says of every credential that it is its own, and that it has a PIN to ask for.
    /// Its assertions are well-formed and signed by a key that nobody enrolled.
    #[must_use]
    pub fn claims_every_id(self) -> Self {
        self.with(Quirk::ClaimsEveryId)
    }

    /// Has no room for credentials of its own: `rk` is false, and it manages none.
    #[must_use]
    pub fn keeps_nothing(self) -> Self {
        self.with(Quirk::KeepsNothing)
    }

    fn with(mut self, quirk: Quirk) -> Self {
        self.quirks.insert(quirk);
        self
    }

    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }

    /// Makes opensk that key, as far as it can be configured.
    pub(super) fn configure(&self, firmware: &mut CustomizationImpl) {
        firmware.enforce_always_uv |= self.has(Quirk::AlwaysUv);
        if self.most_ids.is_some() {
            // opensk only reports it.
            firmware.max_credential_count_in_list = self.most_ids;
        }
        if let Some(code_points) = self.min_pin_length {
            firmware.default_min_pin_length = code_points;
        }
    }

    /// The status with which this firmware refuses a request that opensk would take.
    pub(super) fn refusal(&self, request: &Request, pin: Pin) -> Option<u8> {
        if self.most_bytes.is_some_and(|most| request.length > most) {
            return Some(status::REQUEST_TOO_LARGE);
        }
        if let Some(refusal) = self.generation.refusal(request) {
            return Some(refusal);
        }
        if self.most_ids.is_some_and(|most| request.ids() > most) {
            return Some(status::LIMIT_EXCEEDED);
        }
        if self.has(Quirk::PinProtocolOneOnly) && request.pin_uv_auth_protocol() == Some(2) {
            return Some(status::INVALID_PARAMETER);
        }
        let verified = request.has_pin_uv_auth_param() || request.wants_built_in_uv();
        match request.command {
            Command::MakeCredential
                if self.has(Quirk::KeepsNothing) && request.wants_to_be_kept() =>
            {
                Some(status::UNSUPPORTED_OPTION)
            }
            Command::CredentialManagement | Command::CredentialManagementPreview
                if self.has(Quirk::KeepsNothing) =>
            {
                Some(status::INVALID_COMMAND)
            }
            Command::MakeCredential
                if self.has(Quirk::MakeCredUvRequired) && pin == Pin::Set && !verified =>
            {
                Some(status::PUAT_REQUIRED)
            }
            Command::GetAssertion if self.has(Quirk::RefusesProbes) && request.is_silent() => {
                Some(status::PUAT_REQUIRED)
            }
            Command::GetAssertion if self.has(Quirk::HidesCredentials) && !verified => {
                Some(status::NO_CREDENTIALS)
            }
            _ => None,
        }
    }
}

/// Whether the key has a PIN by now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pin {
    Set,
    NotSet,
}

impl Generation {
    /// Refuses what was not invented yet.
    fn refusal(self, request: &Request) -> Option<u8> {
        let subcommand = request.subcommand().unwrap_or(0);
        match (self, request.command) {
            // CredentialManagement in its first form, 0x41, is what FIDO_2_1_PRE had.
            (Self::Fido20, Command::CredentialManagementPreview | Command::BioEnrollment)
            | (
                Self::Fido20 | Self::Fido21Pre,
                Command::CredentialManagement
                | Command::Selection
                | Command::LargeBlobs
                | Command::Config,
            ) => Some(status::INVALID_COMMAND),
            (Self::Fido20, Command::ClientPin) if (0x06..=0x09).contains(&subcommand) => {
                Some(status::INVALID_PARAMETER)
            }
            (Self::Fido21Pre, Command::ClientPin) if [0x06, 0x09].contains(&subcommand) => {
                Some(status::INVALID_PARAMETER)
            }
            _ => None,
        }
    }
}

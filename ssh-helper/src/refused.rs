//! Why a key made nothing, in sentences for a person.
#![forbid(unsafe_code)]

use std::fmt::Display;

use ceremony::authenticator::NoPin;
use ceremony::authenticator::ctap2::Info;
use ceremony::authenticator::introduction::Mute;
use ceremony::authenticator::verification::CannotVerify;
use ceremony::credential::UserVerification;
use ceremony::registration::Refused;
use nix::unistd::geteuid;

use crate::login::{about_verification, not_typed};

/// Why a key that says this of itself need not be asked at all.
pub(crate) fn before_it_is_asked(
    said: Result<&Info, Mute>,
    user_verification: UserVerification,
) -> Option<Refused> {
    let required = user_verification == UserVerification::Required;
    match said {
        Err(Mute::OnlyU2f) => Some(Refused::OnlyU2f),
        Ok(info) if required && !info.options.client_pin && !info.options.uv => {
            Some(Refused::CannotVerify(CannotVerify::NothingSetUp))
        }
        // One that says nothing now may still make a credential.
        Err(Mute::Silent) | Ok(_) => None,
    }
}

/// What happened, and what to do, whatever the credential was to be for.
/// `command` is what to type to begin again.
pub(crate) fn sentences(refused: &Refused, key: &dyn Display, command: &str) -> (String, String) {
    let again = format!("run again: {command}");
    let replug = || format!("unplug it, plug it in and {again}");
    match refused {
        Refused::Gone => (
            format!("{key} was unplugged"),
            format!("plug it in and {again}"),
        ),
        Refused::NoAccess => (
            format!("this process may not open {key}"),
            if geteuid().is_root() {
                format!("run it outside any sandbox: {command}")
            } else {
                "udev gives it to who is logged in at the machine; see `passkey check`".to_owned()
            },
        ),
        Refused::TimedOut => (
            format!("nobody touched {key} in time"),
            format!("touch it while it blinks; {again}"),
        ),
        Refused::Denied => (
            format!("the request was denied on {key}"),
            format!("if that was a mistake, {again}"),
        ),
        Refused::AlreadyEnrolled => (
            format!("{key} has made that credential already"),
            format!("to make another, plug another key in and {again}"),
        ),
        Refused::Full => (
            format!("{key} has no room for another credential"),
            "remove one that you no longer need, by `passkey key credentials list` and `remove`, \
             or take another key"
                .to_owned(),
        ),
        Refused::Taken | Refused::PerhapsTaken | Refused::CannotProtect => {
            (format!("{key} failed: {refused}"), replug())
        }
        Refused::CannotKeep => (
            format!("{key} keeps no credentials itself (rk)"),
            "make one without --discoverable, or take another key".to_owned(),
        ),
        Refused::OnlyU2f => (
            format!("{key} speaks only U2F, not FIDO2"),
            "take a key that says FIDO2 on its box".to_owned(),
        ),
        Refused::UnsupportedAlgorithm => (
            format!("{key} cannot make a credential of that algorithm"),
            "choose the other one, or take another key".to_owned(),
        ),
        Refused::NotAnswering => (format!("{key} did not answer in time"), replug()),
        Refused::Busy => (
            format!("{key} served another program all the time"),
            format!("end that program, and {again}"),
        ),
        Refused::Interrupted => (
            "it was interrupted".to_owned(),
            format!("nothing was written; {again}"),
        ),
        Refused::CannotVerify(CannotVerify::NoPin(NoPin::NotGiven)) => not_typed(key, command),
        Refused::CannotVerify(why) => (
            format!("a PIN or fingerprint is required, and {key} gave none: {why}"),
            about_verification(why, command),
        ),
        Refused::NotVerified => (
            format!("{key} made a credential without checking a PIN or fingerprint"),
            "take another key: this one does not do what it is asked".to_owned(),
        ),
        Refused::Invalid(refusal) => (
            format!("what {key} made is not accepted: {refusal}"),
            "take another key; an honest one does not answer like that".to_owned(),
        ),
        Refused::Faulty(why) => (format!("{key} failed: {why}"), replug()),
        Refused::NoRandomness => (
            refused.to_string(),
            format!("wait until the machine has booted, and {again}"),
        ),
    }
}

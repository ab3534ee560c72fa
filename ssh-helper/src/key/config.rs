//! `passkey key config`: a key's settings, through the engine.
#![forbid(unsafe_code)]

use std::path::Path;
use std::time::{Duration, Instant};

use ceremony::authenticator::configuration::{self, Unchanged};
use ceremony::authenticator::ctap2::Setting;
use ceremony::authenticator::interruption::Interruption;
use ceremony::authenticator::race::{Course, Field};

use super::asking::{somebody_must_be_there, with_pin};
use super::chosen::Chosen;
use super::done::Done;
use super::not_done::NotDone;
use super::touching::Touching;
use crate::cli::key::{ConfigCommand, OnOrOff};
use crate::failure::Failure;
use crate::machine;
use crate::screen::Screen;
use crate::terminal;

/// How long a change may take, with a touch where the key wants one.
const PATIENCE: Duration = Duration::from_secs(30);

/// Changes a setting.
pub(crate) fn config(
    wanted: ConfigCommand,
    node: Option<&Path>,
    screen: &mut Screen,
) -> Result<(), Failure> {
    match wanted {
        ConfigCommand::AlwaysUv { wanted } => {
            let word = match wanted {
                OnOrOff::On => "on",
                OnOrOff::Off => "off",
            };
            let chosen = Chosen::find(node, &format!("key config always-uv {word}"), screen)?;
            always_uv(wanted, &chosen, screen)
        }
        ConfigCommand::MinPinLength { length } => {
            let chosen =
                Chosen::find(node, &format!("key config min-pin-length {length}"), screen)?;
            min_pin_length(length, &chosen, screen)
        }
    }
}

fn always_uv(wanted: OnOrOff, chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    let key = &chosen.key;
    let wanted = wanted == OnOrOff::On;
    let is = |chosen: &Chosen| chosen.described.option("alwaysUv");
    let Some(now) = is(chosen) else {
        return Err(cannot(chosen, "demand verification always"));
    };
    if now != wanted {
        change(Setting::ToggleAlwaysUv, chosen, screen)?;
        if is(&chosen.anew()?) != Some(wanted) {
            return Err(as_before(chosen));
        }
    }
    let sentence = if wanted {
        format!("{key} signs nothing without its PIN or a fingerprint.")
    } else {
        format!("{key} signs with a touch where no more is asked for.")
    };
    let word = if wanted {
        "always-uv on"
    } else {
        "always-uv off"
    };
    screen.report(&Done::new(key, word, [sentence]))
}

fn min_pin_length(length: u8, chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    let key = &chosen.key;
    if chosen.described.option("setMinPINLength") != Some(true) {
        return Err(cannot(chosen, "be told how short a PIN may be"));
    }
    let now = chosen.info.min_pin_length;
    if length < now {
        return Err(Failure::new(
            format!("{key} takes no PIN under {now} characters, and that cannot be made less"),
            "only a reset does, which erases the key: passkey key reset",
        ));
    }
    if length > now {
        somebody_must_be_there(chosen, "a word is asked for")?;
        screen.say(&format!(
            "{key} then takes no PIN under {length} characters. Only a reset, which erases the \
             key, can undo that. If its PIN is shorter, it must be changed at once."
        ));
        if !terminal::typed_word("longer", "to go on", screen) {
            return Err(Failure::new(
                format!("the shortest PIN of {key} is {now} characters as before"),
                format!("if you want it longer, run again: {}", chosen.again),
            ));
        }
        change(Setting::MinPinLength(length), chosen, screen)?;
    }
    let anew = chosen.anew()?;
    if anew.info.min_pin_length != length {
        return Err(as_before(chosen));
    }
    let mut sentence = format!("{key} takes no PIN under {length} characters.");
    if anew.info.force_pin_change {
        sentence.push_str(" Its own is shorter; change it with: passkey key pin change");
    }
    screen.report(&Done::new(key, "min-pin-length set", [sentence]))
}

fn change(setting: Setting, chosen: &Chosen, screen: &mut Screen) -> Result<(), Failure> {
    if chosen.described.option("authnrCfg") != Some(true) {
        return Err(cannot(chosen, "have its settings changed"));
    }
    with_pin(chosen, screen, |typed, screen| {
        let pin = typed
            .to_pin()
            .map_err(|problem| NotDone::Dishonest(problem.to_string()))?;
        let claims = machine::claims("Requested by passkey key config.", screen);
        let interruption = Interruption::hold_back();
        let course = Course {
            field: Field::WhilePluggedIn(chosen.key.clone()),
            deadline: Instant::now() + PATIENCE,
            claims: claims.as_ref(),
            interruption: interruption.as_ref(),
        };
        let protocol = chosen.protocol();
        let mut person = Touching::new(screen, "to change its settings");
        configuration::change(setting, pin, protocol, &course, &mut person).map_err(|why| match why
        {
            Unchanged::Unanswered(why) => why.into(),
            Unchanged::Dishonest(why) => NotDone::Dishonest(why.to_owned()),
        })
    })
}

fn cannot(chosen: &Chosen, what: &str) -> Failure {
    Failure::new(
        format!("{} cannot {what}", chosen.key),
        "see what it can do with: passkey key info",
    )
}

fn as_before(chosen: &Chosen) -> Failure {
    Failure::new(
        format!("{} says that it was done, and is as before", chosen.key),
        format!("unplug it, plug it in and run again: {}", chosen.again),
    )
}

//! Which of the keys plugged in is meant, and what it says of itself.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ceremony::authenticator::client_pin::PinUvAuthProtocol;
use ceremony::authenticator::ctap2::{ClientPin, ClientPinAnswer, Info, SelfDescription};
use ceremony::authenticator::errand;
use ceremony::authenticator::hidraw::{self, FoundKey};
use ceremony::authenticator::race::{Course, Field};
use ceremony::authenticator::{Interaction, NoPin, Notice, PinQuestion};
use ceremony::credential::printable;
use ceremony::pin::Pin;

use super::models::model;
use super::not_done::NotDone;
use crate::failure::Failure;
use crate::key_name::quoted_if_need_be;
use crate::screen::Screen;
use crate::terminal::{self, Echo};

/// How long a key may take for what takes no person.
const PATIENCE: Duration = Duration::from_secs(3);

/// The key that is meant.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) key: FoundKey,
    /// What the ceremonies act on.
    pub(crate) info: Info,
    /// All that it says.
    pub(crate) described: SelfDescription,
    /// What to type to begin again.
    pub(crate) again: String,
}

impl Chosen {
    /// The key at `node`, the only one, or the one that a person names.
    /// `command` is what follows `passkey`.
    pub(crate) fn find(
        node: Option<&Path>,
        command: &str,
        screen: &mut Screen,
    ) -> Result<Self, Failure> {
        let again = match node {
            Some(node) => format!(
                "passkey {command} --key {}",
                quoted_if_need_be(&printable(&node.display().to_string(), 64))
            ),
            None => format!("passkey {command}"),
        };
        let key = which(node, &again, screen)?;
        let described = describe(&key).map_err(|problem| problem.failure(&key, &again))?;
        let (info, described) = described;
        Ok(Self {
            key,
            info,
            described,
            again,
        })
    }

    /// The same key as it is now, after something was done with it.
    pub(crate) fn anew(&self) -> Result<Self, Failure> {
        let (info, described) = describe(&self.key).map_err(|problem| self.failure(&problem))?;
        Ok(Self {
            key: self.key.clone(),
            info,
            described,
            again: self.again.clone(),
        })
    }

    /// How many wrong PINs it still takes, and whether it must be unplugged
    /// before it takes any.
    pub(crate) fn pin_tries(&self) -> Result<PinTries, NotDone> {
        let message = ClientPin::PinRetries
            .request(self.protocol())
            .unwrap_or_default();
        let answer = ask(message, &self.key)?;
        let answer = ClientPinAnswer::parse(&answer).map_err(NotDone::Malformed)?;
        Ok(PinTries {
            left: answer.pin_retries.unwrap_or(0),
            power_cycle_needed: answer.power_cycle_needed,
        })
    }

    /// The PIN/UV auth protocol to speak with it.
    pub(crate) fn protocol(&self) -> PinUvAuthProtocol {
        self.info
            .pin_uv_auth_protocol
            .unwrap_or(PinUvAuthProtocol::One)
    }

    /// Whether the option of this name is there, whatever it is set to.
    pub(crate) fn knows(&self, option: &str) -> bool {
        self.described.option(option).is_some()
    }

    /// Who asks, for others who want the key meanwhile: `passkey ssh`.
    pub(crate) fn asked_by(&self) -> String {
        let words: Vec<&str> = self.again.split(' ').take(2).collect();
        words.join(" ")
    }

    /// The failure for `problem`.
    pub(crate) fn failure(&self, problem: &NotDone) -> Failure {
        problem.failure(&self.key, &self.again)
    }
}

/// The tries of a PIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PinTries {
    pub(crate) left: u8,
    pub(crate) power_cycle_needed: bool,
}

/// What `key` says of itself.
pub(crate) fn describe(key: &FoundKey) -> Result<(Info, SelfDescription), NotDone> {
    let answer = ask(Info::request(), key)?;
    let info = Info::parse(&answer).map_err(NotDone::Malformed)?;
    let described = SelfDescription::parse(&answer).map_err(NotDone::Malformed)?;
    Ok((info, described))
}

fn ask(message: Vec<u8>, key: &FoundKey) -> Result<Vec<u8>, NotDone> {
    let course = Course {
        field: Field::WhilePluggedIn(key.clone()),
        deadline: Instant::now() + PATIENCE,
        claims: None,
        interruption: None,
    };
    Ok(errand::run(message, None, &course, &mut Nobody)?)
}

fn which(node: Option<&Path>, again: &str, screen: &mut Screen) -> Result<FoundKey, Failure> {
    if let Some(node) = node {
        return plugged_in_at(node);
    }
    let keys = hidraw::find();
    match keys.as_slice() {
        [] => Err(Failure::new(
            "no security key is plugged in",
            format!(
                "plug it in and run again: {again} \
                 (a key that is there but not seen: check `ls /sys/class/hidraw`)"
            ),
        )),
        [only] => Ok(only.clone()),
        several if terminal::somebody_is_there() => ask_which(several, again, screen),
        several => {
            let list: Vec<String> = several.iter().map(ToString::to_string).collect();
            Err(Failure::new(
                format!("several keys are plugged in: {}", list.join(", ")),
                format!("say which is meant: {again} --key NODE"),
            ))
        }
    }
}

/// Whether `key` is the one at `node`, which may be a link to it, as udev makes.
/// The key that is plugged in there.
pub(crate) fn plugged_in_at(node: &Path) -> Result<FoundKey, Failure> {
    let found = hidraw::find().into_iter().find(|key| is_at(key, node));
    found.ok_or_else(|| {
        let node = printable(&node.display().to_string(), 64);
        Failure::new(
            format!("\"{node}\" is no security key that is plugged in"),
            "see those that are with: passkey key list",
        )
    })
}

fn is_at(key: &FoundKey, node: &Path) -> bool {
    let behind = |path: &Path| fs::canonicalize(path).ok();
    key.node == node || behind(node).is_some_and(|node| behind(&key.node) == Some(node))
}

fn ask_which(keys: &[FoundKey], again: &str, screen: &mut Screen) -> Result<FoundKey, Failure> {
    screen.say("Several keys are plugged in:");
    for (number, key) in (1..).zip(keys) {
        let name = describe(key).ok().and_then(|(info, _)| model(info.aaguid));
        let name = name.map_or_else(String::new, |name| format!(", {name}"));
        screen.say(&format!("  {number}  {key}{name}"));
    }
    let question = format!("Which one is meant? [1-{}, nothing for none] ", keys.len());
    let typed = terminal::read_line(|| screen.ask(&question), Echo::On);
    if typed.is_err() {
        // Only a line's own end ends the question's line.
        screen.say("");
    }
    let number: Option<usize> = typed
        .ok()
        .and_then(|line| std::str::from_utf8(line.trim_ascii()).ok()?.parse().ok());
    number
        .and_then(|number| keys.get(number.checked_sub(1)?))
        .cloned()
        .ok_or_else(|| {
            Failure::new(
                "nothing was done, since nobody said with which key",
                format!("say which is meant: {again} --key NODE"),
            )
        })
}

/// What is asked here takes no person.
pub(crate) struct Nobody;

impl Interaction for Nobody {
    fn tell(&mut self, _: &Notice<'_>) {}

    fn ask_pin(&mut self, _: &FoundKey, _: &PinQuestion) -> Result<Pin, NoPin> {
        Err(NoPin::NotGiven)
    }
}

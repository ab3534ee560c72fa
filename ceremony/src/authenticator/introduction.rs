//! getInfo and nothing else: what a key says of itself, before anything is
//! asked of it.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::ctap2::{Info, Malformed, Status};
use super::ctaphid::Fault;
use super::dialogue::{Dialogue, Step};
use super::hidraw::FoundKey;
use super::interaction::{Gesture, Interaction, NoPin, Notice, PinQuestion};
use super::race::{self, Course, Field, Lost, Out};
use crate::credential::CredentialName;
use crate::pin::Pin;

/// How long a key may take; it takes no person.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no introduction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mute {
    /// It speaks only U2F, which has no getInfo.
    OnlyU2f,
    /// It says nothing, or nothing that can be read.
    Silent,
}

/// What `key` says of itself.
pub fn introduction(key: &FoundKey) -> Result<Info, Mute> {
    let course = Course {
        field: Field::Only(key.clone()),
        deadline: Instant::now() + PATIENCE,
        claims: None,
        interruption: None,
    };
    match race::run(&course, &mut Nobody, |_| Introduction) {
        Ok((_, info)) if !info.versions.fido2 => Err(Mute::OnlyU2f),
        Ok((_, info)) => Ok(info),
        Err(Lost::AllDropped(out))
            if matches!(out.as_slice(), [(_, Out::Fault(Fault::OnlyU2f))]) =>
        {
            Err(Mute::OnlyU2f)
        }
        Err(_) => Err(Mute::Silent),
    }
}

struct Introduction;

type Next = Step<Info, Malformed>;

impl Dialogue for Introduction {
    type Outcome = Info;
    type Dropped = Malformed;

    fn begin(&mut self) -> Next {
        Step::Ask(Info::request())
    }

    fn answered(&mut self, answer: Result<&[u8], Status>) -> Next {
        match answer.map(Info::parse) {
            Ok(Ok(info)) => Step::Win(info),
            Ok(Err(problem)) => Step::Drop(problem),
            Err(_) => Step::Drop(Malformed("no getInfo")),
        }
    }

    fn choose(&mut self) -> Next {
        Step::Drop(Malformed("no choice to make"))
    }

    fn chosen(&mut self) -> Next {
        self.choose()
    }

    fn pin(&mut self, _: Result<Pin, NoPin>) -> Next {
        self.choose()
    }

    fn waits_for(&self) -> Option<Gesture> {
        None
    }

    fn proven(&self) -> Option<&CredentialName> {
        None
    }
}

/// A key that introduces itself needs nobody.
struct Nobody;

impl Interaction for Nobody {
    fn tell(&mut self, _: &Notice<'_>) {}

    fn ask_pin(&mut self, _: &FoundKey, _: &PinQuestion) -> Result<Pin, NoPin> {
        Err(NoPin::NotGiven)
    }
}

//! getInfo and nothing else: what a key says of itself, before anything is
//! asked of it.
#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::ctap2::{Info, Malformed, Status};
use super::dialogue::{Dialogue, Step};
use super::hidraw::FoundKey;
use super::interaction::{Gesture, Interaction, NoPin, Notice, PinQuestion};
use super::race::{self, Course, Field};
use crate::credential::CredentialName;
use crate::pin::Pin;

/// How long a key may take; it takes no person.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `key` says of itself; `None` where it says nothing that can be read.
pub fn introduction(key: &FoundKey) -> Option<Info> {
    let course = Course {
        field: Field::Only(key.clone()),
        deadline: Instant::now() + PATIENCE,
        claims: None,
        interruption: None,
    };
    let (_, info) = race::run(&course, &mut Nobody, |_| Introduction).ok()?;
    Some(info)
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

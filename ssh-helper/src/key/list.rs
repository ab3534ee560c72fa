//! `passkey key list`: the keys plugged in.
#![forbid(unsafe_code)]

use std::path::Path;

use ceremony::authenticator::errand::Unanswered;
use ceremony::authenticator::hidraw::{self, FoundKey};
use serde::Serialize;

use super::chosen::{describe, plugged_in_at};
use super::done::Which;
use super::models::model;
use super::not_done::NotDone;
use crate::entry::columns;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::screen::{Report, Screen};

/// Lists the keys plugged in.
pub(crate) fn list(node: Option<&Path>, screen: &mut Screen) -> Result<(), Failure> {
    let found = match node {
        Some(node) => vec![plugged_in_at(node)?],
        None => hidraw::find(),
    };
    let keys: Vec<Plugged> = found.iter().map(Plugged::of).collect();
    if keys.is_empty() {
        screen.say(
            "no security key is plugged in \
             (one that is there but not seen: check `ls /sys/class/hidraw`)",
        );
    }
    if keys.iter().any(|key| key.accessible == Some(false)) {
        screen.say("A key that you may not open opens for root: sudo passkey key list");
    }
    screen.report(&List { keys })
}

#[derive(Serialize)]
struct List {
    keys: Vec<Plugged>,
}

#[derive(Serialize)]
struct Plugged {
    #[serde(flatten)]
    which: Which,
    /// `null`: it could not be found out.
    accessible: Option<bool>,
    versions: Vec<String>,
    aaguid: Option<String>,
    model: Option<&'static str>,
    /// Why it says nothing of itself.
    problem: Option<String>,
}

impl Plugged {
    fn of(key: &FoundKey) -> Self {
        let described = describe(key);
        let accessible = match &described {
            Err(NotDone::Unanswered(Unanswered::NoAccess)) => Some(false),
            Err(NotDone::Unanswered(Unanswered::Gone | Unanswered::NotOpened(_))) => None,
            Ok(_) | Err(_) => Some(true),
        };
        let problem = match &described {
            Err(NotDone::Unanswered(why)) => Some(why.to_string()),
            Err(NotDone::Malformed(why)) => Some(why.to_string()),
            _ => None,
        };
        let (info, described) = described.ok().unzip();
        Self {
            which: Which::of(key),
            accessible,
            versions: described.map(|said| said.versions).unwrap_or_default(),
            aaguid: info.as_ref().map(|info| info.aaguid.to_string()),
            model: info.and_then(|info| model(info.aaguid)),
            problem,
        }
    }

    fn row(&self) -> [String; 5] {
        let accessible = match self.accessible {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        };
        let versions = match &self.problem {
            Some(problem) => problem.clone(),
            None => self.versions.join(" "),
        };
        let model = match (self.model, &self.aaguid) {
            (Some(model), _) => model.to_owned(),
            (None, Some(aaguid)) => aaguid.clone(),
            (None, None) => String::new(),
        };
        let Which { node, product } = &self.which;
        [
            node.clone(),
            product.clone(),
            accessible.to_owned(),
            model,
            versions,
        ]
    }
}

impl Report for List {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let rows: Vec<[String; 5]> = self.keys.iter().map(Plugged::row).collect();
        let rows: Vec<[&str; 5]> = rows
            .iter()
            .map(|row| row.each_ref().map(String::as_str))
            .collect();
        let head = ["NODE", "PRODUCT", "MAY OPEN", "MODEL OR AAGUID", "SPEAKS"];
        columns(head, &rows, ink)
    }
}

//! `passkey ssh list`.
#![forbid(unsafe_code)]

use std::path::Path;

use serde::Serialize;

use super::able;
use super::key::{Listed, ResidentKey, kind};
use crate::entry::columns;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key::kept::short;
use crate::key::{Which, with_pin};
use crate::screen::{Report, Screen};

/// Lists them.
pub(crate) fn list(node: Option<&Path>, screen: &mut Screen) -> Result<(), Failure> {
    let chosen = able(node, "ssh list", screen)?;
    let listed = with_pin(&chosen, screen, |pin, screen| {
        Listed::ask(&chosen, pin, screen)
    })?;
    if listed.keys.is_empty() {
        screen.say(&format!("{} keeps no SSH keys itself", chosen.key));
    }
    screen.report(&List {
        key: Which::of(&chosen.key),
        slots_left: listed.slots_left,
        keys: listed.keys.iter().map(Shown::of).collect(),
    })
}

#[derive(Serialize)]
struct List {
    key: Which,
    slots_left: Option<u32>,
    keys: Vec<Shown>,
}

/// One of them, for a person or a program.
#[derive(Debug, Serialize)]
struct Shown {
    /// In hexadecimal; `None` where the security key does not list it.
    id: Option<String>,
    application: String,
    user: Option<String>,
    name: String,
    cred_protect: u8,
    verify_required: bool,
    /// These three where there is no `problem`.
    #[serde(rename = "type")]
    kind: Option<&'static str>,
    fingerprint: Option<String>,
    public_key: Option<String>,
    problem: Option<String>,
}

impl Shown {
    fn of(key: &ResidentKey) -> Self {
        let file = key.file.as_ref().ok();
        Self {
            id: Some(key.id.clone()).filter(|id| !id.is_empty()),
            application: key.application.clone(),
            user: key.user_id.text(),
            name: key.name.clone(),
            cred_protect: key.cred_protect,
            verify_required: key.verify_required(),
            kind: file.map(|file| kind(file.public_key.algorithm())),
            fingerprint: key.fingerprint(),
            public_key: file.and_then(|file| file.public_line().ok()),
            problem: key.file.as_ref().err().cloned(),
        }
    }

    /// What it takes to use it, and to find it.
    fn protection(&self) -> &'static str {
        match self.cred_protect {
            3 => "touch and PIN",
            2 => "touch; PIN to list",
            _ => "touch",
        }
    }

    fn what_it_is(&self) -> String {
        match (&self.kind, &self.fingerprint, &self.problem) {
            (Some(kind), Some(fingerprint), None) => format!("{kind} {fingerprint}"),
            (_, _, problem) => format!("not readable: {}", problem.as_deref().unwrap_or("why")),
        }
    }
}

impl Report for List {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let ids: Vec<&str> = self
            .keys
            .iter()
            .map(|key| key.id.as_deref().unwrap_or("-"))
            .collect();
        let what: Vec<String> = self.keys.iter().map(Shown::what_it_is).collect();
        let rows: Vec<[&str; 6]> = self
            .keys
            .iter()
            .zip(short(&ids))
            .zip(&what)
            .map(|((key, id), what)| {
                [
                    id,
                    key.application.as_str(),
                    key.user.as_deref().unwrap_or_default(),
                    key.name.as_str(),
                    key.protection(),
                    what.as_str(),
                ]
            })
            .collect();
        let head = ["ID", "APPLICATION", "USER", "CALLED", "PROTECTION", "KEY"];
        let mut lines = columns(head, &rows, ink);
        lines.extend(self.slots_left.map(|left| match left {
            0 => "no slots left".to_owned(),
            1 => "1 slot left".to_owned(),
            more => format!("{more} slots left"),
        }));
        lines
    }
}

#[cfg(test)]
mod tests {
    use ceremony::authenticator::hidraw::FoundKey;

    use super::super::key::tests::{held, listed};
    use super::*;
    use crate::key::worker::HeldSshKey;

    #[test]
    fn the_table_says_whose_a_key_is_and_what_it_takes() {
        let other = HeldSshKey {
            id: vec![0x2e; 16],
            user_name: "Work \u{1b}[2J".to_owned(),
            cred_protect: 3,
            ..held("ssh:work", b"alice\0")
        };
        let strange = HeldSshKey {
            id: vec![0x3f; 16],
            ..held("ssh:\u{202e}x", b"\x1b")
        };
        let keys = listed(vec![other, held("ssh:", &[0; 32]), strange]);
        let list = List {
            key: Which::of(&FoundKey::default()),
            slots_left: Some(1),
            keys: keys.iter().map(Shown::of).collect(),
        };
        let fingerprint = keys[0].fingerprint().unwrap();
        let alices = keys[2].fingerprint().unwrap();
        let lines = list.lines(Ink::None);
        assert_eq!(
            lines[..2],
            [
                "ID                APPLICATION  USER   CALLED     PROTECTION     KEY".to_owned(),
                format!(
                    "1d1d1d1d1d1d1d1d  ssh:                openssh    touch          ecdsa-sk {fingerprint}"
                ),
            ]
        );
        assert_eq!(
            lines[3],
            format!(
                "2e2e2e2e2e2e2e2e  ssh:work     alice  Work ?[2J  touch and PIN  ecdsa-sk {alices}"
            )
        );
        assert!(lines[2].contains("ssh:?x       1b"), "{}", lines[2]);
        assert!(lines[2].contains("not readable: an application cannot contain"));
        assert_eq!(lines[4], "1 slot left");
    }
}

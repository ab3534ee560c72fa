//! `passkey ssh enroll`: a security key makes an SSH key.
//!
//! In this order: what is to be made, where its files go, which security key, the
//! passphrase, the touch, the files. Nothing that can go wrong without a touch is
//! left for after it.
#![forbid(unsafe_code)]

use std::path::Path;

use base16ct::lower::encode_string;
use ceremony::authenticator::hidraw::FoundKey;
use serde::Serialize;
use serde_json::Value;

use super::also_login::AlsoLogin;
use super::key_file::{KeyFile, NotWritten};
use super::making::Making;
use super::passphrase;
use super::places::{self, Places, Written};
use super::plan::Plan;
use crate::cli::ssh::{Enroll, KeyType};
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key::Which;
use crate::key_name::quoted_if_need_be;
use crate::screen::{Report, Screen};
use crate::terminal;

/// Makes an SSH key.
pub(crate) fn enroll(wanted: &Enroll, screen: &mut Screen) -> Result<(), Failure> {
    let plan = Plan::of(wanted, screen)?;
    let places = Places::reserve(&plan)?;
    let also_login = wanted
        .also_login
        .then(|| {
            let alone = wanted.but(|it| it.also_login = false).words();
            AlsoLogin::announce(&alone, screen)
        })
        .transpose()?;
    let making = Making { plan: &plan };
    let key = making.choose(screen)?;
    if making.is_of_another_kind(&key) {
        let ecdsa = wanted.but(|it| it.key_type = KeyType::EcdsaSk);
        offer_ecdsa(&key, &ecdsa, screen)?;
        drop(places);
        let on_this = ecdsa.but(|it| it.which.node = Some(key.node.clone()));
        return enroll(&on_this, screen);
    }
    let passphrase = passphrase::new(&wanted.encryption, &plan.again, screen)?;
    let made = making.ask(&key, screen)?;
    let file = plan.key_file(&made);
    let written = places.fill(&plan, &file, &made, passphrase.as_ref())?;
    let enrolled = Enrolled::of(&plan, &file, &key, &written).map_err(|problem| {
        Failure::new(
            problem.to_string(),
            format!(
                "see what was written: passkey ssh show {}",
                shown(&written.private)
            ),
        )
    })?;
    enrolled.report(also_login, screen)
}

/// A security key that makes no ed25519-sk key makes ecdsa-sk keys, which every
/// server takes.
fn offer_ecdsa(key: &FoundKey, ecdsa: &Enroll, screen: &mut Screen) -> Result<(), Failure> {
    let cannot = format!("{key} cannot make an ed25519-sk key");
    let somebody = screen.is_for_a_person() && terminal::somebody_is_there();
    let answer = somebody.then(|| {
        screen.say(&format!(
            "{cannot}; an ecdsa-sk key is taken by every server, too."
        ));
        terminal::answer("Make an ecdsa-sk key instead? [y/N] ", screen)
    });
    match answer.flatten() {
        Some(line) if terminal::is_yes(&line) => Ok(()),
        _ => Err(Failure::new(
            cannot,
            format!(
                "make an ecdsa-sk key: {}; or take another security key",
                ecdsa.words()
            ),
        )),
    }
}

/// What was made, and what to do with it.
#[derive(Debug, Serialize)]
struct Enrolled {
    key: Which,
    #[serde(rename = "type")]
    kind: &'static str,
    application: String,
    user: Option<String>,
    resident: bool,
    verify_required: bool,
    touch_required: bool,
    fingerprint: String,
    private_key: String,
    public_key: String,
    attestation: Option<String>,
    backup: Option<String>,
    authorized_keys: Vec<String>,
    undo: String,
    /// What `passkey enroll` answered.
    login: Option<Value>,
    #[serde(skip)]
    spoken: Spoken,
}

/// What depends on the case, for a person.
#[derive(Debug)]
struct Spoken {
    shown: String,
    ssh_tries_it: bool,
    is_spare: bool,
}

impl Enrolled {
    fn of(
        plan: &Plan<'_>,
        file: &KeyFile,
        key: &FoundKey,
        written: &Written,
    ) -> Result<Self, NotWritten> {
        let first = plan.first.as_ref().map(KeyFile::authorized_line);
        let lines = first.into_iter().chain([file.authorized_line()]);
        let mut undo = format!("rm {} {}", shown(&written.private), shown(&written.public));
        if let Some(attestation) = &written.attestation {
            undo = format!("{undo} {}", shown(attestation));
        }
        if plan.flags.is_resident() {
            undo = format!("{undo}; passkey ssh remove {}", begin_of_id(file));
        }
        let path = |path: &Path| path.display().to_string();
        Ok(Self {
            key: Which::of(key),
            kind: match plan.wanted.key_type {
                KeyType::EcdsaSk => "ecdsa-sk",
                KeyType::Ed25519Sk => "ed25519-sk",
            },
            application: plan.application.to_string(),
            user: plan.wanted.user.clone(),
            resident: plan.flags.is_resident(),
            verify_required: plan.flags.verify_required(),
            touch_required: plan.flags.touch_required(),
            fingerprint: file.fingerprint()?,
            private_key: path(&written.private),
            public_key: path(&written.public),
            attestation: written.attestation.as_deref().map(path),
            backup: written.backup.as_deref().map(path),
            authorized_keys: lines.collect::<Result<_, _>>()?,
            undo,
            login: None,
            spoken: Spoken {
                shown: key.to_string(),
                ssh_tries_it: places::is_tried_by_itself(&written.private, plan.wanted),
                is_spare: plan.first.is_some(),
            },
        })
    }

    /// Says so; and then, where it is wanted, enrols the login. A program hears of
    /// both in one line.
    fn report(mut self, also_login: Option<AlsoLogin>, screen: &mut Screen) -> Result<(), Failure> {
        let Some(also_login) = also_login else {
            return screen.report(&self);
        };
        if screen.is_for_a_person() {
            screen.report(&self)?;
            return also_login.enroll(screen).map(|_| ());
        }
        let login = also_login.enroll(screen);
        self.login = login.as_ref().ok().cloned().flatten();
        screen.report(&self)?;
        login.map(|_| ())
    }
}

impl Report for Enrolled {
    fn lines(&self, _: Ink) -> Vec<String> {
        let spoken = &self.spoken;
        let private = quoted_if_need_be(&self.private_key);
        let mut lines = vec![
            format!("Made an {} key on {}.", self.kind, spoken.shown),
            format!("  {}", self.fingerprint),
            format!("  {private}: of use only beside that security key"),
            format!("  {}", quoted_if_need_be(&self.public_key)),
        ];
        let also = [
            (&self.attestation, "what vouches for it"),
            (
                &self.backup,
                "from which `passkey ssh recover` makes it anew",
            ),
        ];
        for (path, what) in also {
            if let Some(path) = path {
                lines.push(format!("  {}: {what}", quoted_if_need_be(path)));
            }
        }
        lines.push(if spoken.is_spare {
            "For ~/.ssh/authorized_keys on every server, the first key and its spare:".to_owned()
        } else {
            "For ~/.ssh/authorized_keys on a server:".to_owned()
        });
        lines.extend(self.authorized_keys.iter().map(|line| format!("  {line}")));
        let has_options = self.verify_required || !self.touch_required;
        lines.push(if has_options || spoken.is_spare {
            "Put it there by hand: ssh-copy-id installs no options, and one key at a time."
                .to_owned()
        } else {
            format!("Install it with: ssh-copy-id -i {private} USER@HOST")
        });
        if !spoken.ssh_tries_it {
            lines.push(format!(
                "ssh does not look there by itself: ssh -i {private}, or IdentityFile in \
                 ~/.ssh/config"
            ));
        }
        if !spoken.is_spare {
            lines.push(format!(
                "Lost or broken, the security key opens nothing; make a spare on another one: \
                 passkey ssh enroll --spare-of {private}"
            ));
        }
        let noted = self.backup.as_ref().map(|path| {
            let path = quoted_if_need_be(path);
            format!("; take its [[key]] out of {path} with an editor")
        });
        lines.push(format!(
            "Undo with: {}{}; and take the line off the servers",
            self.undo,
            noted.unwrap_or_default()
        ));
        lines
    }
}

/// As much of its id as `passkey ssh remove` needs, and `list` shows.
fn begin_of_id(file: &KeyFile) -> String {
    const BYTES: usize = 8;
    let id = file.id.as_bytes();
    encode_string(id.get(..BYTES).unwrap_or(id))
}

fn shown(path: &Path) -> String {
    quoted_if_need_be(&path.display().to_string())
}

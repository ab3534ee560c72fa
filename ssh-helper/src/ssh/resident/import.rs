//! `passkey ssh import`: the files of the SSH keys that a security key keeps.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use serde::Serialize;

use super::key::{Listed, ResidentKey, kind};
use super::{able, file_names};
use crate::cli::ssh::Import;
use crate::entry::columns;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key::kept;
use crate::key::{Chosen, Which, with_pin};
use crate::key_name::quoted_if_need_be;
use crate::screen::{Report, Screen};
use crate::ssh::directory::{of_this_user, say_whose};
use crate::ssh::key_file::{KeyFile, NotWritten};
use crate::ssh::new_file::{CannotWrite, Existing, NewFile, make_directory};
use crate::ssh::pair::{NotFilled, Pair};
use crate::ssh::passphrase::{self, Passphrase};

/// Writes them. One that cannot be written is named, and keeps no other from
/// being written.
pub(crate) fn import(wanted: &Import, screen: &mut Screen) -> Result<(), Failure> {
    let chosen = able(wanted.which.node(), &wanted.words(), screen)?;
    let elsewhere = wanted.but(|it| {
        it.directory = Some("DIRECTORY".into());
        it.force = false;
    });
    let elsewhere = typed(&elsewhere);
    let writing = Writing {
        directory: directory(wanted, &elsewhere, screen)?,
        wanted,
        elsewhere,
        forced: typed(&wanted.but(|it| it.force = true)),
        chosen: &chosen,
    };
    writing.directory_must_do()?;
    let listed = with_pin(&chosen, screen, |pin, screen| {
        Listed::ask(&chosen, pin, screen)
    })?;
    let names = file_names::of(&listed.keys);
    let mut keys: Vec<(ResidentKey, Option<String>)> =
        listed.keys.iter().cloned().zip(names).collect();
    if let Some(beginning) = &wanted.only {
        let only: ResidentKey = kept::only(beginning, listed.keys, &chosen)?;
        keys.retain(|(key, _)| key.id == only.id);
    }
    if keys.is_empty() {
        screen.say(&format!("{} keeps no SSH keys itself", chosen.key));
    }
    let written = writing.write(&keys, screen)?;
    screen.report(&written)?;
    written.ended()
}

/// What to type, with the same security key.
fn typed(wanted: &Import) -> String {
    let node = wanted.which.node().map_or_else(String::new, |node| {
        format!(" --key {}", quoted_if_need_be(&node.display().to_string()))
    });
    format!("passkey {}{node}", wanted.words())
}

fn directory(wanted: &Import, elsewhere: &str, screen: &mut Screen) -> Result<PathBuf, Failure> {
    if let Some(directory) = &wanted.directory {
        return Ok(directory.clone());
    }
    let directory = of_this_user().map_err(|failure| {
        let (happened, _) = failure.into_sentences();
        Failure::new(happened, format!("say where to write: {elsewhere}"))
    })?;
    say_whose(&directory, screen);
    Ok(directory)
}

/// Where they go, and what to type where they do not.
struct Writing<'w> {
    directory: PathBuf,
    wanted: &'w Import,
    elsewhere: String,
    forced: String,
    chosen: &'w Chosen,
}

impl Writing<'_> {
    /// Makes `~/.ssh`, as OpenSSH does; a directory that was named is there. What
    /// is wrong with it is said before anybody types a PIN.
    fn directory_must_do(&self) -> Result<(), Failure> {
        if self.wanted.directory.is_none() {
            make_directory(&self.directory).map_err(|problem| self.failure(&problem))?;
        }
        let probe = self.directory.join("id_ecdsa_sk_rk");
        match NewFile::reserve(&probe, Existing::IsReplaced) {
            Err(problem) if problem.is_about_the_directory() => Err(self.failure(&problem)),
            // Whether a name is taken is said of each.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn failure(&self, problem: &CannotWrite) -> Failure {
        problem.failure(&self.forced, &self.elsewhere)
    }

    /// The same of one key: what is to be typed writes it and no other.
    fn failure_of(&self, key: &ResidentKey, problem: &CannotWrite) -> Failure {
        let only = |command: &str| match &self.wanted.only {
            Some(_) => command.to_owned(),
            None => format!("{command} --only {}", key.id.get(..16).unwrap_or(&key.id)),
        };
        problem.failure(&only(&self.forced), &only(&self.elsewhere))
    }

    fn write(
        &self,
        keys: &[(ResidentKey, Option<String>)],
        screen: &mut Screen,
    ) -> Result<Imported, Failure> {
        let mut imported = Imported {
            key: Which::of(&self.chosen.key),
            keys: Vec::new(),
            not_written: Vec::new(),
        };
        // A place is kept for each before anybody thinks of a passphrase.
        let mut ready = Vec::new();
        for (key, name) in keys {
            match self.reserve(key, name.as_deref()) {
                Ok(places) => ready.push((key, places)),
                Err(failure) => imported.not_written.push(NotImported::new(key, failure)),
            }
        }
        if ready.is_empty() {
            return Ok(imported);
        }
        let again = &self.chosen.again;
        let passphrase = passphrase::new(&self.wanted.encryption, again, screen)?;
        for (key, places) in ready {
            match self.fill(key, places, passphrase.as_ref()) {
                Ok(written) => imported.keys.push(written),
                Err(failure) => imported.not_written.push(NotImported::new(key, failure)),
            }
        }
        Ok(imported)
    }

    fn reserve<'k>(&self, key: &'k ResidentKey, name: Option<&str>) -> Result<Places<'k>, Failure> {
        let file = key.file.as_ref().map_err(|why| {
            Failure::new(
                why,
                "it is of no use with ssh; see what it is: passkey ssh list",
            )
        })?;
        let name = name.ok_or_else(|| Failure::new("it has no name", &self.elsewhere))?;
        let path = self.directory.join(name);
        Ok(Places {
            file,
            pair: Pair::reserve(&path, Existing::by(self.wanted.force))
                .map_err(|problem| self.failure_of(key, &problem))?,
        })
    }

    fn fill(
        &self,
        key: &ResidentKey,
        places: Places<'_>,
        passphrase: Option<&Passphrase>,
    ) -> Result<Written, Failure> {
        let file = places.file;
        let again = &self.chosen.again;
        let no_text =
            |problem: NotWritten| Failure::new(problem.to_string(), format!("run again: {again}"));
        let written = Written {
            id: key.id.clone(),
            application: key.application.clone(),
            user: key.user_id.text(),
            kind: kind(file.public_key.algorithm()),
            fingerprint: file.fingerprint().map_err(no_text)?,
            verify_required: key.verify_required(),
            private_key: places.pair.private.path().display().to_string(),
            public_key: places.pair.public.path().display().to_string(),
            authorized_keys: file.authorized_line().map_err(no_text)?,
        };
        places
            .pair
            .fill(file, &self.wanted.encryption, passphrase)
            .map_err(|problem| match problem {
                NotFilled::Text(problem) => no_text(problem),
                NotFilled::Private(problem) | NotFilled::Public(problem) => {
                    self.failure_of(key, &problem)
                }
            })?;
        Ok(written)
    }
}

/// Where a key's files will be.
struct Places<'k> {
    file: &'k KeyFile,
    pair: Pair,
}

/// What was written, and what was not.
#[derive(Debug, Serialize)]
struct Imported {
    key: Which,
    keys: Vec<Written>,
    not_written: Vec<NotImported>,
}

/// A key whose files are there.
#[derive(Debug, Serialize)]
struct Written {
    id: String,
    application: String,
    user: Option<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    fingerprint: String,
    verify_required: bool,
    private_key: String,
    public_key: String,
    authorized_keys: String,
}

/// A key without files.
#[derive(Debug, Serialize)]
struct NotImported {
    id: String,
    application: String,
    user: Option<String>,
    why: String,
    #[serde(rename = "try")]
    what_to_do: String,
}

impl NotImported {
    fn new(key: &ResidentKey, failure: Failure) -> Self {
        let (why, what_to_do) = failure.into_sentences();
        Self {
            id: key.id.clone(),
            application: key.application.clone(),
            user: key.user_id.text(),
            why,
            what_to_do,
        }
    }
}

impl Imported {
    /// Nothing more to say, or that something is missing.
    fn ended(&self) -> Result<(), Failure> {
        let all = self.keys.len() + self.not_written.len();
        match self.not_written.len() {
            0 => Ok(()),
            missing => Err(Failure::new(
                format!("{missing} of {all} SSH keys could not be written"),
                "the lines above say which, why, and what to type",
            )),
        }
    }
}

impl Report for Imported {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let files: Vec<String> = self
            .keys
            .iter()
            .map(|key| quoted_if_need_be(&key.private_key))
            .collect();
        let rows: Vec<[&str; 3]> = self
            .keys
            .iter()
            .zip(&files)
            .map(|(key, file)| [file.as_str(), key.kind, key.fingerprint.as_str()])
            .collect();
        let mut lines = columns(["FILE", "KIND", "FINGERPRINT"], &rows, ink);
        for missing in &self.not_written {
            let user = missing
                .user
                .as_deref()
                .map(|user| format!(" of \"{user}\""));
            lines.push(format!(
                "not written: \"{}\"{}: {}",
                missing.application,
                user.unwrap_or_default(),
                missing.why
            ));
            lines.push(format!("  {}", missing.what_to_do));
        }
        let Some(first) = files.first() else {
            return lines;
        };
        lines.push(format!(
            "ssh does not look there by itself: ssh -i {first}, or IdentityFile in ~/.ssh/config"
        ));
        lines.push(format!(
            "Each has its public key beside it; install it with: ssh-copy-id -i {first} USER@HOST"
        ));
        if let Some(verified) = self.keys.iter().find(|key| key.verify_required) {
            lines.push(format!(
                "A key that asks for its PIN goes into authorized_keys by hand, as ssh-copy-id \
                 installs no options: verify-required and a blank before the line in {}",
                quoted_if_need_be(&verified.public_key)
            ));
        }
        lines
    }
}

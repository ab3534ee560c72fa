//! `passkey ssh recover`: a lost private-key file made anew from a backup file.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use ceremony::credential::printable;
use serde::Serialize;

use super::backup::{self, Note};
use super::key_file::KeyFile;
use super::new_file::{self, CannotWrite, Existing};
use super::pair::{NotFilled, Pair};
use super::{directory, passphrase, show};
use crate::cli::ssh::Recover;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key_name::quoted_if_need_be;
use crate::screen::{Report, Screen};
use crate::terminal;

/// What every fingerprint begins with.
const SHA256: &str = "SHA256:";

/// As much of a comment as is shown in a list.
const SHOWN_COMMENT: usize = 64;

/// Makes it anew.
pub(crate) fn recover(wanted: &Recover, screen: &mut Screen) -> Result<(), Failure> {
    let contents = backup::read_at(&wanted.backup)?;
    let file = shown(&wanted.backup);
    for fault in &contents.faults {
        screen.say(&format!("Passed over in {file}: {fault}."));
    }
    if contents.notes.is_empty() {
        return Err(match contents.faults.len() {
            0 => Failure::new(
                format!("there is no key in {file}"),
                "name another backup file; to note a key: passkey ssh backup FILE --to BACKUP",
            ),
            _ => Failure::new(
                format!("no key in {file} can be understood"),
                "mend the lines that were named, or name another backup file",
            ),
        });
    }
    let key = which(&contents.notes, wanted, screen)?;
    let again = Again::of(wanted, &key);
    let pair = reserve(wanted, &key, &again, screen)?;
    let passphrase = passphrase::new(&wanted.encryption, &again.all, screen)?;
    let recovered = Recovered {
        private_key: pair.private.path().display().to_string(),
        public_key: pair.public.path().display().to_string(),
        fingerprint: key.fingerprint().map_err(show::unwritten)?,
        authorized_keys: key.authorized_line().map_err(show::unwritten)?,
        encrypted: passphrase.is_some(),
    };
    pair.fill(&key, &wanted.encryption, passphrase.as_ref())
        .map_err(|problem| match problem {
            NotFilled::Text(problem) => show::unwritten(problem),
            NotFilled::Private(problem) | NotFilled::Public(problem) => again.failure(&problem),
        })?;
    screen.report(&recovered)
}

/// Keeps the places; in `~/.ssh` where nobody says otherwise, and that is made
/// where it is missing.
fn reserve(
    wanted: &Recover,
    key: &KeyFile,
    again: &Again,
    screen: &mut Screen,
) -> Result<Pair, Failure> {
    let cannot = |problem: CannotWrite| again.failure(&problem);
    let private = if let Some(path) = &wanted.output {
        path.clone()
    } else {
        let ssh = directory::of_this_user()?;
        directory::say_whose(&ssh, screen);
        new_file::make_directory(&ssh).map_err(cannot)?;
        ssh.join(directory::usual_name(key.public_key.algorithm()))
    };
    let pair = Pair::reserve(&private, Existing::by(wanted.force)).map_err(cannot)?;
    let both = [&pair.private, &pair.public];
    if both.iter().any(|it| it.replaces(&wanted.backup)) {
        return Err(Failure::new(
            format!(
                "{} is the backup file itself, and it would be lost",
                shown(&wanted.backup)
            ),
            format!("choose another: {} --output FILE", again.elsewhere),
        ));
    }
    Ok(pair)
}

/// What to type to do the same again, with the key that was chosen.
struct Again {
    /// With every option that was typed.
    all: String,
    /// Without a place to write to.
    elsewhere: String,
}

impl Again {
    fn of(wanted: &Recover, key: &KeyFile) -> Self {
        let mut elsewhere = command(wanted);
        // What was asked once shall not be asked again.
        if let Ok(fingerprint) = key.fingerprint() {
            elsewhere = format!("{elsewhere} --fingerprint {fingerprint}");
        }
        if wanted.force {
            elsewhere.push_str(" --force");
        }
        let all = match &wanted.output {
            Some(output) => format!("{elsewhere} --output {}", shown(output)),
            None => elsewhere.clone(),
        };
        Self { all, elsewhere }
    }

    fn failure(&self, problem: &CannotWrite) -> Failure {
        problem.failure(
            &format!("{} --force", self.all),
            &format!("{} --output FILE", self.elsewhere),
        )
    }
}

fn command(wanted: &Recover) -> String {
    format!("passkey ssh recover {}", shown(&wanted.backup))
}

/// The key that is meant.
fn which(notes: &[Note], wanted: &Recover, screen: &mut Screen) -> Result<KeyFile, Failure> {
    let listed: Vec<(String, &Note)> = notes
        .iter()
        .filter_map(|note| Some((note.key.fingerprint().ok()?, note)))
        .collect();
    let meant: Vec<&(String, &Note)> = match &wanted.fingerprint {
        Some(beginning) => listed
            .iter()
            .filter(|(fingerprint, _)| begins(fingerprint, beginning))
            .collect(),
        None => listed.iter().collect(),
    };
    let file = shown(&wanted.backup);
    match meant.as_slice() {
        [(_, only)] => Ok(only.key.clone()),
        [] => {
            list(&listed, &format!("In {file}:"), screen);
            Err(Failure::new(
                format!(
                    "no key in {file} has a fingerprint that begins with {}",
                    printable(wanted.fingerprint.as_deref().unwrap_or_default(), 64)
                ),
                format!(
                    "choose one of those listed: {} --fingerprint SHA256:...",
                    command(wanted)
                ),
            ))
        }
        several => {
            let several: Vec<(String, &Note)> = several.iter().map(|it| (*it).clone()).collect();
            list(&several, &format!("Keys in {file}:"), screen);
            let undecided = |happened: String| {
                Failure::new(
                    happened,
                    format!(
                        "say which is meant, by more of its fingerprint than others share: {} \
                         --fingerprint SHA256:...",
                        command(wanted)
                    ),
                )
            };
            if !terminal::somebody_is_there() {
                return Err(undecided(format!(
                    "{} keys in {file} may be meant",
                    several.len()
                )));
            }
            let question = format!(
                "Which one is meant? [1-{}, nothing for none] ",
                several.len()
            );
            let typed = terminal::answer(&question, screen);
            let number: Option<usize> =
                typed.and_then(|line| std::str::from_utf8(line.trim_ascii()).ok()?.parse().ok());
            number
                .and_then(|number| several.get(number.checked_sub(1)?))
                .map(|(_, note)| note.key.clone())
                .ok_or_else(|| undecided("nothing was done, since nobody said which key".into()))
        }
    }
}

/// Whether a fingerprint begins so; with or without what they all begin with.
fn begins(fingerprint: &str, beginning: &str) -> bool {
    let beginning = beginning.trim();
    let bare = fingerprint.strip_prefix(SHA256).unwrap_or(fingerprint);
    fingerprint.starts_with(beginning) || bare.starts_with(beginning)
}

fn list(listed: &[(String, &Note)], title: &str, screen: &mut Screen) {
    screen.say(title);
    for (number, (fingerprint, note)) in (1..).zip(listed) {
        let key = &note.key;
        let date = note.added.split(['T', 't', ' ']).next().unwrap_or_default();
        screen.say(&format!(
            "  {number}  {fingerprint} {} {} \"{}\", noted {date}",
            show::kind(key.public_key.algorithm()),
            key.public_key.relying_party(),
            printable(&key.comment, SHOWN_COMMENT),
        ));
    }
}

fn shown(path: &Path) -> String {
    quoted_if_need_be(&path.display().to_string())
}

/// It was made.
#[derive(Serialize)]
struct Recovered {
    private_key: String,
    public_key: String,
    fingerprint: String,
    authorized_keys: String,
    encrypted: bool,
}

impl Report for Recovered {
    fn lines(&self, _: Ink) -> Vec<String> {
        let file = |path: &str| shown(&PathBuf::from(path));
        let (private, public) = (file(&self.private_key), file(&self.public_key));
        let encrypted = if self.encrypted {
            ""
        } else {
            ", without a passphrase"
        };
        vec![
            format!("Made anew: {private}{encrypted}, and {public}."),
            format!("Fingerprint: {}", self.fingerprint),
            "Servers that knew the key know it still. Its line for authorized_keys:".to_owned(),
            self.authorized_keys.clone(),
            format!("Undo with: rm {private} {public}"),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_meant_by_its_beginning() {
        const WHOLE: &str = "SHA256:abcDEF0123+/";
        for beginning in [
            "",
            "SHA",
            "SHA256:",
            "SHA256:abc",
            "abc",
            "abcDEF0123+/",
            WHOLE,
            " abc ",
        ] {
            assert!(begins(WHOLE, beginning), "{beginning}");
        }
        for other in [
            "SHA256:abd",
            "ABC",
            "sha256:abc",
            "bcDEF",
            "SHA256:abcDEF0123+/x",
        ] {
            assert!(!begins(WHOLE, other), "{other}");
        }
    }
}

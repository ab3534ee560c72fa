//! `passkey receipt verify`: who approved what, and does it hold?
#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use ceremony::account::Account;
use ceremony::challenge::NAMESPACE;
use ceremony::credential::{Credential, is_printable, printable};
use ceremony::credential_file::{CredentialFile, Store};
use ceremony::receipt::{Approved, Claim, Receipt, Unsound};
use serde::Serialize;

use crate::cli;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key_name;
use crate::machine;
use crate::screen::{Report, Screen};

/// The most bytes of a receipts file that are read: some ten thousand receipts.
const LONGEST: u64 = 16 * 1024 * 1024;

/// The most characters of a request that are shown.
const SHOWN: usize = 400;

/// Judges every receipt in a file.
pub(crate) fn verify(wanted: &cli::Verify, screen: &mut Screen) -> Result<(), Failure> {
    let text = read(&wanted.file)?;
    let store = machine::store_to_read()?;
    let mut judge = Judge {
        store: store.as_ref(),
        known: Vec::new(),
        nonces: Vec::new(),
    };
    let receipts: Vec<Judged> = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.trim().is_empty())
        .map(|(number, line)| judge.judge(number, line, wanted, screen))
        .collect();
    let bad = receipts.iter().filter(|it| it.why.is_some()).count();
    let number = receipts.len();
    let first = receipts.iter().find(|it| it.why.is_none());
    let check_with = first.and_then(|it| how_to_check(it, &wanted.file, number));
    screen.report(&Verified {
        receipts,
        check_with,
    })?;
    match (number, bad) {
        (0, _) => Err(Failure::new(
            format!("there is no receipt in {}", shown(&wanted.file)),
            "the module keeps them where `receipts` in /etc/pam-passkey/config.toml says; \
             passkey test --receipt FILE writes one",
        )),
        (_, 0) => Ok(()),
        (1, _) => Err(Failure::new(
            "the receipt does not hold",
            "the line above says why; do not rely on it",
        )),
        (number, bad) => Err(Failure::new(
            format!("{bad} of {number} receipts do not hold"),
            "the lines above say which and why; do not rely on those",
        )),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        io::stdin().take(LONGEST + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
    };
    let length = read.map_err(|problem| {
        Failure::new(
            format!("{} cannot be read: {problem}", shown(path)),
            match problem.kind() {
                io::ErrorKind::PermissionDenied => "run the same command with sudo",
                _ => "name a file that the module or `passkey test --receipt` wrote",
            },
        )
    })?;
    if length as u64 > LONGEST {
        return Err(Failure::new(
            format!("{} has more than {} MiB", shown(path), LONGEST >> 20),
            "split it, by lines: split -l 10000",
        ));
    }
    Ok(text)
}

fn shown(path: &Path) -> String {
    printable(&path.display().to_string(), 4096)
}

/// Judges one receipt after another.
struct Judge<'s> {
    store: Option<&'s Store>,
    /// The credentials of those who were looked up.
    known: Vec<(String, Vec<Credential>)>,
    /// The nonces so far, with their lines.
    nonces: Vec<(String, usize)>,
}

impl Judge<'_> {
    fn judge(
        &mut self,
        line: usize,
        text: &str,
        wanted: &cli::Verify,
        screen: &mut Screen,
    ) -> Judged {
        let mut judged = Judged::of_line(line);
        let receipt = match Receipt::parse(text) {
            Ok(receipt) => receipt,
            Err(problem) => return judged.because(problem.to_string()),
        };
        match receipt.claim() {
            Ok(claim) => judged.says(&claim),
            Err(problem) => return judged.because(problem.to_string()),
        }
        let user = judged.user.clone().unwrap_or_default();
        if wanted.user.as_ref().is_some_and(|only| *only != user) {
            return judged.because(format!("it is about {user}"));
        }
        let credentials = self.credentials_of(&user, screen);
        let signer = credentials.iter().find(|it| receipt.names(it));
        let Some(signer) = signer else {
            return judged.because(format!("{user} has no such key now, if ever"));
        };
        judged.key = Some(signer.name.to_string());
        match receipt.verify(signer) {
            Ok(approved) => judged.approved(approved),
            Err(problem @ (Unsound::NotVerified | Unsound::NotEnrolledYet)) => {
                return judged.because(format!("{problem} ({})", signer.enrolled));
            }
            Err(problem) => return judged.because(problem.to_string()),
        }
        // Only of receipts that hold: a forged line must not spoil a true one.
        let nonce = judged.nonce.clone().unwrap_or_default();
        if let Some((_, before)) = self.nonces.iter().find(|(seen, _)| *seen == nonce) {
            let before = *before;
            return judged.because(format!("it is the one of line {before} once more"));
        }
        self.nonces.push((nonce, line));
        judged
    }

    fn credentials_of(&mut self, user: &str, screen: &mut Screen) -> &[Credential] {
        let at = self.known.iter().position(|(name, _)| name == user);
        let at = at.unwrap_or_else(|| {
            let credentials = self.look_up(user, screen);
            self.known.push((user.to_owned(), credentials));
            self.known.len() - 1
        });
        self.known
            .get(at)
            .map_or(&[], |(_, credentials)| credentials)
    }

    fn look_up(&self, user: &str, screen: &mut Screen) -> Vec<Credential> {
        let (Some(store), Ok(account)) = (self.store, Account::by_name(user)) else {
            return Vec::new();
        };
        // The file's own troubles are said, and are no reason to judge nothing.
        match machine::credentials_of(&account, store, screen) {
            Ok(file) => file
                .iter()
                .flat_map(CredentialFile::credentials)
                .cloned()
                .collect(),
            Err(failure) => {
                screen.say(&failure.to_string());
                Vec::new()
            }
        }
    }
}

/// What became of all of them.
#[derive(Serialize)]
struct Verified {
    receipts: Vec<Judged>,
    /// The line by which stock OpenSSH judges the first good signature.
    check_with: Option<String>,
}

/// What became of one.
#[derive(Serialize)]
struct Judged {
    line: usize,
    holds: bool,
    /// Why it does not hold.
    why: Option<String>,
    user: Option<String>,
    service: Option<String>,
    host: Option<String>,
    command: Option<String>,
    time: Option<String>,
    nonce: Option<String>,
    /// The name of the enrolled key that it names as its signer.
    key: Option<String>,
    user_present: Option<bool>,
    user_verified: Option<bool>,
    counter: Option<u32>,
}

impl Judged {
    fn of_line(line: usize) -> Self {
        Self {
            line,
            holds: false,
            why: None,
            user: None,
            service: None,
            host: None,
            command: None,
            time: None,
            nonce: None,
            key: None,
            user_present: None,
            user_verified: None,
            counter: None,
        }
    }

    fn says(&mut self, claim: &Claim) {
        let shown = |text: &str| Some(printable(text, SHOWN));
        self.user = shown(&claim.request.user);
        self.service = shown(&claim.request.service);
        self.host = shown(&claim.request.host);
        self.command = claim.request.command.as_deref().and_then(shown);
        self.time = shown(&claim.time);
        self.nonce = Some(claim.nonce.clone());
    }

    fn approved(&mut self, approved: Approved) {
        self.holds = true;
        self.user_present = Some(approved.flags.user_present());
        self.user_verified = Some(approved.flags.user_verified());
        self.counter = Some(approved.sign_count);
    }

    fn because(mut self, why: String) -> Self {
        self.holds = false;
        self.why = Some(why);
        self
    }

    fn line_of(&self, ink: Ink) -> String {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "?".to_owned());
        let what = format!(
            "{} approved for {} on {}: {}",
            text(&self.service),
            text(&self.user),
            text(&self.host),
            self.command.as_deref().unwrap_or("no command")
        );
        match &self.why {
            None => format!(
                "line {}: {} {} {what} (\"{}\", presence yes, verification {})",
                self.line,
                ink.good("good"),
                text(&self.time),
                text(&self.key),
                if self.user_verified == Some(true) {
                    "yes"
                } else {
                    "no"
                }
            ),
            Some(why) => format!("line {}: {} {why}", self.line, ink.bad("BAD")),
        }
    }
}

impl Report for Verified {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let mut lines: Vec<String> = self.receipts.iter().map(|it| it.line_of(ink)).collect();
        if let Some(check_with) = &self.check_with {
            lines.push("OpenSSH judges the same signature (in bash, with jq):".to_owned());
            lines.push(format!("    {check_with}"));
        }
        lines
    }
}

/// The line for a shell; none for what came through a pipe, or has a name that
/// cannot be shown as it is.
fn how_to_check(judged: &Judged, file: &Path, number: usize) -> Option<String> {
    let file = file.to_str()?;
    if file == "-" || file.chars().any(|c| !is_printable(c)) {
        return None;
    }
    let user = key_name::quoted_if_need_be(judged.user.as_deref()?);
    // What begins with a dash would be an option to jq and sed.
    let here = if file.starts_with('-') { "./" } else { "" };
    let file = key_name::quoted(&format!("{here}{file}"));
    let part = |filter: &str| match number {
        1 => format!("jq {filter} {file}"),
        _ => format!("sed -n {}p {file} | jq {filter}", judged.line),
    };
    Some(format!(
        "ssh-keygen -Y verify -n {NAMESPACE} -I {user} \
         -f <(passkey export allowed-signers --user {user}) -s <({}) < <({})",
        part("-r .signature"),
        part("-j .message"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(user: &str, file: &str) -> Option<String> {
        let judged = Judged {
            user: Some(user.to_owned()),
            ..Judged::of_line(3)
        };
        how_to_check(&judged, Path::new(file), 2)
    }

    #[test]
    fn no_name_becomes_a_command_of_the_line_that_is_printed() {
        let honest = line("alice", "receipts").unwrap();
        assert!(honest.contains(" -I alice ") && honest.contains(" --user alice)"));
        for user in [
            "$(reboot)",
            "a;reboot",
            "CORP\\alice",
            "a b",
            "a`b`",
            "~root",
        ] {
            let line = line(user, "receipts").unwrap();
            assert!(line.contains(&format!(" -I '{user}' ")), "{line}");
            assert!(line.contains(&format!(" --user '{user}')")), "{line}");
        }
        let dash = line("alice", "-e1e reboot").unwrap();
        assert!(dash.contains("sed -n 3p \"./-e1e reboot\""), "{dash}");
        for file in ["a\u{1b}c", "a\nb", "-"] {
            assert_eq!(line("alice", file), None, "{file:?}");
        }
    }
}

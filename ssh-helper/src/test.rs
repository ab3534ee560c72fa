//! `passkey test`: would a key of this account be let in?
#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use ceremony::account::Account;
use ceremony::authenticator::race::Field;
use ceremony::credential::{Credential, UserVerification, printable};
use ceremony::credential_file::CredentialFile;
use ceremony::policy::Policy;
use ceremony::receipt::Receipt;
use serde::Serialize;

use crate::cli;
use crate::failure::Failure;
use crate::ink::Ink;
use crate::key_name;
use crate::login::{Approved, Login};
use crate::machine::{self, CONFIG};
use crate::screen::{Report, Screen};
use crate::touch::Purpose;
use crate::whose_account;

/// Asks for a login with one of the account's keys.
pub(crate) fn test(wanted: &cli::Test, screen: &mut Screen) -> Result<(), Failure> {
    let account = whose_account::to_look_at(wanted.user.as_deref())?;
    if let Some(path) = &wanted.receipt {
        refuse_what_is_there(path)?;
    }
    let service = printable(&wanted.service, 64);
    let policy = machine::config()?.for_service(&wanted.service);
    if !policy.covered {
        return Err(Failure::new(
            format!("no key opens the service \"{service}\": pam_passkey does not cover it"),
            format!("cover it by a table [service.{service}] in {CONFIG}, without enabled = false"),
        ));
    }
    let file = match machine::store_to_read()? {
        Some(store) => machine::credentials_of(&account, &store, screen)?,
        None => None,
    };
    let credentials: Vec<Credential> = file
        .iter()
        .flat_map(CredentialFile::credentials)
        .cloned()
        .collect();
    if credentials.is_empty() {
        return Err(Failure::new(
            format!("no keys enrolled for {}", account.name),
            whose_account::how_to_enroll(&account),
        ));
    }
    let counters = machine::counters(screen);
    let again = again(wanted);
    let approved = Login {
        account: &account,
        purpose: Purpose::Test(&account.name),
        credentials: &credentials,
        field: Field::EveryKey,
        user_verification: policy.user_verification,
        policy: &policy,
        timeout: policy.timeout,
        counters: counters.as_ref(),
        again: &again,
    }
    .ask(screen)?;
    if let Some(counters) = &counters {
        approved.remember(counters, screen);
    }
    screen.report(&Tested::of(&approved, &account, &service, &policy))?;
    screen.say(&format!(
        "Where the key stands among the passwords of {service}: passkey check --service {}",
        key_name::quoted_if_need_be(&service)
    ));
    if let Some(path) = &wanted.receipt {
        write_receipt(approved, path)?;
        screen.say(&format!("Receipt written to {}.", path.display()));
    }
    Ok(())
}

/// What to type to begin again. A receipt that was not written was none.
fn again(wanted: &cli::Test) -> String {
    let mut words = "passkey test".to_owned();
    if wanted.service != cli::Test::SERVICE {
        words += " --service ";
        words += &key_name::quoted(&printable(&wanted.service, 64));
    }
    for (option, value) in [
        (" --user ", wanted.user.clone()),
        (
            " --receipt ",
            wanted.receipt.as_ref().map(|it| it.display().to_string()),
        ),
    ] {
        if let Some(value) = value {
            words += option;
            words += &key_name::quoted(&value);
        }
    }
    words
}

/// What a key answered, and that it is enough.
#[derive(Serialize)]
struct Tested {
    user: String,
    service: String,
    /// The enrolled key's name.
    key: String,
    /// The device that answered.
    device: String,
    user_present: bool,
    user_verified: bool,
    /// 0: the key keeps none.
    counter: u32,
    /// What the service asks for: `required` or `discouraged`.
    user_verification: &'static str,
}

impl Tested {
    fn of(approved: &Approved<'_>, account: &Account, service: &str, policy: &Policy) -> Self {
        let verified = &approved.approval.verified;
        Self {
            user: account.name.to_string(),
            service: service.to_owned(),
            key: verified.credential.name.to_string(),
            device: approved.approval.key.to_string(),
            user_present: verified.flags.user_present(),
            user_verified: verified.flags.user_verified(),
            counter: verified.sign_count,
            user_verification: policy.user_verification.as_str(),
        }
    }
}

impl Report for Tested {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let yes_or_no = |flag| if flag { "yes" } else { "no" };
        let demand = if self.user_verification == UserVerification::Required.as_str() {
            "a PIN or fingerprint"
        } else {
            "a touch"
        };
        vec![
            format!("\"{}\" answered ({}).", self.key, self.device),
            format!(
                "Presence: {}; verification: {}; counter: {}",
                yes_or_no(self.user_present),
                yes_or_no(self.user_verified),
                match self.counter {
                    0 => "this key keeps none".to_owned(),
                    count => count.to_string(),
                }
            ),
            format!(
                "{} {}, which asks for {demand}.",
                ink.good("That is enough for"),
                self.service
            ),
        ]
    }
}

/// Says no before the touch, not after it: to what is there already, and to a
/// folder that is not. What counts is the check on writing.
fn refuse_what_is_there(path: &Path) -> Result<(), Failure> {
    // "receipt" has an empty parent, "./receipt" the same one by name.
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    fs::metadata(folder.unwrap_or(Path::new(".")))
        .map_err(|problem| not_written(path, &problem))?;
    match fs::symlink_metadata(path) {
        Err(problem) if problem.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(problem) => Err(not_written(path, &problem)),
        Ok(_) => Err(not_written(
            path,
            &io::Error::from_raw_os_error(nix::libc::EEXIST),
        )),
    }
}

fn write_receipt(approved: Approved<'_>, path: &Path) -> Result<(), Failure> {
    let line = Receipt::new(approved.challenge, &approved.approval.verified)
        .and_then(|receipt| receipt.to_line())
        .map_err(|problem| {
            Failure::new(
                problem.to_string(),
                "the login itself was good; there is just no receipt of it",
            )
        })?;
    write_new(path, &line).map_err(|problem| not_written(path, &problem))
}

/// A new file and nothing else: neither what is there nor what a link there
/// points to is written to.
fn write_new(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(line.as_bytes()).inspect_err(|_| {
        // Half a receipt is worse than none; should it stay, it does not parse.
        let _ = fs::remove_file(path);
    })
}

fn not_written(path: &Path, problem: &io::Error) -> Failure {
    let what_to_do = match problem.kind() {
        io::ErrorKind::AlreadyExists => "name a file that does not exist yet",
        io::ErrorKind::NotFound => "name a file in a folder that exists",
        _ => "name a file in a folder you may write to",
    };
    let path = path.display().to_string();
    Failure::new(
        format!("the receipt cannot be written to {path:?}: {problem}"),
        what_to_do,
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_receipt_never_takes_the_place_of_anything() {
        let folder = std::env::temp_dir().join(format!("passkey-receipt-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("receipt");
        assert!(refuse_what_is_there(&path).is_ok());
        assert!(refuse_what_is_there(Path::new("receipt")).is_ok());
        assert!(refuse_what_is_there(&folder.join("nowhere/receipt")).is_err());
        write_new(&path, "one\n").unwrap();
        assert!(refuse_what_is_there(&path).is_err());
        assert!(write_new(&path, "two\n").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\n");

        // nor is a link followed, even one that leads nowhere yet
        let link = folder.join("link");
        symlink(folder.join("target"), &link).unwrap();
        assert!(refuse_what_is_there(&link).is_err());
        assert!(write_new(&link, "two\n").is_err());
        assert!(!folder.join("target").exists());
        fs::remove_dir_all(&folder).unwrap();
    }
}

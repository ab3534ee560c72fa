//! What this machine keeps, opened for the commands: credential files, policy
//! and counters; and the sentences for when one of them cannot be had.
#![forbid(unsafe_code)]

use ceremony::account::Account;
use ceremony::authenticator::claim::Claims;
use ceremony::credential::CredentialName;
use ceremony::credential_file::{CredentialFile, CredentialFileError, Store, StoreLock};
use ceremony::policy::{Config, PolicyError};
use ceremony::signature_counter::SignatureCounters;
use ceremony::trusted_file::{Reason, Untrusted};

use crate::failure::Failure;
use crate::screen::Screen;

/// The file in which the administrator says what a login needs.
pub(crate) const CONFIG: &str = "/etc/pam-passkey/config.toml";

/// The credential files, for root: with their directories made where missing.
pub(crate) fn store_to_write() -> Result<Store, Failure> {
    Store::open_or_create().map_err(|problem| unusable(&problem))
}

/// The credential files as they are; `None` where there never were any.
pub(crate) fn store_to_read() -> Result<Option<Store>, Failure> {
    match Store::open() {
        Ok(store) => Ok(Some(store)),
        Err(CredentialFileError::Untrusted(Untrusted {
            reason: Reason::Missing,
            ..
        })) => Ok(None),
        Err(problem) => Err(unusable(&problem)),
    }
}

/// The account's credentials; names every faulty record on the way. `None`
/// where the account has no file.
pub(crate) fn credentials_of(
    account: &Account,
    store: &Store,
    screen: &mut Screen,
) -> Result<Option<CredentialFile>, Failure> {
    let file = store.load(account).map_err(|problem| unusable(&problem))?;
    if let Some(file) = &file {
        name_faulty_records(file, screen);
    }
    Ok(file)
}

/// The account's file as it is now, an empty one where there is none, and the
/// lock under which it may be written again.
pub(crate) fn locked(
    account: &Account,
    store: &Store,
) -> Result<(StoreLock, CredentialFile), Failure> {
    let lock = store.lock().map_err(|problem| unusable(&problem))?;
    let file = store.load(account).map_err(|problem| unusable(&problem))?;
    Ok((lock, file.unwrap_or_else(|| CredentialFile::new(account))))
}

/// Names every record that cannot be read.
pub(crate) fn name_faulty_records(file: &CredentialFile, screen: &mut Screen) {
    for record in file.faulty() {
        screen.say(&format!("Passed over and kept as it is: {record}"));
    }
}

/// The administrator's policy.
pub(crate) fn config() -> Result<Config, Failure> {
    Config::load().map_err(|problem| {
        let what_to_do = match &problem {
            PolicyError::Untrusted(problem) if may_not_read(problem) => AS_ROOT,
            PolicyError::Untrusted(_) => "put that right as root; until then no key opens anything",
            PolicyError::File { .. } => {
                "correct that line as root; until then no key opens anything"
            }
            PolicyError::Argument { .. } => "correct that argument in /etc/pam.d",
        };
        Failure::new(problem.to_string(), what_to_do)
    })
}

/// The signature counters, where this process may have them. Without them a
/// copied key goes unnoticed, which is said and not worth refusing for.
pub(crate) fn counters(screen: &mut Screen) -> Option<SignatureCounters> {
    SignatureCounters::open()
        .inspect_err(|problem| {
            // They are root's alone; that is no news to anybody else.
            if nix::unistd::geteuid().is_root() {
                screen.say(&format!("Without signature counters, since {problem}."));
            }
        })
        .ok()
}

/// One ceremony per key at a time, where this process can see to it.
pub(crate) fn claims(request: &str, screen: &mut Screen) -> Option<Claims> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    Claims::open(request)
        .inspect_err(|problem| {
            screen.say(&format!(
                "Keys are not kept to one request at a time: {problem}."
            ));
        })
        .ok()
}

/// This machine's name, as requests and relying party ids carry it.
pub(crate) fn hostname() -> Result<String, Failure> {
    nix::unistd::gethostname()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty())
        .ok_or_else(|| {
            Failure::new(
                "this machine has no name that can be written down",
                "give it one with: hostnamectl set-hostname NAME",
            )
        })
}

/// Root may read more than whoever asks.
const AS_ROOT: &str = "run the same command with sudo";

/// Whether it is only this user who may not read a file.
fn may_not_read(problem: &Untrusted) -> bool {
    matches!(problem.reason, Reason::Forbidden { uid } if uid != 0)
}

/// Why the credential files cannot be used. Their own sentences say what to do
/// where a command helps; what is added is what else there is to know.
pub(crate) fn unusable(problem: &CredentialFileError) -> Failure {
    let what_to_do = match problem {
        CredentialFileError::Untrusted(problem) if may_not_read(problem) => AS_ROOT,
        CredentialFileError::Untrusted(_) => "put that right as root and try again",
        CredentialFileError::CannotWrite(_) => {
            "what was in force before still is; put that right and try again"
        }
        CredentialFileError::CannotLock(_) => "nothing was changed; try again in a moment",
        CredentialFileError::Head { .. } => {
            "correct that line as root; until then no key of the account opens anything"
        }
        CredentialFileError::Newer { .. } => "nothing was changed",
        CredentialFileError::UidDiffers { .. } => {
            "nothing was changed; the file is plain text, look whose keys they were first"
        }
    };
    Failure::new(problem.to_string(), what_to_do)
}

/// There is no key of that name; names those there are.
pub(crate) fn unknown(name: &CredentialName, file: &CredentialFile, account: &Account) -> Failure {
    let names: Vec<String> = file
        .credentials()
        .map(|credential| format!("\"{}\"", credential.name))
        .collect();
    let what_to_do = match (names.is_empty(), file.faulty().next()) {
        (false, _) => format!("there are: {}", names.join(", ")),
        (true, None) => format!("{} has no keys enrolled at all", account.name),
        (true, Some(_)) => {
            "no record can be read; correct or take out the lines named above by hand".to_owned()
        }
    };
    Failure::new(
        format!("{} has no key called \"{name}\"", account.name),
        what_to_do,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::credential;

    #[test]
    fn an_unknown_name_leads_to_those_there_are() {
        let account = Account::by_name("root").unwrap();
        let name = CredentialName::parse("red key").unwrap();
        let mut file = CredentialFile::new(&account);
        let text = unknown(&name, &file, &account).to_string();
        assert!(text.contains("no keys enrolled at all"), "{text}");
        file.add(credential("blue key", b"one")).unwrap();
        file.add(credential("green key", b"two")).unwrap();
        let text = unknown(&name, &file, &account).to_string();
        assert!(
            text.contains("there are: \"blue key\", \"green key\""),
            "{text}"
        );
    }
}

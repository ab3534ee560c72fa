//! One authentication, straight through: who asks, which credentials are
//! theirs, challenge, assertion, verdict.
#![forbid(unsafe_code)]
// One outcome a login: boxing its refusals would save nothing worth a box.
#![allow(clippy::result_large_err)]

use std::ffi::CStr;
use std::path::Path;
use std::time::Instant;

use ceremony::account::Account;
use ceremony::assertion::Candidate;
use ceremony::authentication::{self, Approval, Terms};
use ceremony::authenticator::claim::Claims;
use ceremony::authenticator::interruption::Interruption;
use ceremony::authenticator::race::{Course, Field};
use ceremony::challenge::{Challenge, Request};
use ceremony::credential::Credential;
use ceremony::credential_file::{CredentialFile, Store};
use ceremony::policy::{Config, Policy, RemoteSessions, WhenNotEnrolled};
use ceremony::receipt::Receipt;
use ceremony::trusted_file::TrustedDir;
use pam::constants::PamResultCode;
use pam::conv::Conv;
use pam::items::{RHost, Service, Tty};
use pam::module::PamHandle;

use crate::counting::Counting;
use crate::language::Language;
use crate::log::Log;
use crate::pin_tries::PinTries;
use crate::prompt::{self, Prompt};
use crate::request;
use crate::session::{self, Session};
use crate::verdict::{Accepted, Outcome};
use crate::voice::Voice;

/// `pam_sm_authenticate`: tries, and says what came of it.
///
/// The flags are not asked. `PAM_SILENT` would forbid to speak, but sudo passes
/// it at every call and means its own log lines: a module that obeyed would
/// wait for a touch and not say so.
pub(crate) fn authenticate(pamh: &mut PamHandle, arguments: &[&CStr]) -> PamResultCode {
    let service = text(pamh.get_item::<Service<'_>>().ok().flatten().as_deref());
    let mut log = Log::open(&service);
    let user = pamh.get_user(None);
    // First, since it alone may change what the handle keeps.
    PinTries::begin(pamh, &service);
    let tries = PinTries::of(pamh);
    let conversation = pamh.get_item::<Conv<'_>>().ok().flatten();
    let caller = Caller {
        service,
        user: user.ok(),
        rhost: text(pamh.get_item::<RHost<'_>>().ok().flatten().as_deref()),
        tty: text(pamh.get_item::<Tty<'_>>().ok().flatten().as_deref()),
    };
    let voice = Voice::new(conversation.as_ref(), Language::of_environment());
    let outcome =
        attempt(&caller, arguments, &voice, tries, &mut log).unwrap_or_else(|refusal| refusal);
    outcome.pronounce(&mut log, &voice)
}

/// What libpam says of the program that called it.
struct Caller {
    service: String,
    /// `None` where libpam could not find out or the name is not UTF-8.
    user: Option<String>,
    rhost: String,
    tty: String,
}

fn attempt(
    caller: &Caller,
    arguments: &[&CStr],
    voice: &Voice<'_>,
    tries: Option<&PinTries>,
    log: &mut Log,
) -> Result<Outcome, Outcome> {
    let policy = policy(&caller.service, arguments)?;
    let account = account(caller)?;
    let file = credential_file(&account, &policy, log)?;
    if policy.remote == RemoteSessions::Refuse
        && let Session::Remote(why) =
            session::of_caller(&caller.service, &caller.rhost, &caller.tty)
    {
        return Err(Outcome::Remote { account, why });
    }

    let counting = Counting::begin(policy.counter, log).map_err(Outcome::NoCounter)?;
    let credentials: Vec<&Credential> = file.credentials().collect();
    let candidates = credentials
        .iter()
        .map(|&credential| counting.candidate(credential, log))
        .collect::<Result<Vec<Candidate<'_>>, _>>()
        .map_err(Outcome::NoCounter)?;

    let request = request::of(&caller.service, &account, &caller.tty);
    let challenge = Challenge::new(&request).map_err(Outcome::NoChallenge)?;
    let terms = Terms {
        user_verification: policy.user_verification,
        synced: policy.synced,
        counter: policy.counter,
    };
    let claims = claims(&request, log);
    let interruption = Interruption::hold_back();
    let course = Course {
        field: Field::EveryKey,
        deadline: Instant::now() + policy.timeout,
        claims: claims.as_ref(),
        interruption: interruption.as_ref(),
    };
    let mut prompt = Prompt::new(&request, &credentials, voice, tries, log);
    let refused = |refused| Outcome::Refused {
        account: account.clone(),
        refused,
    };
    let approval =
        authentication::authenticate(&candidates, &challenge, &terms, &course, &mut prompt)
            .map_err(refused)?;
    drop(interruption);
    // A person may take long to type a PIN; the key may be gone by then.
    if !is_still_enrolled(approval.verified.credential, &account)? {
        return Err(Outcome::Removed {
            key: approval.verified.credential.name.clone(),
            account,
        });
    }

    counting
        .remember(&approval, log)
        .map_err(Outcome::NoCounter)?;
    let accepted = Accepted::of(&account, &approval);
    keep_receipt(&policy, challenge, &approval, log);
    Ok(Outcome::Accepted(accepted))
}

/// One login per key at a time, where this process can see to it: a screen
/// locker that runs as the user cannot, and is not the only program of theirs
/// that may open the key.
fn claims(request: &Request, log: &mut Log) -> Option<Claims> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    // In English, as in the log: who reads it may have another language.
    Claims::open(&prompt::requested(request).to_string())
        .inspect_err(|problem| {
            log.warning(&format!(
                "keys are not kept to one login at a time: {problem}"
            ));
        })
        .ok()
}

fn policy(service: &str, arguments: &[&CStr]) -> Result<Policy, Outcome> {
    let arguments: Vec<_> = arguments.iter().map(|a| a.to_string_lossy()).collect();
    let arguments: Vec<&str> = arguments.iter().map(AsRef::as_ref).collect();
    let policy = Config::load()
        .map(|config| config.for_service(service))
        .and_then(|policy| policy.tightened_by(&arguments))
        .map_err(Outcome::Policy)?;
    if policy.covered {
        Ok(policy)
    } else {
        Err(Outcome::NotCovered {
            service: service.to_owned(),
            rule: policy.when_not_covered,
        })
    }
}

fn account(caller: &Caller) -> Result<Account, Outcome> {
    let name = caller.user.as_deref().ok_or(Outcome::NoUserName)?;
    Account::by_name(name).map_err(|problem| Outcome::NoAccount {
        asked: name.to_owned(),
        problem,
    })
}

/// The user's credentials: at least one good one. Bad records are logged and
/// hide nothing.
fn credential_file(
    account: &Account,
    policy: &Policy,
    log: &mut Log,
) -> Result<CredentialFile, Outcome> {
    let store = Store::open().map_err(Outcome::Store)?;
    // Only here may a user pass for "not enrolled": the account exists, the
    // directory was opened and checked, and openat said ENOENT.
    let file = store
        .load(account)
        .map_err(Outcome::Store)?
        .ok_or_else(|| not_enrolled(account, policy.when_not_enrolled))?;
    let path = store.path_of(account);
    for faulty in file.faulty() {
        log.warning(&format!(
            "{}:{}: passed over: {}",
            path.display(),
            faulty.line,
            faulty.reason
        ));
    }
    if file.credentials().next().is_some() {
        Ok(file)
    } else {
        Err(Outcome::NoGoodRecord { path })
    }
}

/// Whether the file that was read before the request still holds `credential`.
fn is_still_enrolled(credential: &Credential, account: &Account) -> Result<bool, Outcome> {
    let file = Store::open()
        .and_then(|store| store.load(account))
        .map_err(Outcome::Store)?;
    Ok(file
        .iter()
        .flat_map(CredentialFile::credentials)
        .any(|kept| kept == credential))
}

/// Ignored can be only who is known by one name: under a second one an account
/// that has a key would seem to have none.
fn not_enrolled(account: &Account, rule: WhenNotEnrolled) -> Outcome {
    let by_number = Account::by_uid(account.uid);
    Outcome::NotEnrolled {
        rule: if by_number.as_ref() == Ok(account) {
            rule
        } else {
            WhenNotEnrolled::Refuse
        },
        account: account.clone(),
    }
}

/// Files the receipt, where the policy wants one. The verdict stands without.
fn keep_receipt(policy: &Policy, challenge: Challenge, approval: &Approval<'_>, log: &mut Log) {
    let Some(path) = &policy.receipts else {
        return;
    };
    let kept = Receipt::new(challenge, &approval.verified)
        .and_then(|receipt| receipt.to_line())
        .map_err(|problem| problem.to_string())
        .and_then(|line| append(path, &line));
    if let Err(problem) = kept {
        log.warning(&format!("no receipt was kept: {problem}"));
    }
}

fn append(path: &Path, line: &str) -> Result<(), String> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(format!("{} is no file", path.display()));
    };
    TrustedDir::open(directory)
        .map_err(|problem| problem.to_string())?
        .append(&name.to_string_lossy(), line.as_bytes())
        .map_err(|problem| problem.to_string())
}

/// A PAM item as text; a missing one is empty.
fn text(item: Option<&&CStr>) -> String {
    item.map(|item| item.to_string_lossy().into_owned())
        .unwrap_or_default()
}

//! What our own module answers, found with the readers that it uses itself, and
//! in its order (`authenticate.rs` of the module).
#![forbid(unsafe_code)]

use std::path::Path;

use ceremony::credential::{Credential, UserVerification};
use ceremony::credential_file::CredentialFileError;
use ceremony::policy::{
    Config, CounterRule, Policy, PolicyError, RemoteSessions, SyncedCredentials, WhenNotCovered,
    WhenNotEnrolled,
};
use ceremony::trusted_file::{Reason, STATE, TrustedDir, Untrusted};

use super::code::Code;
use super::people::Person;

/// What the module does for one person in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ours {
    /// It asks for a key, and lets in whoever has one.
    Asks,
    /// It answers so before it asks, whatever key there is.
    Answers(Code, String),
    /// Who asks here may not see it.
    Unseen(String),
}

/// What the module can answer where no key is used as it should: none plugged
/// in, a wrong one, no touch or PIN, Ctrl-C; or too few files may be opened
/// (`ulimit -n 5; su`) to read the policy. Whoever is there has the choice.
pub(super) const REFUSALS: [Code; 5] = [
    Code::AUTH_ERR,
    Code::AUTHINFO_UNAVAIL,
    Code::MAXTRIES,
    Code::ABORT,
    Code::SERVICE_ERR,
];

/// The services that are always far away.
const REMOTE: [&str; 4] = ["cockpit", "remote", "sshd", "xrdp-sesman"];

/// What `config.toml` and the arguments make of a service.
pub(super) fn policy(
    config: &Result<Config, PolicyError>,
    service: &str,
    arguments: &[String],
) -> Result<Policy, PolicyError> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    config
        .clone()?
        .for_service(service)
        .tightened_by(&arguments)
}

/// What the module answers to `person`.
pub(super) fn of(
    config: &Result<Config, PolicyError>,
    service: &str,
    arguments: &[String],
    person: &Person,
) -> Ours {
    let policy = match policy(config, service, arguments) {
        Ok(policy) => policy,
        Err(PolicyError::Untrusted(problem)) => return distrusted(&problem),
        Err(problem) => return Ours::Answers(Code::SERVICE_ERR, problem.to_string()),
    };
    if !policy.covered {
        let why = "the key is not asked for: this service is not covered by config.toml";
        let code = match policy.when_not_covered {
            WhenNotCovered::Ignore => Code::IGNORE,
            WhenNotCovered::Refuse => Code::AUTHINFO_UNAVAIL,
        };
        return Ours::Answers(code, why.to_owned());
    }
    let name = &person.account.name;
    let file = match &person.keys {
        Ok(Some(file)) => file,
        Ok(None) => return not_enrolled(&policy, person),
        Err(CredentialFileError::Untrusted(problem)) => {
            return distrusted(problem);
        }
        Err(problem) => return Ours::Answers(Code::SERVICE_ERR, problem.to_string()),
    };
    let mut credentials = file.credentials().peekable();
    if credentials.peek().is_none() {
        let why = format!("no record in the credential file of {name} can be used");
        return Ours::Answers(Code::SERVICE_ERR, why);
    }
    if REMOTE.contains(&service) && policy.remote == RemoteSessions::Refuse {
        let why = "nobody who comes this way is in front of the machine, and remote = \"refuse\"";
        return Ours::Answers(Code::AUTHINFO_UNAVAIL, why.to_owned());
    }
    if policy.counter == CounterRule::Refuse
        && let Err(problem) = TrustedDir::open(Path::new(STATE))
        && !matches!(problem.reason, Reason::Missing | Reason::Forbidden { .. })
    {
        return Ours::Answers(Code::SERVICE_ERR, problem.to_string());
    }
    if credentials.all(|it| is_refused_as_synced(it, &policy)) {
        let why = format!("every key of {name} is synced, and synced = \"refuse\"");
        return Ours::Answers(Code::AUTH_ERR, why);
    }
    Ours::Asks
}

/// Whether the policy refuses the credential for being one that is copied.
pub(super) fn is_refused_as_synced(credential: &Credential, policy: &Policy) -> bool {
    credential.synced && policy.synced == SyncedCredentials::Refuse
}

/// Whether it was enrolled for a touch, and more is asked for here.
pub(super) fn wants_more_than_a_touch(credential: &Credential, policy: &Policy) -> bool {
    credential.user_verification == UserVerification::Discouraged
        && policy.user_verification == UserVerification::Required
}

fn not_enrolled(policy: &Policy, person: &Person) -> Ours {
    let name = &person.account.name;
    match policy.when_not_enrolled {
        WhenNotEnrolled::Ignore if person.has_one_name => Ours::Answers(
            Code::IGNORE,
            format!("{name} has no key, and when_not_enrolled = \"ignore\""),
        ),
        WhenNotEnrolled::Ignore | WhenNotEnrolled::Refuse => {
            Ours::Answers(Code::USER_UNKNOWN, format!("{name} has no key enrolled"))
        }
    }
}

/// Only root's own eyes can tell what the module, which is root, finds there.
fn distrusted(problem: &Untrusted) -> Ours {
    match problem.reason {
        Reason::Forbidden { uid } if uid != 0 => Ours::Unseen(problem.to_string()),
        _ => Ours::Answers(Code::SERVICE_ERR, problem.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use ceremony::credential_file::CredentialFile;

    use super::super::people::tests::alice;
    use super::*;
    use crate::entry::tests::credential;

    fn config(text: &str) -> Result<Config, PolicyError> {
        Config::parse(text, Path::new("config.toml"))
    }

    fn with_a_key(change: impl FnOnce(&mut Credential)) -> Person {
        let mut person = alice();
        let mut file = CredentialFile::new(&person.account);
        let mut key = credential("blue key", &[1; 16]);
        change(&mut key);
        file.add(key).unwrap();
        person.keys = Ok(Some(file));
        person
    }

    fn code(text: &str, service: &str, arguments: &[&str], person: &Person) -> Option<Code> {
        let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
        match of(&config(text), service, &arguments, person) {
            Ours::Asks => None,
            Ours::Answers(code, _) => Some(code),
            Ours::Unseen(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_key_is_asked_for_where_the_module_would() {
        let person = with_a_key(|_| ());
        assert_eq!(code("", "sudo", &[], &person), None);
        assert_eq!(code("", "sudo", &["timeout=9"], &person), None);
        assert_eq!(code("", "cron", &[], &person), Some(Code::AUTHINFO_UNAVAIL));
        assert_eq!(code("[service.cron]", "cron", &[], &person), None);
        let off = "[service.sudo]\nenabled = false";
        assert_eq!(
            code(off, "sudo", &[], &person),
            Some(Code::AUTHINFO_UNAVAIL)
        );
        let aside = ["when_not_covered=ignore"];
        assert_eq!(code("", "cron", &aside, &person), Some(Code::IGNORE));
        assert_eq!(code(off, "sudo", &aside, &person), Some(Code::IGNORE));
        assert_eq!(code("", "sudo", &aside, &person), None);
    }

    #[test]
    fn what_root_must_mend_is_a_service_error() {
        let person = with_a_key(|_| ());
        let broken = Some(Code::SERVICE_ERR);
        assert_eq!(code("colour = 1", "sudo", &[], &person), broken);
        assert_eq!(code("", "sudo", &["debug"], &person), broken);
        let mut nothing_good = alice();
        let text = "version = 1\nuid = 1000\n[[credential]]\n";
        let file = CredentialFile::parse(text, &nothing_good.account, Path::new("x"));
        nothing_good.keys = file.map(Some);
        assert_eq!(code("", "sudo", &[], &nothing_good), broken);
        nothing_good.keys =
            CredentialFile::parse("", &nothing_good.account, Path::new("x")).map(Some);
        assert_eq!(code("", "sudo", &[], &nothing_good), broken);
    }

    #[test]
    fn who_has_no_key_is_ignored_only_by_one_name() {
        let ignore = "when_not_enrolled = \"ignore\"";
        let mut person = alice();
        assert_eq!(code("", "sudo", &[], &person), Some(Code::USER_UNKNOWN));
        assert_eq!(code(ignore, "sudo", &[], &person), Some(Code::IGNORE));
        let strict = ["when_not_enrolled=refuse"];
        let refused = Some(Code::USER_UNKNOWN);
        assert_eq!(code(ignore, "sudo", &strict, &person), refused);
        person.has_one_name = false;
        assert_eq!(code(ignore, "sudo", &[], &person), refused);
    }

    #[test]
    fn a_key_that_is_never_accepted_is_none() {
        let synced = with_a_key(|key| key.synced = true);
        let refuse = "synced = \"refuse\"";
        assert_eq!(code("", "sudo", &[], &synced), None);
        assert_eq!(code(refuse, "sudo", &[], &synced), Some(Code::AUTH_ERR));
        let person = with_a_key(|_| ());
        assert_eq!(code(refuse, "sudo", &[], &person), None);
        let far = "[service.sshd]";
        assert_eq!(
            code(far, "sshd", &[], &person),
            Some(Code::AUTHINFO_UNAVAIL)
        );
        let allowed = "[service.sshd]\nremote = \"allow\"";
        assert_eq!(code(allowed, "sshd", &[], &person), None);
    }
}

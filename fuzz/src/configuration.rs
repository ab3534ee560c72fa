//! `config.toml`, and the module's arguments on top of it.
#![forbid(unsafe_code)]

use std::path::Path;

use ceremony::policy::{Config, Policy};

/// Text; then, behind a NUL, arguments, one a line.
pub(crate) fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let (file, arguments) = text.split_once('\0').unwrap_or((&text, ""));
    let arguments: Vec<&str> = arguments.lines().collect();
    let config = match Config::parse(file, Path::new("/etc/config.toml")) {
        Ok(config) => config,
        Err(why) => return fit_to_be_logged(&why.to_string()),
    };
    for service in ["sudo", "cron"] {
        let policy = config.for_service(service);
        assert!((1..=300).contains(&policy.timeout.as_secs()));
        assert!(
            policy
                .receipts
                .as_ref()
                .is_none_or(|path| path.is_absolute())
        );
        match policy.clone().tightened_by(&arguments) {
            Ok(tightened) => assert!(is_no_looser(&tightened, &policy)),
            Err(why) => fit_to_be_logged(&why.to_string()),
        }
    }
}

fn fit_to_be_logged(why: &str) {
    assert!(!why.contains(char::is_control), "{why:?}");
    assert!(why.len() < 2000, "{why:?}");
}

fn is_no_looser(tightened: &Policy, policy: &Policy) -> bool {
    tightened.user_verification >= policy.user_verification
        && tightened.timeout <= policy.timeout
        && tightened.when_not_enrolled >= policy.when_not_enrolled
        && tightened.remote >= policy.remote
        && tightened.counter >= policy.counter
        && tightened.synced >= policy.synced
        && tightened.receipts == policy.receipts
        && tightened.covered == policy.covered
}

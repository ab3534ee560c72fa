//! What the policy must say before a key that was enrolled for touch alone lets
//! anybody in.
#![forbid(unsafe_code)]

use ceremony::credential::UserVerification;
use ceremony::policy::{Config, Policy};

use crate::machine::CONFIG;

/// What to write where; nothing where `config` says it already.
pub(crate) fn advice(config: &Config) -> Vec<String> {
    let demands = |policy: Policy| policy.user_verification == UserVerification::Required;
    // No PAM service is called that, so what holds for it are the defaults.
    let by_default = demands(config.for_service("passkey enroll"));
    let by_sudo = demands(config.for_service("sudo"));
    let (whom, place) = match (by_default, by_sudo) {
        (false, false) => return Vec::new(),
        (false, true) => ("sudo", "under [service.sudo]"),
        (true, false) => (
            "every service without a table of its own",
            "above all tables",
        ),
        (true, true) => (
            "sudo and every service without a table of its own",
            "under [service.sudo] for sudo, above all tables for the others",
        ),
    };
    vec![
        format!(
            "The policy asks for more than a touch for {whom}. To let this key in, put into \
             {CONFIG}, {place}:"
        ),
        "    user_verification = \"discouraged\"".to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const DISCOURAGED: &str = "user_verification = \"discouraged\"\n";
    const REQUIRED: &str = "user_verification = \"required\"\n";

    fn advice_on(config: &str) -> String {
        let config = Config::parse(config, CONFIG.as_ref()).unwrap();
        advice(&config).join("\n")
    }

    #[test]
    fn whoever_asks_for_more_than_a_touch_is_named() {
        let sudo = advice_on(&format!("{DISCOURAGED}[service.sudo]\n{REQUIRED}"));
        assert!(sudo.contains("than a touch for sudo. "), "{sudo}");
        assert!(sudo.contains(", under [service.sudo]:"), "{sudo}");

        let others = advice_on(&format!("[service.sudo]\n{DISCOURAGED}"));
        assert!(others.contains("than a touch for every service without a table of its own. "));
        assert!(others.contains(", above all tables:"), "{others}");

        let both = advice_on("");
        assert!(both.contains("for sudo and every service without a table of its own. "));
        assert!(both.contains("under [service.sudo] for sudo, above all tables for the others:"));
    }

    #[test]
    fn where_a_touch_is_enough_nothing_is_advised() {
        assert_eq!(advice_on(DISCOURAGED), "");
        let both = format!("{DISCOURAGED}[service.sudo]\n{DISCOURAGED}");
        assert_eq!(advice_on(&both), "");
    }
}

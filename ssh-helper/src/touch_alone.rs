//! What the policy must say before a key that was enrolled for touch alone lets
//! anybody in.
#![forbid(unsafe_code)]

use ceremony::credential::UserVerification;
use ceremony::policy::{Config, Policy};

use crate::machine::CONFIG;

/// What it must say for sudo, and what holds elsewhere; nothing where `config`
/// takes a touch already. Never "for all services at once": whoever enrols a
/// key for sudo has not thought of the login screen.
pub(crate) fn advice(config: &Config) -> Vec<String> {
    let demands = |policy: Policy| policy.user_verification == UserVerification::Required;
    let mut lines = Vec::new();
    if demands(config.for_service("sudo")) {
        lines.push(format!(
            "sudo asks for more than a touch. To let a touch do there, {CONFIG} must say:"
        ));
        lines.push("    [service.sudo]".to_owned());
        lines.push("    user_verification = \"discouraged\"".to_owned());
    }
    // No PAM service is called that, so what holds for it are the defaults.
    if demands(config.for_service("passkey enroll")) {
        let also = if lines.is_empty() { "" } else { "also " };
        lines.push(format!(
            "Other services {also}ask for more than a touch, until each has such a table of its own."
        ));
    }
    lines
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
    fn what_sudo_must_say_is_shown_and_others_are_named() {
        const TABLE: &str = "    [service.sudo]\n    user_verification = \"discouraged\"";
        const OTHERS: &str = "ask for more than a touch, until each has such a table of its own.";
        let sudo = advice_on(&format!("{DISCOURAGED}[service.sudo]\n{REQUIRED}"));
        assert!(sudo.contains(TABLE) && !sudo.contains(OTHERS), "{sudo}");
        let others = advice_on(&format!("[service.sudo]\n{DISCOURAGED}"));
        assert_eq!(others, format!("Other services {OTHERS}"));
        let both = advice_on("");
        assert!(both.contains(TABLE) && both.contains(OTHERS), "{both}");
    }

    #[test]
    fn where_a_touch_is_enough_nothing_is_advised() {
        assert_eq!(advice_on(DISCOURAGED), "");
        let both = format!("{DISCOURAGED}[service.sudo]\n{DISCOURAGED}");
        assert_eq!(advice_on(&both), "");
    }
}

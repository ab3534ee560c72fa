//! The services a person uses while sitting at the machine.
//!
//! The profiles put the module into `common-auth`, which cron, cups and mail
//! servers include as well: nobody is there to touch a key for those.
#![forbid(unsafe_code)]

/// By the name their `pam_start` gives: services that open a session, and so
/// run before there is one.
const OPEN_A_SESSION: [&str; 15] = [
    // the console
    "login",
    // display managers; their -autologin and -greeter services ask nobody
    "cosmic-greeter",
    "emptty",
    "gdm-password",
    "gdm-switchable-auth",
    "greetd",
    "lemurs",
    "lightdm",
    "lxdm",
    "ly",
    "plasmalogin",
    "sddm",
    "slim",
    "wdm",
    "xdm",
];

/// Services that a person uses from within a session.
const WITHIN_A_SESSION: [&str; 23] = [
    // becoming somebody else
    "doas",
    "polkit-1",
    "su",
    "su-l",
    "sudo",
    "sudo-i",
    // lockers
    "cinnamon-screensaver",
    "gnome-screensaver",
    "gtklock",
    "hyprlock",
    "i3lock",
    "kde",
    "kscreenlocker",
    "light-locker",
    "mate-screensaver",
    "physlock",
    "swaylock",
    "vlock",
    "waylock",
    "xfce4-screensaver",
    "xlock",
    "xscreensaver",
    "xsecurelock",
];

/// Services that show their person every prompt and wait for an answer to it.
/// Many greeters and lockers do not: they ask for a password first, and give
/// that as the answer to whatever is asked.
const SHOW_EVERY_PROMPT: [&str; 7] = ["doas", "login", "polkit-1", "su", "su-l", "sudo", "sudo-i"];

/// Whether this service is covered without a `[service.NAME]` table.
pub(super) fn is_interactive_and_local(service: &str) -> bool {
    opens_a_session(service) || WITHIN_A_SESSION.contains(&service)
}

/// Whether this service runs before its person has a session, so that none can
/// tell where they sit.
pub fn opens_a_session(service: &str) -> bool {
    OPEN_A_SESSION.contains(&service)
}

/// Whether an answer from this service is known to be one to the question.
pub fn shows_every_prompt(service: &str) -> bool {
    SHOW_EVERY_PROMPT.contains(&service)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_known_to_converse_is_not_believed_to() {
        for service in ["sudo", "su", "login"] {
            assert!(shows_every_prompt(service), "{service}");
        }
        for service in ["sddm", "lightdm", "kde", "swaylock", "vsftpd", ""] {
            assert!(!shows_every_prompt(service), "{service}");
        }
    }

    #[test]
    fn only_who_opens_a_session_runs_before_there_is_one() {
        for service in ["login", "sddm", "gdm-password"] {
            assert!(opens_a_session(service), "{service}");
        }
        for service in ["sudo", "su", "polkit-1", "kde", "sshd", ""] {
            assert!(!opens_a_session(service), "{service}");
        }
    }

    #[test]
    fn where_a_person_sits_is_covered_and_where_none_does_is_not() {
        for service in ["sudo", "login", "polkit-1", "gdm-password", "kde"] {
            assert!(is_interactive_and_local(service), "{service}");
        }
        for service in [
            "", "cron", "cups", "dovecot", "sshd", "other", "SUDO", "sud",
        ] {
            assert!(!is_interactive_and_local(service), "{service}");
        }
    }
}

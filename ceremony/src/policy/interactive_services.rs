//! The services a person uses while sitting at the machine.
//!
//! The profiles put the module into `common-auth`, which cron, cups and mail
//! servers include as well: nobody is there to touch a key for those.
#![forbid(unsafe_code)]

/// Covered without a `[service.NAME]` table, by the name their `pam_start`
/// gives.
const INTERACTIVE_AND_LOCAL: [&str; 39] = [
    // becoming somebody else
    "doas",
    "polkit-1",
    "su",
    "su-l",
    "sudo",
    "sudo-i",
    "systemd-run0",
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

pub(super) fn is_interactive_and_local(service: &str) -> bool {
    INTERACTIVE_AND_LOCAL.contains(&service)
}

#[cfg(test)]
mod tests {
    use super::*;

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

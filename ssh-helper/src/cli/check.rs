//! The command line of `passkey check`.
#![forbid(unsafe_code)]

use clap::Args;

/// Say what will happen at each prompt, before it does.
///
/// Looks at the files of pam-passkey, at the keys plugged in, and at every line
/// in /etc/pam.d that asks for a key; then says for each service and each person
/// what lets them in: the key, the password, either, both, nothing at all, or
/// nothing that they have. Changes nothing, and asks no key. Anybody may run it;
/// root sees more.
///
/// --json prints `enabling` (profile, command, `locks_out`; or null) and four lists:
/// `files` (path, state, says), `keys` (node, product, accessible, says), `services`
/// (service, user, `way_in`, because) and `findings` (id, severity, what, why, try).
///
/// Exits with 0 where there is nothing to mend, with 3 where there is, and with 1
/// where it could not look.
///
/// Before a profile of pam-auth-update is enabled: `passkey check --enabling passkey`.
/// Its last line is the command that enables the profile, and takes the other one out.
/// With --enabling, 3 means that there is an error, or that somebody would be locked
/// out; other warnings do not count.
#[derive(Args, Debug)]
#[command(after_long_help = crate::check::list_of_findings())]
pub(crate) struct Check {
    /// Look at this account alone; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Vec<String>,

    /// Look at this service alone, whether it asks for a key or not; may be given
    /// several times.
    #[arg(long, value_name = "NAME", value_parser = service_name)]
    pub(crate) service: Vec<String>,

    /// Look at the machine as it would be with this profile of pam-auth-update:
    /// `passkey`, the key instead of the password, or `passkey-2fa`, the key in
    /// addition to it.
    #[arg(long, value_name = "PROFILE", value_parser = crate::check::PROFILES, hide_possible_values = true)]
    pub(crate) enabling: Option<String>,
}

/// A name as libpam takes it: it would fold it to lower case itself.
fn service_name(text: &str) -> Result<String, &'static str> {
    if text.is_empty() || text.contains('/') || text.starts_with('.') {
        return Err("a service is called as its file in /etc/pam.d");
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_a_file_name_in_lower_case() {
        assert_eq!(service_name("SUDO"), Ok("sudo".to_owned()));
        for text in ["", "/etc/pam.d/sudo", "../x", "."] {
            assert!(service_name(text).is_err(), "{text}");
        }
    }
}

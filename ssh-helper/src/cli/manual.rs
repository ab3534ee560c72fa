//! What help, man pages and completions share beyond single options, and the
//! commands that print the latter two.
#![forbid(unsafe_code)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::Cli;

/// Print a completion script for a shell.
///
/// bash: `passkey completions bash >/etc/bash_completion.d/passkey`.
/// zsh: `passkey completions zsh >/usr/local/share/zsh/site-functions/_passkey`.
/// fish: `passkey completions fish >/etc/fish/completions/passkey.fish`.
#[derive(Args, Debug)]
pub(crate) struct Completions {
    /// The shell.
    pub(crate) shell: Shell,
}

/// Write the man pages into a directory; for packages.
#[derive(Args, Debug)]
pub(crate) struct Manual {
    /// The directory, which must exist.
    pub(crate) directory: PathBuf,
}

/// What holds for all commands: at the end of `passkey --help`, and of
/// passkey(1).
const SECTIONS: [(&str, &str); 4] = [
    ("Exit status", EXIT_STATUS),
    ("Environment", ENVIRONMENT),
    ("JSON", JSON),
    ("Files", FILES),
];

const EXIT_STATUS: &str = "\
0  done
1  refused or failed; stderr says what happened and what to type
2  the command line makes no sense
3  passkey check found something to mend";

const ENVIRONMENT: &str = "\
NO_COLOR   no colours, if set and not empty
TERM       with \"dumb\", no colours and no line that is written over
SUDO_UID, PKEXEC_UID, DOAS_USER
           who stands behind a process of root's, whose keys it may change";

const JSON: &str = "\
With --json the result is one line on stdout, an object with \"version\": 1. The
version grows when a member goes or changes its meaning; new members may come
at any time. Talk stays on stderr. A failure prints no object, and exits with
1; only receipt verify then says which receipts do not hold,
ssh verify-attestation which step, and ssh import which keys were not written.
  enroll
      user, file, credential, attestation, number (of keys now), undo
  list
      user, credentials
  show
      user, file, credential, counter (null for who is not root)
  rename
      user, from, to
  remove
      user, name, left (keys that the account still has)
  test
      user, service, key, device, user_present, user_verified, counter,
      user_verification (what the service asks for)
  check
      enabling [profile, command, locks_out] (null without it),
      files [path, state, says], keys [node, product, accessible, says],
      services [service, user, way_in, because],
      findings [id, severity, what, why, try]
  key list
      keys [node, product, accessible, versions, aaguid, model, problem]
  key info
      key, aaguid, model, firmware, versions, extensions, transports,
      algorithms (COSE numbers), options, pin [set, min_length,
      must_be_changed, tries_left, power_cycle_needed],
      fingerprints_enrolled, credentials_left
  key credentials list
      key, credentials [id, rp_id, user_name, user_display_name]
  key fingerprints list
      key, fingerprints [id, name]
  other commands of key
      key, done (what was done)
  ssh enroll
      key, type, application, user, resident, verify_required, touch_required,
      fingerprint, private_key, public_key, attestation, backup (paths),
      authorized_keys (lines), undo, login (what enroll answered)
  ssh show
      file, type (ssh-keygen's word), application, fingerprint, comment,
      touch_required, verify_required, resident, flags, id_length (bytes),
      encryption [cipher, rounds] or null, public_key, authorized_keys
  ssh backup
      backup, fingerprint, keys (of now), done (\"noted\" or \"noted before\")
  ssh recover
      private_key, public_key (the files), fingerprint, authorized_keys,
      encrypted
  ssh list
      key, slots_left (null where it does not say), keys [id, application, user,
      name, cred_protect (0 to 3), verify_required, type, fingerprint,
      public_key, problem (why it is of no use, and the last three null)]
  ssh import
      key, keys [id, application, user, type, fingerprint, verify_required,
      private_key, public_key, authorized_keys], not_written [id, application,
      user, why, try]
  ssh remove, ssh rename
      key, done (what was done)
  receipt verify
      receipts [line, holds, why, user, service, host, command, time, nonce,
      key, user_present, user_verified, counter], check_with
  export allowed-signers
      user, allowed_signers
  ssh verify-attestation
      holds, steps [step, holds, says], key (null where it does not hold)
      [type, fingerprint, public_key, application, aaguid, model,
      certificate_names_model, user_present, user_verified, protection
      (credProtect's level), backup_eligible, backed_up, certificate, root]
A credential of this machine has name, algorithm, user_verification
(\"required\" or \"discouraged\"), enrolled (RFC 3339), rp_id, aaguid,
discoverable, synced, answers_silently, public_key (OpenSSH), fingerprint.
A key has node and product.";

const FILES: &str = "\
/etc/pam-passkey/config.toml        what a login asks for; pam-passkey.toml(5)
/etc/pam-passkey/users/NAME.toml    the keys of an account
/var/lib/pam-passkey/               signature counters and locks
/etc/pam.d/passkey                  how `enroll` checks the account's password";

/// The same for a terminal.
pub(super) fn after_help() -> String {
    let section = |(title, text): &(&str, &str)| {
        let text: Vec<String> = text.lines().map(|line| format!("  {line}")).collect();
        format!("{title}:\n{}", text.join("\n"))
    };
    let sections: Vec<String> = SECTIONS.iter().map(section).collect();
    sections.join("\n\n")
}

/// A completion script.
pub(crate) fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "passkey", &mut script);
    String::from_utf8_lossy(&script).trim_end().to_owned()
}

/// Writes a page for the program and one for each of its commands; returns
/// their names.
pub(crate) fn write_pages(directory: &Path) -> io::Result<Vec<String>> {
    let mut program = Cli::command().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    write_page(&program, directory, &mut pages)?;
    Ok(pages)
}

fn write_page(
    command: &clap::Command,
    directory: &Path,
    pages: &mut Vec<String>,
) -> io::Result<()> {
    let name = command
        .get_display_name()
        .unwrap_or(command.get_name())
        .to_owned();
    let page = format!("{name}.1");
    fs::write(directory.join(&page), page_of(command, &name)?)?;
    pages.push(page);
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .try_for_each(|sub| write_page(sub, directory, pages))
}

/// The page of one command; sections that hold for all stand in the program's.
fn page_of(command: &clap::Command, name: &str) -> io::Result<Vec<u8>> {
    let is_program = command.get_name() == name;
    let man = Man::new(command.clone().after_long_help(""))
        .title(name)
        .manual("pam-passkey");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    let mut more = Roff::new();
    if is_program {
        for (title, text) in SECTIONS {
            more.control("SH", [title.to_uppercase().as_str()]);
            more.control("nf", []);
            for line in text.lines() {
                more.text([roman(line)]);
            }
            more.control("fi", []);
        }
    }
    more.control("SH", ["SEE ALSO"]);
    more.text([roman(
        "passkey(1), pam_passkey(8), pam-passkey.toml(5), ssh-keygen(1)",
    )]);
    more.to_writer(&mut page)?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_common_sections_fits_on_a_terminal() {
        for line in after_help().lines() {
            assert!(line.chars().count() <= 82, "{line}");
        }
    }

    #[test]
    fn a_command_has_a_page_and_a_hidden_one_has_none() {
        let directory = std::env::temp_dir().join(format!("pages-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let pages = write_pages(&directory).unwrap();
        let read = |page: &str| fs::read_to_string(directory.join(page)).unwrap();
        let program = read("passkey.1");
        for title in ["SYNOPSIS", "OPTIONS", "EXIT STATUS", "JSON", "SEE ALSO"] {
            assert!(program.contains(title), "{title}");
        }
        let enroll = read("passkey-enroll.1");
        assert!(enroll.contains("touch\\-only") && !enroll.contains("EXIT STATUS"));
        assert!(pages.contains(&"passkey-receipt-verify.1".to_owned()));
        assert!(!pages.contains(&"passkey-manual.1".to_owned()));
        fs::remove_dir_all(directory).unwrap();
    }
}

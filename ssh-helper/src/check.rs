//! `passkey check`: what will happen at each prompt of this machine, told before
//! it does.
//!
//! It looks at the files of ours ([`files`]), at the keys plugged in ([`keys`]),
//! and at every service whose auth stack names our module ([`services`]). A stack
//! is read as libpam reads it ([`mod@line`], [`control`], [`loading`]) and then run, in
//! a machine that does with answers what libpam does ([`dispatch`]), once for
//! each world: the key works or not, the password is right or not ([`verdict`]).
//! What our module answers comes from the library's own readers ([`ours`]); what
//! others answer from what their manuals say ([`modules`]). Where that is more
//! than can be known, every answer is tried, and a verdict that depends on it is
//! `unclear`, not a guess.
//!
//! It judges `auth` alone: whether an account has expired, or may open a session,
//! is asked elsewhere in a stack. Nothing is written, and no key is asked for
//! anything.
#![forbid(unsafe_code)]

mod code;
mod control;
mod dispatch;
mod doubts;
mod enabling;
mod files;
mod finding;
mod grounds;
mod keys;
mod line;
mod loading;
mod modules;
mod ours;
mod pam_folder;
mod people;
mod report;
mod services;
mod stack;
mod verdict;

use ceremony::account::Account;

use crate::Conclusion;
use crate::cli;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::whose_account;

use enabling::Told;
use files::Files;
use finding::{Finding, Id, printable};
use grounds::{Grounds, Service};
use modules::ModuleFolders;
use pam_folder::PamFolders;
use report::Checked;

pub(crate) use enabling::PROFILES;
pub(crate) use finding::list as list_of_findings;

/// Looks at everything, and says what was found.
pub(crate) fn check(wanted: &cli::Check, screen: &mut Screen) -> Result<Conclusion, Failure> {
    let accounts: Vec<Account> = wanted
        .user
        .iter()
        .map(|name| whose_account::to_look_at(Some(name)))
        .collect::<Result<_, _>>()?;
    let mut folders = PamFolders::of_this_machine().ok_or_else(|| {
        Failure::new(
            "there is no /etc/pam.d on this machine",
            "where libpam reads /etc/pam.conf, look into that yourself",
        )
    })?;
    let enabling = match &wanted.enabling {
        Some(profile) => Some(enabling::as_if_enabled(profile)?),
        None => None,
    };
    for (path, bytes) in enabling.iter().flat_map(|it| &it.files) {
        folders.put(path.clone(), bytes);
    }
    let files = Files::look(&accounts);
    let (keys, about_keys) = keys::keys();
    let mut findings = files.findings;
    findings.extend(about_keys);
    let (names, more) = folders.services();
    if more {
        let what = format!("/etc/pam.d has more than {} files", pam_folder::MOST_FILES);
        findings.push(Finding::new(
            Id::Unclear,
            what,
            "passkey check --service NAME",
        ));
    }
    if let Ok(config) = &files.config
        && !more
    {
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        findings.extend(files::unknown_services(config, &names));
    }
    let services = grounds::services(&folders, &names, &wanted.service);
    findings.extend(about_names(&services));
    let people = people::people(&accounts, &files.enrolled);
    if people.left_out > 0 {
        let what = format!("{} more accounts were not looked at", people.left_out);
        findings.push(Finding::new(Id::Unclear, what, "passkey check --user NAME"));
    }
    if !nix::unistd::geteuid().is_root() {
        let what = "/etc/shadow was not looked at: every account counts as one with a password";
        findings.push(Finding::new(Id::Unseen, what, files::AS_ROOT));
    }
    let grounds = Grounds {
        config: &files.config,
        folders: &ModuleFolders::of_this_machine(),
        people: &people.people,
        people_are_wanted: !accounts.is_empty(),
    };
    let (rows, about_services) = services::judge(&services, &grounds);
    findings.extend(about_services);
    findings.sort_by_key(|finding| finding.id.severity());
    let enabling = enabling.map(|it| Told {
        profile: it.profile,
        command: it.command,
        locks_out: findings.iter().any(|finding| finding.id.locks_out()),
    });
    let checked = Checked {
        enabling,
        files: files.looked_at,
        keys,
        services: rows,
        findings,
    };
    screen.report(&checked)?;
    Ok(if checked.is_to_be_mended() {
        Conclusion::Mend
    } else {
        Conclusion::Done
    })
}

/// What the names of the services say.
fn about_names(services: &[Service]) -> Vec<Finding> {
    if services.is_empty() {
        let how = if enabling::is_at_hand() {
            "passkey check --enabling passkey"
        } else {
            "man pam_passkey has examples of a first line in /etc/pam.d"
        };
        let what = "no file in /etc/pam.d names pam_passkey.so";
        return vec![Finding::new(Id::NotInUse, what, how)];
    }
    let upper = services
        .iter()
        .filter(|it| it.name.contains(|c: char| c.is_ascii_uppercase()));
    let finding = |it: &Service| {
        let what = format!("/etc/pam.d/{} has capital letters", printable(&it.name));
        Finding::new(Id::NeverRead, what, "as root: rename it")
    };
    upper.map(finding).collect()
}

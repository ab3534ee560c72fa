//! What is doubtful in the lines of a stack, whoever goes through it.
#![forbid(unsafe_code)]

use ceremony::policy::{Config, PolicyError};

use super::code::Code;
use super::control::Action;
use super::dispatch::{landing, passed_over};
use super::finding::{Finding, Id, printable, shown};
use super::grounds::{Grounds, Service, not_roots};
use super::modules::{self, why_not_loadable};
use super::ours;

use super::stack::{Handler, Trouble, Work};

/// Looks at the lines of a service that names our module. Services share files:
/// what was found already is not found again.
pub(super) fn about(service: &Service, grounds: &Grounds<'_>, findings: &mut Vec<Finding>) {
    let mut found = Vec::new();
    for trouble in &service.stack.troubles {
        found.push(about_trouble(trouble));
    }
    for file in &service.stack.files {
        if let Some((whose, problem)) = not_roots(file) {
            let how = format!(
                "look who wrote it, then: chown root {it}; chmod go-w {it}",
                it = shown(&whose)
            );
            found.push(Finding::new(Id::PamFileUntrusted, problem, how));
        }
    }
    for (place, facility) in &service.stack.misplaced {
        let what = format!("{place} names our module for {facility}");
        let how = format!(
            "as root: remove line {} of {}",
            place.line,
            shown(&place.file)
        );
        found.push(Finding::new(Id::WrongFacility, what, how));
    }
    for (at, line) in service.stack.handlers.iter().enumerate() {
        about_line(service, at, line, &mut found);
        if line.is_ours() {
            about_ours(service, at, line, grounds, &mut found);
        } else if let Ok(Some(file)) = grounds.folders.find(line)
            && let Some((_, problem)) = not_roots(&file)
        {
            let how = "look who wrote it, and install it again";
            found.push(Finding::new(Id::ModuleUntrusted, problem, how));
        }
    }
    for finding in found {
        if !findings.contains(&finding) {
            findings.push(finding);
        }
    }
}

fn about_trouble(trouble: &Trouble) -> Finding {
    let what = trouble.to_string();
    let (id, how) = match trouble {
        Trouble::IncludeMissing(..) | Trouble::Undefined(_) => (
            Id::IncludeMissing,
            "as root: correct the name, or remove the line",
        ),
        Trouble::TooDeep(_) => (
            Id::IncludeTooDeep,
            "as root: remove the line by which a file includes itself",
        ),
        Trouble::BreaksOff(_) => (
            Id::FileBreaksOff,
            "as root: take the backslash off the end of the file",
        ),
        Trouble::NoModule(_) | Trouble::IllegalType(..) => (
            Id::LineFaulty,
            "as root: correct the line; pam.d(5) says how",
        ),
        Trouble::Ambiguous(_) => (
            Id::PamFileAmbiguous,
            "as root: write the line anew, shorter",
        ),
        Trouble::TooMany => (
            Id::PamFileAmbiguous,
            "as root: look what is included, and where",
        ),
        Trouble::Unreadable(_, why) if is_forbidden(why) => (Id::Unseen, super::files::AS_ROOT),
        Trouble::Unreadable(..) => (
            Id::PamFileUnreadable,
            "as root: look what it is, and put a file in its place",
        ),
    };
    Finding::new(id, what, how)
}

/// Whether it is only this user who may not read it.
fn is_forbidden(why: &str) -> bool {
    !nix::unistd::geteuid().is_root() && why.starts_with("Permission denied")
}

fn about_line(service: &Service, at: usize, line: &Handler, found: &mut Vec<Finding>) {
    let place = &line.place;
    if let Some(fault) = line.control.fault {
        let what = format!("the brackets at {place} are not understood: {fault}");
        let how = "as root: correct them; pam.d(5) has the words";
        found.push(Finding::new(Id::ControlRefused, what, how));
    }
    let jump = line.control.longest_jump();
    if let Some(lines) = jump
        && landing(&service.stack.handlers, at, lines).is_err()
    {
        let what = format!("{place} jumps over {lines} lines, and there are fewer");
        let how = "as root: correct the number, or write \"done\" for it";
        found.push(Finding::new(Id::JumpTooFar, what, how));
    }
}

fn about_ours(
    service: &Service,
    at: usize,
    line: &Handler,
    grounds: &Grounds<'_>,
    found: &mut Vec<Finding>,
) {
    let place = &line.place;
    about_module(line, grounds, found);
    let config = match grounds.config {
        Ok(config) => Ok(config.clone()),
        // It has been named; the arguments are judged by the defaults.
        Err(_) => Ok(Config::default()),
    };
    let policy = ours::policy(&config, &service.name, line.arguments());
    if let Err(problem @ PolicyError::Argument { .. }) = &policy {
        let what = format!("{place}: {problem}");
        let how = "as root: correct that word, or remove it";
        found.push(Finding::new(Id::ArgumentRefused, what, how));
    }
    if policy.is_ok_and(|policy| policy.covered)
        && line.control.fault.is_none()
        && line.control.action(Code::ABORT) != Action::Die
    {
        let what = format!("{place} goes on after Ctrl-C");
        let how = "as root: write abort=die into the brackets of that line, as in \
                   [success=done abort=die default=ignore]";
        found.push(Finding::new(Id::AbortNotDie, what, how));
    }
    let skipped = passed_over(&service.stack.handlers, at, Code::SUCCESS);
    for skipped in skipped.into_iter().filter(|it| modules::refuses(it)) {
        let module = skipped.module().unwrap_or_default();
        let what = format!(
            "whoever {place} lets in is not seen by {}.so at {}",
            printable(module),
            skipped.place
        );
        let how = format!(
            "as root: move our line behind that of {}.so",
            printable(module)
        );
        found.push(Finding::new(Id::SkipsARefusal, what, how));
    }
}

fn about_module(line: &Handler, grounds: &Grounds<'_>, found: &mut Vec<Finding>) {
    let Work::Module { path, .. } = &line.work else {
        return;
    };
    let place = &line.place;
    let file = match grounds.folders.find(line) {
        Ok(None) => return,
        Ok(Some(file)) => file,
        Err(missed) => {
            let what = format!(
                "{place} names {}, and there is no {}",
                printable(path),
                shown(&missed)
            );
            let how =
                "install pam-passkey again, or write the whole path of the module into the line";
            found.push(Finding::new(Id::ModuleMissing, what, how));
            return;
        }
    };
    if let Some((_, problem)) = not_roots(&file) {
        let how = "look who wrote it, and install pam-passkey again";
        found.push(Finding::new(Id::ModuleUntrusted, problem, how));
    }
    if let Some(why) = why_not_loadable(&file) {
        let what = format!("{} cannot be loaded: {why}", shown(&file));
        let how = "install pam-passkey again";
        found.push(Finding::new(Id::ModuleNotLoadable, what, how));
    }
}

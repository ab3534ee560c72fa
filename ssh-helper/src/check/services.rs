//! Sections three and four: every service that names our module, and for every
//! person what lets them in.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use ceremony::credential_file::CredentialFile;

use super::code::Code;
use super::doubts;
use super::finding::{Finding, Id, printable, shown};
use super::grounds::{Grounds, Service};
use super::ours::{self, Ours};
use super::people::{Password, Person};
use super::report::Row;
use super::stack::Handler;
use super::verdict::{Passage, Verdict, WayIn};
use crate::key_name::quoted_if_need_be;

/// Services that root never has to pass: it may do already what they are for.
const NOT_ROOTS: [&str; 3] = ["doas", "sudo", "sudo-i"];

/// Services by which somebody becomes root with root's own password or key.
const FOR_ROOT: [&str; 3] = ["login", "su", "su-l"];

/// A service with everybody's verdict.
struct Judged<'g> {
    service: &'g Service,
    verdicts: Vec<(&'g Person, Verdict)>,
    /// What it were like for somebody with a password and a key; none where the
    /// key is not asked for at all.
    model: Option<WayIn>,
    /// Whether the password is asked for and cannot help.
    asks_in_vain: bool,
}

/// Judges all services.
pub(super) fn judge(services: &[Service], grounds: &Grounds<'_>) -> (Vec<Row>, Vec<Finding>) {
    let judged: Vec<Judged> = services.iter().map(|it| judged(it, grounds)).collect();
    let mut findings = Vec::new();
    for it in &judged {
        about_verdicts(it, &mut findings);
    }
    about_people(&judged, grounds, &mut findings);
    not_covered(&judged, grounds, &mut findings);
    for service in services {
        doubts::about(service, grounds, &mut findings);
    }
    let rows = judged.iter().flat_map(|it| {
        it.verdicts.iter().map(|(person, verdict)| Row {
            service: printable(&it.service.name),
            user: person.account.name.to_string(),
            way_in: verdict.way_in,
            because: match &it.service.stack.file {
                Some(_) => verdict.because.clone(),
                None => format!("{}; it has no file, so \"other\" counts", verdict.because),
            },
        })
    });
    (rows.collect(), findings)
}

fn judged<'g>(service: &'g Service, grounds: &Grounds<'g>) -> Judged<'g> {
    let asked = grounds.people.iter().filter(|person| {
        grounds.people_are_wanted
            || person.account.uid != 0
            || !NOT_ROOTS.contains(&service.name.as_str())
    });
    let verdict = |person: &Person| {
        let ours =
            |line: &Handler| ours::of(grounds.config, &service.name, line.arguments(), person);
        Passage::new(&service.stack, person, grounds.folders, ours).verdict()
    };
    let model = model(service, grounds);
    Judged {
        service,
        verdicts: asked.map(|person| (person, verdict(person))).collect(),
        model: model.map(|(way_in, _)| way_in),
        asks_in_vain: model.is_some_and(|(_, asks_in_vain)| asks_in_vain),
    }
}

/// The way in of somebody who has a password and a key that works, and whether
/// the password is asked for in vain.
fn model(service: &Service, grounds: &Grounds<'_>) -> Option<(WayIn, bool)> {
    let covered = service.ours().any(|line| {
        grounds.folders.find(line).is_ok()
            && ours::policy(grounds.config, &service.name, line.arguments())
                .is_ok_and(|policy| policy.covered)
    });
    let mut person = grounds.people.first()?.clone();
    person.password = Password::Set;
    let passage = Passage::new(&service.stack, &person, grounds.folders, |_| Ours::Asks);
    covered.then(|| {
        let way_in = passage.verdict().way_in;
        let in_vain = way_in == WayIn::Key && passage.asks_for_a_password_in_vain();
        (way_in, in_vain)
    })
}

/// What the verdicts of one service say.
fn about_verdicts(judged: &Judged<'_>, findings: &mut Vec<Finding>) {
    let service = &judged.service.name;
    let shown_service = printable(service);
    let with = |way_in: WayIn| {
        let these = judged.verdicts.iter();
        these
            .filter(move |(_, verdict)| verdict.way_in == way_in)
            .collect::<Vec<_>>()
    };
    let open = with(WayIn::NothingNeeded);
    if let Some((_, verdict)) = open.first() {
        let what = format!(
            "{shown_service} lets in {}: {}",
            names(&open),
            verdict.because
        );
        let how = format!(
            "keep a root shell open, and look into {} for a line that succeeds by itself, \
             as pam_permit.so does",
            place(judged.service)
        );
        findings.push(Finding::new(Id::NothingNeeded, what, how));
    }
    let enrolled_get_in = judged
        .model
        .is_some_and(|way_in| !matches!(way_in, WayIn::LockedOut | WayIn::Unclear));
    let (unenrolled, out): (Vec<_>, Vec<_>) = with(WayIn::LockedOut)
        .into_iter()
        // Accounts that nobody is to log in to are not locked out.
        .filter(|(person, _)| !person.has_nothing())
        .partition(|(_, verdict)| {
            verdict.without_asking == Some(Code::USER_UNKNOWN) && enrolled_get_in
        });
    if let Some((person, _)) = unenrolled.first() {
        let what = format!("{shown_service} does not let in {}", names(&unenrolled));
        let how = format!(
            "from a root shell: passkey enroll --user {}",
            quoted_if_need_be(person.account.name.as_str())
        );
        findings.push(Finding::new(Id::NotEnrolled, what, how));
    }
    if let Some((_, verdict)) = out.first() {
        let what = format!(
            "{shown_service} does not let in {}: {}",
            names(&out),
            verdict.because
        );
        let how = how_to_unlock(judged.service, verdict);
        findings.push(Finding::new(Id::LockedOut, what, how));
    }
    let unclear = with(WayIn::Unclear);
    if let Some((_, verdict)) = unclear.first() {
        let what = format!(
            "{shown_service}, for {}: {}",
            names(&unclear),
            verdict.because
        );
        let how = "try it, with a root shell open, in another terminal";
        findings.push(Finding::new(Id::Unclear, what, how));
    }
    let passed_by: Vec<_> = with(WayIn::Password)
        .into_iter()
        .filter(|(_, verdict)| verdict.without_asking == Some(Code::IGNORE))
        .collect();
    if judged.model == Some(WayIn::Both) && !passed_by.is_empty() {
        let what = format!(
            "{shown_service} wants a password and a key, but of {} the password alone: \
             when_not_enrolled = \"ignore\"",
            names(&passed_by)
        );
        let how = "once everybody has a key, set when_not_enrolled = \"refuse\" \
                   in /etc/pam-passkey/config.toml";
        findings.push(Finding::new(Id::SecondFactorHole, what, how));
    }
    if judged.asks_in_vain {
        let what = format!("{shown_service} asks for a password that lets nobody in");
        let how = format!(
            "in {} write default=ignore into the brackets of our line to let the password in, \
             or default=die to ask for none",
            place(judged.service)
        );
        findings.push(Finding::new(Id::PasswordInVain, what, how));
    }
    if judged.model == Some(WayIn::Password) {
        let what = format!("the key changes nothing in {shown_service}");
        let how = format!(
            "in {} begin the line with: auth [success=done abort=die default=ignore]; \
             and put it in front of the password's",
            place(judged.service)
        );
        findings.push(Finding::new(Id::KeyChangesNothing, what, how));
    }
}

fn how_to_unlock(service: &Service, verdict: &Verdict) -> String {
    let name = printable(&service.name);
    match verdict.without_asking {
        Some(Code::AUTHINFO_UNAVAIL) => format!(
            "keep a root shell open; let our line be ignored where it fails \
             ([success=done abort=die default=ignore]), or write [service.{name}] into \
             /etc/pam-passkey/config.toml"
        ),
        Some(Code::SERVICE_ERR) => "keep a root shell open, and mend what is named here".to_owned(),
        _ if service.stack.file.is_none() => format!(
            "there is no /etc/pam.d/{name}, so /etc/pam.d/other counts: look whether the name is right"
        ),
        _ => format!(
            "keep a root shell open, and look into {}; what a line is for is in pam.d(5)",
            place(service)
        ),
    }
}

fn place(service: &Service) -> String {
    match service.ours().next() {
        Some(line) => shown(&line.place.file),
        None => match &service.stack.file {
            Some(file) => shown(file),
            None => "/etc/pam.d/other".to_owned(),
        },
    }
}

fn names(people: &[&(&Person, Verdict)]) -> String {
    list(
        people
            .iter()
            .map(|(person, _)| person.account.name.as_str()),
    )
}

/// "alice, bob and 3 more".
pub(super) fn list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 4;
    let names: Vec<String> = names.map(printable).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [all @ .., last] if all.len() < SHOWN => format!("{} and {last}", all.join(", ")),
        all => {
            let shown: Vec<String> = all.iter().take(SHOWN).cloned().collect();
            let more = all.len().saturating_sub(SHOWN);
            format!("{} and {more} more", shown.join(", "))
        }
    }
}

/// What all services together say of each person.
fn about_people(judged: &[Judged<'_>], grounds: &Grounds<'_>, findings: &mut Vec<Finding>) {
    for person in grounds.people {
        let name = &person.account.name;
        let verdicts = judged.iter().flat_map(|it| {
            let these = it.verdicts.iter();
            these
                .filter(|(whose, _)| whose.account == person.account)
                .map(|(_, verdict)| (it.service, verdict))
        });
        let (mut needed, mut touched) = (Vec::new(), Vec::new());
        let mut refused: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (service, verdict) in verdicts {
            if matches!(verdict.way_in, WayIn::Key | WayIn::Both) {
                needed.push(service.name.as_str());
            }
            let policies = service.ours().filter_map(|line| {
                ours::policy(grounds.config, &service.name, line.arguments()).ok()
            });
            for policy in policies.filter(|policy| policy.covered) {
                let keys = || {
                    person
                        .keys
                        .iter()
                        .flatten()
                        .flat_map(CredentialFile::credentials)
                };
                if keys().next().is_some()
                    && keys().all(|key| ours::wants_more_than_a_touch(key, &policy))
                {
                    touched.push(service.name.as_str());
                }
                for key in keys().filter(|key| ours::is_refused_as_synced(key, &policy)) {
                    refused
                        .entry(key.name.as_str())
                        .or_default()
                        .push(&service.name);
                }
            }
        }
        let enroll = format!(
            "from a root shell: passkey enroll --user {}",
            quoted_if_need_be(name.as_str())
        );
        if person.usable_keys() == 1 && !needed.is_empty() {
            let services = list(needed.into_iter());
            let what = format!("{name} has one key, and needs it for {services}");
            findings.push(Finding::new(Id::OneKeyOnly, what, &*enroll));
        }
        if !touched.is_empty() {
            touched.dedup();
            let services = list(touched.into_iter());
            let what = format!(
                "every key of {name} was enrolled for a touch alone, and {services} wants more"
            );
            let how = format!(
                "give the key a PIN, or set user_verification = \"discouraged\" for the service; or {enroll}"
            );
            findings.push(Finding::new(Id::TouchOnly, what, how));
        }
        for (key, mut services) in refused {
            services.dedup();
            let what = format!(
                "\"{key}\" of {name} is synced, and is refused for {}",
                list(services.into_iter())
            );
            let how = format!("enrol a key that stays in one device; {enroll}");
            findings.push(Finding::new(Id::SyncedRefused, what, how));
        }
    }
    root(judged, grounds, findings);
}

/// Whether root can still log in by itself.
fn root(judged: &[Judged<'_>], grounds: &Grounds<'_>, findings: &mut Vec<Finding>) {
    let root = grounds.people.iter().find(|person| person.account.uid == 0);
    let Some(root) = root.filter(|root| root.has_nothing()) else {
        return;
    };
    let mut ways = judged
        .iter()
        .filter(|it| FOR_ROOT.contains(&it.service.name.as_str()))
        .flat_map(|it| &it.verdicts)
        .filter(|(person, _)| person.account == root.account)
        .peekable();
    if ways.peek().is_some() && ways.all(|(_, verdict)| verdict.way_in == WayIn::LockedOut) {
        findings.push(Finding::new(
            Id::RootLockedOut,
            "root has neither a password nor a key",
            "where that is not meant, in a root shell: passwd, or: passkey enroll --user root",
        ));
    }
}

/// Services that reach our line, and are none of ours.
fn not_covered(judged: &[Judged<'_>], grounds: &Grounds<'_>, findings: &mut Vec<Finding>) {
    let Ok(config) = grounds.config else { return };
    let reached = judged.iter().filter(|it| it.service.stack.names_us);
    let aside = reached.filter(|it| !config.for_service(&it.service.name).covered);
    let (switched_off, uncovered): (Vec<_>, Vec<_>) = aside
        .map(|it| it.service.name.as_str())
        .partition(|name| config.services().any(|table| table == *name));
    for service in switched_off.into_iter().map(printable) {
        let what = format!("[service.{service}] says \"enabled = false\"");
        let how = format!("take it out of config.toml, or our line out of the stack of {service}");
        findings.push(Finding::new(Id::ServiceDisabled, what, how));
    }
    if !uncovered.is_empty() {
        let what = format!(
            "our line is reached by {}, where no key is asked for",
            list(uncovered.into_iter())
        );
        let how = "where a person sits at one of them, write [service.NAME] into \
                   /etc/pam-passkey/config.toml";
        findings.push(Finding::new(Id::NotCovered, what, how));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_listed_as_people_do() {
        let of = |text: &str| list(text.split_whitespace());
        assert_eq!(of("a"), "a");
        assert_eq!(of("a b"), "a and b");
        assert_eq!(of("a b c d"), "a, b, c and d");
        assert_eq!(of("a b c d e f"), "a, b, c, d and 2 more");
        assert_eq!(of(""), "");
    }
}

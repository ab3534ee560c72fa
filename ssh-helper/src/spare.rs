//! The second key, offered while the first is at hand: a lost key is
//! survivable only for who has another.
#![forbid(unsafe_code)]

use ceremony::credential::CredentialName;

use crate::cli;
use crate::enroll::Enrolled;
use crate::key_name;
use crate::screen::Screen;
use crate::terminal;

/// What a spare key is called where its owner names their keys.
const SPARE: &str = "spare key";

/// Offers to enrol a spare key after an account's first one; the enrolment to
/// run, where somebody says yes.
pub(crate) fn offer(
    wanted: &cli::Enroll,
    enrolled: &Enrolled,
    screen: &mut Screen,
) -> Option<cli::Enroll> {
    if wanted.no_spare || enrolled.number != 1 {
        return None;
    }
    let spare = wanted.but(|it| it.name = name(wanted, &enrolled.credential.name));
    let user = &enrolled.user;
    let again = enrolled.root.command(&spare.words(), &enrolled.account);
    screen.say(&format!(
        "That is the only key of {user}. Lost or broken, it lets nobody in: a second one, kept \
         elsewhere, does."
    ));
    if !screen.is_for_a_person() || !terminal::somebody_is_there() {
        screen.say(&format!(
            "Enrol it soon, while this one can vouch for it: {again}"
        ));
        return None;
    }
    let answer = terminal::answer("Enrol a second key now? [y/N] ", screen);
    if answer.is_some_and(|line| terminal::is_yes(&line)) {
        return Some(spare);
    }
    screen.say(&format!("Later, with this one plugged in: {again}"));
    None
}

/// Who names their first key gets a second one that says what it is; who does
/// not, gets the product's name for both.
fn name(wanted: &cli::Enroll, first: &str) -> Option<CredentialName> {
    wanted.name.as_ref()?;
    let first = CredentialName::parse(first).ok()?;
    key_name::unique(SPARE, &[&first])
}

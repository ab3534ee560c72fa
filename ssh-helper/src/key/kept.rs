//! What a key keeps and has an id for: meant by the beginning of that id, and
//! removed after a word.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use super::asking::with_pin;
use super::chosen::Chosen;
use super::not_done::NotDone;
use super::typed_pin::TypedPin;
use super::worker::{self, Work};
use crate::failure::Failure;
use crate::screen::Screen;
use crate::terminal;

/// How much of an id is shown in a table, where that tells them apart. It can be
/// typed as it stands there.
const SHOWN_ID: usize = 16;

/// A credential that a key keeps, of one sort or another.
pub(crate) trait Kept: Sized {
    /// What these are called: "credential".
    const WHAT: &'static str;

    /// The command that lists them.
    const LIST: &'static str;

    /// All of them that the key keeps.
    fn all(chosen: &Chosen, pin: &TypedPin, screen: &mut Screen) -> Result<Vec<Self>, NotDone>;

    /// Its id in hexadecimal.
    fn id(&self) -> &str;

    /// What is lost with it, for whom, and its id.
    fn described(&self) -> String;
}

/// The key, where it can list what it keeps; `otherwise` is what to do where it
/// cannot.
pub(crate) fn listing<K: Kept>(chosen: Chosen, otherwise: &str) -> Result<Chosen, Failure> {
    if can_list(&chosen) {
        return Ok(chosen);
    }
    Err(Failure::new(
        format!("{} cannot list the {}s that it keeps", chosen.key, K::WHAT),
        otherwise,
    ))
}

/// Whether the key can list what it keeps.
pub(crate) fn can_list(chosen: &Chosen) -> bool {
    ["credMgmt", "credentialMgmtPreview"]
        .into_iter()
        .any(|name| chosen.described.option(name) == Some(true))
}

/// Removes the one whose id begins so, after a word; returns what is gone.
pub(crate) fn remove<K: Kept>(
    beginning: &str,
    chosen: &Chosen,
    screen: &mut Screen,
) -> Result<K, Failure> {
    with_pin(chosen, screen, |pin, screen| {
        let kept = match only(beginning, K::all(chosen, pin, screen)?, chosen) {
            Ok(kept) => kept,
            Err(failure) => return Ok(Err(failure)),
        };
        screen.say(&format!("This is lost: {}.", kept.described()));
        if !terminal::typed_word("remove", "to remove it for good", screen) {
            return Ok(Err(Failure::new(
                format!("nothing was removed from {}", chosen.key),
                format!("if you want it gone, run again: {}", chosen.again),
            )));
        }
        let work = Work::RemoveCredential {
            pin: pin.clone(),
            id: kept.id().to_owned(),
        };
        worker::run(chosen, work, screen, |_, _| {})?;
        Ok(Ok(kept))
    })?
}

/// The one whose id begins so.
pub(crate) fn only<K: Kept>(beginning: &str, all: Vec<K>, chosen: &Chosen) -> Result<K, Failure> {
    let found = all
        .into_iter()
        .filter(|kept| kept.id().starts_with(beginning));
    let mut found: Vec<K> = found.collect();
    match (found.pop(), found.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(Failure::new(
            format!(
                "{} keeps no {} whose id begins with {beginning}",
                chosen.key,
                K::WHAT
            ),
            format!("see those it keeps with: {}", K::LIST),
        )),
        (Some(_), others) => Err(Failure::new(
            format!(
                "{} {}s on {} have ids that begin with {beginning}",
                others + 1,
                K::WHAT,
                chosen.key
            ),
            format!("type more of the id; see them with: {}", K::LIST),
        )),
    }
}

/// As much of these ids as tells them apart.
pub(crate) fn short<'i>(ids: &[&'i str]) -> Vec<&'i str> {
    let length = telling_length(ids);
    ids.iter()
        .map(|id| id.get(..length).unwrap_or(id))
        .collect()
}

fn telling_length(ids: &[&str]) -> usize {
    let longest = ids.iter().map(|id| id.len()).max().unwrap_or(0);
    let tells = |length: &usize| {
        let shown = ids.iter().map(|id| id.get(..*length).unwrap_or(id));
        shown.collect::<BTreeSet<_>>().len() == ids.len()
    };
    (SHOWN_ID..longest).find(tells).unwrap_or(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_much_of_an_id_is_shown_as_tells_it_from_the_others() {
        let (one, two) = (
            "0".repeat(40),
            format!("{}1{}", "0".repeat(20), "0".repeat(19)),
        );
        assert_eq!(telling_length(&[&one]), SHOWN_ID);
        assert_eq!(telling_length(&[&one, &two]), 21);
        assert_eq!(telling_length(&["0a", "0b"]), 2);
        assert_eq!(telling_length(&[]), 0);
        assert_eq!(short(&[&one, "0a"]), [&one[..SHOWN_ID], "0a"]);
    }
}

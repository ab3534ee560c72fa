//! The models that are accepted: a file with an AAGUID a line.
#![forbid(unsafe_code)]

use std::path::Path;

use ceremony::credential::{Aaguid, printable};

use super::given::{read, shown};
use crate::failure::Failure;

/// The longest list, in bytes: some twenty thousand models.
const LARGEST: usize = 1024 * 1024;

/// What to type instead.
const A_LIST: &str = "write an AAGUID a line, as passkey key info shows it; lines that begin \
                      with # are passed over";

/// The AAGUIDs in the list.
#[derive(Debug)]
pub(super) struct Models(Vec<Aaguid>);

impl Models {
    /// Reads a list.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = read(path, LARGEST, A_LIST)?;
        Self::parse(&String::from_utf8_lossy(&text))
            .map_err(|problem| Failure::new(format!("{}{problem}", shown(path)), A_LIST))
    }

    /// Takes a list, or says what follows the name of its file. A line that is
    /// not understood may have been meant to be one, so it is not passed over.
    fn parse(text: &str) -> Result<Self, String> {
        let mut models = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let aaguid = Aaguid::parse(line).ok_or_else(|| {
                let line = printable(line, 64);
                format!(":{number}: \"{line}\" is not an AAGUID")
            })?;
            models.push(aaguid);
        }
        if models.is_empty() {
            return Err(" has no AAGUID in it".to_owned());
        }
        Ok(Self(models))
    }

    /// Whether this one is among them.
    pub(super) fn accept(&self, aaguid: Aaguid) -> bool {
        self.0.contains(&aaguid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "cb69481e-8ff7-4039-93ec-0a2729a154a8";

    #[test]
    fn a_list_has_an_aaguid_a_line_and_remarks() {
        let list = format!("# YubiKey 5\n\n  {}\r\n", ONE.to_uppercase());
        let models = Models::parse(&list).unwrap();
        assert!(models.accept(Aaguid::parse(ONE).unwrap()));
        assert!(!models.accept(Aaguid::default()));
    }

    #[test]
    fn a_line_that_is_not_understood_is_named_and_an_empty_list_refused() {
        for (list, why) in [
            (
                format!("{ONE}\n{ONE} YubiKey"),
                ":2: \"cb69481e-8ff7-4039-93ec-0a2729a154a8 YubiKey\" is not an AAGUID",
            ),
            ("YubiKey".to_owned(), ":1: \"YubiKey\" is not an AAGUID"),
            (String::new(), " has no AAGUID in it"),
            ("# nothing\n".to_owned(), " has no AAGUID in it"),
        ] {
            assert_eq!(Models::parse(&list).unwrap_err(), why);
        }
    }
}

//! What a guest could leave behind in its host, seen before and after.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// How the host found itself before the first `pam_start` and after the last `pam_end`: for each
/// thing that it has only one of, what was seen then. A guest leaves no trace: both are the same.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub struct Footprint(pub BTreeMap<String, [Vec<String>; 2]>);

impl Footprint {
    /// Whether all is as it was.
    pub fn is_clean(&self) -> bool {
        self.changes().is_empty()
    }

    /// What is not as it was: `descriptors: gone "", come "4 /dev/null 02"`.
    pub fn changes(&self) -> Vec<String> {
        let missing = |from: &[String], these: &[String]| {
            let missing = from.iter().filter(|line| !these.contains(line));
            missing.cloned().collect::<Vec<_>>().join(" ")
        };
        self.0
            .iter()
            .filter(|(_, [before, after])| before != after)
            .map(|(what, [before, after])| {
                let gone = missing(before, after);
                let come = missing(after, before);
                format!("{what}: gone {gone:?}, come {come:?}")
            })
            .collect()
    }

    /// What was looked at.
    pub fn things(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

/// What has changed alone: all of it fills pages.
impl fmt::Debug for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.changes()).finish()
    }
}

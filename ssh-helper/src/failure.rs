//! A failure as the person sees it: what happened, and what to type.
#![forbid(unsafe_code)]

use std::fmt;

/// Why a command did not do what it was asked. Always a pair: a sentence that
/// only says what went wrong leaves its reader alone.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    happened: String,
    what_to_do: String,
}

impl Failure {
    /// The pair of sentences.
    pub(crate) fn new(happened: impl Into<String>, what_to_do: impl Into<String>) -> Self {
        Self {
            happened: happened.into(),
            what_to_do: what_to_do.into(),
        }
    }

    /// What happened, and what to type; where it is one of several that are told
    /// as a result.
    pub(crate) fn into_sentences(self) -> (String, String) {
        (self.happened, self.what_to_do)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "passkey: {}\n  {}", self.happened, self.what_to_do)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_happened_and_what_to_do() {
        let failure = Failure::new(
            "no security key found",
            "plug in \"blue key\" and try again",
        );
        assert_eq!(
            failure.to_string(),
            "passkey: no security key found\n  plug in \"blue key\" and try again"
        );
    }
}

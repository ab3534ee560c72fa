//! What a command has done to a key, for a person or a program.
#![forbid(unsafe_code)]

use ceremony::authenticator::hidraw::FoundKey;
use ceremony::credential::printable;
use serde::Serialize;

use crate::ink::Ink;
use crate::screen::Report;

/// The key that was meant.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Which {
    pub(crate) node: String,
    pub(crate) product: String,
}

impl Which {
    pub(crate) fn of(key: &FoundKey) -> Self {
        Self {
            node: printable(&key.node.display().to_string(), 64),
            product: key.product.clone(),
        }
    }
}

/// It was done.
#[derive(Debug, Serialize)]
pub(crate) struct Done {
    key: Which,
    /// In a word that a program can compare.
    #[serde(rename = "done")]
    word: &'static str,
    /// The same as a sentence, and what comes next.
    #[serde(skip)]
    sentences: Vec<String>,
}

impl Done {
    /// `word` was done with `key`; `sentences` say so to a person.
    pub(crate) fn new<const N: usize>(
        key: &FoundKey,
        word: &'static str,
        sentences: [String; N],
    ) -> Self {
        Self {
            key: Which::of(key),
            word,
            sentences: sentences.into(),
        }
    }
}

impl Report for Done {
    fn lines(&self, _: Ink) -> Vec<String> {
        self.sentences.clone()
    }
}

//! A sentence for a person: English with places in it, and what stands there.
//!
//! This library speaks English, and so does every log. Whoever speaks to a
//! person may know the English words, before anything was put into them, in
//! another language.
#![forbid(unsafe_code)]

use std::fmt;

/// What is said, whole: no language is made by gluing another one's halves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sentence {
    english: &'static str,
    values: Vec<(&'static str, Value)>,
}

/// What stands in one place of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A name or a number, the same in every language.
    Text(String),
    /// Words that are translated themselves.
    Sentence(Sentence),
}

/// What can be said in a sentence.
pub trait Spoken {
    /// The sentence.
    fn sentence(&self) -> Sentence;
}

/// `sentence!("Touch {key} ({seconds} s).", key, seconds = 30)`: each place has
/// a value and each value a place, or it does not compile.
#[macro_export]
macro_rules! sentence {
    (@value $name:ident) => { $name };
    (@value $name:ident $value:expr) => { $value };
    ($english:literal $(, $name:ident $(= $value:expr)?)* $(,)?) => {
        $crate::sentence::Sentence::new(
            const {
                // Never run. In a constant it can take no variable that happens
                // to have the name of a place.
                let _ = || {
                    let _ = ::std::format_args!($english $(, $name = "")*);
                };
                $english
            },
            ::std::vec![$((
                ::std::stringify!($name),
                $crate::sentence::Value::from($crate::sentence!(@value $name $($value)?)),
            )),*],
        )
    };
}

impl Sentence {
    /// `english`, and a value for each of its places: see [`sentence!`](crate::sentence!).
    pub fn new(english: &'static str, values: Vec<(&'static str, Value)>) -> Self {
        Self { english, values }
    }

    /// Words without places, that are somewhere in the sources a literal.
    pub fn plain(english: &'static str) -> Self {
        Self::new(english, Vec::new())
    }

    /// Somebody else's words, which nobody here can translate.
    pub fn foreign(words: String) -> Self {
        Self::new("{words}", vec![("words", Value::Text(words))])
    }

    /// The sentence in the language of `translated`, which is given English
    /// words with their places and gives back others with the same places.
    ///
    /// What stands in a place is put there once and not looked at again: a name
    /// like `{user}` stays what it is.
    pub fn told(&self, translated: &dyn Fn(&'static str) -> &'static str) -> String {
        let mut told = String::new();
        let mut rest = translated(self.english);
        while let Some((before, from_place)) = rest.split_once('{')
            && let Some((place, after)) = from_place.split_once('}')
        {
            told.push_str(before);
            match self.values.iter().find(|(name, _)| *name == place) {
                Some((_, Value::Text(text))) => told.push_str(text),
                Some((_, Value::Sentence(inner))) => told.push_str(&inner.told(translated)),
                None => {}
            }
            rest = after;
        }
        told.push_str(rest);
        told
    }
}

impl fmt::Display for Sentence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(&|english| english))
    }
}

impl<T: Spoken> From<&T> for Value {
    fn from(spoken: &T) -> Self {
        Self::Sentence(spoken.sentence())
    }
}

impl From<Sentence> for Value {
    fn from(sentence: Sentence) -> Self {
        Self::Sentence(sentence)
    }
}

impl From<&Sentence> for Value {
    fn from(sentence: &Sentence) -> Self {
        Self::Sentence(sentence.clone())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

macro_rules! texts {
    ($($shown:ty)*) => {
        $(impl From<$shown> for Value {
            fn from(shown: $shown) -> Self {
                Self::Text(shown.to_string())
            }
        })*
    };
}

texts! { u8 u32 u128 usize &u8 &usize &String }

#[cfg(test)]
mod tests {
    use super::*;

    fn german(english: &'static str) -> &'static str {
        match english {
            "{one} before {two}" => "{two} nach {one}",
            "a key" => "ein Schlüssel",
            other => other,
        }
    }

    #[test]
    fn a_sentence_is_english_and_may_be_told_in_other_words() {
        let sentence = sentence!("{one} before {two}", one = 1_u8, two = sentence!("a key"));
        assert_eq!(sentence.to_string(), "1 before a key");
        assert_eq!(sentence.told(&german), "ein Schlüssel nach 1");
    }

    #[test]
    fn what_stands_in_a_place_is_not_looked_at_again() {
        let one = "{two}{";
        let sentence = sentence!("{one} before {two}", one, two = "{one}}");
        assert_eq!(sentence.to_string(), "{two}{ before {one}}");
        assert_eq!(sentence.told(&german), "{one}} nach {two}{");
    }

    #[test]
    fn foreign_words_are_not_translated() {
        let words = Sentence::foreign("a key".to_owned());
        assert_eq!(words.told(&german), "a key");
    }
}

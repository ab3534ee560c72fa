//! TOML as we read it from a trusted file: every key known, every fault with
//! its line, and nothing of the file quoted but the names of keys.
#![forbid(unsafe_code)]

use toml::de::{DeTable, DeValue};

use crate::credential::printable;

/// A text that is not TOML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotToml {
    /// The line, counted from 1.
    pub line: usize,
    /// What the parser expected. Never contains bytes of the text, except a
    /// key's name.
    pub reason: String,
}

/// Reads `text` as a TOML document.
pub fn parse(text: &str) -> Result<DeTable<'_>, NotToml> {
    DeTable::parse(text)
        .map(toml::Spanned::into_inner)
        .map_err(|problem| {
            // The error's Display would quote the line; its message does not.
            let span = problem.span().unwrap_or_default();
            let reason = match text.get(span.clone()) {
                Some(key) if problem.message() == "duplicate key" => {
                    format!("key {} is set twice", quoted(key))
                }
                _ => format!("not TOML: {}", problem.message()),
            };
            NotToml {
                line: Lines::of(text).at(span.start),
                reason,
            }
        })
}

/// The lines of a text, counted once: what asks for the line of every key must
/// not read the text as often as it has keys.
pub struct Lines {
    /// Where each of them ends, but for the last.
    ends: Vec<usize>,
}

impl Lines {
    /// Those of `text`.
    pub fn of(text: &str) -> Self {
        Self {
            ends: text.match_indices('\n').map(|(end, _)| end).collect(),
        }
    }

    /// The line of that byte, counted from 1.
    fn at(&self, offset: usize) -> usize {
        self.ends.partition_point(|end| *end < offset) + 1
    }
}

/// One key of a table, and what it is set to.
pub struct Entry<'t> {
    /// Its name.
    pub key: &'t str,
    /// What it is set to.
    pub value: &'t DeValue<'t>,
    /// The key's line, counted from 1.
    pub line: usize,
}

/// The keys of `table` in the order of the text, whose `lines` these are, so
/// that the first fault reported is the first one in the file.
pub fn entries<'t>(table: &'t DeTable<'t>, lines: &Lines) -> Vec<Entry<'t>> {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref(),
            value: value.get_ref(),
            line: lines.at(key.span().start),
        })
        .collect();
    entries.sort_by_key(|entry| entry.line);
    entries
}

/// What a value is, as a person would say it.
pub fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a decimal number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// The value as a number, where it is one that fits.
pub fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// The key's name between quotes, fit to be shown.
pub fn quoted(key: &str) -> String {
    format!("\"{}\"", printable(key, 64))
}

/// `; did you mean "..."?` where one of `known` is near.
pub fn did_you_mean(word: &str, known: &[&str]) -> String {
    // Beyond this nothing is near, and comparing takes time.
    if word.len() > 64 {
        return String::new();
    }
    known
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(word, known), known))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| format!("; did you mean \"{known}\"?"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_has_its_line() {
        for (text, line) in [
            ("x", 1),
            ("a = 1\n\nb = \n", 3),
            ("a = 1\nb = 2\na = 3\n", 3),
            ("[a]\n[b]\n[a]\n", 3),
            ("a = 1979-13-45\n", 1),
            ("a = \"x", 1),
        ] {
            assert_eq!(parse(text).unwrap_err().line, line, "{text:?}");
        }
    }

    #[test]
    fn a_fault_quotes_nothing_but_the_name_of_a_key() {
        for text in [
            "hunter2",
            "a = hunter2",
            "a = \"hunter2",
            "a = \"hunter2\" hunter2",
            "a = 1\na.hunter2 = 1",
            "[hunter2",
            "a = hunter2\u{1b}[2J",
            "a = 2026-99-99hunter2",
        ] {
            let reason = parse(text).unwrap_err().reason;
            assert!(!reason.contains("hunter2"), "{reason}");
            assert!(!reason.contains('\u{1b}'), "{reason}");
        }
        assert_eq!(
            parse("a = 1\na = 2").unwrap_err().reason,
            "key \"a\" is set twice"
        );
        // printable() has the last word on a key's name.
        assert_eq!(quoted("a\u{1b}[2J\n"), "\"a?[2J\"");
    }

    #[test]
    fn nesting_does_not_exhaust_the_stack() {
        for text in [
            format!("a = {}", "[".repeat(60_000)),
            format!("a = {}", "{a=".repeat(20_000)),
            format!("a{} = 1", ".a".repeat(30_000)),
            format!("[a{}]", ".a".repeat(30_000)),
        ] {
            assert!(parse(&text).is_err());
        }
    }

    #[test]
    fn keys_come_in_the_order_of_the_file() {
        let text = "z = 1\ny = 2\na = 3\n";
        let table = parse(text).unwrap();
        let keys: Vec<_> = entries(&table, &Lines::of(text))
            .iter()
            .map(|entry| (entry.key.to_owned(), entry.line))
            .collect();
        assert_eq!(
            keys,
            [
                ("z".to_owned(), 1),
                ("y".to_owned(), 2),
                ("a".to_owned(), 3)
            ]
        );
    }

    #[test]
    fn a_text_is_not_read_once_for_every_key() {
        // As long as a credential file may be, and nothing but keys.
        let keys: Vec<String> = (0..30_000).map(|n| format!("k{n:04x}=1\n")).collect();
        let text = keys.concat();
        let table = parse(&text).unwrap();
        let began = std::time::Instant::now();
        let entries = entries(&table, &Lines::of(&text));
        assert_eq!(entries.last().map(|entry| entry.line), Some(30_000));
        assert!(began.elapsed() < std::time::Duration::from_secs(10));
    }

    #[test]
    fn what_is_near_is_suggested_and_what_is_far_is_not() {
        let known = ["user_verification", "timeout"];
        assert_eq!(
            did_you_mean("user_verfication", &known),
            "; did you mean \"user_verification\"?"
        );
        assert_eq!(
            did_you_mean("time-out", &known),
            "; did you mean \"timeout\"?"
        );
        assert_eq!(did_you_mean("colour", &known), "");
        assert_eq!(did_you_mean(&"user_verification".repeat(4), &known), "");
    }
}

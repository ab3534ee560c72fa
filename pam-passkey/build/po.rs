//! Reads gettext's PO files, as far as ours need it. What it does not know is
//! an error: half a sentence would be shown to somebody who is to touch a key.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

/// English sentences, and what each is called in the file's language.
pub(crate) type Sentences = BTreeMap<String, String>;

/// The sentences of a PO file that have a translation, or, of a template, all of
/// them without. One that is marked as fuzzy has none.
pub(crate) fn parse(text: &str) -> Result<Sentences, String> {
    let mut reader = Reader::default();
    for (number, line) in (1..).zip(text.lines()) {
        let read = reader.line(line);
        read.map_err(|problem| format!("line {number}: {problem}"))?;
    }
    reader.end_entry()?;
    // The header stands where the empty text's translation would.
    let header = reader.sentences.remove("").unwrap_or_default();
    if header.contains("Content-Type: text/plain; charset=UTF-8\n") {
        Ok(reader.sentences)
    } else {
        Err("the header does not say that the charset is UTF-8".to_owned())
    }
}

/// Why `translated` cannot stand for `english`: it has other places, or
/// something to move a cursor with.
pub(crate) fn misfit(english: &str, translated: &str) -> Option<String> {
    let wrong = |why: &str| Some(format!("{why} in {translated:?}, for {english:?}"));
    if places(english) != places(translated) {
        return wrong("other places");
    }
    let lines = |text: &str| text.matches('\n').count();
    let controls = |text: &str| text.chars().filter(|c| c.is_control()).count();
    if lines(english) != lines(translated) || lines(translated) != controls(translated) {
        return wrong("other lines");
    }
    None
}

/// The names in braces, sorted; a stray brace is a strange name.
fn places(text: &str) -> Vec<&str> {
    let mut places: Vec<&str> = text
        .split('{')
        .skip(1)
        .map(|rest| rest.split_once('}').map_or("{", |(name, _)| name))
        .collect();
    places.extend(text.matches('}').skip(places.len()));
    places.sort_unstable();
    places
}

/// Which text the next line in quotes belongs to.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Nothing,
    English,
    Translated,
}

#[derive(Default)]
struct Reader {
    sentences: Sentences,
    part: Part,
    english: String,
    translated: String,
    fuzzy: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        if line.is_empty() || line.starts_with('#') {
            self.end_entry()?;
            let flags = line.strip_prefix("#,").unwrap_or_default();
            self.fuzzy |= flags.split(',').any(|flag| flag.trim() == "fuzzy");
        } else if let Some(quoted) = line.strip_prefix("msgid ") {
            self.end_entry()?;
            self.part = Part::English;
            self.english = unquoted(quoted)?;
        } else if let Some(quoted) = line.strip_prefix("msgstr ") {
            if self.part != Part::English {
                return Err("a msgstr without its msgid".to_owned());
            }
            self.part = Part::Translated;
            self.translated = unquoted(quoted)?;
        } else {
            match self.part {
                Part::English => self.english += &unquoted(line)?,
                Part::Translated => self.translated += &unquoted(line)?,
                Part::Nothing => return Err("neither msgid nor msgstr".to_owned()),
            }
        }
        Ok(())
    }

    fn end_entry(&mut self) -> Result<(), String> {
        match self.part {
            Part::Nothing => return Ok(()),
            Part::English => return Err("a msgid without its msgstr".to_owned()),
            Part::Translated => self.part = Part::Nothing,
        }
        let english = std::mem::take(&mut self.english);
        let translated = std::mem::take(&mut self.translated);
        // A header marked as fuzzy is one nevertheless.
        let fuzzy = std::mem::take(&mut self.fuzzy) && !english.is_empty();
        let translated = if fuzzy { String::new() } else { translated };
        match self.sentences.insert(english, translated) {
            None => Ok(()),
            Some(_) => Err("the entry above stands there twice".to_owned()),
        }
    }
}

/// What stands between quotes, which is all there may be.
fn unquoted(text: &str) -> Result<String, String> {
    let wrong = || format!("no text between quotes: {text}");
    let inside = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let mut read = String::new();
    let mut chars = inside.ok_or_else(wrong)?.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return Err(wrong()),
            '\\' => match chars.next() {
                Some('n') => read.push('\n'),
                Some(c @ ('"' | '\\')) => read.push(c),
                _ => return Err(wrong()),
            },
            c => read.push(c),
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "msgid \"\"\nmsgstr \"\"\n\
         \"Content-Type: text/plain; charset=UTF-8\\n\"\n\n";

    fn parsed(entries: &str) -> Result<Sentences, String> {
        parse(&format!("{HEADER}{entries}"))
    }

    #[test]
    fn a_sentence_may_have_several_lines_quotes_and_comments() {
        let read = parsed(
            "# said\n#: file.rs\n#, python-brace-format\nmsgid \"\"\n\"a \\\"{b}\\\"\\n\"\n\"c\"\n\
             msgstr \"ä „{b}“\\n\"\n\"ç\"\nmsgid \"d\"\nmsgstr \"\"\n",
        );
        let read = read.unwrap();
        assert_eq!(read["a \"{b}\"\nc"], "ä „{b}“\nç");
        assert_eq!(read["d"], "");
        assert_eq!(read.len(), 2);
    }

    #[test]
    fn a_fuzzy_translation_is_none() {
        let read =
            parsed("#, fuzzy, c-format\nmsgid \"a\"\nmsgstr \"b\"\n\nmsgid \"c\"\nmsgstr \"d\"\n");
        let read = read.unwrap();
        assert_eq!((&*read["a"], &*read["c"]), ("", "d"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in [
            "msgctxt \"x\"\nmsgid \"a\"\nmsgstr \"b\"\n",
            "msgid \"a\"\nmsgid_plural \"b\"\nmsgstr[0] \"c\"\n",
            "msgid \"a\"\n",
            "msgid \"a\"\n\nmsgstr \"b\"\n",
            "msgstr \"a\"\n",
            "\"a\"\n",
            "msgid a\nmsgstr b\n",
            "msgid \"a\nmsgstr \"b\"\n",
            "msgid \"a\"b\"\nmsgstr \"c\"\n",
            "msgid \"a\\t\"\nmsgstr \"b\"\n",
            "msgid \"a\\\"\nmsgstr \"b\"\n",
            "msgid \"a\"\nmsgstr \"b\"\nmsgid \"a\"\nmsgstr \"c\"\n",
        ] {
            assert!(parsed(wrong).is_err(), "{wrong}");
        }
        let latin = HEADER.replace("UTF-8", "ISO-8859-1");
        assert!(parse(HEADER).is_ok() && parse(&latin).is_err() && parse("").is_err());
    }

    #[test]
    fn a_translation_has_the_same_places_and_lines() {
        assert_eq!(misfit("{a} {b}\n", "{b}, {a}\n"), None);
        for (english, translated) in [
            ("{a} {b}", "{a}"),
            ("{a}", "{a} {b}"),
            ("{a}", "{b}"),
            ("{a}", "{a} {a}"),
            ("{a}", "a}"),
            ("{a}", "{a"),
            ("a", "a}"),
            ("a", "{}"),
            ("a", "a\nb"),
            ("a\nb", "a b"),
            ("a", "a\u{1b}"),
            ("a\nb", "a\rb"),
        ] {
            assert!(misfit(english, translated).is_some(), "{translated:?}");
        }
    }
}

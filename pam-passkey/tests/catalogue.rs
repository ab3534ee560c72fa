//! Every sentence that the module can say is in the catalogue, in every language.
//!
//! What to do after a sentence has changed: ARCHITECTURE.md, "Languages".
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "also in a test's helpers"
)]

#[path = "../build/po.rs"]
mod po;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const TEMPLATE: &str = "po/pam-passkey.pot";

/// What stands before a literal that is a sentence, or words of one.
const BEFORE: [&str; 4] = [
    "sentence!(",
    "Malformed(",
    "CannotVerify::Faulty(",
    "NoSecret(",
];

const HEADER: &str = r#"# What pam_passkey.so says to people.
# Made from the sources by pam-passkey/tests/catalogue.rs; see ARCHITECTURE.md.
msgid ""
msgstr ""
"Project-Id-Version: pam-passkey\n"
"Report-Msgid-Bugs-To: https://github.com/pam-passkey/pam-passkey/issues\n"
"PO-Revision-Date: YEAR-MO-DA HO:MI+ZONE\n"
"Last-Translator: FULL NAME <EMAIL@ADDRESS>\n"
"Language-Team: LANGUAGE <LL@li.org>\n"
"Language: \n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"#;

#[test]
fn the_template_has_every_sentence_of_the_sources_and_no_other() {
    let written = fs::read_to_string(TEMPLATE).unwrap();
    assert!(
        written == template(),
        "{TEMPLATE} is not of these sources: cargo test -p pam-passkey --test catalogue -- --ignored"
    );
    assert!(sentences().len() > 100, "few sentences: are they found?");
    for (_, text) in sentences() {
        let plain = |name: &str| name.chars().all(|c| c.is_ascii_lowercase());
        let mut places = text.split('{').skip(1);
        let are_plain = places.all(|it| it.split_once('}').is_some_and(|(name, _)| plain(name)));
        assert!(are_plain, "a place is a name between braces: {text}");
    }
}

#[test]
#[ignore = "writes the template, once a sentence has changed"]
fn the_template_is_written() {
    fs::write(TEMPLATE, template()).unwrap();
}

#[test]
fn every_language_says_every_sentence_and_no_other() {
    let english: BTreeSet<String> = sentences().into_iter().map(|(_, text)| text).collect();
    let mut languages = 0;
    for path in files("po", "po") {
        let text = fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("\n#~"),
            "{path:?} keeps what is no longer said"
        );
        let language = po::parse(&text).unwrap();
        let translated = language.iter().filter(|(_, to)| !to.is_empty());
        let translated: BTreeSet<String> = translated.map(|(from, _)| from.clone()).collect();
        let missing: Vec<_> = english.difference(&translated).collect();
        assert!(missing.is_empty(), "{path:?} lacks {missing:#?}");
        let stale: Vec<_> = language
            .keys()
            .filter(|it| !english.contains(*it))
            .collect();
        assert!(stale.is_empty(), "{path:?} still has {stale:#?}");
        languages += 1;
    }
    assert!(languages >= 2, "German and Chinese at least");
}

#[test]
fn a_sentence_reaches_the_person_through_its_translation_alone() {
    // Whoever adds a file here adds what translators will never see.
    for (word, at_home) in [
        ("Conv", &["authenticate.rs", "voice.rs"][..]),
        (".told(", &["language.rs", "sentence.rs"]),
        ("Sentence::new(", &["sentence.rs"]),
        ("Sentence::plain(", &["message.rs", "verification.rs"]),
        ("Sentence::foreign(", &["hidraw.rs", "public_key.rs"]),
    ] {
        let mut found: Vec<String> = sources()
            .into_iter()
            .filter(|(_, source)| source.contains(word))
            .map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect();
        found.sort();
        assert_eq!(found, at_home, "{word}");
    }
}

/// Where each sentence stands first, in order, and the sentence.
fn sentences() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for (path, source) in sources() {
        let place = path.strip_prefix("..").unwrap().to_str().unwrap();
        for (at, _) in source.match_indices('"') {
            let before = source[..at].trim_end();
            let is_status = place.ends_with("ctap2/status.rs") && is_code_and_name(before);
            if is_status || BEFORE.iter().any(|it| before.ends_with(it)) {
                let text = literal(&source[at..]);
                if found.iter().all(|(_, known)| *known != text) {
                    found.push((place.to_owned(), text));
                }
            }
        }
    }
    found
}

/// Ends with `0x27 OperationDenied`, as the table of statuses has it.
fn is_code_and_name(source: &str) -> bool {
    let line = source.lines().next_back().unwrap_or_default().trim();
    line.split_once(' ')
        .is_some_and(|(code, name)| code.starts_with("0x") && !name.contains(' '))
}

/// The text of the Rust literal that `source` begins with.
fn literal(source: &str) -> String {
    let mut text = String::new();
    let mut chars = source[1..].chars().peekable();
    loop {
        match chars.next().unwrap() {
            '"' => return text,
            '\\' => match chars.next().unwrap() {
                '\n' => while chars.next_if(|c| c.is_whitespace()).is_some() {},
                'n' => text.push('\n'),
                c @ ('"' | '\\') => text.push(c),
                c => panic!("\\{c} after {text:?}"),
            },
            c => text.push(c),
        }
    }
}

/// The product's sources, without comments and tests, in order.
fn sources() -> Vec<(PathBuf, String)> {
    let folders = ["../pam-passkey/src", "../ceremony/src"];
    let paths = folders.iter().flat_map(|folder| files(folder, "rs"));
    paths
        .map(|path| {
            let source = fs::read_to_string(&path).unwrap();
            let product = source.split("#[cfg(test)]\nmod tests").next().unwrap();
            let lines = product
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let lines = lines.collect::<Vec<_>>().join("\n");
            (path, lines)
        })
        .collect()
}

fn files(folder: impl AsRef<Path>, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|it| it == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn template() -> String {
    let mut template = HEADER.to_owned();
    for (place, text) in sentences() {
        let quoted = text
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        // A format that every gettext knows, and that is written as ours.
        let flags = if text.contains('{') {
            "#, python-brace-format\n"
        } else {
            ""
        };
        write!(
            template,
            "\n#: {place}\n{flags}msgid \"{quoted}\"\nmsgstr \"\"\n"
        )
        .unwrap();
    }
    template
}

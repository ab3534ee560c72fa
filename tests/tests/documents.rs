//! What the documents say of the tests is so.

#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

/// `file::test` and `file::`, wherever they stand between backticks.
fn named(document: &str) -> Vec<(&str, &str)> {
    let spans = document.split('`').skip(1).step_by(2);
    spans
        .filter_map(|span| span.split_once("::"))
        .filter(|(file, test)| {
            let plain = |text: &str| {
                text.chars()
                    .all(|c| c.is_ascii_lowercase() || "/_".contains(c))
            };
            plain(file) && plain(test.trim_end_matches(|c: char| c.is_ascii_digit()))
        })
        .collect()
}

#[test]
fn every_test_that_security_names_is_there() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let named = named(include_str!("../../SECURITY.md"));
    assert!(
        named.len() > 40,
        "few tests are named: has the way they are written changed? {named:?}"
    );
    for (file, test) in named {
        let source = fs::read_to_string(tests.join(file).with_extension("rs"))
            .or_else(|_| fs::read_to_string(tests.join(file).join("main.rs")));
        let source = source.unwrap_or_else(|_| panic!("no tests of the name {file}"));
        let there = test.is_empty() || source.contains(&format!("#[test]\nfn {test}("));
        assert!(there, "no test {test} in {file}");
    }
}

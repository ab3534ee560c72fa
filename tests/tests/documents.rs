//! What the documents say is so.

#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use tests::machine::MODULE;
use tests::{Machine, Pam, VirtualKey};

const MODULE_PAGE: &str = include_str!("../../packaging/man/pam_passkey.8");
const CONFIG_PAGE: &str = include_str!("../../packaging/man/pam-passkey.toml.5");

/// A part of a man page without its markup of characters.
fn part_of(page: &str, from: &str, to: &str) -> String {
    let (_, part) = page.split_once(from).expect("where it begins");
    let (part, _) = part.split_once(to).expect("where it ends");
    let characters = [("\\-", "-"), ("\\(dq", "\""), ("\\fR", "")];
    characters
        .iter()
        .fold(part.to_owned(), |text, (markup, it)| {
            text.replace(markup, it)
        })
}

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

#[test]
fn the_page_on_the_configuration_has_every_setting_with_its_default() {
    let settings: Vec<&str> = include_str!("../../config/config.toml")
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()) && line.contains(" = "))
        .collect();
    assert!(settings.len() >= 8, "{settings:?}");
    for setting in settings {
        let (name, value) = setting.split_once(" = ").expect("a setting");
        let entry = format!(".TP\n.BR {name} \" = ");
        let at = CONFIG_PAGE
            .find(&entry)
            .unwrap_or_else(|| panic!("{name} has no entry"));
        let head = CONFIG_PAGE[at..].lines().nth(1).expect("its first line");
        let shown: String = head
            .replace("\\(dq", "\u{1}")
            .chars()
            .filter(|c| !matches!(c, '"' | ' '))
            .collect();
        let expected = format!(".BR{name}={}", value.replace('"', "\u{1}"));
        assert_eq!(shown, expected);
    }
}

#[test]
fn every_argument_that_the_modules_page_names_is_taken() {
    let options = part_of(MODULE_PAGE, ".SH OPTIONS", ".SH MODULE");
    let arguments: Vec<&str> = options
        .split([' ', ',', '\n'])
        .filter(|word| word.contains('='))
        .collect();
    assert_eq!(arguments.len(), 6, "{arguments:?}");
    let arguments = arguments.join(" ").replace("timeout=", "timeout=20");
    let machine = Machine::lived_on();
    machine.policy("");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin("2468"));
    machine.enroll_with_pin(&blue, "alice", "blue key", "2468");
    machine.service("sudo", &format!("auth required {MODULE} {arguments}\n"));
    let login = machine.login("sudo", "alice").answers(["2468"]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    machine.service(
        "sudo",
        &format!("auth required {MODULE} {arguments} more=1\n"),
    );
    let login = machine.login("sudo", "alice").answers(["2468"]).run();
    assert_eq!(login.code(), Pam::ServiceErr, "{login:#?}");
}

#[test]
fn the_example_of_the_page_on_the_configuration_is_taken() {
    let example = part_of(CONFIG_PAGE, ".SH EXAMPLES\n.nf\n", ".fi\n");
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    machine.write_etc("pam-passkey/config.toml", &example, 0o644);
    let login = machine.login("sudo", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{example}: {login:#?}");
}

#[test]
fn the_picture_of_the_prompt_shows_what_is_said() {
    let machine = Machine::lived_on();
    machine.policy("");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin("2468"));
    machine.enroll_with_pin(&blue, "alice", "blue key", "2468");
    let login = machine.login("sudo", "alice").answers(["2468"]).run();
    let picture = include_str!("../../docs/prompt.svg");
    let said = login.said();
    for line in said.lines() {
        // The host of the bench is not sudo, and was not asked to upgrade.
        let line = match line.split_once(": pam-host") {
            Some((requested, _)) => format!("{requested}: sudo apt upgrade"),
            None => line.trim_end().to_owned(),
        };
        assert!(picture.contains(&format!(">{line}<")), "{line}");
    }
    assert!(said.lines().count() >= 2, "{said}");
}

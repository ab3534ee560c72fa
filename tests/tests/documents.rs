//! What the documents say is so.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "also in a test's helpers"
)]

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

/// Fails where a document names a test that is not there.
fn assert_there(document: &str, at_least: usize) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let named = named(document);
    assert!(
        named.len() > at_least,
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
fn every_test_that_security_names_is_there() {
    assert_there(include_str!("../../SECURITY.md"), 40);
}

/// The names of the pages that the program writes for itself, as commands.
fn commands(machine: &Machine) -> Vec<String> {
    let written = machine.passkey(["manual", "/root"]).output();
    let written = written.expect_success().stdout;
    let pages = written.lines().map(|page| page.trim_end_matches(".1"));
    pages.map(str::to_owned).collect()
}

#[test]
fn every_command_has_a_row_and_every_row_a_test() {
    let table = include_str!("../../docs/commands.md");
    assert_there(table, 40);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `") || line.starts_with("| …"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    for row in &rows {
        assert_eq!(row.len(), 3, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(row[2].contains("::"), "{row:?}");
    }
    let described: Vec<String> = rows
        .iter()
        .filter_map(|row| row[0].strip_prefix('`')?.strip_suffix('`'))
        .map(|command| format!("passkey {command}").replace(' ', "-"))
        .collect();
    let all = commands(&Machine::lived_on());
    // A command with commands of its own does nothing by itself.
    let is_leaf = |page: &&String| !all.iter().any(|it| it.starts_with(&format!("{page}-")));
    for page in all.iter().filter(is_leaf) {
        assert!(described.contains(page), "{page} has no row");
    }
}

#[test]
fn every_option_of_ssh_keygen_for_security_keys_has_a_row_and_tests() {
    let document = include_str!("../../docs/ssh.md");
    assert_there(document, 20);
    let rows: Vec<Vec<&str>> = document
        .lines()
        .filter(|line| line.starts_with("| `-"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect();
    for row in &rows {
        assert_eq!(row.len(), 4, "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        assert!(row[3].contains("::"), "{row:?}");
    }
    // ssh-keygen(1), "FIDO AUTHENTICATOR" and what else goes with making a key.
    for option in [
        "-t ecdsa-sk",
        "-t ed25519-sk",
        "-O application=",
        "-O challenge=",
        "-O device=",
        "-O no-touch-required",
        "-O resident",
        "-O user=",
        "-O verify-required",
        "-O write-attestation=",
        "-C",
        "-N",
        "-a",
        "-Z",
        "-f",
        "-q",
        "-w",
        "-K",
        "-y",
        "-l",
        "-p",
        "-c",
        "-Y",
        "-s",
    ] {
        let has_it = |row: &Vec<&str>| {
            let spans = row[0].split('`').skip(1).step_by(2);
            spans.into_iter().any(|span| match option.len() {
                2 => span.split(' ').next() == Some(option),
                _ => span.starts_with(option),
            })
        };
        assert!(rows.iter().any(has_it), "{option} has no row");
    }
}

#[test]
fn man_pages_are_clean_and_there_is_one_for_every_command() {
    let machine = Machine::lived_on();
    let pages = commands(&machine);
    for page in [
        "passkey",
        "passkey-enroll",
        "passkey-key-pin-set",
        "passkey-check",
    ] {
        assert!(pages.iter().any(|it| it == page), "{pages:?}");
    }
    for page in pages {
        // The bench's machine has no file of local macros.
        let lint = format!("groff -man -Tutf8 -ww -Wfile -z /root/{page}.1 2>&1");
        let said = machine.sh(&lint).output().expect_success().stdout;
        assert_eq!(said, "", "{page}");
    }
    let ended = machine.passkey(["manual", "/nowhere"]).output();
    assert_eq!(ended.code(), Some(1));
    assert!(
        ended.stderr.contains("name a directory that exists"),
        "{ended:#?}"
    );
}

#[test]
fn completions_are_of_use_to_their_shells() {
    let machine = Machine::lived_on();
    // bash, the one shell that is everywhere, completes by it
    let complete = "eval \"$(passkey completions bash)\"; COMP_WORDS=(passkey en); COMP_CWORD=1; \
                    _passkey passkey en passkey; echo \"${COMPREPLY[@]}\"";
    let completed = machine.run(["/bin/bash", "-c", complete]).output();
    assert_eq!(completed.expect_success().stdout, "enroll\n");
    for (shell, knows) in [("zsh", "#compdef passkey"), ("fish", "complete -c passkey")] {
        let script = machine
            .passkey(["completions", shell])
            .output()
            .expect_success();
        assert!(script.stdout.contains(knows), "{shell}");
        for word in ["touch-only", "fingerprints", "allowed-signers"] {
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
    }
    let ended = machine.passkey(["completions", "tcsh"]).output();
    assert_eq!(ended.code(), Some(2), "{ended:#?}");
}

/// What the help says a command's JSON has.
fn documented_members(help: &str, command: &str) -> Vec<String> {
    let (_, json) = help.split_once("\nJSON:\n").expect("a section");
    let begin = format!("\n    {command}\n");
    let (_, entry) = json
        .split_once(&begin)
        .unwrap_or_else(|| panic!("nothing on {command}"));
    let lines = entry
        .lines()
        .take_while(|line| line.starts_with("        "));
    let entry = lines.collect::<Vec<_>>().join(" ");
    let mut depth = 0;
    let outer: String = entry
        .chars()
        .filter(|&c| {
            depth += usize::from("[(".contains(c));
            let is_outer = depth == 0;
            depth -= usize::from("])".contains(c));
            is_outer
        })
        .collect();
    let mut members: Vec<String> = outer.split(',').map(|it| it.trim().to_owned()).collect();
    members.sort();
    members
}

#[test]
fn every_member_of_the_json_is_documented_and_every_documented_one_is_there() {
    let machine = Machine::lived_on();
    let help = machine.passkey(["--help"]).output().expect_success().stdout;
    let blue = machine.plug_in(VirtualKey::named("Blue"));
    blue.presence(tests::Presence::after_ms(150));
    for (command, arguments) in [
        ("enroll", &["enroll", "--touch-only", "--name", "blue"][..]),
        ("list", &["list"]),
        ("show", &["show", "blue"]),
        ("test", &["test", "--receipt", "/root/receipt"]),
        ("receipt verify", &["receipt", "verify", "/root/receipt"]),
        ("export allowed-signers", &["export", "allowed-signers"]),
        ("check", &["check"]),
        ("key list", &["key", "list"]),
        (
            "ssh enroll",
            &["ssh", "enroll", "--no-passphrase", "--key", "/dev/hidraw0"],
        ),
        ("rename", &["rename", "blue", "red"]),
        ("remove", &["remove", "--last", "red"]),
    ] {
        let user: &[&str] = match arguments[0] {
            "check" | "key" | "ssh" => &[],
            _ => &["--user", "alice"],
        };
        let arguments = [arguments, &["--json"], user].concat();
        let ended = machine.passkey(arguments).output();
        let value: serde_json::Value =
            serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{command}: {ended:#?}"));
        let object = value.as_object().expect("an object");
        let members: Vec<&String> = object.keys().filter(|it| *it != "version").collect();
        assert_eq!(
            members,
            documented_members(&help, command)
                .iter()
                .collect::<Vec<_>>(),
            "{command}"
        );
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
    assert_eq!(arguments.len(), 7, "{arguments:?}");
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

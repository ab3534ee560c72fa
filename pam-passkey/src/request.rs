//! What is asked of the person: service, account, and inside sudo the command.
#![forbid(unsafe_code)]

use std::fs;

use ceremony::account::Account;
use ceremony::challenge::Request;
use ceremony::credential::{is_printable, printable};

/// The services whose own argument vector is the request.
const SHOW_ARGUMENTS: [&str; 2] = ["sudo", "sudo-i"];

/// The most characters of a command that are shown, and signed. What is left
/// out stands in the middle: the end of a command matters as much as its head.
const LONGEST_COMMAND: usize = 300;

/// The request that `service` makes for `account`.
pub(crate) fn of(service: &str, account: &Account, tty: &str) -> Request {
    let command = SHOW_ARGUMENTS
        .contains(&service)
        // The host's own arguments, from the kernel: the environment and what
        // the host might tell are the caller's words.
        .then(|| fs::read("/proc/self/cmdline").ok())
        .flatten()
        .map(|arguments| shortened(&quoted(&arguments)));
    Request {
        service: printable(service, 64),
        user: account.name.as_str().to_owned(),
        host: host(),
        command,
        tty: (!tty.is_empty()).then(|| printable(tty, 64)),
    }
}

fn host() -> String {
    nix::unistd::gethostname()
        .map(|name| printable(&name.to_string_lossy(), 255))
        .unwrap_or_default()
}

/// An argument vector (NUL after each) as one line in which every argument
/// shows where it begins and ends.
fn quoted(arguments: &[u8]) -> String {
    let arguments = arguments.strip_suffix(&[0]).unwrap_or(arguments);
    arguments
        .split(|byte| *byte == 0)
        .map(|argument| quote(&String::from_utf8_lossy(argument)))
        .collect::<Vec<_>>()
        .join(" ")
}

fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    let mut quoted = String::from("'");
    let mut after_a_blank = false;
    for c in argument.chars() {
        match c {
            // As many blanks as a terminal is wide would begin a line that looks
            // like one of ours.
            ' ' if after_a_blank => quoted.extend(c.escape_unicode()),
            '\'' | '\\' => quoted.extend(['\\', c]),
            // Not dangerous, only unprintable as far as names go.
            '"' => quoted.push(c),
            c if is_printable(c) => quoted.push(c),
            c => quoted.extend(c.escape_unicode()),
        }
        after_a_blank = c == ' ';
    }
    quoted.push('\'');
    quoted
}

/// Head and tail of a long text.
fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= LONGEST_COMMAND {
        return text.to_owned();
    }
    let head: String = text.chars().take(LONGEST_COMMAND * 2 / 3).collect();
    let tail: String = text.chars().skip(length - LONGEST_COMMAND / 3).collect();
    let left_out = length - LONGEST_COMMAND;
    format!("{head} [{left_out} characters left out] {tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_shows_where_it_begins_and_ends() {
        assert_eq!(
            quoted(b"sudo\0apt\0install\0a b\0\0it's\0"),
            r"sudo apt install 'a b' '' 'it\'s'"
        );
    }

    #[test]
    fn an_argument_cannot_move_the_cursor_or_add_a_line() {
        assert_eq!(
            quoted("sudo\0a\n\u{1b}[2J\u{202e}\\\0".as_bytes()),
            r"sudo 'a\u{a}\u{1b}[2J\u{202e}\\'"
        );
        assert_eq!(quoted(b"a   b\0"), r"'a \u{20}\u{20}b'");
    }

    #[test]
    fn a_long_command_keeps_its_head_and_its_tail() {
        let exact = "x".repeat(300);
        assert_eq!(shortened(&exact), exact);
        let long = format!("head{}tail", "x".repeat(293));
        let short = shortened(&long);
        assert!(short.starts_with("headx") && short.ends_with("xtail"));
        assert!(short.contains(" [1 characters left out] "));
    }
}

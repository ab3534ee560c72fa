//! The beginning of BENCHMARKS.md, and how its tables and numbers look.

#![forbid(unsafe_code)]

use std::fs;

use crate::printed_by;

/// What this is, how to repeat it, and what it was measured with.
pub(crate) fn introduction() -> String {
    let system = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let system = system
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))
        .unwrap_or("an unknown system")
        .trim_matches('"');
    let rustc = printed_by("rustc", &["--version"]);
    let rustc = rustc.split(' ').nth(1).unwrap_or_default();
    let versions: String = ["libpam-u2f", "libfido2-1", "libpam0g", "valgrind"]
        .map(|package| format!(", {package} {}", version(package)))
        .concat();
    format!(
        "# Benchmarks

What one login costs, with `pam_passkey.so` and with `pam_u2f.so` as Debian ships it, in one run of

    make bench

which writes this file; do not edit it.
Measured on {system} ({architecture}) with rustc {rustc}{versions}.

Everything is counted; nothing is timed, but in the last section, where times are compared.
Both modules run unchanged in the real libpam, up to there in the bench's private machines, against virtual keys of one kind: the firmware opensk behind a hidraw node (ARCHITECTURE.md, \"Tests\").
A login counts only if it ended in `PAM_SUCCESS`.
",
        architecture = std::env::consts::ARCH,
    )
}

fn version(package: &str) -> String {
    printed_by("dpkg-query", &["-W", "-f=${Version}", package])
}

/// A table in Markdown; every column but the first is right-aligned.
pub(crate) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let rule: Vec<String> = (0..head.len())
        .map(|column| if column == 0 { "---" } else { "--:" }.to_owned())
        .collect();
    let head: Vec<String> = head.iter().map(|&name| name.to_owned()).collect();
    let rows: String = rows.iter().map(|row| line(row)).collect();
    line(&head) + &line(&rule) + &rows
}

/// A number with its thousands set apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

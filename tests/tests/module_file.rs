//! The module as a file: what it asks of its host, and what it shows it.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use std::path::PathBuf;
use std::process::Command;

use tests::machine::the_module;

/// The lines that a tool of binutils prints about the module.
fn lines(tool: &str, arguments: &[&str]) -> Vec<String> {
    let module: PathBuf = the_module();
    let output = Command::new(tool).args(arguments).arg(&module).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn it_needs_libpam_libgcc_libc_and_the_loader_and_nothing_else() {
    let mut needed: Vec<String> = lines("readelf", &["--dynamic", "--wide"])
        .iter()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| Some(line.split_once('[')?.1.split_once(']')?.0.to_owned()))
        .collect();
    needed.sort();
    let (loader, others): (Vec<_>, Vec<_>) =
        needed.iter().partition(|name| name.starts_with("ld-linux"));
    assert_eq!(others, ["libc.so.6", "libgcc_s.so.1", "libpam.so.0"]);
    assert!(loader.len() <= 1);
}

#[test]
fn it_shows_its_host_pam_sm_functions_and_nothing_else() {
    let mut shown: Vec<String> = lines("nm", &["--dynamic", "--defined-only"])
        .iter()
        .filter_map(|line| Some(line.rsplit_once(' ')?.1.to_owned()))
        .collect();
    shown.sort();
    let expected = [
        "pam_sm_acct_mgmt",
        "pam_sm_authenticate",
        "pam_sm_chauthtok",
        "pam_sm_close_session",
        "pam_sm_open_session",
        "pam_sm_setcred",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn nothing_in_it_knows_that_tests_exist() {
    let bytes = std::fs::read(the_module()).unwrap();
    for word in ["pam-host", "BENCH_", "opensk", "/tmp", "umockdev"] {
        let found = bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes());
        assert!(!found, "{word}");
    }
}

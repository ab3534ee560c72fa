//! The demonstration shows what it promises.

#![forbid(unsafe_code)]

use std::process::{Command, Stdio};

#[test]
fn everything_comes_out_as_it_is_told() {
    let output = Command::new(env!("CARGO_BIN_EXE_demo"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    for outcome in [
        "ok: a touch: she is in",
        "ok: no touch: refused",
        "ok: somebody else's key: refused",
        "ok: stock ssh-keygen says so too",
    ] {
        assert!(said.contains(outcome), "no {outcome:?} in {said}");
    }
    assert!(!said.contains("NOT SO"), "{said}");
}

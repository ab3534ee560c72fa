//! `make bench`: what a login costs, beside Debian's `pam_u2f` in the same run. Writes BENCHMARKS.md.
//!
//! The file is this program's alone: its words stand here, so that none of them outlives the way
//! its number was obtained. Times are only compared, and only in a guest: elsewhere they would be
//! the machine's, not the module's.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "who runs it reads what it does; a number that cannot be had ends the run"
)]

mod guest;
mod instructions;
mod messages;
mod package;
mod plot;
mod text;

use std::fs;
use std::process::Command;

use tests::counts::{Drawer, Module};

/// At the top of the repository.
const BENCHMARKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../BENCHMARKS.md");

fn main() {
    eprintln!("enrolling twenty-four keys with each program");
    let ours = Drawer::with(Module::PamPasskey, 24);
    let short = Drawer::with(Module::PamPasskeyDiscoverable, 24);
    let theirs = Drawer::with(Module::PamU2f, 24);

    eprintln!("counting messages and opens");
    let messages = messages::measure(&ours, &short, &theirs);
    eprintln!("weighing the files");
    let packages = [package::pam_passkey(), package::pam_u2f()];
    eprintln!("counting instructions and heap (valgrind)");
    let costs = [&ours, &theirs].map(instructions::measure);

    eprintln!("booting Debian and measuring there");
    let in_a_guest = guest::section().unwrap_or_else(|| {
        eprintln!("there is no guest to boot; what was measured in one is left as it is");
        guest::section_of(&fs::read_to_string(BENCHMARKS).unwrap_or_default())
    });

    let text = [
        text::introduction(),
        messages::tables(&messages),
        package::table(&packages),
        instructions::table(&costs),
        in_a_guest,
    ];
    fs::write(BENCHMARKS, text.join("\n")).expect("BENCHMARKS.md is written");
    eprintln!("written: BENCHMARKS.md");
}

/// What a program of the machine prints; the run ends here if it fails.
fn printed_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("LC_ALL", "C")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; `make bench` installs what it needs"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {output:?}"
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

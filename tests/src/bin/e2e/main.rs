//! `make e2e`: Debian booted, the packages installed, and a person at the console.
//!
//! Each guest in `target/guests` goes through its steps, one after the other as a person would
//! take them; the guests run side by side. What their consoles showed is kept in `target/e2e`.
//!
//! `e2e [--only WORD] [GUEST]...` runs the steps whose names contain the word, after those that
//! they stand on.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a step that is not as it should be fails, loudly and where it stands"
)]

mod lifecycle;
mod odd_keys;
mod packages;
mod second_factor;
mod site;
mod sudo;
mod trouble;
mod ways_in;

use std::env;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use site::Site;

/// What is seen in a guest: a sentence, and the steps that show it.
type Step = (&'static str, fn(&mut Site));

fn main() -> ExitCode {
    let mut only = None;
    let mut wanted = Vec::new();
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--only" => only = arguments.next(),
            _ => wanted.push(argument),
        }
    }
    let guests: Vec<PathBuf> = fs::read_dir("target/guests")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| wanted.is_empty() || wanted.contains(&name_of(path)))
        .collect();
    assert!(
        !guests.is_empty(),
        "no guest in target/guests: .ci/guests builds them"
    );
    if let Some(missing) = wanted
        .iter()
        .find(|name| !guests.iter().any(|path| name_of(path) == **name))
    {
        panic!("no guest {missing} in target/guests: .ci/guests says why");
    }
    fs::create_dir_all("target/e2e").expect("target/e2e");

    // A panic is a step that failed: what it says is enough.
    panic::set_hook(Box::new(|panic| println!("{panic}")));
    let only = only.as_deref();
    let (passed, failed) = thread::scope(|scope| {
        let running: Vec<_> = guests
            .iter()
            .map(|guest| scope.spawn(move || walk_through(guest, only)))
            .collect();
        running.into_iter().fold((0, 0), |(passed, failed), guest| {
            let (more_passed, more_failed) = guest.join().unwrap_or((0, 1));
            (passed + more_passed, failed + more_failed)
        })
    });
    println!("What the consoles showed: target/e2e/*.txt");
    let names: Vec<String> = guests.iter().map(|guest| name_of(guest)).collect();
    println!("{passed} passed, {failed} failed, in {}", names.join(", "));
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn name_of(guest: &Path) -> String {
    guest
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// One guest, all steps; how many were as they should be, and how many were not.
fn walk_through(folder: &Path, only: Option<&str>) -> (usize, usize) {
    let name = name_of(folder);
    let began = Instant::now();
    let mut site = Site::boot(&name, folder);
    println!("{name}: booted after {} s", began.elapsed().as_secs());
    let (mut passed, mut failed) = (0, 0);
    for (sentence, step) in site.steps() {
        if only.is_some_and(|word| !sentence.contains(word) && !sentence.starts_with("install")) {
            continue;
        }
        let began = Instant::now();
        site.title(sentence);
        let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
            site.settle();
            step(&mut site);
        }));
        let took = began.elapsed().as_secs_f32();
        let word = if outcome.is_ok() { "ok    " } else { "FAILED" };
        println!("{name:9} {word} {took:5.1} s  {sentence}");
        if outcome.is_ok() {
            passed += 1;
        } else {
            failed += 1;
            // Whoever finds out why was not there.
            let log = panic::catch_unwind(AssertUnwindSafe(|| site.last_words()));
            println!("{}", log.unwrap_or_default());
        }
    }
    (passed, failed)
}

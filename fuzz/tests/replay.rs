//! The corpora, through the targets: what a fuzzer once found stays found.
//!
//! And that the targets reach what they are for: an honest session logs in.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use fuzz::TARGETS;
use fuzz::session::{Outcome, play};

/// Time enough for an honest session on a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// Time enough for most others.
const A_MOMENT: Duration = Duration::from_secs(1);

fn corpus() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/corpus"))
}

#[test]
fn every_input_is_replayed() {
    for (name, target) in TARGETS.iter().filter(|(name, _)| *name != "session") {
        for path in inputs_of(name) {
            // Named before it is played, should it be the one that fails.
            println!("{}", path.display());
            target(&fs::read(path).expect("an input"));
        }
    }
}

/// With more time than a fuzzer gives them, or a busy machine would cut them
/// short; and side by side, because some of them take all of it.
#[test]
fn every_session_is_replayed() {
    let paths = inputs_of("session");
    thread::scope(|scope| {
        for some in paths.chunks(paths.len().div_ceil(8)) {
            scope.spawn(move || {
                for path in some {
                    println!("{}", path.display());
                    play(&fs::read(path).expect("an input"), A_MOMENT);
                }
            });
        }
    });
}

fn inputs_of(target: &str) -> Vec<PathBuf> {
    let inputs = fs::read_dir(corpus().join(target)).expect("every target has a corpus");
    let inputs: Vec<PathBuf> = inputs.map(|it| it.expect("an input").path()).collect();
    assert!(!inputs.is_empty(), "nothing to replay for {target}");
    inputs
}

#[test]
fn honest_sessions_come_to_a_good_end() {
    for (name, outcome) in [
        ("honest-touch", Outcome::Approved),
        ("honest-touch-one-of-two-keys", Outcome::Approved),
        ("honest-touch-of-thirty", Outcome::Approved),
        ("honest-pin", Outcome::Approved),
        ("honest-pin-2.0", Outcome::Approved),
        ("honest-pin-unproven", Outcome::Approved),
        ("honest-pin-chosen-of-two-keys", Outcome::Approved),
        ("honest-fingerprint", Outcome::Approved),
        ("honest-fingerprint-token", Outcome::Approved),
        ("honest-enrolment", Outcome::Enrolled),
        ("honest-enrolment-pin", Outcome::Enrolled),
    ] {
        let input = fs::read(corpus().join("session").join(name)).expect("it is kept");
        assert_eq!(play(&input, PATIENCE), outcome, "{name}");
    }
}

#[test]
fn a_corpus_belongs_to_a_target() {
    for folder in fs::read_dir(corpus()).expect("corpora") {
        let folder = folder.expect("a folder").file_name();
        assert!(
            TARGETS.iter().any(|(name, _)| *folder == **name),
            "{folder:?}"
        );
    }
}

/// Two lock files must not drift apart: what is fuzzed is what ships.
#[test]
fn what_is_fuzzed_is_what_ships() {
    let house = locked(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock"));
    let ours = locked(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.lock"));
    for (name, versions) in ours {
        if let Some(theirs) = house.get(&name) {
            assert!(
                versions.iter().all(|version| theirs.contains(version)),
                "{name} is {versions:?} in fuzz/Cargo.lock and {theirs:?} in Cargo.lock; \
                 copy that one over and build again"
            );
        }
    }
}

/// The versions of every crate in a lock file.
fn locked(path: &str) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(path).expect("a lock file");
    let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut name = "";
    for line in text.lines() {
        match line.split_once(" = ") {
            Some(("name", it)) => name = it,
            Some(("version", it)) => crates.entry(name.into()).or_default().push(it.into()),
            _ => {}
        }
    }
    crates
}

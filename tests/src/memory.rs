//! What lies about in another process's memory.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

/// How much of a secret makes a find: less may be chance, and of a piece that was freed the first
/// bytes are overwritten.
const WINDOW: usize = 8;

/// What is looked for: its name, and its bytes as they lie in memory.
pub type Needle = (String, Vec<u8>);

/// A piece of a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Find {
    /// The name of the secret.
    pub needle: String,
    /// The mapping it lies in, by its name in `/proc/PID/maps`: `[heap]`, `[stack]`, a file, or
    /// nothing.
    pub mapping: String,
    /// How far it lies from the mapping's end.
    pub below_the_end: usize,
    /// How long the piece is.
    pub length: usize,
}

impl fmt::Debug for Find {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            needle,
            mapping,
            below_the_end,
            length,
        } = self;
        write!(
            f,
            "{length} bytes of {needle} in {mapping:?}, {below_the_end} below its end"
        )
    }
}

/// Looks for pieces of these secrets in all that the process can write to. It should stand still.
///
/// # Panics
///
/// Where it may not be looked into.
#[must_use]
pub fn search(pid: Pid, needles: &[Needle]) -> Vec<Find> {
    let mut places: HashMap<[u8; WINDOW], (usize, usize)> = HashMap::new();
    // Looked at first, since nearly all of memory is something else.
    let mut beginnings = vec![false; 1 << 16];
    let beginning = |window: &[u8; WINDOW]| usize::from(window[0]) << 8 | usize::from(window[1]);
    for (which, (_, bytes)) in needles.iter().enumerate() {
        for (at, window) in bytes.windows(WINDOW).enumerate() {
            let window: [u8; WINDOW] = window.try_into().expect("so long");
            // Zeros and the like are everywhere.
            if window.iter().any(|byte| *byte != window[0]) {
                places.entry(window).or_insert((which, at));
                beginnings[beginning(&window)] = true;
            }
        }
    }
    let mut finds = Vec::new();
    for (mapping, bytes) in writable_mappings(pid) {
        let mut at = 0;
        while let Some(window) = bytes.get(at..).and_then(<[u8]>::first_chunk::<WINDOW>) {
            let place = beginnings[beginning(window)].then(|| places.get(window));
            let Some(&(which, place)) = place.flatten() else {
                at += 1;
                continue;
            };
            let (needle, secret) = &needles[which];
            let rest = bytes[at..].iter().zip(&secret[place..]);
            let length = rest.take_while(|(a, b)| a == b).count();
            finds.push(Find {
                needle: needle.clone(),
                mapping: mapping.clone(),
                below_the_end: bytes.len() - at,
                length,
            });
            at += length;
        }
    }
    finds
}

/// Name and contents of each mapping that can be written to.
fn writable_mappings(pid: Pid) -> Vec<(String, Vec<u8>)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("our own child");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("a child we may look into");
    maps.lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let (from, to) = fields.next()?.split_once('-')?;
            let is_writable = fields.next()?.contains('w');
            let name = fields.nth(3).unwrap_or_default().to_owned();
            let from = u64::from_str_radix(from, 16).ok()?;
            let to = u64::from_str_radix(to, 16).ok()?;
            let mut bytes = vec![0; usize::try_from(to - from).ok()?];
            (is_writable && memory.read_exact_at(&mut bytes, from).is_ok()).then_some((name, bytes))
        })
        .collect()
}

//! What a guest could leave behind in its host: looked at before and after.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::env;
use std::fs;

use tests::login::Footprint;

use crate::guts;

/// The host at one moment.
pub(crate) struct Trace(BTreeMap<String, Vec<String>>);

impl Trace {
    pub(crate) fn look() -> Self {
        let pid = std::process::id();
        let children = fs::read_to_string(format!("/proc/self/task/{pid}/children"));
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        let mut environment: Vec<String> = env::vars_os()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        environment.sort();
        let cwd = env::current_dir().map_or_else(|_| String::new(), |it| it.display().to_string());
        let things = [
            ("descriptors", descriptors()),
            ("threads", entries("/proc/self/task").collect()),
            ("children", vec![children.unwrap_or_default()]),
            (
                "signals",
                status(&["SigBlk:", "SigIgn:", "SigCgt:", "SigPnd:", "ShdPnd:"]),
            ),
            ("dispositions", guts::dispositions()),
            ("timers", guts::timers()),
            ("environment", environment),
            ("locale", vec![guts::locale()]),
            ("working directory", vec![cwd]),
            ("umask", status(&["Umask:"])),
            ("limits", limits.lines().map(str::to_owned).collect()),
            (
                "identity",
                status(&["Name:", "Uid:", "Gid:", "Groups:", "Cap", "NoNewPrivs:"]),
            ),
            ("mapped files", mapped_files()),
        ];
        Self(things.map(|(what, seen)| (what.to_owned(), seen)).into())
    }

    pub(crate) fn compare(self, mut after: Self) -> Footprint {
        let both = |(what, before)| {
            let after = after.0.remove(&what).unwrap_or_default();
            (what, [before, after])
        };
        Footprint(self.0.into_iter().map(both).collect())
    }
}

/// Each with its flags: one that was made non-blocking is changed too.
fn descriptors() -> Vec<String> {
    let mut descriptors: Vec<String> = entries("/proc/self/fd")
        .filter_map(|fd| {
            let target = fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
            let info = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
            Some(format!("{fd} {} {}", target.display(), flags.trim()))
        })
        // The look itself: the directory, open while it is read.
        .filter(|line| !line.contains("/proc/"))
        .collect();
    descriptors.sort();
    descriptors
}

/// Programs and libraries in memory, each once: a module that could not be unloaded is still there.
fn mapped_files() -> Vec<String> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut files: Vec<String> = maps
        .lines()
        .filter_map(|line| Some(line[line.find('/')?..].to_owned()))
        // libc loads these at the first question who somebody is, whoever asks it, and keeps them.
        .filter(|file| !file.contains("/libnss_"))
        .collect();
    files.sort();
    files.dedup();
    files
}

/// The lines of /proc/self/status that begin so.
fn status(prefixes: &[&str]) -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .filter(|line| prefixes.iter().any(|prefix| line.starts_with(prefix)))
        .map(str::to_owned)
        .collect()
}

/// A hexadecimal line of /proc/self/status: a set of signals.
pub(crate) fn status_line(name: &str) -> u64 {
    let lines = status(&[name]);
    let line = lines.first().and_then(|line| line.strip_prefix(name));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

/// The most memory the process ever had, in KiB: resident, and mapped at all.
pub(crate) fn peaks() -> [u64; 2] {
    ["VmHWM:", "VmPeak:"].map(|name| {
        let lines = status(&[name]);
        let number = lines
            .first()
            .and_then(|line| line.split_whitespace().nth(1));
        number.map_or(0, |number| number.parse().unwrap_or(0))
    })
}

fn entries(directory: &str) -> impl Iterator<Item = String> {
    fs::read_dir(directory)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
}

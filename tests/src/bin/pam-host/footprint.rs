//! What a guest could leave behind in its host: looked at before and after.

#![forbid(unsafe_code)]

use std::env;
use std::fs;

use tests::login::Footprint;

/// The host at one moment.
pub(crate) struct Trace {
    descriptors: Vec<String>,
    threads: usize,
    children: String,
    signals: Vec<String>,
    environment: Vec<String>,
    place: String,
}

impl Trace {
    pub(crate) fn look() -> Self {
        let mut descriptors: Vec<String> = entries("/proc/self/fd")
            .filter_map(|fd| {
                Some(format!(
                    "{fd} {}",
                    fs::read_link(format!("/proc/self/fd/{fd}")).ok()?.display()
                ))
            })
            // The look itself: the directory, open while it is read.
            .filter(|line| !line.contains("/proc/"))
            .collect();
        descriptors.sort();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let lines = |prefixes: &[&str]| {
            let wanted = |line: &&str| prefixes.iter().any(|prefix| line.starts_with(prefix));
            status
                .lines()
                .filter(wanted)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let mut environment: Vec<String> = env::vars_os()
            .map(|(name, value)| format!("{}={}", name.display(), value.display()))
            .collect();
        environment.sort();
        let pid = std::process::id();
        Self {
            descriptors,
            threads: entries("/proc/self/task").count(),
            children: fs::read_to_string(format!("/proc/self/task/{pid}/children"))
                .unwrap_or_default(),
            signals: lines(&["SigBlk:", "SigIgn:", "SigCgt:"]),
            environment,
            place: format!("{:?} {:?}", env::current_dir().ok(), lines(&["Umask:"])),
        }
    }

    pub(crate) fn compare(self, after: Self) -> Footprint {
        Footprint {
            descriptors: [self.descriptors, after.descriptors],
            threads: [self.threads, after.threads],
            children: [self.children, after.children],
            signals: [self.signals, after.signals],
            environment: [self.environment, after.environment],
            place: [self.place, after.place],
        }
    }
}

/// A hexadecimal line of /proc/self/status: a set of signals.
pub(crate) fn status_line(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

/// The most memory the process ever had, in KiB: resident, and mapped at all.
pub(crate) fn peaks() -> [u64; 2] {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    ["VmHWM:", "VmPeak:"].map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
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

//! The hosts: a login each, with the person at the keys.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tests::counts::{Place, SERVICE};
use tests::login::{Report, monotonic_us};
use tests::{Pam, Presence};

use crate::kernel::{Kernel, PluggedIn, command};

/// How long a key is given to begin to wait for its person; under valgrind all is slow.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long the person looks at the key before they touch it.
const PAUSE: Duration = Duration::from_millis(150);

/// Lets alice in by the service in this folder, while the person does what they do.
pub(crate) fn log_in(services: &str, person: impl FnOnce()) -> Report {
    let host = start(command("pam-host").args(pam_host(services)));
    person();
    report_of(host)
}

/// The same under callgrind; how many instructions it took from the host's start to its end.
pub(crate) fn count_instructions(services: &str, person: impl FnOnce()) -> u64 {
    let out = "/run/yardstick/callgrind";
    let out_file = format!("--callgrind-out-file={out}");
    let mut valgrind = command("valgrind");
    valgrind.args(["--quiet", "--tool=callgrind", &out_file, "pam-host"]);
    let host = start(valgrind.args(pam_host(services)));
    person();
    report_of(host);
    let counted = fs::read_to_string(out).expect("callgrind's output");
    let total = counted
        .lines()
        .find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|total| total.parse().ok())
        .expect("callgrind's total")
}

/// A host that has let alice in: what it says of itself.
pub(crate) struct Weight {
    pub(crate) peak_kib: u64,
    /// The libraries in it.
    pub(crate) libraries: BTreeSet<String>,
}

/// Lets alice in by the real su(1), which keeps the module until her command has ended.
pub(crate) fn weigh(services: &str, person: impl FnOnce()) -> Weight {
    let auth = Kernel.read(&format!("{services}/{SERVICE}"));
    let rest = "account required pam_permit.so\nsession required pam_permit.so\n";
    Kernel.write("/etc/pam.d/su", &(auth + rest));
    // When the command stops, su does.
    let mut su = start(command("su").args(["alice", "-c", "kill -STOP $$"]));
    person();
    let id = Pid::from_raw(su.id().cast_signed());
    let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
    let stopped = waitid(Id::Pid(id), flags).expect("our own child");
    assert!(
        matches!(stopped, WaitStatus::Stopped(..)),
        "su did not let alice in: {stopped:?}"
    );
    let weight = Weight {
        peak_kib: peak_of(&Kernel.read(&format!("/proc/{id}/status"))),
        libraries: libraries_of(&Kernel.read(&format!("/proc/{id}/maps"))),
    };
    kill(id, Signal::SIGCONT).expect("a signal to our own child");
    su.wait().expect("our own child");
    weight
}

/// Waits until each of these keys waits for its person, and touches the last a little later.
pub(crate) fn touch_the_last(keys: &[PluggedIn]) {
    for key in keys {
        assert!(
            key.blinks_within(PATIENCE),
            "a key was not asked for a touch; it heard {:?}",
            key.commands()
        );
    }
    thread::sleep(PAUSE);
    if let Some(touched) = keys.last() {
        touched.presence(Presence::Accept);
    }
}

/// When this happened, by the clock of the host's report.
pub(crate) fn at_us(moment: Instant) -> u64 {
    let ago = u64::try_from(moment.elapsed().as_micros()).expect("a moment ago");
    monotonic_us() - ago
}

fn pam_host(services: &str) -> [&str; 6] {
    [
        "--confdir",
        services,
        "--service",
        SERVICE,
        "--user",
        "alice",
    ]
}

fn start(host: &mut Command) -> Child {
    let host = host.stdin(Stdio::null()).stdout(Stdio::piped());
    host.spawn()
        .unwrap_or_else(|error| panic!("{host:?}: {error}"))
}

/// Waits for its end; it must have let alice in.
fn report_of(child: Child) -> Report {
    let ended = child.wait_with_output().expect("our own child");
    let printed = String::from_utf8_lossy(&ended.stdout);
    let report: Report = serde_json::from_str(&printed)
        .unwrap_or_else(|error| panic!("no report of pam-host: {error}\n{printed}"));
    let code = report.calls.last().map(|call| call.code);
    assert_eq!(code, Some(Pam::Success), "{report:#?}");
    report
}

/// `VmHWM`, in KiB.
fn peak_of(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .expect("the kernel tells the peak")
}

/// The names of the libraries that are mapped; a module is none.
fn libraries_of(maps: &str) -> BTreeSet<String> {
    let files = maps.lines().filter_map(|line| line.rsplit_once('/'));
    files
        .map(|(_, name)| name.to_owned())
        .filter(|name| name.contains(".so") && !name.starts_with("pam_"))
        .collect()
}

//! Instructions and heap of one login, by valgrind.
//!
//! The host, pam-host, runs under valgrind inside the machine. What the bench's preloaded library
//! does (`hid_ioctls`, in the kernel's stead) is no cost of the module and is taken out.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::fs;

use tests::Machine;
use tests::counts::{Drawer, SCENES};

use crate::text::{grouped, table as markdown};

/// Runs of each measurement. No two are quite the same: verifying takes the path that a
/// signature's numbers ask for, and packets come one by one or several at a time.
const RUNS: usize = 5;

/// Smallest and largest of some runs.
struct Range(u64, u64);

/// What one login costs.
pub(crate) struct Cost {
    before_first_packet: Range,
    authenticate: Range,
    with_loading: Range,
    heap: Range,
}

/// Lets alice in again and again: one credential, one key, touched before it could blink.
pub(crate) fn measure(drawer: &Drawer) -> Cost {
    let _key = drawer.set(SCENES[0]);
    let machine = drawer.machine();
    // As installed: receipts are kept only where the administrator asks for them.
    let policy = "user_verification = \"discouraged\"\n";
    machine.write_etc("pam-passkey/config.toml", policy, 0o644);
    // The first after enrolling may have something to make; no later one has.
    run_host_under(machine, &[]);

    let runs = several(|| {
        let parts = callgrind(
            machine,
            &[
                "--toggle-collect=pam_sm_authenticate",
                // A part ends where write(2) is entered; a packet is the first thing written.
                "--dump-before=write",
            ],
        );
        [
            parts.first().copied().unwrap_or_default(),
            parts.iter().sum(),
        ]
    });
    let loaded = several(|| [callgrind(machine, &[]).iter().sum(), heap(machine)]);

    let service = machine.read("/etc/pam.d/sudo").expect("the service");
    machine.service("sudo", "auth required pam_permit.so\n");
    let empty = several(|| [callgrind(machine, &[]).iter().sum(), heap(machine)]);
    machine.service("sudo", &service);

    let [before_first_packet, authenticate] = ranges(&runs);
    let [with_loading, heap] = ranges(&loaded);
    let [empty_host, empty_heap] = ranges(&empty);
    Cost {
        before_first_packet,
        authenticate,
        with_loading: with_loading.above(&empty_host),
        heap: heap.above(&empty_heap),
    }
}

impl Range {
    /// What this is more than the other; both are known to their ranges only.
    fn above(&self, other: &Self) -> Self {
        Self(
            self.0.saturating_sub(other.1),
            self.1.saturating_sub(other.0),
        )
    }

    fn in_thousands(&self) -> String {
        let thousands = |number: u64| grouped((number + 500) / 1000);
        match (thousands(self.0), thousands(self.1)) {
            (low, high) if low == high => low,
            (low, high) => format!("{low} to {high}"),
        }
    }
}

fn several(mut measure: impl FnMut() -> [u64; 2]) -> Vec<[u64; 2]> {
    (0..RUNS).map(|_| measure()).collect()
}

fn ranges(runs: &[[u64; 2]]) -> [Range; 2] {
    let range = |of: fn(&[u64; 2]) -> u64| {
        let of = || runs.iter().map(of);
        Range(of().min().unwrap_or(0), of().max().unwrap_or(0))
    };
    [range(|[first, _]| *first), range(|[_, second]| *second)]
}

/// Runs pam-host, alone or under a program; returns what was written to stderr.
fn run_host_under(machine: &Machine, program: &[&str]) -> String {
    let host = ["pam-host", "--service", "sudo", "--user", "alice"];
    let ended = machine
        .run(program.iter().copied().chain(host))
        .output()
        .expect_success();
    assert!(ended.stdout.contains("\"Success\""), "{ended:#?}");
    ended.stderr
}

/// Instructions of each part that callgrind dumped, in order, without those of the bench.
fn callgrind(machine: &Machine, options: &[&str]) -> Vec<u64> {
    let valgrind = [
        "valgrind",
        "--tool=callgrind",
        "--callgrind-out-file=/root/callgrind",
    ];
    run_host_under(machine, &[&valgrind, options].concat());
    // The last part has the name alone.
    let mut parts = Vec::new();
    for number in 1.. {
        let name = format!("/root/callgrind.{number}");
        let Some(part) = machine.read(&name) else {
            break;
        };
        fs::remove_file(machine.path(&name)).expect("a file of ours");
        parts.push(instructions(&part));
    }
    let last = machine.read("/root/callgrind").expect("callgrind's output");
    parts.push(instructions(&last));
    parts
}

/// The total of a part, less what calls into the preloaded library cost with all they called.
/// The format is in callgrind's manual, "Callgrind Format Specification".
fn instructions(part: &str) -> u64 {
    let mut names: HashMap<&str, &str> = HashMap::new();
    // `(3) name` where a name is first used, `(3)` afterwards.
    let mut is_the_benchs = |reference| {
        let (id, name) = str::split_once(reference, ' ').unwrap_or((reference, ""));
        if !name.is_empty() {
            names.insert(id, name);
        }
        let name = names.get(id).copied().unwrap_or_default();
        name.contains("libhid_ioctls")
    };
    let (mut total, mut of_the_bench) = (0, 0);
    // Whether what runs here is the bench's, and what it calls next, where that is told apart.
    let mut here = false;
    let mut called = None;
    let mut lines = part.lines();
    while let Some(line) = lines.next() {
        if let Some(object) = line.strip_prefix("ob=") {
            here = is_the_benchs(object);
        } else if let Some(object) = line.strip_prefix("cob=") {
            called = Some(is_the_benchs(object));
        } else if line.starts_with("calls=") {
            let cost = lines.next().unwrap_or_default();
            if called.take().unwrap_or(here) && !here {
                of_the_bench += last_number(cost);
            }
        } else if line.starts_with("totals:") {
            total += last_number(line);
        }
    }
    total - of_the_bench
}

fn last_number(line: &str) -> u64 {
    let number = line.rsplit(' ').next().unwrap_or_default();
    number.parse().unwrap_or_default()
}

/// Bytes on the heap at its fullest moment, by DHAT.
fn heap(machine: &Machine) -> u64 {
    let valgrind = ["valgrind", "--tool=dhat", "--dhat-out-file=/root/dhat"];
    let said = run_host_under(machine, &valgrind);
    said.lines()
        .find_map(|line| line.split_once("At t-gmax:")?.1.trim().split_once(' '))
        .and_then(|(bytes, _)| bytes.replace(',', "").parse().ok())
        .expect("DHAT tells the fullest moment")
}

pub(crate) fn table(costs: &[Cost; 2]) -> String {
    let row = |what: &str, range: fn(&Cost) -> &Range| {
        let cells = costs.iter().map(|cost| range(cost).in_thousands());
        [what.to_owned()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = vec![
        row("instructions before the first packet, thousands", |cost| {
            &cost.before_first_packet
        }),
        row("instructions of the login, thousands", |cost| {
            &cost.authenticate
        }),
        row("the same, and loading the module, thousands", |cost| {
            &cost.with_loading
        }),
        row("heap at its fullest, thousands of bytes", |cost| &cost.heap),
    ];
    format!(
        "## Instructions and heap

One login, 1 × 1, touch only; receipts are not kept, which is how it is installed.
The key is touched before it could blink, so that it sends no keepalive: how many of those come is a matter of time, and each costs.

{table}
Smallest and largest of {RUNS} runs; they differ because no two signatures are alike, and because packets arrive one by one or several at a time.
The first two rows are what `valgrind --tool=callgrind --toggle-collect=pam_sm_authenticate --dump-before=write` collects in a host that does nothing but log in: everything between entry and return of `pam_sm_authenticate`, libraries included, the kernel not.
The first row ends where `write` is entered for the first time, which is for the first packet.
The third is the host from its start to its end without `--toggle-collect`, less the same host with `pam_permit.so`: what the dynamic linker does for a module and its libraries comes on top.
A login with a PIN is not measured here.
Heap is \"At t-gmax\" of `valgrind --tool=dhat`, less the same with `pam_permit.so`.
The bench's preloaded library answers ioctls in the kernel's place; what its calls cost is taken out of the instructions, not out of the heap.
",
        table = markdown(&["", "pam_passkey", "pam_u2f"], &rows),
    )
}

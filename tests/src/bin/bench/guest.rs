//! One login in a booted Debian: a real kernel, and keys whose nodes it makes itself.
//!
//! `yardstick` measures in there; here the guest is booted, and what was measured is told.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tests::counts::{Count, PAM_U2F};
use tests::guest::measured::{Both, InScene, Measured, Run, median};
use tests::guest::{Clock, Guest};
use tests::machine::the_module;

use crate::plot::{self, Group};
use crate::text::{grouped, table};

/// What `.ci/guests` builds, and cargo.
const TARGET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
const PLOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/bench.svg");
const HEADING: &str = "## In a real kernel\n";
/// How long the console may show nothing new while it is measured.
const PATIENCE: Duration = Duration::from_secs(900);

/// The section, and the plot in docs/bench.svg. None where there is no guest to boot.
pub(crate) fn section() -> Option<String> {
    let folder = Path::new(TARGET).join("guests/trixie");
    if !folder.exists() {
        return None;
    }
    let (measured, system) = measure(&folder);
    let groups = Figure::DRAWN.map(|figure| Group {
        name: figure.name(),
        bars: measured
            .scenes
            .iter()
            .map(|scene| (name(scene), figure.ratios(scene).middle))
            .collect(),
    });
    fs::write(PLOT, plot::draw(&groups)).expect("docs/bench.svg is written");
    Some(tell(&measured, &system))
}

/// The section as it stands in this text, for a machine that cannot boot a guest.
pub(crate) fn section_of(benchmarks: &str) -> String {
    let at = benchmarks.find(HEADING);
    at.map_or_else(String::new, |at| benchmarks[at..].to_owned())
}

/// What was measured, and in what.
fn measure(folder: &Path) -> (Measured, String) {
    let target = Path::new(TARGET);
    let built = |name: &str| (name.to_owned(), target.join("in-guest").join(name));
    let module = the_module();
    let luggage: Vec<(String, PathBuf)> = vec![
        built("hands"),
        built("pam-host"),
        built("yardstick"),
        ("passkey".to_owned(), module.with_file_name("passkey")),
        ("pam_passkey.so".to_owned(), module),
    ];
    let transcript = target.join("bench.txt");
    let mut guest = Guest::boot_by(Clock::Instructions, folder, &luggage, &transcript);
    let versions = "uname -r; for package in libpam-u2f libfido2-1 libpam0g valgrind; do
        dpkg-query -W -f '${Package} ${Version}\n' $package; done";
    let system = guest.root.run(versions).ok();
    // A shell like that of the other people, whose prompt the console knows.
    let furnish = "cp /home/alice/.bashrc /root/; touch /root/.hushlogin";
    guest.root.run(furnish).ok();
    let console = guest.at_the_console("root");
    console
        .waits(PATIENCE)
        .runs_to(0, "/opt/bench/yardstick >/run/measured.json");
    let measured = guest.root.run("cat /run/measured.json").ok();
    let lost = guest.root.run("dmesg | grep 'queue is full'").said;
    assert!(lost.is_empty(), "packets to the keys were lost: {lost}");
    let measured = serde_json::from_str(&measured).expect("what was measured, in JSON");
    (measured, system.lines().collect::<Vec<_>>().join(", "))
}

/// What is compared.
#[derive(Clone, Copy)]
enum Figure {
    Messages,
    Opens,
    Loading,
    FirstWait,
    ItsWait,
    FromTouch,
    Instructions,
    Memory,
}

/// `pam_u2f` by `pam_passkey`: the smallest of some runs, the one in the middle, the largest.
struct Ratios {
    least: f64,
    middle: f64,
    most: f64,
}

impl Figure {
    const ALL: [Self; 8] = [
        Self::Messages,
        Self::Opens,
        Self::Loading,
        Self::FirstWait,
        Self::ItsWait,
        Self::FromTouch,
        Self::Instructions,
        Self::Memory,
    ];

    /// The rest is in the table alone.
    const DRAWN: [Self; 6] = [
        Self::Messages,
        Self::Opens,
        Self::FirstWait,
        Self::FromTouch,
        Self::Instructions,
        Self::Memory,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Messages => "messages to the keys",
            Self::Opens => "opens of their nodes",
            Self::Loading => "time to load the module",
            Self::FirstWait => "time until a key blinks",
            Self::ItsWait => "time until the key to be touched blinks",
            Self::FromTouch => "time from the touch to the result",
            Self::Instructions => "instructions of the host",
            Self::Memory => "peak memory of the host",
        }
    }

    fn ratios(self, scene: &InScene) -> Ratios {
        let counted =
            |of: fn(&Count) -> usize| vec![scene.counts.map(|count| float(of(&count) as u64))];
        let timed = |of: fn(&Run) -> u64| {
            let runs = scene.runs.iter();
            runs.map(|both| both.map(|run| float(of(&run)))).collect()
        };
        let middle = |both: &Both<Vec<u64>>| vec![both.clone().map(|all| float(median(all)))];
        let pairs: Vec<Both<f64>> = match self {
            Self::Messages => counted(|count| count.transactions),
            Self::Opens => counted(|count| count.opens),
            Self::Loading => timed(|run| run.loading_us),
            Self::FirstWait => timed(|run| run.until_a_key_waits_us),
            Self::ItsWait => timed(|run| run.until_its_key_waits_us),
            Self::FromTouch => timed(|run| run.from_touch_us),
            Self::Instructions => middle(&scene.instructions),
            Self::Memory => middle(&scene.peaks_kib),
        };
        let ratios: Vec<f64> = pairs.iter().map(|[ours, theirs]| theirs / ours).collect();
        Ratios {
            least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
            middle: median(ratios.clone()),
            most: ratios.iter().copied().fold(0.0, f64::max),
        }
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "no count here has sixteen digits"
)]
fn float(number: u64) -> f64 {
    number as f64
}

/// "24 × 1".
fn name(scene: &InScene) -> String {
    format!("{} × {}", scene.credentials, scene.keys)
}

/// Three digits; a ratio is known to no more.
pub(crate) fn shown(ratio: f64) -> String {
    if ratio < 9.995 {
        format!("{ratio:.2}")
    } else {
        format!("{ratio:.1}")
    }
}

fn tell(measured: &Measured, system: &str) -> String {
    let scenes = &measured.scenes;
    let head = |first: &str| {
        [first.to_owned()]
            .into_iter()
            .chain(scenes.iter().map(name))
    };
    let row = |what: &str, cell: &dyn Fn(&InScene) -> String| {
        let cells = scenes.iter().map(cell);
        [what.to_owned()]
            .into_iter()
            .chain(cells)
            .collect::<Vec<_>>()
    };
    let ratios: Vec<Vec<String>> = Figure::ALL
        .iter()
        .map(|figure| {
            row(figure.name(), &|scene| {
                let Ratios {
                    least,
                    middle,
                    most,
                } = figure.ratios(scene);
                let [least, middle, most] = [least, middle, most].map(shown);
                if least == most {
                    middle
                } else {
                    format!("{middle} ({least} to {most})")
                }
            })
        })
        .collect();
    let mut numbers = Vec::new();
    for (side, module) in ["pam_passkey", "pam_u2f"].into_iter().enumerate() {
        let mut say = |what: &str, cell: &dyn Fn(&InScene) -> String| {
            numbers.push(row(&format!("{what}, {module}"), cell));
        };
        say("messages", &|scene| {
            scene.counts[side].transactions.to_string()
        });
        say("opens: keys / a mouse", &|scene| {
            format!(
                "{} / {}",
                scene.counts[side].opens, scene.counts[side].mouse_opens
            )
        });
        say("instructions, thousands", &|scene| {
            grouped(median(scene.instructions[side].clone()) / 1000)
        });
        say("peak memory, KiB", &|scene| {
            grouped(median(scene.peaks_kib[side].clone()))
        });
    }
    let runs = scenes.first().map_or(0, |scene| scene.runs.len());
    let weighed = scenes.first().map_or(0, |scene| scene.peaks_kib[0].len());
    let [ours, theirs] = measured.libraries.each_ref().map(|names| names.join(", "));
    let heads: Vec<String> = head("pam_u2f ÷ pam_passkey").collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let ratios = table(&heads, &ratios);
    let heads: Vec<String> = head("").collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let numbers = table(&heads, &numbers);
    let line = PAM_U2F.trim_end();
    format!(
        "{HEADING}
Debian 13, booted in QEMU with its stock kernel ({system}).
Keys of the same firmware are on /dev/uhid, so their hidraw nodes are the kernel's own, and both modules ask the same keys in turn, in one run.
Touch only; scenes are those of the tables above, all keys enrolled.

![One login with pam_u2f: how many times what pam_passkey takes](docs/bench.svg)

{ratios}
Above 1, pam_u2f takes more; below 1, pam_passkey does.
Times are the middle of {runs} pairs of logins, one with each module, and in brackets the smallest and the largest ratio of a pair.
\"Load\" is from `pam_start` to `pam_authenticate`; the others begin where `pam_authenticate` is called and end where it returns.
A key \"blinks\" from when it begins to wait for its person.
With four keys, pam_u2f makes another key blink first, which is refused, and so on; \"the key to be touched\" is the last.
All of it is read off one clock inside the guest, which advances by a nanosecond with each instruction and, while nothing runs, with time.
So times compare and are nobody's milliseconds, and the load of the machine around it is not in them, but where the disk is waited for.
pam_passkey does that once, after the touch: it writes the key's signature counter and waits for it to be on the disk before it lets anybody in.
That wait is in its time from the touch, and spreads it; pam_u2f keeps no counters and waits for no disk.
The key works on the same processor, and its signature, made in software, is in the time from the touch of both.
On USB the kernel sleeps 50 ms in each first open of a node (`usbhid_open`); keys on /dev/uhid are spared that, and so are the times here.

{numbers}
Messages and opens are counted as above, and the same in every run.
Instructions are those of `valgrind --tool=callgrind` on pam-host from its start to its end, loading included, less the same with `pam_permit.so`; one run each.
With one key it is touched before it blinks; with four, keepalives are among the instructions.
Memory is `VmHWM` of su(1) with the module, once alice is in, less the same with `pam_permit.so`; the middle of {weighed} logins.
Libraries in su with pam_passkey and not with `pam_permit.so`: {ours}; with pam_u2f: {theirs}.

Each does what the other does not.
pam_passkey asks logind's files where the caller sits, shows what is requested, holds a lock on each key it asks, and keeps signature counters.
pam_u2f opens every HID device to see whether it is a key, and asks each one what it is, at every open.

pam_passkey has credentials of `passkey enroll --touch-only` and `user_verification = \"discouraged\"`; pam_u2f those of `pamu2fcfg` and

    {line} cue
"
    )
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_section_that_cannot_be_measured_stays_to_the_last_line() {
        let section = format!("{HEADING}\none\n\ntwo\n");
        let benchmarks = format!("# Benchmarks\n\n## Size\n\nzero\n\n{section}");
        assert_eq!(section_of(&benchmarks), section);
        assert_eq!(section_of("# Benchmarks\n"), "");
    }
}

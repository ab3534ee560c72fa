//! What a login costs in a real kernel: `pam_passkey.so` beside `pam_u2f.so`, on the same keys.
//!
//! Runs in a guest, as root in a session at its console (`make bench`). It holds the keys, starts
//! the hosts, and reads one clock for all of it, so nothing of the way out of the guest is in what
//! it measures. Prints [`Measured`] as JSON.

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what cannot be measured ends the run, and the bench reads why"
)]

mod host;
mod kernel;

use std::cell::RefCell;
use std::collections::BTreeSet;

use tests::counts::{
    Count, Drawer, Module, PAM_U2F, Place, SCENES, SERVICE, Scene, counted, new_key,
};
use tests::guest::measured::{Both, InScene, Measured, Run, median};
use tests::uhid::UhidDevice;
use tests::{Presence, VirtualKey};

use host::{Weight, at_us, count_instructions, log_in, touch_the_last, weigh};
use kernel::{Kernel, LUGGAGE, PluggedIn, Port};

/// Logins by the clock, in each scene, with each module.
const RUNS: usize = 5;
/// Logins whose memory is looked at.
const RUNS_WEIGHED: usize = 3;
/// Logins under callgrind, which take long and differ by little.
const RUNS_COUNTED: usize = 1;

/// 1 × 1, 8 × 1, 24 × 1, and 4 × 4 with all four keys enrolled.
const MEASURED: &[Scene] = SCENES.split_at(4).0;

/// Folders with a service each.
const PAM_PASSKEY: &str = "/run/yardstick/pam_passkey";
const U2F: &str = "/run/yardstick/pam_u2f";
const PERMIT: &str = "/run/yardstick/pam_permit";

fn main() {
    let place = Kernel;
    place.write(
        "/etc/pam-passkey/config.toml",
        "user_verification = \"discouraged\"\n",
    );
    place.run(&["mkdir", "-p", "/etc/pam-passkey/users"]);
    let write = |services: &str, line: &str| place.write(&format!("{services}/{SERVICE}"), line);
    write(
        PAM_PASSKEY,
        &format!("auth required {LUGGAGE}/pam_passkey.so\n"),
    );
    write(U2F, &format!("{} cue\n", PAM_U2F.trim_end()));
    write(PERMIT, "auth required pam_permit.so\n");

    let mouse = Port::new(UhidDevice::mouse());
    let most = MEASURED.iter().map(|scene| scene.credentials).max();
    let keys: Vec<VirtualKey> = (0..most.unwrap_or(0)).map(|_| new_key()).collect();
    let sides = [
        Side::new(Module::PamPasskey, PAM_PASSKEY, &keys),
        Side::new(Module::PamU2f, U2F, &keys),
    ];
    eprintln!("enrolled {} keys with each program", keys.len());

    // callgrind counts without them, and valgrind reads them for longer than a login takes.
    place.run(&["rm", "-rf", "/usr/lib/debug"]);
    let plain = Plain::measure();
    let measured = Measured {
        scenes: MEASURED
            .iter()
            .map(|scene| {
                let in_scene = measure(*scene, &sides, &mouse, &plain);
                eprintln!("measured {} × {}", scene.credentials, scene.keys);
                in_scene
            })
            .collect(),
        libraries: sides.map(|side| {
            let all = side.libraries.into_inner();
            all.difference(&plain.libraries).cloned().collect()
        }),
    };
    println!("{}", serde_json::to_string(&measured).expect("JSON"));
}

/// One of the two modules, and its credentials on the keys.
struct Side {
    module: Module,
    /// The folder of its service.
    services: &'static str,
    drawer: Drawer<Kernel>,
    /// Seen in the host so far.
    libraries: RefCell<BTreeSet<String>>,
}

/// The same host with a module that does nothing.
struct Plain {
    peak_kib: u64,
    instructions: u64,
    libraries: BTreeSet<String>,
}

impl Plain {
    fn measure() -> Self {
        let weights: Vec<Weight> = (0..RUNS_WEIGHED).map(|_| weigh(PERMIT, || ())).collect();
        let instructions = (0..RUNS_COUNTED).map(|_| count_instructions(PERMIT, || ()));
        Self {
            peak_kib: median(weights.iter().map(|weight| weight.peak_kib).collect()),
            instructions: median(instructions.collect()),
            libraries: weights.into_iter().flat_map(|it| it.libraries).collect(),
        }
    }
}

/// One scene: both modules in turn, while the same keys stay plugged in.
fn measure(scene: Scene, sides: &Both<Side>, mouse: &Port, plain: &Plain) -> InScene {
    for side in sides {
        side.drawer.write(scene);
    }
    let keys = sides[0].drawer.plug_in(scene);
    // The first may have something to make; no later one has.
    let log_in = || sides.each_ref().map(|side| side.log_in(&keys, mouse));
    let counts = log_in().map(|(count, _)| count);
    let runs = (0..RUNS).map(|_| {
        let run = log_in();
        assert_eq!(run.map(|(count, _)| count), counts, "{scene:?}");
        run.map(|(_, run)| run)
    });
    let runs = runs.collect();
    let several = |times, measure: &dyn Fn(&Side) -> u64| {
        sides
            .each_ref()
            .map(|side| (0..times).map(|_| measure(side)).collect())
    };
    InScene {
        credentials: scene.credentials,
        keys: scene.keys,
        counts,
        runs,
        peaks_kib: several(RUNS_WEIGHED, &|side| side.weigh(&keys) - plain.peak_kib),
        instructions: several(RUNS_COUNTED, &|side| {
            side.count_instructions(&keys) - plain.instructions
        }),
    }
}

impl Side {
    fn new(module: Module, services: &'static str, keys: &[VirtualKey]) -> Self {
        Self {
            module,
            services,
            drawer: Drawer::of(Kernel, module, keys),
            libraries: RefCell::default(),
        }
    }

    /// One login, by the clock.
    fn log_in(&self, keys: &[PluggedIn], mouse: &Port) -> (Count, Run) {
        self.rest(keys);
        let (count, report) = counted(mouse, keys, || log_in(self.services, || self.touch(keys)));
        let touched = &keys[keys.len() - 1];
        let waited = |key: &PluggedIn| key.moments().waited.map(at_us);
        let first = keys.iter().filter_map(waited).min();
        let moments = touched.moments();
        let [called, returned] = report.calls[0].at_us;
        let run = Run {
            loading_us: called - report.started_us,
            until_a_key_waits_us: first.expect("a key waited") - called,
            until_its_key_waits_us: waited(touched).expect("it waited") - called,
            from_touch_us: returned - at_us(moments.touched.expect("it was touched")),
        };
        (count, run)
    }

    /// The most memory that su ever had.
    fn weigh(&self, keys: &[PluggedIn]) -> u64 {
        self.rest(keys);
        let weight = weigh(self.services, || self.touch(keys));
        self.libraries.borrow_mut().extend(weight.libraries);
        weight.peak_kib
    }

    /// Instructions of one login. A key alone is touched before it could blink: how many keepalives
    /// it sends is a matter of time, and each costs.
    fn count_instructions(&self, keys: &[PluggedIn]) -> u64 {
        if let [key] = keys {
            key.presence(Presence::Accept);
            return count_instructions(self.services, || ());
        }
        self.rest(keys);
        count_instructions(self.services, || self.touch(keys))
    }

    /// Nobody touches a key yet.
    fn rest(&self, keys: &[PluggedIn]) {
        self.drawer.script(keys);
        keys[keys.len() - 1].presence(Presence::Never);
    }

    /// The last key is touched once all have been asked; the other module asks one at a time.
    fn touch(&self, keys: &[PluggedIn]) {
        match self.module {
            Module::PamU2f => touch_the_last(&keys[keys.len() - 1..]),
            Module::PamPasskey | Module::PamPasskeyDiscoverable => touch_the_last(keys),
        }
    }
}

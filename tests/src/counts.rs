//! What a login costs in messages and opens: many keys enrolled on one machine, then logins with
//! some of their credentials in the file and some of the keys plugged in.
//!
//! The test of the budgets and `make bench` measure with this same code.

#![forbid(unsafe_code)]

mod place;

use std::ops::Deref;
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::login::Pam;
use crate::machine::{Machine, Mouse, PluggedIn, Run};
use crate::virtual_key::{Attestation, Presence, VirtualKey};

pub use place::{Desk, Place, Watched};

/// The service that is asked. It is one that the module's policy covers unasked.
pub const SERVICE: &str = "sudo";
const CREDENTIALS: &str = "/etc/pam-passkey/users/alice.toml";
const PIN: &str = "1234";
/// How long an enrolment is watched for prompts; the machine ends it soon after.
const PATIENCE: Duration = Duration::from_secs(50);

/// The file that pamu2fcfg's lines are kept in.
const U2F_MAPPINGS: &str = "/etc/u2f_mappings";
/// The line for /etc/pam.d. `max_devices` only because its line buffer grows with it, by 256 bytes
/// a device: twenty-four ids of 241 bytes do not go into the 6144 bytes it has at first.
pub const PAM_U2F: &str = "auth required pam_u2f.so authfile=/etc/u2f_mappings \
     origin=pam://bench appid=pam://bench max_devices=64\n";

/// Whose module, and which credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// Ours, with what `passkey enroll` makes: 241-byte ids on the virtual key.
    PamPasskey,
    /// Ours, with what `passkey enroll --discoverable` makes: 32-byte ids there.
    PamPasskeyDiscoverable,
    /// Debian's, with what pamu2fcfg makes: 241-byte ids there.
    PamU2f,
}

/// What the file of credentials holds and what is plugged in. The credential that wins is the
/// last in the file, its key the last one plugged in.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Credentials in the file.
    pub credentials: usize,
    /// Keys plugged in.
    pub keys: usize,
    /// Whose the keys before the last one are.
    pub others: Others,
}

/// The keys plugged in beside the one that is touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Enrolled too: the last credentials in the file are theirs, in their order.
    Enrolled,
    /// None of the credentials is theirs.
    Strangers,
}

/// What is measured, from the plainest to the worst.
pub const SCENES: [Scene; 7] = [
    scene(1, 1, Others::Enrolled),
    scene(8, 1, Others::Enrolled),
    scene(24, 1, Others::Enrolled),
    scene(4, 4, Others::Enrolled),
    scene(24, 4, Others::Enrolled),
    scene(4, 4, Others::Strangers),
    scene(24, 4, Others::Strangers),
];

const fn scene(credentials: usize, keys: usize, others: Others) -> Scene {
    Scene {
        credentials,
        keys,
        others,
    }
}

/// What one login came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// CTAPHID messages that the keys were sent, all keys together, without the CANCELs.
    pub transactions: usize,
    /// How often the keys' nodes were opened, all keys together.
    pub opens: usize,
    /// How often the node that was opened most was opened.
    pub most_opens: usize,
    /// How often the node of a mouse was opened.
    pub mouse_opens: usize,
}

/// A place where alice has many keys, all of them in her drawer.
pub struct Drawer<P = Desk> {
    place: P,
    module: Module,
    keys: Vec<VirtualKey>,
    /// What the credential file says before the first credential.
    head: String,
    /// A credential for each key, in the file's own words.
    records: Vec<String>,
}

impl<P: Place> Drawer<P> {
    /// Enrols these keys, one after the other, with the program that belongs to the module.
    #[must_use]
    pub fn of(place: P, module: Module, keys: &[VirtualKey]) -> Self {
        let mut drawer = Self {
            place,
            module,
            keys: keys.to_vec(),
            head: "alice".to_owned(),
            records: Vec::new(),
        };
        for (number, key) in keys.iter().enumerate() {
            let _plugged_in = drawer.place.plug_in(key.clone());
            drawer.enroll(number + 1);
        }
        if module != Module::PamU2f {
            let file = drawer.place.read(CREDENTIALS);
            let mut parts = file.split("[[credential]]");
            parts
                .next()
                .unwrap_or_default()
                .clone_into(&mut drawer.head);
            drawer.records = parts.map(|part| format!("[[credential]]{part}")).collect();
        }
        assert_eq!(
            drawer.records.len(),
            keys.len(),
            "a credential for each key"
        );
        drawer
    }

    /// Enrols the key that is plugged in.
    fn enroll(&mut self, number: usize) {
        match self.module {
            Module::PamU2f => {
                let enrol = [
                    "pamu2fcfg",
                    "-u",
                    "alice",
                    "-o",
                    "pam://bench",
                    "-i",
                    "pam://bench",
                ];
                let made = self.place.run(&enrol);
                self.records.push(record_of_pamu2fcfg(&made));
            }
            Module::PamPasskey | Module::PamPasskeyDiscoverable => {
                let name = format!("key {number}");
                let mut enroll = vec!["passkey", "enroll", "--touch-only", "--user", "alice"];
                enroll.extend(["--name", &name]);
                if self.module == Module::PamPasskeyDiscoverable {
                    enroll.push("--discoverable");
                }
                self.place.run(&enroll);
            }
        }
    }

    /// Sets the scene: writes the file and plugs the keys in, the touched one last.
    #[must_use = "keys that nobody holds are pulled out at once"]
    pub fn set(&self, scene: Scene) -> Vec<P::Key> {
        self.write(scene);
        let keys = self.plug_in(scene);
        self.script(&keys);
        keys
    }

    /// Writes the file of credentials.
    pub fn write(&self, scene: Scene) {
        let first = self.records.len() - scene.credentials;
        let credentials = self.head.clone() + &self.records[first..].concat();
        let file = match self.module {
            Module::PamU2f => U2F_MAPPINGS,
            Module::PamPasskey | Module::PamPasskeyDiscoverable => CREDENTIALS,
        };
        self.place.write(file, &credentials);
    }

    /// Plugs the keys in, the touched one last.
    #[must_use = "keys that nobody holds are pulled out at once"]
    pub fn plug_in(&self, scene: Scene) -> Vec<P::Key> {
        let touched = self.keys.len() - 1;
        let mut keys = match scene.others {
            Others::Enrolled => self.keys[touched + 1 - scene.keys..touched].to_vec(),
            Others::Strangers => (1..scene.keys).map(|_| new_key()).collect(),
        };
        keys.push(self.keys[touched].clone());
        keys.into_iter()
            .map(|key| self.place.plug_in(key))
            .collect()
    }

    /// What the person does with each of these keys.
    pub fn script(&self, keys: &[P::Key]) {
        let Some((touched, others)) = keys.split_last() else {
            return;
        };
        for other in others {
            other.presence(match self.module {
                // It asks one key after the other, and each would wait its 30 s.
                Module::PamU2f => Presence::Deny,
                Module::PamPasskey | Module::PamPasskeyDiscoverable => Presence::Never,
            });
        }
        // Beside others, the touch comes late enough for all of them to have been asked.
        touched.presence(match others {
            [] => Presence::Accept,
            _ => Presence::after_ms(700),
        });
    }
}

impl Drawer {
    /// A machine of the bench's with so many keys, all of them enrolled.
    #[must_use]
    pub fn with(module: Module, keys: usize) -> Self {
        let desk = Desk::new();
        if module == Module::PamU2f {
            desk.machine.service(SERVICE, PAM_U2F);
        }
        let keys: Vec<VirtualKey> = (0..keys).map(|_| new_key()).collect();
        Self::of(desk, module, &keys)
    }

    /// One login in this scene; fails the test if alice is not let in.
    pub fn login(&self, scene: Scene) -> Count {
        let keys = self.set(scene);
        let count = count(self.machine(), &self.place.mouse, &keys, &[]);
        count.unwrap_or_else(|said| panic!("{:?} in {scene:?}: {said}", self.module))
    }

    /// The machine, with the module as the service `sudo`.
    pub fn machine(&self) -> &Machine {
        &self.place.machine
    }
}

/// One login of a key on which a PIN is set, at a service that demands one; fails the test if alice
/// is not let in.
pub fn login_with_pin(module: Module) -> Count {
    let machine = Machine::lived_on();
    let mouse = machine.plug_in_mouse();
    let key = machine.plug_in(new_key().with_pin(PIN));
    if module == Module::PamU2f {
        machine.service(SERVICE, PAM_U2F);
        let enrol = "pamu2fcfg -N -u alice -o pam://bench -i pam://bench";
        let made = typing_the_pin(machine.sh(format!("exec {enrol}")));
        let file = format!("alice{}\n", record_of_pamu2fcfg(&made));
        machine.write(U2F_MAPPINGS, &file, 0o644);
    } else {
        machine.policy("user_verification = \"required\"\n");
        let more = (module == Module::PamPasskeyDiscoverable).then_some("--discoverable");
        let enroll = [
            "enroll",
            "--no-spare",
            "--user",
            "alice",
            "--name",
            "blue key",
        ];
        typing_the_pin(machine.passkey(enroll.into_iter().chain(more)));
    }
    let count = count(&machine, &mouse, &[key], &[PIN]);
    count.unwrap_or_else(|said| panic!("{module:?} with a PIN: {said}"))
}

/// Runs an enrolment at a terminal: the PIN to every prompt for one, yes to every question.
fn typing_the_pin(run: Run<'_>) -> String {
    let mut running = run.on_a_terminal().start();
    let (began, mut answered) = (Instant::now(), 0);
    while !running.has_ended() && began.elapsed() < PATIENCE {
        let printed = running.printed();
        // A prompt is a line that has not ended.
        let prompt = printed[answered..].rsplit('\n').next().unwrap_or_default();
        let answer = match prompt.trim_end() {
            asks if asks.ends_with("[y/N]") => Some("y"),
            asks if asks.contains("PIN") && asks.ends_with(':') => Some(PIN),
            _ => None,
        };
        if let Some(answer) = answer {
            answered = printed.len();
            running.type_line(answer);
        }
        thread::sleep(Duration::from_millis(10));
    }
    running.finish().expect_success().stdout
}

/// One login, counted; what was said and logged where it does not succeed.
fn count(
    machine: &Machine,
    mouse: &Mouse,
    keys: &[PluggedIn],
    answers: &[&str],
) -> Result<Count, String> {
    let (count, login) = counted(mouse, keys, || {
        let login = machine.login(SERVICE, "alice");
        login.answers(answers.iter().copied()).run()
    });
    if login.code() != Pam::Success {
        let (said, logged) = (login.said(), login.logged());
        return Err(format!("{:?}\n{said}{logged}", login.code()));
    }
    Ok(count)
}

/// What these keys were asked, and how often nodes were opened, while this was done.
pub fn counted<K, T>(mouse: &impl Watched, keys: &[K], deed: impl FnOnce() -> T) -> (Count, T)
where
    K: Deref<Target = VirtualKey> + Watched,
{
    let before: Vec<usize> = keys.iter().map(Watched::opens).collect();
    let mouse_before = mouse.opens();
    for key in keys {
        key.forget_transactions();
    }
    let done = deed();
    let opens = || keys.iter().zip(&before).map(|(key, old)| key.opens() - old);
    let count = Count {
        transactions: keys.iter().map(|key| key.transactions().len()).sum(),
        opens: opens().sum(),
        most_opens: opens().max().unwrap_or_default(),
        mouse_opens: mouse.opens() - mouse_before,
    };
    (count, done)
}

/// Both modules get keys of one kind; pamu2fcfg refuses those without a certificate.
#[must_use]
pub fn new_key() -> VirtualKey {
    VirtualKey::named("Bench Key").attested_by(&Attestation::of_the_bench())
}

/// `:id,public key,type,options`, as many of which follow the user's name as there are keys.
fn record_of_pamu2fcfg(printed: &str) -> String {
    let line = printed.lines().find_map(|line| line.strip_prefix("alice"));
    line.expect("pamu2fcfg prints a line for alice").to_owned()
}

//! The bench's hands inside a guest: runs root's scripts, and plugs keys into the kernel.
//!
//! `hands PORT` takes orders from a virtio port, one line of JSON each, and answers each
//! (`tests::guest::Order`).

#![forbid(unsafe_code)]
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "hands that cannot work say why in the guest's journal, and the bench misses them"
)]

use std::collections::HashMap;
use std::env;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::process::{self, Stdio};
use std::thread;
use std::time::Duration;

use tests::guest::{Deed, Finger, Message, Order, Ran, Reply};
use tests::uhid::UhidDevice;
use tests::virtual_key::Transaction;
use tests::{Attestation, Command, Presence, VirtualKey};

/// How long a key is given to begin to blink.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let path = env::args().nth(1).expect("a port");
    let port = || OpenOptions::new().read(true).write(true).open(&path);
    let port = port().expect("the port opens");
    let mut answers = port.try_clone().expect("a descriptor");
    let mut orders = BufReader::new(port);
    let mut keeper = Keeper::default();
    loop {
        let mut line = String::new();
        match orders.read_line(&mut line) {
            // Nobody at the other end yet.
            Ok(0) => thread::sleep(Duration::from_millis(50)),
            Ok(_) => {
                let reply = match serde_json::from_str(&line) {
                    Ok(order) => keeper.carry_out(order),
                    Err(error) => Reply::Failed(format!("{error}: {line}")),
                };
                let mut reply = serde_json::to_string(&reply).expect("a reply in JSON");
                reply.push('\n');
                answers.write_all(reply.as_bytes()).expect("the port");
            }
            Err(error) => panic!("{path}: {error}"),
        }
    }
}

/// The keys there are, plugged in or not.
#[derive(Default)]
struct Keeper {
    keys: HashMap<String, Key>,
    odd: Vec<UhidDevice>,
}

struct Key {
    key: VirtualKey,
    port: Option<UhidDevice>,
}

impl Keeper {
    fn carry_out(&mut self, order: Order) -> Reply {
        match order {
            Order::Run(script) => run(&script),
            Order::Key(name, Deed::PlugIn(pin)) => self.plug_in(&name, pin.as_deref()),
            Order::Key(name, deed) => match self.keys.get_mut(&name) {
                Some(key) => key.carry_out(&deed),
                None => Reply::Failed(format!("there is no key {name}")),
            },
            Order::PlugInOdd(descriptor) => {
                let device = UhidDevice::odd("Odd Device", &descriptor);
                let node = node_of(&device);
                self.odd.push(device);
                node
            }
            Order::OddBabble(length) => {
                for device in &self.odd {
                    device.say(&vec![0x55; length]);
                }
                Reply::Done
            }
            Order::PullOutAll => {
                self.odd.clear();
                for key in self.keys.values_mut() {
                    key.port = None;
                }
                Reply::Done
            }
        }
    }

    fn plug_in(&mut self, name: &str, pin: Option<&str>) -> Reply {
        let new = || Key {
            key: new_key(name, pin),
            port: None,
        };
        let key = self.keys.entry(name.to_owned()).or_insert_with(new);
        let port = key
            .port
            .get_or_insert_with(|| UhidDevice::with_key(&key.key));
        node_of(port)
    }
}

impl Key {
    fn carry_out(&mut self, deed: &Deed) -> Reply {
        match deed {
            Deed::PlugIn(_) => Reply::Failed("the keeper plugs in".to_owned()),
            Deed::PullOut => {
                self.port = None;
                Reply::Done
            }
            Deed::Finger(finger) => {
                self.key.presence(match *finger {
                    Finger::Touches(after) => Presence::after_ms(after),
                    Finger::Rests => Presence::Never,
                    Finger::Refuses => Presence::Deny,
                });
                Reply::Done
            }
            Deed::WaitUntilItBlinks => {
                if self.key.blinks_within(PATIENCE) {
                    Reply::Done
                } else {
                    Reply::Failed(format!("it does not; it heard {:?}", self.key.commands()))
                }
            }
            // Each look takes two seconds of a key that is not.
            Deed::IsDark => Reply::Is((0..8).any(|_| self.key.is_dark())),
            Deed::Journal => {
                let messages = self.key.messages();
                self.key.forget_transactions();
                let message = |message: &Transaction| Message {
                    line: message.to_string(),
                    cancel: message.command == Command::Cancel,
                };
                Reply::Journal(messages.iter().map(message).collect())
            }
            Deed::Babble(length) => match &self.port {
                Some(port) => {
                    port.say(&vec![0x55; *length]);
                    Reply::Done
                }
                None => Reply::Failed("it is not plugged in".to_owned()),
            },
        }
    }
}

fn node_of(device: &UhidDevice) -> Reply {
    Reply::Node(device.node().map(|node| node.display().to_string()))
}

/// With an attestation certificate, since pamu2fcfg takes no other.
fn new_key(name: &str, pin: Option<&str>) -> VirtualKey {
    let key = VirtualKey::named(name).attested_by(&Attestation::of_the_bench());
    match pin {
        Some(pin) => key.with_pin(pin),
        None => key,
    }
}

fn run(script: &str) -> Reply {
    let said = "/run/bench-said";
    let file = File::create(said).expect("a file for what it says");
    let both = file.try_clone().expect("a descriptor");
    let ended = process::Command::new("/bin/sh")
        .args(["-c", script])
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(both)
        .status();
    match ended {
        Ok(status) => Reply::Ran(Ran {
            code: status.code().unwrap_or(-1),
            said: String::from_utf8_lossy(&std::fs::read(said).unwrap_or_default()).into_owned(),
        }),
        Err(error) => Reply::Failed(error.to_string()),
    }
}

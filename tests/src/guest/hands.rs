//! What the bench does inside a guest besides typing: root's scripts, and keys in its ports.
//!
//! One line of JSON each way over a virtio port; `src/bin/hands.rs` is the other end. The two are
//! of one build, so the protocol has no version.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest that a script may take in there.
const PATIENCE: Duration = Duration::from_secs(180);

/// What the person does when a key blinks.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum Finger {
    /// Touches it this many milliseconds after it began to blink.
    Touches(u64),
    /// Does not touch it.
    Rests,
    /// Presses the cross.
    Refuses,
}

/// What the hands are told to do.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Runs a script with `sh`.
    Run(String),
    /// Does something with the key of this name.
    Key(String, Deed),
    /// Plugs in a device with this report descriptor, which answers nothing.
    PlugInOdd(Vec<u8>),
    /// Has each such device say something of this many bytes.
    OddBabble(usize),
    /// Pulls out whatever is plugged in.
    PullOutAll,
}

/// What is done with a key.
#[derive(Debug, Serialize, Deserialize)]
pub enum Deed {
    /// Plugs it in; one that nobody has seen yet comes new, with this PIN if any.
    PlugIn(Option<String>),
    /// Pulls it out. It keeps its memory.
    PullOut,
    /// Scripts the finger, from now on.
    Finger(Finger),
    /// Waits until it blinks.
    WaitUntilItBlinks,
    /// Tells whether it works on nothing, or soon will not.
    IsDark,
    /// Tells what it was asked so far, and begins a new page.
    Journal,
    /// Says something of this many bytes that nobody asked for.
    Babble(usize),
}

/// One message to a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What was asked, in words.
    pub line: String,
    /// Whether it was a CANCEL, which has no answer.
    pub cancel: bool,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// What the script did.
    Ran(Ran),
    /// The node of what was plugged in, where the kernel made one.
    Node(Option<String>),
    /// The messages.
    Journal(Vec<Message>),
    /// Yes or no.
    Is(bool),
    /// It is done.
    Done,
    /// The hands could not.
    Failed(String),
}

/// A script, run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ran {
    /// Its exit code; -1 after a signal.
    pub code: i32,
    /// stdout and stderr, as they came.
    pub said: String,
}

impl Ran {
    /// Asserts that it ended with 0; returns what it said.
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}", self.said);
        self.said
    }
}

/// The bench's end of a port.
pub struct Hands {
    port: BufReader<UnixStream>,
}

impl Hands {
    pub(super) fn on(port: UnixStream) -> Self {
        Self {
            port: BufReader::new(port),
        }
    }

    /// Has it done, and waits for what comes of it.
    pub fn order(&mut self, order: &Order) -> Reply {
        let line = serde_json::to_string(order).expect("an order in JSON") + "\n";
        let port = self.port.get_mut();
        port.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        port.write_all(line.as_bytes()).expect("a port");
        let mut line = String::new();
        match self.port.read_line(&mut line) {
            Ok(1..) => {}
            other => panic!("no reply to {order:?}: {other:?}"),
        }
        match serde_json::from_str(&line).expect("a reply in JSON") {
            Reply::Failed(why) => panic!("{order:?}: {why}"),
            reply => reply,
        }
    }

    /// Runs a script as root, outside of any session.
    pub fn run(&mut self, script: &str) -> Ran {
        match self.order(&Order::Run(script.to_owned())) {
            Reply::Ran(ran) => ran,
            other => panic!("{other:?}"),
        }
    }

    /// Plugs a key in, new with this PIN if nobody has seen it yet; returns its node.
    pub fn plug_in(&mut self, key: &str, pin: Option<&str>) -> String {
        match self.key(key, Deed::PlugIn(pin.map(str::to_owned))) {
            Reply::Node(Some(node)) => node,
            other => panic!("{key}: {other:?}"),
        }
    }

    /// Pulls a key out.
    pub fn pull_out(&mut self, key: &str) {
        self.key(key, Deed::PullOut);
    }

    /// Scripts the finger.
    pub fn finger(&mut self, key: &str, finger: Finger) {
        self.key(key, Deed::Finger(finger));
    }

    /// Waits until the key blinks.
    pub fn wait_until_it_blinks(&mut self, key: &str) {
        self.key(key, Deed::WaitUntilItBlinks);
    }

    /// Whether the key works on nothing, or soon will not.
    pub fn is_dark(&mut self, key: &str) -> bool {
        matches!(self.key(key, Deed::IsDark), Reply::Is(true))
    }

    /// What the key was asked since the last time.
    pub fn journal(&mut self, key: &str) -> Vec<Message> {
        match self.key(key, Deed::Journal) {
            Reply::Journal(messages) => messages,
            other => panic!("{key}: {other:?}"),
        }
    }

    /// Waits until the key has answered something since the last journal.
    pub fn hears_from(&mut self, key: &str) {
        for _ in 0..100 {
            if !self.journal(key).is_empty() && self.is_dark(key) {
                return;
            }
            thread::sleep(Duration::from_millis(200));
        }
        panic!("{key} was asked for nothing");
    }

    /// Has the key say so many bytes that nobody asked for.
    pub fn babble(&mut self, key: &str, length: usize) {
        self.key(key, Deed::Babble(length));
    }

    /// Plugs in a device with this report descriptor; returns its node, if the kernel made one.
    pub fn plug_in_odd(&mut self, descriptor: &[u8]) -> Option<String> {
        match self.order(&Order::PlugInOdd(descriptor.to_vec())) {
            Reply::Node(node) => node,
            other => panic!("{other:?}"),
        }
    }

    /// Has whatever is plugged in and odd say so many bytes.
    pub fn odd_babble(&mut self, length: usize) {
        self.order(&Order::OddBabble(length));
    }

    /// Pulls out whatever is plugged in.
    pub fn pull_out_all(&mut self) {
        self.order(&Order::PullOutAll);
    }

    fn key(&mut self, key: &str, deed: Deed) -> Reply {
        self.order(&Order::Key(key.to_owned(), deed))
    }
}

//! The host's side of the conversation: writes down what is said, and answers from standard input.

#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "what --aloud is for")]

use std::hint::black_box;
use std::io;
use std::time::Instant;

use nix::unistd::read;
use tests::login::{Message, Style};

use crate::libpam::Conversation;

/// Room for all that is ever said. It is taken before the first call, so that what the heap
/// holds more afterwards is none of the host's doing.
const ROOM: usize = 1 << 20;

pub(crate) struct Notes {
    began: Instant,
    /// A line of JSON for each message.
    messages: Vec<u8>,
    aloud: bool,
    litter: bool,
}

impl Notes {
    pub(crate) fn new(began: Instant, aloud: bool, litter: bool) -> Self {
        Self {
            began,
            messages: Vec::with_capacity(ROOM),
            aloud,
            litter,
        }
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        let lines = self.messages.split(|byte| *byte == b'\n');
        lines
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }
}

impl Conversation for Notes {
    fn hear(&mut self, style: Style, text: &str, answer: Option<&mut [u8]>) -> bool {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let message = Message {
            style,
            text: text.to_owned(),
            at_ms,
        };
        let written = serde_json::to_writer(&mut self.messages, &message);
        self.messages.push(b'\n');
        // Last: whoever reads it may send a signal at once, which is to find the module at work.
        if self.aloud {
            eprintln!("{text}");
        }
        let Some(answer) = answer else {
            return written.is_ok();
        };
        let Some(length) = read_line(answer) else {
            return false;
        };
        if self.litter
            && let Some(typed) = answer.get(..length)
        {
            drop(black_box(typed.to_vec()));
        }
        written.is_ok()
    }
}

/// A line of standard input, read right into the memory that the module is given: no buffer on
/// the way keeps a copy. `None` at the end of input, or where there is too little room.
fn read_line(line: &mut [u8]) -> Option<usize> {
    for place in 0..line.len() {
        let byte = line.get_mut(place..=place)?;
        if read(io::stdin(), byte).ok()? == 0 {
            return (place > 0).then_some(place);
        }
        if byte == b"\n" {
            byte.fill(0);
            return Some(place);
        }
    }
    None
}

//! The keyboard of the guest's seat, by way of QEMU's monitor.

#![forbid(unsafe_code)]

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::Duration;

/// Where a person sits who uses the virtual terminals.
pub struct Screen {
    monitor: UnixStream,
}

impl Screen {
    pub(super) fn on(monitor: UnixStream) -> Self {
        Self { monitor }
    }

    /// Types a line on the keyboard and presses Enter: lower-case letters, digits,
    /// `-`, `.`, `/`, space.
    pub fn types(&mut self, text: &str) {
        for character in text.chars() {
            let key = match character {
                ' ' => "spc".to_owned(),
                '-' => "minus".to_owned(),
                '.' => "dot".to_owned(),
                '/' => "slash".to_owned(),
                letter => letter.to_string(),
            };
            self.presses(&key);
        }
        self.presses("ret");
    }

    /// Presses one key, by QEMU's name for it.
    pub fn presses(&mut self, key: &str) {
        writeln!(self.monitor, "sendkey {key} 20").expect("QEMU's monitor");
        thread::sleep(Duration::from_millis(60));
    }
}

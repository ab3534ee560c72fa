//! Where keys are enrolled and asked: a machine of the bench's, or a Debian that is booted.

#![forbid(unsafe_code)]

use std::ops::Deref;

use crate::machine::{Machine, Mouse, PluggedIn, Port};
use crate::virtual_key::VirtualKey;

/// A place with ports, programs and files of root's.
pub trait Place {
    /// A key that is plugged in. Dropping it pulls it out.
    type Key: Deref<Target = VirtualKey> + Watched;

    /// Plugs a key in.
    #[must_use = "a key that nobody holds is pulled out at once"]
    fn plug_in(&self, key: VirtualKey) -> Self::Key;

    /// Runs a command as root, which must succeed; returns what it printed.
    fn run(&self, command: &[&str]) -> String;

    /// Writes a file that everybody may read.
    fn write(&self, file: &str, text: &str);

    /// Reads a file, which must be there.
    fn read(&self, file: &str) -> String;
}

/// A device whose node is watched.
pub trait Watched {
    /// How often it was opened, by whomever: the kernel counts (inotify), not the program.
    fn opens(&self) -> usize;
}

/// One of the bench's machines, with a mouse on the table.
pub struct Desk {
    pub(super) machine: Machine,
    pub(super) mouse: Mouse,
}

impl Desk {
    pub(super) fn new() -> Self {
        let machine = Machine::lived_on();
        Self {
            mouse: machine.plug_in_mouse(),
            machine,
        }
    }
}

impl Place for Desk {
    type Key = PluggedIn;

    fn plug_in(&self, key: VirtualKey) -> PluggedIn {
        self.machine.plug_in(key)
    }

    fn run(&self, command: &[&str]) -> String {
        let run = self.machine.run(command.iter().copied());
        run.output().expect_success().stdout
    }

    fn write(&self, file: &str, text: &str) {
        self.machine.write(file, text, 0o644);
    }

    fn read(&self, file: &str) -> String {
        let text = self.machine.read(file);
        text.unwrap_or_else(|| panic!("{file} is not there"))
    }
}

impl Watched for PluggedIn {
    fn opens(&self) -> usize {
        Self::opens(self)
    }
}

impl Watched for Mouse {
    fn opens(&self) -> usize {
        Port::opens(self)
    }
}

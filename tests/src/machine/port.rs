//! What is plugged into a machine, for as long as a test holds it.

#![forbid(unsafe_code)]

use std::ops::Deref;
use std::os::fd::OwnedFd;

use crate::hidraw::HidrawNode;
use crate::virtual_key::VirtualKey;

/// A device in a machine's USB port. Dropping it pulls it out.
pub struct Port(pub(super) HidrawNode);

impl Port {
    /// Its node, `/dev/hidrawN`.
    pub fn node(&self) -> String {
        format!("/dev/hidraw{}", self.0.index())
    }

    /// How often the node was opened, by whomever: the kernel counts (inotify), not the program.
    pub fn opens(&self) -> usize {
        self.0.opens()
    }

    /// Writes that were not one report of 65 bytes.
    pub fn malformed_writes(&self) -> usize {
        self.0.malformed_writes()
    }

    /// Who may open the node; at first root alone (0600). 0666 is what a seat's user has.
    pub fn node_mode(&self, mode: u32) {
        self.0.set_mode(mode);
    }
}

/// A key in its port; otherwise the key itself.
pub struct PluggedIn {
    pub(super) key: VirtualKey,
    pub(super) port: Port,
}

impl PluggedIn {
    /// Its node, `/dev/hidrawN`.
    pub fn node(&self) -> String {
        self.port.node()
    }

    /// How often its node was opened; see [`Port::opens`].
    pub fn opens(&self) -> usize {
        self.port.opens()
    }

    /// Writes that were no report; see [`Port::malformed_writes`].
    pub fn malformed_writes(&self) -> usize {
        self.port.malformed_writes()
    }

    /// Who may open its node; see [`Port::node_mode`].
    pub fn node_mode(&self, mode: u32) {
        self.port.node_mode(mode);
    }

    /// Pulls the key out. It keeps its memory, and can be plugged in again, here or elsewhere.
    pub fn unplug(self) -> VirtualKey {
        self.key
    }
}

impl Deref for PluggedIn {
    type Target = VirtualKey;

    fn deref(&self) -> &VirtualKey {
        &self.key
    }
}

/// A HID device that is no security key.
pub struct Mouse {
    pub(super) port: Port,
    /// Held, so that the mouse does not look unplugged.
    pub(super) _far_end: OwnedFd,
}

impl Deref for Mouse {
    type Target = Port;

    fn deref(&self) -> &Port {
        &self.port
    }
}

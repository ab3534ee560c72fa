//! Keys of flesh and blood, for a demonstration: lent to a machine, with nothing else of the real
//! one.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::machine::Machine;

/// A security key that is plugged into the real machine.
pub struct RealKey {
    sysfs: PathBuf,
    node: PathBuf,
    /// What it calls itself.
    pub name: String,
}

/// The usage page and usage with which every FIDO report descriptor begins.
const FIDO: &[u8] = &[0x06, 0xD0, 0xF1, 0x09, 0x01];

impl RealKey {
    /// The first key that whoever runs us may open.
    #[must_use]
    pub fn find() -> Option<Self> {
        let entries = fs::read_dir("/sys/class/hidraw").ok()?;
        entries.flatten().find_map(|entry| {
            let sysfs = fs::canonicalize(entry.path()).ok()?;
            let descriptor = fs::read(sysfs.join("device/report_descriptor")).ok()?;
            let node = fs::canonicalize(Path::new("/dev").join(entry.file_name())).ok()?;
            let may_open = fs::File::options()
                .read(true)
                .write(true)
                .open(&node)
                .is_ok();
            let uevent = fs::read_to_string(sysfs.join("device/uevent")).ok()?;
            let name = uevent
                .lines()
                .find_map(|line| line.strip_prefix("HID_NAME="));
            (descriptor.starts_with(FIDO) && may_open).then(|| Self {
                sysfs,
                node,
                name: name.unwrap_or("security key").to_owned(),
            })
        })
    }
}

impl Machine {
    /// Shows the key in this machine's `/dev` and `/sys`, for as long as the machine lives.
    pub fn lend(&mut self, key: &RealKey) {
        let name = key.sysfs.file_name().expect("a device has a name");
        let shown = self.path("/sys/class/hidraw").join(name);
        fs::create_dir_all(shown.join("device")).expect("a directory in sysfs");
        for attribute in ["dev", "device/report_descriptor", "device/uevent"] {
            fs::copy(key.sysfs.join(attribute), shown.join(attribute)).expect("an attribute");
        }
        let node = format!("/dev/{}", name.to_string_lossy());
        self.install(&key.node, &node);
    }
}

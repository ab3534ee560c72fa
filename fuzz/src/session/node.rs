//! A hidraw node: a PTY whose one end is `/dev/hidrawN`, and what sysfs shows
//! of it.
#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use ceremony::authenticator::ctaphid::Packet;
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::stat::{major, minor};
use nix::sys::termios::{SetArg, SpecialCharacterIndices, cfmakeraw, tcgetattr, tcsetattr};

/// A FIDO authenticator: usage page 0xF1D0, usage 1, reports of 64 bytes.
const DESCRIPTOR: &[u8] = &[
    0x06, 0xd0, 0xf1, 0x09, 0x01, 0xa1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08,
    0x95, 0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91,
    0x02, 0xc0,
];

/// Where nodes are, by number.
pub(super) fn path(number: usize) -> PathBuf {
    PathBuf::from(format!("/dev/hidraw{number}"))
}

/// A device that is plugged in; dropping it unplugs it.
pub(super) struct Node {
    number: usize,
    terminal: PathBuf,
}

/// The device's end of it. Dropping it is a cable that breaks.
pub(super) struct Cable(File);

impl Node {
    /// Plugs a device in. Readable means that `least` bytes are there: 64, a
    /// whole report, where the device sends no shorter ones.
    pub(super) fn plug_in(number: usize, least: u8) -> (Self, Cable) {
        let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
        let master = posix_openpt(flags).expect("a PTY");
        grantpt(&master).expect("a PTY of ours");
        unlockpt(&master).expect("a PTY that opens");
        let terminal = PathBuf::from(ptsname_r(&master).expect("a PTY with a name"));
        // On the master this sets the other end, which nobody has opened yet.
        let mut mode = tcgetattr(&master).expect("a terminal");
        cfmakeraw(&mut mode);
        mode.control_chars[SpecialCharacterIndices::VMIN as usize] = least;
        tcsetattr(&master, SetArg::TCSANOW, &mode).expect("a raw terminal");

        let device = fs::metadata(&terminal).expect("the PTY is there").rdev();
        let shown = shown_at(number);
        fs::create_dir_all(shown.join("device")).expect("a directory in sysfs");
        let write = |attribute: &str, value: &[u8]| {
            fs::write(shown.join(attribute), value).expect("an attribute in sysfs");
        };
        let numbers = format!("{}:{}\n", major(device), minor(device));
        write("dev", numbers.as_bytes());
        write("device/uevent", b"HID_NAME=Stick\n");
        write("device/report_descriptor", DESCRIPTOR);
        symlink(&terminal, path(number)).expect("a node in /dev");
        let master = master.as_fd().try_clone_to_owned().expect("a descriptor");
        (Self { number, terminal }, Cable(master.into()))
    }

    /// Makes sure that the cable's end is noticed, should nobody ever have
    /// opened the node: the last one who closes it is who ends it.
    pub(super) fn close_behind_everybody(&self) {
        let _ = OpenOptions::new()
            .read(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(&self.terminal);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        fs::remove_file(path(self.number)).expect("it is in /dev");
        fs::remove_dir_all(shown_at(self.number)).expect("it is in sysfs");
    }
}

fn shown_at(number: usize) -> PathBuf {
    Path::new("/sys/class/hidraw").join(format!("hidraw{number}"))
}

impl Cable {
    /// The next packet of the host's, or none once it has closed the node.
    pub(super) fn read(&mut self) -> Option<Packet> {
        // Report number 0, then the 64 bytes; written at once, and so read.
        let mut report = [0; 65];
        match self.0.read(&mut report) {
            Ok(65) => {}
            // EIO: nobody has the other end any more.
            Err(_) | Ok(0) => return None,
            Ok(length) => self.0.read_exact(&mut report[length..]).ok()?,
        }
        assert_eq!(report[0], 0, "a report number");
        let packet = report[1..].try_into();
        Some(packet.expect("64 bytes"))
    }

    /// Sends a report, or one that is shorter.
    pub(super) fn send(&mut self, report: &[u8]) {
        // Nobody may be there any more to read it.
        let _: io::Result<()> = self.0.write_all(report);
    }
}

impl AsRawFd for Cable {
    fn as_raw_fd(&self) -> i32 {
        self.0.as_raw_fd()
    }
}

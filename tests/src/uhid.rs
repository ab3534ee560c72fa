//! A HID device that a real kernel presents, through `/dev/uhid`.
//!
//! The kernel makes the hidraw node and all of sysfs, and calls the device a USB one. It keeps 32
//! events for us and drops the rest, so one thread does nothing but carry them, and comes before
//! whoever writes them: a request with eight long credential ids is more than 32 at once.
//! The events are those of `linux/uhid.h`: a number, then a packed struct.

#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, Shutdown, recv, send, shutdown};
use nix::unistd::gettid;

use crate::sysfs::{FIDO_REPORTS, HidDevice, MOUSE_REPORTS};
use crate::virtual_key::{self, VirtualKey};

const DESTROY: u32 = 1;
const OUTPUT: u32 = 6;
const GET_REPORT: u32 = 9;
const GET_REPORT_REPLY: u32 = 10;
const CREATE2: u32 = 11;
const INPUT2: u32 = 12;
const SET_REPORT: u32 = 13;
const SET_REPORT_REPLY: u32 = 14;

/// `UHID_DATA_MAX`: the longest report, and the longest report descriptor.
pub const LONGEST: usize = 4096;

const EIO: u16 = 5;
const BUS_USB: u16 = 3;

/// How long the kernel has to make the node of a key, and of what may never get one.
const FOR_A_KEY: Duration = Duration::from_secs(60);
const FOR_ANYTHING: Duration = Duration::from_secs(6);

/// Tells the devices of one process apart.
static NUMBER: AtomicUsize = AtomicUsize::new(1);

/// A device in the real `/dev`. Dropping it unplugs it.
pub struct UhidDevice {
    uhid: Arc<File>,
    cable: Arc<OwnedFd>,
    node: Option<PathBuf>,
    pump: Option<JoinHandle<()>>,
    /// The far end of a cable with no key at it, so that it does not look pulled out.
    nobody: Option<OwnedFd>,
}

impl UhidDevice {
    /// Plugs a security key in.
    ///
    /// # Panics
    ///
    /// Where there is no `/dev/uhid`, or we may not open it.
    #[must_use = "a key that nobody holds is pulled out at once"]
    pub fn with_key(key: &VirtualKey) -> Self {
        Self::plug_in(key.name(), FIDO_REPORTS, key.power_on(), FOR_A_KEY)
    }

    /// Plugs in a mouse that nobody moves.
    #[must_use = "a mouse that nobody holds is pulled out at once"]
    pub fn mouse() -> Self {
        Self::odd("Bench Mouse", MOUSE_REPORTS)
    }

    /// Plugs in a device with this report descriptor that answers nothing.
    #[must_use = "a device that nobody holds is pulled out at once"]
    pub fn odd(name: &str, report_descriptor: &[u8]) -> Self {
        let (cable, nobody) = virtual_key::cable();
        let mut device = Self::plug_in(name, report_descriptor, cable, FOR_ANYTHING);
        device.nobody = Some(nobody);
        device
    }

    /// Plugs a device with this cable in. The kernel may think it no HID device at all: then it
    /// has no [`node`](Self::node).
    fn plug_in(name: &str, report_descriptor: &[u8], cable: OwnedFd, patience: Duration) -> Self {
        let hid = HidDevice {
            name,
            vendor: 0x1209,
            product: 0xF1D0,
            report_descriptor,
        };
        let uhid = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/uhid")
            .expect("/dev/uhid");
        let serial = format!(
            "bench-{}-{}",
            std::process::id(),
            NUMBER.fetch_add(1, Ordering::Relaxed)
        );
        (&uhid)
            .write_all(&create2(&hid, &serial))
            .expect("a device");

        let (uhid, cable) = (Arc::new(uhid), Arc::new(cable));
        let pump = thread::spawn({
            let (uhid, cable) = (Arc::clone(&uhid), Arc::clone(&cable));
            move || {
                come_first();
                pump(&uhid, &cable);
            }
        });
        Self {
            node: node_of(&serial, patience),
            uhid,
            cable,
            pump: Some(pump),
            nobody: None,
        }
    }

    /// Its node in `/dev`, if the kernel gave it one.
    pub fn node(&self) -> Option<&Path> {
        self.node.as_deref()
    }

    /// Sends the host a report of any length, as no honest key would.
    pub fn say(&self, report: &[u8]) {
        let _ = self.uhid.as_ref().write_all(&input2(report));
    }
}

impl Drop for UhidDevice {
    fn drop(&mut self) {
        let _ = self.uhid.as_ref().write_all(&DESTROY.to_ne_bytes());
        let _ = shutdown(self.cable.as_raw_fd(), Shutdown::Both);
        if let Some(pump) = self.pump.take() {
            let _ = pump.join();
        }
    }
}

/// `struct uhid_create2_req`.
fn create2(hid: &HidDevice<'_>, serial: &str) -> Vec<u8> {
    let text = |text: &str, room: usize| {
        let mut bytes = text.as_bytes()[..text.len().min(room - 1)].to_vec();
        bytes.resize(room, 0);
        bytes
    };
    let length = u16::try_from(hid.report_descriptor.len()).expect("a descriptor of some bytes");
    [
        &CREATE2.to_ne_bytes()[..],
        &text(hid.name, 128),
        &text("", 64),
        &text(serial, 64),
        &length.to_ne_bytes(),
        &BUS_USB.to_ne_bytes(),
        &u32::from(hid.vendor).to_ne_bytes(),
        &u32::from(hid.product).to_ne_bytes(),
        &[0; 8],
        hid.report_descriptor,
    ]
    .concat()
}

/// `struct uhid_input2_req`.
fn input2(report: &[u8]) -> Vec<u8> {
    let length = u16::try_from(report.len()).expect("a report of some bytes");
    [&INPUT2.to_ne_bytes()[..], &length.to_ne_bytes(), report].concat()
}

/// Has this thread run as soon as it has anything to do, as real hardware does. Only root may; for
/// anybody else the kernel may drop what is sent to the key.
fn come_first() {
    let _ = Command::new("chrt")
        .args(["--fifo", "--pid", "1", &gettid().to_string()])
        .stderr(Stdio::null())
        .status();
}

/// Carries reports both ways, until the key is gone.
fn pump(uhid: &File, cable: &OwnedFd) {
    loop {
        let mut fds = [uhid.as_fd(), cable.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return,
        }
        let [from_host, from_key] = fds.map(|fd| fd.any().unwrap_or(false));
        if from_host {
            take_event(uhid, cable);
        }
        if from_key {
            let mut report = [0; 64];
            match recv(cable.as_raw_fd(), &mut report, MsgFlags::MSG_DONTWAIT) {
                Ok(length @ 1..) => drop((&*uhid).write_all(&input2(&report[..length]))),
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => {}
                Ok(0) | Err(_) => return,
            }
        }
    }
}

/// One event of the kernel's: a report for the key, or a question that no key answers here.
fn take_event(mut uhid: &File, cable: &OwnedFd) {
    let mut event = [0; 4 + LONGEST + 300];
    let Ok(length @ 8..) = uhid.read(&mut event) else {
        return;
    };
    let event = &event[..length];
    let number = |at: usize| u32::from_ne_bytes([0, 1, 2, 3].map(|byte| event[at + byte]));
    // A reply names the question, and an error.
    let refuse = |reply: u32| {
        let id = number(4).to_ne_bytes();
        let reply = [&reply.to_ne_bytes()[..], &id, &EIO.to_ne_bytes(), &[0; 2]].concat();
        let _ = (&*uhid).write_all(&reply);
    };
    match number(0) {
        OUTPUT => {
            let at = 4 + LONGEST;
            let length = usize::from(u16::from_ne_bytes([event[at], event[at + 1]]));
            // The report number comes first, and is 0.
            let report = event[4..4 + length.min(LONGEST)].get(1..);
            let report = report.unwrap_or_default();
            let _ = send(cable.as_raw_fd(), report, MsgFlags::MSG_NOSIGNAL);
        }
        GET_REPORT => refuse(GET_REPORT_REPLY),
        SET_REPORT => refuse(SET_REPORT_REPLY),
        _ => {}
    }
}

/// Finds the node of the device with this serial number; udev may take its time.
fn node_of(serial: &str, patience: Duration) -> Option<PathBuf> {
    let until = Instant::now() + patience;
    while Instant::now() < until {
        for entry in fs::read_dir("/sys/class/hidraw")
            .into_iter()
            .flatten()
            .flatten()
        {
            let uevent = fs::read_to_string(entry.path().join("device/uevent"));
            if uevent.is_ok_and(|text| text.contains(&format!("HID_UNIQ={serial}\n"))) {
                return Some(Path::new("/dev").join(entry.file_name()));
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    None
}

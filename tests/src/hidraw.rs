//! A hidraw node: a PTY whose one end is `/dev/hidrawN` and whose other end is the key's cable.
//!
//! A PTY needs no kernel support and no privilege, and it is a character device: what a program
//! opens has the number that sysfs tells. How it differs from the kernel's hidraw:
//!
//! * it is a byte stream. A reader with room for 64 bytes gets one report; one with more room may
//!   get two at once. A short write is noticed and counted as malformed, but only by its timing.
//! * two programs that hold it open share one queue, where hidraw gives each its own copy.
//! * opening it without `O_NOCTTY` makes it the terminal of a session leader that has none.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::socket::{MsgFlags, recv, send};
use nix::sys::stat::{major, minor};
use nix::sys::termios::{
    FlushArg, SetArg, SpecialCharacterIndices, cfmakeraw, tcflush, tcgetattr, tcsetattr,
};
use nix::unistd::pipe2;

use crate::pty::{self, Pty};
use crate::sysfs::{HidDevice, SysfsEntry};

/// A host writes the report number, 0, before the 64 bytes of a report.
const OUTPUT: usize = 65;

/// A node in a machine's `/dev`, with its device in `/sys`. Dropping it unplugs the device.
pub(crate) struct HidrawNode {
    index: usize,
    path: PathBuf,
    terminal: PathBuf,
    traffic: Arc<Mutex<Traffic>>,
    stop: Option<OwnedFd>,
    pump: Option<JoinHandle<()>>,
    /// Taken away before the node is: what sysfs shows can be opened.
    sysfs: Option<SysfsEntry>,
}

/// What went over the node, as the kernel tells it: inotify sees every open, whoever's it is.
struct Traffic {
    /// The node's own end of the PTY, held open so that the PTY outlives its openers.
    slave: OwnedFd,
    watch: Inotify,
    opens: usize,
    closes: usize,
    malformed: usize,
}

impl Traffic {
    fn update(&mut self) {
        while let Ok(events) = self.watch.read_events() {
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_OPEN) {
                    self.opens += 1;
                } else {
                    self.closes += 1;
                }
                if self.opens == self.closes {
                    // hidraw keeps nothing for the next one who opens it.
                    let _ = tcflush(&self.slave, FlushArg::TCIFLUSH);
                }
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.update();
        self.opens > self.closes
    }
}

impl HidrawNode {
    /// Plugs a device with this cable in as `hidraw{index}`.
    pub(crate) fn plug_in(
        dev: &Path,
        sys: &Path,
        index: usize,
        hid: &HidDevice<'_>,
        cable: OwnedFd,
    ) -> Self {
        let Pty {
            master,
            slave,
            name: terminal,
        } = pty::open();
        let mut mode = tcgetattr(&slave).expect("a terminal");
        cfmakeraw(&mut mode);
        // Readable means: a whole report is there.
        mode.control_chars[SpecialCharacterIndices::VMIN as usize] = 64;
        tcsetattr(&slave, SetArg::TCSANOW, &mode).expect("a raw terminal");
        fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a master that does not block");

        let device = fs::metadata(&terminal).expect("the PTY is there").rdev();
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC).expect("inotify");
        watch
            .add_watch(&terminal, AddWatchFlags::IN_OPEN | AddWatchFlags::IN_CLOSE)
            .expect("a watch on the PTY");
        let opened_or_closed = watch.as_fd().try_clone_to_owned().expect("a descriptor");
        let traffic = Arc::new(Mutex::new(Traffic {
            slave,
            watch,
            opens: 0,
            closes: 0,
            malformed: 0,
        }));

        let (stop, stopped) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
        let pump = thread::spawn({
            let traffic = Arc::clone(&traffic);
            move || pump(&master, &cable, &opened_or_closed, &stop, &traffic)
        });

        // sysfs first, then the node: a program woken by the node finds the device.
        let sysfs = SysfsEntry::show(sys, index, hid, (major(device), minor(device)));
        let path = dev.join(format!("hidraw{index}"));
        symlink(&terminal, &path).expect("a node in /dev");
        let node = Self {
            index,
            path,
            terminal,
            traffic,
            stop: Some(stopped),
            pump: Some(pump),
            sysfs: Some(sysfs),
        };
        node.set_mode(0o600);
        node
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    pub(crate) fn opens(&self) -> usize {
        self.traffic(|traffic| {
            traffic.update();
            traffic.opens
        })
    }

    pub(crate) fn malformed_writes(&self) -> usize {
        self.traffic(|traffic| traffic.malformed)
    }

    pub(crate) fn set_mode(&self, mode: u32) {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(&self.terminal, mode).expect("the PTY is ours");
    }

    fn traffic<T>(&self, look: impl FnOnce(&mut Traffic) -> T) -> T {
        look(&mut self.traffic.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for HidrawNode {
    fn drop(&mut self) {
        // The order of a real unplugging: the node dies under its readers, then the names go.
        drop(self.stop.take());
        if let Some(pump) = self.pump.take() {
            let _ = pump.join();
        }
        drop(self.sysfs.take());
        let _ = fs::remove_file(&self.path);
    }
}

/// Carries reports between the PTY and the cable until `stop` is closed. Returning closes the
/// PTY, and every reader gets EIO.
fn pump(
    mut master: &fs::File,
    cable: &OwnedFd,
    opened_or_closed: &OwnedFd,
    stop: &OwnedFd,
    traffic: &Mutex<Traffic>,
) {
    let traffic = || traffic.lock().unwrap_or_else(PoisonError::into_inner);
    let mut written: Vec<u8> = Vec::new();
    loop {
        let mut fds = [
            stop.as_fd(),
            master.as_fd(),
            cable.as_fd(),
            opened_or_closed.as_fd(),
        ]
        .map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        // A write that stops in the middle of a report was no report.
        let patience = if written.is_empty() {
            PollTimeout::NONE
        } else {
            PollTimeout::from(50u8)
        };
        match poll(&mut fds, patience) {
            Ok(0) => {
                written.clear();
                traffic().malformed += 1;
            }
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(_) => return,
        }
        let [stopped, from_host, from_key, _] = fds.map(|fd| fd.any().unwrap_or(false));
        if stopped {
            return;
        }
        let somebody_reads = traffic().is_open();
        if from_host {
            let mut bytes = [0; 4096];
            match master.read(&mut bytes) {
                Ok(length) => written.extend(&bytes[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
            while written.len() >= OUTPUT {
                let output: Vec<u8> = written.drain(..OUTPUT).collect();
                let _ = send(cable.as_raw_fd(), &output[1..], MsgFlags::MSG_NOSIGNAL);
            }
        }
        if from_key {
            let mut report = [0; 64];
            match recv(cable.as_raw_fd(), &mut report, MsgFlags::MSG_DONTWAIT) {
                // A report that nobody waits for is lost, as it is in the kernel; so is one for
                // a reader who has let the queue fill up.
                Ok(64) if somebody_reads => drop(master.write(&report)),
                Ok(0) => return,
                Ok(_) | Err(nix::Error::EAGAIN | nix::Error::EINTR) => {}
                Err(_) => return,
            }
        }
    }
}

//! A pair of terminals that no child inherits.
//!
//! openpty(3) would do, but for its descriptors: without `O_CLOEXEC`, a command that another
//! thread starts meanwhile takes the master along, and closing ours hangs up nobody.

#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};

pub(crate) struct Pty {
    pub(crate) master: File,
    pub(crate) slave: OwnedFd,
    pub(crate) name: PathBuf,
}

pub(crate) fn open() -> Pty {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let master = posix_openpt(flags).expect("a PTY");
    grantpt(&master).expect("a PTY of ours");
    unlockpt(&master).expect("a PTY that opens");
    let name = PathBuf::from(ptsname_r(&master).expect("a PTY with a name"));
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(&name)
        .expect("the PTY's other end");
    let master = master.as_fd().try_clone_to_owned().expect("a descriptor");
    Pty {
        master: master.into(),
        slave: slave.into(),
        name,
    }
}

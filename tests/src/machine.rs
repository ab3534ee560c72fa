//! A private machine: `/etc`, `/dev`, `/sys`, `/run`, `/var/lib`, `/home`, `/root` and
//! `/usr/local` of its own, on the kernel and the programs of the machine below.
//!
//! Its files are plain directories in a temporary one, and each command is run in a mount
//! namespace where they cover the real ones. So the product needs no way to be told where its
//! files are, several machines live side by side, and a test reads and writes a machine's files
//! from outside. It works as root and as an ordinary user; [`Privilege`] has the difference.

#![forbid(unsafe_code)]

mod debian;
mod entrance;
mod etc;
mod port;
mod run;
mod session;
mod syslog;
mod transcript;

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::sys::stat::{Mode, umask};
use tempfile::TempDir;

use crate::hidraw::HidrawNode;
use crate::login::Login;
use crate::sysfs::{FIDO_REPORTS, HidDevice, MOUSE_REPORTS};
use crate::virtual_key::{self, VirtualKey};

pub use debian::Debian;
pub use entrance::{Privilege, privilege, the_module};
pub use etc::{ALICE_PASSWORD, BOB_PASSWORD, ROOT_PASSWORD};
pub use port::{Mouse, PluggedIn, Port};
pub use run::{Finished, Run, Running};
pub use session::Session;
pub use syslog::LogLine;

use entrance::Entrance;
use syslog::Syslog;

/// Where the module lies inside a machine, for a line in `/etc/pam.d`.
pub const MODULE: &str = "/usr/local/lib/security/pam_passkey.so";

/// What covers the real machine's directories, and with which mode.
const COVERED: &[(&str, u32)] = &[
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("sys", 0o755),
    ("usr/local", 0o755),
    ("var/lib", 0o755),
];

/// A machine of a test's own. Dropping it leaves nothing behind.
pub struct Machine {
    // The order of the fields is the order of their end: the socket lies in the directory.
    syslog: Syslog,
    entrance: Entrance,
    taken_nodes: Mutex<Vec<usize>>,
    root: TempDir,
}

impl Machine {
    /// A machine with root, alice (1000) and bob (1001), the product installed under
    /// `/usr/local`, and nothing plugged in.
    #[must_use]
    pub fn new() -> Self {
        // Asked first: where it panics there is nothing yet to take down.
        privilege();
        // Its files are as an installer makes them, whatever the umask of whoever tests.
        umask(Mode::from_bits_truncate(0o022));
        let root = tempfile::Builder::new()
            .prefix("machine-")
            .permissions(fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a directory for the machine");
        for (directory, mode) in COVERED {
            let directory = root.path().join(directory);
            fs::create_dir_all(&directory).expect("a directory of the machine");
            fs::set_permissions(&directory, fs::Permissions::from_mode(*mode)).expect("its mode");
        }
        for directory in [
            "sys/class/hidraw",
            "sys/bus/hid/devices",
            "sys/bus/usb/devices",
            "sys/dev/char",
        ] {
            fs::create_dir_all(root.path().join(directory)).expect("a directory in /sys");
        }
        for directory in [
            "run/systemd/sessions",
            "run/systemd/users",
            "run/systemd/seats",
            "run/user",
            "run/lock",
        ] {
            fs::create_dir_all(root.path().join(directory)).expect("a directory in /run");
        }
        // What the package leaves behind: no configuration, nobody enrolled.
        for (directory, mode) in [
            ("etc/pam-passkey/users", 0o755),
            ("var/lib/pam-passkey", 0o700),
        ] {
            let directory = root.path().join(directory);
            fs::create_dir_all(&directory).expect("a directory of the package");
            fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).expect("its mode");
        }
        etc::write(&root.path().join("etc"));
        let entrance = Entrance::new(root.path());
        let syslog = Syslog::listen(&root.path().join("dev/log"));
        let machine = Self {
            syslog,
            entrance,
            taken_nodes: Mutex::default(),
            root,
        };
        machine.make_homes();
        machine
    }

    /// Runs the programs of this Debian from now on; all files stay the machine's.
    #[must_use]
    pub fn with_programs_of(mut self, debian: &Debian) -> Self {
        if let Some(root) = debian.root() {
            self.entrance.take_programs_from(root);
        }
        self
    }

    /// Plugs the key in: from now on it is the next free `/dev/hidrawN`.
    #[must_use = "a key that nobody holds is pulled out at once"]
    pub fn plug_in(&self, key: VirtualKey) -> PluggedIn {
        let port = self.plug_in_cable(key.name(), key.power_on());
        PluggedIn { key, port }
    }

    /// Plugs in whatever speaks at the other end of this cable, as a FIDO device: a
    /// `SOCK_SEQPACKET` socket, one 64-byte report a packet. For peers that are not honest.
    #[must_use = "a device that nobody holds is pulled out at once"]
    pub fn plug_in_cable(&self, name: &str, cable: OwnedFd) -> Port {
        let hid = HidDevice {
            name,
            vendor: 0x1209,
            product: 0xF1D0,
            report_descriptor: FIDO_REPORTS,
        };
        self.plug_in_hid(&hid, cable)
    }

    /// Plugs in a mouse: a hidraw node that nobody in search of a key has any business opening.
    #[must_use = "a mouse that nobody holds is pulled out at once"]
    pub fn plug_in_mouse(&self) -> Mouse {
        let (cable, far_end) = virtual_key::cable();
        let hid = HidDevice {
            name: "Bench Mouse",
            vendor: 0x046D,
            product: 0xC077,
            report_descriptor: MOUSE_REPORTS,
        };
        let port = self.plug_in_hid(&hid, cable);
        Mouse {
            port,
            _far_end: far_end,
        }
    }

    fn plug_in_hid(&self, hid: &HidDevice<'_>, cable: OwnedFd) -> Port {
        let (dev, sys) = (self.path("/dev"), self.path("/sys"));
        let mut taken = self
            .taken_nodes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        taken.retain(|index| dev.join(format!("hidraw{index}")).is_symlink());
        let index = (0..64)
            .find(|index| !taken.contains(index))
            .expect("a machine has 64 hidraw nodes, as a kernel has");
        taken.push(index);
        Port(HidrawNode::plug_in(&dev, &sys, index, hid, cable))
    }

    /// A command inside the machine, as root unless told otherwise.
    pub fn run<S: Into<String>>(&self, command: impl IntoIterator<Item = S>) -> Run<'_> {
        Run::new(self, command.into_iter().map(Into::into).collect())
    }

    /// A line of shell inside the machine. The last command of the line is the shell's child: it
    /// sees another cgroup than its session's, unless it is `exec`ed.
    pub fn sh(&self, line: impl Into<String>) -> Run<'_> {
        self.run(["sh".to_owned(), "-c".to_owned(), line.into()])
    }

    /// A login: `pam-host`, a plain PAM application, asks libpam whether this is the user.
    pub fn login(&self, service: &str, user: &str) -> Login<'_> {
        Login::new(self, service, user)
    }

    /// Writes `/etc/pam.d/<service>`.
    pub fn service(&self, service: &str, lines: &str) {
        self.write_etc(&format!("pam.d/{service}"), lines, 0o644);
    }

    /// Writes a file under `/etc`, owned by root.
    pub fn write_etc(&self, path: &str, contents: &str, mode: u32) {
        self.write(&format!("/etc/{path}"), contents, mode);
    }

    /// Writes a file, owned by root, in one of the directories the machine has of its own.
    pub fn write(&self, path: &str, contents: &str, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file in a directory")).expect("its directory");
        fs::write(&path, contents).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
    }

    /// Reads a file of the machine; none if it is not there.
    pub fn read(&self, path: &str) -> Option<String> {
        fs::read_to_string(self.path(path)).ok()
    }

    /// Where a path of the machine lies on the real one. Follow no links from there: absolute
    /// ones lead out of the machine.
    pub fn path(&self, inside: &str) -> PathBuf {
        let inside = inside
            .strip_prefix('/')
            .expect("an absolute path of the machine");
        assert!(
            COVERED
                .iter()
                .any(|(directory, _)| Path::new(inside).starts_with(directory)),
            "/{inside} is not the machine's own: that is the real one's"
        );
        self.root.path().join(inside)
    }

    /// Lays a program or library of the real machine into this one, for as long as it lives.
    pub fn install(&mut self, file: &Path, inside: &str) {
        let place = self.path(inside);
        self.entrance.install(file, &place);
    }

    /// Everything that was logged so far.
    pub fn log(&self) -> Vec<LogLine> {
        self.syslog.lines()
    }

    pub(crate) fn entrance(&self) -> &Entrance {
        &self.entrance
    }

    /// Fails the test, with the way out, if the product is not built.
    pub(crate) fn assert_installed(&self, inside: &str) {
        let file = self.path(inside);
        assert!(
            file.exists(),
            "{inside} is not in the machine: run `cargo build --release` first"
        );
    }

    fn make_homes(&self) {
        for home in ["/home/alice", "/home/bob"] {
            fs::create_dir(self.path(home)).expect("a home");
        }
        if privilege().has_other_users() {
            let chown = "chown alice: /home/alice; chown bob: /home/bob";
            self.sh(chown).output().expect_success();
        }
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // What alice wrote, an ordinary user who played her cannot delete from outside.
        if privilege() == Privilege::UserWithSubordinates {
            self.entrance
                .delete_from_inside(&["home", "root", "run", "var/lib", "etc"]);
        }
    }
}

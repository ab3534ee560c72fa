//! The place where we are: a real kernel, its nodes and its programs.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::fs;
use std::ops::Deref;
use std::path::Path;
use std::process::Command;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tests::VirtualKey;
use tests::counts::{Place, Watched};
use tests::uhid::UhidDevice;

/// Where what the bench brings lies.
pub(crate) const LUGGAGE: &str = "/opt/bench";

/// A command of root's, with the environment that the bench's machines have.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = format!("{LUGGAGE}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env_clear().env("PATH", path);
    command.envs([("LANG", "C.UTF-8"), ("TERM", "dumb")]);
    command.envs([("HOME", "/root"), ("USER", "root"), ("LOGNAME", "root")]);
    command
}

/// What is watched for at a node.
const WATCHED: AddWatchFlags = AddWatchFlags::IN_OPEN
    .union(AddWatchFlags::IN_CLOSE)
    .union(AddWatchFlags::IN_MODIFY);

/// The kernel that runs us.
#[derive(Clone, Copy)]
pub(crate) struct Kernel;

impl Place for Kernel {
    type Key = PluggedIn;

    fn plug_in(&self, key: VirtualKey) -> PluggedIn {
        let port = Port::new(UhidDevice::with_key(&key));
        PluggedIn { key, port }
    }

    fn run(&self, words: &[&str]) -> String {
        let (program, arguments) = words.split_first().expect("a command has a name");
        let ended = command(program).args(arguments).output();
        let ended = ended.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(ended.status.success(), "{words:?}: {ended:?}");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }

    fn write(&self, file: &str, text: &str) {
        let folder = Path::new(file).parent().expect("a file in a folder");
        fs::create_dir_all(folder).expect("its folder");
        fs::write(file, text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"))
    }
}

/// A key in its port; otherwise the key itself.
pub(crate) struct PluggedIn {
    key: VirtualKey,
    port: Port,
}

impl Deref for PluggedIn {
    type Target = VirtualKey;

    fn deref(&self) -> &VirtualKey {
        &self.key
    }
}

impl Watched for PluggedIn {
    fn opens(&self) -> usize {
        self.port.opens()
    }
}

/// A device and its node, watched.
pub(crate) struct Port {
    _device: UhidDevice,
    watch: Inotify,
    opens: RefCell<usize>,
}

impl Port {
    /// Watches it from when udev has done with it. For closes and packets too: the kernel makes one
    /// event of two that are alike and follow each other, and nobody reads them before the end.
    pub(crate) fn new(device: UhidDevice) -> Self {
        Kernel.run(&["udevadm", "settle"]);
        let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        let watch = watch.expect("inotify");
        let node = device.node().expect("the kernel made a node");
        watch.add_watch(node, WATCHED).expect("a watch on the node");
        Self {
            _device: device,
            watch,
            opens: RefCell::default(),
        }
    }
}

impl Watched for Port {
    fn opens(&self) -> usize {
        let mut opens = self.opens.borrow_mut();
        loop {
            match self.watch.read_events() {
                Ok(events) => {
                    for event in events {
                        assert!(
                            !event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW),
                            "more opens than the kernel counts"
                        );
                        *opens += usize::from(event.mask.contains(AddWatchFlags::IN_OPEN));
                    }
                }
                Err(nix::Error::EAGAIN) => return *opens,
                Err(error) => panic!("inotify: {error}"),
            }
        }
    }
}

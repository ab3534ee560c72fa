//! A whole Debian, booted: its stock kernel, systemd, sudo and getty, in QEMU without KVM.
//!
//! A person is at its two serial lines ([`Console`]); root runs scripts in it, and a keeper of
//! keys plugs virtual keys into its kernel, both through [`Hands`], a program of the bench's that
//! runs in there (`hands`). `.ci/guests` builds the disks; nothing written to them is kept.

#![forbid(unsafe_code)]

mod console;
mod hands;
pub mod measured;
mod screen;

use std::fs::{self, OpenOptions};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use console::Console;
pub use hands::{Deed, Finger, Hands, Message, Order, Ran, Reply};
pub use screen::Screen;

/// The longest that systemd may take to the first login prompt; it takes half a minute when
/// nothing else runs, and twice that where instructions are counted.
const BOOT: Duration = Duration::from_secs(480);

/// What a guest takes for a clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Time as it passes here.
    OfTheRoom,
    /// Each instruction takes a nanosecond, whoever else uses the machine. When nothing runs in
    /// there, time passes as it does here.
    Instructions,
}

/// How long a person at the seat waits for what they expect.
const SEAT: Duration = Duration::from_secs(40);

/// A booted guest. Dropping it switches it off.
pub struct Guest {
    qemu: Child,
    /// The line a person sits at.
    pub console: Console,
    /// The line somebody else sits at.
    pub second: Console,
    /// Root, apart from any session.
    pub root: Hands,
    /// Whoever holds the keys.
    pub keys: Hands,
    /// The keyboard and screen of the first virtual terminal, at the seat.
    pub screen: Screen,
    _sockets: TempDir,
}

impl Guest {
    /// Boots what `.ci/guests` built in `folder`. The files of `luggage` (name, where it is) are
    /// there as `/opt/bench/NAME`; what both consoles show is written to `transcript`.
    #[must_use]
    pub fn boot(folder: &Path, luggage: &[(String, PathBuf)], transcript: &Path) -> Self {
        Self::boot_by(Clock::OfTheRoom, folder, luggage, transcript)
    }

    /// The same, by this clock.
    #[must_use]
    pub fn boot_by(
        clock: Clock,
        folder: &Path,
        luggage: &[(String, PathBuf)],
        transcript: &Path,
    ) -> Self {
        let sockets = tempfile::tempdir().expect("a folder for sockets");
        let tar = sockets.path().join("luggage.tar");
        pack(luggage, &sockets.path().join("luggage"), &tar);

        let mut qemu = Command::new("qemu-system-x86_64");
        // A KVM that is there may hang: it is never tried.
        qemu.args(["-cpu", "qemu64", "-accel"]).args(match clock {
            Clock::OfTheRoom => &["tcg,thread=multi,tb-size=256"][..],
            Clock::Instructions => &["tcg,thread=single,tb-size=256", "-icount", "shift=0"],
        });
        qemu.args(["-m", "1024", "-smp", "1", "-nodefaults", "-no-reboot"]);
        qemu.args(["-display", "none", "-vga", "std", "-rtc", "base=utc"]);
        qemu.arg("-kernel").arg(folder.join("vmlinuz"));
        qemu.arg("-initrd").arg(folder.join("initrd"));
        qemu.args([
            "-append",
            // On a busy machine the timer looks broken to a kernel that tries it.
            // And it need not look for hardware that nobody uses here.
            "root=/dev/vda rw console=ttyS0 quiet loglevel=1 systemd.show_status=0 \
             mitigations=off no_timer_check module_blacklist=ata_generic,ata_piix,bochs,floppy,\
             i2c_piix4,parport_pc,pcspkr,psmouse",
        ]);
        let drive = |file: &Path, rest: &str| {
            format!("file={},if=virtio,format=raw,{rest}", file.display())
        };
        qemu.arg("-drive")
            .arg(drive(&folder.join("disk"), "snapshot=on"));
        qemu.arg("-drive").arg(drive(&tar, "readonly=on"));
        qemu.args(["-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]);
        let socket = |name: &str| sockets.path().join(name);
        let mut channel = |name: &str, rest: &[&str]| {
            let path = socket(name).display().to_string();
            qemu.args([
                "-chardev",
                &format!("socket,id={name},path={path},server=on,wait=off"),
            ]);
            qemu.args(rest);
        };
        channel("ttyS0", &["-serial", "chardev:ttyS0"]);
        channel("ttyS1", &["-serial", "chardev:ttyS1"]);
        channel(
            "root",
            &["-device", "virtserialport,chardev=root,name=root"],
        );
        channel(
            "keys",
            &["-device", "virtserialport,chardev=keys,name=keys"],
        );
        channel("monitor", &["-mon", "chardev=monitor,mode=readline"]);

        // It does not outlive whoever watches it, however they end.
        let qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(qemu.get_program())
            .args(qemu.get_args())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("setpriv and qemu-system-x86_64; `make e2e` installs what it needs");
        // Whoever else writes to it writes at its end, and so do we.
        let _ = fs::remove_file(transcript);
        let transcript = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(transcript)
            .expect("a file for the transcript");
        let share = || transcript.try_clone().expect("a descriptor");
        let mut guest = Self {
            console: Console::on(connect(&socket("ttyS0")), "", share()),
            second: Console::on(
                connect(&socket("ttyS1")),
                "                    2| ",
                share(),
            ),
            root: Hands::on(connect(&socket("root"))),
            keys: Hands::on(connect(&socket("keys"))),
            screen: Screen::on(connect(&socket("monitor"))),
            qemu,
            _sockets: sockets,
        };
        guest.console.waits(BOOT).sees("guest login:");
        // The prompt is there before udev has seen all of the hardware.
        guest.root.run("udevadm settle; modprobe hid-generic");
        guest
    }

    /// Has this person at the prompt of a shell, whatever was left behind there; logged in anew, if
    /// need be.
    pub fn at_the_console(&mut self, name: &str) -> &mut Console {
        bring_to_the_prompt(&mut self.console, "ttyS0", &mut self.root, name);
        &mut self.console
    }

    /// The same at the second console.
    pub fn at_the_second_console(&mut self, name: &str) -> &mut Console {
        bring_to_the_prompt(&mut self.second, "ttyS1", &mut self.root, name);
        &mut self.second
    }

    /// Waits until this stands on the screen of the first virtual terminal; returns all of it.
    pub fn screen_shows(&mut self, text: &str) -> String {
        let there = self.screen_shows_within(SEAT, text);
        let shown = self.on_the_screen();
        assert!(there, "{text:?} is not on the screen:\n{shown}");
        shown
    }

    /// Whether this stands there within so long.
    pub fn screen_shows_within(&mut self, patience: Duration, text: &str) -> bool {
        let until = Instant::now() + patience;
        loop {
            if self.on_the_screen().contains(text) {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            thread::sleep(Duration::from_millis(700));
        }
    }

    /// The device has lines of a fixed width, without ends.
    fn on_the_screen(&mut self) -> String {
        self.root
            .run("fold -w 80 /dev/vcs1 | sed 's/ *$//' | grep .")
            .said
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

fn bring_to_the_prompt(console: &mut Console, line: &str, root: &mut Hands, name: &str) {
    if !console.is_back_at_the_prompt_of(name) {
        console.forget();
        root.run(&format!("systemctl restart serial-getty@{line}"));
        console.log_in(name);
    }
}

/// One tar for the guest's second disk. tar(1) pads it, so that the disk has whole blocks.
fn pack(luggage: &[(String, PathBuf)], folder: &Path, tar: &Path) {
    fs::create_dir(folder).expect("a folder for luggage");
    for (name, file) in luggage {
        fs::copy(file, folder.join(name))
            .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let packed = Command::new("tar")
        .args(["--create", "--file"])
        .arg(tar)
        .arg("--directory")
        .arg(folder)
        .arg(".")
        .status()
        .expect("tar");
    assert!(packed.success(), "tar: {packed}");
}

/// QEMU makes its sockets when it starts.
fn connect(path: &Path) -> UnixStream {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(error) if Instant::now() > until => panic!("{}: {error}", path.display()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

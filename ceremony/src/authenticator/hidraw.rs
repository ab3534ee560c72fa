//! Finds security keys in sysfs and moves packets to and from them: the only
//! file that touches `/dev`.
//!
//! A node is never opened to see what it is. The kernel wakes the device on a
//! first open, so looking into every mouse and keyboard would cost time and
//! leave traces; sysfs has each device's report descriptor for the reading.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::libc::{O_CLOEXEC, O_NOCTTY, O_NONBLOCK};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::{fstat, major, minor};

use super::ctaphid::Packet;
use crate::credential::printable;
use crate::sentence;
use crate::sentence::{Sentence, Spoken};

/// Where the kernel lists hidraw devices.
const CLASS: &str = "/sys/class/hidraw";

/// The most bytes of a report descriptor we read; the kernel's own limit
/// (`HID_MAX_DESCRIPTOR_SIZE`).
const LARGEST_DESCRIPTOR: u64 = 4096;

/// The most keys considered at once; a ninth is left alone.
pub const MOST_KEYS: usize = 8;

/// A security key that is plugged in, not opened yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FoundKey {
    /// Its device node, `/dev/hidraw3`.
    pub node: PathBuf,
    /// What it calls itself, made fit to be shown; empty where it does not say.
    pub product: String,
    /// Its device number as sysfs has it, `major:minor`.
    device: String,
}

impl Spoken for FoundKey {
    fn sentence(&self) -> Sentence {
        let node = self.node.display().to_string();
        if self.product.is_empty() {
            Sentence::foreign(node)
        } else {
            // Quoted: a product string is the device's own word, and `printable`
            // leaves no quote in it.
            sentence!("\"{product}\" ({node})", product = &self.product, node)
        }
    }
}

impl fmt::Display for FoundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

/// The keys plugged in now, in the order of their nodes. A device that goes
/// away while we look is not there.
pub fn find() -> Vec<FoundKey> {
    let mut found: Vec<FoundKey> = fs::read_dir(CLASS)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| FoundKey::at(&entry.path()))
        .collect();
    found.sort_by(|a, b| natural(&a.node).cmp(&natural(&b.node)));
    found.truncate(MOST_KEYS);
    found
}

/// `/dev/hidraw10` after `/dev/hidraw9`.
fn natural(node: &Path) -> (usize, &Path) {
    (node.as_os_str().len(), node)
}

impl FoundKey {
    /// A key for the tests of other rooms, which never open it.
    #[cfg(test)]
    pub(crate) fn imagined(number: u8) -> Self {
        Self {
            node: PathBuf::from(format!("/dev/hidraw{number}")),
            product: "Key".into(),
            device: format!("0:{number}"),
        }
    }

    /// The key behind a directory of `/sys/class/hidraw`, if it is one.
    fn at(sysfs: &Path) -> Option<Self> {
        let descriptor = read_at_most(&sysfs.join("device/report_descriptor"), LARGEST_DESCRIPTOR)?;
        if !is_fido(&descriptor) {
            return None;
        }
        let device = String::from_utf8(read_at_most(&sysfs.join("dev"), 32)?).ok()?;
        Some(Self {
            node: Path::new("/dev").join(sysfs.file_name()?),
            product: product(sysfs).unwrap_or_default(),
            device: device.trim().to_owned(),
        })
    }

    /// Its device number, `major:minor`.
    pub(super) fn device(&self) -> &str {
        &self.device
    }

    /// Opens the node, without waiting, and checks that it is the device that
    /// was found: between sysfs and `/dev` another may have taken its name.
    pub fn open(&self) -> Result<OpenKey, CannotOpen> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            .open(&self.node)
            .map_err(|problem| match problem.kind() {
                io::ErrorKind::PermissionDenied => CannotOpen::NoAccess,
                io::ErrorKind::NotFound => CannotOpen::Gone,
                _ => CannotOpen::Io(problem.raw_os_error().unwrap_or(0)),
            })?;
        let status = fstat(&file).map_err(|errno| CannotOpen::Io(errno as i32))?;
        if format!("{}:{}", major(status.st_rdev), minor(status.st_rdev)) != self.device {
            return Err(CannotOpen::AnotherDevice);
        }
        Ok(OpenKey { file })
    }
}

/// A key's node, open.
#[derive(Debug)]
pub struct OpenKey {
    file: File,
}

impl OpenKey {
    /// Sends one packet. The kernel finishes the USB transfer before it
    /// returns, and gives up on a device that does not take it after 5 s.
    pub fn send(&mut self, packet: &Packet) -> io::Result<()> {
        // hidraw wants the report number first; FIDO devices have none, so 0.
        let mut report = [0; 65];
        for (to, from) in report.iter_mut().skip(1).zip(packet) {
            *to = *from;
        }
        loop {
            match self.file.write(&report) {
                Ok(65) => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                // A signal for our host, which handles it; nothing was sent.
                Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
                Err(problem) => return Err(problem),
            }
        }
    }

    /// The next packet, if one has come. A shorter report is an error; of a
    /// longer one the kernel hands over no more than was asked for.
    pub fn receive(&mut self) -> io::Result<Option<Packet>> {
        let mut packet: Packet = [0; 64];
        match self.file.read(&mut packet) {
            Ok(64) => Ok(Some(packet)),
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Err(io::ErrorKind::InvalidData.into()),
            Err(problem)
                if matches!(
                    problem.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                Ok(None)
            }
            Err(problem) => Err(problem),
        }
    }
}

impl AsFd for OpenKey {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Why a key that is plugged in could not be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotOpen {
    /// This process may not.
    NoAccess,
    /// Unplugged meanwhile.
    Gone,
    /// The node belongs to another device than the one found in sysfs.
    AnotherDevice,
    /// Another error, by number.
    Io(i32),
}

impl std::error::Error for CannotOpen {}

impl Spoken for CannotOpen {
    fn sentence(&self) -> Sentence {
        match self {
            Self::NoAccess => sentence!("this process may not open it"),
            Self::Gone => sentence!("it was unplugged"),
            Self::AnotherDevice => sentence!("its node belongs to another device"),
            Self::Io(number) => {
                Sentence::foreign(io::Error::from_raw_os_error(*number).to_string())
            }
        }
    }
}

impl fmt::Display for CannotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

/// Tells when a device node comes, goes, or changes its permissions (sysfs
/// itself cannot be watched).
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
}

impl Watch {
    /// Watches `/dev`.
    pub fn new() -> nix::Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        // IN_ATTRIB: udev hands out access a moment after the node appears.
        let events = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE;
        inotify.add_watch("/dev", events)?;
        Ok(Self { inotify })
    }

    /// Whether any hidraw node is concerned by what has happened; forgets it.
    ///
    /// Reads once. Anybody can make events on `/dev/null` faster than they are
    /// read, and must not keep a reader here; what is left makes the next poll
    /// return at once.
    pub fn hidraw_changed(&self) -> bool {
        let events = self.inotify.read_events().unwrap_or_default();
        events.iter().any(|event| match &event.name {
            Some(name) => name.as_encoded_bytes().starts_with(b"hidraw"),
            // Events were lost (IN_Q_OVERFLOW): a key's may be among them.
            None => true,
        })
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// The product string, from the HID parent's `uevent`.
fn product(sysfs: &Path) -> Option<String> {
    let uevent = read_at_most(&sysfs.join("device/uevent"), 4096)?;
    let uevent = String::from_utf8_lossy(&uevent);
    let name = uevent
        .lines()
        .find_map(|line| line.strip_prefix("HID_NAME="))?;
    Some(shown(name))
}

/// A product string as people see it. Whatever is no letter, digit or sign of
/// ASCII could look like our own words, or like nothing at all.
fn shown(product: &str) -> String {
    let words: Vec<&str> = product.split_ascii_whitespace().collect();
    let ascii: String = words
        .join(" ")
        .chars()
        .map(|c| if c.is_ascii() { c } else { '?' })
        .collect();
    printable(&ascii, 64)
}

fn read_at_most(path: &Path, most: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(most)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// Whether a report descriptor (HID 1.11 §6.2.2) has a top-level collection of
/// usage page 0xF1D0, usage 1 (CTAP 2.1 §11.2.8.2).
pub fn is_fido(descriptor: &[u8]) -> bool {
    let mut usage_page = 0;
    let mut usages = Vec::new();
    let mut depth = 0_usize;
    let mut rest = descriptor;
    while let Some((tag, data, behind)) = next_item(rest) {
        rest = behind;
        let value = data
            .iter()
            .rev()
            .fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
        match tag {
            0x04 => usage_page = value,
            // A four-byte usage brings its page along.
            0x08 if data.len() == 4 => usages.push(value),
            0x08 => usages.push(usage_page << 16 | value),
            // Collection: usages before it are its own, and then used up.
            0xa0 => {
                if depth == 0 && usages.contains(&0xf1d0_0001) {
                    return true;
                }
                depth += 1;
                usages.clear();
            }
            0xc0 => {
                depth = depth.saturating_sub(1);
                usages.clear();
            }
            // Input, output and feature use up the usages before them.
            0x80 | 0x90 | 0xb0 => usages.clear(),
            _ => {}
        }
    }
    false
}

/// The first item of a report descriptor: its tag and type, its data, and what
/// follows. `None` at the end, or where the item is cut off.
fn next_item(descriptor: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&prefix, rest) = descriptor.split_first()?;
    // A long item: its size stands in the next byte, then a tag. None is
    // defined, so none matters here.
    if prefix == 0xfe {
        let (&size, rest) = rest.split_first()?;
        let (_, behind) = rest.split_at_checked(usize::from(size) + 1)?;
        return Some((prefix, &[], behind));
    }
    let size = match prefix & 0x03 {
        3 => 4,
        size => usize::from(size),
    };
    let (data, behind) = rest.split_at_checked(size)?;
    Some((prefix & 0xfc, data, behind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "06d0f10901a1010920150026ff007508954081020921150026ff00750895409102c0";
    /// A boot keyboard (HID 1.11 appendix B.1), shortened.
    const KEYBOARD: &str = "05010906a101050719e029e71500250175019508810295017508 8101c0";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex
            .chars()
            .filter_map(|c| u8::try_from(c.to_digit(16)?).ok())
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    #[test]
    fn a_product_string_cannot_look_like_our_own_words() {
        assert_eq!(shown(" Blue  Key\t5 "), "Blue Key 5");
        let evil = "Key\u{201d}, 8 tries left:\u{3164}\u{2800}\u{a0}\u{fe0f}\"\u{1b}[2J";
        assert_eq!(shown(evil), "Key?, 8 tries left:??????[2J");
        assert_eq!(shown(&"x".repeat(70)).len(), 64);
    }

    #[test]
    fn a_security_key_is_known_by_its_report_descriptor() {
        assert!(is_fido(&bytes(KEY)));
        assert!(!is_fido(&bytes(KEYBOARD)));
    }

    #[test]
    fn a_key_behind_a_keyboard_in_one_descriptor_is_found() {
        assert!(is_fido(&bytes(&[KEYBOARD, KEY].concat())));
    }

    #[test]
    fn the_usage_counts_only_at_the_top() {
        // the same usage inside another collection, and as a plain input's
        assert!(!is_fido(&bytes("05010906a10106d0f10901a101c0c0")));
        assert!(!is_fido(&bytes("06d0f109018102a101c0")));
        // usage 2 of the page
        assert!(!is_fido(&bytes("06d0f10902a101c0")));
        // page and usage in one item
        assert!(is_fido(&bytes("0b0100d0f1a101c0")));
    }

    #[test]
    fn a_truncated_descriptor_is_no_key_and_no_panic() {
        let key = bytes(KEY);
        for length in 0..7 {
            assert!(!is_fido(&key[..length]));
        }
        for garbage in [&[0xfe][..], &[0xfe, 9], &[0xfe, 0], &[0x07], &[0xff; 40]] {
            assert!(!is_fido(garbage));
        }
    }

    #[test]
    fn nodes_are_in_the_order_people_count() {
        let ten = Path::new("/dev/hidraw10");
        let nine = Path::new("/dev/hidraw9");
        assert!(natural(nine) < natural(ten));
    }
}

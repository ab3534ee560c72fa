//! The two things a PTY in a plain directory cannot do for libudev, libfido2 and hidapi.
//!
//! Those libraries ask a hidraw node for its report descriptor with ioctls, and want `/sys` to be
//! a sysfs. This library answers both, from the machine's own `/sys`, and is loaded into every
//! program there by `/etc/ld.so.preload` (the machine's own, too), setuid programs included.
//! What it does not know it hands to the kernel. build.rs compiles it, by itself.

use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::fs;
use std::mem::ManuallyDrop;
use std::os::fd::FromRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::ptr;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

#[cfg(target_arch = "x86_64")]
const SYS_IOCTL: c_long = 16;
#[cfg(target_arch = "x86_64")]
const SYS_FSTATFS: c_long = 138;
#[cfg(target_arch = "aarch64")]
const SYS_IOCTL: c_long = 29;
#[cfg(target_arch = "aarch64")]
const SYS_FSTATFS: c_long = 44;

const SYSFS_MAGIC: c_long = 0x6265_6572;

/// The kernel's `struct hidraw_report_descriptor`.
#[repr(C)]
struct ReportDescriptor {
    size: u32,
    value: [u8; 4096],
}

/// The kernel's `struct hidraw_devinfo`.
#[repr(C)]
struct DeviceInfo {
    bus: u32,
    vendor: u16,
    product: u16,
}

/// The request's letter, number and argument size, out of the kernel's encoding.
fn decoded(request: c_ulong) -> (u8, u8, usize) {
    (
        (request >> 8) as u8,
        request as u8,
        (request >> 16) as usize & 0x3FFF,
    )
}

/// # Safety
/// As for ioctl(2): `argument` is what `request` says it is.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    // ioctl(2) takes `...`; a pointer there is passed in the register it is passed in here, on
    // every architecture named above.
    let (letter, number, size) = decoded(request);
    if letter == b'H'
        && let Some(device) = hid_device(fd)
    {
        // SAFETY: the caller of a hidraw ioctl passes the kernel's structure for it, or a buffer
        // of the length that the request itself carries.
        if let Some(result) = unsafe { answer(&device, number, size, argument) } {
            return result;
        }
    }
    // SAFETY: the caller's own arguments, handed on; syscall sets errno as ioctl would.
    unsafe { syscall(SYS_IOCTL, c_long::from(fd), request, argument) as c_int }
}

/// Answers one of hidraw's ioctls, by its number in `linux/hidraw.h`; none if it is not known here.
///
/// # Safety
/// `argument` is the structure of that ioctl, or a buffer of `size` bytes.
unsafe fn answer(device: &Path, number: u8, size: usize, argument: *mut c_void) -> Option<c_int> {
    let descriptor = || fs::read(device.join("report_descriptor")).ok();
    match number {
        // HIDIOCGRDESCSIZE
        0x01 => {
            let length = descriptor()?.len() as c_int;
            // SAFETY: the argument of this one is an int.
            unsafe { *argument.cast::<c_int>() = length };
            Some(0)
        }
        // HIDIOCGRDESC
        0x02 => {
            let descriptor = descriptor()?;
            // SAFETY: the argument of this one is the structure, its size filled in.
            let wanted = unsafe { &mut *argument.cast::<ReportDescriptor>() };
            let length = descriptor.len().min(wanted.size as usize);
            wanted.value[..length].copy_from_slice(&descriptor[..length]);
            Some(0)
        }
        // HIDIOCGRAWINFO
        0x03 => {
            let id = uevent(device, "HID_ID")?;
            let mut id = id.split(':').map(|hex| u32::from_str_radix(hex, 16));
            let info = DeviceInfo {
                bus: id.next()?.ok()?,
                vendor: id.next()?.ok()? as u16,
                product: id.next()?.ok()? as u16,
            };
            // SAFETY: the argument of this one is the structure, to be filled in.
            unsafe { *argument.cast::<DeviceInfo>() = info };
            Some(0)
        }
        // HIDIOCGRAWNAME, HIDIOCGRAWPHYS, HIDIOCGRAWUNIQ.
        // SAFETY: the argument of these three is a buffer of the size in the request.
        0x04 => Some(unsafe { give(&uevent(device, "HID_NAME")?, size, argument) }),
        0x05 => Some(unsafe { give(&uevent(device, "HID_PHYS")?, size, argument) }),
        0x08 => Some(unsafe { give(&uevent(device, "HID_UNIQ")?, size, argument) }),
        _ => None,
    }
}

/// # Safety
/// `buffer` has room for `size` bytes.
unsafe fn give(text: &str, size: usize, buffer: *mut c_void) -> c_int {
    let mut text = text.as_bytes().to_vec();
    text.push(0);
    let length = text.len().min(size);
    // SAFETY: no more than the caller has room for, out of memory that is ours alone.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), buffer.cast::<u8>(), length) };
    length as c_int
}

/// # Safety
/// As for fstatfs(2): `buffer` has room for a `struct statfs`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fstatfs(fd: c_int, buffer: *mut c_void) -> c_int {
    // SAFETY: the caller's own arguments, handed on.
    let result = unsafe { syscall(SYS_FSTATFS, c_long::from(fd), buffer) as c_int };
    let path = fs::read_link(format!("/proc/self/fd/{fd}"));
    if result == 0 && path.is_ok_and(|path| path.starts_with("/sys")) {
        // SAFETY: `f_type` is the first member of `struct statfs`, a long, and the kernel has
        // just filled the structure in.
        unsafe { *buffer.cast::<c_long>() = SYSFS_MAGIC };
    }
    result
}

/// # Safety
/// As for fstatfs(2); the structures are the same where a long has 64 bits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fstatfs64(fd: c_int, buffer: *mut c_void) -> c_int {
    // SAFETY: as our caller promised.
    unsafe { fstatfs(fd, buffer) }
}

/// The HID device in `/sys` behind an open hidraw node; none for any other descriptor.
fn hid_device(fd: c_int) -> Option<PathBuf> {
    if fd < 0 {
        return None;
    }
    // SAFETY: the file is never dropped, so the caller's descriptor stays the caller's; if it is
    // not open, the look at it fails.
    let file = ManuallyDrop::new(unsafe { fs::File::from_raw_fd(fd) });
    let device = file.metadata().ok()?.rdev();
    let (major, minor) = (
        (device >> 8) & 0xFFF,
        (device & 0xFF) | ((device >> 12) & 0xFFF00),
    );
    fs::canonicalize(format!("/sys/dev/char/{major}:{minor}/device")).ok()
}

fn uevent(device: &Path, variable: &str) -> Option<String> {
    let text = fs::read_to_string(device.join("uevent")).ok()?;
    text.lines()
        .find_map(|line| Some(line.strip_prefix(variable)?.strip_prefix('=')?.to_owned()))
}

//! Random numbers that a test can know: all that the kernel gives is also written to
//! `/run/random`, a line of hexadecimal each.
//!
//! So the private half of a key agreement, which the module draws, uses and forgets, can be looked
//! for in its host's memory. build.rs compiles it, by itself; a machine loads it where a test lays
//! it there.

use std::ffi::{c_long, c_uint, c_void};
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::slice;

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
}

#[cfg(target_arch = "x86_64")]
const SYS_GETRANDOM: c_long = 318;
#[cfg(target_arch = "aarch64")]
const SYS_GETRANDOM: c_long = 278;

/// # Safety
/// As for getrandom(2): there is room for `length` bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    // SAFETY: the caller's own arguments, handed on; syscall sets errno as libc would.
    let given = unsafe { syscall(SYS_GETRANDOM, buffer, length, flags) as isize };
    if let Ok(given) = usize::try_from(given) {
        // SAFETY: the kernel has just written so many.
        write_down(unsafe { slice::from_raw_parts(buffer.cast(), given) });
    }
    given
}

fn write_down(bytes: &[u8]) {
    let Ok(mut file) = OpenOptions::new().append(true).open("/run/random") else {
        return;
    };
    let mut line = String::with_capacity(2 * bytes.len() + 1);
    for byte in bytes {
        let _ = write!(line, "{byte:02x}");
    }
    line.push('\n');
    let _ = file.write_all(line.as_bytes());
    // What is looked for must not be what was left here.
    let mut line = line.into_bytes();
    line.fill(0);
    std::hint::black_box(&line);
}

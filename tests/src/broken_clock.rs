//! A clock that fails once, for the module alone: the way to a panic in a module that has none.
//!
//! The standard library takes for granted that the kernel tells the time, and panics where it
//! does not. This library stands before libc's `clock_gettime`; a number in
//! `/run/broken-clock` says how many more calls of the module's succeed before one does not, and
//! the file is gone then. Everybody else's calls, and all others of the module's, go to the
//! kernel. build.rs compiles it, by itself; a machine loads it where a test lays it there.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::fs;
use std::mem::MaybeUninit;

const NUMBER: &str = "/run/broken-clock";
const MODULE: &str = "/pam_passkey.so";
const US: &str = "/libbroken_clock.so";
const EINVAL: c_int = 22;

/// glibc's `Dl_info`.
#[repr(C)]
struct Object {
    name: *const c_char,
    base: *mut c_void,
    symbol: *const c_char,
    address: *mut c_void,
}

unsafe extern "C" {
    fn syscall(number: c_long, ...) -> c_long;
    fn backtrace(frames: *mut *mut c_void, most: c_int) -> c_int;
    fn dladdr(address: *const c_void, object: *mut Object) -> c_int;
    fn __errno_location() -> *mut c_int;
}

#[cfg(target_arch = "x86_64")]
const SYS_CLOCK_GETTIME: c_long = 228;
#[cfg(target_arch = "aarch64")]
const SYS_CLOCK_GETTIME: c_long = 113;

/// # Safety
/// As for clock_gettime(2): `time` has room for a `struct timespec`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: c_int, time: *mut c_void) -> c_int {
    // Asked first, because it costs little: there is seldom such a file.
    if let Ok(number) = fs::read_to_string(NUMBER)
        && asks_the_module()
        && has_come(&number)
    {
        // SAFETY: every thread has an errno.
        unsafe { *__errno_location() = EINVAL };
        return -1;
    }
    // SAFETY: the caller's own arguments, handed on; syscall sets errno as libc would.
    unsafe { syscall(SYS_CLOCK_GETTIME, c_long::from(clock), time) as c_int }
}

/// Counts down in the file; whether it was the last one.
fn has_come(number: &str) -> bool {
    match number.trim().parse() {
        Ok(0_u32) | Err(_) => fs::remove_file(NUMBER).is_ok(),
        Ok(left) => {
            let _ = fs::write(NUMBER, (left - 1).to_string());
            false
        }
    }
}

/// Whether the function that called ours lies in the module. The standard library is linked into
/// it, and so the module's calls come from there.
fn asks_the_module() -> bool {
    let mut frames = [std::ptr::null_mut(); 8];
    // SAFETY: no more frames are written than there is room for.
    let length = unsafe { backtrace(frames.as_mut_ptr(), 8) } as usize;
    let objects = frames[..length].iter().map(|&frame| object_of(frame));
    let mut callers = objects.skip_while(|object| object.ends_with(US));
    callers.next().is_some_and(|it| it.ends_with(MODULE))
}

/// The file of the program or library that this address lies in.
fn object_of(address: *const c_void) -> String {
    let mut object = MaybeUninit::<Object>::zeroed();
    // SAFETY: dladdr takes any address, and fills in the structure where it finds something.
    let found = unsafe { dladdr(address, object.as_mut_ptr()) } != 0;
    // SAFETY: filled in, or zeroed, which is one too.
    let name = unsafe { object.assume_init() }.name;
    if !found || name.is_null() {
        return String::new();
    }
    // SAFETY: the loader's own string, which ends in NUL, of an object that is on the stack.
    unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned()
}

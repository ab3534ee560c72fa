//! A name service that says what `/etc/passwd` cannot: another name than it was asked for, names
//! that are none, and nothing at all.
//!
//! glibc loads it where `/etc/nsswitch.conf` says `passwd: bench`. build.rs compiles it, by itself.

use std::ffi::{CStr, CString, c_char, c_int};

/// glibc's `struct passwd`.
#[repr(C)]
pub struct Passwd {
    name: *mut c_char,
    password: *mut c_char,
    uid: u32,
    gid: u32,
    gecos: *mut c_char,
    directory: *mut c_char,
    shell: *mut c_char,
}

// glibc's `enum nss_status`, and errno-base.h.
const TRY_AGAIN: c_int = -2;
const NOT_FOUND: c_int = 0;
const SUCCESS: c_int = 1;
const EAGAIN: c_int = 11;
const ERANGE: c_int = 34;

/// What is asked for, and the name and number that it is answered with. Of several names of one
/// number the first is its own.
const ACCOUNTS: &[(&[u8], &[u8], u32)] = &[
    (b"alice", b"alice", 1000),
    (b"Alice", b"alice", 1000),
    (b"alice@corp", b"alice", 1000),
    (b"bob", b"bob", 1001),
    (b"Bob", b"bob", 1001),
    (b"bob@corp", b"bob", 1001),
    // It does not say whose other name this is.
    (b"alias", b"alias", 1000),
    // What a directory may answer that somebody else writes to.
    (b"path", b"../users/alice", 2000),
    (b"option", b"-rf", 2001),
    (b"empty", b"", 2002),
    (b"escape", b"al\x1b[2Jice", 2003),
    (b"latin", b"al\xefce", 2004),
];

/// # Safety
/// As glibc calls it: `name` ends in NUL, `buffer` has room for `length` bytes, `result` and
/// `errno` can be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_bench_getpwnam_r(
    name: *const c_char,
    result: *mut Passwd,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
) -> c_int {
    // SAFETY: see above.
    let asked = unsafe { CStr::from_ptr(name) }.to_bytes();
    // SAFETY: see above.
    if asked == b"unanswered" {
        // SAFETY: see above.
        unsafe { *errno = EAGAIN };
        return TRY_AGAIN;
    }
    let account = ACCOUNTS.iter().find(|account| account.0 == asked);
    // SAFETY: see above.
    unsafe { answer(account, result, buffer, length, errno) }
}

/// # Safety
/// As above.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn _nss_bench_getpwuid_r(
    uid: u32,
    result: *mut Passwd,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
) -> c_int {
    let account = ACCOUNTS.iter().find(|account| account.2 == uid);
    // SAFETY: see above.
    unsafe { answer(account, result, buffer, length, errno) }
}

/// # Safety
/// As above.
unsafe fn answer(
    account: Option<&(&[u8], &[u8], u32)>,
    result: *mut Passwd,
    buffer: *mut c_char,
    length: usize,
    errno: *mut c_int,
) -> c_int {
    let Some(&(_, name, uid)) = account else {
        return NOT_FOUND;
    };
    let name = CString::new(name).unwrap_or_default();
    let name = name.as_bytes_with_nul();
    if name.len() > length {
        // SAFETY: as above.
        unsafe { *errno = ERANGE };
        return TRY_AGAIN;
    }
    // SAFETY: the buffer has room, as was just seen; every string of the result is in it, the
    // others are the NUL at the end of the name.
    unsafe {
        buffer.copy_from_nonoverlapping(name.as_ptr().cast(), name.len());
        let nothing = buffer.add(name.len() - 1);
        *result = Passwd {
            name: buffer,
            password: nothing,
            uid,
            gid: uid,
            gecos: nothing,
            directory: nothing,
            shell: nothing,
        };
    }
    SUCCESS
}

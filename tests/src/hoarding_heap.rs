//! A heap that gives nothing out twice: what was freed stays as it was left.
//!
//! Whatever its owner has not wiped can so be found to the end, where chance would otherwise have
//! it overwritten or not. build.rs compiles it, by itself; a machine loads it where a test lays it
//! there.

use std::ffi::c_void;
use std::ptr;

unsafe extern "C" {
    fn malloc(size: usize) -> *mut c_void;
    fn malloc_usable_size(memory: *mut c_void) -> usize;
}

#[unsafe(no_mangle)]
pub extern "C" fn free(_: *mut c_void) {}

/// # Safety
/// As for realloc(3): `memory` is malloc's, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(memory: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: malloc takes any size.
    let new = unsafe { malloc(size) };
    if !memory.is_null() && !new.is_null() {
        // SAFETY: the old piece is malloc's and never freed; the new one is another, and has room
        // for the smaller of the two.
        unsafe {
            let length = malloc_usable_size(memory).min(size);
            ptr::copy_nonoverlapping(memory.cast::<u8>(), new.cast::<u8>(), length);
        }
    }
    new
}

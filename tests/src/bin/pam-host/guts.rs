//! What only libc knows of a process, made safe.

use std::ffi::{CStr, c_int};
use std::mem::MaybeUninit;
use std::ptr;

use nix::libc;

/// What each signal does, where that is not the default: handler, flags, and what it holds back.
pub(crate) fn dispositions() -> Vec<String> {
    (1..=libc::SIGRTMAX()).filter_map(disposition).collect()
}

fn disposition(signal: c_int) -> Option<String> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: with no new action sigaction changes nothing, and fills in the old one.
    let result = unsafe { libc::sigaction(signal, ptr::null(), action.as_mut_ptr()) };
    // SAFETY: filled in, or zeroed, which is one too: the default.
    let action = unsafe { action.assume_init() };
    let is_default = action.sa_sigaction == libc::SIG_DFL;
    (result == 0 && !is_default).then(|| {
        let held_back = (1..=libc::SIGRTMAX())
            // SAFETY: the set is libc's own.
            .filter(|other| unsafe { libc::sigismember(&raw const action.sa_mask, *other) } == 1)
            .collect::<Vec<_>>();
        let (handler, flags) = (action.sa_sigaction, action.sa_flags);
        format!("{signal}: {handler:#x} flags {flags:#x} holds back {held_back:?}")
    })
}

/// The three interval timers; alarm(2) is the first.
pub(crate) fn timers() -> Vec<String> {
    [libc::ITIMER_REAL, libc::ITIMER_VIRTUAL, libc::ITIMER_PROF]
        .into_iter()
        .map(|which| {
            let mut timer = MaybeUninit::<libc::itimerval>::zeroed();
            // SAFETY: getitimer fills in the structure.
            unsafe { libc::getitimer(which, timer.as_mut_ptr()) };
            // SAFETY: filled in, or zeroed, which is one too.
            let timer = unsafe { timer.assume_init() };
            let (value, interval) = (timer.it_value, timer.it_interval);
            // A timer that runs shows another value at each look: that it runs is enough.
            let runs = value.tv_sec != 0 || value.tv_usec != 0;
            let (seconds, micros) = (interval.tv_sec, interval.tv_usec);
            format!("{which}: runs {runs}, again after {seconds}.{micros:06}")
        })
        .collect()
}

/// The locale of all categories, as setlocale(3) names it.
pub(crate) fn locale() -> String {
    // SAFETY: without a name setlocale only tells; no other thread of this program is about.
    let name = unsafe { libc::setlocale(libc::LC_ALL, ptr::null()) };
    if name.is_null() {
        return String::new();
    }
    // SAFETY: libc's own string, ending in NUL, valid until the next call, and copied before.
    unsafe { CStr::from_ptr(name) }
        .to_string_lossy()
        .into_owned()
}

/// Takes the locale from the environment, as sudo and login do; tells whether there is such a one.
pub(crate) fn take_locale_from_environment() -> bool {
    // SAFETY: an empty string is a name; no other thread of this program is about.
    !unsafe { libc::setlocale(libc::LC_ALL, c"".as_ptr()) }.is_null()
}

/// How many bytes of malloc's are in use.
pub(crate) fn heap_in_use() -> u64 {
    // SAFETY: mallinfo2 only counts: what lies among the rest, and what has a mapping of its own.
    let heap = unsafe { libc::mallinfo2() };
    (heap.uordblks + heap.hblkhd) as u64
}

//! The door: the functions libpam looks up by name, and the guard that lets no
//! panic out.
//!
//! `pam_hooks!` expands to the exported functions and to the `unsafe` that
//! takes their raw arguments; the one other `unsafe` of this crate is in
//! `pin_tries`.
#![allow(unsafe_code)]
// The macro's own functions are public and undocumented; libpam finds them by
// name, and nobody else does.
#![allow(missing_docs, unreachable_pub)]

use std::ffi::CStr;
use std::hint::black_box;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError};

use pam::constants::{PamFlag, PamResultCode};
use pam::module::{PamHandle, PamHooks};

use crate::authenticate::authenticate;
use crate::log::Log;
use crate::verdict::Outcome;
use crate::voice::Voice;

/// How much of the stack is wiped. A build whose cipher was made to wipe nothing
/// left its keys between 4 KiB and this far down.
const STACK: usize = 16 * 1024;

/// Where we panicked, from the hook to whoever logs it.
static WHERE: Mutex<String> = Mutex::new(String::new());

struct Door;

pam::pam_hooks!(Door);

impl PamHooks for Door {
    fn sm_authenticate(pamh: &mut PamHandle, args: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        let result = without_panic(AssertUnwindSafe(|| authenticate(pamh, &args)));
        wipe_the_stack();
        result
    }

    /// Credentials in PAM's sense (groups, tickets) are none of ours; whoever
    /// was let in must not be stopped here.
    fn sm_setcred(_: &mut PamHandle, _: Vec<&CStr>, _: PamFlag) -> PamResultCode {
        PamResultCode::PAM_SUCCESS
    }
}

/// A panic is a bug of ours; the host must survive it, and nobody is let in.
/// The hook is quiet because stderr is the host's; std is linked into this
/// module, so it is our own hook alone that is replaced and put back.
fn without_panic(work: impl FnOnce() -> PamResultCode + panic::UnwindSafe) -> PamResultCode {
    let before = panic::take_hook();
    panic::set_hook(Box::new(|panic| {
        if let (Some(place), Ok(mut noted)) = (panic.location(), WHERE.try_lock()) {
            *noted = place.to_string();
        }
    }));
    let result = panic::catch_unwind(work);
    panic::set_hook(before);
    result.unwrap_or_else(|_| {
        let place = std::mem::take(&mut *WHERE.lock().unwrap_or_else(PoisonError::into_inner));
        Outcome::Bug { place }.pronounce(&mut Log::open("?"), &Voice::none())
    })
}

/// Ciphers, hashes and the compiler make copies on the stack, and not all of
/// them are theirs to wipe. The host goes on in the same memory, so it is given
/// back empty: a second line, behind what wipes itself.
#[inline(never)]
fn wipe_the_stack() {
    let below = [0_u8; STACK];
    black_box(&below);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_service_err() {
        assert_eq!(
            without_panic(|| panic!("a bug")),
            PamResultCode::PAM_SERVICE_ERR
        );
        assert_eq!(
            without_panic(|| PamResultCode::PAM_AUTH_ERR),
            PamResultCode::PAM_AUTH_ERR
        );
    }
}

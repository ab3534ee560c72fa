//! The worker: ctap-hid-fido2, in a process of its own.
//!
//! That crate panics on short answers, prints to stdout, waits without a
//! deadline, and its `Debug` shows the PIN. So it never runs in the process
//! that speaks to the person: that one starts itself again, hands a request
//! over on a pipe, reads lines of JSON from another, and ends a worker that
//! does not get ready.
#![forbid(unsafe_code)]

mod foreman;
mod lines;
mod work;

pub(crate) use foreman::{Broken, run};
pub(crate) use lines::{
    Fingerprint, HeldCredential, HeldForSsh, HeldKind, HeldSshKey, Line, Outcome, Work,
};
pub(crate) use work::work;

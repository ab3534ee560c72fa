//! What packages do to a machine's logins: the profiles of pam-auth-update, through the real
//! pam-auth-update and the real libpam, and the scripts that run when a package comes and goes.
//!
//! What stands in the packages is looked at where they are made (`packaging/check-packages`).

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "also in a test's helpers"
)]

mod authselect;
mod enabling;
mod profiles;
mod removal;
mod tree;

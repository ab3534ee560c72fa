//! What judges receipts, and what others judge them by.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What to do with receipts.
#[derive(Debug, Subcommand)]
pub(crate) enum Receipt {
    Verify(Verify),
}

/// Say of every receipt in a file who approved what, and whether it holds.
///
/// It holds if a key that the person has now has signed it, somebody was there
/// and was verified where the key demands it, it is not older than the key's
/// enrolment, and no other line has the same nonce. Ends with 1 if one does not
/// hold. A key that was removed since cannot be judged by: keep what
/// `passkey export allowed-signers` prints for as long as you keep receipts.
#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// The file, a receipt a line: `receipts` in config.toml, or what
    /// `passkey test --receipt` wrote; `-` for standard input.
    pub(crate) file: PathBuf,

    /// Take receipts of this account only.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

/// What to print.
#[derive(Debug, Subcommand)]
pub(crate) enum Export {
    AllowedSigners(AllowedSigners),
}

/// Print an account's keys as an `allowed_signers` file.
///
/// `ssh-keygen -Y verify` judges receipts by it, without passkey: each key for
/// the namespace login@pam-passkey alone, from its enrolment on.
#[derive(Args, Debug)]
pub(crate) struct AllowedSigners {
    /// The account; yours where left out.
    #[arg(long)]
    pub(crate) user: Option<String>,
}

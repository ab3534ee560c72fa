//! Receipts, one line each, in a file that only root can have written.
#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ceremony::trusted_file::TrustedDir;
use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};

/// Appends `line`, in one write, to the file at `path`; creates it 0600.
pub(crate) fn append(path: &Path, line: &str) -> io::Result<()> {
    // In a directory that others may write, the name could be anything.
    if let Some(parent) = path.parent() {
        TrustedDir::open(parent).map_err(io::Error::other)?;
    }
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != 0 || found.mode() & 0o022 != 0 || found.nlink() != 1 {
        return Err(io::Error::other(
            "it must be a regular file of root's that nobody else may write",
        ));
    }
    file.write_all(line.as_bytes())
}

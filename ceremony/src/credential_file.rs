//! One account's credentials: `/etc/pam-passkey/users/<user>.toml`.
//!
//! A head, then one record after another, each read by itself: what is wrong
//! with one says nothing about the others, and a record we cannot read is
//! kept as it is, byte for byte, when the file is written again.

mod file;
mod head;
mod parts;
mod record;
mod store;

pub use file::CredentialFile;
pub use head::CredentialFileError;
pub use record::{CannotAdd, CannotRename, FaultyRecord};
pub use store::{Store, StoreLock};

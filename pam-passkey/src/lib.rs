//! `pam_passkey.so`: lets a person in with the FIDO2 security key they carry.
//!
//! The module is a guest: it runs inside sudo, login or a display manager, and
//! leaves that process as it found it. One authentication goes straight
//! through these rooms:
//!
//! `libpam → entry → authenticate → ceremony ⇄ prompt → verdict → libpam`
//!
//! What a person is told goes through `voice`, in their `language`.
//!
//! `authenticate` reads top to bottom; `verdict` is the one place that
//! turns what happened into a PAM code, a sentence and a log line.
#![deny(unsafe_code)]

mod authenticate;
mod counting;
mod entry;
mod language;
mod log;
mod pin_tries;
mod prompt;
mod request;
mod session;
mod verdict;
mod voice;

//! The authentication ceremony (WebAuthn §7.2): a key that this person
//! enrolled answers a fresh challenge.
//!
//! Touch only costs two transactions per key: an INIT, and one
//! authenticatorGetAssertion with all of the user's credential ids. Where they
//! do not fit one request, or belong to several relying parties, the key is
//! asked silently which of them it holds before it is asked for a touch.
//!
//! User verification begins with that silent question always, and its answer is
//! verified: a PIN is asked only of a key that has just shown, on the same open
//! descriptor, that it holds one of the credentials. A stick that merely says
//! so gets none.
#![forbid(unsafe_code)]

mod asking;
mod authenticate;
mod chunk;
mod refused;

pub use authenticate::{Approval, Terms, authenticate};
pub use refused::{KeyRefusal, Refused};

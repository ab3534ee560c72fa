//! What the administrator asks of a login: `config.toml`, then the arguments
//! of the module, both through the same setter.
#![forbid(unsafe_code)]

mod arguments;
mod config;
mod interactive_services;
mod rules;
mod setting;

pub use config::{Config, PolicyError};
pub use interactive_services::{opens_a_session, shows_every_prompt};
pub use rules::{
    CounterRule, Policy, RemoteSessions, SyncedCredentials, WhenNotCovered, WhenNotEnrolled,
};
pub use setting::Fault;

//! `passkey` enrols FIDO2 security keys for login on this machine and looks
//! after them.
//!
//! One command, one file or folder: [`enroll`], [`list`], [`show`], [`rename`],
//! [`remove`], [`mod@test`], [`mod@check`], [`key`], [`receipt`], [`export`].
//! They stand on the ceremonies of the `ceremony` library; what is here is the
//! person's side of it: whose account, which key, what is said, what is
//! written.
#![forbid(unsafe_code)]

mod account_password;
mod check;
mod cli;
mod enroll;
mod entry;
mod export;
mod failure;
mod ink;
mod key;
mod key_name;
mod list;
mod login;
mod machine;
mod person_behind;
mod proof;
mod receipt;
mod refused;
mod registering;
mod remove;
mod rename;
mod screen;
mod show;
mod spare;
mod ssh;
mod sudo_timestamps;
mod terminal;
mod test;
mod touch;
mod touch_alone;
mod which_key;
mod whose_account;

use std::alloc::System;
use std::process::ExitCode;

use clap::Parser;
use nix::sys::resource::{Resource, setrlimit};
use zeroizing_alloc::ZeroAlloc;

use cli::manual::{self, Manual};
use cli::{Cli, Command, Export, Receipt};
use failure::Failure;
use screen::Screen;

/// Wipes every allocation when it is freed. A typed password passes through
/// owned strings of the PAM binding, which drops them as they are; so the heap
/// itself forgets.
#[global_allocator]
static FORGETFUL: ZeroAlloc<System> = ZeroAlloc(System);

/// Exit codes: 0 done, 1 refused or failed (the sentence is on stderr), 2 the
/// command line makes no sense (clap's own), 3 [`Conclusion::Mend`].
fn main() -> ExitCode {
    // A core would have what was typed in it, a PIN or a password. The worker,
    // which holds PINs longest, refuses to begin where this fails.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let cli = Cli::parse();
    let mut screen = Screen::of_this_process(cli.manners);
    match run(&cli.command, &mut screen) {
        Ok(Conclusion::Done) => ExitCode::SUCCESS,
        Ok(Conclusion::Mend) => ExitCode::from(3),
        Err(failure) => {
            screen.say(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

/// How a command ended that did what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conclusion {
    /// There is nothing more to say.
    Done,
    /// It looked, and found something that must be mended.
    Mend,
}

fn run(command: &Command, screen: &mut Screen) -> Result<Conclusion, Failure> {
    match command {
        Command::Enroll(wanted) => enroll::enroll(wanted, screen),
        Command::List(wanted) => list::list(wanted, screen),
        Command::Show(wanted) => show::show(wanted, screen),
        Command::Rename(wanted) => rename::rename(wanted, screen),
        Command::Remove(wanted) => remove::remove(wanted, screen),
        Command::Test(wanted) => test::test(wanted, screen),
        Command::Check(wanted) => return check::check(wanted, screen),
        Command::Key(wanted) => key::key(wanted, screen),
        Command::Ssh(wanted) => ssh::ssh(wanted, screen),
        Command::Receipt(Receipt::Verify(wanted)) => receipt::verify(wanted, screen),
        Command::Export(Export::AllowedSigners(wanted)) => export::allowed_signers(wanted, screen),
        Command::Completions(wanted) => screen.result(&manual::completions(wanted.shell)),
        Command::Manual(wanted) => write_manual(wanted, screen),
    }
    .map(|()| Conclusion::Done)
}

fn write_manual(wanted: &Manual, screen: &mut Screen) -> Result<(), Failure> {
    let pages = manual::write_pages(&wanted.directory).map_err(|problem| {
        Failure::new(
            format!("no pages in {}: {problem}", wanted.directory.display()),
            "name a directory that exists, and in which you may write",
        )
    })?;
    pages.iter().try_for_each(|page| screen.result(page))
}

//! A login credential in the same sitting: `sudo passkey enroll`, once the SSH
//! key is there.
//!
//! Two credentials, and no way from one to the other: each has its relying
//! party, and its own place in the machine. So it is the whole enrolment that is
//! run, with all it asks for, and not a shorter one.
#![forbid(unsafe_code)]

use std::env;
use std::process::{Command, Stdio};

use nix::unistd::geteuid;
use serde_json::Value;

use crate::failure::Failure;
use crate::key_name::quoted_if_need_be;
use crate::screen::Screen;
use crate::terminal;

/// The login that is to be enrolled.
pub(super) struct AlsoLogin {
    /// The program and its arguments.
    command: Vec<String>,
}

impl AlsoLogin {
    /// Says what will come. `alone` is what to type for the SSH key alone.
    pub(super) fn announce(alone: &str, screen: &mut Screen) -> Result<Self, Failure> {
        let as_root = geteuid().is_root();
        // It would be refused once the SSH key was there.
        if !as_root && !terminal::somebody_is_there() {
            return Err(Failure::new(
                "to enrol the login a person is asked, and there is no terminal to answer at",
                format!("make the SSH key alone, and enrol the login at a terminal: {alone}"),
            ));
        }
        let program = env::current_exe()
            .ok()
            .and_then(|path| path.into_os_string().into_string().ok())
            .ok_or_else(|| {
                Failure::new(
                    "this program's own file cannot be named, so no login can be enrolled with it",
                    "do it in two steps: passkey ssh enroll; sudo passkey enroll",
                )
            })?;
        let mut command = vec![program, "enroll".to_owned()];
        if !as_root {
            command.insert(0, "sudo".to_owned());
        }
        screen.say(
            "Two things are made, one after the other. First the SSH key: one touch. Then the \
             login for this machine, by `passkey enroll`: another touch, and one more to try it. \
             Each is a key of its own.",
        );
        Ok(Self { command })
    }

    /// Runs it; for a program, what it answers.
    pub(super) fn enroll(self, screen: &mut Screen) -> Result<Option<Value>, Failure> {
        // Whoever types a password sees what it is for.
        let words: Vec<String> = self
            .command
            .iter()
            .map(|it| quoted_if_need_be(it))
            .collect();
        screen.say(&format!(
            "Now the login for this machine, by: {}",
            words.join(" ")
        ));
        let not_enrolled = || {
            Failure::new(
                "the SSH key is made, and stays; the login was not enrolled",
                "enrol it any time: sudo passkey enroll",
            )
        };
        let (program, arguments) = self.command.split_first().ok_or_else(not_enrolled)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::inherit())
            .stderr(Stdio::inherit());
        if screen.is_for_a_person() {
            return match command.status() {
                Ok(status) if status.success() => Ok(None),
                Ok(_) | Err(_) => Err(not_enrolled()),
            };
        }
        // Its line of JSON becomes a part of ours.
        let done = command.arg("--json").stdout(Stdio::piped()).output();
        match done {
            Ok(done) if done.status.success() => {
                serde_json::from_slice(&done.stdout).map_err(|_| not_enrolled())
            }
            Ok(_) | Err(_) => Err(not_enrolled()),
        }
    }
}

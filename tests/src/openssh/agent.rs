//! A real ssh-agent.

#![forbid(unsafe_code)]

use std::time::Duration;

use crate::machine::{Machine, Run, Running};

use super::{PIN, home};

/// An agent that holds the owner's keys. Dropping it ends it.
pub struct Agent<'m> {
    machine: &'m Machine,
    socket: String,
    _running: Running<'m>,
}

impl Machine {
    /// Starts an agent. It has no terminal: the PIN comes from a program, as on a desktop.
    pub fn ssh_agent(&self) -> Agent<'_> {
        let askpass = "/usr/local/bin/askpass-of-the-bench";
        self.write(askpass, &format!("#!/bin/sh\necho {PIN}\n"), 0o755);
        let socket = format!("{}/agent", home());
        // One that was ended before has left its own behind.
        self.by_owner(["rm", "-f", &socket])
            .output()
            .expect_success();
        let running = self
            .by_owner(["ssh-agent", "-D", "-a", &socket])
            .env("SSH_ASKPASS", askpass)
            .env("SSH_ASKPASS_REQUIRE", "force")
            .within(Duration::from_secs(600))
            .start();
        // Printed once it listens.
        running.wait_for("SSH_AUTH_SOCK=");
        Agent {
            machine: self,
            socket,
            _running: running,
        }
    }
}

impl Agent<'_> {
    /// A command of the owner's that finds the agent.
    pub fn run<S: Into<String>>(&self, command: impl IntoIterator<Item = S>) -> Run<'_> {
        self.on(self.machine.by_owner(command))
    }

    /// The same, of one that is there already.
    pub fn on<'r>(&self, run: Run<'r>) -> Run<'r> {
        run.env("SSH_AUTH_SOCK", &self.socket)
    }
}

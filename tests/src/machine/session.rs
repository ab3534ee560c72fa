//! Whose session a command runs in, as systemd and logind would show it.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Where the person at the command sits. It is what `/proc/self/cgroup` and `/run/systemd` say
/// of the command itself; children it forks show the real machine's cgroup.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Session {
    /// Alice at the machine: session 3, seat0, active.
    #[default]
    Local,
    /// Alice at the machine, but another one has switched the seat to themselves.
    LocalInactive,
    /// Alice over ssh: session 4.
    Remote,
    /// A program of Alice's desktop, under `user@1000.service`; Alice has an active local seat.
    UserManager,
    /// The same, but Alice is only here over ssh.
    UserManagerRemote,
    /// A system service: no session at all.
    None,
}

impl Session {
    /// Writes logind's files for it, and the cgroup file to be laid over the command's.
    pub(super) fn write(self, run: &Path, cgroup: &Path) {
        let place = match self {
            Self::Local | Self::LocalInactive => "user.slice/user-1000.slice/session-3.scope",
            Self::Remote => "user.slice/user-1000.slice/session-4.scope",
            Self::UserManager | Self::UserManagerRemote => {
                "user.slice/user-1000.slice/user@1000.service/app.slice/app-bench-7.scope"
            }
            Self::None => "system.slice/bench.service",
        };
        write(cgroup, &format!("0::/{place}\n"));

        let systemd = run.join("systemd");
        for directory in ["sessions", "users", "seats"] {
            let _ = fs::remove_dir_all(systemd.join(directory));
            fs::create_dir_all(systemd.join(directory)).expect("a directory in /run");
        }
        let (local, remote) = match self {
            Self::Local | Self::UserManager => (Some(true), false),
            Self::LocalInactive => (Some(false), false),
            Self::Remote | Self::UserManagerRemote => (None, true),
            Self::None => (None, false),
        };
        if let Some(active) = local {
            write_session(
                &systemd,
                3,
                active,
                "SEAT=seat0\nTTY=tty2\nVTNR=2\nREMOTE=0\nTYPE=tty\n",
            );
            let active = if active {
                "ACTIVE=3\nACTIVE_UID=1000\n"
            } else {
                ""
            };
            write(
                &systemd.join("seats/seat0"),
                &format!("IS_SEAT0=1\n{active}SESSIONS=3\n"),
            );
        }
        if remote {
            write_session(
                &systemd,
                4,
                true,
                "REMOTE=1\nREMOTE_HOST=192.0.2.7\nTTY=pts/0\nTYPE=tty\n",
            );
        }
        if local.is_some() || remote {
            let session = if remote { 4 } else { 3 };
            let active = local == Some(true);
            let mut user = format!(
                "NAME=alice\nSTATE={}\nSESSIONS={session}\n",
                if active || remote { "active" } else { "online" }
            );
            if active || remote {
                let _ = writeln!(user, "ACTIVE_SESSIONS={session}");
            }
            if local.is_some() {
                let _ = writeln!(user, "SEATS=seat0\nONLINE_SEATS=seat0");
            }
            if active {
                let _ = writeln!(user, "ACTIVE_SEATS=seat0");
            }
            write(&systemd.join("users/1000"), &user);
        }
    }
}

fn write_session(systemd: &Path, id: u32, active: bool, what: &str) {
    let state = if active { "active" } else { "online" };
    let file: PathBuf = systemd.join(format!("sessions/{id}"));
    let head = format!(
        "UID=1000\nUSER=alice\nACTIVE={}\nSTATE={state}\nCLASS=user\n",
        u8::from(active)
    );
    write(
        &file,
        &format!("{head}SCOPE=session-{id}.scope\nSERVICE=login\nLEADER=1\nAUDIT={id}\n{what}"),
    );
}

fn write(file: &Path, contents: &str) {
    fs::write(file, contents).expect("a file of the session");
}

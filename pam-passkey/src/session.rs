//! Whose session: is the person who asks in front of this machine?
//!
//! `PAM_RHOST` alone does not tell: sudo and polkit leave it unset even at the
//! far end of an ssh connection. The kernel knows which control group the
//! caller is in, and systemd-logind which session that is; what leads to no
//! local session counts as remote.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;

use ceremony::policy::opens_a_session;

/// Where systemd-logind keeps one file per session (what `sd_session_is_remote`
/// reads; root's).
const SESSIONS: &str = "/run/systemd/sessions";

/// Where the person is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// In front of this machine.
    Local,
    /// Elsewhere, or nobody can tell; with the reason, for the log.
    Remote(String),
}

/// The session of the process we are in.
pub(crate) fn of_caller(service: &str, rhost: &str) -> Session {
    if !rhost.is_empty() {
        return Session::Remote("PAM_RHOST is set".to_owned());
    }
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    judge(service, &place(&cgroup), Path::new(SESSIONS))
}

/// Where a control group lies in systemd's tree.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In `session-<id>.scope`.
    Session(String),
    /// In `user@<uid>.service`, below no session.
    UserManager(u32),
    /// Anywhere else.
    Elsewhere,
}

/// Reads `/proc/self/cgroup` (cgroups(7)): the unified line `0::<path>`, or on
/// older machines systemd's own hierarchy.
fn place(cgroup: &str) -> Place {
    let path = cgroup
        .lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            matches!(controllers, "" | "name=systemd").then_some(path)
        })
        .max_by_key(|path| path.len())
        .unwrap_or_default();
    let mut place = Place::Elsewhere;
    for part in path.split('/') {
        if let Some(id) = unit(part, "session-", ".scope") {
            if !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Place::Session(id.to_owned());
            }
        } else if let Some(Ok(uid)) = unit(part, "user@", ".service").map(str::parse) {
            place = Place::UserManager(uid);
            // Below here the names are the user's own choice.
            break;
        }
    }
    place
}

fn unit<'n>(name: &'n str, before: &str, after: &str) -> Option<&'n str> {
    name.strip_prefix(before)?.strip_suffix(after)
}

fn judge(service: &str, place: &Place, sessions: &Path) -> Session {
    match place {
        Place::Session(id) => match SessionFile::read(&sessions.join(id)) {
            Some(session) if session.local => Session::Local,
            Some(_) => Session::Remote(format!("session {id} is remote")),
            None => Session::Remote(format!("session {id} is unknown to logind")),
        },
        Place::UserManager(uid) => {
            let at_a_seat = fs::read_dir(sessions)
                .into_iter()
                .flatten()
                .flatten()
                .filter_map(|entry| SessionFile::read(&entry.path()))
                .any(|session| {
                    session.uid == Some(*uid) && session.local && session.active && session.seat
                });
            if at_a_seat {
                Session::Local
            } else {
                Session::Remote(format!("uid {uid} has no active session at a seat"))
            }
        }
        // They set PAM_RHOST when the person is elsewhere.
        Place::Elsewhere if opens_a_session(service) => Session::Local,
        Place::Elsewhere => Session::Remote("the caller is in no session".to_owned()),
    }
}

/// The members of logind's session file that matter here.
#[derive(Default)]
struct SessionFile {
    uid: Option<u32>,
    local: bool,
    active: bool,
    seat: bool,
}

impl SessionFile {
    fn read(path: &Path) -> Option<Self> {
        let text = fs::read_to_string(path).ok()?;
        let mut session = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "UID" => session.uid = value.parse().ok(),
                "REMOTE" => session.local = value == "0",
                "ACTIVE" => session.active = value == "1",
                "SEAT" => session.seat = !value.is_empty(),
                _ => {}
            }
        }
        Some(session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "0::/user.slice/user-1000.slice/session-3.scope\n";
    const TERMINAL: &str =
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope\n";
    const SSHD: &str = "0::/system.slice/ssh.service\n";

    /// A directory of session files that goes away with the test.
    struct Logind(std::path::PathBuf);

    impl Logind {
        fn with(sessions: &[(&str, &str)]) -> Self {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NUMBER: AtomicU32 = AtomicU32::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let dir = std::env::temp_dir().join(format!(
                "pam-passkey-session-{}-{number}",
                std::process::id()
            ));
            fs::create_dir(&dir).unwrap();
            for (id, text) in sessions {
                fs::write(dir.join(id), text).unwrap();
            }
            Self(dir)
        }

        fn judge(&self, service: &str, cgroup: &str) -> Session {
            judge(service, &place(cgroup), &self.0)
        }
    }

    impl Drop for Logind {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_control_group_leads_to_the_session() {
        assert_eq!(place(SESSION), Place::Session("3".into()));
        assert_eq!(place(TERMINAL), Place::UserManager(1000));
        assert_eq!(place(SSHD), Place::Elsewhere);
        assert_eq!(place(""), Place::Elsewhere);
        // The hybrid hierarchy of older machines.
        assert_eq!(
            place("12:cpu:/\n1:name=systemd:/user.slice/user-1.slice/session-c2.scope\n0::/\n"),
            Place::Session("c2".into())
        );
    }

    #[test]
    fn a_user_cannot_name_a_scope_into_another_session() {
        let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/session-1.scope\n";
        assert_eq!(place(own), Place::UserManager(1000));
        assert_eq!(
            place("0::/user.slice/session-..%2fx.scope\n"),
            Place::Elsewhere
        );
    }

    #[test]
    fn only_a_session_that_logind_calls_local_is_local() {
        let logind = Logind::with(&[("3", "UID=1000\nREMOTE=0\n")]);
        assert_eq!(logind.judge("sudo", SESSION), Session::Local);
        for (id, text) in [
            ("3", "UID=1000\nREMOTE=1\n"),
            ("3", "UID=1000\n"),
            ("4", "REMOTE=0\n"),
        ] {
            let logind = Logind::with(&[(id, text)]);
            assert!(matches!(logind.judge("sudo", SESSION), Session::Remote(_)));
        }
    }

    #[test]
    fn a_terminal_of_the_desktop_is_local_while_its_user_is_at_a_seat() {
        let good = "UID=1000\nREMOTE=0\nACTIVE=1\nSEAT=seat0\n";
        assert_eq!(
            Logind::with(&[("1", good)]).judge("sudo", TERMINAL),
            Session::Local
        );
        for (right, wrong) in [
            ("UID=1000", "UID=1001"),
            ("REMOTE=0", "REMOTE=1"),
            ("ACTIVE=1", "ACTIVE=0"),
            ("SEAT=seat0", "SEAT="),
        ] {
            let logind = Logind::with(&[("1", &good.replace(right, wrong))]);
            assert!(
                matches!(logind.judge("sudo", TERMINAL), Session::Remote(_)),
                "{wrong}"
            );
        }
    }

    #[test]
    fn who_opens_a_session_is_judged_by_the_remote_host_alone() {
        let logind = Logind::with(&[]);
        assert_eq!(logind.judge("login", SSHD), Session::Local);
        assert!(matches!(logind.judge("sudo", SSHD), Session::Remote(_)));
        assert!(matches!(
            of_caller("login", "198.51.100.7"),
            Session::Remote(_)
        ));
    }
}

//! Whose session: is the person who asks in front of this machine?
//!
//! `PAM_RHOST` alone does not tell: sudo and polkit leave it unset even at the
//! far end of an ssh connection. The kernel knows which control group the
//! caller is in, and systemd-logind which session that is; what leads to no
//! session in front of the machine counts as remote.
#![forbid(unsafe_code)]

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ceremony::policy::opens_a_session;
use nix::libc::{O_CLOEXEC, O_NOFOLLOW, O_NONBLOCK};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerPidfd;

/// Where systemd-logind keeps one file per session (what `sd_session_is_remote`
/// reads; root's).
const SESSIONS: &str = "/run/systemd/sessions";

/// Where `polkit-agent-helper@.service` runs; root alone puts anything there.
const POLKIT_HELPER: &str =
    r"/system.slice/system-polkit\x2dagent\x2dhelper.slice/polkit-agent-helper@";

/// The most bytes of a session file that are read.
const LONGEST: u64 = 4096;

/// The most session files that are looked into.
const MOST_SESSIONS: usize = 1000;

/// Where the person is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Session {
    /// In front of this machine.
    Local,
    /// Elsewhere, or nobody can tell; with the reason, for the log.
    Remote(String),
}

/// The session of the process we are in, by what PAM was told of it.
pub(crate) fn of_caller(service: &str, rhost: &str, tty: &str) -> Session {
    if !rhost.is_empty() {
        return Session::Remote("PAM_RHOST is set".to_owned());
    }
    let cgroup = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mut asker = place(&cgroup);
    if asker == Place::PolkitHelper
        && let Some(cgroup) = peer_of(&io::stdin())
    {
        asker = place(&cgroup);
    }
    judge(service, tty, &asker, Path::new(SESSIONS))
}

/// Where a control group lies in systemd's tree.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In `/user.slice/user-<uid>.slice/session-<id>.scope`.
    Session { uid: u32, id: String },
    /// In `/user.slice/user-<uid>.slice/user@<uid>.service`.
    UserManager { uid: u32 },
    /// In the service in which polkit 127 and later ask, apart from any session: who asks is at
    /// the other end of its standard input.
    PolkitHelper,
    /// Anywhere else.
    Elsewhere,
}

/// Reads `/proc/self/cgroup` (cgroups(7)): the unified line `0::<path>`, or on
/// older machines systemd's own hierarchy.
fn place(cgroup: &str) -> Place {
    cgroup
        .lines()
        .find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            matches!(controllers, "" | "name=systemd").then(|| place_of(path))?
        })
        .unwrap_or(Place::Elsewhere)
}

/// Only the whole path from the root counts: below a service that manages its
/// own subtree, or inside a container, the names are somebody's own choice.
fn place_of(path: &str) -> Option<Place> {
    if path.starts_with(POLKIT_HELPER) {
        return Some(Place::PolkitHelper);
    }
    let mut parts = path.strip_prefix("/user.slice/")?.split('/');
    let uid: u32 = between(parts.next()?, "user-", ".slice")?.parse().ok()?;
    let unit = parts.next()?;
    if let Some(id) = between(unit, "session-", ".scope") {
        let id = is_session_id(id).then(|| id.to_owned())?;
        return Some(Place::Session { uid, id });
    }
    let manager: u32 = between(unit, "user@", ".service")?.parse().ok()?;
    (manager == uid).then_some(Place::UserManager { uid })
}

fn between<'n>(name: &'n str, before: &str, after: &str) -> Option<&'n str> {
    name.strip_prefix(before)?.strip_suffix(after)
}

/// What logind names a session, and its file. Beside them lie FIFOs
/// (`<id>.ref`) that nobody may wait for.
fn is_session_id(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// The control group of the process that connected this socket. A pidfd, not a number: a number
/// may be somebody else's by now. Linux 6.5 and later give one.
fn peer_of(socket: &impl AsFd) -> Option<String> {
    let peer = getsockopt(socket, PeerPidfd).ok()?;
    let number = fs::read_to_string(format!("/proc/self/fdinfo/{}", peer.as_raw_fd())).ok()?;
    let number = number.lines().find_map(|line| line.strip_prefix("Pid:"))?;
    let number: u32 = number.trim().parse().ok()?;
    let cgroup = fs::read_to_string(format!("/proc/{number}/cgroup")).ok()?;
    // It still runs, so the number was its own when we read.
    let mut ended = [PollFd::new(peer.as_fd(), PollFlags::POLLIN)];
    (poll(&mut ended, PollTimeout::ZERO) == Ok(0)).then_some(cgroup)
}

fn judge(service: &str, tty: &str, place: &Place, sessions: &Path) -> Session {
    let remote = |why: String| Session::Remote(why);
    match place {
        Place::Session { uid, id } => match SessionFile::read(&sessions.join(id)) {
            None => remote(format!("session {id} is unknown to logind")),
            Some(session) if session.uid != Some(*uid) => {
                remote(format!("session {id} is not one of uid {uid}"))
            }
            Some(session) if session.in_front_of_the_machine() => Session::Local,
            Some(_) => remote(format!("session {id} is not in front of this machine")),
        },
        Place::UserManager { uid } => {
            let at_the_machine = fs::read_dir(sessions)
                .into_iter()
                .flatten()
                .flatten()
                .filter(|entry| entry.file_name().to_str().is_some_and(is_session_id))
                .take(MOST_SESSIONS)
                .filter_map(|entry| SessionFile::read(&entry.path()))
                .any(|session| session.uid == Some(*uid) && session.in_front_of_the_machine());
            if at_the_machine {
                Session::Local
            } else {
                remote(format!("uid {uid} has no session in front of this machine"))
            }
        }
        // They set PAM_RHOST when the person is elsewhere; on a pseudo-terminal
        // nobody can tell.
        Place::Elsewhere if opens_a_session(service) && !is_pseudo_terminal(tty) => Session::Local,
        Place::Elsewhere => remote("the caller is in no session".to_owned()),
        Place::PolkitHelper => remote("nobody can tell who asks polkit".to_owned()),
    }
}

fn is_pseudo_terminal(tty: &str) -> bool {
    tty.strip_prefix("/dev/").unwrap_or(tty).starts_with("pts/")
}

/// The members of logind's session file that matter here.
#[derive(Default)]
struct SessionFile {
    uid: Option<u32>,
    remote: Option<bool>,
    active: bool,
    closing: bool,
    seat: bool,
    tty: String,
}

impl SessionFile {
    fn read(path: &Path) -> Option<Self> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC)
            .open(path)
            .ok()?;
        if !file.metadata().ok()?.is_file() {
            return None;
        }
        let mut text = String::new();
        file.take(LONGEST).read_to_string(&mut text).ok()?;
        let mut session = Self::default();
        for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
            match key {
                "UID" => session.uid = value.parse().ok(),
                "REMOTE" => session.remote = Some(value != "0"),
                "ACTIVE" => session.active = value == "1",
                "STATE" => session.closing = value == "closing",
                "SEAT" => session.seat = !value.is_empty(),
                "TTY" => value.clone_into(&mut session.tty),
                _ => {}
            }
        }
        Some(session)
    }

    /// `REMOTE=0` alone says no more than that no remote host was named: su
    /// from cron is such a session too. A person is in front of the machine at
    /// a seat, or at a terminal that is none of the pseudo ones, such as a
    /// serial line, and is active there.
    fn in_front_of_the_machine(&self) -> bool {
        let at_a_terminal = !self.tty.is_empty() && !is_pseudo_terminal(&self.tty);
        self.remote == Some(false) && self.active && !self.closing && (self.seat || at_a_terminal)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::process::{Command, Stdio};

    use super::*;

    const SESSION: &str = "0::/user.slice/user-1000.slice/session-3.scope\n";
    const TERMINAL: &str =
        "0::/user.slice/user-1000.slice/user@1000.service/app.slice/vte-spawn-1.scope\n";
    const GETTY: &str = "0::/system.slice/system-getty.slice/getty@tty1.service\n";
    const AT_A_SEAT: &str = "UID=1000\nREMOTE=0\nACTIVE=1\nSTATE=active\nSEAT=seat0\nTTY=tty2\n";

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
            judge(service, "", &place(cgroup), &self.0)
        }

        fn is_local(&self, cgroup: &str) -> bool {
            self.judge("sudo", cgroup) == Session::Local
        }
    }

    impl Drop for Logind {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn session(id: &str) -> Place {
        Place::Session {
            uid: 1000,
            id: id.to_owned(),
        }
    }

    #[test]
    fn the_control_group_leads_to_the_session() {
        assert_eq!(place(SESSION), session("3"));
        assert_eq!(place(TERMINAL), Place::UserManager { uid: 1000 });
        assert_eq!(place(GETTY), Place::Elsewhere);
        assert_eq!(place(""), Place::Elsewhere);
        // The hybrid hierarchy of older machines.
        assert_eq!(
            place("12:cpu:/\n1:name=systemd:/user.slice/user-1000.slice/session-c2.scope\n0::/\n"),
            session("c2")
        );
    }

    #[test]
    fn nobody_can_name_themselves_into_a_session() {
        let own = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/session-1.scope\n";
        assert_eq!(place(own), Place::UserManager { uid: 1000 });
        for elsewhere in [
            "0::/system.slice/runner.service/session-3.scope\n",
            "0::/system.slice/runner.service/user@1000.service/x\n",
            "0::/system.slice/runner.service/user.slice/user-1000.slice/session-3.scope\n",
            "0::/machine.slice/libpod-1.scope/user.slice/user-1000.slice/session-3.scope\n",
            "0::/user.slice/user-1000.slice/user@1001.service/x\n",
            "0::/user.slice/user-1000.slice/session-..%2fx.scope\n",
            "0::/user.slice/session-3.scope\n",
            "0::/user.slice/user-1000.slice\n",
        ] {
            assert_eq!(place(elsewhere), Place::Elsewhere, "{elsewhere}");
        }
    }

    #[test]
    fn only_an_active_session_in_front_of_the_machine_is_local() {
        assert!(Logind::with(&[("3", AT_A_SEAT)]).is_local(SESSION));
        assert!(Logind::with(&[("1", AT_A_SEAT)]).is_local(TERMINAL));
        for (right, wrong) in [
            ("UID=1000", "UID=1001"),
            ("UID=1000\n", ""),
            ("REMOTE=0", "REMOTE=1"),
            ("REMOTE=0\n", ""),
            ("ACTIVE=1", "ACTIVE=0"),
            ("STATE=active", "STATE=closing"),
            ("SEAT=seat0\nTTY=tty2", "SEAT=\nTTY=pts/3"),
            ("SEAT=seat0\nTTY=tty2\n", ""),
        ] {
            let text = AT_A_SEAT.replace(right, wrong);
            assert_ne!(text, AT_A_SEAT);
            let logind = Logind::with(&[("3", &text)]);
            assert!(!logind.is_local(SESSION), "{wrong}");
            assert!(!logind.is_local(TERMINAL), "{wrong}");
        }
        assert!(!Logind::with(&[("4", AT_A_SEAT)]).is_local(SESSION));
    }

    const POLKIT: &str = "0::/system.slice/system-polkit\\x2dagent\\x2dhelper.slice/\
                          polkit-agent-helper@3-1200-1000.service\n";

    #[test]
    fn polkits_helper_alone_stands_for_whoever_asks_it() {
        assert_eq!(place(POLKIT), Place::PolkitHelper);
        for other in [
            "0::/system.slice/polkit.service\n",
            "0::/user.slice/user-1000.slice/user@1000.service/polkit-agent-helper@3.service\n",
            &POLKIT.replace("::/system", "::/machine.slice/x.scope/system"),
        ] {
            assert_ne!(place(other), Place::PolkitHelper, "{other}");
        }
        // Where nobody can tell who asks.
        let logind = Logind::with(&[("3", AT_A_SEAT)]);
        let judged = logind.judge("polkit-1", POLKIT);
        assert!(matches!(judged, Session::Remote(_)), "{judged:?}");
    }

    #[test]
    fn the_peer_of_a_socket_is_known_while_it_runs() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        if matches!(getsockopt(&ours, PeerPidfd), Err(nix::Error::ENOPROTOOPT)) {
            println!("not tried: this kernel is older than Linux 6.5");
            return;
        }
        let own = fs::read_to_string("/proc/self/cgroup").unwrap();
        assert_eq!(peer_of(&ours), Some(own));

        let folder = Logind::with(&[]);
        let path = folder.0.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut peer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "session::tests::who_connects", "--ignored"])
            .env("PEER_OF_SOCKET", &path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let (socket, _) = listener.accept().unwrap();
        assert!(peer_of(&socket).is_some());
        drop(peer.stdin.take());
        peer.wait().unwrap();
        assert_eq!(peer_of(&socket), None);

        let (pipe, _) = nix::unistd::pipe().unwrap();
        assert_eq!(peer_of(&pipe), None);
    }

    #[test]
    #[ignore = "the other process of the test before it"]
    fn who_connects() {
        let path = std::env::var_os("PEER_OF_SOCKET").unwrap();
        let _socket = UnixStream::connect(path).unwrap();
        // Until it is told to end.
        io::stdin().read_to_end(&mut Vec::new()).unwrap();
    }

    #[test]
    fn a_serial_line_is_in_front_of_the_machine() {
        let serial = AT_A_SEAT.replace("SEAT=seat0\nTTY=tty2", "TTY=ttyS0");
        assert!(Logind::with(&[("3", &serial)]).is_local(SESSION));
    }

    #[test]
    fn what_lies_beside_the_session_files_is_not_waited_for() {
        let logind = Logind::with(&[("1", AT_A_SEAT)]);
        // logind's own, whose writing end is open as long as the session.
        for name in ["9.ref", "9"] {
            let mode = nix::sys::stat::Mode::S_IRWXU;
            nix::unistd::mkfifo(&logind.0.join(name), mode).unwrap();
        }
        assert!(logind.is_local(TERMINAL));
        let ninth = SESSION.replace('3', "9");
        assert!(!logind.is_local(&ninth));
    }

    #[test]
    fn who_opens_a_session_is_judged_by_the_remote_host_and_the_terminal() {
        let logind = Logind::with(&[]);
        assert_eq!(logind.judge("login", GETTY), Session::Local);
        assert!(matches!(logind.judge("sudo", GETTY), Session::Remote(_)));
        for tty in ["pts/3", "/dev/pts/3"] {
            let web_terminal = judge("login", tty, &Place::Elsewhere, &logind.0);
            assert!(matches!(web_terminal, Session::Remote(_)), "{tty}");
        }
        for tty in ["tty1", "/dev/ttyS0", ":0"] {
            let console = judge("login", tty, &Place::Elsewhere, &logind.0);
            assert_eq!(console, Session::Local, "{tty}");
        }
        assert!(matches!(
            of_caller("login", "198.51.100.7", "tty1"),
            Session::Remote(_)
        ));
    }
}

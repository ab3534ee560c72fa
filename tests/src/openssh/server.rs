//! A real sshd, on loopback and on a port of its own.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use crate::household::whenever_asked;
use crate::machine::{Finished, Machine, Privilege, Run, Running, privilege};

use super::{ASKED_FOR_PIN, PIN, owner};

const SSHD: &str = "/usr/sbin/sshd";
const CONFIG: &str = "/etc/ssh/sshd_config";
const HOST_KEY: &str = "/etc/ssh/host_key";
const AUTHORIZED_KEYS: &str = "/etc/ssh/authorized_keys";
const AUTHORITIES: &str = "/etc/ssh/authorities";

/// The client's.
const KNOWN_HOSTS: &str = "/etc/ssh/known_hosts";

/// How long a server may take to listen, or to write down what it has just done.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that lets in by public keys alone. Dropping it ends it.
pub struct Sshd<'m> {
    machine: &'m Machine,
    port: u16,
    running: Running<'m>,
}

impl Machine {
    /// Starts a server that knows nobody yet.
    pub fn sshd(&self) -> Sshd<'_> {
        let passwd = self.read("/etc/passwd").expect("a machine has users");
        let sshd = "sshd:x:105:65534::/run/sshd:/usr/sbin/nologin\n";
        self.write_etc("passwd", &(passwd + sshd), 0o644);
        self.sh("mkdir -p -m 755 /run/sshd /etc/ssh")
            .output()
            .expect_success();
        let host_key = [
            "ssh-keygen",
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            HOST_KEY,
        ];
        self.run(host_key).output().expect_success();

        let mut config = format!(
            "ListenAddress 127.0.0.1\n\
             HostKey {HOST_KEY}\n\
             PidFile none\n\
             LogLevel VERBOSE\n\
             UsePAM no\n\
             AuthenticationMethods publickey\n\
             AuthorizedKeysFile {AUTHORIZED_KEYS}\n\
             TrustedUserCAKeys {AUTHORITIES}\n"
        );
        if privilege() != Privilege::Root {
            // In a user's namespace the folder / is not root's.
            config.push_str("StrictModes no\n");
        }
        self.write(CONFIG, &config, 0o644);
        // Newer ones shut out for a while an address that was refused; older ones do not know.
        let unforgiving = "PerSourcePenalties no";
        let knows = [SSHD, "-t", "-f", CONFIG, "-o", unforgiving];
        if self.run(knows).output().success() {
            let _ = writeln!(config, "{unforgiving}");
            self.write(CONFIG, &config, 0o644);
        }
        // Between our look at a port and the server's taking it, somebody else may take it.
        let sshd = (0..5).find_map(|_| self.sshd_on(free_port()));
        let sshd = sshd.expect("a port that stays free");
        sshd.authorize("");
        sshd.trust("");
        sshd
    }

    /// None if the port is taken.
    fn sshd_on(&self, port: u16) -> Option<Sshd<'_>> {
        let running = self
            .run([SSHD, "-D", "-e", "-f", CONFIG, "-p", &port.to_string()])
            .within(Duration::from_secs(600))
            .start();
        let began = Instant::now();
        while !running.complained().contains("Server listening on") {
            if running.complained().contains("Cannot bind any address") {
                return None;
            }
            assert!(
                !running.has_ended() && began.elapsed() < PATIENCE,
                "sshd does not listen: {}",
                running.complained()
            );
            thread::sleep(Duration::from_millis(5));
        }
        Some(Sshd {
            machine: self,
            port,
            running,
        })
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}

impl Sshd<'_> {
    /// Writes the file `authorized_keys` anew.
    pub fn authorize(&self, lines: &str) {
        self.machine.write(AUTHORIZED_KEYS, lines, 0o644);
    }

    /// Writes anew whose certificates are good: public keys, one a line.
    pub fn trust(&self, authorities: &str) {
        self.machine.write(AUTHORITIES, authorities, 0o644);
    }

    /// The owner types `ssh` at their terminal, with this key and no other.
    pub fn log_in_with(&self, private_key: &str) -> Attempt<'_> {
        self.log_in(private_key, PIN, |run| run)
    }

    /// The same, and this is the PIN that is typed where one is asked for.
    pub fn log_in_with_pin(&self, private_key: &str, pin: &str) -> Attempt<'_> {
        self.log_in(private_key, pin, |run| run)
    }

    /// The same, with something changed: another environment.
    pub fn log_in<'s>(
        &'s self,
        identity: &str,
        pin: &str,
        change: impl FnOnce(Run<'s>) -> Run<'s>,
    ) -> Attempt<'s> {
        let host_key = self.machine.read(&format!("{HOST_KEY}.pub"));
        let host_key = host_key.expect("the server has a key");
        let line = format!("[127.0.0.1]:{} {host_key}", self.port);
        self.machine.write(KNOWN_HOSTS, &line, 0o644);
        let port = self.port.to_string();
        let known_hosts = format!("UserKnownHostsFile={KNOWN_HOSTS}");
        let mut command = vec!["ssh", "-F", "none", "-p", &port, "-i", identity];
        for option in [
            known_hosts.as_str(),
            "StrictHostKeyChecking=yes",
            "IdentitiesOnly=yes",
            "PreferredAuthentications=publickey",
        ] {
            command.extend(["-o", option]);
        }
        let target = format!("{}@127.0.0.1", owner());
        command.extend([&target, "echo let in as $(id -un)"]);
        let log_before = self.running.complained().len();
        let run = change(self.machine.by_owner(command));
        Attempt {
            ended: whenever_asked(run, &[(ASKED_FOR_PIN, pin)]),
            server: &self.running,
            log_before,
        }
    }
}

/// What came of an attempt to log in.
pub struct Attempt<'s> {
    /// What the person saw.
    pub ended: Finished,
    server: &'s Running<'s>,
    log_before: usize,
}

impl Attempt<'_> {
    /// The session began, as the owner's.
    #[track_caller]
    pub fn assert_let_in(&self) {
        let let_in = format!("let in as {}", owner());
        assert!(
            self.ended.success() && self.ended.stdout.contains(&let_in),
            "{:#?}\n{}",
            self.ended,
            self.logged()
        );
    }

    /// No session began, and this is why, in the server's log.
    #[track_caller]
    pub fn assert_refused(&self, why: &str) {
        let began = Instant::now();
        while !self.logged().contains(why) && began.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(
            self.was_refused() && self.logged().contains(why),
            "refused because of {why:?}?\n{:#?}\n{}",
            self.ended,
            self.logged()
        );
    }

    /// No session began, for whatever reason.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        // 255 is ssh's own failure; any other is of what ran in the session.
        self.ended.code() == Some(255)
            && self.ended.stdout.contains("Permission denied (publickey)")
            && !self.ended.stdout.contains("let in")
    }

    /// What the server has written down since.
    #[must_use]
    pub fn logged(&self) -> String {
        self.server.complained().split_off(self.log_before)
    }
}

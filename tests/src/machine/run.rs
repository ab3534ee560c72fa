//! A command inside a machine: started, fed, waited for, and never left behind.

#![forbid(unsafe_code)]

use std::fs::{self, Permissions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use tempfile::NamedTempFile;

use super::entrance::{Entry, privilege};
use super::transcript::Transcript;
use super::{LogLine, Machine, Session};
use crate::pty::{self, Pty};

/// Longer than a key's own 30 s, and the end of every test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command inside finds in its environment, and nothing else.
const ENVIRONMENT: &[(&str, &str)] = &[
    (
        "PATH",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ),
    ("LANG", "C.UTF-8"),
    ("TERM", "dumb"),
];

/// A command that is not running yet.
#[must_use = "it is run by .output() or .start()"]
pub struct Run<'m> {
    machine: &'m Machine,
    command: Vec<String>,
    user: &'static str,
    stdin: Option<String>,
    environment: Vec<(String, String)>,
    session: Session,
    patience: Duration,
    on_a_terminal: bool,
}

impl<'m> Run<'m> {
    pub(super) fn new(machine: &'m Machine, command: Vec<String>) -> Self {
        assert!(!command.is_empty(), "a command has a name");
        Self {
            machine,
            command,
            user: "root",
            stdin: Some(String::new()),
            environment: Vec::new(),
            session: Session::default(),
            patience: PATIENCE,
            on_a_terminal: false,
        }
    }

    /// Runs it as alice. Needs a machine with other users: ask [`privilege`].
    pub fn as_alice(mut self) -> Self {
        assert!(
            privilege().has_other_users(),
            "there is no alice in a namespace with one id"
        );
        self.user = "alice";
        self
    }

    /// What it reads, to the end. Without this, its input is empty.
    pub fn stdin(mut self, text: impl Into<String>) -> Self {
        self.stdin = Some(text.into());
        self
    }

    /// Leaves its input open: a test types later, with [`Running::type_line`].
    pub fn stdin_open(mut self) -> Self {
        self.stdin = None;
        self
    }

    /// Gives it a terminal of its own for input, output and `/dev/tty`; what is typed there
    /// and what it prints to either stream is all in `stdout`.
    pub fn on_a_terminal(mut self) -> Self {
        self.on_a_terminal = true;
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whose session it runs in; at first [`Session::Local`].
    pub fn session(mut self, session: Session) -> Self {
        self.session = session;
        self
    }

    /// How long it may take before the test fails; at first a minute.
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The file to be laid over its `/proc/self/cgroup`.
    fn cgroup(&self) -> NamedTempFile {
        // Everybody reads /proc/self/cgroup.
        let cgroup = tempfile::Builder::new()
            .permissions(Permissions::from_mode(0o644))
            .tempfile()
            .expect("a file for the cgroup");
        self.session
            .write(&self.machine.path("/run"), cgroup.path());
        cgroup
    }

    fn command(&self, cgroup: &Path) -> Command {
        let home = if self.user == "root" {
            "/root"
        } else {
            "/home/alice"
        };
        let mut command = self.machine.entrance().command(&Entry {
            user: self.user,
            cgroup: Some(cgroup),
            on_a_terminal: self.on_a_terminal,
        });
        command
            .args(&self.command)
            .env_clear()
            .envs(ENVIRONMENT.iter().copied())
            .envs([("HOME", home), ("USER", self.user), ("LOGNAME", self.user)])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/");
        command
    }

    /// Runs it to its end.
    pub fn output(self) -> Finished {
        self.start().finish()
    }

    /// Runs it on the terminal of whoever runs us, for as long as it takes: a demonstration.
    pub fn on_this_terminal(self) -> ExitStatus {
        let cgroup = self.cgroup();
        let mut child = self
            .command(cgroup.path())
            .spawn()
            .expect("/usr/bin/unshare starts");
        child.wait().expect("our own child")
    }

    /// Starts it. Dropping what comes back ends it.
    #[must_use = "a command that nobody holds is ended at once"]
    pub fn start(self) -> Running<'m> {
        let cgroup = self.cgroup();
        let mut command = self.command(cgroup.path());
        let transcript = Transcript::default();
        let log_before = self.machine.log().len();
        let started = Instant::now();
        let (child, keyboard, errors) = if self.on_a_terminal {
            let Pty { master, slave, .. } = pty::open();
            let stdio = || Stdio::from(slave.try_clone().expect("a descriptor"));
            let child = command
                .stdin(stdio())
                .stdout(stdio())
                .stderr(stdio())
                .spawn();
            drop(slave);
            drop(command); // it holds the terminal open
            transcript.follow(master.try_clone().expect("a descriptor").into());
            (child, Some(OwnedFd::from(master)), None)
        } else {
            command.process_group(0);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = command.spawn();
            let (mut keyboard, mut errors) = (None, None);
            if let Ok(child) = &mut child {
                keyboard = child.stdin.take().map(OwnedFd::from);
                transcript.follow(child.stdout.take().expect("a pipe").into());
                errors = child.stderr.take().map(|pipe| {
                    let errors = Transcript::default();
                    errors.follow(pipe.into());
                    errors
                });
            }
            (child, keyboard, errors)
        };
        let mut running = Running {
            machine: self.machine,
            child: child.expect("/usr/bin/unshare starts"),
            name: self.command.join(" "),
            keyboard: keyboard.map(fs::File::from),
            transcript,
            errors: errors.unwrap_or_default(),
            deadline: started + self.patience,
            started,
            log_before,
            _cgroup: cgroup,
        };
        if let Some(text) = self.stdin {
            running.feed(text, self.on_a_terminal);
        }
        running
    }
}

/// A command that runs. Dropping it ends it, and what it left in its process group.
pub struct Running<'m> {
    machine: &'m Machine,
    child: Child,
    name: String,
    keyboard: Option<fs::File>,
    transcript: Transcript,
    errors: Transcript,
    started: Instant,
    deadline: Instant,
    log_before: usize,
    _cgroup: NamedTempFile,
}

impl Running<'_> {
    /// Its process id: the command's own, the entrance has made way for it.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Sends it, and it alone, a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a signal to our own child");
    }

    /// Blocks until it has blocked this signal; fails the test if it does not in time.
    pub fn wait_until_it_holds_back(&self, signal: Signal) {
        let status = format!("/proc/{}/status", self.pid());
        let holds_back = || {
            let status = fs::read_to_string(&status).unwrap_or_default();
            let line = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
            let set = line.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
            set.is_some_and(|set| set & (1 << (signal as u64 - 1)) != 0)
        };
        while !holds_back() {
            assert!(Instant::now() < self.deadline, "{signal} is not held back");
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Types a line. Needs `stdin_open` or a terminal.
    pub fn type_line(&mut self, line: &str) {
        let keyboard = self
            .keyboard
            .as_mut()
            .expect("its input was closed: use stdin_open()");
        writeln!(keyboard, "{line}").expect("somebody reads");
    }

    /// Presses keys, without a line's end: Ctrl-C is `"\x03"`.
    pub fn type_keys(&mut self, keys: &str) {
        let keyboard = self
            .keyboard
            .as_mut()
            .expect("its input was closed: use stdin_open()");
        write!(keyboard, "{keys}").expect("somebody reads");
    }

    /// Blocks until it has printed this; fails the test if it does not in time.
    pub fn wait_for(&self, text: &str) {
        self.wait_for_times(text, 1);
    }

    /// The same, for what is said again and again.
    pub fn wait_for_times(&self, text: &str, times: usize) {
        assert!(
            self.transcript.wait_for(text, times, self.deadline),
            "{}: no {text:?} in {}",
            self.name,
            self.said()
        );
    }

    /// The same on stderr; on a terminal there is no such thing.
    pub fn wait_for_error(&self, text: &str) {
        assert!(
            self.errors.wait_for(text, 1, self.deadline),
            "{}: no {text:?} in {}",
            self.name,
            self.said()
        );
    }

    /// What it has printed so far; on a terminal, everything.
    pub fn printed(&self) -> String {
        self.transcript.text()
    }

    /// What it has complained so far.
    pub fn complained(&self) -> String {
        self.errors.text()
    }

    /// Waits for its end; fails the test if that does not come in time.
    pub fn finish(mut self) -> Finished {
        drop(self.keyboard.take_if(|_| !self.errors.is_unused()));
        while !self.has_ended() {
            assert!(
                Instant::now() < self.deadline,
                "{} did not end in time\n{}",
                self.name,
                self.said()
            );
            thread::sleep(Duration::from_millis(2));
        }
        let elapsed = self.started.elapsed();
        let status = self.end();
        for transcript in [&self.transcript, &self.errors] {
            assert!(
                transcript.wait_for_end(),
                "{} has ended, but left a process behind that holds its output open\n{}",
                self.name,
                self.said()
            );
        }
        Finished {
            name: self.name.clone(),
            status,
            stdout: self.transcript.text(),
            stderr: self.errors.text(),
            elapsed,
            log: self.machine.log().split_off(self.log_before),
        }
    }

    fn feed(&mut self, text: String, on_a_terminal: bool) {
        // A terminal stays open until the command ends; what is to be read there is typed.
        let keyboard = if on_a_terminal {
            self.keyboard
                .as_ref()
                .map(|it| it.try_clone().expect("a descriptor"))
        } else {
            self.keyboard.take()
        };
        if let Some(mut keyboard) = keyboard {
            // On a thread: a command that does not read must not stop the test.
            thread::spawn(move || drop(keyboard.write_all(text.as_bytes())));
        }
    }

    /// Whether it has ended. It stays a zombie, so that its number, and its group's, is its own.
    pub fn has_ended(&self) -> bool {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        !matches!(
            waitid(Id::Pid(self.pid()), flags),
            Ok(WaitStatus::StillAlive)
        )
    }

    /// Ends all of its process group, and reaps it.
    fn end(&mut self) -> ExitStatus {
        let _ = killpg(self.pid(), Signal::SIGKILL);
        // Until it has a group of its own.
        if !self.has_ended() {
            let _ = self.child.kill();
        }
        self.child.wait().expect("our own child")
    }

    fn said(&self) -> String {
        format!(
            "stdout: {}\nstderr: {}\nlog: {:#?}",
            self.transcript.text(),
            self.errors.text(),
            self.machine.log()
        )
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.end();
        }
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Finished {
    name: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed; on a terminal, everything.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
    /// From its start to its end, the way into the machine included (some milliseconds).
    pub elapsed: Duration,
    /// What was logged meanwhile.
    pub log: Vec<LogLine>,
}

impl Finished {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Its exit code; none if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Itself, if it exited with 0; otherwise fails the test with all it said.
    #[track_caller]
    #[allow(
        clippy::must_use_candidate,
        clippy::return_self_not_must_use,
        reason = "often the success is all one wants"
    )]
    pub fn expect_success(self) -> Self {
        assert!(
            self.success(),
            "{}: {}\nstdout: {}\nstderr: {}\nlog: {:#?}",
            self.name,
            self.status,
            self.stdout,
            self.stderr,
            self.log
        );
        self
    }
}

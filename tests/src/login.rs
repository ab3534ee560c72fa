//! A login as libpam sees it: the program `pam-host`, and what it reports.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::ops::Deref;
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

pub use crate::footprint::Footprint;
use crate::machine::{Finished, Machine, Run, Running, Session};

/// A login that has not begun.
#[must_use = "it is run by .run() or .start()"]
pub struct Login<'m> {
    machine: &'m Machine,
    arguments: Vec<String>,
    answers: Option<Vec<String>>,
    settings: Vec<Box<dyn FnOnce(Run<'m>) -> Run<'m> + 'm>>,
}

impl<'m> Login<'m> {
    pub(crate) fn new(machine: &'m Machine, service: &str, user: &str) -> Self {
        let arguments =
            ["pam-host", "--aloud", "--service", service, "--user", user].map(str::to_owned);
        Self {
            machine,
            arguments: arguments.into(),
            answers: Some(Vec::new()),
            settings: Vec::new(),
        }
    }

    /// What is typed at the prompts, one after the other. A prompt too many is `PAM_CONV_ERR`.
    pub fn answers<S: Into<String>>(mut self, answers: impl IntoIterator<Item = S>) -> Self {
        self.answers = Some(answers.into_iter().map(Into::into).collect());
        self
    }

    /// Answers are typed while it runs, with [`RunningLogin::type_line`].
    pub fn answers_later(mut self) -> Self {
        self.answers = None;
        self
    }

    /// Sets `PAM_RHOST`, as sshd does.
    pub fn from_host(self, host: &str) -> Self {
        self.argument("--rhost", host)
    }

    /// Sets `PAM_TTY`.
    pub fn tty(self, tty: &str) -> Self {
        self.argument("--tty", tty)
    }

    /// Sets `PAM_RUSER`, as sudo and su do.
    pub fn requested_by(self, user: &str) -> Self {
        self.argument("--ruser", user)
    }

    /// Asks so many times on one handle, as sudo does after a failure.
    pub fn calls(self, calls: usize) -> Self {
        self.argument("--calls", &calls.to_string())
    }

    /// Goes on to `pam_setcred` after success.
    pub fn setcred(self) -> Self {
        self.option("--setcred")
    }

    /// Blocks SIGINT and SIGQUIT while libpam is at work, and looks for them afterwards: sudo's
    /// way. See [`Report::pending`].
    pub fn interrupts_like_sudo(self) -> Self {
        self.option("--block-interrupts")
    }

    /// Logs in so often, one after the other, in one host; each has its `pam_start` and `pam_end`.
    pub fn logins(self, logins: usize) -> Self {
        self.argument("--logins", &logins.to_string())
    }

    /// The host takes its locale from the environment.
    pub fn with_its_locale(self) -> Self {
        self.option("--locale")
    }

    /// The host stops once its last call has returned, before `pam_end`, until it is sent SIGCONT.
    pub fn stops_after_authenticate(self) -> Self {
        self.option("--stop-after-authenticate")
    }

    /// The host stops after `pam_end`, until it is sent SIGCONT.
    pub fn stops_after_end(self) -> Self {
        self.option("--stop-after-end")
    }

    /// The host leaves a copy of each answer on its heap, freed and not wiped.
    pub fn litters(self) -> Self {
        self.option("--litter")
    }

    /// Whose session the host runs in; at first [`Session::Local`].
    pub fn session(self, session: Session) -> Self {
        self.setting(move |run| run.session(session))
    }

    /// Runs the host as alice: a screen locker.
    pub fn as_alice(self) -> Self {
        self.setting(Run::as_alice)
    }

    /// Sets a variable in the host's environment.
    pub fn env(self, name: &'m str, value: &'m str) -> Self {
        self.setting(move |run| run.env(name, value))
    }

    /// How long it may take before the test fails.
    pub fn within(self, patience: Duration) -> Self {
        self.setting(move |run| run.within(patience))
    }

    /// Runs it to its end.
    pub fn run(self) -> LoggedIn {
        self.start().finish()
    }

    /// Begins it.
    #[must_use = "a login that nobody holds is ended at once"]
    pub fn start(self) -> RunningLogin<'m> {
        self.machine.assert_installed("/usr/local/bin/pam-host");
        let run = self.machine.run(self.arguments);
        let run = match self.answers {
            Some(answers) => run.stdin(
                answers
                    .iter()
                    .flat_map(|answer| [answer, "\n"])
                    .collect::<String>(),
            ),
            None => run.stdin_open(),
        };
        RunningLogin(
            self.settings
                .into_iter()
                .fold(run, |run, setting| setting(run))
                .start(),
        )
    }

    fn option(mut self, name: &str) -> Self {
        self.arguments.push(name.to_owned());
        self
    }

    fn argument(mut self, name: &str, value: &str) -> Self {
        self.arguments.extend([name.to_owned(), value.to_owned()]);
        self
    }

    fn setting(mut self, setting: impl FnOnce(Run<'m>) -> Run<'m> + 'm) -> Self {
        self.settings.push(Box::new(setting));
        self
    }
}

/// A login that runs.
pub struct RunningLogin<'m>(Running<'m>);

impl RunningLogin<'_> {
    /// Waits for its end.
    pub fn finish(self) -> LoggedIn {
        LoggedIn::of(self.0.finish())
    }

    /// Blocks until the module has said this; fails the test if it does not in time.
    pub fn wait_until_said(&self, text: &str) {
        self.0.wait_for_error(text);
    }

    /// Blocks until the host has stopped; fails the test if it does not in time.
    pub fn wait_until_stopped(&self) {
        let until = Instant::now() + Duration::from_secs(30);
        while !self.is_stopped() {
            assert!(Instant::now() < until, "the host did not stop");
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn is_stopped(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.pid())).unwrap_or_default();
        // After the name, which stands in brackets and may hold anything.
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
    }

    /// Types an answer.
    pub fn type_line(&mut self, line: &str) {
        self.0.type_line(line);
    }
}

impl<'m> Deref for RunningLogin<'m> {
    type Target = Running<'m>;

    fn deref(&self) -> &Running<'m> {
        &self.0
    }
}

/// A login that is over, whatever came of it.
pub struct LoggedIn {
    /// What the host saw.
    pub report: Report,
    /// The host itself: its log lines, its stderr, how it ended. Its stdout was the report.
    pub host: Finished,
    printed: String,
}

/// Without what was printed, which is the report once more.
impl fmt::Debug for LoggedIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut host = f.debug_struct("LoggedIn");
        host.field("report", &self.report).field("host", &self.host);
        host.finish_non_exhaustive()
    }
}

impl LoggedIn {
    /// A pam-host that has ended, and has printed its report.
    pub fn of(mut host: Finished) -> Self {
        let report = serde_json::from_str(&host.stdout);
        let report =
            report.unwrap_or_else(|error| panic!("pam-host printed no report: {error}\n{host:#?}"));
        Self {
            report,
            printed: std::mem::take(&mut host.stdout),
            host,
        }
    }

    /// What the last `pam_authenticate` returned.
    pub fn code(&self) -> Pam {
        self.report
            .calls
            .last()
            .expect("the host called at least once")
            .code
    }

    /// What was said to the user: texts and prompts, one a line.
    pub fn said(&self) -> String {
        self.report
            .messages
            .iter()
            .map(|message| message.text.clone() + "\n")
            .collect()
    }

    /// What was asked with the echo off, in order: passwords and PINs.
    pub fn questions(&self) -> Vec<&str> {
        let messages = self.report.messages.iter();
        let asked = messages.filter(|message| message.style == Style::PromptEchoOff);
        asked.map(|message| message.text.as_str()).collect()
    }

    /// What was logged, one a line.
    pub fn logged(&self) -> String {
        self.host
            .log
            .iter()
            .map(|line| line.text.clone() + "\n")
            .collect()
    }
}

/// The code, a sentence that the person must have been told, and no trace in the host or on its
/// output.
///
/// # Panics
///
/// Where any of them is otherwise.
#[track_caller]
pub fn assert_outcome(login: &LoggedIn, code: Pam, sentence: &str) {
    assert_eq!(login.code(), code, "{login:#?}");
    assert!(
        login.said().contains(sentence),
        "nobody said {sentence:?}: {login:#?}"
    );
    assert_no_trace(login);
}

/// All in the host is as it was, and nobody but the host has printed anything.
///
/// # Panics
///
/// Where it is otherwise.
#[track_caller]
pub fn assert_no_trace(login: &LoggedIn) {
    let changes = login.report.footprint.changes();
    assert!(changes.is_empty(), "{changes:#?}: {login:#?}");
    // The report alone, and on stderr what the host repeats.
    let report = serde_json::to_string_pretty(&login.report).unwrap_or_default();
    assert_eq!(login.printed, report + "\n");
    assert_eq!(login.host.stderr, login.said());
}

/// What pam-host prints: one JSON document.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// Each `pam_authenticate`, in order.
    pub calls: Vec<Call>,
    /// When `pam_start` was called, the last time, by [`monotonic_us`]. It loads the modules.
    pub started_us: u64,
    /// `pam_setcred`, if it was called.
    pub setcred: Option<Call>,
    /// What the module said, in order.
    pub messages: Vec<Message>,
    /// Signals that were waiting when libpam returned (`interrupts_like_sudo`), by name.
    pub pending: Vec<String>,
    /// What the module changed in the host and should not have; see [`Footprint`].
    pub footprint: Footprint,
    /// By how much the calls raised the host's peaks, in KiB: resident, and mapped at all. The
    /// module itself is among that, and what libpam and the name service load.
    pub peak_growth: [u64; 2],
    /// How many bytes of malloc's were in use before the first login, and after each.
    pub heap: Vec<u64>,
    /// How many panics the host's own hook heard of during the logins, and of one that the host
    /// then made itself.
    pub panics_heard: [usize; 2],
}

/// One call into libpam.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    /// What it returned.
    pub code: Pam,
    /// When it was called and when it returned, by [`monotonic_us`].
    pub at_us: [u64; 2],
}

impl Call {
    /// How long it took.
    pub fn elapsed(&self) -> Duration {
        let [called, returned] = self.at_us;
        Duration::from_micros(returned - called)
    }
}

/// The clock that all programs of a machine share, in microseconds: `CLOCK_MONOTONIC`.
///
/// # Panics
///
/// Never on Linux, which has such a clock.
pub fn monotonic_us() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock");
    u64::try_from(Duration::from(now).as_micros()).expect("a machine that was booted this aeon")
}

/// One message of the conversation.
#[derive(Debug, Serialize, Deserialize)]
pub struct Message {
    /// Which kind.
    pub style: Style,
    /// Its words.
    pub text: String,
    /// When it came, counted from the host's start.
    pub at_ms: u64,
}

/// The kinds of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Style {
    /// A prompt whose answer is not shown.
    PromptEchoOff,
    /// A prompt.
    PromptEchoOn,
    /// An error message.
    ErrorMsg,
    /// Information.
    TextInfo,
    /// One that Linux-PAM knows and this bench does not.
    Other(i32),
}

/// Linux-PAM's return codes, by the names in pam(3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are Linux-PAM's names")]
pub enum Pam {
    Success,
    OpenErr,
    SymbolErr,
    ServiceErr,
    SystemErr,
    BufErr,
    PermDenied,
    AuthErr,
    CredInsufficient,
    AuthinfoUnavail,
    UserUnknown,
    MaxTries,
    CredUnavail,
    CredErr,
    ConvErr,
    Ignore,
    Abort,
    ModuleUnknown,
    BadItem,
    /// One of the codes that authentication has no use for.
    Other(i32),
}

impl From<i32> for Pam {
    fn from(code: i32) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::OpenErr,
            2 => Self::SymbolErr,
            3 => Self::ServiceErr,
            4 => Self::SystemErr,
            5 => Self::BufErr,
            6 => Self::PermDenied,
            7 => Self::AuthErr,
            8 => Self::CredInsufficient,
            9 => Self::AuthinfoUnavail,
            10 => Self::UserUnknown,
            11 => Self::MaxTries,
            15 => Self::CredUnavail,
            17 => Self::CredErr,
            19 => Self::ConvErr,
            25 => Self::Ignore,
            26 => Self::Abort,
            28 => Self::ModuleUnknown,
            29 => Self::BadItem,
            other => Self::Other(other),
        }
    }
}

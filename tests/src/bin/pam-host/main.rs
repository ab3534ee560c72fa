//! A plain PAM application: asks libpam whether this is the user, and prints what happened.
//!
//! `pam-host [--confdir DIR] --service S --user U [--rhost H] [--tty T] [--ruser U] [--calls N]
//! [--setcred] [--block-interrupts] [--aloud]`
//!
//! Prompts are answered from standard input, a line each. It knows nothing of the module, and
//! prints one JSON document ([`Report`]) and nothing else; `--aloud` repeats the messages on
//! standard error while they come.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report, and why there is none"
)]

mod footprint;
mod libpam;

use std::ffi::{CStr, CString, c_int};
use std::io;
use std::process::ExitCode;
use std::time::Instant;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use tests::login::{Call, Message, Pam, Report, Style};

use footprint::Trace;
use libpam::{Conversation, Item, Transaction};

fn main() -> ExitCode {
    match Arguments::parse(std::env::args().skip(1)).and_then(|arguments| host(&arguments)) {
        Ok(report) => {
            println!(
                "{}",
                serde_json::to_string_pretty(&report).unwrap_or_default()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("pam-host: {error}");
            ExitCode::from(2)
        }
    }
}

fn host(arguments: &Arguments) -> Result<Report, String> {
    let began = Instant::now();
    let before = Trace::look();
    let notes = Notes {
        began,
        messages: Vec::new(),
        aloud: arguments.aloud,
    };
    let mut transaction = Transaction::start(
        &arguments.service,
        &arguments.user,
        arguments.confdir.as_deref(),
        notes,
    )
    .map_err(|code| format!("pam_start: {:?}", Pam::from(code)))?;
    for (item, value) in &arguments.items {
        match transaction.set_item(*item, value) {
            0 => {}
            code => return Err(format!("pam_set_item: {:?}", Pam::from(code))),
        }
    }

    let interrupts = SigSet::from(Signal::SIGINT) | SigSet::from(Signal::SIGQUIT);
    if arguments.block_interrupts {
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&interrupts), None)
            .map_err(|error| error.to_string())?;
    }
    let peaks = footprint::peaks();
    let mut calls = Vec::new();
    let mut pending = Vec::new();
    for _ in 0..arguments.calls {
        calls.push(timed(|| transaction.authenticate()));
        if arguments.block_interrupts {
            pending = waiting_signals(&interrupts);
        }
        if calls.last().is_some_and(|call| call.code == Pam::Success) || !pending.is_empty() {
            break;
        }
    }
    let succeeded = calls.last().is_some_and(|call| call.code == Pam::Success);
    let setcred = (arguments.setcred && succeeded).then(|| timed(|| transaction.setcred()));
    let notes = transaction.end();
    if arguments.block_interrupts && pending.is_empty() {
        pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&interrupts), None)
            .map_err(|error| error.to_string())?;
    }
    let [resident, mapped] = footprint::peaks();
    let peak_growth = [resident - peaks[0], mapped - peaks[1]];
    let footprint = before.compare(Trace::look());
    Ok(Report {
        calls,
        setcred,
        messages: notes.messages,
        pending,
        footprint,
        peak_growth,
    })
}

fn timed(call: impl FnOnce() -> c_int) -> Call {
    let began = Instant::now();
    let code = Pam::from(call());
    Call {
        code,
        elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    }
}

/// The signals of this set that wait to be delivered, by name.
fn waiting_signals(interrupts: &SigSet) -> Vec<String> {
    let waiting = footprint::status_line("SigPnd:") | footprint::status_line("ShdPnd:");
    interrupts
        .iter()
        .filter(|signal| waiting & (1 << (*signal as u64 - 1)) != 0)
        .map(|signal| signal.as_str().to_owned())
        .collect()
}

/// Writes down what is said, and answers from standard input.
struct Notes {
    began: Instant,
    messages: Vec<Message>,
    aloud: bool,
}

impl Conversation for Notes {
    fn hear(&mut self, style: Style, text: &str) -> Option<CString> {
        let at_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        if self.aloud {
            eprintln!("{text}");
        }
        self.messages.push(Message {
            style,
            text: text.to_owned(),
            at_ms,
        });
        if !matches!(style, Style::PromptEchoOff | Style::PromptEchoOn) {
            return None;
        }
        let mut line = String::new();
        let length = io::stdin().read_line(&mut line).ok()?;
        if length == 0 {
            return None;
        }
        CString::new(line.trim_end_matches('\n')).ok()
    }
}

struct Arguments {
    service: CString,
    user: CString,
    confdir: Option<CString>,
    items: Vec<(Item, CString)>,
    calls: usize,
    setcred: bool,
    block_interrupts: bool,
    aloud: bool,
}

impl Arguments {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let (mut service, mut user) = (None, None);
        let mut parsed = Self {
            service: CString::default(),
            user: CString::default(),
            confdir: None,
            items: Vec::new(),
            calls: 1,
            setcred: false,
            block_interrupts: false,
            aloud: false,
        };
        while let Some(option) = arguments.next() {
            let mut value = || {
                let value = arguments
                    .next()
                    .ok_or_else(|| format!("{option} needs a value"))?;
                CString::new(value).map_err(|_| format!("{option} takes no NUL"))
            };
            match option.as_str() {
                "--service" => service = Some(value()?),
                "--user" => user = Some(value()?),
                "--confdir" => parsed.confdir = Some(value()?),
                "--rhost" => parsed.items.push((Item::Rhost, value()?)),
                "--tty" => parsed.items.push((Item::Tty, value()?)),
                "--ruser" => parsed.items.push((Item::Ruser, value()?)),
                "--calls" => parsed.calls = number(&value()?)?,
                "--setcred" => parsed.setcred = true,
                "--aloud" => parsed.aloud = true,
                "--block-interrupts" => parsed.block_interrupts = true,
                _ => return Err(format!("{option} is no option")),
            }
        }
        parsed.service = service.ok_or("--service is missing")?;
        parsed.user = user.ok_or("--user is missing")?;
        Ok(parsed)
    }
}

fn number(text: &CStr) -> Result<usize, String> {
    let number = text.to_str().ok().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{text:?} is no number"))
}

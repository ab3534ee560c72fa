//! A plain PAM application: asks libpam whether this is the user, and prints what happened.
//!
//! `pam-host [--confdir DIR] --service S --user U [--rhost H] [--tty T] [--ruser U] [--calls N]
//! [--logins N] [--setcred] [--block-interrupts] [--aloud] [--locale] [--litter]
//! [--stop-after-authenticate|--stop-after-end]`
//!
//! Prompts are answered from standard input, a line each. It knows nothing of the module, and
//! prints one JSON document ([`Report`]) and nothing else; `--aloud` repeats the messages on
//! standard error while they come.

#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "one of the host's own, the report, and why there is none"
)]

mod arguments;
mod footprint;
mod guts;
mod libpam;
mod notes;

use std::ffi::c_int;
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask, raise};
use tests::login::{Call, Pam, Report, monotonic_us};

use arguments::{Arguments, StopAfter};
use footprint::Trace;
use libpam::Transaction;
use notes::Notes;

/// What the host panics with, to hear itself.
const ONE_OF_OURS: &str = "to be counted";

fn main() -> ExitCode {
    match Arguments::parse(std::env::args_os().skip(1)).and_then(|arguments| host(&arguments)) {
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
    // As every program has one: the module's panics, and its quiet hook, are its own.
    let heard = count_panics();
    if arguments.locale {
        guts::take_locale_from_environment();
    }
    let mut notes = Notes::new(Instant::now(), arguments.aloud, arguments.litter);
    let mut seen = Seen::with_room_for(arguments);
    let before = Trace::look();
    let peaks = footprint::peaks();
    seen.heap.push(guts::heap_in_use());
    for _ in 0..arguments.logins {
        notes = login(arguments, notes, &mut seen)?;
        if arguments.stop_after == Some(StopAfter::End) {
            stop()?;
        }
        seen.heap.push(guts::heap_in_use());
    }
    let [resident, mapped] = footprint::peaks();
    let footprint = before.compare(Trace::look());
    let in_the_calls = heard.load(Ordering::Relaxed);
    let _ = panic::catch_unwind(|| panic::panic_any(ONE_OF_OURS));
    Ok(Report {
        calls: seen.calls,
        started_us: seen.started_us,
        setcred: seen.setcred,
        messages: notes.messages(),
        pending: seen.pending,
        footprint,
        peak_growth: [resident - peaks[0], mapped - peaks[1]],
        heap: seen.heap,
        panics_heard: [in_the_calls, heard.load(Ordering::Relaxed) - in_the_calls],
    })
}

/// What the host writes down of its calls. The room is taken before the first.
#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    started_us: u64,
    setcred: Option<Call>,
    pending: Vec<String>,
    heap: Vec<u64>,
}

impl Seen {
    fn with_room_for(arguments: &Arguments) -> Self {
        Self {
            calls: Vec::with_capacity(arguments.logins * arguments.calls),
            heap: Vec::with_capacity(arguments.logins + 1),
            ..Self::default()
        }
    }
}

/// One transaction, from `pam_start` to `pam_end`.
fn login(arguments: &Arguments, notes: Notes, seen: &mut Seen) -> Result<Notes, String> {
    seen.started_us = monotonic_us();
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
    let mut code = Pam::Abort;
    for _ in 0..arguments.calls {
        let call = timed(|| transaction.authenticate());
        code = call.code;
        seen.calls.push(call);
        if arguments.stop_after == Some(StopAfter::Authenticate) {
            stop()?;
        }
        if arguments.block_interrupts {
            seen.pending = waiting_signals(&interrupts);
        }
        if code == Pam::Success || !seen.pending.is_empty() {
            break;
        }
    }
    if arguments.setcred && code == Pam::Success {
        seen.setcred = Some(timed(|| transaction.setcred()));
    }
    let notes = transaction.end();
    if arguments.block_interrupts {
        // sudo stops for them; we take them, and stand as before.
        for _ in &seen.pending {
            interrupts.wait().map_err(|error| error.to_string())?;
        }
        pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&interrupts), None)
            .map_err(|error| error.to_string())?;
    }
    Ok(notes)
}

/// Stands still until somebody says SIGCONT.
fn stop() -> Result<(), String> {
    raise(Signal::SIGSTOP).map_err(|error| error.to_string())
}

/// Begins to count panics, and to say nothing of the one that is made to be counted.
fn count_panics() -> Arc<AtomicUsize> {
    let heard = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&heard);
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        counting.fetch_add(1, Ordering::Relaxed);
        if panic.payload().downcast_ref() != Some(&ONE_OF_OURS) {
            before(panic);
        }
    }));
    heard
}

fn timed(call: impl FnOnce() -> c_int) -> Call {
    let called = monotonic_us();
    let code = Pam::from(call());
    Call {
        code,
        at_us: [called, monotonic_us()],
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

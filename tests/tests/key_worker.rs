//! The process in which `passkey key` speaks to a key: what a key, a person or anybody else can do
//! to it, and that nobody is left waiting.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::liar::{Act, Lie, Moment, Packets};
use tests::machine::{Finished, Port, Running};
use tests::{Liar, Machine};

/// What ctap-hid-fido2 reads when it asks for a new PIN: an answer to `Other`.
const ASKED: Moment = Moment::Other;

/// A PIN that stands nowhere else.
const NEW: &str = "7353-unmistakable";

/// A machine with a liar that has no PIN.
fn with(lie: Lie) -> (Machine, Liar, Port) {
    let machine = Machine::new();
    let liar = Liar::named("Liar");
    liar.lies(lie);
    let port = machine.plug_in_cable(liar.name(), liar.power_on());
    (machine, liar, port)
}

/// Gives it a PIN, as far as the question for it.
fn asking(machine: &Machine) -> Running<'_> {
    let set = machine.passkey(["key", "pin", "set"]).on_a_terminal();
    let set = set.start();
    set.wait_for("New PIN");
    set
}

/// Answers that, so that the worker begins.
fn answer(set: &mut Running<'_>) {
    set.type_line(NEW);
    set.wait_for("once more");
    set.type_line(NEW);
}

/// Gives it a PIN, as far as the worker's part.
fn setting(machine: &Machine) -> Running<'_> {
    let mut set = asking(machine);
    answer(&mut set);
    set
}

#[track_caller]
fn assert_failed(ended: &Finished, happened: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    assert!(
        ended.stdout.contains(happened),
        "no {happened:?} in {ended:#?}"
    );
    assert!(ended.stdout.contains("\n  "), "nothing to do: {ended:#?}");
    assert!(
        !ended.stdout.contains(NEW) && !ended.stdout.contains("panicked"),
        "{ended:#?}"
    );
}

/// The processes that this one has started.
fn children(pid: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    list.unwrap_or_default()
        .split_whitespace()
        .map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
}

/// The worker, once the key was asked what it answers with a lie.
fn worker(running: &Running<'_>, liar: &Liar) -> Pid {
    liar.wait_until_asked(ASKED);
    let children = children(running.pid());
    assert_eq!(children.len(), 1);
    children.into_iter().next().unwrap()
}

/// Whether it is gone, within two seconds.
fn is_gone(pid: Pid) -> bool {
    let is_alive = || {
        // A zombie of somebody who does not look after it is gone enough.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(_, rest)| !rest.starts_with('Z'))
    };
    let until = Instant::now() + Duration::from_secs(2);
    while is_alive() && Instant::now() < until {
        thread::sleep(Duration::from_millis(5));
    }
    !is_alive()
}

fn silent() -> Lie {
    Lie::packets(ASKED, |_| Vec::new())
}

fn at_work_for_ever() -> Lie {
    Lie::packets(ASKED, |packets: &Packets| {
        vec![Act::SendForEver(
            packets.keepalive(1),
            Duration::from_millis(100),
        )]
    })
}

fn blinking_for_ever() -> Lie {
    Lie::packets(ASKED, |packets: &Packets| {
        vec![Act::SendForEver(
            packets.keepalive(2),
            Duration::from_millis(100),
        )]
    })
}

#[test]
fn a_key_that_says_nothing_is_given_up_in_time() {
    let (machine, liar, _port) = with(silent());
    let set = setting(&machine);
    let worker = worker(&set, &liar);
    let ended = set.finish();
    assert_failed(&ended, "did not get ready in time");
    assert!(
        ended.elapsed < Duration::from_secs(25),
        "{:?}",
        ended.elapsed
    );
    assert!(is_gone(worker));
}

#[test]
fn a_key_that_is_at_work_for_ever_is_given_up_in_time_and_told_to_stop() {
    let (machine, liar, _port) = with(at_work_for_ever());
    let ended = setting(&machine).finish();
    assert_failed(&ended, "did not get ready in time");
    assert!(
        ended.elapsed < Duration::from_secs(25),
        "{:?}",
        ended.elapsed
    );
    assert_eq!(liar.cancels(), 1);
}

#[test]
fn an_answer_that_makes_the_crate_panic_is_a_sentence() {
    // CTAPHID_ERROR with a code that is none.
    let lie = Lie::packets(ASKED, |packets: &Packets| {
        vec![Act::Send(packets.packet(&[0xBF, 0, 1, 0]))]
    });
    let (machine, _liar, _port) = with(lie);
    let ended = setting(&machine).finish();
    assert_failed(&ended, "answered with something that cannot be read");
}

#[test]
fn answers_that_are_none_are_sentences() {
    for answer in [
        &[][..],
        &[0],
        &[0, 0xa0],
        &[0, 0xa1, 0x01, 0xa0],
        &[0, 0xff],
        &[0, 0x81],
    ] {
        let answer = answer.to_vec();
        let (machine, _liar, _port) =
            with(Lie::answer(Moment::KeyAgreement, move |_| answer.clone()));
        let ended = setting(&machine).finish();
        assert_failed(&ended, "\"Liar\" (/dev/hidraw0)");
    }
}

#[test]
fn a_status_is_said_in_words() {
    for (status, words) in [
        (0x37, "does not take that PIN"),
        (0x32, "is blocked"),
        (0x06, "served another program all the time"),
        (0x27, "denied"),
        (0xF2, "an error of its own (CTAP status 0xf2)"),
    ] {
        let (machine, _liar, _port) = with(Lie::answer(ASKED, move |_| vec![status]));
        assert_failed(&setting(&machine).finish(), words);
    }
}

#[test]
fn a_key_that_says_it_took_a_pin_and_has_none_is_not_believed() {
    let (machine, _liar, _port) = with(Lie::answer(ASKED, |_| vec![0]));
    assert_failed(&setting(&machine).finish(), "and that it has none");
}

#[test]
fn a_key_that_is_unplugged_at_work_is_missed() {
    let (machine, _liar, port) = with(Lie::packets(ASKED, |_| vec![Act::Unplug]));
    let set = setting(&machine);
    let ended = set.finish();
    assert_failed(&ended, "was unplugged");
    drop(port);
}

#[test]
fn wrong_pins_end_at_three_where_the_key_takes_more() {
    let machine = Machine::new();
    let liar = Liar::named("Liar").with_pin("2468");
    liar.lies(Lie::answer(ASKED, |_| vec![0x31]));
    let _port = machine.plug_in_cable(liar.name(), liar.power_on());
    let mut change = machine
        .passkey(["key", "pin", "change"])
        .on_a_terminal()
        .start();
    change.wait_for("8 tries left");
    change.type_line("1111");
    change.wait_for("New PIN");
    change.type_line(NEW);
    change.wait_for("once more");
    change.type_line(NEW);
    for times in 2..=3 {
        change.wait_for_times("tries left: ", times);
        change.type_line("1111");
    }
    assert_failed(&change.finish(), "3 PINs were wrong");
}

#[test]
fn a_worker_that_somebody_ends_is_a_sentence() {
    let (machine, liar, _port) = with(silent());
    let set = setting(&machine);
    kill(worker(&set, &liar), Signal::SIGKILL).unwrap();
    assert_failed(&set.finish(), "was ended by signal 9");
}

#[test]
fn ctrl_c_ends_the_worker_and_tells_the_key_to_stop() {
    let (machine, liar, _port) = with(blinking_for_ever());
    let mut set = setting(&machine);
    let worker = worker(&set, &liar);
    set.wait_until_it_holds_back(Signal::SIGINT);
    set.type_keys("\x03");
    let ended = set.finish();
    assert_eq!(ended.signal(), Some(2), "{ended:#?}");
    assert!(is_gone(worker));
    assert_eq!(liar.cancels(), 1);
    assert!(liar.is_dark());
}

#[test]
fn a_worker_does_not_outlive_who_started_it() {
    let (machine, liar, _port) = with(silent());
    let set = setting(&machine);
    let worker = worker(&set, &liar);
    set.signal(Signal::SIGKILL);
    assert!(is_gone(worker));
}

#[test]
fn a_pin_is_in_no_argument_and_no_environment_and_no_core_is_left() {
    let (machine, liar, _port) = with(silent());
    let set = setting(&machine);
    let worker = worker(&set, &liar);
    for process in [set.pid(), worker] {
        for file in ["cmdline", "environ"] {
            let text = fs::read(PathBuf::from(format!("/proc/{process}/{file}"))).unwrap();
            let text = String::from_utf8_lossy(&text).into_owned();
            assert!(!text.contains(NEW), "{process}/{file}: {text:?}");
        }
    }
    assert_eq!(fs::read(format!("/proc/{worker}/environ")).unwrap(), b"");
    // Ctrl-\ ends both, and both know the PIN
    for process in [set.pid(), worker] {
        let limits = fs::read_to_string(format!("/proc/{process}/limits")).unwrap();
        let core = limits
            .lines()
            .find(|line| line.starts_with("Max core file size"));
        let numbers: Vec<&str> = core.unwrap().split_whitespace().skip(4).take(2).collect();
        assert_eq!(numbers, ["0", "0"]);
    }
    // and what it prints is not heard
    for descriptor in ["1", "2"] {
        let path = fs::read_link(format!("/proc/{worker}/fd/{descriptor}")).unwrap();
        assert!(path.ends_with("null"), "{path:?}");
    }
}

#[test]
fn a_worker_works_for_nobody_but_passkey() {
    let machine = Machine::new();
    let by_hand = machine.passkey(["key", "worker"]).on_a_terminal().output();
    assert_failed(&by_hand, "started by passkey and by nobody else");
    // with pipes at both ends, too
    let request = r#"{"node":"/dev/hidraw0","key":"","protocol":2,"preview":false,"work":{"ListCredentials":{"pin":"2468"}}}"#;
    let piped = machine.sh(format!("echo '{request}' | passkey key worker | cat"));
    let piped = piped.output();
    assert!(
        piped
            .stderr
            .contains("started by passkey and by nobody else"),
        "{piped:#?}"
    );
    assert_eq!(piped.stdout, "");
}

#[test]
fn a_key_is_shared_with_no_other_ceremony_of_roots() {
    let (machine, liar, _port) = with(silent());
    let (mut first, mut second) = (asking(&machine), asking(&machine));
    answer(&mut first);
    worker(&first, &liar);
    let asked = liar.heard().len();
    answer(&mut second);
    assert_failed(
        &second.finish(),
        "is in use for another request: Requested by passkey key",
    );
    assert_eq!(liar.heard().len(), asked);
}

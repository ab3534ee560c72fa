//! What is said to the person: results to stdout, talk to stderr.
//!
//! The only file that writes to either, so that nothing else can: the macros
//! that print are denied in the whole workspace.
#![forbid(unsafe_code)]

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Serialize;

use crate::cli::Manners;
use crate::failure::Failure;
use crate::ink::Ink;

/// The version of the JSON that `--json` prints. It grows when a member that
/// was there goes or changes its meaning; new members may come at any time.
const JSON_VERSION: u8 = 1;

/// What a command answers with.
pub(crate) trait Report: Serialize {
    /// For a person, line by line.
    fn lines(&self, ink: Ink) -> Vec<String>;
}

/// The person's screen.
pub(crate) struct Screen {
    results: Box<dyn Write>,
    talk: Box<dyn Write>,
    /// Whether results are for a program.
    json: bool,
    ink: Ink,
    /// Whether a line of talk can be written over.
    talk_can_be_rewritten: bool,
    /// Whether the terminal takes text now. Seconds are counted while signals are
    /// held back: one that has been stopped (Ctrl-S) would hold us with them.
    talk_is_taken: fn() -> bool,
    /// What is waited for, and the line that says so and was written last, where
    /// it will be written over.
    counted_down: Option<(String, String)>,
}

impl Screen {
    /// stdout and stderr.
    pub(crate) fn of_this_process(manners: Manners) -> Self {
        let set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let plain = manners.plain || env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = !plain && !set("NO_COLOR") && io::stdout().is_terminal();
        Self {
            results: Box::new(io::stdout()),
            talk: Box::new(io::stderr()),
            json: manners.json,
            ink: if colour { Ink::Colours } else { Ink::None },
            talk_can_be_rewritten: !plain && io::stderr().is_terminal(),
            talk_is_taken: stderr_takes_text,
            counted_down: None,
        }
    }

    /// The result. Unlike talk, a result that cannot be written is a failure:
    /// whoever reads it must not take silence for an empty answer.
    pub(crate) fn report(&mut self, report: &impl Report) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Versioned<'r, R> {
            version: u8,
            #[serde(flatten)]
            report: &'r R,
        }
        if !self.json {
            return report
                .lines(self.ink)
                .iter()
                .try_for_each(|line| self.result(line));
        }
        let version = JSON_VERSION;
        match serde_json::to_string(&Versioned { version, report }) {
            Ok(line) => self.result(&line),
            Err(problem) => Err(not_written(&problem)),
        }
    }

    /// Whether a person reads the results.
    pub(crate) fn is_for_a_person(&self) -> bool {
        !self.json
    }

    /// One line of a result that has no other form.
    pub(crate) fn result(&mut self, line: &str) -> Result<(), Failure> {
        self.end_countdown();
        writeln!(self.results, "{line}")
            .and_then(|()| self.results.flush())
            .map_err(|problem| not_written(&problem))
    }

    /// A line of talk; where nobody can hear it, it is left unsaid.
    pub(crate) fn say(&mut self, line: &str) {
        self.end_countdown();
        let _ = writeln!(self.talk, "{line}");
    }

    /// A question, without the line's end: the answer follows on the same line.
    pub(crate) fn ask(&mut self, question: &str) {
        self.end_countdown();
        let _ = write!(self.talk, "{question}");
        let _ = self.talk.flush();
    }

    /// A line that says for how long we still wait. On a terminal it counts
    /// down in place; elsewhere it is said once.
    pub(crate) fn count_down(&mut self, what: &str, left: Duration) {
        let line = format!("{what} ({}).", Seconds(left));
        // What comes next is waited for on a line of its own.
        if self.counted_down.as_ref().is_some_and(|(it, _)| it != what) {
            self.end_countdown();
        }
        match &self.counted_down {
            None if self.talk_can_be_rewritten => {
                let _ = write!(self.talk, "{line}");
            }
            None => {
                let _ = writeln!(self.talk, "{line}");
            }
            Some((_, before))
                if self.talk_can_be_rewritten && *before != line && (self.talk_is_taken)() =>
            {
                // ESC [ K erases what a longer line left behind.
                let _ = write!(self.talk, "\r{line}\u{1b}[K");
            }
            Some(_) => return,
        }
        let _ = self.talk.flush();
        self.counted_down = Some((what.to_owned(), line));
    }

    /// Goes on counting down what was said before. Returns how long the number
    /// that is shown now will be true; none where it is not counted.
    pub(crate) fn count_on(&mut self, what: &str, left: Duration) -> Option<Duration> {
        if !self.talk_can_be_rewritten {
            return None;
        }
        self.count_down(what, left);
        Some(match left.subsec_nanos() {
            0 => Duration::from_secs(1),
            rest => Duration::from_nanos(rest.into()),
        })
    }

    fn end_countdown(&mut self) {
        if self.counted_down.take().is_some() && self.talk_can_be_rewritten {
            let _ = writeln!(self.talk);
        }
    }
}

/// Whatever comes next begins on a line of its own.
impl Drop for Screen {
    fn drop(&mut self) {
        self.end_countdown();
    }
}

fn stderr_takes_text() -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

fn not_written(problem: &dyn fmt::Display) -> Failure {
    Failure::new(
        format!("the result could not be written: {problem}"),
        "make room where it goes; what was changed stands, see it with: passkey list",
    )
}

/// A time to wait, as people read it; rounded up, so that "0 s" is the end.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs() + u64::from(self.0.subsec_nanos() > 0);
        write!(f, "{seconds} s")
    }
}

/// Somewhere for a test to read what was said.
#[cfg(test)]
pub(crate) mod recorded {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::{Ink, Screen, Write, io};

    #[derive(Clone, Default)]
    pub(crate) struct Sheet(Rc<RefCell<Vec<u8>>>);

    impl Sheet {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.borrow().clone()).unwrap()
        }
    }

    impl Write for Sheet {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// A screen that is no terminal, its results and its talk.
    pub(crate) fn screen() -> (Screen, Sheet, Sheet) {
        let (results, talk) = (Sheet::default(), Sheet::default());
        let screen = Screen {
            results: Box::new(results.clone()),
            talk: Box::new(talk.clone()),
            json: false,
            ink: Ink::None,
            talk_can_be_rewritten: false,
            talk_is_taken: || true,
            counted_down: None,
        };
        (screen, results, talk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_and_talk_go_their_own_ways() {
        let (mut screen, results, talk) = recorded::screen();
        screen.say("Touch it.");
        screen.result("Enrolled.").unwrap();
        assert_eq!(results.text(), "Enrolled.\n");
        assert_eq!(talk.text(), "Touch it.\n");
    }

    #[derive(Serialize)]
    struct Answer {
        keys: u8,
    }

    impl Report for Answer {
        fn lines(&self, ink: Ink) -> Vec<String> {
            vec![ink.good(&format!("{} keys", self.keys))]
        }
    }

    #[test]
    fn a_result_is_lines_for_a_person_and_versioned_json_for_a_program() {
        let (mut screen, results, _) = recorded::screen();
        screen.report(&Answer { keys: 2 }).unwrap();
        screen.json = true;
        screen.report(&Answer { keys: 2 }).unwrap();
        assert_eq!(results.text(), "2 keys\n{\"version\":1,\"keys\":2}\n");
    }

    #[test]
    fn a_wait_is_said_once_where_lines_cannot_be_rewritten() {
        let (mut screen, _, talk) = recorded::screen();
        for left in [3, 2, 1] {
            screen.count_down("Waiting", Duration::from_secs(left));
        }
        screen.say("Done.");
        assert_eq!(talk.text(), "Waiting (3 s).\nDone.\n");
    }

    #[test]
    fn a_wait_for_something_else_has_a_line_of_its_own() {
        for (rewritten, all) in [
            (false, "Unplug it (9 s).\nPlug it in (9 s).\n"),
            (
                true,
                "Unplug it (9 s).\rUnplug it (8 s).\u{1b}[K\nPlug it in (9 s).\n",
            ),
        ] {
            let (mut screen, _, talk) = recorded::screen();
            screen.talk_can_be_rewritten = rewritten;
            screen.count_down("Unplug it", Duration::from_secs(9));
            screen.count_down("Unplug it", Duration::from_secs(8));
            screen.count_down("Plug it in", Duration::from_secs(9));
            drop(screen);
            assert_eq!(talk.text(), all);
        }
    }

    #[test]
    fn a_wait_counts_down_in_place_on_a_terminal() {
        let (mut screen, _, talk) = recorded::screen();
        screen.talk_can_be_rewritten = true;
        screen.count_down("Waiting", Duration::from_secs(2));
        screen.count_down("Waiting", Duration::from_millis(1100));
        screen.count_down("Waiting", Duration::from_millis(900));
        screen.say("Done.");
        assert_eq!(
            talk.text(),
            "Waiting (2 s).\rWaiting (1 s).\u{1b}[K\nDone.\n"
        );
    }

    #[test]
    fn a_terminal_that_takes_no_text_is_not_waited_for() {
        let (mut screen, _, talk) = recorded::screen();
        screen.talk_can_be_rewritten = true;
        screen.talk_is_taken = || false;
        screen.count_down("Waiting", Duration::from_secs(2));
        screen.count_down("Waiting", Duration::from_secs(1));
        assert_eq!(talk.text(), "Waiting (2 s).");
    }

    #[test]
    fn a_result_nobody_can_read_is_a_failure() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (mut screen, _, _) = recorded::screen();
        screen.results = Box::new(Full);
        assert!(screen.result("Enrolled.").is_err());
    }
}

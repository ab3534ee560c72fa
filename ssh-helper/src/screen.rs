//! What is said to the person: results to stdout, talk to stderr.
//!
//! The only file that writes to either, so that nothing else can: the macros
//! that print are denied in the whole workspace.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use crate::failure::Failure;

/// The person's screen.
pub(crate) struct Screen {
    results: Box<dyn Write>,
    talk: Box<dyn Write>,
    /// Whether a line of talk can be written over.
    talk_can_be_rewritten: bool,
    /// Whether the line that was written last will be written over.
    counting_down: bool,
}

impl Screen {
    /// stdout and stderr.
    pub(crate) fn of_this_process() -> Self {
        Self {
            results: Box::new(io::stdout()),
            talk_can_be_rewritten: io::stderr().is_terminal(),
            talk: Box::new(io::stderr()),
            counting_down: false,
        }
    }

    /// A line of the result. Unlike talk, a result that cannot be written is a
    /// failure: whoever reads it must not take silence for an empty answer.
    pub(crate) fn result(&mut self, line: &str) -> Result<(), Failure> {
        self.end_countdown();
        writeln!(self.results, "{line}")
            .and_then(|()| self.results.flush())
            .map_err(|problem| {
                Failure::new(
                    format!("the result could not be written: {problem}"),
                    "see what is there with: passkey list",
                )
            })
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
        match (self.talk_can_be_rewritten, self.counting_down) {
            (false, true) => return,
            (false, false) => {
                let _ = writeln!(self.talk, "{line}");
            }
            (true, _) => {
                // ESC [ K erases what a longer line left behind.
                let _ = write!(self.talk, "\r{line}\u{1b}[K");
            }
        }
        let _ = self.talk.flush();
        self.counting_down = true;
    }

    fn end_countdown(&mut self) {
        if self.counting_down && self.talk_can_be_rewritten {
            let _ = writeln!(self.talk);
        }
        self.counting_down = false;
    }
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

    use super::{Screen, Write, io};

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
            talk_can_be_rewritten: false,
            counting_down: false,
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
    fn a_wait_counts_down_in_place_on_a_terminal() {
        let (mut screen, _, talk) = recorded::screen();
        screen.talk_can_be_rewritten = true;
        screen.count_down("Waiting", Duration::from_secs(2));
        screen.count_down("Waiting", Duration::from_millis(900));
        screen.say("Done.");
        assert_eq!(
            talk.text(),
            "\rWaiting (2 s).\u{1b}[K\rWaiting (1 s).\u{1b}[K\nDone.\n"
        );
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

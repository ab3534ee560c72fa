//! Reads a line that a person types, without showing it where it is secret.
//!
//! The bytes are read straight from the descriptor: the standard library's
//! buffer would keep a copy of a password for as long as the program runs.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::termios::{
    LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};
use nix::unistd::{isatty, read};

use crate::screen::Screen;

/// The most bytes of a line; libpam takes no more (`PAM_MAX_RESP_SIZE`).
const LONGEST_LINE: usize = 512;

/// Whether what is typed is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Echo {
    /// Shown.
    On,
    /// Not shown: a secret.
    Off,
}

/// Whether there is a person to answer: one who sees the question, which goes
/// to stderr, and types at stdin.
pub(crate) fn somebody_is_there() -> bool {
    isatty(io::stdin()).unwrap_or(false) && isatty(io::stderr()).unwrap_or(false)
}

/// Shows `question` and reads the next line from stdin, without its end.
///
/// The terminal is back as it was when this returns, on Ctrl-C too: while we
/// read, Ctrl-C is no signal but ends the line, so that nobody is left with a
/// shell that does not show what they type.
pub(crate) fn read_line(question: impl FnOnce(), echo: Echo) -> Result<Vec<u8>, NoLine> {
    let stdin = io::stdin();
    let as_found = tcgetattr(&stdin)?;
    let (ours, interrupts) = asking(&as_found, echo);
    // What was typed before the question was not meant as its answer.
    tcsetattr(&stdin, SetArg::TCSAFLUSH, &ours)?;
    // Asked only now: whoever answers at once must neither be shown nor lost.
    question();
    // Allocated once at its full size: a growing buffer would leave copies.
    let mut line = vec![0; LONGEST_LINE];
    let length = read_some(&stdin, &mut line);
    let restored = tcsetattr(&stdin, SetArg::TCSAFLUSH, &as_found);
    let length = length?;
    restored?;
    line.truncate(length);
    without_end(line, interrupts)
}

/// What is typed at `question`, and shown; `None` where the line was left.
pub(crate) fn answer(question: &str, screen: &mut Screen) -> Option<Vec<u8>> {
    let answer = read_line(|| screen.ask(question), Echo::On);
    if answer.is_err() {
        // Only a line's own end ends the question's line.
        screen.say("");
    }
    answer.ok()
}

/// Whether `word` is typed, which is asked for `to_what_end`: nobody types it by
/// mistake.
pub(crate) fn typed_word(word: &str, to_what_end: &str, screen: &mut Screen) -> bool {
    let typed = answer(&format!("Type \"{word}\" {to_what_end}: "), screen);
    typed.is_some_and(|line| line.trim_ascii() == word.as_bytes())
}

/// Yes, said in so many words; anything else is no.
pub(crate) fn is_yes(answer: &[u8]) -> bool {
    let answer = answer.trim_ascii();
    answer.eq_ignore_ascii_case(b"y") || answer.eq_ignore_ascii_case(b"yes")
}

fn read_some(from: impl AsFd, line: &mut [u8]) -> nix::Result<usize> {
    loop {
        match read(&from, line) {
            Err(Errno::EINTR) => {}
            other => return other,
        }
    }
}

/// The terminal's settings while we ask, and the characters that end the line
/// for giving up.
fn asking(as_found: &Termios, echo: Echo) -> (Termios, [u8; 2]) {
    use SpecialCharacterIndices::{VEOL, VEOL2, VINTR, VQUIT};
    let mut ours = as_found.clone();
    let character = |at: SpecialCharacterIndices| {
        as_found
            .control_chars
            .get(at as usize)
            .copied()
            .unwrap_or(0)
    };
    let interrupts = [character(VINTR), character(VQUIT)];
    for (end, interrupt) in [VEOL, VEOL2].into_iter().zip(interrupts) {
        if let Some(end) = ours.control_chars.get_mut(end as usize) {
            *end = interrupt;
        }
    }
    // The kernel edits the line (erase, kill); signals wait until we are done.
    ours.local_flags
        .insert(LocalFlags::ICANON | LocalFlags::IEXTEN);
    ours.local_flags.remove(LocalFlags::ISIG);
    if echo == Echo::Off {
        ours.local_flags.remove(LocalFlags::ECHO);
        // The end of the line is shown, or what follows would stand behind the
        // question.
        ours.local_flags.insert(LocalFlags::ECHONL);
    }
    (ours, interrupts)
}

/// Takes the character off that ended the line.
fn without_end(mut line: Vec<u8>, interrupts: [u8; 2]) -> Result<Vec<u8>, NoLine> {
    match line.pop() {
        None => Err(NoLine::EndOfInput),
        Some(b'\n') => Ok(line),
        // 0 is how a terminal says that it has no such character.
        Some(end) if end != 0 && interrupts.contains(&end) => Err(NoLine::Interrupted),
        Some(_) if line.len() + 1 == LONGEST_LINE => Err(NoLine::TooLong),
        // Ended with Ctrl-D, which is not itself part of the line.
        Some(last) => {
            line.push(last);
            Ok(line)
        }
    }
}

/// Why there is no line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoLine {
    /// Ctrl-C.
    Interrupted,
    /// Ctrl-D, or the terminal is gone.
    EndOfInput,
    /// More than [`LONGEST_LINE`] bytes.
    TooLong,
    /// The terminal could not be read.
    System(Errno),
}

impl From<Errno> for NoLine {
    fn from(problem: Errno) -> Self {
        Self::System(problem)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use super::*;

    const INTERRUPTS: [u8; 2] = [0x03, 0x1c];

    fn line(typed: &[u8]) -> Result<Vec<u8>, NoLine> {
        without_end(typed.to_vec(), INTERRUPTS)
    }

    #[test]
    fn only_yes_is_yes() {
        for yes in [&b"y"[..], b"Y", b"yes", b" yes "] {
            assert!(is_yes(yes), "{yes:?}");
        }
        for no in [&b""[..], b"n", b"no", b"yes?", b"yy", b"ye", b"y\0", b"j"] {
            assert!(!is_yes(no), "{no:?}");
        }
    }

    #[test]
    fn a_line_comes_without_its_end() {
        assert_eq!(line(b"secret\n").unwrap(), b"secret");
        assert_eq!(line(b"\n").unwrap(), b"");
        // Ctrl-D after some characters
        assert_eq!(line(b"secret").unwrap(), b"secret");
    }

    #[test]
    fn giving_up_is_not_an_answer() {
        assert_eq!(line(b"\x03"), Err(NoLine::Interrupted));
        assert_eq!(line(b"half a sec\x03"), Err(NoLine::Interrupted));
        assert_eq!(line(b"half\x1c"), Err(NoLine::Interrupted));
        assert_eq!(line(b""), Err(NoLine::EndOfInput));
    }

    #[test]
    fn a_line_that_does_not_end_is_refused() {
        assert_eq!(line(&[b'a'; LONGEST_LINE]), Err(NoLine::TooLong));
        assert!(line(&[b'a'; LONGEST_LINE - 1]).is_ok());
    }

    #[test]
    fn a_disabled_character_is_no_interrupt() {
        assert_eq!(without_end(vec![b'a', 0], [0, 0]).unwrap(), [b'a', 0]);
    }

    fn terminal() -> OwnedFd {
        nix::fcntl::open(
            "/dev/ptmx",
            nix::fcntl::OFlag::O_RDWR | nix::fcntl::OFlag::O_NOCTTY,
            nix::sys::stat::Mode::empty(),
        )
        .unwrap()
    }

    #[test]
    fn a_secret_is_not_shown_and_ctrl_c_ends_the_line() {
        let found = tcgetattr(terminal()).unwrap();
        let (secret, interrupts) = asking(&found, Echo::Off);
        assert!(!secret.local_flags.contains(LocalFlags::ECHO));
        assert!(!secret.local_flags.contains(LocalFlags::ISIG));
        assert_eq!(interrupts, INTERRUPTS);
        let (open, _) = asking(&found, Echo::On);
        assert!(open.local_flags.contains(LocalFlags::ECHO));
    }
}

//! A serial line of the guest's, and the person who types at it.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a person looks at a line that shows nothing new; a guest without KVM on a busy machine
/// is slow, and no step depends on how slow.
const PATIENCE: Duration = Duration::from_secs(40);

/// A terminal. What it has shown and nobody has looked at yet is kept.
pub struct Console {
    line: UnixStream,
    shown: Arc<(Mutex<Vec<u8>>, Condvar)>,
    patience: Duration,
    name: String,
}

impl Console {
    pub(super) fn on(line: UnixStream, margin: &'static str, transcript: File) -> Self {
        let shown = Arc::<(Mutex<Vec<u8>>, Condvar)>::default();
        let from = line.try_clone().expect("a descriptor");
        let collected = Arc::clone(&shown);
        thread::spawn(move || collect(from, &collected, margin, transcript));
        Self {
            line,
            shown,
            patience: PATIENCE,
            name: String::new(),
        }
    }

    /// The next look may take this long.
    pub fn waits(&mut self, patience: Duration) -> &mut Self {
        self.patience = patience;
        self
    }

    /// Types a line and presses Enter.
    pub fn types(&mut self, text: &str) -> &mut Self {
        self.presses(&format!("{text}\r"))
    }

    /// Types without Enter; `"\x03"` is Ctrl-C.
    pub fn presses(&mut self, keys: &str) -> &mut Self {
        self.line.write_all(keys.as_bytes()).expect("a serial line");
        self
    }

    /// Waits for this text, and returns all that was shown up to its end since the last look.
    pub fn sees(&mut self, text: &str) -> String {
        self.sees_one_of(&[text])
    }

    /// The same for whichever of these texts comes first.
    pub fn sees_one_of(&mut self, texts: &[&str]) -> String {
        let patience = std::mem::replace(&mut self.patience, PATIENCE);
        let ends = |shown: &str| {
            let texts = texts.iter();
            let ends = texts.filter_map(|text| shown.find(text).map(|at| at + text.len()));
            ends.min()
        };
        let seen = self.look(patience, ends);
        match seen {
            Ok(seen) => seen,
            Err(shown) => panic!("{texts:?} did not appear; there stood:\n{shown}"),
        }
    }

    /// Whether this text appears within so long; nothing is taken away.
    pub fn shows_within(&self, patience: Duration, text: &str) -> bool {
        let until = Instant::now() + patience;
        loop {
            if text_of(&self.shown.0.lock().unwrap_or_else(PoisonError::into_inner)).contains(text)
            {
                return true;
            }
            if Instant::now() > until {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the shell's prompt, and returns what stood before it.
    pub fn prompt(&mut self) -> String {
        let prompt = format!("{}$ ", self.name);
        // A Ctrl-C that came a moment late stands before it.
        self.sees_one_of(&[&format!("\n{prompt}"), &format!("^C{prompt}")])
    }

    /// Breaks off what runs; once more, as a person does, where nothing comes of it.
    pub fn breaks_off(&mut self) -> String {
        let prompt = format!("{}$ ", self.name);
        for _ in 0..3 {
            self.presses("\x03");
            if self.shows_within(Duration::from_secs(12), &prompt) {
                break;
            }
        }
        self.prompt()
    }

    /// Types a command, and returns what it shows until the shell is back.
    pub fn runs(&mut self, command: &str) -> String {
        self.types(command).prompt()
    }

    /// Types a command, and asserts how it ends.
    pub fn runs_to(&mut self, code: u8, command: &str) -> String {
        let said = self.runs(&format!("{command}; echo \"=$?=\""));
        assert!(said.contains(&format!("={code}=")), "not {code}: {said}");
        said
    }

    /// Leaves the shell, and tells the getty this name.
    pub fn logs_out_and_names(&mut self, name: &str) -> &mut Self {
        self.types("exit");
        self.sees("guest login: ");
        self.types(name)
    }

    /// Waits for the getty, and logs in: with the key, where that is asked for and touched, else
    /// with the password.
    pub fn log_in(&mut self, name: &str) {
        self.sees("guest login: ");
        self.types(name);
        name.clone_into(&mut self.name);
        let (password, prompt) = ("Password: ", format!("\n{name}$ "));
        let seen = self.sees_one_of(&[password, &prompt]);
        if seen.ends_with(password) {
            self.types(&format!("{name}-password"));
            self.prompt();
        }
    }

    /// Waits for the shell of whoever has just come in, and returns what stood before its prompt.
    pub fn waits_for_the_prompt_of(&mut self, name: &str) -> String {
        name.clone_into(&mut self.name);
        self.prompt()
    }

    /// Breaks off what runs, and tells whether the shell of this person is there.
    pub(super) fn is_back_at_the_prompt_of(&mut self, name: &str) -> bool {
        if self.name != name {
            return false;
        }
        let soon = Duration::from_secs(10);
        self.forget();
        // What is typed with the Ctrl-C is thrown away by the terminal.
        self.presses("\x03");
        let there = self.shows_within(soon, &format!("{name}$ "));
        self.forget();
        self.types("echo $((41 + 1))");
        let is_back = there && self.shows_within(soon, &format!("\n42\n{name}$ "));
        self.forget();
        is_back
    }

    /// What was shown so far is no longer looked at.
    pub fn forget(&mut self) {
        self.shown
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    fn look(
        &self,
        patience: Duration,
        find: impl Fn(&str) -> Option<usize>,
    ) -> Result<String, String> {
        let (shown, changed) = &*self.shown;
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let mut until = Instant::now() + patience;
        let mut length = 0;
        loop {
            let text = text_of(&shown);
            if text.len() != length {
                length = text.len();
                until = Instant::now() + patience;
            }
            if let Some(end) = find(&text) {
                shown.clear();
                shown.extend(text[end..].bytes());
                return Ok(text[..end].to_owned());
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(text);
            }
            shown = changed
                .wait_timeout(shown, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

/// What stands there: without carriage returns and the sequences that move or colour.
fn text_of(shown: &[u8]) -> String {
    let mut text = String::new();
    let shown = String::from_utf8_lossy(shown);
    let mut characters = shown.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\r' => {}
            '\x1b' if characters.peek() == Some(&'[') => {
                characters.next();
                // ECMA-48 §5.4: parameters, then one final byte from @ to ~.
                for character in characters.by_ref() {
                    if ('@'..='~').contains(&character) {
                        break;
                    }
                }
            }
            // §8.3.89: an operating system command, up to BEL or ESC \.
            '\x1b' if characters.peek() == Some(&']') => {
                while let Some(character) = characters.next() {
                    if character == '\x07' || (character == '\x1b' && characters.next().is_some()) {
                        break;
                    }
                }
            }
            _ => text.push(character),
        }
    }
    text
}

fn collect(
    mut from: UnixStream,
    shown: &(Mutex<Vec<u8>>, Condvar),
    margin: &str,
    mut transcript: File,
) {
    let mut bytes = [0; 4096];
    let mut line: Vec<u8> = Vec::new();
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let mut all = shown.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.extend(&bytes[..length]);
        drop(all);
        shown.1.notify_all();
        // Whole lines, so that two consoles share one transcript.
        line.extend(&bytes[..length]);
        while let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            let whole: Vec<u8> = line.drain(..=end).collect();
            let _ = write!(transcript, "{margin}{}", text_of(&whole));
        }
    }
    let _ = write!(transcript, "{margin}{}", text_of(&line));
}

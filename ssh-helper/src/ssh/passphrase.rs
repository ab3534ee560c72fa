//! The passphrase of a private-key file.
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::ssh::Encryption;
use crate::failure::Failure;
use crate::key_name::quoted_if_need_be;
use crate::screen::Screen;
use crate::terminal::{self, Echo};

/// How often what cannot be a passphrase, or is not typed the same twice, is
/// asked for again.
const MOST_ATTEMPTS: u8 = 3;

/// The bytes of a passphrase, wiped when dropped: any text, in whatever letters,
/// as it was typed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// The fewest bytes; ssh-keygen takes no fewer.
    pub(crate) const SHORTEST: usize = 5;

    /// The most bytes: more could not be typed.
    pub(crate) const LONGEST: usize = 511;

    /// Takes what was typed as a new passphrase.
    fn new(bytes: Zeroizing<Vec<u8>>) -> Result<Self, NotAPassphrase> {
        match bytes.len() {
            length if length < Self::SHORTEST => Err(NotAPassphrase::TooShort(length)),
            length if length > Self::LONGEST => Err(NotAPassphrase::TooLong),
            // What follows one is not seen by the tools that will ask for it.
            _ if bytes.contains(&0) => Err(NotAPassphrase::Nul),
            _ => Ok(Self(bytes)),
        }
    }

    #[cfg(test)]
    pub(crate) fn for_test(text: &str) -> Self {
        Self(Zeroizing::new(text.as_bytes().to_vec()))
    }

    /// As it was typed.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// Why a text is no passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NotAPassphrase {
    /// It has only so many bytes.
    TooShort(usize),
    /// It has too many.
    TooLong,
    /// It has a NUL in it.
    Nul,
}

impl fmt::Display for NotAPassphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(length) => write!(
                f,
                "a passphrase has at least {} bytes, this one has {length}",
                Passphrase::SHORTEST
            ),
            Self::TooLong => write!(f, "a passphrase has at most {} bytes", Passphrase::LONGEST),
            Self::Nul => write!(f, "a passphrase cannot contain a NUL"),
        }
    }
}

/// A passphrase for files that are to be written; `None` for none. `again` is
/// what to type to begin again.
pub(crate) fn new(
    encryption: &Encryption,
    again: &str,
    screen: &mut Screen,
) -> Result<Option<Passphrase>, Failure> {
    if encryption.no_passphrase {
        return Ok(None);
    }
    if let Some(path) = &encryption.passphrase_file {
        let passphrase = Passphrase::new(first_line(path)?);
        return passphrase.map(Some).map_err(|problem| {
            Failure::new(
                format!("{}: {problem}", shown(path)),
                "put another one into its first line, or choose none: --no-passphrase",
            )
        });
    }
    if !terminal::somebody_is_there() {
        return Err(Failure::new(
            "a passphrase is asked for, and there is no terminal to answer at",
            format!(
                "choose none, or one from a file: {again} --no-passphrase, or --passphrase-file FILE"
            ),
        ));
    }
    ask_twice(again, screen)
}

fn ask_twice(again: &str, screen: &mut Screen) -> Result<Option<Passphrase>, Failure> {
    let given_up = || {
        Failure::new(
            "no passphrase was chosen",
            format!("nothing was written; run again: {again}"),
        )
    };
    for _ in 0..MOST_ATTEMPTS {
        let typed = hidden(
            "Passphrase for the private-key file (nothing for none): ",
            screen,
        )
        .ok_or_else(given_up)?;
        if typed.is_empty() {
            return Ok(None);
        }
        let passphrase = match Passphrase::new(typed) {
            Ok(passphrase) => passphrase,
            Err(problem) => {
                screen.say(&format!("That is no passphrase: {problem}."));
                continue;
            }
        };
        let once_more = hidden("The same once more: ", screen).ok_or_else(given_up)?;
        if *once_more == passphrase.as_bytes() {
            return Ok(Some(passphrase));
        }
        screen.say("These two are not the same.");
    }
    Err(given_up())
}

/// The passphrase of the private key at `path`: from `file`, where there is one,
/// or typed.
pub(crate) fn of(
    path: &Path,
    file: Option<&Path>,
    screen: &mut Screen,
) -> Result<Passphrase, Failure> {
    if let Some(file) = file {
        return Ok(Passphrase(first_line(file)?));
    }
    let path = shown(path);
    if !terminal::somebody_is_there() {
        return Err(Failure::new(
            format!("{path} is encrypted, and there is no terminal to type its passphrase at"),
            "name a file that has it in its first line: --passphrase-file FILE",
        ));
    }
    hidden(&format!("Passphrase of {path}: "), screen)
        .map(Passphrase)
        .ok_or_else(|| {
            Failure::new(
                format!("no passphrase was given for {path}"),
                "nothing was changed; run the command again",
            )
        })
}

fn hidden(question: &str, screen: &mut Screen) -> Option<Zeroizing<Vec<u8>>> {
    let typed = terminal::read_line(|| screen.ask(question), Echo::Off);
    if typed.is_err() {
        // Only a line's own end ends the question's line.
        screen.say("");
    }
    typed.ok().map(Zeroizing::new)
}

/// The first line of a file, or of standard input, without its end.
fn first_line(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    // Allocated once: a growing buffer would leave copies.
    let most = Passphrase::LONGEST + 2;
    let mut line = Zeroizing::new(Vec::with_capacity(most));
    let read = |from: &mut dyn Read, line: &mut Vec<u8>| {
        BufReader::with_capacity(1, from.take(most as u64)).read_until(b'\n', line)
    };
    let done = if path == Path::new("-") {
        read(&mut io::stdin(), &mut line)
    } else {
        File::open(path).and_then(|mut file| read(&mut file, &mut line))
    };
    done.map_err(|problem| {
        Failure::new(
            format!("no passphrase in {}: {problem}", shown(path)),
            "name a file that you may read: --passphrase-file FILE",
        )
    })?;
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok(line)
}

fn shown(path: &Path) -> String {
    quoted_if_need_be(&path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &[u8]) -> Result<Passphrase, NotAPassphrase> {
        Passphrase::new(Zeroizing::new(text.to_vec()))
    }

    #[test]
    fn a_passphrase_is_any_text_of_5_to_511_bytes() {
        for good in ["a b c", "   ↵  ", "🔑🗝️ of my house", "äöüß"] {
            assert_eq!(parsed(good.as_bytes()).unwrap().as_bytes(), good.as_bytes());
        }
        assert_eq!(parsed(b"abcd"), Err(NotAPassphrase::TooShort(4)));
        assert!(parsed(b"abcde").is_ok());
        assert!(parsed(&[b'a'; 511]).is_ok());
        assert_eq!(parsed(&[b'a'; 512]), Err(NotAPassphrase::TooLong));
        assert_eq!(parsed(b"abc\0def"), Err(NotAPassphrase::Nul));
    }

    #[test]
    fn a_passphrase_is_never_printed() {
        let text = format!("{:?}", parsed(b"correct horse").unwrap());
        assert_eq!(text, "Passphrase(..)");
    }
}

//! Lines and fields of a file in `/etc/pam.d` (`_pam_assemble_line`,
//! `_pam_StrTok`).
#![forbid(unsafe_code)]

/// The longest line that every libpam reads as one: older ones read 1023 bytes
/// at a time, and take the rest for a line of its own.
pub(super) const LONGEST: usize = 1022;

/// A line with its continuations, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    pub(super) text: String,
}

/// What a file says, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Lines {
    pub(super) all: Vec<Line>,
    /// The file ends in the middle of a line that was to be continued; libpam
    /// gives the whole file up when it gets there.
    pub(super) breaks_off: bool,
    /// The first line that not every libpam reads alike.
    pub(super) ambiguous: Option<usize>,
}

/// Reads a file's lines.
pub(super) fn lines(bytes: &[u8]) -> Lines {
    let mut read = Lines::default();
    let mut begun: Option<Line> = None;
    for (number, physical) in (1..).zip(bytes.split_inclusive(|byte| *byte == b'\n')) {
        let before = begun.as_ref().map_or(0, |line| line.text.len());
        let length = before + physical.len();
        if length > LONGEST || physical.contains(&0) {
            read.ambiguous = read.ambiguous.or(Some(number));
        }
        // Bytes that are no UTF-8 become marks: none is part of a word we know.
        let text = String::from_utf8_lossy(physical);
        let text = text.trim_start_matches(BLANKS);
        if text.is_empty() || text.starts_with('#') {
            // Inside a line that is continued, newer libpams end it there.
            if begun.is_some() {
                read.ambiguous = read.ambiguous.or(Some(number));
            }
            continue;
        }
        let line = begun.get_or_insert_with(|| Line {
            number,
            text: String::new(),
        });
        // A comment ends the line, also where a backslash stands before it.
        if let Some((text, _)) = text.split_once('#') {
            line.text.push_str(text);
        } else if let Some(text) = text.trim_end_matches(BLANKS).strip_suffix('\\') {
            line.text.push_str(text);
            line.text.push(' ');
            continue;
        } else {
            line.text.push_str(text);
        }
        read.all.extend(begun.take());
    }
    read.breaks_off = begun.is_some();
    read
}

const BLANKS: [char; 3] = [' ', '\n', '\t'];

/// The fields of a line, one after the other. What stands between brackets is
/// one field, and loses them.
#[derive(Clone, Debug)]
pub(super) struct Fields<'l> {
    rest: &'l str,
}

impl<'l> Fields<'l> {
    pub(super) fn of(line: &'l str) -> Self {
        Self { rest: line }
    }
}

impl Iterator for Fields<'_> {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let text = self.rest.trim_start_matches(BLANKS);
        if text.is_empty() {
            self.rest = text;
            return None;
        }
        let Some(inside) = text.strip_prefix('[') else {
            let (field, rest) = text.split_once(BLANKS).unwrap_or((text, ""));
            self.rest = rest;
            return Some(field.to_owned());
        };
        let mut field = String::new();
        let mut characters = inside.chars();
        while let Some(c) = characters.next() {
            match c {
                ']' => break,
                '\\' if characters.as_str().starts_with(']') => {
                    characters.next();
                    field.push(']');
                }
                c => field.push(c),
            }
        }
        self.rest = characters.as_str();
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Vec<(usize, String)> {
        let read = lines(bytes);
        assert!(!read.breaks_off);
        read.all
            .into_iter()
            .map(|line| (line.number, line.text.trim().to_owned()))
            .collect()
    }

    fn fields(line: &str) -> Vec<String> {
        Fields::of(line).collect()
    }

    #[test]
    fn comments_and_blank_lines_are_none() {
        let text = b"# a\n\n \t\nauth x # y\n  auth z";
        assert_eq!(texts(text), [(4, "auth x".into()), (5, "auth z".into())]);
    }

    #[test]
    fn a_backslash_continues_a_line_over_comments() {
        let text = b"auth \\ \n# between\n\n required\\\n x.so\nb";
        let joined = "auth  required x.so".to_owned();
        assert_eq!(texts(text), [(1, joined), (6, "b".to_owned())]);
        // what stands before a comment is no continuation
        assert_eq!(
            texts(b"a \\ # c\nb"),
            [(1, "a \\".into()), (2, "b".to_owned())]
        );
    }

    #[test]
    fn a_file_that_breaks_off_is_known() {
        let read = lines(b"a\nb \\\n# c\n");
        assert_eq!((read.all.len(), read.breaks_off), (1, true));
        assert!(lines(b"\\").breaks_off);
    }

    #[test]
    fn fields_are_parted_at_blanks_and_brackets() {
        assert_eq!(
            fields(" auth\t[success=1 default=ignore]x.so [a b\\]c] d\n"),
            ["auth", "success=1 default=ignore", "x.so", "a b]c", "d"]
        );
        assert_eq!(fields("[a b"), ["a b"]);
        assert_eq!(fields("[] x"), ["", "x"]);
        assert_eq!(fields(" \t"), [""; 0]);
        // a carriage return is no blank
        assert_eq!(fields("x.so\r\n"), ["x.so\r"]);
    }

    #[test]
    fn what_not_every_libpam_reads_alike_is_known() {
        let long = |length| [vec![b'#'; length], b"\nauth\n".to_vec()].concat();
        assert_eq!(lines(&long(LONGEST - 1)).ambiguous, None);
        assert_eq!(lines(&long(LONGEST)).ambiguous, Some(1));
        assert_eq!(lines(b"a\nb\0c\n").ambiguous, Some(2));
        assert_eq!(lines(b"auth \\\n \\\n x\n").ambiguous, None);
        for between in ["#", "# c", "", " "] {
            let continued = format!("auth \\\n{between}\n x\n");
            assert_eq!(lines(continued.as_bytes()).ambiguous, Some(2), "{between}");
        }
        let continued = [vec![b'a'; 600], b"\\\n".to_vec(), vec![b'b'; 600]].concat();
        assert_eq!(lines(&continued).ambiguous, Some(2));
    }

    #[test]
    fn no_bytes_are_a_fault() {
        let read = lines(&[0xff, 0xfe, b'\n', 0xc3, b'[', b'\\']);
        assert_eq!(read.all.len(), 1);
        for line in &read.all {
            assert!(Fields::of(&line.text).count() < 3);
        }
    }
}

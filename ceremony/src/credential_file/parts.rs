//! Where one record ends and the next begins.
#![forbid(unsafe_code)]

/// The most bytes a credential file can have.
pub(super) const LONGEST: usize = 256 * 1024;

/// The most credentials an account can have.
pub(super) const MOST: usize = 64;

/// A part of the file that begins where a table does.
pub(super) struct Chunk<'t> {
    pub(super) text: &'t str,
    /// The file's line on which `text` begins, counted from 1.
    pub(super) first_line: usize,
    /// The file's line that opens the table.
    pub(super) header_line: usize,
}

/// Divides a file into its head and its records, so that each can be read by
/// itself. Every byte is in exactly one of the parts.
///
/// A record begins at `[[credential]]` or at any other line that opens a table:
/// a misspelt `[[credentails]]` is to spoil itself, not the record above it.
/// Comments directly above belong to it, and go with it when it is removed.
pub(super) fn split(text: &str) -> (&str, Vec<Chunk<'_>>) {
    let mut begins = Vec::new();
    // Where the comments began that may turn out to stand above a record.
    let mut comments = None;
    let mut offset = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        match line.trim_start().chars().next() {
            Some('[') => {
                let (offset, first_line) = comments.take().unwrap_or((offset, number));
                begins.push((offset, first_line, number));
            }
            Some('#') => comments = comments.or(Some((offset, number))),
            _ => comments = None,
        }
        offset += line.len();
    }
    let ends = begins.iter().skip(1).map(|begin| begin.0);
    let chunks = begins
        .iter()
        .zip(ends.chain([text.len()]))
        .filter_map(|((begin, first_line, header_line), end)| {
            Some(Chunk {
                text: text.get(*begin..end)?,
                first_line: *first_line,
                header_line: *header_line,
            })
        })
        .collect();
    let head = begins.first().map_or(text.len(), |begin| begin.0);
    (text.get(..head).unwrap_or(text), chunks)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_in_exactly_one_part() {
        for text in [
            "",
            "a",
            "[[credential]]",
            "a = 1\n# x\n# y\n[[credential]] # z\r\nb\n\n# c\n\n# d\n[x]\n",
            "# a\n[[credential]]\n# b\n",
            "\t[[credential]]\n   [x\n#",
        ] {
            let (head, chunks) = split(text);
            let joined: String = chunks.iter().map(|chunk| chunk.text).collect();
            assert_eq!(format!("{head}{joined}"), text);
            for chunk in chunks {
                let line = text.lines().nth(chunk.header_line - 1).unwrap();
                assert!(line.trim().starts_with('['), "{line}");
            }
        }
    }
}

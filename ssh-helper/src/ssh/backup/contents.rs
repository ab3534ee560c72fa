//! The text of a backup file: a head, then one `[[key]]` after another.
//!
//! Each record is read by itself: what is wrong with one says nothing about the
//! others. A record is added behind what is there, which stays byte for byte.
#![forbid(unsafe_code)]

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use ceremony::credential::CredentialId;
use ceremony::public_key::PublicKey;
use ceremony::ssh_application::SshApplication;
use ceremony::trusted_file::strict_toml::{self, Lines, did_you_mean, integer, kind, quoted};
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use crate::ssh::key_file::{Flags, KeyFile, NotWritten};

/// The largest backup file, in bytes: some four hundred keys with the longest
/// ids, and some thousands of those that there are.
pub(crate) const LARGEST: usize = 1024 * 1024;

/// The version of the format.
const VERSION: i64 = 1;

/// How every backup file begins.
const HEAD: &str = "\
# SSH keys that security keys hold, noted by passkey. There is no secret in it:
# a record is of use only to who has the security key that made it.
# To make a lost private-key file anew: passkey ssh recover FILE
version = 1
";

/// The table every record is one of.
const TABLE: &str = "key";

/// The members of a record, in the order we write them.
const MEMBERS: [&str; 8] = [
    "comment",
    "public_key",
    "id",
    "touch_required",
    "verify_required",
    "resident",
    "other_flags",
    "added",
];

/// What a backup file says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The keys in it, in the order of the file.
    pub(crate) notes: Vec<Note>,
    /// The records that cannot be used.
    pub(crate) faults: Vec<Fault>,
}

/// A key in a backup file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// What its private-key file says.
    pub(crate) key: KeyFile,
    /// When it was noted (RFC 3339).
    pub(crate) added: String,
    /// Where its record begins, counted from 1.
    pub(crate) line: usize,
}

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The line, counted from 1.
    pub(crate) line: usize,
    /// Quotes nothing of the file but the names of its members.
    pub(crate) reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Why a file is no backup file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotABackup {
    /// Over [`LARGEST`].
    TooLarge,
    /// It does not begin as one.
    Other(String),
    /// A later program's.
    Version(i64),
}

impl fmt::Display for NotABackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "it has more than {LARGEST} bytes"),
            Self::Other(reason) => f.write_str(reason),
            Self::Version(version) => {
                write!(f, "its version is {version}, and known is {VERSION}")
            }
        }
    }
}

impl Contents {
    /// Reads the text of a backup file; an empty one has no keys yet.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, NotABackup> {
        if bytes.len() > LARGEST {
            return Err(NotABackup::TooLarge);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| NotABackup::Other("it is no text".to_owned()))?;
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let (head, records) = split(text);
        check_head(head)?;
        let mut contents = Self::default();
        for (line, record) in records {
            match read_record(record) {
                Ok((key, added)) => contents.notes.push(Note { key, added, line }),
                Err((within, reason)) => contents.faults.push(Fault {
                    line: line + within.unwrap_or(1) - 1,
                    reason,
                }),
            }
        }
        Ok(contents)
    }
}

/// `text` with this key behind what it has.
pub(crate) fn with(text: &str, key: &KeyFile, added: &str) -> Result<String, NotWritten> {
    let text = match text {
        blank if blank.trim().is_empty() => HEAD.to_owned(),
        whole if whole.ends_with('\n') => whole.to_owned(),
        // Its last line was written by hand.
        unfinished => format!("{unfinished}\n"),
    };
    let record = write_record(key, added)?;
    // Read back once, to be sure of it.
    match read_record(&record) {
        Ok((read, _)) if read == *key => Ok(format!("{text}\n{record}")),
        _ => Err(NotWritten),
    }
}

/// The text before the first table, and each record with the line it begins on.
/// A record begins at any line that opens a table: a misspelt `[[kye]]` is to
/// spoil itself, not the record above it.
fn split(text: &str) -> (&str, Vec<(usize, &str)>) {
    let mut begins = Vec::new();
    let mut offset = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if line.trim_start().starts_with('[') {
            begins.push((number, offset));
        }
        offset += line.len();
    }
    let ends = begins.iter().skip(1).map(|(_, begin)| *begin);
    let records = begins
        .iter()
        .zip(ends.chain([text.len()]))
        .filter_map(|((line, begin), end)| Some((*line, text.get(*begin..end)?)))
        .collect();
    let head = begins.first().map_or(text.len(), |(_, begin)| *begin);
    (text.get(..head).unwrap_or(text), records)
}

fn check_head(head: &str) -> Result<(), NotABackup> {
    let other = |reason: &str| NotABackup::Other(reason.to_owned());
    let document = strict_toml::parse(head).map_err(|problem| {
        NotABackup::Other(format!("line {}: {}", problem.line, problem.reason))
    })?;
    let entries = strict_toml::entries(&document, &Lines::of(head));
    let version = entries.iter().find(|entry| entry.key == "version");
    let version = version.ok_or_else(|| other("it does not begin with its version"))?;
    match integer(version.value) {
        Some(VERSION) => {}
        Some(later) => return Err(NotABackup::Version(later)),
        None => return Err(other("its version is no whole number")),
    }
    match entries.iter().find(|entry| entry.key != "version") {
        None => Ok(()),
        Some(unknown) => Err(NotABackup::Other(format!(
            "line {}: unknown member {}",
            unknown.line,
            quoted(unknown.key)
        ))),
    }
}

/// What is wrong, and on which line of the record if not on its first.
type Problem = (Option<usize>, String);

fn read_record(text: &str) -> Result<(KeyFile, String), Problem> {
    let document =
        strict_toml::parse(text).map_err(|problem| (Some(problem.line), problem.reason))?;
    let record = Record {
        table: the_table(&document)?,
        lines: Lines::of(text),
    };
    record.refuse_unknown()?;
    let known = Flags::of(
        record.switch("touch_required")?,
        record.switch("verify_required")?,
        record.switch("resident")?,
    );
    let other = if record.has("other_flags") {
        record.field("other_flags", "a whole number", |value| {
            integer(value).map(|number| {
                u8::try_from(number)
                    .ok()
                    .filter(|flags| flags & Flags::KNOWN == 0)
                    .ok_or_else(|| "has flags that have names, or is none".to_owned())
            })
        })?
    } else {
        0
    };
    let key = KeyFile {
        comment: record.read("comment", |text| {
            if text.chars().any(char::is_control) {
                return Err("is not one line of text".to_owned());
            }
            Ok(text.to_owned())
        })?,
        public_key: record.read("public_key", public_key)?,
        id: record.read("id", |text| {
            Base64::decode_vec(text)
                .ok()
                .and_then(|bytes| CredentialId::new(&bytes))
                .ok_or_else(|| format!("is not 1 to {} bytes of base64", CredentialId::LONGEST))
        })?,
        flags: Flags(known.0 | other),
    };
    let added = record.read("added", |text| {
        is_rfc_3339(text)
            .then(|| text.to_owned())
            .ok_or_else(|| "is not a date like 2026-11-22T14:30:00Z".to_owned())
    })?;
    Ok((key, added))
}

fn public_key(text: &str) -> Result<PublicKey<SshApplication>, String> {
    // The reasons of others might quote the file.
    let key = ssh_key::PublicKey::from_openssh(text)
        .map_err(|_| "is not an OpenSSH public key".to_owned())?;
    PublicKey::from_key_data(key.key_data(), SshApplication::parse)
        .map_err(|_| "is not the SSH key of a security key".to_owned())
}

/// A date, a time and where on Earth it is that time (RFC 3339 §5.6).
fn is_rfc_3339(text: &str) -> bool {
    Datetime::from_str(text)
        .is_ok_and(|it| it.date.is_some() && it.time.is_some() && it.offset.is_some())
}

/// The one `[[key]]` of a record.
fn the_table<'t>(document: &'t DeTable<'t>) -> Result<&'t DeTable<'t>, Problem> {
    let expected = || (None, format!("a record begins with [[{TABLE}]]"));
    let (name, value) = document.iter().next().ok_or_else(expected)?;
    if name.get_ref() != TABLE {
        let hint = did_you_mean(name.get_ref(), &[TABLE]);
        let name = quoted(name.get_ref());
        return Err((None, format!("unknown table {name}{hint}")));
    }
    let tables = value.get_ref().as_array();
    match tables.map(|tables| tables.iter().as_slice()) {
        Some([record]) => record.get_ref().as_table().ok_or_else(expected),
        _ => Err(expected()),
    }
}

struct Record<'t> {
    table: &'t DeTable<'t>,
    lines: Lines,
}

impl Record<'_> {
    fn refuse_unknown(&self) -> Result<(), Problem> {
        let entries = strict_toml::entries(self.table, &self.lines);
        match entries.iter().find(|it| !MEMBERS.contains(&it.key)) {
            None => Ok(()),
            Some(unknown) => {
                let hint = did_you_mean(unknown.key, &MEMBERS);
                let reason = format!("unknown member {}{hint}", quoted(unknown.key));
                Err((Some(unknown.line), reason))
            }
        }
    }

    fn has(&self, member: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == member)
    }

    fn read<T>(
        &self,
        member: &str,
        meaning: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Problem> {
        self.field(member, "a string", |value| value.as_str().map(meaning))
    }

    fn switch(&self, member: &str) -> Result<bool, Problem> {
        self.field(member, "true or false", |value| value.as_bool().map(Ok))
    }

    fn field<T>(
        &self,
        member: &str,
        expected: &str,
        meaning: impl FnOnce(&DeValue) -> Option<Result<T, String>>,
    ) -> Result<T, Problem> {
        let entries = strict_toml::entries(self.table, &self.lines);
        let entry = entries
            .iter()
            .find(|entry| entry.key == member)
            .ok_or_else(|| (None, format!("{member} is missing")))?;
        meaning(entry.value)
            .unwrap_or_else(|| Err(format!("takes {expected}, not {}", kind(entry.value))))
            .map_err(|reason| (Some(entry.line), format!("{member} {reason}")))
    }
}

fn write_record(key: &KeyFile, added: &str) -> Result<String, NotWritten> {
    let string = |text: &str| toml::Value::from(text);
    let public_key = key.public_key.to_openssh().map_err(|_| NotWritten)?;
    let other = match key.flags.0 & !Flags::KNOWN {
        0 => String::new(),
        other => format!("\nother_flags = {other}"),
    };
    Ok([
        format!("[[{TABLE}]]"),
        format!("comment = {}", string(&key.comment)),
        format!("public_key = {}", string(&public_key)),
        format!("id = {}", string(&Base64::encode_string(key.id.as_bytes()))),
        format!("touch_required = {}", key.flags.touch_required()),
        format!("verify_required = {}", key.flags.verify_required()),
        format!("resident = {}{other}", key.flags.is_resident()),
        format!("added = {}\n", string(added)),
    ]
    .join("\n"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::ssh::key_file::tests::ecdsa;

    const ADDED: &str = "2026-11-28T04:30:00Z";

    /// A file with a record for each of these keys.
    pub(crate) fn file(keys: &[KeyFile]) -> String {
        keys.iter()
            .fold(String::new(), |text, key| with(&text, key, ADDED).unwrap())
    }

    fn parse(text: &str) -> Result<Contents, NotABackup> {
        Contents::parse(text.as_bytes())
    }

    /// The one fault of a record after this change, and how many are good.
    fn fault_after(from: &str, to: &str) -> (String, usize) {
        let two = file(&[ecdsa("ssh:one", 64), ecdsa("ssh:two", 64)]);
        let changed = two.replacen(from, to, 1);
        assert_ne!(changed, two, "{from}");
        let contents = parse(&changed).unwrap();
        let [fault] = contents.faults.as_slice() else {
            panic!("{from}: {contents:?}");
        };
        (fault.to_string(), contents.notes.len())
    }

    #[test]
    fn a_key_comes_back_as_it_went() {
        let mut keys = vec![
            ecdsa("ssh:", 1),
            ecdsa("ssh:My Laptop", 256),
            ecdsa("ssh:", 1023),
        ];
        for (key, comment) in
            keys.iter_mut()
                .zip(["", "'single' \"double\" \\ ''' 🗝️", "[[key]] # x"])
        {
            key.comment = comment.to_owned();
        }
        for flags in 0..=u8::MAX {
            let mut key = ecdsa("ssh:", 64);
            key.flags = Flags(flags);
            keys.push(key);
        }
        let contents = parse(&file(&keys)).unwrap();
        assert_eq!(contents.faults, []);
        let read: Vec<KeyFile> = contents.notes.iter().map(|it| it.key.clone()).collect();
        assert_eq!(read, keys);
        assert!(contents.notes.iter().all(|note| note.added == ADDED));
        assert_eq!(contents.notes[0].line, 6);
    }

    #[test]
    fn what_was_there_stays_byte_for_byte_and_hides_nothing() {
        let one = ecdsa("ssh:one", 64);
        let begun = file(std::slice::from_ref(&one));
        for more in ["", "# mine", "[[kye]]\n", "\n[[key]]\ncomment = \"\"\"\nx"] {
            let before = format!("{begun}{more}");
            let after = with(&before, &ecdsa("ssh:two", 64), ADDED).unwrap();
            assert!(after.starts_with(&before), "{after}");
            let notes = parse(&after).unwrap().notes;
            assert_eq!(notes.len(), 2, "{after}");
            assert_eq!(notes[0].key, one);
        }
    }

    #[test]
    fn a_faulty_record_is_named_by_its_line_and_hides_no_other() {
        for (from, to, fault) in [
            ("[[key]]", "[[kye]]", "line 6: unknown table \"kye\""),
            ("[[key]]", "[key]", "line 6: a record begins with [[key]]"),
            (
                "touch_required",
                "touch_requierd",
                "line 10: unknown member \"touch_requierd\"; did you mean \"touch_required\"?",
            ),
            (
                "touch_required = true",
                "touch_required = 1",
                "line 10: touch_required takes true or false, not a whole number",
            ),
            (
                "verify_required = false\n",
                "",
                "line 6: verify_required is missing",
            ),
            (
                "resident = false",
                "resident = false\nother_flags = 4",
                "line 13: other_flags has flags that have names, or is none",
            ),
            (
                "resident = false",
                "resident = false\nother_flags = 256",
                "line 13: other_flags has flags that have names, or is none",
            ),
            (
                "id = \"",
                "id = \"?",
                "line 9: id is not 1 to 1023 bytes of base64",
            ),
            (
                "alice@laptop",
                "alice\\nssh-ed25519 AAAA",
                "line 7: comment is not one line of text",
            ),
            (
                "public_key = \"sk-",
                "public_key = \"",
                "line 8: public_key is not an OpenSSH public key",
            ),
            (
                "added = \"2026-11-28T04:30:00Z\"",
                "added = \"yesterday\"",
                "line 13: added is not a date like 2026-11-22T14:30:00Z",
            ),
        ] {
            let (said, good) = fault_after(from, to);
            assert!(said.starts_with(fault), "{said}");
            assert_eq!(good, 1, "{from}");
        }
    }

    #[test]
    fn a_login_s_key_is_none_to_be_recovered_for_ssh() {
        let login = "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAINda\
                     mAGCsQq31Uv+08lkBzoO4XLz2qYjJa8CGmj3B1EaAAAADHBhbTovL2xhcHRvcA==";
        assert_eq!(
            public_key(login),
            Err("is not the SSH key of a security key".to_owned())
        );
        assert!(public_key(&login.replace("DHBhbTovL2xhcHRvcA==", "BHNzaDo=")).is_ok());
    }

    #[test]
    fn another_file_is_no_backup_file() {
        for (text, why) in [
            ("hello\n", "line 1: "),
            ("name = 1\n", "it does not begin with its version"),
            ("[[key]]\nid = 1\n", "it does not begin with its version"),
            ("version = 2\n", "its version is 2, and known is 1"),
            ("version = \"1\"\n", "its version is no whole number"),
            (
                "version = 1\n\nuid = 1000\n",
                "line 3: unknown member \"uid\"",
            ),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", "line 1: "),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.starts_with(why), "{text}: {said}");
        }
        assert_eq!(
            Contents::parse(b"\xff"),
            Err(NotABackup::Other("it is no text".to_owned()))
        );
        for empty in ["", "\n \n"] {
            assert_eq!(parse(empty), Ok(Contents::default()));
        }
        assert_eq!(parse("version = 1\n"), Ok(Contents::default()));
    }

    #[test]
    fn a_backup_file_has_at_most_a_mebibyte() {
        let head = file(&[ecdsa("ssh:", 64)]);
        let of = |length: usize| format!("{head}#{}", "a".repeat(length - head.len() - 1));
        assert_eq!(parse(&of(LARGEST)).unwrap().notes.len(), 1);
        assert_eq!(parse(&of(LARGEST + 1)), Err(NotABackup::TooLarge));
    }
}

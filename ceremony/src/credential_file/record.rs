//! One `[[credential]]` of the file: its text, and what we make of it.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use base64ct::{Base64, Encoding};
use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use super::parts::{Chunk, LONGEST, MOST};
use crate::credential::{
    Aaguid, Credential, CredentialId, CredentialName, InvalidCredentialName, UserVerification,
};
use crate::public_key::{InvalidPublicKey, PublicKey};
use crate::trusted_file::shown;
use crate::trusted_file::strict_toml::{self, Lines, did_you_mean, kind, quoted};

/// The keys of a record, in the order we write them.
const KEYS: [&str; 9] = [
    "name",
    "public_key",
    "id",
    "user_verification",
    "discoverable",
    "synced",
    "answers_silently",
    "aaguid",
    "enrolled",
];

/// The table every record is one of.
const TABLE: &str = "credential";

/// A record that cannot be used. It stays in the file as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultyRecord {
    /// Where the file is.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong. Quotes nothing of the file but the names of keys.
    pub reason: String,
}

impl std::error::Error for FaultyRecord {}

impl fmt::Display for FaultyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", shown(&self.path), self.line, self.reason)
    }
}

/// A record: its text, as it was, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    text: String,
    line: usize,
    credential: Option<Credential>,
    fault: Option<FaultyRecord>,
}

impl Record {
    pub(super) fn read(chunk: &Chunk, path: &Path) -> Self {
        let answer = read_credential(chunk.text);
        let (credential, fault) = match answer {
            Ok(credential) => (Some(credential), None),
            Err((line, reason)) => {
                let line = match line {
                    Some(line) => chunk.first_line + line - 1,
                    None => chunk.header_line,
                };
                let path = path.to_owned();
                (None, Some(FaultyRecord { path, line, reason }))
            }
        };
        Self {
            text: chunk.text.to_owned(),
            line: chunk.header_line,
            credential,
            fault,
        }
    }

    /// The record of a credential, read back once to be sure of it.
    pub(super) fn write(credential: Credential) -> Result<Self, CannotAdd> {
        let text = write_credential(&credential).map_err(CannotAdd::PublicKey)?;
        match read_credential(&text) {
            Ok(again) if again == credential => Ok(Self {
                text,
                line: 0,
                credential: Some(credential),
                fault: None,
            }),
            Ok(_) => Err(CannotAdd::Unreadable("it reads differently".to_owned())),
            Err((_, reason)) => Err(CannotAdd::Unreadable(reason)),
        }
    }

    /// The same record under another name. What somebody wrote into it by hand
    /// stays, where its name stands on a line of its own.
    pub(super) fn rename(&mut self, name: &CredentialName) -> Result<(), CannotAdd> {
        let Some(credential) = &self.credential else {
            return Ok(());
        };
        let wanted = Credential {
            name: name.clone(),
            ..credential.clone()
        };
        let text = with_name(&self.text, name);
        if read_credential(&text).is_ok_and(|read| read == wanted) {
            self.text = text;
            self.credential = Some(wanted);
        } else {
            *self = Self::write(wanted)?;
        }
        Ok(())
    }

    /// Makes a record that can be read a faulty one.
    pub(super) fn set_aside(&mut self, path: &Path, reason: String) {
        self.fault = Some(FaultyRecord {
            path: path.to_owned(),
            line: self.line,
            reason,
        });
    }

    /// The credential, where it may be used.
    pub(super) fn counts(&self) -> Option<&Credential> {
        match self.fault {
            None => self.credential.as_ref(),
            Some(_) => None,
        }
    }

    /// The credential, where it can be read.
    pub(super) fn credential(&self) -> Option<&Credential> {
        self.credential.as_ref()
    }

    pub(super) fn fault(&self) -> Option<&FaultyRecord> {
        self.fault.as_ref()
    }

    pub(super) fn line(&self) -> usize {
        self.line
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn text_mut(&mut self) -> &mut String {
        &mut self.text
    }
}

/// What is wrong, and on which line of the record if not on its first.
type Problem = (Option<usize>, String);

fn read_credential(text: &str) -> Result<Credential, Problem> {
    let document =
        strict_toml::parse(text).map_err(|problem| (Some(problem.line), problem.reason))?;
    let fields = Fields {
        table: the_table(&document)?,
        lines: Lines::of(text),
    };
    fields.refuse_unknown()?;
    Ok(Credential {
        name: fields.read("name", |text| {
            CredentialName::parse(text).map_err(|problem| match problem {
                InvalidCredentialName::Length(length) => format!(
                    "has {length} characters, not 1 to {}",
                    CredentialName::LONGEST
                ),
                InvalidCredentialName::Character(_) => {
                    "has a character that does not show as itself".to_owned()
                }
            })
        })?,
        public_key: fields.read("public_key", |text| {
            PublicKey::from_openssh(text).map_err(|problem| without_quoting(&problem).to_owned())
        })?,
        id: fields.read("id", |text| {
            Base64::decode_vec(text)
                .ok()
                .and_then(|bytes| CredentialId::new(&bytes))
                .ok_or_else(|| format!("is not 1 to {} bytes of base64", CredentialId::LONGEST))
        })?,
        user_verification: fields.read("user_verification", |text| {
            UserVerification::from_word(text)
                .ok_or_else(|| "takes \"required\" or \"discouraged\"".to_owned())
        })?,
        discoverable: fields.switch("discoverable")?,
        synced: fields.switch("synced")?,
        // Written only of credentials that do not, and so not of older ones.
        answers_silently: !fields.has("answers_silently") || fields.switch("answers_silently")?,
        aaguid: fields.read("aaguid", |text| {
            Aaguid::parse(text).ok_or_else(|| "is not an AAGUID".to_owned())
        })?,
        enrolled: fields.read("enrolled", |text| {
            is_rfc_3339(text)
                .then(|| text.to_owned())
                .ok_or_else(|| "is not a date like 2026-11-22T14:30:00Z".to_owned())
        })?,
    })
}

/// The one `[[credential]]` of a chunk.
fn the_table<'t>(document: &'t DeTable<'t>) -> Result<&'t DeTable<'t>, Problem> {
    let expected = || (None, "a record begins with [[credential]]".to_owned());
    let (name, value) = document.iter().next().ok_or_else(expected)?;
    if name.get_ref() != TABLE {
        let hint = did_you_mean(name.get_ref(), &[TABLE]);
        let name = quoted(name.get_ref());
        return Err((None, format!("unknown table {name}{hint}")));
    }
    match value
        .get_ref()
        .as_array()
        .map(|array| array.iter().as_slice())
    {
        Some([record]) => record.get_ref().as_table().ok_or_else(expected),
        _ => Err(expected()),
    }
}

struct Fields<'t> {
    table: &'t DeTable<'t>,
    lines: Lines,
}

impl Fields<'_> {
    fn refuse_unknown(&self) -> Result<(), Problem> {
        for entry in strict_toml::entries(self.table, &self.lines) {
            if !KEYS.contains(&entry.key) {
                let hint = did_you_mean(entry.key, &KEYS);
                let reason = format!("unknown key {}{hint}", quoted(entry.key));
                return Err((Some(entry.line), reason));
            }
        }
        Ok(())
    }

    /// The field `key`, which must be a string that `meaning` understands.
    fn read<T>(
        &self,
        key: &str,
        meaning: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, Problem> {
        self.field(key, "a string", |value| value.as_str().map(meaning))
    }

    fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    fn switch(&self, key: &str) -> Result<bool, Problem> {
        self.field(key, "true or false", |value| value.as_bool().map(Ok))
    }

    fn field<T>(
        &self,
        key: &str,
        expected: &str,
        meaning: impl FnOnce(&DeValue) -> Option<Result<T, String>>,
    ) -> Result<T, Problem> {
        let entries = strict_toml::entries(self.table, &self.lines);
        let entry = entries
            .iter()
            .find(|entry| entry.key == key)
            .ok_or_else(|| (None, format!("{key} is missing")))?;
        meaning(entry.value)
            .unwrap_or_else(|| Err(format!("takes {expected}, not {}", kind(entry.value))))
            .map_err(|reason| (Some(entry.line), format!("{key} {reason}")))
    }
}

/// Some of a public key's errors quote the key.
fn without_quoting(problem: &InvalidPublicKey) -> &'static str {
    match problem {
        InvalidPublicKey::NotOpenSsh(_) => "is not an OpenSSH public key",
        InvalidPublicKey::NotSecurityKey(_) => "is not the key of a security key (sk-...)",
        InvalidPublicKey::NotOnCurve => "is not a point on its curve",
        InvalidPublicKey::LowOrder => "is a point of low order",
        InvalidPublicKey::RelyingParty(_) | InvalidPublicKey::Application(_) => {
            "has an application that cannot be a relying party for login"
        }
    }
}

/// A date, a time and where on Earth it is that time (RFC 3339 §5.6).
fn is_rfc_3339(text: &str) -> bool {
    Datetime::from_str(text)
        .is_ok_and(|it| it.date.is_some() && it.time.is_some() && it.offset.is_some())
}

fn write_credential(credential: &Credential) -> Result<String, InvalidPublicKey> {
    let Credential {
        name,
        public_key,
        id,
        user_verification,
        discoverable,
        synced,
        answers_silently,
        aaguid,
        enrolled,
    } = credential;
    let string = |text: &str| toml::Value::from(text);
    let hidden = if *answers_silently {
        ""
    } else {
        "\nanswers_silently = false"
    };
    Ok([
        format!("\n[[{TABLE}]]"),
        format!("name = {}", string(name.as_str())),
        format!("public_key = {}", string(&public_key.to_openssh()?)),
        format!("id = {}", string(&Base64::encode_string(id.as_bytes()))),
        format!("user_verification = {}", string(user_verification.as_str())),
        format!("discoverable = {discoverable}"),
        format!("synced = {synced}{hidden}"),
        format!("aaguid = {}", string(&aaguid.to_string())),
        format!("enrolled = {}\n", string(enrolled)),
    ]
    .join("\n"))
}

/// `text` with this in the line that gives the name.
fn with_name(text: &str, name: &CredentialName) -> String {
    let is_the_name = |line: &str| {
        let value = line.trim_start().strip_prefix("name");
        value.is_some_and(|value| value.trim_start().starts_with('='))
    };
    let with_name = |line: &str| {
        if is_the_name(line) {
            format!("name = {}\n", toml::Value::from(name.as_str()))
        } else {
            line.to_owned()
        }
    };
    text.split_inclusive('\n').map(with_name).collect()
}

/// Why a credential was not renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotRename {
    /// There is none of that name.
    Unknown,
    /// Some record has the new name already, maybe the very same.
    Taken,
    /// A record that is set aside has the same name or id, and would count then.
    HasATwin,
    /// The file would be too long.
    TooLong,
    /// The record could not be written.
    NotWritten(CannotAdd),
}

/// Why a credential was not added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CannotAdd {
    /// The credential is enrolled already, under this name.
    SameKey(CredentialName),
    /// Another credential has this name.
    SameName(CredentialName),
    /// There are [`CredentialFile::MOST`](super::CredentialFile::MOST) already, or the file would be too long.
    Full,
    /// The public key has no text.
    PublicKey(InvalidPublicKey),
    /// What would be written could not be read again, for this reason.
    Unreadable(String),
}

impl std::error::Error for CannotAdd {}

impl fmt::Display for CannotAdd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameKey(name) => write!(f, "this credential is already enrolled as \"{name}\""),
            Self::SameName(name) => write!(
                f,
                "there is already a key called \"{name}\"; choose another name or remove that one"
            ),
            Self::Full => write!(
                f,
                "an account has at most {MOST} credentials in {LONGEST} bytes; remove one first"
            ),
            Self::PublicKey(problem) => problem.fmt(f),
            Self::Unreadable(reason) => {
                write!(f, "the credential could not be written down: {reason}")
            }
        }
    }
}

/// Credentials for the unit tests of this room.
#[cfg(test)]
pub(super) mod samples {
    use super::*;
    use crate::relying_party::RelyingPartyId;

    /// RFC 8032 §7.1, test 1.
    const POINT: [u8; 32] = [
        0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07,
        0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07,
        0x51, 0x1a,
    ];

    pub(in crate::credential_file) fn credential(name: &str, id: u8) -> Credential {
        let relying_party = RelyingPartyId::for_host("laptop").unwrap();
        Credential {
            name: CredentialName::parse(name).unwrap(),
            public_key: PublicKey::eddsa(&POINT, relying_party).unwrap(),
            id: CredentialId::new(&[id; 64]).unwrap(),
            user_verification: UserVerification::Required,
            discoverable: false,
            synced: false,
            answers_silently: true,
            aaguid: Aaguid::default(),
            enrolled: "2026-11-22T14:30:00Z".to_owned(),
        }
    }

    /// Its record: nine lines.
    pub(in crate::credential_file) fn record(name: &str, id: u8) -> String {
        let text = write_credential(&credential(name, id)).unwrap();
        text.trim_start().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{credential, record};
    use super::*;

    /// What is wrong with the sample record after one change.
    fn fault(from: &str, to: &str) -> String {
        let text = record("blue key", 1);
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "nothing changed");
        let (line, reason) = read_credential(&changed).unwrap_err();
        match line {
            Some(line) => format!("{line}: {reason}"),
            None => reason,
        }
    }

    #[test]
    fn a_record_says_what_was_written() {
        let mut key = credential("blue key", 1);
        assert_eq!(read_credential(&record("blue key", 1)), Ok(key.clone()));
        key.user_verification = UserVerification::Discouraged;
        key.discoverable = true;
        let text = write_credential(&key).unwrap();
        assert_eq!(read_credential(&text), Ok(key.clone()));
        key.synced = true;
        key.aaguid = Aaguid([0xab; 16]);
        assert!(!write_credential(&key).unwrap().contains("answers_silently"));
        key.answers_silently = false;
        let text = write_credential(&key).unwrap();
        assert_eq!(read_credential(&text), Ok(key));
    }

    #[test]
    fn a_record_lacking_any_field_is_faulty() {
        let text = record("blue key", 1);
        for key in KEYS.into_iter().filter(|key| *key != "answers_silently") {
            let lacking: String = text
                .lines()
                .filter(|line| !line.starts_with(&format!("{key} =")))
                .fold(String::new(), |text, line| text + line + "\n");
            let problem = (None, format!("{key} is missing"));
            assert_eq!(read_credential(&lacking), Err(problem));
        }
    }

    #[test]
    fn a_field_nobody_knows_is_faulty() {
        assert_eq!(
            fault("synced =", "sync = 1\nsynced ="),
            "7: unknown key \"sync\"; did you mean \"synced\"?"
        );
        assert_eq!(
            fault("user_verification", "user_verfication"),
            "5: unknown key \"user_verfication\"; did you mean \"user_verification\"?"
        );
        assert_eq!(
            fault("synced =", "\"\\u001b[2J\" = 1\nsynced ="),
            "7: unknown key \"?[2J\""
        );
    }

    #[test]
    fn each_field_is_checked() {
        assert_eq!(
            fault("\"blue key\"", "\"\""),
            "2: name has 0 characters, not 1 to 64"
        );
        assert_eq!(
            fault("blue key", "blue\\u202ekey"),
            "2: name has a character that does not show as itself"
        );
        assert_eq!(
            fault("sk-ssh-ed25519", "sk-ssh-ed25518"),
            "3: public_key is not an OpenSSH public key"
        );
        assert_eq!(
            fault("AQEB", "!QEB"),
            "4: id is not 1 to 1023 bytes of base64"
        );
        assert_eq!(
            fault("\"required\"", "\"preferred\""),
            "5: user_verification takes \"required\" or \"discouraged\""
        );
        assert_eq!(
            fault("discoverable = false", "discoverable = 0"),
            "6: discoverable takes true or false, not a whole number"
        );
        assert_eq!(
            fault("synced = false", "synced = \"false\""),
            "7: synced takes true or false, not a string"
        );
        assert_eq!(fault("00000000-", "0000000-"), "8: aaguid is not an AAGUID");
        assert_eq!(
            fault("14:30:00Z", "14:30:00"),
            "9: enrolled is not a date like 2026-11-22T14:30:00Z"
        );
        assert_eq!(
            fault("\"2026-11-22T14:30:00Z\"", "2026-11-22T14:30:00Z"),
            "9: enrolled takes a string, not a date"
        );
    }

    #[test]
    fn a_public_key_for_ssh_is_faulty() {
        // ssh-keygen -t ecdsa-sk makes these: application "ssh:".
        let key = ssh_key::PublicKey::from(ssh_key::public::KeyData::SkEd25519(
            ssh_key::public::SkEd25519::new(
                ssh_key::public::Ed25519PublicKey(samples_point()),
                "ssh:",
            ),
        ));
        let line = record("blue key", 1);
        let old = line.lines().nth(2).unwrap();
        let new = format!("public_key = \"{}\"", key.to_openssh().unwrap());
        assert_eq!(
            fault(old, &new),
            "3: public_key has an application that cannot be a relying party for login"
        );
    }

    fn samples_point() -> [u8; 32] {
        match credential("x", 1).public_key.key_data().unwrap() {
            ssh_key::public::KeyData::SkEd25519(key) => key.public_key().0,
            _ => panic!("the sample is an Ed25519 key"),
        }
    }

    #[test]
    fn the_id_is_bounded_on_both_sides() {
        let with_id = |bytes: &[u8]| {
            let text = record("blue key", 1);
            let old = Base64::encode_string(&[1; 64]);
            read_credential(&text.replace(&old, &Base64::encode_string(bytes)))
        };
        assert!(with_id(&[1; 1023]).is_ok());
        assert!(with_id(&[1; 1024]).is_err());
        assert!(with_id(&[]).is_err());
    }

    #[test]
    fn a_record_is_one_table_and_nothing_else() {
        for (text, expected) in [
            ("", "a record begins with [[credential]]"),
            ("[credential]\n", "a record begins with [[credential]]"),
            (
                "[[credential]]\n[[credential]]\n",
                "a record begins with [[credential]]",
            ),
            (
                "[[credentails]]\n",
                "unknown table \"credentails\"; did you mean \"credential\"?",
            ),
            ("[uid]\n", "unknown table \"uid\""),
        ] {
            assert_eq!(read_credential(text), Err((None, expected.to_owned())));
        }
    }

    #[test]
    fn a_fault_quotes_nothing_of_the_record() {
        let text = record("hunter2", 1);
        for (position, _) in text.char_indices() {
            for change in ["\u{1b}", "\"", "\n", "=", "\\", "", "hunter2"] {
                let mut changed = text.clone();
                changed.replace_range(position..=position, change);
                if let Err((_, reason)) = read_credential(&changed) {
                    let known = reason.starts_with("unknown") || reason.starts_with("key ");
                    assert!(known || !reason.contains("hunter2"), "{reason}");
                    assert!(!reason.contains(['\u{1b}', '\n']), "{reason}");
                }
            }
        }
    }
}

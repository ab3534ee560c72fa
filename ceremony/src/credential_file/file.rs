//! The file as a whole: a head and its records.
#![forbid(unsafe_code)]

use std::path::Path;

use super::head::{CredentialFileError, VERSION, check_head};
use super::parts::{self, LONGEST, MOST};
use super::record::{CannotAdd, CannotRename, FaultyRecord, Record};
use crate::account::Account;
use crate::credential::{Credential, CredentialName};
use crate::trusted_file::{Reason, Untrusted};

/// What a credential file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFile {
    pub(super) uid: u32,
    pub(super) head: String,
    records: Vec<Record>,
}

impl CredentialFile {
    /// The most bytes a credential file can have.
    pub const LONGEST: usize = LONGEST;

    /// The most credentials an account can have.
    pub const MOST: usize = MOST;

    /// A file without credentials.
    pub fn new(account: &Account) -> Self {
        Self {
            uid: account.uid,
            head: format!(
                "# Written by passkey. Public keys only: nothing here lets anybody in.\n\
                 version = {VERSION}\nuid = {}\n",
                account.uid
            ),
            records: Vec::new(),
        }
    }

    /// What `text` says about `account`; `path` is for messages.
    ///
    /// A wrong head refuses the whole file; a wrong record only itself.
    pub fn parse(text: &str, account: &Account, path: &Path) -> Result<Self, CredentialFileError> {
        if text.len() > Self::LONGEST {
            return Err(Untrusted::new(
                path,
                Reason::TooLong {
                    most: Self::LONGEST,
                },
            )
            .into());
        }
        let (head, chunks) = parts::split(text);
        check_head(head, account, path)?;
        let mut file = Self {
            uid: account.uid,
            head: head.to_owned(),
            records: Vec::new(),
        };
        for chunk in chunks {
            let mut record = Record::read(&chunk, path);
            if let Some(reason) = record.credential().and_then(|it| file.objection_to(it)) {
                record.set_aside(path, reason);
            }
            file.records.push(record);
        }
        Ok(file)
    }

    /// Why a credential that can be read still does not count. The earlier
    /// record wins: whoever appends a second "blue key" gets nothing by it.
    fn objection_to(&self, credential: &Credential) -> Option<String> {
        if self.credentials().count() >= Self::MOST {
            return Some(format!("more than {} credentials", Self::MOST));
        }
        let twin = self
            .records
            .iter()
            .find(|record| record.counts().is_some_and(|it| same_key(it, credential)))?;
        let what = match twin.counts() {
            Some(it) if it.id == credential.id => "id",
            _ => "name",
        };
        Some(format!(
            "the same {what} as the record at line {}",
            twin.line()
        ))
    }

    /// The credentials that count, in the order of the file.
    pub fn credentials(&self) -> impl Iterator<Item = &Credential> {
        self.records.iter().filter_map(Record::counts)
    }

    /// The records that do not, and why.
    pub fn faulty(&self) -> impl Iterator<Item = &FaultyRecord> {
        self.records.iter().filter_map(Record::fault)
    }

    /// Adds a credential behind the others.
    pub fn add(&mut self, credential: Credential) -> Result<(), CannotAdd> {
        for enrolled in self.credentials() {
            if enrolled.id == credential.id {
                return Err(CannotAdd::SameKey(enrolled.name.clone()));
            }
            if enrolled.name == credential.name {
                return Err(CannotAdd::SameName(credential.name));
            }
        }
        let record = Record::write(credential)?;
        let text = self.to_text();
        let line_end = usize::from(!text.ends_with('\n'));
        let length = text.len() + line_end + record.text().len();
        if self.credentials().count() >= Self::MOST || length > Self::LONGEST {
            return Err(CannotAdd::Full);
        }
        self.end_last_line();
        self.records.push(record);
        Ok(())
    }

    /// Ends the last line, should its writer not have done so: a record that
    /// began in the middle of a line would be none.
    fn end_last_line(&mut self) {
        let last = match self.records.last_mut() {
            Some(record) => record.text_mut(),
            None => &mut self.head,
        };
        if !last.is_empty() && !last.ends_with('\n') {
            last.push('\n');
        }
    }

    /// Removes a credential, and with it every record that was set aside for
    /// having its name or its id: otherwise a removed key would come back
    /// through its own duplicate.
    pub fn remove(&mut self, name: &CredentialName) -> Option<Credential> {
        let removed = self.credentials().find(|it| it.name == *name)?.clone();
        self.records
            .retain(|record| !record.credential().is_some_and(|it| same_key(it, &removed)));
        Some(removed)
    }

    /// Gives a credential another name. Nothing else changes, not even which
    /// records count: one that is set aside for its twin's name would be read
    /// once that name was gone.
    pub fn rename(
        &mut self,
        name: &CredentialName,
        new_name: &CredentialName,
    ) -> Result<Credential, CannotRename> {
        let renamed = self.credentials().find(|it| it.name == *name);
        let renamed = renamed.ok_or(CannotRename::Unknown)?.clone();
        let mut others = self
            .records
            .iter()
            .filter(|it| it.counts() != Some(&renamed));
        let with_the_new_name = others.clone().filter_map(Record::credential);
        if name == new_name || with_the_new_name.into_iter().any(|it| it.name == *new_name) {
            return Err(CannotRename::Taken);
        }
        if others.any(|it| it.credential().is_some_and(|it| same_key(it, &renamed))) {
            return Err(CannotRename::HasATwin);
        }
        for record in &mut self.records {
            if record.counts() == Some(&renamed) {
                record.rename(new_name).map_err(CannotRename::NotWritten)?;
            }
        }
        if self.to_text().len() > Self::LONGEST {
            return Err(CannotRename::TooLong);
        }
        Ok(Credential {
            name: new_name.clone(),
            ..renamed
        })
    }

    /// Whether there is no record left, not even a faulty one.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The file as it is to be written.
    pub fn to_text(&self) -> String {
        let mut text = self.head.clone();
        for record in &self.records {
            text.push_str(record.text());
        }
        text
    }
}

fn same_key(one: &Credential, other: &Credential) -> bool {
    one.id == other.id || one.name == other.name
}

#[cfg(test)]
mod tests {
    use super::super::record::samples::{credential, record};
    use super::*;
    use crate::account::UserName;

    const PATH: &str = "/etc/pam-passkey/users/alice.toml";
    const HEAD: &str = "version = 1\nuid = 1000\n";

    fn alice() -> Account {
        Account {
            name: UserName::parse("alice").unwrap(),
            uid: 1000,
        }
    }

    fn parse(text: &str) -> Result<CredentialFile, CredentialFileError> {
        CredentialFile::parse(text, &alice(), Path::new(PATH))
    }

    fn names(file: &CredentialFile) -> Vec<&str> {
        file.credentials().map(|it| it.name.as_str()).collect()
    }

    fn faults(file: &CredentialFile) -> Vec<String> {
        file.faulty().map(ToString::to_string).collect()
    }

    fn name(text: &str) -> CredentialName {
        CredentialName::parse(text).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut file = CredentialFile::new(&alice());
        let keys = [credential("blue key", 1), credential("CORP\\bob's 'é'", 2)];
        for key in &keys {
            file.add(key.clone()).unwrap();
        }
        let again = parse(&file.to_text()).unwrap();
        assert!(again.credentials().eq(&keys));
        assert_eq!(again.faulty().count(), 0);
        assert_eq!(again.to_text(), file.to_text());
    }

    #[test]
    fn of_a_file_cut_short_no_half_record_counts() {
        let text = format!("{HEAD}{}", record("blue key", 1));
        // The last line's end may be missing, and nothing else.
        for cut in 0..text.len() - 1 {
            let file = parse(&text[..cut]);
            assert!(
                file.is_err() || file.is_ok_and(|it| names(&it).is_empty()),
                "{cut}"
            );
        }
        assert_eq!(names(&parse(text.trim_end()).unwrap()), ["blue key"]);
    }

    #[test]
    fn a_file_by_hand_is_read_too() {
        let text = format!(
            "# by hand\nuid = 1000 # alice\r\nversion = 1\n\n  [[ credential ]] # blue\n{}",
            record("blue key", 1).replace("[[credential]]", "")
        );
        let file = parse(&text).unwrap();
        assert_eq!((names(&file), faults(&file)), (vec!["blue key"], vec![]));
    }

    #[test]
    fn a_bad_record_never_hides_a_good_one() {
        for bad in [
            "[[credential]]\nname = \"x\n",
            "[[credential]]\n",
            "[[credential]]\nname = \"\"\"\n",
            "[[credential]]\nname = [[[[\n",
            "[[credential\n",
            "[credential]\n",
            "[[credentails]]\n",
            "[\n",
        ] {
            for text in [
                format!("{HEAD}{}{bad}{}", record("one", 1), record("two", 2)),
                format!("{HEAD}{bad}{}{}", record("one", 1), record("two", 2)),
                format!("{HEAD}{}{}{bad}", record("one", 1), record("two", 2)),
            ] {
                let file = parse(&text).unwrap();
                assert_eq!(names(&file), ["one", "two"], "{text}");
                assert_eq!(file.faulty().count(), 1, "{text}");
            }
        }
    }

    #[test]
    fn a_rewrite_loses_no_record_however_bad() {
        let bad = "# lent to bob\n[[credential]]\r\nname = \"\"\"é\u{7}\n\n[[x]] ]] \\q";
        let text = format!("# mine\n{HEAD}{}{bad}", record("one", 1));
        let mut file = parse(&text).unwrap();
        assert_eq!(file.to_text(), text);

        file.add(credential("two", 2)).unwrap();
        assert!(file.to_text().starts_with(&text));
        let again = parse(&file.to_text()).unwrap();
        assert_eq!(names(&again), ["one", "two"]);

        file.remove(&name("one")).unwrap();
        file.remove(&name("two")).unwrap();
        assert_eq!(names(&file), [""; 0]);
        assert_eq!(file.to_text(), format!("# mine\n{HEAD}{bad}\n"));
        assert!(!file.is_empty());
    }

    #[test]
    fn a_comment_goes_with_the_record_below_it() {
        let text = format!(
            "{HEAD}\n# the blue one\n{}# the red one\n{}",
            record("blue key", 1),
            record("red key", 2)
        );
        let mut file = parse(&text).unwrap();
        file.remove(&name("blue key")).unwrap();
        let left = format!("{HEAD}\n# the red one\n{}", record("red key", 2));
        assert_eq!(file.to_text(), left);
    }

    #[test]
    fn a_renamed_key_is_the_same_key_under_another_name() {
        let blue = record("blue key", 1).replace("synced", "# lent to bob\nsynced");
        let text = format!("{HEAD}{blue}{}", record("red key", 2));
        let mut file = parse(&text).unwrap();
        let renamed = file.rename(&name("blue key"), &name("Bob's")).unwrap();
        assert_eq!(renamed, credential("Bob's", 1));
        let again = parse(&file.to_text()).unwrap();
        assert_eq!(
            (names(&again), faults(&again)),
            (vec!["Bob's", "red key"], vec![])
        );
        assert!(again.to_text().contains("\n# lent to bob\n"));

        file.rename(&name("Bob's"), &name("blue key")).unwrap();
        assert_eq!(file.to_text(), text, "and back again");
    }

    #[test]
    fn a_name_is_given_to_one_key_and_only_where_none_has_it() {
        let faulty = record("grey key", 1);
        let text = format!(
            "{HEAD}{}{}{faulty}",
            record("blue key", 1),
            record("red key", 2)
        );
        let mut file = parse(&text).unwrap();
        let rename = |file: &mut CredentialFile, from: &str, to: &str| {
            file.rename(&name(from), &name(to)).unwrap_err()
        };
        assert_eq!(rename(&mut file, "green key", "x"), CannotRename::Unknown);
        // what is set aside is nobody's to rename, and its name not free
        assert_eq!(rename(&mut file, "grey key", "x"), CannotRename::Unknown);
        for taken in ["red key", "blue key", "grey key"] {
            assert_eq!(rename(&mut file, "blue key", taken), CannotRename::Taken);
        }
        assert_eq!(file.to_text(), text);
    }

    #[test]
    fn no_record_comes_to_count_because_its_twin_is_renamed() {
        let text = format!("{HEAD}{}{}", record("blue key", 1), record("blue key", 2));
        let mut file = parse(&text).unwrap();
        let refused = file.rename(&name("blue key"), &name("red key"));
        assert_eq!(refused, Err(CannotRename::HasATwin));
        assert_eq!(file.to_text(), text);
    }

    #[test]
    fn a_new_name_that_does_not_fit_is_refused() {
        let room = CredentialFile::LONGEST - HEAD.len() - record("a", 1).len();
        let text = format!("{HEAD}{}{}", record("a", 1), "#".repeat(room));
        let mut file = parse(&text).unwrap();
        let refused = file.clone().rename(&name("a"), &name("ab"));
        assert_eq!(refused, Err(CannotRename::TooLong));
        file.rename(&name("a"), &name("b")).unwrap();
    }

    #[test]
    fn the_earlier_of_two_alike_wins() {
        let text = format!(
            "{HEAD}{}{}{}",
            record("blue key", 1),
            record("blue key", 2),
            record("red key", 1)
        );
        let file = parse(&text).unwrap();
        assert!(file.credentials().eq([&credential("blue key", 1)]));
        assert_eq!(
            faults(&file),
            [
                format!("{PATH}:12: the same name as the record at line 3"),
                format!("{PATH}:21: the same id as the record at line 3"),
            ]
        );
    }

    #[test]
    fn a_removed_key_does_not_come_back_through_its_duplicate() {
        let text = format!(
            "{HEAD}{}{}{}{}",
            record("blue key", 1),
            record("blue key", 2),
            record("red key", 1),
            record("other", 3)
        );
        let mut file = parse(&text).unwrap();
        assert_eq!(
            file.remove(&name("blue key")),
            Some(credential("blue key", 1))
        );
        assert_eq!(names(&parse(&file.to_text()).unwrap()), ["other"]);
        assert_eq!(file.remove(&name("blue key")), None);
    }

    #[test]
    fn a_key_enrolled_already_is_not_added() {
        let mut file = CredentialFile::new(&alice());
        file.add(credential("blue key", 1)).unwrap();
        assert_eq!(
            file.add(credential("red key", 1)),
            Err(CannotAdd::SameKey(name("blue key")))
        );
        assert_eq!(
            file.add(credential("blue key", 2)),
            Err(CannotAdd::SameName(name("blue key")))
        );
        assert_eq!(names(&file), ["blue key"]);
    }

    #[test]
    fn what_could_not_be_read_again_is_not_added() {
        let mut file = CredentialFile::new(&alice());
        for enrolled in ["", "yesterday", "2026-11-22", "2026-11-22T14:30:00Z\n[[x]]"] {
            let mut key = credential("blue key", 1);
            key.enrolled = enrolled.to_owned();
            assert!(
                matches!(file.add(key), Err(CannotAdd::Unreadable(_))),
                "{enrolled}"
            );
        }
        assert!(file.is_empty());
    }

    #[test]
    fn the_number_of_credentials_is_bounded_on_both_sides() {
        let many = |most: u8| {
            (0..most)
                .map(|n| record(&n.to_string(), n))
                .collect::<String>()
        };
        let mut file = parse(&format!("{HEAD}{}", many(63))).unwrap();
        file.add(credential("the 64th", 63)).unwrap();
        assert_eq!(file.add(credential("the 65th", 64)), Err(CannotAdd::Full));

        let file = parse(&format!("{HEAD}{}", many(65))).unwrap();
        assert_eq!(file.credentials().count(), 64);
        assert_eq!(
            faults(&file),
            [format!("{PATH}:579: more than 64 credentials")]
        );
        // What is wrong does not use up the room of what is right.
        let text = format!(
            "{HEAD}{}{}",
            "[[credential]]\n".repeat(65),
            record("good", 1)
        );
        assert_eq!(names(&parse(&text).unwrap()), ["good"]);
    }

    #[test]
    fn the_length_is_bounded_on_both_sides() {
        let padded = |length: usize| HEAD.to_owned() + &"#".repeat(length - HEAD.len());
        assert!(parse(&padded(262_144)).is_ok());
        let most = CredentialFile::LONGEST;
        assert_eq!(
            parse(&padded(262_145)),
            Err(Untrusted::new(Path::new(PATH), Reason::TooLong { most }).into())
        );
        let length = record("blue key", 1).len() + 1;
        let mut fits = parse(&(padded(most - length - 1) + "\n")).unwrap();
        assert_eq!(fits.add(credential("blue key", 1)), Ok(()));
        assert_eq!(fits.to_text().len(), most);
        let mut full = parse(&(padded(most - length) + "\n")).unwrap();
        assert_eq!(full.add(credential("blue key", 1)), Err(CannotAdd::Full));
        // The line end that add() supplies counts as well.
        let mut full = parse(&padded(most - length)).unwrap();
        assert_eq!(full.add(credential("blue key", 1)), Err(CannotAdd::Full));
    }

    #[test]
    fn a_file_of_faulty_records_is_not_one_without_any() {
        let file = parse(&format!("{HEAD}[[credential]]\n")).unwrap();
        assert_eq!((file.credentials().count(), file.faulty().count()), (0, 1));
        assert!(!file.is_empty());
        assert!(parse(HEAD).unwrap().is_empty());
    }
}

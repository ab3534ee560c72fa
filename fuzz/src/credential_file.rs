//! A credential file: what is wrong with one record harms no other, and
//! writing the file again loses nothing.
#![forbid(unsafe_code)]

use std::path::Path;
use std::sync::LazyLock;

use ceremony::account::{Account, UserName};
use ceremony::credential::{Credential, CredentialName};
use ceremony::credential_file::CredentialFile;

use crate::honest_key::ES256;

static ALICE: LazyLock<Account> = LazyLock::new(|| Account {
    name: UserName::parse("alice").expect("a name"),
    uid: 1000,
});

/// The input is the file's text.
pub(crate) fn credential_file(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut file = match read(&text) {
        Ok(file) => file,
        Err(why) => return assert!(!why.contains(char::is_control), "{why:?}"),
    };
    assert_eq!(file.to_text(), text);
    for fault in file.faulty() {
        let fault = fault.to_string();
        assert!(!fault.contains(char::is_control), "{fault:?}");
    }
    let before: Vec<Credential> = file.credentials().cloned().collect();
    let faults = file.faulty().count();
    assert!(before.len() <= CredentialFile::MOST);

    // One more, by a name that an input may have too.
    let new = ES256[0].credential.clone();
    let name = new.name.clone();
    if file.add(new).is_ok() {
        assert!(file.to_text().starts_with(&*text));
        let again = read(&file.to_text()).expect("what was written can be read");
        assert!(again.credentials().eq(file.credentials()));
        assert_eq!(again.credentials().count(), before.len() + 1);
        // A record that had no line end has one now; nothing else has changed.
        assert_eq!(again.faulty().count(), faults);
        file = again;
        assert!(file.remove(&name).is_some());
    }
    let names: Vec<CredentialName> = before.iter().map(|it| it.name.clone()).collect();
    for name in names {
        let others: Vec<Credential> = file
            .credentials()
            .filter(|it| it.name != name)
            .cloned()
            .collect();
        if file.remove(&name).is_some() {
            file = read(&file.to_text()).expect("what was written can be read");
            assert!(
                others
                    .iter()
                    .all(|other| file.credentials().any(|it| it == other))
            );
            assert!(file.credentials().all(|it| it.name != name));
        }
    }
}

fn read(text: &str) -> Result<CredentialFile, String> {
    CredentialFile::parse(text, &ALICE, Path::new("/etc/alice.toml")).map_err(|why| why.to_string())
}

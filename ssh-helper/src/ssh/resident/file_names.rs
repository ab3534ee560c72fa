//! What the files of resident keys are called: as `ssh-keygen -K` calls them,
//! wherever that is a name and not a path.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;

use base16ct::lower::encode_string;
use ceremony::ssh_application::SshApplication;

use super::key::{ResidentKey, UserId};
use crate::ssh::directory::usual_name;

/// The most bytes of a name, before its number and `.pub`: file systems take 255
/// in all.
const LONGEST: usize = 240;

/// The names of the private-key files of these keys; nothing for those that can
/// have none. No two are alike, nor is one another's `.pub`. Of all that a
/// security key keeps, so that a name is the same whichever are wanted.
pub(super) fn of(keys: &[ResidentKey]) -> Vec<Option<String>> {
    let mut taken = BTreeSet::new();
    let names = keys.iter().map(|key| {
        let public_key = &key.file.as_ref().ok()?.public_key;
        let stem = stem(
            usual_name(public_key.algorithm()),
            public_key.relying_party(),
            &key.user_id,
        );
        let name = (1..=keys.len() + 1)
            .map(|number| match number {
                1 => stem.clone(),
                number => format!("{stem}_{number}"),
            })
            .find(|name| {
                let clashes = [name.clone(), format!("{name}.pub")];
                !clashes.iter().any(|it| taken.contains(it))
            })?;
        taken.extend([format!("{name}.pub"), name.clone()]);
        Some(name)
    });
    names.collect()
}

fn stem(kind: &str, application: &SshApplication, user: &UserId) -> String {
    // What follows the scheme of `ssh://host` is not all slashes, either.
    let name = application.name();
    let name = name.strip_prefix("//").unwrap_or(name);
    let parts = [Some(name.to_owned()), user.text()];
    let mut stem = format!("{kind}_rk");
    for part in parts.into_iter().flatten().filter(|it| !it.is_empty()) {
        stem.push('_');
        stem.push_str(&as_part_of_a_name(part));
    }
    while stem.len() > LONGEST {
        stem.pop();
    }
    stem
}

/// Text that would lead elsewhere, in hexadecimal.
fn as_part_of_a_name(text: String) -> String {
    let leads_elsewhere = text.contains(['/', '\\']) || text.contains("..");
    if leads_elsewhere {
        encode_string(text.as_bytes())
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::tests::{held, listed};
    use super::*;

    fn named(keys: &[(&str, &[u8])]) -> Vec<String> {
        let keys = keys
            .iter()
            .map(|(application, user)| held(application, user));
        of(&listed(keys.collect())).into_iter().flatten().collect()
    }

    fn name(application: &str, user: &[u8]) -> String {
        named(&[(application, user)]).pop().unwrap()
    }

    #[test]
    fn a_key_is_called_as_ssh_keygen_calls_it() {
        for (application, user, expected) in [
            ("ssh:", &[0; 32][..], "id_ecdsa_sk_rk"),
            ("ssh:work", &[0; 32], "id_ecdsa_sk_rk_work"),
            ("ssh:work", b"alice\0\0\0", "id_ecdsa_sk_rk_work_alice"),
            ("ssh:", b"alice", "id_ecdsa_sk_rk_alice"),
            ("ssh:My Laptop", b"", "id_ecdsa_sk_rk_My Laptop"),
            ("ssh://example.org", b"", "id_ecdsa_sk_rk_example.org"),
            ("ssh:work", &[0xff], "id_ecdsa_sk_rk_work_ff"),
            ("ssh:work", b"../x", "id_ecdsa_sk_rk_work_2e2e2f78"),
        ] {
            assert_eq!(name(application, user), expected);
        }
    }

    #[test]
    fn nothing_that_a_key_says_is_a_path() {
        for words in ["../../x", "/etc/x", "a/b", "..", "a\\b", "///x"] {
            let name = name(&format!("ssh:{words}"), words.as_bytes());
            assert!(name.starts_with("id_ecdsa_sk_rk_"), "{name}");
            assert!(
                !name.contains(['/', '\\']) && !name.contains(".."),
                "{name}"
            );
        }
        let longest = name(&format!("ssh:{}", "é".repeat(125)), &[b'u'; 64]);
        assert!((230..=LONGEST).contains(&longest.len()), "{longest}");
    }

    #[test]
    fn keys_of_one_name_are_both_kept() {
        let names = named(&[
            ("ssh:a", b"b"),
            ("ssh:a", b"b\0"),
            ("ssh:a_b", b""),
            ("ssh:a_b_2", b""),
        ]);
        let expected = ["a_b", "a_b_2", "a_b_3", "a_b_2_2"];
        assert_eq!(names, expected.map(|it| format!("id_ecdsa_sk_rk_{it}")));
    }

    #[test]
    fn a_private_key_is_not_called_like_anothers_public_key() {
        for keys in [["ssh:x", "ssh:x.pub"], ["ssh:x.pub", "ssh:x"]] {
            let names = named(&keys.map(|application| (application, &b""[..])));
            assert_eq!(names, ["id_ecdsa_sk_rk_x", "id_ecdsa_sk_rk_x.pub_2"]);
        }
    }
}

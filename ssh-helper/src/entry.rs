//! A credential as a person or a program is shown it.
#![forbid(unsafe_code)]

use ceremony::credential::{Credential, UserVerification};
use ceremony::public_key::Algorithm;
use serde::Serialize;

use crate::ink::Ink;

/// What the record says, in the words of the credential file.
#[derive(Clone, Debug, Serialize)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are the credential file's"
)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) algorithm: &'static str,
    /// `required`, or `discouraged` where a touch may do.
    pub(crate) user_verification: &'static str,
    pub(crate) enrolled: String,
    pub(crate) rp_id: String,
    pub(crate) aaguid: String,
    pub(crate) discoverable: bool,
    pub(crate) synced: bool,
    pub(crate) answers_silently: bool,
    /// One line, as in an `authorized_keys` file.
    pub(crate) public_key: String,
    /// As `ssh-keygen -l` shows it.
    pub(crate) fingerprint: String,
}

impl Entry {
    /// The entry for `credential`.
    pub(crate) fn of(credential: &Credential) -> Self {
        let key = &credential.public_key;
        Self {
            name: credential.name.to_string(),
            algorithm: algorithm_name(key.algorithm()),
            user_verification: credential.user_verification.as_str(),
            enrolled: credential.enrolled.clone(),
            rp_id: key.relying_party().to_string(),
            aaguid: credential.aaguid.to_string(),
            discoverable: credential.discoverable,
            synced: credential.synced,
            answers_silently: credential.answers_silently,
            // A key that was read is one that can be written.
            public_key: key.to_openssh().unwrap_or_default(),
            fingerprint: key.fingerprint().unwrap_or_default(),
        }
    }

    /// What a login with it takes, in words.
    pub(crate) fn verification(&self) -> &'static str {
        if self.user_verification == UserVerification::Required.as_str() {
            "required"
        } else {
            "touch only"
        }
    }
}

/// What the algorithm is called in COSE, and so in WebAuthn.
pub(crate) fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "ES256",
        Algorithm::EdDsa => "EdDSA",
    }
}

/// A table's lines; none for no keys, so that an empty answer is empty.
pub(crate) fn table(entries: &[Entry], ink: Ink) -> Vec<String> {
    const HEAD: [&str; 5] = [
        "NAME",
        "ALGORITHM",
        "VERIFICATION",
        "ENROLLED",
        "RELYING PARTY",
    ];
    let rows: Vec<[&str; 5]> = entries.iter().map(row).collect();
    columns(HEAD, &rows, ink)
}

/// Lines up `rows` under `head`; nothing for no rows.
pub(crate) fn columns<const N: usize>(
    head: [&str; N],
    rows: &[[&str; N]],
    ink: Ink,
) -> Vec<String> {
    if rows.is_empty() {
        return Vec::new();
    }
    let widths: [usize; N] = std::array::from_fn(|column| {
        let cells = rows.iter().chain([&head]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    });
    let line = |row: &[&str; N]| {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    let mut lines = vec![ink.heading(&line(&head))];
    lines.extend(rows.iter().map(line));
    lines
}

fn row(entry: &Entry) -> [&str; 5] {
    [
        &entry.name,
        entry.algorithm,
        entry.verification(),
        // RFC 3339: the date is what stands before the T.
        entry.enrolled.split('T').next().unwrap_or_default(),
        &entry.rp_id,
    ]
}

#[cfg(test)]
pub(crate) mod tests {
    use ceremony::credential::{Aaguid, CredentialId, CredentialName};
    use ceremony::public_key::PublicKey;
    use ceremony::relying_party::RelyingPartyId;

    use super::*;

    /// A credential whose public key is the base point of P-256
    /// (SEC 2 §2.4.2).
    pub(crate) fn credential(name: &str, id: &[u8]) -> Credential {
        const X: &str = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296";
        const Y: &str = "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5";
        let bytes = |hex: &str| {
            std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
        };
        Credential {
            name: CredentialName::parse(name).unwrap(),
            public_key: PublicKey::es256(
                &bytes(X),
                &bytes(Y),
                RelyingPartyId::for_host("laptop").unwrap(),
            )
            .unwrap(),
            id: CredentialId::new(id).unwrap(),
            user_verification: UserVerification::Required,
            discoverable: false,
            synced: false,
            answers_silently: true,
            aaguid: Aaguid::default(),
            enrolled: "2026-11-22T14:30:00Z".into(),
        }
    }

    #[test]
    fn the_table_is_as_wide_as_its_words() {
        let blue = credential("blue key", b"one");
        let green = Credential {
            user_verification: UserVerification::Discouraged,
            ..credential("grün", b"two")
        };
        assert_eq!(
            table(&[Entry::of(&blue), Entry::of(&green)], Ink::None),
            [
                "NAME      ALGORITHM  VERIFICATION  ENROLLED    RELYING PARTY",
                "blue key  ES256      required      2026-11-22  pam://laptop",
                "grün      ES256      touch only    2026-11-22  pam://laptop",
            ]
        );
    }

    #[test]
    fn no_keys_make_no_table() {
        assert_eq!(table(&[], Ink::None), Vec::<String>::new());
    }
}

//! `passkey list`: the keys enrolled for an account.
#![forbid(unsafe_code)]

use ceremony::credential::{Credential, UserVerification};
use ceremony::credential_file::CredentialFile;
use ceremony::public_key::Algorithm;

use crate::cli;
use crate::failure::Failure;
use crate::machine;
use crate::screen::Screen;
use crate::whose_account;

/// Lists the keys of an account.
pub(crate) fn list(wanted: &cli::List, screen: &mut Screen) -> Result<(), Failure> {
    let account = whose_account::to_look_at(wanted.user.as_deref())?;
    let file = match machine::store_to_read()? {
        Some(store) => machine::credentials_of(&account, &store, screen)?,
        None => None,
    };
    let credentials: Vec<&Credential> = file.iter().flat_map(CredentialFile::credentials).collect();
    if credentials.is_empty() {
        let name = &account.name;
        screen.say(&if file.as_ref().is_some_and(|file| !file.is_empty()) {
            format!("no enrolled key of {name} can be read; correct the lines named above")
        } else {
            let how = whose_account::how_to_enroll(&account);
            format!("no keys enrolled for {name}; {how}")
        });
    }
    for line in table(&credentials) {
        screen.result(&line)?;
    }
    Ok(())
}

/// What the algorithm is called in COSE, and so in WebAuthn.
pub(crate) fn algorithm_name(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "ES256",
        Algorithm::EdDsa => "EdDSA",
    }
}

/// The table's lines; none for no keys, so that an empty answer is empty.
fn table(credentials: &[&Credential]) -> Vec<String> {
    const HEAD: [&str; 5] = [
        "NAME",
        "ALGORITHM",
        "VERIFICATION",
        "ENROLLED",
        "RELYING PARTY",
    ];
    if credentials.is_empty() {
        return Vec::new();
    }
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(credentials.iter().map(|credential| row(credential)));
    let widths: [usize; 5] = std::array::from_fn(|column| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or(0)
    });
    rows.iter()
        .map(|row| {
            let cells: Vec<String> = row
                .iter()
                .zip(widths)
                .map(|(cell, width)| format!("{cell:width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect()
}

fn row(credential: &Credential) -> [String; 5] {
    [
        credential.name.to_string(),
        algorithm_name(credential.public_key.algorithm()).to_owned(),
        match credential.user_verification {
            UserVerification::Required => "required".to_owned(),
            UserVerification::Discouraged => "touch only".to_owned(),
        },
        // RFC 3339: the date is what stands before the T.
        credential.enrolled.chars().take(10).collect(),
        credential.public_key.relying_party().to_string(),
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
            table(&[&blue, &green]),
            [
                "NAME      ALGORITHM  VERIFICATION  ENROLLED    RELYING PARTY",
                "blue key  ES256      required      2026-11-22  pam://laptop",
                "grün      ES256      touch only    2026-11-22  pam://laptop",
            ]
        );
    }

    #[test]
    fn no_keys_make_no_table() {
        assert_eq!(table(&[]), Vec::<String>::new());
    }
}

//! An SSH key that a security key keeps itself, and says what it is: judged,
//! since a key can say anything.
#![forbid(unsafe_code)]

use base16ct::lower::encode_string;
use ceremony::credential::{CredentialId, is_printable, printable};
use ceremony::public_key::{Algorithm, PublicKey};
use ceremony::relying_party::RelyingParty;
use ceremony::ssh_application::SshApplication;

use crate::key::kept::Kept;
use crate::key::worker::{self, HeldForSsh, HeldKind, HeldSshKey, Outcome, Work};
use crate::key::{Chosen, NotDone, TypedPin};
use crate::screen::Screen;
use crate::ssh::key_file::{Flags, KeyFile};

/// `userVerificationRequired` (CTAP 2.1 §12.1).
const UV_REQUIRED: u8 = 3;

/// One of them. What is text here is fit to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResidentKey {
    /// In hexadecimal; nothing where it was not even listed.
    pub(super) id: String,
    pub(super) application: String,
    pub(super) user_id: UserId,
    /// What lists call it.
    pub(super) name: String,
    /// The level of its credProtect; 0 where nothing is said.
    pub(super) cred_protect: u8,
    /// What its private-key file says, or why there can be none.
    pub(super) file: Result<KeyFile, String>,
}

/// The user of a credential: what `ssh-keygen -O user` puts there, and zeros.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct UserId(pub(super) Vec<u8>);

impl UserId {
    /// Without the zeros; `None` where there is nothing else, as ssh-keygen makes
    /// them by default.
    fn trimmed(&self) -> Option<&[u8]> {
        let end = self.0.iter().rposition(|byte| *byte != 0)?;
        self.0.get(..=end)
    }

    /// As text that can be shown, and is told from every other: in hexadecimal
    /// where it is none.
    pub(super) fn text(&self) -> Option<String> {
        let bytes = self.trimmed()?;
        let text = std::str::from_utf8(bytes).ok();
        let text = text.filter(|text| text.chars().all(is_printable));
        Some(text.map_or_else(|| encode_string(bytes), str::to_owned))
    }
}

impl ResidentKey {
    fn of(held: &HeldSshKey) -> Self {
        let user_id = UserId(held.user_id.clone());
        let file = judged(held, &user_id);
        Self {
            id: encode_string(&held.id),
            application: printable(&held.rp_id, 255),
            user_id,
            name: printable(&held.user_name, 64),
            cred_protect: held.cred_protect,
            file,
        }
    }

    fn not_listed(rp_id: &str, why: &str) -> Self {
        Self {
            id: String::new(),
            application: printable(rp_id, 255),
            user_id: UserId::default(),
            name: String::new(),
            cred_protect: 0,
            file: Err(format!("its keys are not listed: {}", printable(why, 120))),
        }
    }

    /// Its fingerprint, where it has one.
    pub(super) fn fingerprint(&self) -> Option<String> {
        self.file.as_ref().ok()?.fingerprint().ok()
    }

    /// What a signature by it takes, as far as the security key knows.
    pub(super) fn verify_required(&self) -> bool {
        self.cred_protect == UV_REQUIRED
    }
}

/// What its private-key file says, or why there can be none.
fn judged(held: &HeldSshKey, user_id: &UserId) -> Result<KeyFile, String> {
    let id =
        CredentialId::new(&held.id).ok_or_else(|| format!("its id has {} bytes", held.id.len()))?;
    let application = SshApplication::parse(&held.rp_id).map_err(|why| why.to_string())?;
    // CTAP 2.1 §6.8.7 lets a key keep no more than 32 bytes of it. A file for
    // what is left of it would be one for another key.
    if application.id_hash().as_slice() != held.rp_id_hash {
        return Err("the security key knows only a part of its application".to_owned());
    }
    let comment = match user_id.text() {
        Some(user) => format!("{application} {user}"),
        None => application.to_string(),
    };
    let public_key = match (held.kind, held.public_key.as_slice()) {
        (HeldKind::Ec2, [0x04, point @ ..]) => match point.as_chunks::<32>() {
            ([x, y], []) => PublicKey::es256(x, y, application),
            _ => return Err("its public key has another length".to_owned()),
        },
        (HeldKind::Okp, bytes) => match bytes.try_into() {
            Ok(bytes) => PublicKey::eddsa(bytes, application),
            Err(_) => return Err("its public key has another length".to_owned()),
        },
        _ => return Err("its kind is none that ssh knows".to_owned()),
    };
    Ok(KeyFile {
        public_key: public_key.map_err(|why| why.to_string())?,
        id,
        // Whether it signs without a touch only its file knew.
        flags: Flags::of(true, held.cred_protect == UV_REQUIRED, true),
        comment,
    })
}

/// The word for a kind of key, as ssh-keygen takes it.
pub(super) fn kind(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "ecdsa-sk",
        Algorithm::EdDsa => "ed25519-sk",
    }
}

/// What a security key keeps for SSH.
#[derive(Debug)]
pub(super) struct Listed {
    /// In an order that is always the same.
    pub(super) keys: Vec<ResidentKey>,
    pub(super) slots_left: Option<u32>,
}

impl Listed {
    /// Asks it.
    pub(super) fn ask(
        chosen: &Chosen,
        pin: &TypedPin,
        screen: &mut Screen,
    ) -> Result<Self, NotDone> {
        let work = Work::ListSshKeys { pin: pin.clone() };
        match worker::run(chosen, work, screen, |_, _| {})? {
            Outcome::SshKeys(held) => Ok(Self::of(&held)),
            _ => Err(worker::Broken::Nonsense.into()),
        }
    }

    fn of(held: &HeldForSsh) -> Self {
        let not_listed = held.not_listed.iter();
        let not_listed = not_listed.map(|(rp_id, why)| ResidentKey::not_listed(rp_id, why));
        let mut keys: Vec<ResidentKey> = held
            .keys
            .iter()
            .map(ResidentKey::of)
            .chain(not_listed)
            .collect();
        keys.sort_by(|one, other| {
            let order = |key: &ResidentKey| (key.application.clone(), key.user_id.clone());
            (order(one), &one.id).cmp(&(order(other), &other.id))
        });
        Self {
            keys,
            slots_left: held.slots_left,
        }
    }
}

impl Kept for ResidentKey {
    const WHAT: &'static str = "SSH key";
    const LIST: &'static str = "passkey ssh list";

    fn all(chosen: &Chosen, pin: &TypedPin, screen: &mut Screen) -> Result<Vec<Self>, NotDone> {
        Listed::ask(chosen, pin, screen).map(|listed| listed.keys)
    }

    fn id(&self) -> &str {
        &self.id
    }

    fn described(&self) -> String {
        let user = match self.user_id.text() {
            Some(user) => format!(" of \"{user}\""),
            None => String::new(),
        };
        let fingerprint = self
            .fingerprint()
            .unwrap_or_else(|| "whose fingerprint nobody can tell".to_owned());
        format!(
            "every login with the SSH key \"{}\"{user} ({fingerprint}), id {}",
            self.application, self.id
        )
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ssh::key_file::tests::{ED25519, X, Y};

    /// What an honest key says of one.
    pub(in crate::ssh::resident) fn held(application: &str, user: &[u8]) -> HeldSshKey {
        let hash = SshApplication::parse(application).map(|it| it.id_hash());
        HeldSshKey {
            id: vec![0x1d; 64],
            rp_id: application.to_owned(),
            rp_id_hash: hash.unwrap_or_default().to_vec(),
            user_id: user.to_vec(),
            user_name: "openssh".to_owned(),
            user_display_name: "openssh".to_owned(),
            kind: HeldKind::Ec2,
            public_key: [&[0x04][..], &X, &Y].concat(),
            cred_protect: 1,
        }
    }

    /// Those that a key keeps which says this.
    pub(in crate::ssh::resident) fn listed(keys: Vec<HeldSshKey>) -> Vec<ResidentKey> {
        let held = HeldForSsh {
            keys,
            ..HeldForSsh::default()
        };
        Listed::of(&held).keys
    }

    fn refused(held: &HeldSshKey) -> String {
        ResidentKey::of(held).file.unwrap_err()
    }

    #[test]
    fn what_is_kept_becomes_the_file_that_ssh_keygen_would_write() {
        let key = ResidentKey::of(&HeldSshKey {
            cred_protect: 3,
            ..held("ssh:work", b"alice\0\0\0")
        });
        let file = key.file.as_ref().unwrap();
        assert_eq!(file.flags, Flags(0x25));
        assert_eq!(file.comment, "ssh:work alice");
        assert_eq!(file.id.as_bytes(), [0x1d; 64]);
        assert!(key.verify_required());
        let plain = ResidentKey::of(&held("ssh:", &[0; 32]));
        assert_eq!(plain.file.as_ref().unwrap().flags, Flags(0x21));
        assert_eq!(plain.file.unwrap().comment, "ssh:");
        let ed25519 = HeldSshKey {
            kind: HeldKind::Okp,
            public_key: ED25519.to_vec(),
            ..held("ssh:", b"")
        };
        let line = ResidentKey::of(&ed25519).file.unwrap().public_line();
        assert!(line.unwrap().starts_with("sk-ssh-ed25519@openssh.com "));
    }

    #[test]
    fn a_user_is_text_where_it_can_be_shown_and_digits_where_not() {
        for (bytes, text) in [
            (&b"alice\0\0"[..], Some("alice")),
            ("zoë".as_bytes(), Some("zoë")),
            (&[0; 32], None),
            (b"", None),
            (b"a\0b\0", Some("610062")),
            (b"\x1b[2J", Some("1b5b324a")),
            (&[0xff, 0xfe], Some("fffe")),
        ] {
            assert_eq!(UserId(bytes.to_vec()).text().as_deref(), text);
        }
    }

    #[test]
    fn what_no_honest_key_says_is_shown_and_is_no_key() {
        let one = || held("ssh:work", b"");
        let hash = one().rp_id_hash;
        for (held, why) in [
            (held("ssh:\u{1b}[2J", b""), "cannot contain"),
            (held("SSH:work", b""), "begins with"),
            (
                HeldSshKey {
                    rp_id: "ssh:wo".to_owned(),
                    ..one()
                },
                "only a part of its application",
            ),
            (
                HeldSshKey {
                    id: Vec::new(),
                    ..one()
                },
                "its id has 0 bytes",
            ),
            (
                HeldSshKey {
                    id: vec![1; 1024],
                    ..one()
                },
                "its id has 1024 bytes",
            ),
            (
                HeldSshKey {
                    public_key: vec![0x04; 65],
                    ..one()
                },
                "curve",
            ),
            (
                HeldSshKey {
                    public_key: [&[0x04][..], &X].concat(),
                    ..one()
                },
                "another length",
            ),
            (
                HeldSshKey {
                    kind: HeldKind::Okp,
                    ..one()
                },
                "another length",
            ),
            (
                HeldSshKey {
                    kind: HeldKind::Other,
                    rp_id_hash: hash,
                    ..one()
                },
                "none that ssh knows",
            ),
        ] {
            let said = refused(&held);
            assert!(said.contains(why), "no {why:?} in {said:?}");
        }
        let shown = ResidentKey::of(&held("ssh:\u{1b}[2J", b"")).application;
        assert_eq!(shown, "ssh:?[2J");
    }

    #[test]
    fn one_that_cannot_be_read_hides_no_other_and_the_order_stays() {
        let held = HeldForSsh {
            keys: vec![held("ssh:work", b"bob"), held("ssh:work", b"alice")],
            not_listed: vec![("ssh:\u{7}".to_owned(), "it says\u{7} no".to_owned())],
            slots_left: Some(3),
        };
        let listed = Listed::of(&held);
        let names = |listed: &Listed| -> Vec<String> {
            let keys = listed.keys.iter();
            keys.map(|it| format!("{} {:?}", it.application, it.user_id.text()))
                .collect()
        };
        let expected = [
            "ssh:? None",
            "ssh:work Some(\"alice\")",
            "ssh:work Some(\"bob\")",
        ];
        assert_eq!(names(&listed), expected);
        let why = listed.keys[0].file.as_ref().unwrap_err();
        assert_eq!(why, "its keys are not listed: it says? no");
        let mut turned = held;
        turned.keys.reverse();
        assert_eq!(names(&Listed::of(&turned)), expected);
    }
}

//! A private-key file of OpenSSH's whose key a security key holds.
//!
//! It holds no private key, but what a security key needs to find its own: the
//! application, the credential id ("key handle"), and what is demanded of who
//! uses it (OpenSSH `PROTOCOL.u2f` and `PROTOCOL.key`).
#![forbid(unsafe_code)]

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ceremony::credential::CredentialId;
use ceremony::public_key::PublicKey;
use ceremony::ssh_application::SshApplication;
use nix::libc::{O_CLOEXEC, O_NONBLOCK};
use ssh_key::encoding::{Decode, Encode};
use ssh_key::private::{KeypairData, SkEcdsaSha2NistP256, SkEd25519};
use ssh_key::public::KeyData;
use ssh_key::{Cipher, Kdf, LineEnding, PrivateKey};
use zeroize::Zeroizing;

use super::passphrase::Passphrase;
use crate::cli::ssh::Encryption;

/// The largest private-key file, in bytes; OpenSSH reads no larger one.
pub(crate) const LARGEST: u64 = 1024 * 1024;

/// The most bcrypt rounds that a file may ask for: each takes some milliseconds,
/// and nobody waits for the billions that a hostile file can name.
pub(crate) const MOST_ROUNDS: u32 = 2048;

/// The number of random bytes in bcrypt's salt, as in OpenSSH's files.
const SALT: usize = 16;

/// What a private-key file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyFile {
    /// The public key, bound to its application.
    pub(crate) public_key: PublicKey<SshApplication>,
    /// By what the security key knows it.
    pub(crate) id: CredentialId,
    /// What is demanded of who uses it.
    pub(crate) flags: Flags,
    /// A note, shown by every tool.
    pub(crate) comment: String,
}

/// The flags of an SSH key (OpenSSH `sk-api.h`), those we do not know kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flags(pub(crate) u8);

impl Flags {
    const USER_PRESENCE_REQUIRED: u8 = 0x01;
    const USER_VERIFICATION_REQUIRED: u8 = 0x04;
    const RESIDENT_KEY: u8 = 0x20;

    /// Those that have a name here.
    pub(crate) const KNOWN: u8 =
        Self::USER_PRESENCE_REQUIRED | Self::USER_VERIFICATION_REQUIRED | Self::RESIDENT_KEY;

    /// Those of a key that is to be made.
    pub(crate) fn of(touch: bool, verification: bool, resident: bool) -> Self {
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        Self(
            bit(touch, Self::USER_PRESENCE_REQUIRED)
                | bit(verification, Self::USER_VERIFICATION_REQUIRED)
                | bit(resident, Self::RESIDENT_KEY),
        )
    }

    /// Whether a signature takes a touch.
    pub(crate) fn touch_required(self) -> bool {
        self.0 & Self::USER_PRESENCE_REQUIRED != 0
    }

    /// Whether a signature takes a PIN or a fingerprint.
    pub(crate) fn verify_required(self) -> bool {
        self.0 & Self::USER_VERIFICATION_REQUIRED != 0
    }

    /// Whether the security key keeps the key itself.
    pub(crate) fn is_resident(self) -> bool {
        self.0 & Self::RESIDENT_KEY != 0
    }
}

impl KeyFile {
    fn of(key: &PrivateKey) -> Result<Self, Unusable> {
        let (flags, handle) = match key.key_data() {
            KeypairData::SkEcdsaSha2NistP256(sk) => (sk.flags(), sk.key_handle()),
            KeypairData::SkEd25519(sk) => (sk.flags(), sk.key_handle()),
            _ => return Err(Unusable::NotOfASecurityKey(key.algorithm().to_string())),
        };
        let public_key =
            PublicKey::from_key_data(key.public_key().key_data(), SshApplication::parse)
                .map_err(|problem| Unusable::Damaged(problem.to_string()))?;
        let length = handle.len();
        let id = CredentialId::new(handle)
            .ok_or_else(|| Unusable::Damaged(format!("a key handle of {length} bytes")))?;
        Ok(Self {
            public_key,
            id,
            flags: Flags(flags),
            comment: one_line(key.comment().as_bytes()),
        })
    }

    /// The file's text; encrypted where there is a passphrase.
    pub(crate) fn to_openssh(
        &self,
        encryption: &Encryption,
        passphrase: Option<&Passphrase>,
    ) -> Result<Zeroizing<String>, NotWritten> {
        let key = PrivateKey::new(self.keypair()?, self.comment.as_str())?;
        let Some(passphrase) = passphrase else {
            return Ok(key.to_openssh(LineEnding::LF)?);
        };
        let mut salt = vec![0; SALT];
        getrandom::fill(&mut salt).map_err(|_| NotWritten)?;
        let kdf = Kdf::Bcrypt {
            salt,
            rounds: encryption.rounds,
        };
        let check = getrandom::u32().map_err(|_| NotWritten)?;
        let encrypted = key.encrypt_with(encryption.cipher, kdf, check, passphrase.as_bytes())?;
        Ok(encrypted.to_openssh(LineEnding::LF)?)
    }

    /// The private half as ssh-key has it. Its own constructors refuse a handle
    /// of more than 255 bytes, which security keys do make.
    fn keypair(&self) -> Result<KeypairData, NotWritten> {
        let mut bytes = Vec::new();
        let public = self.public_key.key_data().map_err(|_| NotWritten)?;
        match &public {
            KeyData::SkEcdsaSha2NistP256(sk) => sk.encode(&mut bytes),
            KeyData::SkEd25519(sk) => sk.encode(&mut bytes),
            _ => return Err(NotWritten),
        }
        .and_then(|()| self.flags.0.encode(&mut bytes))
        .and_then(|()| self.id.as_bytes().encode(&mut bytes))
        // reserved
        .and_then(|()| [0_u8; 0].as_slice().encode(&mut bytes))
        .map_err(|_| NotWritten)?;
        let mut bytes = bytes.as_slice();
        Ok(match public {
            KeyData::SkEcdsaSha2NistP256(_) => {
                KeypairData::SkEcdsaSha2NistP256(SkEcdsaSha2NistP256::decode(&mut bytes)?)
            }
            _ => KeypairData::SkEd25519(SkEd25519::decode(&mut bytes)?),
        })
    }

    /// The line of the public-key file.
    pub(crate) fn public_line(&self) -> Result<String, NotWritten> {
        let line = self.public_key.to_openssh().map_err(|_| NotWritten)?;
        Ok(match self.comment.as_str() {
            "" => line,
            comment => format!("{line} {comment}"),
        })
    }

    /// The line for a server's `authorized_keys`, with the options (sshd(8)) that
    /// fit what this key demands.
    pub(crate) fn authorized_line(&self) -> Result<String, NotWritten> {
        let mut options = Vec::new();
        if self.flags.verify_required() {
            options.push("verify-required");
        }
        if !self.flags.touch_required() {
            options.push("no-touch-required");
        }
        let line = self.public_line()?;
        Ok(match options.as_slice() {
            [] => line,
            options => format!("{} {line}", options.join(",")),
        })
    }

    /// What `ssh-keygen -l` shows.
    pub(crate) fn fingerprint(&self) -> Result<String, NotWritten> {
        self.public_key.fingerprint().map_err(|_| NotWritten)
    }
}

/// A private-key file that has been read and not been opened.
pub(crate) struct Closed(PrivateKey);

impl Closed {
    /// Reads the file at `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, Unusable> {
        let not_read = |problem: std::io::Error| Unusable::NotRead(problem.to_string());
        // A pipe that nobody writes to must not keep us.
        let mut file = File::options()
            .read(true)
            .custom_flags(O_CLOEXEC | O_NONBLOCK)
            .open(path)
            .map_err(not_read)?;
        if !file.metadata().map_err(not_read)?.is_file() {
            return Err(Unusable::NoFile);
        }
        let mut text = Zeroizing::new(Vec::new());
        Read::by_ref(&mut file)
            .take(LARGEST + 1)
            .read_to_end(&mut text)
            .map_err(not_read)?;
        if text.len() as u64 > LARGEST {
            return Err(Unusable::TooLarge);
        }
        let key = PrivateKey::from_openssh(&*text).map_err(|_| what_it_is_instead(&text))?;
        Ok(Self(key))
    }

    /// How it is encrypted: the cipher, and the rounds of bcrypt.
    pub(crate) fn encryption(&self) -> Option<(Cipher, u32)> {
        match self.0.kdf() {
            Kdf::Bcrypt { rounds, .. } if self.0.is_encrypted() => Some((self.0.cipher(), *rounds)),
            _ => None,
        }
    }

    /// What it says; where it is encrypted, `passphrase` is asked.
    pub(crate) fn open<E>(
        self,
        passphrase: impl FnOnce() -> Result<Passphrase, E>,
    ) -> Result<KeyFile, CannotRead<E>> {
        let key = self.0;
        if !key.is_encrypted() {
            return Ok(KeyFile::of(&key)?);
        }
        // Told apart before anybody types a passphrase.
        PublicKey::from_key_data(key.public_key().key_data(), SshApplication::parse)
            .map_err(|_| Unusable::NotOfASecurityKey(key.algorithm().to_string()))?;
        if let Kdf::Bcrypt { rounds, .. } = key.kdf()
            && *rounds > MOST_ROUNDS
        {
            return Err(Unusable::TooManyRounds(*rounds).into());
        }
        let passphrase = passphrase().map_err(CannotRead::NoPassphrase)?;
        let key = key
            .decrypt(passphrase.as_bytes())
            .map_err(|_| Unusable::WrongPassphrase)?;
        Ok(KeyFile::of(&key)?)
    }
}

/// A comment as it is written on: a line's end in it would begin a line of its
/// own in `authorized_keys`, and what turns the direction of text would show
/// another line than the one that is there.
pub(crate) fn one_line(comment: &[u8]) -> String {
    String::from_utf8_lossy(comment)
        .chars()
        .map(|c| match c {
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '?',
            c if c.is_control() => '?',
            c => c,
        })
        .collect()
}

/// What a text is that is no private-key file of OpenSSH's, as far as it can be
/// told.
fn what_it_is_instead(text: &[u8]) -> Unusable {
    let begins = |with: &str| text.trim_ascii_start().starts_with(with.as_bytes());
    if begins("-----BEGIN OPENSSH PRIVATE KEY-----") {
        Unusable::Damaged("it cannot be read to its end".to_owned())
    } else if begins("-----BEGIN ") {
        Unusable::NotOfASecurityKey("PEM".to_owned())
    } else if ["ssh-", "sk-", "ecdsa-"].into_iter().any(begins) {
        Unusable::PublicKey
    } else {
        Unusable::NotAKey
    }
}

/// Why a file is of no use as a private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// The system said so.
    NotRead(String),
    /// A directory, a pipe, a device.
    NoFile,
    /// Over [`LARGEST`].
    TooLarge,
    /// No key at all.
    NotAKey,
    /// A public key.
    PublicKey,
    /// A private key of this kind, which a file holds, not a security key.
    NotOfASecurityKey(String),
    /// It began well.
    Damaged(String),
    /// More than [`MOST_ROUNDS`].
    TooManyRounds(u32),
    /// Or the file is damaged: nobody can tell these apart.
    WrongPassphrase,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead(problem) => f.write_str(problem),
            Self::NoFile => f.write_str("it is not a file"),
            Self::TooLarge => write!(f, "it has more than {LARGEST} bytes"),
            Self::NotAKey => f.write_str("it is no private key"),
            Self::PublicKey => f.write_str("it is a public key; the private key is needed"),
            Self::NotOfASecurityKey(kind) => write!(
                f,
                "it is a private key of its own ({kind}), and no security key holds it"
            ),
            Self::Damaged(why) => write!(f, "it is damaged: {why}"),
            Self::TooManyRounds(rounds) => write!(
                f,
                "its passphrase takes {rounds} rounds to check, more than {MOST_ROUNDS}"
            ),
            Self::WrongPassphrase => f.write_str("the passphrase is wrong, or it is damaged"),
        }
    }
}

/// Why a private-key file could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CannotRead<E> {
    /// It is of no use.
    Unusable(Unusable),
    /// It is encrypted, and there is no passphrase.
    NoPassphrase(E),
}

impl<E> From<Unusable> for CannotRead<E> {
    fn from(problem: Unusable) -> Self {
        Self::Unusable(problem)
    }
}

/// A key could not be written as text, which no key that was checked does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotWritten;

impl From<ssh_key::Error> for NotWritten {
    fn from(_: ssh_key::Error) -> Self {
        Self
    }
}

impl fmt::Display for NotWritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key could not be written as text")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;
    use std::fs;
    use std::path::PathBuf;

    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command, ssh::SshCommand};

    /// The points that generate the two groups (SEC 2 §2.4.2, RFC 8032 §5.1): keys
    /// that everybody knows.
    pub(crate) const X: [u8; 32] =
        *b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\
        \x77\x03\x7d\x81\x2d\xeb\x33\xa0\xf4\xa1\x39\x45\xd8\x98\xc2\x96";
    pub(crate) const Y: [u8; 32] =
        *b"\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\
        \x2b\xce\x33\x57\x6b\x31\x5e\xce\xcb\xb6\x40\x68\x37\xbf\x51\xf5";
    pub(crate) const ED25519: [u8; 32] = {
        let mut y = [0x66; 32];
        y[0] = 0x58;
        y
    };

    /// A key for `application` whose handle has `length` bytes.
    pub(crate) fn ecdsa(application: &str, length: usize) -> KeyFile {
        let application = SshApplication::parse(application).unwrap();
        KeyFile {
            public_key: PublicKey::es256(&X, &Y, application).unwrap(),
            id: CredentialId::new(&vec![0x1d; length]).unwrap(),
            flags: Flags::of(true, false, false),
            comment: "alice@laptop".to_owned(),
        }
    }

    fn ed25519() -> KeyFile {
        let application = SshApplication::parse("ssh:").unwrap();
        KeyFile {
            public_key: PublicKey::eddsa(&ED25519, application).unwrap(),
            ..ecdsa("ssh:", 64)
        }
    }

    pub(crate) fn encryption(more: &[&str]) -> Encryption {
        let line = [&["passkey", "ssh", "enroll"], more].concat();
        let Command::Ssh(ssh) = Cli::try_parse_from(line).unwrap().command else {
            panic!("another command");
        };
        let SshCommand::Enroll(enroll) = ssh.command else {
            panic!("another command");
        };
        enroll.encryption
    }

    fn passphrase() -> Passphrase {
        Passphrase::for_test("my house has 🗝️ 3")
    }

    /// What is read of a file with these contents.
    fn read(contents: &[u8], passphrase: &Passphrase) -> Result<KeyFile, Unusable> {
        let name = format!("passkey-{:016x}", getrandom::u64().unwrap());
        let path: PathBuf = std::env::temp_dir().join(name);
        fs::write(&path, contents).unwrap();
        let closed = Closed::read(&path);
        fs::remove_file(&path).unwrap();
        let opened = closed?.open(|| Ok::<_, Infallible>(passphrase.clone()));
        opened.map_err(|problem| match problem {
            CannotRead::Unusable(why) => why,
            CannotRead::NoPassphrase(never) => match never {},
        })
    }

    #[test]
    fn a_key_file_comes_back_as_it_went_whatever_its_handles_length() {
        for key in [
            ecdsa("ssh:", 1),
            ecdsa("ssh:My Laptop", 255),
            ecdsa("ssh:", 256),
            ecdsa("ssh:", 1023),
            ed25519(),
        ] {
            let text = key.to_openssh(&encryption(&[]), None).unwrap();
            assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
            assert_eq!(read(text.as_bytes(), &passphrase()), Ok(key));
        }
    }

    #[test]
    fn every_cipher_is_opened_by_its_passphrase_and_by_no_other() {
        for cipher in [
            "aes128-ctr",
            "aes192-ctr",
            "aes256-ctr",
            "aes128-cbc",
            "aes192-cbc",
            "aes256-cbc",
            "aes128-gcm@openssh.com",
            "aes256-gcm@openssh.com",
            "chacha20-poly1305@openssh.com",
        ] {
            let encryption = encryption(&["-Z", cipher, "-a", "2"]);
            let key = ecdsa("ssh:", 241);
            let text = key.to_openssh(&encryption, Some(&passphrase())).unwrap();
            assert_eq!(read(text.as_bytes(), &passphrase()), Ok(key), "{cipher}");
            assert_eq!(
                read(text.as_bytes(), &Passphrase::for_test("another one")),
                Err(Unusable::WrongPassphrase),
                "{cipher}"
            );
        }
    }

    #[test]
    fn what_is_no_key_of_a_security_key_is_named() {
        const PLAIN: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACCzPq7zfqLffKoBDe/eo04kH2XxtSmk9D7RQyf1xUqrYgAAAJgAIAxdACAM
XQAAAAtzc2gtZWQyNTUxOQAAACCzPq7zfqLffKoBDe/eo04kH2XxtSmk9D7RQyf1xUqrYg
AAAEC2BsIi0QwW2uFscKTUUXNHLsYX4FxlaSDSblbAj7WR7bM+rvN+ot98qgEN796jTiQf
ZfG1KaT0PtFDJ/XFSqtiAAAAEHVzZXJAZXhhbXBsZS5jb20BAgMEBQ==
-----END OPENSSH PRIVATE KEY-----
";
        let whole = ecdsa("ssh:", 64)
            .to_openssh(&encryption(&[]), None)
            .unwrap();
        let half = &whole.as_bytes()[..whole.len() / 2];
        let public = ecdsa("ssh:", 64).public_line().unwrap();
        let pem = b"-----BEGIN RSA PRIVATE KEY-----\nMIIE\n";
        let largest = usize::try_from(LARGEST).unwrap();
        for (contents, why) in [
            (&b""[..], Unusable::NotAKey),
            (b"a letter to a friend", Unusable::NotAKey),
            (&vec![b'a'; largest], Unusable::NotAKey),
            (&vec![b'a'; largest + 1], Unusable::TooLarge),
            (public.as_bytes(), Unusable::PublicKey),
            (pem, Unusable::NotOfASecurityKey("PEM".into())),
            (
                PLAIN.as_bytes(),
                Unusable::NotOfASecurityKey("ssh-ed25519".into()),
            ),
            (
                half,
                Unusable::Damaged("it cannot be read to its end".into()),
            ),
        ] {
            assert_eq!(read(contents, &passphrase()), Err(why));
        }
        assert!(matches!(
            Closed::read(&std::env::temp_dir()),
            Err(Unusable::NoFile)
        ));
    }

    #[test]
    fn a_login_s_key_is_none_for_ssh() {
        // Another application than ssh:..., as no file of ours ever says.
        let text = ecdsa("ssh:", 64)
            .to_openssh(&encryption(&[]), None)
            .unwrap();
        let key = PrivateKey::from_openssh(text.as_bytes()).unwrap();
        let bytes = key.to_bytes().unwrap();
        let at: Vec<usize> = (0..bytes.len() - 4)
            .filter(|at| &bytes[*at..*at + 4] == b"ssh:")
            .collect();
        assert_eq!(at.len(), 2);
        let mut changed = bytes.to_vec();
        for at in at {
            changed[at..at + 4].copy_from_slice(b"pam:");
        }
        let changed = PrivateKey::from_bytes(&changed).unwrap();
        let changed = changed.to_openssh(LineEnding::LF).unwrap();
        assert!(matches!(
            read(changed.as_bytes(), &passphrase()),
            Err(Unusable::Damaged(_))
        ));
    }

    #[test]
    fn a_hostile_file_cannot_have_us_count_for_ever() {
        let text = |rounds: u32| {
            let key = PrivateKey::new(ecdsa("ssh:", 64).keypair().unwrap(), "").unwrap();
            let kdf = Kdf::Bcrypt {
                salt: vec![0; 16],
                rounds: 1,
            };
            let key = key
                .encrypt_with(Cipher::Aes256Ctr, kdf, 0, passphrase().as_bytes())
                .unwrap();
            let mut bytes = key.to_bytes().unwrap().to_vec();
            // The salt, and the rounds behind it.
            let salt = bytes.windows(16).position(|it| it == [0; 16]).unwrap();
            bytes[salt + 16..salt + 20].copy_from_slice(&rounds.to_be_bytes());
            let key = PrivateKey::from_bytes(&bytes).unwrap();
            key.to_openssh(LineEnding::LF).unwrap()
        };
        assert_eq!(
            read(text(MOST_ROUNDS + 1).as_bytes(), &passphrase()),
            Err(Unusable::TooManyRounds(MOST_ROUNDS + 1))
        );
        // One that is still tried, and takes seconds where it is not optimised.
        assert!(read(text(1).as_bytes(), &passphrase()).is_ok());
    }

    #[test]
    fn an_authorized_line_carries_what_the_key_demands() {
        let line = |flags| {
            KeyFile {
                flags,
                ..ecdsa("ssh:", 64)
            }
            .authorized_line()
            .unwrap()
        };
        let plain = ecdsa("ssh:", 64).public_line().unwrap();
        assert!(plain.starts_with("sk-ecdsa-sha2-nistp256@openssh.com AAAA"));
        assert!(plain.ends_with(" alice@laptop"));
        assert_eq!(line(Flags::of(true, false, true)), plain);
        assert_eq!(
            line(Flags::of(true, true, false)),
            format!("verify-required {plain}")
        );
        assert_eq!(
            line(Flags::of(false, false, false)),
            format!("no-touch-required {plain}")
        );
        assert_eq!(
            line(Flags::of(false, true, false)),
            format!("verify-required,no-touch-required {plain}")
        );
    }

    #[test]
    fn a_comment_stays_on_its_line() {
        assert_eq!(
            one_line(b"alice\nssh-ed25519 AAAA"),
            "alice?ssh-ed25519 AAAA"
        );
        assert_eq!(
            one_line("a\u{202e}b\u{2028}c \u{1f469}\u{200d}\u{1f52c}".as_bytes()),
            "a?b?c \u{1f469}\u{200d}\u{1f52c}"
        );
    }
}

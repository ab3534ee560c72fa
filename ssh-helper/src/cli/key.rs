//! `passkey key`: looks after a security key itself.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Look after a security key itself: its PIN, credentials, fingerprints and
/// settings.
///
/// With one key plugged in, that one is meant. With several, a person at a
/// terminal is asked which; a script says so with --key. PINs are typed at a
/// terminal and nowhere else: they are never an argument, never in a file, and
/// never in the environment. How many tries a key has left is shown before each
/// prompt, and its last one is used only by who types the word "last".
#[derive(Args, Debug)]
pub(crate) struct Key {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: KeyCommand,

    /// The key, by its device node as `passkey key list` shows it.
    #[arg(long = "key", value_name = "NODE", global = true)]
    pub(crate) node: Option<PathBuf>,
}

/// What can be done with a key.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the keys plugged in.
    ///
    /// Their device nodes, products and models, and whether you may open them.
    /// A model's name is known from the AAGUID, which is the key's own word.
    List,
    /// Show what a key says of itself.
    ///
    /// The protocols, options, algorithms, extensions and transports it knows;
    /// whether it has a PIN, how short that may be and how many wrong ones it
    /// still takes; how many credentials it has room for. Nothing of it needs
    /// the PIN or a touch.
    Info,
    /// Set or change a key's PIN.
    Pin {
        /// What to do with it.
        #[command(subcommand)]
        command: PinCommand,
    },
    /// List or remove the credentials that a key keeps itself.
    ///
    /// These are discoverable credentials ("passkeys"). Others, such as those
    /// that `passkey enroll` makes unless told otherwise, take no room on the
    /// key, and it cannot list them.
    Credentials {
        /// What to do with them.
        #[command(subcommand)]
        command: CredentialsCommand,
    },
    /// List, add, rename or remove the fingerprints that a key knows.
    Fingerprints {
        /// What to do with them.
        #[command(subcommand)]
        command: FingerprintsCommand,
    },
    /// Change a key's settings.
    Config {
        /// Which setting.
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make a key forget everything: PIN, fingerprints and all credentials.
    ///
    /// Whatever was enrolled with it works no more, at this machine and
    /// everywhere else, and nothing brings it back. What is lost is named, and
    /// the word "reset" must be typed. The key must then be unplugged, plugged in
    /// and touched: it takes the request only in the first ten seconds.
    Reset,
    /// The process that speaks to the key; nobody but `passkey` starts it.
    #[command(hide = true)]
    Worker,
}

/// What can be done with a PIN.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum PinCommand {
    /// Give a key that has none a PIN.
    ///
    /// It is typed twice. A PIN has at least four characters, more where the
    /// key says so, and at most 63 bytes; letters are allowed.
    Set,
    /// Change a key's PIN.
    ///
    /// The old one is asked for, and the new one twice. What the key is
    /// enrolled for stays as it is.
    Change,
}

/// What can be done with the credentials on a key.
#[derive(Debug, Subcommand)]
pub(crate) enum CredentialsCommand {
    /// List them: relying party, user and id. Asks for the PIN.
    List,
    /// Remove one. Asks for the PIN, and for the word "remove" once it is clear
    /// what is lost.
    Remove {
        /// The credential's id in hexadecimal, or the beginning of it that no
        /// other has.
        #[arg(value_parser = hexadecimal)]
        id: String,
    },
}

/// What can be done with the fingerprints on a key.
#[derive(Debug, Subcommand)]
pub(crate) enum FingerprintsCommand {
    /// List them: id and name. Asks for the PIN.
    List,
    /// Add one. Asks for the PIN, and for the finger several times.
    Add {
        /// What to call it.
        #[arg(long)]
        name: Option<String>,
    },
    /// Give one another name. Asks for the PIN.
    Rename {
        /// Its id in hexadecimal, or the beginning of it that no other has.
        #[arg(value_parser = hexadecimal)]
        id: String,
        /// The new name.
        name: String,
    },
    /// Remove one. Asks for the PIN, and for the word "remove".
    Remove {
        /// Its id in hexadecimal, or the beginning of it that no other has.
        #[arg(value_parser = hexadecimal)]
        id: String,
    },
}

/// The settings.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Whether the key wants a PIN or fingerprint for everything it signs, also
    /// where a touch would do. Asks for the PIN.
    AlwaysUv {
        /// Whether it is to.
        #[arg(value_enum)]
        wanted: OnOrOff,
    },
    /// The fewest characters a PIN may have. Asks for the PIN, and for the word
    /// "longer": only a reset makes it less again.
    ///
    /// A PIN that is shorter than that must be changed before the key is good
    /// for anything else.
    MinPinLength {
        /// In characters.
        #[arg(value_parser = clap::value_parser!(u8).range(4..=63))]
        length: u8,
    },
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnOrOff {
    /// Always, even where a touch would do.
    On,
    /// Only where it is asked for.
    Off,
}

/// The beginning of an id, in small letters.
pub(super) fn hexadecimal(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err("an id is written in hexadecimal digits".to_owned());
    }
    Ok(text.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;
    use crate::cli::{Cli, Command};

    fn parsed(line: &str) -> Result<Key, ErrorKind> {
        match Cli::try_parse_from(line.split_whitespace()) {
            Ok(Cli {
                command: Command::Key(key),
                ..
            }) => Ok(key),
            Ok(_) => panic!("another command"),
            Err(problem) => Err(problem.kind()),
        }
    }

    #[test]
    fn the_key_may_be_named_anywhere() {
        for line in [
            "passkey key --key /dev/hidraw3 info",
            "passkey key info --key /dev/hidraw3",
            "passkey key pin set --key /dev/hidraw3",
        ] {
            let node = parsed(line).unwrap().node;
            assert_eq!(node, Some(PathBuf::from("/dev/hidraw3")), "{line}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_a_usage_error() {
        for line in [
            "passkey key credentials remove xyz",
            "passkey key config min-pin-length 3",
            "passkey key config min-pin-length 64",
        ] {
            assert_eq!(
                parsed(line).unwrap_err(),
                ErrorKind::ValueValidation,
                "{line}"
            );
        }
        let word = parsed("passkey key config always-uv perhaps").unwrap_err();
        assert_eq!(word, ErrorKind::InvalidValue);
    }

    #[test]
    fn nobody_is_shown_the_worker() {
        let help = Cli::try_parse_from(["passkey", "key", "--help"]).unwrap_err();
        assert!(!help.to_string().contains("worker"), "{help}");
    }
}

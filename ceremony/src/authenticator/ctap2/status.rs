//! Status codes (CTAP 2.1 §8.2).
#![forbid(unsafe_code)]

use std::fmt;

use crate::sentence;
use crate::sentence::{Sentence, Spoken};

macro_rules! statuses {
    ($($code:literal $name:ident $text:literal)*) => {
        /// What an authenticator answers when it does not do what was asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Status {
            $(#[doc = $text] $name,)*
            /// A code of this firmware's own, or of a later specification.
            Unknown(u8),
        }

        impl From<u8> for Status {
            fn from(code: u8) -> Self {
                match code {
                    $($code => Self::$name,)*
                    other => Self::Unknown(other),
                }
            }
        }

        impl Status {
            /// The number as it came.
            pub fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                    Self::Unknown(code) => code,
                }
            }
        }

        impl Spoken for Status {
            fn sentence(&self) -> Sentence {
                let said = match self {
                    $(Self::$name => sentence!($text),)*
                    Self::Unknown(_) => sentence!("an error of its own"),
                };
                let code = format!("0x{:02x}", self.code());
                sentence!("{said} (CTAP status {code})", said, code)
            }
        }

        #[cfg(test)]
        const ALL: &[(u8, Status)] = &[$(($code, Status::$name)),*];
    };
}

statuses! {
    0x01 InvalidCommand "it does not know the command"
    0x02 InvalidParameter "it did not accept a parameter"
    0x03 InvalidLength "it did not accept a length"
    0x04 InvalidSeq "it says that a packet was lost"
    0x05 Timeout "it waited in vain for a message"
    0x06 ChannelBusy "it is busy with another program"
    0x0a LockRequired "it wants its channel locked"
    0x0b InvalidChannel "it does not know the channel"
    0x11 CborUnexpectedType "it did not expect that kind of data"
    0x12 InvalidCbor "it could not read the message"
    0x14 MissingParameter "it says that a parameter is missing"
    0x15 LimitExceeded "the message exceeds one of its limits"
    0x17 FpDatabaseFull "it has no room for another fingerprint"
    0x18 LargeBlobStorageFull "its blob storage is full"
    0x19 CredentialExcluded "it already holds one of these credentials"
    0x21 Processing "it is still at work"
    0x22 InvalidCredential "it does not accept the credential"
    0x23 UserActionPending "it waits for the person"
    0x24 OperationPending "another operation is under way"
    0x25 NoOperations "no operation is under way"
    0x26 UnsupportedAlgorithm "it supports none of the algorithms"
    0x27 OperationDenied "the request was denied on the key"
    0x28 KeyStoreFull "it has no room for another credential"
    0x2b UnsupportedOption "it does not support an option"
    0x2c InvalidOption "it does not accept an option"
    0x2d KeepaliveCancel "the request was cancelled"
    0x2e NoCredentials "it holds none of the credentials"
    0x2f UserActionTimeout "nobody touched it in time"
    0x30 NotAllowed "it does not allow that"
    0x31 PinInvalid "the PIN was wrong"
    0x32 PinBlocked "its PIN is blocked; only a reset helps"
    0x33 PinAuthInvalid "it did not accept the proof of the PIN"
    0x34 PinAuthBlocked "too many wrong PINs; unplug it and plug it in again"
    0x35 PinNotSet "it has no PIN"
    0x36 PuatRequired "it wants a PIN or fingerprint first"
    0x37 PinPolicyViolation "the PIN does not meet its policy"
    0x39 RequestTooLarge "the message is too large for it"
    0x3a ActionTimeout "the action took too long"
    0x3b UpRequired "it wants a touch"
    0x3c UvBlocked "its fingerprint reader is blocked"
    0x3d IntegrityFailure "a checksum did not match"
    0x3e InvalidSubcommand "it does not know the subcommand"
    0x3f UvInvalid "the fingerprint did not match"
    0x40 UnauthorizedPermission "the PIN's permission does not cover that"
    0x7f Other "an unspecified error"
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sentence().fmt(f)
    }
}

impl std::error::Error for Status {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_as_it_went_in() {
        for code in 0..=255 {
            assert_eq!(Status::from(code).code(), code);
        }
        for &(code, status) in ALL {
            assert_eq!(Status::from(code), status);
        }
    }

    #[test]
    fn a_status_is_a_sentence_with_its_number() {
        assert_eq!(
            Status::OperationDenied.to_string(),
            "the request was denied on the key (CTAP status 0x27)"
        );
        assert_eq!(
            Status::Unknown(0xf2).to_string(),
            "an error of its own (CTAP status 0xf2)"
        );
    }
}

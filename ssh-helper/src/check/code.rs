//! What a module can answer, by its number and its word in `/etc/pam.d`
//! (`_pam_types.h`).
#![forbid(unsafe_code)]

use std::fmt;

/// A code of PAM's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Code(u8);

/// The words, in the order of their numbers.
const WORDS: [&str; Code::COUNT] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

impl Code {
    /// How many there are.
    pub(super) const COUNT: usize = 32;

    pub(super) const SUCCESS: Self = Self(0);
    pub(super) const SERVICE_ERR: Self = Self(3);
    pub(super) const PERM_DENIED: Self = Self(6);
    pub(super) const AUTH_ERR: Self = Self(7);
    pub(super) const AUTHINFO_UNAVAIL: Self = Self(9);
    pub(super) const USER_UNKNOWN: Self = Self(10);
    pub(super) const MAXTRIES: Self = Self(11);
    pub(super) const NEW_AUTHTOK_REQD: Self = Self(12);
    pub(super) const IGNORE: Self = Self(25);
    pub(super) const ABORT: Self = Self(26);
    pub(super) const MODULE_UNKNOWN: Self = Self(28);
    pub(super) const INCOMPLETE: Self = Self(31);

    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (0_u8..).take(Self::COUNT).map(Self)
    }

    /// The code that is called `word`, and nothing else.
    pub(super) fn named(word: &str) -> Option<Self> {
        Self::all().find(|code| code.word() == word)
    }

    /// The word in `/etc/pam.d`.
    pub(super) fn word(self) -> &'static str {
        WORDS.get(self.index()).copied().unwrap_or("?")
    }

    /// Its place among all codes.
    pub(super) fn index(self) -> usize {
        usize::from(self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_have_the_numbers_of_linux_pam() {
        for (code, number, word) in [
            (Code::SUCCESS, 0, "success"),
            (Code::SERVICE_ERR, 3, "service_err"),
            (Code::PERM_DENIED, 6, "perm_denied"),
            (Code::AUTH_ERR, 7, "auth_err"),
            (Code::AUTHINFO_UNAVAIL, 9, "authinfo_unavail"),
            (Code::USER_UNKNOWN, 10, "user_unknown"),
            (Code::MAXTRIES, 11, "maxtries"),
            (Code::NEW_AUTHTOK_REQD, 12, "new_authtok_reqd"),
            (Code::IGNORE, 25, "ignore"),
            (Code::ABORT, 26, "abort"),
            (Code::MODULE_UNKNOWN, 28, "module_unknown"),
            (Code::INCOMPLETE, 31, "incomplete"),
        ] {
            assert_eq!((code.index(), code.word()), (number, word));
            assert_eq!(Code::named(word), Some(code));
        }
        assert_eq!(Code::all().count(), 32);
        assert_eq!(Code::named("default"), None);
    }
}

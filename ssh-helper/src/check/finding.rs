//! What `passkey check` can find, each under a name that stays.
#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::path::Path;

use ceremony::credential;
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Somebody is locked out, or let in who should not be.
    Error,
    /// It will hurt some day, or is not what was meant.
    Warning,
    /// Good to know.
    Note,
}

impl Severity {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// The names, with what each means and why it matters.
macro_rules! ids {
    ($($id:ident $name:literal $severity:ident $why:literal;)*) => {
        /// What was found.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Id {
            $(#[doc = $why] $id,)*
        }

        impl Id {
            /// All there are, in the order of their help.
            pub(crate) const ALL: &[Self] = &[$(Self::$id,)*];

            /// The name that programs know it by.
            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$id => $name,)* }
            }

            pub(crate) fn severity(self) -> Severity {
                match self { $(Self::$id => Severity::$severity,)* }
            }

            /// Why it matters.
            pub(crate) fn why(self) -> &'static str {
                match self { $(Self::$id => $why,)* }
            }
        }
    };
}

ids! {
    NothingNeeded "nothing-needed" Error
        "Whoever asks is let in, with neither a key nor a password.";
    LockedOut "locked-out" Error
        "Nothing lets them in through this service, not even what they have.";
    NotEnrolled "not-enrolled" Warning
        "This service asks for a key, and who has none does not get in.";
    SecondFactorHole "second-factor-hole" Warning
        "Others need a password and a key here; who has no key needs the password alone.";
    OneKeyOnly "one-key-only" Warning
        "Who loses the only key is locked out where a key is needed.";
    TouchOnly "touch-only" Warning
        "A PIN or fingerprint is required here; a key that has neither opens nothing.";
    SyncedRefused "synced-refused" Warning
        "The policy does not accept keys that may be copied between devices.";
    KeyChangesNothing "key-changes-nothing" Warning
        "A key is asked for, and whatever comes of it changes nothing.";
    PasswordInVain "password-in-vain" Warning
        "Whoever's key fails is asked for a password that cannot let them in.";
    SkipsARefusal "skips-a-refusal" Warning
        "Whoever the key lets in is not seen by a later module that might refuse them.";
    RootLockedOut "root-locked-out" Note
        "Neither the console nor su lets in root itself; what leads to root is sudo alone.";
    AbortNotDie "abort-not-die" Note
        "Whoever breaks off with Ctrl-C is asked on, for a password as a rule.";
    Unclear "unclear" Note
        "What lets in here could not be found out; it may be anything.";
    NotCovered "not-covered" Note
        "The module answers these services at once and asks for no key: nobody sits there.";
    NotInUse "not-in-use" Note
        "No login on this machine asks for a key.";
    ModuleMissing "module-missing" Error
        "Libpam puts a module that always fails in its place.";
    ModuleNotLoadable "module-not-loadable" Error
        "Libpam puts a module that always fails in its place.";
    ModuleUntrusted "module-untrusted" Error
        "Whoever can write to it runs as root at the next login.";
    ArgumentRefused "argument-refused" Error
        "The module refuses everybody as long as it does not understand its line.";
    ControlRefused "control-refused" Error
        "Libpam does not understand it, and takes every answer of the module for bad.";
    JumpTooFar "jump-too-far" Error
        "A jump behind the end of its stack fails the whole stack.";
    WrongFacility "wrong-facility" Warning
        "The module does something in lines of auth alone; elsewhere it is ignored.";
    LineFaulty "line-faulty" Error
        "Libpam puts a module that always fails in its place.";
    IncludeMissing "include-missing" Error
        "Libpam fails in its place, and may give up the whole service.";
    IncludeTooDeep "include-too-deep" Error
        "Files that include themselves, or too many others, are given up.";
    FileBreaksOff "file-breaks-off" Error
        "Libpam gives up a file whose last line is to be continued.";
    PamFileAmbiguous "pam-file-ambiguous" Warning
        "Older and newer libpams read such a line differently.";
    PamFileUnreadable "pam-file-unreadable" Warning
        "What it says could not be judged.";
    PamFileUntrusted "pam-file-untrusted" Error
        "Whoever can write to it decides who gets in.";
    NeverRead "never-read" Warning
        "Libpam folds the names of services to lower case, and never finds this file.";
    ConfigFaulty "config-faulty" Error
        "No key opens anything until that line is corrected.";
    CredentialsFaulty "credentials-faulty" Error
        "None of the keys in this file opens anything.";
    RecordFaulty "record-faulty" Warning
        "This key opens nothing; the others in the file do.";
    UidDiffers "uid-differs" Error
        "The keys are those of an account that had the same name; they open nothing.";
    AccountGone "account-gone" Warning
        "An account that is made anew with this name and number inherits these keys.";
    StrayFile "stray-file" Note
        "Nothing reads it.";
    FileMissing "file-missing" Error
        "No key opens anything without it.";
    FileUntrusted "file-untrusted" Error
        "What others than root could have written is not believed, so it opens nothing.";
    StateUntrusted "state-untrusted" Warning
        "A copied key goes unnoticed, and two logins may ask for the same key at once.";
    ReceiptsUnwritable "receipts-unwritable" Warning
        "No receipt of any login is kept.";
    ServiceUnknown "service-unknown" Warning
        "Settings for a service that does not exist change nothing.";
    ServiceDisabled "service-disabled" Note
        "The key is not asked for, though the service has a line for it.";
    KeyInaccessible "key-inaccessible" Warning
        "Programs that run as you, as screen lockers do, cannot use this key.";
    Unseen "unseen" Note
        "Root alone can see it, so it was not judged.";
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) id: Id,
    /// What was found, and where.
    pub(crate) what: String,
    /// What to type, or to change.
    pub(crate) try_this: String,
}

impl Finding {
    pub(crate) fn new(id: Id, what: impl Into<String>, try_this: impl Into<String>) -> Self {
        Self {
            id,
            what: what.into(),
            try_this: try_this.into(),
        }
    }
}

impl Id {
    /// Whether it keeps out somebody who is to get in, or lets in anybody.
    pub(super) fn locks_out(self) -> bool {
        self.severity() == Severity::Error || self == Self::NotEnrolled
    }
}

impl Serialize for Finding {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Members<'f> {
            id: &'static str,
            severity: Severity,
            what: &'f str,
            why: &'static str,
            r#try: &'f str,
        }
        Members {
            id: self.id.name(),
            severity: self.id.severity(),
            what: &self.what,
            why: self.id.why(),
            r#try: &self.try_this,
        }
        .serialize(serializer)
    }
}

/// A path as a finding may show it.
pub(super) fn shown(path: &Path) -> String {
    credential::printable(&path.to_string_lossy(), 4096)
}

/// A word from a file as a finding may show it.
pub(super) fn printable(word: &str) -> String {
    credential::printable(word, 64)
}

/// All that can be found, for the help.
pub(crate) fn list() -> String {
    let mut text = "What can be found:\n".to_owned();
    for id in Id::ALL {
        let severity = id.severity().as_str();
        let _ = write!(text, "\n  {} ({severity})\n      {}", id.name(), id.why());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_kebab_case_and_each_is_one_things() {
        let names: BTreeSet<_> = Id::ALL.iter().map(|id| id.name()).collect();
        assert_eq!(names.len(), Id::ALL.len());
        for name in names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{name}"
            );
            assert!(list().contains(&format!("\n  {name} (")));
        }
    }

    #[test]
    fn a_finding_has_five_members() {
        let finding = Finding::new(Id::LockedOut, "a", "b");
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["id"], "locked-out");
        assert_eq!(json["severity"], "error");
        assert_eq!((&json["what"], &json["try"]), (&"a".into(), &"b".into()));
        assert_eq!(json["why"], Id::LockedOut.why());
    }
}

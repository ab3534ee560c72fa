//! The rules a login has to satisfy.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::Duration;

use crate::credential::UserVerification;

/// What a login through one service has to satisfy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The least demand; a credential may ask for more.
    pub user_verification: UserVerification,
    /// The one deadline of a login.
    pub timeout: Duration,
    /// What becomes of a person who has no credential.
    pub when_not_enrolled: WhenNotEnrolled,
    /// What becomes of a session that is not at this machine.
    pub remote: RemoteSessions,
    /// What becomes of a signature counter that did not grow.
    pub counter: CounterRule,
    /// What becomes of a credential that may be copied.
    pub synced: SyncedCredentials,
    /// Where receipts of approvals are kept, if they are.
    pub receipts: Option<PathBuf>,
    /// Whether this service is one of ours at all.
    pub covered: bool,
    /// What becomes of a service that is not.
    pub when_not_covered: WhenNotCovered,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            user_verification: UserVerification::Required,
            timeout: Duration::from_secs(30),
            when_not_enrolled: WhenNotEnrolled::Refuse,
            remote: RemoteSessions::Refuse,
            counter: CounterRule::Warn,
            synced: SyncedCredentials::Allow,
            receipts: None,
            covered: false,
            when_not_covered: WhenNotCovered::Refuse,
        }
    }
}

/// What becomes of a person who has no credential. The stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhenNotEnrolled {
    /// The module stands aside; the rest of the PAM stack decides.
    Ignore,
    /// They do not get in by this module.
    Refuse,
}

/// What becomes of a service that is not covered. Only a line in `/etc/pam.d` says
/// so, about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenNotCovered {
    /// The module stands aside; the rest of the PAM stack decides.
    Ignore,
    /// Nobody gets in by this module.
    Refuse,
}

/// What becomes of a session that is not at this machine. The stricter is the
/// greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RemoteSessions {
    /// Asked for a touch like any other.
    Allow,
    /// Not asked: a touch would be given by whoever sits at the machine.
    Refuse,
}

/// What becomes of a signature counter that did not grow (WebAuthn §6.1.1).
/// The stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CounterRule {
    /// A warning in the log.
    Warn,
    /// The login fails: there may be a second copy of the key.
    Refuse,
}

/// What becomes of a credential that may be copied to other authenticators
/// (the BE flag, WebAuthn §6.1.3). The stricter is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SyncedCredentials {
    /// As good as any.
    Allow,
    /// Not accepted.
    Refuse,
}

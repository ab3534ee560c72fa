//! Section two: the keys plugged in, and whether whoever asks may use them.
#![forbid(unsafe_code)]

use ceremony::authenticator::hidraw::{self, CannotOpen};

use super::finding::{Finding, Id};
use super::report::PluggedIn;

/// What gives a key to the person who sits in front of the machine.
const UDEV: &str = "sit at the machine itself; if you do, as root: \
                    echo 'SUBSYSTEM==\"hidraw\", ENV{ID_FIDO_TOKEN}==\"1\", TAG+=\"uaccess\"' \
                    > /etc/udev/rules.d/71-passkey.rules; then plug the key in again";

/// Tries each key. Nothing is asked of it.
pub(super) fn keys() -> (Vec<PluggedIn>, Vec<Finding>) {
    let mut findings = Vec::new();
    let keys = hidraw::find();
    let look = |key: &hidraw::FoundKey| {
        let problem = key.open().err();
        if let Some(problem) = problem {
            let how = match problem {
                CannotOpen::NoAccess => UDEV,
                CannotOpen::Gone | CannotOpen::AnotherDevice | CannotOpen::Io(_) => {
                    "unplug it, plug it in and run the same command again"
                }
            };
            let what = format!("{key} could not be opened: {problem}");
            findings.push(Finding::new(Id::KeyInaccessible, what, how));
        }
        PluggedIn {
            node: key.node.display().to_string(),
            product: key.product.clone(),
            accessible: problem.is_none(),
            says: problem.map(|it| it.to_string()).unwrap_or_default(),
        }
    };
    (keys.iter().map(look).collect(), findings)
}

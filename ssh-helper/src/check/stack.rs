//! The lines of a service, put together from its files, and what was stumbled
//! over on the way.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::rc::Rc;

use super::control::Control;
use super::finding::{printable, shown};

/// How deep files may include one another (`PAM_SUBSTACK_MAX_LEVEL`).
pub(super) const DEEPEST: usize = 16;

/// The most lines that are read for a stack.
pub(super) const MOST_LINES: usize = 5000;

/// The auth stack of a service.
#[derive(Clone, Debug, Default)]
pub(super) struct Stack {
    pub(super) service: String,
    pub(super) handlers: Vec<Handler>,
    /// Libpam gives the service up: `pam_start` or `pam_authenticate` fails.
    pub(super) given_up: bool,
    pub(super) troubles: Vec<Trouble>,
    /// Lines that name our module where it does nothing, and for what.
    pub(super) misplaced: Vec<(Place, String)>,
    /// Whether our module is named anywhere on the way, reached or not.
    pub(super) names_us: bool,
    /// Every file that was read for it.
    pub(super) files: BTreeSet<Rc<Path>>,
    /// The file it begins in; none where `other` stands for it.
    pub(super) file: Option<Rc<Path>>,
}

/// A line of a file, for people to find it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: Rc<Path>,
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", shown(&self.file), self.line)
    }
}

/// A line of the auth stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Handler {
    pub(super) place: Place,
    /// How many substacks it is in.
    pub(super) level: usize,
    pub(super) control: Control,
    pub(super) work: Work,
}

/// What a line does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Asks a module.
    Module {
        /// As it stands there: a name, or a whole path.
        path: String,
        arguments: Vec<String>,
    },
    /// Libpam does not understand it, and lets it fail.
    MustFail,
    /// A substack begins with the next line.
    Substack,
}

impl Handler {
    /// The module's name, without a path and `.so`.
    pub(super) fn module(&self) -> Option<&str> {
        match &self.work {
            Work::Module { path, .. } => Some(module_name(path)),
            Work::MustFail | Work::Substack => None,
        }
    }

    /// What is said to the module.
    pub(super) fn arguments(&self) -> &[String] {
        match &self.work {
            Work::Module { arguments, .. } => arguments,
            Work::MustFail | Work::Substack => &[],
        }
    }

    /// Whether it asks our module.
    pub(super) fn is_ours(&self) -> bool {
        self.module() == Some(OURS)
    }
}

/// Our module's name.
pub(super) const OURS: &str = "pam_passkey";

/// `pam_unix` of `/lib/security/pam_unix.so`.
pub(super) fn module_name(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or(name, |(name, _)| name)
}

/// What libpam stumbles over while it puts a stack together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    IncludeMissing(Place, String),
    /// An `@include` failed below an `include`: Debian's libpam then takes what
    /// its memory holds for the control of the line.
    Undefined(Place),
    TooDeep(Place),
    BreaksOff(Rc<Path>),
    NoModule(Place),
    IllegalType(Place, String),
    /// Not every libpam reads this line alike.
    Ambiguous(Place),
    Unreadable(Rc<Path>, String),
    TooMany,
}

impl Trouble {
    /// Whether what the stack does cannot be told any more.
    pub(super) fn leaves_it_unclear(&self) -> bool {
        matches!(
            self,
            Self::Undefined(_)
                | Self::TooDeep(_)
                | Self::Ambiguous(_)
                | Self::Unreadable(..)
                | Self::TooMany
        )
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IncludeMissing(place, name) => write!(
                f,
                "{place} includes \"{}\", and there is no such file",
                printable(name)
            ),
            Self::Undefined(place) => write!(
                f,
                "{place} fails, and what libpam does then is left to chance"
            ),
            Self::TooDeep(place) => {
                write!(f, "{place} is included more than {DEEPEST} files deep")
            }
            Self::BreaksOff(file) => {
                write!(f, "{} ends with a line to be continued", shown(file))
            }
            Self::NoModule(place) => write!(f, "{place} names no module"),
            Self::IllegalType(place, word) => write!(
                f,
                "{place} begins with \"{}\", not with auth, account, password or session",
                printable(word)
            ),
            Self::Ambiguous(place) => write!(
                f,
                "{place} has a NUL or more than {} bytes, which not every libpam reads alike",
                super::line::LONGEST
            ),
            Self::Unreadable(file, why) => write!(f, "{} cannot be read: {why}", shown(file)),
            Self::TooMany => write!(
                f,
                "its stack is put together from more than {MOST_LINES} lines"
            ),
        }
    }
}

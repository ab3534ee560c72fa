//! Whose programs a machine runs: those of the machine below, or of a Debian laid down beside it.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use super::entrance::where_the_bench_is_built;

/// A system whose programs a machine can run. A laid-down one has OpenSSH, git, a shell and
/// little else (`.ci/debians`).
#[derive(Clone, Debug)]
pub struct Debian {
    name: String,
    root: Option<PathBuf>,
}

impl Debian {
    /// Debian 12 and Debian 13, as far as `make test` has laid them down; the machine below where
    /// there is neither.
    #[must_use]
    pub fn at_hand() -> Vec<Self> {
        let links = where_the_bench_is_built().with_file_name("debian");
        let mut laid_down: Vec<Self> = fs::read_dir(links)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|link| {
                let root = fs::canonicalize(link.path()).ok()?;
                Some(Self {
                    name: link.file_name().to_string_lossy().into_owned(),
                    root: Some(root),
                })
            })
            .collect();
        laid_down.sort_by(|one, other| one.name.cmp(&other.name));
        if laid_down.is_empty() {
            laid_down.push(Self::of_this_machine());
        }
        laid_down
    }

    /// The machine below.
    #[must_use]
    pub fn of_this_machine() -> Self {
        Self {
            name: "this machine".to_owned(),
            root: None,
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is the machine below.
    #[must_use]
    pub fn is_of_this_machine(&self) -> bool {
        self.root.is_none()
    }

    pub(super) fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Whether it has this program; an absolute path.
    #[must_use]
    pub fn has(&self, program: &str) -> bool {
        let root = self.root().unwrap_or(Path::new("/"));
        root.join(program.trim_start_matches('/')).exists()
    }
}

//! The way into a machine: the command line that makes a namespace, covers the real directories
//! and becomes the command. The program `inside` does the covering.

#![forbid(unsafe_code)]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::COVERED;

/// What the one who runs the tests may do here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Root: a mount namespace, every user, setuid programs work.
    Root,
    /// A user with subordinate ids (`/etc/subuid`) and newuidmap: every user exists inside.
    UserWithSubordinates,
    /// Any other user: inside there is only root, who is that user.
    User,
}

impl Privilege {
    /// Whether a command can be run as alice.
    pub fn has_other_users(self) -> bool {
        self != Self::User
    }

    fn unshare(self) -> Command {
        // Whoever runs the tests may ignore signals (nohup); a machine's programs do not.
        let mut unshare = Command::new("/usr/bin/env");
        unshare.args([
            "--default-signal=INT,QUIT,TERM,HUP",
            "/usr/bin/unshare",
            "--mount",
            // A test may give its machine another name, and not ours.
            "--uts",
        ]);
        match self {
            Self::Root => &mut unshare,
            Self::UserWithSubordinates => unshare.args(["--map-root-user", "--map-auto"]),
            Self::User => unshare.arg("--map-root-user"),
        };
        unshare
    }
}

/// The most that works here, found out by trying.
pub fn privilege() -> Privilege {
    static FOUND: OnceLock<Privilege> = OnceLock::new();
    *FOUND.get_or_init(|| {
        [Privilege::Root, Privilege::UserWithSubordinates, Privilege::User]
            .into_iter()
            .find(|privilege| {
                let mut attempt = privilege.unshare();
                attempt.arg("/bin/true").stdout(Stdio::null()).stderr(Stdio::null());
                attempt.status().is_ok_and(|status| status.success())
            })
            .expect("this kernel lets neither root nor users make mount namespaces (unshare -m, unshare -Urm)")
    })
}

/// A machine's door.
pub(crate) struct Entrance {
    root: PathBuf,
    /// Where the programs lie, if they are not the real machine's.
    programs: Option<PathBuf>,
    /// Files of the real machine, and where in the machine's directory they are laid.
    installed: Vec<(PathBuf, PathBuf)>,
}

/// How a command enters.
pub(crate) struct Entry<'a> {
    pub(crate) user: &'a str,
    pub(crate) cgroup: Option<&'a Path>,
    pub(crate) on_a_terminal: bool,
}

impl Entrance {
    pub(crate) fn new(root: &Path) -> Self {
        let mut entrance = Self {
            root: root.to_owned(),
            programs: None,
            installed: Vec::new(),
        };
        let built = where_the_bench_is_built();
        let product = where_the_product_is_built(&built);
        for (file, place) in [
            (built.join("pam-host"), "usr/local/bin/pam-host"),
            (
                PathBuf::from(env!("HID_IOCTLS")),
                "usr/local/lib/bench/libhid_ioctls.so",
            ),
            (product.join("passkey"), "usr/local/bin/passkey"),
            (
                product.join("libpam_passkey.so"),
                "usr/local/lib/security/pam_passkey.so",
            ),
        ] {
            if file.exists() {
                entrance.install(&file, &root.join(place));
            }
        }
        entrance
    }

    /// From now on its programs are those in this root.
    pub(super) fn take_programs_from(&mut self, root: &Path) {
        self.programs = Some(root.to_owned());
    }

    pub(crate) fn install(&mut self, file: &Path, place: &Path) {
        fs::create_dir_all(place.parent().expect("inside the machine"))
            .expect("a directory of the machine");
        fs::write(place, "").expect("a place to mount on");
        self.installed.push((file.to_owned(), place.to_owned()));
    }

    /// A command line that ends where the command inside begins.
    pub(crate) fn command(&self, entry: &Entry<'_>) -> Command {
        let mut command = privilege().unshare();
        command
            .arg(where_the_bench_is_built().join("inside"))
            .arg(&self.root);
        if let Some(programs) = &self.programs {
            command.arg("--programs").arg(programs);
        }
        for (file, place) in &self.installed {
            command.arg("--bind").args([file, place]);
        }
        for (directory, _) in COVERED {
            command.arg("--cover").arg(directory);
        }
        if let Some(cgroup) = entry.cgroup {
            command.arg("--cgroup").arg(cgroup);
        }
        if entry.on_a_terminal {
            command.arg("--terminal");
        }
        if entry.user != "root" {
            command.args(["--user", entry.user]);
        }
        command.arg("--");
        command
    }

    /// Empties directories of the machine as the root that is inside.
    pub(crate) fn delete_from_inside(&self, directories: &[&str]) {
        let mut rm = privilege().unshare();
        rm.args(["/bin/rm", "-rf"]).args(
            directories
                .iter()
                .map(|directory| self.root.join(directory)),
        );
        let _ = rm.status();
    }
}

/// The directory cargo put this test, and the programs of the bench, into.
pub(super) fn where_the_bench_is_built() -> PathBuf {
    let this = env::current_exe().expect("the running program has a path");
    let mut above = this.ancestors().skip(1);
    above
        .find(|directory| directory.join("inside").exists() && directory.join("pam-host").exists())
        .expect("the bench's programs are not built: run `cargo build --package tests`")
        .to_owned()
}

/// The module as it ships.
pub fn the_module() -> PathBuf {
    where_the_product_is_built(&where_the_bench_is_built()).join("libpam_passkey.so")
}

/// The product as it ships, beside the bench in cargo's target directory; elsewhere, if the
/// bench is told so by `BENCH_PRODUCT_DIR`. The product itself never reads that.
fn where_the_product_is_built(bench: &Path) -> PathBuf {
    match env::var_os("BENCH_PRODUCT_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => bench.with_file_name("release"),
    }
}

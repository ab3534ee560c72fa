//! Drops the time stamps by which sudo remembers that somebody has just
//! logged in: who removes a key wants the next sudo to ask.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use ceremony::account::Account;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

/// What became of an account's time stamps.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Dropped {
    /// Those that are gone now.
    pub(crate) gone: Vec<PathBuf>,
    /// Those that are still there, with the reason.
    pub(crate) left: Vec<(PathBuf, Errno)>,
}

/// Drops the time stamps of `account`. Where there are none, that is well.
pub(crate) fn drop_all(account: &Account) -> Dropped {
    drop_below(Path::new("/run"), account)
}

fn drop_below(run: &Path, account: &Account) -> Dropped {
    let number = account.uid.to_string();
    let mut dropped = Dropped::default();
    // sudo before 1.9.15 names them for the account, later ones for its
    // number; sudo-rs has always used the number.
    for (folder, name) in [
        ("sudo/ts", account.name.as_str()),
        ("sudo/ts", &number),
        ("sudo-rs/ts", &number),
    ] {
        let folder = run.join(folder);
        match unlink(&folder, name) {
            Ok(()) => dropped.gone.push(folder.join(name)),
            Err(Errno::ENOENT) => {}
            Err(problem) => dropped.left.push((folder.join(name), problem)),
        }
    }
    dropped
}

/// Unlinks `name` in `folder`: the link itself, were it one, never its target.
fn unlink(folder: &Path, name: &str) -> nix::Result<()> {
    let folder = open(
        folder,
        OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?;
    unlinkat(&folder, name, UnlinkatFlags::NoRemoveDir)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use ceremony::account::UserName;

    use super::*;

    /// A `/run` of our own, taken away with the test.
    struct Run(PathBuf);

    impl Run {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("passkey-{test}-{}", std::process::id()));
            fs::create_dir_all(path.join("sudo/ts")).unwrap();
            fs::create_dir_all(path.join("sudo-rs/ts")).unwrap();
            Self(path)
        }

        fn file(&self, name: &str) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, "").unwrap();
            path
        }
    }

    impl Drop for Run {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn alice() -> Account {
        Account {
            name: UserName::parse("alice").unwrap(),
            uid: 1000,
        }
    }

    #[test]
    fn the_accounts_time_stamps_go_and_no_others() {
        let run = Run::new("stamps");
        let hers = [
            run.file("sudo/ts/alice"),
            run.file("sudo/ts/1000"),
            run.file("sudo-rs/ts/1000"),
        ];
        let others = [run.file("sudo/ts/bob"), run.file("sudo-rs/ts/1001")];
        let dropped = drop_below(&run.0, &alice());
        assert_eq!(dropped.gone, hers);
        assert_eq!(dropped.left, []);
        assert!(hers.iter().all(|path| !path.exists()));
        assert!(others.iter().all(|path| path.exists()));
    }

    #[test]
    fn absent_time_stamps_are_fine() {
        let run = Run::new("none");
        assert_eq!(drop_below(&run.0, &alice()), Dropped::default());
        let nowhere = run.0.join("nowhere");
        assert_eq!(drop_below(&nowhere, &alice()), Dropped::default());
    }

    #[test]
    fn a_link_goes_and_its_target_stays() {
        let run = Run::new("link");
        let target = run.file("target");
        symlink(&target, run.0.join("sudo/ts/alice")).unwrap();
        assert_eq!(drop_below(&run.0, &alice()).gone.len(), 1);
        assert!(target.exists());
    }

    #[test]
    fn a_folder_that_is_a_link_is_not_followed() {
        let run = Run::new("folder");
        fs::remove_dir(run.0.join("sudo-rs/ts")).unwrap();
        fs::create_dir(run.0.join("elsewhere")).unwrap();
        let target = run.file("elsewhere/1000");
        symlink(run.0.join("elsewhere"), run.0.join("sudo-rs/ts")).unwrap();
        let dropped = drop_below(&run.0, &alice());
        assert_eq!(dropped.left.len(), 1);
        assert!(target.exists());
    }
}

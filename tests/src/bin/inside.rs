//! Enters a machine of the bench: runs in a fresh mount namespace (`unshare --mount`), covers
//! the real directories with the machine's, and becomes the command.
//!
//! `inside MACHINE [--programs ROOT] [--bind FILE PLACE]… [--cover DIR]… [--cgroup FILE] [--terminal] [--user NAME] -- COMMAND…`

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stderr,
    reason = "whoever started us reads why we failed"
)]

use std::env;
use std::ffi::{CString, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, chroot, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::mount::{MsFlags, mount};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;
use nix::unistd::{User, initgroups, setgid, setsid, setuid, ttyname};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Nodes that a machine has in common with the real one.
const NODES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty"];

fn main() -> ExitCode {
    match enter(env::args_os().skip(1)) {
        Ok(mut command) => {
            let error = command.exec();
            eprintln!("inside: {}: {error}", command.get_program().display());
        }
        Err(error) => eprintln!("inside: {error}"),
    }
    ExitCode::from(127)
}

fn enter(mut arguments: impl Iterator<Item = OsString>) -> Outcome<Command> {
    let mut next = || arguments.next().ok_or("an argument is missing");
    let machine = PathBuf::from(next()?);
    let mut user = None;
    let mut programs = None;
    // Whoever started us may be killed: nothing of ours outlives it.
    set_pdeathsig(Signal::SIGKILL)?;
    furnish_dev(&machine.join("dev"))?;
    loop {
        match next()?.to_str() {
            // Where the directories are covered from here on.
            Some("--programs") => programs = Some(PathBuf::from(next()?)),
            Some("--bind") => {
                let file = PathBuf::from(next()?);
                bind(&file, Path::new(&next()?))?;
            }
            Some("--cover") => {
                let directory = next()?;
                let below = programs.as_deref().unwrap_or(Path::new("/"));
                bind(&machine.join(&directory), &below.join(&directory))?;
            }
            // The command will have our process id, so this file will be its own.
            Some("--cgroup") => {
                bind(
                    Path::new(&next()?),
                    Path::new(&format!("/proc/{}/cgroup", std::process::id())),
                )?;
            }
            Some("--terminal") => {
                setsid()?;
                // Without O_NOCTTY: this makes it the session's terminal.
                fs::File::options()
                    .read(true)
                    .write(true)
                    .open(ttyname(io::stdin())?)?;
            }
            Some("--user") => {
                user = Some(next()?.into_string().map_err(|_| "a user name is text")?);
            }
            Some("--") => break,
            other => return Err(format!("{other:?} is no option").into()),
        }
    }
    let mut command = Command::new(next()?);
    command.args(arguments);
    if let Some(programs) = programs {
        move_to(&programs)?;
    }
    if let Some(name) = user {
        become_user(&name)?;
    }
    Ok(command)
}

/// Leaves the real machine's programs for those in this root. What is of the kernel, and where
/// tests keep their files, comes along.
fn move_to(root: &Path) -> Outcome<()> {
    for directory in ["proc", "tmp"] {
        bind(&Path::new("/").join(directory), &root.join(directory))?;
    }
    chroot(root)?;
    env::set_current_dir("/")?;
    Ok(())
}

/// The nodes and links that programs expect beside the hidraw nodes.
fn furnish_dev(dev: &Path) -> Outcome<()> {
    for node in NODES {
        let real = Path::new("/dev").join(node);
        if fs::metadata(&real).is_ok_and(|node| node.file_type().is_char_device()) {
            place(&dev.join(node), false)?;
            bind(&real, &dev.join(node))?;
        }
    }
    place(&dev.join("pts"), true)?;
    bind(Path::new("/dev/pts"), &dev.join("pts"))?;
    place(&dev.join("shm"), true)?;
    for (link, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        already_there_is_fine(symlink(target, dev.join(link)))?;
    }
    Ok(())
}

/// Makes something to mount on. Commands enter side by side: another one may be first.
fn place(path: &Path, is_directory: bool) -> io::Result<()> {
    already_there_is_fine(if is_directory {
        fs::create_dir(path)
    } else {
        fs::File::create_new(path).map(drop)
    })
}

fn already_there_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

/// With what is mounted below it, so that the nodes come along with `/dev`.
fn bind(what: &Path, over: &Path) -> Outcome<()> {
    mount(
        Some(what),
        over,
        None::<&str>,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        None::<&str>,
    )
    .map_err(|error| format!("{} over {}: {error}", what.display(), over.display()).into())
}

/// As the machine's own `/etc/passwd` and `/etc/group` have them.
fn become_user(name: &str) -> Outcome<()> {
    let user = User::from_name(name)?.ok_or_else(|| format!("{name} is no user of the machine"))?;
    initgroups(&CString::new(name)?, user.gid)?;
    setgid(user.gid)?;
    setuid(user.uid)?;
    // A change of ids takes the death signal away.
    set_pdeathsig(Signal::SIGKILL)?;
    Ok(())
}

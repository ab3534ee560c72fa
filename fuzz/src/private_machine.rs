//! A machine of a thread's own: `/dev`, `/sys`, `/run` and `/var/lib` are empty
//! directories in memory, covered in a mount namespace that ends with the
//! thread. So the product meets what it always meets, under the names that it
//! always uses, and is told nothing.
//!
//! Root can make one; who is not root begins with `unshare --mount
//! --map-root-user`, as `make fuzz` and `make test` do.
#![forbid(unsafe_code)]

use std::cell::Cell;
use std::fs;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

const PTMX: &str = "/dev/ptmx";

thread_local! {
    static ENTERED: Cell<bool> = const { Cell::new(false) };
}

/// Enters this thread's, where it has not done so before. Its descriptors are
/// its own as well, so that it can count them.
pub(crate) fn enter() {
    if ENTERED.replace(true) {
        return;
    }
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_FILES)
        .expect("a mount namespace, for root or below `unshare --mount --map-root-user`");
    // Or what follows would be seen by the machine outside.
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )
    .expect("mounts of our own");
    for directory in ["/dev", "/sys", "/run", "/var/lib"] {
        cover(directory, "tmpfs", "mode=0755");
    }
    fs::create_dir("/dev/pts").expect("a directory");
    cover("/dev/pts", "devpts", "newinstance,ptmxmode=0666");
    std::os::unix::fs::symlink("pts/ptmx", PTMX).expect("a link");
    fs::create_dir_all("/sys/class/hidraw").expect("a directory");
    fs::create_dir_all("/run/systemd/sessions").expect("a directory");
}

fn cover(directory: &str, filesystem: &str, options: &str) {
    mount(
        Some("none"),
        directory,
        Some(filesystem),
        MsFlags::empty(),
        Some(options),
    )
    .unwrap_or_else(|problem| panic!("{filesystem} over {directory}: {problem}"));
}

/// Lays a file of ours over one that the kernel makes.
pub(crate) fn lay_over(file: &Path, kernels: &str) {
    mount(
        Some(file),
        kernels,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .unwrap_or_else(|problem| panic!("{} over {kernels}: {problem}", file.display()));
}

/// How many descriptors this thread's table has open.
pub(crate) fn descriptors() -> usize {
    let open = fs::read_dir("/proc/thread-self/fd").expect("procfs");
    open.count()
}

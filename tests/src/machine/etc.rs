//! The machine's own `/etc`.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

/// Root's password inside a machine.
pub const ROOT_PASSWORD: &str = "root-password";
/// Alice's.
pub const ALICE_PASSWORD: &str = "alice-password";
/// Bob's.
pub const BOB_PASSWORD: &str = "bob-password";

/// Taken over from the real machine where it has them: without these, programs do not start, or
/// complain about what is no business of ours.
const TAKEN_OVER: &[&str] = &[
    "alternatives",
    "environment",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "login.defs",
    "os-release",
    "profile",
    "protocols",
    "security",
    "services",
    "shells",
    "ssl/openssl.cnf",
    "sudo.conf",
];

const PASSWD: &str = "\
root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
alice:x:1000:1000:Alice:/home/alice:/bin/sh
bob:x:1001:1001:Bob:/home/bob:/bin/sh
";

const GROUP: &str = "\
root:x:0:
tty:x:5:
sudo:x:27:alice
shadow:x:42:
nogroup:x:65534:
alice:x:1000:
bob:x:1001:
";

/// Made with `openssl passwd -6 -salt SALT PASSWORD`, as Debian's `pam_unix` takes them.
const SHADOW: &str = "\
root:$6$benchroot$wcFcMlBPGyYe4t2/Gd5F8iWrz.LrIukvfnQq.T9ha9XGe6yfK9N.tyqzuxlR5y51FtTefYY8H7XtGTvzk7zJe1:20000:0:99999:7:::
nobody:*:20000:0:99999:7:::
alice:$6$benchalice$F.M/RGQxgEyayDrLiKTFOTuisdqTFcxGmJKRqt0/OPCwIgmLbW9F6Tp1Xb1accLvgffpUwhvKLMdcM0zUPe300:20000:0:99999:7:::
bob:$6$benchbob$SZxo1Y5lmWMksqElZ4EmMWHWJSicMcjj2af6kF2Rk9kbizORfLWOIerH0gejaSHmVJFbuS/Dbcjn/5LbWn9N40:20000:0:99999:7:::
";

const SUDOERS: &str = "\
Defaults env_reset, !lecture, !fqdn
root ALL=(ALL:ALL) ALL
%sudo ALL=(ALL:ALL) ALL
";

pub(super) fn write(etc: &Path) {
    for name in TAKEN_OVER {
        take_over(&Path::new("/etc").join(name), &etc.join(name));
    }
    for (name, contents, mode) in [
        ("passwd", PASSWD, 0o644),
        ("group", GROUP, 0o644),
        ("shadow", SHADOW, 0o640),
        (
            "nsswitch.conf",
            "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
            0o644,
        ),
        ("hostname", "bench\n", 0o644),
        ("hosts", "127.0.0.1 localhost bench\n", 0o644),
        ("machine-id", "00000000000000000000000000000001\n", 0o444),
        ("sudoers", SUDOERS, 0o440),
        (
            "pam.d/other",
            "auth required pam_deny.so\naccount required pam_deny.so\npassword required pam_deny.so\nsession required pam_deny.so\n",
            0o644,
        ),
        (
            "ld.so.preload",
            "/usr/local/lib/bench/libhid_ioctls.so\n",
            0o644,
        ),
    ] {
        let path = etc.join(name);
        fs::create_dir_all(path.parent().expect("inside /etc")).expect("a directory in /etc");
        fs::write(&path, contents).expect("a file in /etc");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
    }
}

/// Copies a file, or a directory with all that can be read of it; links within stay links.
fn take_over(from: &Path, to: &Path) {
    let Ok(kind) = fs::metadata(from) else { return };
    fs::create_dir_all(to.parent().expect("inside /etc")).expect("a directory in /etc");
    if !kind.is_dir() {
        let _ = fs::copy(from, to);
        return;
    }
    fs::create_dir_all(to).expect("a directory in /etc");
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        let to = to.join(entry.file_name());
        // Of the alternatives most are manual pages.
        if to.extension().is_some_and(|extension| extension == "gz") {
            continue;
        }
        match fs::read_link(entry.path()) {
            Ok(target) => drop(symlink(target, to)),
            Err(_) => take_over(&entry.path(), &to),
        }
    }
}

//! A Debian in a folder, as far as pam-auth-update and the packages' scripts look at one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Debian's own profile, without what differs from release to release.
const UNIX: &str = "\
Name: Unix authentication
Default: yes
Priority: 256
Auth-Type: Primary
Auth:
\t[success=end default=ignore]\tpam_unix.so nullok try_first_pass
Auth-Initial:
\t[success=end default=ignore]\tpam_unix.so nullok
Account-Type: Primary
Account:
\t[success=end new_authtok_reqd=done default=ignore]\tpam_unix.so
Session-Type: Additional
Session:
\trequired\tpam_unix.so
Password-Type: Primary
Password:
\t[success=end default=ignore]\tpam_unix.so yescrypt
";

/// debconf's settings; with `DPKG_ROOT` the paths begin there.
const DEBCONF: &str = "\
Config: config
Templates: templates

Name: config
Driver: File
Filename: /answers

Name: templates
Driver: File
Filename: /questions
";

/// The repository's file.
pub(crate) fn packaging(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../packaging")
        .join(name)
}

pub(crate) struct Tree(TempDir);

impl Tree {
    /// Passwords alone, and our package unpacked but not configured.
    pub(crate) fn with_the_package() -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        tree.write("usr/share/pam-configs/unix", UNIX);
        for profile in ["passkey", "passkey-2fa"] {
            let text = fs::read_to_string(packaging("pam-configs").join(profile)).unwrap();
            tree.write(&format!("usr/share/pam-configs/{profile}"), &text);
        }
        let script = "usr/share/pam-passkey/lines-that-need-the-module";
        let text = fs::read_to_string(packaging("lines-that-need-the-module")).unwrap();
        tree.write(script, &text);
        fs::set_permissions(tree.path(script), fs::Permissions::from_mode(0o755)).unwrap();
        for entry in fs::read_dir("/usr/share/pam").unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            if name.starts_with("common-") && !name.contains('.') {
                let text = fs::read_to_string(entry.path()).unwrap();
                tree.write(&format!("etc/pam.d/{name}"), &text);
            }
        }
        tree.write("etc/debconf.conf", DEBCONF);
        fs::create_dir_all(tree.path("var/lib/pam")).unwrap();
        // As the installer of Debian does, before there is anything of ours.
        let ours = tree.path("usr/share/pam-configs");
        let aside = tree.path("aside");
        fs::create_dir(&aside).unwrap();
        for profile in ["passkey", "passkey-2fa"] {
            fs::rename(ours.join(profile), aside.join(profile)).unwrap();
        }
        tree.pam_auth_update(&["--force", "--package"]);
        for profile in ["passkey", "passkey-2fa"] {
            fs::rename(aside.join(profile), ours.join(profile)).unwrap();
        }
        assert_eq!(tree.auth(), crate::profiles::PASSWORD_ALONE);
        tree
    }

    pub(crate) fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    pub(crate) fn write(&self, inside: &str, text: &str) {
        let path = self.path(inside);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, inside: &str) -> String {
        fs::read_to_string(self.path(inside)).unwrap()
    }

    /// The lines of common-auth, their fields apart by one blank.
    pub(crate) fn auth(&self) -> String {
        let text = self.read("etc/pam.d/common-auth");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let mut auth = String::new();
        for line in lines {
            auth += &line.split_whitespace().collect::<Vec<_>>().join(" ");
            auth.push('\n');
        }
        auth
    }

    pub(crate) fn pam_auth_update(&self, arguments: &[&str]) {
        let mut command = self.with_its_answers("/usr/sbin/pam-auth-update");
        command.arg("--root").arg(self.0.path()).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:#?}");
    }

    /// Runs a script of the Debian package, as dpkg does.
    pub(crate) fn script(&self, name: &str, arguments: &[&str], more: &[(&str, &str)]) -> Output {
        let mut command = self.with_its_answers("/bin/sh");
        let script = packaging("deb").join(format!("libpam-passkey.{name}"));
        command.arg(script).args(arguments);
        command.envs(more.iter().copied());
        command.output().unwrap()
    }

    /// debconf of the real machine is not asked, nor told.
    fn with_its_answers(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("DPKG_ROOT", self.0.path())
            .env_remove("PAM_PASSKEY_REMOVE_ANYWAY")
            .env_remove("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT");
        command
    }
}

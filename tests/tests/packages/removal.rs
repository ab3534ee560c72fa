//! Removing the package locks nobody out.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::{Machine, Pam};

use crate::profiles::PASSWORD_ALONE;
use crate::tree::{Tree, packaging};

/// Files of `/etc/pam.d` in which our module is not there any more, whether libpam lets somebody
/// through them who needs nothing else, and whether the file is named.
const FILES: &[(&str, Lets, Named)] = &[
    (
        "auth required OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth requisite OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "-auth required OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth\tREQUIRED\tOURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth [success=done] OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth [default=bad success=ok] OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth [success=ok default=die] OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth [default=ok] OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth [module_unknown=die default=ignore] OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth [success=ok \\\n default=die] \\\n OURS timeout=9\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "# \\\nauth required OURS\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth [success=1 default=2] OURS\nauth required pam_permit.so\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    // Jumps are named, wherever they lead.
    (
        "auth [success=ok default=1] OURS\nauth requisite pam_deny.so\nauth required pam_permit.so",
        Lets::Everybody,
        Named::Yes,
    ),
    // Nothing else lets in.
    (
        "auth sufficient OURS\nauth required pam_deny.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth required pam_env.so\nauth [success=done default=ignore] OURS\nauth requisite pam_deny.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth [success=1 default=ignore] OURS\nauth requisite pam_deny.so\nauth required pam_permit.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth sufficient OURS\n-auth optional pam_gnome_keyring.so\nauth required pam_deny.so",
        Lets::Nobody,
        Named::Yes,
    ),
    (
        "auth sufficient OURS\nauth required pam_permit.so",
        Lets::Everybody,
        Named::No,
    ),
    (
        "auth optional OURS\nauth required pam_permit.so",
        Lets::Everybody,
        Named::No,
    ),
    (
        "auth [success=done abort=die default=ignore] OURS\nauth required pam_permit.so",
        Lets::Everybody,
        Named::No,
    ),
    (
        "auth required pam_permit.so\nauth [success=ok ignore=ignore module_unknown=ignore default=die] OURS",
        Lets::Everybody,
        Named::No,
    ),
    (
        "auth required pam_permit.so\nauth [default=die module_unknown = ignore] OURS",
        Lets::Everybody,
        Named::No,
    ),
    (
        "auth sufficient OURS\n@include open",
        Lets::Everybody,
        Named::No,
    ),
    (
        "#auth required OURS\nauth required pam_permit.so # OURS",
        Lets::Everybody,
        Named::No,
    ),
    (
        "auth optional pam_exec.so OURS\nauth required pam_permit.so",
        Lets::Everybody,
        Named::No,
    ),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lets {
    Everybody,
    Nobody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Named {
    Yes,
    No,
}

#[test]
fn the_lines_that_libpam_refuses_without_the_module_are_named_and_no_others() {
    let machine = Machine::lived_on();
    machine.service("open", "auth required pam_permit.so\n");
    let script = fs::read_to_string(packaging("lines-that-need-the-module")).unwrap();
    for (file, lets, named) in FILES {
        machine.service("sudo", &file.replace("OURS", "/nowhere/pam_passkey.so"));
        let code = machine.login("sudo", "alice").run().code();
        let let_in = if code == Pam::Success {
            Lets::Everybody
        } else {
            Lets::Nobody
        };
        assert_eq!(let_in, *lets, "{file}: {code:?}");
        let found = machine.run(["sh", "-s"]).stdin(script.as_str()).output();
        let what = if found.stdout.starts_with("/etc/pam.d/sudo:") {
            Named::Yes
        } else {
            Named::No
        };
        assert_eq!(what, *named, "{file}: {found:#?}");
        let code = if *named == Named::Yes {
            Some(1)
        } else {
            Some(0)
        };
        assert_eq!(found.code(), code, "{file}: {found:#?}");
    }
}

#[test]
fn a_line_is_named_with_its_number_and_left_overs_of_editors_are_not() {
    let tree = Tree::with_the_package();
    let line = "auth [success=ok \\\n default=die] pam_passkey.so\n";
    tree.write("etc/pam.d/sudo", &format!("#%PAM-1.0\n\n{line}"));
    for name in ["su.dpkg-old", "su~", "su.bak"] {
        tree.write(&format!("etc/pam.d/{name}"), line);
    }
    tree.write(
        "usr/lib/pam.d/polkit-1",
        "session required pam_passkey.so\n",
    );
    let script = tree.path("usr/share/pam-passkey/lines-that-need-the-module");
    let root = tree.path("");
    let output = Command::new(script).arg(&root).output().unwrap();
    let root = root.display();
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "{root}/etc/pam.d/sudo:3: auth [success=ok  default=die] pam_passkey.so\n\
             {root}/usr/lib/pam.d/polkit-1:1: session required pam_passkey.so\n"
        )
    );
}

#[test]
fn a_machine_without_a_folder_has_one_file_of_lines() {
    let tree = Tree::with_the_package();
    fs::rename(tree.path("etc/pam.d"), tree.path("etc/gone")).unwrap();
    tree.write("etc/pam.conf", "sudo auth required pam_passkey.so\n");
    let script = tree.path("usr/share/pam-passkey/lines-that-need-the-module");
    let output = Command::new(script).arg(tree.path("")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.ends_with("/etc/pam.conf:1: sudo auth required pam_passkey.so\n"),
        "{said}"
    );
}

#[test]
fn installing_enables_nothing_and_names_what_was_there_before() {
    let tree = Tree::with_the_package();
    tree.write(
        "etc/pam.d/sudo",
        "auth sufficient pam_passkey.so\n@include common-auth\n",
    );
    let first = tree.script("postinst", &["configure", ""], &[]);
    assert!(first.status.success(), "{first:#?}");
    assert_eq!(tree.auth(), PASSWORD_ALONE);
    let seen = fs::read_to_string(tree.path("var/lib/pam/seen")).unwrap();
    for profile in ["passkey", "passkey-2fa"] {
        assert!(seen.lines().any(|line| line == profile), "{seen}");
    }
    let said = String::from_utf8(first.stdout).unwrap();
    assert!(said.contains("/etc/pam.d/sudo\n"), "{said}");
    // Once is enough.
    let upgrade = tree.script("postinst", &["configure", "0.5.0-1"], &[]);
    assert!(upgrade.stdout.is_empty(), "{upgrade:#?}");
}

#[test]
fn removal_takes_the_profiles_out_and_an_upgrade_does_not() {
    for profile in ["passkey", "passkey-2fa"] {
        let tree = Tree::with_the_package();
        tree.pam_auth_update(&["--enable", profile]);
        let enabled = tree.auth();
        assert_ne!(enabled, PASSWORD_ALONE);
        for arguments in [&["upgrade", "0.6.0-1"][..], &["failed-upgrade", "0.4.0-1"]] {
            let output = tree.script("prerm", arguments, &[]);
            assert!(output.status.success(), "{output:#?}");
            assert_eq!(tree.auth(), enabled);
        }
        // The module of another architecture stays.
        let two = [("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "2")];
        assert!(tree.script("prerm", &["remove"], &two).status.success());
        assert_eq!(tree.auth(), enabled);
        let output = tree.script("prerm", &["remove"], &[]);
        assert!(output.status.success(), "{output:#?}");
        assert_eq!(tree.auth(), PASSWORD_ALONE);
    }
}

#[test]
fn removal_stops_at_lines_that_would_refuse_everybody_until_it_is_told_to_go_on() {
    let tree = Tree::with_the_package();
    tree.pam_auth_update(&["--enable", "passkey"]);
    let enabled = tree.auth();
    let line = "auth required pam_passkey.so\n@include common-auth\n";
    tree.write("etc/pam.d/sudo", line);
    let stopped = tree.script("prerm", &["remove"], &[]);
    assert_eq!(stopped.status.code(), Some(1), "{stopped:#?}");
    let said = String::from_utf8(stopped.stderr).unwrap();
    for part in [
        "/etc/pam.d/sudo:1: auth required pam_passkey.so",
        "sudo env PAM_PASSKEY_REMOVE_ANYWAY=1 apt-get remove libpam-passkey",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    assert_eq!(tree.auth(), enabled, "nothing was changed");

    let anyway = tree.script("prerm", &["remove"], &[("PAM_PASSKEY_REMOVE_ANYWAY", "1")]);
    assert!(anyway.status.success(), "{anyway:#?}");
    assert_eq!(tree.auth(), PASSWORD_ALONE);
    let said = String::from_utf8(anyway.stderr).unwrap();
    for part in [
        "/etc/pam.d/sudo:1: auth required pam_passkey.so",
        "Keep a root shell open",
    ] {
        assert!(said.contains(part), "no {part:?} in {said}");
    }
    let left = fs::read_to_string(tree.path("etc/pam.d/sudo")).unwrap();
    assert_eq!(left, line, "other people's lines are theirs");
}

#[test]
fn removal_stops_where_a_line_of_the_second_factor_would_stay() {
    let tree = Tree::with_the_package();
    tree.pam_auth_update(&["--enable", "passkey-2fa"]);
    // Programs of this machine's own would have no module.
    let native = Command::new("dpkg").arg("--print-architecture").output();
    let native = String::from_utf8(native.unwrap().stdout).unwrap();
    let two = [
        ("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "2"),
        ("DPKG_MAINTSCRIPT_ARCH", native.trim()),
    ];
    let foreign = [two[0], ("DPKG_MAINTSCRIPT_ARCH", "none")];
    let status = |variables| tree.script("prerm", &["remove"], variables).status.code();
    assert_eq!(status(&foreign), Some(0));
    assert_eq!(status(&two), Some(1));

    // pam-auth-update writes no file in which it does not find its place.
    let text = tree.read("etc/pam.d/common-auth");
    let edited = text.replace("# here are the per-package modules", "#");
    assert_ne!(edited, text);
    tree.write("etc/pam.d/common-auth", &edited);
    let stopped = tree.script("prerm", &["remove"], &[]);
    assert_eq!(stopped.status.code(), Some(1), "{stopped:#?}");
    let said = String::from_utf8(stopped.stderr).unwrap();
    assert!(said.contains("/etc/pam.d/common-auth:"), "{said}");
    assert_eq!(tree.read("etc/pam.d/common-auth"), edited);
    // A line of one's own beside the profile's is found before anything is changed.
    tree.pam_auth_update(&["--force", "--package"]);
    let enabled = tree.auth();
    tree.write("etc/pam.d/sudo", "auth required pam_passkey.so\n");
    assert_eq!(status(&[]), Some(1));
    assert_eq!(tree.auth(), enabled);
}

#[test]
fn only_purging_takes_the_credentials_away() {
    let tree = Tree::with_the_package();
    let credentials = "etc/pam-passkey/users/alice.toml";
    let counters = "var/lib/pam-passkey/counters";
    tree.write(credentials, "");
    tree.write(counters, "");
    tree.write("etc/pam-passkey/mine", "");
    for arguments in [&["remove"][..], &["upgrade", "0.6.0-1"]] {
        assert!(tree.script("postrm", arguments, &[]).status.success());
    }
    let two = [("DPKG_MAINTSCRIPT_PACKAGE_REFCOUNT", "2")];
    assert!(tree.script("postrm", &["purge"], &two).status.success());
    assert!(tree.path(credentials).exists() && tree.path(counters).exists());
    assert!(tree.script("postrm", &["purge"], &[]).status.success());
    let exists = |inside: &str| Path::new(&tree.path(inside)).exists();
    assert!(!exists("etc/pam-passkey/users") && !exists("var/lib/pam-passkey"));
    assert!(exists("etc/pam-passkey/mine"), "that is not the package's");
    fs::remove_file(tree.path("etc/pam-passkey/mine")).unwrap();
    assert!(tree.script("postrm", &["purge"], &[]).status.success());
    assert!(!exists("etc/pam-passkey"));
}

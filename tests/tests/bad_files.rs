//! Files that root did not write, or of which nobody knows what they are: nobody is let in by
//! them, nobody is taken for having no key because of them, and the log says what is to be mended.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use tests::Pam;
use tests::alice_and_bob::{ALICES, ASK_ADMINISTRATOR, AliceAndBob, CONFIG, stack};
use tests::login::{Report, assert_outcome};
use tests::machine::privilege;

/// What can be done to a file, and what the log says of it then.
const NO_FILE_OF_ROOTS: &[(&str, &str)] = &[
    (
        "chown alice $f",
        "$f belongs to uid 1000, not to root; look who wrote it, then: chown root $f",
    ),
    (
        "chmod 664 $f",
        "$f can be written by others (mode 0664); look who wrote it, then: chmod go-w $f",
    ),
    (
        "chmod 646 $f",
        "$f can be written by others (mode 0646); look who wrote it, then: chmod go-w $f",
    ),
    (
        "mv $f $f.real; ln -s $f.real $f",
        "$f is a symbolic link; put the file itself there",
    ),
    (
        "ln -sf nowhere $f",
        "$f is a symbolic link; put the file itself there",
    ),
    (
        "ln $f $f.second",
        "$f has a second name elsewhere (hard link); copy it and put the copy in its place",
    ),
    ("rm $f; mkfifo $f", "$f is not a regular file"),
    ("rm $f; mkdir $f", "$f is not a regular file"),
    ("printf 'one\\ntwo \\377\\n' > $f", "$f:2: not UTF-8 text"),
];

/// The same for a directory.
const NO_DIRECTORY_OF_ROOTS: &[(&str, &str)] = &[
    (
        "chown alice $f",
        "$f belongs to uid 1000, not to root; look who wrote it, then: chown root $f",
    ),
    (
        "chmod 775 $f",
        "$f can be written by others (mode 0775); look who wrote it, then: chmod go-w $f",
    ),
    (
        "chmod 757 $f",
        "$f can be written by others (mode 0757); look who wrote it, then: chmod go-w $f",
    ),
    (
        "chmod 1777 $f",
        "$f can be written by others (mode 1777); look who wrote it, then: chmod go-w $f",
    ),
    (
        "mv $f $f.real; ln -s $f.real $f",
        "$f is not a directory (a link to one does not count)",
    ),
    (
        "rm -r $f; ln -s nowhere $f",
        "$f is not a directory (a link to one does not count)",
    ),
    (
        "rm -r $f; touch $f",
        "$f is not a directory (a link to one does not count)",
    ),
    (
        "rm -r $f; mkfifo $f",
        "$f is not a directory (a link to one does not count)",
    ),
    (
        "rm -r $f",
        "$f is missing; install pam-passkey again or create it as root",
    ),
];

/// Does each of these things to `path`, and looks who gets in.
#[track_caller]
fn each_is_refused(home: &AliceAndBob, path: &str, deeds: &[(&str, &str)], users: &[&str]) {
    for (deed, logged) in deeds {
        if deed.starts_with("chown") && !privilege().has_other_users() {
            println!("skipped: {deed}, there is only one user here");
            continue;
        }
        home.mend();
        home.sh(&format!("f={path}; {deed}"));
        for user in users {
            home.assert_out_of_order(user, &logged.replace("$f", path));
        }
    }
    home.mend();
    home.assert_in_order();
}

/// Without a policy nothing is known of anybody, not even that there is no such account.
const ANYBODY: &[&str] = &["alice", "bob", "mallory"];

#[test]
fn a_file_that_others_could_have_written_or_that_is_no_file_is_refused() {
    let home = AliceAndBob::at_home();
    each_is_refused(&home, CONFIG, NO_FILE_OF_ROOTS, ANYBODY);
    each_is_refused(&home, ALICES, NO_FILE_OF_ROOTS, &["alice"]);
}

#[test]
fn a_directory_that_others_could_have_written_or_that_is_none_is_refused() {
    let home = AliceAndBob::at_home();
    let both = ["alice", "bob"];
    each_is_refused(&home, "/etc/pam-passkey", NO_DIRECTORY_OF_ROOTS, ANYBODY);
    each_is_refused(
        &home,
        "/etc/pam-passkey/users",
        NO_DIRECTORY_OF_ROOTS,
        &both,
    );
}

#[test]
fn a_socket_or_a_device_in_the_place_of_a_file_is_refused() {
    for file in [CONFIG, ALICES] {
        let mut home = AliceAndBob::at_home();
        let logged = format!("{file} is not a regular file");
        let place = home.machine.path(file);
        fs::remove_file(&place).unwrap();
        let _socket = UnixListener::bind(&place).unwrap();
        home.blue.forget_transactions();
        home.assert_out_of_order("alice", &logged);
        fs::remove_file(&place).unwrap();
        // It never ends, should anybody read it.
        home.machine.install(Path::new("/dev/zero"), file);
        home.assert_out_of_order("alice", &logged);
    }
}

#[test]
fn a_file_may_have_so_many_bytes_and_not_one_more() {
    let home = AliceAndBob::at_home();
    for (file, most) in [(CONFIG, 64 * 1024), (ALICES, 256 * 1024)] {
        let good = home.machine.read(file).unwrap();
        let padded = |length: usize| format!("{good}{}", "#".repeat(length - good.len()));
        home.machine.write(file, &padded(most), 0o644);
        home.assert_in_order();

        home.blue.forget_transactions();
        let logged = format!("{file} has more than {most} bytes");
        for too_many in [most + 1, 10 * 1024 * 1024] {
            home.machine.write(file, &padded(too_many), 0o644);
            home.assert_out_of_order("alice", &logged);
        }
        home.mend();
    }
}

#[test]
fn a_file_too_long_is_not_read_in() {
    let home = AliceAndBob::at_home();
    for file in [CONFIG, ALICES] {
        home.mend();
        // Four times what the host may have of memory.
        let line = format!(
            "truncate -s 1G {file}; ulimit -v 262144; exec pam-host --service sudo --user alice"
        );
        let host = home.machine.sh(line).output().expect_success();
        let report: Report = serde_json::from_str(&host.stdout).unwrap();
        let code = report.calls.last().map(|call| call.code);
        assert_eq!(code, Some(Pam::ServiceErr), "{host:#?}");
    }
}

#[test]
fn what_a_host_that_is_not_root_may_not_read_is_not_taken_for_absent() {
    if !privilege().has_other_users() {
        println!("skipped: there is only one user here");
        return;
    }
    let home = AliceAndBob::at_home();
    home.machine.service("kde", &stack());
    home.blue.node_mode(0o666); // what udev gives the user at the seat
    let locked = || home.machine.login("kde", "alice").as_alice().run();
    assert_outcome(&locked(), Pam::Success, "Touch \"blue key\" (30 s).");
    for (path, mode) in [
        ("/etc/pam-passkey", "700"),
        (CONFIG, "600"),
        ("/etc/pam-passkey/users", "700"),
        ("/etc/pam-passkey/users", "711"),
        (ALICES, "600"),
    ] {
        home.mend();
        home.sh(&format!("chmod {mode} {path}"));
        let login = locked();
        assert_outcome(&login, Pam::ServiceErr, ASK_ADMINISTRATOR);
        let logged = format!("{path} may not be opened by uid 1000, as which this program runs");
        assert!(login.logged().contains(&logged), "{login:#?}");
        // root may, and nothing else is wrong.
        home.assert_in_order();
    }
}

#[test]
fn who_holds_a_lock_on_a_file_delays_nobody() {
    let home = AliceAndBob::at_home();
    for file in [ALICES, CONFIG] {
        for kind in ["--shared", "--exclusive"] {
            // Everybody may read these files, and so lock them.
            let hold = format!("exec flock {kind} {file} sh -c 'echo held; exec sleep 600'");
            let hold = home.machine.sh(hold);
            let hold = if privilege().has_other_users() {
                hold.as_alice()
            } else {
                hold
            };
            let holder = hold.within(Duration::from_secs(900)).start();
            holder.wait_for("held");
            home.assert_in_order();
            let take = format!("flock --nonblock --exclusive {file} true");
            let taken = home.machine.sh(take).output().code() == Some(0);
            assert!(!taken, "nobody held {file}");

            // Nor those who write.
            let remove = ["remove", "--last", "--user", "alice", "blue key"];
            home.machine.passkey(remove).output().expect_success();
            assert!(!holder.has_ended(), "nobody held {file}");
            home.mend();
        }
    }
}

//! Names that are none, or not the account's own: a name is data and never a path, and who has
//! none is not taken for somebody without a key.
//!
//! On a machine where whoever is ignored gets in.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use std::path::Path;

use tests::Pam;
use tests::alice_and_bob::{ALICES, AliceAndBob};
use tests::login::{LoggedIn, assert_outcome};

/// Gives each of these an account of its own, without a key: were it not for its name, it would be
/// ignored.
fn with_accounts<'n>(names: impl IntoIterator<Item = &'n str>) -> AliceAndBob {
    let home = AliceAndBob::at_home();
    let mut passwd = vec![home.machine.read("/etc/passwd").unwrap()];
    // A line of its own is the one thing there that no name can have.
    let names = (2000..).zip(names).filter(|(_, name)| !name.contains('\n'));
    passwd.extend(names.map(|(uid, name)| format!("{name}:x:{uid}:{uid}::/:/bin/sh\n")));
    home.machine.write_etc("passwd", &passwd.concat(), 0o644);
    home.blue.forget_transactions();
    home
}

/// Neither let in nor ignored: told the same as somebody who has no key.
#[track_caller]
fn assert_is_nobody(home: &AliceAndBob, login: &LoggedIn, shown: &str, logged: &str) {
    let sentence =
        format!("No security key is enrolled for {shown}. Enrol one with: sudo passkey enroll");
    assert_outcome(login, Pam::UserUnknown, &sentence);
    assert!(login.logged().contains(logged), "{logged}: {login:#?}");
    assert!(home.blue.commands().is_empty(), "{login:#?}");
}

const BEGINNING: &str = "a user name cannot begin with a dot or a dash";
const SLASH: &str = "a user name cannot contain '/'";

/// Names that no account may have, what is shown of them, and why.
const NO_NAMES: &[(&str, &str, &str)] = &[
    ("../users/alice", "../users/alice", BEGINNING),
    ("..", "..", BEGINNING),
    (".", ".", BEGINNING),
    (".hidden", ".hidden", BEGINNING),
    ("-rf", "-rf", BEGINNING),
    ("a/b", "a/b", SLASH),
    ("/etc/passwd", "/etc/passwd", SLASH),
    ("alice/", "alice/", SLASH),
    ("al\tice", "al?ice", "a user name cannot contain '\\t'"),
    ("al\nice", "al?ice", "a user name cannot contain '\\n'"),
    (
        "al\u{7}ice",
        "al?ice",
        "a user name cannot contain '\\u{7}'",
    ),
    (
        "al\u{1b}[2Jice",
        "al?[2Jice",
        "a user name cannot contain '\\u{1b}'",
    ),
    (
        "al\u{9b}2Jice",
        "al?2Jice",
        "a user name cannot contain '\\u{9b}'",
    ),
];

#[test]
fn a_name_that_could_be_a_path_or_move_a_cursor_is_nobodys() {
    let home = with_accounts(NO_NAMES.iter().map(|(name, _, _)| *name));
    for (name, shown, why) in NO_NAMES {
        let login = home.login(name);
        assert_is_nobody(
            &home,
            &login,
            shown,
            &format!("no account \"{shown}\": {why}"),
        );
        let text = login.said() + &login.logged();
        assert!(
            !text.contains(['\u{1b}', '\u{7}', '\u{9b}', '\t']),
            "{text:?}"
        );
    }
}

#[test]
fn an_odd_name_is_still_one() {
    let odd = [
        "zoë",
        "a b",
        "x.y",
        "CORP\\carol",
        "carol@corp",
        "Carol",
        "~",
        "*",
    ];
    let home = with_accounts(odd);
    for name in odd {
        let login = home.login(name);
        assert_outcome(&login, Pam::Success, "");
        assert!(login.logged().contains("has no key; ignored"), "{login:#?}");
    }
}

#[test]
fn a_name_nobody_has_is_unknown() {
    let home = AliceAndBob::at_home();
    home.blue.forget_transactions();
    for name in [
        "mallory",
        "Alice",
        "ALICE",
        "alice@corp",
        "alice.toml",
        "0",
        "1000",
    ] {
        let logged = format!("no account \"{name}\": there is no account of that name");
        assert_is_nobody(&home, &home.login(name), name, &logged);
    }
    // What a person would overlook is in the log.
    let logged = "no account \"alice \": there is no account of that name";
    assert_is_nobody(&home, &home.login("alice "), "alice", logged);
    let logged = "no account \"\": a user name cannot be empty";
    assert_is_nobody(&home, &home.login(""), "", logged);
}

#[test]
fn a_name_may_have_so_many_bytes_and_not_one_more() {
    let names = [250, 251, 300].map(|length| "x".repeat(length));
    let home = with_accounts(names.iter().map(String::as_str));
    let [longest, longer, long] = &names;
    for name in [longer, long] {
        let logged = format!(
            "a user name has at most 250 bytes here, this one has {}",
            name.len()
        );
        assert_is_nobody(&home, &home.login(name), &"x".repeat(64), &logged);
    }
    assert_eq!(home.login(longest).code(), Pam::Success);
    let alices = home.machine.read(ALICES).unwrap();
    let path = format!("/etc/pam-passkey/users/{longest}.toml");
    home.machine
        .write(&path, &alices.replace("uid = 1000", "uid = 2000"), 0o644);
    let login = home.login(longest);
    assert_outcome(&login, Pam::Success, "Touch \"blue key\" (30 s).");
}

/// A C string ends at its NUL, and an argument of a program too: what libpam is given is what
/// stands before. That the name itself takes none is shown beside it, in `account.rs`.
#[test]
fn bytes_that_are_no_text_are_no_name() {
    let home = with_accounts([]);
    home.sh(r"printf 'al\357ce:x:2000:2000::/:/bin/sh\n' >> /etc/passwd");
    let host = r#"exec pam-host --service sudo --user "$(printf 'al\357ce')""#;
    let login = LoggedIn::of(home.machine.sh(host).output().expect_success());
    assert_outcome(&login, Pam::UserUnknown, "");
    let logged = "no user name to authenticate, or one that is not UTF-8";
    assert!(login.logged().contains(logged), "{login:#?}");
}

/// The directory that says who is who is not `/etc/passwd`.
fn with_a_name_service() -> AliceAndBob {
    let mut home = AliceAndBob::at_home();
    let library = Path::new(env!("NAME_SERVICE"));
    home.machine
        .install(library, "/usr/local/lib/bench/libnss_bench.so.2");
    home.sh("echo passwd: bench > /etc/nsswitch.conf");
    home.blue.forget_transactions();
    home
}

fn login(home: &AliceAndBob, user: &str) -> LoggedIn {
    let login = home.machine.login("sudo", user);
    login.env("LD_LIBRARY_PATH", "/usr/local/lib/bench").run()
}

#[test]
fn whoever_the_name_service_means_is_the_one_who_counts() {
    let home = with_a_name_service();
    for asked in ["alice", "Alice", "alice@corp"] {
        let login = login(&home, asked);
        assert_outcome(&login, Pam::Success, "Requested by sudo for alice: ");
        assert!(
            login
                .logged()
                .contains("user=alice accepted key=\"blue key\"")
        );
    }
    for asked in ["bob", "Bob", "bob@corp"] {
        let login = login(&home, asked);
        assert_outcome(&login, Pam::Success, "");
        assert!(login.logged().contains("user=bob has no key; ignored"));
    }
    // A file of the name that was asked for is nobody's.
    home.sh(&format!("cp {ALICES} /etc/pam-passkey/users/Bob.toml"));
    assert!(login(&home, "Bob").logged().contains("user=bob has no key"));
}

#[test]
fn a_name_service_that_answers_with_no_name_is_not_believed() {
    let home = with_a_name_service();
    for (asked, why) in [
        ("path", BEGINNING),
        ("option", BEGINNING),
        ("empty", "a user name cannot be empty"),
        ("escape", "a user name cannot contain '\\u{1b}'"),
        ("latin", "a user name cannot contain '\u{fffd}'"),
    ] {
        let logged = format!("no account \"{asked}\": {why}");
        assert_is_nobody(&home, &login(&home, asked), asked, &logged);
    }
}

#[test]
fn a_second_name_of_an_account_is_not_taken_for_one_without_a_key() {
    let home = with_a_name_service();
    let logged = "user=alias has no key enrolled";
    assert_is_nobody(&home, &login(&home, "alias"), "alias", logged);

    let home = AliceAndBob::at_home();
    home.sh("echo alicia:x:1000:1000::/:/bin/sh >> /etc/passwd");
    home.blue.forget_transactions();
    let logged = "user=alicia has no key enrolled";
    assert_is_nobody(&home, &home.login("alicia"), "alicia", logged);
    home.assert_in_order();
}

#[test]
fn a_name_service_that_cannot_tell_has_not_said_that_there_is_nobody() {
    let cannot_tell = |home: &AliceAndBob, login: &LoggedIn, user: &str| {
        let sentence = "Your account could not be looked up; try again in a moment.";
        assert_outcome(login, Pam::AuthinfoUnavail, sentence);
        let logged = format!("account \"{user}\": the account could not be looked up: ");
        assert!(login.logged().contains(&logged), "{login:#?}");
        assert!(home.blue.commands().is_empty(), "{login:#?}");
    };
    let home = with_a_name_service();
    cannot_tell(&home, &login(&home, "unanswered"), "unanswered");

    // Files that are not there or cannot be read.
    for deed in ["rm /etc/passwd", "rm /etc/passwd; mkdir /etc/passwd"] {
        let home = AliceAndBob::at_home();
        home.blue.forget_transactions();
        home.sh(deed);
        for user in ["alice", "bob", "mallory"] {
            cannot_tell(&home, &home.login(user), user);
        }
    }

    // Of a service that is not installed glibc says that it knows nobody.
    let home = AliceAndBob::at_home();
    home.blue.forget_transactions();
    home.sh("echo passwd: nowhere > /etc/nsswitch.conf");
    for user in ["alice", "bob"] {
        let logged = format!("no account \"{user}\": there is no account of that name");
        assert_is_nobody(&home, &home.login(user), user, &logged);
    }
}

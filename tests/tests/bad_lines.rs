//! Files of root's that say what nobody understands: what is wrong lets nobody in and is not taken
//! for having no key, what is right beside it still counts, and the log names the line.

#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "also in a test's helpers")]

use tests::alice_and_bob::{ALICES, AliceAndBob, CONFIG};
use tests::login::assert_outcome;
use tests::{Pam, Presence};

/// Faults of `config.toml`, and what the log says of them.
const FAULTY_CONFIGURATIONS: &[(&str, &str)] = &[
    (
        "timeout = 30\nuser_verfication = \"discouraged\"\n",
        "2: unknown key \"user_verfication\"; did you mean \"user_verification\"?",
    ),
    (
        "[service.sudo]\nuser_verfication = \"discouraged\"\n",
        "2: unknown key \"user_verfication\"; did you mean \"user_verification\"?",
    ),
    (
        "[service.cups]\ntimeot = 1\n",
        "2: unknown key \"timeot\"; did you mean \"timeout\"?",
    ),
    (
        "[servce.sudo]\ntimeout = 1\n",
        "1: unknown table \"servce\"; tables here are [service.NAME]; did you mean \"service\"?",
    ),
    (
        "user_verification = \"discoraged\"\n",
        "1: user_verification takes \"required\" or \"discouraged\"",
    ),
    (
        "timeout = 1\n\ntimeout = 2\n",
        "3: key \"timeout\" is set twice",
    ),
    (
        "[service.sudo]\ntimeout = 1\ntimeout = 2\n",
        "3: key \"timeout\" is set twice",
    ),
    (
        "[service.sudo]\ntimeout = 1\n[service.sudo]\nremote = \"refuse\"\n",
        "3: key \"sudo\" is set twice",
    ),
    ("timeout = 1\nremote = \"ref\0use\"\n", "2: not TOML: "),
    ("# a \0 in a comment\n", "1: not TOML: "),
    ("timeout = 1\nremote = \"ref", "2: not TOML: "),
    ("timeout = 1\nremote", "2: not TOML: "),
];

#[test]
fn a_line_of_the_configuration_that_is_not_understood_stops_every_login() {
    let home = AliceAndBob::at_home();
    for (settings, logged) in FAULTY_CONFIGURATIONS {
        home.machine.write(CONFIG, settings, 0o644);
        home.blue.forget_transactions();
        for user in ["alice", "bob"] {
            home.assert_out_of_order(user, &format!("{CONFIG}:{logged}"));
        }
    }
}

#[test]
fn an_empty_configuration_is_the_strict_default_and_ignores_nobody() {
    let home = AliceAndBob::at_home();
    home.machine.write(CONFIG, "", 0o644);
    let sentence = "A PIN or fingerprint is required here, and \"blue key\" has none set up.";
    assert_outcome(&home.login("alice"), Pam::AuthErr, sentence);
    let sentence = "No security key is enrolled for bob. Enrol one with: sudo passkey enroll";
    assert_outcome(&home.login("bob"), Pam::UserUnknown, sentence);
}

/// What alice's good file begins with.
const HEAD: &str = "version = 1\nuid = 1000\n";

/// Heads in its place, and what the log says of them.
const FAULTY_HEADS: &[(&str, &str)] = &[
    ("", "1: version is missing before the first record"),
    ("version = 1\n", "1: uid is missing before the first record"),
    (
        "verison = 1\nuid = 1000\n",
        "1: unknown key \"verison\"; did you mean \"version\"?",
    ),
    (
        "version = 1\nuld = 1000\n",
        "2: unknown key \"uld\"; did you mean \"uid\"?",
    ),
    (
        "version = 1\nuid = 1000\nname = \"alice\"\n",
        "3: unknown key \"name\"",
    ),
    (
        "version = 1\nuid = 1000\nuid = 1000\n",
        "3: key \"uid\" is set twice",
    ),
    (
        "version = 2\nuid = 1000\n",
        "1: version 2 was written by a newer pam-passkey; this one reads version 1, update it",
    ),
    (
        "version = 1\nuid = \"1000\"\n",
        "2: uid takes a whole number, not a string",
    ),
    ("version = 1\nuid = 1000\0\n", "2: not TOML: "),
    ("# \0\nversion = 1\nuid = 1000\n", "1: not TOML: "),
];

#[test]
fn a_credential_file_whose_head_is_not_right_is_refused_whole() {
    let home = AliceAndBob::at_home();
    let good = home.machine.read(ALICES).unwrap();
    let (_, record) = good.split_once(HEAD).unwrap();
    home.machine
        .write(ALICES, &format!("{HEAD}{record}"), 0o644);
    home.assert_in_order();
    home.blue.forget_transactions();
    for (head, logged) in FAULTY_HEADS {
        let logged = format!("{ALICES}:{logged}");
        for text in [format!("{head}{record}"), (*head).to_owned()] {
            home.machine.write(ALICES, &text, 0o644);
            home.assert_out_of_order("alice", &logged);
        }
    }
    // Nothing after a good head is a file without credentials, not an account without a file.
    home.machine.write(ALICES, HEAD, 0o644);
    home.assert_out_of_order("alice", &format!("{ALICES}: not one usable credential"));
}

#[test]
fn the_keys_of_an_account_are_not_inherited_by_the_next_of_that_name() {
    let home = AliceAndBob::at_home();
    home.sh("sed -i 's/^alice:x:1000:/alice:x:1002:/' /etc/passwd");
    home.blue.forget_transactions();
    let logged = format!(
        "these are credentials of uid 1000, but alice is uid 1002; \
         an account made anew inherits no keys: remove {ALICES} and enrol again"
    );
    home.assert_out_of_order("alice", &logged);
}

/// What is changed in a record, the line that is then wrong, and what the log says of it.
const FAULTY_RECORDS: &[(&str, &str, &str, &str)] = &[
    (
        "user_verification =",
        "user_verfication =",
        "user_verfication",
        "unknown key \"user_verfication\"; did you mean \"user_verification\"?",
    ),
    (
        "synced = false",
        "discoverable=false",
        "discoverable=",
        "key \"discoverable\" is set twice",
    ),
    (
        "name = \"blue key\"",
        "name = \"\"",
        "name",
        "name has 0 characters, not 1 to 64",
    ),
    ("blue key", "blue\0key", "name", "not TOML: "),
    ("\"blue key\"", "\"blue key", "name", "not TOML: "),
    (
        "public_key = \"sk-",
        "public_key = \"",
        "public_key",
        "public_key is not an OpenSSH public key",
    ),
    (
        "[[credential]]",
        "[[credentail]]",
        "[[",
        "unknown table \"credentail\"; did you mean \"credential\"?",
    ),
    ("aaguid = ", "# ", "[[", "aaguid is missing"),
];

#[test]
fn a_record_that_is_not_right_is_passed_over_and_hides_no_good_one() {
    let home = AliceAndBob::at_home();
    let good = home.machine.read(ALICES).unwrap();
    let (head, first) = good.split_once("\n[[").unwrap();
    let first = format!("\n[[{first}");
    let (home, red) = home.with_a_red_key();
    let both = home.machine.read(ALICES).unwrap();
    let last = both.strip_prefix(&good).unwrap();
    for (from, to, at, fault) in FAULTY_RECORDS {
        let bad = first.replacen(from, to, 1);
        assert_ne!(bad, first, "nothing changed");
        let line = |text: &str| 1 + text.lines().position(|line| line.starts_with(at)).unwrap();

        home.blue.forget_transactions();
        let alone = format!("{head}{bad}");
        home.machine.write(ALICES, &alone, 0o644);
        let login =
            home.assert_out_of_order("alice", &format!("{ALICES}: not one usable credential"));
        let logged = format!("{ALICES}:{}: passed over: {fault}", line(&alone));
        assert!(login.logged().contains(&logged), "{logged}: {login:#?}");

        let between = format!("{head}{first}{bad}{last}");
        home.machine.write(ALICES, &between, 0o644);
        let above = format!("{head}{first}").lines().count();
        let logged = format!("{ALICES}:{}: passed over: {fault}", above + line(&bad));
        for (touched, other) in [(&home.blue, &red), (&red, &home.blue)] {
            touched.presence(Presence::after_ms(50));
            other.presence(Presence::Never);
            let login = home.login("alice");
            assert_eq!(login.code(), Pam::Success, "{login:#?}");
            assert!(login.logged().contains(&logged), "{logged}: {login:#?}");
            assert_eq!(login.logged().matches("passed over").count(), 1);
        }
    }
}

#[test]
fn a_file_that_was_cut_short_is_no_file_that_is_not_there() {
    let home = AliceAndBob::at_home();
    let good = home.machine.read(ALICES).unwrap();
    // The line's end is all that may be missing.
    for cut in (0..good.len() - 1).step_by(23) {
        home.machine.write(ALICES, &good[..cut], 0o644);
        home.blue.forget_transactions();
        home.assert_out_of_order("alice", ALICES);
    }
    home.machine.write(ALICES, good.trim_end(), 0o644);
    home.assert_in_order();
}

#[test]
fn sixty_four_credentials_count_and_no_more() {
    let home = AliceAndBob::at_home();
    let good = home.machine.read(ALICES).unwrap();
    let (head, blue) = good.split_once("\n[[").unwrap();
    let another = |number: usize| {
        let other = format!("\n[[{blue}").replace("blue key", &format!("key {number}"));
        let id = format!("id = \"{}\"", "A".repeat(40) + &format!("{number:04}"));
        let old = other
            .lines()
            .find(|line| line.starts_with("id = "))
            .unwrap();
        other.replace(old, &id)
    };
    let others: String = (1..=63).map(another).collect();
    let text = format!("{head}{others}\n[[{blue}");
    home.machine.write(ALICES, &text, 0o644);
    let login = home.login("alice");
    assert_outcome(
        &login,
        Pam::Success,
        "Touch one of your security keys (30 s).",
    );
    assert!(!login.logged().contains("passed over"), "{login:#?}");

    let text = format!("{head}{others}{}\n[[{blue}", another(64));
    home.machine.write(ALICES, &text, 0o644);
    let login = home.login("alice");
    assert_outcome(
        &login,
        Pam::AuthErr,
        "\"Bench Key\" (/dev/hidraw0) is not enrolled for alice.",
    );
    let last = text.lines().count() - blue.lines().count() + 1;
    let logged = format!("{ALICES}:{last}: passed over: more than 64 credentials");
    assert!(login.logged().contains(&logged), "{login:#?}");
}

//! Resident keys, got back from the security key: by stock `ssh-keygen -K`, and by whoever else
//! makes keys, each what the others made.

use tests::machine::Finished;
use tests::openssh::{ASKED_FOR_PIN, Maker, PIN, Protection, SkKey, home};

use crate::desk::{Desk, everywhere, everywhere_with_a_server, without_comment};

/// Who gets keys back here, whoever made them.
const IMPORTERS: [Maker; 2] = [Maker::SshKeygen, Maker::Passkey];

/// What a key that comes back may be protected by. The security key does not know that a key was
/// made to sign without a touch: `-K` makes it one that asks for it.
const PROTECTIONS: [Protection; 2] = [Protection::Touch, Protection::VerifyRequired];

/// Into `~/got`, which is new.
fn get_back(desk: &Desk, by: Maker, pin: &str) -> Finished {
    desk.sh("rm -rf got; mkdir got").expect_success();
    by.get_back(&desk.machine, &format!("{}/got", home()), pin)
}

/// The keys in `~/got`.
fn got(desk: &Desk) -> Vec<SkKey> {
    let listed = desk.sh("ls got").expect_success();
    let public = listed
        .stdout
        .lines()
        .filter_map(|name| name.strip_suffix(".pub"));
    public
        .map(|name| SkKey::at(&format!("{}/got/{name}", home())))
        .collect()
}

/// A resident key with this protection; its private file is lost.
fn made_and_lost(desk: &Desk, protection: Protection) -> SkKey {
    let file = protection.option().unwrap_or("touch");
    let order = desk.order(file).protected(protection).resident_for("alice");
    let made = desk.make(&order.application(&format!("ssh:{file}")));
    desk.sh(&format!("rm {}", made.file)).expect_success();
    made
}

/// The one of those in `~/got` that has this public key.
fn come_back(desk: &Desk, made: &SkKey) -> SkKey {
    let public_key = without_comment(&desk.public(made));
    let got = got(desk);
    let mut found = got.iter();
    let found = found.find(|key| without_comment(&desk.public(key)) == public_key);
    assert!(found.is_some(), "{} is not in {got:?}", made.file);
    found.unwrap().clone()
}

#[test]
fn a_resident_key_comes_back_and_is_the_same_for_ssh_keygen() {
    everywhere(|desk| {
        let made = PROTECTIONS.map(|protection| made_and_lost(desk, protection));
        for by in IMPORTERS {
            get_back(desk, by, PIN).expect_success();
            assert_eq!(got(desk).len(), made.len(), "by {by:?}");
            for made in &made {
                let key = come_back(desk, made);
                let read = desk.run(&["ssh-keygen", "-y", "-f", &key.file]).output();
                let read = read.expect_success().stdout;
                assert_eq!(without_comment(&read), without_comment(&desk.public(made)));
            }
        }
    });
}

#[test]
fn what_came_back_logs_in_and_asks_for_what_it_asked_for_before() {
    everywhere_with_a_server(|desk, sshd| {
        let made = PROTECTIONS.map(|protection| (protection, made_and_lost(desk, protection)));
        for by in IMPORTERS {
            get_back(desk, by, PIN).expect_success();
            for (protection, made) in &made {
                let key = come_back(desk, made);
                sshd.authorize(&format!("verify-required {}", desk.public(made)));
                let attempt = sshd.log_in_with(&key.file);
                let asked = attempt.ended.stdout.contains(ASKED_FOR_PIN);
                if *protection == Protection::VerifyRequired {
                    attempt.assert_let_in();
                    assert!(asked, "{:#?}", attempt.ended);
                } else {
                    attempt.assert_refused("user verification requirement not met");
                    assert!(!asked, "{:#?}", attempt.ended);
                    sshd.authorize(&desk.public(made));
                    sshd.log_in_with(&key.file).assert_let_in();
                }
            }
        }
    });
}

#[test]
fn a_key_that_is_not_resident_does_not_come_back() {
    everywhere(|desk| {
        desk.a_key();
        for by in IMPORTERS {
            get_back(desk, by, PIN);
            assert!(got(desk).is_empty(), "by {by:?}");
        }
    });
}

#[test]
fn a_wrong_pin_gets_nothing_back() {
    everywhere(|desk| {
        desk.make(&desk.order("id").resident_for("alice"));
        for by in IMPORTERS {
            let tries = desk.blue.pin_tries_left();
            let refused = get_back(desk, by, "1111");
            assert!(!refused.success(), "by {by:?}: {refused:#?}");
            assert!(got(desk).is_empty(), "by {by:?}");
            assert!(desk.blue.pin_tries_left() < tries, "by {by:?}");
        }
    });
}

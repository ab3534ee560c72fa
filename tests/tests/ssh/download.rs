//! Resident keys, got back from the security key by stock `ssh-keygen -K`.

use tests::household::whenever_asked;
use tests::machine::Finished;
use tests::openssh::{ASKED_FOR_PIN, PIN, Protection, SkKey, home};

use crate::desk::{Desk, everywhere, everywhere_with_a_server, without_comment};

/// `ssh-keygen -K`, into `~/got`, which is new.
fn download(desk: &Desk, pin: &str) -> Finished {
    let line = "cd; rm -rf got; mkdir got; cd got; ssh-keygen -K -N ''";
    whenever_asked(desk.machine.sh_by_owner(line), &[(ASKED_FOR_PIN, pin)])
}

/// The private keys in `~/got`.
fn got(desk: &Desk) -> Vec<SkKey> {
    let listed = desk.sh("cd got; ls").expect_success();
    let public = listed
        .stdout
        .lines()
        .filter_map(|name| name.strip_suffix(".pub"));
    public
        .map(|name| SkKey::at(&format!("{}/got/{name}", home())))
        .collect()
}

#[test]
fn a_resident_key_comes_back_with_its_flags_and_logs_in() {
    everywhere_with_a_server(|desk, sshd| {
        for protection in [Protection::Touch, Protection::VerifyRequired] {
            let file = protection.option().unwrap_or("touch");
            let application = format!("ssh:{file}");
            let order = desk.order(file).protected(protection);
            let made = desk.make(&order.resident_for("alice").application(&application));
            let line = match protection.option() {
                Some(option) => format!("{option} {}", desk.public(&made)),
                None => desk.public(&made),
            };
            desk.sh(&format!("rm {}", made.file)).expect_success();
            let ended = download(desk, PIN).expect_success();
            let found = got(desk).into_iter().find(|key| {
                without_comment(&desk.public(key)) == without_comment(&desk.public(&made))
            });
            let key = found.unwrap_or_else(|| panic!("{file} did not come back: {ended:#?}"));
            sshd.authorize(&line);
            let attempt = sshd.log_in_with(&key.file);
            attempt.assert_let_in();
            let asked = attempt.ended.stdout.contains(ASKED_FOR_PIN);
            assert_eq!(asked, protection == Protection::VerifyRequired);
        }
        assert_eq!(got(desk).len(), 2);
    });
}

#[test]
fn a_key_that_is_not_resident_does_not_come_back() {
    everywhere(|desk| {
        desk.a_key();
        download(desk, PIN);
        assert!(got(desk).is_empty());
    });
}

#[test]
fn a_wrong_pin_gets_nothing_back() {
    everywhere(|desk| {
        desk.make(&desk.order("id").resident_for("alice"));
        let refused = download(desk, "1111");
        assert!(!refused.success(), "{refused:#?}");
        assert!(got(desk).is_empty());
        assert_eq!(desk.blue.pin_tries_left(), 7);
    });
}

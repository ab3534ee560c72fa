//! Logins to a real sshd.

use tests::openssh::Protection::{NoTouchRequired, Touch, VerifyRequired};
use tests::openssh::{PIN, Protection};
use tests::{Presence, openssh};

use crate::desk::everywhere_with_a_server;

const NOT_VERIFIED: &str = "user verification requirement not met";
const NOT_TOUCHED: &str = "user presence (authenticator touch) requirement not met";

#[test]
fn a_key_logs_in_where_it_is_authorized_and_nowhere_else() {
    everywhere_with_a_server(|desk, sshd| {
        let key = desk.a_key();
        let other = desk.make(&desk.order("other"));
        sshd.authorize(&desk.public(&key));
        sshd.log_in_with(&key.file).assert_let_in();
        let refused = sshd.log_in_with(&other.file);
        refused.assert_refused("Connection closed by authenticating user");

        desk.blue.presence(Presence::Deny);
        let refused = sshd.log_in_with(&key.file);
        refused.assert_refused("Connection closed by authenticating user");
    });
}

/// A line of `authorized_keys` with this protection's option.
fn line(protection: Protection, public_key: &str) -> String {
    match protection.option() {
        None => public_key.to_owned(),
        Some(option) => format!("{option} {public_key}"),
    }
}

/// Which key gets in by which line; where it does not, what the server says of it.
const EXPECTED: [(Protection, Protection, Option<&str>); 9] = [
    (Touch, Touch, None),
    (Touch, VerifyRequired, Some(NOT_VERIFIED)),
    (Touch, NoTouchRequired, None),
    (VerifyRequired, Touch, None),
    (VerifyRequired, VerifyRequired, None),
    (VerifyRequired, NoTouchRequired, None),
    (NoTouchRequired, Touch, Some(NOT_TOUCHED)),
    (NoTouchRequired, VerifyRequired, Some(NOT_TOUCHED)),
    (NoTouchRequired, NoTouchRequired, None),
];

#[test]
fn a_line_lets_in_what_asks_for_as_much_as_the_line_does_and_nothing_less() {
    everywhere_with_a_server(|desk, sshd| {
        let keys = [Touch, VerifyRequired, NoTouchRequired].map(|protection| {
            let file = protection.option().unwrap_or("touch");
            (
                protection,
                desk.make(&desk.order(file).protected(protection)),
            )
        });
        for (protection, demanded, refusal) in EXPECTED {
            let (_, key) = keys.iter().find(|(made, _)| *made == protection).unwrap();
            sshd.authorize(&line(demanded, &desk.public(key)));
            let attempt = sshd.log_in_with(&key.file);
            let what = format!("{protection:?} where the line says {demanded:?}");
            println!("  {what}");
            match refusal {
                None => attempt.assert_let_in(),
                Some(why) => attempt.assert_refused(why),
            }
            let asked_for_pin = attempt.ended.stdout.contains(openssh::ASKED_FOR_PIN);
            assert_eq!(asked_for_pin, protection == VerifyRequired, "{what}");
        }
    });
}

#[test]
fn a_wrong_pin_lets_nobody_in() {
    everywhere_with_a_server(|desk, sshd| {
        let key = desk.a_key_with(VerifyRequired);
        sshd.authorize(&line(VerifyRequired, &desk.public(&key)));
        let refused = sshd.log_in_with_pin(&key.file, "1111");
        refused.assert_refused("Connection closed by authenticating user");
        assert!(desk.blue.pin_tries_left() < 8);
        sshd.log_in_with_pin(&key.file, PIN).assert_let_in();
    });
}

//! Certificates: for the key, and by the key.

use tests::machine::Finished;
use tests::openssh::Protection::{NoTouchRequired, Touch, VerifyRequired};
use tests::openssh::{ASKED_FOR_PIN, PIN, SkKey, owner};

use crate::desk::{Desk, everywhere, everywhere_with_a_server};
use tests::household::whenever_asked;

/// `ssh-keygen -s`: a certificate for this key, beside it, that is good for this account.
fn certify(desk: &Desk, authority: &SkKey, key: &SkKey, account: &str, more: &[&str]) -> Finished {
    let public_file = key.public_file();
    let mut certify = vec![
        "ssh-keygen",
        "-s",
        &authority.file,
        "-I",
        "bench",
        "-n",
        account,
    ];
    certify.extend(more);
    certify.push(&public_file);
    whenever_asked(desk.run(&certify), &[(ASKED_FOR_PIN, PIN)])
}

#[test]
fn a_certificate_for_the_key_is_what_the_authority_says() {
    everywhere(|desk| {
        let authority = desk.a_plain_key("authority");
        let key = desk.a_key();
        certify(desk, &authority, &key, "alice", &[]).expect_success();
        let certificate = format!("{}-cert.pub", key.file);
        let shown = desk.run(&["ssh-keygen", "-L", "-f", &certificate]).output();
        let shown = shown.expect_success().stdout;
        let kind = desk
            .kind
            .algorithm()
            .replace("@openssh.com", "-cert-v01@openssh.com");
        assert!(shown.contains(&kind), "{shown}");
        assert!(
            shown.contains("Principals: \n                alice\n"),
            "{shown}"
        );
    });
}

#[test]
fn a_certified_key_logs_in_where_its_authority_is_trusted_and_as_who_it_says() {
    everywhere_with_a_server(|desk, sshd| {
        let authority = desk.a_plain_key("authority");
        let other = desk.a_plain_key("other-authority");
        sshd.trust(&desk.public(&authority));
        let key = desk.a_key();
        let refused = sshd.log_in_with(&key.file);
        refused.assert_refused("Connection closed by authenticating user");

        certify(desk, &authority, &key, owner(), &[]).expect_success();
        sshd.log_in_with(&key.file).assert_let_in();
        certify(desk, &authority, &key, "bob", &[]).expect_success();
        let refused = sshd.log_in_with(&key.file);
        refused.assert_refused("name is not a listed principal");
        certify(desk, &other, &key, owner(), &[]).expect_success();
        let refused = sshd.log_in_with(&key.file);
        refused.assert_refused("Connection closed by authenticating user");
    });
}

#[test]
fn a_certificate_demands_verification_and_excuses_the_touch() {
    everywhere_with_a_server(|desk, sshd| {
        let authority = desk.a_plain_key("authority");
        sshd.trust(&desk.public(&authority));
        let verify_required = &["-O", "verify-required"][..];
        let no_touch_required = &["-O", "no-touch-required"][..];
        for (protection, options, refusal) in [
            (
                Touch,
                verify_required,
                Some("user verification requirement not met"),
            ),
            (VerifyRequired, verify_required, None),
            (
                NoTouchRequired,
                &[],
                Some("user presence (authenticator touch) requirement not met"),
            ),
            (NoTouchRequired, no_touch_required, None),
        ] {
            desk.sh("rm -f .ssh/id*").expect_success();
            let key = desk.a_key_with(protection);
            certify(desk, &authority, &key, owner(), options).expect_success();
            let attempt = sshd.log_in_with(&key.file);
            match refusal {
                None => attempt.assert_let_in(),
                Some(why) => attempt.assert_refused(why),
            }
        }
    });
}

#[test]
fn as_an_authority_the_key_lets_in_whom_it_certifies() {
    everywhere_with_a_server(|desk, sshd| {
        for protection in [Touch, VerifyRequired] {
            let file = protection.option().unwrap_or("touch");
            let authority = desk.make(&desk.order(file).protected(protection));
            let key = desk.a_plain_key(&format!("certified-{file}"));
            let ended = certify(desk, &authority, &key, owner(), &[]).expect_success();
            let asked = ended.stdout.contains(ASKED_FOR_PIN);
            assert_eq!(asked, protection == VerifyRequired, "{ended:#?}");

            sshd.trust(&desk.public(&authority));
            sshd.log_in_with(&key.file).assert_let_in();
            sshd.trust("");
            let refused = sshd.log_in_with(&key.file);
            refused.assert_refused("Connection closed by authenticating user");
        }
    });
}

#[test]
fn an_authority_certifies_nobody_without_a_touch() {
    everywhere(|desk| {
        let authority = desk.a_key();
        let key = desk.a_plain_key("plain");
        desk.blue.presence(tests::Presence::Deny);
        let refused = certify(desk, &authority, &key, "alice", &[]);
        assert!(!refused.success(), "{refused:#?}");
        let certificate = format!("{}-cert.pub", key.file);
        let absent = desk.run(&["test", "!", "-e", &certificate]).output();
        absent.expect_success();
    });
}

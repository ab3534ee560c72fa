//! What stock ssh-keygen does with a key file: reads it, shows it, gives it a passphrase and a
//! comment, signs with it.

use tests::Presence;
use tests::household::whenever_asked;
use tests::machine::Finished;
use tests::openssh::{ASKED_FOR_PIN, PIN, Protection, SkKey};

use crate::desk::{Desk, everywhere, without_comment};

/// `ssh-keygen -y`: the public key, out of the private file alone.
fn read(desk: &Desk, key: &SkKey, passphrase: &str) -> Finished {
    desk.run(&["ssh-keygen", "-y", "-P", passphrase, "-f", &key.file])
        .output()
}

/// `ssh-keygen -p`
fn change_passphrase(desk: &Desk, key: &SkKey, old: &str, new: &str) -> Finished {
    let change = ["ssh-keygen", "-p", "-P", old, "-N", new, "-f", &key.file];
    desk.run(&change).output()
}

#[test]
fn the_private_file_holds_the_public_one_and_a_damaged_one_is_refused() {
    everywhere(|desk| {
        let key = desk.a_key();
        let public_key = desk.public(&key);
        assert!(
            public_key.starts_with(desk.kind.algorithm()),
            "{public_key}"
        );
        assert!(public_key.ends_with(" bench"), "{public_key}");
        let alone = "mkdir alone; cp -p .ssh/id alone/; ssh-keygen -y -f alone/id";
        let read = desk.sh(alone).expect_success();
        assert_eq!(read.stdout.trim_end(), public_key);

        let damaged = "sed '3s/^..../AAAA/' .ssh/id >alone/id; ssh-keygen -y -f alone/id";
        let refused = desk.sh(damaged);
        assert!(!refused.success(), "{refused:#?}");
    });
}

#[test]
fn both_files_show_the_same_fingerprint_and_another_key_shows_another() {
    everywhere(|desk| {
        let fingerprint = |file: &str| {
            let shown = desk.run(&["ssh-keygen", "-l", "-f", file]).output();
            shown.expect_success().stdout
        };
        let key = desk.a_key();
        let shown = fingerprint(&key.public_file());
        let called = format!("({})", desk.kind.called());
        assert!(shown.trim_end().ends_with(&called), "{shown}");
        assert!(
            shown.contains(" SHA256:") && shown.contains(" bench "),
            "{shown}"
        );
        let alone = desk.sh("mkdir alone; cp -p .ssh/id alone/; ssh-keygen -l -f alone/id");
        assert_eq!(without_comment(&alone.stdout), without_comment(&shown));
        let other = desk.make(&desk.order("other"));
        let other = fingerprint(&other.public_file());
        assert_ne!(without_comment(&other), without_comment(&shown));
    });
}

#[test]
fn a_passphrase_is_set_changed_and_taken_away_and_no_other_opens_the_file() {
    everywhere(|desk| {
        let key = desk.a_key();
        let public_key = desk.public(&key);
        let mut passphrase = "";
        for next in ["correct horse", "pâsse 🔑 phrase", ""] {
            change_passphrase(desk, &key, passphrase, next).expect_success();
            let opened = read(desk, &key, next).expect_success();
            assert_eq!(opened.stdout.trim_end(), public_key);
            if !next.is_empty() {
                for wrong in [passphrase, "correct horse "] {
                    let refused = read(desk, &key, wrong);
                    assert!(
                        refused.stderr.contains("incorrect passphrase"),
                        "{refused:#?}"
                    );
                    let refused = change_passphrase(desk, &key, wrong, "mine now");
                    assert!(!refused.success(), "{refused:#?}");
                }
            }
            passphrase = next;
        }
    });
}

#[test]
fn a_comment_is_changed_by_who_has_the_passphrase() {
    everywhere(|desk| {
        let key = desk.a_key();
        let before = desk.public(&key);
        let change = |passphrase: &str, comment: &str| {
            let change = ["ssh-keygen", "-c", "-P", passphrase, "-C", comment];
            let change = [&change[..], &["-f", &key.file]].concat();
            desk.run(&change).output()
        };
        change("", "alice's blue key").expect_success();
        let after = desk.public(&key);
        assert_eq!(
            after,
            format!("{} alice's blue key", without_comment(&before))
        );
        assert_eq!(read(desk, &key, "").stdout.trim_end(), after);

        change_passphrase(desk, &key, "", "correct horse").expect_success();
        let refused = change("wrong", "mallory's");
        assert!(!refused.success(), "{refused:#?}");
        change("correct horse", "still alice's").expect_success();
        let opened = read(desk, &key, "correct horse").expect_success();
        assert!(opened.stdout.ends_with(" still alice's\n"), "{opened:#?}");
    });
}

/// `ssh-keygen -Y sign` of `~/message`; the PIN is typed if it is asked for.
fn sign(desk: &Desk, key: &SkKey, pin: &str) -> Finished {
    desk.sh("rm -f message.sig; echo 'let alice in' >message")
        .expect_success();
    let line = format!("cd; ssh-keygen -Y sign -n bench -f {} message", key.file);
    whenever_asked(desk.machine.sh_by_owner(&line), &[(ASKED_FOR_PIN, pin)])
}

/// `ssh-keygen -Y verify` of the signature.
fn verify(desk: &Desk, signers: &str, namespace: &str, message: &str) -> Finished {
    desk.machine.write("/etc/signers", signers, 0o644);
    let line =
        format!("cd; ssh-keygen -Y verify -f /etc/signers -I alice -n {namespace} -s message.sig");
    desk.machine.sh_by_owner(&line).stdin(message).output()
}

#[test]
fn a_signature_is_good_for_its_message_its_namespace_and_its_signer_alone() {
    everywhere(|desk| {
        let key = desk.a_key();
        let signers = format!("alice {}\n", desk.public(&key));
        let other = desk.make(&desk.order("other"));
        let others = format!("alice {}\n", desk.public(&other));
        sign(desk, &key, PIN).expect_success();

        let good = verify(desk, &signers, "bench", "let alice in\n").expect_success();
        let said = format!("with {} key", desk.kind.called());
        assert!(
            good.stdout
                .starts_with("Good \"bench\" signature for alice")
        );
        assert!(good.stdout.contains(&said), "{good:#?}");
        for (signers, namespace, message) in [
            (&signers, "bench", "let mallory in\n"),
            (&signers, "file", "let alice in\n"),
            (&others, "bench", "let alice in\n"),
        ] {
            let refused = verify(desk, signers, namespace, message);
            assert!(!refused.success(), "{signers} {namespace} {message}");
        }
    });
}

#[test]
fn a_signature_takes_what_the_key_was_made_to_ask_for() {
    everywhere(|desk| {
        let touched = desk.make(&desk.order("touched"));
        let verified = desk.make(&desk.order("verified").protected(Protection::VerifyRequired));
        let untouched = desk
            .order("untouched")
            .protected(Protection::NoTouchRequired);
        let untouched = desk.make(&untouched);

        desk.blue.presence(Presence::Deny);
        sign(desk, &untouched, "not asked for").expect_success();
        let refused = sign(desk, &touched, "not asked for");
        assert!(!refused.success(), "{refused:#?}");

        desk.blue.presence(Presence::Accept);
        let ended = sign(desk, &touched, "not asked for").expect_success();
        assert!(!ended.stdout.contains(ASKED_FOR_PIN), "{ended:#?}");
        let refused = sign(desk, &verified, "1111");
        assert!(!refused.success(), "{refused:#?}");
        let ended = sign(desk, &verified, PIN).expect_success();
        assert!(ended.stdout.contains(ASKED_FOR_PIN), "{ended:#?}");
        let signers = format!("alice {}\n", desk.public(&verified));
        verify(desk, &signers, "bench", "let alice in\n").expect_success();
    });
}

//! Commits signed with the key.

use tests::machine::Finished;
use tests::openssh::SkKey;

use crate::desk::{Desk, everywhere};

/// A repository of the owner's in `~/repository`, whose commits are signed with this key.
fn repository(desk: &Desk, key: &SkKey) {
    let public_key = desk.public(key);
    let signers = format!("alice@bench namespaces=\"git\" {public_key}\n");
    desk.machine.write("/etc/signers", &signers, 0o644);
    let settings = format!(
        "git init -q repository && cd repository && \
         git config user.name Alice && git config user.email alice@bench && \
         git config gpg.format ssh && git config user.signingKey {} && \
         git config commit.gpgSign true && \
         git config gpg.ssh.allowedSignersFile /etc/signers",
        key.file
    );
    desk.sh(&settings).expect_success();
}

fn git(desk: &Desk, line: &str) -> Finished {
    desk.sh(&format!("cd repository && {line}"))
}

#[test]
fn git_takes_a_signed_commit_and_refuses_a_changed_one() {
    everywhere(|desk| {
        let key = desk.a_key();
        repository(desk, &key);
        git(desk, "git commit -q --allow-empty -m 'Let alice in'").expect_success();
        let good = git(desk, "git verify-commit HEAD").expect_success();
        let said = format!(
            "Good \"git\" signature for alice@bench with {} key",
            desk.kind.called()
        );
        assert!(good.stderr.contains(&said), "{good:#?}");

        let changed = "git cat-file commit HEAD | sed 's/Let alice in/Let mallory in/' | \
                       git hash-object -t commit -w --stdin";
        let changed = git(desk, changed).expect_success();
        let changed = changed.stdout.trim_end();
        let shown = git(desk, &format!("git log -1 --format=%s {changed}")).expect_success();
        assert_eq!(shown.stdout, "Let mallory in\n");
        let refused = git(desk, &format!("git verify-commit {changed}"));
        assert!(!refused.success(), "{refused:#?}");
        assert!(
            !refused.stderr.contains("Good \"git\" signature for"),
            "{refused:#?}"
        );
    });
}

#[test]
fn git_refuses_a_commit_of_a_signer_it_does_not_know() {
    everywhere(|desk| {
        let key = desk.a_key();
        repository(desk, &key);
        git(desk, "git commit -q --allow-empty -m 'Let alice in'").expect_success();
        let other = desk.make(&desk.order("other"));
        let signers = format!("alice@bench {}\n", desk.public(&other));
        desk.machine.write("/etc/signers", &signers, 0o644);
        let refused = git(desk, "git verify-commit HEAD");
        assert!(!refused.success(), "{refused:#?}");
    });
}

#[test]
fn no_commit_is_made_without_a_touch() {
    everywhere(|desk| {
        let key = desk.a_key();
        repository(desk, &key);
        desk.blue.presence(tests::Presence::Deny);
        let refused = git(desk, "git commit -q --allow-empty -m 'Let alice in'");
        assert!(!refused.success(), "{refused:#?}");
        let none = git(desk, "git rev-parse --verify -q HEAD");
        assert!(!none.success(), "{none:#?}");
    });
}

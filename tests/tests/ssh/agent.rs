//! Keys in a real ssh-agent.

use tests::openssh::Protection::{Touch, VerifyRequired};

use crate::desk::{Desk, everywhere, everywhere_with_a_server};

#[test]
fn an_agent_takes_the_key_lists_it_and_signs_with_it() {
    everywhere(|desk: &Desk| {
        for protection in [Touch, VerifyRequired] {
            let file = protection.option().unwrap_or("touch");
            let key = desk.make(&desk.order(file).protected(protection));
            let agent = desk.agent();
            let public_key = desk.public(&key);
            let test = || agent.run(["ssh-add", "-T", &key.public_file()]).output();
            let refused = test();
            assert!(!refused.success(), "{refused:#?}");

            agent.run(["ssh-add", &key.file]).output().expect_success();
            let listed = agent.run(["ssh-add", "-L"]).output().expect_success();
            assert_eq!(listed.stdout.trim_end(), public_key);
            // ssh-add has the agent sign, and verifies it itself.
            test().expect_success();
            let file = &key.file;
            let line = format!(
                "cd; mv {file} {file}.away; echo hello >message; rm -f message.sig; \
                 ssh-keygen -Y sign -n bench -f {file}.pub message"
            );
            agent.run(["sh", "-c", &line]).output().expect_success();
            let signers = format!("alice {public_key}\n");
            desk.machine.write("/etc/signers", &signers, 0o644);
            let line = "cd; ssh-keygen -Y verify -f /etc/signers -I alice -n bench -s message.sig";
            let verify = |message: &str| desk.machine.sh_by_owner(line).stdin(message).output();
            verify("hello\n").expect_success();
            assert!(!verify("goodbye\n").success());

            agent
                .run(["ssh-add", "-d", &key.public_file()])
                .output()
                .expect_success();
            let refused = test();
            assert!(!refused.success(), "{refused:#?}");
        }
    });
}

#[test]
fn a_login_goes_through_the_agent_and_not_without_it() {
    everywhere_with_a_server(|desk, sshd| {
        let key = desk.a_key_with(VerifyRequired);
        let line = format!("verify-required {}", desk.public(&key));
        sshd.authorize(&line);
        let agent = desk.agent();
        agent.run(["ssh-add", &key.file]).output().expect_success();
        desk.sh(&format!("mv {0} {0}.away", key.file))
            .expect_success();
        let attempt = sshd.log_in(&key.public_file(), "nobody asks", |run| agent.on(run));
        attempt.assert_let_in();
        let attempt = sshd.log_in_with(&key.public_file());
        assert!(attempt.was_refused(), "{:#?}", attempt.ended);
    });
}

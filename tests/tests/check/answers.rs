//! What is said of the answers of modules, ours and others, is what they answer:
//! each stands alone in a stack that hands its answer through.

use tests::machine::{MODULE, PluggedIn};
use tests::{Machine, Presence};

use crate::against_libpam::{checked, real, word};

/// Hands through whatever the module answers.
fn through(module: &str) -> String {
    format!("auth [default=ok] {module}\n")
}

/// The same of what is said.
fn expected(way_in: &str, because: &str) -> String {
    if way_in == "nothing needed" {
        return "success".to_owned();
    }
    let ends = because.strip_prefix("whatever is tried ends with ");
    let ends = ends.unwrap_or_else(|| panic!("{way_in}: {because}"));
    ends.split(';').next().unwrap().to_owned()
}

/// Modules of Linux-PAM that answer alice without asking her.
const OTHERS: &[&str] = &[
    "pam_permit.so",
    "pam_deny.so",
    "pam_env.so",
    "pam_warn.so",
    "pam_faildelay.so delay=1",
    "pam_group.so",
    "pam_keyinit.so",
    "pam_mail.so",
    "pam_nologin.so",
    "pam_nologin.so successok",
    "pam_securetty.so",
    "pam_shells.so",
    "pam_localuser.so",
    "pam_usertype.so isregular",
    "pam_access.so",
    "pam_succeed_if.so uid >= 1000",
    "pam_succeed_if.so quiet uid lt 1000",
    "pam_succeed_if.so user = alice uid ne 0",
    "pam_succeed_if.so user = bob",
    "pam_succeed_if.so user ingroup sudo",
    "pam_succeed_if.so user ingroup alice",
    "pam_succeed_if.so user notingroup sudo",
    "pam_succeed_if.so user ingroup tty",
    "pam_succeed_if.so user ingroup tty:sudo",
    "pam_succeed_if.so user notingroup tty:sudo",
    "pam_debug.so",
    "pam_debug.so auth=bogus auth=abort",
    "pam_limits.so",
    "pam_loginuid.so",
    "pam_mkhomedir.so",
    "pam_motd.so",
    "pam_namespace.so",
    "pam_pwhistory.so",
    "pam_setquota.so",
    "pam_systemd.so",
    "pam_time.so",
    "pam_tty_audit.so",
    "pam_umask.so",
    "pam_xauth.so",
    "pam_unix_of_nobody.so",
];

#[test]
fn other_modules_answer_what_is_said_of_them() {
    let machine = Machine::new();
    let services: Vec<String> = (0..OTHERS.len()).map(|it| format!("alone{it}")).collect();
    for (service, module) in services.iter().zip(OTHERS) {
        machine.service(service, &through(module));
    }
    let real = real(&machine, &services);
    let said = checked(&machine, &services);
    let mut wrong = Vec::new();
    for ((module, real), (way_in, because)) in OTHERS.iter().zip(real).zip(said) {
        let expected = expected(&way_in, &because);
        if real != expected {
            wrong.push(format!("{module}: {real}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_password_that_is_locked_or_empty_is_known() {
    let machine = Machine::new();
    let modules = ["pam_unix.so nodelay", "pam_unix.so nodelay nullok"];
    let services = ["strict".to_owned(), "lax".to_owned()];
    for (service, module) in services.iter().zip(modules) {
        machine.service(service, &through(module));
    }
    for (field, codes) in [("!", ["auth_err"; 2]), ("", ["auth_err", "success"])] {
        let line = format!("sed -i 's/^alice:[^:]*/alice:{field}/' /etc/shadow");
        machine.sh(line).output().expect_success();
        let said: Vec<String> = checked(&machine, &services)
            .iter()
            .map(|(way_in, because)| expected(way_in, because))
            .collect();
        assert_eq!(said, codes, "{field:?}");
        if field.is_empty() {
            // Of a locked one pam_unix asks for the password first.
            assert_eq!(real(&machine, &services)[1], "success");
        }
    }
}

/// alice has a key that says no, and our module stands alone.
fn ours() -> (Machine, PluggedIn) {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Deny);
    for service in ["sudo", "cron"] {
        machine.service(service, &through(MODULE));
    }
    machine.service("loud", &through(&format!("{MODULE} debug")));
    machine
        .sh("cp -a /etc/pam-passkey /root/kept")
        .output()
        .expect_success();
    (machine, blue)
}

#[test]
fn our_module_answers_what_is_said_of_it() {
    let (machine, blue) = ours();
    let config = |line: &str| format!("printf '{line}\\n' >> /etc/pam-passkey/config.toml");
    let file = "/etc/pam-passkey/users/alice.toml";
    for (service, line, code) in [
        ("cron", "true".to_owned(), "authinfo_unavail"),
        ("loud", config("[service.loud]"), "service_err"),
        ("sudo", config("colour = 1"), "service_err"),
        (
            "sudo",
            config("[service.sudo]\\nenabled = false"),
            "authinfo_unavail",
        ),
        ("sudo", format!("rm {file}"), "user_unknown"),
        (
            "sudo",
            format!("rm {file}; {}", config("when_not_enrolled = \"ignore\"")),
            "ignore",
        ),
        (
            "sudo",
            format!(
                "rm {file}; {}; echo 'alias:x:1000:1000::/:/bin/sh' | \
                     cat - /etc/passwd > /root/passwd; cp /root/passwd /etc/passwd",
                config("when_not_enrolled = \"ignore\"")
            ),
            "user_unknown",
        ),
        (
            "sudo",
            format!("sed -i 's/^name/nmae/' {file}"),
            "service_err",
        ),
        (
            "sudo",
            format!("sed -i 's/^uid/uids/' {file}"),
            "service_err",
        ),
        ("sudo", format!("chmod 0666 {file}"), "service_err"),
        (
            "sudo",
            "rm -r /etc/pam-passkey/users".to_owned(),
            "service_err",
        ),
        ("sudo", "rm -r /etc/pam-passkey".to_owned(), "service_err"),
        (
            "sudo",
            "chmod 0777 /etc/pam-passkey".to_owned(),
            "service_err",
        ),
        (
            "sudo",
            format!(
                "chmod 0777 /var/lib/pam-passkey; {}",
                config("counter = \"refuse\"")
            ),
            "service_err",
        ),
        (
            "sudo",
            format!(
                "sed -i 's/^synced = false/synced = true/' {file}; {}",
                config("synced = \"refuse\"")
            ),
            "auth_err",
        ),
    ] {
        machine.sh(&line).output().expect_success();
        let services = [service.to_owned()];
        // Not in a shell: its children are in nobody's session.
        let login = machine.login(service, "alice").run();
        let real = word(login.code());
        let (way_in, because) = checked(&machine, &services).remove(0);
        assert_eq!(real, code, "{line}");
        assert_eq!(expected(&way_in, &because), code, "{line}: {because}");
        let mend = "rm -rf /etc/pam-passkey; cp -a /root/kept /etc/pam-passkey; \
                    sed -i '/^alias:/d' /etc/passwd; chmod 0700 /var/lib/pam-passkey";
        machine.sh(mend).output().expect_success();
    }
    let (way_in, because) = checked(&machine, &["sudo".to_owned()]).remove(0);
    assert_eq!(way_in, "key", "{because}");
    drop(blue);
}

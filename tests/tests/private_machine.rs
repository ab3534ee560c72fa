//! A machine of the bench is a machine: its own files, its own log, and nothing left behind.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use std::fs;
use std::time::{Duration, Instant};

use tests::machine::{ALICE_PASSWORD, Debian, Privilege, ROOT_PASSWORD, privilege};
use tests::{Machine, Pam, Session, Style, VirtualKey};

#[test]
fn its_users_are_its_own_and_the_real_ones_stay_as_they_are() {
    let real = fs::read("/etc/passwd").unwrap();
    let machine = Machine::new();

    let passwd = machine
        .run(["cat", "/etc/passwd"])
        .output()
        .expect_success();
    assert!(
        passwd.stdout.contains("alice:x:1000:1000"),
        "{}",
        passwd.stdout
    );
    assert_eq!(machine.run(["id", "-un"]).output().stdout, "root\n");
    machine
        .sh("echo carol:x:1002:1002::/:/bin/sh >> /etc/passwd")
        .output()
        .expect_success();

    assert!(machine.read("/etc/passwd").unwrap().contains("carol"));
    assert_eq!(fs::read("/etc/passwd").unwrap(), real);
}

#[test]
fn two_machines_side_by_side_do_not_see_each_other() {
    let (one, other) = (Machine::new(), Machine::new());
    one.write_etc("pam-passkey/config.toml", "one", 0o644);

    assert_eq!(
        one.run(["cat", "/etc/pam-passkey/config.toml"])
            .output()
            .stdout,
        "one"
    );
    assert!(
        !other
            .run(["test", "-e", "/etc/pam-passkey/config.toml"])
            .output()
            .success()
    );
}

#[test]
fn with_the_programs_of_another_debian_everything_else_stays_the_machine_s() {
    for debian in Debian::at_hand() {
        let machine = Machine::new().with_programs_of(&debian);
        let _blue = machine.plug_in(VirtualKey::named("Blue"));
        let version = machine.run(["cat", "/usr/lib/os-release"]).output();
        let version = version.expect_success().stdout;
        assert!(
            debian.is_of_this_machine() || version.contains(debian.name()),
            "{debian:?}: {version}"
        );
        // of the machine's own files, the real one's processes, and the product
        for (line, shows) in [
            ("cat /etc/hostname", "bench\n"),
            ("id -un; ls -d ~", "root\n/root\n"),
            ("exec cat /proc/self/cgroup", "session-3.scope\n"),
            ("passkey key list", "Blue"),
        ] {
            let shown = machine.sh(line).output().expect_success();
            assert!(shown.stdout.contains(shows), "{debian:?}: {shown:#?}");
        }
        if privilege().has_other_users() {
            let line = "echo hers >~/hers; cat /root/hers";
            let alice = machine.sh(line).as_alice().output();
            assert!(alice.stderr.contains("Permission denied"), "{alice:#?}");
            assert!(machine.path("/home/alice/hers").exists());
        }
    }
}

#[test]
fn what_is_written_to_var_lib_stays_in_the_machine() {
    let machine = Machine::new();
    machine
        .sh("umask 077; echo 7 > /var/lib/pam-passkey/counter")
        .output()
        .expect_success();

    assert_eq!(machine.read("/var/lib/pam-passkey/counter").unwrap(), "7\n");
    assert!(!fs::exists("/var/lib/pam-passkey/counter").unwrap());
}

#[test]
fn pam_unix_takes_the_right_password_and_no_other() {
    let machine = Machine::new();
    machine.service("bench", "auth required pam_unix.so nodelay\n");

    let right = machine
        .login("bench", "alice")
        .answers([ALICE_PASSWORD])
        .setcred()
        .run();
    assert_eq!(right.code(), Pam::Success, "{right:#?}");
    assert_eq!(right.report.messages[0].style, Style::PromptEchoOff);
    assert!(right.said().starts_with("Password:"));

    let wrong = machine
        .login("bench", "alice")
        .answers([ROOT_PASSWORD])
        .run();
    assert_eq!(wrong.code(), Pam::AuthErr);
    let nobody = machine
        .login("bench", "mallory")
        .answers(["anything"])
        .run();
    assert_eq!(nobody.code(), Pam::UserUnknown);
}

#[test]
fn a_prompt_that_nobody_answers_is_a_conversation_error() {
    let machine = Machine::new();
    machine.service("bench", "auth required pam_unix.so nodelay\n");
    let login = machine.login("bench", "alice").run();
    assert_ne!(login.code(), Pam::Success);
}

#[test]
fn a_service_without_a_file_of_its_own_is_denied() {
    let machine = Machine::new();
    assert_eq!(machine.login("nothing", "alice").run().code(), Pam::AuthErr);
}

#[test]
fn a_module_that_is_not_there_is_an_error_that_pam_host_reports() {
    let machine = Machine::new();
    machine.service("bench", "auth required /nowhere/pam_none.so\n");
    assert_eq!(
        machine.login("bench", "alice").run().code(),
        Pam::ModuleUnknown
    );
}

#[test]
fn a_login_is_asked_as_often_as_sudo_asks() {
    let machine = Machine::new();
    machine.service("bench", "auth required pam_unix.so nodelay\n");
    let login = machine
        .login("bench", "alice")
        .answers(["no", "nor this", ALICE_PASSWORD])
        .calls(3)
        .run();
    let codes: Vec<Pam> = login.report.calls.iter().map(|call| call.code).collect();
    assert_eq!(codes, [Pam::AuthErr, Pam::AuthErr, Pam::Success]);
}

#[test]
fn pam_host_sees_a_module_that_leaves_nothing_behind() {
    let machine = Machine::new();
    machine.service("bench", "auth required pam_permit.so\n");
    let login = machine
        .login("bench", "alice")
        .setcred()
        .interrupts_like_sudo()
        .run();
    assert_eq!(login.code(), Pam::Success);
    assert!(
        login.report.footprint.is_clean(),
        "{:#?}",
        login.report.footprint
    );
    assert_eq!(login.report.pending, [""; 0]);
}

#[test]
fn an_interrupt_is_left_waiting_as_sudo_would_find_it() {
    let machine = Machine::new();
    machine.service("bench", "auth required pam_unix.so nodelay\n");
    let mut login = machine
        .login("bench", "alice")
        .answers_later()
        .interrupts_like_sudo()
        .start();
    login.wait_until_said("Password:");
    login.signal(nix::sys::signal::Signal::SIGINT);
    login.type_line(ALICE_PASSWORD);
    assert_eq!(login.finish().report.pending, ["SIGINT"]);
}

#[test]
fn what_programs_tell_syslog_can_be_read() {
    let machine = Machine::new();
    let logged = machine
        .run([
            "logger",
            "-p",
            "authpriv.warning",
            "-t",
            "bench",
            "the counter went back",
        ])
        .output()
        .expect_success();
    let [line] = logged.log.as_slice() else {
        panic!("{:#?}", logged.log)
    };
    assert_eq!((line.facility, line.severity), (10, 4));
    assert!(
        line.text.ends_with("the counter went back"),
        "{}",
        line.text
    );
    assert_eq!(machine.log().len(), 1);
}

#[test]
fn a_session_is_what_the_cgroup_and_logind_say() {
    let machine = Machine::new();
    for (session, scope) in [
        (Session::Local, "session-3.scope\n"),
        (Session::Remote, "session-4.scope\n"),
        (
            Session::UserManager,
            "user@1000.service/app.slice/app-bench-7.scope\n",
        ),
        (Session::None, "system.slice/bench.service\n"),
    ] {
        // The command itself, not a child of it: that is what is covered.
        let cgroup = machine
            .run(["cat", "/proc/self/cgroup"])
            .session(session)
            .output()
            .expect_success();
        assert!(
            cgroup.stdout.starts_with("0::/") && cgroup.stdout.ends_with(scope),
            "{}",
            cgroup.stdout
        );
    }
    let local = machine.run(["cat", "/run/systemd/sessions/3"]).output();
    assert!(
        local.stdout.contains("REMOTE=0\n") && local.stdout.contains("SEAT=seat0\n"),
        "{}",
        local.stdout
    );
    let remote = machine
        .run(["cat", "/run/systemd/sessions/4"])
        .session(Session::Remote)
        .output();
    assert!(remote.stdout.contains("REMOTE=1\n"));
}

#[test]
fn alice_is_alice_and_root_s_files_are_not_hers() {
    if !privilege().has_other_users() {
        println!("skipped: this user has no subordinate ids, so there is no alice");
        return;
    }
    let machine = Machine::new();
    let alice = machine
        .sh("id -un; touch ~/hers; cat /etc/shadow")
        .as_alice()
        .output();
    assert_eq!(alice.stdout, "alice\n");
    assert!(
        alice.stderr.contains("/etc/shadow: Permission denied"),
        "{}",
        alice.stderr
    );
    assert!(machine.path("/home/alice/hers").exists());
    assert_eq!(
        machine
            .run(["stat", "-c", "%U", "/home/alice/hers"])
            .output()
            .stdout,
        "alice\n"
    );
}

#[test]
fn a_terminal_is_typed_at_and_read_like_one() {
    let machine = Machine::new();
    let mut shell = machine
        .sh("printf 'Name: ' > /dev/tty; read name < /dev/tty; echo Hello, $name; test -t 0")
        .on_a_terminal()
        .start();
    shell.wait_for("Name: ");
    shell.type_line("Alice");
    let shell = shell.finish().expect_success();
    assert!(shell.stdout.contains("Hello, Alice"), "{}", shell.stdout);
}

#[test]
fn setuid_sudo_works_with_alice_s_password() {
    if privilege() != Privilege::Root {
        println!("skipped: setuid programs work only as root");
        return;
    }
    let machine = Machine::new();
    machine.service("sudo", "auth required pam_unix.so nodelay\naccount required pam_permit.so\nsession required pam_permit.so\n");
    let mut sudo = machine
        .run(["sudo", "id", "-u"])
        .as_alice()
        .on_a_terminal()
        .start();
    sudo.wait_for("password for alice");
    sudo.type_line(ALICE_PASSWORD);
    let sudo = sudo.finish().expect_success();
    assert!(sudo.stdout.ends_with("0\r\n"), "{}", sudo.stdout);
}

#[test]
#[should_panic(expected = "did not end in time")]
fn a_command_that_hangs_fails_the_test_in_time() {
    let machine = Machine::new();
    machine
        .run(["sleep", "1000"])
        .within(Duration::from_millis(200))
        .output();
}

#[test]
fn ending_a_command_ends_its_children() {
    let machine = Machine::new();
    let running = machine.sh("sleep 1000 & echo $!; wait").start();
    running.wait_for("\n");
    let group = running.pid();
    drop(running);
    let began = Instant::now();
    while nix::sys::signal::killpg(group, None).is_ok() {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "the children live on"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn nothing_is_left_behind_when_a_test_panics() {
    let (path, outcome) = {
        let machine = Machine::new();
        let path = machine.path("/etc");
        let test = std::thread::spawn(move || {
            let _sleeping = machine.run(["sleep", "1000"]).start();
            panic!("a test that fails, as it should");
        });
        (path, test.join())
    };
    assert!(outcome.is_err());
    assert!(!path.exists());
}

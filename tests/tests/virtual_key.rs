//! The virtual key is an honest peer: programs that share nothing with us say so.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use std::process::Command as Program;
use std::time::{Duration, Instant};

use tests::machine::{PluggedIn, Privilege, privilege};
use tests::{Attestation, Command, Machine, Pam, Presence, Reply, VirtualKey};

/// Whether Debian's fido2-tools are here; says so if not.
fn fido2_tools_are_installed() -> bool {
    let there = Program::new("fido2-token").arg("-V").output().is_ok();
    if !there {
        println!("skipped: fido2-token is not installed (package fido2-tools)");
    }
    there
}

/// 32 bytes in base64, where fido2-cred and fido2-assert want a hash.
const HASH: &str = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI=";
const RP: &str = "pam://bench";

/// Makes a credential with fido2-cred and verifies its attestation; returns id and public key.
fn credential(machine: &Machine, node: &str, kind: &str) -> (String, String) {
    let made = machine
        .run(["fido2-cred", "-M", node, kind])
        .stdin(format!("{HASH}\n{RP}\nalice\nYWxpY2U=\n"))
        .output()
        .expect_success();
    let verified = machine
        .run(["fido2-cred", "-V", kind])
        .stdin(made.stdout)
        .output()
        .expect_success();
    let (id, public_key) = verified.stdout.split_once('\n').unwrap();
    (id.to_owned(), public_key.to_owned())
}

#[test]
fn libfido2_finds_it_and_reads_its_info() {
    if !fido2_tools_are_installed() {
        return;
    }
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key"));
    let list = machine.run(["fido2-token", "-L"]).output().expect_success();
    assert!(
        list.stdout.contains("/dev/hidraw0") && list.stdout.contains("Blue Key"),
        "{list:#?}"
    );

    let info = machine
        .run(["fido2-token", "-I", &blue.node()])
        .output()
        .expect_success();
    for line in [
        "FIDO_2_1",
        "U2F_V2",
        "es256",
        "eddsa",
        "pin protocols: 2, 1",
    ] {
        assert!(info.stdout.contains(line), "no {line} in {}", info.stdout);
    }
    assert_eq!(blue.commands()[..2], [Command::Init, Command::GetInfo]);
}

#[test]
fn a_credential_of_either_kind_is_made_and_asserted() {
    if !fido2_tools_are_installed() {
        return;
    }
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key"));
    for kind in ["es256", "eddsa"] {
        let (id, public_key) = credential(&machine, &blue.node(), kind);
        machine.write("/root/public_key", &public_key, 0o600);
        let assertion = machine
            .run(["fido2-assert", "-G", "-t", "up=true", &blue.node()])
            .stdin(format!("{HASH}\n{RP}\n{id}\n"))
            .output()
            .expect_success();
        machine
            .run(["fido2-assert", "-V", "-p", "/root/public_key", kind])
            .stdin(&assertion.stdout)
            .output()
            .expect_success();

        let other = assertion.stdout.replace(RP, "pam://other");
        let refused = machine
            .run(["fido2-assert", "-V", "-p", "/root/public_key", kind])
            .stdin(other)
            .output();
        assert!(
            !refused.success(),
            "{kind}: an assertion for another relying party was taken"
        );
    }
}

#[test]
fn it_attests_with_a_certificate_if_it_has_one_and_with_itself_if_not() {
    if !fido2_tools_are_installed() {
        return;
    }
    let machine = Machine::new();
    let request = format!("{HASH}\n{RP}\nalice\nYWxpY2U=\n");
    let plain = machine.plug_in(VirtualKey::named("Plain"));
    let branded =
        machine.plug_in(VirtualKey::named("Branded").attested_by(&Attestation::of_the_bench()));

    // fido2-cred prints the certificate, where there is one, after the signature.
    let made = |node: &str| {
        machine
            .run(["fido2-cred", "-M", node])
            .stdin(&request)
            .output()
            .expect_success()
            .stdout
    };
    let (without, with) = (made(&plain.node()), made(&branded.node()));
    assert_eq!(
        without.lines().count() + 1,
        with.lines().count(),
        "{without}\n{with}"
    );
    machine
        .run(["fido2-cred", "-V"])
        .stdin(with)
        .output()
        .expect_success();
}

#[test]
fn a_denied_touch_is_an_error() {
    if !fido2_tools_are_installed() {
        return;
    }
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key"));
    let (id, _) = credential(&machine, &blue.node(), "es256");
    blue.presence(Presence::Deny);
    blue.forget_transactions();

    let denied = machine
        .run(["fido2-assert", "-G", &blue.node()])
        .stdin(format!("{HASH}\n{RP}\n{id}\n"))
        .output();
    assert!(!denied.success());
    assert!(
        denied.stderr.contains("FIDO_ERR_OPERATION_DENIED"),
        "{}",
        denied.stderr
    );
    assert_eq!(
        blue.transactions().last().unwrap().reply,
        Some(Reply::Ctap2(0x27))
    );
}

#[test]
fn while_it_waits_it_blinks_and_unplugging_ends_the_wait() {
    if !fido2_tools_are_installed() {
        return;
    }
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key"));
    blue.presence(Presence::Never);

    let request = format!("{HASH}\n{RP}\nalice\nYWxpY2U=\n");
    let waiting = machine
        .run(["fido2-cred", "-M", &blue.node()])
        .stdin(request)
        .start();
    blue.wait_until_it_blinks();
    std::thread::sleep(Duration::from_millis(350));
    let began = Instant::now();
    let blue = blue.unplug();
    let ended = waiting.finish();
    assert!(
        !ended.success() && began.elapsed() < Duration::from_secs(2),
        "{ended:#?}"
    );
    let last = blue.transactions().pop().unwrap();
    assert_eq!((last.command, last.reply), (Command::MakeCredential, None));
    assert!(last.keepalives >= 2, "{last}");
}

#[test]
fn a_late_touch_is_a_touch() {
    if !fido2_tools_are_installed() {
        return;
    }
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key"));
    blue.presence(Presence::after_ms(400));
    let began = Instant::now();
    credential(&machine, &blue.node(), "es256");
    assert!(began.elapsed() >= Duration::from_millis(400));
    let made = blue
        .transactions()
        .into_iter()
        .find(|t| t.command == Command::MakeCredential)
        .unwrap();
    assert!(made.keepalives >= 2, "{made}");
}

#[test]
fn a_key_kept_in_a_file_is_the_same_key_again() {
    if !fido2_tools_are_installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("blue");
    let machine = Machine::new();

    let blue = machine.plug_in(VirtualKey::named("Blue Key").kept_in(&file));
    let (id, _) = credential(&machine, &blue.node(), "es256");
    drop(blue.unplug());

    let assert = |key: VirtualKey| {
        let key = machine.plug_in(key);
        machine
            .run(["fido2-assert", "-G", &key.node()])
            .stdin(format!("{HASH}\n{RP}\n{id}\n"))
            .output()
    };
    let again = assert(VirtualKey::named("Blue Key").kept_in(&file));
    assert!(again.success(), "{again:#?}");
    let another = assert(VirtualKey::named("Blue Key"));
    assert!(
        another.stderr.contains("FIDO_ERR_NO_CREDENTIALS"),
        "{another:#?}"
    );
}

#[test]
fn a_preset_pin_is_asked_for_and_no_other_is_taken() {
    if !fido2_tools_are_installed() {
        return;
    }
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key").with_pin("2468"));
    let (id, public_key) = credential(&machine, &blue.node(), "es256");
    machine.write("/root/public_key", &public_key, 0o600);
    machine.write("/root/request", &format!("{HASH}\n{RP}\n{id}\n"), 0o600);

    let assert_with = |pin: &str| {
        let mut asserting = machine
            .run([
                "fido2-assert",
                "-G",
                "-v",
                "-i",
                "/root/request",
                "-o",
                "/root/assertion",
                &blue.node(),
            ])
            .on_a_terminal()
            .start();
        asserting.wait_for("Enter PIN");
        asserting.type_line(pin);
        asserting.finish()
    };
    let wrong = assert_with("1357");
    assert!(wrong.stdout.contains("FIDO_ERR_PIN_INVALID"), "{wrong:#?}");
    assert_with("2468").expect_success();
    // -v: user verification is demanded of the assertion.
    machine
        .run([
            "fido2-assert",
            "-V",
            "-v",
            "-p",
            "-i",
            "/root/assertion",
            "/root/public_key",
            "es256",
        ])
        .output()
        .expect_success();
}

/// Whether Debian's `pam_u2f` and pamu2fcfg are here; says so if not.
fn pam_u2f_is_installed() -> bool {
    let there = Program::new("pamu2fcfg").arg("--version").output().is_ok();
    if !there {
        println!("skipped: pamu2fcfg is not installed (packages pamu2fcfg, libpam-u2f)");
    }
    there
}

/// The line for /etc/pam.d.
const PAM_U2F: &str =
    "auth required pam_u2f.so authfile=/etc/u2f_mappings origin=pam://bench appid=pam://bench";

/// Debian 12's pamu2fcfg wants a certificate: it refuses self attestation.
fn plug_in_for_pam_u2f(machine: &Machine) -> PluggedIn {
    let key = VirtualKey::named("Blue Key").attested_by(&Attestation::of_the_bench());
    let key = machine.plug_in(key);
    let enrol = "pamu2fcfg -u alice -o pam://bench -i pam://bench > /etc/u2f_mappings";
    machine.sh(enrol).output().expect_success();
    key
}

#[test]
fn pam_u2f_enrols_it_and_lets_its_owner_in() {
    if !pam_u2f_is_installed() {
        return;
    }
    let machine = Machine::new();
    let blue = plug_in_for_pam_u2f(&machine);
    machine.service("bench", PAM_U2F);
    let login = machine.login("bench", "alice").run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");

    drop(blue);
    let _red = machine.plug_in(VirtualKey::named("Red Key"));
    assert_eq!(machine.login("bench", "alice").run().code(), Pam::AuthErr);
}

#[test]
fn the_journal_is_copied_to_a_file() {
    if !fido2_tools_are_installed() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log");
    let machine = Machine::new();
    let blue = machine.plug_in(VirtualKey::named("Blue Key").logged_to(&file));
    machine
        .run(["fido2-token", "-I", &blue.node()])
        .output()
        .expect_success();
    let log = std::fs::read_to_string(file).unwrap();
    assert!(
        log.lines()
            .next()
            .unwrap()
            .contains("ffffffff  Init, 8 bytes: done"),
        "{log}"
    );
    assert!(log.contains("GetInfo, 1 bytes: status 0x00"), "{log}");
}

#[test]
fn setuid_sudo_meets_it_too() {
    if !pam_u2f_is_installed() {
        return;
    }
    if privilege() != Privilege::Root {
        println!("skipped: setuid programs work only as root");
        return;
    }
    let machine = Machine::new();
    let blue = plug_in_for_pam_u2f(&machine);
    let others = "account required pam_permit.so\nsession required pam_permit.so";
    machine.service("sudo", &format!("{PAM_U2F}\n{others}\n"));
    let root = machine.run(["sudo", "id", "-u"]).as_alice().output();
    assert_eq!(root.expect_success().stdout, "0\n");

    drop(blue);
    machine
        .run(["sudo", "-K"])
        .as_alice()
        .output()
        .expect_success();
    assert!(
        !machine
            .run(["sudo", "id", "-u"])
            .as_alice()
            .output()
            .success()
    );
}

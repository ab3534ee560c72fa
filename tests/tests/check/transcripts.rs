//! What a person reads.

use std::process::Command;

use tests::machine::{Privilege, privilege, the_module};

use crate::scene::{Checked, Healthy, shipped};

const TWO_FACTORS: &str = include_str!("../../../config/pam.d/sudo-2fa");
const PASSKEY: &str = include_str!("../../../config/pam.d/passkey");

#[test]
fn a_person_reads_four_sections_and_a_closing_line() {
    let healthy = Healthy::machine();
    let ended = healthy.check(&[]).output();
    assert_eq!(
        ended.stdout,
        "Files\n\
         \x20 /etc/pam-passkey/config.toml: good\n\
         \x20 /etc/pam-passkey/users/alice.toml: good, 2 keys\n\
         \x20 /var/lib/pam-passkey: good\n\
         \x20 /var/lib/pam-passkey/receipts: good, receipts\n\
         \n\
         Keys\n\
         \x20 \"Bench Key\" (/dev/hidraw0): can be used\n\
         \x20 \"Bench Key\" (/dev/hidraw1): can be used\n\
         \n\
         Services\n\
         \x20 SERVICE  USER   WAY IN\n\
         \x20 sudo     alice  either\n\
         \x20 sudo     bob    password\n\
         \n\
         Nothing to mend.\n"
    );
    assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""));
    for key in &healthy.keys {
        assert!(key.commands().is_empty(), "no key is asked for anything");
    }
}

#[test]
fn what_was_found_says_why_it_matters_and_what_to_try() {
    let healthy = Healthy::machine();
    let sudo = shipped(TWO_FACTORS).replace("abort=die", "");
    healthy.machine.service("sudo", &sudo);
    let ended = healthy.check(&["--service", "sudo"]).output();
    let (_, findings) = ended.stdout.split_once("\nFindings\n").unwrap();
    assert_eq!(
        findings,
        "  warning not-enrolled: sudo does not let in bob\n\
         \x20   This service asks for a key, and who has none does not get in.\n\
         \x20   Try: from a root shell: passkey enroll --user bob\n\
         \x20 note abort-not-die: /etc/pam.d/sudo:25 goes on after Ctrl-C\n\
         \x20   Whoever breaks off with Ctrl-C is asked on, for a password as a rule.\n\
         \x20   Try: as root: write abort=die into the brackets of that line, as in \
         [success=done abort=die default=ignore]\n\
         \n\
         1 warning.\n"
    );
    assert_eq!(ended.code(), Some(3));
}

#[test]
fn the_files_we_ship_are_judged_right() {
    let healthy = Healthy::machine();
    let machine = &healthy.machine;
    machine.service("sudo-i", &shipped(TWO_FACTORS));
    machine.service("passkey", PASSKEY);
    let checked = Checked::of(healthy.check(&["--json"]));
    assert_eq!(
        checked.ways_in(),
        "sudo alice either\nsudo bob password\nsudo-i alice both\nsudo-i bob locked out\n"
    );
    let named = healthy.check(&["--json", "--service", "passkey", "--user", "root"]);
    let checked = Checked::of(named);
    assert_eq!(checked.ways_in(), "passkey root password\n");
    assert_eq!(checked.findings(), []);
}

#[test]
fn a_service_without_a_file_is_what_other_says() {
    let healthy = Healthy::machine();
    let checked = Checked::of(healthy.check(&["--json", "--service", "NoSuch", "--user", "bob"]));
    assert_eq!(checked.ways_in(), "nosuch bob locked out\n");
    let because = &checked.report["services"][0]["because"];
    assert!(
        because
            .as_str()
            .unwrap()
            .ends_with("it has no file, so \"other\" counts")
    );
    let said = healthy
        .check(&["--service", "NoSuch", "--user", "bob"])
        .output();
    let how = "Try: there is no /etc/pam.d/nosuch, so /etc/pam.d/other counts: look whether";
    assert!(said.stdout.contains(how), "{said:#?}");
}

#[test]
fn the_line_at_fault_stands_behind_its_file() {
    let healthy = Healthy::machine();
    let wrong = "echo 'user_verfication = 1' > /etc/pam-passkey/config.toml";
    healthy.machine.sh(wrong).output().expect_success();
    let said = healthy.check(&[]).output();
    let line = "/etc/pam-passkey/config.toml: faulty, line 1: unknown key \"user_verfication\"";
    assert!(said.stdout.contains(line), "{said:#?}");
}

#[test]
fn the_report_for_programs_has_its_documented_members() {
    let healthy = Healthy::machine();
    let report = Checked::of(healthy.check(&["--json"])).report;
    assert_eq!(report["version"], 1);
    let members = |list: &str| -> Vec<String> {
        let first = report[list][0].as_object().unwrap();
        first.keys().cloned().collect()
    };
    assert_eq!(members("files"), ["path", "says", "state"]);
    assert_eq!(members("keys"), ["accessible", "node", "product", "says"]);
    assert_eq!(
        members("services"),
        ["because", "service", "user", "way_in"]
    );
    assert_eq!(report["findings"].as_array().unwrap().len(), 0);
}

#[test]
fn nothing_is_written() {
    let healthy = Healthy::machine();
    let machine = &healthy.machine;
    // Of /dev the names alone: terminals have times of their own.
    let script = "look() { find /etc /var/lib /root /home -printf '%p %T@ %s\\n' | sort; \
                  ls /dev; }; \
                  rm -r /var/lib/pam-passkey; \
                  look > /run/before; passkey check > /run/said; look > /run/after; \
                  cmp /run/before /run/after";
    machine.sh(script).output().expect_success();
    let said = machine.read("/run/said").unwrap();
    assert!(
        said.contains("/var/lib/pam-passkey: missing, made at the next login"),
        "{said}"
    );
}

#[test]
fn the_real_machine_is_looked_at_without_a_panic() {
    if privilege() != Privilege::Root {
        println!("as {:?}", privilege());
    }
    let passkey = the_module().with_file_name("passkey");
    let ended = Command::new(passkey)
        .args(["check", "--json"])
        .output()
        .unwrap();
    assert!(matches!(ended.status.code(), Some(0 | 1 | 3)), "{ended:?}");
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert!(report["files"].is_array(), "{report}");
}

#[test]
fn hostile_files_neither_hang_nor_crash() {
    let healthy = Healthy::machine();
    let machine = &healthy.machine;
    let line = "cd /etc/pam.d; mkfifo fifo; mkdir folder; ln -s loop loop; \
                ln -s /dev/zero zero; head -c 65536 /dev/urandom > noise; \
                printf 'auth required \\377\\376pam_passkey.so\\n' > latin; \
                printf 'auth [%s\\n' \"$(head -c 900 /dev/zero | tr '\\0' '[')\" > brackets; \
                for file in fifo folder loop zero noise latin brackets sudo; do \
                echo \"@include $file\" >> all; done; \
                for n in $(seq 200); do echo 'auth include more'; done > more; \
                echo 'auth required pam_passkey.so' >> more; \
                touch \"$(printf 'bad\\377name')\"";
    machine.sh(line).output().expect_success();
    let services = [
        "all", "fifo", "zero", "loop", "folder", "noise", "latin", "brackets", "more",
    ];
    for service in services {
        let checked = Checked::of(healthy.check(&["--json", "--service", service]));
        assert!(checked.ways_in().contains(service), "{checked:#?}");
    }
    let all = Checked::of(healthy.check(&["--json"]));
    assert!(all.ways_in().contains("sudo alice either"), "{all:#?}");
    assert!(all.finished.elapsed.as_secs() < 10, "{all:#?}");
}

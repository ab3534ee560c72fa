//! The person's language: what is shown is in it, what is logged, kept and signed is not.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use tests::liar::{Lie, Moment};
use tests::login::{LoggedIn, assert_no_trace};
use tests::machine::{MODULE, PluggedIn, Privilege, privilege};
use tests::{Liar, Machine, Pam, Presence, VirtualKey};

const PIN: &str = "2468";
const GERMAN: &str = "de_DE.UTF-8";
const CHINESE: &str = "zh_CN.UTF-8";

/// A key with a PIN, where a touch is not enough.
fn with_a_pin(machine: &Machine) -> PluggedIn {
    machine.policy("");
    let blue = machine.plug_in(VirtualKey::named("Blue").with_pin(PIN));
    machine.enroll_with_pin(&blue, "alice", "blue key", PIN);
    blue
}

/// alice touches her key; what she is told, but for what was requested.
fn told<'m>(machine: &'m Machine, variables: &[(&'m str, &'m str)]) -> (String, LoggedIn) {
    let mut login = machine.login("sudo", "alice");
    for (name, value) in variables {
        login = login.env(name, value);
    }
    let login = login.run();
    assert_eq!(login.code(), Pam::Success, "{variables:?}: {login:#?}");
    assert_no_trace(&login);
    let said = login.said();
    let (_, told) = said.trim_end().split_once('\n').unwrap();
    (told.to_owned(), login)
}

#[test]
fn the_touch_is_asked_for_in_the_language_of_the_locale() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let english = "Touch \"blue key\" (30 s).";
    let german = "Sicherheitsschlüssel „blue key“ berühren (30 s).";
    let chinese = "请触摸安全密钥“blue key”（30 秒）。";
    for (variables, expected) in [
        (&[("LANG", GERMAN)][..], german),
        (&[("LANG", "de_AT.utf8")], german),
        (&[("LANG", CHINESE)], chinese),
        (&[("LC_ALL", CHINESE), ("LANG", GERMAN)], chinese),
        (&[("LC_ALL", "C"), ("LANG", GERMAN)], english),
        (&[("LC_MESSAGES", GERMAN), ("LANG", CHINESE)], german),
        (&[("LANGUAGE", "fr:de:en"), ("LANG", CHINESE)], german),
        (&[("LANG", "de_DE.ISO-8859-1")], english),
        (&[("LANG", "zh_TW.UTF-8")], english),
        (&[("LANG", "fr_FR.UTF-8")], english),
    ] {
        let (told, _) = told(&machine, variables);
        assert_eq!(told, expected, "{variables:?}");
    }
}

#[test]
fn a_hostile_list_of_languages_is_english() {
    let machine = Machine::lived_on();
    let _blue = machine.enrolled("alice", "blue key", &[]);
    // No process is given a longer variable than 128 KiB.
    let long = "de:".repeat(40_000);
    for languages in [
        "../../x",
        "../../de",
        "de\nde",
        "\n",
        "de:%s%n",
        "de:\u{1b}[2J",
        long.as_str(),
    ] {
        let (told, _) = told(&machine, &[("LANGUAGE", languages), ("LANG", GERMAN)]);
        assert_eq!(told, "Touch \"blue key\" (30 s).", "{languages:.20?}");
    }
}

#[test]
fn pin_wrong_pin_and_what_is_no_pin_are_in_german() {
    let machine = Machine::lived_on();
    let _blue = with_a_pin(&machine);
    let login = machine.login("sudo", "alice").env("LANG", GERMAN);
    let login = login.answers(["1111", "12", PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    let again = "Die PIN war falsch. PIN von Sicherheitsschlüssel „blue key“, noch 7 Versuche: ";
    assert_eq!(
        login.questions(),
        [
            "PIN von Sicherheitsschlüssel „blue key“, noch 8 Versuche: ",
            again,
            again
        ]
    );
    let said = login.said();
    assert!(
        said.starts_with("Angefordert von sudo für alice: "),
        "{said}"
    );
    let no_pin = "Das ist keine PIN: die PIN hat mindestens 4 Zeichen.\n";
    assert!(said.contains(no_pin), "{said}");
    assert!(
        said.contains("\nSicherheitsschlüssel „blue key“ berühren ("),
        "{said}"
    );
}

#[test]
fn pin_wrong_pin_and_what_is_no_pin_are_in_chinese() {
    let machine = Machine::lived_on();
    let _blue = with_a_pin(&machine);
    let login = machine.login("sudo", "alice").env("LANG", CHINESE);
    let login = login.answers(["1111", "12", PIN]).run();
    assert_eq!(login.code(), Pam::Success, "{login:#?}");
    let again = "PIN 错误。安全密钥“blue key”的 PIN（还可尝试 7 次）：";
    assert_eq!(
        login.questions(),
        ["安全密钥“blue key”的 PIN（还可尝试 8 次）：", again, again]
    );
    let said = login.said();
    assert!(said.starts_with("sudo 为 alice 请求："), "{said}");
    let no_pin = "这不是 PIN：PIN 至少有 4 个字符。\n";
    assert!(said.contains(no_pin), "{said}");
    assert!(said.contains("\n请触摸安全密钥“blue key”（"), "{said}");
}

#[test]
fn a_refusal_is_shown_in_the_language_and_logged_in_english() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::Deny);
    let english = machine.login("sudo", "alice").run();
    for (locale, denied) in [
        (
            GERMAN,
            "Die Anfrage wurde am Sicherheitsschlüssel abgelehnt.",
        ),
        (CHINESE, "请求已在安全密钥上被拒绝。"),
    ] {
        let login = machine.login("sudo", "alice").env("LANG", locale).run();
        assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
        assert!(login.said().ends_with(&format!("{denied}\n")), "{login:#?}");
        assert!(
            login
                .logged()
                .contains("user=alice refused: denied on \"Bench Key\" (/dev/hidraw0)"),
            "{login:#?}"
        );
        let lines = |login: &LoggedIn| login.host.log.len();
        assert_eq!(lines(&login), lines(&english));
        assert!(login.logged().is_ascii(), "{login:#?}");
    }
}

#[test]
fn a_reason_within_a_sentence_is_in_the_language_too() {
    let machine = Machine::lived_on();
    let liar = Liar::named("Liar");
    let port = machine.plug_in_cable(liar.name(), liar.power_on());
    let enroll = ["enroll", "--touch-only", "--user", "alice", "--name", "it"];
    machine.passkey(enroll).output().expect_success();
    drop(port);
    for (lie, locale, sentence, logged) in [
        (
            Lie::assertion(|assertion| assertion.flags = 0),
            GERMAN,
            "Die Antwort von Sicherheitsschlüssel „Liar“ (/dev/hidraw0) wurde nicht angenommen: \
             niemand hat ihn berührt. ",
            "invalid answer from \"Liar\" (/dev/hidraw0): nobody touched it",
        ),
        (
            Lie::answer(Moment::GetAssertion, |_| vec![0x30]),
            CHINESE,
            "安全密钥“Liar”（/dev/hidraw0）未能正常工作：它不允许此操作（CTAP 状态 0x30）。",
            "\"Liar\" (/dev/hidraw0) failed: it does not allow that (CTAP status 0x30)",
        ),
    ] {
        liar.lies(lie);
        let _port = machine.plug_in_cable(liar.name(), liar.power_on());
        let login = machine.login("sudo", "alice").env("LANG", locale).run();
        assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
        assert!(login.said().contains(sentence), "{login:#?}");
        assert!(login.logged().contains(logged), "{login:#?}");
    }
}

#[test]
fn a_name_is_not_taken_for_a_place_in_a_sentence() {
    let machine = Machine::lived_on();
    drop(machine.enrolled("alice", "blue key", &[]));
    let _strange = machine.plug_in(VirtualKey::named("{user} {node}"));
    let login = machine.login("sudo", "alice").env("LANG", GERMAN).run();
    assert_eq!(login.code(), Pam::AuthErr, "{login:#?}");
    let sentence = "Sicherheitsschlüssel „{user} {node}“ (/dev/hidraw0) ist für alice nicht \
                    registriert. ";
    assert!(login.said().contains(sentence), "{login:#?}");
}

#[test]
fn what_is_signed_and_what_another_login_is_told_of_it_stay_as_they_are() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let (_, login) = told(&machine, &[("LANG", GERMAN)]);
    assert!(login.logged().contains("accepted key=\"blue key\""));
    let receipt = machine.receipts().pop().unwrap();
    let key = &machine.public_keys("alice")[0];
    assert!(receipt.judged_by_ssh_keygen("alice", key).is_good);
    let message: serde_json::Value = serde_json::from_str(&receipt.message).unwrap();
    let message = message.as_object().unwrap();
    let members: Vec<&str> = message.keys().map(String::as_str).collect();
    let expected = [
        "command", "host", "nonce", "service", "time", "user", "version",
    ];
    assert_eq!(members, expected);
    assert_eq!(message["service"], "sudo");
    assert!(message["command"].as_str().unwrap().starts_with("pam-host"));
    assert!(receipt.message.is_ascii(), "{}", receipt.message);

    // One asks in German, the other is told in Chinese, and the claim between them is English.
    machine.service("su", &format!("auth required {MODULE}\n"));
    blue.presence(Presence::Never);
    let first = machine.login("su", "alice").env("LANG", GERMAN).start();
    first.wait_until_said("Sicherheitsschlüssel „blue key“ berühren (30 s).");
    machine.policy("user_verification = \"discouraged\"\ntimeout = 1\n");
    let second = machine.login("su", "alice").env("LANG", CHINESE).run();
    let in_use = "安全密钥“Bench Key”（/dev/hidraw0）正用于另一个请求：请勿触摸。\n\
                  Requested by su for alice.";
    assert!(second.said().contains(in_use), "{second:#?}");
}

#[test]
fn the_real_sudo_shows_german() {
    if privilege() != Privilege::Root {
        println!("skipped: a setuid program needs real root");
        return;
    }
    let machine = Machine::lived_on();
    machine.common_files_of_debian();
    let sudo = include_str!("../../config/pam.d/sudo");
    machine.service("sudo", &sudo.replace("pam_passkey.so", MODULE));
    let _blue = machine.enrolled("alice", "blue key", &[]);
    let sudo = machine.run(["sudo", "-k", "id", "-un"]).as_alice();
    let ended = sudo.env("LANG", GERMAN).on_a_terminal().output();
    let ended = ended.expect_success();
    for line in [
        "Angefordert von sudo für alice: sudo -k id -un",
        "Sicherheitsschlüssel „blue key“ berühren (30 s).",
        "root",
    ] {
        assert!(ended.stdout.contains(line), "no {line:?} in {ended:#?}");
    }
}

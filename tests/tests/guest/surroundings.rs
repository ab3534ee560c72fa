//! What the caller has in its environment changes no outcome, no log line and nothing that is
//! signed: it is the caller's word. It names the language of what is shown, and no more.

#![forbid(unsafe_code)]

use std::process::Command;

use tests::login::{LoggedIn, assert_no_trace};
use tests::{Machine, Pam, Presence};

use super::with_a_pin;

/// Each is a surrounding of its own. None of them is the module's to read, or names a language.
const SURROUNDINGS: &[&[(&str, &str)]] = &[
    &[
        ("XDG_CONFIG_HOME", "/home/alice/.config"),
        ("XDG_DATA_HOME", "/home/alice"),
        ("XDG_CACHE_HOME", "/home/alice"),
        ("XDG_RUNTIME_DIR", "/home/alice"),
    ],
    &[
        ("XDG_SESSION_ID", "4"),
        ("XDG_SESSION_TYPE", "unspecified"),
        ("XDG_SEAT", ""),
        ("XDG_VTNR", "63"),
    ],
    &[("HOME", "/home/bob")],
    &[("HOME", "")],
    &[("USER", "bob"), ("LOGNAME", "bob"), ("USERNAME", "bob")],
    &[
        ("SUDO_USER", "bob"),
        ("SUDO_UID", "1001"),
        ("SUDO_GID", "1001"),
        ("SUDO_COMMAND", "/bin/true"),
        ("PKEXEC_UID", "1001"),
        ("DOAS_USER", "bob"),
    ],
    &[
        ("SSH_CONNECTION", "192.0.2.7 1 192.0.2.8 22"),
        ("SSH_TTY", "/dev/pts/9"),
        ("PAM_RHOST", "192.0.2.7"),
        ("REMOTEHOST", "192.0.2.7"),
    ],
    // The host itself is found in its second folder.
    &[("PATH", "/home/alice:/usr/local/bin")],
    &[("TMPDIR", "/home/alice"), ("TEMP", "/home/alice")],
    &[("LD_LIBRARY_PATH", "/home/alice"), ("LD_BIND_NOW", "1")],
    &[
        ("RUST_BACKTRACE", "full"),
        ("RUST_LIB_BACKTRACE", "1"),
        ("RUST_LOG", "trace"),
        ("RUST_MIN_STACK", "1"),
    ],
    &[("TZ", "Pacific/Kiritimati")],
    &[("TZ", "AAA-14")],
    &[("TZ", ":/etc/pam-passkey/config.toml")],
    &[
        ("LISTEN_FDS", "3"),
        ("LISTEN_PID", "1"),
        ("NOTIFY_SOCKET", "/run/notify"),
        ("JOURNAL_STREAM", "8:1"),
        ("CREDENTIALS_DIRECTORY", "/home/alice"),
        ("WATCHDOG_USEC", "1"),
    ],
    &[
        ("PAM_PASSKEY_CONFIG", "/home/alice/config.toml"),
        ("PASSKEY_PIN", "0000"),
        ("PINENTRY_USER_DATA", "0000"),
        ("SSH_ASKPASS", "/bin/true"),
        ("FIDO_DEBUG", "1"),
    ],
    &[
        ("NO_COLOR", "1"),
        ("CLICOLOR_FORCE", "1"),
        ("TERM", "xterm"),
    ],
    &[("MALLOC_PERTURB_", "165"), ("MALLOC_ARENA_MAX", "1")],
    &[("LANG", ""), ("LC_ALL", ""), ("LANGUAGE", "de:tr:en")],
    &[("LC_ALL", "C")],
    &[("LC_ALL", "xx_XX.ISO-8859-99")],
];

/// What a login came to, but for what differs from one to the next: times, numbers, the nonce.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Came {
    code: Pam,
    said: String,
    logged: String,
    receipt: Option<String>,
}

impl Came {
    fn of(machine: &Machine, login: &LoggedIn) -> Self {
        assert_no_trace(login);
        let receipts = machine.receipts();
        machine.write("/var/lib/pam-passkey/receipts", "", 0o600);
        Self {
            code: login.code(),
            said: without_numbers(&login.said()),
            logged: without_numbers(&login.logged()),
            receipt: receipts.last().map(|receipt| {
                let mut message: serde_json::Value =
                    serde_json::from_str(&receipt.message).unwrap();
                let message = message.as_object_mut().unwrap();
                for differs in ["nonce", "time"] {
                    message.remove(differs).unwrap();
                }
                format!("{} {message:?}", receipt.key)
            }),
        }
    }
}

/// Each number is one digit: process ids, seconds left, counters.
fn without_numbers(text: &str) -> String {
    let mut without = String::new();
    for c in text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
    {
        if c != '0' || !without.ends_with('0') {
            without.push(c);
        }
    }
    without
}

fn time_of_the_receipt(machine: &Machine) -> String {
    let receipt = machine.receipts().pop().unwrap();
    let message: serde_json::Value = serde_json::from_str(&receipt.message).unwrap();
    message["time"].as_str().unwrap().to_owned()
}

#[test]
fn nothing_in_the_environment_changes_a_login() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    blue.presence(Presence::after_ms(30));
    let mut usual = None;
    let mut before = String::new();
    for surroundings in [&[][..]].iter().chain(SURROUNDINGS) {
        let login = machine.login("sudo", "alice").with_its_locale();
        let login = surroundings
            .iter()
            .fold(login, |login, (name, value)| login.env(name, value));
        let login = login.run();
        assert_eq!(login.code(), Pam::Success, "{surroundings:?}: {login:#?}");
        // No clock goes backwards but one that is read in another zone.
        let time = time_of_the_receipt(&machine);
        assert!(time >= before, "{surroundings:?}: {time} after {before}");
        before = time;
        let came = Came::of(&machine, &login);
        match &usual {
            Some(usual) => assert_eq!(came, *usual, "{surroundings:?}"),
            None => usual = Some(came),
        }
    }
    println!("{} surroundings", SURROUNDINGS.len());
}

#[test]
fn all_of_it_together_changes_no_refusal() {
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let outcomes = |surroundings: &[&'static [(&'static str, &'static str)]]| {
        let run = |answers: &[&str]| {
            let login = machine.login("sudo", "alice").with_its_locale();
            let login = surroundings
                .iter()
                .copied()
                .flatten()
                .fold(login, |login, (name, value)| login.env(name, value));
            let login = login.answers(answers.to_vec()).run();
            Came::of(&machine, &login)
        };
        blue.presence(Presence::Deny);
        let denied = run(&[]);
        blue.presence(Presence::after_ms(30));
        machine.policy("no such option = 1\n");
        let misconfigured = run(&[]);
        machine.policy("");
        let too_weak = run(&[]);
        machine.policy("user_verification = \"discouraged\"\n");
        [denied, misconfigured, too_weak]
    };
    let usual = outcomes(&[]);
    let codes = usual.each_ref().map(|came| came.code);
    assert_eq!(codes, [Pam::AuthErr, Pam::ServiceErr, Pam::AuthErr]);
    assert_eq!(outcomes(SURROUNDINGS), usual);
}

/// Where localedef and what it reads are installed: a locale of the machine's own, in a folder
/// for LOCPATH.
fn compile_locale(machine: &Machine, name: &str) -> bool {
    let folder = machine.path("/usr/local/lib/locale");
    std::fs::create_dir_all(&folder).unwrap();
    let compiled = Command::new("localedef")
        .args(["--no-archive", "-i", name, "-f", "UTF-8"])
        .arg(folder.join(format!("{name}.UTF-8")))
        .output();
    compiled.is_ok_and(|output| output.status.success())
}

#[test]
fn the_hosts_locale_changes_the_language_of_what_is_shown_and_nothing_else() {
    let machine = Machine::lived_on();
    // Turkish, where "i" and "I" are no pair; German, which libc speaks.
    for locale in ["tr_TR", "de_DE"] {
        if !compile_locale(&machine, locale) {
            println!("skipped: localedef cannot make {locale} here");
            return;
        }
    }
    let _blue = with_a_pin(&machine);
    let outcomes = |locale: &'static str| {
        let run = |answers: &[&str]| {
            let login = machine.login("sudo", "alice").with_its_locale();
            let login = login.env("LOCPATH", "/usr/local/lib/locale");
            let login = login.env("LC_ALL", locale).answers(answers.to_vec()).run();
            let found = login.report.footprint.0["locale"][0].join("");
            assert!(found == locale, "{found} is not {locale}");
            Came::of(&machine, &login)
        };
        let usual = [run(&[super::PIN]), run(&["12"]), run(&["9999", ""])];
        assert_eq!(
            usual.each_ref().map(|came| came.code),
            [Pam::Success, Pam::AuthErr, Pam::AuthErr]
        );
        // An error of the kernel's, in whose words it is logged.
        let at_fault = "mv /etc/pam-passkey/users /etc/pam-passkey/away";
        machine.sh(at_fault).output().expect_success();
        let no_store = run(&[]);
        let mend = "mv /etc/pam-passkey/away /etc/pam-passkey/users";
        machine.sh(mend).output().expect_success();
        assert_eq!(no_store.code, Pam::ServiceErr);
        (usual, no_store)
    };
    let (usual, no_store) = outcomes("C");
    assert_eq!(outcomes("tr_TR.UTF-8"), (usual.clone(), no_store.clone()));
    let (german, no_store_in_german) = outcomes("de_DE.UTF-8");
    let german = german.into_iter().chain([no_store_in_german]);
    for (german, usual) in german.zip(usual.into_iter().chain([no_store])) {
        assert_ne!(german.said, usual.said);
        let said = usual.said.clone();
        assert_eq!(Came { said, ..german }, usual);
    }
}

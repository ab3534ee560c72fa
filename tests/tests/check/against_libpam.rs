//! The machine of `passkey check` and the real libpam go through the same random
//! stacks, and must come out with the same code.
//!
//! Each stack is made from its number alone, so one that fails can be looked at
//! again: it is printed with what the two made of it.

use std::fmt::Write as _;

use serde_json::Value;
use tests::login::Report;
use tests::machine::{ALICE_PASSWORD, MODULE};
use tests::{Machine, Pam, Presence};

/// The codes in the order of their numbers, as `/etc/pam.d` calls them.
const CODES: [&str; 32] = [
    "success",
    "open_err",
    "symbol_err",
    "service_err",
    "system_err",
    "buf_err",
    "perm_denied",
    "auth_err",
    "cred_insufficient",
    "authinfo_unavail",
    "user_unknown",
    "maxtries",
    "new_authtok_reqd",
    "acct_expired",
    "session_err",
    "cred_unavail",
    "cred_expired",
    "cred_err",
    "no_module_data",
    "conv_err",
    "authtok_err",
    "authtok_recover_err",
    "authtok_lock_busy",
    "authtok_disable_aging",
    "try_again",
    "ignore",
    "abort",
    "authtok_expired",
    "module_unknown",
    "bad_item",
    "conv_again",
    "incomplete",
];

/// Numbers that are the same every time (`SplitMix64`).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let sides = u64::try_from(sides).unwrap();
        usize::try_from((z ^ (z >> 31)) % sides).unwrap()
    }

    /// Whether something happens that does in one case of so many.
    fn one_in(&mut self, cases: usize) -> bool {
        self.roll(cases) == 0
    }

    fn one_of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len())]
    }
}

/// Codes that come up often enough to meet a control that names them.
fn code(dice: &mut Dice) -> &'static str {
    match dice.roll(3) {
        0 => dice.one_of(&["success", "ignore", "auth_err", "new_authtok_reqd", "abort"]),
        1 => "success",
        _ => CODES[dice.roll(32)],
    }
}

fn control(dice: &mut Dice) -> String {
    if dice.one_in(2) {
        let words = [
            "required",
            "requisite",
            "sufficient",
            "optional",
            "Required",
        ];
        return dice.one_of(&words).to_owned();
    }
    if dice.one_in(20) {
        let wrong = [
            "[sucess=ok]",
            "[success]",
            "[success=0]",
            "[success=okay]",
            "must",
            "[]",
        ];
        return dice.one_of(&wrong).to_owned();
    }
    let action = |dice: &mut Dice| match dice.roll(8) {
        0 | 1 => format!("{}", 1 + dice.roll(3)),
        _ => dice
            .one_of(&["ok", "done", "bad", "die", "ignore", "reset"])
            .to_owned(),
    };
    let mut pairs = format!("success={}", action(dice));
    for _ in 0..dice.roll(4) {
        let blank = dice.one_of(&[" ", "  ", "\t"]);
        let _ = write!(pairs, "{blank}{}={}", code(dice), action(dice));
    }
    if !dice.one_in(3) {
        let _ = write!(pairs, " default = {}", action(dice));
    }
    format!("[{pairs}]")
}

fn module(dice: &mut Dice) -> String {
    match dice.roll(12) {
        0 => "pam_permit.so".to_owned(),
        1 => "pam_deny.so".to_owned(),
        2 => dice
            .one_of(&[
                "pam_warn.so",
                "pam_no_such.so",
                "/nowhere/x.so",
                "pam_debug.so",
            ])
            .to_owned(),
        _ => format!("pam_debug.so acct=abort auth={}", code(dice)),
    }
}

/// A line of a file; `below` are the files it may include.
fn line(dice: &mut Dice, below: &[String]) -> String {
    let kind = match dice.roll(25) {
        0 => dice.one_of(&["-auth", "AUTH", "auht", "account", "session", "-session"]),
        1 => {
            return dice
                .one_of(&["# auth required pam_deny.so", "", "auth", "auth required"])
                .to_owned();
        }
        2 => "auth \\\n \\\n",
        _ => "auth",
    };
    if dice.one_in(4) && !below.is_empty() {
        let file = &below[dice.roll(below.len())];
        let file = if dice.one_in(30) {
            "no-such-file"
        } else {
            file
        };
        return match dice.roll(7) {
            0 => format!("@include {file}"),
            1 | 2 => format!("{kind} include {file}"),
            _ => format!("{kind}\tsubstack {file}"),
        };
    }
    let comment = dice.one_of(&["", "", "", " # auth", " \\#"]);
    format!("{kind} {} {}{comment}", control(dice), module(dice))
}

/// The files of a stack: the first is the service, and each includes later ones.
fn files(number: u64) -> Vec<(String, String)> {
    let mut dice = Dice(number);
    let names: Vec<String> = ["", "-a", "-b", "-c"]
        .map(|file| format!("stack{number}{file}"))
        .into();
    let mut files = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let below = &names[index + 1..];
        let lines = 1 + dice.roll(if index == 0 { 6 } else { 4 });
        let mut text: Vec<String> = (0..lines).map(|_| line(&mut dice, below)).collect();
        if dice.one_in(100) {
            text.push("auth required \\".to_owned());
        }
        files.push((name.clone(), text.join("\n") + "\n"));
    }
    files
}

/// A code as `/etc/pam.d` calls it.
pub(crate) fn word(code: Pam) -> &'static str {
    let number = (0..32).find(|number| Pam::from(*number) == code).unwrap();
    CODES[usize::try_from(number).unwrap()]
}

/// What the real libpam answers for each service, as a word; "given up" where it
/// does not even start.
pub(crate) fn real(machine: &Machine, services: &[String]) -> Vec<String> {
    let script = format!(
        "for service in {}; do echo \"== $service\"; \
         pam-host --service $service --user alice 2>/dev/null || true; done",
        services.join(" ")
    );
    let said = machine.sh(script).output().expect_success().stdout;
    let reports = said.split("== ").skip(1);
    let answer = |report: &str| {
        let (_, json) = report.split_once('\n').unwrap();
        let Ok(report) = serde_json::from_str::<Report>(json) else {
            return "given up".to_owned();
        };
        word(report.calls[0].code).to_owned()
    };
    reports.map(answer).collect()
}

/// What `passkey check` says of each service and alice.
pub(crate) fn checked(machine: &Machine, services: &[String]) -> Vec<(String, String)> {
    let mut command = vec!["passkey", "check", "--json", "--user", "alice"];
    for service in services {
        command.extend(["--service", service]);
    }
    let said = machine.run(command).output().stdout;
    let report: Value = serde_json::from_str(&said).unwrap();
    let rows = report["services"].as_array().unwrap();
    let text = |row: &Value, member: &str| row[member].as_str().unwrap().to_owned();
    assert_eq!(rows.len(), services.len());
    rows.iter()
        .map(|row| (text(row, "way_in"), text(row, "because")))
        .collect()
}

#[test]
fn hundreds_of_random_stacks_come_out_as_with_the_real_libpam() {
    const STACKS: u64 = 800;
    let machine = Machine::new();
    let mut services = Vec::new();
    for number in 0..STACKS {
        let files = files(number);
        services.push(files[0].0.clone());
        for (name, text) in files {
            machine.service(&name, &text);
        }
    }
    let mut seen = std::collections::BTreeMap::new();
    let (mut wrong, mut by_chance) = (Vec::new(), 0);
    for services in services.chunks(200) {
        let real = real(&machine, services);
        let checked = checked(&machine, services);
        assert_eq!(real.len(), services.len());
        for ((service, real), (way_in, because)) in services.iter().zip(real).zip(checked) {
            if way_in == "unclear" && because.contains("is left to chance") {
                by_chance += 1;
                continue;
            }
            let expected = match real.as_str() {
                "success" => way_in == "nothing needed",
                "given up" => way_in == "locked out" && because.starts_with("libpam does not"),
                code => {
                    way_in == "locked out"
                        && because == format!("whatever is tried ends with {code}")
                }
            };
            if !expected {
                wrong.push(format!("{service}: {real}, not {way_in}: {because}"));
            }
            *seen.entry(real).or_insert(0) += 1;
        }
    }
    for service in wrong.iter().filter_map(|it| it.split(':').next()) {
        for file in ["", "-a", "-b", "-c"] {
            let name = format!("/etc/pam.d/{service}{file}");
            println!("--- {name}\n{}", machine.read(&name).unwrap());
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    println!("{seen:?}");
    assert!(by_chance < 20, "{by_chance}");
    // Not because everything fails.
    assert!(seen["success"] > 100, "{seen:?}");
    assert!(seen["given up"] >= 10, "{seen:?}");
    assert!(seen.len() > 20, "{seen:?}");
}

/// A stack with a password and a key in it somewhere.
fn with_a_password_and_a_key(number: u64) -> String {
    let mut dice = Dice(number ^ 0xA11CE);
    let unix = "pam_unix.so nodelay".to_owned();
    let debug = |dice: &mut Dice| format!("pam_debug.so auth={}", code(dice));
    let extra = debug(&mut dice);
    let mut modules = vec![MODULE.to_owned(), unix, extra];
    let last = modules.len() - 1;
    modules.swap(0, dice.roll(last + 1));
    modules.swap(1, dice.roll(last + 1));
    if dice.one_in(2) {
        modules.push("pam_deny.so".to_owned());
        modules.push("pam_permit.so".to_owned());
    }
    let line = |module: &String| {
        // What fails fails alike here, so that one way to fail stands for all.
        let action = |dice: &mut Dice| {
            dice.one_of(&["ok", "done", "ignore", "ignore", "bad", "die", "1", "2"])
        };
        let control = match dice.roll(3) {
            0 => format!(
                "[success={} default={}]",
                action(&mut dice),
                action(&mut dice)
            ),
            1 => "[success=1 default=ignore]".to_owned(),
            _ => dice
                .one_of(&["required", "requisite", "sufficient", "optional"])
                .to_owned(),
        };
        format!("auth {control} {module}\n")
    };
    modules.iter().map(line).collect()
}

#[test]
fn what_lets_alice_in_is_what_is_said_of_it() {
    const STACKS: u64 = 40;
    let machine = Machine::lived_on();
    let blue = machine.enrolled("alice", "blue key", &[]);
    let mut settings = "user_verification = \"discouraged\"\n".to_owned();
    let services: Vec<String> = (0..STACKS).map(|it| format!("mixed{it}")).collect();
    for (number, service) in (0..).zip(&services) {
        machine.service(service, &with_a_password_and_a_key(number));
        let _ = writeln!(settings, "[service.{service}]");
    }
    machine.policy(&settings);
    let checked = checked(&machine, &services);
    let mut ways = std::collections::BTreeSet::new();
    for (service, (way_in, because)) in services.iter().zip(&checked) {
        ways.insert(way_in.as_str());
        for (key, password) in [(true, true), (true, false), (false, true), (false, false)] {
            blue.presence(if key {
                Presence::Accept
            } else {
                Presence::Deny
            });
            let typed = if password { ALICE_PASSWORD } else { "wrong" };
            let login = machine.login(service, "alice").answers([typed; 4]).run();
            let expected = match (way_in.as_str(), key && password) {
                ("both", both) => both,
                ("locked out", _) => false,
                // A stack may well refuse whoever has more than it takes.
                ("key" | "password" | "either", true) => continue,
                ("nothing needed", _) if key || password => continue,
                ("key", _) => key,
                ("password", _) => password,
                ("either", _) => key || password,
                ("nothing needed", _) => true,
                (other, _) => panic!("{service}: {other}"),
            };
            let stack = machine.read(&format!("/etc/pam.d/{service}")).unwrap();
            assert_eq!(
                login.code() == Pam::Success,
                expected,
                "key {key}, password {password}: {way_in}, {because}\n{stack}{login:#?}"
            );
        }
    }
    println!("{ways:?}");
    assert_eq!(ways.len(), 6, "{ways:?}");
}

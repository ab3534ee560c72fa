//! A machine on which there is nothing to mend, and what is found once something
//! was broken.

use std::fmt::Write as _;

use serde_json::Value;
use tests::Machine;
use tests::machine::{Finished, MODULE, PluggedIn, Run};

/// alice has two keys; with one of them, or with the password, everybody comes
/// through sudo.
pub(crate) struct Healthy {
    pub(crate) machine: Machine,
    pub(crate) keys: [PluggedIn; 2],
}

/// Where the module lies: a copy, with the mode that an installer gives it.
const OURS: &str = "/usr/local/lib/ours/pam_passkey.so";

/// A file of `/etc/pam.d` that we ship, with the module where the machine has it.
pub(crate) fn shipped(text: &str) -> String {
    text.replace("pam_passkey.so", OURS)
}

/// What the files we ship include of account and session.
const COMMON: &str = "account required pam_permit.so\n";

impl Healthy {
    pub(crate) fn machine() -> Self {
        let machine = Machine::lived_on();
        machine.common_files_of_debian();
        machine.service("common-account", COMMON);
        let sudo = include_str!("../../../config/pam.d/sudo");
        machine.service("sudo", &shipped(sudo));
        let install = format!("install -D -m 0755 {MODULE} {OURS}");
        machine.sh(install).output().expect_success();
        let blue = machine.enrolled("alice", "blue key", &[]);
        let blue = blue.unplug();
        let red = machine.enrolled("alice", "red key", &[]);
        let keys = [machine.plug_in(blue), red];
        for key in &keys {
            key.node_mode(0o666);
        }
        machine
            .sh(
                "mkdir /root/kept; cp -a /etc/pam.d /etc/pam-passkey /etc/passwd /etc/shadow /root/kept; \
                 rm -f /var/lib/pam-passkey/receipts",
            )
            .output()
            .expect_success();
        Self { machine, keys }
    }

    /// Everything as it was.
    pub(crate) fn mend(&self) {
        let line = "rm -rf /etc/pam.d /etc/pam-passkey; cp -a /root/kept/* /etc; \
                    chmod 0700 /var/lib/pam-passkey; rm -rf /usr/local/lib/other";
        self.machine.sh(line).output().expect_success();
    }

    /// Breaks something, and looks.
    pub(crate) fn broken(&self, line: &str) -> Checked {
        let line = line.replace("MODULE", OURS);
        self.machine.sh(line).output().expect_success();
        let checked = Checked::of(self.check(&["--json"]));
        self.mend();
        checked
    }

    /// `passkey check`, as root.
    pub(crate) fn check(&self, arguments: &[&str]) -> Run<'_> {
        let command = ["check"].into_iter().chain(arguments.iter().copied());
        self.machine.passkey(command)
    }
}

/// What `passkey check --json` said.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) report: Value,
    pub(crate) finished: Finished,
}

impl Checked {
    pub(crate) fn of(run: Run<'_>) -> Self {
        let finished = run.output();
        let report = serde_json::from_str(&finished.stdout);
        let report = report.unwrap_or_else(|error| panic!("{error}: {finished:#?}"));
        Self { report, finished }
    }

    pub(crate) fn findings(&self) -> Vec<(&str, &str)> {
        let findings = self.report["findings"].as_array().unwrap();
        let text = |it: &'_ Value, member: &str| it[member].as_str().map(str::to_owned);
        for finding in findings {
            for member in ["id", "severity", "what", "why", "try"] {
                assert!(text(finding, member).is_some(), "{finding}");
            }
        }
        findings
            .iter()
            .map(|it| (it["id"].as_str().unwrap(), it["what"].as_str().unwrap()))
            .collect()
    }

    /// It was found, this stands in the sentence, and there is something to try.
    #[track_caller]
    pub(crate) fn assert_found(&self, id: &str, what: &str) {
        let findings = self.report["findings"].as_array().unwrap();
        let found = findings
            .iter()
            .find(|it| it["id"] == id && it["what"].as_str().unwrap().contains(what));
        let Some(found) = found else {
            panic!("no {id} with {what:?} in {:#?}", self.findings())
        };
        assert!(!found["try"].as_str().unwrap().is_empty(), "{found}");
        let bad = findings.iter().any(|it| it["severity"] != "note");
        let code = if bad { Some(3) } else { Some(0) };
        assert_eq!(self.finished.code(), code, "{:#?}", self.finished);
    }

    /// Nothing else than this was found.
    #[track_caller]
    pub(crate) fn assert_found_alone(&self, id: &str, what: &str) {
        self.assert_found(id, what);
        assert_eq!(self.findings().len(), 1, "{:#?}", self.findings());
    }

    /// Service, user and way in, a line each.
    pub(crate) fn ways_in(&self) -> String {
        let mut lines = String::new();
        for row in self.report["services"].as_array().unwrap() {
            let word = |member: &str| row[member].as_str().unwrap();
            let line = [word("service"), word("user"), word("way_in")].join(" ");
            assert!(!word("because").is_empty());
            let _ = writeln!(lines, "{line}");
        }
        lines
    }
}

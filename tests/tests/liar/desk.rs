//! Where the liar is enrolled for alice, who has a key already.

#![forbid(unsafe_code)]

use tests::liar::{Lie, NewCredential};
use tests::machine::Finished;
use tests::{Liar, Machine};

pub(crate) const ALICE_FILE: &str = "/etc/pam-passkey/users/alice.toml";

/// A machine on which alice has a key already, so that it is seen to be left alone.
pub(crate) struct Desk {
    pub(crate) machine: Machine,
    liar: Liar,
    algorithm: &'static str,
    before: Option<String>,
}

impl Desk {
    pub(crate) fn new(algorithm: &'static str) -> Self {
        let machine = Machine::lived_on();
        drop(machine.enrolled("alice", "blue key", &[]));
        Self {
            before: machine.read(ALICE_FILE),
            machine,
            liar: Liar::named("Liar"),
            algorithm,
        }
    }

    pub(crate) fn enroll(&self, name: &str, lie: Lie) -> Finished {
        self.liar.lies(lie);
        self.liar.forget();
        let _port = self
            .machine
            .plug_in_cable(self.liar.name(), self.liar.power_on());
        let command = ["enroll", "--user", "alice", "--touch-only", "--name", name];
        let command = command.into_iter().chain(["--algorithm", self.algorithm]);
        let ended = self.machine.passkey(command).output();
        assert!(self.liar.is_dark());
        ended
    }

    /// Refused with this sentence, nothing written, and no worse for it.
    #[track_caller]
    pub(crate) fn refuses(&self, fault: &str, lie: Lie, sentence: &str) {
        let ended = self.enroll("new", lie);
        assert_eq!(ended.code(), Some(1), "{fault}: {ended:#?}");
        assert_eq!(ended.stdout, "", "{fault}");
        assert!(
            ended.stderr.contains(sentence),
            "{fault}: no {sentence:?} in {ended:#?}"
        );
        let strange = ended.stderr.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(strange, None, "{fault}: {ended:#?}");
        assert_eq!(self.machine.read(ALICE_FILE), self.before, "{fault}");
    }

    pub(crate) fn accepts(&self, fault: &str, lie: Lie) {
        self.enroll("new", lie).expect_success();
        let file = self.machine.read(ALICE_FILE).unwrap();
        assert!(file.contains("\"new\""), "{fault}");
        let remove = ["remove", "--last", "--user", "alice", "new"];
        self.machine.passkey(remove).output().expect_success();
    }
}

pub(crate) fn new(lie: impl Fn(&mut NewCredential) + Send + Sync + 'static) -> Lie {
    Lie::new_credential(lie)
}

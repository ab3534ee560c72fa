//! A machine on which alice has a key and bob has none, and whoever has none is ignored and gets
//! in: whatever else passed for "has no key" would get in as well.

#![forbid(unsafe_code)]

use crate::Pam;
use crate::login::{LoggedIn, assert_outcome};
use crate::machine::{MODULE, Machine, PluggedIn};

/// The configuration of every service.
pub const CONFIG: &str = "/etc/pam-passkey/config.toml";

/// alice's credentials.
pub const ALICES: &str = "/etc/pam-passkey/users/alice.toml";

/// What a person is told when only root can help.
pub const ASK_ADMINISTRATOR: &str =
    "Security keys cannot be used now; the system log says what the administrator must mend.";

/// A touch is enough, and who has no key is ignored.
const POLICY: &str = "user_verification = \"discouraged\"\nwhen_not_enrolled = \"ignore\"\n";

/// The lines of a service that lets in whoever is ignored.
#[must_use]
pub fn stack() -> String {
    format!(
        "auth [success=done ignore=ignore default=die] {MODULE}\n\
         auth required pam_permit.so\n"
    )
}

/// alice and bob, and the files of root's that say who has a key.
pub struct AliceAndBob {
    /// Where they live.
    pub machine: Machine,
    /// alice's key: plugged in, and touched when it blinks.
    pub blue: PluggedIn,
}

impl AliceAndBob {
    /// Everything is as it should be.
    #[must_use]
    pub fn at_home() -> Self {
        let machine = Machine::new();
        machine.policy(POLICY);
        machine.service("sudo", &stack());
        let blue = machine.enrolled("alice", "blue key", &[]);
        let home = Self { machine, blue };
        home.sh("cp -a /etc/pam-passkey /etc/as-it-was");
        home.assert_in_order();
        home
    }

    /// alice has two keys, and both are plugged in.
    #[must_use]
    pub fn with_a_red_key(self) -> (Self, PluggedIn) {
        let Self { machine, blue } = self;
        let blue = blue.unplug();
        let red = machine.enrolled("alice", "red key", &[]);
        let blue = machine.plug_in(blue);
        (Self { machine, blue }, red)
    }

    /// A line of root's shell that must succeed.
    pub fn sh(&self, line: &str) {
        self.machine.sh(line).output().expect_success();
    }

    /// Mends everything.
    pub fn mend(&self) {
        self.sh("rm -rf /etc/pam-passkey*; cp -a /etc/as-it-was /etc/pam-passkey");
        self.blue.forget_transactions();
    }

    /// A login through the service whose stack lets in whoever is ignored.
    pub fn login(&self, user: &str) -> LoggedIn {
        self.machine.login("sudo", user).run()
    }

    /// The one honest way to be ignored stands open: bob, who has an account, a valid name and no
    /// file in a directory that is as it should be. And alice gets in by her key.
    #[track_caller]
    pub fn assert_in_order(&self) {
        let alice = self.login("alice");
        assert_outcome(&alice, Pam::Success, "Touch \"blue key\" (30 s).");
        let bob = self.login("bob");
        assert_outcome(&bob, Pam::Success, "");
        assert!(bob.logged().contains("user=bob has no key; ignored"));
    }

    /// Neither let in nor ignored; the person learns whom to ask, the administrator what to mend,
    /// and no key is bothered.
    #[track_caller]
    pub fn assert_out_of_order(&self, user: &str, logged: &str) -> LoggedIn {
        let login = self.login(user);
        // What should have been logged names the fault.
        assert_eq!(
            login.code(),
            Pam::ServiceErr,
            "{user}, {logged}: {login:#?}"
        );
        assert_outcome(&login, Pam::ServiceErr, ASK_ADMINISTRATOR);
        let errors = login.host.log.iter().filter(|line| line.severity == 3);
        let errors: Vec<_> = errors.map(|line| line.text.as_str()).collect();
        let [error] = errors[..] else {
            panic!("not one error: {login:#?}")
        };
        assert!(error.contains(logged), "{user}: {error}, not {logged}");
        assert!(self.blue.commands().is_empty(), "{login:#?}");
        login
    }
}

//! alice's keys: one that lies, and a blue one that does not.

#![forbid(unsafe_code)]

use std::time::Duration;

use tests::liar::{Credential, Lie, Moment};
use tests::login::LoggedIn;
use tests::machine::{MODULE, Port};
use tests::{Command, Liar, Machine, Pam, Presence, VirtualKey};

pub(crate) const PIN: &str = "246810";

/// Long enough that a login which waits for it is told from one that ends at once.
const LONG: u64 = 30;
const AT_ONCE: Duration = Duration::from_secs(15);

/// Short, for faults that nothing but the deadline ends.
const SHORT: u64 = 1;

/// By how much a login may raise its host's peaks, in KiB. An honest one takes 3,800 and 11,500:
/// the module, libpam's other libraries, name service.
const MOST_RESIDENT: u64 = 6 * 1024;
const MOST_MAPPED: u64 = 16 * 1024;

/// What a fault comes to, where the key is alone.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// Refused before the deadline, with this code and sentence.
    AtOnce(Pam, &'static str),
    /// Refused at the deadline, with this code and sentence.
    AtDeadline(Pam, &'static str),
    /// Refused before the deadline, in whatever words.
    Refused,
    /// Not a fault: she is let in.
    Tolerated,
}

impl Expected {
    /// The key is at fault, and this is how.
    pub(crate) fn faulty(sentence: &'static str) -> Self {
        Self::AtOnce(Pam::AuthErr, sentence)
    }
}

/// What alice's logins demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Demand {
    Touch,
    Pin,
}

pub(crate) struct Scene {
    machine: Machine,
    /// What every login here takes: the greater of the two below.
    demand: Demand,
    by_credential: Demand,
    by_policy: Demand,
    liar: Liar,
    blue: VirtualKey,
    timeout: u64,
    settings: String,
    /// How many faults were tried.
    tried: usize,
}

impl Scene {
    /// A touch is enough.
    pub(crate) fn touch() -> Self {
        Self::new(Demand::Touch, Liar::named("Liar"), "es256")
    }

    /// The same with credentials of the other algorithm.
    pub(crate) fn touch_eddsa() -> Self {
        Self::new(Demand::Touch, Liar::named("Liar"), "eddsa")
    }

    /// A PIN is wanted.
    pub(crate) fn pin() -> Self {
        Self::new(Demand::Pin, Liar::named("Liar").with_pin(PIN), "es256")
    }

    /// A PIN is wanted, and the liar speaks protocol one.
    pub(crate) fn pin_protocol_one() -> Self {
        let liar = Liar::named("Liar").with_pin(PIN).protocol_one_only();
        Self::new(Demand::Pin, liar, "es256")
    }

    /// A PIN is wanted by the policy alone: alice's keys were enrolled for a touch.
    pub(crate) fn pin_by_policy() -> Self {
        let liar = Liar::named("Liar").with_pin(PIN);
        Self::of(Demand::Touch, Demand::Pin, liar, "es256")
    }

    /// A PIN is wanted by alice's credentials alone.
    pub(crate) fn pin_by_credential() -> Self {
        let liar = Liar::named("Liar").with_pin(PIN);
        Self::of(Demand::Pin, Demand::Touch, liar, "es256")
    }

    fn new(demand: Demand, liar: Liar, algorithm: &str) -> Self {
        Self::of(demand, demand, liar, algorithm)
    }

    fn of(by_credential: Demand, by_policy: Demand, liar: Liar, algorithm: &str) -> Self {
        let demand = by_credential.max(by_policy);
        let machine = Machine::lived_on();
        machine.service("sudo", &format!("auth required {MODULE}\n"));
        let blue = VirtualKey::named("Blue");
        let blue = match demand {
            Demand::Touch => blue,
            Demand::Pin => blue.with_pin(PIN),
        };
        let scene = Self {
            machine,
            demand,
            by_credential,
            by_policy,
            liar,
            blue,
            timeout: LONG,
            settings: String::new(),
            tried: 0,
        };
        {
            let _port = scene.plug_liar_in();
            scene.enroll("alice", "liar", algorithm);
        }
        {
            let _blue = scene.machine.plug_in(scene.blue.clone());
            scene.enroll("alice", "blue key", algorithm);
        }
        scene.set_policy();
        scene
    }

    fn enroll(&self, user: &str, name: &str, algorithm: &str) {
        let mut command = vec!["enroll", "--no-spare", "--user", user, "--name", name];
        command.extend(["--algorithm", algorithm]);
        if self.by_credential == Demand::Touch {
            command.push("--touch-only");
            self.machine.passkey(command).output().expect_success();
            return;
        }
        let mut enroll = self.machine.passkey(command).on_a_terminal().start();
        enroll.wait_for("[y/N] ");
        enroll.type_line("y");
        for times in 1..=2 {
            enroll.wait_for_times("tries left: ", times);
            enroll.type_line(PIN);
        }
        enroll.finish().expect_success();
    }

    fn set_policy(&self) {
        let demand = match self.by_policy {
            Demand::Touch => "discouraged",
            Demand::Pin => "required",
        };
        let (timeout, settings) = (self.timeout, &self.settings);
        self.machine.policy(&format!(
            "user_verification = \"{demand}\"\ntimeout = {timeout}\n{settings}"
        ));
    }

    /// Further settings of the policy.
    pub(crate) fn set_settings(&mut self, settings: &str) {
        settings.clone_into(&mut self.settings);
        self.set_policy();
    }

    fn set_timeout(&mut self, timeout: u64) {
        if self.timeout != timeout {
            self.timeout = timeout;
            self.set_policy();
        }
    }

    /// The liar is bob's key as well, with another credential.
    pub(crate) fn enroll_liar_for_bob(&self) -> Credential {
        let _port = self.plug_liar_in();
        self.enroll("bob", "liar", "es256");
        self.liar.credentials().pop().expect("bob's credential")
    }

    /// The liar makes alice another credential: it lies about the first.
    pub(crate) fn enroll_liar_again(&self) -> Credential {
        let _port = self.plug_liar_in();
        self.enroll("alice", "liar's other", "es256");
        let credential = self.liar.credentials().pop();
        credential.expect("alice's other credential")
    }

    pub(crate) fn liar(&self) -> &Liar {
        &self.liar
    }

    pub(crate) fn blue(&self) -> &VirtualKey {
        &self.blue
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn plug_liar_in(&self) -> Port {
        self.machine
            .plug_in_cable(self.liar.name(), self.liar.power_on())
    }

    pub(crate) fn login(&self) -> LoggedIn {
        let answers: &[&str] = match self.demand {
            Demand::Touch => &[],
            // Beside another key it may be asked for twice.
            Demand::Pin => &[PIN, PIN],
        };
        self.machine
            .login("sudo", "alice")
            .answers(answers.iter().copied())
            .run()
    }

    /// One login with the liar alone.
    pub(crate) fn login_with(&self, lie: Lie) -> LoggedIn {
        self.liar.lies(lie);
        self.liar.forget();
        let _port = self.plug_liar_in();
        let login = self.login();
        // Looked at while it has power: without, every light is out.
        let heard = self.liar.heard();
        assert!(
            self.liar.is_dark(),
            "it blinks on after {heard:?}: {login:#?}"
        );
        login
    }

    /// Tries this fault with the liar alone, beside an honest key, and whether all is well after.
    #[track_caller]
    pub(crate) fn tries(&mut self, fault: &str, lie: Lie, expected: Expected) {
        self.set_timeout(match expected {
            Expected::AtDeadline(..) => SHORT,
            _ => LONG,
        });
        self.alone(fault, lie.clone(), expected);
        if !matches!(expected, Expected::Tolerated) {
            self.set_timeout(LONG);
            self.beside_an_honest_key(fault, lie);
        }
        self.honest_again(fault);
        self.tried += 1;
    }

    /// The liar is all there is.
    #[track_caller]
    pub(crate) fn alone(&self, fault: &str, lie: Lie, expected: Expected) {
        let login = self.login_with(lie);
        let took = login.report.calls[0].elapsed();
        let (code, sentence) = match expected {
            Expected::Tolerated => (Pam::Success, ""),
            Expected::Refused => (refusal(login.code()), " "),
            Expected::AtOnce(code, sentence) | Expected::AtDeadline(code, sentence) => {
                (code, sentence)
            }
        };
        assert_eq!(login.code(), code, "{fault}: {login:#?}");
        let said = login.said();
        assert!(
            said.contains(sentence),
            "{fault}: nobody said {sentence:?}: {login:#?}"
        );
        let deadline = Duration::from_secs(self.timeout);
        match expected {
            Expected::AtDeadline(..) => assert!(took >= deadline, "{fault}: after {took:?}"),
            _ => assert!(took < AT_ONCE, "{fault}: after {took:?}"),
        }
        assert!(took < deadline + AT_ONCE, "{fault}: after {took:?}");
        self.assert_decent(fault, &login);
    }

    /// The blue key is plugged in as well, and touched.
    #[track_caller]
    pub(crate) fn beside_an_honest_key(&self, fault: &str, lie: Lie) {
        self.liar.lies(lie);
        self.liar.forget();
        // Now the one is asked first, now the other.
        let plug_blue_in = || self.machine.plug_in(self.blue.clone());
        let (_port, blue) = if self.tried.is_multiple_of(2) {
            let port = self.plug_liar_in();
            (port, plug_blue_in())
        } else {
            let blue = plug_blue_in();
            (self.plug_liar_in(), blue)
        };
        blue.presence(Presence::after_ms(150));
        blue.forget_transactions();
        let login = self.login();
        assert_eq!(
            login.code(),
            Pam::Success,
            "{fault}, beside blue: {login:#?}"
        );
        assert!(
            login.logged().contains("accepted key=\"blue key\""),
            "{fault}, beside blue: {login:#?}"
        );
        assert!(blue.is_dark(), "{fault}: blue blinks on");
        // Where a PIN is wanted it may have stood aside for the liar, which touches itself.
        if self.demand == Demand::Touch {
            let undisturbed = [Command::Init, Command::GetAssertion];
            assert_eq!(blue.commands(), undisturbed, "{fault}: blue was disturbed");
            assert_eq!(blue.cancels(), 0, "{fault}: blue was disturbed");
        }
        self.assert_decent(fault, &login);
    }

    /// The liar tells the truth.
    #[track_caller]
    fn honest_again(&self, fault: &str) {
        let login = self.login_with(Lie::None);
        assert_eq!(login.code(), Pam::Success, "after {fault}: {login:#?}");
        self.assert_decent(fault, &login);
    }

    /// What holds of every login: no trace, no light, no more memory than stated, no character
    /// that moves a cursor.
    #[track_caller]
    fn assert_decent(&self, fault: &str, login: &LoggedIn) {
        assert!(login.report.footprint.is_clean(), "{fault}: {login:#?}");
        let [resident, mapped] = login.report.peak_growth;
        assert!(resident < MOST_RESIDENT, "{fault}: {resident} KiB resident");
        assert!(mapped < MOST_MAPPED, "{fault}: {mapped} KiB mapped");
        for text in [login.said(), login.logged()] {
            let strange = text.chars().find(|c| c.is_control() && *c != '\n');
            assert_eq!(strange, None, "{fault}: {text:?}");
        }
        // A key cannot have the same said to her again and again.
        if self.demand == Demand::Touch {
            let said = login.said();
            let twice = said.lines().find(|line| said.matches(line).count() > 1);
            assert_eq!(twice, None, "{fault}: {said}");
        }
        assert!(self.liar.is_dark(), "{fault}: the liar blinks on");
        assert_eq!(
            self.liar.interruptions(),
            0,
            "{fault}: it was spoken to while it worked, {:?}",
            self.liar.heard()
        );
    }

    /// What the liar is asked last before it is believed, or is given a PIN.
    pub(crate) fn last_question(&self) -> Moment {
        match self.demand {
            Demand::Touch => Moment::GetAssertion,
            Demand::Pin => Moment::PinToken,
        }
    }

    /// Whether the liar was asked anything that takes a PIN.
    pub(crate) fn liar_got_no_pin(&self) -> bool {
        !self.liar.heard().contains(&Moment::PinToken)
    }
}

/// The code itself, if it is one with which a key is refused.
fn refusal(code: Pam) -> Pam {
    match code {
        Pam::AuthinfoUnavail | Pam::MaxTries => code,
        _ => Pam::AuthErr,
    }
}

impl Drop for Scene {
    /// For whoever counts: `cargo test … -- --nocapture`.
    #[allow(clippy::print_stdout, reason = "a count for SECURITY.md")]
    fn drop(&mut self) {
        println!("{:?}: {} faults tried", self.demand, self.tried);
    }
}

//! What a person needs to get through a stack: it is run once for every world,
//! with the key and without, with the right password and with a wrong one.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::code::Code;
use super::dispatch::outcomes;
use super::finding::printable;
use super::modules::{self, Answer, ModuleFolders};
use super::ours::{Ours, REFUSALS};
use super::people::{Password, Person};
use super::stack::{Handler, Stack};

/// What lets a person in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) enum WayIn {
    /// The key, and nothing else.
    #[serde(rename = "key")]
    Key,
    /// The password, and nothing else.
    #[serde(rename = "password")]
    Password,
    /// One of the two is enough.
    #[serde(rename = "either")]
    Either,
    /// Both are needed.
    #[serde(rename = "both")]
    Both,
    /// Whoever asks is let in.
    #[serde(rename = "nothing needed")]
    NothingNeeded,
    /// Nothing lets them in.
    #[serde(rename = "locked out")]
    LockedOut,
    /// It cannot be told from here.
    #[serde(rename = "unclear")]
    Unclear,
}

impl WayIn {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Password => "password",
            Self::Either => "either",
            Self::Both => "both",
            Self::NothingNeeded => "nothing needed",
            Self::LockedOut => "locked out",
            Self::Unclear => "unclear",
        }
    }

    /// Whether nobody gets in by `other` who does not get in by this.
    fn is_wider_than(self, other: Self) -> bool {
        match self {
            Self::Either => matches!(other, Self::Key | Self::Password | Self::Both),
            Self::Key | Self::Password => other == Self::Both,
            Self::Both | Self::NothingNeeded | Self::LockedOut | Self::Unclear => false,
        }
    }
}

impl fmt::Display for WayIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The way in, and why it is that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) way_in: WayIn,
    pub(super) because: String,
    /// What our module answers before it asks, if it does.
    pub(super) without_asking: Option<Code>,
}

/// What the person of a world has, and how the rest of the world is.
#[derive(Clone, Copy)]
struct World {
    /// The key works; or else this is what our module answers.
    key: Result<(), Code>,
    password_is_right: bool,
    /// A finger, or a key of another module's, works.
    something_else: bool,
    gates: Gates,
}

/// What the gates on the way do.
#[derive(Clone, Copy)]
enum Gates {
    LetPass,
    Refuse,
    /// Each of them one or the other.
    Either,
}

/// Whether a world lets its person in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lets {
    In,
    Nobody,
    /// It depends on what no one can know from here.
    Perhaps,
}

/// Somebody's way through a stack.
pub(super) struct Passage<'p> {
    stack: &'p Stack,
    password: Password,
    /// What each line can answer, and what it does where it is ours.
    lines: Vec<(Answer, Option<Ours>)>,
}

impl<'p> Passage<'p> {
    /// The way of `person`, for whom our module does in each of its lines what
    /// `ours` says.
    pub(super) fn new(
        stack: &'p Stack,
        person: &Person,
        folders: &ModuleFolders,
        ours: impl Fn(&Handler) -> Ours,
    ) -> Self {
        let line = |handler: &Handler| match folders.find(handler) {
            Ok(_) => match modules::answer(handler, &stack.service, person) {
                Answer::Ours => (Answer::Ours, Some(ours(handler))),
                answer => (answer, None),
            },
            // Libpam puts something in its place that always says so.
            Err(_) => (Answer::OneOf(vec![Code::MODULE_UNKNOWN]), None),
        };
        Self {
            stack,
            password: person.password,
            lines: stack.handlers.iter().map(line).collect(),
        }
    }

    /// The way in, in the plain world and in those that differ from it.
    pub(super) fn verdict(&self) -> Verdict {
        let without_asking = self.without_asking();
        let verdict = |way_in, because| Verdict {
            way_in,
            because,
            without_asking: without_asking.as_ref().map(|(code, _)| *code),
        };
        if self.stack.given_up {
            let because = "libpam does not understand its files, and gives up".to_owned();
            return verdict(WayIn::LockedOut, because);
        }
        let unclear = self.stack.troubles.iter().find(|it| it.leaves_it_unclear());
        if let Some(trouble) = unclear {
            return verdict(WayIn::Unclear, trouble.to_string());
        }
        let plain = self.way_in(false, Gates::LetPass);
        let mut because = match plain {
            WayIn::LockedOut => format!("whatever is tried ends with {}", self.ends()),
            WayIn::Unclear => self.why_unclear(),
            _ => self.why(plain).to_owned(),
        };
        if let Some((_, why)) = &without_asking {
            because = format!("{because}; {why}");
        }
        let gates = self.modules(|answer| matches!(answer, Answer::Gate(..)));
        if !gates.is_empty() && plain != WayIn::Unclear {
            match self.way_in(false, Gates::Refuse) {
                same if same == plain => {}
                WayIn::LockedOut => because = format!("{because}; unless {gates} refuses"),
                other if plain.is_wider_than(other) => {
                    because = format!("{because}; {other} where {gates} refuses");
                }
                other => {
                    because = format!("{plain} where {gates} lets pass, {other} where it does not");
                    return verdict(WayIn::Unclear, because);
                }
            }
            if self.a_mixture_lets_in_more() {
                because = format!("{plain} where {gates} all do the same, and less where not");
                return verdict(WayIn::Unclear, because);
            }
        }
        let others = self.modules(|answer| *answer == Answer::Else);
        if !others.is_empty() && self.way_in(true, Gates::LetPass) != plain {
            because = format!("{because}; what {others} asks for lets in, too");
        }
        verdict(plain, because)
    }

    /// Whether a password is asked for once the key has failed, and does not let
    /// in even where it is right.
    pub(super) fn asks_for_a_password_in_vain(&self) -> bool {
        let world = World {
            key: Err(Code::AUTH_ERR),
            password_is_right: true,
            something_else: false,
            gates: Gates::LetPass,
        };
        let mut asks = false;
        let outcomes = outcomes(&self.stack.handlers, &mut |at, _| {
            let answer = self.lines.get(at).map(|(answer, _)| answer);
            asks |= matches!(answer, Some(Answer::Password(..)));
            self.answers(at, world)
        });
        asks && outcomes.is_some_and(|codes| !codes.contains(&Code::SUCCESS))
    }

    fn way_in(&self, something_else: bool, gates: Gates) -> WayIn {
        let lets = |key: bool, password_is_right: bool| {
            self.lets_whoever_has(key, password_is_right, something_else, gates)
        };
        let neither = lets(false, false);
        let (key, password) = (lets(true, false), lets(false, true));
        let both = lets(true, true);
        match (neither, key, password, both) {
            (Lets::In, ..) => WayIn::NothingNeeded,
            (Lets::Nobody, Lets::In, Lets::In, _) => WayIn::Either,
            (Lets::Nobody, Lets::In, Lets::Nobody, _) => WayIn::Key,
            (Lets::Nobody, Lets::Nobody, Lets::In, _) => WayIn::Password,
            (Lets::Nobody, Lets::Nobody, Lets::Nobody, Lets::In) => WayIn::Both,
            (Lets::Nobody, Lets::Nobody, Lets::Nobody, Lets::Nobody) => WayIn::LockedOut,
            _ => WayIn::Unclear,
        }
    }

    /// Whether somebody gets in where some gates let pass and others refuse who
    /// does not where all do the same.
    fn a_mixture_lets_in_more(&self) -> bool {
        [(false, false), (true, false), (false, true)]
            .into_iter()
            .any(|(key, password_is_right)| {
                let nobody = |gates| {
                    let lets = self.lets_whoever_has(key, password_is_right, false, gates);
                    lets == Lets::Nobody
                };
                nobody(Gates::LetPass) && nobody(Gates::Refuse) && !nobody(Gates::Either)
            })
    }

    fn lets_whoever_has(
        &self,
        key: bool,
        password_is_right: bool,
        something_else: bool,
        gates: Gates,
    ) -> Lets {
        let keys = if key {
            vec![Ok(())]
        } else {
            REFUSALS.map(Err).to_vec()
        };
        // Which refusal it is, whoever is there can choose.
        let all: Vec<Lets> = keys
            .into_iter()
            .map(|key| {
                self.lets(World {
                    key,
                    password_is_right,
                    something_else,
                    gates,
                })
            })
            .collect();
        if all.contains(&Lets::In) {
            Lets::In
        } else if all.contains(&Lets::Perhaps) {
            Lets::Perhaps
        } else {
            Lets::Nobody
        }
    }

    fn lets(&self, world: World) -> Lets {
        match self.outcomes(world) {
            Some(outcomes) if outcomes.iter().all(|code| *code == Code::SUCCESS) => Lets::In,
            Some(outcomes) if !outcomes.contains(&Code::SUCCESS) => Lets::Nobody,
            Some(_) | None => Lets::Perhaps,
        }
    }

    fn outcomes(&self, world: World) -> Option<BTreeSet<Code>> {
        outcomes(&self.stack.handlers, &mut |at, _| self.answers(at, world))
    }

    fn answers(&self, at: usize, world: World) -> Vec<Code> {
        let Some((answer, ours)) = self.lines.get(at) else {
            return Vec::new();
        };
        match answer {
            Answer::OneOf(codes) => codes.clone(),
            Answer::Password(right, wrong) => {
                if world.password_is_right && self.password != Password::Locked {
                    right.clone()
                } else {
                    wrong.clone()
                }
            }
            Answer::Else if world.something_else => vec![Code::SUCCESS],
            Answer::Else => vec![Code::AUTH_ERR, Code::AUTHINFO_UNAVAIL, Code::USER_UNKNOWN],
            Answer::Gate(pass, refusal) => match world.gates {
                Gates::LetPass => vec![*pass],
                Gates::Refuse => vec![*refusal],
                Gates::Either => vec![*pass, *refusal],
            },
            Answer::Ours => match (ours, world.key) {
                (Some(Ours::Asks), Ok(())) => vec![Code::SUCCESS],
                (Some(Ours::Asks), Err(refusal)) => vec![refusal],
                (Some(Ours::Answers(code, _)), _) => vec![*code],
                (Some(Ours::Unseen(_)) | None, _) => anything(),
            },
            Answer::Unknown => anything(),
        }
    }

    fn why(&self, way_in: WayIn) -> &'static str {
        let has_ours = self.ours().next().is_some();
        match way_in {
            WayIn::Key => "only a key of theirs lets in",
            WayIn::Password if has_ours => "the password lets in, and no key does",
            WayIn::Password => "the password lets in",
            WayIn::Either => "a key of theirs lets in, and so does the password",
            WayIn::Both => "it takes the password and a key of theirs",
            WayIn::NothingNeeded => "neither a key nor a password is needed",
            WayIn::LockedOut | WayIn::Unclear => "",
        }
    }

    /// The codes with which everything ends.
    fn ends(&self) -> String {
        let keys = [Ok(())].into_iter().chain(REFUSALS.map(Err));
        let worlds = keys.flat_map(|key| {
            [true, false].map(|password_is_right| World {
                key,
                password_is_right,
                something_else: false,
                gates: Gates::LetPass,
            })
        });
        let codes: BTreeSet<Code> = worlds
            .filter_map(|world| self.outcomes(world))
            .flatten()
            .collect();
        let ends: Vec<&str> = codes.into_iter().map(Code::word).collect();
        ends.join(" or ")
    }

    fn why_unclear(&self) -> String {
        let unseen = self.ours().find_map(|ours| match ours {
            Ours::Unseen(why) => Some(why),
            Ours::Asks | Ours::Answers(..) => None,
        });
        if let Some(why) = unseen {
            return why.clone();
        }
        let unknown = self.modules(|answer| *answer == Answer::Unknown);
        let several = self.modules(|answer| match answer {
            Answer::OneOf(codes) | Answer::Password(codes, _) => codes.len() > 1,
            _ => false,
        });
        match (unknown.as_str(), several.as_str()) {
            ("", "") => "its stack is too long to be followed".to_owned(),
            ("", names) | (names, _) => {
                format!("it depends on {names}, of which nobody outside knows what it answers")
            }
        }
    }

    /// The modules of the stack that are such, by name.
    fn modules(&self, are_such: impl Fn(&Answer) -> bool) -> String {
        let mut names: Vec<String> = Vec::new();
        for (handler, (answer, _)) in self.stack.handlers.iter().zip(&self.lines) {
            let name = handler
                .module()
                .map(|name| format!("{}.so", printable(name)));
            if let Some(name) = name
                && are_such(answer)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names.join(" or ")
    }

    /// What our module does, line by line.
    fn ours(&self) -> impl Iterator<Item = &Ours> {
        self.lines.iter().filter_map(|(_, ours)| ours.as_ref())
    }

    /// What our module answers before it asks; none where it asks in any line.
    fn without_asking(&self) -> Option<(Code, String)> {
        if self.ours().any(|ours| *ours == Ours::Asks) {
            return None;
        }
        self.ours().find_map(|ours| match ours {
            Ours::Answers(code, why) => Some((*code, why.clone())),
            Ours::Asks | Ours::Unseen(_) => None,
        })
    }
}

/// What a module of which nothing is known can answer: all but what is for
/// accounts (`pam_sm_authenticate(3)`), and for modules that are called again.
fn anything() -> Vec<Code> {
    const NEVER: [Code; 2] = [Code::NEW_AUTHTOK_REQD, Code::INCOMPLETE];
    Code::all().filter(|code| !NEVER.contains(code)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::loading::written::Written;
    use super::super::people::tests::alice;
    use super::*;

    const COMMON: &str = "auth [success=1 default=ignore] pam_unix.so nullok\n\
                          auth requisite pam_deny.so\n\
                          auth required pam_permit.so\n\
                          auth optional pam_cap.so\n";

    fn verdict_of(sudo: &str, person: &Person, ours: &Ours) -> Verdict {
        let files = Written::new(&[("sudo", sudo), ("common-auth", COMMON), ("other", "")]);
        let stack = Stack::of_service(&files, "sudo");
        let folders = ModuleFolders::nowhere();
        Passage::new(&stack, person, &folders, |_| ours.clone()).verdict()
    }

    #[track_caller]
    fn assert_way_in(sudo: &str, way_in: WayIn) {
        let verdict = verdict_of(sudo, &alice(), &Ours::Asks);
        assert_eq!(verdict.way_in, way_in, "{sudo}: {verdict:?}");
    }

    fn not_enrolled() -> Ours {
        Ours::Answers(Code::USER_UNKNOWN, "alice has no key enrolled".to_owned())
    }

    #[test]
    fn the_files_we_ship_are_judged_right() {
        let both = include_str!("../../../config/pam.d/sudo-2fa");
        let either = include_str!("../../../config/pam.d/sudo");
        let neither = include_str!("../../../config/pam.d/passkey");
        let auth = |text: &str| {
            let ours = |line: &&str| line.starts_with("auth") || *line == "@include common-auth";
            text.lines().filter(ours).collect::<Vec<_>>().join("\n")
        };
        assert_way_in(&auth(either), WayIn::Either);
        assert_way_in(&auth(both), WayIn::Both);
        assert_way_in(&auth(neither), WayIn::Password);
        let without = verdict_of(&auth(both), &alice(), &not_enrolled());
        assert_eq!(without.way_in, WayIn::LockedOut);
        assert_eq!(
            without.because,
            "whatever is tried ends with auth_err or user_unknown; alice has no key enrolled"
        );
        let ignored = Ours::Answers(Code::IGNORE, String::new());
        assert_eq!(
            verdict_of(&auth(both), &alice(), &ignored).way_in,
            WayIn::Password
        );
    }

    #[test]
    fn every_way_in_has_a_stack() {
        for (stack, way_in) in [
            ("auth required pam_passkey.so", WayIn::Key),
            ("auth required pam_unix.so", WayIn::Password),
            (
                "auth sufficient pam_passkey.so\nauth required pam_unix.so",
                WayIn::Either,
            ),
            (
                "auth required pam_passkey.so\nauth required pam_unix.so",
                WayIn::Both,
            ),
            (
                "auth optional pam_passkey.so\nauth required pam_permit.so",
                WayIn::NothingNeeded,
            ),
            ("auth required pam_deny.so", WayIn::LockedOut),
            ("auth required pam_wonder.so", WayIn::Unclear),
        ] {
            assert_way_in(stack, way_in);
        }
    }

    /// The stacks of other distributions, and of a display manager.
    const FEDORA: &str = "auth required pam_env.so
        auth required pam_faildelay.so delay=2000000
        auth required pam_faillock.so preauth silent
        auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
        auth [default=1 ignore=ignore success=ok] pam_localuser.so
        auth sufficient pam_unix.so nullok
        auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
        auth sufficient pam_sss.so forward_pass
        auth required pam_faillock.so authfail
        auth required pam_deny.so";
    const ARCH: &str = "auth required pam_faillock.so preauth
        -auth [success=2 default=ignore] pam_systemd_home.so
        auth [success=1 default=bad] pam_unix.so try_first_pass nullok
        auth [default=die] pam_faillock.so authfail
        auth optional pam_permit.so
        auth required pam_env.so
        auth required pam_faillock.so authsucc";
    const SUSE: &str = "auth required pam_env.so
        auth optional pam_gnome_keyring.so
        auth required pam_unix.so try_first_pass";
    const GDM: &str = "auth requisite pam_nologin.so
        auth required pam_succeed_if.so user != root quiet_success
        @include common-auth
        auth optional pam_gnome_keyring.so";

    #[test]
    fn the_stacks_of_distributions_ask_for_the_password() {
        for stack in [FEDORA, ARCH, SUSE, GDM] {
            assert_way_in(stack, WayIn::Password);
            let ours = "auth [success=done abort=die default=ignore] pam_passkey.so";
            assert_way_in(&format!("{ours}\n{stack}"), WayIn::Either);
            let ours = "auth [success=ok ignore=ignore abort=die default=bad] pam_passkey.so";
            assert_way_in(&format!("{ours}\n{stack}"), WayIn::Both);
            // whoever has no account here but in a directory
            let mut person = alice();
            person.is_local = false;
            person.password = Password::Unseen;
            let verdict = verdict_of(stack, &person, &not_enrolled());
            assert!(
                matches!(verdict.way_in, WayIn::Password | WayIn::Unclear),
                "{verdict:?}"
            );
        }
    }

    #[test]
    fn who_may_choose_how_to_fail_is_taken_to_choose() {
        // Pull the key out, and the password alone is enough.
        assert_way_in(
            "auth [success=ok authinfo_unavail=ignore default=die] pam_passkey.so\n\
             auth required pam_unix.so",
            WayIn::Password,
        );
        // ulimit -n 5
        assert_way_in(
            "auth [success=ok service_err=ignore default=die] pam_passkey.so\n\
             auth required pam_permit.so",
            WayIn::NothingNeeded,
        );
    }

    #[test]
    fn a_password_that_is_asked_for_in_vain_is_known() {
        for (stack, in_vain) in [
            (
                "auth [success=done] pam_passkey.so\n@include common-auth",
                true,
            ),
            (
                "auth [success=done default=die] pam_passkey.so\n@include common-auth",
                false,
            ),
            (
                "auth sufficient pam_passkey.so\n@include common-auth",
                false,
            ),
            ("auth required pam_passkey.so", false),
        ] {
            let files = Written::new(&[("sudo", stack), ("common-auth", COMMON), ("other", "")]);
            let stack_of = Stack::of_service(&files, "sudo");
            let folders = ModuleFolders::nowhere();
            let passage = Passage::new(&stack_of, &alice(), &folders, |_| Ours::Asks);
            assert_eq!(passage.asks_for_a_password_in_vain(), in_vain, "{stack}");
        }
    }

    #[test]
    fn an_unknown_module_makes_unclear_only_what_depends_on_it() {
        let last = "auth optional pam_wonder.so";
        assert_way_in(&format!("@include common-auth\n{last}"), WayIn::Password);
        let unclear = verdict_of(
            "auth sufficient pam_wonder.so\n@include common-auth",
            &alice(),
            &Ours::Asks,
        );
        assert_eq!(unclear.way_in, WayIn::Unclear);
        assert!(
            unclear.because.starts_with("it depends on pam_wonder.so,"),
            "{unclear:?}"
        );
    }

    #[test]
    fn a_gate_is_named_and_judged_both_ways() {
        let gated = verdict_of(
            "auth requisite pam_nologin.so\n@include common-auth",
            &alice(),
            &Ours::Asks,
        );
        assert_eq!(gated.way_in, WayIn::Password);
        assert!(
            gated.because.ends_with("unless pam_nologin.so refuses"),
            "{gated:?}"
        );
        let between = "auth sufficient pam_passkey.so\nauth requisite pam_nologin.so\n\
                       @include common-auth";
        let between = verdict_of(between, &alice(), &Ours::Asks);
        assert_eq!(between.way_in, WayIn::Either);
        assert!(
            between
                .because
                .ends_with("; key where pam_nologin.so refuses"),
            "{between:?}"
        );
        let trusted = "auth sufficient pam_wheel.so trust\n@include common-auth";
        let trusted = verdict_of(trusted, &alice(), &Ours::Asks);
        assert_eq!(trusted.way_in, WayIn::Unclear);
        assert_eq!(
            trusted.because,
            "nothing needed where pam_wheel.so lets pass, password where it does not"
        );
    }

    #[test]
    fn gates_that_differ_are_judged_too() {
        // nologin lets pass, and the password is jumped over
        let jumped = verdict_of(
            "auth required pam_nologin.so\n\
             auth [success=ignore default=1] pam_succeed_if.so rhost = x\n\
             auth required pam_unix.so\nauth required pam_permit.so",
            &alice(),
            &Ours::Asks,
        );
        assert_eq!(jumped.way_in, WayIn::Unclear, "{jumped:?}");
        assert!(
            jumped
                .because
                .contains("pam_nologin.so or pam_succeed_if.so"),
            "{jumped:?}"
        );
        // ... or the key
        let jumped = verdict_of(
            "auth required pam_nologin.so\n\
             auth [success=ignore default=1] pam_access.so\n\
             auth required pam_passkey.so\nauth required pam_unix.so",
            &alice(),
            &Ours::Asks,
        );
        assert_eq!(jumped.way_in, WayIn::Unclear, "{jumped:?}");
    }

    #[test]
    fn a_finger_is_another_way_in() {
        let text = "auth sufficient pam_fprintd.so\n@include common-auth";
        let verdict = verdict_of(text, &alice(), &Ours::Asks);
        assert_eq!(verdict.way_in, WayIn::Password);
        assert!(
            verdict
                .because
                .contains("what pam_fprintd.so asks for lets in, too")
        );
    }

    #[test]
    fn nobody_has_the_right_password_of_a_locked_account() {
        let mut person = alice();
        person.password = Password::Locked;
        let verdict = |text| verdict_of(text, &person, &Ours::Asks).way_in;
        assert_eq!(verdict("@include common-auth"), WayIn::LockedOut);
        assert_eq!(
            verdict("auth sufficient pam_passkey.so\n@include common-auth"),
            WayIn::Key
        );
        person.password = Password::Empty;
        let verdict = verdict_of("@include common-auth", &person, &Ours::Asks);
        assert_eq!(verdict.way_in, WayIn::NothingNeeded);
    }

    #[test]
    fn what_may_not_be_seen_leaves_it_unclear() {
        let unseen = Ours::Unseen("config.toml may not be opened".to_owned());
        let verdict = verdict_of("auth required pam_passkey.so", &alice(), &unseen);
        assert_eq!(verdict.way_in, WayIn::Unclear);
        assert_eq!(verdict.because, "config.toml may not be opened");
    }

    #[test]
    fn a_service_that_libpam_gives_up_lets_nobody_in() {
        assert_way_in(
            "auth sufficient pam_permit.so\n@include nowhere",
            WayIn::LockedOut,
        );
        assert_way_in(
            "auth required pam_permit.so\nauth include sudo",
            WayIn::Unclear,
        );
    }
}

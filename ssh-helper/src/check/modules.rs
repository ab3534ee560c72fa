//! What the modules of others answer, as far as it can be known without asking
//! them, and where libpam finds modules.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use super::code::Code;
use super::people::{Password, Person};
use super::stack::{Handler, Work, module_name};

/// What the module of a line can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// One of these; which one, nobody outside can choose.
    OneOf(Vec<Code>),
    /// It asks for the account's password: the first where that is right, the
    /// second where it is not.
    Password(Vec<Code>, Vec<Code>),
    /// It asks for something that is neither a password nor our key.
    Else,
    /// It asks for nothing, and lets pass or refuses: with these.
    Gate(Code, Code),
    /// It is ours.
    Ours,
    /// Nothing is known of it.
    Unknown,
}

/// What the module of `handler` can answer to `person`.
pub(super) fn answer(handler: &Handler, service: &str, person: &Person) -> Answer {
    use Code as C;
    let fixed = |code| Answer::OneOf(vec![code]);
    let Some(module) = handler.module() else {
        return fixed(C::PERM_DENIED);
    };
    match module {
        _ if handler.is_ours() => Answer::Ours,
        "pam_permit" => fixed(C::SUCCESS),
        "pam_debug" => fixed(debug(handler.arguments())),
        "pam_deny" => fixed(C::AUTH_ERR),
        "pam_rootok" => root_ok(service),
        "pam_env" | "pam_warn" | "pam_faildelay" | "pam_group" | "pam_keyinit" | "pam_mail" => {
            fixed(C::IGNORE)
        }
        "pam_echo" | "pam_cap" | "pam_kwallet" | "pam_kwallet5" => {
            Answer::OneOf(vec![C::SUCCESS, C::IGNORE])
        }
        "pam_gnome_keyring" => Answer::OneOf(vec![
            C::SUCCESS,
            C::IGNORE,
            C::SERVICE_ERR,
            C::AUTH_ERR,
            C::USER_UNKNOWN,
        ]),
        // They have nothing to say in auth, and libpam says so for them.
        "pam_limits" | "pam_loginuid" | "pam_mkhomedir" | "pam_motd" | "pam_namespace"
        | "pam_pwhistory" | "pam_setquota" | "pam_systemd" | "pam_time" | "pam_tty_audit"
        | "pam_umask" | "pam_xauth" => fixed(C::MODULE_UNKNOWN),
        "pam_unix" => unix(handler.arguments(), person.password),
        "pam_sss" | "pam_ldap" | "pam_winbind" | "pam_krb5" | "pam_systemd_home" => {
            Answer::Password(
                vec![
                    C::SUCCESS,
                    C::AUTH_ERR,
                    C::AUTHINFO_UNAVAIL,
                    C::USER_UNKNOWN,
                ],
                vec![C::AUTH_ERR, C::AUTHINFO_UNAVAIL, C::USER_UNKNOWN],
            )
        }
        "pam_u2f"
        | "pam_fprintd"
        | "pam_yubico"
        | "pam_google_authenticator"
        | "pam_oath"
        | "pam_pkcs11"
        | "pam_howdy" => match handler.arguments() {
            // It may let in whoever has not set it up.
            given
                if given
                    .iter()
                    .any(|word| word == "nouserok" || word == "nullok") =>
            {
                Answer::Unknown
            }
            _ => Answer::Else,
        },
        "pam_nologin" if given(handler, "successok") => Answer::Gate(C::SUCCESS, C::AUTH_ERR),
        "pam_nologin" => Answer::Gate(C::IGNORE, C::AUTH_ERR),
        "pam_faillock" if given(handler, "authfail") => Answer::Gate(C::IGNORE, C::AUTH_ERR),
        "pam_faillock" => Answer::Gate(C::SUCCESS, C::AUTH_ERR),
        "pam_wheel" if given(handler, "trust") => Answer::Gate(C::SUCCESS, C::PERM_DENIED),
        "pam_wheel" => Answer::Gate(C::IGNORE, C::PERM_DENIED),
        "pam_access" => Answer::Gate(C::SUCCESS, C::PERM_DENIED),
        "pam_securetty" if person.account.uid != 0 => fixed(C::SUCCESS),
        "pam_tally" | "pam_tally2" | "pam_listfile" | "pam_securetty" => {
            Answer::Gate(C::SUCCESS, C::AUTH_ERR)
        }
        "pam_shells" => gate(person.shell_is_listed, C::AUTH_ERR),
        "pam_localuser" => gate(Some(person.is_local), C::PERM_DENIED),
        "pam_usertype" => match handler.arguments() {
            [word] if word == "isregular" && person.account.uid >= 1000 => fixed(C::SUCCESS),
            _ => Answer::Gate(C::SUCCESS, C::AUTH_ERR),
        },
        "pam_succeed_if" => gate(succeeds(handler.arguments(), person), C::AUTH_ERR),
        _ => Answer::Unknown,
    }
}

/// `pam_rootok` lets in where the program's real user is root. Programs that
/// somebody starts have that of who started them; here somebody asks who is not
/// root. What waits for people at their doors is root's itself.
fn root_ok(service: &str) -> Answer {
    const STARTED_BY_A_PERSON: [&str; 11] = [
        "chage", "chfn", "chsh", "doas", "newgrp", "passwd", "polkit-1", "su", "su-l", "sudo",
        "sudo-i",
    ];
    const ROOTS: [&str; 8] = [
        "cockpit", "greetd", "lightdm", "login", "lxdm", "remote", "sddm", "sshd",
    ];
    if STARTED_BY_A_PERSON.contains(&service) {
        Answer::OneOf(vec![Code::AUTH_ERR])
    } else if ROOTS.contains(&service) || service.starts_with("gdm") {
        Answer::OneOf(vec![Code::SUCCESS])
    } else {
        Answer::OneOf(vec![Code::SUCCESS, Code::AUTH_ERR])
    }
}

fn given(handler: &Handler, word: &str) -> bool {
    handler.arguments().iter().any(|argument| argument == word)
}

/// What lets pass with success, or refuses with this; unless it is known which.
fn gate(passes: Option<bool>, refusal: Code) -> Answer {
    match passes {
        Some(true) => Answer::OneOf(vec![Code::SUCCESS]),
        Some(false) => Answer::OneOf(vec![refusal]),
        None => Answer::Gate(Code::SUCCESS, refusal),
    }
}

/// `pam_debug.so auth=CODE`: the first such word decides, understood or not.
fn debug(arguments: &[String]) -> Code {
    arguments
        .iter()
        .find_map(|argument| argument.strip_prefix("auth="))
        .and_then(Code::named)
        .unwrap_or(Code::SUCCESS)
}

fn unix(arguments: &[String], password: Password) -> Answer {
    let has = |word: &str| arguments.iter().any(|argument| argument == word);
    let wrong = vec![Code::AUTH_ERR];
    match password {
        Password::Empty if has("nullok") => Answer::OneOf(vec![Code::SUCCESS]),
        Password::Empty | Password::Locked => Answer::OneOf(wrong),
        // It asks for none itself: whether another module has, nobody knows.
        _ if has("use_first_pass") => Answer::Password(vec![Code::SUCCESS, Code::AUTH_ERR], wrong),
        Password::Set | Password::Unseen => Answer::Password(vec![Code::SUCCESS], wrong),
    }
}

/// Whether `pam_succeed_if` does; none where that is more than we understand.
fn succeeds(arguments: &[String], person: &Person) -> Option<bool> {
    const FLAGS: [&str; 5] = ["debug", "quiet", "quiet_fail", "quiet_success", "audit"];
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| !FLAGS.contains(word))
        .collect();
    let (conditions, rest) = words.as_chunks::<3>();
    if conditions.is_empty() || !rest.is_empty() {
        return None;
    }
    let held = conditions
        .iter()
        .map(|[left, relation, right]| holds(left, relation, right, person));
    held.collect::<Option<Vec<bool>>>()
        .map(|held| held.iter().all(|holds| *holds))
}

fn holds(left: &str, relation: &str, right: &str, person: &Person) -> Option<bool> {
    let uid = u64::from(person.account.uid);
    match (left, relation) {
        ("user", "=") => Some(person.account.name.as_str() == right),
        ("user", "!=") => Some(person.account.name.as_str() != right),
        ("user", "ingroup") => person.is_in_a_group(right),
        ("user", "notingroup") => person.is_in_a_group(right).map(|is| !is),
        ("uid", _) => {
            let number: u64 = right.parse().ok()?;
            match relation {
                "eq" | "=" => Some(uid == number),
                "ne" | "!=" => Some(uid != number),
                "lt" | "<" => Some(uid < number),
                "le" | "<=" => Some(uid <= number),
                "gt" | ">" => Some(uid > number),
                "ge" | ">=" => Some(uid >= number),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a module of this name may refuse, and so is passed over by whoever
/// is let in before.
pub(super) fn refuses(handler: &Handler) -> bool {
    match handler.module() {
        Some("pam_faillock") => !given(handler, "authfail") && !given(handler, "authsucc"),
        Some(module) => [
            "pam_nologin",
            "pam_access",
            "pam_listfile",
            "pam_securetty",
            "pam_shells",
            "pam_tally",
            "pam_tally2",
            "pam_wheel",
        ]
        .contains(&module),
        None => false,
    }
}

/// The folders in which libpam looks for modules.
pub(super) struct ModuleFolders {
    folders: Vec<PathBuf>,
}

/// The folder of this architecture, where a distribution has one for each.
fn triplet() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x86_64-linux-gnu",
        "x86" => "i386-linux-gnu",
        "aarch64" => "aarch64-linux-gnu",
        "arm" => "arm-linux-gnueabihf",
        "riscv64" => "riscv64-linux-gnu",
        "powerpc64" => "powerpc64le-linux-gnu",
        "s390x" => "s390x-linux-gnu",
        _ => "",
    }
}

impl ModuleFolders {
    /// Where this machine's libpam has its own modules. Debian's looks into
    /// `/lib/security` as well.
    pub(super) fn of_this_machine() -> Self {
        let multiarch = format!("/lib/{}/security", triplet());
        let candidates = [
            "/lib/security",
            "/lib64/security",
            "/usr/lib/security",
            "/usr/lib64/security",
        ];
        let has_modules = |folder: &Path| folder.join("pam_deny.so").exists();
        let mut folders: Vec<PathBuf> = Vec::new();
        if has_modules(Path::new(&multiarch)) {
            folders.extend([multiarch.into(), "/lib/security".into()]);
        } else {
            let own = candidates.into_iter().map(PathBuf::from);
            folders.extend(own.filter(|folder| has_modules(folder)));
        }
        Self { folders }
    }

    /// No folder at all: nothing is missed.
    #[cfg(test)]
    pub(super) fn nowhere() -> Self {
        Self {
            folders: Vec::new(),
        }
    }

    /// The folder for modules that somebody installs.
    fn first(&self) -> Option<&Path> {
        self.folders.first().map(PathBuf::as_path)
    }

    /// The file of a line's module; `Err` has the place where it is missed.
    /// Where no folder is known, nothing is missed.
    pub(super) fn find(&self, handler: &Handler) -> Result<Option<PathBuf>, PathBuf> {
        let Work::Module { path, .. } = &handler.work else {
            return Ok(None);
        };
        let path = path.replace("$ISA", ".");
        if path.starts_with('/') {
            let path = PathBuf::from(path);
            return if path.exists() {
                Ok(Some(path))
            } else {
                Err(path)
            };
        }
        let mut places = self.folders.iter().map(|folder| folder.join(&path));
        match (places.find(|place| place.exists()), self.first()) {
            (Some(place), _) => Ok(Some(place)),
            (None, Some(first)) => Err(first.join(&path)),
            (None, None) => Ok(None),
        }
    }
}

/// Why a module that is there could not be loaded.
pub(super) fn why_not_loadable(module: &Path) -> Option<String> {
    let header = |path: &Path| -> Option<[u8; 20]> {
        use std::io::Read;
        let mut header = [0; 20];
        let file = super::pam_folder::open_regular(path).ok()?;
        file.take(20).read_exact(&mut header).ok()?;
        Some(header)
    };
    let name = module_name(&module.to_string_lossy()).to_owned();
    let Some(found) = header(module) else {
        return Some("it cannot be read as a file".to_owned());
    };
    if !found.starts_with(b"\x7fELF") {
        return Some(format!("{name} is no shared object (ELF)"));
    }
    // Class, byte order and machine are those of the program that asks.
    let kind = |header: &[u8; 20]| {
        (
            header.get(4..6).map(<[u8]>::to_vec),
            header.get(18..).map(<[u8]>::to_vec),
        )
    };
    match header(Path::new("/proc/self/exe")) {
        Some(own) if kind(&own) != kind(&found) => {
            Some(format!("{name} was built for another machine"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::loading::written::Written;
    use super::super::people::tests::alice;
    use super::super::stack::Stack;
    use super::*;

    fn answer_of(line: &str, person: &Person) -> Answer {
        let files = Written::new(&[("sudo", line), ("other", "")]);
        let stack = Stack::of_service(&files, "sudo");
        answer(&stack.handlers[0], "sudo", person)
    }

    fn one(code: Code) -> Answer {
        Answer::OneOf(vec![code])
    }

    #[test]
    fn the_password_is_what_unix_asks_for() {
        let mut person = alice();
        let right_or_wrong = Answer::Password(vec![Code::SUCCESS], vec![Code::AUTH_ERR]);
        let line = "auth required pam_unix.so nullok";
        assert_eq!(answer_of(line, &person), right_or_wrong);
        person.password = Password::Locked;
        assert_eq!(answer_of(line, &person), one(Code::AUTH_ERR));
        person.password = Password::Empty;
        assert_eq!(answer_of(line, &person), one(Code::SUCCESS));
        let strict = "auth required pam_unix.so";
        assert_eq!(answer_of(strict, &person), one(Code::AUTH_ERR));
    }

    #[test]
    fn debug_answers_what_it_is_told() {
        for (words, code) in [
            ("", Code::SUCCESS),
            ("auth=auth_err auth=success", Code::AUTH_ERR),
            ("acct=abort auth=ignore", Code::IGNORE),
            ("auth=bogus auth=abort", Code::SUCCESS),
        ] {
            let line = format!("auth required pam_debug.so {words}");
            assert_eq!(answer_of(&line, &alice()), one(code), "{words}");
        }
    }

    #[test]
    fn who_waits_at_a_door_as_root_is_root() {
        for (service, code) in [
            ("su", Code::AUTH_ERR),
            ("sudo", Code::AUTH_ERR),
            ("login", Code::SUCCESS),
            ("gdm-password", Code::SUCCESS),
        ] {
            assert_eq!(root_ok(service), one(code), "{service}");
        }
        let either = Answer::OneOf(vec![Code::SUCCESS, Code::AUTH_ERR]);
        assert_eq!(root_ok("swaylock"), either);
    }

    #[test]
    fn conditions_are_judged_only_where_all_are_understood() {
        for (words, passes) in [
            ("uid >= 1000 quiet", Some(true)),
            ("uid < 1000", Some(false)),
            ("user = alice uid ne 0", Some(true)),
            ("user != alice", Some(false)),
            ("user ingroup no-such-group", Some(false)),
            ("user ingroup no-such-group:neither", Some(false)),
            ("user notingroup no-such-group", Some(true)),
            ("uid >= 1000 tty = tty1", None),
            ("use_uid uid = 0", None),
            ("uid >= x", None),
            ("uid", None),
            ("", None),
        ] {
            let line = format!("auth required pam_succeed_if.so {words}");
            let expected = gate(passes, Code::AUTH_ERR);
            assert_eq!(answer_of(&line, &alice()), expected, "{words}");
        }
    }

    #[test]
    fn a_module_nobody_knows_may_answer_anything() {
        for line in [
            "auth required pam_exec.so /bin/true",
            "auth required pam_wonder.so",
            "auth required pam_u2f.so nouserok",
        ] {
            assert_eq!(answer_of(line, &alice()), Answer::Unknown, "{line}");
        }
        assert_eq!(
            answer_of("auth required pam_u2f.so", &alice()),
            Answer::Else
        );
    }

    #[test]
    fn a_text_is_no_module() {
        assert!(why_not_loadable(Path::new("/etc/passwd")).is_some());
        assert!(why_not_loadable(Path::new("/proc/self/exe")).is_none());
        assert!(why_not_loadable(Path::new("/nowhere")).is_some());
    }
}

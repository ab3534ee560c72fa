//! The host's own words: the arguments that are shown and signed, and the
//! files that tell whose session it is in.
//!
//! Both rooms of pam-passkey read what the kernel and logind show of the
//! process they are in. The module is no library for others, so their files are
//! read in here; what they read is laid over the kernel's in a machine of this
//! thread's own.
#![forbid(unsafe_code)]

#[path = "../../pam-passkey/src/request.rs"]
mod request;
#[path = "../../pam-passkey/src/session.rs"]
mod session;

use std::cell::OnceCell;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use ceremony::account::{Account, UserName};
use ceremony::credential::is_printable;

use self::session::Session;
use crate::input::Input;
use crate::private_machine;

const ARGUMENTS: &str = "/run/cmdline";
const CONTROL_GROUP: &str = "/run/cgroup";
const SESSION_FILE: &str = "/run/systemd/sessions/3";

static ALICE: LazyLock<Account> = LazyLock::new(|| Account {
    name: UserName::parse("alice").expect("a name"),
    uid: 1000,
});

thread_local! {
    static MACHINE: OnceCell<()> = const { OnceCell::new() };
}

/// The first byte says which of the two rooms reads the others.
pub(crate) fn host(bytes: &[u8]) {
    MACHINE.with(|machine| *machine.get_or_init(enter));
    let mut input = Input::new(bytes);
    match input.byte() % 2 {
        0 => is_asked(input.rest()),
        _ => is_somewhere(&mut input),
    }
}

fn enter() {
    private_machine::enter();
    for (file, kernels) in [(ARGUMENTS, "cmdline"), (CONTROL_GROUP, "cgroup")] {
        fs::write(file, "").expect("a file of ours");
        let kernels = format!("/proc/{}/{kernels}", std::process::id());
        private_machine::lay_over(Path::new(file), &kernels);
    }
}

/// What is shown of a command can be told apart into the arguments it was.
fn is_asked(arguments: &[u8]) {
    fs::write(ARGUMENTS, arguments).expect("a file of ours");
    let request = request::of("sudo", &ALICE, "");
    let command = request.command.expect("sudo shows its arguments");
    let quotes_apart = |c: char| c == '"' || is_printable(c);
    assert!(command.chars().all(quotes_apart), "{command:?}");
    assert!(command.chars().count() <= 340, "{command:?}");
    if command.contains("characters left out") {
        return;
    }
    let meant: Vec<String> = arguments
        .strip_suffix(&[0])
        .unwrap_or(arguments)
        .split(|byte| *byte == 0)
        .map(|argument| String::from_utf8_lossy(argument).into_owned())
        .collect();
    assert_eq!(told_apart(&command), Some(meant), "{command:?}");
}

/// Arguments from a line of them, written apart from what wrote it.
fn told_apart(line: &str) -> Option<Vec<String>> {
    let mut arguments = Vec::new();
    let mut rest = line.chars().peekable();
    loop {
        let mut argument = String::new();
        if rest.next_if_eq(&'\'').is_some() {
            loop {
                match rest.next()? {
                    '\'' => break,
                    '\\' if rest.next_if_eq(&'u').is_some() => {
                        rest.next_if_eq(&'{')?;
                        let mut digits = String::new();
                        while let Some(digit) = rest.next_if(|c| *c != '}') {
                            digits.push(digit);
                        }
                        rest.next()?;
                        let number = u32::from_str_radix(&digits, 16).ok()?;
                        argument.push(char::from_u32(number)?);
                    }
                    '\\' => argument.push(rest.next()?),
                    plain => argument.push(plain),
                }
            }
        } else {
            while let Some(plain) = rest.next_if(|c| *c != ' ') {
                argument.push(plain);
            }
        }
        arguments.push(argument);
        match rest.next() {
            None => return Some(arguments),
            Some(' ') => {}
            Some(_) => return None,
        }
    }
}

/// Local is only whom root's files call so.
fn is_somewhere(input: &mut Input<'_>) {
    let cgroup = input.counted();
    let file = input.rest();
    fs::write(CONTROL_GROUP, cgroup).expect("a file of ours");
    fs::write(SESSION_FILE, file).expect("a file of ours");
    match session::of_caller("sudo", "", "") {
        Session::Remote(why) => assert!(!why.contains(char::is_control), "{why:?}"),
        Session::Local => {
            let cgroup = String::from_utf8_lossy(cgroup);
            assert!(cgroup.contains(":/user.slice/user-"), "{cgroup:?}");
            let file = String::from_utf8_lossy(file);
            for line in ["REMOTE=0", "ACTIVE=1"] {
                assert!(file.lines().any(|it| it == line), "{file:?}");
            }
            let last_state = file.lines().rfind(|line| line.starts_with("STATE="));
            assert_ne!(last_state, Some("STATE=closing"), "{file:?}");
        }
    }
}

//! The other ways in: su, the getty, ssh, polkit, a locker.

#![forbid(unsafe_code)]

use tests::guest::{Console, Finger};

use crate::Step;
use crate::site::{BLUE, SOON, Site, TOUCH, TOUCHES};

pub(crate) const STEPS: &[Step] = &[
    ("su: a touch, and in", su),
    (
        "su: a refusal on the key leads to the password; root has no key",
        su_refused,
    ),
    ("login on the getty: a touch, and in", getty),
    (
        "login on the getty: without the key, the password",
        getty_password,
    ),
    (
        "ssh localhost: refused as remote by default, then the password",
        ssh,
    ),
    (
        "ssh localhost: a touch lets in where the administrator allows it",
        ssh_allowed,
    ),
    (
        "vlock at the seat: a refusal leaves it locked, a touch opens it",
        vlock,
    ),
    (
        "screen's lock, run as the user: a refusal leaves it locked, a touch opens it",
        screen,
    ),
];

pub(crate) const POLKIT: &[Step] = &[
    ("pkexec with a text agent: a touch, and in", pkexec),
    (
        "pkexec with a text agent: a refusal leads to the password",
        pkexec_refused,
    ),
    (
        "pkexec over ssh: refused as remote, then the password",
        pkexec_over_ssh,
    ),
];

fn su(site: &mut Site) {
    site.console.types("su alice -c id; echo =$?=");
    let said = site.console.sees("=0=");
    assert!(said.contains("Requested by su for alice"), "{said}");
    assert!(said.contains("Touch \"blue key\""), "{said}");
}

fn su_refused(site: &mut Site) {
    site.keys.finger(BLUE, Finger::Refuses);
    site.console.types("su alice -c id; echo =$?=");
    site.console.sees("Password:");
    site.console.types("alice-password");
    site.console.sees("=0=");
    site.console.types("su -c id; echo =$?=");
    let said = site.console.sees("Password:");
    assert!(
        said.contains("No security key is enrolled for root"),
        "{said}"
    );
    site.console.types("root-password");
    site.console.sees("uid=0(root)");
}

fn getty(site: &mut Site) {
    site.console.logs_out_and_names("alice");
    site.console.sees("Touch \"blue key\"");
    let said = site.console.waits_for_the_prompt_of("alice");
    assert!(!said.contains("Password"), "{said}");
}

fn getty_password(site: &mut Site) {
    site.policy(SOON);
    site.keys.pull_out(BLUE);
    site.console.logs_out_and_names("alice");
    site.console.sees("Plug in");
    site.console.sees("Password: ");
    site.console.types("alice-password");
    site.console.waits_for_the_prompt_of("alice");
}

const SSH: &str = "ssh -o StrictHostKeyChecking=no -o PreferredAuthentications=keyboard-interactive \
                   localhost id; echo =$?=";

/// Has sshd ask PAM, which Debian's does only for passwords.
fn keyboard_interactive(site: &mut Site) {
    let sshd = "printf 'KbdInteractiveAuthentication yes\nPasswordAuthentication no\n' \
                >/etc/ssh/sshd_config.d/bench.conf; systemctl restart ssh";
    site.root.run(sshd).ok();
}

fn ssh(site: &mut Site) {
    keyboard_interactive(site);
    site.policy(&format!("{TOUCH}[service.sshd]\nenabled = true\n"));
    site.console.types(SSH);
    let said = site.console.sees("assword:");
    assert!(
        said.contains("only people in front of this machine"),
        "{said}"
    );
    site.console.types("alice-password");
    site.console.sees("uid=1000(alice)");
    site.console.sees("=0=");
    assert_eq!(site.messages_to_blue(), 0);
}

fn ssh_allowed(site: &mut Site) {
    site.policy(&format!(
        "{TOUCH}[service.sshd]\nenabled = true\nremote = \"allow\"\n"
    ));
    site.console.types(SSH);
    site.console.sees("uid=1000(alice)");
    site.console.sees("=0=");
    assert_eq!(site.messages_to_blue(), 2);
}

/// alice asks polkit for root; returns where she sees its agent: at the second console. The agent
/// inside pkexec runs as root, and the polkits of Debian 12 and of sid do not know its answers.
fn polkit_agent(site: &mut Site, finger: Finger) -> &mut Console {
    let shell = site
        .root
        .run("pgrep --terminal ttyS0 --uid alice bash")
        .ok();
    site.at_the_second_console("alice");
    site.keys.finger(BLUE, finger);
    site.keys.journal(BLUE);
    // It closes descriptor 3 once polkit knows of it.
    let agent = format!("pkttyagent --process {} --notify-fd 3", shell.trim());
    let agent = format!("{agent} 3>&1 >/dev/tty | {{ cat; echo \"agent $((41 + 1))\"; }}");
    site.second.types(&agent);
    site.second.sees("agent 42");
    site.console
        .types("pkexec --disable-internal-agent id; echo =$?=");
    &mut site.second
}

fn pkexec(site: &mut Site) {
    let agent = polkit_agent(site, TOUCHES);
    agent.sees("AUTHENTICATING FOR");
    agent.sees("Touch \"blue key\"");
    agent.sees("AUTHENTICATION COMPLETE");
    site.console.sees("uid=0(root)");
    site.console.sees("=0=");
    assert_eq!(site.messages_to_blue(), 2);
}

fn pkexec_refused(site: &mut Site) {
    let agent = polkit_agent(site, Finger::Refuses);
    agent.sees("denied on the security key");
    agent.sees("Password:");
    agent.types("wrong");
    site.console.sees("=127=");
}

fn pkexec_over_ssh(site: &mut Site) {
    keyboard_interactive(site);
    site.console
        .types(&SSH.replace("localhost id;", "-t localhost pkexec id;"));
    site.console.sees("assword:");
    site.console.types("alice-password");
    site.console.sees("AUTHENTICATING FOR");
    let said = site.console.sees("Password:");
    assert!(
        said.contains("only people in front of this machine"),
        "{said}"
    );
    site.console.presses("\x03");
    assert_eq!(site.messages_to_blue(), 0);
}

/// alice at the seat, logged in with her key at the first virtual terminal.
fn at_the_seat(site: &mut Site) {
    site.root
        .run("systemctl restart getty@tty1; clear >/dev/tty1");
    site.screen.presses("ctrl-alt-f1");
    site.screen_shows("guest login:");
    site.screen.types("alice");
    site.screen_shows("Touch \"blue key\"");
    site.screen_shows("alice$");
    site.screen.types("clear");
}

/// vlock is setuid root and asks as root; after a failure it waits for Enter again.
fn vlock(site: &mut Site) {
    at_the_seat(site);
    site.keys.finger(BLUE, Finger::Refuses);
    site.screen.types("vlock");
    site.screen_shows("is now locked");
    site.screen.presses("ret");
    site.screen_shows("denied on the security key");
    site.screen_shows("Password:");
    site.keys.finger(BLUE, TOUCHES);
    site.keys.journal(BLUE);
    site.unlock_with("ret", "alice$");
    assert_eq!(site.messages_to_blue(), 2);
}

/// screen(1) asks as alice, for a password first, and gives that as the answer to every prompt.
/// It may open the key since she sits at the seat.
fn screen(site: &mut Site) {
    site.policy(&format!("{TOUCH}[service.screen]\nenabled = true\n"));
    at_the_seat(site);
    site.screen.types("screen sh");
    site.screen_shows("$");
    site.screen.types("echo in-screen");
    site.screen_shows("\nin-screen");
    site.screen.presses("ctrl-a");
    site.screen.presses("x");
    site.screen_shows("Screen used by");
    site.keys.finger(BLUE, Finger::Refuses);
    site.keys.journal(BLUE);
    site.screen.presses("ret");
    site.keys.hears_from(BLUE);
    let still = site.screen_shows("Screen used by");
    assert!(!still.contains("in-screen"), "{still}");
    site.keys.finger(BLUE, TOUCHES);
    site.unlock_with("ret", "in-screen");
}

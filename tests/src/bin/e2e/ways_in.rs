//! The other ways in: su, the getty, ssh, polkit, a locker.

#![forbid(unsafe_code)]

use tests::guest::Finger;

use crate::Step;
use crate::site::{BLUE, Site, TOUCH};

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
    ("pkexec with its text agent: a touch, and in", pkexec),
    (
        "pkexec with its text agent: a refusal leads to the password",
        pkexec_refused,
    ),
    (
        "a locker that runs as the user, at the seat: locked, a touch, open",
        locker,
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
    site.console.types("exit");
    site.console.sees("guest login: ");
    site.console.types("alice");
    site.console.sees("Touch \"blue key\"");
    let said = site.console.waits_for_the_prompt_of("alice");
    assert!(!said.contains("Password"), "{said}");
}

fn getty_password(site: &mut Site) {
    site.keys.pull_out(BLUE);
    site.console.types("exit");
    site.console.sees("guest login: ");
    site.console.types("alice");
    site.console.sees("Plug in");
    site.console.sees("Password: ");
    site.console.types("alice-password");
    site.console.waits_for_the_prompt_of("alice");
}

const SSH: &str = "ssh -o StrictHostKeyChecking=no -o PreferredAuthentications=keyboard-interactive \
                   localhost id; echo =$?=";

fn ssh(site: &mut Site) {
    let sshd = "printf 'KbdInteractiveAuthentication yes\nPasswordAuthentication no\n' \
                >/etc/ssh/sshd_config.d/bench.conf; systemctl restart ssh";
    site.root.run(sshd).ok();
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

fn pkexec(site: &mut Site) {
    site.console.types("pkexec id; echo =$?=");
    site.console.sees("AUTHENTICATING FOR");
    site.console.sees("Touch \"blue key\"");
    site.console.sees("uid=0(root)");
    site.console.sees("=0=");
    assert_eq!(site.messages_to_blue(), 2);
}

fn pkexec_refused(site: &mut Site) {
    site.keys.finger(BLUE, Finger::Refuses);
    site.console.types("pkexec id; echo =$?=");
    site.console.sees("denied on the security key");
    site.console.sees("Password:");
    site.console.types("wrong");
    site.console.sees("=127=");
}

fn locker(site: &mut Site) {
    let vcs = "cat /dev/vcs1 | tr -s ' '";
    site.screen.presses("ctrl-alt-f1");
    println!("{}", site.root.run(vcs).said);
    site.screen.types("alice");
    std::thread::sleep(std::time::Duration::from_secs(10));
    println!("{}", site.root.run(vcs).said);
    println!("{}", site.root.run("loginctl; ls -l /dev/hidraw*; getfacl /dev/hidraw0; cat /etc/pam.d/vlock; ls -l /usr/sbin/vlock*").said);
    site.screen.types("vlock");
    std::thread::sleep(std::time::Duration::from_secs(10));
    println!("{}", site.root.run(vcs).said);
}

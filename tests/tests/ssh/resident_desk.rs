//! A machine with a security key that keeps SSH keys, made by stock ssh-keygen or by whoever speaks
//! CTAP.

use sk_cbor::{cbor_array_vec, cbor_map};
use tests::household::answering;
use tests::machine::{Finished, PluggedIn, Run};
use tests::virtual_key::Channel;
use tests::{Machine, VirtualKey};

/// What our commands ask, and what is typed.
pub(crate) const PIN: (&str, &str) = ("PIN of \"Blue\" (/dev/hidraw0), 8 tries left: ", "2468");

/// What ssh-keygen asks, and what is typed.
const ITS_PIN: (&str, &str) = ("Enter PIN for authenticator", "2468");

pub(crate) fn blue() -> VirtualKey {
    VirtualKey::named("Blue")
}

/// A machine with this key plugged in.
pub(crate) fn with(key: VirtualKey) -> (Machine, PluggedIn) {
    let machine = Machine::new();
    let key = machine.plug_in(key);
    (machine, key)
}

/// A machine with a key that keeps nothing and has a PIN.
pub(crate) fn with_blue() -> (Machine, PluggedIn) {
    with(blue().with_pin("2468"))
}

pub(crate) fn ssh<'m>(machine: &'m Machine, arguments: &[&'m str]) -> Run<'m> {
    machine.passkey(["ssh"].into_iter().chain(arguments.iter().copied()))
}

/// A command of ours whose PIN is typed.
pub(crate) fn done(machine: &Machine, arguments: &[&str]) -> Finished {
    answering(ssh(machine, arguments), &[PIN])
}

pub(crate) fn list(machine: &Machine) -> Finished {
    done(machine, &["list"]).expect_success()
}

/// The row of the list that has this in it.
#[track_caller]
pub(crate) fn row<'l>(listed: &'l Finished, about: &str) -> &'l str {
    let mut rows = listed.stdout.lines().filter(|line| line.contains(about));
    let row = rows.next();
    assert!(row.is_some(), "no {about:?} in {listed:#?}");
    row.unwrap()
}

/// The id in such a row.
pub(crate) fn id(row: &str) -> &str {
    row.split_whitespace().next().unwrap()
}

/// A resident key that stock ssh-keygen makes, with these options; its files lie in `/root/{file}`.
pub(crate) fn made(machine: &Machine, file: &str, kind: &str, options: &[&str]) {
    let path = format!("/root/{file}");
    let mut command = vec!["ssh-keygen", "-t", kind, "-N", "", "-f", &path];
    for option in ["resident"].iter().chain(options) {
        command.extend(["-O", option]);
    }
    answering(machine.run(command), &[ITS_PIN]).expect_success();
}

/// What `ssh-keygen -K` writes, in `/root/theirs`, which is new.
pub(crate) fn downloaded(machine: &Machine) -> Vec<String> {
    let download =
        "rm -rf /root/theirs && mkdir /root/theirs && cd /root/theirs && ssh-keygen -K -N ''";
    answering(machine.sh(download), &[ITS_PIN]).expect_success();
    files(machine, "/root/theirs")
}

/// The names in a directory.
pub(crate) fn files(machine: &Machine, directory: &str) -> Vec<String> {
    let listed = machine.run(["ls", "-A", directory]).output();
    let listed = listed.expect_success();
    listed.stdout.lines().map(str::to_owned).collect()
}

/// A key that keeps a credential for each of these relying parties and users, which no ssh-keygen
/// would make.
pub(crate) fn keeping(credentials: &[(&str, &[u8])]) -> (Machine, PluggedIn) {
    const MAKE_CREDENTIAL: u8 = 0x01;
    let key = blue();
    let channel = Channel::open(&key);
    for (rp_id, user) in credentials {
        let request = cbor_map! {
            1 => vec![7; 32],
            2 => cbor_map! { "id" => *rp_id },
            3 => cbor_map! { "id" => user.to_vec(), "name" => "\u{1b}[2J\u{202e}openssh" },
            4 => cbor_array_vec!(vec![cbor_map! { "alg" => -7, "type" => "public-key" }]),
            7 => cbor_map! { "rk" => true },
        };
        channel.ask(MAKE_CREDENTIAL, Some(request)).unwrap();
    }
    drop(channel);
    with(key.with_pin("2468"))
}

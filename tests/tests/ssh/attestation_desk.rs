//! What is judged by `passkey ssh verify-attestation`, and how it is said.

use std::fs;

use serde_json::{Value, json};
use tests::machine::Finished;
use tests::{Machine, VirtualKey};

use crate::attestation_file::{File, base64, packed};

use crate::manufacturer::{MODEL, Manufacturer, Wanted};

pub(crate) const CHALLENGE: &str = "a server's own challenge, of any length";
pub(crate) const SUBJECT: &str = "CN=Batch 1,OU=Authenticator Attestation,O=Maker,C=XX";
pub(crate) const ROOT: &str = "CN=Root 1,O=Maker,C=XX";

/// What is judged, and by what, where a test says nothing else.
pub(crate) const FILE: &str = "/root/attestation";
pub(crate) const ROOTS: [&str; 2] = ["--roots", "/root/roots.pem"];
pub(crate) const GIVEN: [&str; 4] = [
    "--challenge",
    "/root/challenge",
    "--public-key",
    "/root/id.pub",
];

pub(crate) fn model() -> VirtualKey {
    VirtualKey::named("Blue").of_model(MODEL)
}

/// A machine on which ssh-keygen has made a key of this security key, for `ssh:work`, and where
/// this root is trusted.
pub(crate) fn made_on(key: VirtualKey, root: &str) -> Machine {
    made_in(Machine::new(), key, root)
}

pub(crate) fn made_in(machine: Machine, key: VirtualKey, root: &str) -> Machine {
    let _key = machine.plug_in(key);
    machine.write("/root/challenge", CHALLENGE, 0o600);
    machine.write("/root/roots.pem", root, 0o600);
    ssh_keygen(&machine, &["-O", "application=ssh:work"])
        .output()
        .expect_success();
    machine
}

pub(crate) fn ssh_keygen<'m>(machine: &'m Machine, more: &[&str]) -> tests::machine::Run<'m> {
    let command = "ssh-keygen -q -t ecdsa-sk -N  -C bench -f /root/id -O challenge=/root/challenge \
                   -O write-attestation=/root/attestation";
    machine.run(command.split(' ').chain(more.iter().copied()))
}

/// The same for a batch of keys with such a certificate.
pub(crate) fn made_by(manufacturer: &Manufacturer, wanted: &Wanted) -> Machine {
    let key = model().attested_by(&manufacturer.issue(wanted));
    made_on(key, &manufacturer.certificate)
}

pub(crate) fn file(machine: &Machine) -> File {
    File::parse(&fs::read(machine.path(FILE)).unwrap())
}

pub(crate) fn write(machine: &Machine, bytes: &[u8]) {
    fs::write(machine.path(FILE), bytes).unwrap();
}

/// As passkey writes it: the whole statement, and what ssh-keygen leaves out.
pub(crate) fn as_passkey_writes_it(machine: &Machine, between: &[&[u8]]) -> (File, Value) {
    let mut file = file(machine);
    let certificates = [&[&file.certificate[..]], between].concat();
    let public_key = machine.read("/root/id.pub").unwrap();
    let note = json!({
        "version": 1,
        "format": "packed",
        "statement": base64(&packed(&file.signature, &certificates)),
        "challenge": base64(CHALLENGE.as_bytes()),
        "application": "ssh:work",
        "public_key": public_key.trim().trim_end_matches(" bench"),
    });
    file.reserved = note.to_string().into_bytes();
    (file, note)
}

pub(crate) fn verify(machine: &Machine, more: &[&[&str]]) -> Finished {
    let arguments = more.iter().flat_map(|some| some.iter().copied());
    let command = ["ssh", "verify-attestation", FILE];
    machine
        .passkey(command.into_iter().chain(arguments))
        .output()
}

#[track_caller]
pub(crate) fn assert_good(machine: &Machine, more: &[&[&str]]) -> Finished {
    let ended = verify(machine, more).expect_success();
    assert_eq!(ended.stderr, "", "{ended:#?}");
    ended
}

/// This step does not hold, and says why; nothing is said of the key.
#[track_caller]
pub(crate) fn assert_bad(machine: &Machine, more: &[&[&str]], why: &str, what_to_do: &str) {
    let ended = verify(machine, more);
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
    let last = ended.stdout.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("BAD ") && last.contains(why),
        "no {why:?} in {ended:#?}"
    );
    let rest = ended.stdout.lines().rev().skip(1);
    assert!(rest.into_iter().all(|line| line.starts_with("good ")));
    let (happened, to_type) = ended.stderr.split_once("\n  ").unwrap();
    assert_eq!(
        happened,
        "passkey: /root/attestation does not vouch for the key"
    );
    assert!(to_type.contains(what_to_do), "{ended:#?}");
}

/// It could not even begin.
#[track_caller]
pub(crate) fn assert_failed(machine: &Machine, more: &[&[&str]], happened: &str, what_to_do: &str) {
    let ended = verify(machine, more);
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(1), ""));
    let (first, second) = ended.stderr.split_once("\n  ").unwrap();
    assert!(first.contains(happened), "{ended:#?}");
    assert!(second.contains(what_to_do), "{ended:#?}");
}

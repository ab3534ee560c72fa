//! `passkey ssh verify-attestation`, over files of stock ssh-keygen's and such as passkey writes.
//! Each refusal stands beside what is accepted, and differs from it in one thing.

use std::fs;

use serde_json::{Value, json};
use tests::household::answering;
use tests::machine::{Debian, Finished};
use tests::{Attestation, Machine, VirtualKey};

use crate::attestation_file::{File, base64, packed};
use tests::openssh::{PIN, home};

use crate::manufacturer::{MODEL, MODEL_TEXT, Manufacturer, Wanted};
use crate::sitting::Sitting;

const CHALLENGE: &str = "a server's own challenge, of any length";
const SUBJECT: &str = "CN=Batch 1,OU=Authenticator Attestation,O=Maker,C=XX";
const ROOT: &str = "CN=Root 1,O=Maker,C=XX";

/// What is judged, and by what, where a test says nothing else.
const FILE: &str = "/root/attestation";
const ROOTS: [&str; 2] = ["--roots", "/root/roots.pem"];
const GIVEN: [&str; 4] = [
    "--challenge",
    "/root/challenge",
    "--public-key",
    "/root/id.pub",
];

fn model() -> VirtualKey {
    VirtualKey::named("Blue").of_model(MODEL)
}

/// A machine on which ssh-keygen has made a key of this security key, for `ssh:work`, and where
/// this root is trusted.
fn made_on(key: VirtualKey, root: &str) -> Machine {
    made_in(Machine::new(), key, root)
}

fn made_in(machine: Machine, key: VirtualKey, root: &str) -> Machine {
    let _key = machine.plug_in(key);
    machine.write("/root/challenge", CHALLENGE, 0o600);
    machine.write("/root/roots.pem", root, 0o600);
    ssh_keygen(&machine, &["-O", "application=ssh:work"])
        .output()
        .expect_success();
    machine
}

fn ssh_keygen<'m>(machine: &'m Machine, more: &[&str]) -> tests::machine::Run<'m> {
    let command = "ssh-keygen -q -t ecdsa-sk -N  -C bench -f /root/id -O challenge=/root/challenge \
                   -O write-attestation=/root/attestation";
    machine.run(command.split(' ').chain(more.iter().copied()))
}

/// The same for a batch of keys with such a certificate.
fn made_by(manufacturer: &Manufacturer, wanted: &Wanted) -> Machine {
    let key = model().attested_by(&manufacturer.issue(wanted));
    made_on(key, &manufacturer.certificate)
}

fn file(machine: &Machine) -> File {
    File::parse(&fs::read(machine.path(FILE)).unwrap())
}

fn write(machine: &Machine, bytes: &[u8]) {
    fs::write(machine.path(FILE), bytes).unwrap();
}

/// As passkey writes it: the whole statement, and what ssh-keygen leaves out.
fn as_passkey_writes_it(machine: &Machine, between: &[&[u8]]) -> (File, Value) {
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

fn verify(machine: &Machine, more: &[&[&str]]) -> Finished {
    let arguments = more.iter().flat_map(|some| some.iter().copied());
    let command = ["ssh", "verify-attestation", FILE];
    machine
        .passkey(command.into_iter().chain(arguments))
        .output()
}

#[track_caller]
fn assert_good(machine: &Machine, more: &[&[&str]]) -> Finished {
    let ended = verify(machine, more).expect_success();
    assert_eq!(ended.stderr, "", "{ended:#?}");
    ended
}

/// This step does not hold, and says why; nothing is said of the key.
#[track_caller]
fn assert_bad(machine: &Machine, more: &[&[&str]], why: &str, what_to_do: &str) {
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
fn assert_failed(machine: &Machine, more: &[&[&str]], happened: &str, what_to_do: &str) {
    let ended = verify(machine, more);
    assert_eq!((ended.code(), ended.stdout.as_str()), (Some(1), ""));
    let (first, second) = ended.stderr.split_once("\n  ").unwrap();
    assert!(first.contains(happened), "{ended:#?}");
    assert!(second.contains(what_to_do), "{ended:#?}");
}

#[test]
fn what_ssh_keygen_wrote_is_judged_step_by_step_and_the_key_described() {
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let ended = assert_good(&machine, &[&ROOTS, &GIVEN]);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(
        lines[..9],
        [
            "good file: it is whole, as ssh-keygen writes it",
            "good challenge: the one that was given",
            "good application: \"ssh:work\"",
            "good authenticator data: they are lawful, and consistent with the statement",
            "good public key: the one that was given",
            "good statement: \"packed\", signed by the key of a certificate",
            &format!("good certificate: {ROOT} vouches for {SUBJECT}"),
            &format!("good model: {MODEL_TEXT}, for which the certificate is"),
            "",
        ]
    );
    let judged = machine.sh("ssh-keygen -lf /root/id.pub").output();
    let fingerprint = judged.stdout.split(' ').nth(1).unwrap();
    assert_eq!(
        lines[9..19],
        [
            "Type          sk-ecdsa-sha2-nistp256@openssh.com",
            &format!("Fingerprint   {fingerprint}"),
            "Application   ssh:work",
            "Model         not known",
            &format!("AAGUID        {MODEL_TEXT}"),
            "Made with     a touch",
            "Protection    the key does not say (no credProtect)",
            "Copies        none can be made",
            &format!("Certificate   {SUBJECT}"),
            &format!("Root          {ROOT}"),
        ]
    );
}

#[test]
fn each_debians_ssh_keygen_writes_what_is_read() {
    let manufacturer = Manufacturer::new();
    for debian in Debian::at_hand() {
        println!("{}", debian.name());
        let key = model().attested_by(&manufacturer.issue(&Wanted::honest()));
        let machine = Machine::new().with_programs_of(&debian);
        let machine = made_in(machine, key, &manufacturer.certificate);
        assert_good(&machine, &[&ROOTS, &GIVEN]);
        machine.write("/root/challenge", "another", 0o600);
        assert_bad(
            &machine,
            &[&ROOTS, &GIVEN],
            "did not make its signature",
            "",
        );
    }
}

#[test]
fn what_passkey_makes_is_judged_by_passkey_and_by_libfido2() {
    let manufacturer = Manufacturer::new();
    let between = manufacturer.intermediate();
    let batch = between.issue(&Wanted::honest());
    for (demand, options, protection) in [
        ("--timeout=30", &["es256"][..], "the key does not say"),
        ("--verify-required", &["-c", "3", "es256"], "credProtect 3"),
    ] {
        let sitting = Sitting::with(model().with_pin(PIN).attested_by(&batch));
        let machine = &sitting.machine;
        machine.write(&format!("{}/challenge", home()), CHALLENGE, 0o644);
        let to = [
            "-f",
            "id",
            "--attestation",
            "made",
            "--challenge",
            "challenge",
        ];
        let of = ["--application", "ssh:work", demand];
        sitting.enroll(&[&to[..], &of].concat()).expect_success();
        for (name, place) in [
            ("id.pub", "/root/id.pub"),
            ("made", FILE),
            ("challenge", "/root/challenge"),
        ] {
            let made = machine.path(&format!("{}/{name}", home()));
            fs::copy(made, machine.path(place)).unwrap();
        }
        let file = file(machine);
        assert!(file.libfido2_agrees(options, CHALLENGE.as_bytes(), "ssh:work"));
        assert!(!file.libfido2_agrees(options, CHALLENGE.as_bytes(), "ssh:"));

        // The bench's keys keep one certificate: the one above it is given.
        machine.write("/root/roots.pem", &between.certificate, 0o600);
        for more in [&[][..], &GIVEN] {
            let ended = assert_good(machine, &[&ROOTS, more]);
            for line in [
                "Application   ssh:work",
                "Type          sk-ecdsa",
                protection,
            ] {
                assert!(ended.stdout.contains(line), "no {line} in {ended:#?}");
            }
        }
        machine.write("/root/challenge", "another", 0o600);
        assert_bad(
            machine,
            &[&ROOTS, &GIVEN],
            "challenge: the key was made for another challenge",
            "passkey ssh enroll --challenge FILE --attestation FILE",
        );
    }
}

#[test]
fn a_key_over_ed25519_is_judged_as_one_over_p256() {
    let manufacturer = Manufacturer::new();
    let batch = manufacturer.issue(&Wanted::honest());
    let sitting = Sitting::with(model().attested_by(&batch));
    let machine = &sitting.machine;
    let to = ["-f", "id", "--attestation", "made", "--type", "ed25519-sk"];
    sitting.enroll(&to).expect_success();
    let made = |name| fs::read(machine.path(&format!("{}/{name}", home()))).unwrap();
    machine.write("/root/roots.pem", &manufacturer.certificate, 0o600);
    fs::write(machine.path("/root/id.pub"), made("id.pub")).unwrap();

    // opensk names the new key's algorithm where that of its certificate's belongs.
    let mut file = File::parse(&made("made"));
    write(machine, &file.bytes());
    assert_bad(
        machine,
        &[&ROOTS],
        "statement: it says that it is signed with algorithm -8, and only ES256 (-7) is read",
        "whose maker put a certificate in it",
    );
    let mut note: Value = serde_json::from_slice(&file.reserved).unwrap();
    note["statement"] = base64(&packed(&file.signature, &[&file.certificate])).into();
    file.reserved = note.to_string().into_bytes();
    write(machine, &file.bytes());
    let public_key = &GIVEN[2..];
    let ended = assert_good(machine, &[&ROOTS, public_key]);
    let kind = "Type          sk-ssh-ed25519@openssh.com";
    assert!(ended.stdout.contains(kind), "{ended:#?}");
    *file.data.last_mut().unwrap() ^= 1;
    write(machine, &file.bytes());
    let ended = verify(machine, &[&ROOTS]);
    assert_eq!(ended.code(), Some(1), "{ended:#?}");
}

#[test]
fn a_key_that_attests_itself_is_made_and_its_file_vouches_for_nothing() {
    for kind in ["ecdsa-sk", "ed25519-sk"] {
        let sitting = Sitting::with(model());
        let machine = &sitting.machine;
        let to = ["-f", "id", "--attestation", "made", "--type", kind];
        sitting.enroll(&to).expect_success();
        let made = machine.path(&format!("{}/made", home()));
        fs::copy(made, machine.path(FILE)).unwrap();
        machine.write("/root/roots.pem", &Manufacturer::new().certificate, 0o600);
        assert_bad(
            machine,
            &[&ROOTS],
            "statement: the key vouches for itself, which any program can do",
            "whose maker put a certificate in it",
        );
    }
}

#[test]
fn programs_get_every_member_and_none_of_a_key_that_is_refused() {
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let ended = assert_good(&machine, &[&ROOTS, &GIVEN, &["--json"]]);
    let value: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        (&value["version"], &value["holds"]),
        (&1.into(), &true.into())
    );
    assert_eq!(value["steps"].as_array().unwrap().len(), 8);
    assert_eq!(value["steps"][3]["step"], "authenticator_data");
    let key = &value["key"];
    let public_key = machine.read("/root/id.pub").unwrap();
    assert_eq!(
        key["public_key"].as_str().unwrap(),
        public_key.trim().trim_end_matches(" bench")
    );
    assert_eq!(key["type"], "sk-ecdsa-sha2-nistp256@openssh.com");
    assert_eq!(key["application"], "ssh:work");
    assert_eq!(
        (&key["aaguid"], &key["model"]),
        (&MODEL_TEXT.into(), &Value::Null)
    );
    assert_eq!(key["certificate_names_model"], true);
    assert_eq!(
        (&key["user_present"], &key["user_verified"]),
        (&true.into(), &false.into())
    );
    assert_eq!(key["protection"], Value::Null);
    assert_eq!(
        (&key["backup_eligible"], &key["backed_up"]),
        (&false.into(), &false.into())
    );
    assert_eq!(
        (&key["certificate"], &key["root"]),
        (&SUBJECT.into(), &ROOT.into())
    );

    machine.write("/root/challenge", "another", 0o600);
    let ended = verify(&machine, &[&ROOTS, &GIVEN, &["--json"]]);
    let value: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((ended.code(), &value["holds"]), (Some(1), &false.into()));
    assert_eq!(value["key"], Value::Null);
    assert_eq!(value["steps"].as_array().unwrap().len(), 4);
    assert_eq!(value["steps"][3]["holds"], false);
}

#[test]
fn what_passkey_writes_needs_nothing_beside_it_and_libfido2_reads_both() {
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let theirs = file(&machine);
    let (ours, _) = as_passkey_writes_it(&machine, &[]);
    for file in [theirs, ours] {
        let challenge = CHALLENGE.as_bytes();
        let again = File::parse(&file.bytes());
        assert!(again.libfido2_agrees(&["es256"], challenge, "ssh:work"));
        // and it can say no
        assert!(!again.libfido2_agrees(&["es256"], b"another", "ssh:work"));
        assert!(!again.libfido2_agrees(&["es256"], challenge, "ssh:"));
        write(&machine, &file.bytes());
        assert_good(&machine, &[&ROOTS, &GIVEN]);
    }
    let ended = assert_good(&machine, &[&ROOTS]);
    assert!(ended.stdout.contains("good file: it is whole, as passkey"));
    assert!(
        ended
            .stdout
            .contains("whether it was ever asked for is not known"),
        "{ended:#?}"
    );
    assert_good(&machine, &[&ROOTS, &["--application", "ssh:work"]]);
}

#[test]
fn what_ssh_keygen_leaves_out_must_be_given_and_must_be_right() {
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let (challenge, public_key) = (&GIVEN[..2], &GIVEN[2..]);
    assert_bad(
        &machine,
        &[&ROOTS, public_key],
        "challenge: ssh-keygen does not keep the challenge",
        "--challenge FILE",
    );
    assert_bad(
        &machine,
        &[&ROOTS, challenge],
        "application: ssh-keygen does not keep the application",
        "--public-key FILE",
    );
    let application = |text: &'static str| ["--application", text];
    assert_good(&machine, &[&ROOTS, challenge, &application("ssh:work")]);
    assert_bad(
        &machine,
        &[&ROOTS, challenge, &application("ssh:")],
        "authenticator data: the key was not made for \"ssh:\"",
        "--application ssh:TEXT",
    );
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN, &application("ssh:")],
        "application: the key is for \"ssh:work\", not for \"ssh:\"",
        "the right --application",
    );
    machine.write("/root/challenge", "another", 0o600);
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN],
        "authenticator data: its attestation certificate did not make its signature",
        "do not rely on this key",
    );
}

#[test]
fn a_challenge_that_ssh_keygen_of_old_did_not_hash_is_taken_at_its_full_length() {
    // OpenSSH 8.4 is played by ssh-keygen of today: what it hashes is what that one signed.
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let hash = <sha2::Sha256 as sha2::Digest>::digest(CHALLENGE);
    fs::write(machine.path("/root/challenge"), hash).unwrap();
    assert_good(&machine, &[&ROOTS, &GIVEN]);
    // In a file of ours it was hashed, and no other way is tried.
    let (mut ours, mut note) = as_passkey_writes_it(&machine, &[]);
    note["challenge"] = base64(&hash).into();
    ours.reserved = note.to_string().into_bytes();
    write(&machine, &ours.bytes());
    assert_bad(
        &machine,
        &[&ROOTS],
        "authenticator data: its attestation certificate did not make its signature",
        "do not rely on this key",
    );
}

#[test]
fn a_key_for_which_another_was_given_is_refused() {
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let first = fs::read(machine.path(FILE)).unwrap();
    let (ours, _) = as_passkey_writes_it(&machine, &[]);
    let _another = machine.plug_in(VirtualKey::named("Another"));
    for name in ["id", "id.pub"] {
        fs::remove_file(machine.path(&format!("/root/{name}"))).unwrap();
    }
    ssh_keygen(&machine, &["-O", "application=ssh:work"])
        .output()
        .expect_success();
    for file in [first, ours.bytes()] {
        write(&machine, &file);
        assert_bad(
            &machine,
            &[&ROOTS, &GIVEN],
            "public key: the file is about another key than the one that was given",
            "of this key nothing is known",
        );
    }
}

#[test]
fn one_changed_byte_of_what_was_signed_is_refused() {
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let good = file(&machine);
    let changed = |change: &dyn Fn(&mut File), why: &str| {
        let mut file = good.clone();
        change(&mut file);
        write(&machine, &file.bytes());
        assert_bad(&machine, &[&ROOTS, &GIVEN], why, "do not rely on");
        assert!(!file.libfido2_agrees(&["es256"], CHALLENGE.as_bytes(), "ssh:work"));
    };
    let did_not_sign = "authenticator data: its attestation certificate did not make its signature";
    // WebAuthn §6.1, behind three bytes of CBOR: flags, counter, AAGUID, id.
    changed(&|file| file.data[3 + 32] |= 0x04, did_not_sign);
    changed(&|file| file.data[3 + 36] ^= 1, did_not_sign);
    changed(
        &|file| file.data[3 + 37] ^= 1,
        // of the certificate's own model no more
        "authenticator data: its attestation certificate",
    );
    changed(&|file| file.data[3 + 60] ^= 1, did_not_sign);
    changed(
        &|file| *file.signature.last_mut().unwrap() ^= 1,
        did_not_sign,
    );
    changed(
        &|file| file.data[3 + 32] &= !0x01,
        "authenticator data: nobody touched it",
    );
    let mut none = good.clone();
    none.signature.clear();
    write(&machine, &none.bytes());
    assert_bad(&machine, &[&ROOTS, &GIVEN], did_not_sign, "do not rely on");
}

#[test]
fn a_file_that_is_none_or_not_whole_is_refused() {
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let (good, _) = as_passkey_writes_it(&machine, &[]);
    let whole = good.bytes();
    let judge = |bytes: &[u8], why: &str, what_to_do: &str| {
        write(&machine, bytes);
        assert_bad(&machine, &[&ROOTS, &GIVEN], why, what_to_do);
    };
    for length in [25, 300, 700, whole.len() - 1] {
        judge(&whole[..length], "file: it ends in the middle", "once more");
    }
    for bytes in [&b""[..], b"-----BEGIN CERTIFICATE-----", &whole[..20]] {
        judge(
            bytes,
            "file: it is not an attestation file",
            "enroll --attestation",
        );
    }
    judge(
        &[&whole[..], &[0, 0]].concat(),
        "file: it has 2 bytes after its end",
        "once more",
    );
    judge(
        &good.bytes_of_old(),
        "file: it is of OpenSSH 8.3 or older",
        "make a key anew",
    );
    let with = |change: &dyn Fn(&mut File)| {
        let mut file = good.clone();
        change(&mut file);
        file.bytes()
    };
    let later = "file: it is in a later format than this passkey reads";
    judge(&with(&|file| file.flags = 1), later, "newer");
    judge(&with(&|file| file.magic[16] = b'2'), later, "newer");
    let unwrapped = with(&|file| file.data = file.authenticator_data().to_vec());
    let strange = "file: its authenticator data is not what it should be";
    judge(&unwrapped, strange, "do not rely on it");
    let followed = with(&|file| file.data.push(0));
    judge(&followed, strange, "do not rely on it");
    let long = with(&|file| file.certificate.resize(8193, 0));
    judge(
        &long,
        "file: its certificate is longer than any can be",
        "do not rely",
    );

    for (size, happened) in [
        (256 * 1024 + 1, "has more than 262144 bytes"),
        (300 * 1024 * 1024, "has more than 262144 bytes"),
    ] {
        let file = fs::File::create(machine.path(FILE)).unwrap();
        file.set_len(size).unwrap();
        assert_failed(
            &machine,
            &[&ROOTS, &GIVEN],
            happened,
            "name an attestation file",
        );
    }
    fs::remove_file(machine.path(FILE)).unwrap();
    assert_failed(
        &machine,
        &[&ROOTS, &GIVEN],
        "/root/attestation cannot be read: No such file",
        "name an attestation file",
    );
}

#[test]
fn a_file_that_contradicts_itself_is_refused() {
    let machine = made_by(&Manufacturer::new(), &Wanted::honest());
    let (good, note) = as_passkey_writes_it(&machine, &[]);
    let other = packed(&[7; 70], &[&good.certificate]);
    let another = Manufacturer::new().issue(&Wanted::honest());
    let stranger = packed(&good.signature, &[another.certificate()]);
    let about = "file: it contradicts itself about";
    let strange = "file: its reserved string is not what it should be";
    let key_of = |application: &str| {
        // The same point for another application: its length and text stand at the end.
        let line = note["public_key"].as_str().unwrap();
        let text = format!("echo '{line}' | cut -d' ' -f2 | base64 -d | head -c -12");
        let program = format!(
            "({text}; printf '\\0\\0\\0\\{:o}{application}')",
            application.len()
        );
        let encoded = machine.run(["/bin/bash", "-c", &format!("{program} | base64 -w0")]);
        let encoded = encoded.output().expect_success().stdout;
        format!("sk-ecdsa-sha2-nistp256@openssh.com {encoded}")
    };
    for (member, value, why) in [
        ("statement", base64(&other).into(), about),
        ("statement", base64(&stranger).into(), about),
        ("format", "none".into(), about),
        ("application", "ssh:".into(), about),
        ("application", "pam://laptop".into(), about),
        ("public_key", key_of("ssh:home").into(), about),
        ("public_key", "ssh-ed25519 AAAA".into(), strange),
        ("challenge", "!".into(), strange),
        ("challenge", 7.into(), strange),
        ("extra", 7.into(), strange),
        ("challenge", "".into(), "file: its challenge is longer"),
        ("version", 2.into(), "file: it is in a later format"),
        (
            "challenge",
            base64(b"another").into(),
            "challenge: the key was made for another challenge",
        ),
    ] {
        let mut changed = note.clone();
        changed[member] = value;
        let mut file = good.clone();
        file.reserved = changed.to_string().into_bytes();
        write(&machine, &file.bytes());
        assert_bad(&machine, &[&ROOTS, &GIVEN], why, "");
    }
    // A key that is named, and is not the one that was signed.
    let mut changed = note.clone();
    let another = "ssh-keygen -q -t ecdsa-sk -N '' -f /root/other -O application=ssh:work";
    let _key = machine.plug_in(VirtualKey::named("Other"));
    machine.sh(another).output().expect_success();
    let other = machine.read("/root/other.pub").unwrap();
    changed["public_key"] = other.trim().into();
    let mut file = good.clone();
    file.reserved = changed.to_string().into_bytes();
    write(&machine, &file.bytes());
    assert_bad(
        &machine,
        &[&ROOTS],
        "public key: the file names another public key than the one that was signed",
        "do not rely on",
    );
    for reserved in [&b"x"[..], b"{}", b"{\"version\":1}", b"[]"] {
        let mut file = good.clone();
        file.reserved = reserved.to_vec();
        write(&machine, &file.bytes());
        assert_bad(&machine, &[&ROOTS, &GIVEN], strange, "do not rely on it");
    }
}

#[test]
fn a_root_that_does_not_vouch_is_refused_and_several_are_tried() {
    let manufacturer = Manufacturer::new();
    let machine = made_by(&manufacturer, &Wanted::honest());
    // of the same name
    machine.write("/root/other.pem", &Manufacturer::new().certificate, 0o600);
    let other = ["--roots", "/root/other.pem"];
    assert_bad(
        &machine,
        &[&other, &GIVEN],
        "certificate: no chain leads from it to one of the roots",
        "give the root of the maker",
    );
    assert_good(&machine, &[&other, &ROOTS, &GIVEN]);
    let both = format!(
        "{}\n# and\n{}",
        Manufacturer::new().certificate,
        manufacturer.certificate
    );
    machine.write("/root/roots.pem", &both, 0o600);
    assert_good(&machine, &[&ROOTS, &GIVEN]);
}

#[test]
fn a_file_of_roots_that_has_none_is_refused() {
    let manufacturer = Manufacturer::new();
    let machine = made_by(&manufacturer, &Wanted::honest());
    fs::remove_file(machine.path("/root/roots.pem")).unwrap();
    let roots = "which begin with";
    assert_failed(
        &machine,
        &[&ROOTS, &GIVEN],
        "/root/roots.pem cannot be read: No such file",
        roots,
    );
    let damaged = manufacturer.certificate.replacen("MII", "MIJ", 1);
    let cut = manufacturer.certificate.replace("-----END", "");
    for (text, happened) in [
        ("", "there is no certificate in /root/roots.pem"),
        (
            "-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n",
            "there is no certificate",
        ),
        (
            damaged.as_str(),
            "certificate 1 in /root/roots.pem cannot be read",
        ),
        (
            cut.as_str(),
            "certificate 1 in /root/roots.pem cannot be read",
        ),
    ] {
        machine.write("/root/roots.pem", text, 0o600);
        assert_failed(&machine, &[&ROOTS, &GIVEN], happened, roots);
    }
    fs::write(machine.path("/root/roots.pem"), manufacturer.der()).unwrap();
    assert_failed(
        &machine,
        &[&ROOTS, &GIVEN],
        "there is no certificate",
        "openssl x509",
    );
}

#[test]
fn a_certificate_out_of_its_time_or_for_something_else_is_refused() {
    let manufacturer = Manufacturer::new();
    let honest = Wanted::honest;
    let plain = "basicConstraints=critical,CA:FALSE\n";
    for (wanted, why, what_to_do) in [
        (
            honest().valid("20200101000000Z", "20210203000000Z"),
            "certificate: the chain was good until 2021-02-03T00:00:00Z",
            "clock",
        ),
        (
            honest().valid("20900102000000Z", "20990101000000Z"),
            "certificate: the chain is good from 2090-01-02T00:00:00Z on",
            "clock",
        ),
        (
            honest().and("1.2.3.4=critical,DER:0500"),
            "certificate: a certificate in the chain has a critical extension",
            "another model",
        ),
        (
            honest().and("extendedKeyUsage=clientAuth"),
            "certificate: the chain is restricted to other purposes",
            "another model",
        ),
        (
            honest().subject("/C=XX/O=Maker/OU=Smart Card/CN=Batch 1"),
            "certificate: it is not one for security keys",
            "another model",
        ),
        (
            honest().extensions("basicConstraints=critical,CA:TRUE"),
            "authenticator data: its attestation certificate is one of an authority",
            "do not rely on",
        ),
        (
            honest()
                .extensions(plain)
                .and("1.3.6.1.4.1.45724.1.1.4=DER:041000000000000000000000000000000000"),
            "authenticator data: its attestation certificate is one of another model",
            "do not rely on",
        ),
    ] {
        let machine = made_by(&manufacturer, &wanted);
        assert_bad(&machine, &[&ROOTS, &GIVEN], why, what_to_do);
    }
    // A purpose that takes in all of them excludes nothing.
    let machine = made_by(&manufacturer, &honest().and("extendedKeyUsage=2.5.29.37.0"));
    assert_good(&machine, &[&ROOTS, &GIVEN]);
}

#[test]
fn roots_of_old_and_over_rsa_vouch() {
    for manufacturer in [Manufacturer::new(), Manufacturer::with_rsa()] {
        let machine = made_by(&manufacturer, &Wanted::honest());
        assert_good(&machine, &[&ROOTS, &GIVEN]);
        machine.write("/root/roots.pem", &manufacturer.in_version_1(), 0o600);
        assert_good(&machine, &[&ROOTS, &GIVEN]);
    }
}

#[test]
fn a_certificate_in_between_stands_in_the_file_or_is_given() {
    let manufacturer = Manufacturer::new();
    let between = manufacturer.intermediate();
    let machine = made_by(&between, &Wanted::honest());
    machine.write("/root/roots.pem", &manufacturer.certificate, 0o600);
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN],
        "certificate: no chain leads from it to one of the roots",
        "ssh-keygen has left them out: give those too, with --roots",
    );
    machine.write("/root/between.pem", &between.certificate, 0o600);
    assert_good(
        &machine,
        &[&ROOTS, &["--roots", "/root/between.pem"], &GIVEN],
    );

    let (ours, _) = as_passkey_writes_it(&machine, &[&between.der()]);
    write(&machine, &ours.bytes());
    let ended = assert_good(&machine, &[&ROOTS]);
    assert!(
        ended
            .stdout
            .contains(&format!("certificate: {ROOT} vouches for"))
    );
    // What stands in the file is not trusted for standing there.
    machine.write("/root/roots.pem", &Manufacturer::new().certificate, 0o600);
    assert_bad(
        &machine,
        &[&ROOTS],
        "certificate: no chain leads from it to one of the roots",
        "give the root",
    );
}

#[test]
fn the_keys_own_certificate_is_trusted_for_itself_alone() {
    let manufacturer = Manufacturer::new();
    let batch = manufacturer.issue(&Wanted::honest());
    let pem = |certificate: &[u8]| {
        let text = base64(certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    };
    let machine = made_on(model().attested_by(&batch), &pem(batch.certificate()));
    let ended = assert_good(&machine, &[&ROOTS, &GIVEN]);
    assert!(
        ended
            .stdout
            .contains(&format!("{SUBJECT} vouches for {SUBJECT}"))
    );
    // Another of the same maker and name is another.
    let other = manufacturer.issue(&Wanted::honest());
    machine.write("/root/roots.pem", &pem(other.certificate()), 0o600);
    let no_chain = "certificate: no chain leads from it to one of the roots";
    assert_bad(&machine, &[&ROOTS, &GIVEN], no_chain, "give the root");
    // It has its time, too.
    for (from, until, why) in [
        (
            "20200101000000Z",
            "20210203000000Z",
            "good until 2021-02-03",
        ),
        ("20900102000000Z", "20990101000000Z", "good from 2090-01-02"),
    ] {
        let batch = manufacturer.issue(&Wanted::honest().valid(from, until));
        let machine = made_on(model().attested_by(&batch), &pem(batch.certificate()));
        assert_bad(&machine, &[&ROOTS, &GIVEN], why, "clock");
    }
}

#[test]
fn who_may_not_issue_certificates_vouches_for_nobody() {
    // Signed by the key of a certificate that is for a batch of keys.
    let manufacturer = Manufacturer::new();
    let batch = manufacturer.batch_that_issues(&Wanted::honest());
    let machine = made_by(&batch, &Wanted::honest());
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN],
        "certificate: no chain leads from it to one of the roots",
        "give the root",
    );
    let (ours, _) = as_passkey_writes_it(&machine, &[&batch.der()]);
    write(&machine, &ours.bytes());
    machine.write("/root/roots.pem", &manufacturer.certificate, 0o600);
    assert_bad(
        &machine,
        &[&ROOTS],
        "certificate: the chain is not accepted: EndEntityUsedAsCa",
        "do not rely on",
    );
}

#[test]
fn only_models_on_the_list_are_accepted_where_there_is_one() {
    let manufacturer = Manufacturer::new();
    let machine = made_by(&manufacturer, &Wanted::honest());
    let list = ["--aaguids", "/root/models"];
    machine.write("/root/models", &format!("# ours\n{MODEL_TEXT}\n"), 0o600);
    let ended = assert_good(&machine, &[&ROOTS, &GIVEN, &list]);
    assert!(
        ended
            .stdout
            .contains("is on the list, and the certificate is for it"),
        "{ended:#?}"
    );
    let other = "cb69481e-8ff7-4039-93ec-0a2729a154a8";
    machine.write("/root/models", other, 0o600);
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN, &list],
        &format!("model: {MODEL_TEXT} is not on the list"),
        "put its AAGUID on the list",
    );
    for (text, happened) in [
        ("# none\n", "/root/models has no AAGUID in it"),
        ("YubiKey\n", "/root/models:1: \"YubiKey\" is not an AAGUID"),
    ] {
        machine.write("/root/models", text, 0o600);
        assert_failed(
            &machine,
            &[&ROOTS, &GIVEN, &list],
            happened,
            "an AAGUID a line",
        );
    }

    // A certificate for no model in particular leaves the AAGUID to the key's word.
    let machine = made_by(
        &manufacturer,
        &Wanted::honest().extensions("basicConstraints=critical,CA:FALSE"),
    );
    let ended = assert_good(&machine, &[&ROOTS, &GIVEN]);
    assert!(
        ended
            .stdout
            .contains("as the key says; the certificate names none")
    );
    machine.write("/root/models", MODEL_TEXT, 0o600);
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN, &list],
        &format!("model: the certificate does not say that it is for {MODEL_TEXT}"),
        "judge without --aaguids",
    );
}

#[test]
fn a_key_for_which_nobody_vouches_is_refused() {
    let root = Manufacturer::new().certificate;
    let machine = made_on(model(), &root);
    let what_to_do = "whose maker put a certificate in it";
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN],
        "statement: the key vouches for itself, which any program can do",
        what_to_do,
    );
    let mut empty = file(&machine);
    assert!(empty.certificate.is_empty());
    empty.signature.clear();
    write(&machine, &empty.bytes());
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN],
        "statement: there is none; nobody vouches for the key",
        what_to_do,
    );
    // in a format that is not read
    let (mut ours, mut note) = as_passkey_writes_it(&machine, &[&[]]);
    note["format"] = "fido-u2f".into();
    ours.reserved = note.to_string().into_bytes();
    ours.signature.clear();
    write(&machine, &ours.bytes());
    assert_bad(
        &machine,
        &[&ROOTS, &GIVEN],
        "statement: its format \"fido-u2f\" is not read (\"packed\" is)",
        what_to_do,
    );
}

#[test]
fn how_a_key_guards_itself_is_shown() {
    let manufacturer = Manufacturer::new();
    let batch = manufacturer.issue(&Wanted::honest());
    let machine = Machine::new();
    let _key = machine.plug_in(model().with_pin("2468").attested_by(&batch));
    machine.write("/root/challenge", CHALLENGE, 0o600);
    machine.write("/root/roots.pem", &manufacturer.certificate, 0o600);
    for (demand, protection) in [
        (
            "verify-required",
            "Protection    signs only after the PIN or a fingerprint (credProtect 3)",
        ),
        (
            "user=bob",
            "Protection    found on the key only after the PIN or a fingerprint (credProtect 2)",
        ),
    ] {
        let made = ssh_keygen(&machine, &["-O", "resident", "-O", demand]);
        answering(made, &[("PIN", "2468")]).expect_success();
        let ended = assert_good(&machine, &[&ROOTS, &GIVEN]);
        for line in [
            "Application   ssh:",
            "Made with     a touch, and the PIN or a fingerprint",
            protection,
        ] {
            assert!(ended.stdout.lines().any(|it| it == line), "{ended:#?}");
        }
        for name in ["/root/id", "/root/id.pub", FILE] {
            fs::remove_file(machine.path(name)).unwrap();
        }
    }
}

#[test]
fn the_benchs_own_batch_is_vouched_for_by_its_root() {
    let key = VirtualKey::named("Blue").attested_by(&Attestation::of_the_bench());
    let text = base64(Attestation::root_of_the_bench());
    let pem = format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    let machine = made_on(key, &pem);
    let ended = assert_good(&machine, &[&ROOTS, &GIVEN]);
    assert!(
        ended
            .stdout
            .contains("Root          CN=Bench Attestation Root,")
    );
}

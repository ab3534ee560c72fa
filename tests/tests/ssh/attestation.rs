//! `passkey ssh verify-attestation`, over files of stock ssh-keygen's and such as passkey writes.

use std::fs;

use serde_json::Value;
use tests::Machine;
use tests::household::answering;
use tests::machine::Debian;
use tests::openssh::{PIN, home};

use crate::attestation_desk::{
    CHALLENGE, FILE, GIVEN, ROOT, ROOTS, SUBJECT, as_passkey_writes_it, assert_bad, assert_good,
    file, made_by, made_in, model, ssh_keygen, verify, write,
};
use crate::attestation_file::{File, base64, packed};
use crate::manufacturer::{MODEL_TEXT, Manufacturer, Wanted};
use crate::sitting::Sitting;

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

//! Files, keys and models for which nothing vouches. Each refusal stands beside what is accepted,
//! and differs from it in one thing.

use std::fs;

use tests::VirtualKey;

use crate::attestation_desk::{
    CHALLENGE, FILE, GIVEN, ROOTS, as_passkey_writes_it, assert_bad, assert_failed, assert_good,
    file, made_by, made_on, model, ssh_keygen, write,
};
use crate::attestation_file::{File, base64, packed};
use crate::manufacturer::{MODEL_TEXT, Manufacturer, Wanted};

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

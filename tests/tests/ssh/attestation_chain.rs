//! From the certificate of a batch to the root of its maker.

use std::fs;

use tests::{Attestation, VirtualKey};

use crate::attestation_desk::{
    GIVEN, ROOT, ROOTS, SUBJECT, as_passkey_writes_it, assert_bad, assert_failed, assert_good,
    made_by, made_on, model, write,
};
use crate::attestation_file::base64;
use crate::manufacturer::{Manufacturer, Wanted};

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

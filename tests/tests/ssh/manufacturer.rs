//! A manufacturer of security keys, played by openssl: a root, and certificates for batches of keys.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;
use tests::Attestation;

/// The model that its keys are.
pub(crate) const MODEL: [u8; 16] = [0xab; 16];

/// The same as people write it.
pub(crate) const MODEL_TEXT: &str = "abababab-abab-abab-abab-abababababab";

/// WebAuthn §8.2.1.
const SUBJECT: &str = "/C=XX/O=Maker/OU=Authenticator Attestation/CN=Batch 1";

/// `openssl ca` issues whatever it is asked for.
const CONFIGURATION: &str = "\
[ca]
default_ca = batches
[batches]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = anything
unique_subject = no
[anything]
countryName = optional
organizationName = optional
organizationalUnitName = optional
commonName = optional
[req]
distinguished_name = nobody
[nobody]
";

/// Whoever puts certificates into keys.
pub(crate) struct Manufacturer {
    directory: TempDir,
    /// The certificate, in PEM.
    pub(crate) certificate: String,
}

/// A certificate to be issued, and what may be wrong with it.
pub(crate) struct Wanted {
    subject: &'static str,
    extensions: String,
    from: &'static str,
    until: &'static str,
}

impl Wanted {
    /// One for a batch of keys of the [`MODEL`].
    pub(crate) fn honest() -> Self {
        let model = MODEL_TEXT.replace('-', "");
        Self {
            subject: SUBJECT,
            extensions: format!(
                "basicConstraints=critical,CA:FALSE\n1.3.6.1.4.1.45724.1.1.4=DER:0410{model}\n"
            ),
            from: "20200101000000Z",
            until: "20990101000000Z",
        }
    }

    /// One for somebody who issues others.
    fn intermediate() -> Self {
        Self {
            subject: "/C=XX/O=Maker/CN=Intermediate 1",
            extensions: "basicConstraints=critical,CA:TRUE\n".to_owned(),
            ..Self::honest()
        }
    }

    pub(crate) fn subject(self, subject: &'static str) -> Self {
        Self { subject, ..self }
    }

    pub(crate) fn extensions(self, extensions: &str) -> Self {
        Self {
            extensions: extensions.to_owned(),
            ..self
        }
    }

    pub(crate) fn and(mut self, extension: &str) -> Self {
        self.extensions.push_str(extension);
        self.extensions.push('\n');
        self
    }

    pub(crate) fn valid(self, from: &'static str, until: &'static str) -> Self {
        Self {
            from,
            until,
            ..self
        }
    }
}

impl Manufacturer {
    /// A root over P-256.
    pub(crate) fn new() -> Self {
        Self::of(&["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
    }

    /// A root over RSA.
    pub(crate) fn with_rsa() -> Self {
        Self::of(&["-newkey", "rsa:2048"])
    }

    fn of(kind: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut new = Self {
            directory,
            certificate: String::new(),
        };
        new.write("ca.cnf", CONFIGURATION);
        new.openssl("req -config ca.cnf -x509 -nodes -days 9000 -keyout key.pem -out cert.pem")
            .args(["-subj", "/C=XX/O=Maker/CN=Root 1"])
            .args(["-addext", "basicConstraints=critical,CA:TRUE"])
            .args(kind)
            .done();
        new.certificate = fs::read_to_string(new.path("cert.pem")).unwrap();
        new.write("index.txt", "");
        new.write("serial", "02");
        new
    }

    /// The same root as a certificate of version 1, which has no extensions.
    pub(crate) fn in_version_1(&self) -> String {
        self.openssl("req -config ca.cnf -new -key key.pem -out v1.csr")
            .args(["-subj", "/C=XX/O=Maker/CN=Root 1"])
            .done();
        self.openssl("x509 -req -in v1.csr -signkey key.pem -days 9000 -out v1.pem")
            .done();
        let text = self.openssl("x509 -in v1.pem -noout -text").done();
        assert!(text.contains("Version: 1 (0x0)"), "{text}");
        fs::read_to_string(self.path("v1.pem")).unwrap()
    }

    /// What goes into a batch of keys: a certificate and its key.
    pub(crate) fn issue(&self, wanted: &Wanted) -> Attestation {
        let (key, certificate) = self.signed(wanted);
        // SEC 1: the key's 32 bytes stand behind the version.
        self.openssl("ec -outform DER -out leaf.key")
            .arg("-in")
            .arg(key)
            .done();
        let key = fs::read(self.path("leaf.key")).unwrap();
        let key = key.get(7..39).unwrap();
        self.openssl("x509 -outform DER -out leaf.der")
            .arg("-in")
            .arg(certificate)
            .done();
        Attestation::new(key, &fs::read(self.path("leaf.der")).unwrap())
    }

    /// Somebody between this manufacturer and the keys.
    pub(crate) fn intermediate(&self) -> Self {
        self.batch_that_issues(&Wanted::intermediate())
    }

    /// Whoever has the key of such a certificate, and issues others with it.
    pub(crate) fn batch_that_issues(&self, wanted: &Wanted) -> Self {
        let (key, certificate) = self.signed(wanted);
        let directory = tempfile::tempdir().unwrap();
        let certificate = fs::read_to_string(certificate).unwrap();
        let new = Self {
            directory,
            certificate,
        };
        fs::copy(key, new.path("key.pem")).unwrap();
        new.write("cert.pem", &new.certificate);
        new.write("ca.cnf", CONFIGURATION);
        new.write("index.txt", "");
        new.write("serial", "02");
        new
    }

    /// The certificate in DER.
    pub(crate) fn der(&self) -> Vec<u8> {
        self.openssl("x509 -in cert.pem -outform DER -out cert.der")
            .done();
        fs::read(self.path("cert.der")).unwrap()
    }

    fn signed(&self, wanted: &Wanted) -> (PathBuf, PathBuf) {
        self.write("leaf.ext", &wanted.extensions);
        self.openssl("req -config ca.cnf -new -nodes -keyout leaf.pem -out leaf.csr")
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-subj", wanted.subject])
            .done();
        self.openssl("ca -config ca.cnf -batch -notext -preserveDN -in leaf.csr -out leaf.crt")
            .args(["-cert", "cert.pem", "-keyfile", "key.pem"])
            .args(["-extfile", "leaf.ext"])
            .args(["-startdate", wanted.from, "-enddate", wanted.until])
            .done();
        (self.path("leaf.pem"), self.path("leaf.crt"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn openssl(&self, arguments: &str) -> Command {
        let mut openssl = Command::new("openssl");
        openssl
            .current_dir(&self.directory)
            .args(arguments.split(' '));
        openssl
    }
}

trait Done {
    /// Runs to a good end; what it printed.
    fn done(&mut self) -> String;
}

impl Done for Command {
    #[track_caller]
    fn done(&mut self) -> String {
        let ended = self.output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{self:?}: {said}");
        String::from_utf8_lossy(&ended.stdout).into_owned()
    }
}

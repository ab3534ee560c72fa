//! The chain of certificates, from the one that signed to one that is trusted.
//!
//! webpki follows it, with *ring* for the signatures. Before that the
//! certificate must be one for authenticators: a maker's root may vouch for
//! other things too, for keys that their owners can have sign anything.
#![forbid(unsafe_code)]

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use ceremony::credential::printable;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{DateTime, Decode};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::name::Name;

use super::given::{read, shown};
use crate::failure::Failure;

/// The longest file with roots, in bytes: some five hundred of them.
const LARGEST: usize = 1024 * 1024;

/// The most characters of a certificate's subject that are shown.
const SHOWN: usize = 256;

/// What to type instead.
const ROOTS: &str = "name a file with certificates in PEM, which begin with \"-----BEGIN \
                     CERTIFICATE-----\"; makers publish theirs. Of DER, this makes PEM: \
                     openssl x509 -inform der -in FILE -out FILE.pem";

/// anyExtendedKeyUsage (RFC 5280 §4.2.1.12), as its bytes. No purpose was ever
/// registered for attestation, so a certificate that is restricted to some is
/// for something else.
const ANY_PURPOSE: &[u8] = &[0x55, 0x1d, 0x25, 0x00];

/// organizationalUnitName (RFC 4519 §2.20), and what it must be (WebAuthn §8.2.1).
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");
const AUTHENTICATOR_ATTESTATION: &[u8] = b"Authenticator Attestation";

/// id-fido-gen-ce-aaguid (WebAuthn §8.2.1).
const AAGUID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.45724.1.1.4");

/// The certificates that the caller trusts.
#[derive(Debug)]
pub(super) struct Roots(Vec<Root>);

#[derive(Debug)]
struct Root {
    der: CertificateDer<'static>,
    subject: String,
    /// As one that vouches for others; none where it says that it may not. Then it
    /// is trusted for itself alone: a maker without a root of their own names the
    /// certificate in the keys.
    anchor: Option<TrustAnchor<'static>>,
}

/// The certificate that signed.
#[derive(Debug)]
pub(super) struct Leaf {
    pub(super) subject: String,
    /// Whether it says for which model it is. Which one has been seen to.
    pub(super) names_model: bool,
}

impl Roots {
    /// Reads all certificates in these files.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, Failure> {
        let mut roots = Vec::new();
        for path in files {
            let pem = read(path, LARGEST, ROOTS)?;
            let before = roots.len();
            for (number, der) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
                let root = der.ok().and_then(Root::of);
                roots.push(root.ok_or_else(|| cannot_be_read(path, number))?);
            }
            if roots.len() == before {
                let why = format!("there is no certificate in {}", shown(path));
                return Err(Failure::new(why, ROOTS));
            }
        }
        Ok(Self(roots))
    }

    /// Who vouches for the first of `certificates`, now. The others may stand
    /// between the two.
    pub(super) fn vouch(&self, certificates: &[&[u8]]) -> Result<(Leaf, String), Distrust> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        self.vouch_at(certificates, now.unwrap_or_default())
    }

    fn vouch_at(&self, certificates: &[&[u8]], now: Duration) -> Result<(Leaf, String), Distrust> {
        let (first, above) = certificates.split_first().ok_or(Distrust::Malformed)?;
        let certificate = Certificate::from_der(first).map_err(|_| Distrust::Malformed)?;
        let tbs = certificate.tbs_certificate();
        let leaf = Leaf {
            subject: subject(tbs.subject()),
            names_model: (tbs.extensions().into_iter().flatten()).any(|it| it.extn_id == AAGUID),
        };
        if !is_for_authenticators(tbs.subject()) {
            return Err(Distrust::ForSomethingElse(leaf.subject));
        }
        let is_it = |root: &&Root| root.der.as_ref() == *first;
        if let Some(root) = self.0.iter().find(is_it) {
            let validity = tbs.validity();
            if now < validity.not_before.to_unix_duration() {
                return Err(Distrust::NotYet(date(
                    validity.not_before.to_unix_duration(),
                )));
            }
            if now > validity.not_after.to_unix_duration() {
                return Err(Distrust::Expired(date(
                    validity.not_after.to_unix_duration(),
                )));
            }
            return Ok((leaf, root.subject.clone()));
        }

        let anchors: Vec<TrustAnchor<'_>> = self.anchors().map(|(anchor, _)| anchor).collect();
        let above: Vec<CertificateDer<'_>> =
            above.iter().map(|der| CertificateDer::from(*der)).collect();
        let first = CertificateDer::from(*first);
        let end_entity = EndEntityCert::try_from(&first)?;
        let path = end_entity.verify_for_usage(
            ALL_VERIFICATION_ALGS,
            &anchors,
            &above,
            UnixTime::since_unix_epoch(now),
            KeyUsage::required_if_present(ANY_PURPOSE),
            None,
            None,
        )?;
        let found = self.anchors().find(|(anchor, _)| anchor == path.anchor());
        let (_, root) = found.ok_or(Distrust::NoRoot)?;
        Ok((leaf, root.subject.clone()))
    }

    fn anchors(&self) -> impl Iterator<Item = (TrustAnchor<'_>, &Root)> {
        self.0
            .iter()
            .filter_map(|root| Some((root.anchor.clone()?, root)))
    }
}

impl Root {
    fn of(der: CertificateDer<'static>) -> Option<Self> {
        let certificate = Certificate::from_der(&der).ok()?;
        let tbs = certificate.tbs_certificate();
        let mut extensions = tbs.extensions().into_iter().flatten();
        let constraints = match extensions.find(|it| it.extn_id == BasicConstraints::OID) {
            Some(it) => Some(BasicConstraints::from_der(it.extn_value.as_bytes()).ok()?),
            // Roots of old say nothing.
            None => None,
        };
        let anchor = match constraints {
            Some(BasicConstraints { ca: false, .. }) => None,
            _ => Some(anchor_from_trusted_cert(&der).ok()?.to_owned()),
        };
        Some(Self {
            subject: subject(tbs.subject()),
            anchor,
            der,
        })
    }
}

fn cannot_be_read(path: &Path, number: usize) -> Failure {
    let why = format!("certificate {number} in {} cannot be read", shown(path));
    Failure::new(why, ROOTS)
}

fn is_for_authenticators(subject: &Name) -> bool {
    subject
        .iter()
        .any(|it| it.oid == ORGANIZATIONAL_UNIT && it.value.value() == AUTHENTICATOR_ATTESTATION)
}

/// A name as people read it, fit to be shown.
fn subject(name: &Name) -> String {
    printable(&name.to_string(), SHOWN)
}

fn date(since_1970: Duration) -> String {
    DateTime::from_unix_duration(since_1970).map_or_else(|_| "?".to_owned(), |it| it.to_string())
}

/// Why nobody is known to vouch.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Distrust {
    /// One that is no certificate.
    Malformed,
    /// One of this subject, which is none for authenticators.
    ForSomethingElse(String),
    /// One that was good until then.
    Expired(String),
    /// One that is good from then on.
    NotYet(String),
    /// None of the roots vouches for it.
    NoRoot,
    /// One that is restricted to other purposes.
    OtherPurpose,
    /// One with an extension that must be understood, and is not.
    UnknownExtension,
    /// One that was signed in a way that is no longer trusted.
    WeakSignature,
    /// Something rarer, in webpki's words.
    Other(String),
}

impl From<webpki::Error> for Distrust {
    fn from(problem: webpki::Error) -> Self {
        use webpki::Error;
        let at = |time: UnixTime| date(Duration::from_secs(time.as_secs()));
        match problem {
            Error::CertExpired { not_after, .. } => Self::Expired(at(not_after)),
            Error::CertNotValidYet { not_before, .. } => Self::NotYet(at(not_before)),
            Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => Self::NoRoot,
            Error::RequiredEkuNotFoundContext(_) | Error::EmptyEkuExtension => Self::OtherPurpose,
            Error::UnsupportedCriticalExtension => Self::UnknownExtension,
            Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Self::WeakSignature,
            other => Self::Other(printable(&format!("{other:?}"), SHOWN)),
        }
    }
}

impl Distrust {
    /// What to do about it.
    pub(super) fn what_to_do(&self) -> &'static str {
        match self {
            Self::NoRoot => {
                "give the root of the maker whose key it should be; where there are certificates \
                 in between, ssh-keygen has left them out: give those too, with --roots"
            }
            Self::Expired(_) | Self::NotYet(_) => {
                "see whether this machine's clock is right: date; if it is, have the key made on \
                 a newer security key"
            }
            Self::Malformed
            | Self::ForSomethingElse(_)
            | Self::OtherPurpose
            | Self::UnknownExtension
            | Self::WeakSignature
            | Self::Other(_) => {
                "do not rely on this key; have it made on a security key of another model"
            }
        }
    }
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => write!(f, "it is not well-formed"),
            Self::ForSomethingElse(subject) => write!(
                f,
                "it is not one for security keys, whose subject has OU=Authenticator Attestation: \
                 {subject}"
            ),
            Self::Expired(when) => write!(f, "the chain was good until {when}"),
            Self::NotYet(when) => write!(f, "the chain is good from {when} on"),
            Self::NoRoot => write!(f, "no chain leads from it to one of the roots"),
            Self::OtherPurpose => write!(f, "the chain is restricted to other purposes"),
            Self::UnknownExtension => write!(
                f,
                "a certificate in the chain has a critical extension that is not known here"
            ),
            Self::WeakSignature => write!(
                f,
                "a certificate in the chain is signed in a way that is not trusted, as with SHA-1"
            ),
            Self::Other(problem) => write!(f, "the chain is not accepted: {problem}"),
        }
    }
}

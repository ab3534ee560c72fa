//! The certificate a maker puts into a batch of keys.

#![forbid(unsafe_code)]

use opensk::api::persist;

/// A P-256 key and its certificate, for keys that attest with `x5c`.
pub struct Attestation {
    private_key: Vec<u8>,
    certificate: Vec<u8>,
}

impl Attestation {
    /// The bench's own batch certificate, issued by the root in `data/attestation-root.der`.
    /// `data/make-attestation.sh` made both.
    #[must_use]
    pub fn of_the_bench() -> Self {
        Self {
            private_key: include_bytes!("../../data/attestation.key").to_vec(),
            certificate: include_bytes!("../../data/attestation.der").to_vec(),
        }
    }

    /// A maker's: a P-256 key's 32 bytes, and its certificate in DER.
    #[must_use]
    pub fn new(private_key: &[u8], certificate: &[u8]) -> Self {
        Self {
            private_key: private_key.to_vec(),
            certificate: certificate.to_vec(),
        }
    }

    /// The DER certificate that a registration should carry.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The DER certificate of the one who issued it.
    pub fn root_of_the_bench() -> &'static [u8] {
        include_bytes!("../../data/attestation-root.der")
    }

    pub(super) fn for_firmware(&self) -> persist::Attestation {
        persist::Attestation {
            wrapped_private_key: self.private_key.clone(),
            certificate: self.certificate.clone(),
        }
    }
}

//! Attestation files, taken apart and put together by their specification (OpenSSH
//! `PROTOCOL.u2f`) alone, and judged by libfido2.

use std::io::Write;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// The members of a file.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) magic: Vec<u8>,
    pub(crate) certificate: Vec<u8>,
    pub(crate) signature: Vec<u8>,
    /// A CBOR byte string.
    pub(crate) data: Vec<u8>,
    pub(crate) flags: u32,
    pub(crate) reserved: Vec<u8>,
}

impl File {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let magic = string(&mut rest);
        let certificate = string(&mut rest);
        let signature = string(&mut rest);
        let data = string(&mut rest);
        let (flags, behind) = rest.split_first_chunk().unwrap();
        rest = behind;
        let reserved = string(&mut rest);
        assert!(rest.is_empty());
        Self {
            magic,
            certificate,
            signature,
            data,
            flags: u32::from_be_bytes(*flags),
            reserved,
        }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for member in [&self.magic, &self.certificate, &self.signature, &self.data] {
            put(&mut bytes, member);
        }
        bytes.extend(self.flags.to_be_bytes());
        put(&mut bytes, &self.reserved);
        bytes
    }

    /// As it was before OpenSSH kept authenticator data.
    pub(crate) fn bytes_of_old(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for member in [b"ssh-sk-attest-v00", &self.certificate[..], &self.signature] {
            put(&mut bytes, member);
        }
        bytes.extend(self.flags.to_be_bytes());
        put(&mut bytes, &self.reserved);
        bytes
    }

    /// The authenticator data as they were signed.
    pub(crate) fn authenticator_data(&self) -> &[u8] {
        let (head, data) = self.data.split_first_chunk::<3>().unwrap();
        // A byte string (0x40) whose length takes two bytes (25).
        let length = u16::try_from(data.len()).unwrap().to_be_bytes();
        assert_eq!(head, &[&[0x59], &length[..]].concat()[..]);
        data
    }

    /// Whether libfido2 finds the signature good for this challenge and application. `options` are
    /// fido2-cred's: how the key was to be guarded, and its algorithm.
    pub(crate) fn libfido2_agrees(
        &self,
        options: &[&str],
        challenge: &[u8],
        application: &str,
    ) -> bool {
        let data = self.authenticator_data();
        // WebAuthn §6.5.2: behind 37 bytes and the AAGUID stands the id, with its length.
        let (length, id) = data.split_at(53).1.split_first_chunk().unwrap();
        let (id, _) = id.split_at(u16::from_be_bytes(*length).into());
        let lines = [
            base64(&Sha256::digest(challenge)),
            application.to_owned(),
            "packed".to_owned(),
            base64(&self.data),
            base64(id),
            base64(&self.signature),
            base64(&self.certificate),
            String::new(),
        ];
        let mut judge = Command::new("fido2-cred")
            .args(["-V", "-o", "/dev/null"])
            .args(options)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It may refuse before it has read everything.
        let lines = lines.join("\n");
        let _ = judge.stdin.take().unwrap().write_all(lines.as_bytes());
        judge.wait().unwrap().success()
    }
}

fn string(rest: &mut &[u8]) -> Vec<u8> {
    let (length, behind) = rest.split_first_chunk().unwrap();
    let (string, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
    *rest = behind;
    string.to_vec()
}

fn put(bytes: &mut Vec<u8>, string: &[u8]) {
    let length = u32::try_from(string.len()).unwrap();
    bytes.extend(length.to_be_bytes());
    bytes.extend(string);
}

/// A statement of format *packed* (WebAuthn §8.2), by ES256.
pub(crate) fn packed(signature: &[u8], certificates: &[&[u8]]) -> Vec<u8> {
    fn bytes(cbor: &mut Vec<u8>, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).unwrap();
        cbor.push(0x59);
        cbor.extend(length.to_be_bytes());
        cbor.extend(bytes);
    }
    let mut cbor = b"\xa3\x63alg\x26\x63sig".to_vec();
    bytes(&mut cbor, signature);
    cbor.extend(b"\x63x5c");
    cbor.push(0x80 + u8::try_from(certificates.len()).unwrap());
    for certificate in certificates {
        bytes(&mut cbor, certificate);
    }
    cbor
}

pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = (0..3).fold(0, |number, place| {
            number << 8 | usize::from(three.get(place).copied().unwrap_or(0))
        });
        for place in 0..4 {
            let digit = DIGITS.get(number >> (18 - 6 * place) & 0x3f).unwrap();
            let is_there = place <= three.len();
            text.push(if is_there { (*digit).into() } else { '=' });
        }
    }
    text
}

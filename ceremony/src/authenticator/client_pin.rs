//! PIN/UV auth protocols one and two (CTAP 2.1 §6.5.6, §6.5.7): what hides a PIN
//! on its way to the key, and proves afterwards that it was given.
//!
//! Pure: keys and bytes in, bytes out. The messages around it stand in
//! `ctap2::client_pin`, their order in [`verification`](super::verification).
#![forbid(unsafe_code)]

use std::fmt;

use aes::Aes256;
use aes::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use p256::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, Zeroizing};

use crate::pin::Pin;

/// A PIN/UV auth protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PinUvAuthProtocol {
    /// Of CTAP 2.0.
    One,
    /// Of CTAP 2.1: separate keys, random initialization vectors.
    Two,
}

impl PinUvAuthProtocol {
    /// Its number in messages.
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// The protocol of that number, where it is one of ours.
    pub fn from_number(number: u64) -> Option<Self> {
        [Self::One, Self::Two]
            .into_iter()
            .find(|protocol| u64::from(protocol.number()) == number)
    }
}

/// A public key of the key agreement, as COSE has it: affine coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAgreementKey {
    /// COSE member −2.
    pub x: [u8; 32],
    /// COSE member −3.
    pub y: [u8; 32],
}

/// What only we and the authenticator know (§6.5.4, `encapsulate`).
///
/// The key lies in one place for as long as it lives: whoever moves a secret
/// moves a pointer, and leaves no copy where it was.
pub struct SharedSecret {
    protocol: PinUvAuthProtocol,
    aes_key: Box<Zeroizing<[u8; 32]>>,
}

/// The exchange cannot go on: an answer no honest key gives, or no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSecret(
    /// What is wrong.
    pub &'static str,
);

impl fmt::Display for NoSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl SharedSecret {
    /// Agrees on a secret with the owner of `theirs`; returns our own public
    /// key as well, for the message that uses the secret.
    pub fn agree(
        protocol: PinUvAuthProtocol,
        theirs: &KeyAgreementKey,
    ) -> Result<(Self, KeyAgreementKey), NoSecret> {
        Self::agree_with(&fresh_key()?, protocol, theirs)
    }

    fn agree_with(
        ours: &SecretKey,
        protocol: PinUvAuthProtocol,
        theirs: &KeyAgreementKey,
    ) -> Result<(Self, KeyAgreementKey), NoSecret> {
        // Refuses a point that is not on the curve, which would leak our key.
        let sec1: Vec<u8> = [&[0x04], &theirs.x[..], &theirs.y[..]].concat();
        let theirs = PublicKey::from_sec1_bytes(&sec1)
            .map_err(|_| NoSecret("its key agreement key is not on the curve"))?;
        let shared = ours.diffie_hellman(&theirs);
        let z: &[u8] = shared.raw_secret_bytes().as_ref();
        // §6.5.6.1 and §6.5.7.1, kdf. The HMAC half of protocol two is for
        // setting PINs, which is not done here.
        let mut aes_key = Box::new(Zeroizing::new([0; 32]));
        match protocol {
            PinUvAuthProtocol::One => {
                Sha256::new_with_prefix(z).finalize_into((&mut **aes_key).into());
            }
            PinUvAuthProtocol::Two => Hkdf::<Sha256>::new(Some(&[0; 32]), z)
                .expand(b"CTAP2 AES key", &mut **aes_key)
                .map_err(|_| NoSecret("a key of 32 bytes could not be derived"))?,
        }
        Ok((Self { protocol, aes_key }, public_key(ours)?))
    }

    /// The PIN's hash, encrypted (`pinHashEnc`).
    pub fn encrypt_pin(&self, pin: Pin) -> Result<Vec<u8>, NoSecret> {
        let hash = pin.into_hash();
        let mut iv = [0; 16];
        if self.protocol == PinUvAuthProtocol::Two {
            getrandom::fill(&mut iv).map_err(|_| NO_RANDOMNESS)?;
        }
        let mut cipher = cbc::Encryptor::<Aes256>::new((&**self.aes_key).into(), &iv.into());
        // Encrypted where it lies: no copy of the hash is left.
        let mut encrypted = Block::<Aes256>::from(*hash);
        cipher.encrypt_block(&mut encrypted);
        Ok(match self.protocol {
            PinUvAuthProtocol::One => encrypted.to_vec(),
            PinUvAuthProtocol::Two => [&iv[..], &encrypted[..]].concat(),
        })
    }

    /// The token that the key gives for a PIN or a fingerprint, decrypted.
    pub fn decrypt_token(&self, encrypted: &[u8]) -> Result<PinUvAuthToken, NoSecret> {
        const WRONG: NoSecret = NoSecret("its PIN/UV auth token has an impossible length");
        let (iv, encrypted) = match self.protocol {
            PinUvAuthProtocol::One => (&[0; 16], encrypted),
            PinUvAuthProtocol::Two => encrypted.split_first_chunk().ok_or(WRONG)?,
        };
        // §6.5.5.7: 16 or 32 bytes in protocol one, 32 in protocol two.
        let allowed: &[usize] = match self.protocol {
            PinUvAuthProtocol::One => &[16, 32],
            PinUvAuthProtocol::Two => &[32],
        };
        if !allowed.contains(&encrypted.len()) {
            return Err(WRONG);
        }
        let mut cipher = cbc::Decryptor::<Aes256>::new((&**self.aes_key).into(), iv.into());
        let mut token = Zeroizing::new(Vec::with_capacity(encrypted.len()));
        for chunk in encrypted.chunks_exact(16) {
            let mut block = Block::<Aes256>::try_from(chunk).map_err(|_| WRONG)?;
            cipher.decrypt_block(&mut block);
            token.extend_from_slice(&block);
            block.as_mut_slice().zeroize();
        }
        Ok(PinUvAuthToken {
            protocol: self.protocol,
            token,
        })
    }
}

/// Shows that the person was verified, for as long as the key allows.
pub struct PinUvAuthToken {
    protocol: PinUvAuthProtocol,
    token: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for PinUvAuthToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PinUvAuthToken(..)")
    }
}

impl PinUvAuthToken {
    /// The proof for one request: a MAC over its clientDataHash, or over what
    /// the request's own chapter names (§6.5.4, `authenticate`).
    pub fn authenticate(&self, message: &[u8]) -> Option<PinUvAuthParam> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.token).ok()?;
        mac.update(message);
        let mac = mac.finalize().into_bytes();
        let length = match self.protocol {
            PinUvAuthProtocol::One => 16,
            PinUvAuthProtocol::Two => 32,
        };
        Some(PinUvAuthParam {
            protocol: self.protocol,
            mac: mac.get(..length)?.to_vec(),
        })
    }
}

/// `pinUvAuthParam` and `pinUvAuthProtocol` of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinUvAuthParam {
    /// The protocol.
    pub protocol: PinUvAuthProtocol,
    /// The MAC; empty where only the touch is asked for (§6.1.2, step 1).
    pub mac: Vec<u8>,
}

const NO_RANDOMNESS: NoSecret = NoSecret("the kernel gave no random bytes");

/// A new private key. One draw in 2^32 is no scalar of the curve.
fn fresh_key() -> Result<SecretKey, NoSecret> {
    let mut bytes = Zeroizing::new([0; 32]);
    for _ in 0..4 {
        getrandom::fill(&mut *bytes).map_err(|_| NO_RANDOMNESS)?;
        if let Ok(key) = SecretKey::from_slice(&*bytes) {
            return Ok(key);
        }
    }
    Err(NO_RANDOMNESS)
}

fn public_key(key: &SecretKey) -> Result<KeyAgreementKey, NoSecret> {
    let sec1 = key.public_key().to_sec1_bytes();
    match sec1.as_ref() {
        [0x04, coordinates @ ..] if coordinates.len() == 64 => {
            let (x, y) = coordinates.split_at(32);
            match (x.try_into(), y.try_into()) {
                (Ok(x), Ok(y)) => Ok(KeyAgreementKey { x, y }),
                _ => Err(NoSecret("our own key has no coordinates")),
            }
        }
        _ => Err(NoSecret("our own key has no coordinates")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ends of an agreement.
    fn agreed(protocol: PinUvAuthProtocol) -> (SharedSecret, SharedSecret) {
        let (ours, theirs) = (fresh_key().unwrap(), fresh_key().unwrap());
        let public = public_key(&theirs).unwrap();
        let (mine, our_public) = SharedSecret::agree_with(&ours, protocol, &public).unwrap();
        let (yours, _) = SharedSecret::agree_with(&theirs, protocol, &our_public).unwrap();
        (mine, yours)
    }

    fn pin() -> Pin {
        Pin::typed(b"1234", 4).unwrap()
    }

    #[test]
    fn both_ends_agree_and_a_token_arrives_as_it_was_sent() {
        for (protocol, lengths) in [
            (PinUvAuthProtocol::One, &[16, 32][..]),
            (PinUvAuthProtocol::Two, &[32]),
        ] {
            let (mine, yours) = agreed(protocol);
            assert_eq!(mine.aes_key, yours.aes_key);
            for &length in lengths {
                let token = vec![0x5a; length];
                let iv = [0x11; 16];
                let used = match protocol {
                    PinUvAuthProtocol::One => [0; 16],
                    PinUvAuthProtocol::Two => iv,
                };
                let mut cipher =
                    cbc::Encryptor::<Aes256>::new((&**yours.aes_key).into(), &used.into());
                let mut sent = if protocol == PinUvAuthProtocol::Two {
                    iv.to_vec()
                } else {
                    Vec::new()
                };
                for chunk in token.chunks_exact(16) {
                    let mut block = Block::<Aes256>::try_from(chunk).unwrap();
                    cipher.encrypt_block(&mut block);
                    sent.extend_from_slice(&block);
                }
                assert_eq!(*mine.decrypt_token(&sent).unwrap().token, token);
            }
        }
    }

    #[test]
    fn a_pin_goes_out_encrypted_and_under_a_fresh_vector_in_protocol_two() {
        let (one, _) = agreed(PinUvAuthProtocol::One);
        assert_eq!(one.encrypt_pin(pin()).unwrap().len(), 16);
        let (two, _) = agreed(PinUvAuthProtocol::Two);
        let first = two.encrypt_pin(pin()).unwrap();
        assert_eq!(first.len(), 32);
        assert_ne!(first, two.encrypt_pin(pin()).unwrap());
    }

    #[test]
    fn a_point_off_the_curve_gets_no_secret() {
        let off = KeyAgreementKey {
            x: [1; 32],
            y: [2; 32],
        };
        for protocol in [PinUvAuthProtocol::One, PinUvAuthProtocol::Two] {
            assert!(SharedSecret::agree(protocol, &off).is_err());
        }
    }

    #[test]
    fn a_token_of_another_length_is_refused() {
        for (protocol, wrong) in [
            (PinUvAuthProtocol::One, &[0, 15, 17, 31, 33, 48][..]),
            (PinUvAuthProtocol::Two, &[0, 16, 32, 47, 49, 64]),
        ] {
            let (mine, _) = agreed(protocol);
            for &length in wrong {
                assert!(mine.decrypt_token(&vec![0; length]).is_err(), "{length}");
            }
        }
    }

    #[test]
    fn the_proof_is_a_mac_cut_to_the_protocols_length() {
        for (protocol, length) in [(PinUvAuthProtocol::One, 16), (PinUvAuthProtocol::Two, 32)] {
            let token = PinUvAuthToken {
                protocol,
                token: Zeroizing::new(vec![0x0b; 32]),
            };
            let mac = token.authenticate(&[0x22; 32]).unwrap().mac;
            assert_eq!(mac.len(), length);
            assert_ne!(mac, token.authenticate(&[0x23; 32]).unwrap().mac);
        }
        // head -c 32 /dev/zero | tr '\0' '\042' |
        //   openssl dgst -sha256 -mac HMAC -macopt hexkey:$(printf '0b%.0s' $(seq 32))
        let token = PinUvAuthToken {
            protocol: PinUvAuthProtocol::One,
            token: Zeroizing::new(vec![0x0b; 32]),
        };
        let mac = token.authenticate(&[0x22; 32]).unwrap().mac;
        assert_eq!(mac[..8], [0x4c, 0x16, 0x73, 0x97, 0xc0, 0x0c, 0x6a, 0x3b]);
    }

    #[test]
    fn nothing_of_a_token_is_shown() {
        let token = PinUvAuthToken {
            protocol: PinUvAuthProtocol::Two,
            token: Zeroizing::new(vec![0x0b; 32]),
        };
        assert_eq!(format!("{token:?}"), "PinUvAuthToken(..)");
    }

    #[test]
    fn a_shared_secret_cannot_be_shown_at_all_nor_what_holds_one() {
        trait Hidden<Why> {
            fn it_is() {}
        }
        impl<T> Hidden<()> for T {}
        struct CanBeShown;
        impl<T: fmt::Debug> Hidden<CanBeShown> for T {}
        // Which one is meant would be unclear, and this would not compile, with a Debug.
        <SharedSecret as Hidden<_>>::it_is();
    }

    #[test]
    fn numbers_come_back_as_they_went_in() {
        assert_eq!(
            PinUvAuthProtocol::from_number(1),
            Some(PinUvAuthProtocol::One)
        );
        assert_eq!(
            PinUvAuthProtocol::from_number(2),
            Some(PinUvAuthProtocol::Two)
        );
        assert_eq!(PinUvAuthProtocol::from_number(0), None);
        assert_eq!(PinUvAuthProtocol::from_number(3), None);
    }
}

//! What nobody but a key and its host may know of a PIN and its token, in every form in which a
//! computation may leave it in memory.

#![forbid(unsafe_code)]

use hkdf::Hkdf;
use sha2::block_api::compress256;
use sha2::{Digest, Sha256};

use crate::memory::Needle;

/// The state that SHA-256 begins with (FIPS 180-4 §5.3.3).
const SHA_256: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The prime of P-256's field, in limbs, the smallest first.
const P: [u64; 4] = [u64::MAX, 0xFFFF_FFFF, 0, 0xFFFF_FFFF_0000_0001];

/// A PIN and its hash, half of which is sent.
pub fn of_pin(pin: &str) -> Vec<Needle> {
    let digest = Sha256::digest(pin);
    vec![
        named("the PIN", pin.as_bytes()),
        named("the PIN's hash", &digest),
    ]
}

/// The point on which both agreed, and the key made of it.
pub(super) fn of_agreement(z: &[u8], protocol: u64, aes_key: &[u8; 32]) -> Vec<Needle> {
    let mut secrets = vec![
        named("the shared point", z),
        named("the shared point, the other way round", &reversed(z)),
        named("the shared point, as it is computed with", &montgomery(z)),
        named("the AES key", aes_key),
        named("the AES key's schedule", &schedule(aes_key)[32..]),
    ];
    if protocol == 2 {
        let (key, _) = Hkdf::<Sha256>::extract(Some(&[0; 32]), z);
        secrets.extend(of_hmac("HKDF's key", &key));
    }
    secrets
}

/// A key of HMAC's (RFC 2104 §2).
pub(super) fn of_hmac(name: &str, key: &[u8]) -> Vec<Needle> {
    let mut secrets = vec![named(name, key)];
    for (which, pad) in [("inner", 0x36), ("outer", 0x5C)] {
        let mut block = [pad; 64];
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
        let mut state = SHA_256;
        compress256(&mut state, &[block]);
        let state: Vec<u8> = state.iter().flat_map(|word| word.to_ne_bytes()).collect();
        secrets.push(named(
            &format!("{name}, {which} block"),
            &block[..key.len()],
        ));
        secrets.push(named(&format!("{name}, {which} state"), &state));
    }
    secrets
}

/// A number of the host's, as it was drawn and as it is computed with.
pub fn of_scalar(scalar: &[u8]) -> Vec<Needle> {
    vec![
        named("the host's private scalar", scalar),
        named(
            "the host's private scalar, the other way round",
            &reversed(scalar),
        ),
    ]
}

fn named(name: &str, bytes: &[u8]) -> Needle {
    (name.to_owned(), bytes.to_vec())
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// A coordinate in Montgomery's form: times 2^256, in limbs.
fn montgomery(coordinate: &[u8]) -> Vec<u8> {
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(coordinate.rchunks(8)) {
        *limb = bytes
            .iter()
            .fold(0, |limb, byte| limb << 8 | u64::from(*byte));
    }
    for _ in 0..256 {
        limbs = doubled(limbs);
    }
    limbs.iter().flat_map(|limb| limb.to_ne_bytes()).collect()
}

fn doubled(limbs: [u64; 4]) -> [u64; 4] {
    let mut twice = [0; 4];
    let mut carry = 0;
    for (twice, limb) in twice.iter_mut().zip(limbs) {
        *twice = limb << 1 | carry;
        carry = limb >> 63;
    }
    let mut less = [0; 4];
    let mut borrow = false;
    for ((less, twice), p) in less.iter_mut().zip(twice).zip(P) {
        let (difference, first) = twice.overflowing_sub(p);
        let (difference, second) = difference.overflowing_sub(u64::from(borrow));
        (*less, borrow) = (difference, first || second);
    }
    if carry == 1 || !borrow { less } else { twice }
}

/// The round keys of AES-256 (FIPS 197 §5.2), the first two of which are the key.
fn schedule(key: &[u8; 32]) -> Vec<u8> {
    let s_box = s_box();
    let substituted = |word: [u8; 4]| word.map(|byte| s_box[usize::from(byte)]);
    let mut words: Vec<[u8; 4]> = key.as_chunks().0.to_vec();
    for place in 8..60 {
        let mut word = words[place - 1];
        if place % 8 == 0 {
            word.rotate_left(1);
            word = substituted(word);
            word[0] ^= 1 << (place / 8 - 1);
        } else if place % 8 == 4 {
            word = substituted(word);
        }
        let before = words[place - 8];
        words.push(std::array::from_fn(|byte| word[byte] ^ before[byte]));
    }
    words.concat()
}

/// By walking through the field with a generator and its inverse.
fn s_box() -> [u8; 256] {
    let mut s_box = [0x63; 256];
    let (mut p, mut q) = (1_u8, 1_u8);
    loop {
        p ^= p << 1 ^ if p & 0x80 == 0 { 0 } else { 0x1B };
        q ^= q << 1;
        q ^= q << 2;
        q ^= q << 4;
        q ^= if q & 0x80 == 0 { 0 } else { 0x09 };
        let affine = (1..5).fold(q, |sum, by| sum ^ q.rotate_left(by));
        s_box[usize::from(p)] = affine ^ 0x63;
        if p == 1 {
            return s_box;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_that_of_fips_197() {
        let mut key = [0; 32];
        for (byte, place) in key.iter_mut().zip(0..) {
            *byte = place;
        }
        // FIPS 197, appendix C.3, round 14.
        let last = [
            0x24, 0xfc, 0x79, 0xcc, 0xbf, 0x09, 0x79, 0xe9, 0x37, 0x1a, 0xc2, 0x3c, 0x6d, 0x68,
            0xde, 0x36,
        ];
        let schedule = schedule(&key);
        assert_eq!(schedule.len(), 240);
        assert_eq!(schedule[..32], key);
        assert_eq!(schedule[224..], last);
    }

    #[test]
    fn montgomerys_form_of_one_is_the_radix() {
        let mut one = [0; 32];
        one[31] = 1;
        // 2^256 mod p
        let radix: [u64; 4] = [1, 0xFFFF_FFFF_0000_0000, u64::MAX, 0xFFFF_FFFE];
        let radix: Vec<u8> = radix.iter().flat_map(|limb| limb.to_ne_bytes()).collect();
        assert_eq!(montgomery(&one), radix);
    }

    #[test]
    fn states_are_those_from_which_hmac_goes_on() {
        use hmac::{Hmac, KeyInit, Mac};
        let secrets = of_hmac("it", &[7; 32]);
        let state_of = |name: &str| {
            let (_, bytes) = secrets.iter().find(|(it, _)| it == name).unwrap();
            let words = bytes
                .as_chunks()
                .0
                .iter()
                .map(|word| u32::from_ne_bytes(*word));
            let words: Vec<u32> = words.collect();
            <[u32; 8]>::try_from(words).unwrap()
        };
        // One block each: the message, padded, and then the inner digest.
        let finish = |mut state: [u32; 8], message: &[u8]| {
            let mut block = [0; 64];
            block[..message.len()].copy_from_slice(message);
            block[message.len()] = 0x80;
            let bits = 8 * (64 + message.len() as u64);
            block[56..].copy_from_slice(&bits.to_be_bytes());
            compress256(&mut state, &[block]);
            state.map(u32::to_be_bytes).concat()
        };
        let inner = finish(state_of("it, inner state"), b"message");
        let outer = finish(state_of("it, outer state"), &inner);
        let mut mac = Hmac::<Sha256>::new_from_slice(&[7; 32]).unwrap();
        mac.update(b"message");
        assert_eq!(outer, mac.finalize().into_bytes().to_vec());
    }
}

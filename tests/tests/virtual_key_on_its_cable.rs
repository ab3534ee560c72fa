//! What the virtual key does while it waits for a touch, seen on its cable.

#![forbid(unsafe_code)]

use std::time::Instant;

use tests::virtual_key::Channel;
use tests::{Command, Presence, Reply, VirtualKey};

const INIT: u8 = 0x06;
const CBOR: u8 = 0x10;
const CANCEL: u8 = 0x11;
const ERROR: u8 = 0x3F;
/// `authenticatorSelection`: waits for a touch.
const SELECTION: u8 = 0x0B;

#[test]
fn a_cancel_ends_the_wait_and_is_no_transaction() {
    let key = VirtualKey::named("Blue Key");
    let channel = Channel::open(&key);
    key.presence(Presence::Never);
    channel.send(CBOR, &[SELECTION]);
    key.wait_until_it_blinks();
    assert_eq!(channel.report()[4..8], [0xBB, 0, 1, 2]); // CTAPHID_KEEPALIVE, UPNEEDED
    channel.send(CANCEL, &[]);
    assert_eq!(channel.outcome(), Err(Reply::Ctap2(0x2D))); // CTAP2_ERR_KEEPALIVE_CANCEL
    assert_eq!(key.commands(), [Command::Init, Command::Selection]);
    assert_eq!(key.cancels(), 1);
}

#[test]
fn while_it_waits_for_one_it_tells_another_that_it_is_busy() {
    let key = VirtualKey::named("Blue Key");
    let channel = Channel::open(&key);
    key.presence(Presence::after_ms(250));
    channel.send(CBOR, &[SELECTION]);
    key.wait_until_it_blinks();
    channel.send_on(Channel::BROADCAST, INIT, &[7; 8]);
    let busy = std::iter::repeat_with(|| channel.report())
        .find(|report| report[4] != 0xBB)
        .expect("the loop ends with a report");
    assert_eq!(busy[..4], [0xFF; 4]);
    assert_eq!(busy[4..8], [0x80 | ERROR, 0, 1, 6]); // ERR_CHANNEL_BUSY
    assert!(channel.outcome().is_ok());
}

#[test]
#[ignore = "takes the key's own thirty seconds"]
fn a_key_that_nobody_touches_gives_up_after_thirty_seconds() {
    let key = VirtualKey::named("Blue Key");
    let channel = Channel::open(&key);
    key.presence(Presence::Never);
    let began = Instant::now();
    channel.send(CBOR, &[SELECTION]);
    assert_eq!(channel.outcome(), Err(Reply::Ctap2(0x2F))); // CTAP2_ERR_USER_ACTION_TIMEOUT
    assert!((29..32).contains(&began.elapsed().as_secs()));
}

//! What the virtual key does while it waits for a touch, seen on its cable.

#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "also in a test's helpers"
)]

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Instant;

use nix::sys::socket::{MsgFlags, recv, send};
use tests::{Command, Presence, VirtualKey};

#[test]
fn a_cancel_ends_the_wait_and_is_no_transaction() {
    let key = Channel::open(&VirtualKey::named("Blue Key"));
    key.key.presence(Presence::Never);
    key.send(0x90, &[0x0B]); // authenticatorSelection: waits for a touch
    key.key.wait_until_it_blinks();
    assert_eq!(key.receive()[4..8], [0xBB, 0, 1, 2]); // CTAPHID_KEEPALIVE, UPNEEDED
    key.send(0x91, &[]);
    let answer = std::iter::repeat_with(|| key.receive())
        .find(|report| report[4] != 0xBB)
        .unwrap();
    assert_eq!(answer[4..8], [0x90, 0, 1, 0x2D]); // CTAP2_ERR_KEEPALIVE_CANCEL
    assert_eq!(key.key.commands(), [Command::Init, Command::Selection]);
    assert_eq!(key.key.cancels(), 1);
}

#[test]
fn while_it_waits_for_one_it_tells_another_that_it_is_busy() {
    let key = Channel::open(&VirtualKey::named("Blue Key"));
    key.key.presence(Presence::after_ms(250));
    key.send(0x90, &[0x0B]);
    key.key.wait_until_it_blinks();
    key.send_on(BROADCAST, 0x86, &[7; 8]);
    let busy = std::iter::repeat_with(|| key.receive())
        .find(|report| report[4] != 0xBB)
        .unwrap();
    assert_eq!(
        (&busy[..4], &busy[4..8]),
        (&BROADCAST[..], &[0xBF, 0, 1, 6][..])
    ); // ERR_CHANNEL_BUSY
    let answer = std::iter::repeat_with(|| key.receive())
        .find(|report| report[4] != 0xBB)
        .unwrap();
    assert_eq!(answer[4..8], [0x90, 0, 1, 0]);
}

#[test]
#[ignore = "takes the key's own thirty seconds"]
fn a_key_that_nobody_touches_gives_up_after_thirty_seconds() {
    let key = Channel::open(&VirtualKey::named("Blue Key"));
    key.key.presence(Presence::Never);
    let began = Instant::now();
    key.send(0x90, &[0x0B]);
    let answer = std::iter::repeat_with(|| key.receive())
        .find(|report| report[4] != 0xBB)
        .unwrap();
    assert_eq!(answer[4..8], [0x90, 0, 1, 0x2F]); // CTAP2_ERR_USER_ACTION_TIMEOUT
    assert!((29..32).contains(&began.elapsed().as_secs()));
}

const BROADCAST: [u8; 4] = [0xFF; 4];

/// One channel to a key by its cable, for what no tool lets us do.
struct Channel {
    key: VirtualKey,
    cable: OwnedFd,
    id: [u8; 4],
}

impl Channel {
    fn open(key: &VirtualKey) -> Self {
        let mut channel = Self {
            key: key.clone(),
            cable: key.power_on(),
            id: BROADCAST,
        };
        channel.send(0x86, &[1, 2, 3, 4, 5, 6, 7, 8]);
        channel.id = channel.receive()[15..19].try_into().unwrap();
        channel
    }

    fn send(&self, command: u8, payload: &[u8]) {
        self.send_on(self.id, command, payload);
    }

    fn send_on(&self, id: [u8; 4], command: u8, payload: &[u8]) {
        let mut report = [0; 64];
        report[..4].copy_from_slice(&id);
        report[4] = command;
        report[6] = u8::try_from(payload.len()).unwrap();
        report[7..7 + payload.len()].copy_from_slice(payload);
        send(self.cable.as_raw_fd(), &report, MsgFlags::empty()).unwrap();
    }

    fn receive(&self) -> [u8; 64] {
        let mut report = [0; 64];
        assert_eq!(
            recv(self.cable.as_raw_fd(), &mut report, MsgFlags::empty()),
            Ok(64)
        );
        report
    }
}

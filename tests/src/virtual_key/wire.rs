//! The cable: 64-byte reports over a `SOCK_SEQPACKET` socket, with the journal listening in.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv, send};
use opensk::api::connection::{HidConnection, RecvStatus, UsbEndpoint};
use opensk::ctap::status_code::{Ctap2StatusCode, CtapResult};

use super::journal::Journal;

/// One HID report: a packet of CTAPHID.
pub type Report = [u8; 64];

pub(super) struct Wire {
    socket: OwnedFd,
    journal: Arc<Journal>,
    unplugged: AtomicBool,
}

pub(super) enum Arrival {
    Report(Report),
    Nothing,
    Unplugged,
}

impl Wire {
    pub(super) fn new(socket: OwnedFd, journal: Arc<Journal>) -> Self {
        Self {
            socket,
            journal,
            unplugged: AtomicBool::new(false),
        }
    }

    pub(super) fn receive(&self, patience: Duration) -> Arrival {
        if !self.wait_readable(patience) {
            return Arrival::Nothing;
        }
        let mut report = [0; 64];
        match recv(self.socket.as_raw_fd(), &mut report, MsgFlags::MSG_DONTWAIT) {
            Ok(64) => {
                self.journal.received(&report);
                Arrival::Report(report)
            }
            // A short report is noise to a USB device.
            Ok(1..) | Err(nix::Error::EAGAIN | nix::Error::EINTR) => Arrival::Nothing,
            Ok(0) | Err(_) => {
                self.unplugged.store(true, Ordering::Relaxed);
                Arrival::Unplugged
            }
        }
    }

    pub(super) fn send(&self, report: &Report) {
        // The firmware finishes its sentence, but nobody hears it.
        if self.unplugged.load(Ordering::Relaxed) {
            return;
        }
        // Written down first: whoever has read the answer finds it in the journal.
        self.journal.sent(report);
        // Nobody on the other end: the next receive says so.
        let _ = send(self.socket.as_raw_fd(), report, MsgFlags::MSG_NOSIGNAL);
    }

    pub(super) fn wait_readable(&self, patience: Duration) -> bool {
        let mut fds = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        let patience = PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX);
        poll(&mut fds, patience).is_ok_and(|ready| ready > 0)
    }
}

/// The same cable as the firmware wants to see it.
pub(super) struct Plug(pub(super) Arc<Wire>);

impl HidConnection for Plug {
    fn send(&mut self, report: &Report, _: UsbEndpoint) -> CtapResult<()> {
        self.0.send(report);
        Ok(())
    }

    fn recv(&mut self, report: &mut Report, timeout_ms: usize) -> CtapResult<RecvStatus> {
        match self.0.receive(Duration::from_millis(timeout_ms as u64)) {
            Arrival::Report(arrived) => {
                *report = arrived;
                Ok(RecvStatus::Received(UsbEndpoint::MainHid))
            }
            Arrival::Nothing => Ok(RecvStatus::Timeout),
            Arrival::Unplugged => Err(Ctap2StatusCode::CTAP2_ERR_VENDOR_HARDWARE_FAILURE),
        }
    }
}

//! The machine's `/dev/log`: what programs inside tell syslog, for a test to read.

#![forbid(unsafe_code)]

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One message to syslog.
#[derive(Clone, PartialEq, Eq)]
pub struct LogLine {
    /// 10 is AUTHPRIV.
    pub facility: u8,
    /// 3 error, 4 warning, 5 notice, 6 info.
    pub severity: u8,
    /// All the rest: time, program and message, as the program wrote them.
    pub text: String,
}

impl fmt::Debug for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{}.{}>{}", self.facility, self.severity, self.text)
    }
}

pub(super) struct Syslog {
    lines: Arc<Lines>,
    /// Ours, connected to the machine's, to say "up to here" and "enough"; one writes at a time.
    pen: Mutex<UnixDatagram>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Lines {
    read: Mutex<(Vec<LogLine>, u64)>,
    marked: Condvar,
}

/// No program says these: a NUL ends a message.
const UP_TO_HERE: &[u8] = b"\0up to here";
const ENOUGH: &[u8] = b"\0enough";

impl Syslog {
    pub(super) fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("/dev/log of the machine");
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("open to all");
        let pen = UnixDatagram::unbound().expect("a socket");
        pen.connect(path).expect("/dev/log of the machine");
        let lines = Arc::new(Lines::default());
        let reader = thread::spawn({
            let lines = Arc::clone(&lines);
            move || lines.read_from(&socket)
        });
        Self {
            lines,
            pen: Mutex::new(pen),
            reader: Some(reader),
        }
    }

    /// All lines so far. A line that was sent before this call is among them.
    pub(super) fn lines(&self) -> Vec<LogLine> {
        let pen = self.pen.lock().unwrap_or_else(PoisonError::into_inner);
        let marks = self
            .lines
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1;
        pen.send(UP_TO_HERE).expect("/dev/log of the machine");
        let read = self
            .lines
            .read
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let patience = Duration::from_secs(10);
        let (read, _) = self
            .lines
            .marked
            .wait_timeout_while(read, patience, |(_, now)| *now <= marks)
            .unwrap_or_else(PoisonError::into_inner);
        read.0.clone()
    }
}

impl Lines {
    fn read_from(&self, socket: &UnixDatagram) {
        let mut datagram = vec![0; 64 * 1024];
        while let Ok(length) = socket.recv(&mut datagram) {
            let datagram = &datagram[..length];
            if datagram == ENOUGH {
                break;
            }
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if datagram == UP_TO_HERE {
                read.1 += 1;
                self.marked.notify_all();
            } else {
                read.0.push(parse(datagram));
            }
        }
    }
}

impl Drop for Syslog {
    fn drop(&mut self) {
        let _ = self
            .pen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .send(ENOUGH);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn parse(datagram: &[u8]) -> LogLine {
    let text = String::from_utf8_lossy(datagram);
    let text = text.trim_end_matches(['\0', '\n']);
    let head = text.strip_prefix('<').and_then(|rest| rest.split_once('>'));
    let parsed = head.and_then(|(number, rest)| Some((number.parse::<u8>().ok()?, rest)));
    // syslog(3): a message without a priority is user.notice.
    let (priority, text) = parsed.unwrap_or((13, text));
    LogLine {
        facility: priority >> 3,
        severity: priority & 7,
        text: text.to_owned(),
    }
}

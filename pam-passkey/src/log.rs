//! Log lines to AUTHPRIV, over a socket of our own.
//!
//! Never `syslog(3)` or a global logger: those belong to the host. A reader
//! that has stopped reading costs at most [`PATIENCE`], once; then this call
//! logs no more.
#![forbid(unsafe_code)]

use std::fmt;
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use ceremony::credential::{is_printable, printable};
use syslog::{Facility, LogFormat, Logger, LoggerBackend, Severity};

/// How long a stuck reader may hold a login up, in all.
const PATIENCE: Duration = Duration::from_millis(500);

/// The most characters of one line.
const LONGEST: usize = 900;

/// The way to the system's log; silent where there is none.
pub(crate) struct Log {
    logger: Option<Logger<LoggerBackend, Tag>>,
}

impl Log {
    /// Connects for one call of the module, under the name of its service.
    pub(crate) fn open(service: &str) -> Self {
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.set_write_timeout(Some(PATIENCE))?;
            socket.connect("/dev/log")?;
            Ok::<_, std::io::Error>(socket)
        };
        let tag = Tag(format!(
            "pam_passkey({}:auth)[{}]",
            printable(service, 32),
            std::process::id()
        ));
        Self {
            logger: connect()
                .ok()
                .map(|socket| Logger::new(LoggerBackend::Unix(socket), tag)),
        }
    }

    /// What an administrator may look for.
    pub(crate) fn info(&mut self, line: &str) {
        self.write(Severity::LOG_INFO, line);
    }

    /// What an administrator should know.
    pub(crate) fn notice(&mut self, line: &str) {
        self.write(Severity::LOG_NOTICE, line);
    }

    /// What an administrator should look into.
    pub(crate) fn warning(&mut self, line: &str) {
        self.write(Severity::LOG_WARNING, line);
    }

    /// What keeps people out until an administrator mends it.
    pub(crate) fn error(&mut self, line: &str) {
        self.write(Severity::LOG_ERR, line);
    }

    fn write(&mut self, severity: Severity, line: &str) {
        let Some(logger) = &mut self.logger else {
            return;
        };
        let sent = logger
            .formatter
            .format(&mut logger.backend, severity, harmless(line));
        if sent.is_err() {
            self.logger = None;
        }
    }
}

/// A line whose every part may come from a stranger, made fit for a log: one
/// line, nothing that moves a cursor. Quotes stay; they are ours.
fn harmless(line: &str) -> String {
    line.chars()
        .map(|c| if c == '"' || is_printable(c) { c } else { '?' })
        .take(LONGEST)
        .collect()
}

/// The format of `/dev/log`: priority, tag, text. No time: the crate's own
/// format writes UTC where readers take local time, and every reader stamps
/// the line itself.
#[derive(Clone)]
struct Tag(String);

impl<T: fmt::Display> LogFormat<T> for Tag {
    fn format<W: Write>(&self, w: &mut W, severity: Severity, line: T) -> syslog::Result<()> {
        let priority = Facility::LOG_AUTHPRIV as u8 | severity as u8;
        // One write, one datagram.
        write!(w, "<{priority}>{}: {line}", self.0).map_err(syslog::Error::Write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line_and_keeps_its_quotes() {
        assert_eq!(
            harmless("user \"al\nice\" said \u{1b}[2J \"blue key\" "),
            "user \"al?ice\" said ?[2J \"blue key\" "
        );
        assert_eq!(harmless("\u{202e}x\u{9b}y"), "?x?y");
    }

    #[test]
    fn a_line_is_bounded() {
        assert_eq!(harmless(&"x".repeat(LONGEST)).len(), LONGEST);
        assert_eq!(harmless(&"x".repeat(LONGEST + 1)).len(), LONGEST);
    }

    #[test]
    fn a_line_goes_to_authpriv() {
        let mut sent = Vec::new();
        Tag("pam_passkey(sudo:auth)[7]".into())
            .format(&mut sent, Severity::LOG_WARNING, "text")
            .unwrap();
        // 10 * 8 + 4 (RFC 5424 §6.2.1)
        assert_eq!(
            String::from_utf8(sent).unwrap(),
            "<84>pam_passkey(sudo:auth)[7]: text"
        );
    }

    #[test]
    fn a_reader_that_does_not_read_costs_its_patience_once() {
        let (ours, _never_read) = UnixDatagram::pair().unwrap();
        ours.set_write_timeout(Some(Duration::from_millis(1)))
            .unwrap();
        let mut log = Log {
            logger: Some(Logger::new(LoggerBackend::Unix(ours), Tag("t".into()))),
        };
        for _ in 0..100_000 {
            log.info(&"x".repeat(LONGEST));
            if log.logger.is_none() {
                return;
            }
        }
        panic!("the socket never filled up");
    }
}

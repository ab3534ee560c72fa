//! Asks for an account's password, through PAM and as the service `passkey`:
//! the proof a person gives who has no key yet.
#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use ceremony::account::Account;
use ceremony::credential::is_printable;
use nonstick::conv::{Conversation, Exchange};
use nonstick::items::Items;
use nonstick::{AuthnFlags, ErrorCode, PamShared, Transaction, TransactionBuilder};

use crate::failure::Failure;
use crate::key_name;
use crate::screen::Screen;
use crate::terminal::{self, Echo, NoLine};

/// The PAM service; where `/etc/pam.d/passkey` is missing, libpam takes
/// `/etc/pam.d/other`.
const SERVICE: &str = "passkey";

/// Asks for the password of `account` at the terminal that there has to be,
/// and lets PAM judge it; `again` is what to type to begin again.
pub(crate) fn ask(account: &Account, again: &str, screen: &mut Screen) -> Result<(), Failure> {
    screen.say(&format!(
        "{0} has no key yet; the password of {0} shows who is asking.",
        account.name
    ));
    let conversation = AtTheTerminal {
        screen: RefCell::new(screen),
        asked: Cell::new(false),
        unanswered: Cell::new(None),
    };
    // The transaction owns its conversation, so what went wrong in there is
    // told through a reference.
    judge(account, &conversation).map_err(|refused| match conversation.unanswered.get() {
        Some(why) => unanswered(account, why, again),
        None => refused.failure(account, again),
    })
}

/// The PAM transaction, straight through.
fn judge(account: &Account, conversation: &AtTheTerminal<'_>) -> Result<(), NotProven> {
    let mut transaction = TransactionBuilder::new_with_service(SERVICE)
        .username(account.name.as_str())
        .build(Lent(conversation))
        .map_err(NotProven::NoPam)?;
    // An empty password proves nothing.
    let flags = AuthnFlags::DISALLOW_NULL_AUTHTOK;
    transaction.authenticate(flags).map_err(|code| {
        if conversation.asked.get() {
            NotProven::Password(code)
        } else {
            NotProven::RefusedUnasked(code)
        }
    })?;
    // As root we would pass pam_rootok, and everybody passes pam_permit.
    if !conversation.asked.get() {
        return Err(NotProven::AcceptedUnasked);
    }
    transaction
        .account_management(flags)
        .map_err(NotProven::Account)?;
    // A module may change whom the transaction is about.
    let judged = transaction.items().user().map_err(NotProven::NoPam)?;
    if judged.as_deref() != Some(OsStr::new(account.name.as_str())) {
        return Err(NotProven::SomebodyElse);
    }
    Ok(())
}

/// Why the password did not prove anything.
#[derive(Debug)]
enum NotProven {
    NoPam(ErrorCode),
    Password(ErrorCode),
    /// PAM said no before anybody was asked for anything.
    RefusedUnasked(ErrorCode),
    /// PAM said yes before anybody was asked for anything.
    AcceptedUnasked,
    Account(ErrorCode),
    SomebodyElse,
}

impl NotProven {
    fn failure(&self, account: &Account, again: &str) -> Failure {
        let name = &account.name;
        match self {
            Self::Password(ErrorCode::AuthenticationError | ErrorCode::MaxTries) => Failure::new(
                format!("that is not the password of {name}, or {name} has none"),
                format!(
                    "run again: {again}; or enrol from a root shell of its own (su -, or a login \
                     as root), which is not asked: passkey enroll --user {}",
                    key_name::quoted_if_need_be(name.as_str())
                ),
            ),
            Self::NoPam(code) | Self::Password(code) | Self::RefusedUnasked(code) => Failure::new(
                format!("PAM could not check the password of {name}: {code}"),
                "see the system's log, and /etc/pam.d/passkey (or /etc/pam.d/other without it)",
            ),
            Self::AcceptedUnasked => Failure::new(
                format!("PAM was content without asking for the password of {name}"),
                "take what needs none (pam_rootok, pam_permit) out of the auth lines of \
                 /etc/pam.d/passkey (or /etc/pam.d/other without it)",
            ),
            Self::Account(ErrorCode::NewAuthTokRequired) => Failure::new(
                format!("the password of {name} has expired"),
                "change it with `passwd` and try again",
            ),
            Self::Account(code) => Failure::new(
                format!("the account {name} may not be used: {code}"),
                "see why with: chage -l and the system's log",
            ),
            Self::SomebodyElse => Failure::new(
                format!("PAM judged the password of another account than {name}"),
                "no module in /etc/pam.d/passkey may change the user name; correct that file",
            ),
        }
    }
}

fn unanswered(account: &Account, why: NoLine, again: &str) -> Failure {
    let password = format!("the password of {}", account.name);
    match why {
        NoLine::Interrupted => Failure::new(
            format!("{password} was not given"),
            format!("nothing was written; start again with: {again}"),
        ),
        NoLine::EndOfInput => Failure::new(
            format!("the terminal ended before {password} was typed"),
            format!("run it in a terminal: {again}"),
        ),
        NoLine::TooLong => Failure::new(
            format!("{password} cannot be longer than 511 bytes here, or contain a NUL"),
            format!("try again: {again}"),
        ),
        NoLine::System(problem) => Failure::new(
            format!("{password} could not be read: {}", problem.desc()),
            format!("run it in another terminal: {again}"),
        ),
    }
}

/// PAM's questions, asked at the terminal.
struct AtTheTerminal<'s> {
    screen: RefCell<&'s mut Screen>,
    /// Whether PAM asked for anything, or said what it waits for: a
    /// fingerprint is asked for without a question.
    asked: Cell<bool>,
    /// Why a question stayed without an answer; PAM's own code for it says
    /// less.
    unanswered: Cell<Option<NoLine>>,
}

impl AtTheTerminal<'_> {
    fn answer(&self, question: &OsStr, echo: Echo) -> nonstick::Result<OsString> {
        self.asked.set(true);
        let ask = || self.screen.borrow_mut().ask(&shown(question));
        let answer = match terminal::read_line(ask, echo) {
            // No C string, so no answer to libpam; the binding would panic.
            Ok(line) if line.contains(&0) => Err(NoLine::TooLong),
            other => other,
        };
        answer.map(OsString::from_vec).map_err(|why| {
            // Only a line's own end ends the question's line.
            self.screen.borrow_mut().say("");
            self.unanswered.set(Some(why));
            ErrorCode::ConversationError
        })
    }

    fn say(&self, text: &OsStr) {
        self.asked.set(true);
        self.screen.borrow_mut().say(&shown(text));
    }
}

/// The conversation as a transaction may own it.
struct Lent<'c, 's>(&'c AtTheTerminal<'s>);

impl Conversation for Lent<'_, '_> {
    fn communicate(&self, messages: &[Exchange<'_>]) {
        for message in messages {
            match message {
                Exchange::MaskedPrompt(asked) => {
                    asked.set_answer(self.0.answer(asked.question(), Echo::Off));
                }
                Exchange::Prompt(asked) => {
                    asked.set_answer(self.0.answer(asked.question(), Echo::On));
                }
                Exchange::Error(told) => {
                    self.0.say(told.question());
                    told.set_answer(Ok(()));
                }
                Exchange::Info(told) => {
                    self.0.say(told.question());
                    told.set_answer(Ok(()));
                }
                other => other.set_error(ErrorCode::ConversationError),
            }
        }
    }
}

/// A module's text as it may be shown: quotes and line ends are its right, a
/// cursor's movements are not.
fn shown(text: &OsStr) -> String {
    text.to_string_lossy()
        .chars()
        .map(|c| {
            if is_printable(c) || matches!(c, '"' | '\n') {
                c
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use ceremony::account::UserName;

    use super::*;

    fn alice() -> Account {
        Account {
            name: UserName::parse("alice").unwrap(),
            uid: 1000,
        }
    }

    #[test]
    fn a_modules_text_cannot_move_the_cursor() {
        assert_eq!(shown(OsStr::new("Password: ")), "Password: ");
        assert_eq!(shown(OsStr::new("\"a\"\n\u{1b}[2Jb")), "\"a\"\n?[2Jb");
    }

    #[test]
    fn a_wrong_password_and_a_barred_account_are_told_apart() {
        let wrong = NotProven::Password(ErrorCode::AuthenticationError)
            .failure(&alice(), "sudo passkey enroll");
        assert!(wrong.to_string().contains("not the password of alice"));
        let expired =
            NotProven::Account(ErrorCode::AccountExpired).failure(&alice(), "sudo passkey enroll");
        assert!(expired.to_string().contains("may not be used"));
    }
}

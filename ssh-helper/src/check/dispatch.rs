//! How libpam goes through a stack: the machine of `_pam_dispatch_aux`, with
//! answers that are given to it instead of modules that are called.
//!
//! It carries two things from line to line: an *impression*, which is nothing
//! at first and then good or bad, and a *status*, the code that it stands for.
//! An answer makes of them what the line's control says:
//!
//! - *ok* makes a first or a good impression good, and takes the answer for the
//!   status unless that is an error already; *done* also ends the stack, but
//!   only where the impression is good;
//! - *bad* makes the impression bad for good, with the first such answer for
//!   the status; *die* also ends the stack, always;
//! - *ignore* does nothing, *reset* goes back to what was when this stack began;
//! - a jump passes over lines, and does nothing else. One that reaches behind
//!   the end of its stack is bad.
//!
//! A substack is a stack of its own as far as *end*, *reset* and jumps go, and
//! one line for the stack around it; the impression is the same one.
//! At the end the status counts, and success only with a good impression: a
//! stack of which nothing but ignored answers came fails with `perm_denied`.
#![forbid(unsafe_code)]

use std::collections::{BTreeSet, HashSet};

use super::code::Code;
use super::control::Action;
use super::stack::{Handler, Work};

/// The most states that are looked at before the outcome counts as unknown.
const MOST_STATES: usize = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Impression {
    Undefined,
    Good,
    Bad,
}

/// What is carried from line to line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Standing {
    impression: Impression,
    status: Code,
}

/// What libpam answers where nothing else can be said.
const MUST_FAIL: Code = Code::PERM_DENIED;

/// Somewhere on the way through a stack.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Walk {
    /// The line that is next.
    at: usize,
    /// The level of the line before.
    level_before: usize,
    now: Standing,
    /// What was when each level began.
    begun: Vec<Standing>,
    /// A module wants to be called again: libpam breaks off.
    incomplete: bool,
}

impl Walk {
    fn begin() -> Self {
        let now = Standing {
            impression: Impression::Undefined,
            status: MUST_FAIL,
        };
        Self {
            at: 0,
            level_before: 0,
            now,
            begun: vec![now],
            incomplete: false,
        }
    }

    /// The next line that answers; none at the end.
    fn next<'s>(&mut self, stack: &'s [Handler]) -> Option<&'s Handler> {
        while !self.incomplete {
            let handler = stack.get(self.at)?;
            if self.level_before < handler.level {
                self.begun.truncate(handler.level);
                self.begun.resize(handler.level + 1, self.now);
            }
            if handler.work != Work::Substack {
                return Some(handler);
            }
            self.level_before = handler.level;
            self.at += 1;
        }
        None
    }

    /// Goes on from `handler`, the next line, with its answer.
    fn take(&mut self, stack: &[Handler], handler: &Handler, answer: Code) {
        if answer == Code::INCOMPLETE {
            self.incomplete = true;
            return;
        }
        let level = handler.level;
        match handler.control.action(answer) {
            Action::Ignore => {}
            Action::Reset => {
                if let Some(begun) = self.begun.get(level) {
                    self.now = *begun;
                }
            }
            action @ (Action::Ok | Action::Done) => {
                let first = self.now.impression == Impression::Undefined;
                let good = self.now.impression == Impression::Good;
                if first || (good && self.now.status == Code::SUCCESS) {
                    self.now = Standing {
                        impression: Impression::Good,
                        status: answer,
                    };
                }
                if action == Action::Done && self.now.impression == Impression::Good {
                    self.end(stack, level);
                }
            }
            action @ (Action::Bad | Action::Die) => {
                if self.now.impression != Impression::Bad {
                    self.fail(match answer {
                        Code::IGNORE => MUST_FAIL,
                        answer => answer,
                    });
                }
                if action == Action::Die {
                    self.end(stack, level);
                }
            }
            Action::Jump(lines) => match landing(stack, self.at, lines) {
                Ok(at) => self.at = at,
                Err(at) => {
                    self.at = at;
                    self.fail(MUST_FAIL);
                }
            },
        }
        self.level_before = level;
        self.at += 1;
    }

    fn fail(&mut self, status: Code) {
        self.now = Standing {
            impression: Impression::Bad,
            status,
        };
    }

    /// Passes over what is left of this level.
    fn end(&mut self, stack: &[Handler], level: usize) {
        self.at = last_of(stack, self.at, level);
    }

    /// What `pam_authenticate` answers.
    fn outcome(&self) -> Code {
        match self.now {
            _ if self.incomplete => Code::INCOMPLETE,
            Standing {
                impression: Impression::Undefined | Impression::Bad,
                status: Code::SUCCESS,
            } => MUST_FAIL,
            Standing { status, .. } => status,
        }
    }
}

fn level_of(stack: &[Handler], at: usize) -> Option<usize> {
    stack.get(at).map(|handler| handler.level)
}

/// The last line from `at` on that is of this level or of one within it.
fn last_of(stack: &[Handler], mut at: usize, level: usize) -> usize {
    while level_of(stack, at + 1).is_some_and(|next| next >= level) {
        at += 1;
    }
    at
}

/// The last line that a jump from `at` passes over; `Err` where its stack has
/// fewer lines.
pub(super) fn landing(stack: &[Handler], mut at: usize, lines: u32) -> Result<usize, usize> {
    let level = level_of(stack, at).unwrap_or(0);
    let mut left = lines;
    while left > 0 && level_of(stack, at + 1).is_some_and(|next| next >= level) {
        at += 1;
        while level_of(stack, at + 1).is_some_and(|next| next > level) {
            at += 1;
        }
        left -= 1;
    }
    if left == 0 { Ok(at) } else { Err(at) }
}

/// The lines that are passed over once `stack`'s line `at` has answered.
pub(super) fn passed_over(stack: &[Handler], at: usize, answer: Code) -> Vec<&Handler> {
    let Some(handler) = stack.get(at) else {
        return Vec::new();
    };
    let last = match handler.control.action(answer) {
        Action::Done | Action::Die => last_of(stack, at, handler.level),
        Action::Jump(lines) => landing(stack, at, lines).unwrap_or(at),
        Action::Ignore | Action::Ok | Action::Bad | Action::Reset => at,
    };
    stack
        .get(at + 1..=last)
        .into_iter()
        .flatten()
        .filter(|handler| handler.work != Work::Substack)
        .collect()
}

/// Everything that can come of `stack`, where each line may give any of the
/// `answers` that are said of it. `None` where those are too many to look at.
pub(super) fn outcomes(
    stack: &[Handler],
    answers: &mut dyn FnMut(usize, &Handler) -> Vec<Code>,
) -> Option<BTreeSet<Code>> {
    let mut outcomes = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut walks = vec![Walk::begin()];
    while let Some(mut walk) = walks.pop() {
        let Some(handler) = walk.next(stack) else {
            outcomes.insert(walk.outcome());
            continue;
        };
        if seen.len() >= MOST_STATES {
            return None;
        }
        if !seen.insert(walk.clone()) {
            continue;
        }
        let answers = match handler.work {
            Work::MustFail | Work::Substack => vec![MUST_FAIL],
            Work::Module { .. } => answers(walk.at, handler),
        };
        for answer in answers {
            let mut walk = walk.clone();
            walk.take(stack, handler, answer);
            walks.push(walk);
        }
    }
    Some(outcomes)
}

#[cfg(test)]
mod tests {
    use super::super::loading::written::Written;
    use super::super::stack::Stack;
    use super::*;

    /// Runs a stack whose modules are called after what they answer.
    fn run(files: &[(&str, &str)]) -> Code {
        let files = [files, &[("other", "")]].concat();
        let stack = Stack::of_service(&Written::new(&files), "sudo");
        assert!(!stack.given_up);
        let answers = outcomes(&stack.handlers, &mut |_, handler| {
            vec![Code::named(handler.module().unwrap()).unwrap()]
        });
        let answers: Vec<_> = answers.unwrap().into_iter().collect();
        assert_eq!(answers.len(), 1);
        answers[0]
    }

    #[track_caller]
    fn assert_ends(sudo: &str, code: Code) {
        let lines: Vec<String> = sudo.split(" / ").map(|it| format!("auth {it}")).collect();
        assert_eq!(run(&[("sudo", &lines.join("\n"))]), code, "{sudo}");
    }

    #[test]
    fn the_words_do_what_pam_conf_says() {
        assert_ends("required success", Code::SUCCESS);
        assert_ends("required auth_err / required success", Code::AUTH_ERR);
        assert_ends("requisite auth_err / sufficient success", Code::AUTH_ERR);
        assert_ends("required auth_err / required maxtries", Code::AUTH_ERR);
        assert_ends("sufficient success / requisite auth_err", Code::SUCCESS);
        assert_ends("sufficient auth_err / required success", Code::SUCCESS);
        // a failure before is not mended
        assert_ends("required auth_err / sufficient success", Code::AUTH_ERR);
        assert_ends("optional success", Code::SUCCESS);
        assert_ends("required new_authtok_reqd", Code::NEW_AUTHTOK_REQD);
    }

    #[test]
    fn a_stack_of_ignored_answers_fails() {
        for stack in [
            "required ignore",
            "optional auth_err",
            "sufficient auth_err",
            "[default=ignore] success",
            "[default=1] success / required auth_err",
        ] {
            assert_ends(stack, Code::PERM_DENIED);
        }
        assert_eq!(run(&[("sudo", "")]), Code::PERM_DENIED);
    }

    #[test]
    fn ok_does_not_take_an_error_back_and_done_ends_only_what_is_good() {
        assert_ends("[default=ok] auth_err / required success", Code::AUTH_ERR);
        assert_ends("[default=ok] ignore", Code::IGNORE);
        // a good impression with an error for its status still ends at "done"
        assert_ends(
            "[default=ok] auth_err / [default=done] success / required maxtries",
            Code::AUTH_ERR,
        );
        // ... and a bad one does not
        assert_ends(
            "[default=bad] ignore / [default=done] success / [default=reset] success / \
             required success",
            Code::SUCCESS,
        );
        assert_ends("[default=die] ignore", Code::PERM_DENIED);
    }

    #[test]
    fn a_jump_passes_over_lines_and_does_nothing_else() {
        let unix = "[success=1 default=ignore] success / requisite auth_err / required success";
        assert_ends(unix, Code::SUCCESS);
        assert_ends(
            "required success / [success=1] success / required auth_err",
            Code::SUCCESS,
        );
        // that was to the end; one line more is behind it
        assert_ends(
            "required success / [success=2] success / required auth_err",
            Code::PERM_DENIED,
        );
        assert_ends("sufficient success / [success=9] success", Code::SUCCESS);
    }

    #[test]
    fn a_substack_is_one_line_for_a_jump_and_ends_alone() {
        let sub = ("sub", "auth sufficient success\nauth required auth_err\n");
        let over = "auth [success=1] success\nauth substack sub\nauth required maxtries\n";
        assert_eq!(run(&[("sudo", over), sub]), Code::MAXTRIES);
        let through = "auth substack sub\nauth required maxtries\n";
        assert_eq!(run(&[("sudo", through), sub]), Code::MAXTRIES);
        // an included line is one of the stack's own
        let include = "auth include sub\nauth required maxtries\n";
        assert_eq!(run(&[("sudo", include), sub]), Code::SUCCESS);
        let dies = ("dies", "auth requisite auth_err\n");
        let goes_on = "auth substack dies\nauth [default=reset] success\nauth required success\n";
        assert_eq!(run(&[("sudo", goes_on), dies]), Code::SUCCESS);
        let resets = (
            "resets",
            "auth required maxtries\nauth [default=reset] success\n",
        );
        let kept = "auth required auth_err\nauth substack resets\n";
        assert_eq!(run(&[("sudo", kept), resets]), Code::AUTH_ERR);
        let behind = ("behind", "auth [success=1] success\n");
        let jumps = "auth substack behind\nauth sufficient success\nauth required success\n";
        assert_eq!(run(&[("sudo", jumps), behind]), Code::PERM_DENIED);
    }

    #[test]
    fn a_module_that_wants_to_be_called_again_breaks_off() {
        assert_ends("required incomplete / required success", Code::INCOMPLETE);
    }

    #[test]
    fn every_answer_that_may_come_is_followed() {
        let text = "auth sufficient any\nauth required deny\n";
        let files = Written::new(&[("sudo", text), ("other", "")]);
        let stack = Stack::of_service(&files, "sudo");
        let all = outcomes(&stack.handlers, &mut |at, _| match at {
            0 => vec![Code::SUCCESS, Code::IGNORE],
            _ => vec![Code::AUTH_ERR],
        });
        let expected = BTreeSet::from([Code::SUCCESS, Code::AUTH_ERR]);
        assert_eq!(all, Some(expected));
    }

    #[test]
    fn noise_is_read_and_run_without_a_panic() {
        const PIECES: [&str; 24] = [
            "auth",
            "-auth",
            "session",
            "@include",
            "include",
            "substack",
            "sudo",
            "sub",
            "[",
            "]",
            "success=",
            "default=",
            "99999999999",
            "ok",
            "done",
            "2",
            "\\",
            "#",
            "\n",
            "\n",
            "\t",
            " ",
            "required",
            "/x.so",
        ];
        let mut number = 7_u32;
        let mut noise = || {
            let mut text = String::new();
            for _ in 0..80 {
                number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                text.push_str(PIECES[(number >> 16) as usize % PIECES.len()]);
                text.push_str(if number >> 31 == 0 { " " } else { "" });
            }
            text
        };
        let mut lines = 0;
        for _ in 0..300 {
            let (sudo, sub) = (noise(), noise());
            let files = Written::new(&[("sudo", &sudo), ("sub", &sub), ("other", "")]);
            let stack = Stack::of_service(&files, "sudo");
            lines += stack.handlers.len();
            for at in 0..stack.handlers.len() {
                passed_over(&stack.handlers, at, Code::SUCCESS);
            }
            let both = &mut |_, _: &Handler| vec![Code::SUCCESS, Code::AUTH_ERR];
            outcomes(&stack.handlers, both);
        }
        assert!(lines > 300, "{lines}");
    }

    #[test]
    fn what_is_too_much_to_follow_is_said_to_be() {
        let text = "auth required any\nauth substack sub\n".repeat(40);
        let many = "auth [success=2 ignore=3 default=ok] any\n".repeat(40);
        let files = Written::new(&[("sudo", &text), ("sub", &many), ("other", "")]);
        let stack = Stack::of_service(&files, "sudo");
        let all = outcomes(&stack.handlers, &mut |_, _| Code::all().collect());
        assert_eq!(all, None);
    }
}

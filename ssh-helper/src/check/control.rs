//! The second field of a line in `/etc/pam.d`: what becomes of each answer of
//! the module (`_pam_parse_control`).
#![forbid(unsafe_code)]

use super::code::Code;

/// What an answer does to the stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing.
    Ignore,
    /// Counts, unless something has failed before.
    Ok,
    /// The same, and ends the stack.
    Done,
    /// Fails the stack.
    Bad,
    /// The same, and ends it.
    Die,
    /// Forgets what came before in this stack.
    Reset,
    /// Passes over so many lines.
    Jump(u32),
}

/// An action for every code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Control {
    actions: [Action; Code::COUNT],
    /// Why libpam does not understand the field; then every answer is bad.
    pub(super) fault: Option<&'static str>,
}

impl Control {
    /// Every answer is bad.
    pub(super) const ALL_BAD: Self = Self {
        actions: [Action::Bad; Code::COUNT],
        fault: None,
    };

    /// What becomes of `code`.
    pub(super) fn action(&self, code: Code) -> Action {
        self.actions
            .get(code.index())
            .copied()
            .unwrap_or(Action::Bad)
    }

    /// The greatest jump in it.
    pub(super) fn longest_jump(&self) -> Option<u32> {
        let jumps = self.actions.iter().filter_map(|action| match action {
            Action::Jump(lines) => Some(*lines),
            _ => None,
        });
        jumps.max()
    }

    /// Reads the field: one of four words, or what stood between brackets.
    pub(super) fn parse(field: &str) -> Self {
        let (success, otherwise) = match field.to_ascii_lowercase().as_str() {
            "required" => (Action::Ok, Action::Bad),
            "requisite" => (Action::Ok, Action::Die),
            "optional" => (Action::Ok, Action::Ignore),
            "sufficient" => (Action::Done, Action::Ignore),
            _ => return Self::of_pairs(field),
        };
        let mut actions = [otherwise; Code::COUNT];
        let mut set = |code: Code, action| {
            if let Some(place) = actions.get_mut(code.index()) {
                *place = action;
            }
        };
        set(Code::SUCCESS, success);
        set(Code::NEW_AUTHTOK_REQD, success);
        // "optional" and "sufficient" ignore it among the others.
        set(Code::IGNORE, Action::Ignore);
        Self {
            actions,
            fault: None,
        }
    }

    /// `success=ok new_authtok_reqd=2 default=bad`. As libpam reads it: a word
    /// ends where the one it begins with does, blank or not.
    fn of_pairs(field: &str) -> Self {
        let mut actions = [None; Code::COUNT];
        let mut rest = field.trim_start_matches(is_space);
        while !rest.is_empty() {
            match pair(rest) {
                Ok((returned, action, left)) => {
                    match returned {
                        Returned::Code(code) => {
                            if let Some(place) = actions.get_mut(code.index()) {
                                *place = Some(action);
                            }
                        }
                        Returned::Default => set_the_unset(&mut actions, action),
                    }
                    rest = left.trim_start_matches(is_space);
                }
                Err(fault) => {
                    return Self {
                        fault: Some(fault),
                        ..Self::ALL_BAD
                    };
                }
            }
        }
        set_the_unset(&mut actions, Action::Bad);
        Self {
            actions: actions.map(|action| action.unwrap_or(Action::Bad)),
            fault: None,
        }
    }
}

/// `default` is for what has no action yet; what comes after it still counts.
fn set_the_unset(actions: &mut [Option<Action>], action: Action) {
    for unset in actions.iter_mut().filter(|action| action.is_none()) {
        *unset = Some(action);
    }
}

enum Returned {
    Code(Code),
    Default,
}

/// One `value=action` at the beginning of `text`, and what is left.
fn pair(text: &str) -> Result<(Returned, Action, &str), &'static str> {
    let codes = Code::all().map(|code| (code.word(), Returned::Code(code)));
    let (returned, text) = codes
        .chain([("default", Returned::Default)])
        .find_map(|(word, returned)| Some((returned, text.strip_prefix(word)?)))
        .filter(|(_, rest)| !rest.is_empty())
        .ok_or("no such return value")?;
    let text = text
        .trim_start_matches(is_space)
        .strip_prefix('=')
        .ok_or("\"=\" is missing")?
        .trim_start_matches(is_space);
    if text.is_empty() {
        return Err("an action is missing");
    }
    let words = [
        ("ignore", Action::Ignore),
        ("ok", Action::Ok),
        ("done", Action::Done),
        ("bad", Action::Bad),
        ("die", Action::Die),
        ("reset", Action::Reset),
    ];
    let named = words
        .into_iter()
        .find_map(|(word, action)| Some((action, text.strip_prefix(word)?)));
    if let Some((action, rest)) = named {
        return Ok((returned, action, rest));
    }
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = text.strip_suffix(rest).unwrap_or_default();
    if digits.is_empty() {
        return Err("no such action");
    }
    match digits.parse().unwrap_or(u32::MAX) {
        0 => Err("a jump over no line; \"ignore\" is the word for that"),
        lines => Ok((returned, Action::Jump(lines), rest)),
    }
}

/// C's `isspace`.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(field: &str, codes: [Code; 3]) -> [Action; 3] {
        let control = Control::parse(field);
        assert_eq!(control.fault, None, "{field}");
        codes.map(|code| control.action(code))
    }

    #[test]
    fn the_four_words_mean_what_pam_conf_says() {
        let codes = [Code::SUCCESS, Code::AUTH_ERR, Code::IGNORE];
        for (word, meaning) in [
            ("required", [Action::Ok, Action::Bad, Action::Ignore]),
            ("Requisite", [Action::Ok, Action::Die, Action::Ignore]),
            ("SUFFICIENT", [Action::Done, Action::Ignore, Action::Ignore]),
            ("optional", [Action::Ok, Action::Ignore, Action::Ignore]),
        ] {
            assert_eq!(actions(word, codes), meaning, "{word}");
            let new_password = Control::parse(word).action(Code::NEW_AUTHTOK_REQD);
            assert_eq!(new_password, meaning[0], "{word}");
        }
    }

    #[test]
    fn pairs_are_read_as_libpam_does() {
        let codes = [Code::SUCCESS, Code::AUTH_ERR, Code::IGNORE];
        for (field, meaning) in [
            (
                "success=done abort=die default=ignore",
                [Action::Done, Action::Ignore, Action::Ignore],
            ),
            ("", [Action::Bad; 3]),
            ("success=ok", [Action::Ok, Action::Bad, Action::Bad]),
            // no blank is needed, and any may stand around "="
            (
                "success = 12auth_err=reset\tignore\u{b}=die ",
                [Action::Jump(12), Action::Reset, Action::Die],
            ),
            // what comes after "default" still counts; a second one does not
            (
                "default=ignore success=ok default=die",
                [Action::Ok, Action::Ignore, Action::Ignore],
            ),
        ] {
            assert_eq!(actions(field, codes), meaning, "{field:?}");
        }
    }

    #[test]
    fn what_libpam_does_not_understand_is_bad_altogether() {
        for field in [
            "sucess=ok",
            "success",
            "success=",
            "success:ok",
            "success=okay",
            "success=0",
            "success=-1",
            "=ok",
            "success=ok bogus",
            "Success=ok",
            "require",
        ] {
            let control = Control::parse(field);
            assert!(control.fault.is_some(), "{field}");
            assert_eq!(control.action(Code::SUCCESS), Action::Bad, "{field}");
        }
    }

    #[test]
    fn the_longest_jump_is_known() {
        let control = Control::parse("success=1 auth_err=3 default=ignore");
        assert_eq!(control.longest_jump(), Some(3));
        assert_eq!(Control::parse("required").longest_jump(), None);
    }
}

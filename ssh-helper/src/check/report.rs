//! What `passkey check` answers: for a person in four sections, for a program as
//! four lists.
#![forbid(unsafe_code)]

use serde::Serialize;

use super::enabling::Told;
use super::finding::{Finding, Id, Severity};
use super::verdict::WayIn;
use crate::entry::columns;
use crate::ink::Ink;
use crate::screen::Report;

/// All that was looked at, and all that was found.
#[derive(Debug, Default, Serialize)]
pub(super) struct Checked {
    /// As if this profile were enabled; null where the machine was looked at as it is.
    pub(super) enabling: Option<Told>,
    pub(super) files: Vec<LookedAt>,
    pub(super) keys: Vec<PluggedIn>,
    pub(super) services: Vec<Row>,
    pub(super) findings: Vec<Finding>,
}

/// A file of ours.
#[derive(Debug, Serialize)]
pub(super) struct LookedAt {
    pub(super) path: String,
    /// `good`, `missing`, `faulty` or `unseen`.
    pub(super) state: &'static str,
    /// What is in it, or what is wrong with it.
    pub(super) says: String,
}

/// A key that is plugged in.
#[derive(Debug, Serialize)]
pub(super) struct PluggedIn {
    pub(super) node: String,
    pub(super) product: String,
    pub(super) accessible: bool,
    pub(super) says: String,
}

/// What lets a person in through a service.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) service: String,
    pub(super) user: String,
    pub(super) way_in: WayIn,
    pub(super) because: String,
}

impl Checked {
    fn count(&self, severity: Severity) -> usize {
        let these = self.findings.iter();
        these
            .filter(|finding| finding.id.severity() == severity)
            .count()
    }

    /// Whether something must be mended; before a profile is enabled, what would lock
    /// somebody out.
    pub(super) fn is_to_be_mended(&self) -> bool {
        match &self.enabling {
            Some(told) => told.locks_out,
            None => self.count(Severity::Error) + self.count(Severity::Warning) > 0,
        }
    }

    fn closing_line(&self, ink: Ink) -> String {
        let counted = |severity: Severity| match self.count(severity) {
            0 => None,
            1 => Some(format!("1 {}", severity.as_str())),
            many => Some(format!("{many} {}s", severity.as_str())),
        };
        let counts: Vec<String> = [Severity::Error, Severity::Warning]
            .into_iter()
            .filter_map(counted)
            .collect();
        match (counts.is_empty(), self.count(Severity::Error)) {
            (true, _) if self.is_blind_in_part() => {
                ink.warning("Nothing to mend was found; what could not be judged stands above.")
            }
            (true, _) => ink.good("Nothing to mend."),
            (false, 0) => ink.warning(&format!("{}.", counts.join(", "))),
            (false, _) => ink.bad(&format!("{}.", counts.join(", "))),
        }
    }

    /// Whether something may be wrong that nobody could see from here.
    fn is_blind_in_part(&self) -> bool {
        let blind = |finding: &Finding| matches!(finding.id, Id::Unclear | Id::Unseen);
        self.findings.iter().any(blind)
    }

    /// The table's rows: who gets in alike stands in one of them.
    fn rows(&self) -> Vec<(String, String, String)> {
        const SHOWN: usize = 4;
        let mut rows: Vec<(&Row, Vec<&str>)> = Vec::new();
        for row in &self.services {
            let same = rows
                .iter_mut()
                .find(|(first, _)| (&first.service, first.way_in) == (&row.service, row.way_in));
            match same {
                Some((_, users)) => users.push(&row.user),
                None => rows.push((row, vec![&row.user])),
            }
        }
        let row = |(row, users): (&Row, Vec<&str>)| {
            let shown: Vec<&str> = users.iter().copied().take(SHOWN).collect();
            let more = match users.len().saturating_sub(SHOWN) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let users = format!("{}{more}", shown.join(", "));
            (row.service.clone(), users, row.way_in.as_str().to_owned())
        };
        rows.into_iter().map(row).collect()
    }
}

impl Report for Checked {
    fn lines(&self, ink: Ink) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(told) = &self.enabling {
            let profile = told.profile;
            lines.push(format!(
                "As if the profile {profile} were enabled; nothing is changed."
            ));
            lines.push(String::new());
        }
        lines.push(ink.heading("Files"));
        lines.extend(self.files.iter().map(|file| {
            let state = match file.state {
                "good" => ink.good("good"),
                "unseen" => "unseen".to_owned(),
                other => ink.warning(other),
            };
            format!("  {}: {state}{}", file.path, and(&file.says))
        }));
        lines.extend([String::new(), ink.heading("Keys")]);
        if self.keys.is_empty() {
            lines.push("  none plugged in".to_owned());
        }
        lines.extend(self.keys.iter().map(|key| {
            let state = if key.accessible {
                ink.good("can be used")
            } else {
                ink.warning("cannot be used")
            };
            let name = if key.product.is_empty() {
                key.node.clone()
            } else {
                format!("\"{}\" ({})", key.product, key.node)
            };
            format!("  {name}: {state}{}", and(&key.says))
        }));
        lines.extend([String::new(), ink.heading("Services")]);
        let rows = self.rows();
        let rows: Vec<[&str; 3]> = rows
            .iter()
            .map(|(service, user, way_in)| [service.as_str(), user, way_in])
            .collect();
        if rows.is_empty() {
            lines.push("  none asks for a key".to_owned());
        }
        let table = columns(["SERVICE", "USER", "WAY IN"], &rows, ink);
        lines.extend(table.iter().map(|line| format!("  {line}")));
        if !self.findings.is_empty() {
            lines.extend([String::new(), ink.heading("Findings")]);
        }
        for finding in &self.findings {
            let (severity, id) = (finding.id.severity(), finding.id.name());
            let word = match severity {
                Severity::Error => ink.bad("error"),
                Severity::Warning => ink.warning("warning"),
                Severity::Note => "note".to_owned(),
            };
            lines.push(format!("  {word} {id}: {}", finding.what));
            lines.push(format!("    {}", finding.id.why()));
            if !finding.try_this.is_empty() {
                lines.push(format!("    Try: {}", finding.try_this));
            }
        }
        lines.extend([String::new(), self.closing_line(ink)]);
        if let Some(told) = &self.enabling {
            let profile = told.profile;
            lines.push(if told.locks_out {
                ink.bad(&format!(
                    "Do not enable {profile} yet: first mend what is called error or not-enrolled \
                     above."
                ))
            } else {
                format!("To enable {profile}, as root: {}", told.command)
            });
        }
        lines
    }
}

fn and(says: &str) -> String {
    if says.is_empty() {
        String::new()
    } else {
        format!(", {says}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(user: &str, way_in: WayIn) -> Row {
        Row {
            service: "sudo".to_owned(),
            user: user.to_owned(),
            way_in,
            because: String::new(),
        }
    }

    #[test]
    fn the_closing_line_counts_what_must_be_mended() {
        let closing = |ids: &[Id]| {
            let findings = ids.iter().map(|id| Finding::new(*id, "", "")).collect();
            let checked = Checked {
                findings,
                ..Checked::default()
            };
            (checked.closing_line(Ink::None), checked.is_to_be_mended())
        };
        assert_eq!(closing(&[]), ("Nothing to mend.".into(), false));
        assert_eq!(closing(&[Id::NotInUse]), ("Nothing to mend.".into(), false));
        let in_part = "Nothing to mend was found; what could not be judged stands above.";
        for blind in [Id::Unseen, Id::Unclear] {
            assert_eq!(closing(&[blind]), (in_part.into(), false));
        }
        assert_eq!(closing(&[Id::OneKeyOnly]), ("1 warning.".into(), true));
        assert_eq!(
            closing(&[Id::LockedOut, Id::OneKeyOnly, Id::NothingNeeded]),
            ("2 errors, 1 warning.".into(), true)
        );
    }

    #[test]
    fn who_gets_in_alike_stands_in_one_row() {
        let users = ["a", "b", "c", "d", "e", "f"];
        let mut services: Vec<Row> = users.map(|user| row(user, WayIn::Key)).into();
        services.insert(1, row("x", WayIn::Password));
        let checked = Checked {
            services,
            ..Checked::default()
        };
        let rows = checked.rows();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].1, "a, b, c, d and 2 more");
        let lines = checked.lines(Ink::None).join("\n");
        assert!(
            lines.contains("  SERVICE  USER                   WAY IN\n"),
            "{lines}"
        );
    }
}

//! Colour, where there is any. It never carries meaning alone: what is red says
//! in words what is wrong.
#![forbid(unsafe_code)]

use anstyle::{AnsiColor, Style};

/// What results are written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ink {
    /// Letters as the terminal has them; for files, pipes and `NO_COLOR`.
    None,
    /// The terminal's own colours.
    Colours,
}

impl Ink {
    /// All is well.
    pub(crate) fn good(self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    /// Worth a look.
    pub(crate) fn warning(self, text: &str) -> String {
        self.paint(AnsiColor::Yellow.on_default(), text)
    }

    /// Something must be done.
    pub(crate) fn bad(self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default().bold(), text)
    }

    /// A heading.
    pub(crate) fn heading(self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    fn paint(self, style: Style, text: &str) -> String {
        match self {
            Self::None => text.to_owned(),
            Self::Colours => format!("{style}{text}{style:#}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_colour_the_words_are_all_there_is() {
        assert_eq!(Ink::None.bad("error"), "error");
        let red = Ink::Colours.bad("error");
        assert!(
            red.contains("error") && red.ends_with("\u{1b}[0m"),
            "{red:?}"
        );
    }
}

//! Which language the person reads, and what the sentences are in it.
//!
//! The host's environment names it, as gettext(3) has it. That is the caller's
//! word, and the caller may be up to something: all it does is choose among what
//! was compiled in (`build.rs`). No file is opened, and whatever is strange means
//! English.
#![forbid(unsafe_code)]

use std::env;

use ceremony::sentence::Sentence;

include!(concat!(env!("OUT_DIR"), "/catalogues.rs"));

/// The most bytes of a variable that is believed to be about languages.
const LONGEST: usize = 256;

/// English, where there is no table: sentences and what they are called in this
/// language, in the order of the former.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Language(&'static [(&'static str, &'static str)]);

impl Language {
    /// The language the sources are written in.
    pub(crate) const ENGLISH: Self = Self(&[]);

    /// The language that the environment of this process asks for.
    pub(crate) fn of_environment() -> Self {
        Self::asked_for(|variable| {
            let value = env::var_os(variable).filter(|value| !value.is_empty())?;
            // Not UTF-8 is no language, but it is set.
            Some(value.into_string().unwrap_or_else(|_| "?".to_owned()))
        })
    }

    /// The language that the variables ask for.
    fn asked_for(variable: impl Fn(&str) -> Option<String>) -> Self {
        Self::known(&variable).unwrap_or(Self::ENGLISH)
    }

    /// gettext(3): the locale of messages is the first of three that is set.
    /// Where it is not "C", `LANGUAGE` may name others to be tried instead of it.
    fn known(variable: &impl Fn(&str) -> Option<String>) -> Option<Self> {
        let of_all = variable("LC_ALL");
        // What the screen can show is for another category to say, where it is set.
        let screen = of_all.clone().or_else(|| variable("LC_CTYPE"));
        if let Some(screen) = screen {
            name_in_utf_8(&screen)?;
        }
        let locale = of_all.or_else(|| variable("LC_MESSAGES"));
        let locale = locale.or_else(|| variable("LANG"))?;
        let locale = name_in_utf_8(&locale)?;
        match variable("LANGUAGE") {
            Some(languages) if locale != "C" && locale != "POSIX" => Self::first_of(&languages),
            _ => Self::called(locale),
        }
    }

    /// The first that is known of a list with colons, if all in it are names.
    fn first_of(languages: &str) -> Option<Self> {
        if languages.len() > LONGEST {
            return None;
        }
        let names = languages.split(':').filter(|name| !name.is_empty());
        let names: Option<Vec<_>> = names.map(name_and_charset).collect();
        names?.into_iter().find_map(|(name, _)| Self::called(name))
    }

    /// The language called `name`, or else what is spoken there: `de_AT`, `de`.
    fn called(name: &str) -> Option<Self> {
        let language = name.split_once('_').map_or(name, |(language, _)| language);
        if matches!(language, "en" | "C" | "POSIX") {
            return Some(Self::ENGLISH);
        }
        let name = match name {
            "zh_SG" | "zh_Hans" | "zh_Hans_CN" | "zh_Hans_SG" => "zh_CN",
            other => other,
        };
        [name, language].into_iter().find_map(|name| {
            let mut catalogues = CATALOGUES.iter();
            catalogues.find_map(|(it, table)| (*it == name).then_some(Self(table)))
        })
    }

    /// `sentence` in this language; what is not known in it is English.
    pub(crate) fn say(self, sentence: &Sentence) -> String {
        sentence.told(&|english| {
            let found = self
                .0
                .binary_search_by_key(&english, |(english, _)| english);
            let found = found.ok().and_then(|place| self.0.get(place));
            found.map_or(english, |(_, translated)| translated)
        })
    }
}

/// The name of a locale that says it is UTF-8: of `de_DE.UTF-8@euro`, `de_DE`.
fn name_in_utf_8(locale: &str) -> Option<&str> {
    let (name, charset) = name_and_charset(locale)?;
    let charset = charset.to_ascii_lowercase();
    matches!(&*charset, "utf-8" | "utf8").then_some(name)
}

/// The parts of what is written like a locale.
fn name_and_charset(locale: &str) -> Option<(&str, &str)> {
    if locale.len() > LONGEST {
        return None;
    }
    let (locale, modifier) = locale.split_once('@').unwrap_or((locale, ""));
    let (name, charset) = locale.split_once('.').unwrap_or((locale, ""));
    let plain = |text: &str, signs: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || signs.contains(c))
    };
    let is_name =
        !name.is_empty() && plain(name, "_") && plain(charset, "-") && plain(modifier, "");
    is_name.then_some((name, charset))
}

#[cfg(test)]
mod tests {
    use ceremony::sentence;

    use super::*;

    /// What somebody with these variables is told to do.
    fn told(variables: &[(&str, &str)]) -> String {
        let language = Language::asked_for(|name| {
            let set = variables.iter().find(|(variable, _)| *variable == name);
            set.map(|(_, value)| (*value).to_owned())
        });
        let key = sentence!("\"{name}\"", name = "blue key");
        language.say(&sentence!(
            "Touch {key} ({seconds} s).",
            key,
            seconds = 30_u8
        ))
    }

    const ENGLISH: &str = "Touch \"blue key\" (30 s).";
    const GERMAN: &str = "Sicherheitsschlüssel „blue key“ berühren (30 s).";
    const CHINESE: &str = "请触摸安全密钥“blue key”（30 秒）。";

    #[test]
    fn a_locale_of_the_language_chooses_it() {
        for (locale, expected) in [
            ("de_DE.UTF-8", GERMAN),
            ("de_AT.utf8", GERMAN),
            ("de.UTF-8", GERMAN),
            ("de_DE.UTF-8@euro", GERMAN),
            ("zh_CN.UTF-8", CHINESE),
            ("zh_SG.UTF-8", CHINESE),
            ("zh_Hans.UTF-8", CHINESE),
            ("zh_TW.UTF-8", ENGLISH),
            ("zh_HK.UTF-8", ENGLISH),
            ("zh_Hant.UTF-8", ENGLISH),
            ("zh.UTF-8", ENGLISH),
            ("en_GB.UTF-8", ENGLISH),
            ("fr_FR.UTF-8", ENGLISH),
            ("den_DE.UTF-8", ENGLISH),
            ("DE_DE.UTF-8", ENGLISH),
            ("C.UTF-8", ENGLISH),
            ("C", ENGLISH),
        ] {
            assert_eq!(told(&[("LANG", locale)]), expected, "{locale}");
        }
    }

    #[test]
    fn another_charset_than_utf_8_is_english() {
        for locale in [
            "de_DE",
            "de_DE@euro",
            "de_DE.ISO-8859-1",
            "zh_CN.GB18030",
            "de_DE.",
        ] {
            assert_eq!(told(&[("LANG", locale)]), ENGLISH, "{locale}");
        }
        let german = [("LANG", "de_DE.UTF-8"), ("LC_CTYPE", "en_US.UTF-8")];
        assert_eq!(told(&german), GERMAN);
        let latin = [("LANG", "de_DE.UTF-8"), ("LC_CTYPE", "de_DE.ISO-8859-1")];
        assert_eq!(told(&latin), ENGLISH);
        assert_eq!(told(&[("LANG", "de_DE.UTF-8"), ("LC_CTYPE", "C")]), ENGLISH);
    }

    #[test]
    fn the_locale_is_the_first_that_is_set() {
        let (de, zh, c) = ("de_DE.UTF-8", "zh_CN.UTF-8", "C");
        assert_eq!(told(&[]), ENGLISH);
        assert_eq!(
            told(&[("LC_ALL", zh), ("LC_MESSAGES", de), ("LANG", de)]),
            CHINESE
        );
        assert_eq!(told(&[("LC_MESSAGES", zh), ("LANG", de)]), CHINESE);
        assert_eq!(told(&[("LC_ALL", c), ("LANG", de)]), ENGLISH);
        assert_eq!(told(&[("LC_MESSAGES", c), ("LANG", de)]), ENGLISH);
        // LC_ALL covers what the screen shows, too.
        assert_eq!(told(&[("LC_ALL", de), ("LC_CTYPE", c)]), GERMAN);
    }

    #[test]
    fn a_list_of_languages_stands_for_a_locale_that_is_none_of_c() {
        for (locale, languages, expected) in [
            ("en_GB.UTF-8", "de", GERMAN),
            ("en_GB.UTF-8", "de_CH:fr", GERMAN),
            ("de_DE.UTF-8", "fr:zh_CN:de", CHINESE),
            ("de_DE.UTF-8", "zh_TW:zh_CN", CHINESE),
            ("de_DE.UTF-8", ":de.ISO-8859-1:", GERMAN),
            // English is not looked for and not found: it is there.
            ("de_DE.UTF-8", "en_GB:de", ENGLISH),
            ("de_DE.UTF-8", "C:de", ENGLISH),
            ("de_DE.UTF-8", "fr:POSIX:de", ENGLISH),
            ("de_DE.UTF-8", "fr", ENGLISH),
            ("de_DE", "de", ENGLISH),
            ("C", "de", ENGLISH),
            ("C.UTF-8", "de", ENGLISH),
            ("POSIX.UTF-8", "de", ENGLISH),
        ] {
            let set = [("LANG", locale), ("LANGUAGE", languages)];
            assert_eq!(told(&set), expected, "{set:?}");
        }
        assert_eq!(told(&[("LANGUAGE", "de")]), ENGLISH);
    }

    #[test]
    fn whatever_is_strange_is_english() {
        let long = "de:".repeat(LONGEST);
        for languages in [
            "../../de",
            "/etc/de",
            "de\nde",
            "de:%s",
            "dé:de",
            "..:de",
            ".UTF-8:de",
            "de.UTF/8",
            "de@/x",
            &long,
        ] {
            let set = [("LANG", "de_DE.UTF-8"), ("LANGUAGE", languages)];
            assert_eq!(told(&set), ENGLISH, "{languages:?}");
        }
        let long = format!("de_{}.UTF-8", "D".repeat(LONGEST));
        for locale in [
            "../de_DE.UTF-8",
            "de_DE.UTF-8/x",
            "de_DE.UTF-8\n",
            ".UTF-8",
            "?",
            &long,
        ] {
            assert_eq!(told(&[("LANG", locale)]), ENGLISH, "{locale:?}");
        }
    }
}

//! What a key is called: by default after its product, never like another,
//! and written so that it can be typed.
#![forbid(unsafe_code)]

use ceremony::credential::{CredentialName, is_printable};

/// For keys that do not say what they are.
const NAMELESS: &str = "security key";

/// A name for a key of `product` that is not among `taken`: the product's own,
/// or with a number behind it.
pub(crate) fn unique(product: &str, taken: &[&CredentialName]) -> Option<CredentialName> {
    let product = match product.trim() {
        "" => NAMELESS,
        product => product,
    };
    (1..=taken.len() + 1).find_map(|number| {
        let suffix = match number {
            1 => String::new(),
            number => format!(" {number}"),
        };
        let room = CredentialName::LONGEST.saturating_sub(suffix.len());
        let stem: String = product.chars().take(room).collect();
        let name = CredentialName::parse(&format!("{}{suffix}", stem.trim_end()))
            .or_else(|_| CredentialName::parse(&format!("{NAMELESS}{suffix}")))
            .ok()?;
        (!taken.contains(&&name)).then_some(name)
    })
}

/// The name as an argument that a shell passes on unchanged.
pub(crate) fn as_argument(name: &CredentialName) -> String {
    as_arguments(&[name])
}

/// The same of several.
pub(crate) fn as_arguments(names: &[&CredentialName]) -> String {
    let words: Vec<String> = names.iter().map(|name| quoted(name.as_str())).collect();
    // An option is not a name.
    let marker = if names.iter().any(|name| name.as_str().starts_with('-')) {
        "-- "
    } else {
        ""
    };
    format!("{marker}{}", words.join(" "))
}

/// Text between quotes, as a value that a shell passes on unchanged. A key chooses its product string, and the sentence that
/// shows it is there to be typed as root: `$(...)` must stay text.
pub(crate) fn quoted(text: &str) -> String {
    let harmless = |c: char| c.is_alphanumeric() || " .,_-+/:()?".contains(c);
    if text.chars().all(harmless) {
        format!("\"{text}\"")
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A user's name, or a path, as a word for a shell. Most are one as they are; a
/// directory's may have a backslash, a blank or worse.
pub(crate) fn quoted_if_need_be(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-+@/".contains(c);
    let shows = |c: char| is_printable(c) || c == '"';
    if name.chars().all(plain) {
        name.to_owned()
    } else if !name.chars().all(shows) {
        // Whoever chose the name of a file shall not write on our terminal.
        let written = name.chars().map(|c| match c {
            '\'' | '\\' => format!("\\{c}"),
            c if shows(c) => c.to_string(),
            c => octal(c),
        });
        format!("$'{}'", written.collect::<String>())
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}

/// A character as its bytes, in the words of shells.
fn octal(c: char) -> String {
    let mut bytes = [0; 4];
    let bytes = c.encode_utf8(&mut bytes).bytes();
    let words: Vec<String> = bytes.map(|byte| format!("\\{byte:03o}")).collect();
    words.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> CredentialName {
        CredentialName::parse(text).unwrap()
    }

    #[test]
    fn a_second_key_of_a_product_gets_a_number() {
        let one = unique("YubiKey 5", &[]).unwrap();
        assert_eq!(one.as_str(), "YubiKey 5");
        let two = unique("YubiKey 5", &[&one]).unwrap();
        assert_eq!(two.as_str(), "YubiKey 5 2");
        let three = unique("YubiKey 5", &[&one, &two]).unwrap();
        assert_eq!(three.as_str(), "YubiKey 5 3");
        // a gap is filled
        assert_eq!(unique("YubiKey 5", &[&one, &three]), Some(two));
    }

    #[test]
    fn a_key_that_says_nothing_is_a_security_key() {
        assert_eq!(unique("", &[]).unwrap().as_str(), NAMELESS);
        assert_eq!(unique("  ", &[]).unwrap().as_str(), NAMELESS);
        assert_eq!(unique("\u{200b}", &[]).unwrap().as_str(), NAMELESS);
        let first = name(NAMELESS);
        assert_eq!(unique("", &[&first]).unwrap().as_str(), "security key 2");
    }

    #[test]
    fn the_number_fits_behind_the_longest_product() {
        let long = "é".repeat(80);
        let one = unique(&long, &[]).unwrap();
        assert_eq!(one.as_str().chars().count(), 64);
        let two = unique(&long, &[&one]).unwrap();
        assert_eq!(two.as_str().chars().count(), 64);
        assert!(two.as_str().ends_with(" 2"));
    }

    #[test]
    fn the_name_of_a_file_cannot_write_on_the_terminal() {
        for (name, word) in [
            ("/home/alice/key", "/home/alice/key"),
            ("my keys/id", "'my keys/id'"),
            ("say \"it\"", "'say \"it\"'"),
            ("a\u{1b}[2J'b\\", r"$'a\033[2J\'b\\'"),
            ("a\u{202e}b", r"$'a\342\200\256b'"),
        ] {
            assert_eq!(quoted_if_need_be(name), word);
        }
    }

    #[test]
    fn a_product_string_cannot_become_a_command() {
        assert_eq!(as_argument(&name("blue key")), "\"blue key\"");
        assert_eq!(as_argument(&name("$(reboot)")), "'$(reboot)'");
        assert_eq!(as_argument(&name("`reboot`")), "'`reboot`'");
        assert_eq!(as_argument(&name("a\\b")), "'a\\b'");
        assert_eq!(as_argument(&name("Bob's!")), "'Bob'\\''s!'");
        assert_eq!(as_argument(&name("--user")), "-- \"--user\"");
    }
}

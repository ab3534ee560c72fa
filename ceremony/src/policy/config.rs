//! `/etc/pam-passkey/config.toml`: defaults, and a table for each service that
//! differs. What is not understood is refused, with its line: a setting that
//! was misspelt must not be a setting that is not in force.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use toml::de::DeTable;

use super::interactive_services::is_interactive_and_local;
use super::rules::Policy;
use super::setting::{Fault, Setting, Value};
use crate::credential::printable;
use crate::trusted_file::strict_toml::{self, Entry, Lines, did_you_mean, quoted};
use crate::trusted_file::{CONFIGURATION, TrustedDir, Untrusted, shown};

/// Everything `config.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    defaults: Policy,
    services: BTreeMap<String, Policy>,
}

impl Config {
    /// The most bytes `config.toml` can have.
    pub const LONGEST: usize = 64 * 1024;

    /// What `/etc/pam-passkey/config.toml` says. Without the file the defaults
    /// hold; without the directory nothing does.
    pub fn load() -> Result<Self, PolicyError> {
        let dir = TrustedDir::open(Path::new(CONFIGURATION))?;
        Self::load_from(&dir)
    }

    fn load_from(dir: &TrustedDir) -> Result<Self, PolicyError> {
        const NAME: &str = "config.toml";
        match dir.read(NAME, Self::LONGEST)? {
            Some(text) => Self::parse(&text, &dir.path().join(NAME)),
            None => Ok(Self::default()),
        }
    }

    /// What `text` says; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, PolicyError> {
        Self::read(text).map_err(|(line, fault)| PolicyError::File {
            path: path.to_owned(),
            line,
            fault,
        })
    }

    fn read(text: &str) -> Result<Self, (usize, Fault)> {
        let document = strict_toml::parse(text)
            .map_err(|problem| (problem.line, Fault::NotToml(problem.reason)))?;
        let mut config = Self::default();
        let lines = Lines::of(text);
        let entries = strict_toml::entries(&document, &lines);
        // The defaults first: every service begins with them, wherever they stand.
        for entry in entries.iter().filter(|entry| entry.key != SERVICE) {
            set_default(&mut config.defaults, entry).map_err(|fault| (entry.line, fault))?;
        }
        for entry in entries.iter().filter(|entry| entry.key == SERVICE) {
            let services = table_of(entry).map_err(|fault| (entry.line, fault))?;
            for service in strict_toml::entries(services, &lines) {
                let policy = config.service_policy(&service, &lines)?;
                config.services.insert(service.key.to_owned(), policy);
            }
        }
        Ok(config)
    }

    fn service_policy(&self, service: &Entry, lines: &Lines) -> Result<Policy, (usize, Fault)> {
        let table = table_of(service)
            .and_then(|table| check_service_name(service.key).map(|()| table))
            .map_err(|fault| (service.line, fault))?;
        // A table of its own covers a service; `enabled` in it may say otherwise.
        let mut policy = Policy {
            covered: true,
            ..self.defaults.clone()
        };
        for entry in strict_toml::entries(table, lines) {
            let known: Vec<_> = Setting::of_services().collect();
            match Setting::named(entry.key) {
                Some(setting) if known.contains(&setting) => {
                    setting.set(&mut policy, Value::of_toml(entry.value))
                }
                Some(setting) => Err(Fault::OnlyAnArgument(setting.name())),
                None => Err(Fault::unknown_key(entry.key, &known)),
            }
            .map_err(|fault| (entry.line, fault))?;
        }
        Ok(policy)
    }

    /// The services that have a table of their own.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.services.keys().map(String::as_str)
    }

    /// What a login through `service` has to satisfy: what its own table says,
    /// or the defaults for the services that are covered without one.
    pub fn for_service(&self, service: &str) -> Policy {
        match self.services.get(service) {
            Some(policy) => policy.clone(),
            None => Policy {
                covered: is_interactive_and_local(service),
                ..self.defaults.clone()
            },
        }
    }
}

/// The one table in `config.toml`: `[service.NAME]`.
const SERVICE: &str = "service";

fn set_default(defaults: &mut Policy, entry: &Entry) -> Result<(), Fault> {
    if entry.value.is_table() {
        return Err(Fault::UnknownTable {
            name: quoted(entry.key),
            hint: did_you_mean(entry.key, &[SERVICE]),
        });
    }
    let known: Vec<_> = Setting::of_defaults().collect();
    match Setting::named(entry.key) {
        Some(setting) if known.contains(&setting) => {
            setting.set(defaults, Value::of_toml(entry.value))
        }
        Some(Setting::WhenNotCovered) => Err(Fault::OnlyAnArgument(Setting::WhenNotCovered.name())),
        Some(setting) => Err(Fault::OnlyForAService(setting.name())),
        None => Err(Fault::unknown_key(entry.key, &known)),
    }
}

fn table_of<'t>(entry: &Entry<'t>) -> Result<&'t DeTable<'t>, Fault> {
    entry.value.as_table().ok_or_else(|| Fault::NotATable {
        name: quoted(entry.key),
        found: strict_toml::kind(entry.value),
    })
}

/// libpam folds the names of services to lower case, so any other table would
/// lie there without effect.
fn check_service_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() || name.contains('/') || name.contains(char::is_uppercase) {
        return Err(Fault::NotAService(quoted(name)));
    }
    Ok(())
}

/// Why there is no policy, and therefore no login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyError {
    /// The file or its directory may not be believed.
    Untrusted(Untrusted),
    /// A line of `config.toml` is not right.
    File {
        /// Where the file is.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        fault: Fault,
    },
    /// An argument of the module is not right.
    Argument {
        /// The argument as it was given.
        argument: String,
        /// What is wrong.
        fault: Fault,
    },
}

impl From<Untrusted> for PolicyError {
    fn from(problem: Untrusted) -> Self {
        Self::Untrusted(problem)
    }
}

impl std::error::Error for PolicyError {}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untrusted(problem) => problem.fmt(f),
            Self::File { path, line, fault } => write!(f, "{}:{line}: {fault}", shown(path)),
            Self::Argument { argument, fault } => {
                write!(f, "module argument {}: {fault}", printable(argument, 80))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::credential::UserVerification;
    use crate::policy::{
        CounterRule, RemoteSessions, SyncedCredentials, WhenNotCovered, WhenNotEnrolled,
    };
    use crate::trusted_file::scratch::{Scratch, me};
    use crate::trusted_file::{Reason, Untrusted};

    const SHIPPED: &str = include_str!("../../../config/config.toml");

    fn parse(text: &str) -> Result<Config, PolicyError> {
        Config::parse(text, Path::new("/etc/pam-passkey/config.toml"))
    }

    fn defaults_of(text: &str) -> Policy {
        parse(text).unwrap().for_service("cron")
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    fn refused(text: &str, expected: &str) {
        assert_eq!(
            message(text),
            format!("/etc/pam-passkey/config.toml:{expected}"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        assert_eq!(parse("").unwrap(), Config::default());
        let policy = defaults_of("");
        assert_eq!(policy.user_verification, UserVerification::Required);
        assert_eq!(policy.timeout, Duration::from_secs(30));
        assert_eq!(policy.when_not_enrolled, WhenNotEnrolled::Refuse);
        assert_eq!(policy.remote, RemoteSessions::Refuse);
        assert_eq!(policy.counter, CounterRule::Warn);
        assert_eq!(policy.synced, SyncedCredentials::Allow);
        assert_eq!(policy.receipts, None);
    }

    #[test]
    fn every_setting_can_be_set() {
        let policy = defaults_of(
            "user_verification = \"discouraged\"\ntimeout = 20\n\
             when_not_enrolled = \"ignore\"\nremote = \"allow\"\ncounter = \"refuse\"\n\
             synced = \"refuse\"\nreceipts = \"/var/log/receipts\"\n",
        );
        let expected = Policy {
            user_verification: UserVerification::Discouraged,
            timeout: Duration::from_secs(20),
            when_not_enrolled: WhenNotEnrolled::Ignore,
            remote: RemoteSessions::Allow,
            counter: CounterRule::Refuse,
            synced: SyncedCredentials::Refuse,
            receipts: Some("/var/log/receipts".into()),
            covered: false,
            when_not_covered: WhenNotCovered::Refuse,
        };
        assert_eq!(policy, expected);
    }

    #[test]
    fn a_service_begins_with_the_defaults_and_changes_what_it_names() {
        let config =
            parse("timeout = 20\nremote = \"allow\"\n[service.sudo]\ntimeout = 9").unwrap();
        let sudo = config.for_service("sudo");
        assert_eq!(sudo.timeout, Duration::from_secs(9));
        assert_eq!(sudo.remote, RemoteSessions::Allow);
        assert_eq!(config.for_service("su").timeout, Duration::from_secs(20));
    }

    #[test]
    fn interactive_services_are_covered_and_others_need_a_table() {
        let config = parse("[service.cups]\n[service.su]\nenabled = false").unwrap();
        assert!(config.for_service("sudo").covered);
        assert!(config.for_service("cups").covered);
        assert!(!config.for_service("su").covered);
        assert!(!config.for_service("cron").covered);
        assert!(!config.for_service("").covered);
        assert!(config.services().eq(["cups", "su"]));
    }

    #[test]
    fn an_unknown_key_is_refused_with_the_nearest_one() {
        refused(
            "\n\n\n\n\n\nuser_verfication = \"required\"",
            "7: unknown key \"user_verfication\"; did you mean \"user_verification\"?",
        );
        refused("colour = 1", "1: unknown key \"colour\"");
        refused(
            "[service.sudo]\ntimeot = 1",
            "2: unknown key \"timeot\"; did you mean \"timeout\"?",
        );
        refused("\"a\\u001b[2J\" = 1", "1: unknown key \"a?[2J\"");
    }

    #[test]
    fn an_unknown_table_is_refused() {
        refused(
            "[services.sudo]\ntimeout = 1",
            "1: unknown table \"services\"; tables here are [service.NAME]; \
             did you mean \"service\"?",
        );
        refused(
            "[timeout]",
            "1: unknown table \"timeout\"; tables here are [service.NAME]",
        );
        refused(
            "service = 1",
            "1: \"service\" is a whole number, not a table; \
             write [service.NAME] above its settings",
        );
        refused(
            "[service]\nsudo = true",
            "2: \"sudo\" is true or false, not a table; \
             write [service.NAME] above its settings",
        );
        refused(
            "[[service]]",
            "1: \"service\" is a list, not a table; write [service.NAME] above its settings",
        );
    }

    #[test]
    fn a_service_that_cannot_exist_is_refused() {
        for name in ["Sudo", "\"\"", "\"a/b\""] {
            let message = message(&format!("[service.{name}]"));
            assert!(message.contains("cannot be a PAM service"), "{message}");
        }
        assert!(parse("[service.\"my.service_1-x\"]").is_ok());
    }

    #[test]
    fn a_value_of_another_type_is_refused_whatever_it_is() {
        let values = [
            "\"word\"",
            "1",
            "1.5",
            "true",
            "2026-11-22",
            "2026-11-22T14:30:00Z",
            "14:30:00",
            "[]",
            "[1]",
            "{}",
            "{a = 1}",
            "nan",
            "99999999999999999999",
            "0x1f",
            "''",
        ];
        for setting in Setting::of_services() {
            for value in values {
                let fits = match setting {
                    Setting::Timeout => matches!(value, "1" | "0x1f"),
                    Setting::Enabled => value == "true",
                    Setting::Receipts => value == "''",
                    _ => false,
                };
                let text = format!("[service.sudo]\n{} = {value}", setting.name());
                assert_eq!(parse(&text).is_ok(), fits, "{text}");
                if !fits {
                    let place = "/etc/pam-passkey/config.toml:2: ";
                    assert!(message(&text).starts_with(place), "{text}");
                }
            }
        }
        refused(
            "timeout = \"30\"",
            "1: timeout takes a whole number of seconds, not a string",
        );
        refused(
            "remote = 2026-11-22",
            "1: remote takes a word in quotes, not a date",
        );
        refused(
            "receipts = []",
            "1: receipts takes a path in quotes, not a list",
        );
        refused(
            "[service.su]\nenabled = \"true\"",
            "2: enabled takes true or false, not a string",
        );
    }

    #[test]
    fn a_wrong_word_is_answered_with_the_right_ones() {
        refused(
            "user_verification = \"preferred\"",
            "1: user_verification takes \"required\" or \"discouraged\"",
        );
        refused(
            "when_not_enrolled = \"\"",
            "1: when_not_enrolled takes \"refuse\" or \"ignore\"",
        );
        refused(
            "remote = \"Refuse\"",
            "1: remote takes \"refuse\" or \"allow\"",
        );
        refused(
            "counter = \"ignore\"",
            "1: counter takes \"warn\" or \"refuse\"",
        );
        refused(
            "synced = \"warn\"",
            "1: synced takes \"allow\" or \"refuse\"",
        );
    }

    #[test]
    fn the_timeout_is_bounded_on_both_sides() {
        for (seconds, fits) in [
            (1, true),
            (300, true),
            (0, false),
            (301, false),
            (-1, false),
        ] {
            assert_eq!(parse(&format!("timeout = {seconds}")).is_ok(), fits);
        }
        refused("timeout = 301", "1: timeout takes 1 to 300");
    }

    #[test]
    fn receipts_take_an_absolute_path_or_none() {
        assert_eq!(defaults_of("receipts = \"\"").receipts, None);
        assert!(parse("receipts = \"/var/log/x\"").is_ok());
        for path in ["x", "./x", "../x", "/a/../b", "~/x", "/a\\nb"] {
            let text = format!("receipts = \"{path}\"");
            assert!(message(&text).contains("an absolute path"), "{text}");
        }
    }

    #[test]
    fn a_key_set_twice_is_refused() {
        refused(
            "timeout = 1\ntimeout = 1",
            "2: key \"timeout\" is set twice",
        );
        assert!(parse("[service.su]\n[service.su]").is_err());
    }

    #[test]
    fn what_is_not_toml_is_refused_with_its_line() {
        assert!(
            message("timeout = 1\nremote = refuse")
                .starts_with("/etc/pam-passkey/config.toml:2: not TOML")
        );
    }

    #[test]
    fn enabled_is_said_of_one_service() {
        refused(
            "enabled = false",
            "1: enabled is said of one service; move it into [service.NAME]",
        );
    }

    #[test]
    fn the_length_of_the_file_is_bounded_on_both_sides() {
        let scratch = Scratch::new();
        let dir = TrustedDir::open_owned_by(scratch.path(), me()).unwrap();
        assert_eq!(Config::load_from(&dir), Ok(Config::default()));
        scratch.write("config.toml", "#".repeat(65_536));
        assert_eq!(Config::load_from(&dir), Ok(Config::default()));
        let path = scratch.write("config.toml", "#".repeat(65_537));
        assert_eq!(
            Config::load_from(&dir),
            Err(Untrusted::new(&path, Reason::TooLong { most: 65_536 }).into())
        );
    }

    /// The lines of the shipped file that set something, without their `#`.
    fn settings_shipped() -> impl Iterator<Item = (&'static str, &'static str)> {
        SHIPPED
            .lines()
            .filter_map(|line| line.strip_prefix('#')?.split_once(" = "))
            .filter(|(key, _)| key.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
    }

    #[test]
    fn the_shipped_file_changes_nothing() {
        assert_eq!(parse(SHIPPED), Ok(Config::default()));
    }

    #[test]
    fn the_shipped_file_shows_every_setting_at_its_default() {
        let shown: Vec<_> = settings_shipped().map(|(key, _)| key).collect();
        for setting in Setting::of_services() {
            assert!(shown.contains(&setting.name()), "{}", setting.name());
        }
        let (defaults, example) = SHIPPED.split_once("#[service.sudo]").unwrap();
        assert_eq!(parse(&uncommented(defaults)), Ok(Config::default()));
        assert!(example.contains("\n#"), "the example is empty");
    }

    #[test]
    fn the_shipped_file_is_right_with_every_line_uncommented() {
        let config = parse(&uncommented(SHIPPED)).unwrap();
        // sudo's example is at the default, too: it is covered either way.
        assert_eq!(
            config.for_service("sudo"),
            Config::default().for_service("sudo")
        );
        assert_eq!(
            config.for_service("cron"),
            Config::default().for_service("cron")
        );
    }

    fn uncommented(text: &str) -> String {
        text.lines()
            .map(|line| match line.strip_prefix('#') {
                // "#key = value" and "#[table]"; an explanation is "# ...".
                Some(rest) if !rest.is_empty() && !rest.starts_with([' ', '#']) => rest,
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n")
    }
}

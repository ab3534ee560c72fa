//! Puts the lines of a service together as libpam does (`_pam_init_handlers`):
//! included files, substacks, and `other` for a service that says nothing.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::control::Control;
use super::line::{Fields, Line, Lines};
use super::stack::{DEEPEST, Handler, MOST_LINES, OURS, Place, Stack, Trouble, Work, module_name};

/// The service whose lines stand for those that a service does not have.
const OTHER: &str = "other";

/// Where the files of services are.
pub(super) trait PamFiles {
    /// The folders that are looked into for a service, one after the other.
    fn folders(&self) -> &[PathBuf];

    /// Whether libpam is Debian's, which knows `@include`, and looks for
    /// included files in `/etc/pam.d` alone.
    fn is_debians(&self) -> bool;

    /// What a file says.
    fn read(&self, path: &Path) -> Contents;
}

/// What came of reading a file.
#[derive(Clone, Debug)]
pub(super) enum Contents {
    Lines(Rc<Lines>),
    Missing,
    /// It is there, and this is why it cannot be read.
    Unreadable(String),
}

impl Stack {
    /// Puts the stack of `service` together.
    pub(super) fn of_service(files: &dyn PamFiles, service: &str) -> Self {
        let mut own = Loader::new(files);
        let mut other = Loader::new(files);
        let target = if service == OTHER {
            &mut other
        } else {
            &mut own
        };
        let file = target.service_file(service);
        let mut given_up = file.is_some() && target.gave_up;
        let mut read_something = file.is_some();
        if !given_up {
            let spare = other.service_file(OTHER);
            read_something |= spare.is_some();
            given_up = !read_something || (spare.is_some() && other.gave_up);
        }
        let mut stack = Self {
            service: service.to_owned(),
            given_up,
            troubles: own.troubles,
            misplaced: own.misplaced,
            names_us: own.names_us,
            files: own.read,
            file,
            ..Self::default()
        };
        if own.auth.is_empty() {
            stack.handlers = other.auth;
            stack.names_us |= other.names_us;
            stack.files.extend(other.read);
            stack.troubles.extend(other.troubles);
            stack.misplaced.extend(other.misplaced);
        } else {
            stack.handlers = own.auth;
        }
        stack
    }
}

/// Libpam gives up what it is reading.
struct GivenUp;

/// Which lines of a file are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Any,
    Auth,
}

struct Loader<'f> {
    files: &'f dyn PamFiles,
    auth: Vec<Handler>,
    troubles: Vec<Trouble>,
    misplaced: Vec<(Place, String)>,
    gave_up: bool,
    names_us: bool,
    read: BTreeSet<Rc<Path>>,
    lines_left: usize,
}

/// Where in the nest of files a line stands.
#[derive(Clone, Copy)]
struct Depth {
    files: usize,
    substacks: usize,
}

impl<'f> Loader<'f> {
    fn new(files: &'f dyn PamFiles) -> Self {
        Self {
            files,
            auth: Vec::new(),
            troubles: Vec::new(),
            misplaced: Vec::new(),
            gave_up: false,
            names_us: false,
            read: BTreeSet::new(),
            lines_left: MOST_LINES,
        }
    }

    /// Reads the file of a service, from the first folder that has one.
    fn service_file(&mut self, service: &str) -> Option<Rc<Path>> {
        let top = Depth {
            files: 0,
            substacks: 0,
        };
        let candidates = self.files.folders().iter().map(|it| it.join(service));
        let (path, contents) = first_there(self.files, candidates)?;
        let read = self.contents(&path, contents, Wanted::Any, top);
        self.gave_up = read.is_err();
        Some(path)
    }

    fn contents(
        &mut self,
        path: &Rc<Path>,
        contents: Contents,
        wanted: Wanted,
        depth: Depth,
    ) -> Result<(), GivenUp> {
        let lines = match contents {
            Contents::Lines(lines) => lines,
            Contents::Missing => return Err(GivenUp),
            Contents::Unreadable(why) => {
                self.troubles.push(Trouble::Unreadable(path.clone(), why));
                return Ok(());
            }
        };
        self.read.insert(path.clone());
        if let Some(line) = lines.ambiguous {
            let file = path.clone();
            self.troubles.push(Trouble::Ambiguous(Place { file, line }));
        }
        self.names_us |= lines.all.iter().any(|line| line.text.contains(OURS));
        for line in &lines.all {
            let Some(left) = self.lines_left.checked_sub(1) else {
                if !self.troubles.contains(&Trouble::TooMany) {
                    self.troubles.push(Trouble::TooMany);
                }
                return Ok(());
            };
            self.lines_left = left;
            self.line(path, line, wanted, depth)?;
        }
        if lines.breaks_off {
            self.troubles.push(Trouble::BreaksOff(path.clone()));
            return Err(GivenUp);
        }
        Ok(())
    }

    fn line(
        &mut self,
        file: &Rc<Path>,
        line: &Line,
        wanted: Wanted,
        depth: Depth,
    ) -> Result<(), GivenUp> {
        let place = Place {
            file: file.clone(),
            line: line.number,
        };
        let mut fields = Fields::of(&line.text);
        let word = fields.next().unwrap_or_default();
        let kind = word.strip_prefix('-').unwrap_or(&word).to_ascii_lowercase();
        if kind == "@include" && self.files.is_debians() {
            let name = fields.next();
            return self.debians_include(name.as_deref(), place, wanted, depth);
        }
        let mut must_fail = false;
        match kind.as_str() {
            "auth" => {}
            "account" | "password" | "session" => {
                return self.other_kind(&kind, fields, place, wanted);
            }
            // Installed where it can do the least harm: as a line that fails.
            _ => {
                self.troubles
                    .push(Trouble::IllegalType(place.clone(), word.clone()));
                must_fail = true;
            }
        }
        let Some(field) = fields.next() else {
            self.troubles.push(Trouble::NoModule(place.clone()));
            self.add(place, depth, Control::ALL_BAD, Work::MustFail);
            return Ok(());
        };
        let substack = field.eq_ignore_ascii_case("substack");
        if substack || field.eq_ignore_ascii_case("include") {
            let name = fields.next();
            self.include(name.as_deref(), place, substack, depth);
            return Ok(());
        }
        let control = Control::parse(&field);
        let Some(path) = fields.next() else {
            self.troubles.push(Trouble::NoModule(place.clone()));
            self.add(place, depth, control, Work::MustFail);
            return Ok(());
        };
        nameable(&path)?;
        let deed = if must_fail {
            Work::MustFail
        } else {
            Work::Module {
                path,
                arguments: fields.collect(),
            }
        };
        self.add(place, depth, control, deed);
        Ok(())
    }

    fn add(&mut self, place: Place, depth: Depth, control: Control, work: Work) {
        self.auth.push(Handler {
            place,
            level: depth.substacks,
            control,
            work,
        });
    }

    /// A line that is none of auth's matters only where it makes libpam give
    /// the file up, or where it names us.
    fn other_kind(
        &mut self,
        kind: &str,
        mut fields: Fields<'_>,
        place: Place,
        wanted: Wanted,
    ) -> Result<(), GivenUp> {
        let control = fields.next().unwrap_or_default();
        let target = fields.next();
        let includes = ["include", "substack"].contains(&control.to_ascii_lowercase().as_str());
        match target {
            Some(path) if wanted == Wanted::Any && !includes => {
                if module_name(&path) == OURS {
                    self.misplaced.push((place, kind.to_owned()));
                }
                nameable(&path)
            }
            _ => Ok(()),
        }
    }

    /// `auth include NAME`, `auth substack NAME`.
    fn include(&mut self, name: Option<&str>, place: Place, substack: bool, depth: Depth) {
        if substack {
            let control = Control::ALL_BAD;
            self.add(place.clone(), depth, control, Work::Substack);
        }
        let within = Depth {
            files: depth.files + 1,
            substacks: depth.substacks + usize::from(substack),
        };
        if self.included(name, &place, Wanted::Auth, within).is_err() {
            self.add(place, depth, Control::ALL_BAD, Work::MustFail);
        }
    }

    /// `@include NAME`: all kinds of lines, or those that are wanted anyway.
    fn debians_include(
        &mut self,
        name: Option<&str>,
        place: Place,
        wanted: Wanted,
        depth: Depth,
    ) -> Result<(), GivenUp> {
        let within = Depth {
            files: depth.files + 1,
            ..depth
        };
        let included = self.included(name, &place, wanted, within);
        // There is no kind of line that could be made to fail instead.
        if wanted == Wanted::Any {
            return included;
        }
        if included.is_err() {
            self.troubles.push(Trouble::Undefined(place.clone()));
            self.add(place, depth, Control::ALL_BAD, Work::MustFail);
        }
        Ok(())
    }

    fn included(
        &mut self,
        name: Option<&str>,
        place: &Place,
        wanted: Wanted,
        depth: Depth,
    ) -> Result<(), GivenUp> {
        if depth.files >= DEEPEST || depth.substacks >= DEEPEST {
            self.troubles.push(Trouble::TooDeep(place.clone()));
            return Err(GivenUp);
        }
        let found = name.and_then(|name| {
            let folders = self.files.folders();
            let folders = match folders.split_first() {
                Some((first, _)) if self.files.is_debians() => std::slice::from_ref(first),
                _ => folders,
            };
            first_there(self.files, folders.iter().map(|folder| folder.join(name)))
        });
        if let Some((path, contents)) = found {
            return self.contents(&path, contents, wanted, depth);
        }
        let name = name.unwrap_or_default().to_owned();
        self.troubles
            .push(Trouble::IncludeMissing(place.clone(), name));
        Err(GivenUp)
    }
}

/// Libpam gives up a file with a module whose name would be empty or "?".
fn nameable(path: &str) -> Result<(), GivenUp> {
    match module_name(path) {
        "" | "?" => Err(GivenUp),
        _ => Ok(()),
    }
}

fn first_there(
    files: &dyn PamFiles,
    candidates: impl Iterator<Item = PathBuf>,
) -> Option<(Rc<Path>, Contents)> {
    candidates
        .map(|path| (Rc::from(path.as_path()), files.read(&path)))
        .find(|(_, contents)| !matches!(contents, Contents::Missing))
}

/// Files that a test writes.
#[cfg(test)]
pub(super) mod written {
    use std::collections::BTreeMap;

    use super::*;
    use crate::check::line;

    /// `/etc/pam.d`, as Debian reads it.
    pub(in crate::check) struct Written {
        pub(in crate::check) files: BTreeMap<PathBuf, Vec<u8>>,
        pub(in crate::check) debian: bool,
        folders: Vec<PathBuf>,
    }

    impl Written {
        pub(in crate::check) fn new(files: &[(&str, &str)]) -> Self {
            let folders = ["/etc/pam.d", "/usr/lib/pam.d"].map(PathBuf::from);
            let files = files.iter().map(|(name, text)| {
                let path = Path::new("/etc/pam.d").join(name);
                (path, text.as_bytes().to_vec())
            });
            Self {
                files: files.collect(),
                debian: true,
                folders: folders.into(),
            }
        }
    }

    impl PamFiles for Written {
        fn folders(&self) -> &[PathBuf] {
            &self.folders
        }

        fn is_debians(&self) -> bool {
            self.debian
        }

        fn read(&self, path: &Path) -> Contents {
            match self.files.get(path) {
                Some(bytes) => Contents::Lines(Rc::new(line::lines(bytes))),
                None => Contents::Missing,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::written::Written;
    use super::*;

    fn stack(files: &[(&str, &str)]) -> Stack {
        Stack::of_service(&Written::new(files), "sudo")
    }

    /// Modules with their levels; "!" fails, "(" begins a substack.
    fn shape(stack: &Stack) -> Vec<String> {
        let words = stack.handlers.iter().map(|handler| match &handler.work {
            Work::Module { .. } => {
                format!("{}{}", handler.module().unwrap(), handler.level)
            }
            Work::MustFail => format!("!{}", handler.level),
            Work::Substack => format!("({}", handler.level),
        });
        words.collect()
    }

    #[test]
    fn a_stack_is_put_together_from_its_files() {
        let stack = stack(&[
            (
                "sudo",
                "#%PAM-1.0\n-AUTH required a.so x [y z]\naccount required n.so\n\
                 @include common\nauth include one\nauth substack one\nauth required /x/b.so\n",
            ),
            ("common", "auth required c.so\nsession required n.so\n"),
            ("one", "account required n.so\nauth required d.so\n"),
        ]);
        assert_eq!(shape(&stack), ["a0", "c0", "d0", "(0", "d1", "b0"]);
        assert_eq!(stack.handlers[0].arguments(), ["x", "y z"]);
        assert_eq!(stack.handlers[1].place.to_string(), "/etc/pam.d/common:1");
        assert_eq!((stack.troubles.len(), stack.given_up), (0, false));
    }

    #[test]
    fn other_stands_for_a_service_without_auth_lines() {
        let other = ("other", "auth required pam_deny.so");
        assert_eq!(shape(&stack(&[other])), ["pam_deny0"]);
        let only_account = ("sudo", "account required x.so");
        assert_eq!(shape(&stack(&[other, only_account])), ["pam_deny0"]);
        let own = ("sudo", "auth required x.so");
        assert_eq!(shape(&stack(&[other, own])), ["x0"]);
        // and without either libpam has nothing
        assert!(stack(&[]).given_up);
        assert!(!stack(&[own]).given_up);
    }

    #[test]
    fn the_folder_of_the_distribution_comes_second() {
        let mut files = Written::new(&[("other", "")]);
        let vendor = |name: &str| Path::new("/usr/lib/pam.d").join(name);
        files
            .files
            .insert(vendor("sudo"), b"auth include deep".to_vec());
        files
            .files
            .insert(vendor("deep"), b"auth required a.so".to_vec());
        // Debian looks for what is included in /etc/pam.d alone
        assert_eq!(shape(&Stack::of_service(&files, "sudo")), ["!0"]);
        files.debian = false;
        assert_eq!(shape(&Stack::of_service(&files, "sudo")), ["a0"]);
    }

    #[test]
    fn what_is_not_understood_fails_in_its_place() {
        let stack = stack(&[(
            "sudo",
            "auth\nauth required\nauht sufficient x.so\nauth include nowhere\n\
             auth substack nowhere\nauth bogus x.so\n",
        )]);
        assert_eq!(shape(&stack), ["!0", "!0", "!0", "!0", "(0", "!0", "x0"]);
        assert_eq!(stack.troubles.len(), 5);
        assert!(stack.handlers[6].control.fault.is_some());
        assert!(!stack.given_up);
    }

    #[test]
    fn libpam_gives_a_service_up() {
        let other = ("other", "auth required x.so\n");
        for text in [
            "@include nowhere",
            "@include",
            "@include broken",
            "auth required x.so\nauth required \\\n",
            "session required /lib/\n",
            "auth required .so\n",
        ] {
            let broken = ("broken", "auth required \\\n");
            let stack = stack(&[other, broken, ("sudo", text)]);
            assert!(stack.given_up, "{text}");
        }
        // everywhere, where it is "other" that is not understood
        let own = ("sudo", "auth required x.so\n");
        assert!(stack(&[own, ("other", "@include nowhere")]).given_up);
    }

    #[test]
    fn an_include_that_fails_further_down_is_one_failing_line() {
        let stack = stack(&[
            ("sudo", "auth include one\n"),
            ("one", "auth required a.so\n@include nowhere\n"),
            ("other", ""),
        ]);
        assert_eq!(
            (shape(&stack), stack.given_up),
            (vec!["a0".into(), "!0".into()], false)
        );
        assert!(stack.troubles.iter().any(Trouble::leaves_it_unclear));
    }

    #[test]
    fn loops_and_floods_have_an_end() {
        let looped = stack(&[("sudo", "auth required a.so\nauth include sudo\n")]);
        assert_eq!(looped.handlers.len(), 17);
        assert!(matches!(looped.troubles[0], Trouble::TooDeep(_)));
        assert!(looped.troubles[0].leaves_it_unclear());
        let flood = "auth include sudo\n".repeat(100);
        let flood = stack(&[("sudo", &flood), ("other", "")]);
        assert!(flood.troubles.contains(&Trouble::TooMany));
        let many = "auth required a.so\n".repeat(MOST_LINES + 1);
        let many = stack(&[("sudo", &many)]);
        assert_eq!(many.handlers.len(), MOST_LINES);
        assert_eq!(many.troubles, [Trouble::TooMany]);
    }

    #[test]
    fn without_debians_patch_its_include_is_no_kind_of_line() {
        let mut files = Written::new(&[
            ("sudo", "@include common\n"),
            ("common", "auth required a.so\n"),
        ]);
        files.debian = false;
        assert_eq!(shape(&Stack::of_service(&files, "sudo")), ["!0"]);
    }

    #[test]
    fn our_module_is_known_wherever_it_stands() {
        let stack = stack(&[(
            "sudo",
            "auth required /usr/local/lib/security/pam_passkey.so timeout=9\n\
             account required pam_passkey.so\n",
        )]);
        assert!(stack.names_us);
        assert_eq!(stack.misplaced[0].1, "account");
        // also behind what libpam stumbles over
        let stumbles = ("sudo", "@include nowhere\nauth required pam_passkey.so\n");
        let files = Written::new(&[stumbles, ("other", "")]);
        assert!(Stack::of_service(&files, "sudo").names_us);
    }
}

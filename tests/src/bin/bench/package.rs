//! What is installed: the files, and what they pull into the host.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::machine::the_module;

use crate::printed_by;
use crate::text::{grouped, table as markdown};

/// A module, as it lies on the disk.
pub(crate) struct Package {
    module: u64,
    /// The program that enrols.
    program: u64,
    needed: Vec<String>,
    /// Libraries that libpam does not pull in by itself.
    brought: Vec<PathBuf>,
    crates: Option<usize>,
}

pub(crate) fn pam_passkey() -> Package {
    let crates = printed_by("cargo", &CARGO_TREE);
    let crates: BTreeSet<&str> = crates.lines().collect();
    let module = the_module();
    let program = module.with_file_name("passkey");
    Package {
        crates: Some(crates.len()),
        ..Package::of(&module, &program)
    }
}

pub(crate) fn pam_u2f() -> Package {
    let files = printed_by("dpkg", &["-L", "libpam-u2f"]);
    let module = files.lines().find(|file| file.ends_with("/pam_u2f.so"));
    let module = module.expect("libpam-u2f has a module");
    Package::of(Path::new(module), Path::new("/usr/bin/pamu2fcfg"))
}

const CARGO_TREE: [&str; 9] = [
    "tree",
    "--locked",
    "-p",
    "pam-passkey",
    "-e",
    "normal,no-proc-macro",
    "--prefix",
    "none",
    "--no-dedupe",
];

impl Package {
    fn of(module: &Path, program: &Path) -> Self {
        let headers = printed_by("objdump", &["-p", text(module)]);
        let needed = headers
            .lines()
            .filter_map(|line| line.trim().strip_prefix("NEEDED"))
            .map(|name| name.trim().to_owned())
            .collect();
        let libraries = libraries(module);
        let libpam = libraries
            .iter()
            .find(|file| text(file).contains("libpam.so"));
        let in_any_host = libraries_with(libpam.expect("a module is linked with libpam"));
        Self {
            module: size(module),
            program: size(program),
            needed,
            brought: libraries.difference(&in_any_host).cloned().collect(),
            crates: None,
        }
    }
}

/// All that the dynamic linker loads for this file, the linker itself apart.
fn libraries(file: &Path) -> BTreeSet<PathBuf> {
    printed_by("ldd", &[text(file)])
        .lines()
        .filter_map(|line| line.split_once(" => ")?.1.split_once(" ("))
        .map(|(path, _)| PathBuf::from(path))
        .collect()
}

fn libraries_with(file: &Path) -> BTreeSet<PathBuf> {
    let mut all = libraries(file);
    all.insert(file.to_owned());
    all
}

fn size(file: &Path) -> u64 {
    fs::metadata(file)
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()))
        .len()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

pub(crate) fn table(packages: &[Package; 2]) -> String {
    let name = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let list = |names: Vec<String>| match names.as_slice() {
        [] => "none".to_owned(),
        names => names.join(", "),
    };
    let row = |what: &str, cell: &dyn Fn(&Package) -> String| {
        let cells = packages.iter().map(cell);
        [what.to_owned()].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<String>> = vec![
        row("module, bytes", &|it| grouped(it.module)),
        row("program that enrols, bytes", &|it| grouped(it.program)),
        row("libraries NEEDED by the module", &|it| {
            list(it.needed.clone())
        }),
        row("libraries it brings into the host", &|it| {
            list(it.brought.iter().map(name).collect())
        }),
        row("those libraries, bytes", &|it| {
            grouped(it.brought.iter().map(|file| size(file)).sum())
        }),
        row("module and those libraries, bytes", &|it| {
            grouped(it.module + it.brought.iter().map(|file| size(file)).sum::<u64>())
        }),
        row("crates linked into the module", &|it| match it.crates {
            Some(crates) => crates.to_string(),
            None => "none, it is C".to_owned(),
        }),
    ];
    format!(
        "## Size

{table}
The files are stripped, as they are installed: `target/release/libpam_passkey.so` and `passkey`; `pam_u2f.so` and `pamu2fcfg`.
NEEDED is what `objdump -p` shows.
Brought into the host is what `ldd` lists for the module and not for libpam itself, which every host has loaded.
Sizes differ by some thousand bytes from machine to machine, since panic messages hold the paths of crates.
Most of what pam_u2f brings is libcrypto, which other programs on a machine may have loaded as well.
Crates are the lines of this command, two of them (`pam-passkey` and `ceremony`) of this repository; what runs only at compile time is not among them:

    cargo {command} | sort -u
",
        table = markdown(&["", "pam_passkey", "pam_u2f"], &rows),
        command = CARGO_TREE.join(" "),
    )
}

//! Compiles the translations in `po/` into the module: tables, so that inside
//! sudo there is neither a file nor a parser.
#![forbid(unsafe_code)]

#[path = "build/po.rs"]
mod po;

use std::error::Error;
use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=po");
    let mut catalogues: Vec<String> = Vec::new();
    for entry in fs::read_dir("po")? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "po") {
            let catalogue = catalogue(&path);
            catalogues.push(catalogue.map_err(|problem| format!("{}: {problem}", path.display()))?);
        }
    }
    catalogues.sort();
    let source = format!(
        "/// The languages by their names in gettext.\n\
         static CATALOGUES: &[(&str, &[(&str, &str)])] = &[{}];\n",
        catalogues.concat()
    );
    fs::write(
        Path::new(&env::var("OUT_DIR")?).join("catalogues.rs"),
        source,
    )?;
    Ok(())
}

/// One language as Rust: its name, and its sentences in their order.
fn catalogue(path: &Path) -> Result<String, Box<dyn Error>> {
    let name = path.file_stem().ok_or("a file without a name")?;
    let mut source = format!("\n({:?}, &[", name.to_str().ok_or("a strange name")?);
    for (english, translated) in po::parse(&fs::read_to_string(path)?)? {
        // Not translated yet: English.
        if translated.is_empty() {
            continue;
        }
        if let Some(misfit) = po::misfit(&english, &translated) {
            return Err(misfit.into());
        }
        write!(source, "\n({english:?}, {translated:?}),")?;
    }
    Ok(source + "]),")
}

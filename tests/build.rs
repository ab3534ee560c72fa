//! Compiles the libraries that other programs load into themselves, each by itself: those that a
//! machine's `/etc/ld.so.preload` names, and one for its name service.

use std::env;
use std::path::Path;
use std::process::Command;

/// File in `src`, and the variable that tells the bench where the library is.
const LIBRARIES: [(&str, &str); 5] = [
    ("hid_ioctls", "HID_IOCTLS"),
    ("hoarding_heap", "HOARDING_HEAP"),
    ("known_random", "KNOWN_RANDOM"),
    ("broken_clock", "BROKEN_CLOCK"),
    ("name_service", "NAME_SERVICE"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, variable) in LIBRARIES {
        let source = format!("src/{name}.rs");
        println!("cargo::rerun-if-changed={source}");
        let library = Path::new(&env::var("OUT_DIR")?).join(format!("lib{name}.so"));
        let status = Command::new(env::var("RUSTC")?)
            .args(["--edition=2024", "--crate-type=cdylib", "-O"])
            .args(["--crate-name", name, "--target", &env::var("TARGET")?])
            .args([&source, "-o"])
            .arg(&library)
            .status()?;
        if !status.success() {
            return Err(format!("{source} does not compile").into());
        }
        println!("cargo::rustc-env={variable}={}", library.display());
    }
    Ok(())
}

//! Compiles `src/hid_ioctls.rs`, a library of its own, for the machines' `/etc/ld.so.preload`.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=src/hid_ioctls.rs");
    let library = Path::new(&env::var("OUT_DIR")?).join("libhid_ioctls.so");
    let status = Command::new(env::var("RUSTC")?)
        .args([
            "--edition=2024",
            "--crate-type=cdylib",
            "--crate-name=hid_ioctls",
            "-O",
        ])
        .args(["--target", &env::var("TARGET")?, "src/hid_ioctls.rs", "-o"])
        .arg(&library)
        .status()?;
    if !status.success() {
        return Err("src/hid_ioctls.rs does not compile".into());
    }
    println!("cargo::rustc-env=HID_IOCTLS={}", library.display());
    Ok(())
}

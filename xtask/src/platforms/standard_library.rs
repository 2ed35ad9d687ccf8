//! The standard library for a target, built from Debian's sources of it into a folder of ours.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{debians, folder};
use crate::{Result, command};

/// Builds it unless that was done by the compiler that is here now.
///
/// # Errors
///
/// It cannot be built.
pub(super) fn provide(triple: &str) -> Result {
    let library = folder()?.join("sysroot/lib/rustlib").join(triple);
    let stamp = library.join("built-by");
    let compiler = command::output(Command::new("/usr/bin/rustc").arg("-vV"))?;
    if fs::read_to_string(&stamp).ok().as_deref() == Some(compiler.as_str()) {
        return Ok(());
    }
    let package = folder()?.join("standard-library");
    fs::create_dir_all(package.join("src"))?;
    fs::write(package.join("Cargo.toml"), MANIFEST)?;
    fs::write(package.join("src/lib.rs"), "")?;
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo
        .args(["build", "--release", "--target", triple])
        .arg("-Zbuild-std=std,panic_abort,panic_unwind,test,proc_macro")
        .current_dir(&package);
    debians(&mut cargo);
    cargo
        .env("CARGO_TARGET_DIR", package.join("target"))
        // For the -Z.
        .env("RUSTC_BOOTSTRAP", "1");
    command::run(&mut cargo)?;

    let objects = library.join("lib");
    if library.exists() {
        fs::remove_dir_all(&library)?;
    }
    fs::create_dir_all(&objects)?;
    collect(
        &package.join("target").join(triple).join("release"),
        &objects,
    )?;
    fs::write(stamp, compiler)?;
    Ok(())
}

const MANIFEST: &str = r#"[package]
name = "nothing"
version = "0.0.0"
edition = "2024"

[workspace]

[profile.release]
debug = 0
"#;

/// Copies the libraries that were built in this folder or deeper, but for that of the empty package.
fn collect(built: &Path, objects: &Path) -> Result {
    for entry in fs::read_dir(built)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, objects)?;
            continue;
        }
        let name = path.file_name().unwrap_or_default();
        let is_ours = name.to_string_lossy().starts_with("libnothing");
        if path.extension() == Some("rlib".as_ref()) && !is_ours {
            fs::copy(&path, objects.join(name))?;
        }
    }
    Ok(())
}

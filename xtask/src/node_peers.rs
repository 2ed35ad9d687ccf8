//! Programs of others that run on Node, installed once and kept under `target/peers/node`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command};

const SOURCE: &str = "crates/test-support/node";
const PACKAGES: [&str; 2] = ["package.json", "package-lock.json"];
const SCRIPTS: [&str; 2] = ["oidc_provider.mjs", "sign_in_peer.mjs"];

/// The folder with the scripts, and with the packages that they need: made or renewed if it is
/// not as the lock file says.
pub(crate) fn folder() -> Result<PathBuf> {
    let root = std::path::absolute("target/peers/node")?;
    fs::create_dir_all(&root)?;
    let source = |name| Path::new(SOURCE).join(name);
    // A script finds its packages beside itself.
    for name in SCRIPTS {
        fs::copy(source(name), root.join(name))?;
    }

    let mut wanted = String::new();
    for name in PACKAGES {
        wanted += &fs::read_to_string(source(name))?;
    }
    let stamp = root.join("packages.stamp");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
        for name in PACKAGES {
            fs::copy(source(name), root.join(name))?;
        }
        // What the lock file says and nothing else, and none of the packages' own scripts.
        let mut npm = Command::new("npm");
        npm.args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ]);
        command::run(npm.current_dir(&root))?;
        fs::write(&stamp, wanted)?;
    }
    Ok(root)
}

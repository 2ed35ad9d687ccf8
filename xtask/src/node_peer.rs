//! Microsoft's Node package as a peer, installed once under `target/peers`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command};

const REQUIREMENTS: &str = "crates/test-support/node";

/// The folder of the installed modules, which is made or renewed if it is not as the lock file
/// says. Their install scripts do not run: what needs a native part is not used here.
pub(crate) fn modules() -> Result<PathBuf> {
    let root = std::path::absolute("target/peers/node")?;
    let wanted = fs::read_to_string(Path::new(REQUIREMENTS).join("package-lock.json"))?;
    let stamp = root.join("package-lock.stamp");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
        fs::create_dir_all(&root)?;
        for name in ["package.json", "package-lock.json"] {
            fs::copy(Path::new(REQUIREMENTS).join(name), root.join(name))?;
        }
        let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        command::run(Command::new("npm").args(arguments).current_dir(&root))?;
        fs::write(&stamp, wanted)?;
    }
    Ok(root.join("node_modules"))
}

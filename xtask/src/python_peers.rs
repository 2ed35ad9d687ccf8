//! Python environments with Microsoft's packages, made once and kept under `target/peers`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command};

const REQUIREMENTS: &str = "crates/test-support/python";

/// Which packages are there. msal-extensions locks in another way where it finds portalocker.
#[derive(Clone, Copy)]
pub(crate) enum Environment {
    Plain,
    Portalocker,
}

impl Environment {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Portalocker => "portalocker",
        }
    }

    fn requirement_files(self) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            Self::Plain => &["requirements.txt"],
            Self::Portalocker => &["requirements.txt", "requirements-portalocker.txt"],
        };
        names
            .iter()
            .map(|name| Path::new(REQUIREMENTS).join(name))
            .collect()
    }
}

/// The Python of this environment, which is made or renewed if it is not as the requirements say.
pub(crate) fn interpreter(environment: Environment) -> Result<PathBuf> {
    let root = std::path::absolute("target/peers")?.join(environment.name());
    let python = root.join("bin/python");
    let files = environment.requirement_files();
    let wanted = files
        .iter()
        .map(fs::read_to_string)
        .collect::<io::Result<String>>()?;

    let stamp = root.join("requirements.stamp");
    if fs::read_to_string(&stamp).ok().as_deref() != Some(wanted.as_str()) {
        command::run(
            Command::new("python3")
                .args(["-m", "venv", "--clear"])
                .arg(&root),
        )
        .map_err(|error| {
            format!("{error}; Python 3.9 or later with venv is needed (Debian: python3-venv)")
        })?;
        // Everything is pinned, so pip has nothing to resolve.
        let mut pip = Command::new(&python);
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
        ]);
        for file in &files {
            pip.arg("--requirement").arg(file);
        }
        command::run(&mut pip)?;
        command::run(Command::new(&python).args(["-m", "pip", "check"]))?;
        fs::write(&stamp, wanted)?;
    }
    verify(environment, &python)?;
    Ok(python)
}

/// Looks for portalocker as msal-extensions does: the suite is about the lock that this selects.
fn verify(environment: Environment, python: &Path) -> Result {
    const LOCK: &str = "import msal_extensions; print(msal_extensions.CrossPlatLock.__module__)";
    let wanted = match environment {
        Environment::Plain => "msal_extensions.filelock",
        Environment::Portalocker => "msal_extensions.cache_lock",
    };
    let found = command::output(Command::new(python).args(["-c", LOCK]))?;
    if found.trim() == wanted {
        return Ok(());
    }
    let (name, found) = (environment.name(), found.trim());
    Err(format!("`target/peers/{name}` locks by {found}, not by {wanted}: remove it").into())
}

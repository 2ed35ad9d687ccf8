//! Python environments with the packages of others, made once and kept under `target/peers`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command};

const REQUIREMENTS: &str = "crates/test-support/python";
const SYSTEM_PYTHON: &str = "/usr/bin/python3";

/// Which packages are there: Microsoft's, whose msal-extensions locks in another way where it
/// finds portalocker, the same with the system's libsecret, or mitmproxy, or the C compiler zig.
#[derive(Clone, Copy)]
pub(crate) enum Environment {
    Plain,
    Portalocker,
    Libsecret,
    Mitmproxy,
    Zig,
}

impl Environment {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Portalocker => "portalocker",
            Self::Libsecret => "libsecret",
            Self::Mitmproxy => "mitmproxy",
            Self::Zig => "zig",
        }
    }

    /// The Python that it is made of. `PyGObject`, which libsecret needs, has to be the system's own:
    /// to install it from elsewhere takes a compiler and headers.
    fn base(self) -> &'static str {
        match self {
            Self::Libsecret => SYSTEM_PYTHON,
            _ => "python3",
        }
    }

    fn requirement_files(self) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            Self::Plain | Self::Libsecret => &["requirements.txt"],
            Self::Portalocker => &["requirements.txt", "requirements-portalocker.txt"],
            Self::Mitmproxy => &["requirements-mitmproxy.txt"],
            Self::Zig => &["requirements-zig.txt"],
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
            Command::new(environment.base())
                .args(["-m", "venv", "--clear"])
                .arg(&root),
        )
        .map_err(|error| {
            format!("{error}; Python 3.10 or later with venv is needed (Debian: python3-venv)")
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
        if matches!(environment, Environment::Libsecret) {
            show_system_packages(&python)?;
        }
        fs::write(&stamp, wanted)?;
    }
    verify(environment, &python)?;
    Ok(python)
}

/// Lets the environment see what the system's Python has, behind its own packages.
fn show_system_packages(python: &Path) -> Result {
    const WHERE_GI_IS: &str = "import gi, pathlib; print(pathlib.Path(gi.__file__).parents[1])";
    const WHERE_OURS_ARE: &str = "import sysconfig; print(sysconfig.get_path('purelib'))";
    let theirs = command::output(Command::new(SYSTEM_PYTHON).args(["-c", WHERE_GI_IS]))?;
    let ours = command::output(Command::new(python).args(["-c", WHERE_OURS_ARE]))?;
    Ok(fs::write(
        Path::new(ours.trim()).join("system.pth"),
        theirs,
    )?)
}

/// Looks for what the suite is about: the lock that msal-extensions selects, its libsecret, or
/// mitmproxy or zig itself.
fn verify(environment: Environment, python: &Path) -> Result {
    const LOCK: &str = "import msal_extensions; print(msal_extensions.CrossPlatLock.__module__)";
    const SECRET: &str = "import msal_extensions.libsecret as peer; print(peer.Secret._version)";
    const PROXY: &str = "import mitmproxy.tools.main; print(mitmproxy.__name__)";
    const ZIG: &str = "import ziglang; print(ziglang.__name__)";
    let (question, wanted) = match environment {
        Environment::Plain => (LOCK, "msal_extensions.filelock"),
        Environment::Portalocker => (LOCK, "msal_extensions.cache_lock"),
        Environment::Libsecret => (SECRET, "1"),
        Environment::Mitmproxy => (PROXY, "mitmproxy"),
        Environment::Zig => (ZIG, "ziglang"),
    };
    let found = command::output(Command::new(python).args(["-c", question]))?;
    if found.trim() == wanted {
        return Ok(());
    }
    let (name, found) = (environment.name(), found.trim());
    Err(format!("`target/peers/{name}` has {found} and not {wanted}: remove it").into())
}

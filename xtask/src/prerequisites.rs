use std::process::{Command, Stdio};

use crate::Result;
use crate::command;

/// Something that cargo does not bring: how to ask for it, and the Debian packages that have it.
pub(crate) type Prerequisite = (&'static [&'static str], &'static [&'static str]);

/// Debian keeps a part of venv in a package of its own.
pub(crate) const PYTHON: Prerequisite = (
    &["python3", "-c", "import ensurepip, venv"],
    &["python3", "python3-venv"],
);

/// What the suites start.
pub(crate) const OF_THE_SUITES: &[Prerequisite] = &[
    (&["strace", "--version"], &["strace"]),
    (&["flock", "--version"], &["util-linux"]),
    PYTHON,
    // The program without the service, which would start by itself.
    (&["tinyproxy", "-v"], &["tinyproxy-bin"]),
    // 18 or later.
    (
        &[
            "node",
            "-e",
            "process.exit(parseInt(process.versions.node) >= 18 ? 0 : 1)",
        ],
        &["nodejs"],
    ),
    (&["npm", "--version"], &["npm"]),
];

/// What the suite of the Secret Service starts.
pub(crate) const OF_THE_SECRET_SERVICE: &[Prerequisite] = &[
    (&["dbus-daemon", "--version"], &["dbus-daemon"]),
    (&["gnome-keyring-daemon", "--version"], &["gnome-keyring"]),
    // It has no option that does nothing.
    (
        &["sh", "-c", "command -v secret-tool"],
        &["libsecret-tools"],
    ),
    // The system's own, for its `PyGObject`.
    (
        &["/usr/bin/python3", "-c", "import ensurepip, venv"],
        &["python3", "python3-venv"],
    ),
    (
        &[
            "/usr/bin/python3",
            "-c",
            "import gi; gi.require_version('Secret', '1')",
        ],
        &["python3-gi", "gir1.2-secret-1"],
    ),
];

/// Makes sure that all of this is there; as root on Debian, by installing what is not.
///
/// # Errors
///
/// Something is missing and cannot be installed here; the error names it.
pub(crate) fn provide(prerequisites: &[Prerequisite]) -> Result {
    let wanted = missing(prerequisites);
    if wanted.is_empty() {
        return Ok(());
    }
    if is_root()? && answers(&["apt-get", "--version"]) {
        let apt_get = |arguments: &[&str]| {
            let mut apt_get = Command::new("apt-get");
            command::run(
                apt_get
                    .args(arguments)
                    .env("DEBIAN_FRONTEND", "noninteractive"),
            )
        };
        apt_get(&["update", "-qq"])?;
        apt_get(
            &[
                &["install", "-qq", "-y", "--no-install-recommends"][..],
                // Another installation may be under way.
                &["-o", "DPkg::Lock::Timeout=600"],
                &*wanted,
            ]
            .concat(),
        )?;
    }
    match &*missing(prerequisites) {
        [] => Ok(()),
        still => Err(format!("install what Debian calls: {}", still.join(" ")).into()),
    }
}

/// Whether other users' files, mounts and namespaces are ours to make.
pub(crate) fn is_root() -> Result<bool> {
    Ok(command::output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// The Debian packages of what does not answer.
fn missing(prerequisites: &[Prerequisite]) -> Vec<&'static str> {
    prerequisites
        .iter()
        .filter(|(question, _)| !answers(question))
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect()
}

/// Whether this command is there and succeeds.
pub(crate) fn answers(question: &[&str]) -> bool {
    let mut program = Command::new(question[0]);
    let program = program
        .args(&question[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    program.status().is_ok_and(|status| status.success())
}

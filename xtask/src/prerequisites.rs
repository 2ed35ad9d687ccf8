use std::process::{Command, Stdio};

use crate::Result;
use crate::command;

/// What the suites start that cargo does not bring: how to ask for it, and the Debian packages
/// that have it.
const PREREQUISITES: &[(&[&str], &[&str])] = &[
    (&["strace", "--version"], &["strace"]),
    (&["flock", "--version"], &["util-linux"]),
    // Debian keeps a part of venv in a package of its own.
    (
        &["python3", "-c", "import ensurepip, venv"],
        &["python3", "python3-venv"],
    ),
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

/// Makes sure that everything is there; as root on Debian, by installing what is not.
///
/// # Errors
///
/// Something is missing and cannot be installed here; the error names it.
pub(crate) fn provide() -> Result {
    let wanted = missing();
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
                &["install", "-qq", "-y", "--no-install-recommends"],
                &*wanted,
            ]
            .concat(),
        )?;
    }
    match &*missing() {
        [] => Ok(()),
        still => Err(format!("install what Debian calls: {}", still.join(" ")).into()),
    }
}

/// Whether other users' files, mounts and namespaces are ours to make.
pub(crate) fn is_root() -> Result<bool> {
    Ok(command::output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// The Debian packages of what does not answer.
fn missing() -> Vec<&'static str> {
    PREREQUISITES
        .iter()
        .filter(|(question, _)| !answers(question))
        .flat_map(|(_, packages)| packages.iter().copied())
        .collect()
}

fn answers(question: &[&str]) -> bool {
    let mut program = Command::new(question[0]);
    let program = program
        .args(&question[1..])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    program.status().is_ok_and(|status| status.success())
}

use std::path::Path;
use std::process::Command;

use crate::Result;
use crate::cargo_test::Tally;
use crate::command::{self, cargo};

/// A token is longer than any word that is meant for people, paths left aside.
const LONGEST_WORD: usize = 100;

/// Runs each example as a user does, and looks at what it says.
pub(crate) fn run() -> Result<Tally> {
    // The examples' own home: there is no token cache in it.
    let home = std::path::absolute("target/examples-home")?;
    std::fs::create_dir_all(&home)?;
    command::run(&mut cargo(&[
        "build",
        "--package",
        "examples",
        "--examples",
    ]))?;
    let checks = [
        check(
            &home,
            "get_token",
            &["--demo"],
            0,
            &[
                "account:      ada@",
                "source:       redeemed",
                "source:       cache",
                "expiry:",
            ],
        ),
        check(
            &home,
            "get_token",
            &[],
            1,
            &[
                "no token: the token cache",
                ".IdentityService/msal.cache.nocae (in plain text, because no D-Bus \
                 session answers) is missing",
            ],
        ),
        check(&home, "get_token", &["--nonsense"], 1, &["usage:"]),
        check(&home, "list_accounts", &[], 0, &["no account"]),
    ];
    let mut tally = Tally::default();
    for check in checks {
        match check {
            Ok(()) => tally.passed += 1,
            Err(error) => {
                eprintln!("error: {error}");
                tally.failed += 1;
            }
        }
    }
    Ok(tally)
}

fn example(home: &Path, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args([
        "run",
        "--quiet",
        "--package",
        "examples",
        "--example",
        name,
        "--",
    ]);
    command.args(arguments);
    // Rust's own tools look for their settings in the home folder, too.
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if std::env::var_os(variable).is_none()
            && let Some(home) = std::env::var_os("HOME")
        {
            command.env(variable, Path::new(&home).join(folder));
        }
    }
    command.env("HOME", home);
    // Nor is there a keyring of whoever runs this.
    command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    command
}

fn check(home: &Path, name: &str, arguments: &[&str], status: i32, said: &[&str]) -> Result {
    let (code, text) = command::capture(&mut example(home, name, arguments))?;
    print!("{text}");
    if code != Some(status) {
        return Err(format!("the exit status was {code:?}, not {status}").into());
    }
    if let Some(missing) = said.iter().find(|part| !text.contains(**part)) {
        return Err(format!("`{missing}` was not said").into());
    }
    // How long the path to the project is says nothing about its output.
    let text = text.replace(&*home.to_string_lossy(), "~");
    if text
        .split_whitespace()
        .any(|word| word.len() > LONGEST_WORD)
    {
        return Err("a word is so long that it may hold a token".into());
    }
    Ok(())
}

//! A vector whose environment is not ours runs in a process of its own: this binary again, which
//! gets the vector on its standard input and prints what came of it.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use crate::disk::{HOME, make_private_folder};
use crate::json::Json;
use crate::outcome::Outcome;
use crate::run;
use crate::vector::{ConstructorVector, Failure, Kind, Vector, read};

/// Says what the child is to run.
const CHILD: &str = "CONFORMANCE_CHILD";

/// What comes of a lookup vector.
pub(crate) fn lookup(json: &Json, vector: &Vector) -> Result<Outcome, String> {
    match vector.kind {
        Kind::Lookup if vector.env.is_empty() => not_panicking(|| run::run(vector, None)),
        Kind::Lookup => child("lookup", json, &vector.env, None),
        Kind::File => {
            let home = tempfile::tempdir().map_err(|error| error.to_string())?;
            child("lookup", json, &vector.env, Some(home.path()))
        }
    }
}

/// What comes of a constructor vector.
pub(crate) fn constructor(
    json: &Json,
    vector: &ConstructorVector,
) -> Result<Option<Failure>, String> {
    if vector.env.is_empty() {
        not_panicking(|| Ok(build(vector)))
    } else {
        child("constructor", json, &vector.env, None)
    }
}

fn build(vector: &ConstructorVector) -> Option<Failure> {
    let built = run::constructor(&vector.constructor)
        .and_then(shared_token_cache_credential::SharedTokenCacheCredentialBuilder::build);
    built.err().map(|error| run::failure(&error))
}

fn not_panicking<T>(run: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| Err("it panicked".to_owned()))
}

fn child<T: serde::de::DeserializeOwned>(
    what: &str,
    json: &Json,
    env: &BTreeMap<String, String>,
    home: Option<&Path>,
) -> Result<T, String> {
    let failed = |error: std::io::Error| format!("the process of its own: {error}");
    let mut command = Command::new(std::env::current_exe().map_err(failed)?);
    command
        .env(CHILD, what)
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    if let Some(home) = home {
        // What is not a store goes elsewhere.
        let run = home.join("run");
        make_private_folder(&run).map_err(failed)?;
        command.env(HOME, home).env("XDG_RUNTIME_DIR", run);
        // Nor does it come from the keyring of whoever runs this.
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
    }
    let mut child = command.spawn().map_err(failed)?;
    let mut input = child.stdin.take().ok_or("no way to tell it the vector")?;
    // It reads all before it writes.
    input
        .write_all(json.to_string().as_bytes())
        .map_err(failed)?;
    drop(input);
    let output = child.wait_with_output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answer: Result<T, String> =
        serde_json::from_str(&text).map_err(|error| format!("{error} in its answer {text:?}"))?;
    answer
}

/// The child's part, if this is the child.
pub(crate) fn be_child() -> Option<ExitCode> {
    let what = std::env::var(CHILD).ok()?;
    let answer = || {
        let mut text = String::new();
        let read_all = std::io::stdin().read_to_string(&mut text);
        read_all.map_err(|error| error.to_string())?;
        let json = Json::parse(&text).ok_or("no vector")?;
        let answer = if what == "lookup" {
            let vector: Vector = read(&json)?;
            let home = std::env::var_os(HOME);
            let home = home
                .as_deref()
                .map(Path::new)
                .filter(|_| vector.kind == Kind::File);
            serde_json::to_value(run::run(&vector, home)?)
        } else {
            serde_json::to_value(build(&read(&json)?))
        };
        answer.map_err(|error| error.to_string())
    };
    let answer: Result<serde_json::Value, String> = not_panicking(answer);
    let text = serde_json::to_string(&answer).unwrap_or_default();
    println!("{text}");
    Some(ExitCode::SUCCESS)
}

/// This binary once more without what the environment says to Azure programs, where it says
/// something: a vector has its own environment, or none.
pub(crate) fn without_azure_variables() -> Option<ExitCode> {
    let is_azure = |name: &str| name.starts_with("AZURE_");
    let names = std::env::vars_os().map(|(name, _)| name);
    let names: Vec<_> = names
        .filter(|name| name.to_str().is_some_and(is_azure))
        .collect();
    if names.is_empty() {
        return None;
    }
    let mut command = Command::new(std::env::current_exe().ok()?);
    command.args(std::env::args_os().skip(1));
    for name in names {
        command.env_remove(name);
    }
    let is_good = command.status().is_ok_and(|status| status.success());
    Some(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

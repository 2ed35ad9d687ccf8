use std::io::{BufRead, BufReader, Write as _, stdout};
use std::process::{Command, ExitStatus, Stdio};

use crate::Result;

/// A cargo command with these arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    command
}

/// Shows the command, runs it on this terminal, and makes a failure of its own one of ours.
pub(crate) fn run(command: &mut Command) -> Result {
    show(command);
    let status = command
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(format!("`{}` ended with {status}", text(command)).into())
}

/// Runs the command quietly and returns what it printed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    Err(format!("`{}` ended with {}", text(command), output.status).into())
}

/// Shows the command, runs it, and returns its exit status and all that it said.
pub(crate) fn capture(command: &mut Command) -> Result<(Option<i32>, String)> {
    show(command);
    let output = command
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    let said = [output.stdout, output.stderr].concat();
    Ok((output.status.code(), String::from_utf8(said)?))
}

/// Shows the command and runs it; every line of its output is shown as it comes, then handed on.
pub(crate) fn stream(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result<ExitStatus> {
    show(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no pipe from the command")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        stdout().write_all(&line)?;
        on_line(String::from_utf8_lossy(&line).trim_end());
        line.clear();
    }
    Ok(child.wait()?)
}

fn show(command: &Command) {
    println!("$ {}", text(command));
}

fn text(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| part.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    let program = command.get_program().display();
    format!("cannot start `{program}` ({error}): install it")
}

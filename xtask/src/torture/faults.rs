//! Every system call of one modification fails in every way that makes sense for it.
//!
//! A dry run tells how often the program makes a call before it begins its modification, and how
//! often during it; then each of the latter fails, alone and together with all that follow.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::Stage;
use super::process::{Place, Process};
use super::table::{Checks, Table};
use crate::Result;

/// A call, and the errors that it can meet.
const CALLS: &[(&str, &[&str])] = &[
    (
        "openat",
        &[
            "ENOSPC", "EDQUOT", "EMFILE", "EACCES", "EROFS", "EIO", "EINTR",
        ],
    ),
    ("read", &["EIO", "EINTR"]),
    ("write", &["ENOSPC", "EDQUOT", "EIO", "EINTR"]),
    ("pwrite64", &["ENOSPC", "EDQUOT", "EIO", "EINTR"]),
    ("ftruncate", &["EIO", "EROFS", "EINTR"]),
    ("fsync", &["ENOSPC", "EDQUOT", "EIO", "EROFS", "EINTR"]),
    (
        "linkat",
        &["ENOSPC", "EDQUOT", "EACCES", "EXDEV", "EROFS", "EIO"],
    ),
    (
        "renameat",
        &["ENOSPC", "EDQUOT", "EACCES", "EXDEV", "EROFS", "EIO"],
    ),
    ("flock", &["ENOLCK", "EIO", "EINTR"]),
    ("fcntl", &["ENOLCK", "EMFILE", "EINTR"]),
    ("unlinkat", &["EACCES", "EROFS", "EIO"]),
    ("close", &["EIO", "ENOSPC", "EDQUOT", "EINTR"]),
    ("newfstatat", &["EACCES", "EIO"]),
    ("fstat", &["EIO"]),
    ("fchmod", &["EACCES", "EROFS", "EIO"]),
    ("utimensat", &["EACCES", "EROFS", "EIO"]),
    ("getdents64", &["EIO"]),
    ("lseek", &["EIO"]),
];

/// The calls that nothing but the cache makes while a credential gets a token.
const CALLS_BEHIND_A_TOKEN: &[&str] = &["fsync", "linkat", "renameat", "flock", "unlinkat"];

#[derive(Default)]
struct Seen {
    runs: usize,
    stored: usize,
    refused: usize,
    /// How often something was left, so that the next writer had to wait a second.
    left: usize,
    bad: Vec<String>,
}

pub(super) fn run(stage: &Stage, table: &mut Table) -> Result {
    calls(stage, table)
}

/// The same below a credential, which has a token to return.
pub(super) fn behind_a_token(stage: &Stage, table: &mut Table) -> Result {
    tokens(stage, table)?;
    media(stage, table)
}

fn calls(stage: &Stage, table: &mut Table) -> Result {
    let place = stage.programs.place(&stage.disk, "faults")?;
    let old = fs::read(&place.path)?;
    let mut sum = 0;
    for (call, errors) in CALLS {
        put(&place, &old)?;
        let (before, during) = dry_run(stage, &place, call)?;
        let mut seen = Seen::default();
        let errors = stage.form.of(*errors, &errors[..errors.len().min(2)]);
        for error in errors {
            for n in 1..=during {
                // Nothing is interrupted for ever.
                for and_after in ["", "+"].iter().take(if *error == "EINTR" { 1 } else { 2 }) {
                    // In the short form the stubborn ones only at the first call.
                    if stage.form.is_short() && *and_after == "+" && n > 1 {
                        continue;
                    }
                    let inject = format!("{call}:error={error}:when={}{and_after}", before + n);
                    let fault = format!("{call} {error} {n}{and_after}");
                    one(stage, &place, &old, (&inject, &fault), &mut seen)?;
                }
            }
        }
        sum += seen.runs;
        let mut checks = Checks::new();
        checks.that(during > 0, "the call is not made");
        for bad in seen.bad.iter().take(5) {
            checks.that(false, bad.clone());
        }
        let figures = format!(
            "{during} calls, {} runs: {} stored all the same, {} refused with path and kind, {} bad",
            seen.runs,
            seen.stored,
            seen.refused,
            seen.bad.len()
        );
        table.add(
            format!("{call} fails: {}", errors.join(", ")),
            figures,
            checks,
        );
    }
    println!("{sum} runs");
    Ok(())
}

fn strace(trace: &str, output: &Path) -> Command {
    let mut strace = Command::new("strace");
    strace
        .args(["--follow-forks", "--seccomp-bpf", "--output"])
        .arg(output)
        .args(["--trace", trace]);
    strace
}

/// How often the call is made before the modification, and during it.
fn dry_run(stage: &Stage, place: &Place, call: &str) -> Result<(usize, usize)> {
    let log = place.folder.with_extension("strace");
    let mut strace = strace(&format!("{call},statx"), &log);
    strace
        .arg(&stage.programs.ours)
        .args(["once", &place.text, "300"]);
    let report = Process::start(&mut strace)?.report()?;
    if report["ok"] != "Stored" {
        return Err(format!("without a fault: {report}").into());
    }
    let text = fs::read_to_string(&log)?;
    let at = |mark: &str| {
        text.find(mark)
            .ok_or_else(|| format!("no {mark} in the trace"))
    };
    let (begin, end) = (at("/cache_torture/begin")?, at("/cache_torture/end")?);
    let name = format!("{call}(");
    let count = |part: &str| part.matches(&name).count();
    Ok((count(&text[..begin]), count(&text[begin..end])))
}

/// The cache as it was before, and nothing beside it.
fn put(place: &Place, content: &[u8]) -> Result {
    for entry in fs::read_dir(&place.folder)? {
        fs::remove_file(entry?.path())?;
    }
    fs::write(&place.path, content)?;
    Ok(fs::set_permissions(
        &place.path,
        fs::Permissions::from_mode(0o600),
    )?)
}

fn one(
    stage: &Stage,
    place: &Place,
    old: &[u8],
    (inject, fault): (&str, &str),
    seen: &mut Seen,
) -> Result {
    put(place, old)?;
    let call = inject.split(':').next().unwrap_or_default();
    let mut strace = strace(call, Path::new("/dev/null"));
    strace.args(["--inject", inject]);
    strace
        .arg(&stage.programs.ours)
        .args(["once", &place.text, "300"]);
    seen.runs += 1;
    let bad = |seen: &mut Seen, what: String| seen.bad.push(format!("{fault}: {what}"));
    let report = match Process::start(&mut strace)?.report() {
        Ok(report) => report,
        Err(error) => {
            bad(seen, format!("no report, {error}"));
            return Ok(());
        }
    };
    let is_new = match place.content() {
        Ok(_) => place.number("once")? == 1,
        Err(error) => {
            bad(seen, format!("torn, {error}"));
            return Ok(());
        }
    };
    if !is_new && fs::read(&place.path)? != old {
        bad(seen, "neither old nor new".to_owned());
    }
    if report["ok"] == "Stored" {
        seen.stored += 1;
        if !is_new {
            bad(seen, "said to be stored and is not".to_owned());
        }
    } else {
        seen.refused += 1;
        let error = report["error"].as_str().unwrap_or_default();
        // The parts of the path are named each: the folder, the cache or its lock.
        if !error.contains(place.folder.to_str().unwrap_or("?")) {
            bad(seen, format!("the path is not named, {error}"));
        }
        if inject.contains("EINTR") {
            bad(seen, format!("an interruption is no error, {error}"));
        }
    }
    if place.mode()? != 0o600 {
        bad(seen, format!("mode {:o}", place.mode()?));
    }
    // What cannot be deleted stays, until the next one.
    if call != "unlinkat" {
        for name in place.temporaries()? {
            bad(seen, format!("an orphan, {name}"));
        }
    }
    let is_something_left = place.lock_path().exists() || !place.temporaries()?.is_empty();
    seen.left += usize::from(is_something_left);
    if is_something_left && (seen.left <= 2 || !stage.form.is_short()) {
        let again = ["once", &place.text, "12000"];
        let again = Process::start(&mut stage.programs.ours(&again))?.report()?;
        if again["ok"] != "Stored" || place.lock_path().exists() {
            bad(seen, format!("the next one could not write, {again}"));
        }
    }
    Ok(())
}

/// Whether these calls fail or not, a credential returns a token, with one redemption.
fn tokens(stage: &Stage, table: &mut Table) -> Result {
    let (mut runs, mut bad) = (0, Vec::new());
    for (call, errors) in CALLS {
        if !CALLS_BEHIND_A_TOKEN.contains(call) {
            continue;
        }
        for error in stage.form.of(*errors, &errors[..2]) {
            for when in stage
                .form
                .of(&["1", "1+", "2", "2+", "3", "4"][..], &["1+"])
            {
                // Nothing is interrupted for ever.
                if *error == "EINTR" && when.ends_with('+') {
                    continue;
                }
                let place = stage.programs.place(&stage.memory, "tokens")?;
                let mut strace = strace(call, Path::new("/dev/null"));
                // The first of these calls are those that prepare the cache.
                let inject = format!("{call}:error={error}:when={when}");
                strace.args(["--inject", &inject]);
                strace
                    .arg(&stage.programs.ours)
                    .args(["token", &place.text, "true"]);
                runs += 1;
                match Process::start(&mut strace)?.report() {
                    Ok(report) if is_one_redemption(&report) => {}
                    Ok(report) => bad.push(format!("{inject}: {report}")),
                    Err(error) => bad.push(format!("{inject}: {error}")),
                }
                if place.content().is_err() {
                    bad.push(format!("{inject}: torn"));
                }
            }
        }
    }
    let mut checks = Checks::new();
    for bad in bad.iter().take(5) {
        checks.that(false, bad.clone());
    }
    let figures = format!(
        "{runs} runs: {} without two tokens by one redemption",
        bad.len()
    );
    table.add(
        format!(
            "{} fail while a token is got",
            CALLS_BEHIND_A_TOKEN.join(", ")
        ),
        figures,
        checks,
    );
    Ok(())
}

fn is_one_redemption(report: &Value) -> bool {
    report["tokens"] == 2 && report["requests"] == 1
}

/// Inside a mount namespace only its own programs see what was mounted.
const TOKENS_IN_A_CACHE: &str =
    "import json, sys; print(len(json.load(open(sys.argv[1])).get('AccessToken', {})))";

/// Media on which nothing can be written, or nothing can be replaced. Each is mounted in a mount
/// namespace of its own, so that nothing stays mounted.
fn media(stage: &Stage, table: &mut Table) -> Result {
    // (what, how it is mounted over the folder, what happens once the cache is there)
    let media = [
        (
            "a full tmpfs",
            r#"mount -t tmpfs -o size=256k,mode=700 none "$0""#,
            r#"cat /dev/zero > "$FOLDER/filler" 2> /dev/null; true"#,
            "old",
        ),
        (
            "a read-only mount",
            r#"mount --bind "$0" "$0""#,
            // The kernel may call a mount busy for a moment after a file there was closed.
            r#"for n in 1 2 3 4 5 6 7 8 9; do
                   mount -o remount,bind,ro "$FOLDER" && exit; sleep 0.2
               done; exit 1"#,
            "old",
        ),
        (
            "a file that is a mount of its own",
            "true",
            r#"mount --bind "$FOLDER/cache" "$FOLDER/cache""#,
            "new",
        ),
    ];
    for (what, mount, then, which) in media {
        let place = stage.programs.place(&stage.memory, "media")?;
        let mut namespace = Command::new("unshare");
        namespace.args(["--mount", "--propagation", "private", "sh", "-c"]);
        let script = format!(
            r#"{mount} && FOLDER="$0" "$1" token "$0/cache" '{then}' &&
            python3 -c "$2" "$0/cache" && ls "$0" | tr '\n' ' '"#
        );
        namespace
            .arg(script)
            .arg(&place.folder)
            .arg(&stage.programs.ours)
            .arg(TOKENS_IN_A_CACHE);
        let output = namespace.output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines = text.lines();
        let report: Value = serde_json::from_str(lines.next().unwrap_or_default())
            .map_err(|error| format!("{what}: {error}: {output:?}"))?;
        let tokens = lines.next().unwrap_or_default();
        let names = lines.next().unwrap_or_default();
        let mut checks = Checks::new();
        checks.that(is_one_redemption(&report), format!("no token: {report}"));
        checks.that(
            tokens == if which == "old" { "0" } else { "1" },
            "the cache is not as it should be",
        );
        checks.that(!names.contains("tmp"), "an orphan");
        checks.that(!names.contains("lockfile"), "a lock file");
        let figures = format!(
            "two tokens by {} redemption; the cache is whole and {which}; beside it {names}",
            report["requests"]
        );
        table.add(what, figures, checks);
    }
    Ok(())
}

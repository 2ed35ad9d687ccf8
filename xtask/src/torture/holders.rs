//! What stands in the way of the lock, and who takes it away.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Stage;
use super::process::{Place, Process, random};
use super::table::{Checks, Table};
use crate::Result;

pub(super) fn run(stage: &Stage, table: &mut Table) -> Result {
    stopped(stage, table)?;
    unseen(stage, table)?;
    deleted(stage, table)?;
    without_kernel_locks(stage, table)
}

/// One modification with a lock timeout, how it ended and after how long.
fn once(stage: &Stage, place: &Place, timeout: u64) -> Result<(Value, u64)> {
    let begun = Instant::now();
    let once = ["once", &place.text, &timeout.to_string()];
    let report = Process::start(&mut stage.programs.ours(&once))?.report()?;
    Ok((report, u64::try_from(begun.elapsed().as_millis())?))
}

fn stopped(stage: &Stage, table: &mut Table) -> Result {
    let place = stage.programs.place(&stage.disk, "stopped")?;
    let mut holder = Process::start(&mut stage.programs.ours(&["hold", &place.text]))?;
    holder.line()?;
    holder.signal("STOP")?;
    let (report, took) = once(stage, &place, 1_500)?;
    let token = ["token", &place.text, "true"];
    let token = Process::start(&mut stage.programs.ours(&token))?.report()?;
    holder.signal("CONT")?;
    let is_held = holder.report()?["is_held"].clone();

    let error = report["error"].as_str().unwrap_or_default();
    let mut checks = Checks::new();
    checks.that(report["kind"] == "Locked", "not an error about the lock");
    checks.that(
        error.contains("process ") && error.contains(".lockfile"),
        "the error does not name process and path",
    );
    checks.that((1_500..1_800).contains(&took), "the timeout was not kept");
    checks.that(token["tokens"] == 2 && token["requests"] == 1, "no token");
    checks.that(is_held == true, "the holder lost its lock");
    let figures = format!(
        "with a timeout of 1500 ms `{}` after {took} ms; {} tokens by {} redemption meanwhile",
        error.replace(&place.text, "PATH"),
        token["tokens"],
        token["requests"]
    );
    table.add("holder stopped by SIGSTOP", figures, checks);
    Ok(())
}

/// A holder by existence in a pid namespace of its own: here its number belongs to nobody.
fn unseen(stage: &Stage, table: &mut Table) -> Result {
    let place = stage.programs.place(&stage.disk, "unseen")?;
    let mut namespace = Command::new("unshare");
    namespace.args(["--pid", "--fork", "--kill-child"]);
    let script = r#"set -C; echo "4194305 sh" > "$0"; echo held; read _; rm "$0"; echo {}"#;
    namespace.args(["sh", "-c", script]).arg(place.lock_path());
    let mut holder = Process::start(&mut namespace)?;
    if holder.line()? != "held" {
        return Err("no holder in another pid namespace".into());
    }
    let patience = stage.form.of(8_000, 2_500);
    let (report, took) = once(stage, &place, patience)?;
    let left = fs::read_to_string(place.lock_path()).unwrap_or_default();
    holder.let_go();
    let (after, _) = once(stage, &place, 2_000)?;
    holder.report()?;

    // One of ours holds the kernel's lock besides, and that is seen everywhere.
    let mut namespace = Command::new("unshare");
    namespace.args(["--pid", "--fork", "--kill-child"]);
    namespace
        .arg(&stage.programs.ours)
        .args(["hold", &place.text]);
    let mut ours = Process::start(&mut namespace)?;
    ours.line()?;
    let old = std::time::SystemTime::now() - Duration::from_secs(4_000);
    fs::File::options()
        .write(true)
        .open(place.lock_path())?
        .set_modified(old)?;
    let (beside_ours, _) = once(stage, &place, 500)?;
    let is_held = ours.report()?["is_held"].clone();

    let mut checks = Checks::new();
    checks.that(report["kind"] == "Locked", "its lock was taken over");
    checks.that(left == "4194305 sh\n", "its lock file was changed");
    checks.that(after["ok"] == "Stored", "not let in afterwards");
    checks.that(beside_ours["kind"] == "Locked", "two of ours");
    checks.that(is_held == true, "ours lost its lock");
    let figures = format!(
        "kept out for {took} ms while it held, let in afterwards; one of ours there keeps us out \
         although its file is an hour old"
    );
    table.add("holder in another pid namespace", figures, checks);
    Ok(())
}

/// Somebody deletes the lock file again and again.
fn deleted(stage: &Stage, table: &mut Table) -> Result {
    let place = stage.programs.place(&stage.memory, "deleted")?;
    let turns = stage.form.of(2_500_u64, 250);
    let is_over = AtomicBool::new(false);
    let (reports, deletions) = thread::scope(|scope| {
        let deleting = scope.spawn(|| {
            let mut deletions = 0_u64;
            while !is_over.load(Ordering::Relaxed) {
                deletions += u64::from(fs::remove_file(place.lock_path()).is_ok());
                thread::sleep(Duration::from_micros(random(10_000)));
            }
            deletions
        });
        let counting = || -> Result<Vec<(String, Value)>> {
            let mut writers = Vec::new();
            for number in 0..4 {
                let name = format!("writer-{number}");
                let turns = turns.to_string();
                let count = ["count", &place.text, &name, &turns, "0", "0"];
                let writer = Process::start(&mut stage.programs.ours(&count))?;
                writers.push((name, writer));
            }
            let reports = writers.into_iter();
            reports
                .map(|(name, writer)| Ok((name, writer.report()?)))
                .collect()
        };
        let reports = counting();
        is_over.store(true, Ordering::Relaxed);
        (reports, deleting.join())
    });
    let deletions = deletions.map_err(|_| "the deleter panicked")?;
    let (mut lost, mut double, mut errors, mut done) = (0, 0, 0, 0);
    for (name, report) in reports? {
        let number = |member: &str| report[member].as_u64().unwrap_or(u64::MAX);
        lost += number("lost") + number("last").saturating_sub(place.number(&name)?);
        double += number("double");
        errors += number("errors");
        done += number("last");
    }
    let figures = format!(
        "4 Rust writers, {done} writes, {deletions} deletions: {lost} lost, {errors} errors ({double} \
         times two were at it because of a deletion)"
    );
    let mut checks = Checks::new();
    checks.that(lost == 0, "lost");
    checks.that(done + errors == 4 * turns, "not all were tried");
    checks.that(deletions > 0, "nothing was deleted");
    table.add("lock file deleted while held", figures, checks);
    Ok(())
}

/// As on network and foreign file systems: only the existence of the file is left.
fn without_kernel_locks(stage: &Stage, table: &mut Table) -> Result {
    for errno in ["ENOLCK", "EOPNOTSUPP", "ENOSYS"] {
        let place = stage.programs.place(&stage.memory, "enolck")?;
        let turns = stage.form.of(500_u64, 40).to_string();
        let mut writers = Vec::new();
        for number in 0..4 {
            let name = format!("writer-{number}");
            let mut strace = Command::new("strace");
            strace
                .args(["--follow-forks", "--output", "/dev/null", "--seccomp-bpf"])
                .args(["--trace", "flock", "--inject"])
                .arg(format!("flock:error={errno}"))
                .arg(&stage.programs.ours)
                .args(["count", &place.text, &name, &turns, "0", "5"]);
            writers.push((name, Process::start(&mut strace)?));
        }
        let (mut lost, mut double, mut errors, mut done) = (0, 0, 0, 0);
        for (name, writer) in writers {
            let report = writer.report()?;
            let number = |member: &str| report[member].as_u64().unwrap_or(u64::MAX);
            lost += number("lost") + number("last").saturating_sub(place.number(&name)?);
            double += number("double");
            errors += number("errors");
            done += number("last");
        }
        let mut checks = Checks::new();
        checks.that(lost == 0, "lost");
        checks.that(double == 0, "two holders");
        checks.that(errors == 0, "errors");
        checks.that(!place.lock_path().exists(), "a lock file was left");
        let figures = format!("4 Rust writers, {done} writes: {lost} lost, {errors} errors");
        table.add(format!("flock fails with {errno}"), figures, checks);
    }
    Ok(())
}

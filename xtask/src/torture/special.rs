//! Whatever can stand at the path of the cache, of its lock or of a temporary, or comes there while
//! we work; and a disk that is slow.

use std::process::Command;

use super::Stage;
use super::process::{Process, private_folder};
use super::table::{Checks, Table};
use crate::Result;

pub(super) fn run(stage: &Stage, table: &mut Table) -> Result {
    files(stage, table)?;
    swaps(stage, table)?;
    exchanged(stage, table)?;
    slow_disk(stage, table)
}

fn files(stage: &Stage, table: &mut Table) -> Result {
    let folder = stage.memory.join("special");
    private_folder(&folder)?;
    let folder = folder.to_str().ok_or("a path that is no text")?;
    let report = Process::start(&mut stage.programs.ours(&["special", folder]))?.report()?;
    let cases = report.as_array().ok_or("no cases")?;
    let mut checks = Checks::new();
    let (mut slowest, mut largest) = (0, 0);
    let mut outcomes = Vec::new();
    for case in cases {
        let [what, position, read, write] = ["what", "position", "read", "write"]
            .map(|member| case[member].as_str().unwrap_or_default());
        let name = format!("{what} at the {position}: read {read}, write {write}");
        let number = |member: &str| case[member].as_u64().unwrap_or(u64::MAX);
        slowest = slowest.max(number("took_us"));
        largest = largest.max(number("grown_kb"));
        checks.that(number("took_us") < 10_000, format!("{name}: took 10 ms"));
        checks.that(number("grown_kb") <= 1_024, format!("{name}: took 1 MiB"));
        // A link of ours to a cache of ours is one; and root may read another's.
        let is_ours = position == "cache" && what == "own link";
        let may_read = position != "cache" || is_ours || what == "foreign file";
        let may_write = position == "temporary" || is_ours;
        checks.that(
            is_ours || case["is_touched"] == false,
            format!("{name}: was written to"),
        );
        checks.that((read == "ok") == may_read, format!("{name}?"));
        checks.that((write == "ok") == may_write, format!("{name}?"));
        checks.that(
            !(read.contains("without") || write.contains("without")),
            format!("{name}?"),
        );
        if !may_write {
            outcomes.push(format!("{what} at the {position} {write}"));
        }
    }
    let figures = format!(
        "{} cases, the slowest read and write {slowest} us, at most {largest} KiB of memory more; {}",
        cases.len(),
        outcomes.join(", ")
    );
    table.add(
        "no regular file of ours at cache, lock or temporary",
        figures,
        checks,
    );
    Ok(())
}

fn swaps(stage: &Stage, table: &mut Table) -> Result {
    let folder = stage.memory.join("swaps");
    private_folder(&folder)?;
    let folder = folder.to_str().ok_or("a path that is no text")?;
    let times = stage.form.of("100000", "10000");
    let swaps = ["swaps", folder, times];
    let report = Process::start(&mut stage.programs.ours(&swaps))?.report()?;
    let mut checks = Checks::new();
    checks.that(
        report["is_untouched"] == true,
        "the foreign file was touched",
    );
    for part in ["read", "written"] {
        let worked = report[part][0].as_u64().unwrap_or(0);
        let tried = report[part][1].as_u64().unwrap_or(0);
        checks.that(
            worked > 0 && worked < tried,
            format!("{part}: {worked} of {tried}"),
        );
    }
    let figures = format!(
        "{times} swaps beside {} reads and {} writes, of which {} and {} met our own file; the \
         foreign one was not touched",
        report["read"][1], report["written"][1], report["read"][0], report["written"][0],
    );
    table.add(
        "a link that changes between our file and a foreign one",
        figures,
        checks,
    );
    Ok(())
}

/// Another user's process swaps the folder in which root works for a link to root's private files.
fn exchanged(stage: &Stage, table: &mut Table) -> Result {
    let leases = stage.form.of("100000", "10000");
    let mut exchanged = stage.programs.ours(&["exchanged", leases]);
    let report = Process::start(&mut exchanged)?.report()?;
    let number = |member: &str| report[member].as_u64().unwrap_or(u64::MAX);
    let mut checks = Checks::new();
    checks.that(number("swaps") > 1_000, "hardly anything was swapped");
    checks.that(number("deleted") == 0, "root's files were deleted");
    checks.that(number("created") == 0, "root created files");
    checks.that(
        number("taken") == 0 && number("written") == 0,
        "root worked in a user's folder",
    );
    let figures = format!(
        "{} swaps beside {leases} leases: {} of root's 200 files deleted, {} created, {} caches written",
        number("swaps"),
        number("deleted"),
        number("created"),
        number("written"),
    );
    table.add(
        "a user swaps the folder of root's leases and cache for a link to root's files",
        figures,
        checks,
    );
    Ok(())
}

/// Every fsync takes 200 ms.
fn slow_disk(stage: &Stage, table: &mut Table) -> Result {
    let place = stage.programs.place(&stage.disk, "slow")?;
    let writes = stage.form.of("50", "10");
    let mut strace = Command::new("strace");
    strace
        .args(["--follow-forks", "--seccomp-bpf", "--output", "/dev/null"])
        .args(["--trace", "fsync", "--inject", "fsync:delay_enter=200000"])
        .arg(&stage.programs.ours)
        .args(["heartbeat", &place.text, writes]);
    let report = Process::start(&mut strace)?.report()?;
    let number = |member: &str| report[member].as_u64().unwrap_or(u64::MAX);
    let mut checks = Checks::new();
    checks.that(
        number("took_ms") >= 200 * writes.parse::<u64>()?,
        "the disk was not slow",
    );
    checks.that(number("p99_ms") < 20, "p99 over 20 ms");
    checks.that(number("max_ms") < 200, "max over 200 ms");
    let figures = format!(
        "{writes} writes in {} ms; another task of the only thread: {} beats, p99 {} ms, max {} ms",
        number("took_ms"),
        number("beats"),
        number("p99_ms"),
        number("max_ms"),
    );
    table.add("every fsync takes 200 ms", figures, checks);
    Ok(())
}

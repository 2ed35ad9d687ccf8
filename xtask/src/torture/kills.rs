//! Our writer is killed, at any moment and while it holds the lock.

use std::thread;
use std::time::{Duration, Instant};

use super::Stage;
use super::process::{Place, Process, Programs, percentile, random};
use super::table::{Checks, Table};
use crate::Result;

/// As many caches are tortured beside each other: mostly their writers wait for a dead one.
const LANES: usize = 40;

#[derive(Default)]
struct Killed {
    cycles: usize,
    torn: usize,
    lost: usize,
    wrong_mode: usize,
    /// Temporaries that the dead left, and those of them that the next save left.
    orphans: usize,
    unswept: usize,
    written: u64,
}

pub(super) fn run(stage: &Stage, table: &mut Table) -> Result {
    at_any_moment(stage, table)?;
    while_holding(stage, table)
}

/// Runs a part for each lane, beside each other.
fn lanes<T: Send>(part: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let part = &part;
        let lanes: Vec<_> = (0..LANES)
            .map(|lane| scope.spawn(move || part(lane).map_err(|error| error.to_string())))
            .collect();
        lanes
            .into_iter()
            .map(|lane| Ok(lane.join().map_err(|_| "a lane panicked")??))
            .collect()
    })
}

fn at_any_moment(stage: &Stage, table: &mut Table) -> Result {
    let each = stage.form.of(10_000_usize, 200).div_ceil(LANES);
    let begun = Instant::now();
    let lanes = lanes(|lane| {
        let place = stage.programs.place(&stage.disk, &format!("kill-{lane}"))?;
        kill_again_and_again(&stage.programs, &place, each)
    })?;
    let sum = |part: fn(&Killed) -> usize| lanes.iter().map(part).sum::<usize>();
    let (cycles, torn, lost) = (sum(|l| l.cycles), sum(|l| l.torn), sum(|l| l.lost));
    let (modes, orphans, unswept) = (
        sum(|l| l.wrong_mode),
        sum(|l| l.orphans),
        sum(|l| l.unswept),
    );
    let written: u64 = lanes.iter().map(|lane| lane.written).sum();
    let figures = format!(
        "{cycles} cycles with {written} acknowledged writes in {} s: {torn} torn, {lost} lost, {modes} \
         with another mode than 0600; {orphans} temporaries left by the dead, {unswept} of them \
         after the next save",
        begun.elapsed().as_secs()
    );
    let mut checks = Checks::new();
    checks.that(torn == 0, "torn");
    checks.that(lost == 0, "lost");
    checks.that(modes == 0, "mode");
    checks.that(unswept == 0, "orphans");
    checks.that(written > cycles as u64 / 2, "hardly anything was written");
    table.add("kill -9 of our writer at a random moment", figures, checks);
    Ok(())
}

fn kill_again_and_again(programs: &Programs, place: &Place, cycles: usize) -> Result<Killed> {
    let mut seen = Killed::default();
    let mut orphans: Vec<String> = Vec::new();
    for _ in 0..cycles {
        let before = place.number("writer").unwrap_or(0);
        let mut writer = Process::start(&mut programs.ours(&["write", &place.text, "writer"]))?;
        // Its first write comes after that of the dead one was waited for.
        let first = writer.line()?;
        let left = place.temporaries()?;
        seen.unswept += orphans.iter().filter(|name| left.contains(name)).count();
        thread::sleep(Duration::from_micros(random(15_000)));
        let lines = writer.kill()?;
        // A number that was printed only in part was not acknowledged.
        let last = lines.iter().rev().find_map(|line| line.parse::<u64>().ok());
        let acknowledged = last.or_else(|| first.parse().ok()).unwrap_or(before);
        match place.number("writer") {
            Ok(number) => seen.lost += usize::from(number < acknowledged),
            Err(_) => seen.torn += 1,
        }
        seen.written += acknowledged - before;
        seen.wrong_mode += usize::from(place.mode()? != 0o600);
        orphans = place.temporaries()?;
        seen.orphans += orphans.len();
        seen.cycles += 1;
    }
    Ok(seen)
}

#[derive(Default)]
struct Held {
    /// In milliseconds, from the kill on.
    waits: Vec<u64>,
    lost: u64,
    double: u64,
    errors: u64,
}

fn while_holding(stage: &Stage, table: &mut Table) -> Result {
    let each = stage.form.of(200_usize, 40).div_ceil(LANES);
    let lanes = lanes(|lane| {
        let place = stage.programs.place(&stage.disk, &format!("held-{lane}"))?;
        let mut seen = Held::default();
        for turn in 0..each {
            let mut holder = Process::start(&mut stage.programs.ours(&["hold", &place.text]))?;
            if holder.line()? != "held" {
                return Err("the lock was not taken".into());
            }
            holder.kill()?;
            let begun = Instant::now();
            let names = [format!("a{turn}"), format!("b{turn}")];
            let mut successors = Vec::new();
            for name in &names {
                let count = ["count", &place.text, name, "3", "0", "0"];
                successors.push(Process::start(&mut stage.programs.ours(&count))?);
            }
            let started = u64::try_from(begun.elapsed().as_millis())?;
            let mut first = u64::MAX;
            for (successor, name) in successors.into_iter().zip(&names) {
                let report = successor.report()?;
                first = first.min(report["waits_ms"][0].as_u64().unwrap_or(u64::MAX));
                let number = |member: &str| report[member].as_u64().unwrap_or(u64::MAX);
                seen.lost += number("lost") + (3 - place.number(name)?.min(3));
                seen.double += number("double");
                seen.errors += number("errors");
            }
            seen.waits.push(started + first);
        }
        Ok(seen)
    })?;
    let mut waits: Vec<u64> = lanes.iter().flat_map(|lane| lane.waits.clone()).collect();
    waits.sort_unstable();
    let sum = |part: fn(&Held) -> u64| lanes.iter().map(part).sum::<u64>();
    let (lost, double, errors) = (sum(|l| l.lost), sum(|l| l.double), sum(|l| l.errors));
    let (p99, max) = (percentile(&waits, 99), percentile(&waits, 100));
    let figures = format!(
        "{} cycles, two successors each, three writes by each of them: the next one in after p50 {} \
         ms, p99 {p99} ms, max {max} ms; {lost} lost, {double} times two holders, {errors} errors",
        waits.len(),
        percentile(&waits, 50),
    );
    let mut checks = Checks::new();
    checks.that(p99 <= 1_500, "p99 over 1.5 s");
    checks.that(lost == 0, "lost");
    checks.that(double == 0, "two holders");
    checks.that(errors == 0, "errors");
    table.add("kill -9 while holding the lock", figures, checks);
    Ok(())
}

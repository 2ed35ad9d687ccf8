//! Holders in other processes that are killed, stop or fail, and who comes after them.

use std::time::{Duration, Instant};

#[cfg(unix)]
use nix::sys::signal::Signal;
#[cfg(unix)]
use test_support::EntraError;
use test_support::Reply;

use super::super::rerun::is_rerun;
#[cfg(unix)]
use super::super::workers::DEADLINE;
use super::super::workers::{Machine, Worker, work};
use super::super::{PATIENCE, Stage};
use super::{assert_got, expired};

/// How long a holder that makes no progress is waited for before one of the others goes on.
#[cfg(unix)]
const SUCCESSION: Duration = Duration::from_secs(2);
/// What comes on top where much else runs.
const SLACK: Duration = Duration::from_millis(1500);

/// Workers of which the first is in the middle of its request; the others have asked after it.
fn with_a_holder(stage: &Stage, machine: &Machine, test: &str, others: usize) -> Vec<Worker> {
    let mut workers = machine.start(stage, test, others + 1);
    workers[0].ask(1);
    assert!(stage.entra.wait_for_requests(1, PATIENCE));
    for other in &mut workers[1..] {
        other.ask(1);
    }
    workers
}

#[test]
fn a_holder_that_is_killed_has_one_successor_at_once() {
    let test = "credential::leases::holders::a_holder_that_is_killed_has_one_successor_at_once";
    if is_rerun() {
        return work();
    }
    let stage = Stage::new();
    let machine = Machine::new(&stage, &expired(&stage), true);
    let never = Reply::success().delayed(Duration::from_secs(60));
    stage.entra.push(never);
    let mut workers = with_a_holder(&stage, &machine, test, 8);
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(stage.entra.request_count(), 1);
    let killed = Instant::now();
    workers.remove(0).kill();
    assert!(stage.entra.wait_for_requests(2, PATIENCE));
    // Not after the time that a stopped one is given.
    assert!(killed.elapsed() < SLACK, "{:?}", killed.elapsed());
    let answers: Vec<_> = workers.iter().map(Worker::answer).collect();
    workers.into_iter().for_each(Worker::finish);
    assert_eq!(stage.entra.request_count(), 2);
    let [stored] = machine.stored().try_into().unwrap();
    assert_got(&answers, &stored);
    machine.assert_no_litter();
}

#[cfg(unix)]
#[test]
fn a_holder_that_is_stopped_has_a_successor_every_two_seconds() {
    let test =
        "credential::leases::holders::a_holder_that_is_stopped_has_a_successor_every_two_seconds";
    if is_rerun() {
        return work();
    }
    let stage = Stage::new();
    let machine = Machine::new(&stage, &expired(&stage), true);
    // The holder is stopped by the time of its answer, its successor asks a slow server, and theirs
    // is lucky.
    for delay in [500, 6_000, 0] {
        let reply = Reply::success().delayed(Duration::from_millis(delay));
        stage.entra.push(reply);
    }
    let begin = Instant::now();
    let workers = with_a_holder(&stage, &machine, test, 12);
    workers[0].signal(Signal::SIGSTOP);
    let others_asked = Instant::now();
    for successor in 1..3 {
        assert!(stage.entra.wait_for_requests(successor + 1, PATIENCE));
        let due = SUCCESSION * u32::try_from(successor).unwrap();
        assert!(begin.elapsed() >= due, "{:?}", begin.elapsed());
        let took = others_asked.elapsed();
        assert!(took < due + SLACK, "successor {successor}: {took:?}");
    }
    // The last one's token is everybody's but its predecessor's, who gets its own.
    let answers: Vec<_> = workers[1..].iter().map(Worker::answer).collect();
    assert_eq!(stage.entra.request_count(), 3);
    workers[0].signal(Signal::SIGCONT);
    let own = workers[0].answer();
    workers.into_iter().for_each(Worker::finish);
    assert_eq!(stage.entra.request_count(), 3);
    let mut tokens: Vec<_> = answers
        .iter()
        .map(|got| got.token.clone().unwrap())
        .collect();
    tokens.sort();
    tokens.push(own.token.clone().unwrap());
    let shared = tokens.iter().filter(|token| **token == tokens[5]).count();
    tokens.dedup();
    assert!(
        (11..=12).contains(&shared) && tokens.len() <= 3,
        "{shared} of 12"
    );
    let took = answers.iter().chain([&own]).map(|got| got.took).max();
    assert!(took < Some(DEADLINE), "{took:?}");
    assert_eq!(machine.stored().len(), 1);
    machine.assert_no_litter();
}

/// A successor that fails is not followed by all the others at once.
#[cfg(unix)]
#[test]
fn a_successor_that_fails_is_no_stampede() {
    let test = "credential::leases::holders::a_successor_that_fails_is_no_stampede";
    if is_rerun() {
        return work();
    }
    let stage = Stage::new();
    let machine = Machine::new(&stage, &expired(&stage), true);
    stage
        .entra
        .push(Reply::success().delayed(Duration::from_secs(60)));
    stage.entra.push(Reply::error(EntraError::InvalidScope));
    let mut workers = with_a_holder(&stage, &machine, test, 12);
    workers[0].signal(Signal::SIGSTOP);
    assert!(stage.entra.wait_for_requests(2, PATIENCE));
    let failed = Instant::now();
    assert!(stage.entra.wait_for_requests(3, PATIENCE));
    let between = failed.elapsed();
    // The first of the two may have been seen late.
    let earliest = SUCCESSION * 3 / 4;
    assert!(
        (earliest..SUCCESSION + SLACK).contains(&between),
        "{between:?}"
    );
    let answers: Vec<_> = workers[1..].iter().map(Worker::answer).collect();
    assert_eq!(stage.entra.request_count(), 3);
    let [stored] = machine.stored().try_into().unwrap();
    let (good, bad): (Vec<_>, Vec<_>) = answers.into_iter().partition(|got| got.token.is_ok());
    assert_eq!((good.len(), bad.len()), (11, 1));
    assert_got(&good, &stored);
    drop(workers.remove(0));
    // What the killed one left goes with the next lease.
    for worker in &mut workers {
        worker.advance(24 * 3600);
    }
    stage.clock.advance(Duration::from_secs(24 * 3600));
    workers[0].ask(1);
    assert!(workers[0].answer().token.is_ok());
    workers.into_iter().for_each(Worker::finish);
    machine.assert_no_litter();
}

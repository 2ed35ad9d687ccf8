//! Many processes whose tokens are due at the same time.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use msal_token_cache::TokenCache;
use test_support::Reply;

use super::super::rerun::is_rerun;
use super::super::workers::{Machine, Worker, work};
use super::super::{NOW, Stage, holding};
use super::scripted::{Scripted, issued};
use super::{WINDOW, cache_due_in, hit, until};

/// A thousand processes with caches of their own and one clock, which are asked every second.
#[tokio::test]
async fn a_thousand_processes_spread_their_requests() {
    const PROCESSES: usize = 1_000;
    let stage = Stage::new();
    let endpoint = Arc::new(Scripted::new(&stage, |number| issued(number, 3600, None)));
    let asked = endpoint.asked();
    let cache = cache_due_in(&stage, 100, 5_000);
    let mut waiting: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let builder = stage.builder().token_endpoint(Arc::clone(&endpoint));
            let cache = TokenCache::new(holding(&cache));
            builder.token_cache(cache).build().unwrap()
        })
        .collect();
    let (first, last) = (NOW + 100, NOW + 100 + WINDOW);
    for second in first - 1..=last {
        stage.clock.set(second);
        waiting.retain(|credential| hit(credential) == "old");
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    until(|| asked().len() == PROCESSES).await;
    let asked = asked();
    let (earliest, latest) = (asked[0], asked[PROCESSES - 1]);
    assert!(first <= earliest && latest <= last, "{earliest} {latest}");
    assert!(latest - earliest >= WINDOW * 8 / 10, "{earliest} {latest}");
    // Evenly: no tenth of the window has more than twice its share.
    for tenth in 0..10 {
        let [from, to] = [tenth, tenth + 1].map(|n| first + WINDOW / 10 * n);
        let share = asked.iter().filter(|at| (from..to).contains(*at)).count();
        assert!((50..200).contains(&share), "{tenth}: {share}");
    }
}

/// Processes whose token is due at the same moment, and a thousand callers in them.
#[test]
fn a_thousand_callers_are_answered_from_the_cache_and_one_process_refreshes() {
    const PROCESSES: usize = 32;
    const CALLERS: usize = 1_000;
    let test = "credential::refreshing::processes::\
                a_thousand_callers_are_answered_from_the_cache_and_one_process_refreshes";
    if is_rerun() {
        return work();
    }
    let stage = Stage::new();
    let machine = Machine::new(&stage, &cache_due_in(&stage, 1_000, 8_000), true);
    let mut workers = machine.start(&stage, test, PROCESSES);
    for worker in &mut workers {
        // The cache has been read, and now the time has come for all at once.
        worker.ask(1);
        assert_eq!(worker.answer().token.as_deref(), Ok("old"));
        worker.advance(1_000 + WINDOW);
    }
    assert_eq!(stage.entra.connections(), 0);
    stage.clock.advance(Duration::from_secs(1_000 + WINDOW));
    let slow = Reply::success().delayed(Duration::from_millis(500));
    stage.entra.push(slow);
    let callers = |n: usize| CALLERS / PROCESSES + usize::from(n < CALLERS % PROCESSES);
    for (n, worker) in workers.iter_mut().enumerate() {
        worker.ask(callers(n));
    }
    let mut answers = Vec::new();
    for (n, worker) in workers.iter().enumerate() {
        answers.extend(worker.answers(callers(n)));
    }
    workers.iter_mut().for_each(Worker::close);
    workers.into_iter().for_each(Worker::finish);
    assert_eq!(answers.len(), CALLERS);
    let requests = stage.entra.request_count();
    assert!(REQUESTS.contains(&requests), "{requests}");
    let [stored] = machine.stored().try_into().unwrap();
    assert_ne!(stored, "old");
    let is_known = |token: &String| token == "old" || *token == stored;
    assert!(
        answers
            .iter()
            .all(|got| got.token.as_ref().is_ok_and(is_known))
    );
    // Many processes share a core here, and who is not running cannot be quick: 95 of 100 are.
    let mut took: Vec<_> = answers.iter().map(|got| got.took).collect();
    took.sort_unstable();
    let [half, most] = [50, 95].map(|percent| took[CALLERS * percent / 100]);
    assert!(most < AT_ONCE, "{half:?}, {most:?}");
    machine.assert_no_litter();
}

/// Who has redeemed tells the others by the cache.
#[cfg(not(windows))]
const REQUESTS: RangeInclusive<usize> = 1..=1;
/// Wine lets nobody replace a file that is open, as it is here in 32 processes all the time: the
/// write is given up after a second, and then another process asks.
#[cfg(windows)]
const REQUESTS: RangeInclusive<usize> = 1..=3;

/// No call waits for the server, which takes longer.
#[cfg(not(windows))]
const AT_ONCE: Duration = Duration::from_millis(1);
/// Wine asks one process of its own for every look at a file.
#[cfg(windows)]
const AT_ONCE: Duration = Duration::from_millis(200);

//! What becomes of a call when its connection, or its runtime, is at an end.

use std::thread;

use test_support::Reply;
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::closing::ENDS_WITHIN;
use super::{ARM, PATIENCE, Stage, ask_with, challenge, holding};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_up_after_each_answer_costs_no_call_an_error() {
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    let (scopes, options) = ([ARM], challenge());
    for _ in 0..1_000 {
        stage.entra.push(Reply::success().then_hang_up());
        let asking = credential.get_token_info(&scopes, &options);
        let asked = timeout(PATIENCE, asking).await;
        let entra = &stage.entra;
        let so_far = (
            entra.request_count(),
            entra.connections(),
            entra.handshakes(),
            entra.open_connections(),
        );
        let token = asked.unwrap_or_else(|_| panic!("it hangs, after {so_far:?}"));
        assert!(token.is_ok(), "{token:?} after {so_far:?}");
    }
    assert_eq!(stage.entra.request_count(), 1_000);
    credential.close().await.unwrap();
    assert!(stage.entra.wait_until_closed(ENDS_WITHIN));
}

#[test]
fn eight_runtimes_share_a_credential_and_end_in_turn() {
    const RUNTIMES: usize = 8;
    let stage = Stage::new();
    let credential = stage.credential(holding(&stage.cache()));
    let mut runtimes: Vec<_> = (0..RUNTIMES)
        .map(|number| {
            // Of both kinds.
            let mut builder = match number % 2 {
                0 => Builder::new_current_thread(),
                _ => Builder::new_multi_thread(),
            };
            builder.worker_threads(1).enable_all().build().unwrap()
        })
        .collect();
    let mut calls = 0;
    while !runtimes.is_empty() {
        thread::scope(|scope| {
            for runtime in &runtimes {
                scope.spawn(|| {
                    runtime.block_on(async {
                        for _ in 0..10 {
                            ask_with(&credential, &challenge()).await.unwrap();
                        }
                    });
                });
            }
        });
        calls += 10 * runtimes.len();
        drop(runtimes.remove(0));
    }
    assert_eq!(calls, 360);
    let closing = Builder::new_current_thread().enable_all().build().unwrap();
    closing.block_on(credential.close()).unwrap();
    assert!(stage.entra.wait_until_closed(ENDS_WITHIN));
}

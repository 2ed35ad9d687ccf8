use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::Request;
use tokio::time::Instant;

use super::super::connector::tests::DeadAddress;
use super::*;

/// Ends a test that hangs. Not a measure of anything.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn the_pool_of_a_runtime_goes_with_it() {
    let pools = Pools::new(TrustRoots::default(), ProxyRules::none());
    for _ in 0..3 {
        let runtime = runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            drop(pools.call().unwrap());
            drop(pools.call().unwrap());
        });
        assert_eq!(pools.lock().by_runtime.as_ref().map(HashMap::len), Some(1));
    }
}

fn pools(resolver: Resolver) -> Arc<Pools> {
    // A certificate, so that it needs no roots of this machine.
    let key = rcgen::KeyPair::generate().unwrap();
    let root = rcgen::CertificateParams::new([]).unwrap();
    let root = root.self_signed(&key).unwrap().pem();
    let roots = TrustRoots::with_extra(root.as_bytes()).unwrap();
    Arc::new(Pools::with(Arc::new(roots), ProxyRules::none(), resolver))
}

/// Three calls that get stuck, then a close that waits for them, then their end.
async fn close_over(pools: Arc<Pools>, stuck: impl Future<Output = ()>) {
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let call = pools.call().unwrap();
            let request = Request::post("https://login.example/t").body(Full::default());
            tokio::spawn(async move { call.client().request(request.unwrap()).await })
        })
        .collect();
    timeout(PATIENCE, stuck).await.unwrap();

    let mut closing = pin!(pools.close());
    let early = timeout(Duration::from_millis(50), &mut closing).await;
    assert!(early.is_err(), "close returned over calls under way");
    for call in &calls {
        assert!(!call.is_finished());
        call.abort();
    }
    let start = Instant::now();
    timeout(PATIENCE, closing).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn close_is_not_held_up_by_a_name_that_is_looked_up() {
    let asked = Arc::new(AtomicUsize::new(0));
    let pools = pools(Resolver::new({
        let asked = Arc::clone(&asked);
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            pending()
        }
    }));
    close_over(pools, async {
        while asked.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test]
async fn close_is_not_held_up_by_an_address_that_does_not_answer() {
    let dead = DeadAddress::new().await;
    let asked = Arc::new(AtomicUsize::new(0));
    let pools = pools(Resolver::new({
        let (asked, address) = (Arc::clone(&asked), dead.address);
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            async move { Ok(vec![address]) }
        }
    }));
    close_over(pools, async {
        while asked.load(Ordering::SeqCst) < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    })
    .await;
}

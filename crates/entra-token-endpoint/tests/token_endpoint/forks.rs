//! A process that forks: its child has the parent's runtimes by number, and its sockets.

use std::process::exit;

use entra_token_endpoint::{HyperTokenEndpoint, TokenEndpoint};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::{PATIENCE, again, request};
use test_support::raw_server::{OK, RawServer};

const NAME: &str = "token_endpoint::forks::a_child_opens_connections_of_its_own";

/// Runs itself again in a process that may fork: no other test runs in it.
#[test]
fn a_child_opens_connections_of_its_own() {
    if let Ok(url) = std::env::var("TEST_URL") {
        return forking(&url, std::env::var("TEST_ROOT").unwrap().as_bytes());
    }
    let servers = Runtime::new().unwrap();
    let server = servers.block_on(RawServer::answering(OK));
    let root = std::str::from_utf8(server.root_pem()).unwrap();
    again(NAME, &[("TEST_URL", &server.url()), ("TEST_ROOT", root)]);
    // The parent's one, and one of each child.
    assert_eq!(server.handshakes(), 4);
}

fn forking(url: &str, root_pem: &[u8]) {
    let endpoint = HyperTokenEndpoint::with_extra_root_certificates(root_pem)
        .unwrap()
        .without_proxy();
    let inherited = runtime();
    ask(&inherited, &endpoint, url);
    ask(&inherited, &endpoint, url);
    for child in [
        // On a runtime of its own, as a child should.
        &(|| ask(&runtime(), &endpoint, url)) as &dyn Fn(),
        // On the parent's, which has the same number in both.
        &|| ask(&inherited, &endpoint, url),
        // What the parent began is not for the child to end, nor to wait for.
        &|| {
            let own = runtime();
            ask(&own, &endpoint, url);
            own.block_on(async { timeout(PATIENCE, endpoint.close()).await })
                .unwrap();
        },
    ] {
        in_a_child(child);
        ask(&inherited, &endpoint, url);
    }
    inherited
        .block_on(async { timeout(PATIENCE, endpoint.close()).await })
        .unwrap();
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn ask(runtime: &Runtime, endpoint: &HyperTokenEndpoint, url: &str) {
    let reply = runtime.block_on(async { timeout(PATIENCE, endpoint.send(request(url))).await });
    assert_eq!(reply.unwrap().unwrap().status(), 200);
}

/// Does this in a child, and waits until it has.
fn in_a_child(work: &dyn Fn()) {
    #[expect(
        unsafe_code,
        reason = "no thread of this process holds a lock: the test harness waits for this one"
    )]
    let forked = unsafe { fork() };
    match forked.unwrap() {
        ForkResult::Child => {
            let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            exit(i32::from(done.is_err()));
        }
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
        }
    }
}

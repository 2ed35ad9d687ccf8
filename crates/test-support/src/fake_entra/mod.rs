//! A token endpoint over TLS on loopback that behaves like Entra's, unless it is told otherwise.

mod answer;
mod body;
mod connection;
mod context;
mod entra_error;
mod reply;
mod rules;
mod seen_request;
mod server;
mod state;

use std::convert::Infallible;
use std::fmt;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use token_credential::Clock;
use tokio::sync::oneshot;

pub use entra_error::EntraError;
pub use reply::Reply;
pub use seen_request::SeenRequest;

use self::state::State;
use crate::FakeAccount;
use crate::tls_identity::TlsIdentity;

/// A token endpoint over TLS on loopback, on a thread and a runtime of its own: it serves blocking
/// programs, and outlives the runtime of a test. Ends when dropped.
///
/// It redeems the refresh tokens that [`issue_refresh_token`](Self::issue_refresh_token) gave out,
/// for the client that they were given to, at any tenant and for any scope, and answers with the
/// members that Entra would send; [`push`](Self::push) makes the next answers something else.
/// Every token that it issues is a [canary](crate::logs::canary), so a
/// [log capture](crate::logs::capture) finds it.
///
/// ```
/// use test_support::{EntraError, FakeAccount, FakeEntra, Reply};
///
/// let entra = FakeEntra::start();
/// let ada = FakeAccount::new("ada@contoso.example");
/// let refresh_token = entra.issue_refresh_token(&ada, "04b07795-8ddb-461a-bbee-02f9e1bf7b46", false);
/// entra.push(Reply::error(EntraError::Server(503)));
/// // ... a client that trusts entra.root_pem() posts to entra.authority() ...
/// assert_eq!(entra.request_count(), 0);
/// ```
///
/// # Limitations
///
/// The `wait_` functions block the thread. In a test whose runtime has a single thread they also
/// hold up the client.
pub struct FakeEntra {
    root_pem: String,
    state: Arc<State>,
    /// Dropping it stops the server.
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeEntra {
    /// Starts a server on a free port, with a certificate of its own.
    pub fn start() -> Self {
        Self::start_as(TlsIdentity::generate())
    }

    /// The same with this certificate.
    pub fn start_as(identity: TlsIdentity) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a port");
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::new(format!("https://localhost:{port}")));
        let (stop, stop_wanted) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("fake-entra".to_owned())
            .spawn({
                let state = Arc::clone(&state);
                move || server::run(listener, identity.server_config, state, stop_wanted)
            })
            .expect("a thread can be started");
        Self {
            root_pem: identity.root_pem,
            state,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// `https://localhost:{port}`; the certificate is good for `127.0.0.1` too.
    pub fn authority(&self) -> String {
        self.state.authority.clone()
    }

    /// The certificate to trust, as PEM.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }

    /// Adds an account, or changes what is known of it: somebody may get another name.
    pub fn add_account(&self, account: FakeAccount) {
        self.state.lock().directory.add_account(account);
    }

    /// Removes an account; its refresh tokens are refused from now on.
    pub fn remove_account(&self, account: &FakeAccount) {
        self.state.lock().directory.remove_account(account);
    }

    /// Issues a refresh token that is good for this client and account, and adds the account if it
    /// is not known. A family token's answers carry `foci`.
    pub fn issue_refresh_token(
        &self,
        account: &FakeAccount,
        client_id: &str,
        family: bool,
    ) -> String {
        let directory = &mut self.state.lock().directory;
        directory.issue(account, client_id, family)
    }

    /// Scripts an answer: for the next request, or the one after those that are scripted already.
    pub fn push(&self, reply: Reply) {
        self.state.lock().script.push_back(reply);
    }

    /// Sets where `iat`, `exp` and the timestamps of errors come from; the system's clock before.
    pub fn set_clock(&self, clock: Arc<dyn Clock>) {
        self.state.lock().clock = clock;
    }

    /// The requests that arrived whole, the latest 20,000 at most, in their order.
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.state.lock().seen.iter().cloned().collect()
    }

    /// How many requests arrived whole.
    pub fn request_count(&self) -> usize {
        self.state.lock().counts.requests
    }

    /// How many TCP connections were accepted.
    pub fn connections(&self) -> usize {
        self.state.lock().counts.connections
    }

    /// How many TLS handshakes were completed.
    pub fn handshakes(&self) -> usize {
        self.state.lock().counts.handshakes
    }

    /// How many connections have neither been ended by the client nor broken.
    pub fn open_connections(&self) -> usize {
        self.state.lock().counts.open
    }

    /// How many connections the client ended with a TLS `close_notify`.
    pub fn clean_ends(&self) -> usize {
        self.state.lock().counts.clean_ends
    }

    /// Waits until no connection is open; false when one still is after that time. Blocks.
    #[must_use]
    pub fn wait_until_closed(&self, within: Duration) -> bool {
        self.state.wait(within, |counts| counts.open == 0)
    }

    /// Waits until so many requests have arrived; false when they did not in that time. Blocks.
    #[must_use]
    pub fn wait_for_requests(&self, count: usize, within: Duration) -> bool {
        self.state.wait(within, |counts| counts.requests >= count)
    }
}

impl Drop for FakeEntra {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Soon: all that thread ever waits for are sockets, timers and `stop`. A panic in
            // there has failed the test's requests already.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for FakeEntra {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeEntra")
            .field("authority", &self.state.authority)
            .finish_non_exhaustive()
    }
}

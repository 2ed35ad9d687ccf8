//! From the name of a host to its addresses.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use hyper_util::client::legacy::connect::dns::{GaiResolver, Name};
use tower_service::Service;

type Addresses = vec::IntoIter<SocketAddr>;
type Lookup = Pin<Box<dyn Future<Output = io::Result<Addresses>> + Send>>;

/// The system's resolver; tests have others.
#[derive(Clone)]
pub(super) struct Resolver(Arc<dyn Fn(Name) -> Lookup + Send + Sync>);

impl Resolver {
    pub(super) fn system() -> Self {
        Self::new(|name| async {
            let addresses = GaiResolver::new().call(name).await?;
            Ok(addresses.collect())
        })
    }

    /// Looks names up in this way.
    pub(super) fn new<F>(look_up: impl Fn(Name) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Self(Arc::new(move |name| {
            let lookup = look_up(name);
            Box::pin(async move { lookup.await.map(Vec::into_iter) })
        }))
    }
}

impl Service<Name> for Resolver {
    type Response = Addresses;
    type Error = io::Error;
    type Future = Lookup;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Lookup {
        (self.0)(name)
    }
}

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};
use tokio::time::Instant;

use super::*;

/// Takes no connection and refuses none: as many wait as may.
pub(in super::super) struct DeadAddress {
    pub(in super::super) address: SocketAddr,
    _waiting: Vec<TcpStream>,
    _listener: TcpListener,
}

impl DeadAddress {
    pub(in super::super) async fn new() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = socket.listen(1).unwrap();
        let mut waiting = Vec::new();
        while let Ok(stream) =
            timeout(Duration::from_millis(100), TcpStream::connect(address)).await
        {
            waiting.push(stream.unwrap());
            assert!(waiting.len() < 100, "everybody is let in");
        }
        Self {
            address,
            _waiting: waiting,
            _listener: listener,
        }
    }
}

fn connector(addresses: Vec<SocketAddr>) -> Connector {
    let resolver = Resolver::new(move |name| {
        assert_eq!(name.as_str(), "login.example");
        let addresses = addresses.clone();
        async { Ok(addresses) }
    });
    let roots = Arc::new(TrustRoots::default());
    Connector::new(roots, Arc::new(ProxyRules::none()), resolver)
}

#[tokio::test]
async fn a_dead_address_leaves_time_for_the_next() {
    let (first, second) = (DeadAddress::new().await, DeadAddress::new().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = listener.local_addr().unwrap();
    let mut connector = connector(vec![first.address, second.address, good]);
    // Without a port, that of each address counts.
    let uri = Uri::from_static("https://login.example/");
    let limit = Duration::from_millis(600);
    connector.way.tcp.set_connect_timeout(Some(limit));
    let start = Instant::now();
    let stream = call(&mut connector.way, uri).await.unwrap();
    let took = start.elapsed();
    assert_eq!(stream.inner().peer_addr().unwrap(), good);
    assert!(took >= limit * 2 / 3, "{took:?}");
    assert!(took < limit * 2, "{took:?}");
}

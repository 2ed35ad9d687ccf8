//! A TLS server below HTTP: it sends the bytes it is told to, or fails to.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::logs::Watch;
use crate::whole_signature::with_whole_signature;

/// An answer with an empty JSON object.
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

/// A connection to a [`RawServer`], behind its handshake.
pub type Stream = TlsStream<TcpStream>;

/// What the certificate of a server says.
#[derive(Clone, Copy, Debug)]
pub enum Identity {
    /// It is valid, for this host.
    Good,
    /// It was valid until 2020.
    Expired,
    /// It is valid from 2999 on.
    NotYetValid,
    /// It is for `login.example`.
    OtherHost,
}

/// A TLS server below HTTP, with a root of its own; it ends when it is dropped.
#[derive(Debug)]
pub struct RawServer {
    address: SocketAddr,
    root_pem: String,
    connections: Arc<AtomicUsize>,
    handshakes: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
    _watch: Watch,
}

impl RawServer {
    /// Hands every connection whose handshake succeeds to `serve`.
    pub async fn start<F, S>(identity: Identity, serve: S) -> Self
    where
        S: Fn(Stream) -> F + Clone + Send + 'static,
        F: Future<Output = io::Result<()>> + Send,
    {
        let (root_pem, config) = certify(identity);
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let handshakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&handshakes);
        let mut server = Self::start_tcp(move |tcp| {
            let (acceptor, counter, serve) = (acceptor.clone(), counter.clone(), serve.clone());
            async move {
                let stream = acceptor.accept(tcp).await?;
                counter.fetch_add(1, Ordering::SeqCst);
                serve(stream).await
            }
        })
        .await;
        server.root_pem = root_pem;
        server.handshakes = handshakes;
        server
    }

    /// Answers every request with these bytes, and keeps the connection.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(Identity::Good, move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                while read_request(&mut stream).await?.is_some() {
                    stream.write_all(&answer).await?;
                    stream.flush().await?;
                }
                stream.shutdown().await
            }
        })
        .await
    }

    /// Answers one request on each connection with these bytes, then ends it.
    pub async fn answering_once(answer: impl Into<Vec<u8>>) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(Identity::Good, move |mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                read_request(&mut stream).await?;
                stream.write_all(&answer).await?;
                stream.shutdown().await
            }
        })
        .await
    }

    /// Hands every connection to `serve` before any TLS.
    pub async fn start_tcp<F, S>(serve: S) -> Self
    where
        S: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let watch = Watch::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&connections);
        let accepting = tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.unwrap();
                counter.fetch_add(1, Ordering::SeqCst);
                // What a connection's end looks like here is for the client's side to tell.
                tokio::spawn(serve(tcp));
            }
        });
        Self {
            address,
            root_pem: certify(Identity::Good).0,
            connections,
            handshakes: Arc::default(),
            accepting,
            _watch: watch,
        }
    }

    /// Returns the address of its token endpoint.
    pub fn url(&self) -> String {
        format!("https://{}/tenant/oauth2/v2.0/token", self.address)
    }

    /// Returns host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the root that vouches for it.
    pub fn root_pem(&self) -> &[u8] {
        self.root_pem.as_bytes()
    }

    /// Returns how many connections were accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Returns how many connections got so far that a request could be sent.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }
}

impl Drop for RawServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Reads one request, head and body; `None` if the client ended the connection in order.
///
/// # Errors
///
/// Returns those of the connection.
pub async fn read_request(stream: &mut Stream) -> io::Result<Option<String>> {
    let mut read = Vec::new();
    loop {
        if let Some(request) = whole(&read) {
            return Ok(Some(request));
        }
        if stream.read_buf(&mut read).await? == 0 {
            assert!(read.is_empty(), "half a request");
            return Ok(None);
        }
    }
}

fn whole(read: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(read).unwrap();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .expect("a length in every request");
    (body.len() == length.parse::<usize>().unwrap()).then(|| text.to_owned())
}

/// A new root, and what a server needs that it vouches for.
fn certify(identity: Identity) -> (String, ServerConfig) {
    static ROOTS: AtomicUsize = AtomicUsize::new(0);

    let mut root = CertificateParams::new([]).unwrap();
    let name = format!("root {}", ROOTS.fetch_add(1, Ordering::SeqCst));
    root.distinguished_name.push(DnType::CommonName, name);
    root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root_key = KeyPair::generate().unwrap();
    let root_pem = with_whole_signature(|| root.self_signed(&root_key).unwrap()).pem();

    let host = match identity {
        Identity::OtherHost => "login.example",
        _ => "127.0.0.1",
    };
    let mut leaf = CertificateParams::new([host.to_owned()]).unwrap();
    match identity {
        Identity::Expired => leaf.not_after = date_time_ymd(2020, 1, 1),
        Identity::NotYetValid => leaf.not_before = date_time_ymd(2999, 1, 1),
        Identity::Good | Identity::OtherHost => {}
    }
    let leaf_key = KeyPair::generate().unwrap();
    let issuer = Issuer::new(root, root_key);
    let leaf = with_whole_signature(|| leaf.signed_by(&leaf_key, &issuer).unwrap());

    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap(),
            )
            .unwrap();
    (root_pem, config)
}

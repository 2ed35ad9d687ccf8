//! A proxy that says what it is told to.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;

use crate::raw_server::RawServer;

/// A proxy that answers every request with the same text; behind a consent it leads to wherever
/// it was asked to.
#[derive(Debug)]
pub struct FakeProxy {
    server: RawServer,
    /// The heads of the requests.
    heads: Arc<Mutex<Vec<String>>>,
}

impl FakeProxy {
    /// Answers every request with this text.
    pub async fn answering(answer: &'static str) -> Self {
        let heads = Arc::new(Mutex::new(Vec::new()));
        let server = RawServer::start_tcp({
            let heads = Arc::clone(&heads);
            move |mut client| {
                let heads = Arc::clone(&heads);
                async move {
                    let head = read_head(&mut client).await?;
                    let target = head.split(' ').nth(1).unwrap().to_owned();
                    heads.lock().unwrap().push(head);
                    client.write_all(answer.as_bytes()).await?;
                    if answer.contains(" 200 ") {
                        let mut target = TcpStream::connect(target).await?;
                        copy_bidirectional(&mut client, &mut target).await?;
                    }
                    client.shutdown().await
                }
            }
        })
        .await;
        Self { server, heads }
    }

    /// Returns its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Returns host and port.
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Returns how many connections were accepted.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }

    /// Returns the heads of the requests.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn read_head(client: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await?);
    }
    Ok(String::from_utf8(head).unwrap())
}

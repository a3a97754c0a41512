//! Counts requests where they reach the engine: a TCP proxy that passes bytes
//! on as they are and counts the request lines among them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Every request to DynamoDB begins with this, and no body contains a line break.
const REQUEST: &[u8] = b"POST / HTTP/1.1\r\n";

/// A running counter. It ends with the runtime.
#[derive(Debug, Clone)]
pub(crate) struct Counter {
    pub(crate) url: String,
    requests: Arc<AtomicU64>,
}

impl Counter {
    /// Starts a counter in front of `upstream`, such as `http://127.0.0.1:8000`.
    pub(crate) async fn start(upstream: &str) -> Self {
        let upstream = upstream
            .trim_end_matches('/')
            .strip_prefix("http://")
            .expect("an http:// endpoint")
            .to_owned();
        let upstream: SocketAddr = tokio::net::lookup_host(upstream)
            .await
            .unwrap()
            .next()
            .expect("an address");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let counter = Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
        };
        let requests = counter.requests.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let requests = requests.clone();
                tokio::spawn(async move {
                    // A connection that breaks, breaks for its client too.
                    if let Ok(server) = TcpStream::connect(upstream).await {
                        let _ = forward(client, server, &requests).await;
                    }
                });
            }
        });
        counter
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

async fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    requests: &AtomicU64,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let there = async {
        let mut buffer = vec![0; 16 * 1024];
        // The end of what was passed on, in case a request line is cut in two.
        let mut kept = 0;
        loop {
            let read = from_client.read(&mut buffer[kept..]).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            let end = kept + read;
            let found = buffer[..end]
                .windows(REQUEST.len())
                .filter(|window| *window == REQUEST)
                .count();
            requests.fetch_add(found as u64, Ordering::SeqCst);
            to_server.write_all(&buffer[kept..end]).await?;
            let tail = (REQUEST.len() - 1).min(end);
            buffer.copy_within(end - tail..end, 0);
            kept = tail;
        }
    };
    let back = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(there, back)?;
    Ok(())
}

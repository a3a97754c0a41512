//! Counts requests where they reach the engine: a TCP proxy that passes bytes
//! on as they are and counts the request lines among them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Every request to DynamoDB begins with this, and no body contains a line break.
const REQUEST: &[u8] = b"POST / HTTP/1.1\r\n";
/// A request that reads has this header.
const READ: &[u8] = b"x-amz-target: DynamoDB_20120810.GetItem\r\n";

/// A running counter. It ends with the runtime.
#[derive(Debug, Clone)]
pub(crate) struct Counter {
    pub(crate) url: String,
    requests: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
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
            reads: Arc::default(),
        };
        let of_all = counter.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let counter = of_all.clone();
                tokio::spawn(async move {
                    // A connection that breaks, breaks for its client too.
                    if let Ok(server) = TcpStream::connect(upstream).await {
                        let _ = forward(client, server, &counter).await;
                    }
                });
            }
        });
        counter
    }

    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }

    /// Returns how many of the requests read an item. The limiter looks so whether an application is
    /// blocked, at most once in 5 s for each platform and instance.
    #[allow(dead_code, reason = "the benchmark counts them all")]
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }
}

/// Finds a pattern in a stream that comes in pieces.
struct Finder {
    pattern: &'static [u8],
    /// The end of what came before, in case the pattern is cut in two.
    kept: Vec<u8>,
}

impl Finder {
    const fn new(pattern: &'static [u8]) -> Self {
        let kept = Vec::new();
        Self { pattern, kept }
    }

    fn count(&mut self, piece: &[u8]) -> u64 {
        self.kept.extend_from_slice(piece);
        let windows = self.kept.windows(self.pattern.len());
        let found = windows.filter(|window| *window == self.pattern).count();
        let tail = (self.pattern.len() - 1).min(self.kept.len());
        self.kept.drain(..self.kept.len() - tail);
        found as u64
    }
}

async fn forward(
    mut client: TcpStream,
    mut server: TcpStream,
    counter: &Counter,
) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let there = async {
        let mut buffer = vec![0; 16 * 1024];
        let (mut requests, mut reads) = (Finder::new(REQUEST), Finder::new(READ));
        loop {
            let read = from_client.read(&mut buffer).await?;
            if read == 0 {
                return to_server.shutdown().await;
            }
            let piece = &buffer[..read];
            let count = requests.count(piece);
            counter.requests.fetch_add(count, Ordering::SeqCst);
            counter
                .reads
                .fetch_add(reads.count(piece), Ordering::SeqCst);
            to_server.write_all(piece).await?;
        }
    };
    let back = async {
        tokio::io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(there, back)?;
    Ok(())
}

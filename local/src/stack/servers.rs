//! Listeners on loopback, and the servers on them, stopped together.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::serve::ListenerExt;
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How long requests under way may take once the servers stop.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// Running servers. Dropping them stops them too, but without the grace.
pub(crate) struct Servers {
    stopping: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
}

/// Binds a listener, and returns the URL that it answers at.
pub(crate) async fn bind(port: u16, option: &str) -> anyhow::Result<(TcpListener, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
    let listener = listener.with_context(|| {
        format!("cannot listen on 127.0.0.1:{port}; choose another port with {option} (0 for a free one)")
    })?;
    let url = format!("http://{}", listener.local_addr()?);
    Ok((listener, url))
}

impl Servers {
    pub(crate) fn new() -> Self {
        Self {
            stopping: watch::Sender::new(false),
            tasks: Vec::new(),
        }
    }

    /// Resolves when the servers are to stop.
    fn stopped(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.subscribe();
        async move {
            // An error means that the servers were dropped.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        }
    }

    pub(crate) fn serve(&mut self, listener: TcpListener, router: Router) {
        // Small answers to small requests: waiting to fill a packet only costs.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let stopped = self.stopped();
        self.tasks.push(tokio::spawn(async move {
            let serving = axum::serve(listener, router).with_graceful_shutdown(stopped);
            if let Err(error) = serving.await {
                tracing::error!(%error, "a server failed");
            }
        }));
    }

    pub(crate) fn serve_database(&mut self, listener: TcpListener, database: Database) {
        let stopped = self.stopped();
        self.tasks.push(tokio::spawn(async move {
            let serving = dynoxide::server::serve_with_shutdown(listener, database, stopped);
            if let Err(error) = serving.await {
                tracing::error!(error, "the database server failed");
            }
        }));
    }

    pub(crate) async fn stop(self) {
        self.stopping.send_replace(true);
        let all = futures::future::join_all(self.tasks);
        if tokio::time::timeout(SHUTDOWN_GRACE, all).await.is_err() {
            tracing::warn!("requests were still under way when the servers stopped");
        }
    }
}

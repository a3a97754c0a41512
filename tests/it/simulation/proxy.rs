//! Stands between processes and everything that they call: passes requests on,
//! or does with them what the run's plan says, and keeps a log of what each
//! service really did.
//!
//! Each process has addresses of its own, `/{process}/aws` and
//! `/{process}/platform`.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use chrono::{DateTime, TimeDelta, Utc};
use local::Addresses;
use shared::Clock;
use test_support::Moment;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use super::answer::{exaggerated, hang_up, instead};
use super::plan::{Disturbance, Effect, Interruption, Plan};
use super::proxy_state::ProxyState;
use super::request::{ObservedRequest, RequestKind, Service, Tables};

pub(super) type Process = u32;

/// Something that must happen before a request goes on.
pub(super) struct Call {
    pub(super) process: Process,
    pub(super) integration: Option<usize>,
    pub(super) kind: RequestKind,
    pub(super) moment: Moment,
    pub(super) what: Disturbance,
    /// Dropping this lets the request go on.
    _held: oneshot::Sender<()>,
}

/// A request that arrived, and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Logged {
    pub(super) at: DateTime<Utc>,
    pub(super) process: Process,
    pub(super) request: ObservedRequest,
    pub(super) effect: Effect,
    /// Whether the service did what it was asked for.
    pub(super) done: bool,
    /// Whether the process was given the service's own answer.
    pub(super) answered: bool,
    /// Set if the platform gave new tokens; holds the refresh token, if there is one.
    pub(super) granted: Option<Option<String>>,
}

#[derive(Clone)]
pub(super) struct Proxy {
    pub(super) url: String,
    inner: Arc<Inner>,
}

struct Inner {
    http: reqwest::Client,
    upstreams: Addresses,
    tables: Tables,
    clock: Clock,
    calls: mpsc::UnboundedSender<Call>,
    under_way: watch::Sender<usize>,
    run: Mutex<ProxyState>,
}

pub(super) struct ServiceAnswer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Proxy {
    /// Starts a proxy in front of `upstreams`, which asks through `calls` for what must happen
    /// in the middle of a request.
    pub(super) async fn start(
        upstreams: Addresses,
        tables: Tables,
        clock: Clock,
        calls: mpsc::UnboundedSender<Call>,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            upstreams,
            tables,
            clock,
            calls,
            under_way: watch::Sender::new(0),
            run: Mutex::default(),
        });
        let router = Router::new()
            .fallback(handle)
            .with_state(Arc::clone(&inner));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// Begins a run.
    pub(super) fn begin(&self, plan: Plan) {
        *self.inner.run() = ProxyState {
            plan,
            ..ProxyState::default()
        };
    }

    /// Ends the faults and interruptions.
    pub(super) fn calm(&self) {
        let mut run = self.inner.run();
        (run.plan, run.armed) = (Plan::default(), [None; 2]);
    }

    /// Arms an interruption of the next sweep.
    pub(super) fn arm(&self, interruption: Option<Interruption>) {
        let mut run = self.inner.run();
        run.armed[0] = interruption;
        run.doomed.clear();
    }

    /// Arms an interruption that happens some time in the run.
    pub(super) fn ambush(&self, interruption: Option<Interruption>) {
        self.inner.run().armed[1] = interruption;
    }

    /// Disarms both interruptions, and returns them.
    pub(super) fn disarm(&self) -> [Option<Interruption>; 2] {
        std::mem::take(&mut self.inner.run().armed)
    }

    pub(super) fn rearm(&self, armed: [Option<Interruption>; 2]) {
        self.inner.run().armed = armed;
    }

    /// Lets nothing arrive that a process asks for from now on.
    pub(super) fn bury(&self, process: Process) {
        self.inner.run().dead.push(process);
    }

    /// Records that a refresh token is one of this integration's.
    pub(super) fn own(&self, token: String, integration: usize) {
        self.inner.run().owners.insert(token, integration);
    }

    /// Returns when no request is under way.
    pub(super) async fn quiet(&self) {
        let mut under_way = self.inner.under_way.subscribe();
        let _ = under_way.wait_for(|count| *count == 0).await;
    }

    pub(super) fn log(&self) -> Vec<Logged> {
        self.inner.run().log.clone()
    }
}

async fn handle(State(inner): State<Arc<Inner>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1024 * 1024).await;
    let Ok(body) = body else {
        return hang_up(); // the process died while it was speaking
    };
    inner.under_way.send_modify(|count| *count += 1);
    // On its own: that a process is gone undoes nothing of what it asked for.
    let served = tokio::spawn(async move {
        let answer = inner.serve(&head, body).await;
        inner.under_way.send_modify(|count| *count -= 1);
        answer
    });
    served.await.unwrap().unwrap_or_else(hang_up)
}

impl Inner {
    fn run(&self) -> MutexGuard<'_, ProxyState> {
        self.run.lock().unwrap()
    }

    /// Returns the answer, or `None` if the connection breaks.
    async fn serve(&self, head: &Parts, body: Bytes) -> Option<Response> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut parts = path.splitn(4, ['/', '?']).skip(1);
        let process: Process = parts.next().unwrap().parse().unwrap();
        let is_platform = parts.next() == Some("platform");
        let path = format!("/{}", parts.next().unwrap_or_default());

        let (request, effect, interruption) =
            self.run()
                .arrive(process, is_platform, head, &path, &body, &self.tables)?;
        let call = |what, moment| Call {
            process,
            integration: request.integration,
            kind: request.kind,
            moment,
            what,
            _held: oneshot::channel().0,
        };
        if let Some((what, Moment::Before)) = interruption {
            self.interrupt(call(what, Moment::Before)).await;
        }
        let doomed = self.run().doomed.remove(&process);
        if let Some((kind, integration)) = doomed {
            let call = call(Disturbance::Crash, Moment::After);
            self.interrupt(Call {
                kind,
                integration,
                ..call
            })
            .await;
        }
        if self.run().dead.contains(&process) {
            return None;
        }
        let mut answer = match effect.acts() {
            true => Some(self.forward(request.service, head, &path, body).await),
            false => None,
        };
        if let (Effect::Exaggerate, Some(answer)) = (effect, &mut answer) {
            answer.body = exaggerated(&answer.body);
            answer.headers.remove(header::CONTENT_LENGTH);
        }
        let done = answer
            .as_ref()
            .is_some_and(|answer| answer.status.is_success());
        let now = self.clock.now();
        let place = self
            .run()
            .record(now, process, request.clone(), effect, answer.as_ref());
        if let Effect::Slow(seconds) = effect {
            self.clock.advance(TimeDelta::seconds(seconds.into()));
        }
        if let Some((what, Moment::During)) = interruption {
            self.interrupt(call(what, Moment::During)).await;
        }
        let mut run = self.run();
        if run.dead.contains(&process) {
            return None;
        }
        run.log[place].answered = effect.answers();
        if let Some((_, Moment::After)) = interruption {
            run.doomed
                .insert(process, (request.kind, request.integration));
        }
        drop(run);
        match answer {
            Some(answer) if effect.answers() => {
                debug_assert!(done || !answer.status.is_success());
                Some((answer.status, answer.headers, answer.body).into_response())
            }
            _ => instead(request.service, effect),
        }
    }

    async fn interrupt(&self, call: Call) {
        let (_held, released) = oneshot::channel();
        let _ = self.calls.send(Call { _held, ..call });
        let _ = released.await;
    }

    async fn forward(
        &self,
        service: Service,
        head: &Parts,
        path: &str,
        body: Bytes,
    ) -> ServiceAnswer {
        let upstreams = &self.upstreams;
        let base = match service {
            Service::Dynamodb => &upstreams.dynamodb,
            Service::Kms => &upstreams.kms,
            Service::S3 => &upstreams.s3,
            Service::Sns => &upstreams.sns,
            Service::Secrets => &upstreams.secretsmanager,
            Service::Platform => &upstreams.platforms,
        };
        let mut headers = head.headers.clone();
        headers.remove(header::HOST);
        let response = self
            .http
            .request(head.method.clone(), format!("{base}{path}"))
            .headers(headers)
            .body(body)
            .send()
            .await
            .unwrap();
        let (status, mut headers) = (response.status(), response.headers().clone());
        for hop in [header::TRANSFER_ENCODING, header::CONNECTION] {
            headers.remove::<HeaderName>(hop);
        }
        let body = response.bytes().await.unwrap();
        ServiceAnswer {
            status,
            headers,
            body,
        }
    }
}

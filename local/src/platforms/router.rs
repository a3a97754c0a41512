//! The routes of all platforms, and the control route.

use axum::Router;
use axum::body::Bytes;
use axum::extract::DefaultBodyLimit;
use axum::handler::Handler;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{MethodFilter, MethodRouter, any, get, on};
use shared::Platform;

use super::api::Host;
use super::call_request::parse_call;
use super::grant::EpochSeconds;
use super::probe::{Encoding, ProbeEndpoint};
use super::request::{ProbeRequest, RefreshRequest};
use super::simulated::{CodeEndpoint, Simulated};
use super::state::{Outcome, State};
use super::{Platforms, catalog, consent_page, control, response};

/// The most bytes that the body of a call may have.
const LARGEST_CALL: usize = 16 * 1024 * 1024;

impl Platforms {
    /// Serves every platform and `/control`.
    pub fn router(&self) -> Router {
        let control = get(control::counts)
            .post(control::script)
            .delete(control::clear);
        let mut router = Router::new().route("/control", control);
        for platform in Platform::ALL {
            let Simulated {
                token,
                authorize,
                code,
                portal,
                probes,
                calls,
                ..
            } = catalog::for_platform(platform);
            router = router
                .route(token, self.refresh_route(platform))
                .route(authorize, consent_page::route(platform, true));
            if let Some((page, _)) = portal {
                router = router.route(page, consent_page::route(platform, false));
            }
            let codes = portal.iter().map(|(_, code)| code);
            for code in codes.chain([code]) {
                if let Some(path) = code.path {
                    router = router.route(path, self.code_route(platform, code));
                }
            }
            if let Some((path, grant_type)) = code.lengthening {
                router = router.route(path, self.lengthening_route(platform, grant_type));
            }
            for probe in probes.iter().filter(|probe| !calls.serves(probe)) {
                router = router.route(probe.path, self.probe_route(platform, probe));
            }
            for host in calls.hosts {
                for below in ["", "/", "/{*path}"] {
                    let path = format!("{}{below}", host.prefix);
                    router = router.route(&path, self.call_route(platform, host));
                }
            }
        }
        router.with_state(self.clone())
    }

    /// Serves requests for tokens, and asks `decide` what comes of them.
    fn token_route<D>(&self, encodings: &'static [Encoding], decide: D) -> MethodRouter<Self>
    where
        D: Fn(&mut State, &RefreshRequest, EpochSeconds) -> Outcome + Clone + Send + Sync + 'static,
    {
        let platforms = self.clone();
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let (platforms, decide) = (platforms.clone(), decide.clone());
            async move {
                let request = RefreshRequest::parse(encodings, &method, &uri, &headers, &body);
                let now = platforms.clock.now().timestamp();
                let outcome = decide(&mut platforms.locked(), &request, now);
                send(outcome).await
            }
        };
        of_encodings(encodings, handler)
    }

    /// Serves refreshes, and codes where they are exchanged at the same place.
    fn refresh_route(&self, platform: Platform) -> MethodRouter<Self> {
        let Simulated { refresh, code, .. } = catalog::for_platform(platform);
        self.token_route(refresh.encodings, move |state, request, now| {
            match code.path.is_none() && request.parameter(code.code).is_some() {
                true => state.exchange(platform, code, request, now),
                false => state.refresh(platform, request, now),
            }
        })
    }

    fn code_route(&self, platform: Platform, code: &'static CodeEndpoint) -> MethodRouter<Self> {
        self.token_route(code.encodings, move |state, request, now| {
            state.exchange(platform, code, request, now)
        })
    }

    fn lengthening_route(
        &self,
        platform: Platform,
        grant_type: &'static str,
    ) -> MethodRouter<Self> {
        let platforms = self.clone();
        get(
            async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let encodings = [Encoding::Query];
                let request = RefreshRequest::parse(&encodings, &method, &uri, &headers, &body);
                let now = platforms.clock.now().timestamp();
                let mut state = platforms.locked();
                let simulator = state.simulator(platform);
                simulator
                    .lengthen(grant_type, &request, now)
                    .into_response()
            },
        )
    }

    fn probe_route(
        &self,
        platform: Platform,
        endpoint: &'static ProbeEndpoint,
    ) -> MethodRouter<Self> {
        let platforms = self.clone();
        let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let platforms = platforms.clone();
            async move {
                let request = ProbeRequest::parse(endpoint, &uri, &headers, &body);
                let now = platforms.clock.now().timestamp();
                let outcome = platforms.locked().probe(platform, endpoint, &request, now);
                send(outcome).await
            }
        };
        on(endpoint.encoding.method(), handler)
    }

    /// Serves all that is below a host's root and is not served otherwise.
    fn call_route(&self, platform: Platform, host: &'static Host) -> MethodRouter<Self> {
        let platforms = self.clone();
        let api = &catalog::for_platform(platform).calls;
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let platforms = platforms.clone();
            async move {
                let request = parse_call(api, host, method, &uri, headers, &body);
                let now = platforms.clock.now().timestamp();
                let outcome = platforms.locked().call(platform, &request, now);
                send(outcome).await
            }
        };
        any(handler).layer(DefaultBodyLimit::max(LARGEST_CALL))
    }
}

fn of_encodings<H, T>(encodings: &[Encoding], handler: H) -> MethodRouter<Platforms>
where
    H: Handler<T, Platforms>,
    T: 'static,
{
    let methods = encodings.iter().map(|encoding| encoding.method());
    match methods.reduce(MethodFilter::or) {
        Some(methods) => on(methods, handler),
        None => MethodRouter::new(),
    }
}

impl Encoding {
    const fn method(self) -> MethodFilter {
        match self {
            Self::Query => MethodFilter::GET,
            Self::Form | Self::Json => MethodFilter::POST,
        }
    }
}

async fn send(outcome: Outcome) -> HttpResponse {
    if !outcome.delay.is_zero() {
        tokio::time::sleep(outcome.delay).await;
    }
    match outcome.answer {
        Some(answer) => answer.into_response(),
        None => response::hang_up(),
    }
}

//! One invocation: on what terms it processes integrations, and what it finds.

use chrono::{DateTime, Utc};
use shared::Clock;
use shared::aws::tables::PlatformHealthTable;
use shared::domain::severity::WarningWindow;
use shared::oauth::PlatformClients;

use crate::Request;
use crate::metrics::PlatformMetrics;
use crate::operator_events::OperatorEvents;
use crate::platform_health::PlatformHealthCache;

#[derive(Debug)]
pub(crate) struct Run<'a> {
    pub(crate) request: Request,
    /// The latest `next_action_at` at which an integration counts as due.
    pub(crate) horizon: DateTime<Utc>,
    pub(crate) deadline: Option<DateTime<Utc>>,
    /// Our client ids and secrets at the platforms; `None` if this run refreshes nothing.
    pub(crate) clients: Option<&'a PlatformClients>,
    pub(crate) health: PlatformHealthCache<'a>,
    pub(crate) operator_events: OperatorEvents,
    pub(crate) metrics: PlatformMetrics,
}

impl<'a> Run<'a> {
    pub(crate) async fn begin(
        request: Request,
        deadline: Option<DateTime<Utc>>,
        clients: Option<&'a PlatformClients>,
        platform_health: &'a PlatformHealthTable,
        clock: &'a Clock,
    ) -> Self {
        let now = clock.now();
        Self {
            request,
            horizon: match request.alert_policy().window {
                usual if usual == WarningWindow::default() => now,
                longer => now + longer.length(),
            },
            deadline,
            clients: clients.filter(|_| request.auto_refresh),
            health: PlatformHealthCache::load(platform_health, clock).await,
            operator_events: OperatorEvents::default(),
            metrics: PlatformMetrics::default(),
        }
    }
}

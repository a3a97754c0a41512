//! The record of who may have seen an access token: one audit row for each caller, integration
//! and hour.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, DurationRound, TimeDelta, Utc};

use crate::aws::tables::{Action, AuditTable, MemberAction, TableError};
use crate::{IntegrationKey, UserId};

/// How many rows of the hour an instance remembers to have written.
const CAPACITY: usize = 10_000;

#[derive(Debug, Clone)]
pub(super) struct HandOuts {
    audit: AuditTable,
    written: Arc<Mutex<Written>>,
}

/// The rows that this instance has written for one hour.
#[derive(Debug, Default)]
struct Written {
    hour: DateTime<Utc>,
    rows: HashSet<(UserId, IntegrationKey)>,
}

impl HandOuts {
    pub(super) fn new(audit: AuditTable) -> Self {
        Self {
            audit,
            written: Arc::default(),
        }
    }

    /// Records that `caller` takes an access token, once an hour.
    pub(super) async fn record(
        &self,
        caller: &UserId,
        key: &IntegrationKey,
        now: DateTime<Utc>,
    ) -> Result<(), TableError> {
        let hour = now.duration_trunc(TimeDelta::hours(1)).unwrap_or(now);
        let row = (caller.clone(), key.clone());
        if self.locked(hour).rows.contains(&row) {
            return Ok(());
        }
        let action = MemberAction {
            action: Action::AccessTokenTaken,
            by: caller.clone(),
        };
        let id = format!("access_token#{caller}");
        self.audit
            .record_once(key.clone(), hour, &id, action)
            .await?;
        let mut written = self.locked(hour);
        if written.rows.len() >= CAPACITY {
            written.rows.clear();
        }
        written.rows.insert(row);
        Ok(())
    }

    fn locked(&self, hour: DateTime<Utc>) -> std::sync::MutexGuard<'_, Written> {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.hour != hour {
            *written = Written {
                hour,
                rows: HashSet::new(),
            };
        }
        written
    }
}

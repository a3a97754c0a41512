//! Writes one log line and one audit row for every attempt, even one that sent nothing.

use chrono::TimeDelta;
use shared::aws::tables::{AuditStream, AuditTable};
use shared::domain::report::{AnswerRecord, AttemptRecord};
use shared::oauth::ResponseSummary;
use shared::{IntegrationKey, Platform};
use tracing::{info, warn};

#[derive(Debug, Clone)]
pub(crate) struct AttemptLog {
    pub(crate) audit: AuditTable,
}

impl AttemptLog {
    pub(crate) async fn record(
        &self,
        platform: Platform,
        key: IntegrationKey,
        attempt: &AttemptRecord,
    ) {
        let AttemptRecord {
            attempt_id,
            result,
            answer,
            ..
        } = attempt;
        let AnswerRecord {
            code,
            http_status,
            content_type,
            body_bytes,
            platform_request_id,
            duration_ms,
        } = answer;
        info!(
            %platform,
            org_id = %key.org_id,
            integration_id = %key.integration_id,
            attempt_id,
            result = result.name(),
            code,
            http_status,
            content_type,
            body_bytes,
            platform_request_id,
            duration_ms,
            "attempt ended"
        );
        let stream = AuditStream::Integration(key);
        if let Err(error) = self.audit.record(stream, attempt_id, attempt).await {
            warn!(%error, "an attempt's audit row could not be written");
        }
    }
}

/// Records what an answer looked like, if there was one, but not its content.
pub(crate) fn answer_record(
    summary: Option<ResponseSummary>,
    request_id: Option<String>,
    took: TimeDelta,
) -> AnswerRecord {
    let mut record = AnswerRecord {
        platform_request_id: request_id,
        duration_ms: took.num_milliseconds(),
        ..AnswerRecord::default()
    };
    if let Some(summary) = summary {
        record.http_status = Some(summary.status);
        record.content_type = summary.content_type;
        record.body_bytes = u64::try_from(summary.length).ok();
    }
    record
}

//! Switches an integration off. It wins over a refresh that is under way.

use chrono::{DateTime, Utc};

use super::store::{MAX_LOST_WRITES, RegistrationError};
use crate::IntegrationKey;
use crate::aws::tables::{Conflict, Found, IntegrationsTable};
use crate::domain::integration::State;

/// What switching an integration off did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnected {
    /// It switched the integration off and erased its tokens.
    Now,
    /// The integration was off already.
    Already,
    /// There is no such integration.
    Unknown,
}

/// Switches an integration off and erases its tokens, also if its row cannot be read.
///
/// # Errors
/// If that cannot be stored. Then the integration is as it was.
pub async fn disconnect(
    key: &IntegrationKey,
    integrations: &IntegrationsTable,
    now: DateTime<Utc>,
) -> Result<Disconnected, RegistrationError> {
    for _ in 0..MAX_LOST_WRITES {
        let found = integrations.find(key).await?;
        let mut row = match found {
            Found::Nothing => return Ok(Disconnected::Unknown),
            Found::Damaged {
                has_tokens: false, ..
            } => return Ok(Disconnected::Already),
            Found::Damaged { .. } => {
                let generation = found.first_generation(now);
                if integrations
                    .disconnect_damaged(key, generation, now)
                    .await?
                {
                    return Ok(Disconnected::Now);
                }
                continue;
            }
            Found::Row(row) => row,
        };
        if matches!(row.state, State::Disconnected { .. }) {
            return Ok(Disconnected::Already);
        }
        row.disconnect(now);
        match integrations.replace(*row, now).await {
            Ok(_) => return Ok(Disconnected::Now),
            Err(Conflict::Lost(_)) => {}
            Err(Conflict::Failed(error)) => return Err(error.into()),
        }
    }
    Err(RegistrationError::Contended)
}

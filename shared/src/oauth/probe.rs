//! Asking a platform whether an access token lives, where that costs nothing:
//! for connections in doubt, and when somebody asks; never as a poll.

use super::dialect::{self, Ask};
use super::{Credentials, OAuthClient, Tokens, Unsuccessful, answer, is_echo};
use crate::Platform;
use crate::refresh::Seen;
use crate::verdict::Verdict;

/// A platform's answer to a probe.
#[derive(Debug)]
pub struct Probed {
    /// What it says of the access token: what it saw of one that lives, or why not.
    pub result: Result<Seen, Unsuccessful>,
    /// The platform's own id of the request.
    pub request_id: Option<String>,
}

impl OAuthClient {
    /// What the platform says of the access token; `None` if it has no free way
    /// to ask, or we lack what it takes.
    pub async fn probe(
        &self,
        platform: Platform,
        credentials: &Credentials,
        tokens: &Tokens,
    ) -> Option<Probed> {
        let dialect = dialect::of(platform);
        let ask = self.ask(platform, credentials, tokens);
        let request = (dialect.probe)(&ask)?;
        Some(match self.send(request).await {
            Ok((head, body)) => {
                answer::probed(dialect, &head, &body, self.clock.now()).without_echoes_of(&ask)
            }
            Err(transient) => Probed {
                result: Err(Unsuccessful {
                    verdict: Verdict::Transient(transient),
                    code: None,
                }),
                request_id: None,
            },
        })
    }
}

impl Probed {
    fn without_echoes_of(mut self, ask: &Ask<'_>) -> Self {
        self.request_id = self.request_id.filter(|id| !is_echo(id, ask));
        self.result = self
            .result
            .map_err(|refused| refused.without_echoes_of(ask));
        self
    }
}

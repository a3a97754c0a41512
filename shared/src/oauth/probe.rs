//! Asking a platform whether an access token lives, where that costs nothing:
//! for connections in doubt, and when somebody asks; never as a poll.

use super::dialect;
use super::{Credentials, OAuthClient, Tokens, Unsuccessful, answer};
use crate::Platform;
use crate::refresh::Seen;
use crate::verdict::Verdict;

impl OAuthClient {
    /// What the platform says of the access token; `None` if it has no free way
    /// to ask, or we lack what it takes.
    pub async fn probe(
        &self,
        platform: Platform,
        credentials: &Credentials,
        tokens: &Tokens,
    ) -> Option<Result<Seen, Unsuccessful>> {
        let dialect = dialect::of(platform);
        let ask = self.ask(platform, credentials, tokens);
        let request = (dialect.probe)(&ask)?;
        Some(match self.send(request).await {
            Ok((head, body)) => answer::probed(dialect, &head, &body, self.clock.now())
                .map_err(|refused| refused.without_echoes_of(&ask)),
            Err(transient) => Err(Unsuccessful {
                verdict: Verdict::Transient(transient),
                code: None,
            }),
        })
    }
}

//! What goes wrong between a client and Token Warden.

/// Token Warden did not answer, or not what its documentation says.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error("Token Warden could not be asked: {0}")]
    Transport(String),
    /// Problem details, or what came in their place.
    #[error("Token Warden answered {status}: {detail}")]
    Answer { status: u16, detail: String },
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        // With its causes, and without the URL.
        let error = error.without_url();
        let chain = std::iter::successors(Some(&error as &dyn std::error::Error), |error| {
            error.source()
        });
        let causes: Vec<_> = chain.map(ToString::to_string).collect();
        Self::Transport(causes.join(": "))
    }
}

//! The requests of a platform, as data. No secret is in here: `oauth` puts them in.

#[derive(Debug)]
pub(crate) struct RequestShape {
    pub(crate) endpoint: Endpoint,
    pub(crate) authentication: Authentication,
    pub(crate) parameters: Parameters,
}

#[derive(Debug)]
pub(crate) enum Endpoint {
    Token,
    /// Where the code of a consent is exchanged.
    Code,
    /// This path below the base of the API.
    Api(&'static str),
    /// This name in place of the last segment of the token endpoint.
    BesideToken(&'static str),
}

/// What authenticates a request in a header; any other secret is a parameter.
#[derive(Debug)]
pub(crate) enum Authentication {
    None,
    /// Our client id and secret (RFC 6749, 2.3.1).
    Basic,
    /// The access token (RFC 6750, 2.1).
    Bearer,
    /// The access token in a header of the platform's own.
    Header(&'static str),
}

/// The parameters by name. A query is sent by GET, a form or JSON by POST.
#[derive(Debug)]
pub(crate) enum Parameters {
    Query(&'static [(&'static str, Parameter)]),
    Form(&'static [(&'static str, Parameter)]),
    Json(&'static [(&'static str, Parameter)]),
}

#[derive(Debug)]
pub(crate) enum Parameter {
    Literal(&'static str),
    ClientId,
    ClientSecret,
    AccessToken,
    RefreshToken,
    /// The code of a consent.
    Code,
    /// What proves that we asked for that code (RFC 7636).
    CodeVerifier,
    /// Where the person came back to.
    RedirectUri,
    /// The version of the API, by which an address or a header names it.
    ApiVersion,
    /// Google's token of whoever develops for its Ads API; not every deployment has one.
    DeveloperToken,
    /// Meta's token of the application itself: `{client id}|{client secret}`.
    AppAccessToken,
    /// Meta's `appsecret_proof` of a token: its HMAC-SHA256 under the client secret
    /// (developers.facebook.com/docs/graph-api/guides/secure-requests).
    ProofOf(&'static Self),
}

impl RequestShape {
    /// Whether the request says which application asks.
    pub(crate) fn names_client(&self) -> bool {
        let (Parameters::Query(pairs) | Parameters::Form(pairs) | Parameters::Json(pairs)) =
            self.parameters;
        let names_client = |parameter: &Parameter| {
            matches!(parameter, Parameter::ClientId | Parameter::AppAccessToken)
        };
        matches!(self.authentication, Authentication::Basic)
            || pairs.iter().any(|(_, parameter)| names_client(parameter))
    }
}

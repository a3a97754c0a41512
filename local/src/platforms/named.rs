//! Every error that can be asked for by name: the rows of each platform's
//! error tables, and what any server may do on a bad day.

use axum::http::StatusCode;
use shared::Platform;

use super::answer::{
    Answer, business, google_ads, graph, linkedin_api, oauth, problem, snapchat_api, tiktok_api,
};

/// A row: the name, and what the platform then says.
type Row = (&'static str, Shape);

#[derive(Clone, Copy)]
enum Shape {
    /// Code, subcode (0: none), message; HTTP 400.
    Graph(u32, u32, &'static str),
    /// Status, error, description.
    OAuth(u16, &'static str, &'static str),
    /// Code, message; HTTP 200.
    Business(u32, &'static str),
    /// Status, code, message.
    Tiktok(u16, &'static str, &'static str),
    /// Status, service error code (0: none), code, message.
    Linkedin(u16, u32, &'static str, &'static str),
    /// Status, kind of problem, title, detail.
    Problem(u16, &'static str, &'static str, &'static str),
    /// Status, family, code.
    Ads(u16, &'static str, &'static str),
    /// Status, message.
    Snapchat(u16, &'static str),
    /// Status, content type, body.
    Raw(u16, &'static str, &'static str),
}

use Shape::{Ads, Business, Graph, Linkedin, OAuth, Problem, Raw, Snapchat, Tiktok};

/// The answer that `name` stands for on that platform.
pub(super) fn answer(platform: Platform, name: &str) -> Option<Answer> {
    let shape = rows(platform).find(|row| row.0 == name)?.1;
    let code = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    Some(match shape {
        Graph(error, subcode, message) => {
            // Meta uses 5xx for its own failures only, and 400 even for throttling.
            let failed = matches!(error, 2 | 960 | 104);
            graph(
                code(if failed { 500 } else { 400 }),
                error,
                subcode,
                message,
            )
        }
        OAuth(status, error, description) => oauth(platform, code(status), error, description),
        Business(error, message) => business(error, message),
        Tiktok(status, error, message) => tiktok_api(code(status), error, message),
        Linkedin(status, service, error, message) => {
            linkedin_api(code(status), service, error, message)
        }
        Problem(status, kind, title, detail) => problem(code(status), kind, title, detail),
        Ads(status, family, error) => {
            google_ads(code(status), family, error, "The request was refused.")
        }
        Snapchat(status, message) => snapchat_api(code(status), message),
        Raw(status, content_type, body) => Answer::text(code(status), content_type, body.into()),
    })
}

/// The names known on that platform.
pub(super) fn names(platform: Platform) -> impl Iterator<Item = &'static str> {
    rows(platform).map(|row| row.0)
}

fn rows(platform: Platform) -> impl Iterator<Item = &'static Row> {
    let own: &[Row] = match platform {
        Platform::Meta | Platform::Instagram | Platform::Threads => GRAPH,
        Platform::Tiktok => TIKTOK,
        Platform::TiktokBusiness => TIKTOK_BUSINESS,
        Platform::Linkedin => LINKEDIN,
        Platform::Twitter => TWITTER,
        Platform::Google => GOOGLE,
        Platform::Snapchat => SNAPCHAT,
    };
    own.iter().chain(ANYWHERE)
}

const JSON: &str = "application/json";

/// What comes between a platform and its callers.
#[rustfmt::skip] // a row a line
const ANYWHERE: &[Row] = &[
    ("html", Raw(502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")),
    ("html_ok", Raw(200, "text/html", "<html><body>Please log in</body></html>")),
    ("empty", Raw(200, JSON, "")),
    ("truncated", Raw(200, JSON, r#"{"access_token":"EAA"#)),
    ("no_access_token", Raw(200, JSON, r#"{"token_type":"bearer","expires_in":3600}"#)),
    ("blank_access_token", Raw(200, JSON, r#"{"access_token":"","token_type":"bearer","expires_in":3600}"#)),
    ("unavailable", Raw(503, "text/plain", "Service Unavailable")),
];

/// Meta, Instagram and Threads.
#[rustfmt::skip] // a row a line
const GRAPH: &[Row] = &[
    ("190", Graph(190, 0, "Invalid OAuth 2.0 Access Token")),
    ("190/458", Graph(190, 458, "Error validating access token: The user has not authorized application 1.")),
    ("190/459", Graph(190, 459, "Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given.")),
    ("190/452", Graph(190, 452, "Error validating access token: Session does not match current stored session.")),
    ("190/460", Graph(190, 460, "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons.")),
    ("190/463", Graph(190, 463, "Error validating access token: Session has expired.")),
    ("190/464", Graph(190, 464, "Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user.")),
    ("190/467", Graph(190, 467, "Error validating access token: The session is invalid because the user logged out.")),
    ("190/468", Graph(190, 468, "Error validating access token: The session is invalid because the app was unused for too long.")),
    ("190/490", Graph(190, 490, "Error validating access token: The user is enrolled in a blocking, logged-in checkpoint")),
    ("190/492", Graph(190, 492, "Error validating access token: Session is invalid.")),
    ("190/493", Graph(190, 493, "Error validating access token: The user hasn't engaged the app in longer than 90 days.")),
    ("log_in_first", Graph(190, 0, "You cannot access the app till you log in to www.instagram.com and follow the instructions given.")),
    ("invalid_grant", Graph(190, 0, "Invalid OAuth 2.0 Access Token")),
    ("102", Graph(102, 0, "Session key invalid or no longer valid")),
    ("102/459", Graph(102, 459, "Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given.")),
    ("102/460", Graph(102, 460, "Error validating access token: The session has been invalidated because the user changed the password.")),
    ("100", Graph(100, 0, "Invalid parameter")),
    ("proof_required", Graph(100, 0, "API calls from the server require an appsecret_proof argument")),
    ("another_app", Graph(100, 0, "(#100) The App_id in the input_token did not match the Viewing App")),
    ("3", Graph(3, 0, "(#3) PlatformHealth does not have the capability to make this API call.")),
    ("10", Graph(10, 0, "(#10) PlatformHealth does not have permission for this action")),
    ("200", Graph(200, 0, "(#200) Permissions error")),
    ("299", Graph(299, 0, "(#299) Permissions error")),
    ("101", Graph(101, 0, "Error validating application. Invalid application ID.")),
    ("invalid_client", Graph(101, 0, "Error validating application. Invalid application ID.")),
    ("invalid_secret", Graph(1, 0, "Error validating client secret.")),
    ("1", Graph(1, 0, "An unknown error occurred")),
    ("1/99", Graph(1, 99, "An unknown error occurred")),
    ("2", Graph(2, 0, "An unexpected error has occurred. Please retry your request later.")),
    ("server_error", Graph(2, 0, "An unexpected error has occurred. Please retry your request later.")),
    ("104", Graph(104, 0, "Connection reset by peer")),
    ("960", Graph(960, 0, "Request aborted. This could happen if a dependent request failed or the entire request timed out.")),
    ("4", Graph(4, 0, "(#4) PlatformHealth request limit reached")),
    ("17", Graph(17, 0, "(#17) User request limit reached")),
    ("32", Graph(32, 0, "(#32) Page request limit reached")),
    ("613", Graph(613, 0, "(#613) Calls to this api have exceeded the rate limit.")),
    ("341", Graph(341, 0, "(#341) Feed action request limit reached")),
    ("368", Graph(368, 0, "The action attempted has been deemed abusive or is otherwise disallowed")),
    ("80000", Graph(80000, 0, TOO_MANY)),
    ("80001", Graph(80001, 0, TOO_MANY)),
    ("80002", Graph(80002, 0, TOO_MANY)),
    ("80003", Graph(80003, 0, TOO_MANY)),
    ("80004", Graph(80004, 0, TOO_MANY)),
    ("80005", Graph(80005, 0, TOO_MANY)),
    ("80006", Graph(80006, 0, TOO_MANY)),
    ("80008", Graph(80008, 0, TOO_MANY)),
    ("80009", Graph(80009, 0, TOO_MANY)),
    ("80014", Graph(80014, 0, TOO_MANY)),
];

const TOO_MANY: &str = "There have been too many calls to this account. Wait a bit and try again.";

/// TikTok does not document the status of its token endpoint's errors; 200 is
/// the one that must not mislead anybody.
#[rustfmt::skip] // a row a line
const TIKTOK: &[Row] = &[
    ("invalid_grant", OAuth(200, "invalid_grant", "Refresh token is invalid or expired.")),
    ("invalid_grant_400", OAuth(400, "invalid_grant", "Refresh token is invalid or expired.")),
    ("access_denied", OAuth(200, "access_denied", "The user denied the request.")),
    ("invalid_client", OAuth(200, "invalid_client", "Client key or secret is incorrect.")),
    ("invalid_request", OAuth(200, "invalid_request", "The request parameters are malformed.")),
    ("invalid_scope", OAuth(200, "invalid_scope", "The requested scope is invalid.")),
    ("unauthorized_client", OAuth(200, "unauthorized_client", "The client is not authorized.")),
    ("unsupported_grant_type", OAuth(200, "unsupported_grant_type", "The grant type is not supported.")),
    ("access_token_invalid", Tiktok(401, "access_token_invalid", "The access token is invalid or not found in the request.")),
    ("scope_not_authorized", Tiktok(401, "scope_not_authorized", "The user did not authorize the scope required for completing this request.")),
    ("scope_permission_missed", Tiktok(400, "scope_permission_missed", "Additional permissions are required.")),
    ("rate_limit_exceeded", Tiktok(429, "rate_limit_exceeded", "The API rate limit was exceeded.")),
    ("internal_error", Tiktok(500, "internal_error", "Internal server error.")),
    ("server_error", Tiktok(500, "internal_error", "Internal server error.")),
    ("invalid_params", Tiktok(400, "invalid_params", "One or more fields are invalid.")),
];

#[rustfmt::skip] // a row a line
const TIKTOK_BUSINESS: &[Row] = &[
    ("40102", Business(40102, "Access token is expired")),
    ("40103", Business(40103, "Refresh token is expired")),
    ("40105", Business(40105, "Access token is incorrect or has been revoked")),
    ("40107", Business(40107, "Refresh token is invalid")),
    ("invalid_grant", Business(40107, "Refresh token is invalid")),
    ("40106", Business(40106, "Core user is invalid")),
    ("40114", Business(40114, "Advertiser has logged out")),
    ("40120", Business(40120, "TikTok user is not logged in")),
    ("40301", Business(40301, "Advertiser role error")),
    ("40309", Business(40309, "Login is required")),
    ("40131", Business(40131, "TikTok user authorization failed")),
    ("40110", Business(40110, "Auth code is invalid")),
    ("40101", Business(40101, "App id or secret is incorrect")),
    ("invalid_client", Business(40101, "App id or secret is incorrect")),
    ("40104", Business(40104, "Access token is empty")),
    ("40108", Business(40108, "Grant type is invalid")),
    ("40113", Business(40113, "App is forbidden")),
    ("40118", Business(40118, "App is not in the allowlist")),
    ("40124", Business(40124, "Developer application was rejected")),
    ("40125", Business(40125, "Developer has no permission")),
    ("40001", Business(40001, "No permission")),
    ("40130", Business(40130, "Scope is not authorized")),
    ("40100", Business(40100, "Requests made too frequently")),
    ("40132", Business(40132, "Request frequency is limited")),
    ("61000", Business(61000, "Too many requests")),
    ("51021", Business(51021, "Too many requests")),
    ("50000", Business(50000, "System error")),
    ("server_error", Business(50000, "System error")),
    ("50002", Business(50002, "Timeout")),
    ("51010", Business(51010, "RPC timeout")),
    ("51039", Business(51039, "Auth service error")),
    ("52000", Business(52000, "Database error")),
    ("60001", Business(60001, "Service is under maintenance")),
    ("40201", Business(40201, "Not ready")),
    ("40202", Business(40202, "Write conflict")),
    ("20001", Business(20001, "Partial success")),
];

#[rustfmt::skip] // a row a line
const LINKEDIN: &[Row] = &[
    ("invalid_grant", OAuth(400, "invalid_grant", LINKEDIN_INVALID)),
    ("invalid_request", OAuth(400, "invalid_request", LINKEDIN_INVALID)),
    ("invalid_client", OAuth(401, "invalid_client", "Client authentication failed")),
    ("unauthorized_client", OAuth(401, "unauthorized_client", "The application is not allowed to use refresh tokens")),
    ("server_error", OAuth(500, "server_error", "Internal server error")),
    ("65600", Linkedin(401, 65600, "INVALID_ACCESS_TOKEN", "Invalid access token")),
    ("65601", Linkedin(401, 65601, "REVOKED_ACCESS_TOKEN", "The token used in the request has been revoked by the user")),
    ("65602", Linkedin(401, 65602, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")),
    ("65604", Linkedin(401, 65604, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")),
    ("426", Linkedin(426, 0, "", "Requested version is not active")),
    ("429", Linkedin(429, 101, "TOO_MANY_REQUESTS", "Resource level throttle limit for calls to this resource is reached.")),
];

const LINKEDIN_INVALID: &str =
    "The provided authorization grant or refresh token is invalid, expired or revoked.";

#[rustfmt::skip] // a row a line
const TWITTER: &[Row] = &[
    ("invalid_request", OAuth(400, "invalid_request", "Value passed for the token was invalid.")),
    ("invalid_grant", OAuth(400, "invalid_grant", "Value passed for the token was invalid.")),
    ("unauthorized_client", OAuth(401, "unauthorized_client", "Missing valid authorization header")),
    ("invalid_client", OAuth(401, "unauthorized_client", "Missing valid authorization header")),
    ("server_error", Problem(503, "", "Service Unavailable", "Service Unavailable")),
    ("unauthorized", Problem(401, "", "Unauthorized", "Unauthorized")),
    ("usage-capped", Problem(429, "usage-capped", "UsageCapExceeded", "Usage cap exceeded: Monthly product cap")),
    ("client-forbidden", Problem(403, "client-forbidden", "Client Forbidden", "This request must be made using an approved developer account.")),
    ("user-not-enrolled", Raw(403, "application/problem+json", r#"{"type":"https://api.x.com/2/problems/client-forbidden","title":"Client Forbidden","detail":"This request is billed to the authenticated user. Create a developer account at the Developer Console and enroll it in Pay-per-use.","reason":"user-not-enrolled"}"#)),
    ("credits-depleted", Problem(402, "credits-depleted", "Payment Required", "credits depleted")),
    ("88", Raw(429, JSON, r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#)),
];

#[rustfmt::skip] // a row a line
const GOOGLE: &[Row] = &[
    ("invalid_grant", OAuth(400, "invalid_grant", "Token has been expired or revoked.")),
    ("invalid_rapt", OAuth(400, "invalid_grant", "reauth related error (invalid_rapt)")),
    ("invalid_client", OAuth(401, "invalid_client", "The OAuth client was not found.")),
    ("unauthorized_client", OAuth(401, "unauthorized_client", "Unauthorized")),
    ("deleted_client", OAuth(401, "deleted_client", "The OAuth client was deleted.")),
    ("rapt_required", OAuth(400, "invalid_grant", "reauth related error (rapt_required)")),
    ("disabled_client", OAuth(401, "disabled_client", "The OAuth client was disabled.")),
    ("admin_policy_enforced", OAuth(400, "admin_policy_enforced", "Access to your account data is restricted by policies within your organization.")),
    ("access_denied", OAuth(400, "access_denied", "Account restricted")),
    ("policy_enforced", OAuth(400, "policy_enforced", "Access blocked by the Advanced Protection Program.")),
    ("org_internal", OAuth(403, "org_internal", "This client is restricted to users within its organization.")),
    ("server_error", OAuth(500, "internal_failure", "Internal error")),
    ("OAUTH_TOKEN_EXPIRED", Ads(401, AUTHENTICATION, "OAUTH_TOKEN_EXPIRED")),
    ("OAUTH_TOKEN_INVALID", Ads(401, AUTHENTICATION, "OAUTH_TOKEN_INVALID")),
    ("OAUTH_TOKEN_REVOKED", Ads(401, AUTHENTICATION, "OAUTH_TOKEN_REVOKED")),
    ("GOOGLE_ACCOUNT_DELETED", Ads(401, AUTHENTICATION, "GOOGLE_ACCOUNT_DELETED")),
    ("CUSTOMER_NOT_FOUND", Ads(401, AUTHENTICATION, "CUSTOMER_NOT_FOUND")),
    ("TWO_STEP_VERIFICATION_NOT_ENROLLED", Ads(401, AUTHENTICATION, "TWO_STEP_VERIFICATION_NOT_ENROLLED")),
    ("ADVANCED_PROTECTION_NOT_ENROLLED", Ads(401, AUTHENTICATION, "ADVANCED_PROTECTION_NOT_ENROLLED")),
    ("USER_PERMISSION_DENIED", Ads(403, AUTHORIZATION, "USER_PERMISSION_DENIED")),
    ("CUSTOMER_NOT_ENABLED", Ads(403, AUTHORIZATION, "CUSTOMER_NOT_ENABLED")),
    ("PROJECT_DISABLED", Ads(403, AUTHORIZATION, "PROJECT_DISABLED")),
    ("CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", Ads(403, AUTHORIZATION, "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION")),
    ("NOT_ADS_USER", Ads(401, AUTHENTICATION, "NOT_ADS_USER")),
    ("SERVICE_DISABLED", Ads(403, AUTHORIZATION, "SERVICE_DISABLED")),
    ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", Ads(403, AUTHORIZATION, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")),
    ("RESOURCE_EXHAUSTED", Ads(429, "quotaError", "RESOURCE_EXHAUSTED")),
    ("RESOURCE_TEMPORARILY_EXHAUSTED", Ads(429, "quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED")),
];

const AUTHENTICATION: &str = "authenticationError";
const AUTHORIZATION: &str = "authorizationError";

#[rustfmt::skip] // a row a line
const SNAPCHAT: &[Row] = &[
    ("invalid_grant", OAuth(400, "invalid_grant", "The refresh token is invalid, expired or revoked.")),
    ("invalid_client", OAuth(401, "invalid_client", "Client authentication failed")),
    ("invalid_request", OAuth(400, "invalid_request", "The request is malformed")),
    ("server_error", Snapchat(500, "Internal server error")),
    ("401", Snapchat(401, "Unauthorized")),
    ("403", Snapchat(403, "Forbidden")),
    ("429", Snapchat(429, "Too many requests")),
    ("error_ok", Snapchat(200, "The request failed")),
];

//! What a request is about, read from its path. The authorizer and the API behind it both read
//! paths here, so that they cannot read them differently.

use crate::domain::id::from_path_segment;
use crate::{IntegrationId, OrgId, Platform, UserId};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteParameters {
    /// `{orgId}`.
    pub org: OrgId,
    /// `{integrationId}`.
    pub integration: Option<IntegrationId>,
    /// `{platform}`.
    pub platform: Option<Platform>,
    /// `{notificationId}`.
    pub notification: Option<String>,
    /// `{userId}`.
    pub user: Option<UserId>,
    /// `{path+}`, the rest of the path, as it was sent.
    pub rest: Option<String>,
}

/// The routes whose calls take a permit: it is for a call to the platform.
const METERED: [&str; 2] = [
    "/api/platforms/{platform}/{orgId}/{integrationId}/permits",
    "/api/platforms/{platform}/{orgId}/{integrationId}/proxy/{path+}",
];

/// Whether a call of the route with this template takes a permit.
#[must_use]
pub fn is_metered(template: &str) -> bool {
    METERED.contains(&template)
}

impl RouteParameters {
    /// Reads `path`, raw as it was sent, by the `template` of its route. Returns `None` if the path
    /// is not the route's, names no organisation, or spells a parameter in a way that we do not
    /// accept (`%69d`, `facebook`).
    #[must_use]
    pub fn parse(template: &str, path: &str) -> Option<Self> {
        let (mut org, mut integration, mut platform) = (None, None, None);
        let (mut notification, mut user, mut rest) = (None, None, None);
        let mut segments = path.split('/');
        for expected in template.split('/') {
            // As API Gateway and axum spell it.
            if ["{path+}", "{*path}"].contains(&expected) {
                let left: Vec<_> = segments.by_ref().collect();
                rest = Some(left.join("/")).filter(|rest| !rest.is_empty());
                rest.as_ref()?;
                continue;
            }
            let segment = segments.next()?;
            let parameter = expected
                .strip_prefix('{')
                .and_then(|name| name.strip_suffix('}'));
            let Some(name) = parameter else {
                if expected == segment {
                    continue;
                }
                return None;
            };
            let value = from_path_segment(segment)?;
            match name {
                "orgId" => org = Some(OrgId::new(value).ok()?),
                "integrationId" => integration = Some(IntegrationId::new(value).ok()?),
                "platform" => platform = Some(canonical(&value)?),
                "notificationId" => notification = Some(value),
                "userId" => user = Some(UserId::new(value).ok()?),
                _ => return None,
            }
        }
        if segments.next().is_some() {
            return None;
        }
        Some(Self {
            org: org?,
            integration,
            platform,
            notification,
            user,
            rest,
        })
    }

    /// Returns the fields that the authorizer passes to the API in its context, by name.
    pub fn fields(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            Some(("org_id", self.org.as_str())),
            self.integration
                .as_ref()
                .map(|id| ("integration_id", id.as_str())),
            self.platform.map(|platform| ("platform", platform.name())),
        ]
        .into_iter()
        .flatten()
    }
}

fn canonical(name: &str) -> Option<Platform> {
    name.parse()
        .ok()
        .filter(|platform: &Platform| platform.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERMITS: &str = "/api/platforms/{platform}/{orgId}/{integrationId}/permits";

    #[test]
    fn a_path_is_read_by_its_template() {
        let parameters =
            RouteParameters::parse(PERMITS, "/api/platforms/meta/acme/auth0%7C7/permits").unwrap();
        let fields: Vec<_> = parameters.fields().collect();
        let expected = [
            ("org_id", "acme"),
            ("integration_id", "auth0|7"),
            ("platform", "meta"),
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn any_other_spelling_is_refused() {
        for path in [
            "/api/platforms/facebook/acme/7/permits",
            "/api/platforms/%6Deta/acme/7/permits",
            "/api/platforms/meta/%61cme/7/permits",
            "/api/platforms/meta/acme/a%23b/permits",
            "/api/platforms/meta/acme/a%253Ab/permits",
            "/api/platforms/meta//7/permits",
            "/api/platforms/meta/acme/7/permits/",
            "/api/platforms/meta/acme/7",
            "/v1/api/platforms/meta/acme/7/permits",
            "",
        ] {
            assert_eq!(RouteParameters::parse(PERMITS, path), None, "{path}");
        }
        assert_eq!(
            RouteParameters::parse("/health", "/health"),
            None,
            "no organisation"
        );
        assert_eq!(RouteParameters::parse("/{orgId}/{proxy+}", "/acme/x"), None);
    }

    #[test]
    fn the_rest_of_a_path_stays_as_it_was_sent() {
        let rest = |path: &str| {
            let read = RouteParameters::parse("/x/{orgId}/{path+}", path)?;
            assert_eq!(
                RouteParameters::parse("/x/{orgId}/{*path}", path),
                Some(read.clone())
            );
            read.rest
        };
        for (path, expected) in [
            ("/x/acme/me", Some("me")),
            ("/x/acme/v2/user/info/", Some("v2/user/info/")),
            ("/x/acme/a%2Fb//../c", Some("a%2Fb//../c")),
            ("/x/acme/", None),
            ("/x/acme", None),
            ("/x/%61cme/me", None),
        ] {
            assert_eq!(rest(path).as_deref(), expected, "{path}");
        }
    }
}

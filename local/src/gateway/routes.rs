//! Finds the route of a request.

use crate::template::Route;

/// The parameters of a path, with their values as the client sent them.
pub(super) type PathParameters = Vec<(String, String)>;

/// The methods that `ANY` stands for, as API Gateway knows them.
const METHODS: [&str; 7] = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

/// Returns the route of a method and a raw path. Finds the path first, where literal
/// segments win over parameters; then its route of this method, else of `ANY`
/// ("will catch any HTTP method that wasn't explicitly declared",
/// docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-swagger-extensions-any-method.html).
pub(super) fn find_route<'a>(
    routes: &'a [Route],
    method: &str,
    path: &str,
) -> Option<(&'a Route, PathParameters)> {
    let matching = routes
        .iter()
        .filter_map(|route| Some((route, match_path(&route.path, path)?)));
    let (found, parameters) = matching.min_by_key(|(_, parameters)| parameters.len())?;
    let of = |method: &str| {
        let mut same_path = routes.iter().filter(|route| route.path == found.path);
        same_path.find(|route| route.method == method)
    };
    let any = || of("ANY").filter(|_| METHODS.contains(&method));
    Some((of(method).or_else(any)?, parameters))
}

fn match_path(pattern: &str, path: &str) -> Option<PathParameters> {
    let mut parameters = PathParameters::new();
    let mut segments = path.split('/');
    for expected in pattern.split('/') {
        // "{proxy+}": the rest of the path, at least one segment.
        if expected == "{path+}" {
            let rest: Vec<_> = segments.by_ref().collect();
            if rest.is_empty() || rest == [""] {
                return None;
            }
            parameters.push(("path".to_owned(), rest.join("/")));
            continue;
        }
        let segment = segments.next()?;
        match expected
            .strip_prefix('{')
            .and_then(|name| name.strip_suffix('}'))
        {
            Some(_) if segment.is_empty() => return None,
            Some(name) => parameters.push((name.to_owned(), segment.to_owned())),
            None if expected == segment => {}
            None => return None,
        }
    }
    segments.next().is_none().then_some(parameters)
}

//! The platforms' addresses: those that they document, or those in `PLATFORM_ENDPOINTS`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::Platform;
use crate::platforms::definition::Addresses;
use crate::runtime::variables::{InvalidVariable, Variables};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformEndpoints {
    /// The version of the API.
    pub version: String,
    /// Where credentials are exchanged.
    pub token: String,
    /// Where the code of a consent is exchanged.
    pub code: String,
    /// The consent page.
    pub authorize: String,
    /// The base of the API.
    pub api: String,
    /// The hosts that applications call, by name.
    pub hosts: BTreeMap<String, String>,
}

#[derive(Debug, Clone)]
pub struct Endpoints(BTreeMap<Platform, PlatformEndpoints>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    /// The version of the API to put into the documented addresses and headers.
    version: Option<String>,
    token: Option<String>,
    code: Option<String>,
    authorize: Option<String>,
    api: Option<String>,
    /// Replaces hosts by their names; the others stay.
    #[serde(default)]
    hosts: BTreeMap<String, String>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self(
            Platform::ALL
                .into_iter()
                .map(|platform| (platform, documented(platform, None)))
                .collect(),
        )
    }
}

impl Endpoints {
    /// Returns the documented addresses with the overrides in `PLATFORM_ENDPOINTS`: single
    /// addresses, or another version of the API.
    ///
    /// # Errors
    /// [`InvalidVariable`] for anything but JSON of known platforms, versions and URLs.
    pub fn from_variables(variables: &Variables) -> Result<Self, InvalidVariable> {
        const NAME: &str = "PLATFORM_ENDPOINTS";
        let mut endpoints = Self::default();
        let Some(json) = variables.get(NAME) else {
            return Ok(endpoints);
        };
        let overrides: BTreeMap<Platform, Override> =
            serde_json::from_str(json).map_err(|e| variables.invalid(NAME, e))?;
        for (platform, given) in overrides {
            let known = platform.definition().addresses.version;
            let version = given.version.as_deref();
            if version.is_some_and(|other| shape(known) != shape(other)) {
                let text = format!("{platform}.version must be of the form {known}");
                return Err(variables.invalid(NAME, text));
            }
            let of_version = documented(platform, version);
            let address = |field, given: Option<String>, documented: String| match given {
                Some(address) => match url::Url::parse(&address) {
                    Ok(_) => Ok(address),
                    Err(e) => {
                        let text = format!("{platform}.{field} is not a URL: {e}");
                        Err(variables.invalid(NAME, text))
                    }
                },
                None => Ok(documented),
            };
            let mut hosts = of_version.hosts;
            for (name, host) in given.hosts {
                if !hosts.contains_key(&name) {
                    let known: Vec<_> = hosts.keys().map(String::as_str).collect();
                    let text = format!(
                        "{platform} has no host {name:?}; it has {}",
                        known.join(", ")
                    );
                    return Err(variables.invalid(NAME, text));
                }
                let host = address("hosts", Some(host), String::new())?;
                hosts.insert(name, host);
            }
            let has_own_code = platform.definition().addresses.code.is_some();
            let code = match given.code {
                // It is the token endpoint, wherever that is.
                None if !has_own_code => given.token.clone(),
                code => code,
            };
            let known = PlatformEndpoints {
                version: of_version.version,
                code: address("code", code, of_version.code)?,
                token: address("token", given.token, of_version.token)?,
                authorize: address("authorize", given.authorize, of_version.authorize)?,
                api: address("api", given.api, of_version.api)?,
                hosts,
            };
            endpoints.0.insert(platform, known);
        }
        Ok(endpoints)
    }

    /// Returns the address of a host that takes the platform's access tokens, by its name;
    /// without one, of the main host.
    #[must_use]
    pub fn host(&self, platform: Platform, name: Option<&str>) -> Option<&str> {
        let main = platform.definition().calls.hosts.first()?.0;
        let hosts = &self.get(platform).hosts;
        hosts.get(name.unwrap_or(main)).map(String::as_str)
    }

    pub(super) fn get(&self, platform: Platform) -> &PlatformEndpoints {
        &self.0[&platform]
    }
}

/// Replaces each number in a version by a zero: `v26.0` becomes `v0.0`. A version of another
/// shape leads nowhere.
fn shape(version: &str) -> String {
    let mut shape = String::new();
    for letter in version.chars() {
        match letter.is_ascii_digit() {
            true if shape.ends_with('0') => {}
            true => shape.push('0'),
            false => shape.push(letter),
        }
    }
    shape
}

/// Returns the addresses that the platform documents (November 2026), with another version of
/// its API if one is given.
fn documented(platform: Platform, other: Option<&str>) -> PlatformEndpoints {
    let hosts = platform.definition().calls.hosts;
    let Addresses {
        version,
        token,
        code,
        authorize,
        api,
    } = platform.definition().addresses;
    let version = other.unwrap_or(version);
    let address = |template: &str| template.replace("{version}", version);
    PlatformEndpoints {
        version: version.to_owned(),
        token: address(token),
        code: address(code.unwrap_or(token)),
        authorize: address(authorize),
        api: address(api),
        hosts: hosts
            .iter()
            .map(|(name, host)| ((*name).to_owned(), (*host).to_owned()))
            .collect(),
    }
}

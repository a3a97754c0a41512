//! Addresses of this machine.

use url::{Host, Url};

/// Whether a page at this address is served by this machine.
pub(super) fn is_of_this_machine(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && is_loopback
}

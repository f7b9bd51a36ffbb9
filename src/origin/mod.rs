//! Where a request comes from: the client's address through trusted proxies, its browser, its place.

mod address;
mod browser;
#[cfg(test)]
mod mmdb_writer;
mod place;

use std::net::IpAddr;
use std::path::PathBuf;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;

use crate::domain::location::Location;

pub use address::{TrustedProxies, address_prefix};
pub use browser::{Client, client_of};
pub use place::Places;

/// What is wrong with the GeoIP database.
#[derive(Debug, thiserror::Error)]
pub enum OriginError {
    /// The file is absent, or may not be read.
    #[error("cannot read the GeoIP database {}: {source}; geoip.database must be the path of a readable .mmdb file, or empty for none", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The file is there, but is no MaxMind DB.
    #[error("{} is no GeoIP database ({reason}); geoip.database must be an unpacked file in the MaxMind DB format (.mmdb)", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        reason: String,
    },
    /// A MaxMind DB of something other than places, such as networks' owners.
    #[error("the GeoIP database {} has no places (its type is {kind:?}); geoip.database must be a country or city database", path.display())]
    NoPlaces {
        /// The file.
        path: PathBuf,
        /// The type that the file's metadata states.
        kind: String,
    },
}

/// Where one request comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The client's address; IPv4-mapped IPv6 addresses are IPv4 here.
    pub ip: IpAddr,
    /// What its User-Agent tells.
    pub client: Client,
    /// Where its address is; `None` without a GeoIP database.
    pub location: Option<Location>,
}

/// Finds out where requests come from.
#[derive(Debug)]
pub struct Origins {
    proxies: TrustedProxies,
    places: Option<Places>,
}

impl Origins {
    /// `places` is `None` when no GeoIP database is configured.
    #[must_use]
    pub fn new(proxies: TrustedProxies, places: Option<Places>) -> Self {
        Self { proxies, places }
    }

    /// The origin of a request that came over a connection from `peer`. Takes microseconds and does no I/O.
    #[must_use]
    pub fn of(&self, peer: IpAddr, headers: &HeaderMap) -> Origin {
        let ip = self.proxies.client_address(peer, headers);
        // A field value may carry bytes beyond ASCII (RFC 9110, section 5.5); what is no UTF-8 becomes U+FFFD.
        let user_agent = headers
            .get(USER_AGENT)
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        Origin {
            ip,
            client: client_of(user_agent.as_deref()),
            location: self.places.as_ref().and_then(|places| places.locate(ip)),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use serde_json::json;

    use super::mmdb_writer::{temporary, write};
    use super::*;
    use crate::config::ForwardedHeader;

    #[test]
    fn the_parts_come_together() {
        let database = temporary(&write(
            "Test-Country",
            &[("81.2.69.0/24", json!({"country_code": "GB"}))],
        ));
        let proxies = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()], ForwardedHeader::XForwardedFor);
        let origins = Origins::new(proxies, Some(Places::open(database.path()).unwrap()));
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", HeaderValue::from_static("81.2.69.142"));
        headers.insert(USER_AGENT, HeaderValue::from_bytes(b"probe/2.1 \xff").unwrap());

        let origin = origins.of("10.0.0.1".parse().unwrap(), &headers);
        assert_eq!(origin.ip.to_string(), "81.2.69.142");
        assert_eq!(origin.client.browser.as_deref(), Some("probe 2"));
        assert_eq!(origin.client.user_agent.as_deref(), Some("probe/2.1 \u{fffd}"));
        assert_eq!(origin.location.unwrap().country.as_deref(), Some("United Kingdom"));

        let direct = origins.of("198.51.100.7".parse().unwrap(), &headers);
        assert_eq!(
            (direct.ip.to_string().as_str(), direct.location),
            ("198.51.100.7", None)
        );
    }

    #[test]
    fn without_headers_or_database_the_address_remains() {
        let origins = Origins::new(TrustedProxies::new([], ForwardedHeader::Forwarded), None);
        let origin = origins.of("::ffff:203.0.113.9".parse().unwrap(), &HeaderMap::new());
        let expected = Origin {
            ip: "203.0.113.9".parse().unwrap(),
            client: Client::default(),
            location: None,
        };
        assert_eq!(origin, expected);
    }
}

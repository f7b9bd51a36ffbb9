//! `[http]`: where the gateway listens and what it believes about its callers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::Deserializer;
use url::{Host, Url};

use super::problems::Problems;
use super::text::{optional_path, parsed};

/// The `[http]` section.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpConfig {
    /// Address and port to listen on.
    #[serde(deserialize_with = "socket_address")]
    pub listen: SocketAddr,
    /// The origin at which browsers reach the gateway: in mails, cookies and the check for same-origin requests.
    #[serde(deserialize_with = "public_url")]
    pub public_url: Url,
    /// Networks of the proxies whose [`HttpConfig::forwarded_header`] is believed.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// The only header in which the proxies' word about the client's address is looked for.
    pub forwarded_header: ForwardedHeader,
    /// Other origins whose scripts may call (CORS), as browsers write them: no default port, no trailing slash.
    #[serde(deserialize_with = "origins")]
    pub allowed_origins: Vec<String>,
    #[serde(deserialize_with = "optional_path")]
    tls_certificate: Option<PathBuf>,
    #[serde(deserialize_with = "optional_path")]
    tls_key: Option<PathBuf>,
}

/// Where proxies write the address of their client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`: a list of addresses.
    #[serde(rename = "x-forwarded-for")]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    #[serde(rename = "forwarded")]
    Forwarded,
}

impl Default for HttpConfig {
    fn default() -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
        #[expect(clippy::expect_used, reason = "a socket address is always a valid authority")]
        let public_url = Url::parse(&format!("http://{listen}")).expect("a URL");
        Self {
            listen,
            public_url,
            trusted_proxies: Vec::new(),
            forwarded_header: ForwardedHeader::XForwardedFor,
            allowed_origins: Vec::new(),
            tls_certificate: None,
            tls_key: None,
        }
    }
}

impl HttpConfig {
    /// The PEM files of certificate chain and key; none: plain HTTP.
    #[must_use]
    pub fn tls(&self) -> Option<(&Path, &Path)> {
        self.tls_certificate.as_deref().zip(self.tls_key.as_deref())
    }

    pub(super) fn validate(&self, problems: &mut Problems) {
        if problems.none_in("http") {
            match (&self.tls_certificate, &self.tls_key) {
                (Some(_), None) => {
                    problems.add(
                        "http.tls_certificate",
                        "is given without http.tls_key; HTTPS needs both",
                    );
                }
                (None, Some(_)) => {
                    problems.add(
                        "http.tls_key",
                        "is given without http.tls_certificate; HTTPS needs both",
                    );
                }
                _ => {}
            }
        }
        problems.file_exists("http.tls_certificate", self.tls_certificate.as_deref());
        problems.file_exists("http.tls_key", self.tls_key.as_deref());
    }

    pub(super) fn warnings(&self) -> Option<String> {
        let local = match self.public_url.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
            None => false,
        };
        (self.public_url.scheme() == "http" && !local).then(|| {
            "http.public_url is not https: passwords and sessions can be read on the way; turn on TLS here or in a proxy"
                .to_owned()
        })
    }
}

fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parsed(
        deserializer,
        "an IP address and a port, such as \"127.0.0.1:8080\" or \"[::]:8080\"",
        |s| s.parse().ok(),
    )
}

fn public_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Url, D::Error> {
    let expecting = "an http:// or https:// URL without path and query, such as \"https://door.example.org\"";
    parsed(deserializer, expecting, origin_url)
}

/// An http(s) URL that names an origin and nothing more; a single closing slash is the empty path.
fn origin_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let bare = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    bare.then_some(url)
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    struct Network(IpNet);

    impl<'de> Deserialize<'de> for Network {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let expecting = "a network such as \"10.0.0.0/8\" or \"fd00::/8\", or one address";
            parsed(deserializer, expecting, |text| {
                let one = || text.parse::<IpAddr>().ok().map(IpNet::from);
                text.parse().ok().or_else(one).map(Network)
            })
        }
    }

    Ok(Vec::<Network>::deserialize(deserializer)?
        .into_iter()
        .map(|n| n.0)
        .collect())
}

fn origins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    struct Origin(String);

    impl<'de> Deserialize<'de> for Origin {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let expecting = "an origin, scheme://host or scheme://host:port, such as \"https://app.example.org\"";
            parsed(deserializer, expecting, |text| {
                let url = origin_url(text).filter(|_| !text.ends_with('/'))?;
                Some(Origin(url.origin().ascii_serialization()))
            })
        }
    }

    Ok(Vec::<Origin>::deserialize(deserializer)?
        .into_iter()
        .map(|o| o.0)
        .collect())
}

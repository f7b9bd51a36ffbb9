//! `[store]`: where everything is kept.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// The `[store]` section. `url_file` names a file that holds [`StoreConfig::url`], which may carry a password.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Which store, and where.
    pub url: StoreUrl,
}

impl StoreConfig {
    /// Makes a relative SQLite path start at `cwd`.
    pub(super) fn resolve(&mut self, cwd: &Path) {
        if let StoreUrl::Sqlite(path) = &mut self.url {
            *path = cwd.join(&*path);
        }
    }
}

/// The address of a store. Neither `Debug` nor an error shows a password.
#[derive(Clone)]
pub enum StoreUrl {
    /// The embedded store: `sqlite:PATH`.
    Sqlite(PathBuf),
    /// `mongodb://HOSTS/DATABASE?OPTIONS` or `mongodb+srv://HOST/DATABASE?OPTIONS`.
    Mongo {
        /// The whole connection string, with its credentials.
        url: SecretString,
        /// The database that the connection string names.
        database: String,
    },
}

/// What is wrong with a store's address, without its text: that may hold a password.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// Nothing was given.
    #[error("is empty; it should be sqlite:PATH or mongodb://HOSTS/DATABASE")]
    Empty,
    /// Another scheme.
    #[error(
        "starts with neither sqlite: nor mongodb:// or mongodb+srv://; it should be sqlite:PATH or mongodb://HOSTS/DATABASE"
    )]
    Scheme,
    /// SQLite without a file, or with options.
    #[error("names no file; it should be sqlite:PATH, without options; a store in memory alone is not offered")]
    SqlitePath,
    /// MongoDB hosts that cannot be read.
    #[error(
        "has no readable hosts; it should be mongodb://HOST:PORT,HOST:PORT/DATABASE or mongodb+srv://HOST/DATABASE, with %-encoding for : / @ % in user name and password"
    )]
    Hosts,
    /// MongoDB without a usable database name.
    #[error(
        "names no database; it should be mongodb://HOSTS/DATABASE, the name of letters, digits, - and _, at most 63"
    )]
    Database,
}

impl Default for StoreUrl {
    fn default() -> Self {
        Self::Sqlite(PathBuf::from("doorward-data/doorward.db"))
    }
}

impl StoreUrl {
    /// The address without credentials and options, for logs.
    #[must_use]
    pub fn redacted(&self) -> String {
        match self {
            Self::Sqlite(path) => format!("sqlite:{}", path.display()),
            Self::Mongo { url, .. } => {
                let url = url.expose_secret();
                let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
                let rest = rest.split('?').next().unwrap_or_default();
                let place = rest.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{place}")
            }
        }
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl FromStr for StoreUrl {
    type Err = StoreUrlError;

    fn from_str(text: &str) -> Result<Self, StoreUrlError> {
        if text.is_empty() {
            return Err(StoreUrlError::Empty);
        }
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return match path {
                "" | ":memory:" => Err(StoreUrlError::SqlitePath),
                path if path.contains('?') || path.ends_with('/') => Err(StoreUrlError::SqlitePath),
                path => Ok(Self::Sqlite(PathBuf::from(path))),
            };
        }
        let (srv, rest) = match (text.strip_prefix("mongodb://"), text.strip_prefix("mongodb+srv://")) {
            (Some(rest), _) => (false, rest),
            (_, Some(rest)) => (true, rest),
            _ => return Err(StoreUrlError::Scheme),
        };
        let rest = rest.split('?').next().unwrap_or_default();
        let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
        if !hosts_are_readable(authority, srv) {
            return Err(StoreUrlError::Hosts);
        }
        let named = (1..=63).contains(&database.len())
            && database
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        if !named {
            return Err(StoreUrlError::Database);
        }
        Ok(Self::Mongo {
            url: SecretString::from(text),
            database: database.to_owned(),
        })
    }
}

/// `[user[:password]@]host[:port][,host[:port]]…`; with `srv` one host without a port.
fn hosts_are_readable(authority: &str, srv: bool) -> bool {
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    if user.contains('@') || user.matches(':').count() > 1 {
        return false;
    }
    if srv {
        return !hosts.is_empty() && !hosts.contains([',', ':']);
    }
    hosts.split(',').all(|host| {
        // An IPv6 address is in brackets; its colons are not the port's.
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
            _ => (host, None),
        };
        !name.is_empty() && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
    })
}

impl<'de> Deserialize<'de> for StoreUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

//! One connection to one server, and the rule that nothing on it waits beyond a deadline or panics into the caller.
//!
//! `ldap3` panics on some malformed answers, partly in the task that drives the connection and partly in the caller's.
//! So every exchange runs in a task of its own: a panic ends that task and becomes [`DirectoryError::Malformed`].

use std::future::Future;
use std::sync::Arc;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::controls::RawControl;
use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, LdapResult, Scope, SearchEntry, SearchOptions, StdStream,
};
use rustls::ClientConfig;
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpStream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::error::{DirectoryError, Step, code};

/// Entries in one page of a search that may find many.
const PAGE_SIZE: i32 = 500;

/// How one server is reached.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub url: Url,
    /// The URL as configured: how logs and errors call the server.
    pub label: Arc<str>,
    /// None: clear text, which the configuration asked for.
    pub tls: Option<Arc<ClientConfig>>,
}

impl Endpoint {
    /// The TCP connection.
    pub async fn connect(&self, deadline: Instant) -> Result<TcpStream, DirectoryError> {
        let default_port = if self.url.scheme() == "ldaps" { 636 } else { 389 };
        let host = self.url.host_str().unwrap_or("localhost");
        let address = format!("{host}:{}", self.url.port().unwrap_or(default_port));
        guarded(&self.label, Step::Connect, deadline, async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
        .await
    }

    /// Makes LDAP of the TCP connection, with TLS unless clear text was asked for. A StartTLS that fails is an error:
    /// nothing is ever said in clear instead.
    pub async fn secure(&self, stream: TcpStream, deadline: Instant) -> Result<Connection, DirectoryError> {
        let mut settings = LdapConnSettings::new();
        if let Some(tls) = &self.tls {
            settings = settings
                .set_config(Arc::clone(tls))
                .set_starttls(self.url.scheme() == "ldap");
        }
        let url = self.url.clone();
        let (conn, ldap) = guarded(&self.label, Step::Tls, deadline, async move {
            let settings = settings.set_std_stream(StdStream::Tcp(stream.into_std()?));
            LdapConnAsync::from_url_with_settings(settings, &url).await
        })
        .await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = conn.drive().await {
                tracing::debug!(%error, "the connection to a directory server ended");
            }
        });
        let driver = Arc::new(Driver(driver.abort_handle()));
        Ok(Connection {
            server: Arc::clone(&self.label),
            ldap,
            driver,
        })
    }

    /// Both of the above.
    pub async fn open(&self, deadline: Instant) -> Result<Connection, DirectoryError> {
        let stream = self.connect(deadline).await?;
        self.secure(stream, deadline).await
    }
}

/// The task that reads and writes; it ends with the last handle, even while it is stuck in a write.
#[derive(Debug)]
struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An open connection. Clones speak over the same one, at the same time.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    pub server: Arc<str>,
    ldap: Ldap,
    driver: Arc<Driver>,
}

/// One search.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub step: Step,
    pub base: String,
    pub scope: Scope,
    pub filter: String,
    pub attributes: Vec<String>,
}

impl Connection {
    /// Whether the connection is known to have ended. The opposite is not known before something is asked.
    pub fn is_closed(&self) -> bool {
        self.ldap.clone().is_closed()
    }

    /// Whether both speak over the same connection.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.driver, &other.driver)
    }

    /// A simple bind (RFC 4513, 5.1.3) with whatever result. The password must not be empty: see the callers' guards.
    pub async fn bind(
        &self,
        step: Step,
        dn: &str,
        password: &SecretString,
        controls: Vec<RawControl>,
        deadline: Instant,
    ) -> Result<LdapResult, DirectoryError> {
        let (mut ldap, dn, password) = (self.ldap.clone(), dn.to_owned(), password.clone());
        guarded(&self.server, step, deadline, async move {
            ldap.with_controls(controls)
                .simple_bind(&dn, password.expose_secret())
                .await
        })
        .await
    }

    /// Any answer to any question will do: it shows that somebody is there.
    pub async fn probe(&self, deadline: Instant) -> Result<(), DirectoryError> {
        let query = Query {
            step: Step::Probe,
            base: String::new(),
            scope: Scope::Base,
            filter: "(objectClass=*)".to_owned(),
            attributes: vec!["1.1".to_owned()],
        };
        self.search(query, 1, deadline).await.map(drop)
    }

    /// At most `limit` entries, together with the result, which the caller judges: over the limit it is 4.
    /// References to other servers are not followed.
    pub async fn search(
        &self,
        query: Query,
        limit: i32,
        deadline: Instant,
    ) -> Result<(Vec<SearchEntry>, LdapResult), DirectoryError> {
        self.run(
            query,
            SearchOptions::new().sizelimit(limit),
            vec![Box::new(EntriesOnly::new())],
            deadline,
        )
        .await
    }

    /// All entries, page by page (RFC 2696); any result but success is an error.
    pub async fn search_all(&self, query: Query, deadline: Instant) -> Result<Vec<SearchEntry>, DirectoryError> {
        let step = query.step;
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE_SIZE))];
        let (entries, result) = self.run(query, SearchOptions::new(), adapters, deadline).await?;
        if result.rc != code::SUCCESS {
            return Err(DirectoryError::answer(&self.server, step, &result));
        }
        Ok(entries)
    }

    async fn run(
        &self,
        query: Query,
        options: SearchOptions,
        adapters: Vec<Box<dyn Adapter<'static, String, Vec<String>>>>,
        deadline: Instant,
    ) -> Result<(Vec<SearchEntry>, LdapResult), DirectoryError> {
        let mut ldap = self.ldap.clone();
        guarded(&self.server, query.step, deadline, async move {
            let mut stream = ldap
                .with_search_options(options)
                .streaming_search_with(adapters, &query.base, query.scope, &query.filter, query.attributes)
                .await?;
            let mut entries = Vec::new();
            while let Some(entry) = stream.next().await? {
                entries.push(SearchEntry::construct(entry));
            }
            Ok((entries, stream.finish().await))
        })
        .await
    }

    /// Says good-bye (RFC 4511, 4.3), so that the server does not log a lost connection.
    pub async fn close(mut self, deadline: Instant) {
        // Nobody answers an unbind, and nothing depends on it.
        let _ = timeout_at(deadline, self.ldap.unbind()).await;
    }
}

/// Runs one exchange in a task of its own, which ends with the deadline and with the caller.
async fn guarded<T, F>(server: &Arc<str>, step: Step, deadline: Instant, exchange: F) -> Result<T, DirectoryError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, LdapError>> + Send + 'static,
{
    // A JoinSet aborts its tasks when it is dropped.
    let mut tasks = JoinSet::new();
    tasks.spawn(exchange);
    match timeout_at(deadline, tasks.join_next()).await {
        Ok(Some(Ok(Ok(value)))) => Ok(value),
        Ok(Some(Ok(Err(error)))) => Err(DirectoryError::from_ldap(server, step, error)),
        Ok(Some(Err(_)) | None) => Err(DirectoryError::Malformed {
            server: Arc::clone(server),
            step,
        }),
        Err(_) => Err(DirectoryError::TimedOut {
            server: Arc::clone(server),
            step,
        }),
    }
}

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
use tokio::sync::{Mutex, mpsc};
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
            paging: Arc::default(),
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
    /// Servers keep the place of one paged search a connection (OpenLDAP does): a second one would lose it.
    paging: Arc<Mutex<()>>,
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
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let options = SearchOptions::new().sizelimit(limit);
        self.run(query, options, vec![Box::new(EntriesOnly::new())], most, deadline)
            .await
    }

    /// All entries; page by page (RFC 2696) when the server does not give them at once. Any result but success is an error.
    pub async fn search_all(&self, query: Query, deadline: Instant) -> Result<Vec<SearchEntry>, DirectoryError> {
        let step = query.step;
        let at_once: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> = vec![Box::new(EntriesOnly::new())];
        let options = SearchOptions::new();
        let (entries, result) = self.run(query.clone(), options, at_once, usize::MAX, deadline).await?;
        match result.rc {
            code::SUCCESS => return Ok(entries),
            code::SIZE_LIMIT_EXCEEDED => {}
            _ => return Err(DirectoryError::answer(&self.server, step, &result)),
        }
        let overdue = |_| DirectoryError::TimedOut {
            server: Arc::clone(&self.server),
            step,
        };
        let _alone = timeout_at(deadline, self.paging.lock()).await.map_err(overdue)?;
        let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
            vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE_SIZE))];
        let (entries, result) = self
            .run(query, SearchOptions::new(), adapters, usize::MAX, deadline)
            .await?;
        if result.rc != code::SUCCESS {
            return Err(DirectoryError::answer(&self.server, step, &result));
        }
        Ok(entries)
    }

    /// The same page by page, for more than the memory is to hold at once. No other search on this connection may need pages
    /// until it is over.
    pub fn pages(&self, query: Query) -> Pages {
        let (sender, pages) = mpsc::channel(1);
        let (mut ldap, step) = (self.ldap.clone(), query.step);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let read = async {
                let adapters: Vec<Box<dyn Adapter<'_, String, Vec<String>>>> =
                    vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE_SIZE))];
                let mut stream = ldap
                    .streaming_search_with(adapters, &query.base, query.scope, &query.filter, query.attributes)
                    .await?;
                let mut page = Vec::new();
                while let Some(entry) = stream.next().await? {
                    page.push(SearchEntry::construct(entry));
                    if page.len() >= PAGE_SIZE as usize && sender.send(Ok(std::mem::take(&mut page))).await.is_err() {
                        return Ok(None); // nobody waits for more
                    }
                }
                let result = stream.finish().await;
                if result.rc == code::SUCCESS && !page.is_empty() {
                    let _ = sender.send(Ok(page)).await; // Err: nobody waits for more
                }
                Ok::<_, LdapError>(Some(result))
            };
            let end = match read.await {
                Ok(Some(result)) => Ok(result),
                Ok(None) => return,
                Err(error) => Err(error),
            };
            let _ = sender.send(Err(end)).await; // likewise
        });
        Pages {
            server: Arc::clone(&self.server),
            step,
            pages,
            _task: task,
        }
    }

    async fn run(
        &self,
        query: Query,
        options: SearchOptions,
        adapters: Vec<Box<dyn Adapter<'static, String, Vec<String>>>>,
        most: usize,
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
                if entries.len() > most {
                    // The server does not keep to the limit, and might never come to an end.
                    return Ok((entries, None));
                }
            }
            Ok((entries, Some(stream.finish().await)))
        })
        .await
        .map(|(entries, result)| (entries, result.unwrap_or_else(over_the_limit)))
    }

    /// Says good-bye (RFC 4511, 4.3), so that the server does not log a lost connection.
    pub async fn close(mut self, deadline: Instant) {
        // Nobody answers an unbind, and nothing depends on it.
        let _ = timeout_at(deadline, self.ldap.unbind()).await;
    }
}

/// What a server says that keeps to the limit.
fn over_the_limit() -> LdapResult {
    LdapResult {
        rc: code::SIZE_LIMIT_EXCEEDED,
        matched: String::new(),
        text: String::new(),
        refs: Vec::new(),
        ctrls: Vec::new(),
    }
}

/// The pages of a long search.
#[derive(Debug)]
pub(super) struct Pages {
    server: Arc<str>,
    step: Step,
    /// Pages, and then how it ended.
    pages: mpsc::Receiver<Result<Vec<SearchEntry>, Result<LdapResult, LdapError>>>,
    _task: JoinSet<()>,
}

impl Pages {
    /// The next page; `None` after the last. Any end but success is an error.
    pub async fn next(&mut self, deadline: Instant) -> Result<Option<Vec<SearchEntry>>, DirectoryError> {
        let server = &self.server;
        match timeout_at(deadline, self.pages.recv()).await {
            Ok(Some(Ok(page))) => Ok(Some(page)),
            Ok(Some(Err(Ok(result)))) if result.rc == code::SUCCESS => Ok(None),
            Ok(Some(Err(Ok(result)))) => Err(DirectoryError::answer(server, self.step, &result)),
            Ok(Some(Err(Err(error)))) => Err(DirectoryError::from_ldap(server, self.step, error)),
            // The task ended without a word: it panicked.
            Ok(None) => Err(DirectoryError::Malformed {
                server: Arc::clone(server),
                step: self.step,
            }),
            Err(_) => Err(DirectoryError::TimedOut {
                server: Arc::clone(server),
                step: self.step,
            }),
        }
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

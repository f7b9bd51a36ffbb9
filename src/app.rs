//! The composition root: what the configuration names is put together here, and nowhere else.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use prometheus_client::registry::Registry;

use crate::auth::{Authenticators, HashError, HashParameters, HashPool, LdapAuthenticator, LocalAuthenticator};
use crate::config::{Config, StoreUrl};
use crate::directory::{Directory, DirectoryError};
use crate::domain::clock::{Clock, Entropy, EntropyError};
use crate::graphql::{Api, ApiLimits};
use crate::http::{self, DirectoryState, HttpError, HttpSettings, HttpState, ServerState, Tls};
use crate::mail::{MailError, Sender, Templates};
use crate::origin::{OriginError, Origins, Places, TrustedProxies};
use crate::service::{
    DirectoryRules, MailRules, Meters, Post, PostServer, Services, Settings, spawn_outbox, spawn_rechecks,
    spawn_reports, spawn_upkeep,
};
use crate::store::mongo::MongoStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Store, StoreError};

/// Why Doorward cannot start, or stopped. One line each: what is not there, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The store cannot be opened.
    #[error("cannot use the store {url}: {reason}")]
    Store {
        /// Its address, without credentials.
        url: String,
        /// What it says.
        reason: StoreError,
    },
    /// The hash parameters cannot be used.
    #[error("[password]: {0}")]
    Hash(#[from] HashError),
    /// A directory's files cannot be used.
    #[error("the directory {name:?}: {reason}")]
    Directory {
        /// Its name in the configuration.
        name: String,
        /// What is wrong.
        reason: DirectoryError,
    },
    /// The mails' templates, or the mail server's CA, cannot be used.
    #[error("[mail]: {0}")]
    Mail(#[from] MailError),
    /// The GeoIP database cannot be used.
    #[error(transparent)]
    Places(#[from] OriginError),
    /// Somebody else listens there.
    #[error("{0} is in use; set http.listen or DOORWARD_HTTP__LISTEN to another address")]
    InUse(SocketAddr),
    /// Listening failed for another reason.
    #[error("cannot listen on {address}: {reason}; set http.listen or DOORWARD_HTTP__LISTEN to another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        reason: io::Error,
    },
    /// The certificate cannot be used, or serving failed.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// Nothing random could be had.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A task of Doorward's own came to an end (the process is stopping).
    #[error("a task was not finished: {0}")]
    Stopped(#[from] tokio::task::JoinError),
}

/// The use cases over the configured store and directories: enough for every command that serves nobody. The store is
/// made ready for use (folder, tables, indexes).
///
/// # Errors
/// [`AppError`] that says what is not there.
pub async fn open_services(
    config: &Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Arc<Services>, AppError> {
    let directories = open_directories(config, &clock).await?;
    let parameters = HashParameters {
        memory_kib: config.password.memory_kib,
        iterations: config.password.iterations,
        parallelism: config.password.parallelism,
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let hashes = HashPool::new(parameters, config.password.pool_threads(cores), Arc::clone(&entropy))?;
    Ok(Arc::new(Services {
        store: open_store(&config.store.url).await?,
        authenticators: Authenticators {
            local: Arc::new(LocalAuthenticator::new(hashes.clone())),
            ldap: Arc::new(LdapAuthenticator::new(directories.clone())),
        },
        hashes,
        clock,
        entropy,
        post: open_post(config).await?,
        meters: Meters::default(),
        known: Arc::default(),
        settings: Arc::new(settings(config)),
        directories: Arc::new(directories),
    }))
}

/// The whole gateway, but for the port.
#[derive(Debug)]
pub struct App {
    services: Arc<Services>,
    http: HttpState,
    tls: Option<Tls>,
}

impl App {
    /// Opens everything that serving takes.
    ///
    /// # Errors
    /// [`AppError`] that says what is not there.
    pub async fn open(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, AppError> {
        let places = open_places(config).await?;
        let tls = open_tls(config).await?;
        let services = open_services(config, clock, Arc::clone(&entropy)).await?;
        let limits = ApiLimits {
            depth: config.limits.query_depth,
            complexity: config.limits.query_complexity,
            introspection: config.limits.introspection,
        };
        let proxies = TrustedProxies::new(
            config.http.trusted_proxies.iter().copied(),
            config.http.forwarded_header,
        );
        let directories = Arc::clone(&services.directories);
        let mut registry = Registry::with_prefix(http::METRICS_PREFIX);
        services.meters.register(&mut registry);
        let http = HttpState::new(
            Arc::new(Api::new(Arc::clone(&services), limits)),
            Arc::new(Origins::new(proxies, places)),
            Arc::new(move || directories.values().map(|directory| state(directory)).collect()),
            registry,
            HttpSettings::new(&config.http, &config.limits),
            entropy,
        )?;
        Ok(Self { services, http, tls })
    }

    /// The use cases.
    #[must_use]
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Lets go of the store without having served.
    pub async fn close(self) {
        self.services.store.close().await;
    }

    /// Serves on `listener` until `shutdown` comes, lets the requests that are under way finish, and closes the store.
    ///
    /// # Errors
    /// [`AppError::Http`].
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()> + Send) -> Result<(), AppError> {
        let workers = (
            spawn_upkeep(Arc::clone(&self.services)),
            spawn_rechecks(&self.services)?,
            spawn_reports(&self.services),
        );
        let outbox = spawn_outbox(&self.services)?;
        let served = http::serve(listener, self.tls, self.http, shutdown).await;
        drop(workers);
        if let Some(outbox) = outbox {
            outbox.stop().await;
        }
        self.services.store.close().await;
        Ok(served?)
    }
}

/// How a directory's servers were when they were last spoken to.
fn state(directory: &Directory) -> DirectoryState {
    let servers = directory.servers().into_iter().map(|server| ServerState {
        is_healthy: server.is_healthy,
        url: server.url,
    });
    DirectoryState {
        name: directory.name().to_owned(),
        servers: servers.collect(),
    }
}

/// Listens on `address`.
///
/// # Errors
/// [`AppError::InUse`], [`AppError::Listen`].
pub fn listen(address: SocketAddr) -> Result<TcpListener, AppError> {
    let bind = || {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?; // the runtime waits for connections, not a thread
        Ok(listener)
    };
    bind().map_err(|reason: io::Error| match reason.kind() {
        io::ErrorKind::AddrInUse => AppError::InUse(address),
        _ => AppError::Listen { address, reason },
    })
}

/// Opens the GeoIP database, where one is configured.
///
/// # Errors
/// [`AppError::Places`].
pub async fn open_places(config: &Config) -> Result<Option<Places>, AppError> {
    match config.geoip.database.clone() {
        Some(path) => Ok(Some(tokio::task::spawn_blocking(move || Places::open(path)).await??)),
        None => Ok(None),
    }
}

/// Reads certificate and key, where HTTPS is configured.
///
/// # Errors
/// [`AppError::Http`].
pub async fn open_tls(config: &Config) -> Result<Option<Tls>, AppError> {
    let Some((certificate, key)) = config.http.tls() else {
        return Ok(None);
    };
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    Ok(Some(
        tokio::task::spawn_blocking(move || Tls::from_files(&certificate, &key)).await??,
    ))
}

/// Opens the store that the address names.
///
/// # Errors
/// [`AppError::Store`].
pub async fn open_store(url: &StoreUrl) -> Result<Arc<dyn Store>, AppError> {
    install_crypto();
    let failed = |reason| AppError::Store {
        url: url.redacted(),
        reason,
    };
    Ok(match url {
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            let open = move || SqliteStore::open(Path::new(&path));
            Arc::new(tokio::task::spawn_blocking(open).await?.map_err(failed)?)
        }
        StoreUrl::Mongo { url, .. } => Arc::new(MongoStore::connect(url).await.map_err(failed)?),
    })
}

/// Reads the templates of mails, and makes ready for the mail server where there is one.
///
/// # Errors
/// [`AppError::Mail`].
async fn open_post(config: &Config) -> Result<Post, AppError> {
    install_crypto();
    let folder = config.mail.templates.clone();
    let load = move || Templates::load(folder.as_deref());
    let templates = tokio::task::spawn_blocking(load).await??;
    let server = match &config.mail.server {
        Some(_) => Some(PostServer {
            sender: Sender::new(&config.mail).await?,
            config: config.mail.clone(),
            host: config.http.public_url.host_str().unwrap_or("localhost").to_owned(),
        }),
        None => None,
    };
    Ok(Post::new(templates, server))
}

/// Reads the files of every directory.
///
/// # Errors
/// [`AppError::Directory`].
pub async fn open_directories(
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<String, Arc<Directory>>, AppError> {
    let (configured, clock) = (config.directories.clone(), Arc::clone(clock));
    let open = move || {
        configured
            .into_iter()
            .map(
                |(name, section)| match Directory::new(&name, &section, Arc::clone(&clock)) {
                    Ok(directory) => Ok((name, Arc::new(directory))),
                    Err(reason) => Err(AppError::Directory { name, reason }),
                },
            )
            .collect()
    };
    tokio::task::spawn_blocking(open).await?
}

fn settings(config: &Config) -> Settings {
    let rules = |name: &String, section: &crate::config::DirectoryConfig| {
        let rules = DirectoryRules {
            min_refusal: section.min_refusal,
            max_failures: section.max_failures,
            failure_window: section.failure_window,
            // Nobody can be looked up again between sign-ins.
            session_limit: (section.bind_dn.is_none() && section.user_dn.is_some()).then_some(section.recheck),
            timeout: section.timeout,
            recheck: section.recheck,
            outage_grace: section.outage_grace,
            provision: section.provision,
            mappings: section.mappings.as_slice().into(),
        };
        (name.clone(), rules)
    };
    Settings {
        public_url: config.http.public_url.clone(),
        session_lifetime: config.session.lifetime,
        session_idle: config.session.idle,
        history_retention: config.history.retention,
        audit_retention: config.audit.retention,
        sign_in_per_address: config.limits.sign_in_per_address,
        sign_in_per_login: config.limits.sign_in_per_login,
        alerts_per_account: config.limits.alerts_per_account,
        mail: MailRules {
            is_on: config.mail.server.is_some(),
            access_link: config.mail.access_link,
            reset_link: config.mail.reset_link,
            timeout: config.mail.timeout,
            retry_first: config.mail.retry_first,
            retry_longest: config.mail.retry_longest,
            give_up: config.mail.give_up,
            retention: config.mail.retention,
        },
        min_refusal: config.limits.min_refusal,
        directories: config
            .directories
            .iter()
            .map(|(name, section)| rules(name, section))
            .collect(),
    }
}

/// Makes ring the process's cryptography for TLS; libraries that ask for the default find it. Later calls change nothing.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default(); // Err: it is there already
}

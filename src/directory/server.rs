//! One server: how it is reached as the service account, and whether it is well.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use super::connection::{Connection, Endpoint};
use super::error::{DirectoryError, Step, code};
use super::kind::Kind;
use super::pool::{Lease, Pool};
use super::trail::Trail;
use crate::domain::clock::Clock;

/// How many timeouts an ailing server is left alone before it is tried again in the background.
const RETRY_AFTER_TIMEOUTS: u32 = 3;
/// How long a refusal of the service account is believed. Every sign-in would otherwise be one more wrong password for it,
/// until the directory locks it.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// The account that searches.
#[derive(Debug)]
pub(super) struct ServiceAccount {
    pub dn: String,
    pub password: SecretString,
}

/// One server.
#[derive(Debug)]
pub(super) struct Server {
    pub endpoint: Endpoint,
    account: Option<Arc<ServiceAccount>>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    pool: Pool,
    kind: Mutex<Option<Kind>>,
    refusal: Mutex<Option<(DirectoryError, Moment)>>,
    health: Mutex<Health>,
}

#[derive(Debug, Default)]
struct Health {
    error: Option<String>,
    checked_at: Option<Timestamp>,
    retry_at: Option<Moment>,
}

/// How one server is, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerHealth {
    /// The URL as configured.
    pub url: String,
    /// Whether it answered when it was last spoken to; true before that.
    pub is_healthy: bool,
    /// What went wrong, while it is not healthy. For operators only.
    pub last_error: Option<String>,
    /// When it was last spoken to.
    pub last_checked_at: Option<Timestamp>,
}

impl Server {
    pub fn new(
        endpoint: Endpoint,
        account: Option<Arc<ServiceAccount>>,
        timeout: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            endpoint,
            account,
            timeout,
            clock,
            pool: Pool::default(),
            kind: Mutex::default(),
            refusal: Mutex::default(),
            health: Mutex::default(),
        }
    }

    /// When an attempt at this server that begins now must have ended.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// The time that one answer may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// A pooled service connection, opened and bound when there is none that lives; and whether it is a new one. With `newer`
    /// only one that was opened since then will do.
    pub async fn service(&self, deadline: Instant, newer: Option<Moment>) -> Result<(Lease, bool), DirectoryError> {
        let trail = Trail::silent();
        let open = || self.open_service(deadline, &trail);
        let limits = (deadline, self.timeout);
        self.pool.lease(&self.endpoint.label, limits, newer, open).await
    }

    /// A service connection of the caller's own.
    pub async fn open_service(&self, deadline: Instant, trail: &Trail) -> Result<Connection, DirectoryError> {
        let label = &self.endpoint.label;
        let began = Moment::now();
        let stream = self.endpoint.connect(deadline).await;
        let stream = trail.take(label, "connect", began, stream, |_| "TCP connection made".to_owned())?;

        let began = Moment::now();
        let secured = self.endpoint.secure(stream, deadline).await;
        let connection = if self.endpoint.tls.is_some() {
            trail.take(label, "TLS", began, secured, |_| "certificate trusted".to_owned())?
        } else {
            trail.skip(label, "TLS", "allow_plaintext: passwords cross the network in clear");
            secured?
        };

        let began = Moment::now();
        match &self.account {
            Some(account) => {
                let bound = self.bind_service(account, &connection, deadline).await;
                trail.take(label, "service bind", began, bound, |()| "bound as bind_dn".to_owned())?;
            }
            None if trail.is_recording() => {
                let probed = connection.probe(deadline).await;
                let how = |_: &()| "anonymous: no bind_dn is given".to_owned();
                trail.take(label, "service bind", began, probed, how)?;
            }
            None => {}
        }
        Ok(connection)
    }

    /// What kind of server it is, by what it says of itself over this connection; asked once.
    pub async fn kind(&self, connection: &Connection, deadline: Instant) -> Result<Kind, DirectoryError> {
        let known = self.kind.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(kind) = known {
            return Ok(kind);
        }
        // What one connection was not shown the next may be.
        let Some(kind) = Kind::read(connection, deadline).await? else {
            return Ok(Kind::default());
        };
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner) = Some(kind.clone());
        Ok(kind)
    }

    /// Binds as the service account, unless that was refused a moment ago.
    async fn bind_service(
        &self,
        account: &ServiceAccount,
        connection: &Connection,
        deadline: Instant,
    ) -> Result<(), DirectoryError> {
        let known = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((error, at)) = known
            && at.elapsed() < REFUSED_FOR
        {
            return Err(error);
        }
        let (dn, password) = (&account.dn, &account.password);
        let answer = connection
            .bind(Step::ServiceBind, dn, password, Vec::new(), deadline)
            .await;
        let bound = answer.and_then(|result| match result.rc {
            code::SUCCESS => Ok(()),
            _ => Err(DirectoryError::answer(&self.endpoint.label, Step::ServiceBind, &result)),
        });
        let refusal = bound.as_ref().err().filter(|error| !error.is_transport());
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal.map(|e| (e.clone(), Moment::now()));
        bound
    }

    /// Forgets a pooled connection that turned out to be dead.
    pub fn discard(&self, lease: &Lease) {
        self.pool.discard(lease);
    }

    /// It answered.
    pub fn is_well(&self) {
        self.with_health(|health| {
            if health.error.is_some() {
                tracing::info!(server = %self.endpoint.label, "the directory server answers again");
            }
            *health = Health {
                checked_at: Some(self.clock.now()),
                ..Health::default()
            };
        });
    }

    /// It did not, or not to any use.
    pub fn is_ill(&self, error: &DirectoryError) {
        self.with_health(|health| {
            if health.error.is_none() {
                tracing::warn!(server = %self.endpoint.label, %error, "the directory server does not answer");
            }
            *health = Health {
                error: Some(error.to_string()),
                checked_at: Some(self.clock.now()),
                retry_at: Some(Moment::now() + self.timeout * RETRY_AFTER_TIMEOUTS),
            };
        });
    }

    pub fn health(&self) -> ServerHealth {
        self.with_health(|health| ServerHealth {
            url: self.endpoint.label.to_string(),
            is_healthy: health.error.is_none(),
            last_error: health.error.clone(),
            last_checked_at: health.checked_at,
        })
    }

    /// Whether it is ill and has been left alone for long enough; true for one caller only.
    fn takes_retry(&self) -> bool {
        self.with_health(|health| {
            let is_due = health.retry_at.is_some_and(|at| at <= Moment::now());
            if is_due {
                health.retry_at = None;
            }
            is_due
        })
    }

    /// Tries whether an ill server can do its work again, on a connection of its own.
    async fn retry(&self) {
        let deadline = self.deadline();
        let attempt = async {
            let connection = self.open_service(deadline, &Trail::silent()).await?;
            connection.probe(deadline).await?;
            connection.close(deadline).await;
            Ok(())
        };
        match attempt.await {
            Ok(()) => self.is_well(),
            Err(error) => self.is_ill(&error),
        }
    }

    fn with_health<T>(&self, act: impl FnOnce(&mut Health) -> T) -> T {
        // The lock is never held across anything that can panic midway, so a poisoned value is whole.
        act(&mut self.health.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The servers in the order to try them: the well ones as configured, then the ill ones. While a well one is left, an ill
/// one that is due is tried in the background: nobody's sign-in waits for it, and it takes its place again when it answers.
pub(super) fn in_order(servers: &[Arc<Server>]) -> Vec<Arc<Server>> {
    let (well, ill): (Vec<_>, Vec<_>) = servers.iter().cloned().partition(|s| s.health().is_healthy);
    if !well.is_empty() {
        for server in ill.iter().filter(|s| s.takes_retry()) {
            let server = Arc::clone(server);
            tokio::spawn(async move { server.retry().await });
        }
    }
    well.into_iter().chain(ill).collect()
}

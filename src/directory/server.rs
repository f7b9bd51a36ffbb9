//! One server: its service connection, and whether it is well.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant as Moment};

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use super::connection::{Connection, Endpoint};
use super::error::{DirectoryError, Step, code};
use crate::domain::clock::Clock;

/// A service connection that was idle for longer is asked whether it still lives before it is used: firewalls forget
/// idle connections without telling either end.
const PROBE_AFTER_IDLE: Duration = Duration::from_secs(5);
/// The share of a server's time that such a question may take, so that there is time left for a new connection.
const PROBE_SHARE: u32 = 3;
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
    service: tokio::sync::Mutex<Option<Service>>,
    refusal: Mutex<Option<(DirectoryError, Moment)>>,
    health: Mutex<Health>,
}

/// The connection that all look-ups at this server share: LDAP answers many questions at once over one.
#[derive(Debug)]
struct Service {
    connection: Connection,
    used_at: Moment,
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
            service: tokio::sync::Mutex::default(),
            refusal: Mutex::default(),
            health: Mutex::default(),
        }
    }

    /// When an attempt at this server that begins now must have ended.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    pub fn has_account(&self) -> bool {
        self.account.is_some()
    }

    /// The shared service connection, opened and bound when there is none that lives; and whether it is a new one.
    pub async fn service(&self, deadline: Instant) -> Result<(Connection, bool), DirectoryError> {
        // Whoever waits here waits for the one who opens it, so that a burst of sign-ins opens one connection.
        let mut slot = timeout_at(deadline, self.service.lock())
            .await
            .map_err(|_| DirectoryError::TimedOut {
                server: Arc::clone(&self.endpoint.label),
                step: Step::ServiceBind,
            })?;
        if let Some(service) = slot.as_mut() {
            let limit = deadline.min(Instant::now() + self.timeout / PROBE_SHARE);
            let is_fresh = service.used_at.elapsed() < PROBE_AFTER_IDLE;
            if !service.connection.is_closed() && (is_fresh || service.connection.probe(limit).await.is_ok()) {
                service.used_at = Moment::now();
                return Ok((service.connection.clone(), false));
            }
            *slot = None;
        }
        let connection = self.endpoint.open(deadline).await?;
        self.bind_service(&connection, deadline).await?;
        *slot = Some(Service {
            connection: connection.clone(),
            used_at: Moment::now(),
        });
        Ok((connection, true))
    }

    /// Binds as the service account, unless that was refused a moment ago; without one the connection stays anonymous.
    async fn bind_service(&self, connection: &Connection, deadline: Instant) -> Result<(), DirectoryError> {
        let known = self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((error, at)) = known
            && at.elapsed() < REFUSED_FOR
        {
            return Err(error);
        }
        let bound = self.try_service_account(connection, deadline).await;
        let refusal = bound.as_ref().err().filter(|error| !error.is_transport());
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal.map(|e| (e.clone(), Moment::now()));
        bound
    }

    /// Binds as the service account, whatever became of it before.
    pub async fn try_service_account(&self, connection: &Connection, deadline: Instant) -> Result<(), DirectoryError> {
        let Some(account) = &self.account else { return Ok(()) };
        let (dn, password) = (&account.dn, &account.password);
        let result = connection
            .bind(Step::ServiceBind, dn, password, Vec::new(), deadline)
            .await?;
        if result.rc != code::SUCCESS {
            return Err(DirectoryError::answer(&self.endpoint.label, Step::ServiceBind, &result));
        }
        Ok(())
    }

    /// Forgets the service connection if it is still this one.
    pub async fn discard(&self, connection: &Connection, deadline: Instant) {
        // Whoever holds the lock beyond the deadline is opening a new one.
        if let Ok(mut slot) = timeout_at(deadline, self.service.lock()).await
            && slot
                .as_ref()
                .is_some_and(|service| service.connection.is_same(connection))
        {
            *slot = None;
        }
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
            let connection = self.endpoint.open(deadline).await?;
            self.bind_service(&connection, deadline).await?;
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

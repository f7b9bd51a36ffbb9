//! The worker that removes what has outlived its use.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use uuid::Uuid;

use crate::domain::clock::{Entropy, EntropyError};
use crate::service::Services;
use crate::service::settings::before;
use crate::store::Retention;

/// How often is cleared up.
const EVERY: Duration = Duration::from_secs(15 * 60);

/// A background task that ends with the value that owns it.
#[derive(Debug)]
pub struct Worker(JoinHandle<()>);

impl Worker {
    pub(super) fn new(task: JoinHandle<()>) -> Self {
        Self(task)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A name for this process, or for what it does now, as the holder of a lease.
///
/// # Errors
/// When the random source does not answer.
pub(super) fn new_holder(entropy: &dyn Entropy) -> Result<Uuid, EntropyError> {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

/// Starts the worker: it clears up soon after the start and then every quarter of an hour. Several processes may do so on
/// one store: what one removed the next does not find.
#[must_use]
pub fn spawn_upkeep(services: Arc<Services>) -> Worker {
    Worker(tokio::spawn(async move {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let now = services.clock.now();
            let retention = Retention {
                now,
                history_before: before(now, services.settings.history_retention),
                audit_before: before(now, services.settings.audit_retention),
                mail_before: before(now, services.settings.mail.retention),
                links_before: before(now, services.settings.mail.retention),
            };
            match services.store.purge(&retention).await {
                Ok(0) => {}
                Ok(gone) => tracing::info!(gone, "removed what had outlived its use"),
                Err(error) => tracing::warn!(%error, "clearing up failed; it is tried again"),
            }
        }
    }))
}

//! What most commands start with: the configuration, the store, and the use cases as open to the command line.

use std::sync::Arc;

use anyhow::Context;

use crate::app;
use crate::cli::Common;
use crate::config::Config;
use crate::domain::clock::{SystemClock, SystemEntropy};
use crate::service::{Caller, Services};

/// Reads the configuration.
pub(super) fn load_config(common: &Common) -> anyhow::Result<Config> {
    let cwd = std::env::current_dir().context("the working directory is not there any more; go to another one")?;
    let variables =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    Ok(Config::load(common.config.as_deref(), variables, &cwd)?)
}

/// An open store with the use cases over it.
#[derive(Debug)]
pub(super) struct Session {
    services: Arc<Services>,
    /// The use cases, as open to whoever runs the binary.
    pub(super) caller: Caller,
}

impl Session {
    pub(super) async fn open(common: &Common) -> anyhow::Result<Self> {
        let session = Self::open_as_it_is(common).await?;
        // The operators' account is there on a store that no server has seen yet, too.
        session.services.ensure_system_account().await?;
        Ok(session)
    }

    /// Without the operators' account on a store that no server has seen yet: it may be about to come from elsewhere.
    pub(super) async fn open_as_it_is(common: &Common) -> anyhow::Result<Self> {
        let config = load_config(common)?;
        let services = app::open_services(&config, Arc::new(SystemClock), Arc::new(SystemEntropy)).await?;
        let caller = services.command_line();
        Ok(Self { services, caller })
    }

    /// All use cases.
    pub(super) fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Runs a command and closes the store, however it went.
    pub(super) async fn run(self, command: impl AsyncFnOnce(&Self) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let result = command(&self).await;
        self.services.store.close().await;
        result
    }
}

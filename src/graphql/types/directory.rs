//! `Directory`, as far as an account shows it.

use async_graphql::{Context, Object, SimpleObject};

use crate::domain;
use crate::domain::ids::AccountId;
use crate::domain::query::AccountFilter;
use crate::graphql::context::RequestState;
use crate::graphql::error::ApiResult;
use crate::graphql::loaders::CountKey;
use crate::graphql::scalars::DateTime;

/// A configured LDAP directory.
#[derive(Debug, Clone)]
pub struct Directory {
    name: String,
    account: Option<AccountId>,
}

impl Directory {
    /// That directory, as seen through one account, or for operators by itself.
    #[must_use]
    pub fn new(name: String, account: Option<AccountId>) -> Self {
        Self { name, account }
    }
}

/// A configured LDAP directory.
#[Object]
impl Directory {
    /// Its name in the configuration.
    async fn name(&self) -> &str {
        &self.name
    }

    /// Its servers, in the order in which they are tried; for masters of the account and operators.
    async fn servers(&self, ctx: &Context<'_>) -> ApiResult<Vec<DirectoryServer>> {
        let servers = RequestState::of(ctx)?
            .caller()
            .directory_servers(&self.name, self.account);
        Ok(servers.into_iter().map(DirectoryServer::from).collect())
    }

    /// How many accounts sign in with it; to others than operators, their own.
    async fn used_by(&self, ctx: &Context<'_>) -> ApiResult<u64> {
        let state = RequestState::of(ctx)?;
        if state.caller().principal().operator().is_err() {
            return Ok(1);
        }
        let filter = AccountFilter {
            directory: Some(self.name.clone()),
            ..AccountFilter::default()
        };
        state.loaders.count(CountKey::Accounts(filter)).await
    }
}

/// A server of a directory.
#[derive(Debug, Clone, SimpleObject)]
pub struct DirectoryServer {
    /// ldap:// or ldaps://.
    url: String,
    /// It answered when it was last asked.
    is_healthy: bool,
    /// What went wrong then; for operators only.
    last_error: Option<String>,
    /// When it was last asked.
    last_checked_at: Option<DateTime>,
}

impl From<crate::directory::ServerHealth> for DirectoryServer {
    fn from(server: crate::directory::ServerHealth) -> Self {
        Self {
            url: server.url,
            is_healthy: server.is_healthy,
            last_error: server.last_error,
            last_checked_at: server.last_checked_at.map(DateTime),
        }
    }
}

/// Which entry of which directory a user is.
#[derive(Debug, Clone, SimpleObject)]
pub struct DirectoryLink {
    /// The directory's name.
    directory: String,
    /// The entry's distinguished name when it was last seen.
    dn: String,
    /// The directory's own, lasting identifier.
    external_id: String,
    /// When the entry was last looked up.
    last_checked_at: DateTime,
}

impl From<domain::user::DirectoryLink> for DirectoryLink {
    fn from(link: domain::user::DirectoryLink) -> Self {
        Self {
            directory: link.directory,
            dn: link.dn,
            external_id: link.external_id,
            last_checked_at: DateTime(link.last_checked_at),
        }
    }
}

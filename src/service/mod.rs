//! The use cases. They know the traits, never a backend; whoever asks holds a [`Caller`], and a caller without the
//! permission never holds what would do the thing.

mod accounts;
mod audit;
mod avatars;
mod directories;
mod error;
mod first_start;
mod floor;
mod groups;
mod history;
mod impersonation;
mod known;
mod limits;
mod lockout;
mod mail;
mod meters;
mod passwords;
mod patience;
mod presence;
mod profile;
mod roles;
mod seed;
mod sessions;
mod settings;
mod sign_in;
mod stats;
mod tokens;
mod transfer;
mod upkeep;
mod user_changes;
mod users;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub use accounts::{AccountChanges, AccountInput, AccountWrites, ExistingAccounts, PolicyChanges};
pub use avatars::Upload;
pub use directories::{
    Explanation, ExplanationStep, StepOutcome, SyncChange, SyncChangeKind, SyncPlan, SyncProgress, SyncReport,
    spawn_rechecks,
};
pub use error::{ErrorCode, Problem, Problems, Result, ServiceError};
pub use first_start::FirstOperator;
pub use groups::{ExistingGroups, GroupChanges, GroupInput, GroupWrites};
pub use impersonation::ImpersonationInput;
pub use known::Known;
pub use mail::{Alert, LinkSeen, NewPasswordByLink, Outbox, Post, PostServer, spawn_outbox, spawn_reports};
pub use meters::Meters;
pub use passwords::AccessInput;
pub use presence::{Gone, InUse, Place, Presence};
pub use profile::ProfileChanges;
pub use roles::{ExistingRoles, RoleChanges, RoleInput, RoleWrites};
pub use seed::{SeedPlan, Seeded};
pub use sessions::{Connected, Shown};
pub use settings::{DirectoryRules, MailRules, Settings};
pub use sign_in::{SignedIn, SigningIn};
pub use stats::{Bar, Width};
pub use tokens::{TokenInput, TokenWrites};
pub use transfer::{
    CopyError, CopyProgress, CopyStage, Counts, ExportOptions, FileFormat, ImportEvent, ImportOptions, ImportReport,
    KindReport, Tally, copy_store,
};
pub use upkeep::{Worker, spawn_upkeep};
pub use user_changes::{NewUser, NotificationChanges, UserChanges};
pub use users::UserWrites;

use crate::access::Principal;
use crate::auth::{Authenticators, HashPool};
use crate::directory::Directory;
use crate::domain::clock::{Clock, Entropy};
use crate::store::Store;

/// Everything that the use cases need, made once at start.
#[derive(Debug, Clone)]
pub struct Services {
    /// Where everything is kept.
    pub store: Arc<dyn Store>,
    /// Who checks passwords.
    pub authenticators: Authenticators,
    /// The configured directories, by name.
    pub directories: Arc<BTreeMap<String, Arc<Directory>>>,
    /// Where passwords are hashed.
    pub hashes: HashPool,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub entropy: Arc<dyn Entropy>,
    /// What writes and sends mails.
    pub post: Post,
    /// What is counted.
    pub meters: Meters,
    /// What is remembered of the store.
    pub known: Arc<Known>,
    /// What the configuration says.
    pub settings: Arc<Settings>,
}

impl Services {
    /// The use cases as open to this principal, who asks from that address (`None`: from this machine's command line).
    #[must_use]
    pub fn caller(self: &Arc<Self>, principal: Arc<Principal>, ip: Option<IpAddr>) -> Caller {
        Caller {
            services: Arc::clone(self),
            principal,
            ip,
        }
    }
}

/// The use cases, as open to one principal.
#[derive(Debug, Clone)]
pub struct Caller {
    services: Arc<Services>,
    principal: Arc<Principal>,
    ip: Option<IpAddr>,
}

impl Caller {
    /// Who asks.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    fn store(&self) -> &dyn Store {
        self.services.store.as_ref()
    }

    fn now(&self) -> jiff::Timestamp {
        self.services.clock.now()
    }
}

//! Moving everything that is kept, record by record: what `copy`, `import` and `export` go through.
//!
//! # To add an aggregate
//! Add its [`Kind`] (behind those that it refers to) with its name and batch, its [`Record`] with identifier and digest,
//! and one arm in each of a store's `scan`, `put` and `remove`; the contract's sample in `contract/transfer.rs` must hold
//! one of it. Copying, verifying and resuming need nothing else.

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::avatar::Avatar;
use crate::domain::credentials::{Credentials, PasswordHash, TokenHash};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, UserId};
use crate::domain::link::AccessLink;
use crate::domain::login::Login;
use crate::domain::login_event::LoginEvent;
use crate::domain::mail::{Mail, ReportKind};
use crate::domain::role::Role;
use crate::domain::session::Session;
use crate::domain::token::ApiToken;
use crate::domain::user::User;
use crate::store::{ReportMark, Result, StoreError};

/// What kinds of records there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Accounts.
    Accounts,
    /// Roles.
    Roles,
    /// Groups.
    Groups,
    /// Users, with their password hashes.
    Users,
    /// Users' pictures.
    Avatars,
    /// Sessions.
    Sessions,
    /// API tokens.
    ApiTokens,
    /// Sign-ins.
    LoginEvents,
    /// The audit log.
    AuditEntries,
    /// The outbox.
    Mails,
    /// Links that its mails carry.
    Links,
    /// Which reports were filed last.
    Reports,
}

impl Kind {
    /// Every kind, each behind those that its records refer to.
    pub const ALL: [Self; 12] = [
        Self::Accounts,
        Self::Roles,
        Self::Groups,
        Self::Users,
        Self::Avatars,
        Self::Sessions,
        Self::ApiTokens,
        Self::LoginEvents,
        Self::AuditEntries,
        Self::Mails,
        Self::Links,
        Self::Reports,
    ];

    /// What a person calls them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accounts => "accounts",
            Self::Roles => "roles",
            Self::Groups => "groups",
            Self::Users => "users",
            Self::Avatars => "avatars",
            Self::Sessions => "sessions",
            Self::ApiTokens => "API tokens",
            Self::LoginEvents => "sign-ins",
            Self::AuditEntries => "audit entries",
            Self::Mails => "mails",
            Self::Links => "links",
            Self::Reports => "reports filed",
        }
    }

    /// How many are moved at once: a few megabytes at most.
    #[must_use]
    pub fn batch(self) -> usize {
        match self {
            // Half a megabyte each, at worst.
            Self::Avatars => 20,
            // An alert's text is up to 80 kB.
            Self::Mails => 50,
            _ => 1_000,
        }
    }
}

/// A user with everything that proves who they are.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredUser {
    /// The user; `has_password` says whether there is a hash.
    pub user: User,
    /// Its password's hash, and those before it.
    pub credentials: Credentials,
}

/// A session with the hash of its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredSession {
    /// The session.
    pub session: Session,
    /// SHA-256 of its secret.
    pub token_hash: TokenHash,
}

/// An API token with the hash of its secret.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredToken {
    /// The token.
    pub token: ApiToken,
    /// SHA-256 of its secret.
    pub token_hash: TokenHash,
}

/// A mail of the outbox with what its state leaves open.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredMail {
    /// The mail.
    pub mail: Mail,
    /// When it may be claimed. Of one in hand that is the end of its holder's lease, whom nobody knows elsewhere.
    pub due_at: Option<Timestamp>,
}

/// Which reports of an account were filed last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiledReports {
    /// The account.
    pub account: AccountId,
    /// The first day of the last report of each kind.
    pub first_days: BTreeMap<ReportKind, Date>,
}

impl FiledReports {
    /// Puts the marks of accounts together: ordered by account they are, at most `limit` accounts are wanted, and as many
    /// marks were read as those can have. What may be only a part of an account's is left out.
    pub(crate) fn of_marks(marks: impl IntoIterator<Item = ReportMark>, limit: usize) -> Vec<Self> {
        let mut filed: Vec<Self> = Vec::new();
        for mark in marks {
            if filed.last().is_none_or(|last| last.account != mark.account) {
                // With as many marks read, an account is cut off only behind these.
                if filed.len() == limit {
                    break;
                }
                filed.push(Self {
                    account: mark.account,
                    first_days: BTreeMap::new(),
                });
            }
            if let Some(last) = filed.last_mut() {
                last.first_days.insert(mark.kind, mark.first_day);
            }
        }
        filed
    }

    /// The marks that they are kept as.
    pub(crate) fn marks(&self) -> impl Iterator<Item = ReportMark> + '_ {
        self.first_days.iter().map(|(kind, first_day)| ReportMark {
            account: self.account,
            kind: *kind,
            first_day: *first_day,
        })
    }
}

/// A link's identifier: the first half of its hash, which is as good as the whole of it to tell links apart.
pub(crate) fn link_id(hash: &TokenHash) -> Uuid {
    let mut half = [0; 16];
    half.iter_mut().zip(hash.0).for_each(|(to, from)| *to = from);
    Uuid::from_bytes(half)
}

/// The least and the greatest hash that a link of this identifier can have.
pub(crate) fn link_hashes(id: Uuid) -> [[u8; 32]; 2] {
    [0, u8::MAX].map(|rest| {
        let mut hash = [rest; 32];
        hash.iter_mut().zip(id.into_bytes()).for_each(|(to, from)| *to = from);
        hash
    })
}

/// One thing that is kept, whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// An account.
    Account(Account),
    /// A role.
    Role(Role),
    /// A group.
    Group(Group),
    /// A user.
    User(Box<StoredUser>),
    /// A picture.
    Avatar(Avatar),
    /// A session.
    Session(Box<StoredSession>),
    /// An API token.
    ApiToken(StoredToken),
    /// A sign-in.
    LoginEvent(Box<LoginEvent>),
    /// An entry of the audit log.
    AuditEntry(Box<AuditEntry>),
    /// A mail.
    Mail(Box<StoredMail>),
    /// A link.
    Link(AccessLink),
    /// An account's reports.
    Reports(FiledReports),
}

impl Record {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Account(_) => Kind::Accounts,
            Self::Role(_) => Kind::Roles,
            Self::Group(_) => Kind::Groups,
            Self::User(_) => Kind::Users,
            Self::Avatar(_) => Kind::Avatars,
            Self::Session(_) => Kind::Sessions,
            Self::ApiToken(_) => Kind::ApiTokens,
            Self::LoginEvent(_) => Kind::LoginEvents,
            Self::AuditEntry(_) => Kind::AuditEntries,
            Self::Mail(_) => Kind::Mails,
            Self::Link(_) => Kind::Links,
            Self::Reports(_) => Kind::Reports,
        }
    }

    /// Its identifier, unique among its kind.
    #[must_use]
    pub fn id(&self) -> Uuid {
        match self {
            Self::Account(account) => account.id.as_uuid(),
            Self::Role(role) => role.id.as_uuid(),
            Self::Group(group) => group.id.as_uuid(),
            Self::User(stored) => stored.user.id.as_uuid(),
            Self::Avatar(avatar) => avatar.id.as_uuid(),
            Self::Session(stored) => stored.session.id.as_uuid(),
            Self::ApiToken(stored) => stored.token.id.as_uuid(),
            Self::LoginEvent(event) => event.id.as_uuid(),
            Self::AuditEntry(entry) => entry.id.as_uuid(),
            Self::Mail(stored) => stored.mail.id.as_uuid(),
            Self::Link(link) => link_id(&link.hash),
            Self::Reports(filed) => filed.account.as_uuid(),
        }
    }

    /// SHA-256 of all that it holds, secrets' hashes included, however a store keeps it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it holds what cannot be written.
    pub fn digest(&self) -> Result<[u8; 32]> {
        let mut hasher = Sha256::new();
        match self {
            Self::Account(account) => add(&mut hasher, account)?,
            Self::Role(role) => add(&mut hasher, role)?,
            Self::Group(group) => add(&mut hasher, group)?,
            Self::User(stored) => {
                add(&mut hasher, &stored.user)?;
                let hash = stored.credentials.hash.as_ref().map(PasswordHash::expose);
                let earlier: Vec<&str> = stored.credentials.history.iter().map(PasswordHash::expose).collect();
                add(&mut hasher, &(hash, earlier))?;
            }
            Self::Avatar(avatar) => {
                add(&mut hasher, &(avatar.id, avatar.account, avatar.user, avatar.kind))?;
                hasher.update(&avatar.bytes);
            }
            Self::Session(stored) => add(&mut hasher, &(&stored.session, stored.token_hash))?,
            Self::ApiToken(stored) => add(&mut hasher, &(&stored.token, stored.token_hash))?,
            Self::LoginEvent(event) => add(&mut hasher, event)?,
            Self::AuditEntry(entry) => add(&mut hasher, entry)?,
            Self::Mail(stored) => add(&mut hasher, &(&stored.mail, stored.due_at))?,
            Self::Link(link) => add(&mut hasher, link)?,
            Self::Reports(filed) => add(&mut hasher, &(filed.account, &filed.first_days))?,
        }
        Ok(hasher.finalize().into())
    }
}

fn add(hasher: &mut Sha256, value: &impl Serialize) -> Result<()> {
    let bytes = serde_json::to_vec(value).map_err(|e| StoreError::Corrupt(e.to_string()))?;
    hasher.update(&bytes);
    // No two values run into each other.
    hasher.update([0]);
    Ok(())
}

/// Everything that is kept, by kind and identifier. None of it is a use case: whoever calls it has said that they may do
/// everything, and looks after rules and audit log themselves.
#[async_trait]
pub trait TransferStore {
    /// The next records of a kind in ascending order of their identifiers, behind `after`; fewer than `limit` are the last.
    async fn scan(&self, kind: Kind, after: Option<Uuid>, limit: usize) -> Result<Vec<Record>>;

    /// Writes records as they are, in place of those with the same identifiers; doing it twice changes nothing. A call that
    /// fails may have written some of them. What a store carries along with a user of their sign-ins is
    /// [`Self::settle_logins`]'s.
    ///
    /// # Errors
    /// [`Taken`](StoreError::Taken) when another record has a name that must be unique.
    async fn put(&self, records: &[Record]) -> Result<()>;

    /// Removes records of a kind, with what belongs to them alone; those that are not there are no error.
    async fn remove(&self, kind: Kind, ids: &[Uuid]) -> Result<()>;

    /// Adds new records and the audit entries that say so: all of it, or none. A role or a group that is gone by then is not
    /// granted, as in [`create_user`](crate::store::UserStore::create_user). A sign-in that is there already stays as it is.
    ///
    /// # Errors
    /// [`Taken`](StoreError::Taken).
    async fn create(&self, records: &[Record], audit: &[AuditEntry]) -> Result<()>;

    /// The users with one of these identifiers, or one of these logins in its account, in any order.
    async fn stored_users(&self, ids: &[UserId], logins: &[(AccountId, Login)]) -> Result<Vec<StoredUser>>;

    /// Lets what users carry of their sign-ins follow the history: a last success that is later than the one that they have,
    /// and whatever else a store keeps with them. Grows no revision.
    async fn settle_logins(&self, users: &[UserId]) -> Result<()>;

    /// About how many records of a kind there are: enough for a progress bar.
    async fn estimate(&self, kind: Kind) -> Result<u64>;
}

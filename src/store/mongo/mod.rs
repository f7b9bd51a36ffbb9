//! MongoDB: for when one machine is not enough.
//!
//! It must be a replica set (one node is enough) or a sharded cluster, 6.0 or later: intents of several documents are
//! transactions. Everything acknowledged is in the journal of a majority; reads go to the primary.
//!
//! # Collections and shard keys
//! What grows with use has the account first in its unique keys, so that it can be sharded by account; a unique index of
//! a sharded collection must begin with the whole shard key. Moments, ids and other indexes are never unique but `_id`,
//! which holds 74 random bits.
//!
//! | collection | holds | unique keys | shard key |
//! |---|---|---|---|
//! | `accounts` | the accounts | `name` | none: a few per tenant's lifetime |
//! | `users` | users with grants, password and last sign-ins | `account, login`; `account, directory, entry` of those linked | `{account: 1}` |
//! | `roles`, `groups` | roles, groups | `account, name_fold` | `{account: 1, name_fold: 1}` |
//! | `sessions` | the signed-in sessions | | `{account: 1, _id: 1}` |
//! | `api_tokens` | the API tokens | `account, name_fold` of those not revoked | `{account: 1, _id: 1}` needs no more: a few per account |
//! | `avatars` | the users' pictures | | `{account: 1, _id: 1}` |
//! | `login_events` | the history | | `{account: 1, _id: 1}` |
//! | `audit` | the audit log | | `{account: 1, _id: 1}` |
//! | `failures` | counters of wrong passwords | `account, login, network` | `{account: 1, login: 1}` |
//! | `mails` | the outbox | `account, key` of those with a key | `{account: 1}` |
//! | `links` | links that set a password, by the SHA-256 of their secrets | | `{account: 1, _id: 1}` |
//! | `report_marks` | the last report of each kind | `account, kind` | `{account: 1}` |
//! | `attempts` | counters of attempts in a window, by a digest that may be of an address; gone minutes later | | `{_id: "hashed"}` |
//! | `deletions` | accounts that are deleted, while what they leave behind is removed | | none: as `accounts` |
//! | `leases` | who is at work that one process at a time does | | none: a few in all |

mod account;
mod audit;
mod avatar;
mod bulk;
mod connect;
mod directory;
mod documents;
mod error;
mod failures;
mod grants;
mod group;
mod history;
mod indexes;
mod keyset;
mod link;
mod lists;
mod live;
mod login;
mod mail;
mod report;
mod role;
mod session;
mod stats;
mod token;
mod transaction;
mod transfer;
mod upkeep;
mod user;
mod user_filter;

#[cfg(test)]
mod tests;

use std::fmt;

use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use mongodb::{Client, ClientSession, Collection, Database};

use self::documents::{
    AccessLinkDocument, AccountDocument, AuditDocument, EventDocument, GroupDocument, Id, MailDocument, MarkDocument,
    RoleDocument, SessionDocument, TokenDocument, UserDocument,
};
use self::indexes::collections;
use self::transaction::Halt;
use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::ids::AccountId;
use crate::store::StoreError;
use crate::store::changes::Changes;

/// A store in MongoDB.
#[derive(Clone)]
pub struct MongoStore {
    client: Client,
    database: Database,
    accounts: Collection<AccountDocument>,
    users: Collection<UserDocument>,
    roles: Collection<RoleDocument>,
    groups: Collection<GroupDocument>,
    sessions: Collection<SessionDocument>,
    login_events: Collection<EventDocument>,
    audit: Collection<AuditDocument>,
    failures: Collection<Document>,
    attempts: Collection<Document>,
    deletions: Collection<Document>,
    leases: Collection<Document>,
    api_tokens: Collection<TokenDocument>,
    avatars: Collection<avatar::AvatarDocument>,
    mails: Collection<MailDocument>,
    links: Collection<AccessLinkDocument>,
    report_marks: Collection<MarkDocument>,
    feed: live::Feed,
    changes: Changes,
}

impl fmt::Debug for MongoStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client knows the password.
        write!(f, "MongoStore({})", self.database.name())
    }
}

impl MongoStore {
    fn new(client: Client, database: Database) -> Self {
        Self {
            accounts: database.collection(collections::ACCOUNTS),
            users: database.collection(collections::USERS),
            roles: database.collection(collections::ROLES),
            groups: database.collection(collections::GROUPS),
            sessions: database.collection(collections::SESSIONS),
            login_events: database.collection(collections::LOGIN_EVENTS),
            audit: database.collection(collections::AUDIT),
            failures: database.collection(collections::FAILURES),
            attempts: database.collection(collections::ATTEMPTS),
            deletions: database.collection(collections::DELETIONS),
            leases: database.collection(collections::LEASES),
            api_tokens: database.collection(collections::API_TOKENS),
            avatars: database.collection(collections::AVATARS),
            mails: database.collection(collections::MAILS),
            links: database.collection(collections::LINKS),
            report_marks: database.collection(collections::REPORT_MARKS),
            feed: live::Feed::default(),
            changes: Changes::default(),
            client,
            database,
        }
    }

    /// Adds the audit entry of a transaction.
    async fn write_audit(&self, session: &mut ClientSession, entry: &AuditEntry) -> Result<(), Halt> {
        round_trip("insert");
        self.audit
            .insert_one(AuditDocument::from(entry))
            .session(session)
            .await?;
        Ok(())
    }

    /// Makes this transaction and every other that asks for the same, for one account, happen one after the other: both
    /// write the account's document, so the later one fails and is tried again with the earlier one's outcome in sight.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such account.
    async fn serialise(&self, session: &mut ClientSession, account: AccountId) -> Result<Account, Halt> {
        round_trip("findAndModify");
        let serial = doc! { "$inc": { "serial": 1_i64 } };
        let found = self
            .accounts
            .find_one_and_update(doc! { "_id": Id::from(account) }, serial)
            .session(session)
            .await?;
        Ok(found.ok_or(StoreError::NotFound)?.into())
    }

    /// Ends the sessions that match, as a part of a transaction.
    async fn end_sessions(&self, session: &mut ClientSession, filter: Document) -> Result<(), Halt> {
        round_trip("delete");
        self.sessions.delete_many(filter).session(session).await?;
        Ok(())
    }

    /// Why no document with this id was at the expected revision.
    async fn missed<D: Send + Sync>(
        &self,
        session: &mut ClientSession,
        collection: &Collection<D>,
        id: impl Into<Id>,
    ) -> Halt {
        #[derive(serde::Deserialize)]
        struct Revision {
            revision: i64,
        }
        round_trip("find");
        let found = collection
            .clone_with_type::<Revision>()
            .find_one(doc! { "_id": id.into() })
            .projection(doc! { "revision": 1 })
            .session(session)
            .await;
        match found {
            Ok(Some(Revision { revision })) => StoreError::Conflict { current: revision }.into(),
            Ok(None) => StoreError::NotFound.into(),
            Err(error) => error.into(),
        }
    }
}

/// Leaves a trace of one round trip to the database.
fn round_trip(command: &str) {
    tracing::trace!(target: "doorward::store", command);
}

/// `at` moved by a duration, as far as there is time.
fn later(at: Timestamp, by: std::time::Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// `at` moved back by a duration, as far as there is time.
fn earlier(at: Timestamp, by: std::time::Duration) -> Timestamp {
    jiff::SignedDuration::try_from(by)
        .ok()
        .and_then(|by| at.checked_sub(by).ok())
        .unwrap_or(Timestamp::MIN)
}

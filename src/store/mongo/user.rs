//! Users and their passwords.

use async_trait::async_trait;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc, serialize_to_document};
use serde::Deserialize;

use super::documents::{
    At, Digest, Id, PasswordDocument, USER_HIDDEN, USER_LAST_LOGIN, USER_LISTED, UserDocument, word,
};
use super::lists::{Fields, Filter, without};
use super::transaction::{Halt, READ_LIMIT, bounded};
use super::user_filter::{filter, order};
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::{Credentials, PasswordChange, PasswordHash};
use crate::domain::ids::{AccountId, SessionId, UserId};
use crate::domain::login::Login;
use crate::domain::mail::Mail;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{UserFilter, UserOrder};
use crate::domain::user::{User, UserStatus};
use crate::store::{FailureKey, Newest, Result, StoreError, UserStore, UserWithLogins};

/// The fields that replacing a user leaves as they are: other intents own them.
const KEPT: [&str; 8] = [
    "_id",
    "account",
    "avatar",
    "created_at",
    "has_password",
    "password_changed_at",
    "last_login",
    "locked_until",
];

/// Exactly this user. The shard key is in it, so that one shard is asked.
pub(super) fn exactly(user: &User) -> Document {
    doc! { "account": Id::from(user.account), "login": user.login.as_str(), "_id": Id::from(user.id) }
}

fn new_document(user: &User, password: Option<&PasswordHash>) -> UserDocument {
    let mut document = UserDocument::from(user);
    document.password = password.map(PasswordDocument::from);
    document
}

impl MongoStore {
    /// Adds a user, as a part of a transaction.
    async fn insert_user(
        &self,
        session: &mut ClientSession,
        user: &User,
        password: Option<&PasswordHash>,
    ) -> std::result::Result<(), Halt> {
        round_trip("insert");
        self.users
            .insert_one(new_document(user, password))
            .session(session)
            .await?;
        Ok(())
    }

    /// A user as a transaction sees it. Should somebody change it before the transaction does, that fails and is tried
    /// again, so what is seen here holds.
    pub(super) async fn stored_user(
        &self,
        session: &mut ClientSession,
        id: UserId,
        expected_revision: Option<i64>,
    ) -> std::result::Result<User, Halt> {
        round_trip("find");
        let found = self
            .users
            .find_one(doc! { "_id": Id::from(id) })
            .projection(without(&USER_HIDDEN))
            .session(session)
            .await?;
        let user: User = found.ok_or(StoreError::NotFound)?.into();
        match expected_revision {
            Some(expected) if expected != user.revision => Err(StoreError::Conflict { current: user.revision }.into()),
            _ => Ok(user),
        }
    }

    /// Has `user`'s account an active master besides it, as a part of a transaction? One who has no way to sign in does not
    /// stand in for one who has.
    async fn has_another_master(&self, session: &mut ClientSession, user: &User) -> std::result::Result<bool, Halt> {
        let account = self.serialise(session, user.account).await?;
        let refuses_local = account.refuses_local_passwords();
        let mut others = doc! {
            "account": Id::from(user.account),
            "grants.master": true,
            "status": word(&UserStatus::Active)?,
            "_id": { "$ne": Id::from(user.id) },
        };
        if user.is_ldap || (user.has_password && !refuses_local) {
            let mut ways_in = vec![doc! { "is_ldap": true }];
            if !refuses_local {
                ways_in.push(doc! { "has_password": true });
            }
            others.insert("$or", ways_in);
        }
        round_trip("find");
        let another = self
            .users
            .clone_with_type::<Document>()
            .find_one(others)
            .projection(doc! { "_id": 1 })
            .session(session)
            .await?;
        Ok(another.is_some())
    }

    /// The user before an update at `expected_revision`, and whether that leaves its account without an active master, as a
    /// part of a transaction.
    pub(super) async fn before_update(
        &self,
        session: &mut ClientSession,
        user: &User,
        expected_revision: i64,
    ) -> std::result::Result<(User, bool), Halt> {
        let before = self.stored_user(session, user.id, Some(expected_revision)).await?;
        // Whoever leaves the directory has no password yet, and a local one may be refused.
        let stays = user.is_active_master() && (user.is_ldap || !before.is_ldap);
        let leaves_none = before.is_active_master() && !stays && !self.has_another_master(session, &before).await?;
        Ok((before, leaves_none))
    }

    /// Updates a user, with everything that belongs to it, as a part of a transaction.
    pub(super) async fn replace_user(
        &self,
        session: &mut ClientSession,
        before: &User,
        user: &User,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> std::result::Result<(), Halt> {
        let user = self
            .grants_that_hold(session, before.account, Some(before), user)
            .await?;
        round_trip("update");
        self.users
            .update_one(exactly(before), replacement(before, &user)?)
            .session(&mut *session)
            .await?;
        if user.status == UserStatus::Disabled || user.is_ldap != before.is_ldap {
            let sessions = doc! { "user": Id::from(before.id), "account": Id::from(before.account) };
            self.end_sessions(session, sessions).await?;
        }
        if user.is_ldap && !before.is_ldap {
            self.end_links(session, before, audit.at).await?;
        }
        self.write_mails(session, mails).await?;
        self.write_audit(session, audit).await
    }
}

/// The change that replaces what an update may replace.
fn replacement(before: &User, user: &User) -> Result<Document> {
    let link = user.directory_link.clone();
    let user = User {
        directory_link: link.map(|link| link.replacing(before.directory_link.as_ref())),
        ..user.clone()
    };
    let mut fields = serialize_to_document(&UserDocument::from(&user))
        .map_err(|e| StoreError::Corrupt(format!("the user cannot be written: {e}")))?;
    for kept in KEPT {
        fields.remove(kept);
    }
    let mut change = doc! {};
    if user.is_ldap {
        fields.insert("has_password", false);
        fields.insert("password_changed_at", Bson::Null);
        change.insert("$unset", doc! { "password": "" });
    }
    change.insert("$set", fields);
    Ok(change)
}

/// A new hash in front of the earlier ones. Whatever the caller gave is a literal: a hash begins with `$`, as fields do.
pub(super) fn new_password(change: &PasswordChange) -> Vec<Document> {
    let history = if change.keep_history == 0 {
        doc! { "$literal": [] }
    } else {
        let earlier = doc! { "$ifNull": ["$password.history", []] };
        let latest = doc! { "$cond": [
            { "$eq": [{ "$type": "$password.hash" }, "string"] },
            ["$password.hash"],
            [],
        ] };
        doc! { "$slice": [{ "$concatArrays": [latest, earlier] }, i64::from(change.keep_history)] }
    };
    vec![doc! { "$set": {
        "password": { "hash": { "$literal": change.hash.expose() }, "history": history },
        "has_password": true,
        "password_changed_at": At(change.changed_at),
        "must_change_password": change.must_change,
        "updated_at": At(change.changed_at),
        "revision": { "$add": ["$revision", 1_i64] },
    } }]
}

/// A user's password alone.
#[derive(Deserialize)]
struct CredentialsRow {
    password: Option<PasswordDocument>,
}

#[async_trait]
impl UserStore for MongoStore {
    async fn create_user(
        &self,
        user: &User,
        password: Option<&PasswordHash>,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()> {
        self.transaction(
            (self, user, password, audit, mails),
            |session, (store, user, password, audit, mails)| {
                Box::pin(async move {
                    let user = store.grants_that_hold(session, user.account, None, user).await?;
                    store.insert_user(session, &user, *password).await?;
                    store.write_mails(session, mails).await?;
                    store.write_audit(session, audit).await
                })
            },
        )
        .await
    }

    async fn create_first_user(&self, user: &User, password: &PasswordHash, audit: &AuditEntry) -> Result<bool> {
        self.transaction(
            (self, user, password, audit),
            |session, (store, user, password, audit)| {
                Box::pin(async move {
                    store.serialise(session, user.account).await?;
                    round_trip("find");
                    let anybody = store
                        .users
                        .clone_with_type::<Document>()
                        .find_one(doc! { "account": Id::from(user.account) })
                        .projection(doc! { "_id": 1 })
                        .session(&mut *session)
                        .await?;
                    if anybody.is_some() {
                        return Ok(false);
                    }
                    store.insert_user(session, user, Some(password)).await?;
                    store.write_audit(session, audit).await?;
                    Ok(true)
                })
            },
        )
        .await
    }

    async fn update_user(&self, user: &User, expected_revision: i64, audit: &AuditEntry, mails: &[Mail]) -> Result<()> {
        let context = (self, user, expected_revision, audit, mails);
        self.transaction(context, |session, (store, user, expected, audit, mails)| {
            Box::pin(async move {
                let (before, leaves_no_master) = store.before_update(session, user, *expected).await?;
                if leaves_no_master {
                    return Err(StoreError::LastMaster.into());
                }
                store.replace_user(session, &before, user, audit, mails).await
            })
        })
        .await
    }

    async fn set_password(
        &self,
        user: UserId,
        expected_revision: i64,
        change: &PasswordChange,
        keep_session: Option<SessionId>,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()> {
        let expected = (user, expected_revision);
        let context = (self, expected, new_password(change), keep_session, audit, mails);
        self.transaction(context, |session, (store, expected, change, keep, audit, mails)| {
            Box::pin(async move {
                let (user, expected) = expected;
                let before = store.stored_user(session, *user, Some(*expected)).await?;
                round_trip("update");
                store
                    .users
                    .update_one(exactly(&before), change.clone())
                    .session(&mut *session)
                    .await?;
                let mut sessions = doc! { "user": Id::from(before.id), "account": Id::from(before.account) };
                if let Some(keep) = keep {
                    sessions.insert("_id", doc! { "$ne": Id::from(*keep) });
                }
                store.end_sessions(session, sessions).await?;
                store.write_mails(session, mails).await?;
                store.write_audit(session, audit).await
            })
        })
        .await
    }

    async fn delete_user(&self, user: UserId, expected_revision: i64, audit: &AuditEntry) -> Result<()> {
        let context = (self, user, expected_revision, audit);
        self.transaction(context, |session, (store, user, expected, audit)| {
            Box::pin(async move {
                let before = store.stored_user(session, *user, Some(*expected)).await?;
                if before.is_active_master() && !store.has_another_master(session, &before).await? {
                    return Err(StoreError::LastMaster.into());
                }
                round_trip("delete");
                store.users.delete_one(exactly(&before)).session(&mut *session).await?;
                let own = doc! { "user": Id::from(before.id), "account": Id::from(before.account) };
                round_trip("delete");
                store.avatars.delete_many(own).session(&mut *session).await?;
                store.end_mails(session, &before).await?;
                let sessions = doc! { "user": Id::from(before.id), "account": Id::from(before.account) };
                store.end_sessions(session, sessions).await?;
                store.write_audit(session, audit).await
            })
        })
        .await
    }

    async fn unlock_user(&self, user: UserId, login_keys: &[FailureKey], audit: &AuditEntry) -> Result<bool> {
        let counters: Vec<Document> = login_keys
            .iter()
            .map(|key| doc! { "account": Id::from(key.account), "login": Digest(key.login) })
            .collect();
        let context = (self, user, counters, audit);
        self.transaction(context, |session, (store, user, counters, audit)| {
            Box::pin(async move {
                let before = store.stored_user(session, *user, None).await?;
                let mut locked = before.locked_until.is_some_and(|until| until > audit.at);
                if before.locked_until.is_some() {
                    round_trip("update");
                    store
                        .users
                        .update_one(exactly(&before), doc! { "$set": { "locked_until": Bson::Null } })
                        .session(&mut *session)
                        .await?;
                }
                if !counters.is_empty() {
                    let mut locks = doc! { "$or": counters.clone() };
                    locks.insert("locked_until", doc! { "$gt": At(audit.at) });
                    round_trip("find");
                    let failures = store.failures.clone_with_type::<Document>();
                    locked |= failures.find_one(locks).session(&mut *session).await?.is_some();
                    round_trip("delete");
                    store
                        .failures
                        .delete_many(doc! { "$or": counters.clone() })
                        .session(&mut *session)
                        .await?;
                }
                if locked {
                    store.write_audit(session, audit).await?;
                }
                Ok(locked)
            })
        })
        .await
    }

    async fn users_by_ids(&self, ids: &[UserId]) -> Result<Vec<User>> {
        self.by_ids(&self.users, &USER_HIDDEN, ids).await
    }

    async fn user_by_login(&self, account: AccountId, login: &Login) -> Result<Option<User>> {
        round_trip("find");
        let finding = self
            .users
            .find_one(doc! { "account": Id::from(account), "login": login.as_str() })
            .projection(without(&USER_HIDDEN))
            .max_time(READ_LIMIT);
        bounded(READ_LIMIT, async { Ok(finding.await?.map(Into::into)) }).await
    }

    async fn users(&self, filters: &[UserFilter], by: UserOrder, page: &PageRequest) -> Result<Vec<Page<User>>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        self.pages(&self.users, &USER_HIDDEN, order(by), &filters, page).await
    }

    async fn users_with_logins(
        &self,
        filters: &[UserFilter],
        by: UserOrder,
        page: &PageRequest,
        newest: Newest,
    ) -> Result<Vec<Page<UserWithLogins>>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        let last_login = newest.last_login.then_some(USER_LAST_LOGIN);
        let fields = Fields::Only(USER_LISTED.into_iter().chain(last_login).collect());
        let pages: Vec<Page<UserDocument>> = self.pages(&self.users, fields, order(by), &filters, page).await?;
        let with_logins = |user: UserDocument| {
            let events = user.recent.read(user.account.into(), user.id.into(), newest)?;
            Ok((user.into(), events))
        };
        let pages = pages.into_iter().map(|page| page.try_map(with_logins));
        let mut pages: Vec<Page<UserWithLogins>> = pages.collect::<Result<_>>()?;
        if newest.details {
            let users = pages.iter_mut().flat_map(|page| &mut page.items);
            let each = users.map(|(user, events)| (user.id, events));
            self.add_details(each.collect(), newest).await?;
        }
        Ok(pages)
    }

    async fn count_users(&self, filters: &[UserFilter]) -> Result<Vec<u64>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        self.counts(&self.users, &filters).await
    }

    async fn credentials(&self, user: UserId) -> Result<Option<Credentials>> {
        round_trip("find");
        let users = self.users.clone_with_type::<CredentialsRow>();
        let finding = users
            .find_one(doc! { "_id": Id::from(user) })
            .projection(doc! { "password": 1 })
            .max_time(READ_LIMIT);
        let found = bounded(READ_LIMIT, async { Ok(finding.await?) }).await?;
        Ok(found.map(|row| row.password.unwrap_or_default().into()))
    }
}

//! Links to directories, and leases.

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use serde::Deserialize;
use uuid::Uuid;

use super::documents::{At, AuditDocument, Id, USER_HIDDEN, UserDocument, array};
use super::error::is_upsert_race;
use super::lists::{one_answer, stored};
use super::transaction::{Halt, INTENT_LIMIT, READ_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login::Login;
use crate::domain::mail::Mail;
use crate::domain::user::User;
use crate::store::{DirectoryStore, Result};

/// A session's user alone.
#[derive(Deserialize)]
struct UserOfSession {
    user: Id,
}

/// Who is linked to these entries.
pub(super) fn linked_to(account: AccountId, directory: &str, external_ids: &[String]) -> Document {
    doc! {
        "account": Id::from(account),
        "directory_link.directory": directory,
        "directory_link.external_id": { "$in": external_ids },
    }
}

/// Whom a directory has the password of.
pub(super) fn linked(account: AccountId, directory: &str, after: Option<UserId>) -> Document {
    let mut filter = doc! { "account": Id::from(account), "directory_link.directory": directory, "is_ldap": true };
    if let Some(after) = after {
        filter.insert("_id", doc! { "$gt": Id::from(after) });
    }
    filter
}

/// Those in the order of their identifiers: account and directory are the same for all, and named so that nothing but the
/// index of these three delivers it.
pub(super) fn by_linked_id() -> Document {
    doc! { "account": 1, "directory_link.directory": 1, "_id": 1 }
}

/// The sessions of those who are signed in.
pub(super) fn signed_in(now: Timestamp, after: Option<UserId>) -> Document {
    // From the least identifier on there are all of them, but without a condition on its first field the server leaves
    // the index that holds everything asked for.
    let users = match after {
        Some(after) => doc! { "$gt": Id::from(after) },
        None => doc! { "$gte": Id::from(Uuid::nil()) },
    };
    doc! { "user": users, "expires_at": { "$gt": At(now) } }
}

impl MongoStore {
    /// Is everything still there that any of these users of one account is granted? Mostly it is, and is asked about once.
    async fn all_grants_hold(&self, session: &mut ClientSession, users: &[User]) -> std::result::Result<bool, Halt> {
        let Some(first) = users.first() else {
            return Ok(true);
        };
        let mut together = first.clone();
        for grant in users.iter().flat_map(|user| &user.grants) {
            if !together.grants.iter().any(|known| known.target == grant.target) {
                together.grants.push(grant.clone());
            }
        }
        let holding = self.grants_that_hold(session, first.account, None, &together).await?;
        Ok(holding.grants.len() == together.grants.len())
    }

    /// Whose sessions these are, by id: so many sessions, not so many users, so that a page is small whoever has how many.
    async fn users_of_sessions(&self, sessions: Document, limit: usize) -> Result<Vec<UserId>> {
        round_trip("find");
        let users = self.sessions.clone_with_type::<UserOfSession>();
        let finding = users
            .find(sessions)
            .projection(doc! { "_id": 0, "user": 1 })
            .sort(doc! { "user": 1 })
            .limit(stored(limit))
            .batch_size(one_answer(limit))
            .max_time(READ_LIMIT);
        let found: Vec<UserOfSession> = bounded(READ_LIMIT, async { Ok(finding.await?.try_collect().await?) }).await?;
        Ok(found.into_iter().map(|session| session.user.into()).collect())
    }

    /// Changes a lease that is free, or makes it; says `false` when it is there and is not.
    async fn upsert_lease(&self, free: &Document, taken: &Document) -> Result<bool> {
        round_trip("update");
        match self.leases.update_one(free.clone(), taken.clone()).upsert(true).await {
            Ok(_) => Ok(true),
            Err(error) if is_upsert_race(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait]
impl DirectoryStore for MongoStore {
    async fn users_by_external_ids(
        &self,
        account: AccountId,
        directory: &str,
        external_ids: &[String],
    ) -> Result<Vec<User>> {
        if external_ids.is_empty() {
            return Ok(Vec::new());
        }
        let filter = linked_to(account, directory, external_ids);
        let found = self
            .find(&self.users, &USER_HIDDEN, filter, None, external_ids.len())
            .await?;
        Ok(found.into_iter().map(User::from).collect())
    }

    async fn users_by_logins(&self, account: AccountId, logins: &[Login]) -> Result<Vec<User>> {
        if logins.is_empty() {
            return Ok(Vec::new());
        }
        let names: Vec<&str> = logins.iter().map(Login::as_str).collect();
        let filter = doc! { "account": Id::from(account), "login": { "$in": names } };
        let found = self.find(&self.users, &USER_HIDDEN, filter, None, logins.len()).await?;
        Ok(found.into_iter().map(User::from).collect())
    }

    async fn create_users(&self, users: &[(User, AuditEntry)]) -> Result<()> {
        if users.is_empty() {
            return Ok(());
        }
        let people: Vec<User> = users.iter().map(|(user, _)| user.clone()).collect();
        let entries: Vec<AuditDocument> = users.iter().map(|(_, entry)| AuditDocument::from(entry)).collect();
        self.transaction((self, people, entries), |session, (store, people, entries)| {
            Box::pin(async move {
                let mut holding = Vec::with_capacity(people.len());
                let all_hold = store.all_grants_hold(session, people).await?;
                for user in people {
                    holding.push(if all_hold {
                        UserDocument::from(user)
                    } else {
                        let user = store.grants_that_hold(session, user.account, None, user).await?;
                        UserDocument::from(&user)
                    });
                }
                round_trip("insert");
                store.users.insert_many(holding).session(&mut *session).await?;
                round_trip("insert");
                store.audit.insert_many(entries).session(&mut *session).await?;
                Ok(())
            })
        })
        .await
    }

    async fn linked_users(
        &self,
        account: AccountId,
        directory: &str,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>> {
        // The server takes none for no limit.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let filter = linked(account, directory, after);
        let found = self
            .find(&self.users, &USER_HIDDEN, filter, Some(by_linked_id()), limit)
            .await?;
        Ok(found.into_iter().map(User::from).collect())
    }

    async fn signed_in_ldap_users(
        &self,
        now: Timestamp,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<(Vec<User>, Option<UserId>)> {
        if limit == 0 {
            return Ok((Vec::new(), None));
        }
        let mut ids = self.users_of_sessions(signed_in(now, after), limit).await?;
        let next = if ids.len() < limit { None } else { ids.last().copied() };
        ids.dedup();
        if ids.is_empty() {
            return Ok((Vec::new(), next));
        }
        let filter = doc! { "_id": { "$in": array(&ids) }, "is_ldap": true };
        let sort = doc! { "_id": 1 };
        let found = self
            .find(&self.users, &USER_HIDDEN, filter, Some(sort), ids.len())
            .await?;
        Ok((found.into_iter().map(User::from).collect(), next))
    }

    async fn update_from_directory(
        &self,
        user: &User,
        expected_revision: i64,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> Result<bool> {
        let context = (self, user, expected_revision, audit, mails);
        self.transaction(context, |session, (store, user, expected, audit, mails)| {
            Box::pin(async move {
                let (before, leaves_no_master) = store.before_update(session, user, *expected).await?;
                store.replace_user(session, &before, user, audit, mails).await?;
                Ok(leaves_no_master)
            })
        })
        .await
    }

    async fn touch_links(&self, users: &[UserId], at: Timestamp) -> Result<()> {
        if users.is_empty() {
            return Ok(());
        }
        // Who has no link has no such field, and does not match.
        let filter = doc! {
            "_id": { "$in": array(users) },
            "directory_link.last_checked_at": { "$lt": At(at) },
        };
        round_trip("update");
        let touching = self
            .users
            .update_many(filter, doc! { "$max": { "directory_link.last_checked_at": At(at) } });
        bounded(INTENT_LIMIT, async { Ok(touching.await.map(drop)?) }).await
    }

    async fn take_lease(&self, name: &str, holder: Uuid, now: Timestamp, until: Timestamp) -> Result<bool> {
        let holder = Id::from(holder);
        let free = doc! {
            "_id": name,
            "$or": [{ "holder": holder }, { "expires_at": { "$lte": At(now) } }],
        };
        let taken = doc! { "$set": { "holder": holder, "expires_at": At(until) } };
        bounded(INTENT_LIMIT, async {
            // Once more, as it may have been made in that very moment, and by this holder.
            Ok(self.upsert_lease(&free, &taken).await? || self.upsert_lease(&free, &taken).await?)
        })
        .await
    }

    async fn drop_lease(&self, name: &str, holder: Uuid) -> Result<()> {
        round_trip("delete");
        let dropping = self.leases.delete_one(doc! { "_id": name, "holder": Id::from(holder) });
        bounded(INTENT_LIMIT, async { Ok(dropping.await.map(drop)?) }).await
    }

    async fn lease_holder(&self, name: &str) -> Result<Option<Uuid>> {
        #[derive(serde::Deserialize)]
        struct Lease {
            holder: Id,
        }
        round_trip("find");
        let leases = self.leases.clone_with_type::<Lease>();
        let finding = leases.find_one(doc! { "_id": name });
        let found = bounded(INTENT_LIMIT, async { Ok(finding.await?) }).await?;
        Ok(found.map(|lease| lease.holder.into()))
    }
}

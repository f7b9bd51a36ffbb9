//! Sessions.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use async_trait::async_trait;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::documents::{
    AccountDocument, At, Digest, EventDocument, Id, RoleDocument, SessionDocument, USER_HIDDEN, UserDocument, array,
};
use super::indexes::collections;
use super::keyset::Order;
use super::lists::Filter;
use super::login::carry_one;
use super::transaction::{INTENT_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::account::Account;
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, RoleId, SessionId, UserId};
use crate::domain::login_event::LoginEvent;
use crate::domain::mail::Mail;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::Direction;
use crate::domain::role::Role;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::store::{AccountStore, Identity, OpenedSession, Result, RoleStore, SessionStore, UserStore, WhichSessions};

/// The most sessions of one user that are listed.
const MOST_SESSIONS: usize = 200;

pub(super) const NEWEST_CREATED: Order = Order {
    field: "created_at",
    direction: Direction::Desc,
    nullable: None,
    unique_in_account: false,
};

/// Each of them once.
fn distinct<T: Copy + Eq + Hash>(ids: impl Iterator<Item = T>) -> Vec<T> {
    ids.collect::<HashSet<T>>().into_iter().collect()
}

/// A session joined with everything that it stands for.
#[derive(Deserialize)]
struct IdentityRow {
    session: SessionDocument,
    user: Option<UserDocument>,
    account: Option<AccountDocument>,
    roles: Vec<RoleDocument>,
}

impl MongoStore {
    /// The one session that matches, with everything that it stands for.
    async fn identity_of(&self, session: Document) -> Result<Option<Identity>> {
        let hidden: &[&str] = &USER_HIDDEN;
        let pipeline = vec![
            doc! { "$match": session },
            doc! { "$limit": 1 },
            doc! { "$replaceWith": { "session": "$$ROOT" } },
            doc! { "$lookup": {
                "from": collections::USERS, "localField": "session.user", "foreignField": "_id", "as": "user",
                "pipeline": [{ "$unset": hidden }],
            } },
            doc! { "$lookup": {
                "from": collections::ACCOUNTS, "localField": "session.account", "foreignField": "_id", "as": "account",
            } },
            doc! { "$set": { "user": { "$first": "$user" }, "account": { "$first": "$account" } } },
            doc! { "$lookup": {
                "from": collections::ROLES, "localField": "user.grants.role", "foreignField": "_id", "as": "roles",
            } },
        ];
        let rows: Vec<IdentityRow> = self.aggregate(&self.sessions, pipeline, 1).await?;
        Ok(rows.into_iter().next().and_then(|row| {
            Some(Identity {
                session: row.session.into(),
                user: row.user?.into(),
                account: row.account?.into(),
                roles: row.roles.into_iter().map(Into::into).collect(),
            })
        }))
    }
}

#[async_trait]
impl SessionStore for MongoStore {
    async fn identity(&self, token_hash: &TokenHash) -> Result<Option<Identity>> {
        self.identity_of(doc! { "token_hash": Digest(token_hash.0) }).await
    }

    /// In four round trips, however many they are: joining each on the server costs it several times as much.
    async fn identities(&self, token_hashes: &[TokenHash]) -> Result<Vec<Option<Identity>>> {
        if token_hashes.is_empty() {
            return Ok(Vec::new());
        }
        let hashes: Vec<Bson> = token_hashes.iter().map(|hash| Digest(hash.0).into()).collect();
        let filter = doc! { "token_hash": { "$in": hashes } };
        let found = self.find(&self.sessions, &[], filter, None, token_hashes.len()).await?;
        let sessions: HashMap<TokenHash, Session> = found
            .into_iter()
            .map(|document| (document.token_hash(), document.into()))
            .collect();
        let users = self.users_by_ids(&distinct(sessions.values().map(|s| s.user))).await?;
        let accounts = self.accounts_by_ids(&distinct(users.iter().map(|u| u.account))).await?;
        let roles = self.roles_by_ids(&distinct(users.iter().flat_map(User::roles))).await?;
        let users: HashMap<UserId, User> = users.into_iter().map(|user| (user.id, user)).collect();
        let accounts: HashMap<AccountId, Account> = accounts.into_iter().map(|a| (a.id, a)).collect();
        let roles: HashMap<RoleId, Role> = roles.into_iter().map(|role| (role.id, role)).collect();
        let identity = |hash: &TokenHash| {
            let session = sessions.get(hash)?.clone();
            let user = users.get(&session.user)?.clone();
            Some(Identity {
                account: accounts.get(&user.account)?.clone(),
                roles: user.roles().iter().filter_map(|id| roles.get(id)).cloned().collect(),
                session,
                user,
            })
        };
        Ok(token_hashes.iter().map(identity).collect())
    }

    async fn sessions_by_ids(&self, ids: &[SessionId], now: Timestamp) -> Result<Vec<Session>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let filter = doc! { "_id": { "$in": array(ids) }, "expires_at": { "$gt": At(now) } };
        let found = self.find(&self.sessions, &[], filter, None, ids.len()).await?;
        Ok(found.into_iter().map(Into::into).collect())
    }

    async fn sessions_of_users(&self, users: &[UserId], now: Timestamp) -> Result<Vec<Session>> {
        let filters: Vec<Filter> = users
            .iter()
            .map(|user| {
                Filter::default()
                    .and(Some(doc! { "user": Id::from(*user) }))
                    .and(Some(doc! { "expires_at": { "$gt": At(now) } }))
            })
            .collect();
        let page = PageRequest::first(MOST_SESSIONS);
        let pages: Vec<Page<Session>> = self.pages(&self.sessions, &[], NEWEST_CREATED, &filters, &page).await?;
        let mut sessions: Vec<Session> = pages.into_iter().flat_map(|page| page.items).collect();
        sessions.sort_by_key(|session| Reverse((session.created_at, session.id)));
        Ok(sessions)
    }

    async fn touch_session(&self, id: SessionId, at: Timestamp) -> Result<()> {
        round_trip("update");
        let touching = self.sessions.update_one(
            doc! { "_id": Id::from(id) },
            doc! { "$max": { "last_seen_at": At(at) } },
        );
        bounded(INTENT_LIMIT, async {
            touching.await?;
            Ok(())
        })
        .await
    }

    async fn end_session(&self, id: SessionId) -> Result<bool> {
        round_trip("delete");
        let _change = self.changes.begin();
        let ending = self.sessions.delete_one(doc! { "_id": Id::from(id) });
        bounded(INTENT_LIMIT, async { Ok(ending.await?.deleted_count > 0) }).await
    }

    async fn session_identity(&self, id: SessionId) -> Result<Option<Identity>> {
        self.identity_of(doc! { "_id": Id::from(id) }).await
    }

    async fn revoke_sessions(&self, user: UserId, which: WhichSessions, audit: &AuditEntry) -> Result<u64> {
        let mut sessions = doc! { "user": Id::from(user), "account": Id::from(audit.account) };
        match which {
            WhichSessions::One(id) => {
                sessions.insert("_id", Id::from(id));
            }
            WhichSessions::AllBut(Some(keep)) => {
                sessions.insert("_id", doc! { "$ne": Id::from(keep) });
            }
            WhichSessions::AllBut(None) => {}
        }
        self.transaction((self, sessions, audit), |session, (store, sessions, audit)| {
            Box::pin(async move {
                round_trip("delete");
                let deleting = store.sessions.delete_many(sessions.clone());
                let ended = deleting.session(&mut *session).await?.deleted_count;
                if ended > 0 {
                    store.write_audit(session, audit).await?;
                }
                Ok(ended)
            })
        })
        .await
    }

    async fn open_impersonation(
        &self,
        opened: &OpenedSession,
        event: &LoginEvent,
        audit: &AuditEntry,
        mails: &[Mail],
    ) -> Result<()> {
        self.transaction(
            (self, opened, event, audit, mails),
            |session, (store, opened, event, audit, mails)| {
                Box::pin(async move {
                    round_trip("insert");
                    store
                        .login_events
                        .insert_one(EventDocument::from(*event))
                        .session(&mut *session)
                        .await?;
                    round_trip("insert");
                    store
                        .sessions
                        .insert_one(SessionDocument::new(&opened.session, &opened.token_hash))
                        .session(&mut *session)
                        .await?;
                    store.write_mails(session, mails).await?;
                    store.write_audit(session, audit).await?;
                    let user = opened.session.user;
                    let filter = doc! {
                        "_id": Id::from(user), "account": Id::from(event.account), "revision": opened.user_revision,
                    };
                    let change = vec![doc! { "$set": { "recent": carry_one(event)? } }];
                    round_trip("update");
                    let updated = store.users.update_one(filter, change).session(&mut *session).await?;
                    if updated.matched_count == 0 {
                        return Err(store.missed(session, &store.users, user).await);
                    }
                    Ok(())
                })
            },
        )
        .await
    }
}

//! Accounts.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc, serialize_to_document};
use serde::Deserialize;

use super::documents::{AccountDocument, At, Id, array, word};
use super::indexes::collections;
use super::keyset::Order;
use super::lists::{Filter, search};
use super::transaction::{Halt, INTENT_LIMIT, READ_LIMIT, bounded};
use super::{MongoStore, earlier, round_trip};
use crate::domain::account::{Account, AccountName, AccountStatus};
use crate::domain::audit::AuditEntry;
use crate::domain::group::Group;
use crate::domain::ids::AccountId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{AccountFilter, AccountOrder, AccountOrderField};
use crate::domain::user::UserStatus;
use crate::store::{AccountStore, Result, StoreError};

/// How long a deleted account is looked after.
const CLEARED_FOR: Duration = Duration::from_secs(60 * 60);

fn filter(filter: &AccountFilter) -> Result<Filter> {
    let status = filter.status.as_ref().map(word).transpose()?;
    let text = filter.search.as_deref();
    Ok(Filter::default()
        .and(text.and_then(|t| search(t, &["name", "title_fold"])))
        .and(status.map(|s| doc! { "status": s }))
        .and(filter.directory.as_ref().map(|d| doc! { "directory": d })))
}

fn order(order: AccountOrder) -> Order {
    Order {
        field: match order.field {
            AccountOrderField::Name => "name",
            AccountOrderField::CreatedAt => "created_at",
        },
        direction: order.direction,
        nullable: None,
        unique_in_account: false,
    }
}

impl MongoStore {
    /// Refuses, as a part of a transaction that writes the account, to take away the way in of every master who has one.
    async fn spare_directory_master(&self, session: &mut ClientSession, account: Id) -> std::result::Result<(), Halt> {
        let active = word(&UserStatus::Active)?;
        let masters = |more: Document| {
            let mut masters = doc! { "account": account, "grants.master": true, "status": active.clone() };
            masters.extend(more);
            masters
        };
        for (way_in, outcome) in [
            (doc! { "is_ldap": true }, Ok(())),
            (doc! { "has_password": true }, Err(StoreError::LastMaster.into())),
        ] {
            round_trip("find");
            let users = self.users.clone_with_type::<Document>();
            let finding = users.find_one(masters(way_in)).projection(doc! { "_id": 1 });
            if finding.session(&mut *session).await?.is_some() {
                return outcome;
            }
        }
        Ok(())
    }

    /// Ends the sessions of an account's local users, as a part of a transaction.
    async fn end_local_sessions(&self, session: &mut ClientSession, account: Id) -> std::result::Result<(), Halt> {
        #[derive(Deserialize)]
        struct Local {
            #[serde(rename = "_id")]
            user: Id,
        }
        let signed_in = vec![
            doc! { "$match": { "account": account } },
            doc! { "$group": { "_id": "$user" } },
            doc! { "$lookup": {
                "from": collections::USERS, "localField": "_id", "foreignField": "_id", "as": "user",
                "pipeline": [{ "$match": { "is_ldap": false } }, { "$project": { "_id": 1 } }],
            } },
            doc! { "$match": { "user": { "$ne": [] } } },
            doc! { "$project": { "_id": 1 } },
        ];
        round_trip("aggregate");
        let local: Vec<Local> = self
            .sessions
            .aggregate(signed_in)
            .with_type::<Local>()
            .session(&mut *session)
            .await?
            .stream(&mut *session)
            .try_collect()
            .await?;
        let users: Vec<Id> = local.into_iter().map(|local| local.user).collect();
        let sessions = doc! { "account": account, "user": { "$in": array(&users) } };
        self.end_sessions(session, sessions).await
    }
}

#[async_trait]
impl AccountStore for MongoStore {
    async fn create_account(&self, account: &Account, main_group: &Group, audit: &AuditEntry) -> Result<()> {
        self.transaction(
            (self, account, main_group, audit),
            |session, (store, account, group, audit)| {
                Box::pin(async move {
                    round_trip("insert");
                    store
                        .accounts
                        .insert_one(AccountDocument::from(*account))
                        .session(&mut *session)
                        .await?;
                    store.insert_group(session, group).await?;
                    store.write_audit(session, audit).await
                })
            },
        )
        .await
    }

    async fn update_account(&self, account: &Account, expected_revision: i64, audit: &AuditEntry) -> Result<()> {
        let mut fields = serialize_to_document(&AccountDocument::from(account))
            .map_err(|e| StoreError::Corrupt(format!("the account cannot be written: {e}")))?;
        for kept in ["_id", "name", "created_at"] {
            fields.remove(kept);
        }
        let context = (self, account, expected_revision, fields, audit);
        self.transaction(context, |session, (store, account, expected, fields, audit)| {
            Box::pin(async move {
                round_trip("findAndModify");
                let id = Id::from(account.id);
                let before: Option<Account> = store
                    .accounts
                    .find_one_and_update(doc! { "_id": id, "revision": *expected }, doc! { "$set": fields })
                    .session(&mut *session)
                    .await?
                    .map(Into::into);
                let Some(before) = before else {
                    return Err(store.missed(session, &store.accounts, id).await);
                };
                let refuses_local = account.directory_only && !before.name.is_system();
                if refuses_local && !before.directory_only {
                    store.spare_directory_master(session, id).await?;
                }
                if [account.status, before.status].contains(&AccountStatus::Frozen) {
                    store.end_sessions(session, doc! { "account": id }).await?;
                } else if refuses_local {
                    store.end_local_sessions(session, id).await?;
                }
                store.write_audit(session, audit).await
            })
        })
        .await
    }

    async fn delete_account(&self, account: AccountId, at: Timestamp, audit: &AuditEntry) -> Result<()> {
        self.transaction(
            (self, Id::from(account), at, audit),
            |session, (store, id, at, audit)| {
                Box::pin(async move {
                    round_trip("delete");
                    let deleting = store.accounts.delete_one(doc! { "_id": *id });
                    if deleting.session(&mut *session).await?.deleted_count == 0 {
                        return Err(StoreError::NotFound.into());
                    }
                    round_trip("insert");
                    store
                        .deletions
                        .insert_one(doc! { "_id": *id, "deleted_at": At(*at) })
                        .session(&mut *session)
                        .await?;
                    store.end_sessions(session, doc! { "account": *id }).await?;
                    // The rest may go later, but nothing is sent from here on.
                    round_trip("delete");
                    let waiting = doc! { "account": *id, "due_at": { "$exists": true } };
                    store.mails.delete_many(waiting).session(&mut *session).await?;
                    store.write_audit(session, audit).await
                })
            },
        )
        .await
    }

    async fn clear_deleted(&self, now: Timestamp) -> Result<u64> {
        #[derive(Deserialize)]
        struct Deletion {
            #[serde(rename = "_id")]
            account: Id,
        }
        round_trip("find");
        let deletions = self.deletions.clone_with_type::<Deletion>();
        let finding = deletions.find(doc! {}).max_time(READ_LIMIT);
        let found: Vec<Deletion> = bounded(READ_LIMIT, async { Ok(finding.await?.try_collect().await?) }).await?;
        let mut gone = 0;
        for Deletion { account } in found {
            let of = || doc! { "account": account };
            gone += self.purge_from(&self.users, of()).await?;
            gone += self.purge_from(&self.sessions, of()).await?;
            gone += self.purge_from(&self.api_tokens, of()).await?;
            gone += self.purge_from(&self.avatars, of()).await?;
            gone += self.purge_from(&self.links, of()).await?;
            gone += self.purge_from(&self.mails, of()).await?;
            gone += self.purge_from(&self.report_marks, of()).await?;
            gone += self.purge_from(&self.roles, of()).await?;
            gone += self.purge_from(&self.groups, of()).await?;
            gone += self.purge_from(&self.failures, of()).await?;
            gone += self.purge_from(&self.login_events, of()).await?;
            gone += self.purge_from(&self.audit, of()).await?;
        }
        let over = At(earlier(now, CLEARED_FOR));
        round_trip("delete");
        let forgetting = self.deletions.delete_many(doc! { "deleted_at": { "$lte": over } });
        bounded(INTENT_LIMIT, async { Ok(forgetting.await.map(drop)?) }).await?;
        Ok(gone)
    }

    async fn accounts_by_ids(&self, ids: &[AccountId]) -> Result<Vec<Account>> {
        self.by_ids(&self.accounts, &[], ids).await
    }

    async fn account_by_name(&self, name: &AccountName) -> Result<Option<Account>> {
        round_trip("find");
        let finding = self
            .accounts
            .find_one(doc! { "name": name.as_str() })
            .max_time(READ_LIMIT);
        bounded(READ_LIMIT, async { Ok(finding.await?.map(Into::into)) }).await
    }

    async fn accounts(&self, wanted: &AccountFilter, by: AccountOrder, page: &PageRequest) -> Result<Page<Account>> {
        let pages = self
            .pages(&self.accounts, &[], order(by), &[filter(wanted)?], page)
            .await?;
        Ok(pages.into_iter().next().unwrap_or_else(Page::empty))
    }

    async fn count_accounts(&self, wanted: &AccountFilter) -> Result<u64> {
        let counts = self.counts(&self.accounts, &[filter(wanted)?]).await?;
        Ok(counts.into_iter().sum())
    }
}

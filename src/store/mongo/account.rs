//! Accounts.

use async_trait::async_trait;
use mongodb::bson::{doc, serialize_to_document};

use super::documents::{AccountDocument, Id, word};
use super::keyset::Order;
use super::lists::{Filter, search};
use super::transaction::{READ_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::account::{Account, AccountName, AccountStatus};
use crate::domain::audit::AuditEntry;
use crate::domain::group::Group;
use crate::domain::ids::AccountId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::{AccountFilter, AccountOrder, AccountOrderField};
use crate::store::{AccountStore, Result, StoreError};

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
                round_trip("update");
                let id = Id::from(account.id);
                let updated = store
                    .accounts
                    .update_one(doc! { "_id": id, "revision": *expected }, doc! { "$set": fields })
                    .session(&mut *session)
                    .await?;
                if updated.matched_count == 0 {
                    return Err(store.missed(session, &store.accounts, id).await);
                }
                if account.status == AccountStatus::Frozen {
                    store.end_sessions(session, doc! { "account": id }).await?;
                }
                store.write_audit(session, audit).await
            })
        })
        .await
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

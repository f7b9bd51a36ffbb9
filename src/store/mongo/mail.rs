//! The outbox.

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Document, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;
use uuid::Uuid;

use super::documents::{At, Id, MailDocument, word};
use super::lists::{Filter, one_answer, stored};
use super::report::expiring;
use super::session::NEWEST_CREATED;
use super::transaction::{Halt, INTENT_LIMIT, READ_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::audit::AuditEntry;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, MailId, UserId};
use crate::domain::link::AccessLink;
use crate::domain::mail::{Mail, MailFilter, MailState, Subscription};
use crate::domain::page::{Page, PageRequest};
use crate::domain::user::User;
use crate::store::{
    FoundLink, MailClaim, MailOutcome, MailStore, Minted, Redemption, ReportMark, Result, StoreError, USER_DELETED,
    unreadable,
};

/// How many mails are claimed at once: each is a write of its own.
const CLAIMED_AT_ONCE: usize = 8;

/// A mail's key alone.
#[derive(Deserialize)]
struct KeyRow {
    account: Id,
    key: String,
}

/// A due mail, as it is named on its shard.
#[derive(Deserialize)]
struct DueRow {
    #[serde(rename = "_id")]
    id: Id,
    account: Id,
}

/// Which mails are due.
pub(super) fn due(now: Timestamp) -> Document {
    doc! { "due_at": { "$lte": At(now) } }
}

/// The longest due first.
pub(super) fn by_due() -> Document {
    doc! { "due_at": 1, "_id": 1 }
}

/// What a filter asks for.
pub(super) fn filter(filter: &MailFilter) -> Result<Filter> {
    let state = filter.state.as_ref().map(word).transpose()?;
    Ok(Filter::default()
        .and(state.map(|state| doc! { "state": state }))
        .and(filter.to.as_ref().map(|to| doc! { "to_fold": to })))
}

/// What becomes of a mail in hand.
fn settlement(outcome: &MailOutcome, at: Timestamp) -> Result<Document> {
    let mut set = doc! { "state": word(&outcome.state())? };
    let mut unset = doc! { "holder": "" };
    match outcome.next_attempt_at() {
        Some(at) => set.insert("due_at", At(at)),
        None => unset.insert("due_at", ""),
    };
    match outcome.error() {
        Some(error) => set.insert("last_error", error),
        None => unset.insert("last_error", ""),
    };
    if *outcome == MailOutcome::Sent {
        set.insert("sent_at", At(at));
    }
    let mut change = doc! { "$set": set, "$unset": unset };
    if matches!(outcome, MailOutcome::Untried { .. }) {
        change.insert("$inc", doc! { "attempts": -1 });
    }
    Ok(change)
}

impl MongoStore {
    /// Queues mails as a part of a transaction, except those whose key is there already; says how many it queued. Should
    /// somebody else queue one of the same key at once, the transaction fails and is tried again, with that one in sight.
    pub(super) async fn write_mails(
        &self,
        session: &mut ClientSession,
        mails: &[Mail],
    ) -> std::result::Result<u64, Halt> {
        let mut known = self.known_keys(session, mails).await?;
        let new: Vec<MailDocument> = mails
            .iter()
            .map(MailDocument::from)
            .filter(|mail| mail.key.clone().is_none_or(|key| known.insert((mail.account, key))))
            .collect();
        if !new.is_empty() {
            round_trip("insert");
            self.mails.insert_many(&new).session(session).await?;
        }
        Ok(new.len() as u64)
    }

    async fn known_keys(
        &self,
        session: &mut ClientSession,
        mails: &[Mail],
    ) -> std::result::Result<HashSet<(Id, String)>, Halt> {
        let any: Vec<Document> = mails
            .iter()
            .filter_map(|mail| Some(doc! { "account": Id::from(mail.account), "key": mail.key.as_ref()? }))
            .collect();
        if any.is_empty() {
            return Ok(HashSet::new());
        }
        round_trip("find");
        let found: Vec<KeyRow> = self
            .mails
            .clone_with_type::<KeyRow>()
            .find(doc! { "$or": any })
            .projection(doc! { "account": 1, "key": 1 })
            .session(&mut *session)
            .await?
            .stream(&mut *session)
            .try_collect()
            .await?;
        Ok(found.into_iter().map(|row| (row.account, row.key)).collect())
    }

    /// Drops the mails of a user that wait, and removes its links, as a part of the transaction that deletes it.
    pub(super) async fn end_mails(&self, session: &mut ClientSession, user: &User) -> std::result::Result<(), Halt> {
        let own = doc! { "account": Id::from(user.account), "user": Id::from(user.id) };
        round_trip("delete");
        self.links.delete_many(own.clone()).session(&mut *session).await?;
        let mut waiting = own;
        waiting.insert("state", word(&MailState::Queued)?);
        let dropped = doc! {
            "$set": { "state": word(&MailState::Dropped)?, "last_error": USER_DELETED },
            "$unset": { "due_at": "" },
        };
        round_trip("update");
        self.mails.update_many(waiting, dropped).session(&mut *session).await?;
        Ok(())
    }

    async fn find_due(&self, claim: &MailClaim, limit: usize) -> Result<Vec<DueRow>> {
        round_trip("find");
        let mails = self.mails.clone_with_type::<DueRow>();
        let finding = mails
            .find(due(claim.now))
            .projection(doc! { "_id": 1, "account": 1 })
            .sort(by_due())
            .limit(stored(limit))
            .batch_size(one_answer(limit))
            .max_time(READ_LIMIT);
        bounded(READ_LIMIT, async { Ok(finding.await?.try_collect().await?) }).await
    }

    /// Takes a mail in hand if it is due still: nobody else took it since it was found. One that cannot be read is given up:
    /// nobody can send it, and the others need not wait for that.
    async fn take_due(&self, row: DueRow, claim: &MailClaim, sending: &Document) -> Result<Option<Mail>> {
        let mut wanted = due(claim.now);
        wanted.insert("_id", row.id);
        wanted.insert("account", row.account);
        round_trip("findAndModify");
        let taking = self
            .mails
            .find_one_and_update(wanted, sending.clone())
            .return_document(ReturnDocument::After);
        match bounded(INTENT_LIMIT, async { Ok(taking.await?.map(Mail::from)) }).await {
            Err(StoreError::Corrupt(reason)) => {
                let failed = MailOutcome::Failed {
                    error: unreadable(row.id.into(), &reason),
                };
                self.settle_mail(row.id.into(), claim.holder, &failed, claim.now)
                    .await?;
                Ok(None)
            }
            result => result,
        }
    }

    /// Changes a mail that is in one of these states, with its audit entry.
    async fn change_mail(
        &self,
        id: MailId,
        states: &[MailState],
        change: Document,
        audit: &AuditEntry,
    ) -> Result<Mail> {
        let states = states.iter().map(word).collect::<Result<Vec<_>>>()?;
        let wanted = doc! { "_id": Id::from(id), "state": { "$in": states } };
        let context = (self, wanted, change, audit);
        self.transaction(context, |session, (store, wanted, change, audit)| {
            Box::pin(async move {
                round_trip("find");
                let found = store.mails.find_one(wanted.clone()).session(&mut *session).await?;
                let found = found.ok_or(StoreError::NotFound)?;
                let exactly = doc! { "_id": found.id, "account": found.account };
                round_trip("findAndModify");
                let changed = store
                    .mails
                    .find_one_and_update(exactly, change.clone())
                    .return_document(ReturnDocument::After)
                    .session(&mut *session)
                    .await?;
                store.write_audit(session, audit).await?;
                Ok(changed.ok_or(StoreError::NotFound)?.into())
            })
        })
        .await
    }
}

#[async_trait]
impl MailStore for MongoStore {
    async fn queue_mails(&self, mails: &[Mail], audit: Option<&AuditEntry>) -> Result<u64> {
        if mails.is_empty() && audit.is_none() {
            return Ok(0);
        }
        self.transaction((self, mails, audit), |session, (store, mails, audit)| {
            Box::pin(async move {
                if let Some(entry) = audit {
                    store.write_audit(session, entry).await?;
                }
                store.write_mails(session, mails).await
            })
        })
        .await
    }

    async fn claim_mails(&self, claim: &MailClaim) -> Result<Vec<Mail>> {
        let sending = &doc! {
            "$set": {
                "state": word(&MailState::Sending)?, "holder": Id::from(claim.holder), "due_at": At(claim.until),
            },
            "$inc": { "attempts": 1 },
        };
        let mut claimed = Vec::new();
        while claimed.len() < claim.limit {
            let missing = claim.limit - claimed.len();
            let found = self.find_due(claim, missing).await?;
            let is_last = found.len() < missing;
            let taking: Vec<_> = found
                .into_iter()
                .map(|row| self.take_due(row, claim, sending))
                .collect();
            let mut taken = stream::iter(taking).buffered(CLAIMED_AT_ONCE);
            let mut failure = None;
            // To the end, whatever becomes of one: those that are being taken meanwhile are in hand.
            while let Some(mail) = taken.next().await {
                match mail {
                    Ok(mail) => claimed.extend(mail),
                    Err(error) => failure = Some(error),
                }
            }
            match failure {
                // What is in hand already must not lie there until its lease runs out.
                Some(error) if claimed.is_empty() => return Err(error),
                Some(error) => {
                    tracing::warn!(%error, "some mails could not be claimed");
                    break;
                }
                None => {}
            }
            if is_last {
                break;
            }
        }
        Ok(claimed)
    }

    async fn settle_mail(&self, id: MailId, holder: Uuid, outcome: &MailOutcome, at: Timestamp) -> Result<bool> {
        let own = doc! { "_id": Id::from(id), "holder": Id::from(holder), "state": word(&MailState::Sending)? };
        round_trip("update");
        let settling = self.mails.update_one(own, settlement(outcome, at)?);
        bounded(INTENT_LIMIT, async { Ok(settling.await?.matched_count > 0) }).await
    }

    async fn mails_by_ids(&self, ids: &[MailId]) -> Result<Vec<Mail>> {
        self.by_ids(&self.mails, &[], ids).await
    }

    async fn mails(&self, filters: &[MailFilter], page: &PageRequest) -> Result<Vec<Page<Mail>>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        self.pages(&self.mails, &[], NEWEST_CREATED, &filters, page).await
    }

    async fn count_mails(&self, filters: &[MailFilter]) -> Result<Vec<u64>> {
        let filters: Vec<Filter> = filters.iter().map(filter).collect::<Result<_>>()?;
        self.counts(&self.mails, &filters).await
    }

    async fn retry_mail(&self, id: MailId, audit: &AuditEntry) -> Result<Mail> {
        let queued = doc! {
            "$set": { "state": word(&MailState::Queued)?, "due_at": At(audit.at), "attempts": 0 },
            "$unset": { "last_error": "" },
        };
        let states = [MailState::Queued, MailState::Failed, MailState::Dropped];
        self.change_mail(id, &states, queued, audit).await
    }

    async fn drop_mail(&self, id: MailId, audit: &AuditEntry) -> Result<Mail> {
        let reason = format!("dropped by {}", audit.actor);
        let dropped = doc! {
            "$set": { "state": word(&MailState::Dropped)?, "last_error": reason },
            "$unset": { "due_at": "" },
        };
        let states = [MailState::Queued, MailState::Failed];
        self.change_mail(id, &states, dropped, audit).await
    }

    async fn mail_counts(&self) -> Result<HashMap<MailState, u64>> {
        let of = |state| MailFilter {
            state: Some(state),
            to: None,
        };
        let counts = self.count_mails(&MailState::COUNTED.map(of)).await?;
        Ok(MailState::COUNTED.into_iter().zip(counts).collect())
    }

    async fn mint_link(&self, link: &AccessLink) -> Result<Minted> {
        self.mint(link).await
    }

    async fn find_link(&self, hash: &TokenHash) -> Result<Option<FoundLink>> {
        self.find_whole_link(hash).await
    }

    async fn redeem_link(&self, redemption: &Redemption) -> Result<()> {
        self.redeem(redemption).await
    }

    async fn subscribers(
        &self,
        account: AccountId,
        subscription: Subscription,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>> {
        self.find_subscribers(account, subscription, after, limit).await
    }

    async fn last_reports(&self, accounts: &[AccountId]) -> Result<Vec<ReportMark>> {
        self.find_marks(accounts).await
    }

    async fn file_report(&self, mark: &ReportMark, mails: &[Mail]) -> Result<bool> {
        self.transaction((self, mark, mails), |session, (store, mark, mails)| {
            Box::pin(async move {
                let filed = store.move_mark(session, mark).await?;
                if filed {
                    store.write_mails(session, mails).await?;
                }
                Ok(filed)
            })
        })
        .await
    }

    async fn expiring_users(
        &self,
        account: AccountId,
        from: Timestamp,
        until: Timestamp,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>> {
        self.find_expiring(expiring(account, from, until, after), limit).await
    }

    async fn login_countries(&self, account: AccountId, since: Timestamp, until: Timestamp) -> Result<Vec<String>> {
        self.find_countries(account, since, until).await
    }
}

//! What a sign-in reads and writes.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, Document, doc, serialize_to_bson};
use mongodb::options::ReturnDocument;
use serde::{Deserialize, Serialize};

use super::documents::{AccountDocument, At, CarriedDocument, EventDocument, Id, SessionDocument, UserDocument};
use super::error::is_upsert_race;
use super::indexes::collections;
use super::lists::stored;
use super::transaction::{Halt, INTENT_LIMIT, bounded};
use super::{MongoStore, later, round_trip};
use crate::domain::account::AccountName;
use crate::domain::login::Login;
use crate::domain::login_event::{LoginEvent, LoginOutcome};
use crate::store::history::RECENT;
use crate::store::{
    Candidate, FailureCount, FailureKey, Failures, Flood, LimitKey, LoginRecord, LoginStore, RecordedLogin,
    Reservation, Result, StoreError, UserCandidate,
};

/// How long a counter of attempts outlives its window before the server removes it.
const ATTEMPTS_GRACE: Duration = Duration::from_secs(120);
/// How often an upsert is tried again when another one made the document in between: once is enough, as it is there then.
const UPSERT_TRIES: u32 = 3;

/// An account joined with one of its users.
#[derive(Deserialize)]
struct CandidateRow {
    account: AccountDocument,
    user: Option<UserDocument>,
}

/// A user's lock alone.
#[derive(Deserialize)]
struct LockedRow {
    locked_until: Option<At>,
}

/// A counter of attempts.
#[derive(Deserialize)]
struct AttemptsDocument {
    count: u32,
}

fn attempts_id(key: &LimitKey, window_start: Timestamp) -> Bson {
    let mut bytes = key.0.to_vec();
    bytes.extend(window_start.as_millisecond().to_be_bytes());
    Bson::Binary(Binary {
        subtype: BinarySubtype::Generic,
        bytes,
    })
}

fn to_bson(document: &impl Serialize) -> Result<Bson> {
    serialize_to_bson(document).map_err(|e| StoreError::Corrupt(format!("the sign-in cannot be written: {e}")))
}

/// The value for a user's carried sign-ins with these among them, newest first; `others` is what else it carries.
pub(super) fn carry(events: &[LoginEvent], others: Document) -> Result<Document> {
    let carried = events.iter().map(|event| to_bson(&CarriedDocument::of(event)?));
    let carried = carried.collect::<Result<Vec<_>>>()?;
    let with = doc! { "$concatArrays": [{ "$literal": carried }, others] };
    let sorted = doc! { "$sortArray": { "input": with, "sortBy": { "at": -1, "_id": -1 } } };
    Ok(doc! { "$slice": [sorted, stored(RECENT)] })
}

/// The same with this one among all that it carries.
pub(super) fn carry_one(event: &LoginEvent) -> Result<Document> {
    carry(std::slice::from_ref(event), carried())
}

/// What a user carries.
pub(super) fn carried() -> Document {
    doc! { "$ifNull": ["$recent", []] }
}

/// The later of a user's last sign-in and this one: several may be recorded in another order than they happened in.
pub(super) fn later_login(event: &LoginEvent) -> Result<Document> {
    let written = to_bson(&EventDocument::from(event))?;
    let later = doc! { "$gt": [
        [At(event.at), Id::from(event.id)],
        ["$last_login.at", "$last_login._id"],
    ] };
    Ok(doc! { "$cond": [later, { "$literal": written }, "$last_login"] })
}

impl MongoStore {
    /// Everything that one attempt changes; may run several times.
    async fn record(
        &self,
        session: &mut ClientSession,
        record: &LoginRecord,
    ) -> std::result::Result<RecordedLogin, Halt> {
        let event = &record.event;
        let mut fields = Document::new();
        let mut locked_until = None;
        let mut resets: &[FailureKey] = &[];
        let mut user_until = None;
        match &record.failures {
            Failures::Unchanged => {}
            Failures::Count(counts) => {
                let locks = self.count_failures(session, counts, event.at).await?;
                locked_until = locks.iter().copied().flatten().max();
                let users = counts.iter().zip(&locks).filter(|(count, _)| count.locks_user);
                user_until = users.filter_map(|(_, lock)| *lock).max();
                if let Some(until) = user_until {
                    fields.insert("locked_until", doc! { "$max": ["$locked_until", At(until)] });
                }
            }
            Failures::Reset(keys) => {
                resets = keys;
                fields.insert("locked_until", Bson::Null);
            }
        }
        self.give_back(session, resets, &record.released).await?;

        round_trip("insert");
        self.login_events
            .insert_one(EventDocument::from(event))
            .session(&mut *session)
            .await?;

        if let Some(opened) = &record.opened {
            round_trip("insert");
            self.sessions
                .insert_one(SessionDocument::new(&opened.session, &opened.token_hash))
                .session(&mut *session)
                .await?;
        }

        self.write_mails(session, &record.mails).await?;

        // Last, as others may be waiting for this document: a process that is killed holds it until the server gives the
        // transaction up, a minute later.
        if let Some(user) = event.user {
            fields.insert("recent", carry_one(event)?);
            if event.outcome == LoginOutcome::Success {
                fields.insert("last_login", later_login(event)?);
            }
            let mut filter = doc! { "_id": Id::from(user), "account": Id::from(event.account) };
            if let Some(opened) = &record.opened {
                filter.insert("revision", opened.user_revision);
                if let Some(hash) = &opened.rehashed {
                    // A hash begins with `$`, as fields do.
                    fields.insert("password.hash", doc! { "$literal": hash.expose() });
                }
            }
            round_trip("findAndModify");
            let change = vec![doc! { "$set": fields }];
            let before = self
                .users
                .clone_with_type::<LockedRow>()
                .find_one_and_update(filter, change)
                .projection(doc! { "locked_until": 1 })
                .session(&mut *session)
                .await?;
            if record.opened.is_some() && before.is_none() {
                return Err(self.missed(session, &self.users, user).await);
            }
            let was_locked = before
                .as_ref()
                .and_then(|row| row.locked_until)
                .is_some_and(|until| until.0 > event.at);
            if let Some(mail) = &record.on_lock
                && before.is_some()
                && user_until.is_some()
                && !was_locked
            {
                self.write_mails(session, std::slice::from_ref(mail)).await?;
            }
            // Hardly anybody who gets in was locked anywhere.
            if let (Failures::Reset(_), Some(At(_))) = (&record.failures, before.and_then(|row| row.locked_until)) {
                locked_until = self.locked_elsewhere(session, resets, event.at).await?;
                if let Some(until) = locked_until {
                    round_trip("update");
                    self.users
                        .update_one(
                            doc! { "_id": Id::from(user), "account": Id::from(event.account) },
                            doc! { "$set": { "locked_until": At(until) } },
                        )
                        .session(&mut *session)
                        .await?;
                }
            }
        }

        Ok(RecordedLogin { locked_until })
    }
}

#[async_trait]
impl LoginStore for MongoStore {
    async fn candidate(&self, account: &AccountName, login: Option<&Login>) -> Result<Option<Candidate>> {
        let mut pipeline = vec![
            doc! { "$match": { "name": account.as_str() } },
            doc! { "$limit": 1 },
            doc! { "$replaceWith": { "account": "$$ROOT" } },
        ];
        if let Some(login) = login {
            pipeline.push(doc! { "$lookup": {
                "from": collections::USERS, "localField": "account._id", "foreignField": "account", "as": "user",
                "pipeline": [{ "$match": { "login": login.as_str() } }, { "$limit": 1 }, { "$unset": "recent" }],
            } });
            pipeline.push(doc! { "$set": { "user": { "$first": "$user" } } });
        }
        let rows: Vec<CandidateRow> = self.aggregate(&self.accounts, pipeline, 1).await?;
        Ok(rows.into_iter().next().map(|row| Candidate {
            account: row.account.into(),
            user: row.user.map(|mut user| UserCandidate {
                credentials: user.password.take().unwrap_or_default().into(),
                user: user.into(),
            }),
        }))
    }

    async fn count_attempts(&self, keys: &[LimitKey], window_start: Timestamp, window: Duration) -> Result<Vec<u32>> {
        let ends_at = later(window_start, window);
        let lifetime = window.saturating_add(ATTEMPTS_GRACE);
        let lifetime = i64::try_from(lifetime.as_millis()).unwrap_or(i64::MAX);
        let counters = &self.attempts.clone_with_type::<AttemptsDocument>();
        let each = keys.iter().map(|key| async move {
            let mut tried = 1;
            loop {
                // The server's own clock says when it removes the counter, so that no process's clock can do so too early.
                let counting = counters
                    .find_one_and_update(
                        doc! { "_id": attempts_id(key, window_start) },
                        vec![doc! { "$set": {
                            "count": { "$add": [{ "$ifNull": ["$count", 0] }, 1] },
                            "ends_at": At(ends_at),
                            "expires_at": { "$ifNull": ["$expires_at", { "$add": ["$$NOW", lifetime] }] },
                        } }],
                    )
                    .upsert(true)
                    .return_document(ReturnDocument::After);
                round_trip("findAndModify");
                match counting.await {
                    Err(error) if tried < UPSERT_TRIES && is_upsert_race(&error) => tried += 1,
                    outcome => return Ok(outcome?.map_or(0, |counter| counter.count)),
                }
            }
        });
        bounded(INTENT_LIMIT, try_join_all(each)).await
    }

    async fn locks(&self, keys: &[FailureKey], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        self.find_locks(keys, now).await
    }

    async fn reserve(&self, counters: &[FailureCount], at: Timestamp) -> Result<Reservation> {
        if counters.is_empty() {
            return Ok(Reservation::Held);
        }
        self.quiet_transaction((self, counters, at), |session, (store, counters, at)| {
            Box::pin(store.take_places(session, counters, *at))
        })
        .await
    }

    async fn record_login(&self, record: &LoginRecord) -> Result<RecordedLogin> {
        self.quiet_transaction((self, record), |session, (store, record)| {
            Box::pin(store.record(session, record))
        })
        .await
    }

    async fn record_flood(&self, flood: &Flood) -> Result<()> {
        let event = &flood.event;
        self.quiet_transaction((self, event), |session, (store, event)| {
            Box::pin(async move {
                let Bson::Document(mut first) = to_bson(&EventDocument::from(*event))? else {
                    return Err(StoreError::Corrupt("a sign-in is a document".to_owned()).into());
                };
                first.remove("_id");
                first.remove("attempts");
                let (id, account) = (Id::from(event.id), Id::from(event.account));
                first.remove("account");
                round_trip("update");
                let counted = store
                    .login_events
                    .update_one(
                        doc! { "_id": id, "account": account },
                        doc! { "$setOnInsert": first, "$inc": { "attempts": 1 } },
                    )
                    .upsert(true)
                    .session(&mut *session)
                    .await?;
                let Some(user) = event.user else {
                    return Ok(());
                };
                let user = doc! { "_id": Id::from(user), "account": account };
                round_trip("update");
                if counted.upserted_id.is_some() {
                    let carried = vec![doc! { "$set": { "recent": carry_one(event)? } }];
                    store.users.update_one(user, carried).session(&mut *session).await?;
                } else {
                    let mut user = user;
                    user.insert("recent._id", id);
                    let one_more = doc! { "$inc": { "recent.$.attempts": 1 } };
                    store.users.update_one(user, one_more).session(&mut *session).await?;
                }
                Ok(())
            })
        })
        .await
    }
}

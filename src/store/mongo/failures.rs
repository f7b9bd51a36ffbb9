//! The counters of wrong passwords.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::ClientSession;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::ReturnDocument;
use serde::Deserialize;

use super::documents::{At, Digest, Id};
use super::transaction::{Halt, READ_LIMIT, bounded};
use super::{MongoStore, earlier, later, round_trip};
use crate::store::{FailureCount, FailureKey, Reservation, Result, Tally, admission};

/// A counter of wrong passwords.
#[derive(Deserialize)]
struct FailureDocument {
    account: Id,
    login: Digest,
    network: Option<Digest>,
    count: u32,
    last_at: At,
    #[serde(default)]
    pending: u32,
    reserved_at: Option<At>,
    locked_until: Option<At>,
}

impl FailureDocument {
    fn is_of(&self, key: &FailureKey) -> bool {
        self.account == key.account.into()
            && self.login.0 == key.login
            && self.network.map(|network| network.0) == key.network
    }

    fn tally(&self) -> Tally {
        Tally {
            count: self.count,
            last_at: self.last_at.0,
            pending: self.pending,
            reserved_at: self.reserved_at.map(Timestamp::from),
            locked_until: self.locked_until.map(Timestamp::from),
        }
    }
}

fn counter(key: &FailureKey) -> Document {
    let network = key.network.map_or(Bson::Null, |network| Digest(network).into());
    doc! { "account": Id::from(key.account), "login": Digest(key.login), "network": network }
}

/// Any of these counters that match `more` too.
fn any_of(keys: &[FailureKey], more: &Document) -> Vec<Bson> {
    let with_more = |key| {
        let mut counter = counter(key);
        counter.extend(more.clone());
        counter.into()
    };
    keys.iter().map(with_more).collect()
}

/// The places of others.
fn one_less() -> Document {
    doc! { "$max": [{ "$subtract": [{ "$ifNull": ["$pending", 0] }, 1] }, 0] }
}

/// One more place at `at`, as the server computes it from what the counter holds by then.
fn one_more_place(count: &FailureCount, at: Timestamp) -> Vec<Document> {
    let forgotten = At(earlier(at, count.window));
    vec![doc! { "$set": {
        "count": { "$ifNull": ["$count", 0] },
        "last_at": { "$ifNull": ["$last_at", At(at)] },
        "pending": { "$cond": [{ "$gt": ["$reserved_at", forgotten] }, { "$add": ["$pending", 1] }, 1] },
        "reserved_at": { "$max": ["$reserved_at", At(at)] },
        "expires_at": { "$max": ["$expires_at", At(later(at, count.window))] },
    } }]
}

/// One more wrong password at `at`, as the server computes it from what the counter holds by then.
fn one_more(count: &FailureCount, at: Timestamp) -> Vec<Document> {
    let forgotten = At(earlier(at, count.window));
    let until = At(later(at, count.window));
    // Zero means that nothing locks.
    let locks = doc! { "$and": [count.threshold > 0, { "$gte": ["$count", i64::from(count.threshold)] }] };
    vec![
        doc! { "$set": {
            // A counter that is not there yet has no `last_at`, which compares as less than any date.
            "count": { "$cond": [{ "$gt": ["$last_at", forgotten] }, { "$add": ["$count", 1] }, 1] },
            "last_at": { "$max": ["$last_at", At(at)] },
            "pending": one_less(),
            "expires_at": { "$max": ["$expires_at", until] },
        } },
        doc! { "$set": {
            "locked_until": { "$cond": [locks, { "$max": ["$locked_until", until] }, "$$REMOVE"] },
        } },
    ]
}

impl MongoStore {
    /// Until when each counter locks.
    pub(super) async fn find_locks(&self, keys: &[FailureKey], now: Timestamp) -> Result<Vec<Option<Timestamp>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        round_trip("find");
        let counters = self.failures.clone_with_type::<FailureDocument>();
        let finding = counters
            .find(doc! { "$or": any_of(keys, &doc! {}) })
            .max_time(READ_LIMIT);
        let found: Vec<FailureDocument> =
            bounded(READ_LIMIT, async { Ok(finding.await?.try_collect().await?) }).await?;
        let lock = |key: &FailureKey| {
            let counter = found.iter().find(|counter| counter.is_of(key))?;
            counter.locked_until.map(Timestamp::from).filter(|until| *until > now)
        };
        Ok(keys.iter().map(lock).collect())
    }

    /// Takes a place in each counter, or in none, as a part of a transaction. Should somebody else move one of them before
    /// the transaction does, that fails and is tried again, so what is seen here holds.
    pub(super) async fn take_places(
        &self,
        session: &mut ClientSession,
        counters: &[FailureCount],
        at: Timestamp,
    ) -> std::result::Result<Reservation, Halt> {
        let keys: Vec<FailureKey> = counters.iter().map(|counter| counter.key).collect();
        round_trip("find");
        let found: Vec<FailureDocument> = self
            .failures
            .clone_with_type::<FailureDocument>()
            .find(doc! { "$or": any_of(&keys, &doc! {}) })
            .session(&mut *session)
            .await?
            .stream(&mut *session)
            .try_collect()
            .await?;
        let tally = |key: &FailureKey| found.iter().find(|f| f.is_of(key)).map(FailureDocument::tally);
        let admitted = admission(counters.iter().map(|c| (*c, tally(&c.key))), at);
        if admitted != Reservation::Held {
            return Ok(admitted);
        }
        for count in counters {
            round_trip("update");
            self.failures
                .update_one(counter(&count.key), one_more_place(count, at))
                .upsert(true)
                .session(&mut *session)
                .await?;
        }
        Ok(Reservation::Held)
    }

    /// Counts wrong passwords; says until when each counter locks now.
    pub(super) async fn count_failures(
        &self,
        session: &mut ClientSession,
        counts: &[FailureCount],
        at: Timestamp,
    ) -> std::result::Result<Vec<Option<Timestamp>>, Halt> {
        let mut locks = Vec::with_capacity(counts.len());
        for count in counts {
            round_trip("findAndModify");
            let counted = self
                .failures
                .clone_with_type::<FailureDocument>()
                .find_one_and_update(counter(&count.key), one_more(count, at))
                .upsert(true)
                .return_document(ReturnDocument::After)
                .session(&mut *session)
                .await?;
            locks.push(counted.and_then(|counter| counter.locked_until).map(Timestamp::from));
        }
        Ok(locks)
    }

    /// Until when any network's counter of these logins locks still.
    pub(super) async fn locked_elsewhere(
        &self,
        session: &mut ClientSession,
        keys: &[FailureKey],
        at: Timestamp,
    ) -> std::result::Result<Option<Timestamp>, Halt> {
        let logins: Vec<Document> = keys
            .iter()
            .map(|key| doc! { "account": Id::from(key.account), "login": Digest(key.login) })
            .collect();
        if logins.is_empty() {
            return Ok(None);
        }
        round_trip("find");
        let latest = self
            .failures
            .clone_with_type::<FailureDocument>()
            .find_one(doc! { "$or": logins, "locked_until": { "$gt": At(at) } })
            .sort(doc! { "locked_until": -1 })
            .session(session)
            .await?;
        Ok(latest.and_then(|counter| counter.locked_until).map(Timestamp::from))
    }

    /// Gives places back, and forgets the failures too in those to reset. The places of other attempts stay theirs.
    pub(super) async fn give_back(
        &self,
        session: &mut ClientSession,
        reset: &[FailureKey],
        released: &[FailureKey],
    ) -> std::result::Result<(), Halt> {
        if reset.is_empty() && released.is_empty() {
            return Ok(());
        }
        // Nearly always nobody else is at it, and then nothing is left to remember.
        let mut empty = any_of(reset, &doc! { "pending": { "$not": { "$gt": 1 } } });
        empty.extend(any_of(
            released,
            &doc! { "pending": { "$not": { "$gt": 1 } }, "count": { "$lte": 0 } },
        ));
        round_trip("delete");
        let deleted = self
            .failures
            .delete_many(doc! { "$or": empty })
            .session(&mut *session)
            .await?
            .deleted_count;
        if deleted == (reset.len() + released.len()) as u64 {
            return Ok(());
        }
        for (keys, fields) in [
            (
                reset,
                doc! { "pending": one_less(), "count": 0, "locked_until": "$$REMOVE" },
            ),
            (released, doc! { "pending": one_less() }),
        ] {
            if !keys.is_empty() {
                round_trip("update");
                self.failures
                    .update_many(doc! { "$or": any_of(keys, &doc! {}) }, vec![doc! { "$set": fields }])
                    .session(&mut *session)
                    .await?;
            }
        }
        Ok(())
    }
}

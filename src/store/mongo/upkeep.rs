//! What keeps the store in order.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::TryStreamExt;
use mongodb::Collection;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::connect::{deployment, hello};
use super::documents::{At, word};
use super::error::is_no_index;
use super::transaction::{INTENT_LIMIT, bounded};
use super::{MongoStore, indexes, round_trip};
use crate::domain::mail::MailState;
use crate::store::{AccountStore as _, Load, NewPerson, Result, Retention, StoreCheck, StoreError, Upkeep};

/// The longest that a ping takes: under the two seconds that `/readyz` has.
const PING_LIMIT: Duration = Duration::from_millis(1_900);
/// The longest that one step of a check takes.
const CHECK_LIMIT: Duration = Duration::from_secs(10);
/// The longest that the indexes take after a bulk load.
const LOAD_LIMIT: Duration = Duration::from_secs(600);
/// How much is removed in one step.
const PURGE_STEP: i64 = 1_000;
/// The oldest server that will do: `$lookup` and `$unionWith` over sharded collections, and clustered transactions.
const OLDEST: (u32, u32) = (6, 0);

/// A document's id, of whatever type.
#[derive(Deserialize)]
struct Named {
    #[serde(rename = "_id")]
    id: Bson,
}

impl MongoStore {
    /// Removes what matches, a step at a time.
    pub(super) async fn purge_from<D: Send + Sync>(&self, collection: &Collection<D>, filter: Document) -> Result<u64> {
        let named = collection.clone_with_type::<Named>();
        let mut removed = 0;
        loop {
            round_trip("find");
            let finding = named
                .find(filter.clone())
                .projection(doc! { "_id": 1 })
                .limit(PURGE_STEP)
                .batch_size(1_001);
            let found: Vec<Named> = bounded(INTENT_LIMIT, async { Ok(finding.await?.try_collect().await?) }).await?;
            if found.is_empty() {
                return Ok(removed);
            }
            let ids: Vec<Bson> = found.into_iter().map(|named| named.id).collect();
            // What was used again since then no longer matches, and stays.
            let step = doc! { "$and": [{ "_id": { "$in": ids } }, filter.clone()] };
            round_trip("delete");
            let removing = collection.delete_many(step);
            removed += bounded(INTENT_LIMIT, async { Ok(removing.await?.deleted_count) }).await?;
        }
    }

    async fn check_version(&self) -> Result<String> {
        round_trip("buildInfo");
        let asking = self.database.run_command(doc! { "buildInfo": 1 });
        let info = bounded(CHECK_LIMIT, async { Ok(asking.await?) }).await?;
        let version = info.get_str("version").unwrap_or("unknown").to_owned();
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        if (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) < OLDEST {
            let (major, minor) = OLDEST;
            return Err(StoreError::Setup(format!(
                "MongoDB is of version {version}; {major}.{minor} or later is needed"
            )));
        }
        Ok(format!("MongoDB {version}"))
    }

    async fn check_deployment(&self) -> Result<String> {
        let hello = bounded(CHECK_LIMIT, async { Ok(hello(&self.client).await?) }).await?;
        deployment(&hello).map_err(StoreError::Setup)
    }

    async fn check_indexes(&self) -> Result<String> {
        let (looked_at, differences) =
            bounded(CHECK_LIMIT, async { Ok(indexes::differences(&self.database).await?) }).await?;
        if differences.is_empty() {
            return Ok(format!("all {looked_at} are there"));
        }
        Err(StoreError::Setup(format!(
            "{}; drop those that differ and start Doorward, which makes them",
            differences.join("; ")
        )))
    }
}

#[async_trait]
impl Upkeep for MongoStore {
    async fn ping(&self) -> Result<()> {
        round_trip("ping");
        let pinging = self.database.run_command(doc! { "ping": 1 });
        bounded(PING_LIMIT, async { Ok(pinging.await.map(drop)?) }).await
    }

    async fn check(&self) -> Vec<StoreCheck> {
        let said = |outcome: Result<String>| outcome.map_err(|e| e.to_string());
        let step = |name: &str, outcome| StoreCheck {
            name: name.to_owned(),
            outcome,
        };
        let connection = self
            .ping()
            .await
            .map(|()| format!("the database {} answers", self.database.name()));
        vec![
            step("connection", said(connection)),
            step("version", said(self.check_version().await)),
            step("deployment", said(self.check_deployment().await)),
            step("indexes", said(self.check_indexes().await)),
        ]
    }

    async fn purge(&self, retention: &Retention) -> Result<u64> {
        let now = At(retention.now);
        let mut removed = self.clear_deleted(retention.now).await?;
        removed += self
            .purge_from(&self.sessions, doc! { "expires_at": { "$lte": now } })
            .await?;
        removed += self
            .purge_from(&self.failures, doc! { "expires_at": { "$lte": now } })
            .await?;
        removed += self
            .purge_from(&self.attempts, doc! { "ends_at": { "$lte": now } })
            .await?;
        removed += self
            .purge_from(&self.leases, doc! { "expires_at": { "$lte": now } })
            .await?;
        let history_before = doc! { "at": { "$lt": At(retention.history_before) } };
        removed += self.purge_from(&self.login_events, history_before).await?;
        let audit_before = doc! { "at": { "$lt": At(retention.audit_before) } };
        removed += self.purge_from(&self.audit, audit_before).await?;
        let over = doc! { "$lt": At(retention.audit_before) };
        let tokens_over = doc! { "$or": [{ "revoked_at": over.clone() }, { "expires_at": over }] };
        removed += self.purge_from(&self.api_tokens, tokens_over).await?;
        let ended = [MailState::Sent, MailState::Failed, MailState::Dropped];
        let ended = ended.iter().map(word).collect::<Result<Vec<_>>>()?;
        let mails_over = doc! { "state": { "$in": ended }, "created_at": { "$lt": At(retention.mail_before) } };
        removed += self.purge_from(&self.mails, mails_over).await?;
        let links_over = doc! { "expires_at": { "$lt": At(retention.links_before) } };
        removed += self.purge_from(&self.links, links_over).await?;
        Ok(removed)
    }

    async fn insert_people(&self, people: &[NewPerson]) -> Result<()> {
        self.load_people(people).await
    }

    async fn begin_load(&self, load: Load) -> Result<()> {
        bounded(INTENT_LIMIT, async {
            round_trip("count");
            let some = self.users.count_documents(doc! {}).limit(Load::FEW_USERS.into());
            if some.await? < Load::FEW_USERS.into() {
                for name in indexes::LATE {
                    round_trip("dropIndexes");
                    match self.users.drop_index(name).await {
                        Err(error) if is_no_index(&error) => {}
                        dropped => dropped?,
                    }
                }
            }
            if load == Load::History {
                round_trip("find");
                let events = self.login_events.clone_with_type::<Document>();
                let any = events.find_one(doc! {}).projection(doc! { "_id": 1 });
                if any.await?.is_none() {
                    round_trip("dropIndexes");
                    self.login_events.drop_indexes().await?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn end_load(&self, _: Load) -> Result<()> {
        // Ten million sign-ins take a minute or two to index.
        bounded(LOAD_LIMIT, async { Ok(indexes::create(&self.database).await?) }).await
    }

    async fn close(&self) {
        self.feed.close().await;
        // What is under way elsewhere fails rather than being waited for; what was acknowledged is in the journal.
        self.client.clone().shutdown().immediate(true).await;
    }
}

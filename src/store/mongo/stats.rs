//! Sign-ins counted for plots.

use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use serde::Deserialize;

use super::MongoStore;
use super::documents::{At, Id, word};
use crate::domain::ids::AccountId;
use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::store::{LoginCounts, Result};

/// What happened from one edge on.
#[derive(Deserialize)]
struct Row {
    #[serde(rename = "_id")]
    start: At,
    succeeded: i64,
    failed: i64,
    unique_users: i64,
}

fn pipeline(account: AccountId, edges: &[Timestamp], first: Timestamp, last: Timestamp) -> Result<Vec<Document>> {
    let boundaries: Vec<Bson> = edges.iter().map(|edge| At(*edge).into()).collect();
    let success = doc! { "$eq": ["$outcome", word(&LoginOutcome::Success)?] };
    Ok(vec![
        doc! { "$match": {
            "account": Id::from(account),
            "at": { "$gte": At(first), "$lt": At(last) },
            "method": { "$ne": word(&LoginMethod::Impersonation)? },
        } },
        doc! { "$bucket": { "groupBy": "$at", "boundaries": boundaries, "output": {
            "succeeded": { "$sum": { "$cond": [success.clone(), 1_i64, 0_i64] } },
            "failed": { "$sum": { "$cond": [success.clone(), 0_i64, { "$toLong": "$attempts" }] } },
            "users": { "$addToSet": { "$cond": [success, "$user", Bson::Null] } },
        } } },
        doc! { "$set": { "unique_users": { "$toLong": { "$size": { "$setDifference": ["$users", [Bson::Null]] } } } } },
        doc! { "$unset": "users" },
    ])
}

impl MongoStore {
    /// One walk along the account's index, counted on the server.
    pub(super) async fn count_logins(&self, account: AccountId, edges: &[Timestamp]) -> Result<Vec<LoginCounts>> {
        let mut counts = vec![LoginCounts::default(); edges.len().saturating_sub(1)];
        let mut distinct = edges.to_vec();
        distinct.dedup();
        let (Some(first), Some(last)) = (distinct.first(), distinct.last()) else {
            return Ok(counts);
        };
        if first == last {
            return Ok(counts);
        }
        let pipeline = pipeline(account, &distinct, *first, *last)?;
        let rows: Vec<Row> = self.aggregate(&self.login_events, pipeline, distinct.len()).await?;
        for row in rows {
            let start = Timestamp::from(row.start);
            // Of edges that are the same, the last begins what has any width.
            let place = edges.iter().rposition(|edge| *edge == start);
            if let Some(bucket) = place.and_then(|place| counts.get_mut(place)) {
                let number = |n: i64| u64::try_from(n).unwrap_or(0);
                *bucket = LoginCounts {
                    succeeded: number(row.succeeded),
                    failed: number(row.failed),
                    unique_users: number(row.unique_users),
                };
            }
        }
        Ok(counts)
    }
}

//! Sign-ins counted for plots.

use std::collections::HashSet;

use jiff::Timestamp;
use rusqlite::{Connection, params};

use crate::domain::ids::AccountId;
use crate::store::sqlite::rows::{Id, millis};
use crate::store::{LoginCounts, Result};

/// One walk along the account's index; what is kept is who signed in between two edges.
pub(super) fn count(connection: &Connection, account: AccountId, edges: &[Timestamp]) -> Result<Vec<LoginCounts>> {
    let mut counts = vec![LoginCounts::default(); edges.len().saturating_sub(1)];
    let (Some(first), Some(last)) = (edges.first(), edges.last()) else {
        return Ok(counts);
    };
    let edges: Vec<i64> = edges.iter().map(|edge| millis(*edge)).collect();
    let mut statement = connection.prepare_cached(
        "SELECT at, outcome = 'SUCCESS', attempts, user FROM login_events \
         WHERE account = ? AND at >= ? AND at < ? AND method <> 'IMPERSONATION' ORDER BY at",
    )?;
    let mut rows = statement.query(params![account.blob(), millis(*first), millis(*last)])?;
    let (mut place, mut users) = (0, HashSet::new());
    while let Some(row) = rows.next()? {
        let (at, success): (i64, bool) = (row.get(0)?, row.get(1)?);
        while edges.get(place + 1).is_some_and(|end| *end <= at) {
            place += 1;
            users.clear();
        }
        let Some(bucket) = counts.get_mut(place) else { break };
        if success {
            bucket.succeeded += 1;
            if let Some(user) = row.get::<_, Option<[u8; 16]>>(3)?
                && users.insert(user)
            {
                bucket.unique_users += 1;
            }
        } else {
            bucket.failed += u64::from(row.get::<_, u32>(2)?);
        }
    }
    Ok(counts)
}

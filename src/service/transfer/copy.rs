//! A whole store into another.
//!
//! Records go kind by kind in the order of their identifiers. What is in the target already is compared first, so that a copy
//! that was interrupted goes on where it was, whatever has happened to the source since then; at the end both stores are read
//! once more and compared by counts and digests. A lease in the target says whose copy it holds until that has come out
//! equal.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::domain::account::AccountName;
use crate::domain::ids::UserId;
use crate::domain::text::hex;
use crate::store::transfer::{Kind, Record};
use crate::store::{Load, Store, StoreError};

/// The lease in the target of a copy that is not whole yet: the source's `system` account holds it.
const LEASE: &str = "copy";

/// Why nothing, or not everything, was copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The stores are not a source and a target: says what to do.
    #[error("{0}")]
    Refused(String),
    /// One of the stores failed. The same copy goes on from there.
    #[error("{which}: {reason}")]
    Store {
        /// "the source" or "the target".
        which: &'static str,
        /// What it says.
        reason: StoreError,
    },
}

type Result<T> = std::result::Result<T, CopyError>;

fn source<T>(result: crate::store::Result<T>) -> Result<T> {
    result.map_err(|reason| CopyError::Store {
        which: "the source",
        reason,
    })
}

fn target<T>(result: crate::store::Result<T>) -> Result<T> {
    result.map_err(|reason| CopyError::Store {
        which: "the target",
        reason,
    })
}

/// What a copy is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyStage {
    /// Taking what the source no longer has out of a copy that was begun before.
    Clearing,
    /// Writing records.
    Copying,
    /// Letting users carry their last sign-ins.
    Settling,
    /// Reading both stores and comparing them.
    Verifying,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy)]
pub struct CopyProgress {
    /// What it is at.
    pub stage: CopyStage,
    /// Of which kind.
    pub kind: Kind,
    /// Records of the kind that are done.
    pub done: u64,
    /// Records of the kind, about.
    pub total: u64,
}

/// What became of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KindReport {
    /// Which kind.
    pub kind: Kind,
    /// Records that were written now.
    pub written: u64,
    /// Records that were taken out of the target, as the source no longer has them.
    pub removed: u64,
    /// How many the source has, and the SHA-256 over their digests in the order of their ids.
    pub source: Tally,
    /// The same of the target.
    pub target: Tally,
}

impl KindReport {
    /// Do source and target hold the same?
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.source == self.target
    }
}

/// The records of one kind in one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// How many.
    pub count: u64,
    /// SHA-256 over the digest of each, in the order of their ids.
    pub digest: [u8; 32],
}

impl Tally {
    /// The digest in hexadecimal.
    #[must_use]
    pub fn hex(&self) -> String {
        hex(&self.digest)
    }
}

/// Copies `from` into `to`, which must be empty or hold a copy of the same source that was interrupted; says what each kind
/// came to. What is not the same at the end can be copied by another run. Neither store should be served meanwhile.
///
/// # Errors
/// [`CopyError`].
pub async fn copy_store(
    from: Arc<dyn Store>,
    to: Arc<dyn Store>,
    now: Timestamp,
    progress: &(dyn Fn(CopyProgress) + Send + Sync),
) -> Result<Vec<KindReport>> {
    let copying = Copying {
        from: from.as_ref(),
        to: to.as_ref(),
        progress,
    };
    let system = source(from.account_by_name(&AccountName::system()).await)?;
    let system = system.ok_or_else(|| CopyError::Refused("the source holds nothing yet".to_owned()))?;
    let id = system.id.as_uuid();
    // What deleted accounts left behind is not copied.
    source(from.clear_deleted(now).await)?;
    let mut reports: Vec<KindReport> = Vec::new();
    let begun = copying.prepare(id, now).await?;
    if begun == Begun::Whole {
        for kind in Kind::ALL {
            reports.push(copying.verify(kind, 0, 0).await?);
        }
        return if reports.iter().all(KindReport::is_equal) {
            Ok(reports)
        } else {
            let message = "the target holds an earlier copy of the source, which is no longer the same; nothing was \
                           changed: name an empty database";
            Err(CopyError::Refused(message.to_owned()))
        };
    }
    let mut removed = HashMap::new();
    if begun == Begun::Before {
        for kind in Kind::ALL.into_iter().rev() {
            removed.insert(kind, copying.clear(kind).await?);
        }
    }
    target(to.begin_load(Load::History).await)?;
    let mut written = HashMap::new();
    let mut outcome = Ok(());
    for kind in Kind::ALL {
        match copying.copy(kind).await {
            Ok(count) => {
                written.insert(kind, count);
            }
            Err(error) => {
                outcome = Err(error);
                break;
            }
        }
    }
    // Whatever became of the load, what it put off is made up for.
    let ended = target(to.end_load(Load::History).await);
    outcome?;
    ended?;
    copying.settle(begun).await?;
    for kind in Kind::ALL {
        let count = |counts: &HashMap<Kind, u64>| counts.get(&kind).copied().unwrap_or(0);
        reports.push(copying.verify(kind, count(&written), count(&removed)).await?);
    }
    if reports.iter().all(KindReport::is_equal) {
        target(to.drop_lease(LEASE, id).await)?;
    }
    Ok(reports)
}

/// How the target was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begun {
    /// Empty.
    Now,
    /// With a part of a copy.
    Before,
    /// With a copy that was whole once.
    Whole,
}

struct Copying<'a> {
    from: &'a dyn Store,
    to: &'a dyn Store,
    progress: &'a (dyn Fn(CopyProgress) + Send + Sync),
}

impl Copying<'_> {
    fn tell(&self, stage: CopyStage, kind: Kind, done: u64, total: u64) {
        (self.progress)(CopyProgress {
            stage,
            kind,
            done,
            total: total.max(done),
        });
    }

    /// Makes sure that the target is one, and takes it for this source.
    async fn prepare(&self, source_id: Uuid, now: Timestamp) -> Result<Begun> {
        let begun = match target(self.to.lease_holder(LEASE).await)? {
            Some(holder) if holder == source_id => Begun::Before,
            Some(_) => {
                let message =
                    "the target holds a part of another store's copy; finish that one, or name an empty database";
                return Err(CopyError::Refused(message.to_owned()));
            }
            None => self.look_at_target(source_id).await?,
        };
        if begun != Begun::Whole && !target(self.to.take_lease(LEASE, source_id, now, Timestamp::MAX).await)? {
            let message = "another copy into the target began at the same moment";
            return Err(CopyError::Refused(message.to_owned()));
        }
        Ok(begun)
    }

    /// A target without a lease is empty but for what every command leaves behind, or whole.
    async fn look_at_target(&self, source_id: Uuid) -> Result<Begun> {
        let system = target(self.to.account_by_name(&AccountName::system()).await)?;
        if system.is_some_and(|account| account.id.as_uuid() == source_id) {
            return Ok(Begun::Whole);
        }
        let mut leftovers = Vec::new();
        for kind in Kind::ALL {
            let records = target(self.to.scan(kind, None, 10).await)?;
            let made_by_itself = match kind {
                Kind::Accounts => {
                    records.len() <= 1
                        && records
                            .iter()
                            .all(|r| matches!(r, Record::Account(account) if account.name.is_system()))
                }
                // The system account's Main group, and the entry that says that it was made.
                Kind::Groups | Kind::AuditEntries => records.len() <= 1,
                _ => records.is_empty(),
            };
            if !made_by_itself {
                let message = format!(
                    "the target holds {} already, and no copy of this source that was begun; name an empty database",
                    kind.name()
                );
                return Err(CopyError::Refused(message));
            }
            leftovers.push((kind, records.iter().map(Record::id).collect::<Vec<_>>()));
        }
        for (kind, ids) in leftovers.iter().rev() {
            target(self.to.remove(*kind, ids).await)?;
        }
        Ok(Begun::Now)
    }

    /// Takes what the source does not have any more out of the target.
    async fn clear(&self, kind: Kind) -> Result<u64> {
        let total = target(self.to.estimate(kind).await)?;
        let (mut after, mut done, mut removed) = (None, 0, 0);
        loop {
            let (there, wanted) = try_join(async { target(self.to.scan(kind, after, kind.batch()).await) }, async {
                source(self.from.scan(kind, after, kind.batch()).await)
            })
            .await?;
            let Some(last) = there.last().map(Record::id) else {
                return Ok(removed);
            };
            let reach = wanted.last().map(Record::id);
            let is_all = wanted.len() < kind.batch();
            // As far as both were read.
            let end = reach.filter(|reach| !is_all && *reach < last).unwrap_or(last);
            let has = |id: Uuid| wanted.binary_search_by_key(&id, Record::id).is_ok();
            let within: Vec<Uuid> = there.iter().map(Record::id).filter(|id| *id <= end).collect();
            let gone: Vec<Uuid> = within.iter().copied().filter(|id| !has(*id)).collect();
            if !gone.is_empty() {
                target(self.to.remove(kind, &gone).await)?;
            }
            removed += gone.len() as u64;
            done += within.len() as u64;
            self.tell(CopyStage::Clearing, kind, done, total);
            after = Some(end);
        }
    }

    /// Writes what the target does not have, or has otherwise.
    async fn copy(&self, kind: Kind) -> Result<u64> {
        let total = source(self.from.estimate(kind).await)?;
        let is_empty = target(self.to.scan(kind, None, 1).await)?.is_empty();
        let (mut done, mut written) = (0, 0);
        let mut batch = source(self.from.scan(kind, None, kind.batch()).await)?;
        let mut before = None;
        while let Some(last) = batch.last().map(Record::id) {
            let count = batch.len() as u64;
            // The next ones are read while these are written.
            let (next, put) = try_join(
                async { source(self.from.scan(kind, Some(last), kind.batch()).await) },
                self.write(kind, before, batch, is_empty),
            )
            .await?;
            done += count;
            written += put;
            self.tell(CopyStage::Copying, kind, done, total);
            before = Some(last);
            batch = next;
        }
        Ok(written)
    }

    async fn write(&self, kind: Kind, after: Option<Uuid>, mut batch: Vec<Record>, is_empty: bool) -> Result<u64> {
        if !is_empty {
            // The target has none that the source has not, so that these are all of this stretch.
            let there = target(self.to.scan(kind, after, batch.len()).await)?;
            batch.retain(|record| {
                let found = there.binary_search_by_key(&record.id(), Record::id);
                found.ok().and_then(|index| there.get(index)) != Some(record)
            });
        }
        if !batch.is_empty() {
            target(self.to.put(&batch).await)?;
        }
        Ok(batch.len() as u64)
    }

    async fn settle(&self, begun: Begun) -> Result<()> {
        // Nobody carries any then, unless an earlier run let them.
        if begun == Begun::Now && target(self.to.scan(Kind::LoginEvents, None, 1).await)?.is_empty() {
            return Ok(());
        }
        let kind = Kind::Users;
        let total = target(self.to.estimate(kind).await)?;
        let (mut after, mut done) = (None, 0);
        loop {
            let users = target(self.to.scan(kind, after, kind.batch()).await)?;
            let Some(last) = users.last().map(Record::id) else {
                return Ok(());
            };
            let ids: Vec<UserId> = users.iter().map(|user| UserId::from_uuid(user.id())).collect();
            target(self.to.settle_logins(&ids).await)?;
            done += ids.len() as u64;
            self.tell(CopyStage::Settling, kind, done, total);
            after = Some(last);
        }
    }

    async fn verify(&self, kind: Kind, written: u64, removed: u64) -> Result<KindReport> {
        let total = source(self.from.estimate(kind).await)?;
        let (source, target) = try_join(
            async { source(self.tally(self.from, kind, Some(total)).await) },
            async { target(self.tally(self.to, kind, None).await) },
        )
        .await?;
        Ok(KindReport {
            kind,
            written,
            removed,
            source,
            target,
        })
    }

    async fn tally(&self, store: &dyn Store, kind: Kind, told: Option<u64>) -> crate::store::Result<Tally> {
        let (mut hasher, mut count, mut after) = (Sha256::new(), 0, None);
        loop {
            let records = store.scan(kind, after, kind.batch()).await?;
            for record in &records {
                hasher.update(record.digest()?);
            }
            count += records.len() as u64;
            if let Some(total) = told {
                self.tell(CopyStage::Verifying, kind, count, total);
            }
            let Some(last) = records.last() else {
                return Ok(Tally {
                    count,
                    digest: hasher.finalize().into(),
                });
            };
            after = Some(last.id());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::store::contract::sample::{Maker, at, embedded, token};

    #[tokio::test]
    async fn users_settle_again_when_the_source_lost_its_last_sign_in() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from.db", "to.db"].map(|name| embedded(&folder.path().join(name)));
        let mut make = Maker::default();
        let system = make.stored_account(&from, "system").await;
        let ann = make.stored_user(&from, &system, "ann").await;
        let settles = async || {
            let settles = AtomicBool::new(false);
            let progress = |now: CopyProgress| {
                settles.fetch_or(now.stage == CopyStage::Settling, Ordering::Relaxed);
            };
            let copying = copy_store(Arc::clone(&from), Arc::clone(&to), at(0), &progress);
            assert!(copying.await.unwrap().iter().all(KindReport::is_equal));
            settles.into_inner()
        };
        assert!(!settles().await, "nobody ever signed in");

        // As an earlier run leaves the target whose source changed meanwhile: settled and not equal.
        let id = system.id.as_uuid();
        assert!(to.take_lease(LEASE, id, at(0), Timestamp::MAX).await.unwrap());
        let sign_in = make.sign_in(&ann, 7, token(1));
        from.record_login(&sign_in).await.unwrap();
        assert!(settles().await);
        assert!(to.take_lease(LEASE, id, at(0), Timestamp::MAX).await.unwrap());
        let removed = [sign_in.event.id.as_uuid()];
        from.remove(Kind::LoginEvents, &removed).await.unwrap();
        assert!(settles().await);
    }
}

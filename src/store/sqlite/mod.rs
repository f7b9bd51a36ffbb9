//! The embedded store: SQLite in one file, in WAL mode.
//!
//! One connection writes, in `IMMEDIATE` transactions and with `synchronous = FULL`, so that what was acknowledged
//! outlives a power cut; several read, each from a snapshot of its own. Another process on the same file (the command
//! line beside a server) waits its turn for up to [`BUSY`]. No call blocks an async worker.

mod account;
mod audit;
mod avatar;
mod connection;
mod directory;
mod error;
mod failures;
mod grants;
mod group;
mod history;
mod indexes;
mod keyset;
mod link;
mod live;
mod login;
mod mail;
mod names;
mod report;
mod role;
mod rows;
mod session;
mod stats;
mod token;
mod transfer;
mod upkeep;
mod user;
mod user_list;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rusqlite::{Transaction, TransactionBehavior};

use crate::store::Result;
use crate::store::changes::Changes;
use connection::Pool;

pub use connection::BUSY;

/// A store in one SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    writer: Pool,
    readers: Pool,
    feed: live::Feed,
    changes: Changes,
}

impl SqliteStore {
    /// Opens the file, or makes it together with its directory (readable by the owner only, on Unix), and brings its
    /// schema up to date. Blocks for as long as that takes, which is milliseconds unless another process is at it too.
    ///
    /// # Errors
    /// [`Setup`](crate::store::StoreError::Setup) that names the path and what would be right: the place is missing or
    /// cannot be written, the file is no database, or it was written by a newer Doorward.
    pub fn open(path: &Path) -> Result<Self> {
        connection::prepare_file(path)?;
        let mut writer = connection::open(path)?;
        connection::migrate(&mut writer, path)?;
        indexes::make(&writer)?; // a bulk load may have been cut off
        let readers = std::thread::available_parallelism().map_or(1, usize::from) + 2;
        let readers = (0..readers)
            .map(|_| connection::open_reader(path))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self {
            path: path.to_owned(),
            writer: Pool::new(vec![writer]),
            readers: Pool::new(readers),
            feed: live::Feed::default(),
            changes: Changes::default(),
        })
    }

    /// One round trip that reads, all of it from one snapshot.
    async fn read<T: Send + 'static>(
        &self,
        intent: &'static str,
        f: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        tracing::trace!(target: "doorward::store", intent, "read");
        self.readers.run(move |connection| f(&connection.transaction()?)).await
    }

    /// One round trip that writes: all of it or, on any error, nothing. It is one of the
    /// [changes](crate::store::LiveStore::changes).
    async fn write<T: Send + 'static>(
        &self,
        intent: &'static str,
        f: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let change = self.changes.begin();
        let counted = move |tx: &Transaction<'_>| f(tx).map(|outcome| (outcome, change));
        Ok(self.write_quietly(intent, counted).await?.0)
    }

    /// The same for what changes nobody's rights.
    async fn write_quietly<T: Send + 'static>(
        &self,
        intent: &'static str,
        f: impl FnOnce(&Transaction<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        tracing::trace!(target: "doorward::store", intent, "write");
        self.writer
            .run(move |connection| {
                let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
                let outcome = f(&transaction)?;
                transaction.commit()?;
                Ok(outcome)
            })
            .await
    }
}

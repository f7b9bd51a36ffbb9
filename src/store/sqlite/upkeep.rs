//! What keeps the store itself in order.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::{Connection, Transaction, params};

use crate::store::sqlite::connection::{self, SCHEMA};
use crate::store::sqlite::rows::millis;
use crate::store::sqlite::{SqliteStore, history, indexes, user};
use crate::store::{AccountStore as _, Load, NewPerson, Result, Retention, StoreCheck, StoreError, Upkeep};

/// What `/readyz` waits for.
const PING: Duration = Duration::from_secs(2);

/// How many entries one step of a purge removes, so that it holds up writers for milliseconds only.
const STEP: u32 = 1000;

/// The tables and indexes of a database.
fn objects(connection: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    connection
        .prepare("SELECT type || ' ' || name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")?
        .query_map([], |row| row.get(0))?
        .collect()
}

/// The tables and indexes that there must be.
fn expected_objects() -> Result<BTreeSet<String>> {
    Ok(objects(&connection::model()?)?)
}

impl SqliteStore {
    /// Writes step after step until one does less than `full`; says how much was done.
    pub(super) async fn in_steps(
        &self,
        intent: &'static str,
        full: usize,
        step: impl Fn(&Transaction<'_>) -> Result<usize> + Clone + Send + 'static,
    ) -> Result<u64> {
        let mut done = 0;
        loop {
            let step = step.clone();
            let count = self.write(intent, move |tx| step(tx)).await?;
            done += count as u64;
            if count < full {
                return Ok(done);
            }
        }
    }
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn ping(&self) -> Result<()> {
        let ask = self.read("ping", |tx| {
            Ok(tx.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?)
        });
        tokio::time::timeout(PING, ask)
            .await
            .map_err(|_| StoreError::Unavailable("it did not answer within two seconds".to_owned()))?
    }

    async fn check(&self) -> Vec<StoreCheck> {
        let path = self.path.display();
        let opened = self.read("check", |tx| Ok(connection::version(tx)?)).await;
        let version = match opened {
            Ok(version) if version == SCHEMA => Ok(format!("{path}, schema {version}")),
            Ok(version) => Err(format!(
                "{path} is at schema {version} and not {SCHEMA}; restart Doorward, which brings it up to date"
            )),
            Err(error) => Err(format!("{path}: {error}")),
        };
        let indexes = self
            .read("check", |tx| {
                Ok(expected_objects()?
                    .difference(&objects(tx)?)
                    .cloned()
                    .collect::<Vec<_>>())
            })
            .await;
        let indexes = match indexes {
            Ok(missing) if missing.is_empty() => Ok("all there".to_owned()),
            Ok(missing) => Err(format!(
                "missing: {}; restore the file from a backup",
                missing.join(", ")
            )),
            Err(error) => Err(error.to_string()),
        };
        // The lock that every write takes, and the file system behind it.
        let writable = self
            .write("check", |tx| Ok(tx.pragma_update(None, "user_version", SCHEMA)?))
            .await;
        let writable = match writable {
            Ok(()) => Ok("can be written".to_owned()),
            Err(error) => Err(format!(
                "{path}: {error}; let this user write to it and to its directory"
            )),
        };
        [
            ("SQLite database", version),
            ("tables and indexes", indexes),
            ("write", writable),
        ]
        .map(|(name, outcome)| StoreCheck {
            name: name.to_owned(),
            outcome,
        })
        .into()
    }

    async fn begin_load(&self, _: Load) -> Result<()> {
        self.writer
            .run(|connection| {
                connection::LOAD.apply(connection)?;
                indexes::drop_while_few(connection)
            })
            .await
    }

    async fn end_load(&self, _: Load) -> Result<()> {
        self.writer
            .run(|connection| {
                connection::EVERYDAY.apply(connection)?;
                connection.execute_batch("PRAGMA shrink_memory")?;
                indexes::make(connection)?;
                // As far as nobody reads an older state: nobody is waited for.
                Ok(connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))?)
            })
            .await
    }

    async fn purge(&self, retention: &Retention) -> Result<u64> {
        let steps = [
            (
                "DELETE FROM sessions WHERE rowid IN (SELECT rowid FROM sessions WHERE expires_at <= ? LIMIT ?)",
                retention.now,
            ),
            (
                "DELETE FROM failures WHERE (account, login, network) IN \
                 (SELECT account, login, network FROM failures WHERE expires_at <= ? LIMIT ?)",
                retention.now,
            ),
            (
                "DELETE FROM attempts WHERE (key, window_start) IN \
                 (SELECT key, window_start FROM attempts WHERE expires_at <= ? LIMIT ?)",
                retention.now,
            ),
            (
                "DELETE FROM leases WHERE name IN (SELECT name FROM leases WHERE expires_at <= ? LIMIT ?)",
                retention.now,
            ),
            (
                "DELETE FROM login_events WHERE rowid IN (SELECT rowid FROM login_events WHERE at < ? LIMIT ?)",
                retention.history_before,
            ),
            (
                "DELETE FROM audit_entries WHERE rowid IN (SELECT rowid FROM audit_entries WHERE at < ? LIMIT ?)",
                retention.audit_before,
            ),
            (
                "DELETE FROM api_tokens WHERE rowid IN \
                 (SELECT rowid FROM api_tokens WHERE min(coalesce(revoked_at, expires_at), coalesce(expires_at, revoked_at)) < ? \
                 LIMIT ?)",
                retention.audit_before,
            ),
            (
                "DELETE FROM mails WHERE rowid IN (SELECT rowid FROM mails \
                 WHERE state IN ('SENT', 'FAILED', 'DROPPED') AND created_at < ? LIMIT ?)",
                retention.mail_before,
            ),
            (
                "DELETE FROM links WHERE rowid IN (SELECT rowid FROM links WHERE expires_at < ? LIMIT ?)",
                retention.links_before,
            ),
        ];
        let mut gone = self.clear_deleted(retention.now).await?;
        for (sql, limit) in steps {
            let step = move |tx: &Transaction<'_>| Ok(tx.prepare_cached(sql)?.execute(params![millis(limit), STEP])?);
            gone += self.in_steps("purge", STEP as usize, step).await?;
        }
        Ok(gone)
    }

    async fn insert_people(&self, people: &[NewPerson]) -> Result<()> {
        let people = people.to_vec();
        self.write("insert_people", move |tx| {
            for person in &people {
                user::insert(tx, &person.user, person.password.as_ref())?;
                person.events.iter().try_for_each(|event| history::insert(tx, event))?;
            }
            Ok(())
        })
        .await
    }

    async fn close(&self) {
        self.feed.close().await;
        drop(self.readers.close().await);
        let writer = self.writer.close().await;
        let checkpoint = move || {
            for connection in writer {
                // Without it the next start reads the log instead: slower, but nothing is lost.
                if let Err(error) = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
                    tracing::warn!(%error, "the database's log could not be folded into its file");
                }
            }
        };
        if let Err(error) = tokio::task::spawn_blocking(checkpoint).await {
            tracing::warn!(%error, "the database was not closed in order");
        }
    }
}

//! Connections: how a file is opened and brought up to date, and who may use it when.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use tokio::sync::Semaphore;

use crate::store::{Result, StoreError};

/// How long a call waits for a connection, and then for another process, before the store counts as unavailable.
pub const BUSY: Duration = Duration::from_secs(10);

/// The schema's versions, oldest first; a file's `user_version` says how many of them it has.
pub(super) const MIGRATIONS: [&str; 8] = [
    include_str!("migrations/0001_init.sql"),
    include_str!("migrations/0002_deletions.sql"),
    include_str!("migrations/0003_api_tokens.sql"),
    include_str!("migrations/0004_avatars.sql"),
    include_str!("migrations/0005_directories.sql"),
    include_str!("migrations/0006_reservations.sql"),
    include_str!("migrations/0007_mails.sql"),
    include_str!("migrations/0008_finding_users.sql"),
];

/// How many migrations a file has had that is up to date.
pub(super) const SCHEMA: i64 = MIGRATIONS.len() as i64;

/// Statements that a connection keeps prepared: more than there are in the code, and room for the lists' variants.
const STATEMENTS: usize = 256;

/// Makes the directory and an empty file where there is none, for the owner only.
pub(super) fn prepare_file(path: &Path) -> Result<()> {
    let setup = |what: &str, at: &Path, error: &dyn std::fmt::Display| {
        StoreError::Setup(format!(
            "cannot {what} {}: {error}; name a place that this user may write to, such as sqlite:doorward-data/doorward.db",
            at.display()
        ))
    };
    if path.is_dir() {
        return Err(StoreError::Setup(format!(
            "{} is a directory; name a file in it, such as {}",
            path.display(),
            path.join("doorward.db").display()
        )));
    }
    if let Some(directory) = path.parent().filter(|d| !d.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder
            .create(directory)
            .map_err(|e| setup("make the directory", directory, &e))?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
        .open(path)
        .map(drop)
        .map_err(|e| setup("open the database", path, &e))
}

/// A connection that may write.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let explained = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => StoreError::Setup(format!(
            "{} is not a database of Doorward's ({error}); name another file, or one that is not there yet",
            path.display()
        )),
        _ => StoreError::Setup(format!("cannot open the database {}: {error}", path.display())),
    };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(explained)?;
    connection.busy_timeout(BUSY).map_err(explained)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // The change into WAL mode does not wait for other connections by itself.
    let begun = Instant::now();
    loop {
        match connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0)) {
            Ok(mode) if mode == "wal" => break,
            Ok(mode) => {
                return Err(StoreError::Setup(format!(
                    "{} cannot be used in WAL mode (it is in mode {mode}); keep it on a local disk, not on a network's",
                    path.display()
                )));
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && begun.elapsed() < BUSY => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(explained(error)),
        }
    }
    for (pragma, value) in [("foreign_keys", "ON"), ("temp_store", "MEMORY")] {
        connection.pragma_update(None, pragma, value).map_err(explained)?;
    }
    // The log gives back what it took for a while.
    connection
        .pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))
        .map_err(explained)?;
    EVERYDAY.apply(&connection).map_err(explained)?;
    for_any_values(&connection).map_err(explained)?;
    Ok(connection)
}

/// A plan holds for any values: otherwise a statement is prepared anew for each that is bound where a plan could make
/// something of it, which took a third of the time of a page.
fn for_any_values(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
}

/// An empty database in memory, with all that a file must have; it plans as any other.
pub(super) fn model() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    for_any_values(&connection)?;
    connection.execute_batch(&MIGRATIONS.concat())?;
    Ok(connection)
}

/// What is left of the write-ahead log once all of it is in the file, in bytes.
const LOG_BYTES: i64 = 4 * 1024 * 1024;

/// How much a connection remembers before it writes to the file itself, and how often it waits for the disk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    /// Of the file's pages, in KiB; taken as it is needed.
    cache: i64,
    /// Pages of 4 KiB in the write-ahead log before they are brought into the file.
    log: i64,
    /// When SQLite waits until what it wrote is on the disk: `FULL` is at each commit, `NORMAL` when the log is brought into
    /// the file.
    synchronous: &'static str,
}

/// For answering requests.
pub(super) const EVERYDAY: Memory = Memory {
    cache: 8_000,
    log: 1_000,
    synchronous: "FULL",
};

/// For a bulk load: each record changes a page in each of its table's indexes, most of them at random places, and a page
/// that is still at hand is written once for many records. When the power fails in the middle, the last of them are missing:
/// a load that did not come to its end is gone on with anyway.
pub(super) const LOAD: Memory = Memory {
    cache: 48_000,
    log: 16_000,
    synchronous: "NORMAL",
};

impl Memory {
    pub(super) fn apply(self, connection: &Connection) -> rusqlite::Result<()> {
        // Negative: in KiB and not in pages.
        connection.pragma_update(None, "cache_size", -self.cache)?;
        connection.pragma_update(None, "synchronous", self.synchronous)?;
        connection.pragma_update_and_check(None, "wal_autocheckpoint", self.log, |_| Ok(()))
    }
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection> {
    let connection = open(path)?;
    connection.pragma_update(None, "query_only", "ON")?;
    Ok(connection)
}

/// How many migrations a file has had.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Applies the migrations that the file has not had, in one transaction; of several processes that try, one does it and
/// the others see it done.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let applied = version(&transaction)?;
    let Some(missing) = usize::try_from(applied).ok().and_then(|n| MIGRATIONS.get(n..)) else {
        return Err(StoreError::Setup(format!(
            "{} was written by a newer Doorward (schema {applied}; this one knows up to {SCHEMA}); use that version, or restore a backup from before the upgrade",
            path.display(),
        )));
    };
    if applied == 0 {
        let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
        if tables > 0 {
            return Err(StoreError::Setup(format!(
                "{} is a database of another program; name another file, or one that is not there yet",
                path.display()
            )));
        }
    }
    if !missing.is_empty() {
        for migration in missing {
            transaction.execute_batch(migration)?;
        }
        transaction.pragma_update(None, "user_version", SCHEMA)?;
    }
    Ok(transaction.commit()?)
}

/// Connections that are lent out one call at a time, on threads that may block.
#[derive(Debug)]
pub(super) struct Pool {
    /// As many permits as connections; closed with the pool.
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Connection>>>,
    size: u32,
}

/// Gives a connection back, also when its borrower panics.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
    }
}

fn closed() -> StoreError {
    StoreError::Unavailable("it was closed".to_owned())
}

impl Pool {
    pub(super) fn new(connections: Vec<Connection>) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(connections.len())),
            size: u32::try_from(connections.len()).unwrap_or(u32::MAX),
            idle: Arc::new(Mutex::new(connections)),
        }
    }

    /// Runs `f` with a connection, once there is one. It runs to its end even when nobody waits for it any longer.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = tokio::time::timeout(BUSY, self.permits.clone().acquire_owned())
            .await
            .map_err(|_| StoreError::Unavailable(format!("every connection was busy for {BUSY:?}")))?
            .map_err(|_| closed())?;
        let idle = self.idle.clone();
        let work = move || {
            let _permit = permit; // given back last
            let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut lent = Lent { connection, idle };
            f(lent.connection.as_mut().ok_or_else(closed)?)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| StoreError::Unavailable(format!("the call ended early: {e}")))?
    }

    /// Waits for the calls under way, lets nobody in any more, and gives the connections for a last use; none when that
    /// was done before.
    pub(super) async fn close(&self) -> Vec<Connection> {
        let Ok(_all) = self.permits.acquire_many(self.size).await else {
            return Vec::new();
        };
        self.permits.close();
        std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

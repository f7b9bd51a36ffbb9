//! Indexes that a first bulk load makes at its end.
//!
//! Lists and searches of users follow names, addresses and moments, which come in no order: each new user changes a page
//! of its own in each of these indexes, and with a million users that is most of the work. Made at the end, they are sorted once.

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::connection as database;
use crate::store::{Load, Result};

/// The indexes, which are for lists alone: whoever is looked for by id or login is found without them, and nothing that
/// must be unique is among them.
pub(super) const LATE: [&str; 11] = [
    "users_account_first_name",
    "users_account_last_name",
    "users_account_email",
    "users_account_created_at",
    "users_account_last_login",
    "users_login",
    "users_first_name",
    "users_last_name",
    "users_email",
    "users_created_at",
    "users_last_login",
];

/// Drops the indexes while there are [few users](Load::FEW_USERS). Until [`make`], lists of users are slower, and that is all.
pub(super) fn drop_while_few(connection: &mut Connection) -> Result<()> {
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let sql = "SELECT count(*) FROM (SELECT 1 FROM users LIMIT ?)";
    let users: u32 = tx.query_row(sql, [Load::FEW_USERS], |row| row.get(0))?;
    if users < Load::FEW_USERS {
        for name in LATE {
            tx.execute_batch(&format!("DROP INDEX IF EXISTS {name}"))?;
        }
    }
    Ok(tx.commit()?)
}

/// Makes those that are missing, each in a transaction of its own, so that writers wait for one at most.
pub(super) fn make(connection: &Connection) -> Result<()> {
    let missing = missing(connection)?;
    if missing.is_empty() {
        return Ok(());
    }
    // What is sorted goes to a temporary file rather than to memory, of which it takes 80 bytes a user; where there is no
    // place for one, memory must do.
    connection.pragma_update(None, "temp_store", "FILE")?;
    let made = missing.iter().try_for_each(|sql| connection.execute_batch(sql));
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if let Err(error) = made {
        tracing::debug!(%error, "indexes could not be sorted in a temporary file");
        missing.iter().try_for_each(|sql| connection.execute_batch(sql))?;
    }
    Ok(())
}

/// The statements that make what is missing.
fn missing(connection: &Connection) -> Result<Vec<String>> {
    let mut is_there = connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ?")?;
    let mut missing = Vec::new();
    for name in LATE {
        if !is_there.exists([name])? {
            missing.push(name);
        }
    }
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    let model = database::model()?;
    let mut statements = Vec::new();
    for name in missing {
        let sql: Option<String> = model
            .query_row("SELECT sql FROM sqlite_schema WHERE name = ?", [name], |row| row.get(0))
            .optional()?;
        // Another process may have made it by then.
        statements.extend(sql.map(|sql| sql.replacen("CREATE INDEX", "CREATE INDEX IF NOT EXISTS", 1)));
    }
    Ok(statements)
}

//! What SQLite's errors mean to a store.

use rusqlite::ffi::{SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_UNIQUE};
use rusqlite::{Error, ErrorCode};

use crate::store::{StoreError, Unique};

/// The columns of each unique constraint, as SQLite names them in its message; the index where it is over expressions.
const UNIQUE: [(&str, Unique); 6] = [
    ("accounts.name", Unique::AccountName),
    ("users.account, users.login", Unique::UserLogin),
    ("roles.account, roles.name_fold", Unique::RoleName),
    ("groups.account, groups.name_fold", Unique::GroupName),
    ("api_tokens.account, api_tokens.name_fold", Unique::TokenName),
    ("index 'users_directory_link'", Unique::DirectoryLink),
];

fn taken(message: &str) -> Option<Unique> {
    let columns = message.strip_prefix("UNIQUE constraint failed: ")?;
    UNIQUE
        .iter()
        .find(|(known, _)| *known == columns)
        .map(|(_, unique)| *unique)
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        match &error {
            Error::SqliteFailure(failure, Some(message)) if failure.extended_code == SQLITE_CONSTRAINT_UNIQUE => {
                match taken(message) {
                    Some(unique) => Self::Taken(unique),
                    None => Self::Corrupt(format!("a second object with the identifier of another: {message}")),
                }
            }
            // Only what an intent names is referenced: the account, the user.
            Error::SqliteFailure(failure, _) if failure.extended_code == SQLITE_CONSTRAINT_FOREIGNKEY => Self::NotFound,
            Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => Self::Corrupt(error.to_string()),
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => {
                    Self::Unavailable("another process keeps the database locked".to_owned())
                }
                _ => Self::Unavailable(error.to_string()),
            },
            Error::FromSqlConversionFailure(..) | Error::IntegralValueOutOfRange(..) | Error::InvalidColumnType(..) => {
                Self::Corrupt(error.to_string())
            }
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

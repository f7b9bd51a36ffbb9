//! What the driver's errors mean to a caller of the store.

use mongodb::error::{Error, ErrorKind, WriteFailure};

use crate::store::{StoreError, Unique};

use super::indexes;

/// The server's code for a second one under a unique index.
const DUPLICATE_KEY: i32 = 11_000;
/// And that for an index that is not there.
const INDEX_NOT_FOUND: i32 = 27;

/// The index of which a write would have made a second entry.
pub(super) fn duplicate(error: &Error) -> Option<&str> {
    let message = match error.kind.as_ref() {
        ErrorKind::Write(WriteFailure::WriteError(e)) if e.code == DUPLICATE_KEY => &e.message,
        ErrorKind::Command(e) if e.code == DUPLICATE_KEY => &e.message,
        ErrorKind::InsertMany(e) => {
            let failed = e.write_errors.as_ref()?.iter().find(|e| e.code == DUPLICATE_KEY)?;
            &failed.message
        }
        _ => return None,
    };
    // "E11000 duplicate key error collection: doorward.users index: users_login dup key: { … }"
    let (_, rest) = message.split_once(" index: ")?;
    rest.split_whitespace().next()
}

/// The name that a unique index guards.
fn taken(index: &str) -> Option<Unique> {
    match index {
        indexes::ACCOUNT_NAME => Some(Unique::AccountName),
        indexes::USER_LOGIN => Some(Unique::UserLogin),
        indexes::ROLE_NAME => Some(Unique::RoleName),
        indexes::GROUP_NAME => Some(Unique::GroupName),
        indexes::TOKEN_NAME => Some(Unique::TokenName),
        indexes::DIRECTORY_LINK => Some(Unique::DirectoryLink),
        _ => None,
    }
}

/// There is no such index to be dropped.
pub(super) fn is_no_index(error: &Error) -> bool {
    matches!(error.kind.as_ref(), ErrorKind::Command(command) if command.code == INDEX_NOT_FOUND)
}

/// A second one under an index that guards no name: two that were made at once, one of which should try again.
pub(super) fn is_upsert_race(error: &Error) -> bool {
    duplicate(error).is_some_and(|index| taken(index).is_none())
}

impl From<Error> for StoreError {
    fn from(error: Error) -> Self {
        if let Some(unique) = duplicate(&error).and_then(taken) {
            return Self::Taken(unique);
        }
        match error.kind.as_ref() {
            ErrorKind::Bson(_)
            | ErrorKind::BsonDeserialization(_)
            | ErrorKind::BsonSerialization(_)
            | ErrorKind::InvalidResponse { .. } => Self::Corrupt(text(&error)),
            _ => Self::Unavailable(text(&error)),
        }
    }
}

/// What the driver says, in one line. It names servers, never users' passwords; the server's answers to a second key
/// hold what was written, so those are left out.
pub(super) fn text(error: &Error) -> String {
    if let Some(index) = duplicate(error) {
        return format!("a second entry under the unique index {index}");
    }
    let lines: Vec<String> = error.kind.to_string().lines().map(|l| l.trim().to_owned()).collect();
    lines.join(" ")
}

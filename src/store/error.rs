//! What can go wrong in a store. None of it is ever shown to a client as it is.

use std::fmt;

/// Which unique name is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unique {
    /// An account's name.
    AccountName,
    /// A login in its account.
    UserLogin,
    /// A role's name in its account.
    RoleName,
    /// A group's name in its account.
    GroupName,
    /// The name of an API token among those of its account that are not revoked.
    TokenName,
    /// The entry of a directory that a user of the account is linked to.
    DirectoryLink,
}

impl fmt::Display for Unique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AccountName => "the account's name",
            Self::UserLogin => "the login",
            Self::RoleName => "the role's name",
            Self::GroupName => "the group's name",
            Self::TokenName => "the token's name",
            Self::DirectoryLink => "the directory's entry",
        })
    }
}

/// Why an intent was not carried out. Whatever the reason, nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database's own constraint refused a second one.
    #[error("{0} is taken")]
    Taken(Unique),
    /// The object to change is not there.
    #[error("there is no such object")]
    NotFound,
    /// The object was changed by somebody else in between.
    #[error("the object is at revision {current} by now")]
    Conflict {
        /// Its revision now.
        current: i64,
    },
    /// The account would be left without an active master.
    #[error("the account would be left without an active master")]
    LastMaster,
    /// The store cannot be used as it is set up: says what to do.
    #[error("{0}")]
    Setup(String),
    /// The store did not answer, or not in time.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// What was read cannot be what was written.
    #[error("the store holds what cannot be read: {0}")]
    Corrupt(String),
}

//! A group: whose objects a user sees in the applications.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::ids::{AccountId, GroupId};

/// A group with a name that is unique in its account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its identifier.
    pub id: GroupId,
    /// Its account.
    pub account: AccountId,
    /// Its name, at most 100 characters; compared folded.
    pub name: String,
    /// What it is for; at most 1,000 characters, may be empty.
    pub description: String,
    /// The account's Main group, which cannot be deleted and takes in whoever has no other.
    pub is_main: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Grows by one with each change, from 1.
    pub revision: i64,
}

impl Group {
    /// The name that an account's Main group starts with.
    pub const MAIN: &'static str = "Main";
}

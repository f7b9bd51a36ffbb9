//! What a directory says about somebody.

use super::error::DirectoryError;
use super::person::Person;

/// What became of one submitted password.
#[derive(Debug)]
pub enum Authentication {
    /// It is right.
    Success {
        /// Who it is.
        person: Box<Person>,
        /// What the directory had to say besides, for the history.
        detail: Option<String>,
    },
    /// The directory says no.
    Refused {
        /// The kind of no.
        reason: Refusal,
        /// The directory's code for it, for the history: `result 49, data 533`.
        detail: Option<String>,
    },
    /// The directory says nothing; the password may be right or wrong.
    Unavailable(DirectoryError),
}

/// Why a directory says no.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The password is wrong.
    WrongPassword,
    /// Nobody has that login.
    UnknownUser,
    /// Locked by the directory after wrong passwords.
    Locked,
    /// Disabled or expired in the directory.
    Disabled,
    /// Not at this time or place, or more than one entry has that login.
    NotAllowed,
    /// The password is too old.
    PasswordExpired,
    /// The password must be changed before it can be used.
    PasswordMustChange,
}

/// What a look-up without a password gave.
#[derive(Debug)]
pub enum LookUp {
    /// Exactly one entry.
    Found(Box<Person>),
    /// No entry, in bases that can all be read.
    Absent,
    /// More than one entry.
    Ambiguous,
    /// Cannot be said.
    Unknown(DirectoryError),
}

//! Why a use case did not go through.

use crate::access::Denied;
use crate::auth::HashError;
use crate::domain::clock::EntropyError;
use crate::domain::text::TextError;
use crate::store::StoreError;

/// What a person can put right: the schema's `ErrorCode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// A value is missing.
    Required,
    /// A value cannot be what it is for.
    Invalid,
    /// A value is longer than its field.
    TooLong,
    /// Somebody else has it.
    Taken,
    /// There is no such object, or none that the caller sees.
    NotFound,
    /// The object was changed in between.
    Conflict,
    /// The caller may do the thing, but not with this.
    NotAllowed,
    /// The account would be left without an active master.
    LastMaster,
    /// The password does not keep to the account's policy.
    WeakPassword,
    /// The password was used before.
    ReusedPassword,
    /// An LDAP user has no local password.
    IsLdap,
    /// The account has no directory.
    LdapOff,
    /// The account takes passwords of its directory only.
    DirectoryOnly,
    /// Login or password is wrong.
    WrongCredentials,
    /// Too many wrong passwords.
    Locked,
    /// The user is disabled.
    Disabled,
    /// The account is frozen.
    AccountFrozen,
    /// The directory's password has expired.
    PasswordExpired,
    /// The directory's password must be changed there.
    PasswordMustChange,
    /// No directory server answered.
    DirectoryUnavailable,
    /// Too many attempts.
    RateLimited,
    /// A link from a mail does not work: it was used, replaced, or its time has passed.
    ExpiredLink,
    /// Mail is off.
    MailOff,
    /// The user has no address to write to.
    NoAddress,
}

/// One thing that a person can put right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which kind.
    pub code: ErrorCode,
    /// What is wrong and what would be right, in words.
    pub message: String,
    /// The input's field, list indexes as decimals; empty for the input as a whole.
    pub path: Vec<String>,
    /// With `Conflict`.
    pub current_revision: Option<i64>,
    /// With `Locked` and `RateLimited`, in seconds.
    pub retry_after: Option<u64>,
}

impl Problem {
    /// A problem of the input as a whole.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            path: Vec::new(),
            current_revision: None,
            retry_after: None,
        }
    }

    /// A problem of one field.
    #[must_use]
    pub fn at(path: &[&str], code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(code, message).of(path)
    }

    /// The same problem, of that field.
    #[must_use]
    pub fn of(self, path: &[&str]) -> Self {
        Self {
            path: path.iter().map(|&p| p.to_owned()).collect(),
            ..self
        }
    }

    /// What [`TextError`] says of a field.
    #[must_use]
    pub fn text(path: &[&str], error: &TextError) -> Self {
        let code = match error {
            TextError::Empty => ErrorCode::Required,
            TextError::TooLong { .. } => ErrorCode::TooLong,
            TextError::Control | TextError::Invalid(_) => ErrorCode::Invalid,
        };
        Self::at(path, code, format!("{} {error}", path.join(".")))
    }
}

/// Gathers problems while an input is read, so that a person sees all of them at once.
#[derive(Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Notes what is wrong as wrong with the field; what else went wrong is the caller's.
    ///
    /// # Errors
    /// Whatever is no [`ServiceError::Problems`].
    pub fn note(&mut self, path: &[&str], checked: Result<(), ServiceError>) -> Result<(), ServiceError> {
        match checked {
            Err(ServiceError::Problems(found)) => self.0.extend(found.into_iter().map(|problem| problem.of(path))),
            other => other?,
        }
        Ok(())
    }

    /// The value, or `None` after noting what is wrong with the field.
    pub fn text<T>(&mut self, path: &[&str], result: Result<T, TextError>) -> Option<T> {
        result.map_err(|e| self.push(Problem::text(path, &e))).ok()
    }

    /// Nothing when nothing was wrong.
    ///
    /// # Errors
    /// [`ServiceError::Problems`] with all of them.
    pub fn check(self) -> Result<(), ServiceError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(ServiceError::Problems(self.0))
        }
    }
}

/// Why a use case did not go through. Nothing of it was done.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// A person can put it right.
    #[error("{}", .0.iter().map(|p| p.message.as_str()).collect::<Vec<_>>().join("; "))]
    Problems(Vec<Problem>),
    /// The caller may not.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password could not be hashed or checked.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// Nothing random could be had.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A mail could not be written.
    #[error("a mail could not be written: {0}")]
    Mail(String),
    /// A task of Doorward's own came to an end (the process is stopping).
    #[error("a task was not finished: {0}")]
    Stopped(String),
}

impl ServiceError {
    /// The same, with problems of one field told of the input's own name for it.
    pub(super) fn renamed(mut self, field: &str, own: &str) -> Self {
        if let Self::Problems(problems) = &mut self {
            for first in problems.iter_mut().filter_map(|p| p.path.first_mut()) {
                if first == field {
                    own.clone_into(first);
                }
            }
        }
        self
    }
}

impl From<Problem> for ServiceError {
    fn from(problem: Problem) -> Self {
        Self::Problems(vec![problem])
    }
}

/// What every use case answers with.
pub type Result<T, E = ServiceError> = std::result::Result<T, E>;

/// Nothing when no revision was given, or the object is still at it.
///
/// # Errors
/// `Conflict` with `revision`, and the current one.
pub(super) fn expect(kind: &str, given: Option<i64>, current: i64) -> Result<(), Problem> {
    match given {
        Some(expected) if expected != current => {
            let message = format!("The {kind} is at revision {current} by now, not {expected}; read it again.");
            Err(Problem {
                current_revision: Some(current),
                ..Problem::at(&["revision"], ErrorCode::Conflict, message)
            })
        }
        _ => Ok(()),
    }
}

/// A field's place in a list, for [`Problem::at`].
#[must_use]
pub fn index(i: usize) -> String {
    i.to_string()
}

//! How failures are put to a client: a top-level error with one of five codes, or a `userErrors` entry. What a store or a
//! directory says never gets through.

use async_graphql::{Enum, Error, ErrorExtensions, SimpleObject};

use crate::access::Denied;
use crate::auth::HashError;
use crate::service::{self, Problem, ServiceError};
use crate::store::StoreError;

/// The codes of top-level errors, in `extensions.code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// Nobody has signed in, or the token is not valid.
    Unauthenticated,
    /// The caller may not.
    Forbidden,
    /// The request cannot be understood, or costs too much.
    BadRequest,
    /// Something that Doorward needs does not answer; later it may.
    Unavailable,
    /// A fault of Doorward's.
    Internal,
}

impl Code {
    /// The code as the client reads it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::BadRequest => "BAD_REQUEST",
            Self::Unavailable => "UNAVAILABLE",
            Self::Internal => "INTERNAL",
        }
    }
}

/// The resolvers' error. It has no `Display`: async-graphql would turn any that has into text for the client.
#[derive(Debug, Clone)]
pub struct ApiError {
    code: Code,
    message: String,
    reason: Option<&'static str>,
}

/// What a resolver answers with.
pub type ApiResult<T> = Result<T, ApiError>;

impl ApiError {
    /// The request cannot be understood: says what would be right.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self {
            code: Code::BadRequest,
            message: message.into(),
            reason: None,
        }
    }

    /// The caller may not: says what it takes.
    #[must_use]
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self {
            code: Code::Forbidden,
            message: message.into(),
            reason: None,
        }
    }

    /// A fault of Doorward's, whose `detail` goes to the log only.
    #[must_use]
    pub fn internal(detail: &dyn std::fmt::Display) -> Self {
        tracing::error!(%detail, "a request failed");
        Self {
            code: Code::Internal,
            message: "Something went wrong here; the log says what.".to_owned(),
            reason: None,
        }
    }

    /// A subscription is over because events of it may be lost.
    #[must_use]
    pub fn missed_events() -> Self {
        Self {
            code: Code::Unavailable,
            message: "Events may have been missed; subscribe again, and read the history for those in between."
                .to_owned(),
            reason: Some("MISSED_EVENTS"),
        }
    }

    fn unavailable(detail: &dyn std::fmt::Display) -> Self {
        tracing::warn!(%detail, "a request could not be served");
        Self {
            code: Code::Unavailable,
            message: "Doorward is too busy, or its store does not answer; try again.".to_owned(),
            reason: None,
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        let (code, reason) = match denied {
            Denied::Unauthenticated => (Code::Unauthenticated, None),
            Denied::MustChangePassword => (Code::Forbidden, Some("MUST_CHANGE_PASSWORD")),
            Denied::ReadOnly => (Code::Forbidden, Some("READ_ONLY")),
            Denied::Impersonating => (Code::Forbidden, Some("IMPERSONATING")),
            Denied::NotAPerson | Denied::Missing(_) => (Code::Forbidden, None),
        };
        Self {
            code,
            message: denied.to_string(),
            reason,
        }
    }
}

impl From<ServiceError> for ApiError {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Denied(denied) => denied.into(),
            ServiceError::Problems(problems) => {
                Self::bad_request(problems.into_iter().map(|p| p.message).collect::<Vec<_>>().join(" "))
            }
            ServiceError::Store(StoreError::Unavailable(detail)) => Self::unavailable(&detail),
            ServiceError::Store(
                error @ (StoreError::Taken(_)
                | StoreError::NotFound
                | StoreError::Conflict { .. }
                | StoreError::LastMaster
                | StoreError::Setup(_)
                | StoreError::Corrupt(_)),
            ) => Self::internal(&error),
            ServiceError::Hash(error @ HashError::Busy) => Self::unavailable(&error),
            ServiceError::Hash(error) => Self::internal(&error),
            ServiceError::Entropy(error) => Self::internal(&error),
            error @ ServiceError::Mail(_) => Self::internal(&error),
            ServiceError::Stopped(detail) => Self::unavailable(&detail),
        }
    }
}

impl From<ApiError> for Error {
    fn from(error: ApiError) -> Self {
        Error::new(error.message).extend_with(|_, extensions| {
            extensions.set("code", error.code.as_str());
            if let Some(reason) = error.reason {
                extensions.set("reason", reason);
            }
        })
    }
}

/// Gives a code to what async-graphql itself refuses: syntax, validation, limits and the types of inputs.
pub(super) fn code_the_uncoded(errors: &mut [async_graphql::ServerError]) {
    for error in errors {
        let extensions = error.extensions.get_or_insert_with(Default::default);
        if extensions.get("code").is_none() {
            extensions.set("code", Code::BadRequest.as_str());
        }
    }
}

/// What a person can put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ErrorCode {
    /// A value is missing.
    Required,
    /// A value cannot be what it is for.
    Invalid,
    /// A value is longer than its field.
    TooLong,
    /// Somebody else has it.
    Taken,
    /// There is no such object, or none that you see.
    NotFound,
    /// The object was changed in between.
    Conflict,
    /// You may do the thing, but not with this.
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
    /// The link is too old, used, or not one of ours.
    ExpiredLink,
    /// Mail is off.
    MailOff,
    /// There is no address to write to.
    NoAddress,
}

impl From<service::ErrorCode> for ErrorCode {
    fn from(code: service::ErrorCode) -> Self {
        use service::ErrorCode as S;
        match code {
            S::Required => Self::Required,
            S::Invalid => Self::Invalid,
            S::TooLong => Self::TooLong,
            S::Taken => Self::Taken,
            S::NotFound => Self::NotFound,
            S::Conflict => Self::Conflict,
            S::NotAllowed => Self::NotAllowed,
            S::LastMaster => Self::LastMaster,
            S::WeakPassword => Self::WeakPassword,
            S::ReusedPassword => Self::ReusedPassword,
            S::IsLdap => Self::IsLdap,
            S::LdapOff => Self::LdapOff,
            S::DirectoryOnly => Self::DirectoryOnly,
            S::WrongCredentials => Self::WrongCredentials,
            S::Locked => Self::Locked,
            S::Disabled => Self::Disabled,
            S::AccountFrozen => Self::AccountFrozen,
            S::PasswordExpired => Self::PasswordExpired,
            S::PasswordMustChange => Self::PasswordMustChange,
            S::DirectoryUnavailable => Self::DirectoryUnavailable,
            S::RateLimited => Self::RateLimited,
            S::ExpiredLink => Self::ExpiredLink,
            S::MailOff => Self::MailOff,
            S::NoAddress => Self::NoAddress,
        }
    }
}

/// One thing that a person can put right.
#[derive(Debug, Clone, SimpleObject)]
pub struct UserError {
    /// Which kind.
    code: ErrorCode,
    /// What is wrong and what would be right, in words.
    message: String,
    /// The input's field, list indexes as decimals.
    path: Option<Vec<String>>,
    /// With CONFLICT.
    current_revision: Option<i64>,
    /// With LOCKED and RATE_LIMITED.
    retry_after_seconds: Option<u64>,
}

impl From<Problem> for UserError {
    fn from(problem: Problem) -> Self {
        Self {
            code: problem.code.into(),
            message: problem.message,
            path: (!problem.path.is_empty()).then_some(problem.path),
            current_revision: problem.current_revision,
            retry_after_seconds: problem.retry_after,
        }
    }
}

/// Parts what a person can put right, which is data of the payload, from what is an error.
///
/// # Errors
/// Whatever is no [`ServiceError::Problems`].
pub(super) fn payload<T>(result: service::Result<T>) -> ApiResult<(Option<T>, Vec<UserError>)> {
    match result {
        Ok(thing) => Ok((Some(thing), Vec::new())),
        Err(ServiceError::Problems(problems)) => Ok((None, problems.into_iter().map(UserError::from).collect())),
        Err(error) => Err(error.into()),
    }
}

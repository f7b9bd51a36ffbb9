//! The schema's enums; the domain's have the same members.

use async_graphql::Enum;

use crate::domain::{account, grant, login_event, mail, query, user};

/// Whether an account's people may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "account::AccountStatus")]
pub enum AccountStatus {
    /// They may.
    Active,
    /// Nobody of it may; nothing is lost.
    Frozen,
}

/// A language that Doorward writes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "account::Language")]
pub enum Language {
    /// English.
    En,
    /// Russian.
    Ru,
}

/// Whether a user may sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "user::UserStatus")]
pub enum UserStatus {
    /// May.
    Active,
    /// May not.
    Disabled,
}

/// Who disabled a user: only what the directory disabled may the directory enable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "user::DisabledBy")]
pub enum DisabledBy {
    /// A person.
    Manual,
    /// The account's directory.
    Directory,
}

/// Where a grant came from; each source takes back only its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "grant::GrantSource")]
pub enum GrantSource {
    /// A person.
    Manual,
    /// A mapping of the account's directory.
    Directory,
    /// Doorward itself.
    Default,
}

/// How an attempt to sign in ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "login_event::LoginOutcome")]
pub enum LoginOutcome {
    /// Signed in.
    Success,
    /// The password was wrong.
    WrongPassword,
    /// Nobody by that login.
    UnknownUser,
    /// Too many wrong passwords, here or at the directory.
    Locked,
    /// The user is disabled.
    Disabled,
    /// The account is frozen.
    AccountFrozen,
    /// The directory's password has expired.
    PasswordExpired,
    /// The directory's password must be changed there first.
    PasswordMustChange,
    /// The directory or its mapping does not allow it.
    NotAllowed,
    /// No directory server answered.
    DirectoryUnavailable,
    /// Over a limit.
    RateLimited,
}

/// How somebody tried to prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "login_event::LoginMethod")]
pub enum LoginMethod {
    /// With a password that Doorward keeps.
    Local,
    /// With a password that the directory keeps.
    Ldap,
    /// With a link from a mail.
    Link,
    /// As somebody else.
    Impersonation,
}

/// The width of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum StatsBucket {
    /// An hour.
    Hour,
    /// A day of the account's time zone.
    Day,
}

impl From<StatsBucket> for crate::service::Width {
    fn from(bucket: StatsBucket) -> Self {
        match bucket {
            StatsBucket::Hour => Self::Hour,
            StatsBucket::Day => Self::Day,
        }
    }
}

/// What users are ordered by; those without come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "query::UserOrderField")]
pub enum UserOrderField {
    /// Login.
    Login,
    /// Last name.
    LastName,
    /// Contact address.
    Email,
    /// Time of creation.
    CreatedAt,
    /// Last successful sign-in.
    LastLogin,
}

/// What accounts are ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "query::AccountOrderField")]
pub enum AccountOrderField {
    /// Name.
    Name,
    /// Time of creation.
    CreatedAt,
}

/// Up or down; ties go the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "query::Direction")]
pub enum OrderDirection {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// How far a mail has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "mail::MailState")]
pub enum MailState {
    /// Waits for its turn, or for its next attempt.
    Queued,
    /// Is being sent.
    Sending,
    /// The mail server took it.
    Sent,
    /// Given up, with the reason.
    Failed,
    /// Dropped by an operator, or because what it was about no longer holds.
    Dropped,
}

/// What an application alerts of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "mail::AlertKind")]
pub enum AlertKind {
    /// Limits are exhausted.
    LimitsExhausted,
    /// Subscribers complained.
    SubscriberComplaints,
    /// Addresses that do not exist.
    HardBounces,
    /// Addresses that do not answer for now.
    SoftBounces,
}

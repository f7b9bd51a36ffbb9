//! Enumerations as short text: the names that the API gives them too.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use crate::domain::account::{AccountStatus, Language};
use crate::domain::audit::TargetType;
use crate::domain::avatar::AvatarKind;
use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::domain::mail::{LinkKind, MailState, ReportKind};
use crate::domain::user::{DisabledBy, UserStatus};

/// A value that has a name.
pub(super) trait Named: Copy + 'static {
    fn name(self) -> &'static str;
    fn of(name: &str) -> Option<Self>;
}

/// The column of a named value.
pub(super) struct Name<T>(pub T);

impl<T: Named> ToSql for Name<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(ValueRef::Text(self.0.name().as_bytes())))
    }
}

impl<T: Named> FromSql for Name<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let name = value.as_str()?;
        let unknown = || FromSqlError::Other(format!("{name:?} is not a name known here").into());
        T::of(name).map(Self).ok_or_else(unknown)
    }
}

macro_rules! names {
    ($($kind:ident { $($variant:ident = $name:literal),+ $(,)? })+) => {
        $(impl Named for $kind {
            fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            fn of(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        })+

        #[cfg(test)]
        mod tests {
            use super::*;

            #[test]
            fn names_are_those_of_the_api() {
                $($(
                    assert_eq!(serde_json::to_value($kind::$variant).unwrap(), $name);
                    assert_eq!($kind::of($kind::$variant.name()), Some($kind::$variant));
                )+)+
                assert_eq!(Language::of("en"), None);
            }
        }
    };
}

names! {
    AccountStatus { Active = "ACTIVE", Frozen = "FROZEN" }
    Language { En = "EN", Ru = "RU" }
    UserStatus { Active = "ACTIVE", Disabled = "DISABLED" }
    DisabledBy { Manual = "MANUAL", Directory = "DIRECTORY" }
    LoginMethod { Local = "LOCAL", Ldap = "LDAP", Link = "LINK", Impersonation = "IMPERSONATION" }
    LoginOutcome {
        Success = "SUCCESS",
        WrongPassword = "WRONG_PASSWORD",
        UnknownUser = "UNKNOWN_USER",
        Locked = "LOCKED",
        Disabled = "DISABLED",
        AccountFrozen = "ACCOUNT_FROZEN",
        PasswordExpired = "PASSWORD_EXPIRED",
        PasswordMustChange = "PASSWORD_MUST_CHANGE",
        NotAllowed = "NOT_ALLOWED",
        DirectoryUnavailable = "DIRECTORY_UNAVAILABLE",
        RateLimited = "RATE_LIMITED",
    }
    AvatarKind { Jpeg = "JPEG", Png = "PNG" }
    TargetType { Account = "Account", User = "User", Role = "Role", Group = "Group", ApiToken = "ApiToken", Mail = "Mail" }
    MailState { Queued = "QUEUED", Sending = "SENDING", Sent = "SENT", Failed = "FAILED", Dropped = "DROPPED" }
    LinkKind { Access = "ACCESS", Reset = "RESET" }
    ReportKind { Daily = "DAILY", Weekly = "WEEKLY" }
}

//! One attempt to sign in, as the history keeps it.

use std::net::IpAddr;

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::domain::ids::{AccountId, LoginEventId, UserId};
use crate::domain::location::Location;

/// How an attempt ended. Stores may keep an outcome as its place here: new ones come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
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

impl LoginOutcome {
    /// Every outcome, in the schema's order.
    pub const ALL: [Self; 11] = [
        Self::Success,
        Self::WrongPassword,
        Self::UnknownUser,
        Self::Locked,
        Self::Disabled,
        Self::AccountFrozen,
        Self::PasswordExpired,
        Self::PasswordMustChange,
        Self::NotAllowed,
        Self::DirectoryUnavailable,
        Self::RateLimited,
    ];
}

/// How somebody tried to prove who they are. Stores may keep a method as its place here: new ones come last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
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

/// Where an attempt came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EventOrigin {
    /// The client's address, seen through trusted proxies only.
    pub ip: IpAddr,
    /// Where that address is.
    pub location: Option<Location>,
    /// Browser and version ("Firefox 140").
    pub browser: Option<CompactString>,
    /// Operating system and version.
    pub operating_system: Option<String>,
    /// Kind or model of the device.
    pub device: Option<String>,
    /// The User-Agent header, cut to 512 characters.
    pub user_agent: Option<String>,
}

/// Who really acts, in a session of somebody else. Stores may keep the fields in this order, without their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impersonator {
    /// The person.
    pub user: UserId,
    /// `login@account` at that time; kept because an account cannot see operators.
    pub name: String,
}

/// One attempt to sign in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoginEvent {
    /// Its identifier; grows with time.
    pub id: LoginEventId,
    /// The account whose history it belongs to; `system`'s when the typed account does not exist.
    pub account: AccountId,
    /// The user; `None` when nobody has that login.
    pub user: Option<UserId>,
    /// When.
    pub at: Timestamp,
    /// What was typed, folded; cut to 64 characters when nobody has that login.
    pub attempted_login: String,
    /// How it ended.
    pub outcome: LoginOutcome,
    /// How it was tried.
    pub method: LoginMethod,
    /// Where it came from.
    pub origin: EventOrigin,
    /// What an administrator may want to know (Active Directory's sub-code …).
    pub detail: Option<String>,
    /// How many attempts this stands for: more than one for floods over a limit only.
    pub attempts: u32,
    /// Who really acts.
    pub impersonator: Option<Impersonator>,
}

impl LoginEvent {
    /// The most characters kept of a login that nobody has: people type passwords into the wrong field.
    pub const MAX_UNKNOWN_LOGIN: usize = 64;
}

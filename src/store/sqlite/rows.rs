//! Columns: how a value is written into one and read out of it.

use std::net::IpAddr;

use jiff::Timestamp;
use jiff::civil::Date;
use rusqlite::types::FromSql;
use rusqlite::{Connection, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::domain::account::{Account, AccountName};
use crate::domain::audit::AuditEntry;
use crate::domain::group::Group;
use crate::domain::ids::{
    AccountId, ApiTokenId, AuditEntryId, AvatarId, GroupId, LoginEventId, MailId, RoleId, SessionId, UserId,
};
use crate::domain::login::Login;
use crate::domain::login_event::{EventOrigin, LoginEvent};
use crate::domain::role::Role;
use crate::domain::session::Session;
use crate::domain::text::TextError;
use crate::domain::user::{Email, User};
use crate::store::sqlite::names::{Name, Named};
use crate::store::{Result, StoreError};

/// An identifier's 16 bytes.
pub(super) type Blob = [u8; 16];

/// Anything that is an identifier.
pub(super) trait Id: Copy {
    fn blob(self) -> Blob;
    fn of(blob: Blob) -> Self;
}

macro_rules! ids {
    ($($id:ident),+) => {$(
        impl Id for $id {
            fn blob(self) -> Blob {
                self.as_uuid().into_bytes()
            }

            fn of(blob: Blob) -> Self {
                Self::from_uuid(Uuid::from_bytes(blob))
            }
        }
    )+};
}
ids!(
    AccountId,
    ApiTokenId,
    AvatarId,
    UserId,
    RoleId,
    GroupId,
    LoginEventId,
    SessionId,
    AuditEntryId,
    MailId
);

/// A moment in milliseconds.
pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A moment that may be missing.
pub(super) fn opt_millis(at: Option<Timestamp>) -> Option<i64> {
    at.map(millis)
}

/// A moment out of its milliseconds.
pub(super) fn timestamp(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(corrupt)
}

/// A value as JSON.
pub(super) fn json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(corrupt)
}

/// A value that may be missing as JSON.
pub(super) fn opt_json<T: Serialize>(value: Option<&T>) -> Result<Option<String>> {
    value.map(json).transpose()
}

fn corrupt(error: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(error.to_string())
}

pub(super) fn parsed<T>(text: std::result::Result<T, TextError>, what: &str) -> Result<T> {
    text.map_err(|e| StoreError::Corrupt(format!("{what} {e}")))
}

/// Reads a row's columns one after the other, in the order of the constants below.
pub(super) struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(super) fn of(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    pub(super) fn get<T: FromSql>(&mut self) -> Result<T> {
        self.next += 1;
        Ok(self.row.get(self.next - 1)?)
    }

    pub(super) fn id<T: Id>(&mut self) -> Result<T> {
        self.get().map(T::of)
    }

    pub(super) fn opt_id<T: Id>(&mut self) -> Result<Option<T>> {
        Ok(self.get::<Option<Blob>>()?.map(T::of))
    }

    pub(super) fn name<T: Named>(&mut self) -> Result<T> {
        Ok(self.get::<Name<T>>()?.0)
    }

    pub(super) fn opt_name<T: Named>(&mut self) -> Result<Option<T>> {
        Ok(self.get::<Option<Name<T>>>()?.map(|n| n.0))
    }

    pub(super) fn time(&mut self) -> Result<Timestamp> {
        timestamp(self.get()?)
    }

    pub(super) fn opt_time(&mut self) -> Result<Option<Timestamp>> {
        self.get::<Option<i64>>()?.map(timestamp).transpose()
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self) -> Result<T> {
        self.opt_json()?.ok_or_else(|| corrupt("JSON is missing"))
    }

    pub(super) fn opt_json<T: DeserializeOwned>(&mut self) -> Result<Option<T>> {
        self.next += 1;
        let text = self.row.get_ref(self.next - 1)?.as_str_or_null().map_err(corrupt)?;
        text.map(serde_json::from_str).transpose().map_err(corrupt)
    }

    pub(super) fn date(&mut self) -> Result<Date> {
        self.get::<String>()?.parse().map_err(corrupt)
    }

    fn ip(&mut self) -> Result<IpAddr> {
        self.get::<String>()?.parse().map_err(corrupt)
    }

    fn opt_ip(&mut self) -> Result<Option<IpAddr>> {
        self.get::<Option<String>>()?
            .map(|ip| ip.parse().map_err(corrupt))
            .transpose()
    }
}

/// A statement that reads `columns` where one condition holds.
pub(super) fn select(columns: &'static str, table: &'static str, condition: &'static str) -> String {
    format!("SELECT {columns} FROM {table} WHERE {condition}")
}

/// Every row of a statement.
pub(super) fn all<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&mut Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&mut Columns::of(row))?);
    }
    Ok(found)
}

/// The row of a statement that finds one at most.
pub(super) fn first<T>(
    connection: &Connection,
    sql: &str,
    values: impl Params,
    read: impl Fn(&mut Columns<'_>) -> Result<T>,
) -> Result<Option<T>> {
    Ok(all(connection, sql, values, read)?.pop())
}

/// Those of the identifiers that exist, by one prepared statement for each.
pub(super) fn by_ids<T>(
    connection: &Connection,
    columns: &'static str,
    table: &'static str,
    ids: &[impl Id],
    read: impl Fn(&mut Columns<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    let sql = select(columns, table, "id = ?");
    let mut found = Vec::with_capacity(ids.len());
    for id in ids {
        found.extend(first(connection, &sql, [id.blob()], &read)?);
    }
    Ok(found)
}

pub(super) const ACCOUNT: &str = "accounts.id, accounts.name, accounts.title, accounts.status, accounts.time_zone, \
     accounts.default_language, accounts.directory, accounts.directory_only, accounts.password_policy, \
     accounts.created_at, accounts.updated_at, accounts.revision";

pub(super) fn account(row: &mut Columns<'_>) -> Result<Account> {
    Ok(Account {
        id: row.id()?,
        name: parsed(AccountName::parse(&row.get::<String>()?), "an account's name")?,
        title: row.get()?,
        status: row.name()?,
        time_zone: row.get()?,
        default_language: row.name()?,
        directory: row.get()?,
        directory_only: row.get()?,
        password_policy: row.json()?,
        created_at: row.time()?,
        updated_at: row.time()?,
        revision: row.get()?,
    })
}

macro_rules! user_columns {
    ($last_login:literal) => {
        concat!(
            "users.id, users.account, users.login, users.first_name, users.last_name, users.email, users.language, \
             users.phone, users.status, users.disabled_by, users.locked_until, users.avatar, users.notifications, \
             users.must_change_password, users.password_hash IS NOT NULL, users.password_changed_at, \
             users.password_expires_at, users.is_ldap, users.directory_link, users.grants, ",
            $last_login,
            ", users.created_at, users.updated_at, users.revision"
        )
    };
}

pub(super) const USER: &str = user_columns!("users.last_login");
/// The same, read by the same [`user`], without the last sign-in.
pub(super) const USER_BUT_LAST_LOGIN: &str = user_columns!("NULL");

pub(super) fn user(row: &mut Columns<'_>) -> Result<User> {
    Ok(User {
        id: row.id()?,
        account: row.id()?,
        login: parsed(Login::parse(&row.get::<String>()?), "a login")?,
        first_name: row.get()?,
        last_name: row.get()?,
        email: match row.get::<Option<String>>()? {
            Some(email) => Some(parsed(Email::parse(&email), "an address")?),
            None => None,
        },
        language: row.name()?,
        phone: row.get()?,
        status: row.name()?,
        disabled_by: row.opt_name()?,
        locked_until: row.opt_time()?,
        avatar: row.opt_id()?,
        notifications: row.json()?,
        must_change_password: row.get()?,
        has_password: row.get()?,
        password_changed_at: row.opt_time()?,
        password_expires_at: row.opt_time()?,
        is_ldap: row.get()?,
        directory_link: row.opt_json()?,
        grants: row.json()?,
        last_login: row.opt_json()?,
        created_at: row.time()?,
        updated_at: row.time()?,
        revision: row.get()?,
    })
}

pub(super) const ROLE: &str = "roles.id, roles.account, roles.name, roles.description, roles.permissions, \
     roles.created_at, roles.updated_at, roles.revision";

pub(super) fn role(row: &mut Columns<'_>) -> Result<Role> {
    Ok(Role {
        id: row.id()?,
        account: row.id()?,
        name: row.get()?,
        description: row.get()?,
        permissions: row.json()?,
        created_at: row.time()?,
        updated_at: row.time()?,
        revision: row.get()?,
    })
}

pub(super) const GROUP: &str = "id, account, name, description, is_main, created_at, updated_at, revision";

pub(super) fn group(row: &mut Columns<'_>) -> Result<Group> {
    Ok(Group {
        id: row.id()?,
        account: row.id()?,
        name: row.get()?,
        description: row.get()?,
        is_main: row.get()?,
        created_at: row.time()?,
        updated_at: row.time()?,
        revision: row.get()?,
    })
}

pub(super) const SESSION: &str = "sessions.id, sessions.account, sessions.user, sessions.created_at, \
     sessions.last_seen_at, sessions.expires_at, sessions.origin, sessions.impersonator";

pub(super) fn session(row: &mut Columns<'_>) -> Result<Session> {
    Ok(Session {
        id: row.id()?,
        account: row.id()?,
        user: row.id()?,
        created_at: row.time()?,
        last_seen_at: row.time()?,
        expires_at: row.time()?,
        origin: row.json()?,
        impersonation: row.opt_json()?,
    })
}

pub(super) const LOGIN_EVENT: &str = "id, account, user, at, attempted_login, outcome, method, ip, location, browser, \
     operating_system, device, user_agent, detail, attempts, impersonator";

/// The same, read by the same [`login_event`], without the details: see [`Newest::details`](crate::store::Newest::details).
pub(super) const BRIEF_LOGIN_EVENT: &str = "id, account, user, at, '', outcome, method, ip, location, browser, NULL, NULL, \
     NULL, NULL, attempts, impersonator";

pub(super) fn login_event(row: &mut Columns<'_>) -> Result<LoginEvent> {
    Ok(LoginEvent {
        id: row.id()?,
        account: row.id()?,
        user: row.opt_id()?,
        at: row.time()?,
        attempted_login: row.get()?,
        outcome: row.name()?,
        method: row.name()?,
        origin: EventOrigin {
            ip: row.ip()?,
            location: row.opt_json()?,
            browser: row.get::<Option<String>>()?.map(Into::into),
            operating_system: row.get()?,
            device: row.get()?,
            user_agent: row.get()?,
        },
        detail: row.get()?,
        attempts: row.get()?,
        impersonator: row.opt_json()?,
    })
}

pub(super) const AUDIT_ENTRY: &str = "id, account, at, actor, actor_user, impersonator, ip, action, target_type, \
     target_id, target_name, changes";

pub(super) fn audit_entry(row: &mut Columns<'_>) -> Result<AuditEntry> {
    Ok(AuditEntry {
        id: row.id()?,
        account: row.id()?,
        at: row.time()?,
        actor: row.get()?,
        actor_user: row.opt_id()?,
        impersonator: row.opt_json()?,
        ip: row.opt_ip()?,
        action: row.get()?,
        target_type: row.name()?,
        target_id: Uuid::from_bytes(row.get()?),
        target_name: row.get()?,
        changes: row.json()?,
    })
}

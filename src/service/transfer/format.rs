//! The files that `export` writes and `import` reads.
//!
//! **NDJSON** (`.ndjson`, `.jsonl`): one JSON object a line, whose `kind` is `account`, `role`, `group`, `user` or `login`.
//! What is referred to comes first: accounts, then roles and groups, users, sign-ins. References are names, so that lines can
//! be written by hand and moved between stores; `id` is optional, and kept when what a line describes is new. A field that is
//! left out stays as it is (or gets its default when the object is new), `null` clears.
//!
//! **CSV** (`.csv`): users only, with a header of [`COLUMNS`] in any order. Several names in a cell are separated by `;`, a
//! `;` or `\` in a name has a `\` before it.

use serde::Serialize;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileFormat {
    /// Newline-delimited JSON.
    Ndjson,
    /// Comma-separated values: users only.
    Csv,
}

impl FileFormat {
    /// By the ending of a file's name.
    #[must_use]
    pub fn of(extension: &str) -> Option<Self> {
        match extension.to_ascii_lowercase().as_str() {
            "ndjson" | "jsonl" => Some(Self::Ndjson),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// What a CSV cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CellKind {
    /// A text, also an empty one.
    Text,
    /// A text; an empty cell clears it.
    Clearable,
    /// A text; an empty cell is as good as none.
    Optional,
    /// `true`, `false`; an empty cell is as good as none.
    Flag,
    /// Names, separated by `;`.
    Names,
}

/// A column of a CSV file: a field of the `user` lines.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: CellKind,
}

const fn column(name: &'static str, kind: CellKind) -> Column {
    Column { name, kind }
}

/// The columns of a CSV file, in the order in which they are written.
pub(super) const COLUMNS: [Column; 18] = [
    column("account", CellKind::Optional),
    column("login", CellKind::Text),
    column("id", CellKind::Optional),
    column("firstName", CellKind::Text),
    column("lastName", CellKind::Text),
    column("email", CellKind::Clearable),
    column("phone", CellKind::Clearable),
    column("language", CellKind::Optional),
    column("status", CellKind::Optional),
    column("ldap", CellKind::Flag),
    column("master", CellKind::Flag),
    column("roles", CellKind::Names),
    column("groups", CellKind::Names),
    column("mustChangePassword", CellKind::Flag),
    column("passwordHash", CellKind::Optional),
    column("passwordChangedAt", CellKind::Optional),
    column("disabledBy", CellKind::Optional),
    column("createdAt", CellKind::Optional),
];

/// Names in one cell.
pub(super) fn join_names(names: &[String]) -> String {
    let escaped = names.iter().map(|name| name.replace('\\', "\\\\").replace(';', "\\;"));
    escaped.collect::<Vec<_>>().join(";")
}

/// The names of a cell, without empty ones.
pub(super) fn split_names(cell: &str) -> Vec<String> {
    let (mut names, mut name) = (Vec::new(), String::new());
    let mut characters = cell.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => name.extend(characters.next()),
            ';' => names.push(std::mem::take(&mut name)),
            other => name.push(other),
        }
    }
    names.push(name);
    names.retain(|name| !name.trim().is_empty());
    names
}

/// An object of the file, as it is written.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(super) enum Written<'a> {
    Account(AccountJson<'a>),
    Role(RoleJson<'a>),
    Group(GroupJson<'a>),
    User(Box<UserJson<'a>>),
    Login(Box<LoginJson<'a>>),
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountJson<'a> {
    pub(super) name: &'a str,
    pub(super) id: String,
    pub(super) title: &'a str,
    pub(super) status: crate::domain::account::AccountStatus,
    pub(super) time_zone: &'a str,
    pub(super) default_language: crate::domain::account::Language,
    pub(super) directory: Option<&'a str>,
    pub(super) directory_only: bool,
    pub(super) password_policy: PolicyJson,
    pub(super) main_group_id: Option<String>,
    pub(super) created_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PolicyJson {
    pub(super) min_length: u32,
    pub(super) min_strength: u8,
    pub(super) max_age_days: Option<u32>,
    pub(super) history: u32,
    pub(super) lockout_threshold: u32,
    pub(super) lockout_minutes: u32,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RoleJson<'a> {
    pub(super) account: &'a str,
    pub(super) name: &'a str,
    pub(super) id: String,
    pub(super) description: &'a str,
    pub(super) permissions: &'a [crate::domain::role::Permission],
    pub(super) created_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GroupJson<'a> {
    pub(super) account: &'a str,
    pub(super) name: &'a str,
    pub(super) id: String,
    pub(super) description: &'a str,
    pub(super) main: bool,
    pub(super) created_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct UserJson<'a> {
    pub(super) account: &'a str,
    pub(super) login: &'a str,
    pub(super) id: String,
    pub(super) first_name: &'a str,
    pub(super) last_name: &'a str,
    pub(super) email: Option<&'a str>,
    pub(super) phone: Option<&'a str>,
    pub(super) language: crate::domain::account::Language,
    pub(super) status: crate::domain::user::UserStatus,
    pub(super) disabled_by: Option<crate::domain::user::DisabledBy>,
    pub(super) ldap: bool,
    pub(super) directory_link: Option<LinkJson<'a>>,
    pub(super) master: bool,
    pub(super) roles: Vec<String>,
    pub(super) groups: Vec<String>,
    pub(super) directory_grants: Vec<DirectoryGrantJson<'a>>,
    pub(super) notifications: NotificationsJson<'a>,
    pub(super) must_change_password: bool,
    pub(super) password_expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password_changed_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) password_history: Vec<&'a str>,
    pub(super) created_at: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LinkJson<'a> {
    pub(super) directory: &'a str,
    pub(super) dn: &'a str,
    pub(super) external_id: &'a str,
    pub(super) last_checked_at: String,
}

/// What a mapping of the directory granted: one of role, group and master.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DirectoryGrantJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) group: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) master: bool,
    pub(super) directory_group: Option<&'a str>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools)] // as the domain's
pub(super) struct NotificationsJson<'a> {
    pub(super) email: Option<&'a str>,
    pub(super) limits_exhausted: bool,
    pub(super) subscriber_complaints: bool,
    pub(super) hard_bounces: bool,
    pub(super) soft_bounces: bool,
    pub(super) daily_reports: bool,
    pub(super) weekly_reports: bool,
    pub(super) security_notices: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LoginJson<'a> {
    pub(super) account: &'a str,
    pub(super) id: String,
    pub(super) at: String,
    /// The login of a user that there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user: Option<&'a str>,
    /// The id of a user who is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) user_id: Option<String>,
    pub(super) attempted_login: &'a str,
    pub(super) outcome: crate::domain::login_event::LoginOutcome,
    pub(super) method: crate::domain::login_event::LoginMethod,
    pub(super) ip: String,
    pub(super) location: Option<LocationJson<'a>>,
    pub(super) browser: Option<&'a str>,
    pub(super) operating_system: Option<&'a str>,
    pub(super) device: Option<&'a str>,
    pub(super) user_agent: Option<&'a str>,
    pub(super) detail: Option<&'a str>,
    pub(super) attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) impersonator: Option<ImpersonatorJson<'a>>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LocationJson<'a> {
    pub(super) country: Option<&'a str>,
    pub(super) country_code: Option<&'a str>,
    pub(super) city: Option<&'a str>,
    pub(super) latitude: Option<f64>,
    pub(super) longitude: Option<f64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImpersonatorJson<'a> {
    pub(super) user_id: String,
    pub(super) name: &'a str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_their_cell() {
        for names in [&[][..], &["Support"], &["a;b", "c\\d", "e\\;f", " g "], &["\\", ";"]] {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(split_names(&join_names(&names)), names);
        }
        assert_eq!(split_names("a;;b; "), ["a", "b"]);
    }
}

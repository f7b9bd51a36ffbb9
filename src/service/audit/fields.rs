//! The fields of an object, as the audit log shows what became of them.

use std::fmt::Display;

use uuid::Uuid;

use crate::domain::account::Account;
use crate::domain::audit::FieldChange;
use crate::domain::grant::{Grant, GrantTarget};
use crate::domain::group::Group;
use crate::domain::role::Role;
use crate::domain::user::User;

/// What an object looks like in the audit log: the schema's field names and their values.
pub(in crate::service) type Fields = Vec<(&'static str, Value)>;

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) enum Value {
    /// None.
    Null,
    /// As the log writes it; may be empty.
    Text(String),
    /// A switch.
    Flag(bool),
}

impl Value {
    /// As the log writes it.
    fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text.clone()),
            Self::Flag(flag) => Some(flag.to_string()),
        }
    }

    /// Is it what a new object has of itself, as good as nothing?
    fn is_off(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Text(text) => text.is_empty(),
            Self::Flag(flag) => !flag,
        }
    }
}

impl From<Option<String>> for Value {
    fn from(value: Option<String>) -> Self {
        value.map_or(Self::Null, Self::Text)
    }
}

/// The fields that differ, with both values, also those that are empty or off.
pub(in crate::service) fn diff(before: &Fields, after: &Fields) -> Vec<FieldChange> {
    let value_before = |field: &str| before.iter().find(|(f, _)| *f == field).and_then(|(_, v)| v.text());
    after
        .iter()
        .map(|(field, after)| FieldChange {
            field: (*field).to_owned(),
            before: value_before(field),
            after: after.text(),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// What a new object is like: what was set, not all that is empty or off.
pub(in crate::service) fn made(fields: &Fields) -> Vec<FieldChange> {
    let set = fields.iter().filter(|(_, value)| !value.is_off());
    set.map(|(field, value)| FieldChange {
        field: (*field).to_owned(),
        before: None,
        after: value.text(),
    })
    .collect()
}

/// What an object that is gone was like.
pub(in crate::service) fn gone(fields: &Fields) -> Vec<FieldChange> {
    let mut changes = made(fields);
    for change in &mut changes {
        change.before = change.after.take();
    }
    changes
}

/// How many had what is gone.
pub(in crate::service) fn holders_lost(field: &str, count: u64) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: Some(count.to_string()),
        after: None,
    }
}

/// A secret that was set: the log says so, and nothing else about it.
pub(in crate::service) fn secret_changed(field: &str) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: None,
        after: Some("changed".to_owned()),
    }
}

/// A user's fields.
pub(in crate::service) fn user_fields(user: &User) -> Fields {
    let n = &user.notifications;
    vec![
        ("login", text(user.login.as_str())),
        ("firstName", text(&user.first_name)),
        ("lastName", text(&user.last_name)),
        ("email", user.email.as_ref().map(|e| e.as_str().to_owned()).into()),
        ("language", name_of(&user.language)),
        ("phone", user.phone.clone().into()),
        ("status", name_of(&user.status)),
        ("disabledBy", user.disabled_by.as_ref().map_or(Value::Null, name_of)),
        (
            "notifications.email",
            n.email.as_ref().map(|e| e.as_str().to_owned()).into(),
        ),
        ("notifications.limitsExhausted", flag(n.limits_exhausted)),
        ("notifications.subscriberComplaints", flag(n.subscriber_complaints)),
        ("notifications.hardBounces", flag(n.hard_bounces)),
        ("notifications.softBounces", flag(n.soft_bounces)),
        ("notifications.dailyReports", flag(n.daily_reports)),
        ("notifications.weeklyReports", flag(n.weekly_reports)),
        ("notifications.securityNotices", flag(n.security_notices)),
        ("mustChangePassword", flag(user.must_change_password)),
        ("isLdap", flag(user.is_ldap)),
        (
            "directoryLink",
            user.directory_link
                .as_ref()
                .map(|link| format!("{} in {}", link.dn, link.directory))
                .into(),
        ),
        (
            "directoryLink.picture",
            user.directory_link
                .as_ref()
                .and_then(|link| link.picture.clone())
                .into(),
        ),
        (
            "passwordExpiresAt",
            user.password_expires_at.map(|at| at.to_string()).into(),
        ),
        ("isMaster", flag(user.is_master())),
        (
            "roles",
            granted(&user.grants, |t| {
                if let GrantTarget::Role(id) = t {
                    Some(id.as_uuid())
                } else {
                    None
                }
            }),
        ),
        (
            "groups",
            granted(&user.grants, |t| {
                if let GrantTarget::Group(id) = t {
                    Some(id.as_uuid())
                } else {
                    None
                }
            }),
        ),
    ]
}

/// An account's fields.
pub(in crate::service) fn account_fields(account: &Account) -> Fields {
    let p = account.password_policy;
    vec![
        ("name", text(account.name.as_str())),
        ("title", text(&account.title)),
        ("status", name_of(&account.status)),
        ("timeZone", text(&account.time_zone)),
        ("defaultLanguage", name_of(&account.default_language)),
        ("directory", account.directory.clone().into()),
        ("directoryOnly", flag(account.directory_only)),
        ("passwordPolicy.minLength", shown(p.min_length)),
        ("passwordPolicy.minStrength", shown(p.min_strength)),
        (
            "passwordPolicy.maxAgeDays",
            p.max_age_days.map(|d| d.to_string()).into(),
        ),
        ("passwordPolicy.history", shown(p.history)),
        ("passwordPolicy.lockoutThreshold", shown(p.lockout_threshold)),
        ("passwordPolicy.lockoutMinutes", shown(p.lockout_minutes)),
    ]
}

/// A role's fields.
pub(in crate::service) fn role_fields(role: &Role) -> Fields {
    let permissions: Vec<&str> = role.permissions.iter().map(|p| p.as_str()).collect();
    vec![
        ("name", text(&role.name)),
        ("description", text(&role.description)),
        ("permissions", text(&permissions.join(" "))),
    ]
}

/// A group's fields.
pub(in crate::service) fn group_fields(group: &Group) -> Fields {
    vec![("name", text(&group.name)), ("description", text(&group.description))]
}

fn text(value: &str) -> Value {
    Value::Text(value.to_owned())
}

fn flag(value: bool) -> Value {
    Value::Flag(value)
}

fn shown(value: impl Display) -> Value {
    Value::Text(value.to_string())
}

/// An enum as the schema writes it.
fn name_of(value: &impl serde::Serialize) -> Value {
    let word = serde_json::to_value(value).ok();
    word.and_then(|word| word.as_str().map(str::to_owned)).into()
}

fn granted(grants: &[Grant], id: impl Fn(GrantTarget) -> Option<Uuid>) -> Value {
    let mut ids: Vec<String> = grants
        .iter()
        .filter_map(|g| id(g.target))
        .map(|id| id.to_string())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    text(&ids.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing;

    #[test]
    fn only_what_differs_is_listed_with_both_values() {
        let account = testing::account("acme");
        let before = testing::user(&account, "ann", false);
        let mut after = testing::user(&account, "ann", true);
        after.first_name = "Ann".to_owned();
        after.notifications.security_notices = false;
        let changes = diff(&user_fields(&before), &user_fields(&after));
        let change = |field: &str| changes.iter().find(|c| c.field == field).unwrap();
        assert_eq!(changes.len(), 3, "{changes:?}");
        let both = |field: &str| (change(field).before.as_deref(), change(field).after.as_deref());
        assert_eq!(both("firstName"), (Some(""), Some("Ann")));
        assert_eq!(both("isMaster"), (Some("false"), Some("true")));
        assert_eq!(both("notifications.securityNotices"), (Some("true"), Some("false")));
        assert!(diff(&user_fields(&before), &user_fields(&before)).is_empty());
    }

    #[test]
    fn what_is_empty_or_off_is_left_out_of_what_was_made_and_of_what_is_gone() {
        let account = testing::account("acme");
        let mut ann = testing::user(&account, "ann", false);
        ann.last_name = "false".to_owned();
        for changes in [made(&user_fields(&ann)), gone(&user_fields(&ann))] {
            let fields: Vec<&str> = changes.iter().map(|c| c.field.as_str()).collect();
            assert_eq!(
                fields,
                [
                    "login",
                    "lastName",
                    "language",
                    "status",
                    "notifications.securityNotices"
                ]
            );
        }
        assert_eq!(made(&user_fields(&ann))[0].after.as_deref(), Some("ann"));
        assert_eq!(gone(&user_fields(&ann))[0].before.as_deref(), Some("ann"));
    }

    #[test]
    fn enums_read_as_in_the_schema() {
        let account = testing::account("acme");
        assert!(account_fields(&account).contains(&("status", Value::Text("ACTIVE".to_owned()))));
    }
}

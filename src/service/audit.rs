//! Entries of the audit log, made here and written by the store together with the change.

use std::fmt::Display;

use jiff::Timestamp;
use uuid::Uuid;

use crate::access::{Principal, Reach};
use crate::domain::account::Account;
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};
use crate::domain::grant::{Grant, GrantTarget};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, AuditEntryId, GroupId, RoleId};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::AuditFilter;
use crate::domain::role::Role;
use crate::domain::user::User;
use crate::service::history::Scoped;
use crate::service::{Caller, Result, Services};

/// What an object looks like in the audit log: the schema's field names and their values as text.
pub(super) type Fields = Vec<(&'static str, Option<String>)>;

/// What was done to which object.
pub(super) struct Action<'a> {
    /// The mutation's name.
    pub name: &'a str,
    /// The target's account.
    pub account: AccountId,
    /// The kind of the target.
    pub target_type: TargetType,
    /// The target.
    pub target_id: Uuid,
    /// The target's name.
    pub target_name: String,
    /// What changed.
    pub changes: Vec<FieldChange>,
}

impl Caller {
    /// The entry for what this caller does now.
    pub(super) fn audit(&self, action: Action<'_>) -> Result<AuditEntry> {
        let services = &self.services;
        let (actor, actor_user, impersonator) = match self.principal() {
            Principal::Person(p) => (p.qualified_login(), Some(p.user.id), p.session.impersonator().cloned()),
            Principal::Token(t) => (format!("token {}", t.qualified_name()), None, None),
            Principal::CommandLine => ("command line".to_owned(), None, None),
            Principal::Nobody => ("nobody".to_owned(), None, None),
        };
        Ok(AuditEntry {
            id: AuditEntryId::generate(services.clock.as_ref(), services.entropy.as_ref())?,
            account: action.account,
            at: self.now(),
            actor,
            actor_user,
            impersonator,
            ip: self.ip,
            action: action.name.to_owned(),
            target_type: action.target_type,
            target_id: action.target_id,
            target_name: action.target_name,
            changes: action.changes,
        })
    }

    /// See [`Services::named`].
    pub(super) async fn named(&self, changes: Vec<FieldChange>) -> Result<Vec<FieldChange>> {
        self.services.named(changes).await
    }

    /// A page of the audit log for each filter, as far as the caller sees it.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit_entries(&self, filters: &[AuditFilter], page: &PageRequest) -> Result<Vec<Page<AuditEntry>>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_audit(f)));
        Ok(scoped.spread(self.store().audit_entries(&scoped.filters, page).await?, Page::empty))
    }

    /// Those of these entries that exist for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn audit_entries_by_ids(&self, ids: &[AuditEntryId]) -> Result<Vec<AuditEntry>> {
        let (reach, begins) = (self.principal().reach_of_audit(), self.audit_begins());
        if reach == Reach::Nothing {
            return Ok(Vec::new());
        }
        let mut entries = self.store().audit_entries_by_ids(ids).await?;
        entries.retain(|e| reach.covers(e.account, None) && e.at >= begins);
        Ok(entries)
    }

    /// How many entries each filter finds.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn count_audit_entries(&self, filters: &[AuditFilter]) -> Result<Vec<u64>> {
        let scoped = Scoped::new(filters.iter().map(|f| self.scope_audit(f)));
        Ok(scoped.spread(self.store().count_audit_entries(&scoped.filters).await?, || 0))
    }

    fn scope_audit(&self, filter: &AuditFilter) -> Option<AuditFilter> {
        let (account, _) = super::history::narrow(self.principal().reach_of_audit(), filter.account)?;
        Some(AuditFilter {
            account,
            since: filter.since.max(Some(self.audit_begins())),
            ..filter.clone()
        })
    }

    /// Older entries may still be stored until the next clearing up, but are gone for everybody.
    fn audit_begins(&self) -> Timestamp {
        super::settings::before(self.now(), self.services.settings.audit_retention)
    }
}

impl Services {
    /// The same changes of a user with the names of roles and groups in place of their identifiers: those may be gone when
    /// the log is read.
    pub(super) async fn named(&self, mut changes: Vec<FieldChange>) -> Result<Vec<FieldChange>> {
        for change in &mut changes {
            let ids: Vec<Uuid> = [&change.before, &change.after]
                .into_iter()
                .flatten()
                .flat_map(|text| text.split(' '))
                .filter_map(|id| id.parse().ok())
                .collect();
            let names: Vec<(Uuid, String)> = match change.field.as_str() {
                "roles" => {
                    let ids: Vec<RoleId> = ids.into_iter().map(RoleId::from_uuid).collect();
                    let roles = self.store.roles_by_ids(&ids).await?;
                    roles.into_iter().map(|r| (r.id.as_uuid(), r.name)).collect()
                }
                "groups" => {
                    let ids: Vec<GroupId> = ids.into_iter().map(GroupId::from_uuid).collect();
                    let groups = self.store.groups_by_ids(&ids).await?;
                    groups.into_iter().map(|g| (g.id.as_uuid(), g.name)).collect()
                }
                _ => continue,
            };
            for text in [&mut change.before, &mut change.after].into_iter().flatten() {
                *text = in_words(text, &names);
            }
        }
        Ok(changes)
    }
}

/// The fields that differ.
pub(super) fn diff(before: &Fields, after: &Fields) -> Vec<FieldChange> {
    let value_before = |field: &str| before.iter().find(|(f, _)| *f == field).and_then(|(_, v)| v.clone());
    after
        .iter()
        .map(|(field, after)| FieldChange {
            field: (*field).to_owned(),
            before: value_before(field),
            after: after.clone(),
        })
        .filter(|change| change.before != change.after)
        .collect()
}

/// What an object that is gone was like.
pub(super) fn gone(fields: Fields) -> Vec<FieldChange> {
    let mut changes = diff(&Vec::new(), &fields);
    for change in &mut changes {
        change.before = change.after.take();
    }
    changes
}

/// How many had what is gone.
pub(super) fn holders_lost(field: &str, count: u64) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: Some(count.to_string()),
        after: None,
    }
}

/// A secret that was set: the log says so, and nothing else about it.
pub(super) fn secret_changed(field: &str) -> FieldChange {
    FieldChange {
        field: field.to_owned(),
        before: None,
        after: Some("changed".to_owned()),
    }
}

/// A user's fields.
pub(super) fn user_fields(user: &User) -> Fields {
    let n = &user.notifications;
    vec![
        ("login", Some(user.login.to_string())),
        ("firstName", text(&user.first_name)),
        ("lastName", text(&user.last_name)),
        ("email", user.email.as_ref().map(|e| e.as_str().to_owned())),
        ("language", name_of(&user.language)),
        ("phone", user.phone.clone()),
        ("status", name_of(&user.status)),
        ("disabledBy", user.disabled_by.as_ref().and_then(name_of)),
        ("notifications.email", n.email.as_ref().map(|e| e.as_str().to_owned())),
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
                .map(|link| format!("{}: {}", link.directory, link.dn)),
        ),
        (
            "directoryLink.picture",
            user.directory_link.as_ref().and_then(|link| link.picture.clone()),
        ),
        ("passwordExpiresAt", user.password_expires_at.map(|at| at.to_string())),
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
pub(super) fn account_fields(account: &Account) -> Fields {
    let p = account.password_policy;
    vec![
        ("name", Some(account.name.to_string())),
        ("title", text(&account.title)),
        ("status", name_of(&account.status)),
        ("timeZone", text(&account.time_zone)),
        ("defaultLanguage", name_of(&account.default_language)),
        ("directory", account.directory.clone()),
        ("directoryOnly", flag(account.directory_only)),
        ("passwordPolicy.minLength", shown(p.min_length)),
        ("passwordPolicy.minStrength", shown(p.min_strength)),
        ("passwordPolicy.maxAgeDays", p.max_age_days.map(|d| d.to_string())),
        ("passwordPolicy.history", shown(p.history)),
        ("passwordPolicy.lockoutThreshold", shown(p.lockout_threshold)),
        ("passwordPolicy.lockoutMinutes", shown(p.lockout_minutes)),
    ]
}

/// A role's fields.
pub(super) fn role_fields(role: &Role) -> Fields {
    let permissions: Vec<&str> = role.permissions.iter().map(|p| p.as_str()).collect();
    vec![
        ("name", text(&role.name)),
        ("description", text(&role.description)),
        ("permissions", text(&permissions.join(" "))),
    ]
}

/// A group's fields.
pub(super) fn group_fields(group: &Group) -> Fields {
    vec![("name", text(&group.name)), ("description", text(&group.description))]
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// A switch that is off is as good as not there, so that a new object's entry lists what was set.
fn flag(value: bool) -> Option<String> {
    value.then(|| "true".to_owned())
}

fn shown(value: impl Display) -> Option<String> {
    Some(value.to_string())
}

/// An enum as the schema writes it.
fn name_of(value: &impl serde::Serialize) -> Option<String> {
    serde_json::to_value(value).ok()?.as_str().map(str::to_owned)
}

/// Identifiers with their names in place of them, as far as those are known, in their order.
fn in_words(ids: &str, names: &[(Uuid, String)]) -> String {
    let name = |id: &str| {
        let known = names.iter().find(|(known, _)| known.to_string() == id);
        known.map_or_else(|| id.to_owned(), |(_, name)| name.clone())
    };
    let mut words: Vec<String> = ids.split(' ').map(name).collect();
    words.sort_unstable();
    words.join(", ")
}

fn granted(grants: &[Grant], id: impl Fn(GrantTarget) -> Option<Uuid>) -> Option<String> {
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
        assert_eq!(
            (change("firstName").before.clone(), change("firstName").after.as_deref()),
            (None, Some("Ann"))
        );
        assert_eq!(change("isMaster").after.as_deref(), Some("true"));
        assert_eq!(change("notifications.securityNotices").before.as_deref(), Some("true"));
        assert!(diff(&user_fields(&before), &user_fields(&before)).is_empty());
    }

    #[test]
    fn enums_read_as_in_the_schema() {
        let account = testing::account("acme");
        assert!(account_fields(&account).contains(&("status", Some("ACTIVE".to_owned()))));
    }
}

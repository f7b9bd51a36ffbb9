//! Entries of the audit log, made here and written by the store together with the change.

mod fields;

use std::net::IpAddr;

use jiff::Timestamp;
use uuid::Uuid;

pub(super) use fields::{
    Fields, account_fields, diff, gone, group_fields, holders_lost, made, role_fields, secret_changed, user_fields,
};

use crate::access::{Principal, Reach};
use crate::domain::account::Account;
use crate::domain::audit::{AuditEntry, FieldChange, TargetType};
use crate::domain::ids::{AccountId, AuditEntryId, GroupId, RoleId, UserId};
use crate::domain::login_event::Impersonator;
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::AuditFilter;
use crate::domain::user::User;
use crate::service::history::Scoped;
use crate::service::users::qualified;
use crate::service::{Caller, Result, Services};

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

/// Who does something, as the audit log tells it.
#[derive(Debug, Clone)]
pub(super) struct Actor {
    /// In words; see [`AuditEntry::actor`].
    name: String,
    user: Option<UserId>,
    impersonator: Option<Impersonator>,
    ip: Option<IpAddr>,
}

impl Actor {
    /// A user, who asks from there without a session.
    pub fn user(user: &User, account: &Account, ip: IpAddr) -> Self {
        Self {
            name: qualified(user, &account.name),
            user: Some(user.id),
            impersonator: None,
            ip: Some(ip),
        }
    }

    /// The directory of that name, by what it says.
    pub fn directory(name: &str) -> Self {
        Self {
            name: format!("directory {name}"),
            user: None,
            impersonator: None,
            ip: None,
        }
    }
}

impl Caller {
    /// Who this caller is, for entries that are made later.
    pub(super) fn actor(&self) -> Actor {
        let (name, user, impersonator) = match self.principal() {
            Principal::Person(p) => (p.qualified_login(), Some(p.user.id), p.session.impersonator().cloned()),
            Principal::Token(t) => (format!("token {}", t.qualified_name()), None, None),
            Principal::CommandLine => ("command line".to_owned(), None, None),
            Principal::Nobody => ("nobody".to_owned(), None, None),
        };
        Actor {
            name,
            user,
            impersonator,
            ip: self.ip,
        }
    }

    /// The entry for what this caller does now.
    pub(super) fn audit(&self, action: Action<'_>) -> Result<AuditEntry> {
        self.services.audit(self.actor(), action)
    }

    /// Who really does something, in words, for those whom it concerns; empty for somebody at the command line.
    pub(super) fn in_words(&self) -> String {
        if matches!(self.principal(), Principal::CommandLine) {
            return String::new();
        }
        let impersonator = self.principal().person().and_then(|p| p.session.impersonator());
        impersonator.map_or_else(|| self.actor().name, |really| really.name.clone())
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
    /// The entry for what somebody does now.
    pub(super) fn audit(&self, actor: Actor, action: Action<'_>) -> Result<AuditEntry> {
        Ok(AuditEntry {
            id: AuditEntryId::generate(self.clock.as_ref(), self.entropy.as_ref())?,
            account: action.account,
            at: self.clock.now(),
            actor: actor.name,
            actor_user: actor.user,
            impersonator: actor.impersonator,
            ip: actor.ip,
            action: action.name.to_owned(),
            target_type: action.target_type,
            target_id: action.target_id,
            target_name: action.target_name,
            changes: action.changes,
        })
    }

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

//! What a directory's groups grant in an account: the configured mappings, and what they come to for a person.

use std::collections::HashSet;

use jiff::Timestamp;

use crate::config::MappingConfig;
use crate::directory::{Person, canonical_dn};
use crate::domain::account::Account;
use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::page::PageRequest;
use crate::domain::query::NamedFilter;
use crate::domain::text::fold;
use crate::domain::user::User;
use crate::service::Result;
use crate::store::Store;

/// The group of a mapping that is for everybody.
const EVERYBODY: &str = "*";

/// The mappings of one directory as they hold in one account.
#[derive(Debug, Clone)]
pub(in crate::service) struct Mappings {
    mapped: Vec<Mapped>,
    /// Where somebody goes who is in no other group.
    main_group: Option<GroupId>,
    /// Roles and groups that mappings name and the account has not.
    pub missing: Vec<String>,
}

#[derive(Debug, Clone)]
struct Mapped {
    /// The canonical name of the directory's group; `None`: everybody.
    group: Option<String>,
    target: GrantTarget,
}

/// One thing that the directory grants to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::service) struct Granted {
    pub target: GrantTarget,
    /// The directory's group behind it; `None`: everybody has it.
    pub group_dn: Option<String>,
}

impl Mappings {
    /// Finds the roles and groups that the mappings name.
    pub async fn resolve(store: &dyn Store, account: &Account, configured: &[MappingConfig]) -> Result<Self> {
        let here: Vec<&MappingConfig> = configured.iter().filter(|m| holds_in(m, account)).collect();
        let names = |of: fn(&MappingConfig) -> &Vec<String>| -> Vec<String> {
            let mut names: Vec<String> = here.iter().flat_map(|m| of(m)).map(|name| fold(name)).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let (role_names, group_names) = (names(|m| &m.roles), names(|m| &m.groups));
        let first = PageRequest::first(1);
        let roles = match exactly(account.id, &role_names).as_slice() {
            [] => Vec::new(),
            filters => store.roles(filters, &first).await?,
        };
        let roles: Vec<_> = roles.into_iter().flat_map(|page| page.items).collect();
        let groups = match exactly(account.id, &group_names).as_slice() {
            [] => Vec::new(),
            filters => store.groups(filters, &first).await?,
        };
        let groups: Vec<_> = groups.into_iter().flat_map(|page| page.items).collect();
        let (mut mapped, mut missing) = (Vec::new(), Vec::new());
        for mapping in here {
            let group = (mapping.group != EVERYBODY).then(|| canonical_dn(&mapping.group));
            let mut map = |kind: &str, name: &str, target: Option<GrantTarget>| match target {
                Some(target) => mapped.push(Mapped {
                    group: group.clone(),
                    target,
                }),
                None => missing.push(format!("the {kind} {name}")),
            };
            for name in &mapping.roles {
                let known = roles.iter().find(|role| fold(&role.name) == fold(name));
                map("role", name, known.map(|role| GrantTarget::Role(role.id)));
            }
            for name in &mapping.groups {
                let known = groups.iter().find(|group| fold(&group.name) == fold(name));
                map("group", name, known.map(|group| GrantTarget::Group(group.id)));
            }
            if mapping.master {
                map("master", "", Some(GrantTarget::Master));
            }
        }
        missing.sort_unstable();
        missing.dedup();
        if !missing.is_empty() {
            tracing::warn!(account = %account.name, ?missing, "mappings of the directory name what the account has not");
        }
        Ok(Self {
            mapped,
            main_group: store.main_group(account.id).await?.map(|group| group.id),
            missing,
        })
    }

    /// No mapping at all.
    #[cfg(test)]
    pub fn none() -> Self {
        Self {
            mapped: Vec::new(),
            main_group: None,
            missing: Vec::new(),
        }
    }

    /// Does any mapping hold in the account?
    pub fn is_empty(&self) -> bool {
        self.mapped.is_empty()
    }

    /// What somebody's groups grant, each thing once.
    pub fn of(&self, person: &Person) -> Vec<Granted> {
        let groups: Vec<(String, &String)> = person.groups.iter().map(|dn| (canonical_dn(dn), dn)).collect();
        let (mut granted, mut seen) = (Vec::new(), HashSet::new());
        for mapped in &self.mapped {
            let group_dn = match &mapped.group {
                None => None,
                Some(group) => match groups.iter().find(|(canonical, _)| canonical == group) {
                    Some((_, dn)) => Some((*dn).clone()),
                    None => continue,
                },
            };
            if seen.insert(mapped.target) {
                granted.push(Granted {
                    target: mapped.target,
                    group_dn,
                });
            }
        }
        granted
    }

    /// The user's grants with the directory's among them replaced by these; what came from anywhere else stays. A user who
    /// would be in no group is in the Main group.
    pub fn apply(&self, user: &User, granted: &[Granted], now: Timestamp) -> Vec<Grant> {
        let grant = |target, source, group_dn| Grant {
            target,
            source,
            directory_group_dn: group_dn,
            granted_by: None,
            granted_at: now,
        };
        // In the order in which they were granted, so that what is the same looks the same.
        let mut grants: Vec<Grant> = Vec::with_capacity(user.grants.len());
        for old in &user.grants {
            if old.source != GrantSource::Directory {
                grants.push(old.clone());
            } else if let Some(still) = granted.iter().find(|new| new.target == old.target) {
                grants.push(Grant {
                    directory_group_dn: still.group_dn.clone(),
                    ..old.clone()
                });
            }
        }
        for new in granted {
            let has = |g: &Grant| g.source == GrantSource::Directory && g.target == new.target;
            if !grants.iter().any(has) {
                grants.push(grant(new.target, GrantSource::Directory, new.group_dn.clone()));
            }
        }
        let is_group = |g: &Grant| matches!(g.target, GrantTarget::Group(_));
        let is_default = |g: &Grant| is_group(g) && g.source == GrantSource::Default;
        if grants.iter().any(|g| is_group(g) && !is_default(g)) {
            grants.retain(|g| !is_default(g));
        } else if !grants.iter().any(is_group) {
            grants.extend(
                self.main_group
                    .map(|main| grant(GrantTarget::Group(main), GrantSource::Default, None)),
            );
        }
        grants
    }
}

/// A mapping that makes masters names its account, and so never reaches the operators' by being for every account.
fn holds_in(mapping: &MappingConfig, account: &Account) -> bool {
    match &mapping.account {
        Some(name) => fold(name) == account.name.as_str(),
        None => !mapping.master,
    }
}

/// What finds the things of these folded names: the first of those that begin with a name is the one that is it, if any is.
fn exactly(account: AccountId, names: &[String]) -> Vec<NamedFilter> {
    let filter = |name: &String| NamedFilter {
        account: Some(account),
        search: Some(name.clone()),
    };
    names.iter().map(filter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{PasswordExpiry, PersonAttributes};
    use crate::domain::clock::{SystemClock, SystemEntropy};
    use crate::domain::ids::RoleId;
    use crate::domain::testing;

    fn person(groups: &[&str]) -> Person {
        Person {
            dn: "uid=ann".to_owned(),
            external_id: None,
            external_ids: Vec::new(),
            attributes: PersonAttributes::default(),
            groups: groups.iter().map(ToString::to_string).collect(),
            is_disabled: false,
            password_expiry: PasswordExpiry::Unsaid,
        }
    }

    fn role() -> GrantTarget {
        GrantTarget::Role(RoleId::generate(&SystemClock, &SystemEntropy).unwrap())
    }

    fn group() -> GrantTarget {
        GrantTarget::Group(GroupId::generate(&SystemClock, &SystemEntropy).unwrap())
    }

    fn mappings(list: &[(Option<&str>, GrantTarget)], main: GrantTarget) -> Mappings {
        let GrantTarget::Group(main) = main else { panic!() };
        Mappings {
            mapped: list
                .iter()
                .map(|(dn, target)| Mapped {
                    group: dn.map(canonical_dn),
                    target: *target,
                })
                .collect(),
            main_group: Some(main),
            missing: Vec::new(),
        }
    }

    #[test]
    fn all_matching_mappings_count_in_whatever_spelling() {
        let (support, sales, everybody) = (role(), role(), role());
        let mappings = mappings(
            &[
                (Some("cn=Support,ou=groups"), support),
                (Some("cn=sales,ou=groups"), sales),
                (None, everybody),
                (Some("cn=leads,ou=groups"), support),
            ],
            group(),
        );
        let granted = mappings.of(&person(&["CN=support, OU=Groups", "cn=leads,ou=groups", "cn=other"]));
        let targets: Vec<_> = granted.iter().map(|g| g.target).collect();
        assert_eq!(targets, [support, everybody], "each once");
        assert_eq!(
            granted[0].group_dn.as_deref(),
            Some("CN=support, OU=Groups"),
            "as the server writes it"
        );
        assert_eq!(mappings.of(&person(&[])).len(), 1);
    }

    #[test]
    fn only_the_directorys_own_grants_are_replaced() {
        let (manual, old, new, main) = (role(), role(), role(), group());
        let account = testing::account("acme");
        let mut user = testing::user(&account, "ann", false);
        let then: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let now: Timestamp = "2026-02-01T00:00:00Z".parse().unwrap();
        let grant = |target, source| Grant {
            target,
            source,
            directory_group_dn: None,
            granted_by: None,
            granted_at: then,
        };
        user.grants = vec![
            grant(manual, GrantSource::Manual),
            grant(old, GrantSource::Directory),
            grant(main, GrantSource::Default),
        ];
        let mappings = mappings(&[], main);
        let granted = |target| Granted { target, group_dn: None };
        let after = |granted: &[Granted]| {
            let grants = mappings.apply(&user, granted, now);
            grants
                .into_iter()
                .map(|g| (g.target, g.source, g.granted_at))
                .collect::<Vec<_>>()
        };
        let kept = [(manual, GrantSource::Manual, then), (main, GrantSource::Default, then)];
        assert_eq!(after(&[]), kept);
        let expected = [kept[0], kept[1], (new, GrantSource::Directory, now)];
        assert_eq!(after(&[granted(new)]), expected);
        let expected = [kept[0], (old, GrantSource::Directory, then), kept[1]];
        assert_eq!(
            after(&[granted(old)]),
            expected,
            "what was granted stays granted since then"
        );
        let expected = [kept[0], kept[1], (manual, GrantSource::Directory, now)];
        assert_eq!(after(&[granted(manual)]), expected, "by hand and by the directory");
        let elsewhere = group();
        let expected = [kept[0], (elsewhere, GrantSource::Directory, now)];
        assert_eq!(
            after(&[granted(elsewhere)]),
            expected,
            "nobody is in Main who is in another"
        );
        user.grants.retain(|g| g.source == GrantSource::Directory);
        let alone = mappings.apply(&user, &[], now);
        assert_eq!(
            (alone.len(), alone[0].target, alone[0].source),
            (1, main, GrantSource::Default)
        );
    }

    #[test]
    fn nobody_becomes_an_operator_by_a_mapping_for_every_account() {
        let mapping = |account: Option<&str>, master| MappingConfig {
            group: "*".to_owned(),
            account: account.map(str::to_owned),
            roles: Vec::new(),
            groups: Vec::new(),
            master,
        };
        let system = testing::account("system");
        assert!(!holds_in(&mapping(None, true), &system));
        assert!(holds_in(&mapping(Some("System"), true), &system));
        assert!(!holds_in(&mapping(Some("acme"), true), &system));
        assert!(holds_in(&mapping(None, false), &testing::account("acme")));
    }
}

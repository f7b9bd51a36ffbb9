//! Finding what a command names: accounts, users, and roles and groups by their names.

use std::fmt::Display;

use anyhow::{Context as _, bail};

use crate::cli::failure::{Usage, explain};
use crate::domain::account::Account;
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId, RoleId};
use crate::domain::page::{Page, PageRequest, Position};
use crate::domain::query::{
    AccountFilter, AccountOrder, AccountOrderField, Direction, NamedFilter, group_position, role_position,
};
use crate::domain::role::Role;
use crate::domain::text::fold;
use crate::domain::user::User;
use crate::service::{Caller, ServiceError};

/// Names are alike from here on (Jaro–Winkler).
const ALIKE: f64 = 0.75;

/// Calls `each` for every page of a list, of 200 entries each.
pub(super) async fn pages<T>(
    fetch: impl AsyncFn(PageRequest) -> Result<Page<T>, ServiceError>,
    position: impl Fn(&T) -> Position,
    mut each: impl AsyncFnMut(Vec<T>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut request = PageRequest::first(PageRequest::MAX);
    loop {
        let page = fetch(request.clone()).await?;
        request.after = page.items.last().map(&position);
        let has_more = page.has_more && request.after.is_some();
        each(page.items).await?;
        if !has_more {
            return Ok(());
        }
    }
}

/// `NAME@ACCOUNT`, split at the last `@`.
pub(super) fn split<'a>(text: &'a str, what: &str) -> anyhow::Result<(&'a str, &'a str)> {
    match text.rsplit_once('@') {
        Some((name, account)) if !name.trim().is_empty() && !account.trim().is_empty() => Ok((name, account)),
        _ => Err(Usage(format!(
            "{text:?} should be {what}@ACCOUNT, such as {}@acme",
            what.to_lowercase()
        ))
        .into()),
    }
}

/// The account of that name.
pub(super) async fn account(caller: &Caller, name: &str) -> anyhow::Result<Account> {
    if let Some(account) = caller.account_by_name(name).await? {
        return Ok(account);
    }
    let mut nearest = Nearest::to(name);
    let filter = AccountFilter::default();
    pages(
        async |page| caller.accounts(&filter, BY_NAME, &page).await,
        |account| BY_NAME.position(account),
        async |accounts: Vec<Account>| {
            accounts.iter().for_each(|account| nearest.offer(account.name.as_str()));
            Ok(())
        },
    )
    .await?;
    bail!("there is no account {name:?}{nearest}")
}

/// The order in which accounts are listed.
pub(super) const BY_NAME: AccountOrder = AccountOrder {
    field: AccountOrderField::Name,
    direction: Direction::Asc,
};

/// The user of that `LOGIN@ACCOUNT`.
pub(super) async fn user(caller: &Caller, login: &str) -> anyhow::Result<(User, Account)> {
    let (_, account_name) = split(login, "LOGIN")?;
    let account = account(caller, account_name).await?;
    match caller.user_by_login(login).await? {
        Some(user) => Ok((user, account)),
        None => bail!(
            "there is no user {login:?}; `doorward user list {}` shows who there is",
            account.name
        ),
    }
}

/// The ids of the account's roles of these names, each given with `--role`.
pub(super) async fn roles(
    caller: &Caller,
    account: AccountId,
    names: &[String],
) -> anyhow::Result<Vec<Option<RoleId>>> {
    roles_given(caller, account, "--role", names).await
}

/// The id of the account's role of that name.
pub(super) async fn role(caller: &Caller, account: &Account, name: &str) -> anyhow::Result<RoleId> {
    let found = roles_given(caller, account.id, "role", &[name.to_owned()]).await?;
    found
        .into_iter()
        .flatten()
        .next()
        .with_context(|| format!("there is no role {name:?}"))
}

async fn roles_given(
    caller: &Caller,
    account: AccountId,
    option: &'static str,
    names: &[String],
) -> anyhow::Result<Vec<Option<RoleId>>> {
    let filter = NamedFilter {
        account: Some(account),
        search: None,
    };
    let mut wanted = Wanted::new(option, names);
    if !names.is_empty() {
        pages(
            async |page| one(caller.roles(std::slice::from_ref(&filter), &page).await),
            role_position,
            async |roles: Vec<Role>| {
                roles.iter().for_each(|role| wanted.offer(&role.name, role.id));
                Ok(())
            },
        )
        .await?;
    }
    wanted.found()
}

/// The ids of the account's groups of these names, each given with `--group`.
pub(super) async fn groups(
    caller: &Caller,
    account: AccountId,
    names: &[String],
) -> anyhow::Result<Vec<Option<GroupId>>> {
    groups_given(caller, account, "--group", names).await
}

/// The id of the account's group of that name.
pub(super) async fn group(caller: &Caller, account: &Account, name: &str) -> anyhow::Result<GroupId> {
    let found = groups_given(caller, account.id, "group", &[name.to_owned()]).await?;
    found
        .into_iter()
        .flatten()
        .next()
        .with_context(|| format!("there is no group {name:?}"))
}

async fn groups_given(
    caller: &Caller,
    account: AccountId,
    option: &'static str,
    names: &[String],
) -> anyhow::Result<Vec<Option<GroupId>>> {
    let filter = NamedFilter {
        account: Some(account),
        search: None,
    };
    let mut wanted = Wanted::new(option, names);
    if !names.is_empty() {
        pages(
            async |page| one(caller.groups(std::slice::from_ref(&filter), &page).await),
            group_position,
            async |groups: Vec<Group>| {
                groups.iter().for_each(|group| wanted.offer(&group.name, group.id));
                Ok(())
            },
        )
        .await?;
    }
    wanted.found()
}

/// The only page of a list that was asked for with one filter.
pub(super) fn one<T>(pages: Result<Vec<Page<T>>, ServiceError>) -> Result<Page<T>, ServiceError> {
    Ok(pages?.pop().unwrap_or_else(Page::empty))
}

/// Names to be found, and what came nearest to those that were not.
struct Wanted<'a, Id: Copy> {
    option: &'static str,
    names: Vec<(&'a str, String, Option<Id>, Nearest)>,
}

impl<'a, Id: Copy> Wanted<'a, Id> {
    fn new(option: &'static str, names: &'a [String]) -> Self {
        let names = names
            .iter()
            .map(|name| (name.as_str(), fold(name), None, Nearest::to(name)));
        Self {
            option,
            names: names.collect(),
        }
    }

    fn offer(&mut self, name: &str, id: Id) {
        let folded = fold(name);
        for (_, wanted, found, nearest) in &mut self.names {
            if *wanted == folded {
                *found = Some(id);
            } else {
                nearest.offer(name);
            }
        }
    }

    fn found(self) -> anyhow::Result<Vec<Option<Id>>> {
        let missing: Vec<String> = self
            .names
            .iter()
            .filter(|(_, _, found, _)| found.is_none())
            .map(|(name, _, _, nearest)| format!("{}: there is no {name:?} in this account{nearest}", self.option))
            .collect();
        if !missing.is_empty() {
            bail!(missing.join("\n"));
        }
        Ok(self.names.into_iter().map(|(_, _, found, _)| found).collect())
    }
}

/// The name that is most like one that was not found. Displays as the end of the sentence that says so.
#[derive(Debug)]
struct Nearest {
    to: String,
    best: Option<(f64, String)>,
}

impl Nearest {
    fn to(name: &str) -> Self {
        Self {
            to: fold(name),
            best: None,
        }
    }

    fn offer(&mut self, name: &str) {
        let likeness = strsim::jaro_winkler(&self.to, &fold(name));
        if likeness >= ALIKE && self.best.as_ref().is_none_or(|(best, _)| likeness > *best) {
            self.best = Some((likeness, name.to_owned()));
        }
    }
}

impl Display for Nearest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.best {
            Some((_, name)) => write!(f, "; did you mean {name:?}?"),
            None => Ok(()),
        }
    }
}

/// As [`explain`], for inputs without lists.
pub(super) fn explained(error: ServiceError) -> anyhow::Error {
    explain(error, &[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_last_at() {
        assert_eq!(split("a@b.example@acme", "LOGIN").unwrap(), ("a@b.example", "acme"));
        for bad in ["acme", "@acme", "ann@", ""] {
            let error = split(bad, "LOGIN").unwrap_err();
            assert!(
                error.is::<Usage>() && error.to_string().contains("LOGIN@ACCOUNT"),
                "{error}"
            );
        }
    }

    #[test]
    fn a_missing_name_is_told_with_the_nearest() {
        let names = ["support".to_owned(), "Adit".to_owned(), "zzz".to_owned()];
        let mut wanted = Wanted::new("--role", &names);
        for (id, name) in ["Support", "Support lead", "Audit"].into_iter().enumerate() {
            wanted.offer(name, id);
        }
        let error = wanted.found().unwrap_err().to_string();
        assert_eq!(
            error,
            "--role: there is no \"Adit\" in this account; did you mean \"Audit\"?\n\
             --role: there is no \"zzz\" in this account"
        );
        let mut wanted = Wanted::new("--role", &names[..1]);
        wanted.offer("SUPPORT", 7);
        assert_eq!(wanted.found().unwrap(), [Some(7)]);
    }
}

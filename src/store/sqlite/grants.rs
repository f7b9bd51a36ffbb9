//! What users are granted, and how that ends with the role or the group.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use crate::domain::grant::{Grant, GrantSource, GrantTarget};
use crate::domain::group::Group;
use crate::domain::ids::{AccountId, GroupId};
use crate::domain::user::User;
use crate::store::Result;
use crate::store::sqlite::rows::{self, Id, first, json, millis, select};

/// The account's Main group.
pub(super) fn main_group(connection: &Connection, account: AccountId) -> Result<Option<Group>> {
    let sql = select(rows::GROUP, "groups", "account = ? AND is_main");
    first(connection, &sql, [account.blob()], rows::group)
}

/// The user without what is gone by now. Writers come one at a time, so what is there stays until the commit.
pub(super) fn that_hold(tx: &Transaction<'_>, account: AccountId, mut user: User) -> Result<User> {
    let mut gone = Vec::new();
    for grant in &user.grants {
        let (sql, id) = match grant.target {
            GrantTarget::Role(id) => ("SELECT 1 FROM roles WHERE id = ? AND account = ?", id.blob()),
            GrantTarget::Group(id) => ("SELECT 1 FROM groups WHERE id = ? AND account = ?", id.blob()),
            GrantTarget::Master => continue,
        };
        if !tx.prepare_cached(sql)?.exists(params![id, account.blob()])? {
            gone.push(grant.target);
        }
    }
    if !gone.is_empty() {
        let main = main_group(tx, account)?.map(|main| main.id);
        let at = user.updated_at;
        user.keep_grants(|grant| !gone.contains(&grant.target), main, at);
    }
    Ok(user)
}

/// What the filters by role and by group look into.
pub(super) fn index(connection: &Connection, user: &User) -> Result<()> {
    let mut with_role = connection.prepare_cached("INSERT INTO user_roles (role, user) VALUES (?, ?)")?;
    for role in user.roles() {
        with_role.execute([role.blob(), user.id.blob()])?;
    }
    let mut in_group = connection.prepare_cached("INSERT INTO user_groups (group_id, user) VALUES (?, ?)")?;
    for group in user.groups() {
        in_group.execute([group.blob(), user.id.blob()])?;
    }
    Ok(())
}

/// Takes a grant from each of the users that `holders` finds by one value; who is in no group then is put into `main`.
pub(super) fn take(
    tx: &Transaction<'_>,
    holders: &'static str,
    value: [u8; 16],
    target: GrantTarget,
    main: Option<GroupId>,
    at: Timestamp,
) -> Result<()> {
    let holders = rows::all(tx, holders, [value], |row| row.get::<Vec<u8>>())?;
    let mut forget_roles = tx.prepare_cached("DELETE FROM user_roles WHERE user = ?1 AND role = ?2")?;
    let mut forget_groups = tx.prepare_cached("DELETE FROM user_groups WHERE user = ?1 AND group_id = ?2")?;
    let mut join = tx.prepare_cached("INSERT INTO user_groups (group_id, user) VALUES (?, ?)")?;
    let mut change =
        tx.prepare_cached("UPDATE users SET grants = ?, updated_at = ?, revision = revision + 1 WHERE id = ?")?;
    for user in holders {
        let found: Option<Vec<Grant>> = first(tx, "SELECT grants FROM users WHERE id = ?", [&user], |row| row.json())?;
        let mut grants = found.unwrap_or_default();
        grants.retain(|grant| grant.target != target);
        forget_roles.execute(params![user, value])?;
        forget_groups.execute(params![user, value])?;
        let in_a_group = grants.iter().any(|g| matches!(g.target, GrantTarget::Group(_)));
        if let Some(main) = main.filter(|_| !in_a_group) {
            grants.push(Grant {
                target: GrantTarget::Group(main),
                source: GrantSource::Default,
                directory_group_dn: None,
                granted_by: None,
                granted_at: at,
            });
            join.execute(params![main.blob(), user])?;
        }
        change.execute(params![json(&grants)?, millis(at), user])?;
    }
    Ok(())
}

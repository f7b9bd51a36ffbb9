//! Links that set a password.

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};

use crate::domain::credentials::TokenHash;
use crate::domain::ids::UserId;
use crate::domain::link::{AccessLink, LinkState};
use crate::domain::mail::LinkKind;
use crate::domain::user::{User, UserStatus};
use crate::store::sqlite::names::Name;
use crate::store::sqlite::rows::{self, Columns, Id, first, millis, opt_millis, select};
use crate::store::sqlite::{account, audit, history, login, mail, session, user};
use crate::store::{FoundLink, Minted, Redemption, Result, StoreError};

pub(super) const LINK: &str =
    "hash, account, user, mail, to_fold, kind, created_at, expires_at, password_changed_at, used_at, superseded_at";

pub(super) fn link(row: &mut Columns<'_>) -> Result<AccessLink> {
    Ok(AccessLink {
        hash: TokenHash(row.get()?),
        account: row.id()?,
        user: row.id()?,
        mail: row.id()?,
        to: row.get()?,
        kind: row.name()?,
        created_at: row.time()?,
        expires_at: row.time()?,
        password_changed_at: row.opt_time()?,
        used_at: row.opt_time()?,
        superseded_at: row.opt_time()?,
    })
}

fn find(connection: &Connection, hash: &TokenHash) -> Result<Option<AccessLink>> {
    first(connection, &select(LINK, "links", "hash = ?"), [hash.0], link)
}

fn owner(connection: &Connection, link: &AccessLink) -> Result<Option<User>> {
    let sql = select(rows::USER, "users", "id = ? AND account = ?");
    first(
        connection,
        &sql,
        params![link.user.blob(), link.account.blob()],
        rows::user,
    )
}

/// Ends the links of a user that are still of use.
pub(super) fn end_all(tx: &Transaction<'_>, user: UserId, at: Timestamp) -> Result<()> {
    tx.prepare_cached(
        "UPDATE links SET superseded_at = ?2 WHERE user = ?1 AND superseded_at IS NULL AND used_at IS NULL",
    )?
    .execute(params![user.blob(), millis(at)])?;
    Ok(())
}

/// A link with all that using it takes.
pub(super) fn find_whole(tx: &Connection, hash: &TokenHash) -> Result<Option<FoundLink>> {
    let Some(link) = find(tx, hash)? else {
        return Ok(None);
    };
    let owner = owner(tx, &link)?;
    let credentials = user::credentials(tx, link.user)?;
    let account = account::find(tx, "id = ?", &link.account.blob())?;
    Ok(match (owner, credentials, account) {
        (Some(user), Some(credentials), Some(account)) => Some(FoundLink {
            link,
            user,
            credentials,
            account,
        }),
        _ => None,
    })
}

/// Stores a link, whatever has become of it.
pub(super) fn insert(connection: &Connection, link: &AccessLink) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO links (hash, account, user, mail, to_fold, kind, created_at, expires_at, password_changed_at, \
         used_at, superseded_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            link.hash.0,
            link.account.blob(),
            link.user.blob(),
            link.mail.blob(),
            link.to,
            Name(link.kind),
            millis(link.created_at),
            millis(link.expires_at),
            opt_millis(link.password_changed_at),
            opt_millis(link.used_at),
            opt_millis(link.superseded_at),
        ])?;
    Ok(())
}

/// Stores a link that is still of use. Writers come one at a time, so what is seen here holds until the commit.
pub(super) fn mint(tx: &Transaction<'_>, link: &AccessLink) -> Result<Minted> {
    let user = owner(tx, link)?.filter(|user| user.status == UserStatus::Active && !user.is_ldap);
    let Some(user) = user else {
        return Ok(Minted::NoUse);
    };
    if let Some(changed) = Minted::changed(link, &user) {
        return Ok(changed);
    }
    let mut later = tx.prepare_cached("SELECT 1 FROM links WHERE user = ? AND mail > ? AND kind = ?")?;
    let mut earlier = tx.prepare_cached(
        "UPDATE links SET superseded_at = ?4 \
         WHERE user = ?1 AND mail < ?2 AND kind = ?3 AND superseded_at IS NULL AND used_at IS NULL",
    )?;
    for kind in LinkKind::ALL.into_iter().filter(|kind| kind.ends(link.kind)) {
        if later.exists(params![link.user.blob(), link.mail.blob(), Name(kind)])? {
            return Ok(Minted::Superseded);
        }
    }
    for kind in LinkKind::ALL.into_iter().filter(|kind| link.kind.ends(*kind)) {
        earlier.execute(params![
            link.user.blob(),
            link.mail.blob(),
            Name(kind),
            millis(link.created_at)
        ])?;
    }
    insert(tx, link)?;
    Ok(Minted::Stored)
}

/// Uses a link, with everything that belongs to it.
pub(super) fn redeem(tx: &Transaction<'_>, redemption: &Redemption) -> Result<()> {
    let link = find(tx, &redemption.hash)?.ok_or(StoreError::NotFound)?;
    let owner = owner(tx, &link)?.ok_or(StoreError::NotFound)?;
    if link.state(redemption.at, &owner) != LinkState::Valid {
        return Err(StoreError::NotFound);
    }
    account::expect_revision(tx, user::REVISION, link.user, redemption.opened.user_revision)?;
    tx.prepare_cached("UPDATE links SET used_at = ?3 WHERE user = ?1 AND mail = ?2 AND used_at IS NULL")?
        .execute(params![link.user.blob(), link.mail.blob(), millis(redemption.at)])?;
    user::replace_password(tx, link.user, &redemption.change)?;
    session::end_all(tx, link.user, None)?;
    session::insert(tx, &redemption.opened)?;
    history::insert(tx, &redemption.event)?;
    login::remember_last(tx, &redemption.event)?;
    tx.prepare_cached("UPDATE users SET locked_until = NULL WHERE id = ?")?
        .execute([link.user.blob()])?;
    for key in &redemption.cleared {
        tx.prepare_cached("DELETE FROM failures WHERE account = ? AND login = ?")?
            .execute(params![key.account.blob(), key.login])?;
    }
    mail::queue(tx, &redemption.mails)?;
    audit::insert(tx, &redemption.audit)
}

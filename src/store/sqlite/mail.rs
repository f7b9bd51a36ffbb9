//! The outbox.

use std::collections::HashMap;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params};
use uuid::Uuid;

use crate::domain::audit::AuditEntry;
use crate::domain::credentials::TokenHash;
use crate::domain::ids::{AccountId, MailId, UserId};
use crate::domain::link::AccessLink;
use crate::domain::mail::{Mail, MailFilter, MailState, Subscription};
use crate::domain::page::{Page, PageRequest};
use crate::domain::query::Direction;
use crate::domain::user::{Email, User};
use crate::store::sqlite::names::{Name, Named};
use crate::store::sqlite::rows::{Columns, Id, all, by_ids, first, json, millis, opt_millis, parsed};
use crate::store::sqlite::{SqliteStore, audit, keyset, link, report};
use crate::store::transfer::StoredMail;
use crate::store::{
    FoundLink, MailClaim, MailOutcome, MailStore, Minted, Redemption, ReportMark, Result, StoreError, USER_DELETED,
    unreadable,
};

pub(super) const MAIL: &str = "id, account, user, address, language, subject, content, key, state, attempts, last_error, \
     created_at, due_at, sent_at";

/// Which mails are due: now, the limit.
const DUE: &str = "SELECT id FROM mails WHERE due_at IS NOT NULL AND due_at <= ? ORDER BY due_at, id LIMIT ?";

/// Newest first.
const NEWEST_FIRST: keyset::Order = keyset::Order {
    key: "created_at",
    nullable: false,
    direction: Direction::Desc,
};

/// A mail, and when it may be claimed.
pub(super) fn stored_mail(row: &mut Columns<'_>) -> Result<StoredMail> {
    let mut mail = Mail {
        id: row.id()?,
        account: row.id()?,
        user: row.id()?,
        to: parsed(Email::parse(&row.get::<String>()?), "an address")?,
        language: row.name()?,
        subject: row.get()?,
        content: row.json()?,
        key: row.get()?,
        state: row.name()?,
        attempts: row.get()?,
        last_error: row.get()?,
        created_at: row.time()?,
        next_attempt_at: None,
        sent_at: None,
    };
    let due_at = row.opt_time()?;
    mail.sent_at = row.opt_time()?;
    // Of one in hand it is the end of its lease.
    mail.next_attempt_at = due_at.filter(|_| mail.state == MailState::Queued);
    Ok(StoredMail { mail, due_at })
}

fn mail(row: &mut Columns<'_>) -> Result<Mail> {
    stored_mail(row).map(|stored| stored.mail)
}

/// Adds a mail, unless one of its key is there; says whether it did.
pub(super) fn insert(connection: &Connection, mail: &Mail, due_at: Option<Timestamp>) -> Result<bool> {
    let inserted = connection
        .prepare_cached(
            "INSERT INTO mails (id, account, user, address, to_fold, language, subject, content, key, state, attempts, \
             last_error, created_at, due_at, sent_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
             ON CONFLICT (account, key) WHERE key IS NOT NULL DO NOTHING",
        )?
        .execute(params![
            mail.id.blob(),
            mail.account.blob(),
            mail.user.blob(),
            mail.to.as_str(),
            mail.to.folded(),
            Name(mail.language),
            mail.subject,
            json(&mail.content)?,
            mail.key,
            Name(mail.state),
            mail.attempts,
            mail.last_error,
            millis(mail.created_at),
            opt_millis(due_at),
            opt_millis(mail.sent_at),
        ])?;
    Ok(inserted > 0)
}

/// Queues mails, except those whose key is there already; says how many it queued.
pub(super) fn queue(connection: &Connection, mails: &[Mail]) -> Result<u64> {
    let mut queued = 0;
    for mail in mails {
        queued += u64::from(insert(connection, mail, mail.next_attempt_at)?);
    }
    Ok(queued)
}

/// Drops the mails of a user that wait, as it is being deleted.
pub(super) fn drop_waiting(connection: &Connection, user: UserId) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE mails SET state = 'DROPPED', due_at = NULL, last_error = ?2 \
             WHERE account = (SELECT account FROM users WHERE id = ?1) AND user = ?1 AND state = 'QUEUED'",
        )?
        .execute(params![user.blob(), USER_DELETED])?;
    Ok(())
}

/// Takes what is due in hand. Writers come one at a time, so nobody else takes it meanwhile.
fn claim(tx: &Transaction<'_>, claim: &MailClaim) -> Result<Vec<Mail>> {
    let limit = i64::try_from(claim.limit).unwrap_or(i64::MAX);
    let due: Vec<MailId> = all(tx, DUE, params![millis(claim.now), limit], |row| row.id())?;
    let take = format!(
        "UPDATE mails SET state = 'SENDING', attempts = attempts + 1, holder = ?2, due_at = ?3 WHERE id = ?1 \
         RETURNING {MAIL}"
    );
    let mut taken = Vec::with_capacity(due.len());
    for id in due {
        let values = params![id.blob(), claim.holder.into_bytes(), millis(claim.until)];
        match first(tx, &take, values, mail) {
            Ok(mail) => taken.extend(mail),
            // Nobody can send it, and the others need not wait for that.
            Err(StoreError::Corrupt(reason)) => set_aside(tx, id, &reason)?,
            Err(error) => return Err(error),
        }
    }
    Ok(taken)
}

/// Gives up a mail in hand that cannot be read.
fn set_aside(tx: &Transaction<'_>, id: MailId, reason: &str) -> Result<()> {
    let error = unreadable(id, reason);
    tx.prepare_cached(
        "UPDATE mails SET state = 'FAILED', due_at = NULL, holder = NULL, last_error = ?2 WHERE id = ?1",
    )?
    .execute(params![id.blob(), error])?;
    Ok(())
}

fn settle(tx: &Transaction<'_>, id: MailId, holder: Uuid, outcome: &MailOutcome, at: Timestamp) -> Result<bool> {
    let untried = matches!(outcome, MailOutcome::Untried { .. });
    let sent_at = matches!(outcome, MailOutcome::Sent).then_some(at);
    let settled = tx
        .prepare_cached(
            "UPDATE mails SET state = ?3, due_at = ?4, last_error = ?5, sent_at = ?6, attempts = attempts - ?7, \
             holder = NULL WHERE id = ?1 AND holder = ?2 AND state = 'SENDING'",
        )?
        .execute(params![
            id.blob(),
            holder.into_bytes(),
            Name(outcome.state()),
            opt_millis(outcome.next_attempt_at()),
            outcome.error(),
            opt_millis(sent_at),
            untried,
        ])?;
    Ok(settled > 0)
}

/// What each filter asks for.
fn conditions(filters: &[MailFilter]) -> Vec<keyset::Conditions> {
    let of = |filter: &MailFilter| {
        let mut all = keyset::Conditions::default();
        all.and_some("state = ?", filter.state.map(|s| s.name().to_owned()));
        all.and_some("to_fold = ?", filter.to.clone());
        all
    };
    filters.iter().map(of).collect()
}

#[async_trait]
impl MailStore for SqliteStore {
    async fn queue_mails(&self, mails: &[Mail], entry: Option<&AuditEntry>) -> Result<u64> {
        let (mails, entry) = (mails.to_vec(), entry.cloned());
        self.write("queue_mails", move |tx| {
            entry.iter().try_for_each(|entry| audit::insert(tx, entry))?;
            queue(tx, &mails)
        })
        .await
    }

    async fn claim_mails(&self, wanted: &MailClaim) -> Result<Vec<Mail>> {
        let wanted = *wanted;
        self.write_quietly("claim_mails", move |tx| claim(tx, &wanted)).await
    }

    async fn settle_mail(&self, id: MailId, holder: Uuid, outcome: &MailOutcome, at: Timestamp) -> Result<bool> {
        let outcome = outcome.clone();
        self.write_quietly("settle_mail", move |tx| settle(tx, id, holder, &outcome, at))
            .await
    }

    async fn mails_by_ids(&self, ids: &[MailId]) -> Result<Vec<Mail>> {
        let ids = ids.to_vec();
        self.read("mails_by_ids", move |tx| by_ids(tx, MAIL, "mails", &ids, mail))
            .await
    }

    async fn mails(&self, filters: &[MailFilter], page: &PageRequest) -> Result<Vec<Page<Mail>>> {
        let (filters, page) = (conditions(filters), page.clone());
        self.read("mails", move |tx| {
            let read = |conditions| keyset::page(tx, MAIL, "mails", conditions, NEWEST_FIRST, &page, mail);
            filters.iter().map(read).collect()
        })
        .await
    }

    async fn count_mails(&self, filters: &[MailFilter]) -> Result<Vec<u64>> {
        let filters = conditions(filters);
        self.read("count_mails", move |tx| {
            filters.iter().map(|c| c.count(tx, "mails")).collect()
        })
        .await
    }

    async fn retry_mail(&self, id: MailId, entry: &AuditEntry) -> Result<Mail> {
        let entry = entry.clone();
        self.write("retry_mail", move |tx| {
            let sql = format!(
                "UPDATE mails SET state = 'QUEUED', due_at = ?2, attempts = 0, last_error = NULL \
                 WHERE id = ?1 AND state IN ('QUEUED', 'FAILED', 'DROPPED') RETURNING {MAIL}"
            );
            let retried = first(tx, &sql, params![id.blob(), millis(entry.at)], mail)?.ok_or(StoreError::NotFound)?;
            audit::insert(tx, &entry)?;
            Ok(retried)
        })
        .await
    }

    async fn drop_mail(&self, id: MailId, entry: &AuditEntry) -> Result<Mail> {
        let entry = entry.clone();
        self.write("drop_mail", move |tx| {
            let sql = format!(
                "UPDATE mails SET state = 'DROPPED', due_at = NULL, last_error = ?2 \
                 WHERE id = ?1 AND state IN ('QUEUED', 'FAILED') RETURNING {MAIL}"
            );
            let reason = format!("dropped by {}", entry.actor);
            let dropped = first(tx, &sql, params![id.blob(), reason], mail)?.ok_or(StoreError::NotFound)?;
            audit::insert(tx, &entry)?;
            Ok(dropped)
        })
        .await
    }

    async fn mail_counts(&self) -> Result<HashMap<MailState, u64>> {
        self.read("mail_counts", |tx| {
            let mut count = tx.prepare_cached("SELECT count(*) FROM mails WHERE state = ?")?;
            let mut counts = HashMap::new();
            for state in MailState::COUNTED {
                let found: i64 = count.query_row([Name(state)], |row| row.get(0))?;
                counts.insert(state, found.unsigned_abs());
            }
            Ok(counts)
        })
        .await
    }

    async fn mint_link(&self, link: &AccessLink) -> Result<Minted> {
        let link = link.clone();
        self.write("mint_link", move |tx| link::mint(tx, &link)).await
    }

    async fn find_link(&self, hash: &TokenHash) -> Result<Option<FoundLink>> {
        let hash = *hash;
        self.read("find_link", move |tx| link::find_whole(tx, &hash)).await
    }

    async fn redeem_link(&self, redemption: &Redemption) -> Result<()> {
        let redemption = redemption.clone();
        self.write("redeem_link", move |tx| link::redeem(tx, &redemption)).await
    }

    async fn subscribers(
        &self,
        account: AccountId,
        subscription: Subscription,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>> {
        self.read("subscribers", move |tx| {
            report::subscribers(tx, account, subscription, after, limit)
        })
        .await
    }

    async fn last_reports(&self, accounts: &[AccountId]) -> Result<Vec<ReportMark>> {
        let accounts = accounts.to_vec();
        self.read("last_reports", move |tx| report::last(tx, &accounts)).await
    }

    async fn file_report(&self, mark: &ReportMark, mails: &[Mail]) -> Result<bool> {
        let (mark, mails) = (*mark, mails.to_vec());
        self.write("file_report", move |tx| {
            let filed = report::file(tx, &mark)?;
            if filed {
                queue(tx, &mails)?;
            }
            Ok(filed)
        })
        .await
    }

    async fn expiring_users(
        &self,
        account: AccountId,
        from: Timestamp,
        until: Timestamp,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>> {
        self.read("expiring_users", move |tx| {
            report::expiring(tx, account, (from, until), after, limit)
        })
        .await
    }

    async fn login_countries(&self, account: AccountId, since: Timestamp, until: Timestamp) -> Result<Vec<String>> {
        self.read("login_countries", move |tx| {
            report::countries(tx, account, since, until)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sqlite::connection::model;

    #[test]
    fn every_list_is_answered_by_an_index() {
        let connection = model().unwrap();
        let filter = |state, to: Option<&str>| MailFilter {
            state,
            to: to.map(str::to_owned),
        };
        for (filter, indexes) in [
            (filter(None, None), &["mails_created_at"][..]),
            (filter(Some(MailState::Failed), None), &["mails_state (state=?"]),
            (filter(None, Some("a")), &["mails_to (to_fold=?"]),
            (
                filter(Some(MailState::Sent), Some("a")),
                &["mails_to (to_fold=?", "mails_state (state=?"],
            ),
        ] {
            let [conditions] = conditions(&[filter]).try_into().unwrap();
            let request = PageRequest::first(20);
            for plan in keyset::tests::plans(&connection, MAIL, "mails", &conditions, NEWEST_FIRST, &request) {
                let indexed = indexes
                    .iter()
                    .any(|index| plan.contains(&format!("USING INDEX {index}")));
                assert!(indexed && !plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {DUE}")).unwrap();
        let plan: String = statement.query_row([0, 0], |row| row.get(3)).unwrap();
        assert_eq!(
            plan,
            "SEARCH mails USING COVERING INDEX mails_due (due_at>? AND due_at<?)"
        );
    }
}

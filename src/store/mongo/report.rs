//! Who asked for which mails, which reports were filed, and what they tell.

use futures_util::TryStreamExt;
use jiff::Timestamp;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use mongodb::{ClientSession, Collection};

use super::documents::{At, Id, MarkDocument, USER_HIDDEN, UserDocument, array, word};
use super::indexes::{self, USERS_EXPIRING};
use super::lists::{one_answer, stored, without};
use super::transaction::{Halt, READ_LIMIT, bounded};
use super::{MongoStore, round_trip};
use crate::domain::ids::{AccountId, UserId};
use crate::domain::login_event::{LoginMethod, LoginOutcome};
use crate::domain::mail::{ReportKind, Subscription};
use crate::domain::user::{User, UserStatus};
use crate::store::{ReportMark, Result, StoreError};

/// Where a sign-in's country is.
pub(super) const COUNTRY: &str = "origin.location.country_code";

/// Gives users from before there was one their `wants`, as [`UserDocument`] has it.
pub(super) async fn backfill(users: &Collection<UserDocument>) -> std::result::Result<(), mongodb::error::Error> {
    let each = Subscription::ALL.map(|subscription| {
        let name = subscription.name();
        doc! { "$cond": [format!("$notifications.{name}"), [name], []] }
    });
    let active = word(&UserStatus::Active).unwrap_or(Bson::Null);
    let address = doc! { "$ifNull": ["$notifications.email", "$email", Bson::Null] };
    let is_reached = doc! { "$and": [{ "$eq": ["$status", active] }, { "$ne": [address, Bson::Null] }] };
    let wants = doc! { "$cond": [is_reached, { "$concatArrays": each.to_vec() }, []] };
    let mut tried = 0;
    loop {
        round_trip("update");
        let change = vec![doc! { "$set": { "wants": &wants } }];
        match users.update_many(lacking_wants(), change).await {
            Err(error) => indexes::wait_for_others(&mut tried, error).await?,
            Ok(_) => return Ok(()),
        }
    }
}

/// Users from before there were `wants`.
pub(super) fn lacking_wants() -> Document {
    doc! { "wants": { "$exists": false } }
}

/// Who asked for that and can be written to.
pub(super) fn wanting(account: AccountId, subscription: Subscription, after: Option<UserId>) -> Document {
    let mut filter = doc! { "account": Id::from(account), "wants": subscription.name() };
    if let Some(after) = after {
        filter.insert("_id", doc! { "$gt": Id::from(after) });
    }
    filter
}

/// Those in the order of their identifiers: the account is the same for all, and named so that nothing but the index of
/// `wants` delivers it.
pub(super) fn by_wanting_id() -> Document {
    doc! { "account": 1, "_id": 1 }
}

/// Whose directory's password expires.
pub(super) fn expiring(account: AccountId, from: Timestamp, until: Timestamp, after: Option<UserId>) -> Document {
    let mut filter = wanting(account, Subscription::Security, after);
    filter.insert("is_ldap", true);
    filter.insert("password_expires_at", doc! { "$gte": At(from), "$lt": At(until) });
    filter
}

/// The sign-ins of people of an account that come from a country that is known.
pub(super) fn located(account: AccountId, since: Timestamp, until: Timestamp) -> Result<Document> {
    let methods = [LoginMethod::Local, LoginMethod::Ldap, LoginMethod::Link];
    let methods = methods.iter().map(word).collect::<Result<Vec<_>>>()?;
    Ok(doc! {
        "account": Id::from(account),
        "outcome": word(&LoginOutcome::Success)?,
        "method": { "$in": methods },
        COUNTRY: { "$gt": "" },
        "at": { "$gte": At(since), "$lt": At(until) },
    })
}

impl MongoStore {
    pub(super) async fn find_subscribers(
        &self,
        account: AccountId,
        subscription: Subscription,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<User>> {
        // The server takes none for no limit.
        if limit == 0 {
            return Ok(Vec::new());
        }
        let filter = wanting(account, subscription, after);
        let found = self
            .find(&self.users, &USER_HIDDEN, filter, Some(by_wanting_id()), limit)
            .await?;
        Ok(found.into_iter().map(User::from).collect())
    }

    /// Those are few and sorted in no time; by the index that delivers them in order, all who asked for notices would be
    /// looked at.
    pub(super) async fn find_expiring(&self, filter: Document, limit: usize) -> Result<Vec<User>> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        round_trip("find");
        let finding = self
            .users
            .find(filter)
            .projection(without(&USER_HIDDEN))
            .hint(Hint::Name(USERS_EXPIRING.to_owned()))
            .sort(doc! { "_id": 1 })
            .limit(stored(limit))
            .batch_size(one_answer(limit))
            .max_time(READ_LIMIT);
        let found: Vec<UserDocument> = bounded(READ_LIMIT, async { Ok(finding.await?.try_collect().await?) }).await?;
        Ok(found.into_iter().map(User::from).collect())
    }

    pub(super) async fn find_marks(&self, accounts: &[AccountId]) -> Result<Vec<ReportMark>> {
        if accounts.is_empty() {
            return Ok(Vec::new());
        }
        let filter = doc! { "account": { "$in": array(accounts) } };
        let most = accounts.len() * ReportKind::ALL.len();
        let found = self.find(&self.report_marks, &[], filter, None, most).await?;
        Ok(found.into_iter().map(ReportMark::from).collect())
    }

    /// Marks a report as filed as a part of a transaction, unless it or a later one was. Should somebody else do so at once,
    /// the transaction fails and is tried again, with that in sight.
    pub(super) async fn move_mark(
        &self,
        session: &mut ClientSession,
        mark: &ReportMark,
    ) -> std::result::Result<bool, Halt> {
        let of_kind = doc! { "account": Id::from(mark.account), "kind": word(&mark.kind)? };
        round_trip("find");
        let found: Option<MarkDocument> = self
            .report_marks
            .find_one(of_kind.clone())
            .session(&mut *session)
            .await?;
        if found.is_some_and(|found| found.first_day >= mark.first_day) {
            return Ok(false);
        }
        let moved = doc! { "$set": { "first_day": mark.first_day.to_string() } };
        round_trip("update");
        self.report_marks
            .update_one(of_kind, moved)
            .upsert(true)
            .session(session)
            .await?;
        Ok(true)
    }

    pub(super) async fn find_countries(
        &self,
        account: AccountId,
        since: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<String>> {
        round_trip("distinct");
        let finding = self
            .login_events
            .distinct(COUNTRY, located(account, since, until)?)
            .max_time(READ_LIMIT);
        let found = bounded(READ_LIMIT, async { Ok(finding.await?) }).await?;
        let mut countries = found
            .into_iter()
            .map(|code| match code {
                Bson::String(code) => Ok(code),
                other => Err(StoreError::Corrupt(format!(
                    "a country's code was expected, not {other}"
                ))),
            })
            .collect::<Result<Vec<String>>>()?;
        countries.sort_unstable();
        Ok(countries)
    }
}

//! Which users: filters and orders as conditions of MongoDB.

use mongodb::bson::doc;

use super::documents::{At, Id, word};
use super::keyset::{Kind, Order};
use super::lists::{Filter, search};
use crate::domain::query::{UserFilter, UserOrder, UserOrderField};
use crate::domain::text::fold;
use crate::store::Result;

/// The conditions of a filter.
pub(super) fn filter(filter: &UserFilter) -> Result<Filter> {
    let text = filter.search.as_deref();
    let searched = ["login", "first_name_fold", "last_name_fold", "email_fold"];
    let status = filter.status.as_ref().map(word).transpose()?;
    let language = filter.language.as_ref().map(word).transpose()?;
    Ok(Filter::account(filter.account)
        .and(filter.id.map(|id| doc! { "_id": Id::from(id) }))
        .and(text.and_then(|t| search(t, &searched)))
        .and(filter.login.as_deref().map(|login| doc! { "login": fold(login) }))
        .and(filter.email.as_deref().map(|email| doc! { "email_fold": fold(email) }))
        .and(status.map(|status| doc! { "status": status }))
        .and(filter.is_master.map(|is_master| {
            if is_master {
                doc! { "grants.master": true }
            } else {
                doc! { "grants.master": { "$ne": true } }
            }
        }))
        .and(filter.is_ldap.map(|is_ldap| doc! { "is_ldap": is_ldap }))
        .and(filter.is_locked.map(|(is_locked, now)| {
            let later = doc! { "$gt": At(now) };
            if is_locked {
                doc! { "locked_until": later }
            } else {
                doc! { "locked_until": { "$not": later } }
            }
        }))
        .and(language.map(|language| doc! { "language": language }))
        .and(filter.role.map(|role| doc! { "grants.role": Id::from(role) }))
        .and(filter.group.map(|group| doc! { "grants.group": Id::from(group) }))
        .and(filter.created_after.map(|at| doc! { "created_at": { "$gt": At(at) } }))
        // A comparison holds for dates only, so those who never signed in are left out.
        .and(
            filter
                .last_login_before
                .map(|at| doc! { "last_login.at": { "$lt": At(at) } }),
        )
        .and(filter.never_signed_in.map(|never| {
            if never {
                doc! { "last_login.at": null }
            } else {
                doc! { "last_login.at": { "$ne": null } }
            }
        })))
}

/// The key of an order.
pub(super) fn order(order: UserOrder) -> Order {
    let (field, nullable) = match order.field {
        UserOrderField::Login => ("login", None),
        UserOrderField::LastName => ("last_name_fold", None),
        UserOrderField::Email => ("email_fold", Some(Kind::Text)),
        UserOrderField::CreatedAt => ("created_at", None),
        UserOrderField::LastLogin => ("last_login.at", Some(Kind::Time)),
    };
    Order {
        field,
        direction: order.direction,
        nullable,
        unique_in_account: order.field == UserOrderField::Login,
    }
}

//! Users with their roles, groups and last sign-ins.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::{OutputType, SelectionField, Value};

use super::{Column, Needs, Plain, Plan};
use crate::domain::page::PageRequest;
use crate::graphql::paging::{Connection, PageArguments};
use crate::graphql::types::filters::tags;
use crate::graphql::types::{DisabledBy, Group, Language, LoginEvent, Role, User, UserStatus};

impl Plain for User {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn as_user(&self) -> Option<&User> {
        Some(self)
    }

    fn column(asked: &[SelectionField<'_>], needs: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "id" => Box::new(|user, _, json| json.id(user.0.id)),
            "login" => Box::new(|user, _, json| json.scalar(user.0.login.as_str())),
            "firstName" => Box::new(|user, _, json| json.scalar(&user.0.first_name)),
            "lastName" => Box::new(|user, _, json| json.scalar(&user.0.last_name)),
            "email" => Box::new(|user, _, json| json.scalar(user.0.email.as_ref().map(|email| email.as_str()))),
            "language" => Box::new(|user, _, json| json.item(Some(Language::from(user.0.language)))),
            "phone" => Box::new(|user, _, json| json.scalar(user.0.phone.as_deref())),
            "status" => Box::new(|user, _, json| json.item(Some(UserStatus::from(user.0.status)))),
            "disabledBy" => Box::new(|user, _, json| json.item(user.0.disabled_by.map(DisabledBy::from))),
            "lockedUntil" => Box::new(|user, loaded, json| {
                let until = user.0.locked_until.filter(|until| *until > loaded.now);
                json.time(until);
            }),
            "mustChangePassword" => Box::new(|user, _, json| json.scalar(user.0.must_change_password)),
            "hasPassword" => Box::new(|user, _, json| json.scalar(user.0.has_password)),
            "passwordChangedAt" => Box::new(|user, _, json| json.time(user.0.password_changed_at)),
            "isMaster" => Box::new(|user, _, json| json.scalar(user.0.is_master())),
            "isLdap" => Box::new(|user, _, json| json.scalar(user.0.is_ldap)),
            "createdAt" => Box::new(|user, _, json| json.time(Some(user.0.created_at))),
            "updatedAt" => Box::new(|user, _, json| json.time(Some(user.0.updated_at))),
            "revision" => Box::new(|user, _, json| json.scalar(user.0.revision)),
            "roles" => {
                needs.roles = true;
                let plan = Plan::<Role>::of(asked, needs)?;
                Box::new(move |user, loaded, json| {
                    let roles = loaded.roles_of(user).cloned().map(Role);
                    json.list(roles, |json, role| plan.write(&role, loaded, json));
                })
            }
            "groups" => {
                needs.groups = true;
                let plan = Plan::<Group>::of(asked, needs)?;
                Box::new(move |user, loaded, json| {
                    let groups = loaded.groups_of(user).cloned().map(Group);
                    json.list(groups, |json, group| plan.write(&group, loaded, json));
                })
            }
            "lastLogin" => {
                (needs.history, needs.last_login) = (true, true);
                // It is read whole.
                let plan = Plan::<LoginEvent>::of(asked, &mut Needs::default())?;
                Box::new(move |user, loaded, json| {
                    let event = user.0.last_login.clone().map(|event| LoginEvent(Arc::new(event)));
                    plan.write_or_null(event.as_ref(), loaded, json);
                })
            }
            "loginHistory" => history(asked, needs)?,
            _ => return None,
        })
    }
}

/// The newest sign-ins, which came with the user.
fn history(asked: &[SelectionField<'_>], needs: &mut Needs) -> Option<Column<User>> {
    let request = newest_asked_for(asked.first()?)?;
    let mut of_list = Needs::default();
    let plan = Plan::<Connection<LoginEvent>>::of(asked, &mut of_list)?;
    if of_list.total {
        return None;
    }
    needs.history = true;
    needs.details |= of_list.details;
    needs.newest.push(request.limit + 1);
    Some(Box::new(move |user, loaded, json| {
        plan.write(&user.newest_page(&request), loaded, json);
    }))
}

/// The page that a `loginHistory` asks for, if it is the newest sign-ins and nothing else.
pub(in crate::graphql) fn newest_asked_for(field: &SelectionField<'_>) -> Option<PageRequest> {
    let mut arguments = PageArguments::default();
    for (name, value) in field.arguments().ok()? {
        match (name.as_str(), value) {
            (_, Value::Null) => {}
            ("first", Value::Number(first)) => arguments.first = Some(i32::try_from(first.as_i64()?).ok()?),
            _ => return None,
        }
    }
    let request = arguments.read(tags::LOGIN_EVENTS).ok()?;
    (request.limit < crate::store::RECENT).then_some(request)
}

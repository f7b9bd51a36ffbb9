//! Users with their roles, groups and last sign-ins.

use std::borrow::Cow;
use std::sync::Arc;

use async_graphql::resolver_utils::enum_value;
use async_graphql::{OutputType, SelectionField, Value};

use super::{Column, Needs, Plain, Plan, or_null, text};
use crate::domain::page::PageRequest;
use crate::graphql::node_id;
use crate::graphql::paging::{Connection, PageArguments};
use crate::graphql::scalars::time;
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
            "id" => Box::new(|user, _| text(node_id::encode(user.0.id).0)),
            "login" => Box::new(|user, _| text(user.0.login.as_str())),
            "firstName" => Box::new(|user, _| text(&user.0.first_name)),
            "lastName" => Box::new(|user, _| text(&user.0.last_name)),
            "email" => Box::new(|user, _| or_null(user.0.email.as_ref().map(|email| email.as_str()))),
            "language" => Box::new(|user, _| enum_value(Language::from(user.0.language))),
            "phone" => Box::new(|user, _| or_null(user.0.phone.as_deref())),
            "status" => Box::new(|user, _| enum_value(UserStatus::from(user.0.status))),
            "disabledBy" => Box::new(|user, _| {
                let by = user.0.disabled_by;
                by.map_or(Value::Null, |by| enum_value(DisabledBy::from(by)))
            }),
            "lockedUntil" => Box::new(|user, loaded| {
                let until = user.0.locked_until.filter(|until| *until > loaded.now);
                until.map_or(Value::Null, time)
            }),
            "mustChangePassword" => Box::new(|user, _| user.0.must_change_password.into()),
            "hasPassword" => Box::new(|user, _| user.0.has_password.into()),
            "passwordChangedAt" => Box::new(|user, _| user.0.password_changed_at.map_or(Value::Null, time)),
            "isMaster" => Box::new(|user, _| user.0.is_master().into()),
            "isLdap" => Box::new(|user, _| user.0.is_ldap.into()),
            "createdAt" => Box::new(|user, _| time(user.0.created_at)),
            "updatedAt" => Box::new(|user, _| time(user.0.updated_at)),
            "revision" => Box::new(|user, _| Value::from(user.0.revision)),
            "roles" => {
                needs.roles = true;
                let plan = Plan::<Role>::of(asked, needs)?;
                Box::new(move |user, loaded| {
                    let roles = loaded.roles_of(user).cloned().map(Role);
                    roles.map(|role| plan.write(&role, loaded)).collect()
                })
            }
            "groups" => {
                needs.groups = true;
                let plan = Plan::<Group>::of(asked, needs)?;
                Box::new(move |user, loaded| {
                    let groups = loaded.groups_of(user).cloned().map(Group);
                    groups.map(|group| plan.write(&group, loaded)).collect()
                })
            }
            "lastLogin" => {
                needs.history = true;
                let plan = Plan::<LoginEvent>::of(asked, needs)?;
                Box::new(move |user, loaded| {
                    let event = user.0.last_login.clone().map(|event| LoginEvent(Arc::new(event)));
                    event.map_or(Value::Null, |event| plan.write(&event, loaded))
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
    needs.newest.push(request.limit + 1);
    Some(Box::new(move |user, loaded| {
        plan.write(&user.newest_page(&request), loaded)
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

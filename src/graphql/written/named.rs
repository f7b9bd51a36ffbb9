//! Roles and groups.

use std::borrow::Cow;

use async_graphql::{OutputType, SelectionField, Value};

use super::{Column, Needs, Plain, text};
use crate::graphql::node_id;
use crate::graphql::scalars::time;
use crate::graphql::types::{Group, Role};

impl Plain for Role {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], _: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "id" => Box::new(|role, _| text(node_id::encode(role.0.id).0)),
            "name" => Box::new(|role, _| text(&role.0.name)),
            "description" => Box::new(|role, _| text(&role.0.description)),
            "permissions" => Box::new(|role, _| role.0.permissions.iter().map(|p| text(p.as_str())).collect()),
            "createdAt" => Box::new(|role, _| time(role.0.created_at)),
            "updatedAt" => Box::new(|role, _| time(role.0.updated_at)),
            "revision" => Box::new(|role, _| Value::from(role.0.revision)),
            _ => return None,
        })
    }
}

impl Plain for Group {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], _: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "id" => Box::new(|group, _| text(node_id::encode(group.0.id).0)),
            "name" => Box::new(|group, _| text(&group.0.name)),
            "description" => Box::new(|group, _| text(&group.0.description)),
            "isMain" => Box::new(|group, _| group.0.is_main.into()),
            "createdAt" => Box::new(|group, _| time(group.0.created_at)),
            "updatedAt" => Box::new(|group, _| time(group.0.updated_at)),
            "revision" => Box::new(|group, _| Value::from(group.0.revision)),
            _ => return None,
        })
    }
}

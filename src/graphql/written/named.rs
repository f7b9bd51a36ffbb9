//! Roles and groups.

use std::borrow::Cow;

use async_graphql::{OutputType, SelectionField};

use super::{Column, Needs, Plain};
use crate::graphql::types::{Group, Role};

impl Plain for Role {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], _: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "id" => Box::new(|role, _, json| json.id(role.0.id)),
            "name" => Box::new(|role, _, json| json.scalar(&role.0.name)),
            "description" => Box::new(|role, _, json| json.scalar(&role.0.description)),
            "permissions" => Box::new(|role, _, json| {
                json.list(&role.0.permissions, |json, permission| json.scalar(permission.as_str()));
            }),
            "createdAt" => Box::new(|role, _, json| json.time(Some(role.0.created_at))),
            "updatedAt" => Box::new(|role, _, json| json.time(Some(role.0.updated_at))),
            "revision" => Box::new(|role, _, json| json.scalar(role.0.revision)),
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
            "id" => Box::new(|group, _, json| json.id(group.0.id)),
            "name" => Box::new(|group, _, json| json.scalar(&group.0.name)),
            "description" => Box::new(|group, _, json| json.scalar(&group.0.description)),
            "isMain" => Box::new(|group, _, json| json.scalar(group.0.is_main)),
            "createdAt" => Box::new(|group, _, json| json.time(Some(group.0.created_at))),
            "updatedAt" => Box::new(|group, _, json| json.time(Some(group.0.updated_at))),
            "revision" => Box::new(|group, _, json| json.scalar(group.0.revision)),
            _ => return None,
        })
    }
}

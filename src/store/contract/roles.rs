//! Roles.

use crate::domain::ids::RoleId;
use crate::domain::role::Role;

super::named::named_cases! {
    Role, RoleId, role, create_role, roles_by_ids, roles, count_roles, insert_roles, role_position, Unique::RoleName
}

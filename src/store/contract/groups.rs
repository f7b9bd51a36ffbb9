//! Groups.

use crate::domain::group::Group;
use crate::domain::ids::GroupId;

super::named::named_cases! {
    Group, GroupId, group, create_group, groups_by_ids, groups, count_groups, insert_groups, group_position, Unique::GroupName
}
